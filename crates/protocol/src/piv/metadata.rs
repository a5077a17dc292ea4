//! GET METADATA (firmware 5.3 and later).

use super::{Algorithm, CodecError, ManagementKeyType, PinPolicy, PublicKey, TouchPolicy};
use crate::tlv::{self, Writer};

/// What is known of the PIN or the PUK.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PinMetadata {
    /// Whether it is still the factory's.
    pub is_default: bool,
    /// How many wrong tries there are in all.
    pub total: u8,
    /// How many are left.
    pub left: u8,
}

impl PinMetadata {
    /// Writes the answer.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::new();
        body.push(ALGORITHM, &[PIN_ALGORITHM])
            .push(DEFAULT, &[u8::from(self.is_default)])
            .push(TRIES, &[self.total, self.left]);
        body.into_bytes()
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// [`CodecError`] when it is not one.
    pub fn parse(body: &[u8]) -> Result<Self, CodecError> {
        let [default] = need(body, DEFAULT)?;
        let [total, left] = need(body, TRIES)?;
        Ok(Self { is_default: default != 0, total, left })
    }
}

/// What is known of the management key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ManagementKeyMetadata {
    /// Its cipher.
    pub kind: ManagementKeyType,
    /// Whether proving it takes a touch.
    pub touch_policy: TouchPolicy,
    /// Whether it is still the factory's.
    pub is_default: bool,
}

impl ManagementKeyMetadata {
    /// Writes the answer.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::new();
        body.push(ALGORITHM, &[self.kind.id()])
            .push(POLICIES, &[0, self.touch_policy.id()])
            .push(DEFAULT, &[u8::from(self.is_default)]);
        body.into_bytes()
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// [`CodecError`] when it is not one.
    pub fn parse(body: &[u8]) -> Result<Self, CodecError> {
        let [kind] = need(body, ALGORITHM)?;
        let [_, touch] = need(body, POLICIES)?;
        let [default] = need(body, DEFAULT)?;
        Ok(Self { kind: kind.try_into()?, touch_policy: touch.try_into()?, is_default: default != 0 })
    }
}

/// Where a private key comes from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Origin {
    /// Made on the key; nobody else ever had it.
    Generated,
    /// Brought there.
    Imported,
}

impl Origin {
    /// The byte in metadata.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::Generated => 1,
            Self::Imported => 2,
        }
    }

    /// The name for people and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Imported => "imported",
        }
    }
}

impl TryFrom<u8> for Origin {
    type Error = CodecError;

    fn try_from(id: u8) -> Result<Self, CodecError> {
        match id {
            1 => Ok(Self::Generated),
            2 => Ok(Self::Imported),
            _ => Err(CodecError::Origin(id)),
        }
    }
}

/// What is known of a key in a slot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyMetadata {
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// When it wants the PIN.
    pub pin_policy: PinPolicy,
    /// When it wants a touch.
    pub touch_policy: TouchPolicy,
    /// Where it comes from.
    pub origin: Origin,
    /// Its public part.
    pub public_key: PublicKey,
}

impl KeyMetadata {
    /// Writes the answer.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::new();
        body.push(ALGORITHM, &[self.algorithm.id()])
            .push(POLICIES, &[self.pin_policy.id(), self.touch_policy.id()])
            .push(ORIGIN, &[self.origin.id()])
            .push(PUBLIC_KEY, &self.public_key.encode());
        body.into_bytes()
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// [`CodecError`] when it is not one.
    pub fn parse(body: &[u8]) -> Result<Self, CodecError> {
        let [algorithm] = need(body, ALGORITHM)?;
        let algorithm = Algorithm::try_from(algorithm)?;
        let [pin, touch] = need(body, POLICIES)?;
        let [origin] = need(body, ORIGIN)?;
        let public_key = find(body, PUBLIC_KEY)?;
        Ok(Self {
            algorithm,
            pin_policy: pin.try_into()?,
            touch_policy: touch.try_into()?,
            origin: origin.try_into()?,
            public_key: PublicKey::parse(public_key, algorithm)?,
        })
    }
}

/// What is known of fingerprints, on keys that read them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BioMetadata {
    /// Whether there are any.
    pub configured: bool,
    /// How many wrong tries are left.
    pub tries: u8,
    /// Whether a temporary PIN stands.
    pub temporary_pin: bool,
}

impl BioMetadata {
    /// Writes the answer.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::new();
        body.push(BIO_CONFIGURED, &[u8::from(self.configured)])
            .push(TRIES, &[self.tries])
            .push(TEMPORARY_PIN, &[u8::from(self.temporary_pin)]);
        body.into_bytes()
    }

    /// Reads the answer.
    ///
    /// # Errors
    /// [`CodecError`] when it is not one.
    pub fn parse(body: &[u8]) -> Result<Self, CodecError> {
        let [configured] = need(body, BIO_CONFIGURED)?;
        let [tries] = need(body, TRIES)?;
        let [temporary] = need(body, TEMPORARY_PIN)?;
        Ok(Self { configured: configured != 0, tries, temporary_pin: temporary != 0 })
    }
}

fn find(body: &[u8], tag: u8) -> Result<&[u8], CodecError> {
    tlv::find(body, tag)?.ok_or(CodecError::Missing { tag: tag.into() })
}

fn need<const N: usize>(body: &[u8], tag: u8) -> Result<[u8; N], CodecError> {
    super::fixed(tag.into(), find(body, tag)?)
}

const ALGORITHM: u8 = 0x01;
const POLICIES: u8 = 0x02;
const ORIGIN: u8 = 0x03;
const PUBLIC_KEY: u8 = 0x04;
const DEFAULT: u8 = 0x05;
const TRIES: u8 = 0x06;
const BIO_CONFIGURED: u8 = 0x07;
const TEMPORARY_PIN: u8 = 0x08;
/// What stands in the place of an algorithm for PIN and PUK.
const PIN_ALGORITHM: u8 = 0xFF;
