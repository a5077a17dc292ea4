use proptest::prelude::*;

use super::*;

/// The published example of a firmware 5.2.3.
const PUBLISHED: &[u8] = &[
    0x2E, 0x01, 0x02, 0x02, 0x3F, 0x03, 0x02, 0x00, 0x3C, 0x02, 0x04, 0x00, 0xA8, 0x57, 0x9B, 0x04, 0x01,
    0x01, 0x05, 0x03, 0x05, 0x02, 0x03, 0x06, 0x02, 0x00, 0x0A, 0x07, 0x01, 0x0F, 0x08, 0x01, 0x80, 0x0D,
    0x02, 0x02, 0x3F, 0x0E, 0x02, 0x02, 0x3B, 0x0A, 0x01, 0x00, 0x0F, 0x01, 0x00,
];

#[test]
fn published_example() {
    let info = DeviceInfo::parse(PUBLISHED).unwrap();
    assert_eq!(info.usb_supported, Capabilities(0x023F));
    assert_eq!(info.usb_enabled, Some(Capabilities(0x003C)));
    assert_eq!(info.nfc_enabled, Some(Capabilities(0x023B)));
    assert_eq!(info.serial, Some(0x00A8_579B));
    assert_eq!(info.version, Some(Version::new(5, 2, 3)));
    assert_eq!(info.auto_eject_timeout, Some(10));
    assert_eq!(info.challenge_timeout, Some(15));
    assert_eq!(info.flags, Some(DeviceFlags::TOUCH_EJECT));
    assert!(!info.locked);
    assert_eq!(info.unknown, [UnknownTag { tag: 0x0F, value: vec![0] }]);
    assert_eq!(DeviceInfo::parse(&info.encode(false).unwrap()), Ok(info));
}

#[test]
fn pages_add_up() {
    let mut pages = InfoPages::new();
    pages.push(&[6, 0x01, 0x01, 0x3F, 0x10, 0x01, 0x01]).unwrap();
    assert_eq!(pages.next_page(), Some(1));
    pages.push(&[3, 0x16, 0x01, 0x01]).unwrap();
    assert_eq!(pages.next_page(), None);
    let info = pages.finish();
    assert_eq!(info.usb_supported, Capabilities(0x3F));
    assert_eq!(info.pin_complexity, Some(true));
}

#[test]
fn a_key_cannot_send_pages_forever() {
    let mut pages = InfoPages::new();
    let result = (0..100).map(|_| pages.push(&[3, 0x10, 1, 1])).find(Result::is_err);
    assert_eq!(result, Some(Err(InfoError::TooManyPages)));
}

#[test]
fn broken_pages() {
    assert_eq!(DeviceInfo::parse(&[]), Err(InfoError::Empty));
    assert_eq!(DeviceInfo::parse(&[5, 1]), Err(InfoError::WrongLength { stated: 5, found: 1 }));
    assert_eq!(DeviceInfo::parse(&[1, 1]), Err(InfoError::Tlv(TlvError::Truncated)));
    assert_eq!(DeviceInfo::parse(&[3, 2, 1, 0]), Err(InfoError::BadField { tag: 2, length: 1 }));
}

#[test]
fn known_mistakes_of_keys_are_corrected() {
    let info = DeviceInfo { version: Some(Version::new(4, 2, 4)), ..DeviceInfo::default() };
    assert_eq!(info.corrected().usb_supported, Capabilities(0x3F));

    let nano = DeviceInfo {
        version: Some(Version::new(5, 2, 3)),
        form_factor: FormFactorByte(2),
        nfc_supported: Some(Capabilities(0x3F)),
        nfc_enabled: Some(Capabilities(0x3F)),
        ..DeviceInfo::default()
    };
    assert_eq!(nano.corrected().nfc_supported, None);

    let beta = DeviceInfo {
        version: Some(Version::new(0, 0, 1)),
        version_qualifier: Some(VersionQualifier {
            version: Version::new(5, 8, 0),
            release: ReleaseType::Beta,
            iteration: 3,
        }),
        ..DeviceInfo::default()
    };
    assert_eq!(beta.corrected().version, Some(Version::new(5, 8, 0)));
}

#[test]
fn too_long_for_a_page() {
    let info = DeviceInfo { part_number: Some("x".repeat(250)), ..DeviceInfo::default() };
    assert!(matches!(info.encode(false), Err(InfoError::TooLong { .. })));
    assert!(matches!(info.encode_pages(222), Err(InfoError::TooLong { .. })));
    assert!(matches!(info.encode_pages(0), Err(InfoError::TooLong { .. })));
}

proptest! {
    #[test]
    fn round_trip(
        bits: [u16; 6],
        serial: Option<u32>,
        form_factor: u8,
        version: Option<[u8; 3]>,
        timeouts: Option<(u16, u8, u8)>,
        locked: bool,
        switches: Option<(bool, bool)>,
        part_number in proptest::option::of("[A-Z0-9]{0,20}"),
        qualifier: Option<([u8; 3], u8, u32)>,
    ) {
        let [usb, usb_enabled, nfc, nfc_enabled, fips, blocked] = bits;
        let info = DeviceInfo {
            usb_supported: Capabilities(usb),
            usb_enabled: Some(Capabilities(usb_enabled)),
            nfc_supported: Some(Capabilities(nfc)),
            nfc_enabled: Some(Capabilities(nfc_enabled)),
            serial,
            form_factor: FormFactorByte(form_factor),
            version: version.map(Version::from),
            version_qualifier: qualifier.map(|(version, release, iteration)| VersionQualifier {
                version: Version::from(version),
                release: match release % 3 {
                    0 => ReleaseType::Alpha,
                    1 => ReleaseType::Beta,
                    _ => ReleaseType::Final,
                },
                iteration,
            }),
            auto_eject_timeout: timeouts.map(|(auto, _, _)| auto),
            challenge_timeout: timeouts.map(|(_, challenge, _)| challenge),
            flags: timeouts.map(|(_, _, flags)| DeviceFlags(flags)),
            locked,
            part_number,
            fips_capable: Some(FipsCapabilities(fips)),
            fips_approved: None,
            pin_complexity: switches.map(|(complex, _)| complex),
            nfc_restricted: switches.map(|(_, restricted)| restricted),
            reset_blocked: Some(Capabilities(blocked)),
            fingerprint_storage: version.map(Version::from),
            image_processor: version.map(Version::from),
            unknown: vec![UnknownTag { tag: 0x77, value: vec![1, 2] }],
        };
        prop_assert_eq!(&DeviceInfo::parse(&info.encode(false).unwrap()).unwrap(), &info);

        let mut pages = InfoPages::new();
        for page in info.encode_pages(60).unwrap() {
            prop_assert!(page.len() <= 60);
            prop_assert!(pages.next_page().is_some());
            pages.push(&page).unwrap();
        }
        prop_assert_eq!(pages.next_page(), None);
        prop_assert_eq!(pages.finish(), info);
    }

    #[test]
    fn parsing_never_panics(mut bytes: Vec<u8>) {
        let _ = DeviceInfo::parse(&bytes);
        bytes.insert(0, u8::try_from(bytes.len()).unwrap_or(0));
        let _ = DeviceInfo::parse(&bytes);
    }
}
