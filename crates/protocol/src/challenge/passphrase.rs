//! The passphrase of an encrypted disk, made of a key's response and, if wanted, of a passphrase that
//! the person knows.
//!
//! Version 1, which will not change (a later one gets another number and leaves this one there):
//!
//! ```text
//! known     = PBKDF2-HMAC-SHA256(passphrase, part("tapkey disk 1") part(volume), 600 000 rounds, 32 bytes),
//!             or nothing where there is no passphrase
//! challenge = SHA-256(part("tapkey disk challenge 1") part(volume) part(known))
//! response  = what the slot answers to the 32 bytes of the challenge (HMAC-SHA1, 20 bytes)
//! result    = HMAC-SHA256(key: response, part("tapkey disk passphrase 1") part(volume) part(known))
//! part(x)   = length of x in four bytes, big-endian, and x
//! ```
//!
//! The result is written as 43 characters of base64 for addresses (RFC 4648 section 5), without padding
//! and without an end of line.
//!
//! Whoever has the disk alone is up against the 160 bits of the slot's key. Whoever has disk and key is
//! up against the passphrase, one try of the slot at a time. Whoever listened to what passes between
//! host and key still needs the passphrase, at 600 000 rounds per guess.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use thiserror::Error;
use zeroize::Zeroize;

use super::derive::{hash_parts, join_parts, mac_parts, pbkdf2_sha256};
use crate::secret::{Secret, SecretBytes};

/// One volume with the passphrase that was typed for it: what the key is asked, and what comes of the
/// answer.
///
/// ```
/// use tapkey_protocol::challenge::passphrase::Disk;
/// use tapkey_protocol::secret::Secret;
///
/// let disk = Disk::new("7e5f8a3c-6f0e-4b52-9d0a-2b8f9b6b1d11", None)?;
/// let challenge = disk.challenge(); // ask the slot
/// let passphrase = disk.passphrase(&Secret::new([7; 20]));
/// assert_eq!((challenge.len(), passphrase.expose().len()), (32, 43));
/// # Ok::<(), tapkey_protocol::challenge::passphrase::VolumeError>(())
/// ```
pub struct Disk {
    volume: String,
    known: Option<Secret<32>>,
}

impl Disk {
    /// Stretches the passphrase, which takes a moment. `volume` is whatever tells volumes apart and
    /// stays with this one: the UUID that `cryptsetup luksUUID` prints is.
    ///
    /// # Errors
    /// [`VolumeError`] where the volume has no name, or a very long one.
    pub fn new(volume: &str, passphrase: Option<&SecretBytes>) -> Result<Self, VolumeError> {
        Self::with_rounds(volume, passphrase, ROUNDS)
    }

    fn with_rounds(volume: &str, passphrase: Option<&SecretBytes>, rounds: u32) -> Result<Self, VolumeError> {
        if volume.is_empty() || volume.len() > 255 {
            return Err(VolumeError { found: volume.len() });
        }
        let known = passphrase.filter(|text| !text.is_empty()).map(|text| {
            let salt = join_parts(&[b"tapkey disk 1", volume.as_bytes()]);
            Secret::new(pbkdf2_sha256(text.expose(), &salt, rounds))
        });
        Ok(Self { volume: volume.to_owned(), known })
    }

    /// What the slot is asked.
    #[must_use]
    pub fn challenge(&self) -> [u8; 32] {
        hash_parts(&[b"tapkey disk challenge 1", self.volume.as_bytes(), self.known()])
    }

    /// The passphrase of the volume, given the slot's response: 43 characters of ASCII.
    #[must_use]
    pub fn passphrase(&self, response: &Secret<20>) -> SecretBytes {
        let parts: [&[u8]; 3] = [b"tapkey disk passphrase 1", self.volume.as_bytes(), self.known()];
        let mut result = mac_parts(response.expose(), &parts);
        let text = BASE64URL_NOPAD.encode(&result).into_bytes();
        result.zeroize();
        SecretBytes::new(text)
    }

    fn known(&self) -> &[u8] {
        self.known.as_ref().map_or(&[], |known| known.expose())
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").field("volume", &self.volume).finish_non_exhaustive()
    }
}

/// A volume that cannot be named so.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error(
    "a volume's name has 1 to 255 bytes, this one has {found}; the UUID that cryptsetup luksUUID prints is a good one"
)]
pub struct VolumeError {
    /// Bytes of the name.
    pub found: usize,
}

/// What a passphrase is stretched by.
const ROUNDS: u32 = 600_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn disk(volume: &str, passphrase: &str) -> Disk {
        let passphrase = SecretBytes::new(passphrase.as_bytes().to_vec());
        Disk::with_rounds(volume, Some(&passphrase), 3).unwrap()
    }

    /// By Python's `hashlib` and `hmac`, of the text above. If this fails, disks do not open.
    #[test]
    fn version_1_stays_as_it_is() {
        let response = Secret::new([7; 20]);
        let passphrase = SecretBytes::new(b"correct horse".to_vec());
        let with = Disk::new("uuid-1", Some(&passphrase)).unwrap();
        let without = Disk::new("uuid-1", None).unwrap();
        let hex = |disk: &Disk| data_encoding::HEXLOWER.encode(&disk.challenge());
        let text = |disk: &Disk| String::from_utf8(disk.passphrase(&response).expose().to_vec()).unwrap();
        assert_eq!(hex(&without), "c5aa00162f3ba32a46d5701361dc82cb08d5f509a8cee4a58d727542c245a654");
        assert_eq!(text(&without), "bK24DR2MxBZr1EfHjDBa5UwCLoza5vVkP2EKTYJx6Wo");
        assert_eq!(hex(&with), "cc46e843932abd4ab24326d3b6e7b225146cd1e10102ffb79fb4310c2b022c59");
        assert_eq!(text(&with), "yvDy9qRquUCBnC-ps5w0WjwF_l0r3e3HRoHerLg33QY");
    }

    #[test]
    fn nothing_typed_is_no_passphrase_and_nothing_is_told() {
        let empty = Disk::new("v", Some(&SecretBytes::default())).unwrap();
        assert_eq!(empty.challenge(), Disk::new("v", None).unwrap().challenge());
        assert_eq!(Disk::new("", None).unwrap_err(), VolumeError { found: 0 });
        assert!(Disk::new(&"x".repeat(256), None).is_err());
        assert_eq!(format!("{:?}", disk("v", "secret")), "Disk { volume: \"v\", .. }");
    }

    proptest! {
        /// Another volume, another passphrase or another answer: another challenge, another result.
        #[test]
        fn everything_counts(
            volumes in ("[ab]{1,3}", "[ab]{1,3}"), typed in ("[ab]{0,3}", "[ab]{0,3}"), answers in any::<(u8, u8)>(),
        ) {
            let (one, two) = (disk(&volumes.0, &typed.0), disk(&volumes.1, &typed.1));
            let same = volumes.0 == volumes.1 && typed.0 == typed.1;
            prop_assert_eq!(one.challenge() == two.challenge(), same);
            let result = |disk: &Disk, answer| disk.passphrase(&Secret::new([answer; 20]));
            let equal = result(&one, answers.0) == result(&two, answers.1);
            prop_assert_eq!(equal, same && answers.0 == answers.1);
        }
    }
}
