//! Which key is typed for which character of a ticket.

use std::{fmt, str::FromStr};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use thiserror::Error;

use super::AccessCode;
use crate::keyboard::{Key, Layout};

/// The scan map: 45 scan codes for the modhex letters in lower and upper case, the digits, `!`, TAB
/// and Enter. Bit 7 of a code means Shift.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScanMap([u8; Self::SIZE]);

impl ScanMap {
    /// Bytes of a map.
    pub const SIZE: usize = 45;

    /// The map of a key as it comes: US positions, which modhex letters share with most layouts.
    pub const DEFAULT: Self = Self([
        0x06, 0x05, 0x07, 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F, 0x11, 0x15, 0x17, 0x18,
        0x19, // cb…uv
        0x86, 0x85, 0x87, 0x88, 0x89, 0x8A, 0x8B, 0x8C, 0x8D, 0x8E, 0x8F, 0x91, 0x95, 0x97, 0x98,
        0x99, // CB…UV
        0x27, 0x1E, 0x1F, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, // 0…9
        0x9E, 0x2B, 0x28, // ! TAB Enter
    ]);

    /// A map of zeros, with which a key goes back to the map it came with.
    pub const RESET: Self = Self([0; Self::SIZE]);

    /// The map with which tickets come out right on a machine with this layout.
    ///
    /// # Errors
    /// [`ScanMapError::NotOnKeyboard`] when one key does not do for a character.
    pub fn for_layout(layout: Layout) -> Result<Self, ScanMapError> {
        let mut codes = [0; Self::SIZE];
        for (code, character) in codes.iter_mut().zip(ORDER.chars()) {
            let key = match character {
                '\r' => Some(Key::ENTER),
                character => layout.key(character),
            };
            *code = key.ok_or(ScanMapError::NotOnKeyboard { character, layout })?.scan_code();
        }
        Ok(Self(codes))
    }

    /// Takes 45 codes.
    #[must_use]
    pub const fn new(codes: [u8; Self::SIZE]) -> Self {
        Self(codes)
    }

    /// The codes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::SIZE] {
        &self.0
    }

    /// The key for a character, or nothing for a character that tickets do not have. TAB is `\t`,
    /// Enter is `\r`.
    #[must_use]
    pub fn key(&self, character: char) -> Option<Key> {
        let index = ORDER.chars().position(|known| known == character)?;
        self.0.get(index).copied().map(Key::from_scan_code)
    }
}

impl Default for ScanMap {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl fmt::Display for ScanMap {
    /// 90 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl FromStr for ScanMap {
    type Err = ScanMapError;

    /// Reads 90 hexadecimal digits, with or without white space between them. No code may stand there
    /// twice, or two characters would be typed alike.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: String = text.chars().filter(|character| !character.is_whitespace()).collect();
        let bytes = HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).map_err(|_| ScanMapError::Digits)?;
        let codes: [u8; Self::SIZE] =
            bytes.as_slice().try_into().map_err(|_| ScanMapError::Length { length: bytes.len() })?;
        for (index, code) in codes.iter().enumerate() {
            if codes[..index].contains(code) {
                return Err(ScanMapError::Twice { code: *code });
            }
        }
        Ok(Self(codes))
    }
}

/// Why there is no scan map.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ScanMapError {
    /// Something else than hexadecimal digits.
    #[error("a scan map is written in hexadecimal digits")]
    Digits,
    /// Another number of codes.
    #[error("a scan map has 45 codes (90 hexadecimal digits), not {length}")]
    Length {
        /// How many there are.
        length: usize,
    },
    /// A code stands for two characters.
    #[error("the code {code:02x} stands twice in the scan map")]
    Twice {
        /// The code.
        code: u8,
    },
    /// The layout has no single key for a character.
    #[error("the layout {layout} has no key of its own for {character:?}")]
    NotOnKeyboard {
        /// The character.
        character: char,
        /// The layout.
        layout: Layout,
    },
}

/// The payload that sets a scan map: the map and the current access code.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScanMapPayload {
    /// The map.
    pub map: ScanMap,
    /// The access code that the slots have now.
    pub current: AccessCode,
}

impl ScanMapPayload {
    /// Bytes of a payload.
    pub const SIZE: usize = ScanMap::SIZE + AccessCode::SIZE;

    /// Writes the payload.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut bytes = [0; Self::SIZE];
        bytes[..ScanMap::SIZE].copy_from_slice(&self.map.0);
        bytes[ScanMap::SIZE..].copy_from_slice(self.current.expose());
        bytes
    }

    /// Reads a payload, or nothing when there are fewer than 45 bytes.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let map = bytes.first_chunk().copied().map(ScanMap)?;
        Some(Self { map, current: AccessCode::read_at(bytes, ScanMap::SIZE) })
    }
}

const ORDER: &str = "cbdefghijklnrtuvCBDEFGHIJKLNRTUV0123456789!\t\r";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keyboard::us_key;

    #[test]
    fn the_default_types_what_it_says_on_a_us_keyboard() {
        assert_eq!(ORDER.len(), ScanMap::SIZE);
        for letter in ORDER.chars() {
            let enter = if letter == '\r' { '\n' } else { letter };
            assert_eq!(ScanMap::DEFAULT.key(letter), us_key(enter), "{letter:?}");
        }
        assert_eq!(ScanMap::DEFAULT.key('z'), None);
    }

    #[test]
    fn maps_of_layouts() {
        assert_eq!(ScanMap::for_layout(Layout::Us), Ok(ScanMap::DEFAULT));
        // The examples of ykpersonalize(1), for Dvorak, AZERTY and Turkish keyboards.
        let dvorak = "0c110b071c180d0a0619130f120e0937 8c918b879c988d8a8699938f928e89b7\
                      271e1f20212223242526 9e2b28";
        assert_eq!(ScanMap::for_layout(Layout::Dvorak), dvorak.parse());
        let azerty = "06050708090a0b0c0d0e0f1115171819 86858788898a8b8c8d8e8f9195979899\
                      a79e9fa0a1a2a3a4a5a6 382b28";
        assert_eq!(ScanMap::for_layout(Layout::Fr), azerty.parse());
        let turkish = "06050708090a0b340d0e0f1115171819 86858788898a8b8c8d8e8f9195979899\
                       271e1f20212223242526 9e2b28";
        assert_eq!(ScanMap::for_layout(Layout::Tr), turkish.parse());
        assert!(ScanMap::for_layout(Layout::Modhex).is_err());
    }

    #[test]
    fn maps_as_text() {
        let text = ScanMap::DEFAULT.to_string();
        assert_eq!(text.parse(), Ok(ScanMap::DEFAULT));
        assert_eq!("0605".parse::<ScanMap>(), Err(ScanMapError::Length { length: 2 }));
        assert_eq!("06x5".parse::<ScanMap>(), Err(ScanMapError::Digits));
        let twice = text.replacen("0605", "0606", 1);
        assert_eq!(twice.parse::<ScanMap>(), Err(ScanMapError::Twice { code: 6 }));
    }

    proptest! {
        #[test]
        fn round_trip(bytes in proptest::collection::vec(any::<u8>(), 51..=64)) {
            let payload = ScanMapPayload::parse(&bytes).unwrap();
            prop_assert_eq!(&payload.encode()[..], &bytes[..51]);
        }

        #[test]
        fn parsing_never_panics(bytes: Vec<u8>) {
            let _ = ScanMapPayload::parse(&bytes);
        }
    }
}
