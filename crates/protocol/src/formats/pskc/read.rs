//! Reading a container.

use data_encoding::{BASE64, HEXLOWER_PERMISSIVE};
use zeroize::Zeroizing;

use super::crypt::{AES_CBC, Authenticator, HMACS, PBKDF2, Prf, decrypt};
use super::xml::{Element, parse};
use super::{
    Container, DeviceInfo, HMAC_SHA1, HOTP, Key, KeyKind, NAMESPACE, PskcError, TOTP, YUBICO_OTP, names,
};
use crate::oath::{Algorithm, DEFAULT_PERIOD, Digits};
use crate::otp::{PrivateId, PublicId};
use crate::secret::SecretBytes;

/// A file that was read but not opened yet.
pub struct Document {
    root: Element,
    protection: Protection,
}

/// What is needed to open a file.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Protection {
    /// Nothing.
    None,
    /// A key that both sides know.
    Key {
        /// How the writer calls it.
        name: Option<String>,
    },
    /// A passphrase.
    Passphrase {
        /// How the writer calls it.
        name: Option<String>,
        /// The hash of the derivation.
        prf: Prf,
        /// The salt of the derivation.
        salt: Vec<u8>,
        /// The rounds of the derivation, 10 million at most.
        rounds: u32,
        /// The bytes of the derived key, where the file says.
        length: Option<usize>,
    },
}

/// What opens a file.
#[derive(Clone, Copy)]
pub enum Unlock<'a> {
    /// Nothing: the file is not encrypted.
    Nothing,
    /// A key that both sides know: 16, 24 or 32 bytes.
    Key(&'a [u8]),
    /// A passphrase.
    Passphrase(&'a str),
}

impl Document {
    /// Reads the text of a file: UTF-8, 16 MiB at most.
    ///
    /// # Errors
    /// [`PskcError`] when it is no container, or one that cannot be opened here.
    pub fn parse(bytes: &[u8]) -> Result<Self, PskcError> {
        let (root, namespace) = parse(bytes)?;
        let ours = namespace.as_deref().is_some_and(|namespace| {
            namespace == NAMESPACE || namespace.strip_prefix(NAMESPACE) == Some(":1.0")
        });
        if root.name != "KeyContainer" || !ours {
            return Err(PskcError::NotAContainer);
        }
        match root.attribute("Version") {
            Some("1.0" | "1") => {}
            Some(_) => return Err(PskcError::Version),
            None => return Err(PskcError::Missing("the version")),
        }
        let protection = protection(&root)?;
        Ok(Self { root, protection })
    }

    /// What is needed to open it.
    #[must_use]
    pub const fn protection(&self) -> &Protection {
        &self.protection
    }

    /// Opens it: every secret's checksum is checked before it is decrypted.
    ///
    /// # Errors
    /// [`PskcError::WrongKey`]; [`PskcError::InKey`] for what is wrong with one of the keys.
    pub fn open(&self, unlock: Unlock<'_>) -> Result<Container, PskcError> {
        let opener = self.opener(unlock)?;
        let mut keys = Vec::new();
        for package in self.root.all("KeyPackage") {
            for element in package.all("Key") {
                let number = keys.len() + 1;
                let key = read_key(package, element, opener.as_ref());
                keys.push(key.map_err(|problem| problem.in_key(number, element.line))?);
            }
        }
        Ok(Container {
            id: self.root.attribute("Id").map(str::to_owned),
            keys,
            is_signed: self.root.child("Signature").is_some(),
        })
    }

    fn opener(&self, unlock: Unlock<'_>) -> Result<Option<Opener>, PskcError> {
        let key = match (&self.protection, unlock) {
            (Protection::None, _) => return Ok(None),
            (Protection::Key { .. }, Unlock::Key(key)) => SecretBytes::new(key.to_vec()),
            (Protection::Key { .. }, _) => return Err(PskcError::NeedsKey),
            (Protection::Passphrase { prf, salt, rounds, length, .. }, Unlock::Passphrase(passphrase)) => {
                prf.derive(passphrase, salt, *rounds, length.or(self.key_length()).unwrap_or(16))
            }
            (Protection::Passphrase { .. }, _) => return Err(PskcError::NeedsPassphrase),
        };
        if !AES_CBC.iter().any(|(_, length)| *length == key.len()) {
            return Err(PskcError::KeyLength);
        }
        let authenticator = match self.root.child("MACMethod") {
            None => None,
            Some(method) => Some(authenticator(method, &key)?),
        };
        Ok(Some(Opener { key, authenticator }))
    }

    /// The length that the first encrypted value asks for.
    fn key_length(&self) -> Option<usize> {
        let mut values = self.root.all("KeyPackage").flat_map(|package| package.all("Key"));
        let value = values.find_map(|key| key.path(&["Data", "Secret", "EncryptedValue"]))?;
        key_length(value).ok()
    }
}

fn protection(root: &Element) -> Result<Protection, PskcError> {
    let Some(encryption) = root.child("EncryptionKey") else { return Ok(Protection::None) };
    if let Some(derived) = encryption.child("DerivedKey") {
        return passphrase(derived);
    }
    let certificate = ["X509Data", "EncryptedKey", "KeyValue", "RetrievalMethod"];
    if certificate.iter().any(|name| encryption.child(name).is_some()) {
        return Err(PskcError::Certificate);
    }
    Ok(Protection::Key { name: encryption.text_of("KeyName") })
}

fn passphrase(derived: &Element) -> Result<Protection, PskcError> {
    let method =
        derived.child("KeyDerivationMethod").ok_or(PskcError::Missing("the method of key derivation"))?;
    let algorithm = method.attribute("Algorithm").unwrap_or_default();
    if algorithm != PBKDF2 && algorithm != PBKDF2_OF_XMLENC11 {
        return Err(PskcError::Method(algorithm.to_owned()));
    }
    let parameters =
        method.child("PBKDF2-params").ok_or(PskcError::Missing("the parameters of key derivation"))?;
    let salt = parameters.path(&["Salt", "Specified"]).ok_or(PskcError::Missing("the salt"))?;
    let rounds = parameters.text_of("IterationCount").ok_or(PskcError::Missing("the iteration count"))?;
    let rounds: u32 = number(&rounds).ok_or(PskcError::Bad("the iteration count"))?;
    if !(1..=MAX_ROUNDS).contains(&rounds) {
        return Err(PskcError::Bad("the iteration count"));
    }
    let length = match parameters.text_of("KeyLength") {
        None => None,
        Some(text) => Some(
            number(&text)
                .filter(|length| AES_CBC.iter().any(|(_, known)| known == length))
                .ok_or(PskcError::Bad("the key length"))?,
        ),
    };
    let prf = match parameters.child("PRF").and_then(|prf| prf.attribute("Algorithm")) {
        None | Some("") => Prf::Sha1,
        Some(uri) => Prf::of(uri).ok_or_else(|| PskcError::Method(uri.to_owned()))?,
    };
    Ok(Protection::Passphrase {
        name: derived.text_of("MasterKeyName"),
        prf,
        salt: base64(salt.text(), "the salt")?.to_vec(),
        rounds,
        length,
    })
}

/// The key of the file, and what checks its values.
struct Opener {
    key: SecretBytes,
    authenticator: Option<Authenticator>,
}

impl Opener {
    /// The plain value of an encrypted one, after its checksum was found right.
    fn open(&self, field: &Element, encrypted: &Element) -> Result<SecretBytes, PskcError> {
        let (Some(authenticator), Some(tag)) = (&self.authenticator, field.child("ValueMAC")) else {
            return Err(PskcError::NoMac);
        };
        let value = cipher_value(encrypted, self.key.len())?;
        authenticator.check(&value, &base64(tag.text(), "a checksum")?)?;
        decrypt(self.key.expose(), &value)
    }
}

/// Without a key of its own, the checksum is made with the key of the file.
fn authenticator(method: &Element, key: &SecretBytes) -> Result<Authenticator, PskcError> {
    let uri = method.attribute("Algorithm").unwrap_or_default();
    let (_, algorithm) =
        HMACS.iter().find(|(known, _)| *known == uri).ok_or_else(|| PskcError::Method(uri.to_owned()))?;
    let own = match method.child("MACKey") {
        Some(element) => decrypt(key.expose(), &cipher_value(element, key.len())?)?,
        None => key.clone(),
    };
    Ok(Authenticator { algorithm: *algorithm, key: own })
}

fn cipher_value(element: &Element, key: usize) -> Result<Vec<u8>, PskcError> {
    let wanted = key_length(element)?;
    if wanted != key {
        return Err(PskcError::KeyLength);
    }
    let value =
        element.path(&["CipherData", "CipherValue"]).ok_or(PskcError::Missing("an encrypted value"))?;
    Ok(base64(value.text(), "an encrypted value")?.to_vec())
}

fn key_length(element: &Element) -> Result<usize, PskcError> {
    let method = element.child("EncryptionMethod").and_then(|method| method.attribute("Algorithm"));
    let method = method.ok_or(PskcError::Missing("the method of encryption"))?;
    let known = AES_CBC.iter().find(|(uri, _)| *uri == method);
    known.map(|(_, length)| *length).ok_or_else(|| PskcError::Method(method.to_owned()))
}

fn read_key(package: &Element, element: &Element, opener: Option<&Opener>) -> Result<Key, PskcError> {
    let device = package.child("DeviceInfo").map(|info| DeviceInfo {
        manufacturer: info.text_of("Manufacturer"),
        serial: info.text_of("SerialNo"),
        model: info.text_of("Model"),
    });
    let user_id = element.text_of("UserId");
    let kind = kind(element, user_id.as_deref(), opener)?;
    let secret = match (data(element, "Secret", opener)?, &kind) {
        (Some(secret), _) => secret,
        // A key may stand for one that the other side has already.
        (None, KeyKind::Other(_)) => SecretBytes::default(),
        (None, _) => return Err(PskcError::Missing("the secret")),
    };
    match kind {
        KeyKind::YubicoOtp { .. } if secret.len() != 16 => return Err(PskcError::Bad("the AES key")),
        KeyKind::Other(_) => {}
        _ if secret.is_empty() => return Err(PskcError::Missing("the secret")),
        _ => {}
    }
    Ok(Key {
        device: device.unwrap_or_default(),
        module: package.path(&["CryptoModuleInfo", "Id"]).map(|id| id.text().to_owned()),
        id: element.attribute("Id").map(str::to_owned),
        issuer: element.text_of("Issuer"),
        friendly_name: element.text_of("FriendlyName"),
        // That of a Yubico OTP credential is its two ids, one of them a secret.
        user_id: user_id.filter(|_| !matches!(kind, KeyKind::YubicoOtp { .. })),
        kind,
        secret,
        line: element.line,
    })
}

fn kind(element: &Element, user_id: Option<&str>, opener: Option<&Opener>) -> Result<KeyKind, PskcError> {
    let name = element.attribute("Algorithm").unwrap_or_default();
    Ok(match name {
        HOTP => {
            let counter = integer(element, "Counter", opener)?.unwrap_or(0);
            KeyKind::Hotp { algorithm: suite(element)?, digits: digits(element)?, counter }
        }
        TOTP => {
            let period = integer(element, "TimeInterval", opener)?.unwrap_or(DEFAULT_PERIOD.into());
            let period = u32::try_from(period).ok().filter(|period| *period > 0);
            let period = period.ok_or(PskcError::Bad("the time interval"))?;
            // Where time begins; nobody means anything but 1970.
            if integer(element, "Time", opener)?.is_some_and(|time| time != 0) {
                return Err(PskcError::Method("a time that does not begin in 1970".to_owned()));
            }
            KeyKind::Totp { algorithm: suite(element)?, digits: digits(element)?, period }
        }
        YUBICO_OTP => {
            let named = |kind| user_id.and_then(|user| names::attribute(user, kind));
            let public_id = match named("CN") {
                Some(text) => text.parse().map_err(|_| PskcError::Bad("the public id"))?,
                None => PublicId::EMPTY,
            };
            let private_id = named("UID").map(|text| private_id(&text)).transpose()?;
            KeyKind::YubicoOtp { public_id, private_id }
        }
        HMAC_SHA1 => KeyKind::HmacSha1,
        other => KeyKind::Other(other.to_owned()),
    })
}

fn private_id(text: &str) -> Result<PrivateId, PskcError> {
    let bytes = HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
    let bytes = bytes.and_then(|bytes| <[u8; 6]>::try_from(bytes).ok());
    bytes.map(PrivateId::new).ok_or(PskcError::Bad("the private id"))
}

/// Programs write `HMAC-SHA256`, `SHA256` and `SHA-256`.
fn suite(element: &Element) -> Result<Algorithm, PskcError> {
    let Some(suite) = element.child("AlgorithmParameters").and_then(|one| one.text_of("Suite")) else {
        return Ok(Algorithm::Sha1);
    };
    let name = suite.to_ascii_uppercase().replace(['-', '_'], "");
    let name = name.strip_prefix("HMAC").unwrap_or(&name);
    let known = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512];
    known.into_iter().find(|known| known.name() == name).ok_or(PskcError::Bad("the algorithm suite"))
}

fn digits(element: &Element) -> Result<Digits, PskcError> {
    let Some(format) = element.path(&["AlgorithmParameters", "ResponseFormat"]) else {
        return Ok(Digits::SIX);
    };
    let bad = PskcError::Bad("the length of the codes");
    if format.attribute("Encoding").is_some_and(|encoding| encoding != "DECIMAL") {
        return Err(PskcError::Bad("the encoding of the codes"));
    }
    match format.attribute("Length") {
        None => Ok(Digits::SIX),
        Some(text) => number(text).and_then(|digits: u8| Digits::try_from(digits).ok()).ok_or(bad),
    }
}

/// A value, plain or encrypted.
fn data(element: &Element, name: &str, opener: Option<&Opener>) -> Result<Option<SecretBytes>, PskcError> {
    let Some(field) = element.path(&["Data", name]) else { return Ok(None) };
    match (field.child("PlainValue"), field.child("EncryptedValue"), opener) {
        (Some(_), Some(_), _) => Err(PskcError::Bad("a field that is both plain and encrypted")),
        (Some(plain), None, _) => {
            let mut bytes = base64(plain.text(), "a value")?;
            Ok(Some(SecretBytes::new(std::mem::take(&mut *bytes))))
        }
        (None, Some(encrypted), Some(opener)) => opener.open(field, encrypted).map(Some),
        (None, Some(_), None) => Err(PskcError::Missing("the key of the encryption")),
        (None, None, _) => Ok(None),
    }
}

/// An integer: digits when plain; digits or big-endian bytes when encrypted.
fn integer(element: &Element, name: &'static str, opener: Option<&Opener>) -> Result<Option<u64>, PskcError> {
    let Some(field) = element.path(&["Data", name]) else { return Ok(None) };
    let bad = PskcError::Bad("a number");
    if let Some(plain) = field.child("PlainValue") {
        return number(plain.text()).ok_or(bad).map(Some);
    }
    let Some(bytes) = data(element, name, opener)? else { return Ok(None) };
    let bytes = bytes.expose();
    if let Some(value) = str::from_utf8(bytes).ok().and_then(number) {
        return Ok(Some(value));
    }
    if bytes.len() > 8 {
        return Err(bad);
    }
    Ok(Some(bytes.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))))
}

fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    // `parse` would take a sign.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn base64(text: &str, what: &'static str) -> Result<Zeroizing<Vec<u8>>, PskcError> {
    let mut letters = Zeroizing::new(String::with_capacity(text.len()));
    letters.extend(text.chars().filter(|c| !c.is_ascii_whitespace()));
    BASE64.decode(letters.as_bytes()).map(Zeroizing::new).map_err(|_| PskcError::Bad(what))
}

const PBKDF2_OF_XMLENC11: &str = "http://www.w3.org/2009/xmlenc11#pbkdf2";
/// A file must not keep a reader busy for minutes.
const MAX_ROUNDS: u32 = 10_000_000;
