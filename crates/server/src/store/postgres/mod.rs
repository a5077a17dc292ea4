//! The store of more than one node: PostgreSQL, streaming replication and all.
//!
//! Nodes share the database and nothing else. What must not happen twice is decided by conditions in
//! the statements and by the database's own isolation, never by a lock of ours: no advisory locks, no
//! notifications, nothing that lives in a session, so that it also works through a pooler in
//! transaction mode.

mod accounts;
mod advance;
mod audit;
mod clients;
mod credential;
mod enrolments;
mod imports;
mod keys;
mod open;
mod pool;
mod secrets;
mod sql;
mod tokens;

use std::sync::Arc;

use deadpool_postgres::{Object, Pool};
pub use open::PostgresError;
pub(crate) use open::Target;
use tapkey_domain::{
    id::TenantId,
    verify::{Advance, Outcome},
};
use tapkey_protocol::secret::Secret as Bytes;

use self::{
    advance::Advancer,
    pool::{change, query},
    sql::int8,
};
use super::{Counts, NewToken, Scope, StoreError, values};
use crate::vault::{Vault, VaultError};

/// The store on PostgreSQL.
#[derive(Debug)]
pub(crate) struct PostgresStore {
    pool: Pool,
    advancer: Advancer,
    vault: Arc<Vault>,
    schema: u32,
}

impl PostgresStore {
    /// Whether the database holds a store.
    pub(crate) async fn exists(target: &Target) -> Result<bool, PostgresError> {
        let mut client = target.connect().await.map_err(PostgresError::Database)?;
        open::migrate(&mut client).await?;
        Ok(open::check(&client).await?.is_some())
    }

    /// Creates the tables in a database that has none, with a first bearer token.
    pub(crate) async fn create(
        target: &Target,
        master: &Bytes<32>,
        scope: Scope,
        first: &NewToken,
    ) -> Result<(), PostgresError> {
        let mut client = target.connect().await.map_err(PostgresError::Database)?;
        open::migrate(&mut client).await?;
        if open::check(&client).await?.is_some() {
            return Err(PostgresError::NotEmpty);
        }
        let (_, check) = Vault::create(master)?;
        open::fill(&mut client, &check, &scope, first).await
    }

    /// Opens the database; `connections` are for everything but validating.
    pub(crate) async fn open(
        target: Target,
        master: &Bytes<32>,
        connections: usize,
    ) -> Result<Self, PostgresError> {
        let mut client = target.connect().await.map_err(PostgresError::Database)?;
        let schema = open::migrate(&mut client).await?;
        let check = open::check(&client).await?.ok_or(PostgresError::NoStore)?;
        let vault = Vault::open(master, &check).map_err(|error| match error {
            VaultError::WrongMasterKey => PostgresError::WrongMasterKey,
            other => PostgresError::Vault(other),
        })?;
        let pool = pool::pool(&target, connections)?;
        Ok(Self { pool, advancer: Advancer::start(target, client), vault: Arc::new(vault), schema })
    }

    pub(crate) const fn schema(&self) -> u32 {
        self.schema
    }

    pub(crate) async fn advance(&self, advance: Advance) -> Result<Outcome, StoreError> {
        self.advancer.advance(advance).await
    }

    /// Whether the database takes changes, which a standby does not.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        change!(self, |db| { db.execute("UPDATE meta SET id = id WHERE id = 0", &[]).await.map(drop) })
    }

    pub(crate) async fn counts(&self, tenant: TenantId) -> Result<Counts, StoreError> {
        let tenant = tenant.get();
        query!(self, |db| {
            let sql = "SELECT (SELECT count(*) FROM accounts WHERE tenant = $1),
                              (SELECT count(*) FROM credentials WHERE tenant = $1 AND state <> 0),
                              (SELECT count(*) FROM clients WHERE tenant = $1),
                              (SELECT count(*) FROM tokens WHERE tenant = $1 AND revoked_at IS NULL),
                              (SELECT count(*) FROM enrolments WHERE tenant = $1 AND state = 0)";
            let params = [int8(&tenant)];
            let counts = db.one(sql, &params, |row| {
                Ok(Counts {
                    accounts: values::unsigned(row.get(0)?),
                    keys: values::unsigned(row.get(1)?),
                    clients: values::unsigned(row.get(2)?),
                    tokens: values::unsigned(row.get(3)?),
                    pending_enrolments: values::unsigned(row.get(4)?),
                })
            });
            Ok(counts.await?.unwrap_or_default())
        })
    }

    async fn connection(&self) -> Result<Object, StoreError> {
        self.pool.get().await.map_err(StoreError::Pool)
    }
}

#[cfg(test)]
pub(super) mod tests;
