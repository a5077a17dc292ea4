//! What an import puts into a store and gets out of it.

use std::fmt;

use tapkey_domain::{
    enrol::Caller,
    id::{CredentialId, EnrolmentId},
    import::Proof,
    name::{AccountName, Firmware, Label},
    verify::Secret,
};
use tapkey_protocol::{otp::PublicId, secret};

/// The identity that opens bundles, in age's own spelling.
pub(crate) struct BundleIdentity(pub(crate) zeroize::Zeroizing<String>);

impl fmt::Debug for BundleIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BundleIdentity(…)")
    }
}

/// A bundle, opened and understood, on its way into a store.
#[derive(Clone, Debug)]
pub(crate) struct NewImport {
    pub(crate) bundle: String,
    /// SHA-256 of the file, in hexadecimal.
    pub(crate) sha256: String,
    pub(crate) caller: Caller,
    pub(crate) trust_station: bool,
    pub(crate) create_accounts: bool,
    /// Only find out what would happen.
    pub(crate) dry_run: bool,
    pub(crate) records: Vec<BundleRecord>,
}

/// A record of a bundle.
#[derive(Clone, Debug)]
pub(crate) struct BundleRecord {
    pub(crate) id: String,
    /// The record in its plain form, for recognising it. Holds secrets.
    pub(crate) plain: secret::SecretBytes,
    pub(crate) fate: Fate,
    /// What to import, or why that is impossible.
    pub(crate) key: Result<ImportedKey, String>,
}

/// What the bundle itself says about a record.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fate {
    /// It may be in a key.
    Live,
    /// A later record took its place.
    Replaced,
    /// No key ever got it.
    Void,
}

/// A credential that a station wrote into a key.
#[derive(Clone, Debug)]
pub(crate) struct ImportedKey {
    pub(crate) account: AccountName,
    pub(crate) label: Option<Label>,
    pub(crate) slot: u8,
    pub(crate) serial: Option<u32>,
    pub(crate) firmware: Option<Firmware>,
    pub(crate) emulated: bool,
    pub(crate) public_id: PublicId,
    pub(crate) secret: Secret,
    pub(crate) access_code: Option<secret::Secret<6>>,
    /// The newest password that was typed at the station.
    pub(crate) proof: Option<Proof>,
}

/// What became of an import.
#[derive(Clone, Debug)]
pub(crate) struct Imported {
    pub(crate) applied: bool,
    /// In the order of the records.
    pub(crate) outcomes: Vec<ImportOutcome>,
}

/// What became of a record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum ImportOutcome {
    /// The key validates.
    Active(CredentialId),
    /// The key waits for a password.
    Pending(CredentialId, EnrolmentId),
    /// It was here before, and may still wait for a password.
    AlreadyImported(CredentialId, Option<EnrolmentId>),
    /// It was here before and is gone.
    Gone,
    /// The bundle says that it is nothing.
    Skipped(Fate),
    /// It cannot be imported, for this reason.
    Refused(String),
}
