//! The counters: nothing that a key gives out is ever given out again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use common::{AES, Answer, Bench, yubico};
use tapkey_emulator::{MemoryStore, Press, SeededRandom, Silence, StateError, StateStore, VirtualKey};
use tapkey_protocol::otp::{AesKey, Token};
use tapkey_protocol::secret::SecretBytes;
use tapkey_protocol::slot::{
    AccessCode, ChallengeYubico, Digits, HmacKey, Hotp, MovingFactor, Options, Slot, SlotCommand, TokenId,
};

const RFC_4226: [&str; 10] =
    ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];

fn hotp(moving_factor: u32, digits: Digits) -> Hotp {
    Hotp {
        key: HmacKey::new(*b"12345678901234567890"),
        digits,
        moving_factor: MovingFactor::new(moving_factor).unwrap(),
        token_id: None,
        options: Options::for_typing(),
        access_code: AccessCode::NONE,
    }
}

fn yubico_challenge() -> ChallengeYubico {
    ChallengeYubico {
        key: AesKey::new(AES),
        require_touch: false,
        options: Options::for_challenges(),
        access_code: AccessCode::NONE,
    }
}

fn stored(store: &MemoryStore) -> Bench {
    Bench::with(VirtualKey::builder().random(SeededRandom::new(1)).state(store.clone()).build().unwrap())
}

/// Changes the stored document by hand.
fn edit(store: &MemoryStore, from: &str, to: &str) {
    let mut store = store.clone();
    let document = store.load().unwrap().unwrap();
    let text = String::from_utf8(document.expose().to_vec()).unwrap();
    assert!(text.contains(from), "{text}");
    store.save(text.replace(from, to).as_bytes()).unwrap();
}

#[test]
fn the_use_counter_grows_at_the_first_use_after_power_up() {
    let bench = Bench::new();
    bench.program(Slot::One, &yubico());
    assert_eq!(bench.counters(Slot::One), (1, 0));
    assert_eq!(bench.counters(Slot::One), (1, 1));
    for _ in 0..5 {
        bench.key.replug().unwrap();
    }
    assert_eq!(bench.counters(Slot::One), (2, 0), "power-ups without a use do not count");
    bench.key.with(|key| key.card_reset());
    assert_eq!(bench.counters(Slot::One), (2, 1), "a card reset is no power-up");
    bench.nfc();
    bench.key.replug().unwrap();
    assert_eq!(bench.counters(Slot::One), (3, 0));
}

#[test]
fn slots_count_for_themselves() {
    let bench = Bench::new();
    bench.program(Slot::One, &yubico());
    bench.program(Slot::Two, &yubico());
    assert_eq!(bench.counters(Slot::One), (1, 0));
    assert_eq!(bench.counters(Slot::One), (1, 1));
    assert_eq!(bench.counters(Slot::Two), (1, 0));
    bench.key.replug().unwrap();
    assert_eq!(bench.counters(Slot::One), (2, 0));
}

#[test]
fn the_session_counter_wraps_into_the_use_counter() {
    let bench = Bench::new();
    bench.program(Slot::One, &yubico());
    for session in 0..=255 {
        assert_eq!(bench.counters(Slot::One), (1, session));
    }
    assert_eq!(bench.counters(Slot::One), (2, 0));
    assert_eq!(bench.counters(Slot::One), (2, 1));
}

#[test]
fn writing_a_slot_begins_anew() {
    let bench = Bench::new();
    bench.program(Slot::One, &yubico());
    bench.counters(Slot::One);
    bench.key.replug().unwrap();
    assert_eq!(bench.counters(Slot::One), (2, 0));
    bench.program(Slot::One, &yubico());
    assert_eq!(bench.counters(Slot::One), (1, 0));
}

#[test]
fn at_the_ceiling_the_slot_falls_silent() {
    let store = MemoryStore::new();
    stored(&store).program(Slot::One, &yubico());
    edit(&store, "\"use_counter\": 0", "\"use_counter\": 32766");
    let bench = stored(&store);
    for session in 0..=255 {
        assert_eq!(bench.counters(Slot::One), (0x7fff, session));
    }
    let silent = Press::Nothing(Silence::CounterExhausted);
    assert_eq!(bench.key.press(Slot::One).unwrap(), silent);
    bench.key.replug().unwrap();
    assert_eq!(bench.key.press(Slot::One).unwrap(), silent, "forever");
    assert_eq!(stored(&store).key.press(Slot::One).unwrap(), silent);
    bench.program(Slot::One, &yubico());
    assert_eq!(bench.counters(Slot::One), (1, 0), "until it is written again");
}

#[test]
fn the_state_outlives_the_key() {
    let store = MemoryStore::new();
    let bench = stored(&store);
    bench.program(Slot::One, &yubico());
    bench.program(Slot::Two, &hotp(0, Digits::Six));
    assert_eq!(bench.counters(Slot::One), (1, 0));
    assert_eq!(bench.press(Slot::Two), "755224\n");
    drop(bench);
    let bench = stored(&store);
    assert_eq!(bench.counters(Slot::One), (2, 0));
    assert_eq!(bench.press(Slot::Two), "287082\n");
    assert_eq!(bench.sequence(), 1);
}

#[test]
fn hotp_of_the_rfc() {
    let bench = Bench::new();
    bench.program(Slot::One, &hotp(0, Digits::Six));
    for code in RFC_4226 {
        assert_eq!(bench.press(Slot::One), format!("{code}\n"));
        bench.key.replug().unwrap();
    }
}

#[test]
fn hotp_with_eight_digits_a_start_and_a_token_id() {
    let bench = Bench::new();
    bench.program(Slot::One, &hotp(0, Digits::Eight));
    assert_eq!(bench.press(Slot::One), "84755224\n");
    let mut config = hotp(16, Digits::Six);
    config.token_id = Some(TokenId::from_serial(1_234_567));
    bench.program(Slot::One, &config);
    let expected =
        tapkey_protocol::oath::hotp(b"12345678901234567890", 16, tapkey_protocol::oath::Digits::SIX);
    assert_eq!(bench.press(Slot::One), format!("ubhe01234567{expected}\n"));
}

#[test]
fn the_hotp_counter_moves_with_a_swap() {
    let bench = Bench::new();
    bench.program(Slot::One, &hotp(0, Digits::Six));
    bench.press(Slot::One);
    assert_eq!(bench.hid(SlotCommand::Swap, &[]), Answer::Accepted);
    assert_eq!(bench.press(Slot::Two), "287082\n");
}

/// The answer is a ticket with the challenge in place of the private id; it counts like a ticket.
#[test]
fn a_yubico_challenge_is_answered_with_a_ticket() {
    let bench = Bench::new();
    bench.program(Slot::Two, &yubico_challenge());
    let mut last = None;
    for session in 0..4 {
        let answer = bench.hid(SlotCommand::ChallengeYubico(Slot::Two), &[1, 2, 3, 4, 5, 6]);
        let Answer::Data(block) = answer else { panic!("{answer:?}") };
        let block: [u8; 16] = block.try_into().unwrap();
        let token = Token::open(&AesKey::new(AES), &block).unwrap();
        assert_eq!(token.private_id.expose(), &[1, 2, 3, 4, 5, 6]);
        assert_eq!((token.use_counter_raw, token.session_counter), (1, session));
        assert!(Some(token.counter()) > last);
        last = Some(token.counter());
    }
    assert_eq!(bench.key.snapshot().slots[1].as_ref().unwrap().use_counter, Some(1));
    assert_eq!(bench.hid(SlotCommand::ChallengeHmac(Slot::Two), &[1]), Answer::Refused, "wrong kind");
}

#[test]
fn the_timestamp_runs_at_8_hz_from_a_random_start() {
    let bench = Bench::new();
    bench.program(Slot::One, &yubico());
    let first = bench.token(Slot::One).timestamp;
    bench.pass(10_000);
    let second = bench.token(Slot::One).timestamp;
    assert_eq!(second.ticks_since(first), 80);
    bench.pass(1000 * (1 << 24) / 8);
    assert_eq!(bench.token(Slot::One).timestamp, second, "24 bits wrap after 24 days");
    bench.key.replug().unwrap();
    let third = bench.token(Slot::One).timestamp;
    assert_ne!(third.ticks_since(second), 0, "another start at each power-up");
}

/// A store that can fail, and that remembers what it was given.
#[derive(Clone, Default)]
struct Unreliable {
    inner: MemoryStore,
    fails: Arc<AtomicBool>,
    saved: Arc<Mutex<Vec<String>>>,
}

impl StateStore for Unreliable {
    fn load(&mut self) -> Result<Option<SecretBytes>, StateError> {
        self.inner.load()
    }

    fn save(&mut self, document: &[u8]) -> Result<(), StateError> {
        if self.fails.load(Ordering::SeqCst) {
            return Err(StateError::Store("the disk is full".into()));
        }
        self.saved.lock().unwrap().push(String::from_utf8(document.to_vec()).unwrap());
        self.inner.save(document)
    }

    fn location(&self) -> String {
        "a bad disk".to_owned()
    }
}

#[test]
fn without_a_stored_counter_nothing_is_given_out() {
    let store = Unreliable::default();
    let bench = Bench::with(VirtualKey::builder().state(store.clone()).build().unwrap());
    bench.program(Slot::One, &yubico());
    bench.program(Slot::Two, &hotp(0, Digits::Six));
    store.fails.store(true, Ordering::SeqCst);
    for slot in Slot::ALL {
        bench.key.press(slot).unwrap_err();
    }
    let sequence = bench.sequence();
    assert_eq!(bench.delete(Slot::One), Answer::Refused, "writes are refused as well");
    assert_eq!(bench.sequence(), sequence);
    store.fails.store(false, Ordering::SeqCst);
    assert_eq!(bench.counters(Slot::One), (1, 0));
    assert_eq!(bench.press(Slot::Two), "755224\n");
}

#[test]
fn counters_are_stored_before_they_are_used() {
    let store = Unreliable::default();
    let bench = Bench::with(VirtualKey::builder().state(store.clone()).build().unwrap());
    bench.program(Slot::One, &yubico());
    bench.program(Slot::Two, &hotp(0, Digits::Six));
    let last = |store: &Unreliable| store.saved.lock().unwrap().last().unwrap().clone();
    bench.press(Slot::One);
    assert!(last(&store).contains("\"use_counter\": 1"));
    bench.press(Slot::Two);
    assert!(last(&store).contains("\"moving_factor\": 1"));
    let writes = store.saved.lock().unwrap().len();
    bench.press(Slot::One);
    assert_eq!(store.saved.lock().unwrap().len(), writes, "a session counter is not worth a write");
}
