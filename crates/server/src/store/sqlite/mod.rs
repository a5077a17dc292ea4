//! The embedded store: SQLite with a write-ahead log, `synchronous=FULL`, one writing thread that
//! lets concurrent changes share a commit, and a few reading connections.

mod accounts;
mod audit;
mod clients;
mod columns;
mod enrolments;
mod imports;
mod keys;
mod open;
mod read;
mod secrets;
mod tokens;
mod validate;
mod writer;

use std::{path::Path, sync::Arc};

pub use open::OpenError;
pub(crate) use open::{DATABASE_FILE, Lock};
use rusqlite::Connection;
use tapkey_domain::{
    id::TenantId,
    verify::{Advance, Outcome},
};
use tapkey_protocol::secret::Secret as Bytes;

use self::{read::Readers, writer::Writer};
use super::{Counts, NewToken, Scope, StoreError};
use crate::{
    config::Synchronous,
    vault::{Vault, VaultError},
};

/// The embedded store.
#[derive(Debug)]
pub(crate) struct SqliteStore {
    // Closed first: the last connection to close, the writer's, then empties the log into the database.
    readers: Readers,
    writer: Writer,
    vault: Arc<Vault>,
    schema: u32,
}

impl SqliteStore {
    /// Creates the database in a folder that has none, with a first bearer token.
    pub(crate) fn create(
        folder: &Path,
        master: &Bytes<32>,
        scope: Scope,
        first: &NewToken,
    ) -> Result<(), OpenError> {
        let (_, check) = Vault::create(master)?;
        open::create(&folder.join(DATABASE_FILE), &check, &scope, first)
    }

    /// Opens the database. The caller holds the folder's lock.
    pub(crate) fn open(
        folder: &Path,
        master: &Bytes<32>,
        synchronous: Synchronous,
    ) -> Result<Self, OpenError> {
        let path = folder.join(DATABASE_FILE);
        open::inspect(&path)?;
        let (connection, schema) = open::writer(&path, synchronous)?;
        let check: Vec<u8> = connection
            .query_row("SELECT sealed_key FROM meta WHERE id = 0", [], |row| row.get(0))
            .map_err(|source| OpenError::Damaged { path: path.clone(), source })?;
        let vault = Vault::open(master, &check).map_err(|error| match error {
            VaultError::WrongMasterKey => OpenError::WrongMasterKey { path: path.clone() },
            other => OpenError::Vault(other),
        })?;
        let writer = Writer::start(connection).map_err(|source| OpenError::Thread { source })?;
        Ok(Self { writer, readers: Readers::new(path), vault: Arc::new(vault), schema })
    }

    pub(crate) const fn schema(&self) -> u32 {
        self.schema
    }

    pub(crate) async fn advance(&self, advance: Advance) -> Result<Outcome, StoreError> {
        self.writer.advance(advance).await
    }

    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        self.write(|_, _| Ok(())).await
    }

    pub(crate) async fn counts(&self, tenant: TenantId) -> Result<Counts, StoreError> {
        self.read(move |db, _| {
            let count = |sql: &str| -> Result<u64, StoreError> {
                Ok(columns::unsigned(db.query_row(sql, [tenant.get()], |row| row.get(0))?))
            };
            Ok(Counts {
                accounts: count("SELECT count(*) FROM accounts WHERE tenant = ?")?,
                keys: count("SELECT count(*) FROM credentials WHERE tenant = ? AND state <> 0")?,
                clients: count("SELECT count(*) FROM clients WHERE tenant = ?")?,
                tokens: count("SELECT count(*) FROM tokens WHERE tenant = ? AND revoked_at IS NULL")?,
                pending_enrolments: count("SELECT count(*) FROM enrolments WHERE tenant = ? AND state = 0")?,
            })
        })
        .await
    }

    /// Runs a change in the next commit; answers once that is on disk.
    async fn write<T, F>(&self, change: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Vault) -> Result<T, StoreError> + Send + 'static,
    {
        let vault = Arc::clone(&self.vault);
        self.writer.write(move |db| change(db, &vault)).await
    }

    /// Runs a query beside the writer.
    async fn read<T, F>(&self, query: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &Vault) -> Result<T, StoreError> + Send + 'static,
    {
        let vault = Arc::clone(&self.vault);
        self.readers.read(move |db| query(db, &vault)).await
    }
}

#[cfg(test)]
pub(super) mod tests;
