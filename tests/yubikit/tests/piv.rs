//! Yubico's own Rust host library uses the emulated key's PIV application. What the key computes is
//! verified with crates that neither side uses for it here: the public key is the library's reading
//! of the key's answer.

#[allow(dead_code, reason = "the application has no reports")]
mod link;

use link::{Card, card, plugged};
use p256::ecdsa::signature::{Verifier, hazmat::PrehashVerifier};
use tapkey_emulator::{Profile, port::in_process::PluggedKey};
use x509_cert::{
    Certificate,
    der::{Decode, referenced::OwnedToRef},
};
use yubikit::{
    keys::{EcCurve, EcPrivateKey, Ed25519PrivateKey, PrivateKey, PublicKey, X25519PrivateKey},
    piv::{
        DEFAULT_MANAGEMENT_KEY, KeyType, ManagementKey, ManagementKeyType, ObjectId, PinPolicy, PivError,
        PivPin, PivSession, Slot, TouchPolicy,
    },
    smartcard::SmartCardError,
};

const SERIAL: u32 = 0xf000_4321;

fn open(key: &PluggedKey) -> PivSession<Card> {
    PivSession::new(card(key)).map_err(|(error, _)| error).unwrap()
}

fn pin(text: &str) -> PivPin {
    PivPin::new(text).unwrap()
}

fn factory_key(session: &PivSession<Card>) -> ManagementKey {
    ManagementKey::new(session.management_key_type(), DEFAULT_MANAGEMENT_KEY).unwrap()
}

/// A session that may change everything.
fn administer(key: &PluggedKey) -> PivSession<Card> {
    let mut session = open(key);
    let management_key = factory_key(&session);
    session.authenticate(&management_key).unwrap();
    session
}

fn status(error: PivError) -> u16 {
    match error {
        PivError::Connection(SmartCardError::Apdu { sw, .. }) => sw,
        other => panic!("{other}"),
    }
}

fn tries(result: Result<(), PivError>) -> u32 {
    match result {
        Err(PivError::InvalidPin(left)) => left,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_fresh_key() {
    for profile in Profile::ALL {
        let key = plugged(profile);
        let mut session = open(&key);
        assert_eq!(session.version().to_string(), profile.name());
        let aes = profile == Profile::YUBIKEY_5_7_4;
        let expected = if aes { ManagementKeyType::Aes192 } else { ManagementKeyType::Tdes };
        assert_eq!(session.management_key_type(), expected);
        assert_eq!(session.get_pin_attempts().unwrap(), 3);
        if profile.version().major >= 5 {
            assert_eq!(session.get_serial().unwrap(), SERIAL);
        }
        if profile.version().at_least(5, 3, 0) {
            let metadata = session.get_puk_metadata().unwrap();
            assert_eq!(
                (metadata.default_value, metadata.total_attempts, metadata.attempts_remaining),
                (true, 3, 3)
            );
            assert!(session.get_management_key_metadata().unwrap().default_value);
            assert_eq!(status(session.get_slot_metadata(Slot::Signature).unwrap_err()), 0x6A88);
        }
        let management_key = factory_key(&session);
        session.authenticate(&management_key).unwrap();
        assert_eq!(status(session.get_certificate(Slot::Authentication).unwrap_err()), 0x6A82);
    }
}

#[test]
fn pin_and_puk() {
    let key = plugged(Profile::YUBIKEY_5_7_4);
    let mut session = open(&key);
    assert_eq!(tries(session.verify_pin(&pin("654321"))), 2);
    session.verify_pin(&pin("123456")).unwrap();
    session.change_pin(&pin("123456"), &pin("24681357")).unwrap();
    assert_eq!(tries(session.change_pin(&pin("123456"), &pin("111111"))), 2);
    session.change_puk(&pin("12345678"), &pin("87654321")).unwrap();
    for left in [1, 0] {
        assert_eq!(tries(session.verify_pin(&pin("000000"))), left);
    }
    assert_eq!(tries(session.verify_pin(&pin("24681357"))), 0, "blocked");
    assert_eq!(tries(session.unblock_pin(&pin("12345678"), &pin("123456"))), 2, "the PUK was changed");
    session.unblock_pin(&pin("87654321"), &pin("135790")).unwrap();
    session.verify_pin(&pin("135790")).unwrap();

    let mut session = administer(&key);
    session.verify_pin(&pin("135790")).unwrap();
    session.set_pin_attempts(5, 7).unwrap();
    assert_eq!(session.get_pin_metadata().unwrap().total_attempts, 5);
    assert_eq!(session.get_puk_metadata().unwrap().attempts_remaining, 7);
    session.verify_pin(&pin("123456")).unwrap();

    session
        .generate_key(Slot::Signature, KeyType::EccP256, PinPolicy::Default, TouchPolicy::Default)
        .unwrap();
    session.reset().unwrap();
    assert_eq!(session.get_pin_attempts().unwrap(), 3);
    assert_eq!(status(session.get_slot_metadata(Slot::Signature).unwrap_err()), 0x6A88);
}

#[test]
fn management_keys_of_every_kind() {
    let key = plugged(Profile::YUBIKEY_5_7_4);
    let mut session = administer(&key);
    for (kind, length) in [
        (ManagementKeyType::Aes128, 16),
        (ManagementKeyType::Aes256, 32),
        (ManagementKeyType::Tdes, 24),
        (ManagementKeyType::Aes192, 24),
    ] {
        let bytes: Vec<u8> = (1..=length).collect();
        let new = ManagementKey::new(kind, &bytes).unwrap();
        session.set_management_key(&new, false).unwrap();
        session = open(&key);
        assert_eq!(session.management_key_type(), kind);
        let metadata = session.get_management_key_metadata().unwrap();
        assert_eq!((metadata.key_type, metadata.default_value), (kind, false));
        let wrong = ManagementKey::new(kind, &vec![9; length.into()]).unwrap();
        assert_eq!(status(session.authenticate(&wrong).unwrap_err()), 0x6982);
        session.authenticate(&new).unwrap();
    }
}

#[test]
fn generated_keys_sign_and_are_attested() {
    let key = plugged(Profile::YUBIKEY_5_7_4);
    let mut session = administer(&key);
    let digest = [7; 32];
    let public = session
        .generate_key(Slot::Authentication, KeyType::EccP256, PinPolicy::Once, TouchPolicy::Never)
        .unwrap();
    assert_eq!(status(session.sign(Slot::Authentication, KeyType::EccP256, &digest).unwrap_err()), 0x6982);
    session.verify_pin(&pin("123456")).unwrap();
    let signature = session.sign(Slot::Authentication, KeyType::EccP256, &digest).unwrap();
    let PublicKey::Ec(public) = public else { panic!("{public:?}") };
    let verifying = p256::ecdsa::VerifyingKey::from_sec1_bytes(&public.point).unwrap();
    verifying.verify_prehash(&digest, &p256::ecdsa::Signature::from_der(&signature).unwrap()).unwrap();
    let metadata = session.get_slot_metadata(Slot::Authentication).unwrap();
    assert!(metadata.generated && metadata.key_type == KeyType::EccP256);
    assert_eq!((metadata.pin_policy, metadata.touch_policy), (PinPolicy::Once, TouchPolicy::Never));

    let attested = Certificate::from_der(&session.attest_key(Slot::Authentication).unwrap()).unwrap();
    let subject_key = attested.tbs_certificate().subject_public_key_info().owned_to_ref();
    assert_eq!(subject_key.subject_public_key.raw_bytes(), public.point);
    let issuer = Certificate::from_der(&session.get_certificate(Slot::Attestation).unwrap()).unwrap();
    assert_eq!(attested.tbs_certificate().issuer(), issuer.tbs_certificate().subject());

    let PublicKey::Ed25519(public) = session
        .generate_key(Slot::Retired1, KeyType::Ed25519, PinPolicy::Always, TouchPolicy::Never)
        .unwrap()
    else {
        panic!("an Ed25519 key")
    };
    let message = b"any message, not its hash";
    session.verify_pin(&pin("123456")).unwrap();
    let signature = session.sign(Slot::Retired1, KeyType::Ed25519, message).unwrap();
    let verifying = ed25519_dalek::VerifyingKey::from_bytes(&public.key.try_into().unwrap()).unwrap();
    verifying.verify(message, &ed25519_dalek::Signature::from_slice(&signature).unwrap()).unwrap();
    // The policy wants the PIN before each use.
    assert_eq!(status(session.sign(Slot::Retired1, KeyType::Ed25519, message).unwrap_err()), 0x6982);

    let public =
        session.generate_key(Slot::CardAuth, KeyType::Rsa2048, PinPolicy::Default, TouchPolicy::Default);
    let PublicKey::Rsa(public) = public.unwrap() else { panic!("an RSA key") };
    // A block of the modulus' length, smaller than it; the card does nothing but the arithmetic.
    let block = [&[0, 1][..], &[0x5a; 254]].concat();
    let signature = session.sign(Slot::CardAuth, KeyType::Rsa2048, &block).unwrap();
    let spki = PublicKey::Rsa(public).to_spki().unwrap();
    assert_eq!(raised(&spki, &signature), block, "undone with the public key");
}

/// A signature to the power of the public exponent.
fn raised(spki: &[u8], signature: &[u8]) -> Vec<u8> {
    use rsa::{BoxedUint, pkcs8::DecodePublicKey, traits::PublicKeyParts};
    let key = rsa::RsaPublicKey::from_public_key_der(spki).unwrap();
    let number = BoxedUint::from_be_slice(signature, key.n_bits_precision()).unwrap();
    let plain = rsa::hazmat::rsa_encrypt(&key, &number).unwrap();
    plain.to_be_bytes().to_vec()
}

#[test]
fn imported_keys_agree_on_secrets() {
    let key = plugged(Profile::YUBIKEY_5_7_4);
    let mut session = administer(&key);
    session.verify_pin(&pin("123456")).unwrap();
    let scalar = [&[0; 31][..], &[1]].concat();
    let private = PrivateKey::Ec(EcPrivateKey::new(EcCurve::P256, scalar, None).unwrap());
    session.put_key(Slot::KeyManagement, &private, PinPolicy::Default, TouchPolicy::Default).unwrap();
    let metadata = session.get_slot_metadata(Slot::KeyManagement).unwrap();
    assert!(!metadata.generated);
    let PublicKey::Ec(public) = metadata.public_key else { panic!("{metadata:?}") };
    // The private key is one, so that the shared secret is the other's point itself (its x).
    let secret = session.calculate_secret(Slot::KeyManagement, KeyType::EccP256, &public.point).unwrap();
    assert_eq!(secret, public.point[1..33]);
    assert_eq!(status(session.attest_key(Slot::KeyManagement).unwrap_err()), 0x6A80, "imported");

    let own = x25519_dalek::StaticSecret::from([0x42; 32]);
    let other = x25519_dalek::StaticSecret::from([0x17; 32]);
    let private = PrivateKey::X25519(X25519PrivateKey::new(own.to_bytes().to_vec()).unwrap());
    session.put_key(Slot::Retired2, &private, PinPolicy::Never, TouchPolicy::Never).unwrap();
    let theirs = x25519_dalek::PublicKey::from(&other);
    let secret = session.calculate_secret(Slot::Retired2, KeyType::X25519, theirs.as_bytes()).unwrap();
    let expected = other.diffie_hellman(&x25519_dalek::PublicKey::from(&own));
    assert_eq!(secret, expected.as_bytes());

    let signing = ed25519_dalek::SigningKey::from_bytes(&[3; 32]);
    let private = PrivateKey::Ed25519(Ed25519PrivateKey::new(vec![3; 32]).unwrap());
    session.put_key(Slot::Retired3, &private, PinPolicy::Never, TouchPolicy::Never).unwrap();
    let signature = session.sign(Slot::Retired3, KeyType::Ed25519, b"message").unwrap();
    signing
        .verifying_key()
        .verify(b"message", &ed25519_dalek::Signature::from_slice(&signature).unwrap())
        .unwrap();
}

#[test]
fn keys_move_and_objects_stay() {
    let key = plugged(Profile::YUBIKEY_5_7_4);
    let mut session = administer(&key);
    session
        .generate_key(Slot::Authentication, KeyType::EccP384, PinPolicy::Never, TouchPolicy::Never)
        .unwrap();
    let certificate = session.attest_key(Slot::Authentication).unwrap();
    for compress in [false, true] {
        session.put_certificate(Slot::Authentication, &certificate, compress).unwrap();
        assert_eq!(session.get_certificate(Slot::Authentication).unwrap(), certificate);
    }
    session.move_key(Slot::Authentication, Slot::Retired20).unwrap();
    assert_eq!(session.get_slot_metadata(Slot::Retired20).unwrap().key_type, KeyType::EccP384);
    assert_eq!(status(session.get_slot_metadata(Slot::Authentication).unwrap_err()), 0x6A88);
    assert_eq!(session.get_certificate(Slot::Authentication).unwrap(), certificate, "it stays where it was");
    session.delete_key(Slot::Retired20).unwrap();
    session.delete_certificate(Slot::Authentication).unwrap();
    assert_eq!(status(session.get_certificate(Slot::Authentication).unwrap_err()), 0x6A82);

    session.put_object(ObjectId::Printed, Some(b"needs the PIN")).unwrap();
    assert_eq!(status(session.get_object(ObjectId::Printed).unwrap_err()), 0x6982);
    session.verify_pin(&pin("123456")).unwrap();
    assert_eq!(session.get_object(ObjectId::Printed).unwrap(), b"needs the PIN");
    let large = vec![0x5a; 3000];
    session.put_object(ObjectId::Chuid, Some(&large)).unwrap();
    assert_eq!(session.get_object(ObjectId::Chuid).unwrap(), large);
}
