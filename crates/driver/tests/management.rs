//! Device information, settings, and choosing the link.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]

mod common;

use std::sync::Arc;

use common::{Bench, Emulated, NONE, Over, SERIAL, chalresp, yubico_otp};
use tapkey_driver::discover::{Selector, gather, select};
use tapkey_driver::{
    Applied, Connector, Error, ManagementSession, NotOverThisLink, Prefer, Refusal, Transport, UsbPlace, Ways,
};
use tapkey_emulator::{Power, Profile};
use tapkey_protocol::link::{CardLink, CardTransport, LinkError, OtpLink};
use tapkey_protocol::management::{
    Capabilities, DeviceConfig, FormFactor, Interfaces, LockCode, Mode, ProductId, SetMode,
};
use tapkey_protocol::slot::Slot;

fn sessions(bench: &Bench) -> [ManagementSession; 2] {
    [
        ManagementSession::over_hid(bench.key.otp().unwrap(), &bench.control).unwrap(),
        ManagementSession::over_card(bench.key.card().unwrap(), &bench.control).unwrap(),
    ]
}

#[test]
fn both_links_tell_the_same() {
    for profile in Profile::ALL {
        let bench = Bench::new(profile);
        let [over_hid, over_card] =
            sessions(&bench).map(|mut session| session.device_info(&bench.control).unwrap());
        assert_eq!(over_hid, over_card, "{profile:?}");
        assert_eq!(over_hid.serial, Some(SERIAL));
        assert_eq!(over_hid.version, Some(profile.version()));
    }
}

#[test]
fn applications_are_switched_on_and_off() {
    for index in 0..2 {
        let bench = Bench::new(Profile::YUBIKEY_5_7_4);
        let mut sessions = sessions(&bench);
        let session = &mut sessions[index];
        let enabled = Capabilities::OTP | Capabilities::PIV | Capabilities::OATH;
        let config = DeviceConfig { usb_enabled: Some(enabled), ..DeviceConfig::default() };
        assert_eq!(session.write_config(&config, &bench.control).unwrap(), Applied::Confirmed);
        let info = session.device_info(&bench.control).unwrap();
        assert_eq!(info.usb_enabled, Some(enabled));
    }
}

#[test]
fn a_lock_code_guards_the_settings() {
    for index in 0..2 {
        let bench = Bench::new(Profile::YUBIKEY_5_4_3);
        let mut sessions = sessions(&bench);
        let session = &mut sessions[index];
        let code = LockCode::new([8; 16]);
        let lock = DeviceConfig { new_lock_code: Some(code.clone()), ..DeviceConfig::default() };
        session.write_config(&lock, &bench.control).unwrap();
        assert!(session.device_info(&bench.control).unwrap().locked);

        let change = DeviceConfig { challenge_timeout: Some(30), ..DeviceConfig::default() };
        let refused = session.write_config(&change, &bench.control).unwrap_err();
        assert!(matches!(refused, Error::Refused(Refusal::Locked { code_given: false })), "{refused:?}");
        let wrong = DeviceConfig { current_lock_code: Some(LockCode::new([1; 16])), ..change.clone() };
        let refused = session.write_config(&wrong, &bench.control).unwrap_err();
        assert!(matches!(refused, Error::Refused(Refusal::Locked { code_given: true })), "{refused:?}");
        let right = DeviceConfig { current_lock_code: Some(code), ..change };
        session.write_config(&right, &bench.control).unwrap();
        assert_eq!(session.device_info(&bench.control).unwrap().challenge_timeout, Some(30));
    }
}

#[test]
fn settings_and_modes_belong_to_their_generations() {
    let new = Bench::new(Profile::YUBIKEY_5_7_4);
    let mode = SetMode {
        mode: Mode::new(Interfaces::ALL, false).unwrap(),
        challenge_timeout: 15,
        auto_eject_timeout: 0,
    };
    for mut session in sessions(&new) {
        assert!(matches!(session.set_mode(mode, &new.control), Err(Error::Unsupported(_))));
    }
    let old = Bench::new(Profile::YUBIKEY_4_3_5);
    for mut session in sessions(&old) {
        session.set_mode(mode, &old.control).unwrap();
        let config = DeviceConfig { challenge_timeout: Some(30), ..DeviceConfig::default() };
        assert!(matches!(session.write_config(&config, &old.control), Err(Error::Unsupported(_))));
    }
}

#[test]
fn a_device_knows_what_it_is() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let device = bench.device();
    assert_eq!(device.serial(), Some(SERIAL));
    assert_eq!(device.version(), Some(Profile::YUBIKEY_5_7_4.version()));
    assert_ne!(device.form_factor(), FormFactor::Unknown);
    assert!(device.name().starts_with("YubiKey 5"), "{}", device.name());
    assert!(device.is_software());
    assert_eq!(device.interfaces(), Interfaces::ALL);
    assert_eq!(device.ways(), Ways { hid: true, card: Some(CardTransport::Usb) });
    assert_eq!(device.places(), ["emulated key"]);
    let text = device.to_string();
    assert!(text.contains("5.7.4") && text.contains(&SERIAL.to_string()), "{text}");
}

#[test]
fn a_device_opens_the_link_that_fits() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let device = bench.device();
    for prefer in [Prefer::Any, Prefer::Programming, Prefer::ChallengeResponse, Prefer::Hid] {
        let session = device.open_otp(prefer, &bench.control).unwrap();
        assert_eq!(session.transport(), Transport::Hid, "{prefer:?}");
    }
    let over_card = device.open_otp(Prefer::Card, &bench.control).unwrap();
    assert_eq!(over_card.transport(), Transport::Card(CardTransport::Usb));
    device.open_management(&bench.control).unwrap().device_info(&bench.control).unwrap();

    // On an NFC reader there is no HID, and challenges work nevertheless.
    bench.otp(Over::Hid).program(Slot::One, &chalresp(b"k", false), &NONE, &bench.control).unwrap();
    bench.key.plug(Power::Nfc).unwrap();
    let device = bench.device();
    assert_eq!(device.ways(), Ways { hid: false, card: Some(CardTransport::Nfc) });
    let mut otp = device.open_otp(Prefer::ChallengeResponse, &bench.control).unwrap();
    otp.challenge_hmac(Slot::One, b"x", &bench.control).unwrap();
    assert!(device.open_otp(Prefer::Hid, &bench.control).is_err());
}

/// One interface of an emulated key, with a say in how it opens.
struct Part {
    key: Emulated,
    ways: Ways,
    refuses: fn() -> Option<LinkError>,
}

impl Connector for Part {
    fn name(&self) -> String {
        if self.ways.hid { "/dev/hidraw9".to_owned() } else { "Yubico YubiKey CCID 00 00".to_owned() }
    }

    fn open_otp_link(&self) -> Result<Option<Box<dyn OtpLink>>, LinkError> {
        match (self.refuses)() {
            Some(error) => Err(error),
            None => self.key.open_otp_link(),
        }
    }

    fn open_card_link(&self) -> Result<Option<Box<dyn CardLink>>, LinkError> {
        self.key.open_card_link()
    }

    fn ways(&self) -> Ways {
        self.ways
    }

    fn usb(&self) -> UsbPlace {
        UsbPlace { product: self.ways.hid.then_some(ProductId(0x0407)), ..UsbPlace::default() }
    }
}

fn parts(bench: &Bench, refuses: fn() -> Option<LinkError>) -> Vec<Arc<dyn Connector>> {
    let part =
        |ways| -> Arc<dyn Connector> { Arc::new(Part { key: Emulated(bench.key.clone()), ways, refuses }) };
    vec![part(Ways { hid: true, card: None }), part(Ways { hid: false, card: Some(CardTransport::Usb) })]
}

fn denied() -> Option<LinkError> {
    Some(LinkError::PermissionDenied { what: "/dev/hidraw9".to_owned() })
}

#[test]
fn two_interfaces_make_one_device() {
    let bench = Bench::new(Profile::YUBIKEY_5_4_3);
    let listing = gather(parts(&bench, || None), &bench.control).unwrap();
    assert!(listing.diagnostics.is_empty(), "{:?}", listing.diagnostics);
    let device = select(listing.devices, &Selector::serial(SERIAL)).unwrap();
    assert_eq!(device.ways(), Ways { hid: true, card: Some(CardTransport::Usb) });
    assert_eq!(device.places(), ["/dev/hidraw9", "Yubico YubiKey CCID 00 00"]);
}

#[test]
fn without_permission_on_hid_the_card_is_used_where_it_can() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let listing = gather(parts(&bench, denied), &bench.control).unwrap();
    assert!(
        matches!(&listing.diagnostics[..], [one] if one.to_string().contains("/dev/hidraw9")),
        "{:?}",
        listing.diagnostics
    );
    let [device] = &listing.devices[..] else { panic!("{:?}", listing.devices) };
    assert_eq!(device.serial(), Some(SERIAL));
    let mut otp = device.open_otp(Prefer::Programming, &bench.control).unwrap();
    assert_eq!(otp.transport(), Transport::Card(CardTransport::Usb));
    otp.program(Slot::One, &yubico_otp(NONE), &NONE, &bench.control).unwrap();
    // Challenges need HID, and what has to be put right is the permission.
    let error = device.open_otp(Prefer::ChallengeResponse, &bench.control).unwrap_err();
    assert!(matches!(error, Error::Link(LinkError::PermissionDenied { .. })), "{error:?}");
}

#[test]
fn firmware_4_without_hid_says_why_it_cannot_be_written() {
    let bench = Bench::new(Profile::YUBIKEY_4_3_5);
    let card_only = parts(&bench, || None).split_off(1);
    let listing = gather(card_only, &bench.control).unwrap();
    let [device] = &listing.devices[..] else { panic!("{:?}", listing.devices) };
    let error = device.open_otp(Prefer::Programming, &bench.control).unwrap_err();
    assert!(
        matches!(error, Error::NotOverThisLink(NotOverThisLink::OtpWriteOverUsbCard { .. })),
        "{error:?}"
    );
    device.open_otp(Prefer::Any, &bench.control).unwrap();
}

#[test]
fn a_busy_interface_is_waited_for_and_then_named() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let busy = || Some(LinkError::Busy { holder: Some("somebody".to_owned()) });
    let hid_only = parts(&bench, busy).remove(0);
    let listing = gather(vec![hid_only], &bench.control).unwrap();
    assert!(listing.devices.is_empty());
    assert!(listing.diagnostics[0].to_string().contains("somebody"), "{:?}", listing.diagnostics);
    assert!(bench.clock.elapsed().as_secs() >= 2, "{:?}", bench.clock);
}
