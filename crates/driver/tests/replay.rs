//! Recorded conversations, played to the driver again: whatever once went wrong stays a test.
//!
//! The recordings under `fixtures` were made by the tests themselves on emulated keys; with
//! `UPDATE=1` they are made anew. One of a real key is made with `tapkey record FILE -- COMMAND`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]

mod common;

use std::path::PathBuf;
use std::sync::{Arc, mpsc};

use common::{Bench, Emulated, NONE, SERIAL, chalresp, yubico_otp};
use tapkey_driver::clock::ManualClock;
use tapkey_driver::{Connector, Control, Device, Error, Malformed, OtpSession, Prefer, Recorded, Ways};
use tapkey_emulator::Profile;
use tapkey_emulator::port::replay::{Departure, Replay};
use tapkey_protocol::hid::ExchangeError;
use tapkey_protocol::link::{CardLink, CardTransport, LinkError, OtpLink};
use tapkey_protocol::slot::Slot;
use tapkey_protocol::transcript::Secrets;
use tapkey_protocol::transcript::recording::{Recording, Tape, decode};

/// The committed recording of [`a_wrong_checksum`], made anew when asked for.
fn fixture() -> Recording {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/wrong-checksum.jsonl");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, record(Secrets::Hide, a_wrong_checksum)).unwrap();
    }
    Recording::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn a_wrong_checksum(bench: &Bench, tape: &Tape) {
    let link = tape.otp(bench.key.otp().unwrap());
    let mut otp = OtpSession::over_hid(link, &bench.control).unwrap();
    otp.program(Slot::Two, &chalresp(b"a recorded key", false), &NONE, &bench.control).unwrap();
    bench.key.faults().add("crc@1".parse().unwrap());
    otp.challenge_hmac(Slot::Two, b"a challenge", &bench.control).unwrap_err();
    otp.challenge_hmac(Slot::Two, b"a challenge", &bench.control).unwrap();
}

fn record(secrets: Secrets, work: impl FnOnce(&Bench, &Tape)) -> String {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let (lines, text) = mpsc::channel();
    let clock = bench.clock.clone();
    let now = move || u64::try_from(clock.elapsed().as_millis()).unwrap();
    let tape = Tape::new("tapkey-driver tests", secrets, now, move |line| {
        lines.send(format!("{line}\n")).unwrap();
    });
    work(&bench, &tape);
    drop(tape);
    text.try_iter().collect()
}

fn control() -> Control {
    Control::with_clock(Arc::new(ManualClock::new()))
}

/// A checksum was wrong in the middle of a session: the driver says so, takes nothing for an
/// answer, and the next command works.
#[test]
fn a_wrong_checksum_in_the_answer_to_a_challenge() {
    let recording = fixture();
    let control = control();
    let replay = Replay::new(recording);
    let mut otp = OtpSession::over_hid(replay.otp().unwrap(), &control).unwrap();
    // Not the key that was recorded; it was left out, as was the challenge.
    otp.program(Slot::Two, &chalresp(b"another key", false), &NONE, &control).unwrap();
    let error = otp.challenge_hmac(Slot::Two, b"a challenge", &control).unwrap_err();
    assert!(matches!(error, Error::Malformed(Malformed::Exchange(ExchangeError::BadCrc))), "{error:?}");
    let response = otp.challenge_hmac(Slot::Two, b"a challenge", &control).unwrap();
    assert_eq!(response.expose(), &[0; 20], "zeros stand where the response was");
    replay.finish().unwrap();
}

#[test]
fn what_was_recorded_is_what_is_told() {
    let recording = fixture();
    let told: Vec<String> = decode(&recording).into_iter().map(|one| one.text).collect();
    assert_eq!(
        told,
        [
            "opened",
            "< status: firmware 5.7.4, sequence 0, slots 0000 (×2)",
            "> OTP: configure slot 2 [64 bytes hidden]",
            "< status: firmware 5.7.4, sequence 1, slots 0002 (×2)",
            "> OTP: HMAC challenge to slot 2 [64 bytes hidden]",
            "< 28 bytes whose checksum is wrong",
            "> reset",
            "< status: firmware 5.7.4, sequence 1, slots 0002",
            "> OTP: HMAC challenge to slot 2 [64 bytes hidden]",
            "< OTP: HMAC challenge to slot 2 [20 bytes hidden]",
            "> reset",
        ]
    );
}

#[test]
fn a_driver_that_does_something_else_is_told_where() {
    let recording = fixture();
    let control = control();
    let replay = Replay::new(recording);
    let mut otp = OtpSession::over_hid(replay.otp().unwrap(), &control).unwrap();
    let error = otp.serial(&control).unwrap_err();
    assert!(matches!(error, Error::Link(LinkError::Io(_))), "{error:?}");
    assert!(error.to_string().contains("of the recording: the host was to write the report"), "{error}");
    assert!(matches!(replay.finish(), Err(Departure::Different { .. })));
}

/// A key that is played from a recording, as a device.
struct Played(Replay);

impl Connector for Played {
    fn name(&self) -> String {
        "recording".to_owned()
    }

    fn open_otp_link(&self) -> Result<Option<Box<dyn OtpLink>>, LinkError> {
        Ok(Some(Box::new(self.0.otp()?)))
    }

    fn open_card_link(&self) -> Result<Option<Box<dyn CardLink>>, LinkError> {
        Ok(Some(Box::new(self.0.card()?)))
    }

    fn ways(&self) -> Ways {
        Ways { hid: true, card: Some(CardTransport::Usb) }
    }
}

/// The whole of a device, from finding out what it is: over HID and over the card, with secrets and
/// without.
#[test]
fn whatever_is_done_with_a_device_can_be_played_again() {
    fn work(device: &Device, control: &Control) {
        assert_eq!(device.serial(), Some(SERIAL));
        let mut otp = device.open_otp(Prefer::Programming, control).unwrap();
        otp.program(Slot::One, &yubico_otp(NONE), &NONE, control).unwrap();
        otp.program(Slot::Two, &chalresp(b"key", false), &NONE, control).unwrap();
        otp.challenge_hmac(Slot::Two, b"challenge", control).unwrap();
        otp.swap(&NONE, control).unwrap();
        drop(otp);
        let mut otp = device.open_otp(Prefer::Card, control).unwrap();
        assert_eq!(otp.serial(control).unwrap(), SERIAL);
        otp.delete(Slot::One, &NONE, control).unwrap();
        drop(otp);
        let mut management = device.open_management(control).unwrap();
        assert_eq!(management.device_info(control).unwrap().serial, Some(SERIAL));
    }
    for secrets in [Secrets::Hide, Secrets::Show] {
        let text = record(secrets, |bench, tape| {
            let connector: Box<dyn Connector> = Box::new(Emulated(bench.key.clone()));
            let recorded = Box::new(Recorded::new(connector, tape.clone()));
            work(&Device::from_connector(recorded, &bench.control).unwrap(), &bench.control);
        });
        // The AES key of the test.
        assert_eq!(text.contains("0707070707"), secrets == Secrets::Show, "{text}");
        let replay = Replay::new(Recording::parse(&text).unwrap());
        let control = control();
        work(&Device::from_connector(Box::new(Played(replay.clone())), &control).unwrap(), &control);
        replay.finish().unwrap();
    }
    // Of a device that was found already, only what comes later is recorded.
    let text = record(Secrets::Hide, |bench, tape| {
        let device = bench.device().recorded(tape);
        device.open_otp(Prefer::Any, &bench.control).unwrap().status(&bench.control).unwrap();
    });
    assert_eq!(Recording::parse(&text).unwrap().lines.len(), 3, "{text}");
}
