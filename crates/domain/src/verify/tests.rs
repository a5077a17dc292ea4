use proptest::prelude::*;
use tapkey_protocol::otp::UseCounter;

use super::*;

const GENERATIONS: Generations = Generations { credential: 3, account: 7 };

fn nonce(letter: char) -> Nonce {
    letter.to_string().repeat(16).parse().unwrap()
}

fn counter(value: u32) -> Counter {
    Counter::from_value(value).unwrap()
}

fn stored() -> Stored {
    Stored {
        active: true,
        account_active: true,
        generations: GENERATIONS,
        counter: Some(counter(0x105)),
        nonce: Some(nonce('a')),
    }
}

fn advance_to(value: u32, nonce: Option<Nonce>) -> Advance {
    Advance {
        credential: CredentialId::new(1),
        generations: GENERATIONS,
        counter: counter(value),
        timestamp: Timestamp::new(0),
        nonce,
        at: Moment::from_millis(1),
    }
}

fn credential() -> Credential {
    Credential {
        id: CredentialId::new(1),
        tenant: TenantId::DEFAULT,
        public_id: "vvccccbdefgh".parse().unwrap(),
        secret: Secret { private_id: PrivateId::new([1, 2, 3, 4, 5, 6]), aes_key: AesKey::new([9; 16]) },
        enabled: true,
        generations: GENERATIONS,
        account: AccountId::new(1),
        account_name: "alice".to_owned(),
        label: None,
        last: None,
    }
}

fn token() -> Token {
    Token {
        private_id: PrivateId::new([1, 2, 3, 4, 5, 6]),
        use_counter_raw: 0x8001,
        timestamp: Timestamp::new(5),
        session_counter: 6,
        random: 7,
    }
}

#[test]
fn a_password_opens_with_its_own_credential_only() {
    let credential = credential();
    let block = token().seal(&credential.secret.aes_key);
    let otp = Otp::new(credential.public_id, block);
    assert_eq!(open(&otp, &credential), Some(token()));

    let disabled = Credential { enabled: false, ..credential.clone() };
    assert_eq!(open(&otp, &disabled), None);
    let other_public_id = Otp::new(PublicId::EMPTY, block);
    assert_eq!(open(&other_public_id, &credential), None);
    let mut other_key = credential.clone();
    other_key.secret.aes_key = AesKey::new([8; 16]);
    assert_eq!(open(&otp, &other_key), None);
    let mut other_private_id = credential;
    other_private_id.secret.private_id = PrivateId::new([0; 6]);
    assert_eq!(open(&otp, &other_private_id), None);
}

#[test]
fn an_advance_carries_what_the_password_said() {
    let advance = advance(&credential(), &token(), Some(nonce('n')), Moment::from_millis(42));
    assert_eq!(advance.counter, Counter::new(UseCounter::from_raw(1), 6), "the top bit is dropped");
    assert_eq!(advance.generations, GENERATIONS);
    assert_eq!(advance.seen().at, Moment::from_millis(42));
}

type Change = fn(&mut Stored, &mut Advance);

#[test]
fn every_outcome() {
    let accepted = Outcome::Accepted;
    let replayed = Outcome::Replayed { same_request: false };
    let repeated = Outcome::Replayed { same_request: true };
    let cases: [(&str, Change, Outcome); 12] = [
        ("newer session", |_, a| a.counter = counter(0x106), accepted),
        ("newer use", |_, a| a.counter = counter(0x200), accepted),
        ("first ever", |s, a| (s.counter, a.counter) = (None, counter(0)), accepted),
        ("same", |_, a| a.nonce = Some(nonce('b')), replayed),
        ("same with the same nonce", |_, _| (), repeated),
        ("same, no nonces", |s, a| (s.nonce, a.nonce) = (None, None), replayed),
        ("older with the same nonce", |_, a| a.counter = counter(0x104), replayed),
        ("greater session but older use", |_, a| a.counter = counter(0xff), replayed),
        ("disabled", |s, a| (s.active, a.counter) = (false, counter(0x106)), Outcome::Disabled),
        (
            "account disabled",
            |s, a| (s.account_active, a.counter) = (false, counter(0x106)),
            Outcome::Disabled,
        ),
        ("changed", |s, a| (s.generations.credential, a.counter) = (4, counter(0x106)), Outcome::Stale),
        ("account changed", |s, a| (s.generations.account, a.counter) = (8, counter(0x106)), Outcome::Stale),
    ];
    for (name, change, expected) in cases {
        let (mut stored, mut advance) = (stored(), advance_to(0x105, Some(nonce('a'))));
        change(&mut stored, &mut advance);
        let before = stored.clone();
        assert_eq!(stored.apply(&advance), expected, "{name}");
        if expected == Outcome::Accepted {
            assert_eq!(stored.counter, Some(advance.counter), "{name}");
            assert_ne!(stored.apply(&advance), Outcome::Accepted, "{name}, twice");
        } else {
            assert_eq!(stored, before, "{name}: a refusal changes nothing");
        }
    }
}

#[test]
fn statuses() {
    assert_eq!(Outcome::Accepted.status(), Some(Status::Ok));
    assert_eq!(Outcome::Replayed { same_request: false }.status(), Some(Status::ReplayedOtp));
    assert_eq!(Outcome::Replayed { same_request: true }.status(), Some(Status::ReplayedRequest));
    assert_eq!(Outcome::Disabled.status(), Some(Status::BadOtp));
    assert_eq!(Outcome::Stale.status(), None);
}

#[test]
fn debug_shows_no_secret() {
    let text = format!("{:?}", credential());
    assert!(!text.contains("9, 9") && !text.contains("1, 2, 3"), "{text}");
}

proptest! {
    #[test]
    fn counters_never_go_back_and_no_password_is_accepted_twice(
        values in proptest::collection::vec(0u32..0x400, 1..64),
    ) {
        let mut stored = Stored { counter: None, ..stored() };
        let mut accepted = Vec::new();
        for value in values {
            let before = stored.counter;
            if stored.apply(&advance_to(value, None)) == Outcome::Accepted {
                prop_assert!(before < stored.counter);
                prop_assert!(!accepted.contains(&value));
                accepted.push(value);
            } else {
                prop_assert_eq!(before, stored.counter);
            }
        }
    }
}
