//! Connections, and transactions that are tried again.

use std::{ops::DerefMut, sync::Arc, time::Duration};

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts};
use tokio_postgres::{IsolationLevel, error::SqlState};

use super::{StoreError, open::Target, sql::Db};

/// How often a change is tried that others got in the way of.
const ATTEMPTS: u32 = 12;
/// How long to wait for a connection, in seconds: shorter than a request may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Connections for everything but moving counters.
pub(super) fn pool(target: &Target, connections: usize) -> Result<Pool, super::PostgresError> {
    // A broken connection is noticed by its first use, which costs an error once and no round trip each time.
    let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(target.config.clone(), target.tls.clone(), config);
    let timeouts = Timeouts { wait: Some(PATIENCE), create: Some(PATIENCE), recycle: Some(PATIENCE) };
    Pool::builder(manager)
        .max_size(connections)
        .timeouts(timeouts)
        .runtime(Runtime::Tokio1)
        .build()
        .map_err(|_| super::PostgresError::Runtime)
}

/// The connection itself, without the pool's store of named statements.
fn client(connection: &mut Object) -> &mut tokio_postgres::Client {
    connection.deref_mut().deref_mut()
}

/// What became of a transaction.
pub(super) enum End<T> {
    /// It is over, one way or the other.
    Done(Result<T, StoreError>),
    /// Others got in its way and it left nothing behind: after this time, again.
    Again(Duration),
}

/// Begins a transaction that sees and changes the database as if it were alone in it.
pub(super) async fn begin(connection: &mut Object) -> Result<Db<'_>, StoreError> {
    let transaction =
        client(connection).build_transaction().isolation_level(IsolationLevel::Serializable).start().await?;
    Ok(Db(transaction))
}

/// Begins a transaction that only reads.
pub(super) async fn begin_reading(connection: &mut Object) -> Result<Db<'_>, StoreError> {
    let transaction = client(connection)
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await?;
    Ok(Db(transaction))
}

/// Commits what succeeded, undoes what did not.
pub(super) async fn end<T>(db: Db<'_>, result: Result<T, StoreError>, attempt: u32) -> End<T> {
    let answer = match result {
        Ok(answer) => answer,
        Err(error) => {
            // A connection that is gone has undone it already.
            let _ = db.0.rollback().await;
            return again_or(error, attempt);
        }
    };
    match db.0.commit().await {
        Ok(()) => End::Done(Ok(answer)),
        // The database says that it did not commit.
        Err(error) if is_conflict(&error) => again_or(StoreError::Postgres(error), attempt),
        Err(error) => End::Done(Err(StoreError::PostgresCommit(Arc::new(error)))),
    }
}

fn again_or<T>(error: StoreError, attempt: u32) -> End<T> {
    match &error {
        StoreError::Postgres(cause) if attempt + 1 < ATTEMPTS && is_conflict(cause) => {
            End::Again(Duration::from_millis(u64::from(attempt) * 5 + 1))
        }
        _ => End::Done(Err(error)),
    }
}

/// Whether a transaction failed only because of others that went on at the same time. A row that
/// appeared under a unique name after it was looked for is such a case.
pub(super) fn is_conflict(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        [&SqlState::T_R_SERIALIZATION_FAILURE, &SqlState::T_R_DEADLOCK_DETECTED, &SqlState::UNIQUE_VIOLATION]
            .contains(&code)
    })
}

/// Carries a change out in a transaction, again where others got in its way.
macro_rules! change {
    ($store:expr, |$db:ident| $body:block) => {{
        let mut attempt = 0_u32;
        loop {
            let mut connection = $store.connection().await?;
            let $db = $crate::store::postgres::pool::begin(&mut connection).await?;
            let result: Result<_, $crate::store::StoreError> = async { $body }.await;
            match $crate::store::postgres::pool::end($db, result, attempt).await {
                $crate::store::postgres::pool::End::Done(result) => break result,
                $crate::store::postgres::pool::End::Again(wait) => {
                    drop(connection);
                    attempt += 1;
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }};
}

/// Carries a query out that sees one state of the database.
macro_rules! query {
    ($store:expr, |$db:ident| $body:block) => {{
        let mut connection = $store.connection().await?;
        let $db = $crate::store::postgres::pool::begin_reading(&mut connection).await?;
        let result: Result<_, $crate::store::StoreError> = async { $body }.await;
        let _ = $db.0.rollback().await;
        result
    }};
}

pub(super) use {change, query};
