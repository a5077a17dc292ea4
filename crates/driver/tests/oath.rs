//! The OATH session on emulated keys.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]

mod common;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::Bench;
use tapkey_driver::{
    CancelToken, Control, Error, IfTaken, Malformed, OathAccount, OathRefusal, OathSession, Refusal,
    TouchEvent,
};
use tapkey_emulator::port::in_process::PluggedKey;
use tapkey_emulator::{Milliseconds, Profile, TouchPolicy, VirtualKey};
use tapkey_protocol::aid;
use tapkey_protocol::apdu::{Command, Encoding, Response};
use tapkey_protocol::link::{CardLink, CardTransport, LinkError};
use tapkey_protocol::oath::codec::{Properties, Put, Validate, ins};
use tapkey_protocol::oath::{
    AccessKey, Algorithm, CredentialId, CredentialName, Digits, Kind, hotp, steam_code, totp,
};
use tapkey_protocol::version::Version;

const SECRET: &[u8] = b"12345678901234567890";
const NOW: u64 = 1_800_000_007;

fn open(bench: &Bench) -> OathSession {
    OathSession::over_card(bench.key.card().unwrap(), &bench.control).unwrap()
}

fn id(name: &str) -> CredentialId {
    CredentialId::new(name).unwrap()
}

fn put(name: &str, kind: Kind) -> Put {
    Put {
        id: id(name),
        kind,
        algorithm: Algorithm::Sha1,
        digits: Digits::SIX,
        secret: SECRET.to_vec().into(),
        properties: Properties::default(),
        counter: 0,
    }
}

fn touchy(put: Put) -> Put {
    Put { properties: Properties { require_touch: true, ..Properties::default() }, ..put }
}

fn refusal<T>(result: Result<T, Error>) -> OathRefusal {
    match result {
        Err(Error::Refused(Refusal::Oath(refusal))) => refusal,
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("it was not refused"),
    }
}

fn names(oath: &mut OathSession, bench: &Bench) -> Vec<String> {
    oath.list(&bench.control).unwrap().iter().map(|account| account.id.to_string()).collect()
}

#[test]
fn codes_of_every_sort_at_once() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let mut oath = open(&bench);
    let sha256 = Put { algorithm: Algorithm::Sha256, digits: Digits::EIGHT, ..put("sha256", Kind::Totp) };
    let sha512 = Put { algorithm: Algorithm::Sha512, ..put("sha512", Kind::Totp) };
    for put in [
        put("A:plain", Kind::Totp),
        put("60/A:slow", Kind::Totp),
        put("Steam:gamer", Kind::Totp),
        put("_hidden:x", Kind::Totp),
        put("counting", Kind::Hotp),
        touchy(put("touchy", Kind::Totp)),
        sha256,
        sha512,
    ] {
        oath.put(&put, IfTaken::Refuse, &bench.control).unwrap();
    }
    let all = oath.codes(NOW, &bench.control).unwrap();
    let code = |name: &str| {
        let (_, code) = all.iter().find(|(account, _)| account.id == id(name)).unwrap();
        code.as_ref().map(|code| (code.expose().to_owned(), code.valid().cloned()))
    };
    let expected = |algorithm, period, digits| totp(algorithm, SECRET, NOW, period, digits).to_string();
    let start = NOW / 30 * 30;
    assert_eq!(code("A:plain"), Some((expected(Algorithm::Sha1, 30, Digits::SIX), Some(start..start + 30))));
    let slow = NOW / 60 * 60;
    assert_eq!(code("60/A:slow"), Some((expected(Algorithm::Sha1, 60, Digits::SIX), Some(slow..slow + 60))));
    let hmac = Algorithm::Sha1.hmac(SECRET, &(NOW / 30).to_be_bytes());
    assert_eq!(code("Steam:gamer").unwrap().0, steam_code(&hmac));
    assert_eq!(code("_hidden:x").unwrap().0, expected(Algorithm::Sha1, 30, Digits::SIX));
    assert_eq!(code("sha256").unwrap().0, expected(Algorithm::Sha256, 30, Digits::EIGHT));
    assert_eq!(code("sha512").unwrap().0, expected(Algorithm::Sha512, 30, Digits::SIX));
    assert_eq!(code("counting"), None, "a code is not used up unasked");
    assert_eq!(code("touchy"), None);
    let told = |name: &str| all.iter().find(|(account, _)| account.id == id(name)).unwrap().0.touch;
    assert_eq!([told("A:plain"), told("touchy"), told("counting")], [Some(false), Some(true), None]);
    assert!(!format!("{all:?}").contains(&code("A:plain").unwrap().0));
}

#[test]
fn hotp_counts() {
    let bench = Bench::new(Profile::YUBIKEY_4_3_5);
    let mut oath = open(&bench);
    let start = Put { counter: 41, ..put("counting", Kind::Hotp) };
    oath.put(&start, IfTaken::Refuse, &bench.control).unwrap();
    let account = oath.list(&bench.control).unwrap().remove(0);
    for counter in 41..44 {
        let code = oath.code(&account, NOW, &bench.control).unwrap();
        assert_eq!(code.expose(), hotp(SECRET, counter, Digits::SIX).to_string());
        assert_eq!(code.valid(), None);
    }
}

#[test]
fn an_account_is_stored_renamed_replaced_and_deleted() {
    let bench = Bench::new(Profile::YUBIKEY_5_4_3);
    let mut oath = open(&bench);
    let control = &bench.control;
    oath.put(&put("a", Kind::Totp), IfTaken::Refuse, control).unwrap();
    oath.put(&put("b", Kind::Totp), IfTaken::Refuse, control).unwrap();
    assert_eq!(
        refusal(oath.put(&put("a", Kind::Totp), IfTaken::Refuse, control)),
        OathRefusal::NameTaken { id: id("a") }
    );
    let other = Put { secret: vec![7; 20].into(), ..put("a", Kind::Totp) };
    oath.put(&other, IfTaken::Replace, control).unwrap();
    let code = oath.code(&OathAccount::new(id("a"), Kind::Totp), NOW, control).unwrap();
    assert_eq!(code.expose(), totp(Algorithm::Sha1, &[7; 20], NOW, 30, Digits::SIX).to_string());
    assert_eq!(refusal(oath.rename(&id("a"), &id("b"), control)), OathRefusal::NameTaken { id: id("b") });
    assert_eq!(refusal(oath.rename(&id("x"), &id("c"), control)), OathRefusal::NoSuchAccount { id: id("x") });
    oath.rename(&id("a"), &id("c"), control).unwrap();
    assert_eq!(names(&mut oath, &bench), ["c", "b"]);
    assert_eq!(refusal(oath.delete(&id("a"), control)), OathRefusal::NoSuchAccount { id: id("a") });
    oath.delete(&id("c"), control).unwrap();
    assert_eq!(names(&mut oath, &bench), ["b"]);
    let gone = OathAccount::new(id("c"), Kind::Totp);
    assert_eq!(refusal(oath.code(&gone, NOW, control)), OathRefusal::NoSuchAccount { id: id("c") });
}

#[test]
fn a_password_in_front_of_everything() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let control = &bench.control;
    let mut oath = open(&bench);
    oath.put(&put("a", Kind::Totp), IfTaken::Refuse, control).unwrap();
    let right = oath.info().access_key("right");
    oath.set_access_key(&right, control).unwrap();
    assert!(oath.info().has_password && !oath.is_locked(), "whoever set it knows it");
    assert_eq!(names(&mut oath, &bench), ["a"]);
    // The proof is given anew each time, and nobody profits from an earlier one.
    let mut other = open(&bench);
    assert!(other.is_locked());
    assert_eq!(names(&mut oath, &bench), ["a"]);
    let mut raw = bench.device().open_card(control).unwrap();
    let select = Command::select(aid::OATH).encode(Encoding::Short).unwrap();
    assert_eq!(raw.transmit(&select).unwrap()[..1], [0x79]);
    assert_eq!(raw.transmit(&[0, ins::LIST, 0, 0]).unwrap(), [0x69, 0x82], "left unlocked");
    for result in [
        other.list(control).map(drop),
        other.codes(NOW, control).map(drop),
        other.put(&put("b", Kind::Totp), IfTaken::Refuse, control),
        other.set_access_key(&AccessKey::new([1; 16]), control),
        other.remove_access_key(control),
    ] {
        assert_eq!(refusal(result), OathRefusal::Locked);
    }
    let wrong = other.info().access_key("wrong");
    assert_eq!(refusal(other.unlock(&wrong, control)), OathRefusal::WrongPassword);
    assert!(other.is_locked());
    other.unlock(&right, control).unwrap();
    assert_eq!(names(&mut other, &bench), ["a"]);
    other.remove_access_key(control).unwrap();
    assert_eq!(names(&mut open(&bench), &bench), ["a"]);
    assert!(!open(&bench).info().has_password);
}

#[test]
fn a_reset_needs_no_password_and_changes_the_device_id() {
    let bench = Bench::new(Profile::YUBIKEY_5_2_7);
    let mut oath = open(&bench);
    oath.put(&put("a", Kind::Totp), IfTaken::Refuse, &bench.control).unwrap();
    oath.set_access_key(&AccessKey::new([1; 16]), &bench.control).unwrap();
    let mut other = open(&bench);
    let before = other.info().device_id();
    other.reset(&bench.control).unwrap();
    assert_ne!(other.info().device_id(), before);
    assert!(!other.info().has_password);
    assert_eq!(names(&mut other, &bench), Vec::<String>::new());
}

#[test]
fn a_key_that_is_full() {
    for (profile, capacity) in [(Profile::YUBIKEY_5_4_3, 32), (Profile::YUBIKEY_5_7_4, 64)] {
        let bench = Bench::new(profile);
        let mut oath = open(&bench);
        assert_eq!(oath.info().capacity(), capacity);
        // Long names, so that lists take several answers.
        let name = |index: usize| format!("{index:02}{}", "x".repeat(60));
        for index in 0..capacity {
            oath.put(&put(&name(index), Kind::Totp), IfTaken::Refuse, &bench.control).unwrap();
        }
        let one_more = put("one more", Kind::Totp);
        assert_eq!(
            refusal(oath.put(&one_more, IfTaken::Refuse, &bench.control)),
            OathRefusal::Full { capacity }
        );
        oath.put(&put(&name(3), Kind::Totp), IfTaken::Replace, &bench.control).unwrap();
        assert_eq!(names(&mut oath, &bench).len(), capacity);
        assert_eq!(oath.codes(NOW, &bench.control).unwrap().len(), capacity);
    }
}

#[test]
fn what_firmware_does_not_have_is_not_sent() {
    let bench = Bench::new(Profile::YUBIKEY_5_2_7);
    let mut oath = open(&bench);
    oath.put(&put("a", Kind::Totp), IfTaken::Refuse, &bench.control).unwrap();
    assert!(matches!(oath.rename(&id("a"), &id("b"), &bench.control), Err(Error::Unsupported(_))));
    let old = |version| Scripted::new(version, &[]).open();
    let sha512 = Put { algorithm: Algorithm::Sha512, ..put("x", Kind::Totp) };
    let check = |version: [u8; 3], put: &Put| old(version).put(put, IfTaken::Refuse, &Control::new());
    assert!(matches!(check([4, 3, 0], &sha512), Err(Error::Unsupported(_))));
    assert!(matches!(check([4, 2, 5], &touchy(put("x", Kind::Totp))), Err(Error::Unsupported(_))));
}

/// Firmware 4.0.0 to 4.3.4 mixes up accounts whose names contain each other.
#[test]
fn an_account_that_would_damage_another_is_not_sent() {
    let listed = [&[0x72, 11, 0x21][..], b"Example:al", &[0x90, 0]].concat();
    for (version, name, refused) in [
        ([4, 3, 4], "Example", true),
        ([4, 3, 4], "al", true),
        ([4, 0, 0], "ample:a", true),
        ([4, 3, 4], "Example:bo", false),
        ([4, 3, 4], "Example:al", false),
        ([4, 3, 5], "Example", false),
        ([5, 0, 0], "Example", false),
    ] {
        let link = Scripted::new(version, &[(ins::LIST, &listed), (ins::PUT, &[0x90, 0])]);
        let sent = Arc::clone(&link.sent);
        let result = link.open().put(&put(name, Kind::Totp), IfTaken::Replace, &Control::new());
        let put_was_sent = sent.lock().unwrap().contains(&ins::PUT);
        assert_eq!(put_was_sent, !refused, "{version:?} {name}");
        if refused {
            let other = id("Example:al");
            assert_eq!(refusal(result), OathRefusal::WouldDamage { id: id(name), other });
        }
    }
}

#[test]
fn touches_are_asked_for_and_awaited() {
    let bench = Bench::with_touch(Profile::YUBIKEY_5_7_4, TouchPolicy::Automatic(Milliseconds(700)));
    let mut oath = open(&bench);
    oath.put(&touchy(put("t", Kind::Totp)), IfTaken::Refuse, &bench.control).unwrap();
    let account = oath.codes(NOW, &bench.control).unwrap().remove(0).0;
    let told = Arc::new(Mutex::new(Vec::new()));
    let hear = Arc::clone(&told);
    let control = bench.control.clone().with_touch(move |event| hear.lock().unwrap().push(event));
    let code = oath.code(&account, NOW, &control).unwrap();
    assert_eq!(code.expose(), totp(Algorithm::Sha1, SECRET, NOW, 30, Digits::SIX).to_string());
    assert_eq!(*told.lock().unwrap(), [TouchEvent::Needed { seconds_left: None }, TouchEvent::Over]);
}

/// A key does not say that HOTP needs a touch, so it is told when the key takes its time.
#[test]
fn a_touch_that_the_key_does_not_announce_is_told_of() {
    let key = VirtualKey::builder().touch(TouchPolicy::Manual).build().unwrap();
    let key = PluggedKey::new(key).unwrap();
    let plain = Control::new();
    let mut oath = OathSession::over_card(key.card().unwrap(), &plain).unwrap();
    oath.put(&touchy(put("h", Kind::Hotp)), IfTaken::Refuse, &plain).unwrap();
    oath.put(&put("no touch", Kind::Hotp), IfTaken::Refuse, &plain).unwrap();
    let (needed, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count_needed, count_over, finger) = (Arc::clone(&needed), Arc::clone(&over), key.clone());
    let control = Control::new().with_touch(move |event| match event {
        TouchEvent::Needed { .. } => {
            count_needed.fetch_add(1, Ordering::SeqCst);
            finger.touch().unwrap();
        }
        _ => {
            count_over.fetch_add(1, Ordering::SeqCst);
        }
    });
    let code = oath.code(&OathAccount::new(id("no touch"), Kind::Hotp), NOW, &control).unwrap();
    assert_eq!(code.expose(), "755224");
    assert_eq!(needed.load(Ordering::SeqCst), 0, "nobody is asked in vain");
    let code = oath.code(&OathAccount::new(id("h"), Kind::Hotp), NOW, &control).unwrap();
    assert_eq!(code.expose(), "755224");
    assert_eq!((needed.load(Ordering::SeqCst), over.load(Ordering::SeqCst)), (1, 1));
}

#[test]
fn nobody_touches() {
    let bench = Bench::with_touch(Profile::YUBIKEY_5_7_4, TouchPolicy::Never);
    let mut oath = open(&bench);
    for put in [touchy(put("t", Kind::Totp)), touchy(put("h", Kind::Hotp))] {
        oath.put(&put, IfTaken::Refuse, &bench.control).unwrap();
        let account = OathAccount::new(put.id, put.kind);
        let result = oath.code(&account, NOW, &bench.control);
        assert!(matches!(result, Err(Error::Refused(Refusal::TouchTimedOut))), "{result:?}");
    }
    assert_eq!(names(&mut oath, &bench), ["t", "h"], "it works on");
}

#[test]
fn an_account_that_only_goes_forward() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let mut oath = open(&bench);
    let properties = Properties { only_increasing: true, ..Properties::default() };
    let put = Put { properties, ..put("forward", Kind::Totp) };
    oath.put(&put, IfTaken::Refuse, &bench.control).unwrap();
    let account = OathAccount::new(id("forward"), Kind::Totp);
    oath.code(&account, NOW, &bench.control).unwrap();
    oath.code(&account, NOW, &bench.control).unwrap();
    assert_eq!(refusal(oath.code(&account, NOW - 60, &bench.control)), OathRefusal::ClockWentBack);
    assert_eq!(refusal(oath.codes(NOW - 60, &bench.control)), OathRefusal::ClockWentBack);
    oath.code(&account, NOW + 60, &bench.control).unwrap();
}

#[test]
fn nothing_is_sent_after_the_end() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let mut oath = open(&bench);
    let token = CancelToken::new();
    let cancelled = bench.control.clone().with_cancel(token.clone());
    token.cancel();
    let put = put("a", Kind::Totp);
    assert!(matches!(oath.put(&put, IfTaken::Refuse, &cancelled), Err(Error::Cancelled)));
    let late = bench.control.clone().with_timeout(Duration::ZERO);
    assert!(matches!(oath.put(&put, IfTaken::Refuse, &late), Err(Error::DeadlinePassed)));
    assert_eq!(names(&mut oath, &bench), Vec::<String>::new());
}

/// The card is held for each operation as a whole and let go in between, also after errors.
#[test]
fn the_card_is_held_for_one_operation_at_a_time() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let held = Arc::new(AtomicBool::new(false));
    let holds = Arc::new(AtomicUsize::new(0));
    let link = Held {
        inner: Box::new(bench.key.card().unwrap()),
        held: Arc::clone(&held),
        holds: Arc::clone(&holds),
    };
    let mut oath = OathSession::over_card(link, &bench.control).unwrap();
    let mut steps: Vec<Box<Step<'_>>> = vec![
        Box::new(|oath| oath.put(&put("60/a", Kind::Totp), IfTaken::Refuse, &bench.control).unwrap()),
        Box::new(|oath| oath.set_access_key(&AccessKey::new([1; 16]), &bench.control).unwrap()),
        Box::new(|oath| drop(oath.codes(NOW, &bench.control).unwrap())),
        Box::new(|oath| drop(oath.delete(&id("x"), &bench.control).unwrap_err())),
        Box::new(|oath| oath.reset(&bench.control).unwrap()),
    ];
    for step in &mut steps {
        let before = holds.load(Ordering::SeqCst);
        step(&mut oath);
        assert!(!held.load(Ordering::SeqCst));
        assert_eq!(holds.load(Ordering::SeqCst), before + 1, "once for each operation");
    }
}

/// A key that takes every password is not believed.
#[test]
fn a_key_has_to_prove_that_it_knows_the_password() {
    let proof = [&Validate::encode_answer(&[5; 20])[..], &[0x90, 0]].concat();
    let mut oath = Scripted::locked([5, 7, 4], &[(ins::VALIDATE, &proof)]).open();
    assert_eq!(refusal(oath.unlock(&AccessKey::new([1; 16]), &Control::new())), OathRefusal::NotProven);
    assert!(oath.is_locked());
}

#[test]
fn strange_answers() {
    let mut oath = Scripted::new([5, 7, 4], &[(ins::LIST, &[0x72, 9, 0x21, b'a', 0x90, 0])]).open();
    assert!(matches!(oath.list(&Control::new()), Err(Error::Malformed(Malformed::Oath(_)))));
    let mut oath = Scripted::new([5, 7, 4], &[(ins::CALCULATE_ALL, &[0x65, 0x81])]).open();
    assert_eq!(refusal(oath.codes(NOW, &Control::new())), OathRefusal::Damaged);
    let short = [0x71, 1, b'a', 0x75, 5, 6, 1, 2, 3, 4, 0x90, 0];
    let mut oath = Scripted::new([5, 7, 4], &[(ins::CALCULATE_ALL, &short)]).open();
    assert!(matches!(oath.codes(NOW, &Control::new()), Err(Error::Malformed(Malformed::NoCode))));
    // A NEO has no word for a lack of room.
    let mut neo = Scripted::new([3, 4, 9], &[(ins::LIST, &[0x90, 0]), (ins::PUT, &[0x6F, 0])]).open();
    let result = neo.put(&put("a", Kind::Totp), IfTaken::Refuse, &Control::new());
    assert_eq!(refusal(result), OathRefusal::Full { capacity: 32 });
    // It says that it is done, and it is not so.
    let mut liar = Scripted::new([5, 7, 4], &[(ins::LIST, &[0x90, 0]), (ins::PUT, &[0x90, 0])]).open();
    let result = liar.put(&put("a", Kind::Totp), IfTaken::Refuse, &Control::new());
    assert_eq!(refusal(result), OathRefusal::NotDone { done: "stored the account" });
}

#[test]
fn names_and_versions_are_told() {
    let bench = Bench::new(Profile::YUBIKEY_5_4_3);
    let mut oath = bench.device().open_oath(&bench.control).unwrap();
    assert_eq!(oath.info().version, Version::new(5, 4, 3));
    assert_eq!(oath.info().device_id().len(), 22);
    oath.put(&put("60/Example:alice", Kind::Totp), IfTaken::Refuse, &bench.control).unwrap();
    let account = oath.list(&bench.control).unwrap().remove(0);
    let name = CredentialName { period: 60, ..CredentialName::new(Some("Example"), "alice") };
    assert_eq!((account.name(), account.algorithm), (name, Some(Algorithm::Sha1)));
    assert!(!format!("{oath:?}").contains("1234"));
}

type Step<'a> = dyn FnMut(&mut OathSession) + 'a;

/// A link that notes whether the card is held.
struct Held {
    inner: Box<dyn CardLink>,
    held: Arc<AtomicBool>,
    holds: Arc<AtomicUsize>,
}

impl CardLink for Held {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, LinkError> {
        assert!(self.held.load(Ordering::SeqCst), "nothing is sent to a card that is not held");
        self.inner.transmit(command)
    }

    fn transport(&self) -> CardTransport {
        self.inner.transport()
    }

    fn hold(&mut self, patience: Duration) -> Result<(), LinkError> {
        self.held.store(true, Ordering::SeqCst);
        self.holds.fetch_add(1, Ordering::SeqCst);
        self.inner.hold(patience)
    }

    fn release(&mut self) {
        self.held.store(false, Ordering::SeqCst);
        self.inner.release();
    }
}

/// A card that answers the same to each instruction every time.
struct Scripted {
    select: Vec<u8>,
    answers: Vec<(u8, Vec<u8>)>,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Scripted {
    fn new(version: [u8; 3], answers: &[(u8, &[u8])]) -> Self {
        let select = [&[0x79, 3][..], &version, &[0x71, 8, 1, 2, 3, 4, 5, 6, 7, 8]].concat();
        let answers = answers.iter().map(|(ins, answer)| (*ins, answer.to_vec())).collect();
        Self { select, answers, sent: Arc::default() }
    }

    fn locked(version: [u8; 3], answers: &[(u8, &[u8])]) -> Self {
        let mut scripted = Self::new(version, answers);
        scripted.select.extend([0x74, 8, 8, 7, 6, 5, 4, 3, 2, 1, 0x7B, 1, 1]);
        scripted
    }

    fn open(self) -> OathSession {
        OathSession::over_card(self, &Control::new()).unwrap()
    }
}

impl CardLink for Scripted {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, LinkError> {
        let (ins, p1) = Command::parse(command).map(|command| (command.ins, command.p1)).unwrap();
        self.sent.lock().unwrap().push(ins);
        // CALCULATE ALL has the same instruction byte and another P1.
        if ins == tapkey_protocol::apdu::ins::SELECT && p1 == 4 {
            return Ok(Response::ok(self.select.clone()).encode());
        }
        let answer = self.answers.iter().find(|(known, _)| *known == ins);
        Ok(answer.map_or_else(|| vec![0x6D, 0x00], |(_, answer)| answer.clone()))
    }

    fn transport(&self) -> CardTransport {
        CardTransport::Usb
    }
}
