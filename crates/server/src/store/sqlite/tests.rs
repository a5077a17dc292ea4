//! The store itself, without HTTP: what several hands at once may and may not do.

use std::sync::Arc;

use proptest::prelude::*;
use tapkey_domain::{
    Moment,
    audit::Actor,
    enrol::Caller,
    id::TokenId,
    role::Role,
    verify::{Credential, Generations, Stored, advance},
};
use tapkey_protocol::{
    otp::{Counter, Otp, PrivateId, Timestamp, Token, UseCounter},
    validation::{ApiKey, Nonce},
};
use tempfile::TempDir;

use super::*;
use crate::store::{Attempt, KeyChange, NewClient, NewEnrolment};

const CALLER: Caller = Caller { token: TokenId::new(7), admin: true };
const NOW: Moment = Moment::from_millis(1_000_000);

fn scope(tenant: TenantId) -> Scope {
    Scope { tenant, actor: Actor::Local, now: NOW }
}

fn create() -> (TempDir, Arc<SqliteStore>) {
    let folder = tempfile::tempdir().unwrap();
    let master = Bytes::new([3; 32]);
    let first =
        NewToken { id: TokenId::new(7), role: Role::Admin, label: None, hash: [0; 32], expires_at: None };
    SqliteStore::create(folder.path(), &master, scope(TenantId::DEFAULT), &first).unwrap();
    let store = SqliteStore::open(folder.path(), &master, Synchronous::Full).unwrap();
    (folder, Arc::new(store))
}

fn new_enrolment(number: u32) -> NewEnrolment {
    NewEnrolment {
        request_id: format!("request-{number}").parse().unwrap(),
        request_hash: [0; 32],
        account: "alice".parse().unwrap(),
        create_account: true,
        slot: 1,
        serial: None,
        firmware: None,
        public_id: Some(
            format!("cccccccccc{}", ["cc", "cb", "cd", "ce"][usize::try_from(number % 4).unwrap()])
                .parse()
                .unwrap(),
        ),
        label: None,
        emulated: true,
        access_code: false,
        expires_at: NOW.plus_millis(1000),
    }
}

fn otp(secrets: &crate::store::EnrolmentSecrets, session_counter: u8) -> Otp {
    let token = Token {
        private_id: PrivateId::new(*secrets.secret.private_id.expose()),
        use_counter_raw: 1,
        timestamp: Timestamp::new(0),
        session_counter,
        random: 0,
    };
    Otp::new(secrets.public_id, token.seal(&secrets.secret.aes_key))
}

/// An active credential of a tenant, with counter 1/0.
async fn credential(store: &SqliteStore, tenant: TenantId, number: u32) -> Credential {
    let secrets = store.create_enrolment(scope(tenant), CALLER, new_enrolment(number)).await.unwrap();
    let attempt = Attempt { enrolment: secrets.id, caller: CALLER, otp: otp(&secrets, 0), otp_hash: [1; 32] };
    store.confirm_enrolment(scope(tenant), attempt).await.unwrap();
    store.credential(tenant, secrets.public_id).await.unwrap().unwrap()
}

fn to(credential: &Credential, uses: u16, session: u8, nonce: Option<Nonce>) -> Advance {
    let token = Token {
        private_id: credential.secret.private_id.clone(),
        use_counter_raw: uses,
        timestamp: Timestamp::new(0),
        session_counter: session,
        random: 0,
    };
    advance(credential, &token, nonce, NOW)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_equal_advances_is_accepted() {
    let (_folder, store) = create();
    let credential = credential(&store, TenantId::DEFAULT, 0).await;
    for round in 1..=200 {
        let hands: Vec<_> = (0..8)
            .map(|_| {
                let (store, advance) = (Arc::clone(&store), to(&credential, 1 + round, 0, None));
                tokio::spawn(async move { store.advance(advance).await.unwrap() })
            })
            .collect();
        let mut accepted = 0;
        for hand in hands {
            accepted += usize::from(hand.await.unwrap() == Outcome::Accepted);
        }
        assert_eq!(accepted, 1, "round {round}");
    }
}

/// A decision made on a record that was changed, disabled or deleted since is refused.
#[tokio::test]
async fn stale_decisions_are_refused() {
    let (_folder, store) = create();
    let tenant = TenantId::DEFAULT;
    let before = credential(&store, tenant, 0).await;
    let relabel = KeyChange { account: None, label: Some("new".parse().ok()) };
    store.change_key(scope(tenant), before.id, relabel).await.unwrap();
    assert_eq!(store.advance(to(&before, 9, 0, None)).await.unwrap(), Outcome::Stale);

    let before = store.credential(tenant, before.public_id).await.unwrap().unwrap();
    store.enable_key(scope(tenant), before.id, false).await.unwrap();
    assert_eq!(store.advance(to(&before, 9, 0, None)).await.unwrap(), Outcome::Disabled);
    store.enable_key(scope(tenant), before.id, true).await.unwrap();
    assert_eq!(store.advance(to(&before, 9, 0, None)).await.unwrap(), Outcome::Stale);

    let before = store.credential(tenant, before.public_id).await.unwrap().unwrap();
    store.enable_account(scope(tenant), "alice".to_owned(), false).await.unwrap();
    assert_eq!(store.advance(to(&before, 9, 0, None)).await.unwrap(), Outcome::Disabled);
    store.enable_account(scope(tenant), "alice".to_owned(), true).await.unwrap();
    assert_eq!(store.advance(to(&before, 9, 0, None)).await.unwrap(), Outcome::Stale);

    let before = store.credential(tenant, before.public_id).await.unwrap().unwrap();
    assert_eq!(
        store.advance(to(&before, 2, 0, None)).await.unwrap(),
        Outcome::Accepted,
        "nothing above moved it"
    );
    store.delete_key(scope(tenant), before.id).await.unwrap();
    assert_eq!(store.advance(to(&before, 9, 0, None)).await.unwrap(), Outcome::Disabled);
}

/// A deleted credential whose very secret comes back does not accept what it accepted before.
#[tokio::test]
async fn counters_outlive_the_credential() {
    let (_folder, store) = create();
    let tenant = TenantId::DEFAULT;
    let first = credential(&store, tenant, 0).await;
    assert_eq!(store.advance(to(&first, 5, 3, None)).await.unwrap(), Outcome::Accepted);
    store.delete_key(scope(tenant), first.id).await.unwrap();
    let (id, secret) = (first.public_id, first.secret.clone());
    let mark = store
        .read(move |db, vault| keys::high_water_mark(db, tenant, id, &secrets::fingerprint(vault, &secret)?))
        .await
        .unwrap();
    assert_eq!(mark, Some(Counter::new(UseCounter::from_raw(5), 3)));

    // The same secret, pending again, as an import would leave it.
    let secrets = store.create_enrolment(scope(tenant), CALLER, new_enrolment(4)).await.unwrap();
    let secret = first.secret.clone();
    let enrolment = store.enrolment(tenant, secrets.id).await.unwrap().unwrap();
    store
        .write(move |db, vault| {
            db.execute("DELETE FROM credential_secrets WHERE credential = ?", [enrolment.credential.get()])?;
            secrets::insert(db, vault, tenant, enrolment.credential, &secret, None)
        })
        .await
        .unwrap();
    let type_with = |uses, session_counter| {
        let token = Token {
            private_id: first.secret.private_id.clone(),
            use_counter_raw: uses,
            timestamp: Timestamp::new(0),
            session_counter,
            random: 0,
        };
        let otp = Otp::new(secrets.public_id, token.seal(&first.secret.aes_key));
        Attempt { enrolment: secrets.id, caller: CALLER, otp, otp_hash: [1; 32] }
    };
    let confirm =
        async |uses, session| store.confirm_enrolment(scope(tenant), type_with(uses, session)).await;
    for (uses, session) in [(1, 0), (5, 2), (5, 3)] {
        let error = confirm(uses, session).await.unwrap_err();
        assert!(matches!(error, StoreError::Enrol(tapkey_domain::enrol::EnrolError::ReplayedOtp)), "{error}");
    }
    confirm(5, 4).await.unwrap();
}

/// What one tenant owns, another neither sees nor changes.
#[tokio::test]
async fn tenants_are_apart() {
    let (_folder, store) = create();
    let other = TenantId::new(2);
    store
        .write(move |db, _| {
            db.execute("INSERT INTO tenants (id, name, created_at) VALUES (2, 'other', 0)", [])?;
            Ok(())
        })
        .await
        .unwrap();
    let mine = credential(&store, TenantId::DEFAULT, 0).await;
    let client = NewClient { label: None, key: ApiKey::new(vec![1; 20]) };
    let client = store.create_client(scope(TenantId::DEFAULT), client).await.unwrap().id;
    // The same public id and account name, once more.
    let theirs = credential(&store, other, 0).await;
    assert_eq!(mine.public_id, theirs.public_id);
    assert_ne!((mine.id, mine.account), (theirs.id, theirs.account));
    assert_eq!(store.advance(to(&theirs, 9, 0, None)).await.unwrap(), Outcome::Accepted);
    assert_eq!(store.advance(to(&mine, 9, 0, None)).await.unwrap(), Outcome::Accepted);

    let scope = scope(other);
    assert!(store.key(other, mine.id).await.unwrap().is_none());
    assert!(matches!(store.enable_key(scope, mine.id, false).await, Err(StoreError::KeyNotFound)));
    assert!(matches!(store.delete_key(scope, mine.id).await, Err(StoreError::KeyNotFound)));
    assert!(matches!(store.access_code(scope, mine.id).await, Err(StoreError::KeyNotFound)));
    assert!(matches!(store.enable_client(scope, client, false).await, Err(StoreError::ClientNotFound)));
    assert!(matches!(store.delete_client(scope, client).await, Err(StoreError::ClientNotFound)));
    assert!(matches!(store.revoke_token(scope, TokenId::new(7)).await, Err(StoreError::TokenNotFound)));
    let counts = store.counts(other).await.unwrap();
    assert_eq!((counts.keys, counts.accounts, counts.clients, counts.tokens), (1, 1, 0, 0));
}

/// A change that refuses leaves nothing behind, not even what it did before it refused.
#[tokio::test]
async fn a_refused_change_is_undone() {
    let (_folder, store) = create();
    let mut taken = new_enrolment(0);
    credential(&store, TenantId::DEFAULT, 0).await;
    taken.request_id = "another-request".parse().unwrap();
    taken.account = "bob".parse().unwrap();
    let refused = store.create_enrolment(scope(TenantId::DEFAULT), CALLER, taken).await;
    assert!(matches!(refused, Err(StoreError::PublicIdTaken)));
    assert!(store.account(TenantId::DEFAULT, "bob".to_owned()).await.unwrap().is_none());
}

/// Where the commit fails, everybody in the batch is told so, and nothing of it is there.
#[tokio::test]
async fn a_failed_commit_is_nobodys_success() {
    let (_folder, store) = create();
    let credential = credential(&store, TenantId::DEFAULT, 0).await;
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
    let (_folder, store) = create();
    let credential = credential(&store, TenantId::DEFAULT, 0).await;
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// The SQL decides exactly as the model in the domain does.
    #[test]
    fn the_statement_agrees_with_the_model(
        steps in proptest::collection::vec((1u16..4, 0u8..4, 0usize..3, 0u8..8), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (_folder, store) = create();
            let mut known = credential(&store, TenantId::DEFAULT, 0).await;
            let mut model = Stored {
                active: true,
                account_active: true,
                generations: known.generations,
                counter: Some(Counter::new(UseCounter::from_raw(1), 0)),
                nonce: None,
            };
            for (uses, session, nonce, other) in steps {
                match other {
                    0 => {
                        let enabled = !model.active;
                        store.enable_key(scope(TenantId::DEFAULT), known.id, enabled).await.unwrap();
                        model.active = enabled;
                        model.generations.credential += 1;
                    }
                    1 => {
                        let enabled = !model.account_active;
                        store.enable_account(scope(TenantId::DEFAULT), "alice".to_owned(), enabled).await.unwrap();
                        model.account_active = enabled;
                        model.generations.account += 1;
                    }
                    2 => {
                        let Generations { credential, account } = model.generations;
                        known.generations = Generations { credential, account };
                    }
                    _ => {}
                }
                let nonce = [None, Some("a"), Some("b")][nonce].map(|n| n.repeat(16).parse().unwrap());
                let advance = to(&known, uses, session, nonce);
                let id = known.id;
                prop_assert_eq!(store.advance(advance.clone()).await.unwrap(), model.apply(&advance));
                let stored = store.read(move |db, _| Ok(validate::stored(db, id)?)).await.unwrap().unwrap();
                prop_assert_eq!(&stored, &model);
            }
            Ok(())
        })?;
    }
}
