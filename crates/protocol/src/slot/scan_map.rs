//! Which key is typed for which character of a ticket.

use super::AccessCode;
use crate::keyboard::Key;

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
