//! Yubico's own Rust host library uses the emulated key's OATH application. The codes are held
//! against the tables of RFC 4226 and RFC 6238, or against our own computation, which is tested
//! against those tables and another library.

#[allow(dead_code, reason = "the application has no reports")]
mod link;

use link::{Card, card, plugged};
use tapkey_emulator::{
    Milliseconds, Profile, TouchPolicy, VirtualKey,
    port::in_process::{ManualClock, PluggedKey},
};
use tapkey_protocol::{
    management::{Capabilities, DeviceConfig},
    oath::{self as ours, AccessKey, Algorithm, CredentialId, CredentialName, Digits, Kind},
};
use yubikit::{
    oath::{Credential, CredentialData, HashAlgorithm, OathAccessKey, OathError, OathSession, OathType},
    smartcard::SmartCardError,
};

const SERIAL: u32 = 0xf000_4321;
const RFC_KEY: &[u8] = b"12345678901234567890";
const HASHES: [(HashAlgorithm, Algorithm); 3] = [
    (HashAlgorithm::Sha1, Algorithm::Sha1),
    (HashAlgorithm::Sha256, Algorithm::Sha256),
    (HashAlgorithm::Sha512, Algorithm::Sha512),
];

fn open(key: &PluggedKey) -> OathSession<Card> {
    OathSession::new(card(key)).map_err(|(error, _)| error).unwrap()
}

fn totp(issuer: Option<&str>, name: &str) -> CredentialData {
    CredentialData {
        name: name.to_owned(),
        oath_type: OathType::Totp,
        hash_algorithm: HashAlgorithm::Sha1,
        secret: RFC_KEY.to_vec(),
        digits: 6,
        period: 30,
        counter: 0,
        issuer: issuer.map(str::to_owned),
    }
}

fn hotp(name: &str, counter: u32) -> CredentialData {
    let mut data = totp(None, name);
    (data.oath_type, data.period, data.counter) = (OathType::Hotp, 0, counter);
    data
}

fn status(error: OathError) -> u16 {
    match error {
        OathError::Connection(SmartCardError::Apdu { sw, .. }) => sw,
        other => panic!("{other}"),
    }
}

fn codes(session: &mut OathSession<Card>, at: u64) -> Vec<(String, Option<String>)> {
    let all = session.calculate_all(at).unwrap();
    all.into_iter().map(|(credential, code)| (credential.name, code.map(|code| code.value))).collect()
}

#[test]
fn a_fresh_key() {
    for profile in Profile::ALL {
        let key = plugged(profile);
        let mut session = open(&key);
        assert_eq!(session.version().to_string(), profile.name());
        assert!(!session.has_key() && !session.locked());
        assert!(session.list_credentials().unwrap().is_empty());
        assert!(session.calculate_all(59).unwrap().is_empty());
        let id = session.device_id().to_owned();
        assert_eq!(open(&key).device_id(), id, "it stays");
    }
}

/// RFC 6238 appendix B.
#[test]
fn totp_of_the_rfc_with_every_hash() {
    let expected = [
        ["94287082", "07081804", "89005924", "65353130"],
        ["46119246", "68084774", "91819424", "77737706"],
        ["90693936", "25091201", "93441116", "47863826"],
    ];
    for profile in Profile::ALL {
        let mut session = open(&plugged(profile));
        for (((hash, _), length), codes) in HASHES.into_iter().zip([20, 32, 64]).zip(expected) {
            let mut data = totp(Some("RFC"), &format!("{hash:?}"));
            data.secret = b"1234567890".iter().copied().cycle().take(length).collect();
            (data.hash_algorithm, data.digits) = (hash, 8);
            let credential = session.put_credential(&data, false).unwrap();
            for (at, code) in [59, 1_111_111_109, 1_234_567_890, 20_000_000_000].into_iter().zip(codes) {
                let computed = session.calculate_code(&credential, at).unwrap();
                assert_eq!(computed.value, code, "{hash:?} at {at}");
                assert_eq!(computed.valid_from, at / 30 * 30);
            }
        }
    }
}

/// RFC 4226 appendix D; the counter lasts.
#[test]
fn hotp_of_the_rfc() {
    let key = plugged(Profile::YUBIKEY_5_7_4);
    let mut session = open(&key);
    let credential = session.put_credential(&hotp("h", 0), false).unwrap();
    let next = || {
        key.replug().unwrap();
        open(&key).calculate_code(&credential, 0).unwrap().value
    };
    for code in ["755224", "287082", "359152", "969429", "338314"] {
        assert_eq!(next(), code);
    }
    let credential = open(&key).put_credential(&hotp("late", 0x0102_0304), false).unwrap();
    let code = open(&key).calculate_code(&credential, 0).unwrap().value;
    assert_eq!(code, ours::hotp(RFC_KEY, 0x0102_0304, Digits::SIX).to_string());
}

#[test]
fn every_kind_of_credential_against_our_computation() {
    let mut session = open(&plugged(Profile::YUBIKEY_5_7_4));
    for (hash, algorithm) in HASHES {
        for digits in 6..=8 {
            // Short ones are filled up, long ones hashed, both by the library.
            for length in [1, 13, 14, 20, 64, 129] {
                for period in [15, 30, 60] {
                    let mut data = totp(Some("Kind"), "x");
                    data.secret = (0..length).map(|byte| byte ^ 0x5A).collect();
                    (data.hash_algorithm, data.digits, data.period) = (hash, digits, period);
                    let credential = session.put_credential(&data, false).unwrap();
                    let at = 1_700_000_000 + u64::from(length);
                    let computed = session.calculate_code(&credential, at).unwrap().value;
                    let digits = Digits::try_from(digits).unwrap();
                    let expected = ours::totp(algorithm, &data.secret, at, period, digits);
                    assert_eq!(computed, expected.to_string());
                }
            }
        }
    }
    assert_eq!(session.list_credentials().unwrap().len(), 3, "one per period, the others replaced it");
}

#[test]
fn the_library_and_we_read_names_alike() {
    let mut session = open(&plugged(Profile::YUBIKEY_5_7_4));
    let mut other_period = totp(Some("Example"), "bob");
    other_period.period = 60;
    for data in [totp(Some("Example"), "alice:x"), totp(None, "carol"), other_period, hotp("60/x:y", 1)] {
        session.put_credential(&data, false).unwrap();
    }
    for credential in session.list_credentials().unwrap() {
        let id = CredentialId::new(credential.id.clone()).unwrap();
        let kind = if credential.oath_type == OathType::Hotp { Kind::Hotp } else { Kind::Totp };
        let name = CredentialName::of(&id, kind);
        assert_eq!((&name.issuer, &name.account), (&credential.issuer, &credential.name));
        if kind == Kind::Totp {
            assert_eq!(name.period, credential.period);
        }
        assert_eq!(name.to_id(kind).unwrap(), id);
    }
}

#[test]
fn calculate_all() {
    let mut session = open(&plugged(Profile::YUBIKEY_5_4_3));
    let mut minute = totp(Some("Example"), "minute");
    minute.period = 60;
    session.put_credential(&totp(Some("Example"), "alice"), false).unwrap();
    session.put_credential(&hotp("counter", 0), false).unwrap();
    session.put_credential(&totp(None, "touched"), true).unwrap();
    session.put_credential(&minute, false).unwrap();
    let all = session.calculate_all(59).unwrap();
    let flags: Vec<_> = all
        .iter()
        .map(|(credential, _)| (credential.oath_type, credential.touch_required.unwrap()))
        .collect();
    assert_eq!(
        flags,
        [(OathType::Totp, false), (OathType::Hotp, false), (OathType::Totp, true), (OathType::Totp, false)]
    );
    let some = |code: &str| Some(code.to_owned());
    assert_eq!(
        codes(&mut session, 59),
        [
            ("alice".to_owned(), some("287082")),
            ("counter".to_owned(), None),
            ("touched".to_owned(), None),
            ("minute".to_owned(), some("755224")),
        ]
    );
}

/// More than one answer holds: the library fetches the rest.
#[test]
fn a_full_key() {
    for (profile, room) in [(Profile::YUBIKEY_5_4_3, 32), (Profile::YUBIKEY_5_7_4, 64)] {
        let key = plugged(profile);
        let mut session = open(&key);
        let name = |number: usize| format!("{number:058}");
        for number in 0..room {
            session.put_credential(&totp(Some("Issue"), &name(number)), false).unwrap();
        }
        assert_eq!(status(session.put_credential(&totp(None, "more"), false).unwrap_err()), 0x6A84);
        session.put_credential(&totp(Some("Issue"), &name(7)), false).unwrap();
        // Over USB with long frames, over NFC in pieces of 256 bytes.
        for _ in 0..2 {
            let mut session = open(&key);
            let names: Vec<_> = session.list_credentials().unwrap().into_iter().map(|one| one.name).collect();
            assert_eq!(names, (0..room).map(name).collect::<Vec<_>>());
            assert!(codes(&mut session, 59).into_iter().all(|(_, code)| code.as_deref() == Some("287082")));
            key.unplug();
            key.plug(tapkey_emulator::Power::Nfc).unwrap();
        }
    }
}

#[test]
fn rename_and_delete() {
    let mut session = open(&plugged(Profile::YUBIKEY_5_7_4));
    let alice = session.put_credential(&totp(Some("Example"), "alice"), false).unwrap();
    let bob = session.put_credential(&totp(Some("Example"), "bob"), false).unwrap();
    let carol = session.rename_credential(&alice.id, "carol", Some("Example")).unwrap();
    assert_eq!(carol, b"Example:carol");
    assert_eq!(status(session.rename_credential(&alice.id, "x", None).unwrap_err()), 0x6984);
    assert_eq!(status(session.rename_credential(&bob.id, "carol", Some("Example")).unwrap_err()), 0x6984);
    assert_eq!(codes(&mut session, 59).len(), 2);
    session.delete_credential(&carol).unwrap();
    assert_eq!(status(session.delete_credential(&carol).unwrap_err()), 0x6984);
    assert_eq!(status(session.calculate_code(&alice, 59).unwrap_err()), 0x6984);
    assert_eq!(session.calculate_code(&bob, 59).unwrap().value, "287082");
    // The library knows by itself that older firmware cannot rename.
    let mut old = open(&plugged(Profile::YUBIKEY_5_2_7));
    let credential = old.put_credential(&totp(None, "x"), false).unwrap();
    assert!(matches!(old.rename_credential(&credential.id, "y", None), Err(OathError::NotSupported(_))));
}

#[test]
fn a_password() {
    let key = plugged(Profile::YUBIKEY_5_7_4);
    let mut session = open(&key);
    session.put_credential(&totp(None, "x"), false).unwrap();
    let access = session.derive_key("pässwörd");
    session.set_key(&access).unwrap();
    assert_eq!(codes(&mut session, 59).len(), 1, "the session that set it goes on");

    key.replug().unwrap();
    let mut session = open(&key);
    assert!(session.has_key() && session.locked());
    assert_eq!(status(session.list_credentials().unwrap_err()), 0x6982);
    assert_eq!(status(session.calculate_all(59).unwrap_err()), 0x6982);
    assert_eq!(status(session.unset_key().unwrap_err()), 0x6982);
    let wrong = session.derive_key("password");
    assert_eq!(status(session.validate(&wrong).unwrap_err()), 0x6A80);
    assert_eq!(status(session.list_credentials().unwrap_err()), 0x6982);
    // The same challenge serves another try; the library checks the key's proof.
    session.validate(&access).unwrap();
    assert!(!session.locked());
    assert_eq!(codes(&mut session, 59).len(), 1);
    // Another session finds it open, another application closes it.
    assert_eq!(open(&key).list_credentials().unwrap().len(), 1);
    let _ = yubikit::management::ManagementSession::new(card(&key)).map_err(|(error, _)| error).unwrap();
    assert_eq!(status(open(&key).list_credentials().unwrap_err()), 0x6982);

    let mut session = open(&key);
    session.validate(&access).unwrap();
    session.unset_key().unwrap();
    key.replug().unwrap();
    let mut session = open(&key);
    assert!(!session.has_key());
    assert_eq!(session.list_credentials().unwrap().len(), 1);
}

#[test]
fn the_library_and_we_derive_the_same_key() {
    for salt in [&b"test_salt"[..], &[0; 8], &[0xFF; 8]] {
        for password in ["", "password", "pässwörd", &"long ".repeat(40)] {
            let theirs: OathAccessKey = yubikit::oath::derive_key(salt, password);
            assert_eq!(AccessKey::derive(password, salt).expose(), theirs.expose_secret());
        }
    }
}

#[test]
fn reset_while_locked() {
    let key = plugged(Profile::YUBIKEY_5_7_4);
    let mut session = open(&key);
    session.put_credential(&totp(None, "x"), false).unwrap();
    let id = session.device_id().to_owned();
    let access = session.derive_key("forgotten");
    session.set_key(&access).unwrap();
    key.replug().unwrap();
    let connection = open(&key).reset().map_err(|(error, _)| error).unwrap();
    let mut session = OathSession::new(connection).map_err(|(error, _)| error).unwrap();
    assert!(!session.has_key());
    assert_ne!(session.device_id(), id);
    assert!(session.list_credentials().unwrap().is_empty());
}

fn with_touch(policy: TouchPolicy) -> (PluggedKey, ManualClock) {
    let key = VirtualKey::builder().serial(SERIAL).touch(policy).build().unwrap();
    let clock = ManualClock::new();
    (PluggedKey::with_clock(key, clock.clone()).unwrap(), clock)
}

#[test]
fn a_touch() {
    let (key, clock) = with_touch(TouchPolicy::Automatic(Milliseconds(1200)));
    let mut session = open(&key);
    let credential: Credential = session.put_credential(&totp(None, "x"), true).unwrap();
    assert_eq!(session.calculate_code(&credential, 59).unwrap().value, "287082");
    assert!(clock.now() >= Milliseconds(1200));

    let (key, clock) = with_touch(TouchPolicy::Never);
    let mut session = open(&key);
    let credential = session.put_credential(&totp(None, "x"), true).unwrap();
    assert_eq!(status(session.calculate_code(&credential, 59).unwrap_err()), 0x6982);
    assert!(clock.now() >= Milliseconds(15_000));
    key.unplug();
    key.plug(tapkey_emulator::Power::Nfc).unwrap();
    assert_eq!(open(&key).calculate_code(&credential, 59).unwrap().value, "287082", "the tap is the touch");
}

#[test]
fn raw_answers() {
    let mut session = open(&plugged(Profile::YUBIKEY_5_7_4));
    let credential = session.put_credential(&totp(Some("Steam"), "gamer"), false).unwrap();
    let hmac = session.calculate(&credential.id, &1_u64.to_be_bytes()).unwrap();
    assert_eq!(hmac, Algorithm::Sha1.hmac(RFC_KEY, &1_u64.to_be_bytes()));
    assert_eq!(ours::steam_code(&hmac).len(), 5);
}

#[test]
fn switched_off() {
    let key = plugged(Profile::YUBIKEY_5_7_4);
    let without = Capabilities(0x033F & !Capabilities::OATH.0);
    let config = DeviceConfig { usb_enabled: Some(without), ..DeviceConfig::default() };
    key.with(|key| {
        key.apdu(&[0, 0xA4, 4, 0, 8, 0xA0, 0, 0, 5, 0x27, 0x47, 0x11, 0x17]);
        let body = config.encode();
        let mut command = vec![0, 0x1C, 0, 0, u8::try_from(body.expose().len()).unwrap()];
        command.extend_from_slice(body.expose());
        assert_eq!(key.apdu(&command), [0x90, 0]);
    });
    key.replug().unwrap();
    let error = OathSession::new(card(&key)).map(drop).map_err(|(error, _)| error).unwrap_err();
    assert!(matches!(error, SmartCardError::ApplicationNotAvailable), "{error}");
}
