//! The PIV application: commands, answers and stored objects, for the host that sends them and for
//! a key that takes them (NIST SP 800-73-4, with Yubico's additions as in "PIV commands" and "PIV
//! metadata" of the YubiKey documentation).
//!
//! | module or type | subject |
//! |---|---|
//! | [`Slot`], [`Algorithm`], [`PinPolicy`], [`TouchPolicy`] | where keys live and how they are used |
//! | [`Pin`], [`Puk`], [`ManagementKey`] | secrets |
//! | [`command`] | commands as a host sends them |
//! | [`Generate`], [`PrivateKey`], [`Authenticate`] … | bodies, to write and to read |
//! | [`PublicKey`], [`KeyMetadata`] … | answers, to write and to read |
//! | [`ObjectId`], [`CertificateObject`], [`Chuid`], [`Ccc`], [`AdminData`] | stored objects |
//! | [`attestation`] | what an attestation certificate says |
//! | [`VerifyAnswer`] | what a status word says of a PIN |
//!
//! Nothing here computes with keys: encrypting a block with the management key is the caller's
//! work, as is drawing random bytes.
//!
//! ```
//! use tapkey_protocol::piv::{Algorithm, Generate, PublicKey, Slot, command};
//!
//! let ask = Generate::new(Algorithm::P256);
//! assert_eq!(command::generate(Slot::SIGNATURE, &ask).data, [0xAC, 3, 0x80, 1, 0x11]);
//!
//! let mut answer = vec![0x7F, 0x49, 67, 0x86, 65, 4];
//! answer.extend_from_slice(&[7; 64]);
//! let public = PublicKey::parse_generated(&answer, Algorithm::P256)?;
//! assert_eq!(public.algorithm(), Some(Algorithm::P256));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod admin;
mod algorithm;
pub mod attestation;
mod authenticate;
mod certificate;
pub mod command;
mod generate;
mod identity;
mod metadata;
mod object;
mod policy;
mod private_key;
mod public_key;
mod secret;
mod slot;
mod status;

#[cfg(test)]
mod tests;

use thiserror::Error;

pub use admin::{AdminData, ProtectedKey, derived_management_key};
pub use algorithm::{Algorithm, ManagementKeyType, UnknownName};
pub use authenticate::{AuthAnswer, Authenticate};
pub use certificate::{CertificateObject, Compression};
pub use generate::Generate;
pub use identity::{Ccc, Chuid, DISCOVERY, SELECT_ANSWER};
pub use metadata::{BioMetadata, KeyMetadata, ManagementKeyMetadata, Origin, PinMetadata};
pub use object::{GetData, ObjectId, ObjectIdError, PutData, parse_object, write_object};
pub use policy::{PinPolicy, TouchPolicy};
pub use private_key::{Import, PrivateKey, PrivateKeyError};
pub use public_key::PublicKey;
pub use secret::{ChangeReference, ManagementKey, Pin, PinError, Puk, SetManagementKey, WrongKeyLength};
pub use slot::{Slot, SlotError};
pub use status::VerifyAnswer;

use crate::tlv::TlvError;
use crate::version::Version;

/// Instruction bytes. The class is 00.
pub mod ins {
    /// Checks the PIN, asks whether it was checked, or logs out.
    pub const VERIFY: u8 = 0x20;
    /// Changes the PIN or the PUK.
    pub const CHANGE_REFERENCE: u8 = 0x24;
    /// Sets a new PIN with the PUK.
    pub const RESET_RETRY: u8 = 0x2C;
    /// Generates a key.
    pub const GENERATE: u8 = 0x47;
    /// Uses a key, or proves the management key.
    pub const AUTHENTICATE: u8 = 0x87;
    /// Reads an object.
    pub const GET_DATA: u8 = 0xCB;
    /// Writes an object.
    pub const PUT_DATA: u8 = 0xDB;
    /// Moves or deletes a key (firmware 5.7 and later).
    pub const MOVE_KEY: u8 = 0xF6;
    /// Reads what is known of a key, PIN or PUK (firmware 5.3 and later).
    pub const METADATA: u8 = 0xF7;
    /// Reads the serial number (firmware 5.0 and later).
    pub const SERIAL: u8 = 0xF8;
    /// Makes a certificate about a generated key (firmware 4.3 and later).
    pub const ATTEST: u8 = 0xF9;
    /// Sets the numbers of tries.
    pub const SET_RETRIES: u8 = 0xFA;
    /// Empties the application.
    pub const RESET: u8 = 0xFB;
    /// Reads the version.
    pub const VERSION: u8 = 0xFD;
    /// Imports a key.
    pub const IMPORT: u8 = 0xFE;
    /// Sets the management key.
    pub const SET_MANAGEMENT_KEY: u8 = 0xFF;
}

/// References that are no key slot, in P2 of commands.
pub mod reference {
    /// The PIN.
    pub const PIN: u8 = 0x80;
    /// The PUK.
    pub const PUK: u8 = 0x81;
    /// Biometric matching.
    pub const BIO: u8 = 0x96;
    /// The management key.
    pub const MANAGEMENT_KEY: u8 = 0x9B;
}

/// The firmware from which on something is there.
pub mod since {
    use super::Version;

    /// Attestation, and the touch policy "cached".
    pub const ATTESTATION: Version = Version::new(4, 3, 0);
    /// PIN and touch policies.
    pub const POLICIES: Version = Version::new(4, 0, 0);
    /// The serial number over PIV.
    pub const SERIAL: Version = Version::new(5, 0, 0);
    /// Metadata.
    pub const METADATA: Version = Version::new(5, 3, 0);
    /// Management keys of AES.
    pub const AES_MANAGEMENT_KEY: Version = Version::new(5, 4, 0);
    /// Logging out by VERIFY.
    pub const LOG_OUT: Version = Version::new(5, 4, 3);
    /// Moving and deleting keys; RSA 3072 and 4096, Ed25519 and X25519.
    pub const KEY_MOVING: Version = Version::new(5, 7, 0);
    /// The first firmware whose RSA keys are weak (Yubico's advisory YSA-2017-01).
    pub const WEAK_RSA: Version = Version::new(4, 2, 0);
    /// The first firmware after it whose RSA keys are good again.
    pub const GOOD_RSA: Version = Version::new(4, 3, 5);
}

/// The factory's PIN.
pub const DEFAULT_PIN: &[u8] = b"123456";
/// The factory's PUK.
pub const DEFAULT_PUK: &[u8] = b"12345678";
/// The factory's number of tries, for PIN and PUK alike.
pub const DEFAULT_TRIES: u8 = 3;
/// The factory's management key, of 3DES before firmware 5.7 and of AES-192 from there on.
pub const DEFAULT_MANAGEMENT_KEY: [u8; 24] =
    [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8];

/// The most bytes of an object's value that firmware 5 takes.
pub const MAX_OBJECT: usize = 3063;

/// Why a command, an answer or an object of the PIV application cannot be read.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum CodecError {
    /// The fields are not the ones that belong there.
    #[error(transparent)]
    Fields(#[from] TlvError),
    /// A field is missing.
    #[error("the field {tag:#04x} is missing")]
    Missing {
        /// Its tag.
        tag: u16,
    },
    /// A field that does not belong there.
    #[error("the field {tag:#04x} does not belong there")]
    Unexpected {
        /// Its tag.
        tag: u16,
    },
    /// A field of the wrong length.
    #[error("the field {tag:#04x} has {length} bytes, which is a wrong length")]
    FieldLength {
        /// Its tag.
        tag: u16,
        /// Its bytes.
        length: usize,
    },
    /// An algorithm that does not exist, or not there.
    #[error("{0:#04x} is no algorithm")]
    Algorithm(u8),
    /// A PIN policy that does not exist.
    #[error("{0:#04x} is no PIN policy")]
    PinPolicy(u8),
    /// A touch policy that does not exist.
    #[error("{0:#04x} is no touch policy")]
    TouchPolicy(u8),
    /// An origin of a key that does not exist.
    #[error("{0:#04x} is no origin of a key")]
    Origin(u8),
    /// The body of a command has the wrong length.
    #[error("a body of {length} bytes, which is a wrong length")]
    BodyLength {
        /// Its bytes.
        length: usize,
    },
    /// An object that has no name of this kind.
    #[error(transparent)]
    Object(#[from] ObjectIdError),
    /// The parameters of the command are not possible.
    #[error("P1 {p1:#04x} and P2 {p2:#04x} are not possible")]
    Parameters {
        /// The first.
        p1: u8,
        /// The second.
        p2: u8,
    },
}

/// Reads a value of fixed size.
fn fixed<const N: usize>(tag: u16, value: &[u8]) -> Result<[u8; N], CodecError> {
    value.try_into().map_err(|_| CodecError::FieldLength { tag, length: value.len() })
}

/// Writes an element with a tag of two bytes.
fn push_wide(out: &mut crate::tlv::Writer, tag: u16, value: &[u8]) {
    let mut inner = crate::tlv::Writer::new();
    let [high, low] = tag.to_be_bytes();
    // The second tag byte and the length stand where a plain element has them.
    inner.push(low, value);
    out.push_raw(&[high]).push_raw(inner.as_bytes());
}
