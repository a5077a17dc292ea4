//! Storing, renaming and deleting credentials.

use super::super::{Algorithm, CredentialId, Digits, Kind, MAX_SECRET, MIN_SECRET};
use super::{CodecError, parse_digits, parse_type, read_id, tag, type_byte};
use crate::secret::SecretBytes;
use crate::tlv::{Reader, TlvError, Writer};

/// What a credential insists on.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Properties {
    /// A challenge must not be smaller than the one before, so that nobody gets codes of the past.
    pub only_increasing: bool,
    /// Each code needs a touch; firmware 4.2.6 and later.
    pub require_touch: bool,
}

impl Properties {
    const ONLY_INCREASING: u8 = 0x01;
    const REQUIRE_TOUCH: u8 = 0x02;

    /// The bits as they travel.
    #[must_use]
    pub fn to_byte(self) -> u8 {
        let increasing = if self.only_increasing { Self::ONLY_INCREASING } else { 0 };
        let touch = if self.require_touch { Self::REQUIRE_TOUCH } else { 0 };
        increasing | touch
    }

    fn of(byte: u8) -> Self {
        Self {
            only_increasing: byte & Self::ONLY_INCREASING != 0,
            require_touch: byte & Self::REQUIRE_TOUCH != 0,
        }
    }
}

/// How much a key puts up with in a PUT.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Strictness {
    /// Firmware 5.7 and later: nothing that does not belong there.
    Strict,
    /// Before: unknown properties, a counter where none belongs, and anything after the last field
    /// are overlooked.
    Lenient,
}

/// PUT: a credential to be stored. `Debug` hides the secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Put {
    /// Its name.
    pub id: CredentialId,
    /// HOTP or TOTP.
    pub kind: Kind,
    /// SHA-512 needs firmware 4.3.1.
    pub algorithm: Algorithm,
    /// The length of its codes.
    pub digits: Digits,
    /// The secret as [`prepare_secret`](crate::oath::prepare_secret) gives it: 14 to 64 bytes.
    pub secret: SecretBytes,
    /// What it insists on.
    pub properties: Properties,
    /// The counter of its first code; for HOTP only.
    pub counter: u32,
}

impl Put {
    /// The body of the command. A counter of 0 and empty properties are not mentioned.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut key = Writer::new();
        key.push_raw(&[type_byte(self.kind, self.algorithm), self.digits.get()]);
        key.push_raw(self.secret.expose());
        let mut body = Writer::new();
        body.push(tag::NAME, self.id.as_bytes()).push(tag::KEY, key.as_bytes());
        if self.properties != Properties::default() {
            body.push_raw(&[tag::PROPERTY, self.properties.to_byte()]);
        }
        if self.kind == Kind::Hotp && self.counter > 0 {
            body.push(tag::COUNTER, &self.counter.to_be_bytes());
        }
        body.into_bytes()
    }

    /// Reads the body of the command.
    ///
    /// # Errors
    /// [`CodecError`]; a key answers `6A80` and stores nothing.
    pub fn parse(body: &[u8], strictness: Strictness) -> Result<Self, CodecError> {
        let strict = strictness == Strictness::Strict;
        let mut reader = Reader::new(body);
        let id = read_id(&mut reader)?;
        let key = reader.expect(tag::KEY)?;
        let &[type_byte, digits, ref secret @ ..] = key else {
            return Err(CodecError::SecretLength { length: 0 });
        };
        let (kind, algorithm) = parse_type(type_byte)?;
        let digits = parse_digits(digits)?;
        if !(MIN_SECRET..=MAX_SECRET).contains(&secret.len()) {
            return Err(CodecError::SecretLength { length: secret.len() });
        }
        let properties = read_properties(&mut reader, strict)?;
        let counter = match reader.optional(tag::COUNTER) {
            Ok(Some(bytes)) if kind == Kind::Hotp => {
                u32::from_be_bytes(bytes.try_into().map_err(|_| CodecError::Counter)?)
            }
            Ok(Some(_)) if strict => return Err(CodecError::Counter),
            Err(error) if strict || kind == Kind::Hotp => return Err(error.into()),
            Ok(_) | Err(_) => 0,
        };
        if strict {
            reader.finish()?;
        }
        let secret = SecretBytes::new(secret.to_vec());
        Ok(Self { id, kind, algorithm, digits, secret, properties, counter })
    }
}

/// The property has a tag and a value but no length.
fn read_properties(reader: &mut Reader<'_>, strict: bool) -> Result<Properties, CodecError> {
    if reader.peek() != Some(tag::PROPERTY) {
        return Ok(Properties::default());
    }
    let &[_, byte] = reader.take_bytes(2)? else { return Err(TlvError::Truncated.into()) };
    let properties = Properties::of(byte);
    if strict && properties.to_byte() != byte {
        return Err(CodecError::Property(byte));
    }
    Ok(properties)
}

/// DELETE: the name of a credential.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Delete(pub CredentialId);

impl Delete {
    /// The body of the command.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::new();
        body.push(tag::NAME, self.0.as_bytes());
        body.into_bytes()
    }

    /// Reads the body of the command; what follows after the name is not looked at.
    ///
    /// # Errors
    /// [`CodecError`] when there is no name.
    pub fn parse(body: &[u8]) -> Result<Self, CodecError> {
        read_id(&mut Reader::new(body)).map(Self)
    }
}

/// RENAME: the old and the new name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Rename {
    /// The credential.
    pub from: CredentialId,
    /// Its new name.
    pub to: CredentialId,
}

impl Rename {
    /// The body of the command.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Writer::new();
        body.push(tag::NAME, self.from.as_bytes()).push(tag::NAME, self.to.as_bytes());
        body.into_bytes()
    }

    /// Reads the body of the command; what follows after the names is not looked at.
    ///
    /// # Errors
    /// [`CodecError`] when there are no two names.
    pub fn parse(body: &[u8]) -> Result<Self, CodecError> {
        let mut reader = Reader::new(body);
        Ok(Self { from: read_id(&mut reader)?, to: read_id(&mut reader)? })
    }
}
