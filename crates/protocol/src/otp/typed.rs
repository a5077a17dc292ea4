//! One-time passwords as they arrive from a keyboard that was not in the layout the key assumes.
//!
//! A key types key *positions*. With caps lock on they arrive in upper case; on a Dvorak layout
//! they arrive as other letters. Both can be undone without doubt, with one care: twelve of the
//! sixteen modhex letters also occur in what Dvorak makes of modhex, so text that already *is*
//! modhex is never translated.

use super::{Otp, ParseError};
use crate::modhex;

/// What had to be undone to read a typed password.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Spelling {
    /// Lower-case modhex, as a key types it.
    Plain,
    /// Modhex with upper-case letters.
    UpperCase,
    /// Typed on a US Dvorak layout.
    Dvorak,
}

/// Reads a password in any of the spellings of [`Spelling`]; surrounding white space is dropped.
///
/// # Errors
/// The error of the plain spelling, when none fits.
///
/// ```
/// use tapkey_protocol::otp::typed::{self, Spelling};
/// let (otp, spelling) = typed::parse("jjjjjjjjnhe.ngcgjeiuujjjdtgihjuecyixinxunkhj")?;
/// assert_eq!(spelling, Spelling::Dvorak);
/// assert_eq!(otp.to_string(), "ccccccccljdeluiucdgffccchkugjcfditgbglbflvjc");
/// # Ok::<(), tapkey_protocol::otp::ParseError>(())
/// ```
pub fn parse(text: &str) -> Result<(Otp, Spelling), ParseError> {
    let text = text.trim();
    let plain = text.parse::<Otp>();
    match plain {
        Ok(otp) if text.bytes().any(|letter| letter.is_ascii_uppercase()) => Ok((otp, Spelling::UpperCase)),
        Ok(otp) => Ok((otp, Spelling::Plain)),
        Err(error) => match from_dvorak(text).and_then(|modhex| modhex.parse().ok()) {
            Some(otp) => Ok((otp, Spelling::Dvorak)),
            None => Err(error),
        },
    }
}

/// The modhex text whose key positions give `text` on a US Dvorak layout.
fn from_dvorak(text: &str) -> Option<String> {
    if text.len() > Otp::MAX_LETTERS {
        return None;
    }
    text.bytes()
        .map(|letter| {
            let position = DVORAK.iter().position(|candidate| *candidate == letter.to_ascii_lowercase())?;
            modhex::ALPHABET.get(position).copied().map(char::from)
        })
        .collect()
}

/// What a US Dvorak layout makes of each letter of [`modhex::ALPHABET`].
const DVORAK: &[u8; 16] = b"jxe.uidchtnbpygk";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::otp::PublicId;

    /// All its letters are also letters of Dvorak's image of modhex.
    #[test]
    fn modhex_is_never_translated() {
        let ambiguous = "bcdeghijkntubcdeghijkntubcdeghijkntubcdegh";
        let (otp, spelling) = parse(ambiguous).unwrap();
        assert_eq!(spelling, Spelling::Plain);
        assert_eq!(otp.to_string(), ambiguous);
    }

    proptest! {
        #[test]
        fn every_spelling_is_read(id in proptest::collection::vec(any::<u8>(), 0..=8), block: [u8; 16]) {
            let otp = Otp::new(PublicId::new(&id).unwrap(), block);
            let plain = otp.to_string();
            prop_assert_eq!(parse(&plain).unwrap(), (otp, Spelling::Plain));
            prop_assert_eq!(parse(&plain.to_uppercase()).unwrap(), (otp, Spelling::UpperCase));
            let dvorak: String = plain
                .bytes()
                .map(|b| char::from(DVORAK[modhex::ALPHABET.iter().position(|a| *a == b).unwrap()]))
                .collect();
            let (read, _) = parse(&dvorak).unwrap();
            if !modhex::is_modhex(dvorak.as_bytes()) {
                prop_assert_eq!(read, otp);
            }
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            let _ = parse(&text);
        }
    }
}
