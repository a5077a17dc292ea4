use std::sync::Arc;

use tapkey_protocol::link::{CardLink, CardTransport, LinkError, OtpLink};
use tapkey_protocol::management::{DeviceInfo, FormFactor, FormFactorByte, ProductId};
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
    let place = UsbPlace { product: product.map(ProductId), ..UsbPlace::default() };
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

fn in_port(mut half: Half, port: &str) -> Half {
    half.place.port = Some(port.parse().unwrap());
    half
}

/// Whatever the order in which they were found, and whatever numbers the kernel gave them.
#[test]
fn the_order_is_always_the_same() {
    let halves = || {
        vec![
            in_port(half("/dev/hidraw10", HID, Some(OTP_ONLY), Some(0)), "1-2"),
            in_port(half("/dev/hidraw9", HID, Some(OTP_ONLY), Some(0)), "1-10"),
            half("/dev/hidraw11", HID, Some(OTP_ONLY), Some(0)),
            half("/dev/hidraw8", HID, Some(OTP_ONLY), Some(0)),
            in_port(half("/dev/hidraw1", HID, Some(OTP_ONLY), Some(70)), "2-1"),
            half("reader", NFC, None, Some(6)),
        ]
    };
    let expected =
        ["reader", "/dev/hidraw1", "/dev/hidraw10", "/dev/hidraw9", "/dev/hidraw8", "/dev/hidraw11"];
    for turn in 0..6 {
        let mut turned = halves();
        turned.rotate_left(turn);
        let places: Vec<String> = merge(turned).iter().flat_map(Device::places).collect();
        assert_eq!(places, expected);
    }
}

#[test]
fn keys_that_are_alike_are_told_apart_by_their_place() {
    let twins = || {
        merge(vec![
            in_port(half("/dev/hidraw0", HID, Some(OTP_ONLY), Some(0)), "1-1"),
            in_port(half("/dev/hidraw1", HID, Some(OTP_ONLY), Some(0)), "1-4.2"),
        ])
    };
    let Err(SelectError::Ambiguous { candidates }) = select(twins(), &Selector::default()) else { panic!() };
    assert!(candidates[0].contains("USB port 1-1, /dev/hidraw0"), "{candidates:?}");
    assert!(candidates[1].contains("USB port 1-4.2"), "{candidates:?}");
    // The same shape does not decide between them either.
    let kind = Selector { kind: Some("standard".parse().unwrap()), ..Selector::default() };
    assert!(select(twins(), &kind).is_err());
    for place in ["1-4.2", "usb:1-4.2", "/dev/hidraw1"] {
        let selector = Selector { place: Some(place.to_owned()), ..Selector::default() };
        assert_eq!(select(twins(), &selector).unwrap().places(), ["/dev/hidraw1"], "{place}");
    }
    let nowhere = Selector { place: Some("1-3".to_owned()), ..Selector::default() };
    let text = select(twins(), &nowhere).unwrap_err().to_string();
    assert!(text.contains("the place 1-3"), "{text}");
}

#[test]
fn by_shape_and_by_model() {
    let shaped = |name, serial, shape| {
        let mut half = half(name, HID, Some(OTP_ONLY), Some(serial));
        let info = half.info.take().unwrap();
        half.info = Some(DeviceInfo { form_factor: FormFactorByte::new(shape, false, false), ..info });
        half
    };
    let keys = || {
        merge(vec![
            shaped("hidraw0", 1, FormFactor::UsbCNano),
            shaped("hidraw1", 2, FormFactor::UsbCKeychain),
            shaped("hidraw2", 3, FormFactor::UsbCKeychain),
        ])
    };
    let choose =
        |kind: &str| select(keys(), &Selector { kind: Some(kind.parse().unwrap()), ..Selector::default() });
    for kind in ["usb-c-nano", "5c-nano", "5C-Nano"] {
        assert_eq!(choose(kind).unwrap().serial(), Some(1), "{kind}");
    }
    let Err(SelectError::Ambiguous { candidates }) = choose("5c") else { panic!() };
    assert_eq!(candidates.len(), 2);
    assert!(matches!(choose("usb-a"), Err(SelectError::NoSuchKey { .. })));
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
    let exact = Selector { reader: Some("acs acr122u 00 00".to_owned()), ..Selector::default() };
    let twice = merge(vec![
        half("ACS ACR122U 00 00", NFC, None, Some(2)),
        half("ACS ACR122U 00 001", NFC, None, Some(3)),
    ]);
    assert_eq!(select(twice, &exact).unwrap().serial(), Some(2));
    let both = Selector { serial: Some(1), ..by_reader };
    assert!(matches!(select(three(), &both), Err(SelectError::NoSuchKey { .. })));
    match select(three(), &Selector::default()) {
        Err(SelectError::Ambiguous { candidates }) => assert_eq!(candidates.len(), 3),
        other => panic!("{other:?}"),
    }
    let text = select(three(), &Selector::serial(99)).unwrap_err().to_string();
    assert!(text.contains("serial number 99") && text.contains("serial 1"), "{text}");
}
