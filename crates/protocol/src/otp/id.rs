//! What a Yubico OTP credential consists of.

use std::{fmt, str::FromStr};

use thiserror::Error;

use crate::{modhex, secret::Secret};

/// The public id that a key types in front of the encrypted block: 0 to 16 bytes, usually 6.
///
/// Written in modhex. Validation servers know a credential by it; they take at most
/// [`PublicId::MAX_ON_A_SERVER`] bytes.
///
/// ```
/// use tapkey_protocol::otp::PublicId;
/// let id: PublicId = "vvccccbdefgh".parse()?;
/// assert_eq!(id.as_bytes(), &[0xff, 0x00, 0x00, 0x12, 0x34, 0x56]);
/// assert_eq!(PublicId::from_serial(0x123456), id);
/// assert!("vvx".parse::<PublicId>().is_err());
/// # Ok::<(), tapkey_protocol::otp::PublicIdError>(())
/// ```
#[derive(Clone, Copy, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PublicId {
    bytes: [u8; Self::MAX],
    length: u8,
}

impl PublicId {
    /// The most bytes a key can type.
    pub const MAX: usize = 16;
    /// The most bytes the validation protocol has room for.
    pub const MAX_ON_A_SERVER: usize = 8;
    /// No public id at all: the key types only the encrypted block.
    pub const EMPTY: Self = Self { bytes: [0; Self::MAX], length: 0 };

    /// From raw bytes.
    ///
    /// # Errors
    /// More than 16 bytes.
    pub fn new(id: &[u8]) -> Result<Self, PublicIdError> {
        let mut bytes = [0; Self::MAX];
        let (room, length) = match (bytes.get_mut(..id.len()), u8::try_from(id.len())) {
            (Some(room), Ok(length)) => (room, length),
            _ => return Err(PublicIdError::TooLong(id.len())),
        };
        room.copy_from_slice(id);
        Ok(Self { bytes, length })
    }

    /// The id that tools derive from a serial number: `ff 00` and the serial, big endian
    /// (`vv…` in modhex, outside the range that Yubico assigns at the factory).
    #[must_use]
    pub fn from_serial(serial: u32) -> Self {
        let [a, b, c, d] = serial.to_be_bytes();
        let mut bytes = [0; Self::MAX];
        bytes[..6].copy_from_slice(&[0xff, 0x00, a, b, c, d]);
        Self { bytes, length: 6 }
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }

    /// How many bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.length)
    }

    /// Whether the key types no public id.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl FromStr for PublicId {
    type Err = PublicIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > Self::MAX * 2 {
            return Err(PublicIdError::TooLong(text.len().div_ceil(2)));
        }
        Self::new(&modhex::decode(text)?)
    }
}

impl fmt::Display for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&modhex::encode(self.as_bytes()))
    }
}

impl fmt::Debug for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicId({self})")
    }
}

/// Why a text or some bytes are no public id.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum PublicIdError {
    /// A key types at most 16 bytes.
    #[error("a public id has at most 16 bytes (32 modhex letters), this one has {0} bytes")]
    TooLong(usize),
    /// Not modhex.
    #[error("not a public id: {0}")]
    Modhex(#[from] modhex::Error),
}

/// The private id inside the encrypted block, 6 bytes: what proves that a block was made with the
/// credential's own record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PrivateId(Secret<6>);

impl PrivateId {
    /// From its 6 bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 6]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The bytes themselves.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 6] {
        self.0.expose()
    }
}

/// The AES-128 key of a credential.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AesKey(Secret<16>);

impl AesKey {
    /// From its 16 bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The bytes themselves.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 16] {
        self.0.expose()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn length_is_bounded() {
        assert_eq!(PublicId::new(&[1; 17]), Err(PublicIdError::TooLong(17)));
        assert!(PublicId::new(&[1; 16]).is_ok());
        assert!("c".repeat(34).parse::<PublicId>().is_err());
        assert_eq!("".parse::<PublicId>(), Ok(PublicId::EMPTY));
    }

    proptest! {
        #[test]
        fn round_trip(bytes in proptest::collection::vec(any::<u8>(), 0..=16)) {
            let id = PublicId::new(&bytes).unwrap();
            prop_assert_eq!(id.as_bytes(), &bytes[..]);
            prop_assert_eq!(id.to_string().parse::<PublicId>().unwrap(), id);
        }
    }
}
