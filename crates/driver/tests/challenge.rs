//! Challenge-response, touches, deadlines, removal: with a clock that takes no time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Bench, NONE, Over, chal_yubico, chalresp, hotp};
use tapkey_driver::{
    CancelToken, Control, Error, InputError, NotOverThisLink, OtpSession, Probe, Refusal, TouchEvent,
};
use tapkey_emulator::{Milliseconds, Profile, TouchPolicy};
use tapkey_protocol::challenge;
use tapkey_protocol::link::LinkError;
use tapkey_protocol::oath::Algorithm;
use tapkey_protocol::otp::Token;
use tapkey_protocol::secret::Secret;
use tapkey_protocol::slot::Slot;

fn bench() -> Bench {
    Bench::new(Profile::YUBIKEY_5_7_4)
}

fn sha1(bytes: [u8; 20]) -> Secret<20> {
    Secret::new(bytes)
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// A key with a touch-required slot 1, and the touch events it leads to.
fn touching(policy: TouchPolicy) -> (Bench, OtpSession, Control, Arc<Mutex<Vec<TouchEvent>>>) {
    let bench = Bench::with_touch(Profile::YUBIKEY_5_7_4, policy);
    let mut otp = bench.otp(Over::Hid);
    otp.program(Slot::One, &chalresp(b"key", true), &NONE, &bench.control).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let control = bench.control.clone().with_touch(move |event| tell.lock().unwrap().push(event));
    (bench, otp, control, told)
}

/// Told first that a touch is needed, then every second once, and last that the wait is over.
fn needed_then_over(told: &Mutex<Vec<TouchEvent>>) -> bool {
    let told = told.lock().unwrap();
    let [TouchEvent::Needed { seconds_left: Some(first @ 1..=15) }, between @ .., TouchEvent::Over] =
        told.as_slice()
    else {
        return false;
    };
    let seconds: Vec<u8> = between
        .iter()
        .map(|event| match event {
            TouchEvent::Waiting { seconds_left } => *seconds_left,
            other => panic!("{other:?} in the middle of {told:?}"),
        })
        .collect();
    let expected: Vec<u8> = (0..*first).rev().take(seconds.len()).collect();
    seconds == expected
}

#[test]
fn published_answers() {
    // The first was published from a genuine key; the others are RFC 2202 and plain HMAC-SHA1.
    let cases = [
        (
            "b3cd9bc5afa573fc2ea2b7baa995af99fef9b2b4",
            "1122334455667788",
            "884701c5995a388f2832246fdee22196943825bf",
        ),
        (
            "303132333435363738393a3b3c3d3e3f40414243",
            "53616d706c65202332",
            "0922d3405faa3d194f82a45830737d5cc6c75d24",
        ),
        ("abba", "abba", "f8de2586056d89d8b961a072d1245a495d2155e1"),
        (
            "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
            "4869205468657265",
            "b617318655057264e28bc0b6fb378c8ef146be00",
        ),
    ];
    for over in [Over::Hid, Over::Nfc] {
        let bench = bench();
        let mut otp = bench.otp(over);
        for (key, challenge, expected) in cases {
            otp.program(Slot::Two, &chalresp(&hex(key), false), &NONE, &bench.control).unwrap();
            let response = otp.challenge_hmac(Slot::Two, &hex(challenge), &bench.control).unwrap();
            assert_eq!(response.expose().to_vec(), hex(expected), "{over:?} {challenge}");
        }
    }
}

#[test]
fn challenges_of_every_length() {
    let key = *b"01234567890123456789";
    for over in [Over::Hid, Over::Nfc] {
        let bench = bench();
        let mut otp = bench.otp(over);
        otp.program(Slot::One, &chalresp(&key, false), &NONE, &bench.control).unwrap();
        let mut fixed = chalresp(&key, false);
        fixed.variable_length = false;
        otp.program(Slot::Two, &fixed, &NONE, &bench.control).unwrap();
        for length in [0_u8, 1, 2, 31, 62, 63, 64] {
            // Ends in zero and in something else: both must be told from their padding.
            for last in [0, 5] {
                let mut challenge: Vec<u8> = (1..=length).collect();
                if let Some(end) = challenge.last_mut() {
                    *end = last;
                }
                let expected = Algorithm::Sha1.hmac(&key, &challenge);
                let response = otp.challenge_hmac(Slot::One, &challenge, &bench.control).unwrap();
                if length < 64 {
                    assert_eq!(response.expose().to_vec(), expected, "{over:?} {length} {last}");
                }
                let frame = challenge::pad(&challenge).unwrap();
                let padded = Algorithm::Sha1.hmac(&key, &frame);
                let response = otp.challenge_hmac(Slot::Two, &challenge, &bench.control).unwrap();
                assert_eq!(response.expose().to_vec(), padded, "{over:?} {length} {last}, fixed");
            }
        }
        let error = otp.challenge_hmac(Slot::One, &[0; 65], &bench.control).unwrap_err();
        assert!(matches!(error, Error::Input(InputError::Challenge(_))), "{error:?}");
    }
}

#[test]
fn yubico_mode_seals_the_challenge() {
    for over in [Over::Hid, Over::Nfc] {
        let bench = bench();
        let mut otp = bench.otp(over);
        let config = chal_yubico();
        otp.program(Slot::Two, &config, &NONE, &bench.control).unwrap();
        let block = otp.challenge_yubico(Slot::Two, *b"abcdef", &bench.control).unwrap();
        let token = Token::open(&config.key, &block).unwrap();
        assert_eq!(token.private_id.expose(), b"abcdef");
    }
}

#[test]
fn the_smart_card_on_usb_is_explained() {
    let bench = bench();
    bench.otp(Over::Hid).program(Slot::One, &chalresp(b"key", false), &NONE, &bench.control).unwrap();
    let error = bench.otp(Over::Usb).challenge_hmac(Slot::One, b"x", &bench.control).unwrap_err();
    assert!(matches!(error, Error::NotOverThisLink(NotOverThisLink::ChallengeOverUsbCard)), "{error:?}");
}

#[test]
fn slots_that_do_not_answer() {
    for over in [Over::Hid, Over::Nfc] {
        let bench = bench();
        let mut otp = bench.otp(over);
        let error = otp.challenge_hmac(Slot::One, b"x", &bench.control).unwrap_err();
        assert!(
            matches!(error, Error::Refused(Refusal::SlotEmpty { slot: Slot::One })),
            "{over:?} {error:?}"
        );
        otp.program(Slot::One, &hotp(), &NONE, &bench.control).unwrap();
        otp.program(Slot::Two, &chalresp(b"key", false), &NONE, &bench.control).unwrap();
        let error = otp.challenge_hmac(Slot::One, b"x", &bench.control).unwrap_err();
        assert!(matches!(error, Error::Refused(Refusal::NoChallengeResponse { .. })), "{error:?}");
        let error = otp.challenge_yubico(Slot::Two, [0; 6], &bench.control).unwrap_err();
        assert!(matches!(error, Error::Refused(Refusal::NoChallengeResponse { .. })), "{error:?}");
    }
}

#[test]
fn a_touch_lets_the_key_answer() {
    let (bench, mut otp, control, told) = touching(TouchPolicy::Automatic(Milliseconds::from_seconds(3)));
    let response = otp.challenge_hmac(Slot::One, b"x", &control).unwrap();
    let expected: [u8; 20] = Algorithm::Sha1.hmac(b"key", b"x").try_into().unwrap();
    assert_eq!(response, sha1(expected));
    assert!(needed_then_over(&told), "{told:?}");
    assert!((2900..3300).contains(&bench.clock.elapsed().as_millis()), "{:?}", bench.clock);
}

#[test]
fn nobody_touches() {
    let (bench, mut otp, control, told) = touching(TouchPolicy::Never);
    let error = otp.challenge_hmac(Slot::One, b"x", &control).unwrap_err();
    assert!(matches!(error, Error::Refused(Refusal::TouchTimedOut)), "{error:?}");
    assert!(needed_then_over(&told), "{told:?}");
    assert!((14..17).contains(&bench.clock.elapsed().as_secs()), "{:?}", bench.clock);
    otp.serial(&control).unwrap();
}

#[test]
fn cancelling_takes_the_challenge_back() {
    let (bench, mut otp, control, told) = touching(TouchPolicy::Manual);
    let token = CancelToken::new();
    let fire = token.clone();
    bench.on_sleep(move |_, elapsed| {
        if elapsed >= Duration::from_secs(2) {
            fire.cancel();
        }
    });
    let error = otp.challenge_hmac(Slot::One, b"x", &control.clone().with_cancel(token)).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error:?}");
    assert!(needed_then_over(&told), "{told:?}");
    // The key no longer waits, and takes the next command at once.
    assert_eq!(bench.key.with(|key| key.waits_for()), None);
    otp.serial(&control).unwrap();
    assert!(bench.clock.elapsed() < Duration::from_millis(2300), "{:?}", bench.clock);
}

#[test]
fn a_deadline_ends_a_touch_wait() {
    let (bench, mut otp, control, told) = touching(TouchPolicy::Manual);
    let control = control.with_timeout(Duration::from_millis(4321));
    let start = bench.clock.elapsed();
    let error = otp.challenge_hmac(Slot::One, b"x", &control).unwrap_err();
    assert!(matches!(error, Error::DeadlinePassed), "{error:?}");
    assert_eq!(bench.clock.elapsed() - start, Duration::from_millis(4321));
    assert_eq!(told.lock().unwrap().last(), Some(&TouchEvent::Over));
    assert_eq!(bench.key.with(|key| key.waits_for()), None);
    // A passed deadline stops the next command before it begins.
    assert!(matches!(otp.serial(&control), Err(Error::DeadlinePassed)));
    otp.serial(&bench.control).unwrap();
}

#[test]
fn a_key_pulled_out_while_it_waits() {
    let (bench, mut otp, control, told) = touching(TouchPolicy::Manual);
    bench.on_sleep(|key, elapsed| {
        if elapsed >= Duration::from_secs(1) {
            key.unplug();
        }
    });
    let error = otp.challenge_hmac(Slot::One, b"x", &control).unwrap_err();
    assert!(matches!(error, Error::Link(LinkError::Removed)), "{error:?}");
    assert!(error.is_removal());
    assert_eq!(told.lock().unwrap().last(), Some(&TouchEvent::Over));
}

#[test]
fn what_another_program_left_behind_is_cleared() {
    let (bench, otp, control, _) = touching(TouchPolicy::Manual);
    drop(otp);
    // Somebody's challenge waits for a touch, and that program is gone.
    let mut link = bench.key.otp().unwrap();
    for report in tapkey_protocol::hid::Frame::new(0x30, b"y").unwrap().reports() {
        tapkey_protocol::link::OtpLink::write_report(&mut link, &report).unwrap();
    }
    assert!(bench.key.with(|key| key.waits_for()).is_some());
    let mut otp = bench.otp(Over::Hid);
    assert_eq!(otp.serial(&control).unwrap(), common::SERIAL);
}

/// A probe says what a slot is, moves no counter and leaves no key blinking.
#[test]
fn a_probe_changes_nothing() {
    let bench = Bench::with_touch(Profile::YUBIKEY_5_7_4, TouchPolicy::Manual);
    let mut otp = bench.otp(Over::Hid);
    let probe = |otp: &mut OtpSession| otp.probe_hmac(Slot::Two, b"probe", &bench.control).unwrap();
    assert_eq!(probe(&mut otp), Probe::Refused, "an empty slot");

    otp.program(Slot::Two, &chalresp(b"key", false), &NONE, &bench.control).unwrap();
    let answer = otp.challenge_hmac(Slot::Two, b"probe", &bench.control).unwrap();
    assert_eq!(probe(&mut otp), Probe::Answered(answer));

    otp.program(Slot::Two, &chalresp(b"key", true), &NONE, &bench.control).unwrap();
    let begun = bench.control.clock().now();
    assert_eq!(probe(&mut otp), Probe::WaitsForTouch);
    assert!(bench.control.clock().now() - begun < Duration::from_secs(1), "it waited for the touch");
    assert_eq!(bench.key.snapshot().waits_for_touch, None, "the key still waits");
    assert_eq!(bench.key.snapshot().led, "on");

    for silent in [true, false] {
        match silent {
            true => otp.program(Slot::Two, &hotp(), &NONE, &bench.control).unwrap(),
            false => otp.program(Slot::Two, &chal_yubico(), &NONE, &bench.control).unwrap(),
        }
        let before = bench.key.snapshot();
        assert_eq!(probe(&mut otp), Probe::Refused);
        assert_eq!(bench.key.snapshot(), before, "something moved");
    }

    // Whoever asked may still cancel.
    let cancel = CancelToken::new();
    cancel.cancel();
    let control = bench.control.clone().with_cancel(cancel);
    assert!(matches!(otp.probe_hmac(Slot::Two, b"probe", &control), Err(Error::Cancelled)));
}
