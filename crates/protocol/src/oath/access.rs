//! The password in front of the key's OATH application.

use std::fmt;

use data_encoding::BASE64_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::Algorithm;
use crate::secret::Secret;

/// What host and key prove to each other that they know. It is derived from a password and the
/// key's salt, so the same password gives another one on each key and after each reset.
#[derive(Clone, Eq, PartialEq)]
pub struct AccessKey(Secret<16>);

impl AccessKey {
    /// PBKDF2 with HMAC-SHA1, 1000 rounds, 16 bytes (RFC 8018 section 5.2).
    ///
    /// That is the key's convention and not much of a protection by today's measure: choose
    /// passwords that are hard to guess.
    #[must_use]
    pub fn derive(password: &str, salt: &[u8]) -> Self {
        // Sixteen bytes are less than one block, so only the first is needed.
        let mut input = salt.to_vec();
        input.extend_from_slice(&1_u32.to_be_bytes());
        let mut round = hmac(password.as_bytes(), &input);
        let mut block = round;
        for _ in 1..ROUNDS {
            round = hmac(password.as_bytes(), &round);
            for (sum, byte) in block.iter_mut().zip(round) {
                *sum ^= byte;
            }
        }
        let mut key = [0; 16];
        for (to, from) in key.iter_mut().zip(block) {
            *to = from;
        }
        block.zeroize();
        round.zeroize();
        Self(Secret::new(key))
    }

    /// Takes bytes that were derived earlier.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(Secret::new(bytes))
    }

    /// The bytes, for keeping them; name every use of this in review.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 16] {
        self.0.expose()
    }

    /// The proof that answers a challenge: HMAC-SHA1.
    #[must_use]
    pub fn prove(&self, challenge: &[u8]) -> Vec<u8> {
        Algorithm::Sha1.hmac(self.expose(), challenge)
    }

    /// Whether the other side's proof is right, compared in constant time.
    #[must_use]
    pub fn accepts(&self, challenge: &[u8], proof: &[u8]) -> bool {
        self.prove(challenge).ct_eq(proof).into()
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessKey(…)")
    }
}

/// What programs call the application of one key: the first 16 bytes of SHA-256 over its salt, in
/// base64 without padding. A reset changes it.
#[must_use]
pub fn device_id(salt: &[u8]) -> String {
    let digest = Sha256::digest(salt);
    BASE64_NOPAD.encode(digest.get(..16).unwrap_or(&digest))
}

const ROUNDS: u32 = 1000;

fn hmac(key: &[u8], message: &[u8]) -> [u8; 20] {
    // HMAC takes keys of every length, so the error cannot occur.
    Hmac::<Sha1>::new_from_slice(key)
        .map(|mac| mac.chain_update(message).finalize().into_bytes().into())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked out with Python's `hashlib`.
    #[test]
    fn known_answers() {
        let derived = |password, salt: &[u8]| {
            data_encoding::HEXLOWER.encode(AccessKey::derive(password, salt).expose())
        };
        assert_eq!(derived("password", b"test_salt"), "e98215a32e1a3f065ee598321a7faf0b");
        assert_eq!(derived("pässwörd", &[0, 1, 2, 3, 4, 5, 6, 7]), "b3055daaad520201aa6fc8c37a10d90d");
        assert_eq!(device_id(&[1, 2, 3, 4, 5, 6, 7, 8]), "ZoQN2hVOihE8Md0K0y9/Og");
    }

    #[test]
    fn proofs() {
        let key = AccessKey::new([7; 16]);
        let proof = key.prove(b"challenge");
        assert!(key.accepts(b"challenge", &proof));
        assert!(!key.accepts(b"another", &proof));
        assert!(!key.accepts(b"challenge", &proof[..19]));
        assert!(!AccessKey::new([8; 16]).accepts(b"challenge", &proof));
        assert_eq!(format!("{key:?}"), "AccessKey(…)");
    }
}
