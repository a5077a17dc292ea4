//! The files with which `pam_yubico` lets somebody in by challenge-response, without any server.
//!
//! One line, as that module and its tool `ykpamcfg` write it (lower-case hexadecimal digits):
//!
//! ```text
//! v2:challenge:hash of the response:salt:rounds:slot
//! v1:challenge:response:slot
//! ```
//!
//! The hash is PBKDF2-HMAC-SHA1 of the response *as 40 hexadecimal digits*, 20 bytes. At each login the
//! module sends the challenge, compares, asks the key for the answer to a new random one, and writes the
//! file anew. The older version 1 holds the plain response, which is all that is needed to log in by a
//! copy of the file and a forged key; it is read here and never written.
//!
//! The challenge has at most 63 bytes and is padded with zeros
//! ([`Padding::Zeros`]), so zeros at its end do not count.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use thiserror::Error;
use zeroize::Zeroizing;

use super::derive::pbkdf2_sha1;
use super::{FRAME, Padding};
use crate::secret::Secret;

/// What such a file says.
///
/// ```
/// use tapkey_protocol::challenge::pam::{ChallengeFile, SlotNumber};
/// use tapkey_protocol::secret::Secret;
///
/// let response = Secret::new([7; 20]); // of the slot, to the file's frame
/// let file = ChallengeFile::new(&[1; 63], &response, &[2; 32], 10_000, SlotNumber::TWO)?;
/// let read: ChallengeFile = file.to_string().parse()?;
/// assert!(read.accepts(&response));
/// assert!(!read.accepts(&Secret::new([8; 20])));
/// # Ok::<(), tapkey_protocol::challenge::pam::ChallengeFileError>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct ChallengeFile {
    challenge: Vec<u8>,
    expected: Expected,
    slot: SlotNumber,
}

#[derive(Clone, Eq, PartialEq)]
enum Expected {
    Plain(Secret<20>),
    Hashed { hash: Secret<20>, salt: Vec<u8>, rounds: u32 },
}

/// Slot 1 or 2.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct SlotNumber(u8);

impl SlotNumber {
    /// Slot 1.
    pub const ONE: Self = Self(1);
    /// Slot 2.
    pub const TWO: Self = Self(2);

    /// The number.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl ChallengeFile {
    /// A file of version 2. The challenge (at most 63 bytes; `pam_yubico` takes 63) and the salt (at
    /// most 32, take 32) come from a random source, the response is the slot's to [`frame`] of the
    /// challenge.
    ///
    /// # Errors
    /// [`ChallengeFileError`] for wrong lengths or rounds.
    pub fn new(
        challenge: &[u8],
        response: &Secret<20>,
        salt: &[u8],
        rounds: u32,
        slot: SlotNumber,
    ) -> Result<Self, ChallengeFileError> {
        check(challenge, salt, rounds)?;
        let hash = hash(response, salt, rounds);
        let expected = Expected::Hashed { hash, salt: salt.to_vec(), rounds };
        Ok(Self { challenge: challenge.to_vec(), expected, slot })
    }

    /// The 64 bytes that the slot is sent.
    #[must_use]
    pub fn frame(&self) -> [u8; FRAME] {
        frame(&self.challenge)
    }

    /// The challenge.
    #[must_use]
    pub fn challenge(&self) -> &[u8] {
        &self.challenge
    }

    /// Which slot is asked.
    #[must_use]
    pub const fn slot(&self) -> SlotNumber {
        self.slot
    }

    /// 1 or 2.
    #[must_use]
    pub const fn version(&self) -> u8 {
        match self.expected {
            Expected::Plain(_) => 1,
            Expected::Hashed { .. } => 2,
        }
    }

    /// The rounds that the response is hashed with, in version 2.
    #[must_use]
    pub const fn rounds(&self) -> Option<u32> {
        match self.expected {
            Expected::Plain(_) => None,
            Expected::Hashed { rounds, .. } => Some(rounds),
        }
    }

    /// Whether this is the response that the file expects, compared in constant time.
    #[must_use]
    pub fn accepts(&self, response: &Secret<20>) -> bool {
        match &self.expected {
            Expected::Plain(expected) => expected == response,
            Expected::Hashed { hash: expected, salt, rounds } => *expected == hash(response, salt, *rounds),
        }
    }
}

/// The 64 bytes for a challenge of at most 63; what is longer is cut.
#[must_use]
pub fn frame(challenge: &[u8]) -> [u8; FRAME] {
    let challenge = challenge.get(..LONGEST_CHALLENGE).unwrap_or(challenge);
    // At most 63 bytes always fit.
    Padding::Zeros.frame(challenge).unwrap_or([0; FRAME])
}

fn hash(response: &Secret<20>, salt: &[u8], rounds: u32) -> Secret<20> {
    let digits = Zeroizing::new(HEXLOWER.encode(response.expose()));
    Secret::new(pbkdf2_sha1(digits.as_bytes(), salt, rounds))
}

fn check(challenge: &[u8], salt: &[u8], rounds: u32) -> Result<(), ChallengeFileError> {
    if challenge.is_empty() || challenge.len() > LONGEST_CHALLENGE {
        return Err(ChallengeFileError::Length { part: "challenge", most: LONGEST_CHALLENGE });
    }
    if salt.is_empty() || salt.len() > LONGEST_SALT {
        return Err(ChallengeFileError::Length { part: "salt", most: LONGEST_SALT });
    }
    if !(1..=MOST_ROUNDS).contains(&rounds) {
        return Err(ChallengeFileError::Rounds);
    }
    Ok(())
}

impl FromStr for ChallengeFile {
    type Err = ChallengeFileError;

    /// Takes what `pam_yubico` takes, except that nothing may stand behind the line.
    fn from_str(text: &str) -> Result<Self, ChallengeFileError> {
        let text = text.strip_suffix('\n').unwrap_or(text);
        let fields: Vec<&str> = text.split(':').collect();
        match fields.as_slice() {
            ["v2", challenge, hash, salt, rounds, slot] => {
                let (challenge, salt) = (hex(challenge, "challenge")?, hex(salt, "salt")?);
                let rounds = number(rounds).ok_or(ChallengeFileError::Rounds)?;
                check(&challenge, &salt, rounds)?;
                let expected = Expected::Hashed { hash: response(hash)?, salt, rounds };
                Ok(Self { challenge, expected, slot: slot_number(slot)? })
            }
            ["v1", challenge, plain, slot] => {
                let challenge = hex(challenge, "challenge")?;
                check(&challenge, &[0], 1)?;
                let expected = Expected::Plain(response(plain)?);
                Ok(Self { challenge, expected, slot: slot_number(slot)? })
            }
            [version, ..] if fields.len() > 1 && !matches!(*version, "v1" | "v2") => {
                Err(ChallengeFileError::Version)
            }
            _ => Err(ChallengeFileError::Shape),
        }
    }
}

fn hex(digits: &str, part: &'static str) -> Result<Vec<u8>, ChallengeFileError> {
    HEXLOWER.decode(digits.as_bytes()).map_err(|_| ChallengeFileError::Digits { part })
}

fn response(digits: &str) -> Result<Secret<20>, ChallengeFileError> {
    let bytes = Zeroizing::new(hex(digits, "response")?);
    let array: [u8; 20] =
        bytes.as_slice().try_into().map_err(|_| ChallengeFileError::Length { part: "response", most: 20 })?;
    Ok(Secret::new(array))
}

fn number(digits: &str) -> Option<u32> {
    let number: u32 = digits.parse().ok()?;
    // A sign or zeros in front are no number that anybody writes here.
    (number.to_string() == digits).then_some(number)
}

fn slot_number(text: &str) -> Result<SlotNumber, ChallengeFileError> {
    match text {
        "1" => Ok(SlotNumber::ONE),
        "2" => Ok(SlotNumber::TWO),
        _ => Err(ChallengeFileError::Slot),
    }
}

/// The line, with its end. Version 1 is written as it was read, since nobody knows more.
impl fmt::Display for ChallengeFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (challenge, slot) = (HEXLOWER.encode(&self.challenge), self.slot.0);
        match &self.expected {
            Expected::Plain(response) => {
                writeln!(f, "v1:{challenge}:{}:{slot}", HEXLOWER.encode(response.expose()))
            }
            Expected::Hashed { hash, salt, rounds } => {
                let (hash, salt) = (HEXLOWER.encode(hash.expose()), HEXLOWER.encode(salt));
                writeln!(f, "v2:{challenge}:{hash}:{salt}:{rounds}:{slot}")
            }
        }
    }
}

impl fmt::Debug for ChallengeFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChallengeFile")
            .field("version", &self.version())
            .field("slot", &self.slot.0)
            .finish_non_exhaustive()
    }
}

/// How a file is called below `~/.yubico`, or below the folder of the module's option `chalresp_path`,
/// where the person's name takes the place of `challenge`. A key that hides its serial number has none
/// in the name.
///
/// ```
/// use tapkey_protocol::challenge::pam::file_name;
/// assert_eq!(file_name("challenge", Some(7_370_001)), "challenge-7370001");
/// assert_eq!(file_name("alice", None), "alice");
/// ```
#[must_use]
pub fn file_name(person: &str, serial: Option<u32>) -> String {
    serial.map_or_else(|| person.to_owned(), |serial| format!("{person}-{serial}"))
}

/// Why a file cannot be read. The texts never repeat what stands in it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ChallengeFileError {
    /// It is no such file.
    #[error(
        "this is no challenge file of pam_yubico: it begins with v1 or v2 and has 4 or 6 fields between colons"
    )]
    Shape,
    /// A version that did not exist when this was written.
    #[error("a challenge file of a version that is not known here; versions 1 and 2 are")]
    Version,
    /// Not hexadecimal digits.
    #[error("the {part} is not written in pairs of the digits 0-9 and a-f")]
    Digits {
        /// Which part.
        part: &'static str,
    },
    /// Too long, too short or empty.
    #[error("the {part} has a wrong length; {most} bytes are right")]
    Length {
        /// Which part.
        part: &'static str,
        /// How long it may be, in bytes.
        most: usize,
    },
    /// No rounds, or so many that checking would take for ever.
    #[error("the number of rounds is not one from 1 to 10000000")]
    Rounds,
    /// No such slot.
    #[error("the slot is neither 1 nor 2")]
    Slot,
}

/// Bytes of a challenge: all that a slot hashes at most, less the one that tells the padding.
pub const LONGEST_CHALLENGE: usize = 63;
/// Bytes of a salt.
pub const LONGEST_SALT: usize = 32;
/// What `pam_yubico` takes where nobody says otherwise.
pub const USUAL_ROUNDS: u32 = 10_000;
/// More would only be written to keep whoever reads it busy.
pub const MOST_ROUNDS: u32 = 10_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn response(byte: u8) -> Secret<20> {
        Secret::new([byte; 20])
    }

    /// By Python: `hashlib.pbkdf2_hmac("sha1", b"07" * 20, bytes([2]) * 32, 10000, 20)`.
    #[test]
    fn the_hash_is_that_of_the_digits() {
        let file =
            ChallengeFile::new(&[1; 63], &response(7), &[2; 32], USUAL_ROUNDS, SlotNumber::TWO).unwrap();
        let line = format!(
            "v2:{}:1b913b9220736e00fc96d516b9b18af570a3c0de:{}:10000:2\n",
            "01".repeat(63),
            "02".repeat(32)
        );
        assert_eq!(file.to_string(), line);
        assert_eq!(line.parse(), Ok(file));
    }

    #[test]
    fn version_1() {
        let line = format!("v1:{}:{}:1\n", "ab".repeat(63), "07".repeat(20));
        let file: ChallengeFile = line.parse().unwrap();
        assert_eq!((file.version(), file.rounds(), file.slot()), (1, None, SlotNumber::ONE));
        assert!(file.accepts(&response(7)) && !file.accepts(&response(8)));
        assert_eq!(file.to_string(), line);
        assert_eq!(format!("{file:?}"), "ChallengeFile { version: 1, slot: 1, .. }");
    }

    #[test]
    fn zeros_at_the_end_are_padding() {
        let mut challenge = [5; 63];
        challenge[62] = 0;
        let file = ChallengeFile::new(&challenge, &response(7), &[2; 32], 1, SlotNumber::ONE).unwrap();
        assert_eq!(super::super::strip(&file.frame()), [5; 62]);
        assert_eq!(frame(&[5; 80]), frame(&[5; 63]));
    }

    #[test]
    fn what_is_wrong_is_named() {
        use ChallengeFileError::*;
        let (challenge, hash, salt) = ("01".repeat(63), "02".repeat(20), "03".repeat(32));
        for (line, error) in [
            (String::new(), Shape),
            ("v2".to_owned(), Shape),
            ("v3:a:b".to_owned(), Version),
            (format!("v2:{challenge}:{hash}:{salt}:1000"), Shape),
            (format!("v2:{challenge}:{hash}:{salt}:1000:3"), Slot),
            (format!("v2:{challenge}:{hash}:{salt}:0:1"), Rounds),
            (format!("v2:{challenge}:{hash}:{salt}:-1:1"), Rounds),
            (format!("v2:{challenge}:{hash}:{salt}:4000000000:1"), Rounds),
            (format!("v2:{challenge}01:{hash}:{salt}:1:1"), Length { part: "challenge", most: 63 }),
            (format!("v2::{hash}:{salt}:1:1"), Length { part: "challenge", most: 63 }),
            (format!("v2:{challenge}:{hash}:{salt}03:1:1"), Length { part: "salt", most: 32 }),
            (format!("v2:{challenge}:{hash}02:{salt}:1:1"), Length { part: "response", most: 20 }),
            (format!("v2:{challenge}:{}:{salt}:1:1", "AB".repeat(20)), Digits { part: "response" }),
            (format!("v1:{challenge}:xyz:1"), Digits { part: "response" }),
        ] {
            assert_eq!(line.parse::<ChallengeFile>(), Err(error), "{line}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(
            challenge in proptest::collection::vec(any::<u8>(), 1..=63),
            salt in proptest::collection::vec(any::<u8>(), 1..=32),
            answer in any::<[u8; 20]>(), other in any::<[u8; 20]>(), rounds in 1_u32..4, two in any::<bool>(),
        ) {
            let slot = if two { SlotNumber::TWO } else { SlotNumber::ONE };
            let file = ChallengeFile::new(&challenge, &Secret::new(answer), &salt, rounds, slot).unwrap();
            let read: ChallengeFile = file.to_string().parse().unwrap();
            prop_assert!(read.accepts(&Secret::new(answer)));
            prop_assert_eq!(read.accepts(&Secret::new(other)), answer == other);
            prop_assert_eq!((read.challenge(), read.rounds(), read.slot()), (&challenge[..], Some(rounds), slot));
            prop_assert_eq!(&read, &file);
        }

        #[test]
        fn never_panics(text in "(v1|v2|)[0-9a-f:]{0,200}\\PC{0,8}\n?") {
            if let Ok(file) = text.parse::<ChallengeFile>() {
                let written = file.to_string();
                prop_assert_eq!(written.trim_end(), text.trim_end());
                let _ = file.frame();
            }
        }
    }
}
