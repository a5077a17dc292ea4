//! GENERAL AUTHENTICATE (NIST SP 800-73-4 part 2, 3.2.4): using a key, and proving the management
//! key.

use std::fmt;

use zeroize::Zeroizing;

use super::CodecError;
use crate::tlv::{Reader, Writer};

/// What a host asks with GENERAL AUTHENTICATE. P1 is the algorithm and P2 the slot, or
/// [`MANAGEMENT_KEY`](super::reference::MANAGEMENT_KEY). `Debug` shows lengths only.
#[derive(Clone, Eq, PartialEq)]
pub enum Authenticate {
    /// Both prove the management key, first step: the key is to send a block that the host
    /// decrypts.
    AskWitness,
    /// Both prove it, second step: the decrypted block, and a block that the key is to encrypt.
    Witness {
        /// What the key's block decrypts to.
        witness: Zeroizing<Vec<u8>>,
        /// Random bytes from the host.
        challenge: Zeroizing<Vec<u8>>,
    },
    /// Only the host proves it, first step: the key is to send a block that the host encrypts.
    AskChallenge,
    /// Only the host proves it, second step: the encrypted block.
    Response(Zeroizing<Vec<u8>>),
    /// Sign or decrypt. For RSA a block as long as the modulus, for ECDSA a digest, for Ed25519 the
    /// message.
    Sign(Zeroizing<Vec<u8>>),
    /// Agree on a secret with the owner of this public point.
    Agree(Vec<u8>),
}

impl Authenticate {
    /// The body of the command.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut inner = Writer::new();
        match self {
            Self::AskWitness => inner.push(WITNESS, &[]),
            Self::Witness { witness, challenge } => inner.push(WITNESS, witness).push(CHALLENGE, challenge),
            Self::AskChallenge => inner.push(CHALLENGE, &[]),
            Self::Response(response) => inner.push(RESPONSE, response),
            Self::Sign(data) => inner.push(RESPONSE, &[]).push(CHALLENGE, data),
            Self::Agree(point) => inner.push(RESPONSE, &[]).push(EXPONENTIATION, point),
        };
        let mut body = Writer::new();
        body.push(TEMPLATE, inner.as_bytes());
        Zeroizing::new(body.into_bytes())
    }

    /// Reads the body of the command. The order of the elements is free: an empty `82` stands for
    /// the answer, and the first other element decides what is asked.
    ///
    /// # Errors
    /// [`CodecError`]; a key answers `6A80`.
    pub fn parse(body: &[u8]) -> Result<Self, CodecError> {
        let mut outer = Reader::new(body);
        let inner = outer.expect(TEMPLATE)?;
        outer.finish()?;
        let fields = Fields::read(inner)?;
        let owned = |value: &[u8]| Zeroizing::new(value.to_vec());
        let (first, value) = fields.first.ok_or(CodecError::Missing { tag: CHALLENGE.into() })?;
        match first {
            WITNESS if value.is_empty() => Ok(Self::AskWitness),
            WITNESS => {
                let challenge =
                    fields.find(CHALLENGE).ok_or(CodecError::Missing { tag: CHALLENGE.into() })?;
                Ok(Self::Witness { witness: owned(value), challenge: owned(challenge) })
            }
            CHALLENGE => match fields.find(WITNESS) {
                Some(witness) if !witness.is_empty() => {
                    Ok(Self::Witness { witness: owned(witness), challenge: owned(value) })
                }
                // Ed25519 signs an empty message too; a place for the answer tells the two apart.
                _ if value.is_empty() && !fields.placeholder => Ok(Self::AskChallenge),
                _ => Ok(Self::Sign(owned(value))),
            },
            RESPONSE => Ok(Self::Response(owned(value))),
            _ => Ok(Self::Agree(value.to_vec())),
        }
    }
}

impl fmt::Debug for Authenticate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AskWitness => f.write_str("AskWitness"),
            Self::Witness { witness, .. } => write!(f, "Witness({} bytes)", witness.len()),
            Self::AskChallenge => f.write_str("AskChallenge"),
            Self::Response(response) => write!(f, "Response({} bytes)", response.len()),
            Self::Sign(data) => write!(f, "Sign({} bytes)", data.len()),
            Self::Agree(point) => write!(f, "Agree({} bytes)", point.len()),
        }
    }
}

/// What a key answers to GENERAL AUTHENTICATE. `Debug` shows lengths only.
#[derive(Clone, Eq, PartialEq)]
pub enum AuthAnswer {
    /// A block that the host is to decrypt.
    Witness(Zeroizing<Vec<u8>>),
    /// A block that the host is to encrypt.
    Challenge(Zeroizing<Vec<u8>>),
    /// The host's block encrypted, a signature (ECDSA in DER), what an RSA block became, or the
    /// secret that was agreed on.
    Response(Zeroizing<Vec<u8>>),
}

impl AuthAnswer {
    /// Writes the answer.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let (tag, value) = match self {
            Self::Witness(value) => (WITNESS, value),
            Self::Challenge(value) => (CHALLENGE, value),
            Self::Response(value) => (RESPONSE, value),
        };
        let mut inner = Writer::new();
        inner.push(tag, value);
        let mut body = Writer::new();
        body.push(TEMPLATE, inner.as_bytes());
        Zeroizing::new(body.into_bytes())
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// [`CodecError`] when it is not one.
    pub fn parse(body: &[u8]) -> Result<Self, CodecError> {
        let mut outer = Reader::new(body);
        let mut inner = Reader::new(outer.expect(TEMPLATE)?);
        outer.finish()?;
        let tag = inner.peek().ok_or(CodecError::Missing { tag: RESPONSE.into() })?;
        let value = Zeroizing::new(inner.expect(tag)?.to_vec());
        inner.finish()?;
        match tag {
            WITNESS => Ok(Self::Witness(value)),
            CHALLENGE => Ok(Self::Challenge(value)),
            RESPONSE => Ok(Self::Response(value)),
            _ => Err(CodecError::Unexpected { tag: tag.into() }),
        }
    }
}

impl fmt::Debug for AuthAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value) = match self {
            Self::Witness(value) => ("Witness", value),
            Self::Challenge(value) => ("Challenge", value),
            Self::Response(value) => ("Response", value),
        };
        write!(f, "{name}({} bytes)", value.len())
    }
}

struct Fields<'a> {
    inner: &'a [u8],
    /// The first element that is not an empty `82`.
    first: Option<(u8, &'a [u8])>,
    placeholder: bool,
}

impl<'a> Fields<'a> {
    fn read(inner: &'a [u8]) -> Result<Self, CodecError> {
        let mut fields = Self { inner, first: None, placeholder: false };
        for element in Reader::new(inner) {
            let element = element?;
            match element.tag {
                RESPONSE if element.value.is_empty() => fields.placeholder = true,
                WITNESS | CHALLENGE | RESPONSE | EXPONENTIATION => {
                    fields.first = fields.first.or(Some((element.tag, element.value)));
                }
                tag => return Err(CodecError::Unexpected { tag: tag.into() }),
            }
        }
        Ok(fields)
    }

    fn find(&self, tag: u8) -> Option<&'a [u8]> {
        crate::tlv::find(self.inner, tag).ok().flatten()
    }
}

const TEMPLATE: u8 = 0x7C;
const WITNESS: u8 = 0x80;
const CHALLENGE: u8 = 0x81;
const RESPONSE: u8 = 0x82;
const EXPONENTIATION: u8 = 0x85;
