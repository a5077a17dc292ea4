//! The power goes at every single write of the memory: no counter comes back, a slot is old or new.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]

mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::{AES, Bench, yubico};
use tapkey_emulator::port::in_process::PluggedKey;
use tapkey_emulator::{
    Faults, FileStore, MemoryStore, Press, SeededRandom, StateError, StateStore, VirtualKey,
};
use tapkey_protocol::hid::Frame;
use tapkey_protocol::link::OtpLink;
use tapkey_protocol::otp::{AesKey, Counter, Otp};
use tapkey_protocol::slot::{
    AccessCode, Digits, HmacKey, Hotp, MovingFactor, Options, Slot, SlotCommand, SlotConfig, WritePayload,
};

/// A key in a file, as one process has it.
struct Process {
    key: PluggedKey,
    faults: Faults,
}

impl Process {
    fn start(path: &Path) -> Result<Self, StateError> {
        let faults = Faults::new();
        Self::start_with(path, &faults)
    }

    fn start_with(path: &Path, faults: &Faults) -> Result<Self, StateError> {
        Self::start_from(FileStore::open(path)?, faults)
    }

    fn start_from(store: impl StateStore + 'static, faults: &Faults) -> Result<Self, StateError> {
        let key = VirtualKey::builder()
            .serial(0xF000_0001)
            .random(SeededRandom::new(3))
            .state(store)
            .faults(faults.clone())
            .build()?;
        Ok(Self { key: PluggedKey::new(key).unwrap(), faults: faults.clone() })
    }

    /// Sends a command, unless the power goes meanwhile.
    fn send(&self, command: SlotCommand, payload: &[u8]) {
        let Ok(mut link) = self.key.otp() else { return };
        for report in Frame::new(command.code(), payload).unwrap().reports() {
            if link.write_report(&report).is_err() {
                return;
            }
        }
    }

    fn program(&self, slot: Slot, config: &dyn SlotConfig) {
        let payload = config.record().payload(&AccessCode::NONE);
        self.send(SlotCommand::Configure(slot), payload.expose());
    }

    fn press(&self, slot: Slot) -> Option<String> {
        match self.key.press(slot) {
            Ok(Press::Typed(typed)) => Some(typed.text()),
            Ok(_) | Err(StateError::PowerCut) => None,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Everything that the key ever typed.
#[derive(Default)]
struct Typed {
    counters: Vec<Counter>,
    codes: BTreeSet<String>,
}

impl Typed {
    fn add(&mut self, slot: Slot, text: Option<String>) {
        let Some(text) = text else { return };
        if slot == Slot::Two {
            assert!(self.codes.insert(text.clone()), "{text} was typed twice");
            return;
        }
        let token = text.trim().parse::<Otp>().unwrap().open(&AesKey::new(AES)).unwrap();
        let counter = token.counter();
        assert!(
            self.counters.last().is_none_or(|last| *last < counter),
            "{:?} then {counter}",
            self.counters
        );
        self.counters.push(counter);
    }
}

fn hotp(key: u8) -> Hotp {
    Hotp {
        key: HmacKey::new([key; 20]),
        digits: Digits::Eight,
        moving_factor: MovingFactor::default(),
        token_id: None,
        options: Options::for_typing(),
        access_code: AccessCode::NONE,
    }
}

fn kind(process: &Process, slot: Slot) -> Option<String> {
    process.key.snapshot().slots[slot.index()].as_ref().map(|slot| slot.kind.clone())
}

/// Types with both slots, over power-ups, a wrap of the session counter and a programming.
fn work(process: &Process, typed: &mut Typed) {
    for round in 0..3 {
        for _ in 0..2 {
            typed.add(Slot::One, process.press(Slot::One));
            typed.add(Slot::Two, process.press(Slot::Two));
        }
        if process.faults.list().iter().any(|fault| fault.fired > 0) {
            return;
        }
        if round == 1 {
            let last = tapkey_emulator::Counter::Session(Slot::One, 254);
            process.key.turn(last).map_or_else(|_| (), |()| ());
        } else {
            process.key.replug().unwrap();
        }
    }
}

/// Makes the cut of `text` while the key works, and then works on with it. True when power was cut.
fn survives(text: &str, another_process: bool) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    let mut typed = Typed::default();
    let mut process = if another_process {
        Process::start(&path).unwrap()
    } else {
        // Without a disk that takes its time.
        Process::start_from(MemoryStore::new(), &Faults::new()).unwrap()
    };
    process.program(Slot::One, &yubico());
    process.program(Slot::Two, &hotp(1));
    work(&process, &mut typed);

    process.faults.add(text.parse().unwrap());
    work(&process, &mut typed);
    let cut = process.faults.list()[0].fired == 1;
    process.faults.clear();
    if another_process {
        drop(process);
        process = Process::start(&path).unwrap();
    } else {
        process.key.replug().unwrap();
    }
    work(&process, &mut typed);
    assert!(typed.counters.len() >= 12 && typed.codes.len() >= 12);
    cut
}

#[test]
fn no_counter_comes_back_wherever_the_power_goes() {
    for (moment, another_process) in
        [("before", false), ("during", false), ("after", false), ("during", true), ("after", true)]
    {
        let cuts = (1..).take_while(|n| survives(&format!("power-cut={moment}@{n}"), another_process));
        assert!(cuts.count() >= 8, "{moment}");
    }
}

type Step = fn(&Process);

#[test]
fn a_slot_is_old_or_new_wherever_the_power_goes() {
    let steps: [(&str, Step); 5] = [
        ("program", |process| process.program(Slot::One, &hotp(2))),
        ("delete", |process| {
            let payload = WritePayload::delete(AccessCode::NONE).encode();
            process.send(SlotCommand::Configure(Slot::One), payload.expose());
        }),
        ("swap", |process| process.send(SlotCommand::Swap, &[0; 64])),
        ("program the empty one", |process| process.program(Slot::Two, &hotp(3))),
        ("scan map", |process| process.send(SlotCommand::ScanMap, &[4; 45])),
    ];
    for (name, step) in steps {
        for (moment, done) in [("before", false), ("during", false), ("after", true)] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("key.json");
            let (old, new) = {
                let process = Process::start(&path).unwrap();
                process.program(Slot::One, &yubico());
                let old = std::fs::read(&path).unwrap();
                process.faults.add(format!("power-cut={moment}").parse().unwrap());
                step(&process);
                assert!(process.key.otp().is_err(), "{name}, {moment}: the key has no power");
                (old, std::fs::read(&path).unwrap())
            };
            assert_eq!(old != new, done, "{name}, {moment}");
            // Whatever lies there wakes up, and takes the same command.
            let process = Process::start(&path).unwrap();
            if !done {
                assert_eq!(kind(&process, Slot::One).as_deref(), Some("Yubico OTP"));
            }
            step(&process);
            process.program(Slot::Two, &hotp(4));
            assert!(process.press(Slot::Two).is_some(), "{name}, {moment}");
        }
    }
}

#[test]
fn a_key_that_was_cut_off_while_it_was_made_is_made_anew() {
    for (moment, exists) in [("before", false), ("during", false), ("after", true)] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        let faults = Faults::new();
        faults.add(format!("power-cut={moment}").parse().unwrap());
        let error = Process::start_with(&path, &faults).err().unwrap();
        assert!(matches!(error, StateError::PowerCut), "{error}");
        assert_eq!(path.exists(), exists);
        let process = Process::start(&path).unwrap();
        process.program(Slot::One, &yubico());
        assert!(process.press(Slot::One).is_some());
    }
}

#[test]
fn a_challenge_that_moves_a_counter_is_not_answered_when_the_power_goes() {
    let bench = Bench::new();
    bench.program(
        Slot::One,
        &tapkey_protocol::slot::ChallengeYubico {
            key: AesKey::new(AES),
            require_touch: false,
            options: Options::for_challenges(),
            access_code: AccessCode::NONE,
        },
    );
    for moment in ["before", "during", "after"] {
        bench.key.faults().add(format!("power-cut={moment}").parse().unwrap());
        let mut link = bench.otp();
        let mut broken = None;
        for report in Frame::new(SlotCommand::ChallengeYubico(Slot::One).code(), &[7; 6]).unwrap().reports() {
            broken = link.write_report(&report).err();
        }
        assert!(matches!(broken, Some(tapkey_protocol::link::LinkError::Removed)), "{moment}: {broken:?}");
        bench.key.faults().clear();
        bench.key.replug().unwrap();
    }
}
