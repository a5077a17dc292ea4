//! What every store must do, run against each of them.

use std::sync::Arc;

use proptest::strategy::{Strategy, ValueTree};
use tapkey_domain::{
    Moment,
    audit::Actor,
    enrol::{Caller, EnrolError},
    id::{TenantId, TokenId},
    role::Role,
    verify::{Advance, Credential, Generations, Outcome, Stored, advance},
};
use tapkey_protocol::{
    otp::{Counter, Otp, PrivateId, Timestamp, Token, UseCounter},
    secret::Secret as Bytes,
    validation::{ApiKey, Nonce},
};

use super::{
    Attempt, EnrolmentSecrets, KeyChange, NewClient, NewEnrolment, NewToken, Scope, Store, StoreError,
    postgres, sqlite,
};

/// A store that lasts as long as this does.
struct Bench {
    store: Arc<Store>,
    _place: Box<dyn std::any::Any>,
}

/// The bench of the embedded store.
async fn embedded() -> Bench {
    let (folder, store) = sqlite::tests::create();
    Bench { store: Arc::new(Store::Sqlite(store)), _place: Box::new(folder) }
}

/// The bench of the shared store.
async fn shared() -> Bench {
    let (database, store) = postgres::tests::create().await;
    Bench { store: Arc::new(Store::Postgres(store)), _place: Box::new(database) }
}

macro_rules! contract {
    ($($name:ident),+ $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(super::embedded().await).await; })+
        }
        mod on_postgresql {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() { super::$name(super::shared().await).await; })+
        }
    };
}

contract! {
    one_of_many_equal_advances_is_accepted,
    many_credentials_move_at_once,
    stale_decisions_are_refused,
    counters_outlive_the_credential,
    tenants_are_apart,
    a_refused_change_is_undone,
    requests_that_race_make_one_enrolment,
    the_statement_agrees_with_the_model,
}

async fn one_of_many_equal_advances_is_accepted(bench: Bench) {
    let store = Arc::clone(&bench.store);
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
async fn stale_decisions_are_refused(bench: Bench) {
    let store = Arc::clone(&bench.store);
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
async fn counters_outlive_the_credential(bench: Bench) {
    let store = Arc::clone(&bench.store);
    let tenant = TenantId::DEFAULT;
    let first = credential(&store, tenant, 0).await;
    assert_eq!(store.advance(to(&first, 5, 3, None)).await.unwrap(), Outcome::Accepted);
    store.delete_key(scope(tenant), first.id).await.unwrap();
    // The same secret, pending again, as an import would leave it.
    let secrets = store.create_enrolment(scope(tenant), CALLER, new_enrolment(4)).await.unwrap();
    let enrolment = store.enrolment(tenant, secrets.id).await.unwrap().unwrap();
    match &*store {
        Store::Sqlite(store) => {
            sqlite::tests::replace_secret(store, enrolment.credential, &first.secret).await
        }
        Store::Postgres(store) => {
            postgres::tests::replace_secret(store, enrolment.credential, &first.secret).await;
        }
    }
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
        assert!(matches!(error, StoreError::Enrol(EnrolError::ReplayedOtp)), "{error}");
    }
    confirm(5, 4).await.unwrap();
}

/// What one tenant owns, another neither sees nor changes.
async fn tenants_are_apart(bench: Bench) {
    let store = Arc::clone(&bench.store);
    let other = TenantId::new(2);
    match &*store {
        Store::Sqlite(store) => sqlite::tests::add_tenant(store, other).await,
        Store::Postgres(store) => postgres::tests::add_tenant(store, other).await,
    }
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
async fn a_refused_change_is_undone(bench: Bench) {
    let store = Arc::clone(&bench.store);
    let mut taken = new_enrolment(0);
    credential(&store, TenantId::DEFAULT, 0).await;
    taken.request_id = "another-request".parse().unwrap();
    taken.account = "bob".parse().unwrap();
    let refused = store.create_enrolment(scope(TenantId::DEFAULT), CALLER, taken).await;
    assert!(matches!(refused, Err(StoreError::PublicIdTaken)));
    assert!(store.account(TenantId::DEFAULT, "bob".to_owned()).await.unwrap().is_none());
}

/// Every credential has an owner of its own who is refused only what he did twice himself.
async fn many_credentials_move_at_once(bench: Bench) {
    let store = Arc::clone(&bench.store);
    let mut credentials = Vec::new();
    for number in 0..4 {
        credentials.push(credential(&store, TenantId::DEFAULT, number).await);
    }
    for round in 1..=100_u16 {
        // All that belong to a round wait together, twice each, and in both orders.
        let hands: Vec<_> = (0..8_usize)
            .map(|hand| {
                let (store, one) =
                    (Arc::clone(&store), credentials[if hand < 4 { hand } else { 7 - hand }].clone());
                tokio::spawn(async move {
                    let outcome = store.advance(to(&one, 1 + round, 0, None)).await.unwrap();
                    (one.id, outcome == Outcome::Accepted)
                })
            })
            .collect();
        let mut accepted = Vec::new();
        for hand in hands {
            let (id, yes) = hand.await.unwrap();
            accepted.extend(yes.then_some(id.get()));
        }
        accepted.sort_unstable();
        let mut all: Vec<_> = credentials.iter().map(|credential| credential.id.get()).collect();
        all.sort_unstable();
        assert_eq!(accepted, all, "round {round}: each once");
    }
}

/// The same request, sent by several hands at once, is one enrolment; of several requests for one
/// public id, one gets it.
async fn requests_that_race_make_one_enrolment(bench: Bench) {
    let store = Arc::clone(&bench.store);
    let race = async |requests: Vec<NewEnrolment>| {
        let hands: Vec<_> = requests
            .into_iter()
            .map(|new| {
                let store = Arc::clone(&store);
                tokio::spawn(
                    async move { store.create_enrolment(scope(TenantId::DEFAULT), CALLER, new).await },
                )
            })
            .collect();
        let mut answers = Vec::new();
        for hand in hands {
            answers.push(hand.await.unwrap());
        }
        answers
    };
    let mut anywhere = new_enrolment(0);
    anywhere.public_id = None;
    let same = race(vec![anywhere; 6]).await;
    let ids: Vec<_> = same.iter().map(|answer| answer.as_ref().unwrap().id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");

    let rivals = (1..=6).map(|number| NewEnrolment {
        request_id: format!("rival-number-{number}").parse().unwrap(),
        ..new_enrolment(1)
    });
    let answers = race(rivals.collect()).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    for error in answers.into_iter().filter_map(Result::err) {
        assert!(matches!(error, StoreError::PublicIdPending(_)), "{error}");
    }
    let counts = store.counts(TenantId::DEFAULT).await.unwrap();
    assert_eq!((counts.pending_enrolments, counts.accounts), (2, 1));
}

/// The SQL decides exactly as the model in the domain does, whatever happens in between.
async fn the_statement_agrees_with_the_model(bench: Bench) {
    let steps = proptest::collection::vec((1_u16..4, 0_u8..4, 0_usize..3, 0_u8..8), 1..40);
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    for case in 0..16 {
        let steps = steps.new_tree(&mut runner).unwrap().current();
        compare_with_model(&bench.store, TenantId::DEFAULT, case, steps).await;
    }
}

async fn compare_with_model(store: &Store, tenant: TenantId, case: u32, steps: Vec<(u16, u8, usize, u8)>) {
    let mut known = credential(store, tenant, 100 + 4 * case).await;
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
                model.active = !model.active;
                store.enable_key(scope(tenant), known.id, model.active).await.unwrap();
                model.generations.credential += 1;
            }
            1 => {
                model.account_active = !model.account_active;
                store.enable_account(scope(tenant), "alice".to_owned(), model.account_active).await.unwrap();
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
        assert_eq!(store.advance(advance.clone()).await.unwrap(), model.apply(&advance));
        let stored = match store {
            Store::Sqlite(store) => sqlite::tests::stored(store, known.id).await,
            Store::Postgres(store) => postgres::tests::stored(store, known.id).await,
        };
        assert_eq!(stored, model);
    }
    store.enable_account(scope(tenant), "alice".to_owned(), true).await.unwrap();
    store.delete_key(scope(tenant), known.id).await.unwrap();
}

/// The first bearer token of every store here.
pub(super) fn first_token() -> NewToken {
    NewToken { id: TokenId::new(7), role: Role::Admin, label: None, hash: [0; 32], expires_at: None }
}

/// Its master key.
pub(super) fn master() -> Bytes<32> {
    Bytes::new([3; 32])
}

pub(super) const CALLER: Caller = Caller { token: TokenId::new(7), admin: true };
const NOW: Moment = Moment::from_millis(1_000_000);

pub(super) fn scope(tenant: TenantId) -> Scope {
    Scope { tenant, actor: Actor::Local, now: NOW }
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

fn otp(secrets: &EnrolmentSecrets, session_counter: u8) -> Otp {
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
pub(super) async fn credential(store: &Store, tenant: TenantId, number: u32) -> Credential {
    let secrets = store.create_enrolment(scope(tenant), CALLER, new_enrolment(number)).await.unwrap();
    let attempt = Attempt { enrolment: secrets.id, caller: CALLER, otp: otp(&secrets, 0), otp_hash: [1; 32] };
    store.confirm_enrolment(scope(tenant), attempt).await.unwrap();
    store.credential(tenant, secrets.public_id).await.unwrap().unwrap()
}

pub(super) fn to(credential: &Credential, uses: u16, session: u8, nonce: Option<Nonce>) -> Advance {
    let token = Token {
        private_id: credential.secret.private_id.clone(),
        use_counter_raw: uses,
        timestamp: Timestamp::new(0),
        session_counter: session,
        random: 0,
    };
    advance(credential, &token, nonce, NOW)
}
