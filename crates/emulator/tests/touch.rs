//! Challenges, and waiting for a finger.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{AES, Answer, Bench, hex, hmac, yubico};
use tapkey_emulator::{Milliseconds, Press, Profile, ScriptedTouch, TouchError, TouchPolicy, VirtualKey};
use tapkey_protocol::challenge;
use tapkey_protocol::hid::{Frame, RESET_REPORT};
use tapkey_protocol::link::OtpLink;
use tapkey_protocol::management::DeviceConfig;
use tapkey_protocol::otp::AesKey;
use tapkey_protocol::slot::{AccessCode, ChallengeYubico, Options, Slot, SlotCommand};

const HMAC_1: SlotCommand = SlotCommand::ChallengeHmac(Slot::One);
const HMAC_2: SlotCommand = SlotCommand::ChallengeHmac(Slot::Two);

/// Key, challenge and answer; the first was published from a genuine key.
const VECTORS: [(&str, &[u8], &str); 5] = [
    (
        "b3cd9bc5afa573fc2ea2b7baa995af99fef9b2b4",
        &[0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88],
        "884701c5995a388f2832246fdee22196943825bf",
    ),
    ("303132333435363738393a3b3c3d3e3f40414243", b"Sample #2", "0922d3405faa3d194f82a45830737d5cc6c75d24"),
    ("abba", &[0xAB, 0xBA], "f8de2586056d89d8b961a072d1245a495d2155e1"),
    ("0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", b"Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"),
    ("000102030405060708090a0b0c0d0e0f10111213", b"hello", "652a02ab43218e9956efffaeb4fe936f43e49f2c"),
];

/// A key whose slot 1 answers after a touch, and the answer to `abba`.
fn touchy(policy: TouchPolicy) -> Bench {
    let bench = Bench::with(VirtualKey::builder().touch(policy).build().unwrap());
    let mut config = hmac(&[0xAB, 0xBA]);
    config.require_touch = true;
    bench.program(Slot::One, &config);
    bench
}

fn ask(bench: &Bench) -> impl OtpLink + use<> {
    let mut link = bench.otp();
    for report in Frame::new(HMAC_1.code(), &challenge::pad(&[0xAB, 0xBA]).unwrap()).unwrap().reports() {
        link.write_report(&report).unwrap();
    }
    link
}

fn flag(link: &mut impl OtpLink) -> u8 {
    link.read_report().unwrap()[7]
}

fn answer(link: &mut impl OtpLink) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in 0..4 {
        let report = link.read_report().unwrap();
        assert_eq!(report[7], 0x40 | part);
        bytes.extend_from_slice(&report[..7]);
    }
    assert_eq!(flag(link), 0x40);
    assert_eq!(flag(link), 0);
    bytes.truncate(20);
    bytes
}

#[test]
fn published_answers_over_reports_and_over_nfc() {
    for (key, question, expected) in VECTORS {
        let bench = Bench::new();
        for slot in Slot::ALL {
            bench.program(slot, &hmac(&hex(key)));
        }
        let frame = challenge::pad(question).unwrap();
        for command in [HMAC_1, HMAC_2] {
            assert_eq!(bench.hid(command, &frame), Answer::Data(hex(expected)));
            assert_eq!(bench.card(command, &frame), Answer::Refused, "not over USB");
        }
        bench.nfc();
        for command in [HMAC_1, HMAC_2] {
            assert_eq!(bench.card(command, &frame), Answer::Data(hex(expected)));
        }
    }
}

#[test]
fn fixed_length_slots_hash_all_64_bytes() {
    let bench = Bench::new();
    let mut config = hmac(&hex(VECTORS[1].0));
    config.variable_length = false;
    bench.program(Slot::One, &config);
    bench.program(Slot::Two, &hmac(&hex(VECTORS[1].0)));
    let mut full = [5; 64];
    full[63] = 6;
    let fixed = bench.hid(HMAC_1, &full);
    let Answer::Data(variable) = bench.hid(HMAC_2, &full) else { panic!() };
    assert_ne!(fixed, Answer::Data(variable.clone()), "the last byte is padding in variable length");
    let mut shorter = [0; 64];
    shorter[..63].copy_from_slice(&full[..63]);
    assert_eq!(bench.hid(HMAC_2, &shorter), Answer::Data(variable));
}

#[test]
fn slots_of_another_kind_refuse() {
    let bench = Bench::new();
    assert_eq!(bench.hid(HMAC_1, &[1; 64]), Answer::Refused, "empty");
    bench.program(Slot::One, &yubico());
    assert_eq!(bench.hid(HMAC_1, &[1; 64]), Answer::Refused);
    bench.program(Slot::One, &hmac(&[1]));
    assert_eq!(bench.hid(SlotCommand::ChallengeYubico(Slot::One), &[1; 6]), Answer::Refused);
}

#[test]
fn the_countdown_starts_at_15_seconds_and_stays_until_the_touch() {
    let bench = touchy(TouchPolicy::Manual);
    let mut link = ask(&bench);
    assert_eq!(flag(&mut link), 0x20 | 15);
    assert_eq!(bench.key.snapshot().led, "blinking");
    bench.pass(1);
    assert_eq!(flag(&mut link), 0x20 | 15);
    bench.pass(1000);
    assert_eq!(flag(&mut link), 0x20 | 14);
    bench.pass(13_000);
    assert_eq!(flag(&mut link), 0x20 | 1);
    bench.key.touch().unwrap();
    assert_eq!(answer(&mut link), hex(VECTORS[2].2));
    assert_eq!(bench.key.snapshot().led, "on");
}

#[test]
fn nobody_touches() {
    let bench = touchy(TouchPolicy::Manual);
    let sequence = bench.sequence();
    let mut link = ask(&bench);
    bench.pass(15_000);
    assert_eq!(flag(&mut link), 0);
    assert_eq!(bench.key.touch(), Err(TouchError::NothingWaits), "too late");
    assert_eq!(bench.sequence(), sequence);
    assert_eq!(bench.hid(HMAC_1, &[1; 64]), Answer::TouchTimedOut);
}

#[test]
fn a_touch_without_a_challenge_is_refused() {
    let bench = touchy(TouchPolicy::Manual);
    assert_eq!(bench.key.touch(), Err(TouchError::NothingWaits));
    let bench = touchy(TouchPolicy::Never);
    let _link = ask(&bench);
    assert_eq!(bench.key.touch(), Err(TouchError::NobodyThere));
}

#[test]
fn the_host_gives_up_with_a_reset_or_a_new_frame() {
    let bench = touchy(TouchPolicy::Manual);
    for flag_byte in [0x8F, 0xFF] {
        let mut link = ask(&bench);
        let mut reset = RESET_REPORT;
        reset[7] = flag_byte;
        link.write_report(&reset).unwrap();
        assert_eq!(flag(&mut link), 0);
        assert_eq!(bench.key.touch(), Err(TouchError::NothingWaits));
    }
    let _link = ask(&bench);
    assert!(matches!(bench.hid(SlotCommand::Serial, &[]), Answer::Data(_)));
    assert_eq!(bench.key.touch(), Err(TouchError::NothingWaits));
}

#[test]
fn a_press_is_a_touch_when_a_challenge_waits() {
    let bench = touchy(TouchPolicy::Manual);
    bench.program(Slot::Two, &yubico());
    let mut link = ask(&bench);
    assert_eq!(bench.key.press(Slot::Two).unwrap(), Press::AnsweredChallenge);
    assert_eq!(answer(&mut link), hex(VECTORS[2].2));
    assert_eq!(bench.counters(Slot::Two), (1, 0), "nothing was typed before");
}

#[test]
fn a_finger_that_comes_by_itself() {
    let bench = touchy(TouchPolicy::Automatic(Milliseconds(700)));
    let mut link = ask(&bench);
    bench.pass(699);
    assert_eq!(flag(&mut link), 0x20 | 15);
    bench.pass(1);
    assert_eq!(answer(&mut link), hex(VECTORS[2].2));
    let at_once = touchy(TouchPolicy::Automatic(Milliseconds::ZERO));
    assert_eq!(answer(&mut ask(&at_once)), hex(VECTORS[2].2));
}

#[test]
fn a_script_of_touches() {
    let script = [ScriptedTouch::After(Milliseconds(200)), ScriptedTouch::Never];
    let bench = touchy(TouchPolicy::scripted(script));
    let frame = challenge::pad(&[0xAB, 0xBA]).unwrap();
    assert_eq!(bench.hid(HMAC_1, &frame), Answer::Data(hex(VECTORS[2].2)));
    assert_eq!(bench.hid(HMAC_1, &frame), Answer::TouchTimedOut);
    assert_eq!(bench.hid(HMAC_1, &frame), Answer::TouchTimedOut, "the script is used up");
}

#[test]
fn a_jump_of_the_clock_over_touch_and_end_is_a_touch() {
    let bench = touchy(TouchPolicy::Automatic(Milliseconds(5000)));
    let mut link = ask(&bench);
    bench.pass(60_000);
    assert_eq!(answer(&mut link), hex(VECTORS[2].2));
    let late = touchy(TouchPolicy::Automatic(Milliseconds(15_000)));
    let mut link = ask(&late);
    late.pass(60_000);
    assert_eq!(flag(&mut link), 0);
}

#[test]
fn a_clock_that_runs_backwards_is_not_believed() {
    let bench = touchy(TouchPolicy::Manual);
    bench.pass(100_000);
    let mut link = ask(&bench);
    bench.key.with(|key| {
        key.tick(Milliseconds(5));
        assert_eq!(key.waits_for(), Some(Milliseconds(15_000)));
        key.tick(Milliseconds(110_000));
        assert_eq!(key.waits_for(), Some(Milliseconds(5_000)));
        key.tick(Milliseconds(0));
        assert_eq!(key.waits_for(), Some(Milliseconds(5_000)));
    });
    assert_eq!(flag(&mut link), 0x20 | 5);
}

#[test]
fn the_wait_is_a_setting_and_shows_31_seconds_at_most() {
    let bench = touchy(TouchPolicy::Manual);
    let config = DeviceConfig { challenge_timeout: Some(60), ..DeviceConfig::default() };
    assert_eq!(bench.hid(SlotCommand::WriteDeviceInfo, config.encode().expose()), Answer::Accepted);
    let mut link = ask(&bench);
    assert_eq!(flag(&mut link), 0x20 | 31);
    bench.pass(55_500);
    assert_eq!(flag(&mut link), 0x20 | 5);
    let config = DeviceConfig { challenge_timeout: Some(0), ..DeviceConfig::default() };
    assert_eq!(bench.hid(SlotCommand::WriteDeviceInfo, config.encode().expose()), Answer::Accepted);
    assert_eq!(flag(&mut ask(&bench)), 0x20 | 15, "zero is the default");
}

#[test]
fn power_loss_ends_the_wait() {
    let bench = touchy(TouchPolicy::Manual);
    let _link = ask(&bench);
    bench.key.replug().unwrap();
    assert_eq!(bench.key.touch(), Err(TouchError::NothingWaits));
    assert_eq!(flag(&mut bench.otp()), 0);
}

#[test]
fn the_card_cannot_wait_for_a_finger() {
    let bench = touchy(TouchPolicy::Automatic(Milliseconds::ZERO));
    bench.nfc();
    assert_eq!(bench.card(HMAC_1, &[1; 64]), Answer::Refused);
}

#[test]
fn yubico_challenges_wait_too() {
    let bench = Bench::of(Profile::YUBIKEY_4_3_5);
    let config = ChallengeYubico {
        key: AesKey::new(AES),
        require_touch: true,
        options: Options::for_challenges(),
        access_code: AccessCode::NONE,
    };
    bench.program(Slot::Two, &config);
    let command = SlotCommand::ChallengeYubico(Slot::Two);
    assert_eq!(bench.hid(command, &[1; 6]), Answer::TouchTimedOut);
    bench.key.with(|key| key.set_touch_policy(TouchPolicy::Automatic(Milliseconds(10))));
    assert!(matches!(bench.hid(command, &[1; 6]), Answer::Data(block) if block.len() == 16));
}
