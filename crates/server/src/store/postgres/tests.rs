//! The shared store alone: databases for tests, and what the contract needs to look inside.

use std::process::Command;

use tapkey_domain::{
    id::CredentialId,
    verify::{Secret, Stored},
};
use tokio_postgres::types::Type;

use super::*;
use crate::{
    random,
    store::contract::{first_token, master, scope},
};

/// A database of its own on the server that `scripts/postgres` runs. Dropped when this is.
pub(in crate::store) struct Database {
    server: String,
    name: String,
}

impl Database {
    pub(in crate::store) async fn create() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/postgres");
        let output = Command::new(script).output().expect("scripts/postgres runs");
        assert!(output.status.success(), "scripts/postgres: {}", String::from_utf8_lossy(&output.stderr));
        let server = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        let [random] = random::bytes::<8>().map(|bytes| [u64::from_le_bytes(bytes)]).unwrap();
        let name = format!("t{random:016x}");
        let database = Self { server, name };
        database.order(&format!("CREATE DATABASE {}", database.name)).await;
        database
    }

    pub(in crate::store) fn target(&self) -> Target {
        Target::new(&format!("{} dbname={}", self.server, self.name), None).unwrap()
    }

    async fn order(&self, sql: &str) {
        let target = Target::new(&format!("{} dbname=postgres", self.server), None).unwrap();
        target.connect().await.unwrap().batch_execute(sql).await.unwrap();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        let target = Target::new(&format!("{} dbname=postgres", self.server), None).unwrap();
        // A test may be ending in the middle of its runtime, so that this needs one of its own.
        let end = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { target.connect().await?.batch_execute(&sql).await })
        });
        let _ = end.join();
    }
}

/// An empty store in a database of its own.
pub(in crate::store) async fn create() -> (Database, PostgresStore) {
    let database = Database::create().await;
    let store = fill(&database).await;
    (database, store)
}

async fn fill(database: &Database) -> PostgresStore {
    let target = database.target();
    PostgresStore::create(&target, &master(), scope(TenantId::DEFAULT), &first_token()).await.unwrap();
    PostgresStore::open(target, &master(), 8).await.unwrap()
}

/// Gives a credential another secret, as an import would.
pub(in crate::store) async fn replace_secret(store: &PostgresStore, id: CredentialId, secret: &Secret) {
    let number = id.get();
    let change: Result<(), StoreError> = async {
        change!(store, |db| {
            db.execute("DELETE FROM credential_secrets WHERE credential = $1", &[int8(&number)]).await?;
            secrets::insert(&db, &store.vault, TenantId::DEFAULT, id, secret, None).await
        })
    }
    .await;
    change.unwrap();
}

/// Adds a tenant.
pub(in crate::store) async fn add_tenant(store: &PostgresStore, tenant: TenantId) {
    let id = tenant.get();
    let change: Result<u64, StoreError> = async {
        change!(store, |db| {
            let sql = "INSERT INTO tenants (id, name, created_at) VALUES ($1, 'other', 0)";
            db.execute(sql, &[int8(&id)]).await
        })
    }
    .await;
    change.unwrap();
}

/// What an advance is compared with.
pub(in crate::store) async fn stored(store: &PostgresStore, id: CredentialId) -> Stored {
    let connection = store.connection().await.unwrap();
    let ids = vec![id.get()];
    let rows = connection.query_typed(advance::STORED, &[(&ids, Type::INT8_ARRAY)]).await.unwrap();
    advance::stored(&sql::Columns(&rows[0])).unwrap().1
}

#[tokio::test]
async fn a_store_is_created_once() {
    let database = Database::create().await;
    assert!(!PostgresStore::exists(&database.target()).await.unwrap());
    let error = PostgresStore::open(database.target(), &master(), 1).await.unwrap_err();
    assert!(matches!(error, PostgresError::NoStore), "{error}");
    drop(fill(&database).await);
    assert!(PostgresStore::exists(&database.target()).await.unwrap());
    let again =
        PostgresStore::create(&database.target(), &master(), scope(TenantId::DEFAULT), &first_token()).await;
    assert!(matches!(again, Err(PostgresError::NotEmpty)));
    let error = PostgresStore::open(database.target(), &Bytes::new([4; 32]), 1).await.unwrap_err();
    assert!(matches!(error, PostgresError::WrongMasterKey), "{error}");
}

/// Nodes that start at the same moment on an empty database.
#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_start_together_agree_on_one_store() {
    let database = Database::create().await;
    let hands: Vec<_> = (0..6)
        .map(|_| {
            let target = database.target();
            tokio::spawn(async move {
                PostgresStore::create(&target, &master(), scope(TenantId::DEFAULT), &first_token()).await
            })
        })
        .collect();
    let mut created = 0;
    for hand in hands {
        created += usize::from(hand.await.unwrap().is_ok());
    }
    assert_eq!(created, 1);
    let store = PostgresStore::open(database.target(), &master(), 1).await.unwrap();
    assert_eq!(store.counts(TenantId::DEFAULT).await.unwrap().tokens, 1);
}

/// A database that was written by a newer program is left alone.
#[tokio::test]
async fn newer_tables_are_refused() {
    let (database, store) = create().await;
    drop(store);
    let client = database.target().connect().await.unwrap();
    let newer = "INSERT INTO refinery_schema_history VALUES (9999, 'later', '', '0')";
    client.batch_execute(newer).await.unwrap();
    let error = PostgresStore::open(database.target(), &master(), 1).await.unwrap_err();
    assert!(matches!(error, PostgresError::Newer { found: 9999, .. }), "{error}");
}

#[test]
fn addresses() {
    let new = |url: &str| Target::new(url, None);
    assert!(new("postgres://tapkey@localhost/tapkey").is_ok());
    assert!(new("host=/run/postgresql dbname=tapkey").is_ok());
    assert!(new("postgres://tapkey@db1.example.org,db2.example.org/tapkey?sslmode=disable").is_ok());
    for url in ["postgres://db.example.org/tapkey", "postgres://localhost/tapkey?sslmode=require"] {
        assert!(matches!(new(url), Err(PostgresError::NoAuthorities)), "{url}");
    }
    let error = new("postgres://tapkey:very-secret@localhost:port/x").unwrap_err();
    assert!(!error.to_string().contains("very-secret"), "{error}");
    let debug = format!("{:?}", new("postgres://tapkey:very-secret@localhost/x").unwrap());
    assert!(!debug.contains("very-secret"), "{debug}");
}
