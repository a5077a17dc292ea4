//! What can go wrong with a store once it is open.

use std::sync::Arc;

use tapkey_domain::{enrol::EnrolError, id::EnrolmentId};
use thiserror::Error;

use crate::{random::RandomError, vault::VaultError};

/// Why a store did not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum StoreError {
    #[error("there is no such account")]
    AccountNotFound,
    #[error("an account with this name exists already")]
    AccountExists,
    #[error("the account is disabled; enable it first")]
    AccountDisabled,
    #[error("the account still owns keys or pending enrolments; delete or reassign them first")]
    AccountNotEmpty,
    #[error("there is no such key")]
    KeyNotFound,
    #[error("no access code is stored with this key")]
    NoAccessCode,
    #[error("there is no such client")]
    ClientNotFound,
    #[error("there is no such token, or it is revoked already")]
    TokenNotFound,
    #[error("this is the last administrator's token that does not expire; create another one first")]
    LastAdministrator,
    #[error("a key with this public id exists already; delete it first or choose another public id")]
    PublicIdTaken,
    #[error("the enrolment {0} is pending for this public id; abandon it first or choose another public id")]
    PublicIdPending(EnrolmentId),
    #[error("the request id was used for another enrolment; draw a new one")]
    RequestIdReused,
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    #[error("the place where the last page ended is not understood; begin at the first page")]
    BadCursor,
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Random(#[from] RandomError),
    #[error("the database failed: {0}")]
    Database(#[from] rusqlite::Error),
    /// Whether the change is on disk is not known.
    #[error("the database could not commit: {0}")]
    Commit(Arc<rusqlite::Error>),
    #[error("the database failed: {0}")]
    Postgres(#[from] tokio_postgres::Error),
    /// Whether the change is on disk is not known.
    #[error("the database could not commit: {0}")]
    PostgresCommit(Arc<tokio_postgres::Error>),
    #[error("no connection to the database: {0}")]
    Pool(deadpool_postgres::PoolError),
    /// The fate of a whole batch.
    #[error(transparent)]
    Shared(Arc<StoreError>),
    #[error("the column {0} holds something that does not belong there; restore the database from a backup")]
    Corrupt(&'static str),
    #[error("the store is closed")]
    Closed,
}

impl StoreError {
    /// Whether the store itself failed, as opposed to refusing.
    pub(crate) const fn is_fault(&self) -> bool {
        matches!(
            self,
            Self::Vault(_)
                | Self::Random(_)
                | Self::Database(_)
                | Self::Commit(_)
                | Self::Postgres(_)
                | Self::PostgresCommit(_)
                | Self::Pool(_)
                | Self::Shared(_)
                | Self::Corrupt(_)
                | Self::Closed
        )
    }
}
