//! Asking for codes.

use super::super::CredentialId;
use super::{CodecError, read_id, tag};
use crate::tlv::{Reader, Writer};

/// What a code is computed of: for TOTP the number of the period in eight bytes, for HOTP nothing.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Challenge(Vec<u8>);

impl Challenge {
    /// The most bytes that a key takes.
    pub const MAX: usize = 64;

    /// Nothing, for HOTP.
    #[must_use]
    pub const fn none() -> Self {
        Self(Vec::new())
    }

    /// The period that `seconds` since 1970 fall into. A period of 0 is taken as 1.
    #[must_use]
    pub fn time(seconds: u64, period: u32) -> Self {
        Self((seconds / u64::from(period.max(1))).to_be_bytes().to_vec())
    }

    /// Any bytes.
    ///
    /// # Errors
    /// [`CodecError::ChallengeLength`] for more than [`Challenge::MAX`].
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, CodecError> {
        let bytes = bytes.into();
        if bytes.len() > Self::MAX {
            return Err(CodecError::ChallengeLength { length: bytes.len() });
        }
        Ok(Self(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The body of CALCULATE ALL.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::new();
        body.push(tag::CHALLENGE, &self.0);
        body.into_bytes()
    }

    /// Reads the body of CALCULATE ALL; what follows after the challenge is not looked at.
    ///
    /// # Errors
    /// [`CodecError`]; a key answers `6A80`.
    pub fn parse(body: &[u8]) -> Result<Self, CodecError> {
        Self::read(&mut Reader::new(body))
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        Self::new(reader.expect(tag::CHALLENGE)?)
    }
}

/// P2 of CALCULATE and CALCULATE ALL: how much of the HMAC is wanted.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Form {
    /// All of it.
    Full,
    /// The four bytes that make the code.
    Truncated,
}

impl Form {
    /// As it travels.
    #[must_use]
    pub const fn p2(self) -> u8 {
        match self {
            Self::Full => 0x00,
            Self::Truncated => 0x01,
        }
    }

    /// Reads P2; `None` for a value that has no meaning.
    #[must_use]
    pub const fn of(p2: u8) -> Option<Self> {
        match p2 {
            0x00 => Some(Self::Full),
            0x01 => Some(Self::Truncated),
            _ => None,
        }
    }
}

/// CALCULATE: asks for one code.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Calculate {
    /// The credential.
    pub id: CredentialId,
    /// What the code is computed of.
    pub challenge: Challenge,
}

impl Calculate {
    /// The next code of a HOTP credential.
    #[must_use]
    pub const fn hotp(id: CredentialId) -> Self {
        Self { id, challenge: Challenge::none() }
    }

    /// The code of a TOTP credential at a moment, in seconds since 1970.
    #[must_use]
    pub fn totp(id: CredentialId, seconds: u64, period: u32) -> Self {
        Self { id, challenge: Challenge::time(seconds, period) }
    }

    /// The body of the command.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::new();
        body.push(tag::NAME, self.id.as_bytes()).push(tag::CHALLENGE, self.challenge.as_bytes());
        body.into_bytes()
    }

    /// Reads the body of the command; what follows after the challenge is not looked at.
    ///
    /// # Errors
    /// [`CodecError`]; a key answers `6A80`.
    pub fn parse(body: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(body);
        Ok(Self { id: read_id(&mut reader)?, challenge: Challenge::read(&mut reader)? })
    }
}
