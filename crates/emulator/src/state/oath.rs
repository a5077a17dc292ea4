//! What the OATH application remembers, and how it stands in the document.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use tapkey_protocol::oath::codec::{Challenge, Properties, Put, SALT_SIZE};
use tapkey_protocol::oath::{Algorithm, CredentialId, Digits, Kind, MAX_SECRET, MIN_SECRET};
use tapkey_protocol::secret::SecretBytes;

use super::hex;

/// Everything of the application.
#[derive(Clone, Debug, Default)]
pub(crate) struct OathState {
    /// `None` until the application is selected for the first time.
    pub(crate) salt: Option<[u8; SALT_SIZE]>,
    pub(crate) code: Option<OathCode>,
    /// In the order in which they were stored.
    pub(crate) credentials: Vec<OathCredential>,
}

/// What the password became.
#[derive(Clone, Debug)]
pub(crate) struct OathCode {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: SecretBytes,
}

/// A credential: what was stored, and how far it is.
#[derive(Clone, Debug)]
pub(crate) struct OathCredential {
    pub(crate) put: Put,
    /// Of HOTP: the counter of the next code.
    pub(crate) counter: u64,
    /// Of TOTP that only increases: the challenge answered last.
    pub(crate) last_challenge: Challenge,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OathDocument {
    #[serde(with = "hex")]
    salt: [u8; SALT_SIZE],
    code: Option<CodeDocument>,
    credentials: Vec<CredentialDocument>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct CodeDocument {
    algorithm: AlgorithmName,
    #[serde(serialize_with = "hex::write_bytes", deserialize_with = "secret")]
    key: SecretBytes,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct CredentialDocument {
    #[serde(serialize_with = "write_name", deserialize_with = "read_name")]
    name: CredentialId,
    kind: KindName,
    algorithm: AlgorithmName,
    #[serde(deserialize_with = "digits")]
    digits: u8,
    #[serde(serialize_with = "hex::write_bytes", deserialize_with = "secret")]
    secret: SecretBytes,
    only_increasing: bool,
    require_touch: bool,
    counter: u64,
    #[serde(serialize_with = "write_challenge", deserialize_with = "read_challenge")]
    last_challenge: Challenge,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum KindName {
    Hotp,
    Totp,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum AlgorithmName {
    Sha1,
    Sha256,
    Sha512,
}

impl OathDocument {
    /// `None` as long as there is nothing to remember, so that documents of keys whose application
    /// was never used stay as they were before it existed.
    pub(super) fn of(oath: &OathState) -> Option<Self> {
        Some(Self {
            salt: oath.salt?,
            code: oath
                .code
                .as_ref()
                .map(|code| CodeDocument { algorithm: code.algorithm.into(), key: code.key.clone() }),
            credentials: oath.credentials.iter().map(CredentialDocument::from).collect(),
        })
    }
}

impl From<OathDocument> for OathState {
    fn from(document: OathDocument) -> Self {
        Self {
            salt: Some(document.salt),
            code: document.code.map(|code| OathCode { algorithm: code.algorithm.into(), key: code.key }),
            credentials: document.credentials.into_iter().map(OathCredential::from).collect(),
        }
    }
}

impl From<&OathCredential> for CredentialDocument {
    fn from(credential: &OathCredential) -> Self {
        let put = &credential.put;
        Self {
            name: put.id.clone(),
            kind: match put.kind {
                Kind::Hotp => KindName::Hotp,
                Kind::Totp => KindName::Totp,
            },
            algorithm: put.algorithm.into(),
            digits: put.digits.get(),
            secret: put.secret.clone(),
            only_increasing: put.properties.only_increasing,
            require_touch: put.properties.require_touch,
            counter: credential.counter,
            last_challenge: credential.last_challenge.clone(),
        }
    }
}

impl From<CredentialDocument> for OathCredential {
    fn from(document: CredentialDocument) -> Self {
        let properties =
            Properties { only_increasing: document.only_increasing, require_touch: document.require_touch };
        let put = Put {
            id: document.name,
            kind: match document.kind {
                KindName::Hotp => Kind::Hotp,
                KindName::Totp => Kind::Totp,
            },
            algorithm: document.algorithm.into(),
            // It was checked while reading.
            digits: Digits::try_from(document.digits).unwrap_or_default(),
            secret: document.secret,
            properties,
            // Where it began does not matter any more.
            counter: 0,
        };
        Self { put, counter: document.counter, last_challenge: document.last_challenge }
    }
}

impl From<Algorithm> for AlgorithmName {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Sha256 => Self::Sha256,
            Algorithm::Sha512 => Self::Sha512,
            // There are no others.
            _ => Self::Sha1,
        }
    }
}

impl From<AlgorithmName> for Algorithm {
    fn from(name: AlgorithmName) -> Self {
        match name {
            AlgorithmName::Sha1 => Self::Sha1,
            AlgorithmName::Sha256 => Self::Sha256,
            AlgorithmName::Sha512 => Self::Sha512,
        }
    }
}

fn digits<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    let digits = u8::deserialize(deserializer)?;
    Digits::try_from(digits).map(|_| digits).map_err(D::Error::custom)
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SecretBytes, D::Error> {
    let secret = hex::read_bytes(deserializer)?;
    if (MIN_SECRET..=MAX_SECRET).contains(&secret.len()) {
        return Ok(secret);
    }
    Err(D::Error::custom(format_args!("a secret has {MIN_SECRET} to {MAX_SECRET} bytes")))
}

/// Names are text as a rule, and readable in the document; but a host may write any bytes.
fn write_name<S: serde::Serializer>(name: &CredentialId, serializer: S) -> Result<S::Ok, S::Error> {
    match std::str::from_utf8(name.as_bytes()) {
        Ok(text) if !text.starts_with(HEX_PREFIX) => serializer.serialize_str(text),
        _ => {
            let digits = data_encoding::HEXLOWER.encode(name.as_bytes());
            serializer.serialize_str(&format!("{HEX_PREFIX}{digits}"))
        }
    }
}

fn read_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<CredentialId, D::Error> {
    let text = String::deserialize(deserializer)?;
    let bytes = match text.strip_prefix(HEX_PREFIX) {
        Some(digits) => data_encoding::HEXLOWER_PERMISSIVE
            .decode(digits.as_bytes())
            .map_err(|_| D::Error::custom("hexadecimal digits were expected"))?,
        None => text.into_bytes(),
    };
    CredentialId::new(bytes).map_err(D::Error::custom)
}

const HEX_PREFIX: &str = "hex:";

fn write_challenge<S: serde::Serializer>(challenge: &Challenge, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&data_encoding::HEXLOWER.encode(challenge.as_bytes()))
}

fn read_challenge<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Challenge, D::Error> {
    let bytes = hex::read_bytes(deserializer)?;
    Challenge::new(bytes.expose()).map_err(D::Error::custom)
}
