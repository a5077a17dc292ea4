//! The OATH application: its commands and answers, names, key URIs, and an emulated key that gets
//! any commands while the application is selected.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tapkey_emulator::{Power, SeededRandom, TouchPolicy, Milliseconds, VirtualKey};
use tapkey_protocol::{
    aid,
    apdu::{Command, Encoding, Response},
    oath::{
        CredentialId, CredentialName, KeyUri, Kind, Migration,
        codec::{
            BulkEntry, Calculate, Challenge, CodeAnswer, Delete, ListEntry, Put, Rename, Selected, SetCode,
            Strictness, Validate,
        },
        parse_base32,
    },
};

fuzz_target!(|data: &[u8]| {
    let Some((which, data)) = data.split_first() else { return };
    match which & 3 {
        0 => messages(data),
        1 => {
            if let Ok(text) = str::from_utf8(data) {
                texts(text);
            }
        }
        _ => key(data),
    }
});

/// What is read strictly is written as it came.
fn messages(data: &[u8]) {
    if let Ok(put) = Put::parse(data, Strictness::Strict) {
        assert_eq!(Put::parse(&put.encode(), Strictness::Strict), Ok(put.clone()));
        assert_eq!(Put::parse(data, Strictness::Lenient), Ok(put));
    }
    let _ = Put::parse(data, Strictness::Lenient);
    let _ = (Delete::parse(data), Rename::parse(data), SetCode::parse(data), Validate::parse(data));
    let _ = (Calculate::parse(data), Challenge::parse(data), Validate::parse_answer(data));
    if let Ok(selected) = Selected::parse(data) {
        assert_eq!(Selected::parse(&selected.encode()), Ok(selected));
    }
    if let Ok(entries) = ListEntry::parse_all(data) {
        assert_eq!(ListEntry::parse_all(&ListEntry::encode_all(&entries)), Ok(entries));
    }
    if let Ok(entries) = BulkEntry::parse_all(data) {
        assert_eq!(BulkEntry::parse_all(&BulkEntry::encode_all(&entries)), Ok(entries));
    }
    if let Ok(answer) = CodeAnswer::parse(data) {
        let _ = answer.code().map(|code| code.to_string());
    }
    if let Ok(id) = CredentialId::new(data) {
        for kind in [Kind::Hotp, Kind::Totp] {
            let name = CredentialName::of(&id, kind);
            if let Ok(id) = name.to_id(kind) {
                assert_eq!(CredentialName::of(&id, kind), name);
            }
        }
    }
}

fn texts(text: &str) {
    let _ = Migration::parse(text);
    let _ = parse_base32(text);
    for text in [text.to_owned(), format!("otpauth://totp/{text}"), format!("otpauth://hotp/a?secret=AA&{text}")] {
        if let Ok(uri) = text.parse::<KeyUri>() {
            let _ = uri.name().to_id(uri.kind());
            let again: KeyUri = uri.to_uri().parse().expect("what is written can be read");
            assert_eq!(again.secret, uri.secret);
        }
    }
}

fn key(data: &[u8]) {
    let touch = TouchPolicy::Automatic(Milliseconds(1));
    let mut key = VirtualKey::builder().random(SeededRandom::new(1)).touch(touch).build().unwrap();
    key.power(Power::Usb).unwrap();
    key.apdu(&Command::select(aid::OATH).encode(Encoding::Short).unwrap());
    let mut rest = data;
    while let Some(([ins, p2, length], tail)) = rest.split_first_chunk() {
        let (body, after) = tail.split_at(usize::from(*length).min(tail.len()));
        rest = after;
        let command = Command::new(0, *ins, 0, *p2, body).encode(Encoding::Short).unwrap();
        assert!(Response::parse(&key.apdu(&command)).is_ok());
    }
}
