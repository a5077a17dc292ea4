//! The 20-byte key of HMAC and HOTP slots.

use hmac::{Hmac, KeyInit, Mac};
use sha1::{Digest, Sha1};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::challenge;
use crate::secret::Secret;

/// A key of exactly 20 bytes, as a slot holds it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HmacKey(Secret<{ Self::SIZE }>);

impl HmacKey {
    /// Bytes of a key.
    pub const SIZE: usize = 20;

    /// Takes 20 bytes.
    #[must_use]
    pub const fn new(bytes: [u8; Self::SIZE]) -> Self {
        Self(Secret::new(bytes))
    }

    /// Makes a key of any secret, as HMAC-SHA1 would (RFC 2104): shorter ones are filled with
    /// zeros, those longer than the hash's block of 64 bytes are hashed.
    ///
    /// # Errors
    /// [`HmacKeyError::TooLong`] for 21 to 64 bytes: HMAC would use them as they are, and a slot
    /// has no room for that. [`HmacKeyError::Empty`] for none.
    pub fn from_secret(secret: &[u8]) -> Result<Self, HmacKeyError> {
        let mut key = [0; Self::SIZE];
        match secret.len() {
            0 => return Err(HmacKeyError::Empty),
            1..=20 => key[..secret.len()].copy_from_slice(secret),
            length @ 21..=64 => return Err(HmacKeyError::TooLong { length }),
            _ => key = Sha1::digest(secret).into(),
        }
        Ok(Self::new(key))
    }

    /// The bytes.
    #[must_use]
    pub const fn expose(&self) -> &[u8; Self::SIZE] {
        self.0.expose()
    }

    /// What a slot with this key answers: the HMAC-SHA1 of the challenge, or of its 64 bytes with padding
    /// where the slot does not take challenges of variable length.
    ///
    /// # Errors
    /// [`TooLong`](crate::challenge::TooLong) for more than 64 bytes.
    pub fn respond(&self, challenge: &[u8], variable_length: bool) -> Result<Secret<20>, challenge::TooLong> {
        let frame = Zeroizing::new(challenge::pad(challenge)?);
        let message = if variable_length { challenge::strip(&frame) } else { frame.as_slice() };
        // HMAC takes keys of every length, so the error cannot occur.
        let answer = Hmac::<Sha1>::new_from_slice(self.expose())
            .map(|mac| mac.chain_update(message).finalize().into_bytes().into())
            .unwrap_or_default();
        Ok(Secret::new(answer))
    }

    /// The first 16 bytes for the key field, and the last four for the uid field.
    pub(super) fn split(&self) -> (Secret<16>, [u8; 4]) {
        let mut key = [0; 16];
        key.copy_from_slice(&self.expose()[..16]);
        let [.., a, b, c, d] = *self.expose();
        (Secret::new(key), [a, b, c, d])
    }
}

/// Why a secret cannot be a key.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum HmacKeyError {
    /// There is no secret.
    #[error("the secret is empty")]
    Empty,
    /// The secret is too long for a slot and too short to be hashed.
    #[error("a secret of {length} bytes does not fit a slot; use at most 20 bytes")]
    TooLong {
        /// Its length.
        length: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers() {
        // RFC 2202, test case 1, and one published from a genuine key.
        let key = HmacKey::new([0x0B; 20]);
        assert_eq!(key.respond(b"Hi There", true).unwrap().expose()[..4], [0xB6, 0x17, 0x31, 0x86]);
        assert_ne!(key.respond(b"Hi There", false), key.respond(b"Hi There", true));
        assert!(key.respond(&[0; 65], true).is_err());
    }

    #[test]
    fn lengths() {
        assert_eq!(HmacKey::from_secret(&[0xAB, 0xBA]).unwrap().expose()[..3], [0xAB, 0xBA, 0]);
        assert_eq!(HmacKey::from_secret(&[1; 20]).unwrap(), HmacKey::new([1; 20]));
        assert_eq!(HmacKey::from_secret(&[1; 21]), Err(HmacKeyError::TooLong { length: 21 }));
        assert_eq!(HmacKey::from_secret(&[1; 64]), Err(HmacKeyError::TooLong { length: 64 }));
        assert!(HmacKey::from_secret(&[1; 65]).is_ok());
        assert_eq!(HmacKey::from_secret(&[]), Err(HmacKeyError::Empty));
    }
}
