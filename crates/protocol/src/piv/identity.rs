//! Objects by which systems recognise a card.

use std::fmt;

use super::CodecError;
use crate::tlv::{self, Writer};

/// What a key answers when the application is selected.
pub const SELECT_ANSWER: [u8; 19] = [
    0x61, 0x11, 0x4F, 0x06, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00, 0x79, 0x07, 0x4F, 0x05, 0xA0, 0x00, 0x00,
    0x03, 0x08,
];

/// The discovery object, with its tag and length: the identifier of the application, and that there
/// is a PIN of the application and no other (NIST SP 800-73-4 part 1, 3.3.2).
pub const DISCOVERY: [u8; 20] = [
    0x7E, 0x12, 0x4F, 0x0B, 0xA0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00, 0x5F, 0x2F,
    0x02, 0x40, 0x00,
];

/// Card holder unique identifier: how systems tell cards apart (NIST SP 800-73-4 part 1, 3.1.2).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chuid {
    /// Federal agency smart credential number, in BCD with parity.
    pub fasc_n: [u8; 25],
    /// A random number that is nobody else's.
    pub guid: [u8; 16],
    /// The date of expiry as ASCII digits: year, month, day.
    pub expiry: [u8; 8],
}

impl Chuid {
    /// An identifier for a card that no agency gave out. The number is drawn by the caller.
    #[must_use]
    pub const fn new(guid: [u8; 16]) -> Self {
        Self { fasc_n: NON_FEDERAL, guid, expiry: *b"20300101" }
    }

    /// Writes the value, 59 bytes. There is no signature in it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut value = Writer::new();
        value
            .push(FASC_N, &self.fasc_n)
            .push(GUID, &self.guid)
            .push(EXPIRY, &self.expiry)
            .push(SIGNATURE, &[])
            .push(CHECK, &[]);
        value.into_bytes()
    }

    /// Reads the value; what else is in it is left alone.
    ///
    /// # Errors
    /// [`CodecError`] when something is missing.
    pub fn parse(value: &[u8]) -> Result<Self, CodecError> {
        Ok(Self { fasc_n: need(value, FASC_N)?, guid: need(value, GUID)?, expiry: need(value, EXPIRY)? })
    }
}

/// Card capability container (NIST SP 800-73-4 part 1, 3.1.1), in the one form in which keys have
/// it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Ccc {
    /// A random number that is nobody else's.
    pub card_id: [u8; 14],
}

impl Ccc {
    /// Writes the value, 51 bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut identifier = CCC_ISSUER.to_vec();
        identifier.extend_from_slice(&self.card_id);
        let mut value = Writer::new();
        value.push(CARD_IDENTIFIER, &identifier);
        value.push(0xF1, &[0x21]).push(0xF2, &[0x21]).push(0xF3, &[]).push(0xF4, &[0x00]).push(0xF5, &[0x10]);
        for tag in [0xF6, 0xF7, 0xFA, 0xFB, 0xFC, 0xFD, CHECK] {
            value.push(tag, &[]);
        }
        value.into_bytes()
    }

    /// Reads the number out of a value.
    ///
    /// # Errors
    /// [`CodecError`] when there is none of this form.
    pub fn parse(value: &[u8]) -> Result<Self, CodecError> {
        let identifier: [u8; 21] = need(value, CARD_IDENTIFIER)?;
        match identifier.split_last_chunk() {
            Some((issuer, card_id)) if issuer == CCC_ISSUER => Ok(Self { card_id: *card_id }),
            _ => Err(CodecError::Unexpected { tag: CARD_IDENTIFIER.into() }),
        }
    }
}

impl fmt::Display for Chuid {
    /// The number in hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&data_encoding::HEXLOWER.encode(&self.guid))
    }
}

fn need<const N: usize>(value: &[u8], tag: u8) -> Result<[u8; N], CodecError> {
    let found = tlv::find(value, tag)?.ok_or(CodecError::Missing { tag: tag.into() })?;
    super::fixed(tag.into(), found)
}

/// All nines where an agency would stand, which says that there is none.
const NON_FEDERAL: [u8; 25] = [
    0xD4, 0xE7, 0x39, 0xDA, 0x73, 0x9C, 0xED, 0x39, 0xCE, 0x73, 0x9D, 0x83, 0x68, 0x58, 0x21, 0x08, 0x42,
    0x10, 0x84, 0x21, 0xC8, 0x42, 0x10, 0xC3, 0xEB,
];
/// Identifier of the application on GSC-IS cards, the card's type and its maker.
const CCC_ISSUER: [u8; 7] = [0xA0, 0x00, 0x00, 0x01, 0x16, 0xFF, 0x02];

const FASC_N: u8 = 0x30;
const GUID: u8 = 0x34;
const EXPIRY: u8 = 0x35;
const SIGNATURE: u8 = 0x3E;
const CARD_IDENTIFIER: u8 = 0xF0;
const CHECK: u8 = 0xFE;
