//! PIN, PUK and management key.

use std::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

use super::{CodecError, DEFAULT_MANAGEMENT_KEY, ManagementKeyType, TouchPolicy};
use crate::secret::{Secret, SecretBytes};
use crate::tlv::Writer;
use crate::version::Version;

/// A PIN: 6 to 8 ASCII characters, filled up with FF to 8 bytes (NIST SP 800-73-4 part 2, 2.4.3).
#[derive(Clone, Eq, PartialEq)]
pub struct Pin(Secret<8>);

/// A PUK: 6 to 8 bytes, filled up with FF to 8. From firmware 5.7 on they must be ASCII.
#[derive(Clone, Eq, PartialEq)]
pub struct Puk(Secret<8>);

impl Pin {
    /// Takes a PIN as a person types it.
    ///
    /// # Errors
    /// [`PinError`] when it is too short or long or has other characters than ASCII.
    pub fn new(text: &[u8]) -> Result<Self, PinError> {
        if !text.is_ascii() {
            return Err(PinError::Character);
        }
        pad(text).map(Self)
    }

    /// Checks a PIN as it travels.
    ///
    /// # Errors
    /// [`PinError`]; a key answers `6985` when such a PIN is to be set.
    pub fn from_padded(padded: &[u8; 8]) -> Result<Self, PinError> {
        Self::new(trim(padded))
    }

    /// As it travels; name every use of this in review.
    #[must_use]
    pub const fn padded(&self) -> &[u8; 8] {
        self.0.expose()
    }

    /// What was typed; name every use of this in review.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        trim(self.0.expose())
    }
}

impl Puk {
    /// Takes a PUK as a person types it.
    ///
    /// # Errors
    /// [`PinError`] when it is too short or long, or has a byte FF, which is for filling up.
    pub fn new(text: &[u8]) -> Result<Self, PinError> {
        if text.contains(&FILL) {
            return Err(PinError::Character);
        }
        pad(text).map(Self)
    }

    /// Checks a PUK as it travels.
    ///
    /// # Errors
    /// [`PinError`]; a key answers `6985` when such a PUK is to be set.
    pub fn from_padded(padded: &[u8; 8]) -> Result<Self, PinError> {
        Self::new(trim(padded))
    }

    /// Checks that firmware takes it as a new PUK.
    ///
    /// # Errors
    /// [`PinError::Character`] when it is not ASCII and has to be.
    pub fn check(&self, firmware: Version) -> Result<(), PinError> {
        let free = firmware < super::since::KEY_MOVING;
        if free || trim(self.padded()).is_ascii() { Ok(()) } else { Err(PinError::Character) }
    }

    /// As it travels; name every use of this in review.
    #[must_use]
    pub const fn padded(&self) -> &[u8; 8] {
        self.0.expose()
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pin(…)")
    }
}

impl fmt::Debug for Puk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Puk(…)")
    }
}

/// Why something is no PIN or PUK. What was given is not repeated.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum PinError {
    /// Too few or too many bytes.
    #[error("a PIN or PUK has 6 to 8 characters, not {length}")]
    Length {
        /// How many there are.
        length: usize,
    },
    /// A character that cannot be in it.
    #[error("a PIN or PUK has letters, digits and signs of ASCII only")]
    Character,
}

fn pad(text: &[u8]) -> Result<Secret<8>, PinError> {
    let mut padded = Zeroizing::new([FILL; 8]);
    match padded.get_mut(..text.len()) {
        Some(place) if text.len() >= SHORTEST => place.copy_from_slice(text),
        _ => return Err(PinError::Length { length: text.len() }),
    }
    Ok(Secret::new(*padded))
}

fn trim(padded: &[u8; 8]) -> &[u8] {
    let length = padded.iter().rposition(|byte| *byte != FILL).map_or(0, |last| last + 1);
    padded.get(..length).unwrap_or(padded)
}

const FILL: u8 = 0xFF;
const SHORTEST: usize = 6;

/// The body of CHANGE REFERENCE DATA and of RESET RETRY COUNTER: two values of 8 bytes. The first
/// of the latter is the PUK.
///
/// They are kept as they travel: whether the old value is right is judged before the new one is
/// looked at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ChangeReference {
    /// What allows the change.
    pub old: Secret<8>,
    /// What is to be set.
    pub new: Secret<8>,
}

impl ChangeReference {
    /// Changes the PIN.
    #[must_use]
    pub fn pin(old: &Pin, new: &Pin) -> Self {
        Self { old: old.0.clone(), new: new.0.clone() }
    }

    /// Changes the PUK.
    #[must_use]
    pub fn puk(old: &Puk, new: &Puk) -> Self {
        Self { old: old.0.clone(), new: new.0.clone() }
    }

    /// Sets a new PIN with the PUK.
    #[must_use]
    pub fn unblock(puk: &Puk, new: &Pin) -> Self {
        Self { old: puk.0.clone(), new: new.0.clone() }
    }

    /// The body of the command.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([*self.old.expose(), *self.new.expose()].concat())
    }

    /// Reads the body of the command.
    ///
    /// # Errors
    /// [`CodecError::BodyLength`]; a key answers `6A80`.
    pub fn parse(body: &[u8]) -> Result<Self, CodecError> {
        let wrong = CodecError::BodyLength { length: body.len() };
        let (old, new) = body.split_first_chunk().ok_or(wrong)?;
        let new = <[u8; 8]>::try_from(new).map_err(|_| wrong)?;
        Ok(Self { old: Secret::new(*old), new: Secret::new(new) })
    }
}

/// The key that allows changes to keys and objects.
#[derive(Clone, Eq, PartialEq)]
pub struct ManagementKey {
    kind: ManagementKeyType,
    bytes: SecretBytes,
}

impl ManagementKey {
    /// Takes the bytes over.
    ///
    /// # Errors
    /// [`WrongKeyLength`] when the cipher has keys of another length.
    pub fn new(kind: ManagementKeyType, bytes: SecretBytes) -> Result<Self, WrongKeyLength> {
        if bytes.len() == kind.key_size() {
            Ok(Self { kind, bytes })
        } else {
            Err(WrongKeyLength { kind, length: bytes.len() })
        }
    }

    /// The key that keys leave the factory with, when they are of this firmware.
    #[must_use]
    pub fn factory(firmware: Version) -> Self {
        Self {
            kind: ManagementKeyType::default_of(firmware),
            bytes: SecretBytes::new(DEFAULT_MANAGEMENT_KEY.to_vec()),
        }
    }

    /// The same bytes under another cipher whose keys have the same length.
    ///
    /// # Errors
    /// [`WrongKeyLength`] when they have another.
    pub fn with_kind(self, kind: ManagementKeyType) -> Result<Self, WrongKeyLength> {
        Self::new(kind, self.bytes)
    }

    /// The cipher.
    #[must_use]
    pub const fn kind(&self) -> ManagementKeyType {
        self.kind
    }

    /// The bytes; name every use of this in review.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        self.bytes.expose()
    }

    /// Whether these are the factory's bytes.
    #[must_use]
    pub fn is_factory(&self) -> bool {
        self.bytes == SecretBytes::new(DEFAULT_MANAGEMENT_KEY.to_vec())
    }
}

impl fmt::Debug for ManagementKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManagementKey({}, …)", self.kind)
    }
}

/// A management key has the wrong length for its cipher.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a management key of {kind} has {} bytes, not {length}", kind.key_size())]
pub struct WrongKeyLength {
    /// The cipher.
    pub kind: ManagementKeyType,
    /// How many bytes there are.
    pub length: usize,
}

/// SET MANAGEMENT KEY.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SetManagementKey {
    /// The new key.
    pub key: ManagementKey,
    /// Whether proving it takes a touch.
    pub touch: TouchPolicy,
}

impl SetManagementKey {
    /// The body of the command; P2 is [`TouchPolicy::management_key_p2`].
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        let mut body = Writer::new();
        body.push_raw(&[self.key.kind.id()]).push(super::reference::MANAGEMENT_KEY, self.key.expose());
        Zeroizing::new(body.into_bytes())
    }

    /// Reads the command's P2 and body.
    ///
    /// # Errors
    /// [`CodecError`]; a key answers `6A80`.
    pub fn parse(p2: u8, body: &[u8]) -> Result<Self, CodecError> {
        let touch = TouchPolicy::ALL
            .into_iter()
            .find(|touch| touch.management_key_p2() == p2)
            .ok_or(CodecError::Parameters { p1: 0xFF, p2 })?;
        let Some((&[kind, tag, length], key)) = body.split_first_chunk() else {
            return Err(CodecError::BodyLength { length: body.len() });
        };
        let kind = ManagementKeyType::try_from(kind)?;
        let tag = u16::from(tag);
        if tag != u16::from(super::reference::MANAGEMENT_KEY) {
            return Err(CodecError::Unexpected { tag });
        }
        if usize::from(length) != key.len() {
            return Err(CodecError::FieldLength { tag, length: key.len() });
        }
        let key = ManagementKey::new(kind, SecretBytes::new(key.to_vec()))
            .map_err(|error| CodecError::FieldLength { tag, length: error.length })?;
        Ok(Self { key, touch })
    }
}
