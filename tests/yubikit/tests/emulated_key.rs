//! Yubico's own Rust host library drives the emulated key, in process, through its public connection
//! traits. It knows nothing of our protocol code, so what it and the key agree on is not a misreading
//! that they share.

mod link;

use link::{card, hid, plugged};
use tapkey_emulator::{
    Milliseconds, Power, Press, Profile, TouchPolicy, VirtualKey, port::in_process::PluggedKey,
};
use tapkey_protocol::{
    oath,
    otp::{AesKey, Otp, PrivateId, PublicId},
    slot::Slot as OurSlot,
};
use yubikit::{
    core::Transport,
    management::{Capability, DeviceConfig, ManagementSession},
    yubiotp::{
        AccessCode, ConfigSlot, ExtFlag, HmacKey, NdefType, Slot, SlotConfiguration, TktFlag, YubiOtpSession,
    },
};

const SERIAL: u32 = 0xf000_1234;
const PROFILES: [Profile; 2] = [Profile::YUBIKEY_5_4_3, Profile::YUBIKEY_5_7_4];
const PUBLIC: [u8; 6] = [0xff, 0, 1, 2, 3, 4];
const PRIVATE: [u8; 6] = [9, 8, 7, 6, 5, 4];
const KEY: [u8; 16] = *b"an AES key of 16";
/// From RFC 4226.
const HOTP_KEY: &[u8] = b"12345678901234567890";

fn yubico_otp() -> SlotConfiguration {
    SlotConfiguration::yubiotp(&PUBLIC, &PRIVATE, &KEY).unwrap().append_cr(true)
}

fn typed(key: &PluggedKey, slot: OurSlot) -> String {
    match key.press(slot).unwrap() {
        Press::Typed(typed) => typed.text(),
        other => panic!("typed nothing: {other:?}"),
    }
}

fn types_nothing(key: &PluggedKey, slot: OurSlot) -> bool {
    !matches!(key.press(slot).unwrap(), Press::Typed(_))
}

/// Runs a scenario on a session over HID reports and on one over APDUs.
macro_rules! over_both_links {
    ($key:ident, $session:ident, $scenario:block) => {
        for profile in PROFILES {
            {
                let $key = plugged(profile);
                let mut $session = YubiOtpSession::new_otp(hid(&$key)).map_err(|(error, _)| error).unwrap();
                $scenario
            }
            {
                let $key = plugged(profile);
                let mut $session = YubiOtpSession::new(card(&$key)).map_err(|(error, _)| error).unwrap();
                $scenario
            }
        }
    };
}

#[test]
fn status_and_serial() {
    over_both_links!(key, session, {
        let snapshot = key.snapshot();
        assert_eq!(session.version().to_string(), snapshot.profile);
        let state = session.get_config_state();
        assert!(!state.is_configured(Slot::One).unwrap() && !state.is_configured(Slot::Two).unwrap());
        session.put_configuration(Slot::One, &yubico_otp(), None, None).unwrap();
        assert_eq!(session.get_serial().unwrap(), SERIAL);
        // Before 5.5 the card shows the slots as they were when the key was plugged in.
        key.replug().unwrap();
        let over_hid = YubiOtpSession::new_otp(hid(&key)).map_err(|(error, _)| error).unwrap();
        let over_card = YubiOtpSession::new(card(&key)).map_err(|(error, _)| error).unwrap();
        for state in [over_hid.get_config_state(), over_card.get_config_state()] {
            assert!(state.is_configured(Slot::One).unwrap() && !state.is_configured(Slot::Two).unwrap());
            assert!(state.is_touch_triggered(Slot::One).unwrap());
        }
    });
}

#[test]
fn device_info_over_both_links() {
    for profile in PROFILES {
        let key = plugged(profile);
        let mut over_hid = ManagementSession::new_otp(hid(&key)).map_err(|(error, _)| error).unwrap();
        let from_hid = over_hid.read_device_info().unwrap();
        let mut over_card = ManagementSession::new(card(&key)).map_err(|(error, _)| error).unwrap();
        let from_card = over_card.read_device_info().unwrap();
        for info in [from_hid, from_card] {
            assert_eq!(info.serial, Some(SERIAL));
            assert_eq!(info.version.to_string(), key.snapshot().profile);
            assert!(info.supported_capabilities[&Transport::Usb].contains(Capability::OTP));
            assert!(info.config.enabled_capabilities[&Transport::Usb].contains(Capability::OTP));
            assert!(!info.is_locked && !info.is_fips && !info.is_sky);
        }
    }
}

#[test]
fn device_configuration_and_lock_code() {
    let key = plugged(Profile::YUBIKEY_5_7_4);
    let mut session = ManagementSession::new(card(&key)).map_err(|(error, _)| error).unwrap();
    let timeout =
        |seconds| DeviceConfig { challenge_response_timeout: Some(seconds), ..DeviceConfig::default() };
    session.write_device_config(&timeout(7), false, None, None).unwrap();
    assert_eq!(session.read_device_info().unwrap().config.challenge_response_timeout, Some(7));
    let lock = [0x5a; 16];
    session.write_device_config(&timeout(8), false, None, Some(&lock)).unwrap();
    assert!(session.read_device_info().unwrap().is_locked);
    assert!(session.write_device_config(&timeout(9), false, None, None).is_err());
    assert!(session.write_device_config(&timeout(9), false, Some(&[0; 16]), None).is_err());
    assert_eq!(session.read_device_info().unwrap().config.challenge_response_timeout, Some(8));
    session.write_device_config(&timeout(9), false, Some(&lock), Some(&[0; 16])).unwrap();
    let info = session.read_device_info().unwrap();
    assert!(!info.is_locked);
    assert_eq!(info.config.challenge_response_timeout, Some(9));
}

#[test]
fn a_yubico_otp_slot_types_passwords_that_open() {
    over_both_links!(key, session, {
        session.put_configuration(Slot::One, &yubico_otp(), None, None).unwrap();
        let mut last = None;
        for _ in 0..3 {
            let text = typed(&key, OurSlot::One);
            let otp: Otp = text.strip_suffix('\n').unwrap().parse().unwrap();
            assert_eq!(otp.public_id(), PublicId::new(&PUBLIC).unwrap());
            let token = otp.open(&AesKey::new(KEY)).unwrap();
            assert_eq!(token.private_id, PrivateId::new(PRIVATE));
            assert!(Some(token.counter()) > last);
            last = Some(token.counter());
        }
        key.replug().unwrap();
        let otp: Otp = typed(&key, OurSlot::One).trim().parse().unwrap();
        let counter = otp.open(&AesKey::new(KEY)).unwrap().counter();
        assert!(Some(counter) > last && counter.session_counter() == 0);
    });
}

#[test]
fn an_hotp_slot_types_the_codes_of_the_rfc() {
    over_both_links!(key, session, {
        let config = SlotConfiguration::hotp(&HmacKey::new(HOTP_KEY).unwrap()).unwrap().append_cr(false);
        session.put_configuration(Slot::Two, &config, None, None).unwrap();
        for counter in 0..3 {
            let expected = oath::hotp(HOTP_KEY, counter, oath::Digits::SIX).to_string();
            assert_eq!(typed(&key, OurSlot::Two), expected);
        }
        let config = SlotConfiguration::hotp(&HmacKey::new(HOTP_KEY).unwrap())
            .unwrap()
            .append_cr(false)
            .digits8(true)
            .imf(32)
            .unwrap();
        session.put_configuration(Slot::Two, &config, None, None).unwrap();
        assert_eq!(typed(&key, OurSlot::Two), oath::hotp(HOTP_KEY, 32, oath::Digits::EIGHT).to_string());
    });
}

#[test]
fn a_static_password_is_typed_as_it_is() {
    over_both_links!(key, session, {
        // "Abc1!" as usage codes of a US keyboard; the top bit is shift.
        let config =
            SlotConfiguration::static_password(&[0x84, 0x05, 0x06, 0x1e, 0x9e]).unwrap().append_cr(true);
        session.put_configuration(Slot::One, &config, None, None).unwrap();
        assert_eq!(typed(&key, OurSlot::One), "Abc1!\n");
        assert_eq!(typed(&key, OurSlot::One), "Abc1!\n");
    });
}

#[test]
fn a_static_ticket_never_changes() {
    over_both_links!(key, session, {
        let config = SlotConfiguration::static_ticket(&[], &PRIVATE, &KEY).unwrap().append_cr(false);
        session.put_configuration(Slot::One, &config, None, None).unwrap();
        let first = typed(&key, OurSlot::One);
        assert_eq!(first.len(), 32);
        assert_eq!(typed(&key, OurSlot::One), first);
    });
}

#[test]
fn challenge_response_known_answers() {
    let vectors: [(&[u8], &[u8], &str); 3] = [
        (
            &hex("b3cd9bc5afa573fc2ea2b7baa995af99fef9b2b4"),
            &hex("1122334455667788"),
            "884701c5995a388f2832246fdee22196943825bf",
        ),
        (
            &hex("303132333435363738393a3b3c3d3e3f40414243"),
            b"Sample #2",
            "0922d3405faa3d194f82a45830737d5cc6c75d24",
        ),
        (&[0x0b; 20], b"Hi There", "b617318655057264e28bc0b6fb378c8ef146be00"),
    ];
    for profile in PROFILES {
        let key = plugged(profile);
        let mut session = YubiOtpSession::new_otp(hid(&key)).map_err(|(error, _)| error).unwrap();
        for (secret, challenge, expected) in vectors {
            let config = SlotConfiguration::hmac_sha1(&HmacKey::new(secret).unwrap()).unwrap();
            session.put_configuration(Slot::Two, &config, None, None).unwrap();
            assert_eq!(session.calculate_hmac_sha1(Slot::Two, challenge).unwrap(), hex(expected));
            assert!(session.calculate_hmac_sha1(Slot::One, challenge).is_err());
            assert!(types_nothing(&key, OurSlot::Two));
        }
        let fixed = SlotConfiguration::hmac_sha1(&HmacKey::new(&[0x0b; 20]).unwrap()).unwrap().lt64(false);
        session.put_configuration(Slot::One, &fixed, None, None).unwrap();
        let whole = [7; 64];
        let expected = oath::Algorithm::Sha1.hmac(&[0x0b; 20], &whole);
        assert_eq!(session.calculate_hmac_sha1(Slot::One, &whole).unwrap(), expected);
    }
}

#[test]
fn challenge_response_waits_for_a_touch() {
    let build = |policy| {
        let key = VirtualKey::builder()
            .profile(Profile::YUBIKEY_5_7_4)
            .serial(SERIAL)
            .touch(policy)
            .build()
            .unwrap();
        PluggedKey::new(key).unwrap()
    };
    let config =
        SlotConfiguration::hmac_sha1(&HmacKey::new(&[0x0b; 20]).unwrap()).unwrap().require_touch(true);
    let key = build(TouchPolicy::Automatic(Milliseconds(250)));
    let mut session = YubiOtpSession::new_otp(hid(&key)).map_err(|(error, _)| error).unwrap();
    session.put_configuration(Slot::Two, &config, None, None).unwrap();
    let waits = std::cell::Cell::new(0);
    let seen = |kind| waits.set(waits.get() + u32::from(kind == 2));
    let answer = session.calculate_hmac_sha1_with_cancel(Slot::Two, b"Hi There", None, Some(&seen)).unwrap();
    assert_eq!(answer, hex("b617318655057264e28bc0b6fb378c8ef146be00"));
    assert!(waits.get() > 0, "the host was never told to ask for a touch");

    // Given up by the host: the key forgets the challenge and takes the next command.
    let key = build(TouchPolicy::Manual);
    let mut session = YubiOtpSession::new_otp(hid(&key)).map_err(|(error, _)| error).unwrap();
    session.put_configuration(Slot::Two, &config, None, None).unwrap();
    let polls = std::cell::Cell::new(0);
    let cancel = || {
        polls.set(polls.get() + 1);
        polls.get() > 3
    };
    assert!(session.calculate_hmac_sha1_with_cancel(Slot::Two, b"Hi There", Some(&cancel), None).is_err());
    assert_eq!(session.get_serial().unwrap(), SERIAL);
}

#[test]
fn challenge_response_over_a_card_works_on_nfc_only() {
    let config = SlotConfiguration::hmac_sha1(&HmacKey::new(&[0x0b; 20]).unwrap()).unwrap();
    for (power, works) in [(Power::Usb, false), (Power::Nfc, true)] {
        let key = plugged(Profile::YUBIKEY_5_7_4);
        key.plug(power).unwrap();
        let mut session = YubiOtpSession::new(card(&key)).map_err(|(error, _)| error).unwrap();
        session.put_configuration(Slot::Two, &config, None, None).unwrap();
        let answer = session.calculate_hmac_sha1(Slot::Two, b"Hi There");
        match works {
            true => assert_eq!(answer.unwrap(), hex("b617318655057264e28bc0b6fb378c8ef146be00")),
            false => assert!(answer.is_err()),
        }
    }
}

#[test]
fn yubico_challenges_answer_tickets() {
    for profile in PROFILES {
        let key = plugged(profile);
        let mut session = YubiOtpSession::new_otp(hid(&key)).map_err(|(error, _)| error).unwrap();
        // The library has no builder for this slot type, so its record is made of its own parts.
        let mut record = vec![0; 16];
        record.extend(PRIVATE);
        record.extend(KEY);
        record.extend([0; 6]);
        record.extend([0, ExtFlag::SERIAL_API_VISIBLE.0, TktFlag::CHAL_RESP.0, 0x20, 0, 0]);
        record.extend((!yubikit::otp::calculate_crc(&record)).to_le_bytes());
        session.write_config(ConfigSlot::Config1, &record, None).unwrap();
        let challenge = [1, 2, 3, 4, 5, 6];
        let answer = |session: &mut YubiOtpSession<_>| -> [u8; 16] {
            session.send_and_receive(ConfigSlot::ChalOtp1, &challenge, 16).unwrap().try_into().unwrap()
        };
        let (first, second) = (answer(&mut session), answer(&mut session));
        assert_ne!(first, second);
        for block in [first, second] {
            let token = Otp::new(PublicId::EMPTY, block).open(&AesKey::new(KEY)).unwrap();
            assert_eq!(token.private_id.expose(), &challenge);
        }
    }
}

#[test]
fn access_codes_protect() {
    over_both_links!(key, session, {
        let code = AccessCode::new(&[1, 2, 3, 4, 5, 6]).unwrap();
        let wrong = AccessCode::new(&[6, 5, 4, 3, 2, 1]).unwrap();
        session.put_configuration(Slot::One, &yubico_otp(), Some(&code), None).unwrap();
        let before = typed(&key, OurSlot::One);
        let other = SlotConfiguration::static_password(&[0x04]).unwrap();
        for given in [None, Some(&wrong)] {
            assert!(session.put_configuration(Slot::One, &other, None, given).is_err());
            assert!(session.delete_slot(Slot::One, given).is_err());
            assert!(
                session.update_configuration(Slot::One, &SlotConfiguration::update(), given, given).is_err()
            );
        }
        assert_eq!(typed(&key, OurSlot::One)[..12], before[..12]);
        session.put_configuration(Slot::One, &other, Some(&code), Some(&code)).unwrap();
        assert!(session.delete_slot(Slot::One, None).is_err());
        // Writing without repeating the code takes the protection away.
        session.put_configuration(Slot::One, &other, None, Some(&code)).unwrap();
        session.delete_slot(Slot::One, None).unwrap();
        assert!(types_nothing(&key, OurSlot::One));
    });
}

#[test]
fn an_update_changes_flags_and_keeps_the_secret() {
    over_both_links!(key, session, {
        session.put_configuration(Slot::One, &yubico_otp(), None, None).unwrap();
        let open =
            |text: &str| text.trim().parse::<Otp>().unwrap().open(&AesKey::new(KEY)).unwrap().counter();
        let before = typed(&key, OurSlot::One);
        assert!(before.ends_with('\n'));
        let update = SlotConfiguration::update().append_cr(false);
        session.update_configuration(Slot::One, &update, None, None).unwrap();
        let after = typed(&key, OurSlot::One);
        assert!(!after.ends_with('\n'));
        assert!(open(&after) > open(&before));
        let refused = yubico_otp().allow_update(false);
        session.put_configuration(Slot::Two, &refused, None, None).unwrap();
        assert!(session.update_configuration(Slot::Two, &update, None, None).is_err());
    });
}

#[test]
fn slots_swap_and_are_deleted() {
    over_both_links!(key, session, {
        session.put_configuration(Slot::One, &yubico_otp(), None, None).unwrap();
        session.swap_slots().unwrap();
        assert!(types_nothing(&key, OurSlot::One));
        assert_eq!(typed(&key, OurSlot::Two).len(), 45);
        session.delete_slot(Slot::Two, None).unwrap();
        let state = session.get_config_state();
        assert!(!state.is_configured(Slot::One).unwrap() && !state.is_configured(Slot::Two).unwrap());
    });
}

#[test]
fn ndef_and_scan_map_are_taken() {
    over_both_links!(key, session, {
        session.put_configuration(Slot::One, &yubico_otp(), None, None).unwrap();
        session
            .set_ndef_configuration(Slot::One, Some("https://example.org/#"), None, NdefType::Uri)
            .unwrap();
        session.set_ndef_configuration(Slot::One, None, None, NdefType::Text).unwrap();
        // The default map with the letters c and b exchanged.
        let mut map = b"\x06\x05\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x11\x15\x17\x18\x19".to_vec();
        map.extend(map.clone().iter().map(|code| code | 0x80));
        map.extend(b"\x27\x1e\x1f\x20\x21\x22\x23\x24\x25\x26\x9e\x2b\x28");
        let plain = typed(&key, OurSlot::One);
        map.swap(0, 1);
        session.set_scan_map(&map, None).unwrap();
        let mapped = typed(&key, OurSlot::One);
        // The public id is the same, typed with two letters exchanged.
        let exchanged: String = plain[..12]
            .chars()
            .map(|letter| match letter {
                'c' => 'b',
                'b' => 'c',
                other => other,
            })
            .collect();
        assert_eq!(mapped[..12], exchanged);
    });
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
