use std::sync::Arc;

use tapkey_protocol::link::{CardLink, CardTransport, LinkError, OtpLink};
use tapkey_protocol::management::{DeviceInfo, ProductId};
use tapkey_protocol::version::Version;

use super::{Half, merge};
use crate::connector::{Connector, UsbPlace, Ways};
use crate::device::Device;
use crate::discover::{SelectError, Selector, select};

#[derive(Clone)]
struct Fake {
    name: &'static str,
    ways: Ways,
    place: UsbPlace,
}

impl Connector for Fake {
    fn name(&self) -> String {
        self.name.to_owned()
    }

    fn open_otp_link(&self) -> Result<Option<Box<dyn OtpLink>>, LinkError> {
        Ok(None)
    }

    fn open_card_link(&self) -> Result<Option<Box<dyn CardLink>>, LinkError> {
        Ok(None)
    }

    fn ways(&self) -> Ways {
        self.ways
    }

    fn usb(&self) -> UsbPlace {
        self.place
    }
}

const HID: Ways = Ways { hid: true, card: None };
const CCID: Ways = Ways { hid: false, card: Some(CardTransport::Usb) };
const NFC: Ways = Ways { hid: false, card: Some(CardTransport::Nfc) };
const ALL_INTERFACES: u16 = 0x0407;
const OTP_ONLY: u16 = 0x0401;

/// A half that told a serial number, or `Some(0)` for one that told everything but its serial.
fn half(name: &'static str, ways: Ways, product: Option<u16>, told: Option<u32>) -> Half {
    let place = UsbPlace { product: product.map(ProductId), address: None };
    let info = told.map(|serial| DeviceInfo {
        version: Some(Version::new(5, 4, 3)),
        serial: (serial != 0).then_some(serial),
        ..DeviceInfo::default()
    });
    Half { connector: Arc::new(Fake { name, ways, place }), ways, place, info }
}

fn at(mut half: Half, address: (u32, u32)) -> Half {
    half.place.address = Some(address);
    half
}

fn describe(devices: &[Device]) -> Vec<(Option<u32>, Vec<String>)> {
    devices.iter().map(|device| (device.serial(), device.places())).collect()
}

fn names(places: &[&str]) -> Vec<String> {
    places.iter().map(|place| (*place).to_owned()).collect()
}

#[test]
fn interfaces_meet_by_serial_number() {
    let devices = merge(vec![
        half("hidraw0", HID, Some(ALL_INTERFACES), Some(22)),
        half("hidraw1", HID, Some(ALL_INTERFACES), Some(11)),
        half("reader 0", CCID, None, Some(11)),
        half("reader 1", CCID, None, Some(22)),
    ]);
    assert_eq!(
        describe(&devices),
        [(Some(11), names(&["hidraw1", "reader 0"])), (Some(22), names(&["hidraw0", "reader 1"]))]
    );
}

#[test]
fn interfaces_meet_by_place_when_both_serials_are_hidden() {
    let devices = merge(vec![
        at(half("hidraw0", HID, Some(ALL_INTERFACES), Some(0)), (1, 5)),
        at(half("hidraw1", HID, Some(ALL_INTERFACES), Some(0)), (1, 6)),
        at(half("reader 0", CCID, None, Some(0)), (1, 6)),
        at(half("reader 1", CCID, None, None), (1, 5)),
    ]);
    assert_eq!(
        describe(&devices),
        [(None, names(&["hidraw0", "reader 1"])), (None, names(&["hidraw1", "reader 0"]))]
    );
}

#[test]
fn the_only_pair_is_one_key() {
    let devices = merge(vec![
        half("hidraw0", HID, Some(ALL_INTERFACES), Some(0)),
        half("reader 0", CCID, None, Some(7)),
    ]);
    assert_eq!(describe(&devices), [(Some(7), names(&["hidraw0", "reader 0"]))]);
}

#[test]
fn a_node_without_permission_still_belongs_to_its_reader() {
    let devices =
        merge(vec![half("hidraw0", HID, Some(ALL_INTERFACES), None), half("reader 0", CCID, None, Some(7))]);
    assert_eq!(describe(&devices), [(Some(7), names(&["hidraw0", "reader 0"]))]);
}

#[test]
fn nothing_is_guessed() {
    // The product id says that this key has no smart card.
    let otp_only = half("hidraw0", HID, Some(OTP_ONLY), Some(0));
    assert_eq!(merge(vec![otp_only, half("reader 0", CCID, None, Some(7))]).len(), 2);
    // A key on an NFC reader is not the one on USB.
    let on_usb = || half("hidraw0", HID, Some(ALL_INTERFACES), Some(0));
    assert_eq!(merge(vec![on_usb(), half("reader 0", NFC, None, Some(7))]).len(), 2);
    // Two candidates.
    let cards = || [half("reader 0", CCID, None, Some(7)), half("reader 1", CCID, None, Some(8))];
    assert_eq!(merge([vec![on_usb()], cards().into()].into_iter().flatten().collect()).len(), 3);
    // Different serial numbers.
    let other = half("hidraw0", HID, Some(ALL_INTERFACES), Some(9));
    assert_eq!(merge(vec![other, half("reader 0", CCID, None, Some(7))]).len(), 2);
    // Different places.
    let here = at(on_usb(), (1, 2));
    assert_eq!(merge(vec![here, at(half("reader 0", CCID, None, Some(7)), (1, 3))]).len(), 2);
}

#[test]
fn halves_that_told_nothing_hide_nobody() {
    let devices = merge(vec![
        half("hidraw0", HID, Some(ALL_INTERFACES), None),
        half("hidraw1", HID, Some(ALL_INTERFACES), Some(5)),
    ]);
    assert_eq!(describe(&devices), [(Some(5), names(&["hidraw1"]))]);
}

#[test]
fn keys_without_a_serial_come_last() {
    let devices = merge(vec![
        half("hidraw0", HID, Some(OTP_ONLY), Some(0)),
        half("hidraw1", HID, Some(OTP_ONLY), Some(9)),
        half("hidraw2", HID, Some(OTP_ONLY), Some(3)),
    ]);
    let serials: Vec<Option<u32>> = devices.iter().map(Device::serial).collect();
    assert_eq!(serials, [Some(3), Some(9), None]);
}

#[test]
fn choosing() {
    let three = || {
        merge(vec![
            half("hidraw0", HID, Some(OTP_ONLY), Some(1)),
            half("ACS ACR122U 00 00", NFC, None, Some(2)),
            half("Yubico YubiKey CCID 01 00", CCID, None, Some(3)),
        ])
    };
    assert!(matches!(select(Vec::new(), &Selector::default()), Err(SelectError::NoKey)));
    assert_eq!(select(three(), &Selector::serial(2)).unwrap().serial(), Some(2));
    let by_reader = Selector { reader: Some("yubikey".to_owned()), ..Selector::default() };
    assert_eq!(select(three(), &by_reader).unwrap().serial(), Some(3));
    let both = Selector { serial: Some(1), ..by_reader };
    assert!(matches!(select(three(), &both), Err(SelectError::NoSuchKey { .. })));
    match select(three(), &Selector::default()) {
        Err(SelectError::Ambiguous { candidates }) => assert_eq!(candidates.len(), 3),
        other => panic!("{other:?}"),
    }
    let text = select(three(), &Selector::serial(99)).unwrap_err().to_string();
    assert!(text.contains("serial number 99") && text.contains("serial 1"), "{text}");
}
