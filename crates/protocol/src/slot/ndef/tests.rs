use proptest::prelude::*;

use super::*;

#[test]
fn published_read_of_a_factory_key() {
    let file = Ndef::factory().file(&[b'c'; 44]);
    assert_eq!(file[..7], [0x00, 0x43, 0xD1, 0x01, 0x3F, 0x55, 0x04]);
    assert_eq!(&file[7..25], b"my.yubico.com/yk/#");
    assert_eq!(file.len(), 0x43 + 2);
}

#[test]
fn the_first_matching_prefix_wins() {
    assert_eq!(Ndef::uri("https://my.yubico.com/yk/#").unwrap(), Ndef::factory());
    assert_eq!(Ndef::uri("https://www.example.org/").unwrap().data()[0], 2);
    assert_eq!(Ndef::uri("urn:nfc:x").unwrap().data()[0], 19, "urn: comes first in the list");
    assert_eq!(Ndef::uri("gopher://x").unwrap().data()[0], 0);
    assert_eq!(Ndef::uri("gopher://x").unwrap().to_text().unwrap(), "gopher://x");
}

#[test]
fn texts() {
    let ndef = Ndef::text("en", "code: ").unwrap();
    assert_eq!(ndef.data(), b"\x02encode: ");
    assert_eq!(ndef.to_text().unwrap(), "code: ");
    let utf16 = Ndef::new(NdefType::Text, b"\x82en\0h\0i".to_vec()).unwrap();
    assert_eq!(utf16.to_text().unwrap(), "hi");
    assert_eq!(Ndef::text("", "x"), Err(NdefError::Language));
    assert_eq!(Ndef::text("en", &"x".repeat(52)), Err(NdefError::TooLong { length: 55 }));
}

#[test]
fn payload_layout() {
    let payload = NdefPayload { ndef: Some(Ndef::factory()), current: AccessCode::new([9; 6]) };
    let bytes = payload.encode();
    assert_eq!(bytes[..3], [19, b'U', 4]);
    assert_eq!(bytes[56..], [9; 6]);
    assert_eq!(NdefPayload::parse(&bytes), Ok(payload));
    assert_eq!(NdefPayload::parse(&[1, b'X', 0]), Err(NdefError::Type { code: b'X' }));
    assert_eq!(NdefPayload::parse(&[55, b'U', 0]), Err(NdefError::TooLong { length: 55 }));
    assert_eq!(NdefPayload::parse(&[5, b'U', 0]), Err(NdefError::TooShort));
    assert_eq!(NdefPayload::parse(&[0; 62]).unwrap().ndef, None);
}

proptest! {
    #[test]
    fn links_read_back(uri in "[a-z]{1,8}:[a-z0-9/.]{0,40}") {
        prop_assert_eq!(Ndef::uri(&uri).unwrap().to_text().unwrap(), uri);
    }

    #[test]
    fn round_trip(text: bool, data in proptest::collection::vec(any::<u8>(), 0..=54), code: [u8; 6]) {
        let kind = if text { NdefType::Text } else { NdefType::Uri };
        let ndef = Some(Ndef::new(kind, data).unwrap());
        let payload = NdefPayload { ndef, current: AccessCode::new(code) };
        prop_assert_eq!(NdefPayload::parse(&payload.encode()), Ok(payload));
    }

    #[test]
    fn nothing_panics(bytes: Vec<u8>, appended: Vec<u8>) {
        if let Ok(NdefPayload { ndef: Some(ndef), .. }) = NdefPayload::parse(&bytes) {
            let _ = (ndef.to_text(), ndef.file(&appended), format!("{ndef:?}"));
        }
    }
}

#[test]
fn texts_in_both_encodings() {
    let utf8 = Ndef::text("en", "Grüß ").unwrap();
    assert_eq!(utf8.data()[..3], [2, b'e', b'n']);
    let utf16 = Ndef::text_in(TextEncoding::Utf16, "de", "Grüß ").unwrap();
    assert_eq!(utf16.data()[..5], [0x82, b'd', b'e', 0, b'G']);
    for ndef in [utf8, utf16] {
        assert_eq!(ndef.to_text().as_deref(), Some("Grüß "));
    }
    assert_eq!(
        Ndef::text_in(TextEncoding::Utf16, "en", &"x".repeat(26)),
        Err(NdefError::TooLong { length: 55 })
    );
    assert_eq!(Ndef::text("ä", "x"), Err(NdefError::Language));
}
