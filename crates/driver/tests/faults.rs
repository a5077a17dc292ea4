//! Every fault, at every moment, in every operation, over every link: the driver ends in time, with
//! a typed error or with success; success means that it is so; a slot is old or new; and the key
//! works again afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]

mod common;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use common::{NONE, Over, SERIAL, chal_yubico, chalresp, hotp, yubico_otp};
use serde_json::Value;
use tapkey_driver::clock::ManualClock;
use tapkey_driver::piv::{Administrator, NewManagementKey};
use tapkey_driver::{
    Control, Error, IfTaken, ManagementSession, NotOverThisLink, OathAccount, OathSession, OtpSession,
    PivSession,
};
use tapkey_emulator::port::in_process::{self, PluggedKey};
use tapkey_emulator::{
    Faults, MemoryStore, Milliseconds, Power, Profile, SeededRandom, StateStore, TouchPolicy as Finger,
    VirtualKey,
};
use tapkey_protocol::oath::codec::{Properties, Put};
use tapkey_protocol::oath::{AccessKey, Algorithm, CredentialId, Digits, Kind};
use tapkey_protocol::piv::{
    Algorithm as PivAlgorithm, Import, ManagementKey, ManagementKeyType, ObjectId, Pin, PrivateKey,
    Slot as PivSlot, TouchPolicy,
};
use tapkey_protocol::secret::Secret;
use tapkey_protocol::slot::{Options, Slot, Update};
use tapkey_protocol::version::Version;

/// Each strikes at the first occasion, then at the second, and so on until there is none.
const FAULTS: [&str; 28] = [
    "crc",
    "report-lost",
    "write-lost",
    "read-lost",
    "frame-cut",
    "answer-cut=1",
    "answer-cut=2",
    "stuck-write=3",
    "stuck-write=100000",
    "stall",
    "answer-delay=300",
    "answer-delay=60000",
    "unplug",
    "removal",
    "removal-after",
    "mute",
    "response-lost",
    "status=6f00",
    "status=6a82",
    "status=6985",
    "short-response=0",
    "short-response=3",
    "response-delay=5000",
    "touch-never",
    "power-cut=during",
    "power-cut=after",
    "power-cut=before",
    "status=9000",
];

/// From the first occasion on, always; and at random.
const STANDING: [&str; 12] = [
    "crc@1x*",
    "report-lost@2x*",
    "read-lost%20",
    "write-lost%10",
    "report-lost%5",
    "stall%3",
    "stuck-write=40%10",
    "stuck-write=2%60",
    "mute%20",
    "short-response=2%20",
    "status=9000%20",
    "answer-cut%50",
];

/// What is done, to which application.
enum Work {
    Otp(fn(&mut OtpSession, &Control) -> Result<String, Error>),
    Oath(fn(&mut OathSession, &Control) -> Result<String, Error>),
    Piv(fn(&mut PivSession, &Control) -> Result<String, Error>),
}

/// An operation, with something that tells its outcome from others.
struct Operation {
    name: &'static str,
    work: Work,
    /// It changes what is stored.
    writes: bool,
}

impl Operation {
    fn run(&self, rig: &Rig) -> Result<String, Error> {
        match self.work {
            Work::Otp(work) => work(&mut rig.open()?, &rig.control),
            Work::Oath(work) => {
                let mut oath = rig.open_oath()?;
                oath.unlock(&ACCESS, &rig.control)?;
                work(&mut oath, &rig.control)
            }
            Work::Piv(work) => work(&mut rig.open_piv()?, &rig.control),
        }
    }

    /// Whether it can be done at all: accounts are on the smart card only.
    fn fits(&self, over: Over) -> bool {
        over != Over::Hid || matches!(self.work, Work::Otp(_))
    }

    /// Whether a fault cannot be noticed: a list that is empty and an answer that was swallowed look the
    /// same. What is written is looked up afterwards, so there it is noticed.
    ///
    /// PIV answers most writes with nothing but a status word, so a swallowed one looks like one that was
    /// done.
    fn cannot_notice(&self, fault: &str) -> bool {
        let blind = match self.work {
            Work::Otp(_) => false,
            Work::Oath(_) => !self.writes,
            Work::Piv(_) => true,
        };
        // That there is no such object is not an error either.
        let absent = fault.starts_with("status=6a82") && matches!(self.work, Work::Piv(_)) && !self.writes;
        (fault.starts_with("status=9000") && blind) || absent
    }
}

const fn reading(
    name: &'static str,
    work: fn(&mut OtpSession, &Control) -> Result<String, Error>,
) -> Operation {
    Operation { name, work: Work::Otp(work), writes: false }
}

const fn writing(
    name: &'static str,
    work: fn(&mut OtpSession, &Control) -> Result<String, Error>,
) -> Operation {
    Operation { name, work: Work::Otp(work), writes: true }
}

const fn oath(
    name: &'static str,
    writes: bool,
    work: fn(&mut OathSession, &Control) -> Result<String, Error>,
) -> Operation {
    Operation { name, work: Work::Oath(work), writes }
}

const fn piv(
    name: &'static str,
    writes: bool,
    work: fn(&mut PivSession, &Control) -> Result<String, Error>,
) -> Operation {
    Operation { name, work: Work::Piv(work), writes }
}

fn pin() -> Pin {
    Pin::new(b"123456").unwrap()
}

fn factory() -> ManagementKey {
    ManagementKey::factory(Version::new(5, 7, 4))
}

fn imported(touch_policy: Option<TouchPolicy>) -> Import {
    Import { key: PrivateKey::Ed25519(Secret::new([7; 32])), pin_policy: None, touch_policy }
}

fn id(name: &str) -> CredentialId {
    CredentialId::new(name).unwrap()
}

fn put(name: &str, kind: Kind, touch: bool) -> Put {
    Put {
        id: id(name),
        kind,
        algorithm: Algorithm::Sha1,
        digits: Digits::SIX,
        secret: b"12345678901234567890".to_vec().into(),
        properties: Properties { require_touch: touch, ..Properties::default() },
        counter: 0,
    }
}

fn text<T: Debug>(value: T) -> String {
    format!("{value:?}")
}

const OPERATIONS: [Operation; 31] = [
    reading("status", |otp, control| otp.status(control).map(text)),
    reading("serial", |otp, control| otp.serial(control).map(text)),
    reading("device info", |otp, control| otp.device_info(control).map(text)),
    reading("HMAC challenge", |otp, control| {
        otp.challenge_hmac(Slot::Two, b"challenge", control).map(|response| text(response.expose()))
    }),
    reading("HMAC challenge with a touch", |otp, control| {
        otp.challenge_hmac(Slot::One, b"challenge", control).map(|response| text(response.expose()))
    }),
    writing("program", |otp, control| {
        otp.program(Slot::One, &yubico_otp(NONE), &NONE, control).map(|()| String::new())
    }),
    writing("program over another", |otp, control| {
        otp.program(Slot::Two, &hotp(), &NONE, control).map(|()| String::new())
    }),
    writing("program a Yubico challenge", |otp, control| {
        otp.program(Slot::Two, &chal_yubico(), &NONE, control).map(|()| String::new())
    }),
    writing("update", |otp, control| {
        let mut options = Options::for_challenges();
        options.led_inverted = !options.led_inverted;
        let update = Update { options, access_code: NONE };
        otp.update(Slot::Two, &update, &NONE, control).map(|()| String::new())
    }),
    writing("swap", |otp, control| otp.swap(&NONE, control).map(|()| String::new())),
    writing("delete", |otp, control| otp.delete(Slot::Two, &NONE, control).map(|()| String::new())),
    oath("list accounts", false, |oath, control| oath.list(control).map(text)),
    oath("all codes", false, |oath, control| {
        let codes = oath.codes(59, control)?;
        Ok(text(codes.iter().map(|(_, code)| code.as_ref().map(|code| code.expose())).collect::<Vec<_>>()))
    }),
    oath("the next HOTP code", false, |oath, control| {
        let account = OathAccount::new(id("counting"), Kind::Hotp);
        oath.code(&account, 59, control).map(|code| code.expose().to_owned())
    }),
    oath("a code with a touch", false, |oath, control| {
        let account = OathAccount::from(&put("touchy", Kind::Totp, true));
        oath.code(&account, 59, control).map(|code| code.expose().to_owned())
    }),
    oath("put", true, |oath, control| {
        oath.put(&put("new", Kind::Totp, false), IfTaken::Refuse, control).map(|()| String::new())
    }),
    oath("rename", true, |oath, control| {
        oath.rename(&id("plain"), &id("fancy"), control).map(|()| String::new())
    }),
    oath("delete an account", true, |oath, control| {
        oath.delete(&id("plain"), control).map(|()| String::new())
    }),
    oath("change the password", true, |oath, control| {
        oath.set_access_key(&AccessKey::new([9; 16]), control).map(|()| String::new())
    }),
    oath("remove the password", true, |oath, control| {
        oath.remove_access_key(control).map(|()| String::new())
    }),
    oath("reset", true, |oath, control| oath.reset(control).map(|()| String::new())),
    piv("PIV info", false, |piv, control| piv.info(control).map(text)),
    piv("check the PIN", false, |piv, control| piv.verify_pin(&pin(), control).map(|()| String::new())),
    piv("prove the management key", false, |piv, control| {
        piv.authenticate(Administrator::Key(&factory()), control).map(|()| String::new())
    }),
    piv("sign", false, |piv, control| {
        piv.sign(PivSlot::SIGNATURE, PivAlgorithm::Ed25519, b"message", Some(&pin()), control).map(text)
    }),
    piv("sign with a touch", false, |piv, control| {
        piv.sign(PivSlot::CARD_AUTHENTICATION, PivAlgorithm::Ed25519, b"message", None, control).map(text)
    }),
    piv("change the PIN", true, |piv, control| {
        piv.change_pin(&pin(), &Pin::new(b"246810").unwrap(), control).map(|()| String::new())
    }),
    piv("import a key", true, |piv, control| {
        let who = &factory();
        piv.import(PivSlot::KEY_MANAGEMENT, &imported(None), Administrator::Key(who), control)
            .map(|()| String::new())
    }),
    piv("move a key", true, |piv, control| {
        let (from, to) = (PivSlot::SIGNATURE, PivSlot::KEY_MANAGEMENT);
        piv.move_key(from, to, Administrator::Key(&factory()), control).map(|()| String::new())
    }),
    piv("store a long object", true, |piv, control| {
        let value = vec![7; 2000];
        piv.put_object(ObjectId::CCC, &value, Administrator::Key(&factory()), control).map(|()| String::new())
    }),
    piv("set the management key", true, |piv, control| {
        let key = ManagementKey::new(ManagementKeyType::Aes128, vec![1; 16].into()).unwrap();
        let new = NewManagementKey { key: &key, touch: TouchPolicy::Never, protect: None };
        piv.set_management_key(&new, Administrator::Key(&factory()), control).map(|()| String::new())
    }),
];

/// A key with a challenge-response slot each, slot 1 with a touch, some accounts, and its clock.
struct Rig {
    key: PluggedKey,
    store: MemoryStore,
    clock: Arc<ManualClock>,
    control: Control,
    over: Over,
}

impl Rig {
    fn prepared() -> Vec<u8> {
        let rig = Self::new(None, Over::Hid, &Faults::new());
        let mut otp = rig.open().unwrap();
        otp.program(Slot::One, &chalresp(b"one", true), &NONE, &rig.control).unwrap();
        otp.program(Slot::Two, &chalresp(b"two", false), &NONE, &rig.control).unwrap();
        let mut oath = rig.open_oath().unwrap();
        for (name, kind, touch) in [
            ("plain", Kind::Totp, false),
            ("60/slow", Kind::Totp, false),
            ("counting", Kind::Hotp, false),
            ("touchy", Kind::Totp, true),
        ] {
            oath.put(&put(name, kind, touch), IfTaken::Refuse, &rig.control).unwrap();
        }
        oath.set_access_key(&ACCESS, &rig.control).unwrap();
        let mut piv = rig.open_piv().unwrap();
        let key = factory();
        for (slot, touch) in
            [(PivSlot::SIGNATURE, None), (PivSlot::CARD_AUTHENTICATION, Some(TouchPolicy::Always))]
        {
            piv.import(slot, &imported(touch), Administrator::Key(&key), &rig.control).unwrap();
        }
        rig.document()
    }

    fn new(document: Option<&[u8]>, over: Over, faults: &Faults) -> Self {
        let mut store = MemoryStore::new();
        if let Some(document) = document {
            store.save(document).unwrap();
        }
        let mut key = VirtualKey::builder()
            .profile(Profile::YUBIKEY_5_7_4)
            .serial(SERIAL)
            .random(SeededRandom::new(7))
            .touch(Finger::Automatic(Milliseconds(700)))
            .state(store.clone())
            .faults(faults.clone())
            .build()
            .unwrap();
        key.power(if over == Over::Nfc { Power::Nfc } else { Power::Usb }).unwrap();
        let emulated = in_process::ManualClock::new();
        let key = PluggedKey::with_clock(key, emulated.clone()).unwrap();
        let clock = Arc::new(ManualClock::with_hook(move |elapsed| {
            let now = u64::try_from(elapsed.as_millis()).unwrap();
            emulated.advance(Milliseconds(now) - emulated.now());
        }));
        let control = Control::with_clock(clock.clone()).with_timeout(PATIENCE);
        Self { key, store, clock, control, over }
    }

    fn open(&self) -> Result<OtpSession, Error> {
        match self.over {
            Over::Hid => OtpSession::over_hid(self.key.otp()?, &self.control),
            Over::Usb | Over::Nfc => OtpSession::over_card(self.key.card()?, &self.control),
        }
    }

    fn open_oath(&self) -> Result<OathSession, Error> {
        OathSession::over_card(self.key.card()?, &self.control)
    }

    fn open_piv(&self) -> Result<PivSession, Error> {
        PivSession::over_card(self.key.card()?, &self.control)
    }

    fn document(&self) -> Vec<u8> {
        self.store.clone().load().unwrap().unwrap().expose().to_vec()
    }

    /// What is stored, without what counts.
    fn slots(&self) -> [Value; 4] {
        let mut document: Value = serde_json::from_slice(&self.document()).unwrap();
        let [one, two] = ["slot_1", "slot_2"].map(|slot| document[slot]["record"].clone());
        let mut oath = document["oath"].take();
        for account in oath["credentials"].as_array_mut().unwrap() {
            account["counter"] = Value::Null;
        }
        let mut piv = document["piv"].take();
        // A power cut between a try and its judgement costs the try.
        piv["pin"]["left"] = Value::Null;
        [one, two, oath, piv]
    }

    /// Plugs it in again where it was pulled out, and tries everything once more.
    fn works_again(&self) {
        self.key.faults().clear();
        if self.key.with(|key| key.powered()) == Power::Off {
            self.key.plug(if self.over == Over::Nfc { Power::Nfc } else { Power::Usb }).unwrap();
        }
        let control = Control::with_clock(self.clock.clone()).with_timeout(PATIENCE);
        let mut otp = match self.over {
            Over::Hid => OtpSession::over_hid(self.key.otp().unwrap(), &control).unwrap(),
            Over::Usb | Over::Nfc => OtpSession::over_card(self.key.card().unwrap(), &control).unwrap(),
        };
        otp.program(Slot::One, &chalresp(b"three", false), &NONE, &control).unwrap();
        match otp.challenge_hmac(Slot::One, b"challenge", &control) {
            Ok(_) => {}
            Err(Error::NotOverThisLink(NotOverThisLink::ChallengeOverUsbCard)) if self.over == Over::Usb => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}

/// What an operation does when nothing goes wrong.
struct Expected {
    outcome: Result<String, String>,
    old: [Value; 4],
    new: [Value; 4],
}

fn undisturbed(operation: &Operation, document: &[u8], over: Over) -> Expected {
    let rig = Rig::new(Some(document), over, &Faults::new());
    let old = rig.slots();
    let outcome = operation.run(&rig).map_err(text);
    let new = rig.slots();
    assert_eq!(operation.writes, old != new, "{} {over:?}", operation.name);
    Expected { outcome, old, new }
}

/// What came of all runs, so that a walk that tests nothing is noticed.
#[derive(Debug, Default)]
struct Tally {
    struck: u32,
    survived: u32,
    failed_old: u32,
    failed_new: u32,
}

/// Runs an operation with a fault; how often the fault has struck.
fn disturbed(
    operation: &Operation,
    document: &[u8],
    over: Over,
    expected: &Expected,
    fault: &str,
    tally: &mut Tally,
) -> u32 {
    let faults = Faults::seeded(11);
    let rig = Rig::new(Some(document), over, &faults);
    faults.add(fault.parse().unwrap());
    let result = operation.run(&rig);
    let fired = faults.list()[0].fired;
    let context = format!("{fault} in {} {over:?}: {result:?}", operation.name);
    assert!(rig.clock.elapsed() <= PATIENCE, "{context}: {:?}", rig.clock.elapsed());
    let slots = rig.slots();
    match &result {
        Ok(_) if operation.cannot_notice(fault) => {}
        Ok(outcome) => {
            assert_eq!(Ok(outcome), expected.outcome.as_ref(), "{context}");
            assert_eq!(slots, expected.new, "{context}");
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(fired > 0 || expected.outcome.is_err(), "{context}");
        }
    }
    assert!(slots == expected.old || slots == expected.new, "{context}: {slots:?}");
    if fired > 0 {
        tally.struck += 1;
        match &result {
            Ok(_) => tally.survived += 1,
            Err(_) if operation.writes && slots == expected.new => tally.failed_new += 1,
            Err(_) => tally.failed_old += 1,
        }
    }
    rig.works_again();
    fired
}

fn walk(over: Over) {
    let document = Rig::prepared();
    let mut tally = Tally::default();
    for operation in OPERATIONS.iter().filter(|operation| operation.fits(over)) {
        let expected = undisturbed(operation, &document, over);
        for fault in FAULTS {
            for moment in 1.. {
                assert!(moment < 200, "{fault} in {} strikes for ever", operation.name);
                let text = format!("{fault}@{moment}");
                if disturbed(operation, &document, over, &expected, &text, &mut tally) == 0 {
                    break;
                }
            }
        }
        for fault in STANDING {
            disturbed(operation, &document, over, &expected, fault, &mut tally);
        }
    }
    let Tally { struck, survived, failed_old, failed_new } = tally;
    assert!(struck > 200 && survived > 20 && failed_old > 50 && failed_new > 10, "{over:?}: {tally:?}");
}

#[test]
fn every_fault_over_hid() {
    walk(Over::Hid);
}

#[test]
fn every_fault_over_the_smart_card_on_usb() {
    walk(Over::Usb);
}

#[test]
fn every_fault_over_nfc() {
    walk(Over::Nfc);
}

#[test]
fn every_fault_while_the_management_application_is_asked() {
    let document = Rig::prepared();
    for over in [Over::Hid, Over::Usb, Over::Nfc] {
        for fault in FAULTS {
            for moment in 1.. {
                let faults = Faults::new();
                let rig = Rig::new(Some(&document), over, &faults);
                faults.add(format!("{fault}@{moment}").parse().unwrap());
                let open = || match over {
                    Over::Hid => ManagementSession::over_hid(rig.key.otp()?, &rig.control),
                    Over::Usb | Over::Nfc => ManagementSession::over_card(rig.key.card()?, &rig.control),
                };
                let result = open().and_then(|mut session| session.device_info(&rig.control));
                if let Ok(info) = &result {
                    assert_eq!(info.serial, Some(SERIAL), "{fault}@{moment} {over:?}");
                }
                let fired = faults.list()[0].fired;
                assert!(result.is_ok() || fired > 0, "{fault}@{moment} {over:?}: {result:?}");
                assert!(rig.clock.elapsed() <= PATIENCE);
                rig.works_again();
                if fired == 0 {
                    break;
                }
            }
        }
    }
}

/// What the accounts are locked with.
const ACCESS: AccessKey = AccessKey::new([8; 16]);

/// No operation may take longer than it was allowed, whatever happens.
const PATIENCE: Duration = Duration::from_secs(30);
