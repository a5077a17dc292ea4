//! Imports: the keys of a station's bundle become known to the server.
//!
//! | request | answer |
//! |---|---|
//! | `GET /bundle-key` | 200 [`BundleKey`]; made on first use |
//! | `POST /imports` with [`ImportBundle`] | 200 [`ImportReport`] |
//!
//! An import is all or nothing: where a single record is refused, nothing is changed, and the report
//! says which and why ([`ImportReport::applied`]). A record that was imported before is told so and
//! left as it is, so that repeating an import is harmless.
//!
//! An imported credential is pending: it validates nothing until a fresh password of its key was
//! verified (`POST /enrollments/confirm`). With [`ImportBundle::trust_station`] those that typed a
//! password at the station are active at once, and that password and every older one are spent.

use serde::{Deserialize, Serialize};

/// The server's public key for bundles.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct BundleKey {
    /// A native age recipient, `age1…`.
    pub recipient: String,
}

/// A bundle to import.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ImportBundle {
    /// The bundle's text, see [`crate::bundle`].
    pub bundle: String,
    /// Only say what would happen.
    #[serde(default)]
    pub dry_run: bool,
    /// Believe the station that the passwords in the bundle were typed by the keys, and activate these.
    #[serde(default)]
    pub trust_station: bool,
    /// Create accounts that do not exist.
    #[serde(default)]
    pub create_accounts: bool,
    /// Take a bundle that was not closed: keys may be missing at its end.
    #[serde(default)]
    pub accept_unclosed: bool,
}

/// What an import did, or would do.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ImportReport {
    /// The bundle's id.
    pub bundle: String,
    /// SHA-256 of the bundle, 64 hexadecimal digits: what the station says of the file that it wrote.
    pub sha256: String,
    /// Whether anything could be changed at all.
    pub dry_run: bool,
    /// Whether the station was trusted.
    pub trusted: bool,
    /// Whether the import was carried out; not in a dry run, and not where a record was refused.
    pub applied: bool,
    /// How many records were, or would be, what.
    pub counts: ImportCounts,
    /// Every record of the bundle, in its order.
    pub items: Vec<ImportItem>,
}

/// How many records were what.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ImportCounts {
    /// [`ImportResult::Active`].
    pub active: u64,
    /// [`ImportResult::Pending`].
    pub pending: u64,
    /// [`ImportResult::AlreadyImported`] and [`ImportResult::Gone`].
    pub known: u64,
    /// [`ImportResult::Replaced`] and [`ImportResult::Void`].
    pub skipped: u64,
    /// [`ImportResult::Refused`].
    pub refused: u64,
}

impl ImportCounts {
    /// Counts a result.
    pub const fn add(&mut self, result: ImportResult) {
        let place = match result {
            ImportResult::Active => &mut self.active,
            ImportResult::Pending => &mut self.pending,
            ImportResult::AlreadyImported | ImportResult::Gone => &mut self.known,
            ImportResult::Replaced | ImportResult::Void => &mut self.skipped,
            ImportResult::Refused | ImportResult::Unknown => &mut self.refused,
        };
        *place += 1;
    }
}

/// What became of one record.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ImportItem {
    /// The record's id.
    pub record: String,
    /// The account it is for.
    pub account: String,
    /// What people will call the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The key's serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// The public id, modhex.
    pub public_id: String,
    /// What became of it.
    pub result: ImportResult,
    /// The key's id on the server; it is known from the moment a credential is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The id of the enrolment that waits for a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrollment_id: Option<String>,
    /// Why, where there is anything to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ImportResult {
    /// The credential validates, because the station was trusted.
    Active,
    /// The credential waits for a password of its key.
    Pending,
    /// It was imported before, and is left as it is.
    AlreadyImported,
    /// It was imported before, and deleted or abandoned since. It does not come back.
    Gone,
    /// Another record of the bundle took its place.
    Replaced,
    /// The station says that no key ever got it.
    Void,
    /// It cannot be imported, and so nothing of the bundle is.
    Refused,
    /// A result that this version does not know.
    #[serde(other)]
    Unknown,
}
