//! PSKC, the Portable Symmetric Key Container (RFC 6030): seeds in XML, plain, encrypted with a key that
//! both sides know, or encrypted with a passphrase.
//!
//! Reading goes in two steps, because the file itself says what is needed to open it:
//!
//! ```
//! use tapkey_protocol::formats::pskc::{Document, KeyKind, Protection, Unlock};
//!
//! let file = br#"<?xml version="1.0"?>
//! <KeyContainer Version="1.0" xmlns="urn:ietf:params:xml:ns:keyprov:pskc">
//!   <KeyPackage><Key Id="1" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:hotp">
//!     <Issuer>Example</Issuer>
//!     <AlgorithmParameters><ResponseFormat Length="8" Encoding="DECIMAL"/></AlgorithmParameters>
//!     <Data><Secret><PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue></Secret></Data>
//!   </Key></KeyPackage>
//! </KeyContainer>"#;
//! let document = Document::parse(file)?;
//! assert_eq!(document.protection(), &Protection::None);
//! let container = document.open(Unlock::Nothing)?;
//! assert_eq!(container.keys[0].secret.expose(), b"12345678901234567890");
//! assert!(matches!(container.keys[0].kind, KeyKind::Hotp { counter: 0, .. }));
//! # Ok::<(), tapkey_protocol::formats::pskc::PskcError>(())
//! ```
//!
//! Encrypted values are checked before they are decrypted. The encryption covers the secrets and
//! nothing else: names, serial numbers, and what stands in `UserId` can be read by anybody. For a
//! Yubico OTP credential that includes its private id.
//!
//! Not read: containers encrypted to a certificate (RFC 6030 section 6.3), and signatures, of which
//! [`Container::is_signed`] only says that there is one.

mod crypt;
mod names;
mod read;
mod write;
mod xml;

use thiserror::Error;

use crate::oath::{Algorithm, Digits, Factor, KeyUri};
use crate::otp::{PrivateId, PublicId};
use crate::secret::SecretBytes;

pub use crypt::Prf;
pub use read::{Document, Protection, Unlock};
pub use write::Seal;

/// What a file holds.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Container {
    /// The identifier that its writer gave it.
    pub id: Option<String>,
    /// The keys, in the order of the file.
    pub keys: Vec<Key>,
    /// There is a signature. It was not checked.
    pub is_signed: bool,
}

/// One key. `Debug` hides the secret.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Key {
    /// The device that holds it or is to hold it.
    pub device: DeviceInfo,
    /// Which part of the device: for a slot of a YubiKey `1` or `2`.
    pub module: Option<String>,
    /// The identifier of the key.
    pub id: Option<String>,
    /// Who gave it out.
    pub issuer: Option<String>,
    /// A name for people.
    pub friendly_name: Option<String>,
    /// Whose it is; often a distinguished name such as `CN=alice`.
    pub user_id: Option<String>,
    /// What it is for.
    pub kind: KeyKind,
    /// The key itself.
    pub secret: SecretBytes,
    /// The line of the file where it begins, from 1; 0 for a key that was not read from one.
    pub line: usize,
}

/// A device, as far as the file describes it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeviceInfo {
    /// Who made it.
    pub manufacturer: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Its model.
    pub model: Option<String>,
}

/// What a key is for.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum KeyKind {
    /// HOTP (RFC 4226).
    Hotp {
        /// The hash.
        algorithm: Algorithm,
        /// The length of its codes.
        digits: Digits,
        /// The counter of its next code.
        counter: u64,
    },
    /// TOTP (RFC 6238).
    Totp {
        /// The hash.
        algorithm: Algorithm,
        /// The length of its codes.
        digits: Digits,
        /// Seconds; not 0.
        period: u32,
    },
    /// A Yubico OTP credential; the secret is its AES key.
    YubicoOtp {
        /// What it types in front.
        public_id: PublicId,
        /// What is encrypted; where the file does not say it, `None`.
        private_id: Option<PrivateId>,
    },
    /// The key of an HMAC-SHA1 challenge-response slot.
    HmacSha1,
    /// Something that no application here computes, with the name of its algorithm: OCRA, PINs,
    /// other makers' methods.
    Other(String),
}

impl Key {
    /// A key about which nothing else is known.
    #[must_use]
    pub fn new(kind: KeyKind, secret: SecretBytes) -> Self {
        Self {
            device: DeviceInfo::default(),
            module: None,
            id: None,
            issuer: None,
            friendly_name: None,
            user_id: None,
            kind,
            secret,
            line: 0,
        }
    }

    /// The same account as `otpauth://` URIs describe them; `None` when it is neither HOTP nor TOTP.
    ///
    /// The account is, by the convention of Yubico's programs, the common name of `UserId` or all of
    /// it, else what follows the colon in `FriendlyName`, else the identifier of the key.
    #[must_use]
    pub fn to_key_uri(&self) -> Option<KeyUri> {
        let (algorithm, digits, factor) = match self.kind {
            KeyKind::Hotp { algorithm, digits, counter } => {
                (algorithm, digits, Factor::Counter { start: counter })
            }
            KeyKind::Totp { algorithm, digits, period } => (algorithm, digits, Factor::Time { period }),
            _ => return None,
        };
        let (issuer, account) = names::account(self);
        Some(KeyUri { issuer, account, secret: self.secret.clone(), algorithm, digits, factor })
    }

    /// An account as a key of a file, with its names in all the places where programs look for them.
    #[must_use]
    pub fn from_key_uri(uri: &KeyUri) -> Self {
        let KeyUri { algorithm, digits, .. } = *uri;
        let kind = match uri.factor {
            Factor::Counter { start: counter } => KeyKind::Hotp { algorithm, digits, counter },
            Factor::Time { period } => KeyKind::Totp { algorithm, digits, period },
        };
        let friendly_name = match &uri.issuer {
            Some(issuer) => format!("{issuer}:{}", uri.account),
            None => uri.account.clone(),
        };
        Self {
            issuer: uri.issuer.clone(),
            user_id: Some(format!("CN={}", names::escape(&uri.account))),
            friendly_name: Some(friendly_name),
            ..Self::new(kind, uri.secret.clone())
        }
    }
}

/// Why a file cannot be read or written. No message repeats a secret.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum PskcError {
    /// More bytes than any honest file has.
    #[error("the file has more than {} MiB, which no key file needs", xml::MAX_SIZE / 1024 / 1024)]
    TooLarge,
    /// Elements in elements, too many.
    #[error("the file nests its elements more than {} deep", xml::MAX_DEPTH)]
    TooDeep,
    /// It is not UTF-8.
    #[error("the file is not UTF-8 text")]
    NotText,
    /// It is not XML.
    #[error("line {line} is not well-formed XML")]
    NotXml {
        /// The line, from 1.
        line: usize,
    },
    /// A document type or an entity of its own: nothing in a key file needs them, and they are a
    /// way to make a small file huge.
    #[error("line {line} declares a document type or uses an entity, which is not accepted in key files")]
    DocumentType {
        /// The line, from 1.
        line: usize,
    },
    /// It is XML of another kind.
    #[error("the file is not a PSKC key container (RFC 6030)")]
    NotAContainer,
    /// A version that does not exist yet.
    #[error("the file has a version of PSKC other than 1.0")]
    Version,
    /// Something that has to be there is missing.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// Something has a value that makes no sense.
    #[error("{0} has a value that makes no sense")]
    Bad(&'static str),
    /// Encrypted in a way that is not known here.
    #[error("the file uses a method that is not supported here: {0}")]
    Method(String),
    /// Encrypted to a certificate.
    #[error(
        "the file is encrypted to a certificate, which is not supported; ask for one with a passphrase or a key"
    )]
    Certificate,
    /// Encrypted with a key that both sides know, which was not given.
    #[error("the file is encrypted with a pre-shared key, which was not given")]
    NeedsKey,
    /// Encrypted with a passphrase, which was not given.
    #[error("the file is encrypted with a passphrase, which was not given")]
    NeedsPassphrase,
    /// Encrypted without anything that shows whether it was changed.
    #[error("the file is encrypted without a checksum (MAC), so it cannot be told whether it was changed")]
    NoMac,
    /// The checksum is wrong.
    #[error("the key or the passphrase is wrong, or the file was changed")]
    WrongKey,
    /// A key or a passphrase that cannot be one.
    #[error("a pre-shared key has 16, 24 or 32 bytes")]
    KeyLength,
    /// A text has characters that XML cannot carry.
    #[error("a name contains control characters, which XML cannot carry")]
    ControlCharacter,
    /// The same, in one of the keys.
    #[error("key {number}{}: {problem}", place(*line))]
    InKey {
        /// Which key, from 1.
        number: usize,
        /// Its line, from 1; 0 when it was to be written.
        line: usize,
        /// What is wrong.
        problem: Box<PskcError>,
    },
}

impl PskcError {
    fn in_key(self, number: usize, line: usize) -> Self {
        Self::InKey { number, line, problem: Box::new(self) }
    }
}

fn place(line: usize) -> String {
    if line == 0 { String::new() } else { format!(" (line {line})") }
}

const NAMESPACE: &str = "urn:ietf:params:xml:ns:keyprov:pskc";
const HOTP: &str = "urn:ietf:params:xml:ns:keyprov:pskc:hotp";
const TOTP: &str = "urn:ietf:params:xml:ns:keyprov:pskc:totp";
/// draft-josefsson-keyprov-pskc-yubikey-00, and what Yubico's personalization tool writes.
const YUBICO_OTP: &str = "http://www.yubico.com/#yubikey-aes";
const HMAC_SHA1: &str = "http://www.w3.org/2000/09/xmldsig#hmac-sha1";

#[cfg(test)]
mod tests;
