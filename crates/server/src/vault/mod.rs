//! Secrets at rest.
//!
//! Every record has a random data key of its own, which the master key wraps; the record's secret
//! columns are sealed with the data key. Changing the master key therefore rewraps 32 bytes per
//! record and touches no secret. The cipher is XChaCha20-Poly1305 throughout.
//!
//! What is sealed is bound to its place (tenant, table, record, column, format version), so that
//! copying a sealed value to another row or column of the database makes it unreadable.

mod master;
mod seal;

pub use master::MasterKeyError;
pub(crate) use master::{MASTER_KEY_FILE, create_master_key, read_master_key};
pub use seal::VaultError;
pub(crate) use seal::{Record, RecordKey, SealedKey, Vault};
