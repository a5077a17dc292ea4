//! The embedded store alone: its writing thread, and what the contract needs to look inside.

use tapkey_domain::{
    id::CredentialId,
    verify::{Secret, Stored},
};
use tempfile::TempDir;

use super::*;
use crate::store::{
    Store,
    contract::{credential, first_token, master, scope, to},
};

/// An empty store in a folder of its own.
pub(in crate::store) fn create() -> (TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    SqliteStore::create(folder.path(), &master(), scope(TenantId::DEFAULT), &first_token()).unwrap();
    let store = SqliteStore::open(folder.path(), &master(), Synchronous::Full).unwrap();
    (folder, store)
}

/// Gives a credential another secret, as an import would.
pub(in crate::store) async fn replace_secret(store: &SqliteStore, id: CredentialId, secret: &Secret) {
    let secret = secret.clone();
    let change = store.write(move |db, vault| {
        db.execute("DELETE FROM credential_secrets WHERE credential = ?", [id.get()])?;
        secrets::insert(db, vault, TenantId::DEFAULT, id, &secret, None)
    });
    change.await.unwrap();
}

/// Adds a tenant.
pub(in crate::store) async fn add_tenant(store: &SqliteStore, tenant: TenantId) {
    let change = store.write(move |db, _| {
        db.execute("INSERT INTO tenants (id, name, created_at) VALUES (?, 'other', 0)", [tenant.get()])?;
        Ok(())
    });
    change.await.unwrap();
}

/// What an advance is compared with.
pub(in crate::store) async fn stored(store: &SqliteStore, id: CredentialId) -> Stored {
    store.read(move |db, _| Ok(validate::stored(db, id)?)).await.unwrap().unwrap()
}

/// A store and a credential in it, with counter 1/0.
async fn with_credential() -> (TempDir, Store, tapkey_domain::verify::Credential) {
    let (folder, store) = create();
    let store = Store::Sqlite(store);
    let credential = credential(&store, TenantId::DEFAULT, 0).await;
    (folder, store, credential)
}

fn embedded(store: &Store) -> &SqliteStore {
    match store {
        Store::Sqlite(store) => store,
        Store::Postgres(_) => panic!("an embedded store"),
    }
}

/// Where the commit fails, everybody in the batch is told so, and nothing of it is there.
#[tokio::test]
async fn a_failed_commit_is_nobodys_success() {
    let (_folder, store, credential) = with_credential().await;
    let store = embedded(&store);
    // Keeps the writing thread busy until the others are queued, so that they share a batch.
    let (started, running) = tokio::sync::oneshot::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let blocker = store.write(move |_, _| {
        let _ = started.send(());
        let _ = released.recv();
        Ok(())
    });
    // Violates a foreign key in a way that only the commit notices.
    let poison = store.write(|db, _| {
        db.execute_batch("PRAGMA defer_foreign_keys = ON")?;
        db.execute(
            "INSERT INTO accounts (id, tenant, name, active, generation, created_at) VALUES (1, 99, 'x', 1, 1, 0)",
            [],
        )?;
        Ok(())
    });
    let others = async {
        running.await.unwrap();
        let release = async { release.send(()).unwrap() };
        tokio::join!(poison, store.advance(to(&credential, 9, 0, None)), release)
    };
    let (blocked, (poisoned, advanced, ())) = tokio::join!(blocker, others);
    blocked.unwrap();
    assert!(matches!(poisoned, Err(StoreError::Commit(_))), "{poisoned:?}");
    assert!(matches!(advanced, Err(StoreError::Commit(_))), "{advanced:?}");
    assert_eq!(
        store.advance(to(&credential, 9, 0, None)).await.unwrap(),
        Outcome::Accepted,
        "it was not spent"
    );
}

/// Passwords of one credential that wait together are decided one after the other, in their order.
#[tokio::test]
async fn a_batch_decides_each_credential_once() {
    let (_folder, store, credential) = with_credential().await;
    let store = embedded(&store);
    let (started, running) = tokio::sync::oneshot::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let blocker = store.write(move |_, _| {
        let _ = started.send(());
        let _ = released.recv();
        Ok(())
    });
    let others = async {
        running.await.unwrap();
        let release = async { release.send(()).unwrap() };
        let to = |uses| store.advance(to(&credential, uses, 0, None));
        tokio::join!(to(5), to(5), to(4), to(6), release)
    };
    let (blocked, (first, same, older, newer, ())) = tokio::join!(blocker, others);
    blocked.unwrap();
    let replayed = Outcome::Replayed { same_request: false };
    let outcomes = [first, same, older, newer].map(Result::unwrap);
    assert_eq!(outcomes, [Outcome::Accepted, replayed, replayed, Outcome::Accepted]);
}
