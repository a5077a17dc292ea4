//! The US layout.

use super::Key;

/// The key for a character on a US keyboard, or nothing for a character that is not on it. Enter is
/// `\n`, TAB is `\t`.
#[must_use]
pub fn us_key(character: char) -> Option<Key> {
    // Zero stands for "no character" in the table.
    let ascii = u8::try_from(character).ok().filter(|ascii| *ascii != 0)?;
    match ascii {
        b'a'..=b'z' => Some(Key::plain(ascii - b'a' + A)),
        b'A'..=b'Z' => Some(Key::shifted(ascii - b'A' + A)),
        _ => OTHERS.iter().find_map(|(usage, plain, shifted)| match () {
            () if *plain == ascii => Some(Key::plain(*usage)),
            () if *shifted == ascii => Some(Key::shifted(*usage)),
            () => None,
        }),
    }
}

/// The character that a key types on a US keyboard, keypad digits included.
#[must_use]
pub fn us_character(key: Key) -> Option<char> {
    let ascii = match (key.usage, key.shift) {
        (usage @ A..=Z, false) => usage - A + b'a',
        (usage @ A..=Z, true) => usage - A + b'A',
        (usage @ KEYPAD_1..=KEYPAD_9, false) => usage - KEYPAD_1 + b'1',
        (KEYPAD_0, false) => b'0',
        (usage, shift) => {
            let (_, plain, shifted) = OTHERS.iter().find(|(known, _, _)| *known == usage)?;
            if shift { *shifted } else { *plain }
        }
    };
    (ascii != 0).then_some(char::from(ascii))
}

const A: u8 = 0x04;
const Z: u8 = 0x1D;
const KEYPAD_1: u8 = 0x59;
const KEYPAD_9: u8 = 0x61;
const KEYPAD_0: u8 = 0x62;

/// Usage, character without and with Shift; 0 for no character.
const OTHERS: &[(u8, u8, u8)] = &[
    (0x1E, b'1', b'!'),
    (0x1F, b'2', b'@'),
    (0x20, b'3', b'#'),
    (0x21, b'4', b'$'),
    (0x22, b'5', b'%'),
    (0x23, b'6', b'^'),
    (0x24, b'7', b'&'),
    (0x25, b'8', b'*'),
    (0x26, b'9', b'('),
    (0x27, b'0', b')'),
    (0x28, b'\n', 0),
    (0x2B, b'\t', 0),
    (0x2C, b' ', 0),
    (0x2D, b'-', b'_'),
    (0x2E, b'=', b'+'),
    (0x2F, b'[', b'{'),
    (0x30, b']', b'}'),
    (0x31, b'\\', b'|'),
    (0x33, b';', b':'),
    (0x34, b'\'', b'"'),
    (0x35, b'`', b'~'),
    (0x36, b',', b'<'),
    (0x37, b'.', b'>'),
    (0x38, b'/', b'?'),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_printable_character_round_trips() {
        for ascii in (b' '..=b'~').chain([b'\n', b'\t']) {
            let character = char::from(ascii);
            let key = us_key(character).unwrap();
            assert_eq!(us_character(key), Some(character));
        }
    }

    #[test]
    fn characters_that_are_not_there() {
        assert_eq!(us_key('é'), None);
        assert_eq!(us_key('\0'), None);
        assert_eq!(us_character(Key::plain(0)), None);
        assert_eq!(us_character(Key::shifted(0x2B)), None);
    }
}
