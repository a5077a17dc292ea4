//! Commands and answers of the key's OATH application ("YKOATH"), for the host that sends them
//! and for a key that takes them.
//!
//! A command is a type with `encode` and `parse` for its body; [`ins`] has the instruction bytes
//! and [`Form`] what P2 says. The answers are in types of their own. Fields stand in a fixed
//! order; nothing is looked up by tag except in the answer to SELECT.
//!
//! ```
//! use tapkey_protocol::apdu::Command;
//! use tapkey_protocol::oath::codec::{self, Calculate, CodeAnswer, Form};
//! use tapkey_protocol::oath::CredentialId;
//!
//! let ask = Calculate::totp(CredentialId::new("Example:alice")?, 59, 30);
//! let command = Command::new(0, codec::ins::CALCULATE, 0, Form::Truncated.p2(), ask.encode());
//! assert_eq!(command.data.len(), 25);
//! let answer = CodeAnswer::parse(&[0x76, 5, 8, 0x05, 0x9E, 0xB4, 0xEA])?;
//! assert_eq!(answer.code().map(|code| code.to_string()).as_deref(), Some("94287082"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod access;
mod answer;
mod calculate;
mod put;

use thiserror::Error;

pub use access::{Lock, Selected, SetCode, Validate};
pub use answer::{BulkAnswer, BulkEntry, CodeAnswer, ListEntry};
pub use calculate::{Calculate, Challenge, Form};
pub use put::{Delete, Properties, Put, Rename, Strictness};

use super::{Algorithm, CredentialId, Digits, Kind, NameError};
use crate::tlv::{Reader, TlvError};

/// Instruction bytes. The class is 00; P1 and P2 are 00 unless said otherwise.
pub mod ins {
    /// Stores a credential, or replaces the one of the same name.
    pub const PUT: u8 = 0x01;
    /// Deletes a credential.
    pub const DELETE: u8 = 0x02;
    /// Sets or removes the password.
    pub const SET_CODE: u8 = 0x03;
    /// Deletes everything and draws a new salt; P1 and P2 are DE AD.
    pub const RESET: u8 = 0x04;
    /// Gives a credential another name, from firmware 5.3.1 on.
    pub const RENAME: u8 = 0x05;
    /// Lists all names.
    pub const LIST: u8 = 0xA1;
    /// Computes one code; P2 is a [`Form`](super::Form).
    pub const CALCULATE: u8 = 0xA2;
    /// Proves the password.
    pub const VALIDATE: u8 = 0xA3;
    /// Computes all codes; P2 is a [`Form`](super::Form).
    pub const CALCULATE_ALL: u8 = 0xA4;
    /// Fetches the rest of a long answer.
    pub const SEND_REMAINING: u8 = crate::apdu::ins::OATH_SEND_REMAINING;
}

/// P1 and P2 of [`ins::RESET`].
pub const RESET_PARAMETERS: (u8, u8) = (0xDE, 0xAD);

/// Bytes of the salt and of the key's challenge in the answer to SELECT.
pub const SALT_SIZE: usize = 8;

mod tag {
    pub(super) const NAME: u8 = 0x71;
    pub(super) const LIST_ENTRY: u8 = 0x72;
    pub(super) const KEY: u8 = 0x73;
    pub(super) const CHALLENGE: u8 = 0x74;
    pub(super) const RESPONSE: u8 = 0x75;
    pub(super) const TRUNCATED: u8 = 0x76;
    pub(super) const HOTP: u8 = 0x77;
    pub(super) const PROPERTY: u8 = 0x78;
    pub(super) const VERSION: u8 = 0x79;
    pub(super) const COUNTER: u8 = 0x7A;
    pub(super) const ALGORITHM: u8 = 0x7B;
    pub(super) const TOUCH: u8 = 0x7C;
}

/// Why a command or an answer of the OATH application cannot be read.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum CodecError {
    /// The fields are not the ones that belong there.
    #[error(transparent)]
    Fields(#[from] TlvError),
    /// The name is empty or too long.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A type or an algorithm that does not exist.
    #[error("{0:#04x} is no type of a credential")]
    Type(u8),
    /// A number of digits that no code has.
    #[error("a code has 6, 7 or 8 digits, not {0}")]
    Digits(u8),
    /// A secret or an access key is too short or too long.
    #[error("a secret of {length} bytes; a key takes 14 to 64")]
    SecretLength {
        /// The bytes that arrived.
        length: usize,
    },
    /// A challenge is too long, or not of the one length that is allowed there.
    #[error("a challenge of {length} bytes")]
    ChallengeLength {
        /// The bytes that arrived.
        length: usize,
    },
    /// A property that does not exist.
    #[error("{0:#04x} is no property of a credential")]
    Property(u8),
    /// A counter that has not four bytes, or with a credential that does not count.
    #[error("the counter of the credential is wrong")]
    Counter,
    /// Any other field of the wrong length.
    #[error("the field {tag:#04x} has a wrong length")]
    FieldLength {
        /// Its tag.
        tag: u8,
    },
}

fn type_byte(kind: Kind, algorithm: Algorithm) -> u8 {
    let kind = match kind {
        Kind::Hotp => 0x10,
        Kind::Totp => 0x20,
    };
    kind | algorithm_code(algorithm)
}

fn parse_type(byte: u8) -> Result<(Kind, Algorithm), CodecError> {
    let kind = match byte & 0xF0 {
        0x10 => Kind::Hotp,
        0x20 => Kind::Totp,
        _ => return Err(CodecError::Type(byte)),
    };
    Ok((kind, parse_algorithm(byte & 0x0F).ok_or(CodecError::Type(byte))?))
}

const fn algorithm_code(algorithm: Algorithm) -> u8 {
    match algorithm {
        Algorithm::Sha1 => 1,
        Algorithm::Sha256 => 2,
        Algorithm::Sha512 => 3,
    }
}

const fn parse_algorithm(code: u8) -> Option<Algorithm> {
    match code {
        1 => Some(Algorithm::Sha1),
        2 => Some(Algorithm::Sha256),
        3 => Some(Algorithm::Sha512),
        _ => None,
    }
}

fn parse_digits(byte: u8) -> Result<Digits, CodecError> {
    Digits::try_from(byte).map_err(|_| CodecError::Digits(byte))
}

fn read_id(reader: &mut Reader<'_>) -> Result<CredentialId, CodecError> {
    Ok(CredentialId::new(reader.expect(tag::NAME)?)?)
}

#[cfg(test)]
mod tests;
