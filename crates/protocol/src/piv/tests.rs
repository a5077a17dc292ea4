use data_encoding::HEXLOWER_PERMISSIVE;
use proptest::prelude::*;

use super::*;
use crate::apdu::StatusWord;
use crate::secret::{Secret, SecretBytes};

fn hex(text: &str) -> Vec<u8> {
    HEXLOWER_PERMISSIVE.decode(text.replace(' ', "").as_bytes()).unwrap()
}

#[test]
fn slots_and_their_certificates() {
    assert_eq!(Slot::all().count(), 25);
    for slot in Slot::all() {
        assert_eq!(slot.to_string().parse(), Ok(slot));
        assert_eq!(Slot::try_from(slot.id()), Ok(slot));
        assert_eq!(slot.certificate().slot(), Some(slot));
    }
    assert_eq!(Slot::retired(1).unwrap().certificate().get(), 0x005F_C10D);
    assert_eq!(Slot::retired(20).unwrap().certificate().get(), 0x005F_C120);
    assert_eq!("retired20".parse(), Ok(Slot::retired(20).unwrap()));
    assert_eq!("KEY_MANAGEMENT".parse(), Ok(Slot::KEY_MANAGEMENT));
    for text in ["", "9b", "9", "0x9", "retired0", "retired21", "96", "+9a"] {
        assert_eq!(text.parse::<Slot>(), Err(SlotError), "{text}");
    }
}

#[test]
fn names() {
    for algorithm in Algorithm::ALL {
        assert_eq!(algorithm.name().parse(), Ok(algorithm));
        assert_eq!(Algorithm::try_from(algorithm.id()), Ok(algorithm));
    }
    assert_eq!("p-256".parse(), Ok(Algorithm::P256));
    for kind in ManagementKeyType::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
        assert_eq!(ManagementKeyType::try_from(kind.id()), Ok(kind));
    }
    for policy in PinPolicy::ALL {
        assert_eq!(policy.name().parse(), Ok(policy));
    }
    for policy in TouchPolicy::ALL {
        assert_eq!(policy.name().parse(), Ok(policy));
    }
    for id in ObjectId::named() {
        assert_eq!(id.name().unwrap().parse(), Ok(id));
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(ObjectId::from_bytes(&id.to_bytes()), Ok(id));
    }
    assert_eq!(ObjectId::DISCOVERY.to_bytes(), [0x7E]);
    assert_eq!("0x5FC102".parse(), Ok(ObjectId::CHUID));
    for text in ["", "0", "1000000", "+1", "xyz"] {
        assert_eq!(text.parse::<ObjectId>(), Err(ObjectIdError), "{text}");
    }
}

#[test]
fn firmware_gates() {
    let (old, new) = (Version::new(5, 4, 3), Version::new(5, 7, 0));
    assert!(Algorithm::Ed25519.check(old).is_err() && Algorithm::Ed25519.check(new).is_ok());
    assert!(Algorithm::Rsa2048.check_generation(Version::new(4, 3, 4)).is_err());
    assert!(Algorithm::Rsa2048.check(Version::new(4, 3, 4)).is_ok());
    assert!(Algorithm::Rsa2048.check_generation(Version::new(4, 3, 5)).is_ok());
    assert!(ManagementKeyType::Aes256.check(Version::new(5, 3, 0)).is_err());
    assert_eq!(ManagementKey::factory(old).kind(), ManagementKeyType::Tdes);
    assert_eq!(ManagementKey::factory(new).kind(), ManagementKeyType::Aes192);
    assert!(TouchPolicy::Cached.check(Version::new(4, 2, 0)).is_err());
}

#[test]
fn pins() {
    assert_eq!(Pin::new(b"123456").unwrap().padded(), b"123456\xFF\xFF");
    assert_eq!(Pin::new(b"12345678").unwrap().expose(), b"12345678");
    assert_eq!(Pin::new(b"12345"), Err(PinError::Length { length: 5 }));
    assert_eq!(Pin::new(b"123456789"), Err(PinError::Length { length: 9 }));
    assert_eq!(Pin::new("12345ä".as_bytes()), Err(PinError::Character));
    assert_eq!(Pin::from_padded(&[0xFF; 8]), Err(PinError::Length { length: 0 }));
    assert_eq!(Pin::from_padded(b"1234\xFF56\xFF"), Err(PinError::Character));
    let puk = Puk::new(&[0x80; 8]).unwrap();
    assert!(puk.check(Version::new(5, 4, 3)).is_ok() && puk.check(Version::new(5, 7, 0)).is_err());
    assert_eq!(Puk::new(&[0xFF; 8]), Err(PinError::Character));
}

#[test]
fn secrets_are_not_shown() {
    let pin = Pin::new(b"246813").unwrap();
    let puk = Puk::new(b"24681357").unwrap();
    let change = ChangeReference::unblock(&puk, &pin);
    let key = ManagementKey::new(ManagementKeyType::Aes128, SecretBytes::new(vec![0xAB; 16])).unwrap();
    let set = SetManagementKey { key: key.clone(), touch: TouchPolicy::Never };
    let private = PrivateKey::Ed25519(Secret::new([0xAB; 32]));
    let import = Import { key: private.clone(), pin_policy: None, touch_policy: None };
    let stored = ProtectedKey::new(SecretBytes::new(vec![0xAB; 24]));
    let sign = Authenticate::Sign(vec![0xAB; 4].into());
    let answer = AuthAnswer::Response(vec![0xAB; 4].into());
    let put = PutData { id: ObjectId::PRINTED, value: SecretBytes::new(vec![0xAB; 4]) };
    let command = command::verify(&pin);
    let text = format!(
        "{pin:?}{puk:?}{change:?}{key:?}{set:?}{private:?}{import:?}{stored:?}{sign:?}{answer:?}{put:?}{command:?}"
    );
    for leak in ["2468", "50, 52", "171", "ab, ab", "AB"] {
        assert!(!text.replace("ECCP", "").contains(leak), "{leak} in {text}");
    }
}

#[test]
fn status_words() {
    assert_eq!(VerifyAnswer::of(StatusWord(0x63C2)), VerifyAnswer::TriesLeft(2));
    assert_eq!(VerifyAnswer::of(StatusWord(0x6302)), VerifyAnswer::TriesLeft(2));
    for blocked in [0x63C0, 0x6300, 0x6983] {
        assert_eq!(VerifyAnswer::of(StatusWord(blocked)), VerifyAnswer::Blocked);
    }
    assert_eq!(VerifyAnswer::of(StatusWord::SUCCESS), VerifyAnswer::Verified);
    assert_eq!(VerifyAnswer::of(StatusWord(0x6320)), VerifyAnswer::Other(StatusWord(0x6320)));
    assert_eq!(VerifyAnswer::of(StatusWord::WRONG_DATA), VerifyAnswer::Other(StatusWord::WRONG_DATA));
    assert_eq!(VerifyAnswer::TriesLeft(20).status(), StatusWord(0x63CF));
}

#[test]
fn public_keys_have_the_lengths_that_hosts_count_on() {
    let rsa =
        |bytes| PublicKey::Rsa { modulus: vec![0xC1; bytes], exponent: vec![1, 0, 1] }.encode_generated();
    assert!(rsa(128).starts_with(&hex("7f49 8188 818180 c1")));
    assert!(rsa(256).starts_with(&hex("7f49 820109 81820100 c1")));
    assert!(rsa(384).starts_with(&hex("7f49 820189 81820180 c1")));
    assert!(rsa(512).starts_with(&hex("7f49 820209 81820200 c1")));
    assert!(rsa(256).ends_with(&hex("c1 8203010001")));
    assert!(PublicKey::P256([4; 65]).encode_generated().starts_with(&hex("7f49 43 86 41 04")));
    assert!(PublicKey::P384([4; 97]).encode_generated().starts_with(&hex("7f49 63 86 61 04")));
    assert!(PublicKey::Ed25519([4; 32]).encode_generated().starts_with(&hex("7f49 22 86 20 04")));
}

#[test]
fn published_metadata() {
    // The YubiKey documentation's example of a PIN with five tries.
    let pin = PinMetadata { is_default: true, total: 5, left: 5 };
    assert_eq!(pin.encode(), hex("0101ff 050101 06020505"));
    assert_eq!(PinMetadata::parse(&pin.encode()), Ok(pin));
    let management = ManagementKeyMetadata {
        kind: ManagementKeyType::Aes192,
        touch_policy: TouchPolicy::Never,
        is_default: true,
    };
    assert_eq!(management.encode(), hex("01010a 02020001 050101"));
    assert_eq!(ManagementKeyMetadata::parse(&management.encode()), Ok(management));
    let bio = BioMetadata { configured: true, tries: 3, temporary_pin: false };
    assert_eq!(bio.encode(), hex("070101 060103 080100"));
    assert_eq!(BioMetadata::parse(&bio.encode()), Ok(bio));
}

#[test]
fn authentication_requests() {
    for (body, request) in [
        ("7c028000", Authenticate::AskWitness),
        ("7c028100", Authenticate::AskChallenge),
        ("7c0482008100", Authenticate::Sign(vec![].into())),
        ("7c0582008101aa", Authenticate::Sign(vec![0xAA].into())),
        ("7c0582008501aa", Authenticate::Agree(vec![0xAA])),
        ("7c038201aa", Authenticate::Response(vec![0xAA].into())),
        (
            "7c068001aa8101bb",
            Authenticate::Witness { witness: vec![0xAA].into(), challenge: vec![0xBB].into() },
        ),
    ] {
        assert_eq!(request.encode().as_slice(), hex(body), "{body}");
        assert_eq!(Authenticate::parse(&hex(body)), Ok(request), "{body}");
    }
    // The order is free, a place for the answer may stand anywhere.
    assert_eq!(Authenticate::parse(&hex("7c058101aa8200")), Ok(Authenticate::Sign(vec![0xAA].into())));
    assert_eq!(Authenticate::parse(&hex("7c038101aa")), Ok(Authenticate::Sign(vec![0xAA].into())));
    assert!(matches!(Authenticate::parse(&hex("7c088001aa8101bb8200")), Ok(Authenticate::Witness { .. })));
    for body in ["", "7c00", "7c028200", "7c038001aa", "7c039001aa", "7c02800000", "7c0180"] {
        assert!(Authenticate::parse(&hex(body)).is_err(), "{body}");
    }
}

#[test]
fn generate_and_import_refuse_what_does_not_belong() {
    let ask = Generate {
        algorithm: Algorithm::Rsa2048,
        pin_policy: Some(PinPolicy::Always),
        touch_policy: Some(TouchPolicy::Cached),
    };
    assert_eq!(ask.encode(), hex("ac09 800107 aa0103 ab0103"));
    for body in
        ["ac00", "ac03800108", "ac06800107aa0100", "ac06800107ab0104", "ac06800107ac0101", "ac0380010700"]
    {
        assert!(Generate::parse(&hex(body)).is_err(), "{body}");
    }
    let body = [&[6, 31][..], &[1; 31]].concat();
    assert!(Import::parse(0x11, &body).is_err());
    let body = [&[6, 32][..], &[1; 32], &[7, 1, 0]].concat();
    assert_eq!(Import::parse(0x11, &body), Err(CodecError::Unexpected { tag: 7 }));
    assert_eq!(Import::parse(0x08, &body), Err(CodecError::Algorithm(0x08)));
}

#[test]
fn rsa_numbers_are_filled_up() {
    let key = PrivateKey::rsa(&[0xC1; 64], &[&[0][..], &[0xC1; 64]].concat(), &[1; 63], &[1; 64], &[2; 60])
        .unwrap();
    assert_eq!(key.algorithm(), Some(Algorithm::Rsa1024));
    let PrivateKey::Rsa { dp, qinv, .. } = &key else { panic!() };
    assert_eq!((dp.len(), qinv.len()), (64, 64));
    assert_eq!(qinv.expose()[..4], [0; 4]);
    assert_eq!(
        PrivateKey::rsa(&[1; 100], &[1; 100], &[1], &[1], &[1]),
        Err(PrivateKeyError::RsaLength { bits: 1600 })
    );
    assert_eq!(PrivateKey::rsa(&[1; 64], &[1; 64], &[1; 65], &[1], &[1]), Err(PrivateKeyError::RsaNumber));
}

#[test]
fn objects() {
    assert_eq!(GetData(ObjectId::DISCOVERY).encode(), hex("5c017e"));
    assert_eq!(GetData(ObjectId::CHUID).encode(), hex("5c035fc102"));
    assert_eq!(parse_object(ObjectId::DISCOVERY, &DISCOVERY), Ok(&DISCOVERY[..]));
    assert_eq!(write_object(ObjectId::CHUID, &[1]), hex("530101"));
    assert_eq!(parse_object(ObjectId::CHUID, &hex("530101")), Ok(&[1][..]));
    assert!(parse_object(ObjectId::CHUID, &hex("53010100")).is_err());
    let delete = PutData { id: ObjectId::CHUID, value: SecretBytes::default() };
    assert_eq!(delete.encode().as_slice(), hex("5c035fc1025300"));

    let chuid = Chuid::new([7; 16]);
    assert_eq!(chuid.encode().len(), 59);
    assert!(chuid.encode().starts_with(&hex("3019d4e739")));
    assert_eq!(Chuid::parse(&chuid.encode()), Ok(chuid));
    let ccc = Ccc { card_id: [7; 14] };
    assert_eq!(ccc.encode().len(), 51);
    assert!(ccc.encode().starts_with(&hex("f015a000000116ff02")));
    assert_eq!(Ccc::parse(&ccc.encode()), Ok(ccc));
}

#[test]
fn certificates() {
    let plain = CertificateObject::new(vec![0x30, 0]);
    assert_eq!(plain.encode(), hex("70023000 710100 fe00"));
    assert_eq!(CertificateObject::parse(&plain.encode()), Ok(plain.clone()));
    assert_eq!(CertificateObject::parse(&plain.encode_bare()), Ok(plain));
    let packed = CertificateObject { bytes: vec![0x1F, 0x8B], compression: Compression::Gzip };
    assert_eq!(packed.encode(), hex("70021f8b 710101 fe00"));
    assert_eq!(CertificateObject::parse(&packed.encode()), Ok(packed));
    assert!(CertificateObject::parse(&hex("7000")).is_err());
    assert!(CertificateObject::parse(&hex("710100")).is_err());
}

#[test]
fn administrative_data() {
    let admin = AdminData { key_protected: true, ..AdminData::default() };
    assert_eq!(admin.encode(), hex("8003 810102"));
    let full =
        AdminData { puk_blocked: true, key_protected: true, salt: Some([7; 16]), pin_changed: Some([1; 4]) };
    assert_eq!(AdminData::parse(&full.encode()), Ok(full));
    assert_eq!(AdminData::parse(&hex("8000")), Ok(AdminData::default()));
    let stored = ProtectedKey::new(SecretBytes::new(vec![1; 24]));
    assert_eq!(stored.encode()[..4], hex("881a8918"));
    assert_eq!(ProtectedKey::parse(&stored.encode()), Ok(stored.clone()));
    let both = ProtectedKey { pending: Some(SecretBytes::new(vec![2; 16])), ..stored };
    assert_eq!(ProtectedKey::parse(&both.encode()), Ok(both));
    assert!(ProtectedKey::parse(&hex("8800")).is_err());
}

/// Worked out with Python's `hashlib.pbkdf2_hmac`.
#[test]
fn derived_key() {
    let key = derived_management_key(&Pin::new(b"123456").unwrap(), &[7; 16]);
    assert_eq!(key.expose(), hex(DERIVED));
}

const DERIVED: &str = "213de7e980f09fa6ff025100abf4b08965cdebb257de2fd6";

#[test]
fn attestation_values() {
    // From a certificate that the owner of a key with firmware 5.4.3 published.
    assert_eq!(attestation::write_serial(28_557_046), hex("020401b3bef6"));
    for serial in [0, 1, 127, 128, 255, 256, 0x7FFF_FFFF, 0x8000_0000, u32::MAX] {
        assert_eq!(attestation::parse_serial(&attestation::write_serial(serial)), Some(serial));
    }
    assert_eq!(attestation::write_serial(0), [2, 1, 0]);
    assert_eq!(attestation::write_serial(0x80), [2, 2, 0, 0x80]);
    assert_eq!(attestation::parse_serial(&[2, 1, 0x80]), None);
    assert_eq!(attestation::parse_firmware(&[5, 4, 3]), Some(Version::new(5, 4, 3)));
    let policies = (PinPolicy::Always, TouchPolicy::Never);
    assert_eq!(attestation::parse_policies(&[3, 1]), Some(policies));
    assert_eq!(attestation::write_policies(policies.0, policies.1), [3, 1]);
}

fn algorithms() -> impl Strategy<Value = Algorithm> {
    proptest::sample::select(&Algorithm::ALL)
}

fn pin_policies() -> impl Strategy<Value = Option<PinPolicy>> {
    proptest::option::of(proptest::sample::select(&PinPolicy::ALL))
}

fn touch_policies() -> impl Strategy<Value = Option<TouchPolicy>> {
    proptest::option::of(proptest::sample::select(&TouchPolicy::ALL))
}

fn private_key(algorithm: Algorithm, bytes: &[u8]) -> PrivateKey {
    match algorithm {
        Algorithm::P256 => PrivateKey::P256(Secret::new(bytes[..32].try_into().unwrap())),
        Algorithm::P384 => PrivateKey::P384(Secret::new(bytes[..48].try_into().unwrap())),
        Algorithm::Ed25519 => PrivateKey::Ed25519(Secret::new(bytes[..32].try_into().unwrap())),
        Algorithm::X25519 => PrivateKey::X25519(Secret::new(bytes[..32].try_into().unwrap())),
        rsa => {
            let mut number = bytes[..rsa.size() / 2].to_vec();
            number[0] |= 0x80;
            PrivateKey::rsa(&number, &number, &number, &number, &number[1..]).unwrap()
        }
    }
}

fn public_key(algorithm: Algorithm, bytes: &[u8]) -> PublicKey {
    match algorithm.point_size() {
        Some(size) => PublicKey::from_point(algorithm, &bytes[..size]).unwrap(),
        None => PublicKey::Rsa { modulus: bytes[..algorithm.size()].to_vec(), exponent: vec![1, 0, 1] },
    }
}

proptest! {
    #[test]
    fn generate_round_trip(algorithm in algorithms(), pin_policy in pin_policies(), touch_policy in touch_policies()) {
        let ask = Generate { algorithm, pin_policy, touch_policy };
        prop_assert_eq!(Generate::parse(&ask.encode()), Ok(ask));
    }

    #[test]
    fn import_round_trip(
        algorithm in algorithms(),
        pin_policy in pin_policies(),
        touch_policy in touch_policies(),
        bytes in proptest::collection::vec(any::<u8>(), 512),
    ) {
        let import = Import { key: private_key(algorithm, &bytes), pin_policy, touch_policy };
        prop_assert_eq!(Import::parse(algorithm.id(), &import.encode()), Ok(import));
    }

    #[test]
    fn public_key_round_trip(algorithm in algorithms(), bytes in proptest::collection::vec(any::<u8>(), 512)) {
        let public_key = public_key(algorithm, &bytes);
        prop_assert_eq!(PublicKey::parse_generated(&public_key.encode_generated(), algorithm), Ok(public_key.clone()));
        prop_assert_eq!(public_key.algorithm(), Some(algorithm));
        let metadata = KeyMetadata {
            algorithm,
            pin_policy: PinPolicy::Once,
            touch_policy: TouchPolicy::Never,
            origin: Origin::Imported,
            public_key,
        };
        prop_assert_eq!(KeyMetadata::parse(&metadata.encode()), Ok(metadata));
    }

    #[test]
    fn object_round_trip(id in 1_u32..0x0100_0000, value: Vec<u8>) {
        let id = ObjectId::new(id).unwrap();
        prop_assert_eq!(GetData::parse(&GetData(id).encode()), Ok(GetData(id)));
        let answer = write_object(id, &value);
        prop_assert_eq!(parse_object(id, &answer), Ok(&value[..]));
        let put = PutData { id, value: SecretBytes::new(value) };
        prop_assert_eq!(PutData::parse(&put.encode()), Ok(put));
    }

    #[test]
    fn references_round_trip(old: [u8; 8], new: [u8; 8], kind in 0..4_usize, touch in 0..3_usize, key: [u8; 32]) {
        let change = ChangeReference { old: Secret::new(old), new: Secret::new(new) };
        prop_assert_eq!(ChangeReference::parse(&change.encode()), Ok(change));
        let (kind, touch) = (ManagementKeyType::ALL[kind], TouchPolicy::ALL[touch]);
        let key = ManagementKey::new(kind, SecretBytes::new(key[..kind.key_size()].to_vec())).unwrap();
        let set = SetManagementKey { key, touch };
        prop_assert_eq!(SetManagementKey::parse(touch.management_key_p2(), &set.encode()), Ok(set));
    }

    #[test]
    fn authentication_round_trip(which in 0..4_u8, one in proptest::collection::vec(any::<u8>(), 1..600), two: Vec<u8>) {
        let request = match which {
            0 => Authenticate::Witness { witness: one.clone().into(), challenge: two.into() },
            1 => Authenticate::Response(one.clone().into()),
            2 => Authenticate::Sign(one.clone().into()),
            _ => Authenticate::Agree(one.clone()),
        };
        prop_assert_eq!(Authenticate::parse(&request.encode()), Ok(request));
        let answer = match which {
            0 => AuthAnswer::Witness(one.into()),
            1 => AuthAnswer::Challenge(one.into()),
            _ => AuthAnswer::Response(one.into()),
        };
        prop_assert_eq!(AuthAnswer::parse(&answer.encode()), Ok(answer));
    }

    #[test]
    fn parsing_never_panics(p: u8, bytes: Vec<u8>, text: String) {
        let _ = (Generate::parse(&bytes), Import::parse(p, &bytes), Authenticate::parse(&bytes));
        let _ = (AuthAnswer::parse(&bytes), GetData::parse(&bytes), PutData::parse(&bytes));
        let _ = (ChangeReference::parse(&bytes), SetManagementKey::parse(p, &bytes));
        let _ = (PinMetadata::parse(&bytes), ManagementKeyMetadata::parse(&bytes), KeyMetadata::parse(&bytes));
        let _ = (BioMetadata::parse(&bytes), CertificateObject::parse(&bytes), Chuid::parse(&bytes));
        let _ = (Ccc::parse(&bytes), AdminData::parse(&bytes), ProtectedKey::parse(&bytes));
        let _ = (attestation::parse_serial(&bytes), attestation::parse_firmware(&bytes));
        let _ = (attestation::parse_policies(&bytes), ObjectId::from_bytes(&bytes));
        let _ = (text.parse::<Slot>(), text.parse::<ObjectId>(), text.parse::<Algorithm>());
        for algorithm in Algorithm::ALL {
            let _ = PublicKey::parse_generated(&bytes, algorithm);
        }
        let _ = VerifyAnswer::of(StatusWord(u16::from(p)));
    }
}
