//! What the keyboard types, with every flag.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{AES, Answer, Bench, PRIVATE, hmac, yubico};
use tapkey_emulator::{Milliseconds, Press, Silence};
use tapkey_protocol::keyboard::{Key, Stroke};
use tapkey_protocol::otp::{AesKey, PrivateId, PublicId};
use tapkey_protocol::slot::{
    AccessCode, Options, Pacing, ScanCodes, ScanMap, ScanMapPayload, Slot, SlotCommand, StaticTicket,
};

fn strokes(bench: &Bench, slot: Slot) -> Vec<Stroke> {
    match bench.key.press(slot).unwrap() {
        Press::Typed(typed) => typed.strokes().to_vec(),
        other => panic!("{other:?}"),
    }
}

fn ticket() -> StaticTicket {
    StaticTicket {
        public_id: PublicId::new(&[1]).unwrap(),
        private_id: PrivateId::new(PRIVATE),
        key: AesKey::new(AES),
        short: false,
        strong_1: false,
        strong_2: false,
        manual_update: false,
        send_reference: false,
        options: Options::for_typing(),
        access_code: AccessCode::NONE,
    }
}

#[test]
fn forty_four_letters_and_enter() {
    let bench = Bench::new();
    bench.program(Slot::One, &yubico());
    let typed = bench.press(Slot::One);
    assert_eq!(typed.len(), 45);
    assert!(typed.starts_with("vvcccccccccb") && typed.ends_with('\n'));
    assert_ne!(typed, bench.press(Slot::One));
}

#[test]
fn tabs_delays_reference_and_no_enter() {
    let bench = Bench::new();
    let mut config = yubico();
    config.send_reference = true;
    config.options = Options {
        tab_first: true,
        tab_after_fixed: true,
        tab_after_body: true,
        delay_after_fixed: true,
        delay_after_body: true,
        ..Options::default()
    };
    bench.program(Slot::One, &config);
    let text = bench.press(Slot::One);
    assert!(text.starts_with("\tcbdefghijklnrtuvvvcccccccccb\t"), "{text:?}");
    assert!(text.ends_with('\t'));
    let strokes = strokes(&bench, Slot::One);
    let delays = strokes.iter().filter(|stroke| **stroke == Stroke::DelayMilliseconds(500)).count();
    assert_eq!(delays, 2);
    assert_eq!(strokes.last(), Some(&Stroke::DelayMilliseconds(500)));
}

#[test]
fn pacing() {
    let bench = Bench::new();
    for (pacing, milliseconds) in [(Pacing::Ten, 10), (Pacing::Twenty, 20), (Pacing::Thirty, 30)] {
        let mut config = yubico();
        config.options.pacing = pacing;
        bench.program(Slot::One, &config);
        let strokes = strokes(&bench, Slot::One);
        assert_eq!(strokes.len(), 90);
        assert!(strokes.iter().skip(1).step_by(2).all(|s| *s == Stroke::DelayMilliseconds(milliseconds)));
    }
}

#[test]
fn a_static_password_is_typed_as_it_was_laid_out() {
    let bench = Bench::new();
    let config = ScanCodes::from_us_text("Pass word: 42!", Options::for_typing(), AccessCode::NONE).unwrap();
    bench.program(Slot::Two, &config);
    for _ in 0..3 {
        assert_eq!(bench.press(Slot::Two), "Pass word: 42!\n");
    }
    let longest = "abcdefghijklmnopqrstuvwxyz0123456789!?";
    let mut options = Options::for_typing();
    options.append_enter = false;
    let config = ScanCodes::from_us_text(longest, options, AccessCode::NONE).unwrap();
    bench.program(Slot::Two, &config);
    assert_eq!(bench.press(Slot::Two), longest);
}

#[test]
fn a_static_ticket_stays_the_same_over_power_ups_and_depends_on_its_key() {
    let bench = Bench::new();
    bench.program(Slot::One, &ticket());
    let first = bench.press(Slot::One);
    assert_eq!(first.len(), 2 + 32 + 1);
    bench.key.replug().unwrap();
    assert_eq!(bench.press(Slot::One), first);
    let mut other = ticket();
    other.key = AesKey::new([8; 16]);
    bench.program(Slot::One, &other);
    assert_ne!(bench.press(Slot::One), first);
}

#[test]
fn short_and_strong_static_tickets() {
    let bench = Bench::new();
    bench.program(Slot::One, &ticket());
    let plain = bench.press(Slot::One);
    let mut short = ticket();
    short.short = true;
    bench.program(Slot::One, &short);
    assert_eq!(bench.press(Slot::One), format!("{}\n", &plain[..16]));
    let mut strong = ticket();
    strong.strong_1 = true;
    strong.strong_2 = true;
    strong.send_reference = true;
    bench.program(Slot::One, &strong);
    let text = bench.press(Slot::One);
    assert!(text.starts_with('!') && text.chars().any(|c| c.is_ascii_uppercase()), "{text}");
    assert!(text.chars().any(|c| c.is_ascii_digit()), "{text}");
}

#[test]
fn another_scan_map_types_other_keys_and_is_kept() {
    let bench = Bench::new();
    bench.program(Slot::One, &yubico());
    let map = ScanMap::new(std::array::from_fn(|_| 0x04));
    let payload = ScanMapPayload { map, current: AccessCode::NONE }.encode();
    assert_eq!(bench.hid(SlotCommand::ScanMap, &payload), Answer::Accepted);
    bench.key.replug().unwrap();
    assert_eq!(bench.press(Slot::One), "a".repeat(45));
    let reset = ScanMapPayload { map: ScanMap::new([0; ScanMap::SIZE]), current: AccessCode::NONE };
    assert_eq!(bench.hid(SlotCommand::ScanMap, &reset.encode()), Answer::Accepted);
    assert!(bench.press(Slot::One).ends_with('\n'));
}

#[test]
fn digits_come_from_the_keypad_when_asked() {
    let bench = Bench::new();
    let mut config = tapkey_protocol::slot::Hotp {
        key: tapkey_protocol::slot::HmacKey::new(*b"12345678901234567890"),
        digits: tapkey_protocol::slot::Digits::Six,
        moving_factor: tapkey_protocol::slot::MovingFactor::default(),
        token_id: None,
        options: Options::for_typing(),
        access_code: AccessCode::NONE,
    };
    config.options.numeric_keypad = true;
    bench.program(Slot::One, &config);
    assert_eq!(strokes(&bench, Slot::One)[0], Stroke::Press(Key::plain(0x5F)), "keypad 7");
}

#[test]
fn what_types_nothing_says_why() {
    let bench = Bench::new();
    assert_eq!(bench.key.press(Slot::One).unwrap(), Press::Nothing(Silence::Empty));
    bench.program(Slot::One, &hmac(&[1]));
    assert_eq!(bench.key.press(Slot::One).unwrap(), Press::Nothing(Silence::ChallengeResponse));
    bench.key.unplug();
    assert_eq!(bench.key.press(Slot::One).unwrap(), Press::Nothing(Silence::NoPower));
    bench.nfc();
    assert_eq!(bench.key.press(Slot::One).unwrap(), Press::Nothing(Silence::NoKeyboard));
}

#[test]
fn how_long_the_key_is_held_decides_the_slot() {
    let bench = Bench::new();
    let slot = |milliseconds| match bench.key.hold(Milliseconds(milliseconds)).unwrap() {
        Press::Typed(typed) => Some(typed.slot()),
        Press::Nothing(Silence::Undecided) => None,
        other => panic!("{other:?}"),
    };
    bench.program(Slot::One, &yubico());
    assert_eq!([100, 300, 2700, 9000].map(slot), [None, Some(Slot::One), Some(Slot::One), Some(Slot::One)]);
    bench.program(Slot::Two, &yubico());
    assert_eq!([100, 300, 2500, 2700].map(slot), [None, Some(Slot::One), Some(Slot::One), None]);
    assert_eq!([3000, 5000, 5001].map(slot), [Some(Slot::Two), Some(Slot::Two), None]);
}
