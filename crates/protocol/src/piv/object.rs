//! Stored objects: their names, and the commands that read and write them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::{CodecError, Slot};
use crate::secret::SecretBytes;
use crate::tlv::{Reader, Writer};

/// The name of an object: a tag of one to three bytes (NIST SP 800-73-4 part 1, table 3).
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ObjectId(u32);

macro_rules! objects {
    ($($(#[$doc:meta])* $name:ident = $id:literal, $text:literal;)*) => {
        impl ObjectId {
            $($(#[$doc])* pub const $name: Self = Self($id);)*

            const NAMED: &'static [(Self, &'static str)] = &[$((Self($id), $text),)*];
        }
    };
}

objects! {
    /// Card holder unique identifier.
    CHUID = 0x005F_C102, "chuid";
    /// Card capability container.
    CCC = 0x005F_C107, "ccc";
    /// Discovery, which cannot be written.
    DISCOVERY = 0x7E, "discovery";
    /// Certificate of 9A.
    AUTHENTICATION_CERTIFICATE = 0x005F_C105, "authentication";
    /// Certificate of 9C.
    SIGNATURE_CERTIFICATE = 0x005F_C10A, "signature";
    /// Certificate of 9D.
    KEY_MANAGEMENT_CERTIFICATE = 0x005F_C10B, "key-management";
    /// Certificate of 9E.
    CARD_AUTHENTICATION_CERTIFICATE = 0x005F_C101, "card-auth";
    /// Certificate of F9.
    ATTESTATION_CERTIFICATE = 0x005F_FF01, "attestation";
    /// Fingerprints; the PIN is needed to read them.
    FINGERPRINTS = 0x005F_C103, "fingerprints";
    /// Security object.
    SECURITY = 0x005F_C106, "security";
    /// Facial image; the PIN is needed to read it.
    FACIAL = 0x005F_C108, "facial";
    /// Printed information; the PIN is needed to read it. Host tools keep a management key there
    /// that is protected by the PIN.
    PRINTED = 0x005F_C109, "printed";
    /// Key history.
    KEY_HISTORY = 0x005F_C10C, "key-history";
    /// Iris images; the PIN is needed to read them.
    IRIS = 0x005F_C121, "iris";
    /// Signer of secure messaging.
    SM_SIGNER = 0x005F_C122, "sm-signer";
    /// Pairing code.
    PAIRING_CODE = 0x005F_C123, "pairing-code";
    /// Biometric information templates, which cannot be written.
    BITGT = 0x7F61, "bitgt";
    /// Administrative data of host tools.
    ADMIN = 0x005F_FF00, "admin-data";
    /// Container map of Microsoft's minidriver.
    MS_CONTAINER_MAP = 0x005F_FF10, "ms-container-map";
}

impl ObjectId {
    /// An object by number.
    ///
    /// # Errors
    /// [`ObjectIdError`] for more than three bytes or none.
    pub const fn new(id: u32) -> Result<Self, ObjectIdError> {
        match id {
            0 | 0x0100_0000.. => Err(ObjectIdError),
            _ => Ok(Self(id)),
        }
    }

    /// The certificate of a slot for a retired key, by its place from 0 on.
    pub(super) const fn retired_certificate_of(place: u8) -> Self {
        // A byte is widened without a cast, which a constant function has no other way to do.
        Self(u32::from_be_bytes([0x00, 0x5F, 0xC1, 0x0D + place]))
    }

    /// All objects that have a name here.
    pub fn named() -> impl Iterator<Item = Self> {
        let retired = (1..=20).filter_map(Slot::retired).map(Slot::certificate);
        Self::NAMED.iter().map(|(id, _)| *id).chain(retired)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The tag as it travels: one to three bytes.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        self.0.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect()
    }

    /// Reads a tag.
    ///
    /// # Errors
    /// [`ObjectIdError`] for another number of bytes, or a leading zero.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ObjectIdError> {
        if !(1..=3).contains(&bytes.len()) || bytes.first() == Some(&0) {
            return Err(ObjectIdError);
        }
        Self::new(bytes.iter().fold(0, |id, byte| id << 8 | u32::from(*byte)))
    }

    /// The slot whose certificate this is.
    #[must_use]
    pub fn slot(self) -> Option<Slot> {
        Slot::all().find(|slot| slot.certificate() == self)
    }

    /// Whether the PIN is needed to read it.
    #[must_use]
    pub fn needs_pin(self) -> bool {
        [Self::FINGERPRINTS, Self::FACIAL, Self::PRINTED, Self::IRIS].contains(&self)
    }

    /// Whether it can be written: all of `5Fxxxx` can.
    #[must_use]
    pub const fn is_writable(self) -> bool {
        self.0 >> 16 == 0x5F
    }

    /// Whether it stands in answers without `53` around it.
    #[must_use]
    pub const fn is_bare(self) -> bool {
        self.0 <= 0xFFFF
    }

    /// Its name here, if it has one.
    #[must_use]
    pub fn name(self) -> Option<String> {
        if let Some((_, name)) = Self::NAMED.iter().find(|(id, _)| *id == self) {
            return Some((*name).to_owned());
        }
        self.slot().and_then(Slot::retired_number).map(|number| format!("retired{number}"))
    }
}

impl FromStr for ObjectId {
    type Err = ObjectIdError;

    /// Reads a name, or a number in hexadecimal, with or without `0x`.
    fn from_str(text: &str) -> Result<Self, ObjectIdError> {
        let text = text.to_ascii_lowercase().replace('_', "-");
        let alias = if text == "capability" { "ccc" } else { &text };
        if let Some(id) = Self::named().find(|id| id.name().as_deref() == Some(alias)) {
            return Ok(id);
        }
        let digits = text.strip_prefix("0x").unwrap_or(&text);
        if digits.starts_with('+') {
            return Err(ObjectIdError);
        }
        u32::from_str_radix(digits, 16).map_err(|_| ObjectIdError).and_then(Self::new)
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}", self.0)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectId({self})")
    }
}

/// There is no such object.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error(
    "an object is a name such as chuid, ccc, authentication or retired1, or one to three bytes in hexadecimal such as 5fc102"
)]
pub struct ObjectIdError;

/// GET DATA: `5C n id`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetData(
    /// What to read.
    pub ObjectId,
);

impl GetData {
    /// The body of the command.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::new();
        body.push(NAME, &self.0.to_bytes());
        body.into_bytes()
    }

    /// Reads the body of the command.
    ///
    /// # Errors
    /// [`CodecError`]; a key answers `6A80`.
    pub fn parse(body: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(body);
        let id = ObjectId::from_bytes(reader.expect(NAME)?)?;
        reader.finish()?;
        Ok(Self(id))
    }
}

/// PUT DATA: `5C 03 id 53 L value`. An empty value deletes the object.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PutData {
    /// What to write.
    pub id: ObjectId,
    /// Its new value.
    pub value: SecretBytes,
}

impl PutData {
    /// The body of the command.
    #[must_use]
    pub fn encode(&self) -> zeroize::Zeroizing<Vec<u8>> {
        let mut body = Writer::new();
        body.push(NAME, &self.id.to_bytes()).push(VALUE, self.value.expose());
        zeroize::Zeroizing::new(body.into_bytes())
    }

    /// Reads the body of the command.
    ///
    /// # Errors
    /// [`CodecError`]; a key answers `6A80`.
    pub fn parse(body: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(body);
        let id = ObjectId::from_bytes(reader.expect(NAME)?)?;
        let value = reader.expect(VALUE)?;
        reader.finish()?;
        Ok(Self { id, value: SecretBytes::new(value.to_vec()) })
    }
}

/// Writes the answer to GET DATA.
#[must_use]
pub fn write_object(id: ObjectId, value: &[u8]) -> Vec<u8> {
    if id.is_bare() {
        return value.to_vec();
    }
    let mut body = Writer::new();
    body.push(VALUE, value);
    body.into_bytes()
}

/// Reads the answer to GET DATA.
///
/// # Errors
/// [`CodecError`] when it is not one.
pub fn parse_object(id: ObjectId, answer: &[u8]) -> Result<&[u8], CodecError> {
    if id.is_bare() {
        return Ok(answer);
    }
    let mut reader = Reader::new(answer);
    let value = reader.expect(VALUE)?;
    reader.finish()?;
    Ok(value)
}

const NAME: u8 = 0x5C;
const VALUE: u8 = 0x53;
