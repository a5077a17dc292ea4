//! Whatever a host sends, the key answers or ignores it; and whatever is printed holds no secret.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use std::sync::{Arc, Mutex};

use common::{AES, AID_MANAGEMENT, AID_OTP, Answer, Bench, CODE, PRIVATE, code, hmac, yubico};
use proptest::prelude::*;
use tapkey_emulator::{
    Builder, FileStore, MemoryStore, Milliseconds, OsRandom, Power, Press, Profile, SeededRandom,
    TouchPolicy, VirtualKey,
};
use tapkey_protocol::apdu::Response;
use tapkey_protocol::management::DeviceConfig;
use tapkey_protocol::slot::{AccessCode, Options, ScanCodes, Slot, SlotCommand, SlotConfig, SlotRecord};
use tapkey_protocol::transcript::{Entry, Secrets};

#[derive(Clone, Debug)]
enum Step {
    Reports(Vec<[u8; 8]>),
    Frame(u8, Vec<u8>),
    Read,
    Apdu(Vec<u8>),
    Command(u8, Vec<u8>),
    Select(bool),
    Press(Slot),
    Touch,
    Tick(u64),
    Power(Power),
    CardReset,
}

fn step() -> impl Strategy<Value = Step> {
    let slot = prop_oneof![Just(Slot::One), Just(Slot::Two)];
    let power = prop_oneof![Just(Power::Off), Just(Power::Usb), Just(Power::Nfc)];
    let bytes = || proptest::collection::vec(any::<u8>(), 0..70);
    prop_oneof![
        proptest::collection::vec(any::<[u8; 8]>(), 0..12).prop_map(Step::Reports),
        (any::<u8>(), proptest::collection::vec(any::<u8>(), 0..=64)).prop_map(|(c, p)| Step::Frame(c, p)),
        // Known commands with payloads that pass the checksum.
        (0_usize..18, record()).prop_map(|(c, p)| Step::Frame(SlotCommand::all().nth(c).unwrap().code(), p)),
        Just(Step::Read),
        bytes().prop_map(Step::Apdu),
        (any::<u8>(), record()).prop_map(|(c, p)| Step::Command(c, p)),
        any::<bool>().prop_map(Step::Select),
        slot.prop_map(Step::Press),
        Just(Step::Touch),
        (0_u64..40_000).prop_map(Step::Tick),
        power.prop_map(Step::Power),
        Just(Step::CardReset),
    ]
}

fn record() -> impl Strategy<Value = Vec<u8>> {
    (any::<[u8; 16]>(), any::<[u8; 6]>(), 0..=16_u8, any::<[u8; 3]>()).prop_map(
        |(key, uid, fixed_length, [extended, ticket, config])| {
            SlotRecord {
                fixed: key.into(),
                fixed_length,
                uid: uid.into(),
                key: key.into(),
                access_code: AccessCode::NONE,
                extended: tapkey_protocol::slot::ExtendedFlags(extended),
                ticket: tapkey_protocol::slot::TicketFlags(ticket),
                config: tapkey_protocol::slot::ConfigFlags(config),
            }
            .payload(&AccessCode::NONE)
            .expose()
            .to_vec()
        },
    )
}

fn perform(key: &mut VirtualKey, now: &mut u64, step: Step) {
    match step {
        Step::Reports(reports) => reports.iter().for_each(|report| key.write_report(report)),
        Step::Frame(command, payload) => {
            for report in tapkey_protocol::hid::Frame::new(command, &payload).unwrap().reports() {
                key.write_report(&report);
            }
        }
        Step::Read => {
            key.read_report();
        }
        Step::Apdu(bytes) => {
            let answer = key.apdu(&bytes);
            assert!(answer.is_empty() || Response::parse(&answer).is_ok());
        }
        Step::Command(command, data) => {
            let length = u8::try_from(data.len()).unwrap();
            key.apdu(&[&[0, 1, command, 0, length], &data[..]].concat());
        }
        Step::Select(otp) => {
            let aid = if otp { AID_OTP } else { AID_MANAGEMENT };
            let length = u8::try_from(aid.len()).unwrap();
            key.apdu(&[&[0, 0xA4, 4, 0, length], aid].concat());
        }
        Step::Press(slot) => {
            key.press(slot).unwrap();
        }
        Step::Touch => {
            let _ = key.touch();
        }
        Step::Tick(by) => {
            *now += by;
            key.tick(Milliseconds(*now));
        }
        Step::Power(power) => {
            let _ = key.power(power);
        }
        Step::CardReset => key.card_reset(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nothing_that_a_host_sends_stops_the_key(
        profile in 0_usize..4,
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let store = MemoryStore::new();
        let mut key = VirtualKey::builder()
            .profile(Profile::ALL[profile])
            .random(SeededRandom::new(3))
            .state(store.clone())
            .transcript(Secrets::Show, |_, _: &Entry| {})
            .build()
            .unwrap();
        key.power(Power::Usb).unwrap();
        let mut now = 0;
        for step in steps {
            perform(&mut key, &mut now, step);
        }
        // It still tells what it is, and what it stored can be read.
        let _ = key.snapshot();
        key.info().encode(false).unwrap();
        let again = VirtualKey::builder().state(store).build().unwrap();
        prop_assert_eq!(again.serial(), key.serial());
        prop_assert_eq!(again.snapshot().slots.map(|s| s.map(|s| s.kind)), key.snapshot().slots.map(|s| s.map(|s| s.kind)));
    }

    /// The same seed and the same steps are the same key: faults can be played again.
    #[test]
    fn the_key_is_deterministic(steps in proptest::collection::vec(step(), 1..40)) {
        let run = || {
            let lines = Arc::new(Mutex::new(Vec::new()));
            let sink = Arc::clone(&lines);
            let mut key = VirtualKey::builder()
                .random(SeededRandom::new(7))
                .transcript(Secrets::Show, move |at, entry: &Entry| sink.lock().unwrap().push(format!("{at} {entry}")))
                .build()
                .unwrap();
            key.power(Power::Usb).unwrap();
            let mut now = 0;
            for step in steps.clone() {
                perform(&mut key, &mut now, step);
            }
            drop(key);
            Arc::into_inner(lines).unwrap().into_inner().unwrap()
        };
        prop_assert_eq!(run(), run());
    }
}

/// Everything that could give a secret away, as it would look in some output.
fn needles(extra: &[String]) -> Vec<String> {
    let mut needles = Vec::new();
    for bytes in [&AES[..], &PRIVATE[..], &CODE[..], &[0xAB, 0xBA, 0xAB, 0xBA][..], &[0x5A; 16][..]] {
        needles.push(data_encoding::HEXLOWER.encode(bytes));
        needles.push(data_encoding::HEXUPPER.encode(bytes));
        let list = format!("{bytes:?}");
        needles.push(list.trim_matches(['[', ']']).to_owned());
    }
    needles.extend(["hunter2".to_owned()]);
    needles.extend(extra.iter().cloned());
    needles
}

#[test]
fn no_debug_output_holds_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let lines = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&lines);
    let store = FileStore::open(folder.path().join("key.json")).unwrap();
    let mut printed = vec![format!("{store:?}")];
    let builder: Builder = VirtualKey::builder().state(store).random(SeededRandom::new(1)).transcript(
        Secrets::Hide,
        move |at, entry: &Entry| {
            sink.lock().unwrap().push(format!("{at} {entry} {entry:?}"));
        },
    );
    printed.push(format!("{builder:?}"));
    let bench = Bench::with(builder.build().unwrap());

    let mut otp = yubico();
    otp.access_code = code();
    bench.program(Slot::One, &otp);
    let mut answers = hmac(&[0xAB, 0xBA, 0xAB, 0xBA]);
    answers.require_touch = true;
    bench.program(Slot::Two, &answers);
    let lock = DeviceConfig { new_lock_code: Some([0x5A; 16].into()), ..DeviceConfig::default() };
    assert_eq!(bench.hid(SlotCommand::WriteDeviceInfo, lock.encode().expose()), Answer::Accepted);
    let typed = bench.key.press(Slot::One).unwrap();
    printed.push(format!("{typed:?}"));
    let password = typed.text().unwrap().trim().to_owned();
    // A challenge that waits, a link that is open, a card in the middle of a chain.
    for report in tapkey_protocol::hid::Frame::new(0x38, &[0x5A; 64]).unwrap().reports() {
        tapkey_protocol::link::OtpLink::write_report(&mut bench.otp(), &report).unwrap();
    }
    printed.push(format!("{:?} {:?}", bench.otp(), bench.key.card().unwrap()));
    bench.raw(&[&[0x10, 1, 1, 0, 16], &AES[..]].concat());
    printed.push(format!("{:?}", bench.key));
    bench.key.with(|key| printed.push(format!("{key:?} {:?} {:?}", key.info(), key.profile())));
    printed.push(format!("{:?}", bench.key.snapshot()));
    printed.push(serde_json::to_string(&bench.key.snapshot()).unwrap());
    bench.key.replug().unwrap();

    let text = ScanCodes::from_us_text("hunter2", Options::default(), AccessCode::NONE).unwrap();
    bench.program(Slot::Two, &text);
    let press = bench.key.press(Slot::Two).unwrap();
    assert!(matches!(press, Press::Typed(_)));
    printed.push(format!("{press:?} {:?} {:?} {:?}", TouchPolicy::Manual, OsRandom, SeededRandom::new(1)));
    let memory = MemoryStore::new();
    let _key = VirtualKey::builder().state(memory.clone()).build().unwrap();
    printed.push(format!("{memory:?}"));
    printed.push(format!("{:?}", FileStore::open(folder.path().join("key.json")).unwrap_err()));

    printed.extend(lines.lock().unwrap().clone());
    assert!(printed.len() > 20, "the transcript was written");
    let record = otp.record();
    let encoded = data_encoding::HEXLOWER.encode(record.encode().expose());
    for needle in needles(&[password, encoded]) {
        for line in &printed {
            assert!(!line.contains(&needle), "{needle} is in {line}");
        }
    }
}
