//! Lists and codes as the key gives them.

use std::fmt;

use super::super::{Algorithm, Code, CredentialId, Digits, Kind};
use super::{CodecError, parse_digits, parse_type, tag, type_byte};
use crate::secret::SecretBytes;
use crate::tlv::{Reader, Tlv, Writer};

/// One credential in the answer to LIST.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ListEntry {
    /// HOTP or TOTP.
    pub kind: Kind,
    /// Its hash.
    pub algorithm: Algorithm,
    /// Its name.
    pub id: CredentialId,
}

impl ListEntry {
    /// Writes the answer to LIST.
    #[must_use]
    pub fn encode_all<'a>(entries: impl IntoIterator<Item = &'a Self>) -> Vec<u8> {
        let mut body = Writer::new();
        for entry in entries {
            let mut value = vec![type_byte(entry.kind, entry.algorithm)];
            value.extend_from_slice(entry.id.as_bytes());
            body.push(tag::LIST_ENTRY, &value);
        }
        body.into_bytes()
    }

    /// Reads the answer to LIST.
    ///
    /// # Errors
    /// [`CodecError`] when it is not one.
    pub fn parse_all(body: &[u8]) -> Result<Vec<Self>, CodecError> {
        let mut reader = Reader::new(body);
        let mut entries = Vec::new();
        while reader.peek().is_some() {
            let (first, name) = reader
                .expect(tag::LIST_ENTRY)?
                .split_first()
                .ok_or(CodecError::FieldLength { tag: tag::LIST_ENTRY })?;
            let (kind, algorithm) = parse_type(*first)?;
            entries.push(Self { kind, algorithm, id: CredentialId::new(name)? });
        }
        Ok(entries)
    }
}

/// The answer to CALCULATE. A code is a secret until it was used, so `Debug` hides it.
#[derive(Clone, Eq, PartialEq)]
pub enum CodeAnswer {
    /// The whole HMAC.
    Full {
        /// The length of the code.
        digits: Digits,
        /// The HMAC.
        hmac: SecretBytes,
    },
    /// What makes the code.
    Truncated {
        /// The length of the code.
        digits: Digits,
        /// 31 bits, which keys have reduced to the digits already.
        value: u32,
    },
}

impl CodeAnswer {
    /// The code. Of a whole HMAC too; `None` when that is too short to be one.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Full { digits, hmac } => {
                (hmac.len() >= 20).then(|| Code::new(super::super::truncate(hmac.expose()), *digits))
            }
            Self::Truncated { digits, value } => Some(Code::new(value & 0x7FFF_FFFF, *digits)),
        }
    }

    /// Writes the answer.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::new();
        self.write(&mut body);
        body.into_bytes()
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// [`CodecError`] when it is not one.
    pub fn parse(body: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(body);
        let expected = if reader.peek() == Some(tag::RESPONSE) { tag::RESPONSE } else { tag::TRUNCATED };
        let value = reader.expect(expected)?;
        reader.finish()?;
        Self::of(Tlv { tag: expected, value })
    }

    fn of(field: Tlv<'_>) -> Result<Self, CodecError> {
        let wrong = CodecError::FieldLength { tag: field.tag };
        let (digits, rest) = field.value.split_first().ok_or(wrong)?;
        let digits = parse_digits(*digits)?;
        if field.tag == tag::RESPONSE {
            return Ok(Self::Full { digits, hmac: SecretBytes::new(rest.to_vec()) });
        }
        let value = u32::from_be_bytes(rest.try_into().map_err(|_| wrong)?);
        Ok(Self::Truncated { digits, value })
    }

    fn write(&self, body: &mut Writer) {
        let mut value = Writer::new();
        match self {
            Self::Full { digits, hmac } => {
                value.push_raw(&[digits.get()]).push_raw(hmac.expose());
                body.push(tag::RESPONSE, value.as_bytes());
            }
            Self::Truncated { digits, value: number } => {
                value.push_raw(&[digits.get()]).push_raw(&number.to_be_bytes());
                body.push(tag::TRUNCATED, value.as_bytes());
            }
        }
    }
}

impl fmt::Debug for CodeAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { digits, .. } => write!(f, "Full({} digits)", digits.get()),
            Self::Truncated { digits, .. } => write!(f, "Truncated({} digits)", digits.get()),
        }
    }
}

/// One credential in the answer to CALCULATE ALL.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BulkEntry {
    /// Its name.
    pub id: CredentialId,
    /// Its code, or why there is none.
    pub answer: BulkAnswer,
}

/// What CALCULATE ALL says of a credential.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BulkAnswer {
    /// Its code.
    Code(CodeAnswer),
    /// No code, because it is HOTP and asking would use one up.
    Hotp(Digits),
    /// No code, because it needs a touch.
    Touch(Digits),
}

impl BulkEntry {
    /// Writes the answer to CALCULATE ALL.
    #[must_use]
    pub fn encode_all<'a>(entries: impl IntoIterator<Item = &'a Self>) -> Vec<u8> {
        let mut body = Writer::new();
        for entry in entries {
            body.push(tag::NAME, entry.id.as_bytes());
            match &entry.answer {
                BulkAnswer::Code(code) => code.write(&mut body),
                BulkAnswer::Hotp(digits) => {
                    body.push(tag::HOTP, &[digits.get()]);
                }
                BulkAnswer::Touch(digits) => {
                    body.push(tag::TOUCH, &[digits.get()]);
                }
            }
        }
        body.into_bytes()
    }

    /// Reads the answer to CALCULATE ALL.
    ///
    /// # Errors
    /// [`CodecError`] when it is not one.
    pub fn parse_all(body: &[u8]) -> Result<Vec<Self>, CodecError> {
        let mut reader = Reader::new(body);
        let mut entries = Vec::new();
        while reader.peek().is_some() {
            let id = super::read_id(&mut reader)?;
            entries.push(Self { id, answer: read_answer(&mut reader)? });
        }
        Ok(entries)
    }
}

fn read_answer(reader: &mut Reader<'_>) -> Result<BulkAnswer, CodecError> {
    let tag = match reader.peek() {
        Some(known @ (tag::RESPONSE | tag::HOTP | tag::TOUCH)) => known,
        _ => tag::TRUNCATED,
    };
    let value = reader.expect(tag)?;
    let digits = |value: &[u8]| match value {
        &[digits] => parse_digits(digits),
        _ => Err(CodecError::FieldLength { tag }),
    };
    match tag {
        tag::HOTP => digits(value).map(BulkAnswer::Hotp),
        tag::TOUCH => digits(value).map(BulkAnswer::Touch),
        _ => CodeAnswer::of(Tlv { tag, value }).map(BulkAnswer::Code),
    }
}
