//! Changing slots: every scenario over HID, over the smart card on USB and over NFC.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]

mod common;

use common::{Bench, CODE, NONE, Over, SERIAL, WRONG, chalresp, hotp, over_each_link, password, yubico_otp};
use tapkey_driver::{Caveat, Error, NotOverThisLink, OtpSession, Refusal, Transport};
use tapkey_emulator::Profile;
use tapkey_protocol::link::CardTransport;
use tapkey_protocol::otp::{Otp, Token};
use tapkey_protocol::slot::{
    AccessCode, Ndef, Options, Pacing, ScanMap, Slot, SlotConfig, StaticTicket, TicketFlags, Update,
};
use tapkey_protocol::version::Version;

const NEW: &Profile = &Profile::YUBIKEY_5_7_4;

fn open(typed: &str) -> Token {
    typed.trim_end().parse::<Otp>().unwrap().open(&yubico_otp(NONE).key).unwrap()
}

fn refusal(result: Result<(), Error>) -> Refusal {
    match result {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn status_serial_and_info_of_an_empty_key() {
    over_each_link(NEW, |bench, over| {
        let mut otp = bench.otp(over);
        assert_eq!(otp.version(), Version::new(5, 7, 4));
        let status = otp.status(&bench.control).unwrap();
        assert_eq!((status.sequence, status.caveat), (0, None));
        assert!(Slot::ALL.into_iter().all(|slot| status.is_certainly(slot, false)));
        assert_eq!(otp.serial(&bench.control).unwrap(), SERIAL);
        let info = otp.device_info(&bench.control).unwrap();
        assert_eq!(info.serial, Some(SERIAL));
        assert_eq!(info.version, Some(Version::new(5, 7, 4)));
    });
}

#[test]
fn transports_are_named() {
    let bench = Bench::new(*NEW);
    assert_eq!(bench.otp(Over::Hid).transport(), Transport::Hid);
    assert_eq!(bench.otp(Over::Usb).transport(), Transport::Card(CardTransport::Usb));
    assert_eq!(bench.otp(Over::Nfc).transport(), Transport::Card(CardTransport::Nfc));
}

#[test]
fn a_yubico_otp_slot_types_what_was_programmed() {
    over_each_link(NEW, |bench, over| {
        let mut otp = bench.otp(over);
        otp.program(Slot::One, &yubico_otp(NONE), &NONE, &bench.control).unwrap();
        let status = otp.status(&bench.control).unwrap();
        assert!(status.is_certainly(Slot::One, true));
        assert_eq!(status.slot(Slot::One).touch_triggered, Some(true));
        drop(otp);
        let typed = bench.press(Slot::One);
        assert!(typed.ends_with('\n') && typed.starts_with("vvcccccccccb"), "{typed}");
        let token = open(&typed);
        assert_eq!(token.private_id, yubico_otp(NONE).private_id);
        assert_eq!(token.counter().use_counter(), 1);
    });
}

#[test]
fn the_other_typing_slots() {
    over_each_link(NEW, |bench, over| {
        let mut otp = bench.otp(over);
        otp.program(Slot::One, &hotp(), &NONE, &bench.control).unwrap();
        otp.program(Slot::Two, &password("Hello, World 42"), &NONE, &bench.control).unwrap();
        drop(otp);
        // RFC 4226, appendix D.
        for code in ["755224\n", "287082\n", "359152\n"] {
            assert_eq!(bench.press(Slot::One), code);
        }
        assert_eq!(bench.press(Slot::Two), "Hello, World 42\n");
    });
}

#[test]
fn a_static_ticket_stays_the_same() {
    over_each_link(NEW, |bench, over| {
        let yubico = yubico_otp(NONE);
        let config = StaticTicket {
            public_id: yubico.public_id,
            private_id: yubico.private_id,
            key: yubico.key,
            short: false,
            strong_1: false,
            strong_2: false,
            manual_update: false,
            send_reference: false,
            options: Options::for_typing(),
            access_code: NONE,
        };
        bench.otp(over).program(Slot::One, &config, &NONE, &bench.control).unwrap();
        let first = bench.press(Slot::One);
        assert_eq!(first, bench.press(Slot::One));
        assert!(first.starts_with("vvcccccccccb"), "{first}");
    });
}

#[test]
fn an_access_code_protects_until_it_is_removed() {
    over_each_link(NEW, |bench, over| {
        let control = &bench.control;
        let mut otp = bench.otp(over);
        otp.program(Slot::One, &yubico_otp(CODE), &NONE, control).unwrap();
        let needed = Refusal::AccessCodeNeeded { slot: Slot::One };
        let wrong = Refusal::AccessCodeWrong { slot: Slot::One };
        assert_eq!(refusal(otp.program(Slot::One, &hotp(), &NONE, control)), needed);
        assert_eq!(refusal(otp.program(Slot::One, &hotp(), &WRONG, control)), wrong);
        assert_eq!(refusal(otp.delete(Slot::One, &NONE, control)), needed);
        assert_eq!(refusal(otp.delete(Slot::One, &WRONG, control)), wrong);
        assert_eq!(refusal(otp.swap(&NONE, control)), Refusal::SwapRefused { code_given: false },);
        // The slot holds what it held.
        drop(otp);
        open(&bench.press(Slot::One));
        let mut otp = bench.otp(over);
        // The new configuration has no code, so the old one is gone.
        otp.program(Slot::One, &yubico_otp(NONE), &CODE, control).unwrap();
        otp.delete(Slot::One, &NONE, control).unwrap();
        assert!(otp.status(control).unwrap().is_certainly(Slot::One, false));
    });
}

#[test]
fn an_update_keeps_secret_and_counters() {
    over_each_link(NEW, |bench, over| {
        let control = &bench.control;
        bench.otp(over).program(Slot::One, &yubico_otp(CODE), &NONE, control).unwrap();
        let before = open(&bench.press(Slot::One)).counter();
        let options =
            Options { append_enter: false, tab_first: true, pacing: Pacing::Ten, ..Options::for_typing() };
        let update = Update { options, access_code: NONE };
        let mut otp = bench.otp(over);
        assert_eq!(
            refusal(otp.update(Slot::One, &update, &WRONG, control)),
            Refusal::UpdateRefused { slot: Slot::One, code_given: true },
        );
        otp.update(Slot::One, &update, &CODE, control).unwrap();
        drop(otp);
        let typed = bench.press(Slot::One);
        assert!(typed.starts_with('\t') && !typed.ends_with('\n'), "{typed:?}");
        assert!(open(typed.trim()).counter() > before);
        // The update removed the code.
        bench.otp(over).delete(Slot::One, &NONE, control).unwrap();
    });
}

#[test]
fn an_update_is_refused_where_it_is_not_allowed() {
    over_each_link(NEW, |bench, over| {
        let mut otp = bench.otp(over);
        let update = Update { options: Options::for_typing(), access_code: NONE };
        assert_eq!(
            refusal(otp.update(Slot::Two, &update, &NONE, &bench.control)),
            Refusal::SlotEmpty { slot: Slot::Two },
        );
        let mut fixed = yubico_otp(NONE);
        fixed.options.allow_update = false;
        otp.program(Slot::Two, &fixed, &NONE, &bench.control).unwrap();
        let refused = refusal(otp.update(Slot::Two, &update, &NONE, &bench.control));
        assert_eq!(refused, Refusal::UpdateRefused { slot: Slot::Two, code_given: false });
        assert!(refused.to_string().contains("without allowing updates"), "{refused}");
    });
}

#[test]
fn slots_change_places() {
    over_each_link(NEW, |bench, over| {
        let control = &bench.control;
        let mut otp = bench.otp(over);
        assert_eq!(refusal(otp.swap(&NONE, control)), Refusal::BothSlotsEmpty);
        otp.program(Slot::One, &yubico_otp(NONE), &NONE, control).unwrap();
        drop(otp);
        let before = open(&bench.press(Slot::One)).counter();
        bench.otp(over).swap(&NONE, control).unwrap();
        let mut otp = bench.otp(over);
        let status = otp.status(control).unwrap();
        assert!(status.is_certainly(Slot::One, false) && status.is_certainly(Slot::Two, true));
        drop(otp);
        assert!(open(&bench.press(Slot::Two)).counter() > before);
    });
}

#[test]
fn a_protected_slot_is_swapped_with_its_code() {
    over_each_link(NEW, |bench, over| {
        let mut otp = bench.otp(over);
        otp.program(Slot::One, &yubico_otp(CODE), &NONE, &bench.control).unwrap();
        assert_eq!(refusal(otp.swap(&WRONG, &bench.control)), Refusal::SwapRefused { code_given: true },);
        otp.swap(&CODE, &bench.control).unwrap();
        otp.delete(Slot::Two, &CODE, &bench.control).unwrap();
    });
}

#[test]
fn deleting_says_when_there_is_nothing() {
    over_each_link(NEW, |bench, over| {
        let mut otp = bench.otp(over);
        assert_eq!(
            refusal(otp.delete(Slot::One, &NONE, &bench.control)),
            Refusal::SlotEmpty { slot: Slot::One },
        );
        otp.program(Slot::One, &hotp(), &NONE, &bench.control).unwrap();
        otp.program(Slot::Two, &hotp(), &NONE, &bench.control).unwrap();
        otp.delete(Slot::One, &NONE, &bench.control).unwrap();
        // The last slot: the sequence falls to zero, which is not a rejection.
        otp.delete(Slot::Two, &NONE, &bench.control).unwrap();
        assert_eq!(otp.status(&bench.control).unwrap().sequence, 0);
    });
}

#[test]
fn the_sequence_wraps_without_being_taken_for_a_rejection() {
    over_each_link(NEW, |bench, over| {
        let mut otp = bench.otp(over);
        let mut wrapped = false;
        let mut last = 0;
        for _ in 0..300 {
            otp.program(Slot::One, &hotp(), &NONE, &bench.control).unwrap();
            let sequence = otp.status(&bench.control).unwrap().sequence;
            wrapped |= last == 255 && sequence == 0;
            last = sequence;
        }
        assert!(wrapped);
    });
}

#[test]
fn ndef_and_scan_map() {
    over_each_link(NEW, |bench, over| {
        let control = &bench.control;
        let mut otp = bench.otp(over);
        // Also with empty slots these must not look like rejections.
        let ndef = Ndef::uri("https://example.org/?otp=").unwrap();
        otp.set_ndef(Slot::One, Some(&ndef), &NONE, control).unwrap();
        otp.set_ndef(Slot::One, None, &NONE, control).unwrap();
        otp.program(Slot::One, &yubico_otp(CODE), &NONE, control).unwrap();
        assert_eq!(
            refusal(otp.set_ndef(Slot::One, Some(&ndef), &NONE, control)),
            Refusal::AccessCodeNeeded { slot: Slot::One },
        );
        otp.set_ndef(Slot::One, Some(&ndef), &CODE, control).unwrap();
        otp.delete(Slot::One, &CODE, control).unwrap();

        // A map that types `u` where it typed `c`.
        let mut codes = *ScanMap::DEFAULT.as_bytes();
        codes[0] = 0x18;
        otp.set_scan_map(&ScanMap::new(codes), &NONE, control).unwrap();
        otp.program(Slot::One, &yubico_otp(NONE), &NONE, control).unwrap();
        drop(otp);
        let typed = bench.press(Slot::One);
        assert!(typed.starts_with("vvuuuuuuuuub"), "{typed}");
        bench.otp(over).set_scan_map(&ScanMap::DEFAULT, &NONE, control).unwrap();
        open(&bench.press(Slot::One));
    });
}

#[test]
fn slot_one_can_protect_slot_two() {
    over_each_link(NEW, |bench, over| {
        let mut otp = bench.otp(over);
        let mut guard = yubico_otp(NONE);
        guard.options.protect_slot_2 = true;
        assert!(guard.record().ticket.contains(TicketFlags::PROTECT_SLOT_2));
        otp.program(Slot::One, &guard, &NONE, &bench.control).unwrap();
        let refused = refusal(otp.program(Slot::Two, &hotp(), &NONE, &bench.control));
        assert!(matches!(refused, Refusal::Silent { hint: Some(_), .. }), "{refused:?}");
        assert!(refused.to_string().contains("slot 1"), "{refused}");
    });
}

#[test]
fn old_firmware_is_refused_before_anything_is_sent() {
    let bench = Bench::new(Profile::YUBIKEY_4_3_5);
    let mut otp = bench.otp(Over::Hid);
    let ndef = Ndef::uri("https://example.org/").unwrap();
    let error = otp.set_ndef(Slot::One, Some(&ndef), &NONE, &bench.control).unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error:?}");

    // Firmware 4.3.2 to 4.3.5 cannot change a code by update.
    otp.program(Slot::One, &yubico_otp(NONE), &NONE, &bench.control).unwrap();
    let with_code = Update { options: Options::for_typing(), access_code: CODE };
    let error = otp.update(Slot::One, &with_code, &NONE, &bench.control).unwrap_err();
    assert!(matches!(error, Error::Unsupported(_)), "{error:?}");
    let without = Update { options: Options::for_typing(), access_code: NONE };
    otp.update(Slot::One, &without, &NONE, &bench.control).unwrap();
}

#[test]
fn a_4_reads_over_its_card_and_is_written_over_hid() {
    let bench = Bench::new(Profile::YUBIKEY_4_3_5);
    bench.otp(Over::Hid).program(Slot::One, &yubico_otp(NONE), &NONE, &bench.control).unwrap();
    let mut otp = bench.otp(Over::Usb);
    assert_eq!(otp.serial(&bench.control).unwrap(), SERIAL);
    assert_eq!(otp.status(&bench.control).unwrap().caveat, Some(Caveat::StaleUntilReplugged));
    let error = otp.program(Slot::Two, &hotp(), &NONE, &bench.control).unwrap_err();
    assert!(
        matches!(error, Error::NotOverThisLink(NotOverThisLink::OtpWriteOverUsbCard { .. })),
        "{error:?}"
    );
}

#[test]
fn a_5_2_does_not_open_over_its_card() {
    let bench = Bench::new(Profile::YUBIKEY_5_2_7);
    let error = OtpSession::over_card(bench.key.card().unwrap(), &bench.control).unwrap_err();
    assert!(
        matches!(error, Error::NotOverThisLink(NotOverThisLink::OtpWriteOverUsbCard { .. })),
        "{error:?}"
    );
    bench.otp(Over::Hid).program(Slot::One, &hotp(), &NONE, &bench.control).unwrap();
}

#[test]
fn firmware_5_4_is_written_over_every_link() {
    over_each_link(&Profile::YUBIKEY_5_4_3, |bench, over| {
        let mut otp = bench.otp(over);
        otp.program(Slot::One, &yubico_otp(CODE), &NONE, &bench.control).unwrap();
        otp.program(Slot::Two, &chalresp(b"key", false), &NONE, &bench.control).unwrap();
        assert_eq!(
            refusal(otp.program(Slot::One, &hotp(), &WRONG, &bench.control)),
            Refusal::AccessCodeWrong { slot: Slot::One },
        );
        otp.delete(Slot::Two, &NONE, &bench.control).unwrap();
        otp.delete(Slot::One, &CODE, &bench.control).unwrap();
    });
}

#[test]
fn nothing_public_shows_a_secret() {
    let bench = Bench::new(*NEW);
    let config = chalresp(b"\xAB\xCD\xEF\x77", false);
    let mut otp = bench.otp(Over::Hid);
    otp.program(Slot::Two, &config, &NONE, &bench.control).unwrap();
    let response = otp.challenge_hmac(Slot::Two, b"x", &bench.control).unwrap();
    for text in [format!("{config:?}"), format!("{otp:?}"), format!("{response:?}"), format!("{CODE:?}")] {
        for shown in ["171", "205", "239", "abcdef", "ABCDEF", "1, 2, 3"] {
            assert!(!text.contains(shown), "{text}");
        }
    }
    let _: AccessCode = CODE;
}
