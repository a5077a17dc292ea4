//! Links that lie: no answer, however broken, may be taken for a right one, hang, or panic.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]

mod common;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use common::{Bench, NONE, Over, chalresp, yubico_otp};
use proptest::prelude::*;
use tapkey_driver::clock::ManualClock;
use tapkey_driver::{Control, Error, Malformed, ManagementSession, OtpSession, Refusal};
use tapkey_emulator::Profile;
use tapkey_protocol::link::{CardLink, CardTransport, LinkError, OtpLink, Report};
use tapkey_protocol::slot::Slot;

/// Answers by a script, then as an empty card would.
struct ScriptedCard(VecDeque<Vec<u8>>);

impl ScriptedCard {
    fn new(answers: &[&[u8]]) -> Self {
        Self(answers.iter().map(|answer| answer.to_vec()).collect())
    }
}

impl CardLink for ScriptedCard {
    fn transmit(&mut self, _: &[u8]) -> Result<Vec<u8>, LinkError> {
        Ok(self.0.pop_front().unwrap_or_else(|| vec![0x6A, 0x82]))
    }

    fn transport(&self) -> CardTransport {
        CardTransport::Usb
    }
}

fn manual() -> Control {
    Control::with_clock(Arc::new(ManualClock::new()))
}

const STATUS: &[u8] = &[5, 7, 4, 3, 1, 0, 0x90, 0];
const VERSION: &[u8] = b"FW version 5.7.4\x90\x00";

#[test]
fn answers_of_wrong_length() {
    let control = manual();
    let open = |answers: &[&[u8]]| OtpSession::over_card(ScriptedCard::new(answers), &control);
    assert!(matches!(open(&[&[]]), Err(Error::Malformed(Malformed::Transaction(_)))));
    assert!(matches!(open(&[&[0x90]]), Err(Error::Malformed(Malformed::Transaction(_)))));
    assert!(matches!(open(&[&[5, 7, 4, 0x90, 0]]), Err(Error::Malformed(Malformed::Length { .. }))));
    // Four bytes about the USB mode, as firmware 4 appends them, are no mistake.
    open(&[&[4, 3, 7, 3, 5, 0, 6, 15, 0, 0, 0x90, 0]]).unwrap();

    let mut otp = open(&[STATUS, STATUS, &[1, 2, 3, 0x90, 0]]).unwrap();
    assert!(matches!(otp.serial(&control), Err(Error::Malformed(Malformed::Length { .. }))));
}

#[test]
fn a_write_that_is_acknowledged_and_not_done_is_a_rejection() {
    let control = manual();
    // Status word 9000, but the programming sequence did not move.
    let mut otp =
        OtpSession::over_card(ScriptedCard::new(&[STATUS, STATUS, STATUS, STATUS]), &control).unwrap();
    let error = otp.program(Slot::One, &yubico_otp(NONE), &NONE, &control).unwrap_err();
    assert!(matches!(error, Error::Refused(Refusal::AccessCodeNeeded { slot: Slot::One })), "{error:?}");
    // The answer is empty, so the status is asked for: it moved.
    let moved: &[u8] = &[5, 7, 4, 4, 1, 0, 0x90, 0];
    let mut otp =
        OtpSession::over_card(ScriptedCard::new(&[STATUS, STATUS, &[0x90, 0], moved]), &control).unwrap();
    otp.program(Slot::One, &yubico_otp(NONE), &NONE, &control).unwrap();
}

#[test]
fn a_status_word_that_says_something_is_passed_on() {
    let control = manual();
    let mut otp =
        OtpSession::over_card(ScriptedCard::new(&[STATUS, STATUS, &[0x65, 0x81]]), &control).unwrap();
    let error = otp.program(Slot::One, &yubico_otp(NONE), &NONE, &control).unwrap_err();
    assert!(matches!(error, Error::Refused(Refusal::Status { .. })), "{error:?}");
    assert!(error.to_string().contains("6581"), "{error}");
}

#[test]
fn device_information_that_lies() {
    let control = manual();
    let read = |page: &[u8]| {
        let card = ScriptedCard::new(&[VERSION, VERSION, page]);
        ManagementSession::over_card(card, &control).unwrap().device_info(&control)
    };
    for page in [
        &b"\x90\x00"[..],                 // nothing
        &b"\x05\x01\x02\x90\x00"[..],     // shorter than it says
        &b"\x03\x02\x04\x00\x90\x00"[..], // the serial number ends early
        &b"\x03\x02\x01\x00\x90\x00"[..], // a serial number of one byte
    ] {
        assert!(matches!(read(page), Err(Error::Malformed(Malformed::Info(_)))), "{page:?}");
    }
    let card = ScriptedCard::new(&[b"no version\x90\x00"]);
    assert!(matches!(
        ManagementSession::over_card(card, &control),
        Err(Error::Malformed(Malformed::NoVersion))
    ));
}

#[test]
fn endless_pages_end() {
    struct Endless;
    impl CardLink for Endless {
        fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, LinkError> {
            match command[1] {
                0xA4 => Ok(VERSION.to_vec()),
                0x1D => Ok(b"\x03\x10\x01\x01\x90\x00".to_vec()),
                _ => panic!("{command:?}"),
            }
        }
        fn transport(&self) -> CardTransport {
            CardTransport::Usb
        }
    }
    let control = manual();
    let mut session = ManagementSession::over_card(Endless, &control).unwrap();
    assert!(matches!(session.device_info(&control), Err(Error::Malformed(Malformed::Info(_)))));
}

#[test]
fn an_answer_that_never_ends_is_cut_off() {
    struct More;
    impl CardLink for More {
        fn transmit(&mut self, _: &[u8]) -> Result<Vec<u8>, LinkError> {
            let mut answer = vec![0; 255];
            answer.extend_from_slice(&[0x61, 0xFF]);
            Ok(answer)
        }
        fn transport(&self) -> CardTransport {
            CardTransport::Nfc
        }
    }
    let error = OtpSession::over_card(More, &manual()).unwrap_err();
    assert!(matches!(error, Error::Malformed(Malformed::Transaction(_))), "{error:?}");
}

#[test]
fn a_key_that_is_gone_says_so_in_every_operation() {
    for over in [Over::Hid, Over::Usb, Over::Nfc] {
        let bench = Bench::new(Profile::YUBIKEY_5_7_4);
        let control = &bench.control;
        let mut otp = bench.otp(over);
        bench.key.unplug();
        let results = [
            otp.status(control).map(drop),
            otp.serial(control).map(drop),
            otp.device_info(control).map(drop),
            otp.program(Slot::One, &yubico_otp(NONE), &NONE, control),
            otp.program(Slot::Two, &chalresp(b"k", false), &NONE, control),
            otp.delete(Slot::One, &NONE, control),
            otp.swap(&NONE, control),
        ];
        for result in results {
            assert!(matches!(result, Err(Error::Link(LinkError::Removed))), "{over:?} {result:?}");
        }
    }
}

/// A key pulled out after so many reports: the slot holds what it held, or all of the new content.
#[test]
fn a_write_that_is_cut_anywhere_changes_all_or_nothing() {
    struct Cut {
        link: tapkey_emulator::port::in_process::OtpPort,
        key: tapkey_emulator::port::in_process::PluggedKey,
        left: usize,
    }
    impl Cut {
        fn count(&mut self) {
            match self.left.checked_sub(1) {
                Some(left) => self.left = left,
                None => self.key.unplug(),
            }
        }
    }
    impl OtpLink for Cut {
        fn write_report(&mut self, report: &Report) -> Result<(), LinkError> {
            self.count();
            self.link.write_report(report)
        }
        fn read_report(&mut self) -> Result<Report, LinkError> {
            self.count();
            self.link.read_report()
        }
    }
    let mut outcomes = [0, 0];
    for left in 1.. {
        let bench = Bench::new(Profile::YUBIKEY_5_7_4);
        bench.otp(Over::Hid).program(Slot::One, &yubico_otp(NONE), &NONE, &bench.control).unwrap();
        let link = Cut { link: bench.key.otp().unwrap(), key: bench.key.clone(), left };
        let mut otp = OtpSession::over_hid(link, &bench.control).unwrap();
        let result = otp.program(Slot::One, &chalresp(b"key", false), &NONE, &bench.control);
        if bench.key.with(|key| key.powered()) == tapkey_emulator::Power::Off {
            bench.key.replug().unwrap();
        }
        // It either still types, or answers challenges.
        let answers = bench.otp(Over::Hid).challenge_hmac(Slot::One, b"x", &bench.control);
        match answers {
            Ok(_) => outcomes[1] += 1,
            Err(_) => {
                bench.press(Slot::One);
                outcomes[0] += 1;
                assert!(matches!(result, Err(Error::Link(LinkError::Removed))), "{left}: {result:?}");
            }
        }
        if result.is_ok() {
            break;
        }
    }
    assert!(outcomes[0] > 5 && outcomes[1] > 1, "{outcomes:?}");
}

/// Answers with whatever the test draws.
struct Noise(VecDeque<Report>);

impl OtpLink for Noise {
    fn write_report(&mut self, _: &Report) -> Result<(), LinkError> {
        Ok(())
    }

    fn read_report(&mut self) -> Result<Report, LinkError> {
        self.0.pop_front().ok_or(LinkError::Removed)
    }
}

proptest! {
    #[test]
    fn no_reports_make_the_driver_panic_or_hang(
        reports in proptest::collection::vec(any::<[u8; 8]>(), 0..200),
        calm in any::<bool>(),
    ) {
        let clock = Arc::new(ManualClock::new());
        let control = Control::with_clock(clock.clone()).with_timeout(Duration::from_secs(300));
        let mut reports: VecDeque<Report> = reports.into();
        if calm {
            // Begin as a key does, so that the noise comes later.
            for _ in 0..4 {
                reports.push_front([0, 5, 7, 4, 3, 1, 0, 0]);
            }
        }
        if let Ok(mut otp) = OtpSession::over_hid(Noise(reports), &control) {
            let _ = otp.serial(&control);
            let _ = otp.device_info(&control);
            let _ = otp.challenge_hmac(Slot::One, b"x", &control);
            let _ = otp.program(Slot::One, &yubico_otp(NONE), &NONE, &control);
        }
        prop_assert!(clock.elapsed() <= Duration::from_secs(300));
    }

    #[test]
    fn no_card_answers_make_the_driver_panic(
        answers in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..40),
        success in any::<bool>(),
    ) {
        let control = manual();
        let answers: VecDeque<Vec<u8>> = answers
            .into_iter()
            .map(|mut answer| {
                if success {
                    answer.extend_from_slice(&[0x90, 0]);
                }
                answer
            })
            .collect();
        if let Ok(mut otp) = OtpSession::over_card(ScriptedCard(answers.clone()), &control) {
            let _ = otp.serial(&control);
            let _ = otp.device_info(&control);
            let _ = otp.program(Slot::One, &yubico_otp(NONE), &NONE, &control);
            let _ = otp.swap(&NONE, &control);
        }
        if let Ok(mut session) = ManagementSession::over_card(ScriptedCard(answers), &control) {
            let _ = session.device_info(&control);
        }
    }
}
