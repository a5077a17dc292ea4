//! IMPORT ASYMMETRIC KEY.

use std::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

use super::generate::{PIN_POLICY, TOUCH_POLICY, push_policies, read_policies};
use super::{Algorithm, CodecError, PinPolicy, TouchPolicy};
use crate::secret::{Secret, SecretBytes};
use crate::tlv::{Reader, Writer};

/// A private key as a key takes it. `Debug` tells the algorithm only.
#[derive(Clone, Eq, PartialEq)]
pub enum PrivateKey {
    /// RSA with the exponent 65537; five numbers with the highest byte first, each filled up with
    /// zeros to half the modulus.
    Rsa {
        /// The first prime.
        p: SecretBytes,
        /// The second prime.
        q: SecretBytes,
        /// The private exponent modulo p − 1.
        dp: SecretBytes,
        /// The private exponent modulo q − 1.
        dq: SecretBytes,
        /// The inverse of q modulo p.
        qinv: SecretBytes,
    },
    /// A number below the order of P-256, with the highest byte first.
    P256(Secret<32>),
    /// A number below the order of P-384, with the highest byte first.
    P384(Secret<48>),
    /// The seed of an Ed25519 key (RFC 8032 section 5.1.5).
    Ed25519(Secret<32>),
    /// A number for X25519, with the lowest byte first (RFC 7748 section 5).
    X25519(Secret<32>),
}

impl PrivateKey {
    /// Puts the five numbers of an RSA key together, each of which may have leading zeros or lack
    /// them.
    ///
    /// # Errors
    /// [`PrivateKeyError`] when they are not those of a length that keys have.
    pub fn rsa(p: &[u8], q: &[u8], dp: &[u8], dq: &[u8], qinv: &[u8]) -> Result<Self, PrivateKeyError> {
        let size = significant(p).len().max(significant(q).len());
        Algorithm::rsa(2 * size).ok_or(PrivateKeyError::RsaLength { bits: 16 * size })?;
        let fill = |number: &[u8]| {
            let number = significant(number);
            let zeros = size.checked_sub(number.len()).ok_or(PrivateKeyError::RsaNumber)?;
            let mut filled = Vec::with_capacity(size);
            filled.resize(zeros, 0);
            filled.extend_from_slice(number);
            Ok(SecretBytes::new(filled))
        };
        Ok(Self::Rsa { p: fill(p)?, q: fill(q)?, dp: fill(dp)?, dq: fill(dq)?, qinv: fill(qinv)? })
    }

    /// The algorithm, unless it is RSA whose numbers were put together with lengths that keys do not
    /// have.
    #[must_use]
    pub fn algorithm(&self) -> Option<Algorithm> {
        match self {
            Self::Rsa { p, .. } => Algorithm::rsa(2 * p.len()),
            Self::P256(_) => Some(Algorithm::P256),
            Self::P384(_) => Some(Algorithm::P384),
            Self::Ed25519(_) => Some(Algorithm::Ed25519),
            Self::X25519(_) => Some(Algorithm::X25519),
        }
    }

    fn push(&self, out: &mut Writer) {
        match self {
            Self::Rsa { p, q, dp, dq, qinv } => {
                for (tag, number) in RSA_TAGS.into_iter().zip([p, q, dp, dq, qinv]) {
                    out.push(tag, number.expose());
                }
            }
            Self::P256(scalar) => {
                out.push(EC, scalar.expose());
            }
            Self::P384(scalar) => {
                out.push(EC, scalar.expose());
            }
            Self::Ed25519(seed) => {
                out.push(ED25519, seed.expose());
            }
            Self::X25519(scalar) => {
                out.push(X25519, scalar.expose());
            }
        }
    }

    fn read(algorithm: Algorithm, reader: &mut Reader<'_>) -> Result<Self, CodecError> {
        if algorithm.is_rsa() {
            let mut number = |tag: u8| {
                let value = reader.expect(tag)?;
                if value.len() != algorithm.size() / 2 {
                    return Err(CodecError::FieldLength { tag: tag.into(), length: value.len() });
                }
                Ok(SecretBytes::new(value.to_vec()))
            };
            let [p, q, dp, dq, qinv] = RSA_TAGS;
            return Ok(Self::Rsa {
                p: number(p)?,
                q: number(q)?,
                dp: number(dp)?,
                dq: number(dq)?,
                qinv: number(qinv)?,
            });
        }
        match algorithm {
            Algorithm::P384 => Ok(Self::P384(Secret::new(super::fixed(EC.into(), reader.expect(EC)?)?))),
            Algorithm::Ed25519 => {
                Ok(Self::Ed25519(Secret::new(super::fixed(ED25519.into(), reader.expect(ED25519)?)?)))
            }
            Algorithm::X25519 => {
                Ok(Self::X25519(Secret::new(super::fixed(X25519.into(), reader.expect(X25519)?)?)))
            }
            _ => Ok(Self::P256(Secret::new(super::fixed(EC.into(), reader.expect(EC)?)?))),
        }
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.algorithm() {
            Some(algorithm) => write!(f, "PrivateKey({algorithm}, …)"),
            None => f.write_str("PrivateKey(…)"),
        }
    }
}

/// The body of IMPORT; P1 is the algorithm and P2 the slot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Import {
    /// The key.
    pub key: PrivateKey,
    /// When the key will want the PIN; without it, the slot's own policy.
    pub pin_policy: Option<PinPolicy>,
    /// When the key will want a touch; without it, never.
    pub touch_policy: Option<TouchPolicy>,
}

impl Import {
    /// The body of the command.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut body = Writer::new();
        self.key.push(&mut body);
        push_policies(&mut body, self.pin_policy, self.touch_policy);
        Zeroizing::new(body.into_bytes())
    }

    /// Reads the command's P1 and body. Whether the numbers make a key is not checked here.
    ///
    /// # Errors
    /// [`CodecError`]; a key answers `6A80`.
    pub fn parse(p1: u8, body: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(body);
        let key = PrivateKey::read(p1.try_into()?, &mut reader)?;
        if let Some(tag) = reader.peek().filter(|tag| ![PIN_POLICY, TOUCH_POLICY].contains(tag)) {
            return Err(CodecError::Unexpected { tag: tag.into() });
        }
        let (pin_policy, touch_policy) = read_policies(reader)?;
        Ok(Self { key, pin_policy, touch_policy })
    }
}

/// Why numbers are no key that a key takes. They are not repeated.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum PrivateKeyError {
    /// RSA of another length.
    #[error("RSA keys have 1024, 2048, 3072 or 4096 bits, not about {bits}")]
    RsaLength {
        /// Twice the bits of the longer prime, rounded up to whole bytes.
        bits: usize,
    },
    /// A number is longer than it can be.
    #[error("the numbers of the RSA key do not fit together")]
    RsaNumber,
}

fn significant(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

const RSA_TAGS: [u8; 5] = [0x01, 0x02, 0x03, 0x04, 0x05];
const EC: u8 = 0x06;
const ED25519: u8 = 0x07;
const X25519: u8 = 0x08;
