//! Modhex: hexadecimal in the sixteen letters `cbdefghijklnrtuv`, which sit on the same keys of
//! most Latin keyboard layouts, so that what a key types survives them.

use thiserror::Error;

/// The modhex letters in the order of their values.
pub const ALPHABET: &[u8; 16] = b"cbdefghijklnrtuv";

/// Why a text is not modhex.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// Two letters make a byte, so the number of letters must be even.
    #[error("modhex needs an even number of letters, found {0}")]
    OddLength(usize),
    /// A character outside `cbdefghijklnrtuv` (upper case is taken too); the position counts bytes from 0.
    #[error("not a modhex letter at position {position}: modhex uses only c b d e f g h i j k l n r t u v")]
    Letter {
        /// Where the character stands, in bytes from the beginning.
        position: usize,
    },
    /// The text holds more bytes than there is room for.
    #[error("modhex text is too long: {found} letters, at most {limit}")]
    TooLong {
        /// How many letters there are.
        found: usize,
        /// How many fit.
        limit: usize,
    },
}

/// Bytes as lower-case modhex.
///
/// ```
/// assert_eq!(tapkey_protocol::modhex::encode(b"test"), "ifhgieif");
/// ```
#[must_use]
pub fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(ALPHABET[usize::from(byte >> 4)]));
        text.push(char::from(ALPHABET[usize::from(byte & 0x0f)]));
    }
    text
}

/// Modhex, in either case, as bytes.
///
/// # Errors
/// An odd number of letters, or a character that is none.
///
/// ```
/// use tapkey_protocol::modhex;
/// assert_eq!(modhex::decode("ifhgieif")?, b"test");
/// assert_eq!(modhex::decode("cx"), Err(modhex::Error::Letter { position: 1 }));
/// # Ok::<(), modhex::Error>(())
/// ```
pub fn decode(text: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; text.len() / 2];
    decode_into(text.as_bytes(), &mut bytes)?;
    Ok(bytes)
}

/// Modhex letters into a buffer of half their number.
///
/// # Errors
/// As [`decode`]; also when the buffer is not exactly half as long.
pub fn decode_into(letters: &[u8], bytes: &mut [u8]) -> Result<(), Error> {
    if !letters.len().is_multiple_of(2) {
        return Err(Error::OddLength(letters.len()));
    }
    if letters.len() != bytes.len() * 2 {
        return Err(Error::TooLong { found: letters.len(), limit: bytes.len() * 2 });
    }
    for (index, (pair, byte)) in letters.chunks_exact(2).zip(bytes).enumerate() {
        let high = VALUE[usize::from(pair[0])];
        let low = VALUE[usize::from(pair[1])];
        if (high | low) & NOT_MODHEX != 0 {
            let position = index * 2 + usize::from(high & NOT_MODHEX == 0);
            return Err(Error::Letter { position });
        }
        *byte = high << 4 | low;
    }
    Ok(())
}

/// Whether every character is a modhex letter, in either case.
#[must_use]
pub fn is_modhex(text: &[u8]) -> bool {
    text.iter().all(|letter| VALUE[usize::from(*letter)] & NOT_MODHEX == 0)
}

const NOT_MODHEX: u8 = 0x80;

const VALUE: [u8; 256] = {
    let mut table = [NOT_MODHEX; 256];
    let mut value = 0u8;
    while value < 16 {
        #[expect(clippy::as_conversions, reason = "const context, widening u8 to usize")]
        {
            let letter = ALPHABET[value as usize];
            table[letter as usize] = value;
            table[letter.to_ascii_uppercase() as usize] = value;
        }
        value += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn says_where_the_first_wrong_letter_is() {
        assert_eq!(decode("xc"), Err(Error::Letter { position: 0 }));
        assert_eq!(decode("ccca"), Err(Error::Letter { position: 3 }));
        assert_eq!(decode("ccc"), Err(Error::OddLength(3)));
        assert_eq!(decode("cé"), Err(Error::OddLength(3)));
    }

    proptest! {
        #[test]
        fn round_trip(bytes: Vec<u8>) {
            let text = encode(&bytes);
            prop_assert_eq!(decode(&text).unwrap(), bytes.clone());
            prop_assert_eq!(decode(&text.to_uppercase()).unwrap(), bytes);
        }

        #[test]
        fn any_text_is_decoded_or_refused(text: String) {
            if let Ok(bytes) = decode(&text) {
                prop_assert_eq!(encode(&bytes), text.to_ascii_lowercase());
            }
        }
    }
}
