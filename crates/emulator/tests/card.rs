//! The smart card: selection, chaining, quirks, management, the NFC tag.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod common;

use common::{AES, AID_MANAGEMENT, AID_OTP, Answer, Bench, PRIVATE, hmac, yubico};
use tapkey_emulator::{Power, PowerError, Profile};
use tapkey_protocol::apdu::{Command, StatusWord};
use tapkey_protocol::link::{CardLink, LinkError, OtpLink};
use tapkey_protocol::management::{
    Capabilities, DeviceConfig, DeviceInfo, Interfaces, LockCode, Mode, SetMode, ins,
};
use tapkey_protocol::otp::{AesKey, Otp, PrivateId};
use tapkey_protocol::secret::Secret;
use tapkey_protocol::slot::{
    AccessCode, Ndef, NdefPayload, Options, ScanCodes, Slot, SlotCommand, SlotConfig, WritePayload,
};

const NOT_FOUND: StatusWord = StatusWord::NOT_FOUND;

fn lock(byte: u8) -> LockCode {
    Secret::new([byte; 16])
}

fn read_info(bench: &Bench) -> DeviceInfo {
    bench.select(AID_MANAGEMENT).unwrap();
    let page = bench.transmit(&Command::new(0, ins::READ_CONFIG, 0, 0, [])).unwrap();
    DeviceInfo::parse(&page).unwrap()
}

fn configure(bench: &Bench, config: &DeviceConfig) -> Result<Vec<u8>, StatusWord> {
    bench.select(AID_MANAGEMENT).unwrap();
    bench.transmit(&Command::new(0, ins::WRITE_CONFIG, 0, 0, config.encode().expose()))
}

#[test]
fn what_is_not_there_is_answered_quickly() {
    let bench = Bench::new();
    let foreign: [&[u8]; 4] = [
        &[0xD2, 0x76, 0x00, 0x01, 0x24, 0x01],
        &[0xA0, 0x00, 0x00, 0x05, 0x27, 0x21, 0x07, 0x01],
        &[0xA0, 0x00],
        &[],
    ];
    for aid in foreign {
        assert_eq!(bench.select(aid), Err(NOT_FOUND));
    }
    assert_eq!(bench.raw(&[0, 0xCA, 0xDF, 0x30, 0]).status, StatusWord::INS_NOT_SUPPORTED);
    assert_eq!(bench.raw(&[0, 0xCB, 0x3F, 0xFF, 3, 0x5C, 1, 0x7E]).status, StatusWord::INS_NOT_SUPPORTED);
    assert_eq!(bench.raw(&[0, 0xA4, 0, 0x0C, 2, 0x3F, 0]).status, NOT_FOUND);
    assert_eq!(bench.raw(&[0, 1]).status, StatusWord::WRONG_LENGTH);
    assert_eq!(bench.raw(&[]).status, StatusWord::WRONG_LENGTH);
    assert_eq!(bench.raw(&[0x80, 1, 0, 0]).status, StatusWord::CLA_NOT_SUPPORTED);
    assert_eq!(bench.raw(&[0, 0xC0, 0, 0, 0]).status, StatusWord::CONDITIONS_NOT_SATISFIED);
}

#[test]
fn applications_are_selected_by_any_long_enough_prefix() {
    let bench = Bench::new();
    let full = [AID_OTP, &[1]].concat();
    for length in 6..=8 {
        let answer = bench.select(&full[..length]);
        assert_eq!(answer.unwrap(), [5, 7, 4, 0, 0, 0], "{length}");
    }
    assert_eq!(bench.select(&[&full[..], &[1]].concat()), Err(NOT_FOUND));
    assert_eq!(bench.select(AID_MANAGEMENT).unwrap(), b"Virtual mgr - FW version 5.7.4");
}

#[test]
fn a_failed_selection_leaves_the_old_one_and_a_reset_does_not() {
    let bench = Bench::new();
    bench.select(AID_OTP).unwrap();
    bench.select(&[9; 6]).unwrap_err();
    assert_eq!(bench.raw(&[0, 3, 0, 0]).data.len(), 6);
    bench.key.card().unwrap().reset().unwrap();
    assert_eq!(bench.raw(&[0, 3, 0, 0]).status, StatusWord::INS_NOT_SUPPORTED);
}

#[test]
fn long_answers_come_in_pieces_and_long_commands_may() {
    let bench = Bench::new();
    bench.select(AID_MANAGEMENT).unwrap();
    let whole = bench.raw(&[0, ins::READ_CONFIG, 0, 0, 0]).data;
    let first = bench.raw(&[0, ins::READ_CONFIG, 0, 0, 10]);
    assert_eq!((first.data.len(), first.status.sw1()), (10, 0x61));
    assert_eq!(usize::from(first.status.sw2()), whole.len() - 10);
    let rest = bench.raw(&[0, 0xC0, 0, 0, 0]);
    assert_eq!([first.data, rest.data].concat(), whole);

    // A slot written in two halves.
    bench.select(AID_OTP).unwrap();
    let payload = *yubico().record().payload(&AccessCode::NONE).expose();
    let (one, two) = payload.split_at(30);
    let part = |cla, data: &[u8]| [&[cla, 1, 1, 0, u8::try_from(data.len()).unwrap()], data].concat();
    assert_eq!(bench.raw(&part(0x10, one)).status, StatusWord::SUCCESS);
    assert_eq!(bench.sequence(), 0);
    assert_eq!(bench.raw(&part(0x00, two)).data, [5, 7, 4, 1, 5, 0]);
    assert_eq!(bench.counters(Slot::One), (1, 0));

    // A chain that outgrows the key.
    let chunk = part(0x10, &[0; 255]);
    let statuses: Vec<_> = (0..13).map(|_| bench.raw(&chunk).status).collect();
    assert_eq!(statuses[12], StatusWord::WRONG_LENGTH);
    assert!(statuses[..12].iter().all(|status| *status == StatusWord::SUCCESS));
}

#[test]
fn extended_commands_are_taken() {
    let bench = Bench::new();
    bench.select(AID_OTP).unwrap();
    let payload = *yubico().record().payload(&AccessCode::NONE).expose();
    let command = [&[0, 1, 1, 0, 0, 0, 58], &payload[..], &[0, 0]].concat();
    assert_eq!(bench.raw(&command).data, [5, 7, 4, 1, 5, 0]);
}

#[test]
fn status_words_of_refusals() {
    let bench = Bench::new();
    bench.select(AID_OTP).unwrap();
    assert_eq!(bench.raw(&[0, 1, 0x14, 0]).status, StatusWord::WRONG_PARAMETERS, "FIPS query");
    assert_eq!(bench.raw(&[0, 1, 0x77, 0]).status, StatusWord::WRONG_PARAMETERS);
    assert_eq!(bench.raw(&[0, 1, 0x10, 1]).status, StatusWord::WRONG_PARAMETERS);
    assert_eq!(bench.raw(&[0, 2, 0, 0]).status, StatusWord::INS_NOT_SUPPORTED);
    assert_eq!(bench.raw(&[0, 1, 0x30, 0, 1, 1]).status, StatusWord::CONDITIONS_NOT_SATISFIED);
}

#[test]
fn the_otp_application_over_usb_depends_on_the_firmware() {
    let old = Bench::of(Profile::YUBIKEY_4_3_5);
    assert_eq!(old.select(AID_OTP).unwrap(), [4, 3, 5, 0, 0, 0, 6, 15, 0, 0]);
    assert!(matches!(old.card(SlotCommand::Serial, &[]), Answer::Data(serial) if serial.len() == 4));
    let payload = *yubico().record().payload(&AccessCode::NONE).expose();
    assert_eq!(old.card(SlotCommand::Configure(Slot::One), &payload), Answer::Refused);

    let middle = Bench::of(Profile::YUBIKEY_5_2_7);
    assert_eq!(middle.select(AID_OTP), Err(NOT_FOUND));
    middle.nfc();
    assert_eq!(middle.card(SlotCommand::Configure(Slot::One), &payload), Answer::Accepted);
    let status = middle.raw(&[0, 3, 0, 0]).data;
    assert_eq!(status, [5, 2, 7, 0, 5, 0], "the sequence stays silent over a card");
    middle.key.replug().unwrap();
    assert_eq!(middle.sequence(), 1);
}

#[test]
fn firmware_before_5_5_shows_old_slots_over_usb_until_power_up() {
    let bench = Bench::of(Profile::YUBIKEY_5_4_3);
    let payload = *yubico().record().payload(&AccessCode::NONE).expose();
    assert_eq!(bench.card(SlotCommand::Configure(Slot::One), &payload), Answer::Accepted);
    assert_eq!(bench.raw(&[0, 3, 0, 0]).data, [5, 4, 3, 1, 0, 0]);
    assert!(bench.status().touch_level.is_programmed(Slot::One), "not over reports");
    bench.key.replug().unwrap();
    assert_eq!(bench.select(AID_OTP).unwrap(), [5, 4, 3, 1, 5, 0]);
    let delete = WritePayload::delete(AccessCode::NONE).encode();
    assert_eq!(bench.card(SlotCommand::Configure(Slot::One), delete.expose()), Answer::Accepted);
    assert_eq!(bench.raw(&[0, 3, 0, 0]).data, [5, 4, 3, 0, 5, 0]);
}

#[test]
fn device_information_is_the_same_everywhere() {
    let bench = Bench::new();
    let over_card = read_info(&bench);
    let Answer::Data(page) = bench.hid(SlotCommand::ReadDeviceInfo, &[0]) else { panic!() };
    assert_eq!(DeviceInfo::parse(&page).unwrap(), over_card);
    let Answer::Data(page) = bench.card(SlotCommand::ReadDeviceInfo, &[0]) else { panic!() };
    assert_eq!(DeviceInfo::parse(&page).unwrap(), over_card);
    assert_eq!(over_card, bench.key.with(|key| key.info()));
    assert_eq!(over_card.serial, Some(bench.key.snapshot().serial));
    assert_eq!(over_card.version, Some(Profile::default().version()));
    assert_eq!(over_card.usb_enabled, Some(Profile::default().usb_supported()));
    assert_eq!(over_card.nfc_enabled, Profile::default().nfc_supported());
    assert!(!over_card.locked);
    assert_eq!(bench.hid(SlotCommand::ReadDeviceInfo, &[1]), Answer::Refused, "there is one page");
}

#[test]
fn every_profile_tells_what_it_is() {
    for profile in Profile::ALL {
        let info = read_info(&Bench::of(profile));
        assert_eq!(info.version, Some(profile.version()));
        assert_eq!(info.usb_supported, profile.usb_supported());
        assert_eq!(info.nfc_supported, profile.nfc_supported());
        assert_eq!(info.pin_complexity.is_some(), profile.version().at_least(5, 7, 0));
    }
}

#[test]
fn a_lock_code_guards_the_settings() {
    let bench = Bench::new();
    let set = DeviceConfig { new_lock_code: Some(lock(5)), ..DeviceConfig::default() };
    configure(&bench, &set).unwrap();
    assert!(read_info(&bench).locked);
    let change = DeviceConfig { challenge_timeout: Some(20), ..DeviceConfig::default() };
    let refused = Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED);
    assert_eq!(configure(&bench, &change), refused);
    assert_eq!(configure(&bench, &set), refused, "not even to the same code");
    let wrong = DeviceConfig { current_lock_code: Some(lock(6)), ..change.clone() };
    assert_eq!(configure(&bench, &wrong), refused);
    let sequence = bench.sequence();
    assert_eq!(bench.hid(SlotCommand::WriteDeviceInfo, change.encode().expose()), Answer::Refused);
    assert_eq!(bench.sequence(), sequence);
    let right = DeviceConfig { current_lock_code: Some(lock(5)), ..change };
    configure(&bench, &right).unwrap();
    assert_eq!(read_info(&bench).challenge_timeout, Some(20));
    let clear = DeviceConfig {
        current_lock_code: Some(lock(5)),
        new_lock_code: Some(lock(0)),
        ..DeviceConfig::default()
    };
    configure(&bench, &clear).unwrap();
    assert!(!read_info(&bench).locked);
    configure(&bench, &DeviceConfig::default()).unwrap();
}

#[test]
fn interfaces_follow_the_settings_after_a_reboot_that_removes_the_key() {
    let bench = Bench::new();
    let mut link = bench.otp();
    let config = DeviceConfig {
        reboot: true,
        usb_enabled: Some(Capabilities::PIV | Capabilities::FIDO2),
        ..DeviceConfig::default()
    };
    assert_eq!(bench.key.snapshot().usb.product_id, 0x0407);
    configure(&bench, &config).unwrap();
    assert!(matches!(link.read_report(), Err(LinkError::Removed)));
    assert!(matches!(bench.key.otp().map(drop), Err(LinkError::Unavailable { .. })));
    assert_eq!(bench.select(AID_OTP), Err(NOT_FOUND), "switched off");
    let shown = bench.key.snapshot();
    assert_eq!(shown.usb.product_id, 0x0406);
    assert_eq!(shown.usb.product, "YubiKey FIDO+CCID EMU");
    // Nothing at all would be unreachable for ever.
    let nothing = DeviceConfig { usb_enabled: Some(Capabilities::NONE), ..DeviceConfig::default() };
    assert_eq!(configure(&bench, &nothing), Err(StatusWord::WRONG_DATA));
    // Over NFC everything is still there.
    bench.nfc();
    assert_eq!(bench.select(AID_OTP).unwrap().len(), 6);
}

#[test]
fn over_reports_the_reboot_waits_until_the_host_has_seen_the_answer() {
    let bench = Bench::new();
    let config =
        DeviceConfig { reboot: true, usb_enabled: Some(Capabilities::OTP), ..DeviceConfig::default() };
    let generation = bench.key.with(|key| key.generation());
    assert_eq!(bench.hid(SlotCommand::WriteDeviceInfo, config.encode().expose()), Answer::Accepted);
    assert_eq!(bench.key.with(|key| key.generation()), generation + 1);
    assert_eq!(bench.key.snapshot().interfaces, "OTP");
    assert!(matches!(bench.key.card().map(drop), Err(LinkError::Unavailable { .. })));
}

#[test]
fn nfc_can_be_restricted_until_the_next_power_up_over_usb() {
    let bench = Bench::new();
    let config = DeviceConfig { nfc_restricted: Some(true), ..DeviceConfig::default() };
    configure(&bench, &config).unwrap();
    bench.key.unplug();
    assert_eq!(bench.key.plug(Power::Nfc), Err(PowerError::NfcRestricted));
    bench.key.plug(Power::Usb).unwrap();
    bench.nfc();
    let old = Bench::of(Profile::YUBIKEY_5_4_3);
    assert_eq!(configure(&old, &config), Err(StatusWord::WRONG_DATA));
}

#[test]
fn mode_by_number_on_the_management_application() {
    let bench = Bench::of(Profile::YUBIKEY_4_3_5);
    bench.select(AID_MANAGEMENT).unwrap();
    let mode = SetMode {
        mode: Mode::new(Interfaces::CCID, true).unwrap(),
        challenge_timeout: 15,
        auto_eject_timeout: 60,
    };
    bench.transmit(&Command::new(0, ins::SET_MODE, ins::P1_SET_MODE, 0, mode.encode())).unwrap();
    bench.key.replug().unwrap();
    assert_eq!(bench.key.snapshot().interfaces, "CCID");
    let info = read_info(&bench);
    assert_eq!(info.auto_eject_timeout, Some(60));
    assert_eq!(info.flags.map(|flags| flags.0), Some(0x80));
}

fn read_tag(bench: &Bench) -> Vec<u8> {
    bench.select(&[0xD2, 0x76, 0, 0, 0x85, 1, 1]).unwrap();
    assert_eq!(bench.raw(&[0, 0xA4, 0, 0x0C, 2, 0xE1, 4]).status, StatusWord::SUCCESS);
    let length = bench.raw(&[0, 0xB0, 0, 0, 2]).data;
    let length = u16::from_be_bytes(length.try_into().unwrap());
    bench.raw(&[0, 0xB0, 0, 2, u8::try_from(length).unwrap()]).data
}

#[test]
fn the_tag_carries_a_fresh_password_of_slot_1() {
    let bench = Bench::new();
    bench.program(Slot::One, &yubico());
    assert_eq!(bench.select(&[0xD2, 0x76, 0, 0, 0x85, 1, 1]), Err(NOT_FOUND), "not over USB");
    bench.nfc();
    for session in 0..2 {
        let record = read_tag(&bench);
        assert_eq!(record[..5], [0xD1, 1, 0x3F, b'U', 4], "as published from a real key");
        let text = String::from_utf8(record[5..].to_vec()).unwrap();
        let otp: Otp = text.strip_prefix("my.yubico.com/yk/#").unwrap().parse().unwrap();
        let token = otp.open(&AesKey::new(AES)).unwrap();
        assert_eq!(token.private_id, PrivateId::new(PRIVATE));
        assert_eq!((token.use_counter_raw, token.session_counter), (1, session));
    }
    bench.key.plug(Power::Off).unwrap();
    bench.nfc();
    read_tag(&bench);
    assert_eq!(
        bench.key.snapshot().slots[0].as_ref().unwrap().use_counter,
        Some(2),
        "the field is a power-up"
    );
}

#[test]
fn the_tag_says_what_it_was_told() {
    let bench = Bench::new();
    let password = ScanCodes::from_us_text("ab", Options::default(), AccessCode::NONE).unwrap();
    bench.program(Slot::One, &hmac(&[1]));
    bench.program(Slot::Two, &password);
    let tell = |slot, ndef| {
        let payload = NdefPayload { ndef: Some(ndef), current: AccessCode::NONE }.encode();
        bench.hid(SlotCommand::Ndef(slot), &payload)
    };
    let uri = Ndef::uri("https://www.example.org/?").unwrap();
    assert_eq!(tell(Slot::One, uri), Answer::Accepted);
    bench.nfc();
    assert_eq!(read_tag(&bench), b"\xD1\x01\x0eU\x02example.org/?");
    bench.key.replug().unwrap();
    assert_eq!(tell(Slot::Two, Ndef::text("en", "hi ").unwrap()), Answer::Accepted);
    bench.nfc();
    assert_eq!(read_tag(&bench), b"\xD1\x01\x08T\x02enhi \x04\x05", "raw key codes of a password");
}

#[test]
fn files_of_the_tag() {
    let bench = Bench::new();
    bench.nfc();
    bench.select(&[0xD2, 0x76, 0, 0, 0x85, 1, 1]).unwrap();
    assert_eq!(bench.raw(&[0, 0xB0, 0, 0, 0]).status, StatusWord::COMMAND_NOT_ALLOWED);
    assert_eq!(bench.raw(&[0, 0xA4, 0, 0x0C, 2, 0xE1, 3]).status, StatusWord::SUCCESS);
    let capabilities = bench.raw(&[0, 0xB0, 0, 0, 0]).data;
    assert_eq!(usize::from(capabilities[1]), capabilities.len());
    assert_eq!(bench.raw(&[0, 0xB0, 0, 16, 0]).status, StatusWord::WRONG_PARAMETERS);
    assert_eq!(bench.raw(&[0, 0xA4, 0, 0x0C, 2, 0xE1, 5]).status, NOT_FOUND);
}

#[test]
fn without_power_there_is_no_answer() {
    let bench = Bench::new();
    let mut card = bench.key.card().unwrap();
    card.transmit(&[0, 3, 0, 0]).unwrap();
    bench.key.unplug();
    assert!(matches!(card.transmit(&[0, 3, 0, 0]), Err(LinkError::Removed)));
    assert!(bench.key.with(|key| key.apdu(&[0, 3, 0, 0])).is_empty());
    assert_eq!(bench.key.with(|key| key.atr()), None);
}
