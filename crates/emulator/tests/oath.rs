//! The OATH application over the smart card.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{AID_MANAGEMENT, AID_OTP, Bench};
use tapkey_emulator::port::in_process::PluggedKey;
use tapkey_emulator::{
    FileStore, MemoryStore, Milliseconds, Power, Profile, SeededRandom, StateError, StateStore, TouchError,
    TouchPolicy, VirtualKey,
};
use tapkey_protocol::aid;
use tapkey_protocol::apdu::chaining::{Next, Transaction};
use tapkey_protocol::apdu::{Command, Encoding, StatusWord};
use tapkey_protocol::link::CardLink;
use tapkey_protocol::oath::codec::{
    BulkAnswer, BulkEntry, Calculate, Challenge, CodeAnswer, Delete, Form, ListEntry, Lock, Properties, Put,
    Rename, Selected, SetCode, Validate, ins,
};
use tapkey_protocol::oath::{
    AccessKey, Algorithm, CredentialId, Digits, Kind, device_id, hotp, prepare_secret, totp, truncate,
};
use tapkey_protocol::secret::SecretBytes;

const RFC_KEY: &[u8] = b"12345678901234567890";
const LOCKED: StatusWord = StatusWord::SECURITY_STATUS_NOT_SATISFIED;
const NO_SUCH: StatusWord = StatusWord::REFERENCE_DATA_INVALIDATED;

/// A host of the application.
struct Oath<'a> {
    bench: &'a Bench,
    selected: Selected,
}

impl<'a> Oath<'a> {
    fn open(bench: &'a Bench) -> Self {
        let selected = Selected::parse(&bench.select(aid::OATH).unwrap()).unwrap();
        Self { bench, selected }
    }

    fn send(&self, ins: u8, body: &[u8]) -> Result<Vec<u8>, StatusWord> {
        self.send_with(ins, 0, 0, body)
    }

    fn send_with(&self, ins: u8, p1: u8, p2: u8, body: &[u8]) -> Result<Vec<u8>, StatusWord> {
        let mut card = self.bench.key.card().unwrap();
        let command = Command::new(0, ins, p1, p2, body);
        let mut transaction =
            Transaction::new(&command, Encoding::Short).unwrap().continue_with(ins::SEND_REMAINING);
        let mut next = transaction.start();
        loop {
            match next {
                Next::Send(bytes) => next = transaction.receive(&card.transmit(&bytes).unwrap()).unwrap(),
                Next::Done(response) => return response.into_data(),
            }
        }
    }

    fn put(&self, put: &Put) -> Result<(), StatusWord> {
        self.send(ins::PUT, &put.encode()).map(drop)
    }

    fn names(&self) -> Vec<String> {
        let body = self.send(ins::LIST, &[]).unwrap();
        ListEntry::parse_all(&body).unwrap().iter().map(|entry| entry.id.to_string()).collect()
    }

    fn calculate(&self, calculate: &Calculate, form: Form) -> Result<CodeAnswer, StatusWord> {
        let body = self.send_with(ins::CALCULATE, 0, form.p2(), &calculate.encode())?;
        Ok(CodeAnswer::parse(&body).unwrap())
    }

    fn code(&self, calculate: &Calculate) -> Result<String, StatusWord> {
        Ok(self.calculate(calculate, Form::Truncated)?.code().unwrap().to_string())
    }

    fn hotp(&self, name: &str) -> String {
        self.code(&Calculate::hotp(id(name))).unwrap()
    }

    fn all(&self, seconds: u64) -> Result<Vec<BulkEntry>, StatusWord> {
        let body = Challenge::time(seconds, 30).encode();
        let body = self.send_with(ins::CALCULATE_ALL, 0, Form::Truncated.p2(), &body)?;
        Ok(BulkEntry::parse_all(&body).unwrap())
    }

    fn key(&self, password: &str) -> AccessKey {
        AccessKey::derive(password, &self.selected.salt)
    }

    fn lock(&self) -> Lock {
        self.selected.lock.expect("a password is set")
    }

    fn validate(&self, key: &AccessKey) -> Result<Vec<u8>, StatusWord> {
        let body = self.send(ins::VALIDATE, &Validate::new(key, &self.lock(), [3; 8]).encode())?;
        Ok(Validate::parse_answer(&body).unwrap())
    }

    fn reset(&self) {
        self.send_with(ins::RESET, 0xDE, 0xAD, &[]).unwrap();
    }
}

fn id(name: &str) -> CredentialId {
    CredentialId::new(name).unwrap()
}

fn credential(name: &str, kind: Kind) -> Put {
    Put {
        id: id(name),
        kind,
        algorithm: Algorithm::Sha1,
        digits: Digits::SIX,
        secret: SecretBytes::new(RFC_KEY.to_vec()),
        properties: Properties::default(),
        counter: 0,
    }
}

fn touchy(name: &str) -> Put {
    let properties = Properties { require_touch: true, ..Properties::default() };
    Put { properties, ..credential(name, Kind::Totp) }
}

/// A key with a password, and the host that set it.
fn locked(bench: &Bench) -> AccessKey {
    let oath = Oath::open(bench);
    oath.put(&credential("a", Kind::Totp)).unwrap();
    let key = oath.key("secret");
    oath.send(ins::SET_CODE, &SetCode::set(&key, [1; 8]).encode()).unwrap();
    key
}

/// RFC 6238 appendix B, all three hashes, and every number of digits.
#[test]
fn totp_of_the_rfc() {
    for profile in Profile::ALL {
        let bench = Bench::of(profile);
        let oath = Oath::open(&bench);
        assert_eq!(oath.selected.version, profile.version());
        for (algorithm, length, expected) in [
            (Algorithm::Sha1, 20, ["94287082", "07081804", "65353130"]),
            (Algorithm::Sha256, 32, ["46119246", "68084774", "77737706"]),
            (Algorithm::Sha512, 64, ["90693936", "25091201", "47863826"]),
        ] {
            let secret: Vec<u8> = b"1234567890".iter().copied().cycle().take(length).collect();
            for digits in [Digits::SIX, Digits::SEVEN, Digits::EIGHT] {
                let secret = SecretBytes::new(secret.clone());
                oath.put(&Put { algorithm, digits, secret, ..credential("x", Kind::Totp) }).unwrap();
                for (seconds, code) in [59, 1_111_111_109, 20_000_000_000].into_iter().zip(expected) {
                    let shown = &code[8 - usize::from(digits.get())..];
                    assert_eq!(oath.code(&Calculate::totp(id("x"), seconds, 30)).unwrap(), shown);
                }
            }
        }
        assert_eq!(oath.names(), ["x"], "the same name replaces");
    }
}

/// RFC 4226 appendix D, and a counter that does not begin at 0.
#[test]
fn hotp_of_the_rfc() {
    let bench = Bench::new();
    let oath = Oath::open(&bench);
    oath.put(&credential("h", Kind::Hotp)).unwrap();
    for code in ["755224", "287082", "359152"] {
        assert_eq!(oath.hotp("h"), code);
    }
    oath.put(&Put { counter: 8, ..credential("h", Kind::Hotp) }).unwrap();
    assert_eq!([oath.hotp("h"), oath.hotp("h")], ["399871", "520489"], "stored again, it starts again");
    oath.put(&Put { counter: u32::MAX, ..credential("h", Kind::Hotp) }).unwrap();
    for counter in [u64::from(u32::MAX), 1 << 32] {
        assert_eq!(oath.hotp("h"), hotp(RFC_KEY, counter, Digits::SIX).to_string());
    }
}

#[test]
fn whole_and_truncated_values() {
    let bench = Bench::new();
    let oath = Oath::open(&bench);
    oath.put(&credential("x", Kind::Totp)).unwrap();
    let ask = Calculate::totp(id("x"), 59, 30);
    let CodeAnswer::Full { hmac, digits } = oath.calculate(&ask, Form::Full).unwrap() else { panic!() };
    assert_eq!(hmac.expose(), Algorithm::Sha1.hmac(RFC_KEY, &1_u64.to_be_bytes()));
    assert_eq!(digits, Digits::SIX);
    let truncated = truncate(hmac.expose()) % 1_000_000;
    assert_eq!(
        oath.calculate(&ask, Form::Truncated).unwrap(),
        CodeAnswer::Truncated { digits, value: truncated },
        "the key reduces it itself"
    );
}

#[test]
fn short_and_long_secrets_after_the_hosts_preparation() {
    let bench = Bench::new();
    let oath = Oath::open(&bench);
    for length in [1, 13, 14, 64, 65, 200] {
        let secret = vec![7; length];
        let prepared = prepare_secret(Algorithm::Sha1, &secret).unwrap();
        oath.put(&Put { secret: prepared, ..credential("x", Kind::Totp) }).unwrap();
        let expected = totp(Algorithm::Sha1, &secret, 59, 30, Digits::SIX).to_string();
        assert_eq!(oath.code(&Calculate::totp(id("x"), 59, 30)).unwrap(), expected);
    }
}

#[test]
fn all_codes_at_once() {
    let bench = Bench::new();
    let oath = Oath::open(&bench);
    assert_eq!(oath.all(59).unwrap(), []);
    oath.put(&credential("totp", Kind::Totp)).unwrap();
    oath.put(&Put { digits: Digits::EIGHT, ..credential("hotp", Kind::Hotp) }).unwrap();
    oath.put(&touchy("touch")).unwrap();
    let entries = oath.all(59).unwrap();
    let names: Vec<_> = entries.iter().map(|entry| entry.id.to_string()).collect();
    assert_eq!(names, ["totp", "hotp", "touch"]);
    let BulkAnswer::Code(code) = &entries[0].answer else { panic!() };
    assert_eq!(code.code().unwrap().to_string(), "287082");
    assert_eq!(entries[1].answer, BulkAnswer::Hotp(Digits::EIGHT));
    assert_eq!(entries[2].answer, BulkAnswer::Touch(Digits::SIX));
    assert_eq!(oath.hotp("hotp"), "84755224", "no code was used up");
    let trailing = [Challenge::time(59, 30).encode(), vec![0x99]].concat();
    assert!(oath.send_with(ins::CALCULATE_ALL, 0, 1, &trailing).is_ok(), "only the first field counts");
}

#[test]
fn delete_and_rename() {
    let bench = Bench::new();
    let oath = Oath::open(&bench);
    for name in ["a", "b", "c"] {
        oath.put(&credential(name, Kind::Totp)).unwrap();
    }
    let rename = |from, to| oath.send(ins::RENAME, &Rename { from: id(from), to: id(to) }.encode()).map(drop);
    assert_eq!(rename("b", "new"), Ok(()));
    assert_eq!(oath.names(), ["a", "new", "c"], "it keeps its place");
    assert_eq!(rename("b", "x"), Err(NO_SUCH));
    assert_eq!(rename("a", "c"), Err(NO_SUCH), "taken");
    assert_eq!(rename("a", "a"), Err(NO_SUCH), "taken, by itself");
    let delete = |name| oath.send(ins::DELETE, &Delete(id(name)).encode()).map(drop);
    assert_eq!(delete("a"), Ok(()));
    assert_eq!(delete("a"), Err(NO_SUCH));
    assert_eq!(oath.names(), ["new", "c"]);
    assert_eq!(oath.code(&Calculate::totp(id("a"), 59, 30)), Err(NO_SUCH));
}

#[test]
fn renaming_needs_firmware_5_3_1() {
    for profile in Profile::ALL {
        let bench = Bench::of(profile);
        let oath = Oath::open(&bench);
        oath.put(&credential("a", Kind::Totp)).unwrap();
        let answer = oath.send(ins::RENAME, &Rename { from: id("a"), to: id("b") }.encode());
        if profile.version().at_least(5, 3, 1) {
            assert_eq!(answer, Ok(vec![]));
        } else {
            assert_eq!(answer, Err(StatusWord::INS_NOT_SUPPORTED));
        }
    }
}

#[test]
fn room_for_32_or_64_and_long_answers_in_pieces() {
    for (profile, room) in [(Profile::YUBIKEY_5_4_3, 32), (Profile::YUBIKEY_5_7_4, 64)] {
        let bench = Bench::of(profile);
        let oath = Oath::open(&bench);
        let name = |number: usize| format!("{number:064}");
        for number in 0..room {
            oath.put(&credential(&name(number), Kind::Totp)).unwrap();
        }
        assert_eq!(oath.put(&credential("more", Kind::Totp)), Err(StatusWord::NO_SPACE));
        oath.put(&Put { digits: Digits::EIGHT, ..credential(&name(3), Kind::Totp) }).unwrap();
        assert_eq!(oath.names(), (0..room).map(name).collect::<Vec<_>>());
        assert_eq!(oath.all(59).unwrap().len(), room);

        let first = bench.raw(&[0, ins::LIST, 0, 0, 0]);
        assert_eq!((first.data.len(), first.status), (256, StatusWord(0x6100)));
        assert_eq!(bench.raw(&[0, 0xC0, 0, 0, 0]).status, StatusWord::INS_NOT_SUPPORTED, "A5, not C0");
        assert_eq!(bench.raw(&[0, ins::SEND_REMAINING, 0, 0, 0]).status, StatusWord::INS_NOT_SUPPORTED);
        let extended = bench.raw(&[0, ins::LIST, 0, 0, 0, 0, 0]);
        assert_eq!(extended.data.len(), (room * 67).min(3060));
    }
}

#[test]
fn nothing_remains_nothing_is_sent() {
    let bench = Bench::new();
    Oath::open(&bench);
    assert_eq!(bench.raw(&[0, ins::SEND_REMAINING, 0, 0]).status, StatusWord::INS_NOT_SUPPORTED);
}

#[test]
fn a_key_without_password() {
    let bench = Bench::new();
    let oath = Oath::open(&bench);
    assert_eq!(oath.selected.lock, None);
    let lock = Lock { challenge: [0; 8], algorithm: Algorithm::Sha1 };
    let proof = Validate::new(&oath.key("x"), &lock, [3; 8]).encode();
    assert_eq!(oath.send(ins::VALIDATE, &proof), Err(NO_SUCH));
    assert_eq!(oath.send(ins::SET_CODE, &SetCode::Remove.encode()), Ok(vec![]));
}

#[test]
fn a_password_locks_everything_but_proof_and_reset() {
    let bench = Bench::new();
    let key = locked(&bench);
    let oath = Oath::open(&bench);
    assert_eq!(oath.names(), ["a"], "whoever set it stays in");
    bench.select(AID_OTP).unwrap();
    let oath = Oath::open(&bench);
    for (instruction, body) in [
        (ins::PUT, credential("b", Kind::Totp).encode()),
        (ins::PUT, vec![]),
        (ins::DELETE, Delete(id("a")).encode()),
        (ins::RENAME, Rename { from: id("a"), to: id("b") }.encode()),
        (ins::LIST, vec![]),
        (ins::CALCULATE, Calculate::hotp(id("a")).encode()),
        (ins::CALCULATE_ALL, Challenge::none().encode()),
        (ins::SET_CODE, SetCode::Remove.encode()),
    ] {
        assert_eq!(oath.send(instruction, &body), Err(LOCKED), "{instruction:#04x}");
    }
    let wrong = oath.key("wrong");
    assert_eq!(oath.validate(&wrong), Err(StatusWord::WRONG_DATA));
    assert_eq!(oath.send(ins::LIST, &[]), Err(LOCKED));
    let proof = oath.validate(&key).unwrap();
    assert!(key.accepts(&[3; 8], &proof), "the key proves that it is the key");
    assert_eq!(oath.names(), ["a"]);
}

#[test]
fn an_old_proof_is_worth_nothing() {
    let bench = Bench::new();
    let key = locked(&bench);
    bench.select(AID_MANAGEMENT).unwrap();
    let oath = Oath::open(&bench);
    let proof = Validate::new(&key, &oath.lock(), [3; 8]).encode();
    let again = Oath::open(&bench);
    assert_ne!(oath.lock().challenge, again.lock().challenge);
    assert_eq!(again.send(ins::VALIDATE, &proof), Err(StatusWord::WRONG_DATA));
}

#[test]
fn what_locks_again() {
    let bench = Bench::new();
    let key = locked(&bench);
    let is_open = |bench: &Bench| Oath::open(bench).send(ins::LIST, &[]).is_ok();
    let unlock = |bench: &Bench| Oath::open(bench).validate(&key).map(drop).unwrap();
    assert!(is_open(&bench), "selecting the application again does not");
    assert!(is_open(&bench));
    bench.select(AID_MANAGEMENT).unwrap();
    assert!(!is_open(&bench), "another application does");
    unlock(&bench);
    assert_eq!(bench.select(&[0xA0, 0, 0, 9, 9, 9]), Err(StatusWord::NOT_FOUND));
    assert!(is_open(&bench), "an application that is not there does not");
    bench.key.card().unwrap().reset().unwrap();
    assert!(!is_open(&bench), "a reset does");
    unlock(&bench);
    bench.key.replug().unwrap();
    assert!(!is_open(&bench), "power does");
    unlock(&bench);
    Oath::open(&bench).send(ins::SET_CODE, &SetCode::Remove.encode()).unwrap();
    bench.key.replug().unwrap();
    assert!(is_open(&bench), "without a password it is open");
    assert_eq!(Oath::open(&bench).selected.lock, None);
}

#[test]
fn a_password_that_its_host_cannot_prove_is_not_set() {
    let bench = Bench::new();
    let oath = Oath::open(&bench);
    let mut body = SetCode::set(&oath.key("x"), [1; 8]).encode();
    *body.last_mut().unwrap() ^= 1;
    assert_eq!(oath.send(ins::SET_CODE, &body), Err(StatusWord::WRONG_DATA));
    assert_eq!(Oath::open(&bench).selected.lock, None);
}

#[test]
fn reset_deletes_everything_and_makes_another_key_of_it() {
    let bench = Bench::new();
    locked(&bench);
    bench.select(AID_OTP).unwrap();
    let before = Oath::open(&bench);
    for (p1, p2) in [(0, 0), (0xDE, 0), (0xAD, 0xDE)] {
        assert_eq!(before.send_with(ins::RESET, p1, p2, &[]), Err(StatusWord::WRONG_PARAMETERS));
    }
    before.reset();
    let after = Oath::open(&bench);
    assert_eq!(after.selected.lock, None);
    assert_ne!(device_id(&after.selected.salt), device_id(&before.selected.salt));
    assert!(after.names().is_empty());
}

#[test]
fn parameters_are_looked_at_first() {
    let bench = Bench::new();
    locked(&bench);
    bench.select(AID_OTP).unwrap();
    let oath = Oath::open(&bench);
    for instruction in [ins::PUT, ins::DELETE, ins::SET_CODE, ins::RENAME, ins::LIST, ins::VALIDATE] {
        assert_eq!(oath.send_with(instruction, 0, 1, &[]), Err(StatusWord::WRONG_PARAMETERS));
        assert_eq!(oath.send_with(instruction, 1, 0, &[]), Err(StatusWord::WRONG_PARAMETERS));
    }
    for instruction in [ins::CALCULATE, ins::CALCULATE_ALL] {
        assert_eq!(oath.send_with(instruction, 0, 2, &[]), Err(StatusWord::WRONG_PARAMETERS));
        assert_eq!(oath.send_with(instruction, 0, 1, &[]), Err(LOCKED));
    }
    assert_eq!(oath.send(0x06, &[]), Err(StatusWord::INS_NOT_SUPPORTED));
}

#[test]
fn both_classes_are_served() {
    let bench = Bench::new();
    Oath::open(&bench);
    assert_eq!(bench.raw(&[0x80, ins::LIST, 0, 0]).status, StatusWord::SUCCESS);
    assert_eq!(bench.raw(&[0x90, ins::LIST, 0, 0]).status, StatusWord::SUCCESS, "begins a chain");
    assert_eq!(bench.raw(&[0x40, ins::LIST, 0, 0]).status, StatusWord::CLA_NOT_SUPPORTED);
    bench.select(AID_MANAGEMENT).unwrap();
    assert_eq!(bench.raw(&[0x80, 0x1D, 0, 0]).status, StatusWord::CLA_NOT_SUPPORTED);
}

#[test]
fn firmware_5_7_takes_nothing_that_does_not_belong_there() {
    let totp = credential("x", Kind::Totp).encode();
    for (tail, name) in [
        (&[0x7A, 4, 0, 0, 0, 1][..], "a counter for TOTP"),
        (&[0x78, 0x80], "an unknown property"),
        (&[0x78, 0x00, 0x00], "a third byte of the property"),
    ] {
        let body = [&totp, tail].concat();
        let bench = Bench::of(Profile::YUBIKEY_5_7_4);
        let oath = Oath::open(&bench);
        assert_eq!(oath.send(ins::PUT, &body), Err(StatusWord::WRONG_DATA), "{name}");
        assert!(oath.names().is_empty(), "nothing was stored");
        let bench = Bench::of(Profile::YUBIKEY_5_4_3);
        assert_eq!(Oath::open(&bench).send(ins::PUT, &body), Ok(vec![]), "{name}");
    }
    let bench = Bench::new();
    let oath = Oath::open(&bench);
    oath.put(&credential("x", Kind::Totp)).unwrap();
    let mut body = vec![0x71, 1, b'x', 0x74, 65];
    body.extend([0; 65]);
    assert_eq!(oath.send_with(ins::CALCULATE, 0, 1, &body), Err(StatusWord::WRONG_DATA));
    assert_eq!(oath.send_with(ins::CALCULATE_ALL, 0, 1, &body[3..]), Err(StatusWord::WRONG_DATA));
    body[4] = 64;
    assert!(oath.send_with(ins::CALCULATE, 0, 1, &body[..69]).is_ok());
    assert_eq!(
        oath.send_with(ins::CALCULATE, 0, 1, &[0x74, 0, 0x71, 1, b'x']),
        Err(StatusWord::WRONG_DATA),
        "in the other order"
    );
}

#[test]
fn challenges_that_only_increase() {
    let store = MemoryStore::new();
    let properties = Properties { only_increasing: true, ..Properties::default() };
    {
        let bench = Bench::with(VirtualKey::builder().state(store.clone()).build().unwrap());
        let oath = Oath::open(&bench);
        oath.put(&Put { properties, ..credential("x", Kind::Totp) }).unwrap();
        oath.put(&credential("free", Kind::Totp)).unwrap();
        let at = |seconds| oath.code(&Calculate::totp(id("x"), seconds, 30));
        assert!(at(300).is_ok());
        assert!(at(300).is_ok(), "the same again");
        assert!(at(330).is_ok());
        assert_eq!(at(300), Err(LOCKED));
        assert!(oath.all(360).is_ok());
        assert_eq!(at(330), Err(LOCKED), "asking for all counts as well");
        assert_eq!(oath.all(330), Err(LOCKED));
        assert!(oath.code(&Calculate::totp(id("free"), 30, 30)).is_ok());
    }
    // The next power-up does not forget.
    let bench = Bench::with(VirtualKey::builder().state(store).build().unwrap());
    let oath = Oath::open(&bench);
    assert_eq!(oath.code(&Calculate::totp(id("x"), 330, 30)), Err(LOCKED));
    let ask = |bytes: &[u8]| {
        let challenge = Challenge::new(bytes).unwrap();
        oath.code(&Calculate { id: id("x"), challenge }).is_ok()
    };
    assert!(ask(&[0, 0, 12]), "zeros in front do not count");
    assert!(!ask(&[11]));
    assert!(ask(&[1, 0]));
    assert!(!ask(&[13]));
}

fn touch_bench(policy: TouchPolicy) -> Bench {
    let bench = Bench::with(VirtualKey::builder().touch(policy).build().unwrap());
    let oath = Oath::open(&bench);
    oath.put(&touchy("t")).unwrap();
    let properties = Properties { require_touch: true, ..Properties::default() };
    oath.put(&Put { properties, ..credential("h", Kind::Hotp) }).unwrap();
    bench
}

#[test]
fn a_code_after_a_touch() {
    let bench = touch_bench(TouchPolicy::Automatic(Milliseconds(700)));
    let oath = Oath::open(&bench);
    let before = bench.clock.now();
    assert_eq!(oath.code(&Calculate::totp(id("t"), 59, 30)).unwrap(), "287082");
    let waited = bench.clock.now() - before;
    assert!((700..1000).contains(&waited.0), "{waited}");
    assert_eq!(oath.hotp("h"), "755224");
    assert_eq!(oath.hotp("h"), "287082", "one touch, one code");
}

#[test]
fn nobody_touches() {
    for policy in [TouchPolicy::Manual, TouchPolicy::Never] {
        let bench = touch_bench(policy);
        let oath = Oath::open(&bench);
        let before = bench.clock.now();
        assert_eq!(oath.code(&Calculate::hotp(id("h"))), Err(LOCKED));
        assert!((15_000..15_200).contains(&(bench.clock.now() - before).0));
        assert_eq!(bench.key.touch(), Err(TouchError::NothingWaits), "too late");
        bench.key.with(|key| key.set_touch_policy(TouchPolicy::Automatic(Milliseconds::ZERO)));
        assert_eq!(oath.hotp("h"), "755224", "the wait used no code up");
    }
}

#[test]
fn somebody_touches_from_elsewhere() {
    // A real clock, so that the wait does not run away from the other thread.
    let key = VirtualKey::builder().touch(TouchPolicy::Manual).build().unwrap();
    let key = PluggedKey::new(key).unwrap();
    let mut card = key.card().unwrap();
    card.transmit(&Command::select(aid::OATH).encode(Encoding::Short).unwrap()).unwrap();
    let mut send = |ins, p2, body: &[u8]| {
        card.transmit(&Command::new(0, ins, 0, p2, body).encode(Encoding::Short).unwrap()).unwrap()
    };
    assert_eq!(send(ins::PUT, 0, &touchy("t").encode()), [0x90, 0]);
    let finger = std::thread::spawn({
        let key = key.clone();
        move || {
            while key.touch() == Err(TouchError::NothingWaits) {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
    });
    let answer = send(ins::CALCULATE, 1, &Calculate::totp(id("t"), 59, 30).encode());
    assert_eq!(answer[..3], [0x76, 5, 6]);
    finger.join().unwrap();
}

#[test]
fn a_key_taken_away_while_it_waits() {
    let key = VirtualKey::builder().touch(TouchPolicy::Manual).build().unwrap();
    let key = PluggedKey::new(key).unwrap();
    let mut card = key.card().unwrap();
    card.transmit(&Command::select(aid::OATH).encode(Encoding::Short).unwrap()).unwrap();
    let put = Command::new(0, ins::PUT, 0, 0, touchy("t").encode()).encode(Encoding::Short).unwrap();
    card.transmit(&put).unwrap();
    let thief = std::thread::spawn({
        let key = key.clone();
        move || {
            while key.with(|key| key.waits_for()).is_none() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            key.unplug();
        }
    });
    let body = Calculate::totp(id("t"), 59, 30).encode();
    let ask = Command::new(0, ins::CALCULATE, 0, 1, body).encode(Encoding::Short).unwrap();
    assert!(card.transmit(&ask).is_err());
    thief.join().unwrap();
}

/// The key in another process: one connection waits, another touches.
#[test]
fn over_the_socket() {
    use tapkey_emulator::port::socket::{Client, Server};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.sock");
    let key = VirtualKey::builder().touch(TouchPolicy::Manual).build().unwrap();
    let server = Server::bind(&path, PluggedKey::new(key).unwrap()).unwrap();
    let stopper = server.stopper();
    let server = std::thread::spawn(move || server.run().unwrap());
    let client = Client::new(&path);
    let mut card = client.card().unwrap();
    let mut send = |ins, p1, p2, body: &[u8]| {
        card.transmit(&Command::new(0, ins, p1, p2, body).encode(Encoding::Short).unwrap())
    };
    send(0xA4, 4, 0, aid::OATH).unwrap();
    assert_eq!(send(ins::PUT, 0, 0, &touchy("t").encode()).unwrap(), [0x90, 0]);
    let ask = Calculate::totp(id("t"), 59, 30).encode();
    let finger = std::thread::spawn({
        let client = client.clone();
        move || {
            while client.touch().is_err() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
    });
    assert_eq!(send(ins::CALCULATE, 0, 1, &ask).unwrap()[..3], [0x76, 5, 6]);
    finger.join().unwrap();

    // An emulator that ends does not wait for the touch.
    let stopped = std::thread::spawn(move || {
        while client.show().unwrap().waits_for_touch.is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let start = std::time::Instant::now();
        stopper.stop();
        server.join().unwrap();
        start.elapsed()
    });
    let _ = send(ins::CALCULATE, 0, 1, &ask);
    assert!(stopped.join().unwrap() < std::time::Duration::from_secs(5));
}

/// The key itself, without a port that waits.
#[test]
fn the_wait_step_by_step() {
    let bench = touch_bench(TouchPolicy::Manual);
    Oath::open(&bench);
    let body = Calculate::totp(id("t"), 59, 30).encode();
    let ask = Command::new(0, ins::CALCULATE, 0, 1, body).encode(Encoding::Short).unwrap();
    bench.key.with(|key| {
        assert_eq!(key.submit(&ask), None);
        assert_eq!(key.waits_for(), Some(Milliseconds(15_000)));
        assert_eq!(key.response(), None);
        key.touch().unwrap();
        assert_eq!(key.response().unwrap()[..3], [0x76, 5, 6]);
        assert_eq!(key.waits_for(), None);
        // A new command ends the wait.
        assert_eq!(key.submit(&ask), None);
        assert_eq!(key.submit(&[0, ins::LIST, 0, 0]).unwrap().len(), 10);
        assert_eq!(key.touch(), Err(TouchError::NothingWaits));
        // And so does a reset.
        assert_eq!(key.submit(&ask), None);
        key.card_reset();
        assert_eq!(key.response(), Some(vec![0x6F, 0x00]));
        // Where nobody can wait, only a touch that is sure to come counts.
        key.apdu(&Command::select(aid::OATH).encode(Encoding::Short).unwrap());
        assert_eq!(key.apdu(&ask), [0x69, 0x82]);
        key.set_touch_policy(TouchPolicy::Automatic(Milliseconds(100)));
        assert_eq!(key.apdu(&ask)[..3], [0x76, 5, 6]);
    });
}

#[test]
fn one_finger_serves_one_wait() {
    let bench = touch_bench(TouchPolicy::Manual);
    let mut slot = common::hmac(&[1]);
    slot.require_touch = true;
    bench.program(tapkey_protocol::slot::Slot::One, &slot);
    Oath::open(&bench);
    let body = Calculate::totp(id("t"), 59, 30).encode();
    let ask = Command::new(0, ins::CALCULATE, 0, 1, body).encode(Encoding::Short).unwrap();
    bench.key.with(|key| assert_eq!(key.submit(&ask), None));
    let refused = bench
        .hid(tapkey_protocol::slot::SlotCommand::ChallengeHmac(tapkey_protocol::slot::Slot::One), &[1; 64]);
    assert_eq!(refused, common::Answer::Refused);
    bench.key.with(|key| {
        key.touch().unwrap();
        assert_eq!(key.response().unwrap()[..3], [0x76, 5, 6]);
    });
}

#[test]
fn over_nfc_the_tap_is_the_touch() {
    let bench = touch_bench(TouchPolicy::Never);
    bench.nfc();
    let oath = Oath::open(&bench);
    assert_eq!(oath.code(&Calculate::totp(id("t"), 59, 30)).unwrap(), "287082");
    assert_eq!(oath.all(59).unwrap()[0].answer, BulkAnswer::Touch(Digits::SIX));
}

#[test]
fn the_application_can_be_switched_off() {
    use tapkey_protocol::management::{Capabilities, DeviceConfig, ins as management};
    let bench = Bench::new();
    Oath::open(&bench);
    let without = Capabilities(0x033F & !Capabilities::OATH.0);
    let config = DeviceConfig { usb_enabled: Some(without), ..DeviceConfig::default() };
    bench.select(AID_MANAGEMENT).unwrap();
    bench
        .transmit(&Command::new(0, management::WRITE_CONFIG, 0, 0, config.encode().expose().to_vec()))
        .unwrap();
    bench.key.replug().unwrap();
    assert_eq!(bench.select(aid::OATH), Err(StatusWord::NOT_FOUND));
    bench.nfc();
    Oath::open(&bench);
}

#[test]
fn the_file_keeps_everything_and_old_files_still_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    let build = || {
        let store = FileStore::open(&path).unwrap();
        Bench::with(VirtualKey::builder().random(SeededRandom::new(9)).state(store).build().unwrap())
    };
    drop(build());
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("oath"), "a key that never used the application has the old document");
    let (salt, key) = {
        let bench = build();
        let key = locked(&bench);
        let oath = Oath::open(&bench);
        oath.put(&credential("h", Kind::Hotp)).unwrap();
        oath.put(&credential("hex:é", Kind::Totp)).unwrap();
        let strange = Put { id: CredentialId::new([0xFF, 0xFE]).unwrap(), ..touchy("x") };
        oath.put(&Put { algorithm: Algorithm::Sha512, digits: Digits::EIGHT, ..strange }).unwrap();
        oath.hotp("h");
        (oath.selected.salt, key)
    };
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"name\": \"h\"") && text.contains("hex:fffe"), "{text}");
    let bench = build();
    let oath = Oath::open(&bench);
    assert_eq!(oath.selected.salt, salt);
    oath.validate(&key).unwrap();
    assert_eq!(oath.hotp("h"), "287082");
    let names: Vec<_> = ListEntry::parse_all(&oath.send(ins::LIST, &[]).unwrap())
        .unwrap()
        .iter()
        .map(|entry| entry.id.as_bytes().to_vec())
        .collect();
    assert_eq!(names, [&b"a"[..], b"h", "hex:é".as_bytes(), &[0xFF, 0xFE]]);
    assert_eq!(oath.all(59).unwrap()[3].answer, BulkAnswer::Touch(Digits::EIGHT));
}

/// A store that can be told to fail.
#[derive(Clone)]
struct Failing(MemoryStore, std::sync::Arc<std::sync::atomic::AtomicBool>);

impl StateStore for Failing {
    fn load(&mut self) -> Result<Option<SecretBytes>, StateError> {
        self.0.load()
    }

    fn save(&mut self, document: &[u8]) -> Result<(), StateError> {
        if self.1.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(StateError::Store("full".into()));
        }
        self.0.save(document)
    }

    fn location(&self) -> String {
        self.0.location()
    }
}

#[test]
fn a_code_that_could_not_be_stored_is_not_given_out() {
    let failing = Failing(MemoryStore::new(), std::sync::Arc::default());
    let bench = Bench::with(VirtualKey::builder().state(failing.clone()).build().unwrap());
    let oath = Oath::open(&bench);
    oath.put(&credential("h", Kind::Hotp)).unwrap();
    oath.put(&credential("t", Kind::Totp)).unwrap();
    failing.1.store(true, std::sync::atomic::Ordering::SeqCst);
    let ask = Calculate::hotp(id("h"));
    assert_eq!(oath.code(&ask), Err(StatusWord::MEMORY_FAILURE));
    assert_eq!(oath.put(&credential("x", Kind::Totp)), Err(StatusWord::MEMORY_FAILURE));
    assert!(oath.code(&Calculate::totp(id("t"), 59, 30)).is_ok(), "nothing to store");
    failing.1.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(oath.hotp("h"), "755224");
    assert_eq!(oath.names(), ["h", "t"]);
    bench.key.with(|key| {
        key.power(Power::Off).unwrap();
        key.power(Power::Usb).unwrap();
    });
    assert_eq!(Oath::open(&bench).hotp("h"), "287082");
}

#[test]
fn secrets_stay_out_of_debug() {
    let bench = Bench::new();
    Oath::open(&bench).put(&credential("x", Kind::Totp)).unwrap();
    let text = bench.key.with(|key| format!("{key:?}"));
    assert!(!text.contains("49, 50, 51"), "{text}");
}
