//! Writing, updating, protecting, swapping and deleting slots, over both links.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{Answer, Bench, CODE, code, hmac, yubico};
use tapkey_emulator::{Press, Profile, Silence};
use tapkey_protocol::link::OtpLink;
use tapkey_protocol::management::{DeviceConfig, Interfaces, Mode, SetMode};
use tapkey_protocol::slot::{
    AccessCode, ConfigFlags, ExtendedFlags, NdefPayload, Options, ScanMap, ScanMapPayload, Slot, SlotCommand,
    SlotConfig, SlotRecord, TicketFlags, Update, WritePayload,
};

type Send = fn(&Bench, SlotCommand, &[u8]) -> Answer;
const BOTH_LINKS: [Send; 2] = [Bench::hid, Bench::card];

const CONFIGURE_1: SlotCommand = SlotCommand::Configure(Slot::One);
const CONFIGURE_2: SlotCommand = SlotCommand::Configure(Slot::Two);

fn protected(config: &dyn SlotConfig) -> SlotRecord {
    SlotRecord { access_code: code(), ..config.record() }
}

#[test]
fn the_programming_sequence_counts_accepted_writes() {
    let bench = Bench::new();
    assert_eq!(bench.sequence(), 0);
    bench.program(Slot::One, &yubico());
    assert_eq!(bench.sequence(), 1);
    bench.program(Slot::Two, &hmac(&[1]));
    assert_eq!(bench.sequence(), 2);
    assert_eq!(bench.hid(SlotCommand::Swap, &[]), Answer::Accepted);
    assert_eq!(bench.sequence(), 3);
    bench.key.replug().unwrap();
    assert_eq!(bench.sequence(), 1, "after power-up");
    assert_eq!(bench.delete(Slot::One), Answer::Accepted);
    assert_eq!(bench.sequence(), 2);
    assert_eq!(bench.delete(Slot::Two), Answer::Accepted);
    assert_eq!(bench.sequence(), 0);
    assert!(!bench.status().touch_level.any_programmed());
    bench.key.replug().unwrap();
    assert_eq!(bench.sequence(), 0);
}

#[test]
fn the_sequence_wraps_and_hosts_see_it_as_accepted() {
    let bench = Bench::new();
    for _ in 0..300 {
        bench.program(Slot::One, &yubico());
    }
    assert_eq!(bench.sequence(), 44);
}

#[test]
fn writes_without_a_slot_move_the_sequence_of_an_empty_key() {
    for send in BOTH_LINKS {
        let bench = Bench::new();
        let map = ScanMapPayload { map: ScanMap::DEFAULT, current: AccessCode::NONE }.encode();
        assert_eq!(send(&bench, SlotCommand::ScanMap, &map), Answer::Accepted);
        assert_eq!(bench.sequence(), 1);
        let ndef = NdefPayload { ndef: None, current: AccessCode::NONE }.encode();
        assert_eq!(send(&bench, SlotCommand::Ndef(Slot::Two), &ndef), Answer::Accepted);
        assert_eq!(bench.sequence(), 2);
        let config = DeviceConfig { challenge_timeout: Some(30), ..DeviceConfig::default() };
        assert_eq!(send(&bench, SlotCommand::WriteDeviceInfo, config.encode().expose()), Answer::Accepted);
        assert_eq!(bench.sequence(), 3);
    }
}

#[test]
fn damaged_records_are_refused() {
    for send in BOTH_LINKS {
        let bench = Bench::new();
        let good = *yubico().record().payload(&AccessCode::NONE).expose();
        for (at, bit) in [(0, 1), (30, 0x80), (48, 1), (50, 1), (51, 0x10)] {
            let mut bad = good;
            bad[at] ^= bit;
            assert_eq!(send(&bench, CONFIGURE_1, &bad), Answer::Refused, "byte {at}");
        }
        assert_eq!(bench.sequence(), 0);
        assert_eq!(send(&bench, CONFIGURE_1, &good), Answer::Accepted);
    }
    assert_eq!(Bench::new().card(CONFIGURE_1, &[0; 51]), Answer::Refused);
    assert_eq!(Bench::new().card(CONFIGURE_1, &[0; 65]), Answer::Refused);
}

#[test]
fn commands_that_the_firmware_does_not_know() {
    for send in BOTH_LINKS {
        let bench = Bench::new();
        assert_eq!(send(&bench, SlotCommand::Navigation, &[0; 58]), Answer::Refused);
        assert_eq!(send(&bench, SlotCommand::FipsMode, &[]), Answer::Refused);
        let mode = SetMode {
            mode: Mode::new(Interfaces::ALL, false).unwrap(),
            challenge_timeout: 0,
            auto_eject_timeout: 0,
        };
        assert_eq!(send(&bench, SlotCommand::SetMode, &mode.encode()), Answer::Refused, "only before 5.0");
    }
    let ndef = NdefPayload { ndef: None, current: AccessCode::NONE }.encode();
    let old = Bench::of(Profile::YUBIKEY_4_3_5);
    assert_eq!(old.hid(SlotCommand::Ndef(Slot::One), &ndef), Answer::Refused);
    assert_eq!(old.hid(SlotCommand::WriteDeviceInfo, &[0]), Answer::Refused);
}

/// Every command that changes a protected slot: refused without the code and with a wrong one, the
/// sequence unmoved; accepted with the right one.
#[test]
fn access_codes() {
    let update = Update { options: Options::for_typing(), access_code: code() }.record();
    let ndef = |code| NdefPayload { ndef: None, current: code }.encode().to_vec();
    let map = |code| ScanMapPayload { map: ScanMap::DEFAULT, current: code }.encode().to_vec();
    let write = |code| protected(&yubico()).payload(&code).expose().to_vec();
    let delete = |code| WritePayload::delete(code).encode().expose().to_vec();
    let updated = |code| update.payload(&code).expose().to_vec();
    type Payload<'a> = &'a dyn Fn(AccessCode) -> Vec<u8>;
    let commands: [(SlotCommand, Payload<'_>); 6] = [
        (CONFIGURE_1, &write),
        (SlotCommand::Update(Slot::One), &updated),
        (SlotCommand::Swap, &delete),
        (SlotCommand::Ndef(Slot::One), &ndef),
        (SlotCommand::ScanMap, &map),
        (CONFIGURE_1, &delete),
    ];
    for send in BOTH_LINKS {
        for (command, payload) in commands {
            let bench = Bench::new();
            assert_eq!(bench.write(Slot::One, protected(&yubico())), Answer::Accepted);
            assert_eq!(bench.write(Slot::Two, protected(&hmac(&[1]))), Answer::Accepted);
            for wrong in [AccessCode::NONE, AccessCode::new([9, 8, 7, 6, 5, 5])] {
                assert_eq!(send(&bench, command, &payload(wrong)), Answer::Refused, "{command:?}");
            }
            assert_eq!(bench.sequence(), 2, "{command:?}");
            assert_eq!(send(&bench, command, &payload(code())), Answer::Accepted, "{command:?}");
            assert_eq!(bench.sequence(), 3, "{command:?}");
        }
    }
}

#[test]
fn a_code_for_an_unprotected_slot_is_accepted() {
    let bench = Bench::new();
    bench.program(Slot::One, &yubico());
    bench.program_with(Slot::One, &yubico(), code());
    assert_eq!(bench.sequence(), 2);
}

#[test]
fn a_rewrite_that_does_not_repeat_the_code_drops_it() {
    let bench = Bench::new();
    bench.write(Slot::One, protected(&yubico()));
    bench.program_with(Slot::One, &yubico(), code());
    bench.program(Slot::One, &yubico());
    assert_eq!(bench.sequence(), 3);
}

#[test]
fn swap_takes_the_code_in_both_lengths_over_the_card() {
    let bench = Bench::new();
    bench.write(Slot::One, protected(&yubico()));
    assert_eq!(bench.card(SlotCommand::Swap, &[]), Answer::Refused);
    assert_eq!(bench.card(SlotCommand::Swap, &[0; 6]), Answer::Refused);
    assert_eq!(bench.card(SlotCommand::Swap, &CODE), Answer::Accepted);
    let mut long = [0; 58];
    long[52..].copy_from_slice(&CODE);
    assert_eq!(bench.card(SlotCommand::Swap, &long), Answer::Accepted);
}

#[test]
fn an_update_changes_what_it_may_and_nothing_else() {
    let bench = Bench::new();
    let mut config = yubico();
    config.options = Options { allow_update: true, append_enter: true, ..Options::default() };
    bench.program(Slot::One, &config);
    let before = bench.token(Slot::One);

    let everything = SlotRecord {
        fixed: [0xEE; 16].into(),
        fixed_length: 16,
        uid: [0xEE; 6].into(),
        key: [0xEE; 16].into(),
        ticket: TicketFlags(!TicketFlags::APPEND_CR.0),
        config: ConfigFlags(0xFF),
        extended: ExtendedFlags::ALLOW_UPDATE,
        ..SlotRecord::default()
    };
    let payload = everything.payload(&AccessCode::NONE);
    assert_eq!(bench.hid(SlotCommand::Update(Slot::One), payload.expose()), Answer::Accepted);

    // Same public id, private id and key; still a Yubico OTP, without reference string.
    let press = bench.key.press(Slot::One).unwrap();
    let Press::Typed(typed) = &press else { panic!("{press:?}") };
    let text = typed.text();
    assert!(text.starts_with("\tvvcccccccccb\t") && text.ends_with('\t'), "{text:?}");
    assert!(typed.strokes().len() > 90, "pacing was switched on");
    let otp: tapkey_protocol::otp::Otp = text.replace('\t', "").parse().unwrap();
    let after = otp.open(&tapkey_protocol::otp::AesKey::new(common::AES)).unwrap();
    assert_eq!(after.session_counter, before.session_counter + 1, "the counters stay");
}

#[test]
fn an_update_leaves_what_a_challenge_slot_is() {
    let bench = Bench::new();
    let mut config = hmac(b"\xab\xba");
    config.require_touch = true;
    bench.program(Slot::Two, &config);
    let update = Update { options: Options::for_challenges(), access_code: AccessCode::NONE }.record();
    let payload = update.payload(&AccessCode::NONE);
    assert_eq!(bench.hid(SlotCommand::Update(Slot::Two), payload.expose()), Answer::Accepted);
    assert!(bench.status().touch_level.is_touch_triggered(Slot::Two), "the touch flag stays");
    assert_eq!(bench.hid(SlotCommand::ChallengeHmac(Slot::Two), b"x"), Answer::TouchTimedOut);
}

#[test]
fn updates_need_permission() {
    for send in BOTH_LINKS {
        let bench = Bench::new();
        let update = Update { options: Options::default(), access_code: AccessCode::NONE }.record();
        let payload = *update.payload(&AccessCode::NONE).expose();
        assert_eq!(send(&bench, SlotCommand::Update(Slot::One), &payload), Answer::Refused, "empty");
        let mut config = yubico();
        config.options.allow_update = false;
        bench.program(Slot::One, &config);
        assert_eq!(send(&bench, SlotCommand::Update(Slot::One), &payload), Answer::Refused);
        config.options.dormant = true;
        bench.program(Slot::One, &config);
        assert_eq!(send(&bench, SlotCommand::Update(Slot::One), &payload), Answer::Accepted, "dormant");
        assert_eq!(send(&bench, SlotCommand::Update(Slot::One), &payload), Answer::Refused, "awake again");
    }
}

#[test]
fn firmware_4_3_5_does_not_change_the_code_by_update() {
    for (profile, locked_after) in [(Profile::YUBIKEY_4_3_5, false), (Profile::YUBIKEY_5_4_3, true)] {
        let bench = Bench::of(profile);
        bench.program(Slot::One, &yubico());
        let update = Update { options: Options::for_typing(), access_code: code() }.record();
        let payload = update.payload(&AccessCode::NONE);
        assert_eq!(bench.hid(SlotCommand::Update(Slot::One), payload.expose()), Answer::Accepted);
        let refused = bench.delete(Slot::One) == Answer::Refused;
        assert_eq!(refused, locked_after, "{profile}");
    }
}

#[test]
fn a_dormant_slot_does_nothing_until_it_is_woken() {
    let bench = Bench::new();
    let mut typing = yubico();
    typing.options.dormant = true;
    let mut answering = hmac(b"\xab\xba");
    answering.options.dormant = true;
    bench.program(Slot::One, &typing);
    bench.program(Slot::Two, &answering);
    assert_eq!(bench.key.press(Slot::One).unwrap(), Press::Nothing(Silence::Dormant));
    assert_eq!(bench.hid(SlotCommand::ChallengeHmac(Slot::Two), b"\xab\xba"), Answer::Refused);
    for slot in Slot::ALL {
        let update = Update { options: Options::for_typing(), access_code: AccessCode::NONE }.record();
        let payload = update.payload(&AccessCode::NONE);
        assert_eq!(bench.hid(SlotCommand::Update(slot), payload.expose()), Answer::Accepted);
    }
    assert_eq!(bench.counters(Slot::One), (1, 0));
    assert!(matches!(bench.hid(SlotCommand::ChallengeHmac(Slot::Two), b"\xab\xba"), Answer::Data(_)));
}

#[test]
fn slot_1_protects_slot_2() {
    let bench = Bench::new();
    let mut guard = yubico();
    guard.options.protect_slot_2 = true;
    bench.program(Slot::Two, &yubico());
    bench.program(Slot::One, &guard);
    let plain = *yubico().record().payload(&AccessCode::NONE).expose();
    let guarded = *guard.record().payload(&AccessCode::NONE).expose();
    assert_eq!(bench.hid(CONFIGURE_2, &plain), Answer::Refused, "slot 2 lacks the flag");
    assert_eq!(bench.delete(Slot::Two), Answer::Refused);
    bench.program(Slot::One, &yubico());
    assert_eq!(bench.hid(CONFIGURE_2, &guarded), Answer::Accepted);
    bench.program(Slot::One, &guard);
    assert_eq!(bench.hid(CONFIGURE_2, &plain), Answer::Accepted, "slot 2 has the flag");
    assert_eq!(bench.hid(CONFIGURE_2, &plain), Answer::Refused, "and has it no more");
}

#[test]
fn a_swap_takes_counters_along() {
    let bench = Bench::new();
    bench.program(Slot::One, &yubico());
    for session in 0..3 {
        assert_eq!(bench.counters(Slot::One), (1, session));
    }
    assert_eq!(bench.hid(SlotCommand::Swap, &[0; 6]), Answer::Accepted);
    assert_eq!(bench.key.press(Slot::One).unwrap(), Press::Nothing(Silence::Empty));
    assert_eq!(bench.counters(Slot::Two), (1, 3));
    assert!(bench.status().touch_level.is_programmed(Slot::Two));
    assert!(!bench.status().touch_level.is_programmed(Slot::One));
}

#[test]
fn the_serial_number_is_told_when_a_slot_allows_it() {
    for send in BOTH_LINKS {
        let bench = Bench::new();
        let serial = bench.key.snapshot().serial.to_be_bytes().to_vec();
        assert_eq!(send(&bench, SlotCommand::Serial, &[]), Answer::Data(serial.clone()), "both slots empty");
        let mut hidden = yubico();
        hidden.options.serial_by_api = false;
        bench.program(Slot::One, &hidden);
        assert_eq!(send(&bench, SlotCommand::Serial, &[]), Answer::Refused);
        bench.program(Slot::Two, &hmac(&[1]));
        assert_eq!(send(&bench, SlotCommand::Serial, &[]), Answer::Data(serial));
    }
}

#[test]
fn the_status_tells_touch_and_led() {
    let bench = Bench::new();
    bench.program(Slot::One, &hmac(&[1]));
    let level = bench.status().touch_level;
    assert_eq!(level.0, 0x01, "a plain HMAC slot is not touch-triggered");
    let mut inverted = yubico();
    inverted.options.led_inverted = true;
    bench.program(Slot::Two, &inverted);
    assert_eq!(bench.status().touch_level.0, 0x01 | 0x02 | 0x08 | 0x10);
    assert_eq!(bench.key.snapshot().led, "off");
    bench.program(Slot::Two, &yubico());
    assert_eq!(bench.key.snapshot().led, "on");
}

#[test]
fn old_firmware_changes_its_mode_by_number_unless_a_slot_is_protected() {
    let bench = Bench::of(Profile::YUBIKEY_4_3_5);
    let mode = SetMode {
        mode: Mode::new(Interfaces::OTP | Interfaces::CCID, false).unwrap(),
        challenge_timeout: 8,
        auto_eject_timeout: 0,
    };
    bench.write(Slot::One, protected(&yubico()));
    assert_eq!(bench.hid(SlotCommand::SetMode, &mode.encode()), Answer::Refused);
    bench.program_with(Slot::One, &yubico(), code());
    assert_eq!(bench.hid(SlotCommand::SetMode, &mode.encode()), Answer::Accepted);
    assert_eq!(bench.key.snapshot().interfaces, "OTP+FIDO+CCID", "until it is plugged in again");
    bench.key.replug().unwrap();
    let shown = bench.key.snapshot();
    assert_eq!((shown.interfaces.as_str(), shown.usb.product_id), ("OTP+CCID", 0x0405));
    assert_eq!(shown.usb.product, "Yubikey 4 OTP+CCID EMU");
}

#[test]
fn an_idle_report_is_the_status() {
    let bench = Bench::of(Profile::YUBIKEY_5_4_3);
    bench.program(Slot::One, &yubico());
    assert_eq!(bench.otp().read_report().unwrap(), [0, 5, 4, 3, 1, 0x05, 0, 0]);
}
