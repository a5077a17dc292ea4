//! What a dead key and the next one become together, as far as all systems agree.
//!
//! An accent followed by Space is left out where they do not: the acute accent and the diaeresis become
//! quotation marks on some.

/// The accent and the base letter of a character.
pub(super) fn compositions(character: char) -> impl Iterator<Item = (char, char)> {
    ACCENTS.iter().filter_map(move |(accent, bases, results)| {
        let (base, _) = bases.chars().zip(results.chars()).find(|(_, result)| *result == character)?;
        Some((*accent, base))
    })
}

/// Accent, base letters, and what they become.
const ACCENTS: [(char, &str, &str); 5] = [
    ('`', " aeiouAEIOU", "`àèìòùÀÈÌÒÙ"),
    ('´', "aeiouyAEIOUY", "áéíóúýÁÉÍÓÚÝ"),
    ('^', " aeiouAEIOU", "^âêîôûÂÊÎÔÛ"),
    ('¨', "aeiouAEIOU", "äëïöüÄËÏÖÜ"),
    ('~', " anoANO", "~ãñõÃÑÕ"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_base_has_its_result() {
        for (accent, bases, results) in ACCENTS {
            assert_eq!(bases.chars().count(), results.chars().count(), "{accent}");
        }
        assert_eq!(compositions('é').collect::<Vec<_>>(), [('´', 'e')]);
        assert_eq!(compositions('x').count(), 0);
    }
}
