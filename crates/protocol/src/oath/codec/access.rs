//! The answer to SELECT, and the password.

use super::super::{AccessKey, Algorithm, Kind, MAX_SECRET, MIN_SECRET};
use super::{CodecError, SALT_SIZE, algorithm_code, parse_algorithm, parse_type, tag, type_byte};
use crate::secret::SecretBytes;
use crate::tlv::{self, Reader, Writer};
use crate::version::Version;

/// The answer to SELECT.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Selected {
    /// The version of the application, which is the firmware's from generation 4 on.
    pub version: Version,
    /// Goes into the access key and into the [`device_id`](crate::oath::device_id); a reset
    /// changes it.
    pub salt: [u8; SALT_SIZE],
    /// There is a password.
    pub lock: Option<Lock>,
}

/// The part of [`Selected`] that is there when a password is set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Lock {
    /// What the host has to answer in [`Validate`].
    pub challenge: [u8; SALT_SIZE],
    /// The hash of the proofs.
    pub algorithm: Algorithm,
}

impl Selected {
    /// Writes the answer.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::new();
        body.push(tag::VERSION, &self.version.to_bytes()).push(tag::NAME, &self.salt);
        if let Some(lock) = &self.lock {
            body.push(tag::CHALLENGE, &lock.challenge);
            body.push(tag::ALGORITHM, &[algorithm_code(lock.algorithm)]);
        }
        body.into_bytes()
    }

    /// Reads the answer. Fields that are not known are skipped; without an algorithm it is SHA-1.
    ///
    /// # Errors
    /// [`CodecError`] when version or salt are missing, or a field is broken.
    pub fn parse(body: &[u8]) -> Result<Self, CodecError> {
        let missing = |tag| CodecError::FieldLength { tag };
        let field = |tag| -> Result<Option<[u8; SALT_SIZE]>, CodecError> {
            let found = tlv::find(body, tag)?;
            found.map(|value| value.try_into().map_err(|_| missing(tag))).transpose()
        };
        let Some(&[major, minor, patch]) = tlv::find(body, tag::VERSION)? else {
            return Err(missing(tag::VERSION));
        };
        let salt = field(tag::NAME)?.ok_or(missing(tag::NAME))?;
        let algorithm = match tlv::find(body, tag::ALGORITHM)? {
            // The high nibble is a type, which some versions send along.
            Some(&[code]) => parse_algorithm(code & 0x0F).ok_or(CodecError::Type(code))?,
            Some(_) => return Err(missing(tag::ALGORITHM)),
            None => Algorithm::Sha1,
        };
        let lock = field(tag::CHALLENGE)?.map(|challenge| Lock { challenge, algorithm });
        Ok(Self { version: Version::new(major, minor, patch), salt, lock })
    }
}

/// SET CODE: sets or removes the password.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SetCode {
    /// Removes it.
    Remove,
    /// Sets it. The proof shows that the host knows what it is doing.
    Set {
        /// The hash of the proofs; hosts use SHA-1.
        algorithm: Algorithm,
        /// The access key: 14 to 64 bytes, of which hosts use 16.
        key: SecretBytes,
        /// Random bytes from the host.
        challenge: [u8; SALT_SIZE],
        /// HMAC of the challenge under the access key.
        proof: Vec<u8>,
    },
}

impl SetCode {
    /// Sets an access key, with a challenge that the caller drew at random.
    #[must_use]
    pub fn set(key: &AccessKey, challenge: [u8; SALT_SIZE]) -> Self {
        Self::Set {
            algorithm: Algorithm::Sha1,
            key: SecretBytes::new(key.expose().to_vec()),
            challenge,
            proof: key.prove(&challenge),
        }
    }

    /// The body of the command.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::new();
        match self {
            Self::Remove => {
                body.push(tag::KEY, &[]);
            }
            Self::Set { algorithm, key, challenge, proof } => {
                let mut field = Writer::new();
                field.push_raw(&[type_byte(Kind::Totp, *algorithm)]).push_raw(key.expose());
                body.push(tag::KEY, field.as_bytes());
                body.push(tag::CHALLENGE, challenge).push(tag::RESPONSE, proof);
            }
        }
        body.into_bytes()
    }

    /// Reads the body of the command. Whether the proof is right is not checked here.
    ///
    /// # Errors
    /// [`CodecError`]; a key answers `6A80`.
    pub fn parse(body: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(body);
        let Some((type_byte, key)) = reader.expect(tag::KEY)?.split_first() else {
            return Ok(Self::Remove);
        };
        let (_, algorithm) = parse_type(*type_byte)?;
        if !(MIN_SECRET..=MAX_SECRET).contains(&key.len()) {
            return Err(CodecError::SecretLength { length: key.len() });
        }
        let challenge = reader.expect(tag::CHALLENGE)?;
        let length = challenge.len();
        let challenge = challenge.try_into().map_err(|_| CodecError::ChallengeLength { length })?;
        let proof = reader.expect(tag::RESPONSE)?.to_vec();
        Ok(Self::Set { algorithm, key: SecretBytes::new(key.to_vec()), challenge, proof })
    }
}

/// VALIDATE: the host's proof, and a challenge for the key, which answers it in
/// [`CodeAnswer`](super::CodeAnswer)'s place with the bare proof.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Validate {
    /// HMAC of the key's challenge under the access key.
    pub proof: Vec<u8>,
    /// Random bytes from the host, at most 64.
    pub challenge: Vec<u8>,
}

impl Validate {
    /// Proves an access key, with a challenge that the caller drew at random.
    #[must_use]
    pub fn new(key: &AccessKey, lock: &Lock, challenge: [u8; SALT_SIZE]) -> Self {
        Self { proof: key.prove(&lock.challenge), challenge: challenge.to_vec() }
    }

    /// The body of the command.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::new();
        body.push(tag::RESPONSE, &self.proof).push(tag::CHALLENGE, &self.challenge);
        body.into_bytes()
    }

    /// Reads the body of the command.
    ///
    /// # Errors
    /// [`CodecError`]; a key answers `6A80`.
    pub fn parse(body: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(body);
        let proof = reader.expect(tag::RESPONSE)?.to_vec();
        let challenge = reader.expect(tag::CHALLENGE)?;
        if challenge.len() > super::Challenge::MAX {
            return Err(CodecError::ChallengeLength { length: challenge.len() });
        }
        Ok(Self { proof, challenge: challenge.to_vec() })
    }

    /// Writes the key's answer: its own proof.
    #[must_use]
    pub fn encode_answer(proof: &[u8]) -> Vec<u8> {
        let mut body = Writer::new();
        body.push(tag::RESPONSE, proof);
        body.into_bytes()
    }

    /// Reads the key's proof out of its answer. The host must check it with
    /// [`AccessKey::accepts`], or it may be talking to anybody.
    ///
    /// # Errors
    /// [`CodecError`] when there is none.
    pub fn parse_answer(body: &[u8]) -> Result<Vec<u8>, CodecError> {
        Ok(Reader::new(body).expect(tag::RESPONSE)?.to_vec())
    }
}
