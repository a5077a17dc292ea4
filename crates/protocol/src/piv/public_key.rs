//! Public keys as keys give them.

use super::{Algorithm, CodecError, push_wide};
use crate::tlv::{Reader, Writer};

/// A public key.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum PublicKey {
    /// RSA; both numbers with the highest byte first and without leading zeros.
    Rsa {
        /// The modulus.
        modulus: Vec<u8>,
        /// The exponent, which is 65537 for keys that were generated.
        exponent: Vec<u8>,
    },
    /// A point on P-256: `04 X Y`.
    P256([u8; 65]),
    /// A point on P-384: `04 X Y`.
    P384([u8; 97]),
    /// Ed25519 (RFC 8032 section 5.1.5).
    Ed25519([u8; 32]),
    /// X25519 (RFC 7748 section 5).
    X25519([u8; 32]),
}

impl PublicKey {
    /// The algorithm, unless it is RSA of a length that keys do not have.
    #[must_use]
    pub fn algorithm(&self) -> Option<Algorithm> {
        match self {
            Self::Rsa { modulus, .. } => Algorithm::rsa(modulus.len()),
            Self::P256(_) => Some(Algorithm::P256),
            Self::P384(_) => Some(Algorithm::P384),
            Self::Ed25519(_) => Some(Algorithm::Ed25519),
            Self::X25519(_) => Some(Algorithm::X25519),
        }
    }

    /// The elements: `86` with the point, or `81` with the modulus and `82` with the exponent. This
    /// is how they stand in metadata.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::new();
        match self {
            Self::Rsa { modulus, exponent } => {
                body.push(MODULUS, modulus).push(EXPONENT, exponent);
            }
            Self::P256(point) => {
                body.push(POINT, point);
            }
            Self::P384(point) => {
                body.push(POINT, point);
            }
            Self::Ed25519(point) | Self::X25519(point) => {
                body.push(POINT, point);
            }
        }
        body.into_bytes()
    }

    /// The answer to GENERATE: the elements in `7F49`.
    #[must_use]
    pub fn encode_generated(&self) -> Vec<u8> {
        let mut body = Writer::new();
        push_wide(&mut body, TEMPLATE, &self.encode());
        body.into_bytes()
    }

    /// Reads the elements. The algorithm is needed because Ed25519 and X25519 look alike.
    ///
    /// # Errors
    /// [`CodecError`] when they are not a key of that algorithm.
    pub fn parse(elements: &[u8], algorithm: Algorithm) -> Result<Self, CodecError> {
        let mut reader = Reader::new(elements);
        if algorithm.is_rsa() {
            let modulus = reader.expect(MODULUS)?;
            if modulus.len() != algorithm.size() {
                return Err(CodecError::FieldLength { tag: MODULUS.into(), length: modulus.len() });
            }
            let exponent = reader.expect(EXPONENT)?;
            if exponent.is_empty() || exponent.len() > MAX_EXPONENT {
                return Err(CodecError::FieldLength { tag: EXPONENT.into(), length: exponent.len() });
            }
            reader.finish()?;
            return Ok(Self::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() });
        }
        let point = reader.expect(POINT)?;
        reader.finish()?;
        Self::from_point(algorithm, point)
    }

    /// Takes a point.
    ///
    /// # Errors
    /// [`CodecError::FieldLength`] when it is none of that algorithm.
    pub fn from_point(algorithm: Algorithm, point: &[u8]) -> Result<Self, CodecError> {
        let tag = u16::from(POINT);
        match algorithm {
            Algorithm::P256 => super::fixed(tag, point).map(Self::P256),
            Algorithm::P384 => super::fixed(tag, point).map(Self::P384),
            Algorithm::Ed25519 => super::fixed(tag, point).map(Self::Ed25519),
            Algorithm::X25519 => super::fixed(tag, point).map(Self::X25519),
            _ => Err(CodecError::Unexpected { tag }),
        }
    }

    /// Reads the answer to GENERATE.
    ///
    /// # Errors
    /// [`CodecError`] when it is not one.
    pub fn parse_generated(answer: &[u8], algorithm: Algorithm) -> Result<Self, CodecError> {
        let [high, low] = TEMPLATE.to_be_bytes();
        let Some(rest) = answer.strip_prefix(&[high]) else {
            return Err(CodecError::Missing { tag: TEMPLATE });
        };
        let mut reader = Reader::new(rest);
        let elements = reader.expect(low).map_err(|_| CodecError::Missing { tag: TEMPLATE })?;
        reader.finish()?;
        Self::parse(elements, algorithm)
    }
}

const TEMPLATE: u16 = 0x7F49;
const MODULUS: u8 = 0x81;
const EXPONENT: u8 = 0x82;
const POINT: u8 = 0x86;
const MAX_EXPONENT: usize = 8;
