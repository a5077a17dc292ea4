//! The `yubikey` crate, host code that nobody here wrote, on the emulated key.
//!
//! It finds pcscd by the environment, so its part of a test runs in a process of its own: this test
//! again, with files that tell OpenSSL what to check.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use tapkey_emulator::{Profile, port::pcscd::PrivatePcscd};
use tapkey_protocol::piv::Chuid;
use x509_cert::der::Encode;
use yubikey::certificate::Certificate;
use yubikey::piv::{self, AlgorithmId, RetiredSlotId, SlotId};
use yubikey::{ChuId, Error, MgmAlgorithmId, MgmKey, PinPolicy, TouchPolicy, YubiKey};

use super::piv::Host;

const FOLDER: &str = "TAPKEY_TESTS_YUBIKEY_CRATE";

/// Runs `body` in a process that finds the key; files are exchanged in the folder it is given.
fn apart(name: &str, profile: Profile, body: impl FnOnce(PathBuf)) -> Option<Host> {
    if let Some(folder) = env::var_os(FOLDER) {
        body(folder.into());
        return None;
    }
    let host = Host::of(profile);
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture", "--test-threads=1"])
        .env(PrivatePcscd::VARIABLE, host.pcscd.socket())
        .env(FOLDER, host.path(""))
        .output()
        .unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    Some(host)
}

fn open() -> YubiKey {
    YubiKey::open().unwrap()
}

fn administer(key: &mut YubiKey) {
    let management = MgmKey::get_default(key).unwrap();
    key.authenticate(&management).unwrap();
}

const RETIRED: SlotId = SlotId::Retired(RetiredSlotId::R1);
const DATA: &str = "what is signed";

fn digest() -> [u8; 32] {
    use sha2::Digest;
    sha2::Sha256::digest(DATA).into()
}

fn make(key: &mut YubiKey, slot: SlotId, algorithm: AlgorithmId) -> Vec<u8> {
    let public = piv::generate(key, slot, algorithm, PinPolicy::Once, TouchPolicy::Never).unwrap();
    let metadata = piv::metadata(key, slot).unwrap();
    assert_eq!(metadata.public.unwrap(), public);
    assert_eq!(metadata.policy, Some((PinPolicy::Once, TouchPolicy::Never)));
    public.to_der().unwrap()
}

#[test]
fn keys_sign_and_are_attested() {
    let host = apart("piv_crate::keys_sign_and_are_attested", Profile::YUBIKEY_5_7_4, |folder| {
        let mut key = open();
        assert_eq!(key.version().to_string(), "5.7.4");
        assert_eq!(key.serial().to_string(), "4026531841");
        administer(&mut key);
        key.verify_pin(b"123456").unwrap();
        let ec = make(&mut key, SlotId::Authentication, AlgorithmId::EccP256);
        let rsa = make(&mut key, SlotId::KeyManagement, AlgorithmId::Rsa2048);
        for algorithm in
            [AlgorithmId::EccP384, AlgorithmId::Ed25519, AlgorithmId::X25519, AlgorithmId::Rsa3072]
        {
            make(&mut key, RETIRED, algorithm);
        }
        let signature =
            piv::sign_data(&mut key, &digest(), AlgorithmId::EccP256, SlotId::Authentication).unwrap();
        std::fs::write(folder.join("ec.der"), ec).unwrap();
        std::fs::write(folder.join("ec.signature"), &*signature).unwrap();
        // PKCS #1 v1.5 is the host's business.
        let info = data_encoding::HEXLOWER.decode(b"3031300d060960864801650304020105000420").unwrap();
        let mut block = vec![0, 1];
        block.resize(256 - 1 - info.len() - 32, 0xFF);
        block.push(0);
        block.extend(info);
        block.extend(digest());
        let signature =
            piv::sign_data(&mut key, &block, AlgorithmId::Rsa2048, SlotId::KeyManagement).unwrap();
        std::fs::write(folder.join("rsa.der"), rsa).unwrap();
        std::fs::write(folder.join("rsa.signature"), &*signature).unwrap();
        let attested = piv::attest(&mut key, SlotId::Authentication).unwrap();
        std::fs::write(folder.join("attested.der"), &*attested).unwrap();
        let authority = Certificate::read(&mut key, SlotId::Attestation).unwrap();
        std::fs::write(folder.join("f9.der"), authority.cert.to_der().unwrap()).unwrap();
    });
    let Some(host) = host else { return };
    host.write("data", DATA);
    for name in ["ec", "rsa"] {
        let (der, pem) = (format!("@{name}.der"), format!("@{name}.pem"));
        host.openssl(&["pkey", "-pubin", "-inform", "DER", "-in", &der, "-pubout", "-out", &pem]);
        host.check_signature(&pem, &format!("@{name}.signature"), "@data");
    }
    for name in ["attested", "f9"] {
        let (der, pem) = (format!("@{name}.der"), format!("@{name}.pem"));
        host.openssl(&["x509", "-inform", "DER", "-in", &der, "-out", &pem]);
    }
    host.check_attestation("@attested.pem", "@f9.pem");
}

#[test]
fn pin_puk_and_management_key() {
    apart("piv_crate::pin_puk_and_management_key", Profile::YUBIKEY_5_7_4, |_| {
        let mut key = open();
        assert_eq!(key.get_pin_retries().unwrap(), 3);
        assert!(matches!(key.verify_pin(b"000000"), Err(Error::WrongPin { tries: 2 })));
        key.verify_pin(b"123456").unwrap();
        key.change_pin(b"123456", b"204863").unwrap();
        key.change_puk(b"12345678", b"20486321").unwrap();
        for _ in 0..3 {
            key.verify_pin(b"000000").unwrap_err();
        }
        assert!(matches!(key.verify_pin(b"204863"), Err(Error::WrongPin { tries: 0 })));
        key.unblock_pin(b"20486321", b"864203").unwrap();
        key.verify_pin(b"864203").unwrap();
        administer(&mut key);
        key.set_pin_retries(6, 7).unwrap();
        assert_eq!(key.get_pin_retries().unwrap(), 6);

        for (kind, length) in [
            (MgmAlgorithmId::ThreeDes, 24),
            (MgmAlgorithmId::Aes128, 16),
            (MgmAlgorithmId::Aes192, 24),
            (MgmAlgorithmId::Aes256, 32),
        ] {
            let bytes: Vec<u8> = (1..=length).map(|n: u8| n.wrapping_mul(37)).collect();
            let management = MgmKey::from_bytes(&bytes, Some(kind)).unwrap();
            management.set_manual(&mut key, false).unwrap();
            // Another application is selected, and with it everything that was proved is gone.
            key.deauthenticate().unwrap();
            drop(key);
            key = open();
            management.set_manual(&mut key, false).unwrap_err();
            key.authenticate(&management).unwrap();
        }
        let management = MgmKey::from_bytes([0x3D; 32], Some(MgmAlgorithmId::Aes256)).unwrap();
        key.verify_pin(b"123456").unwrap();
        management.set_protected(&mut key).unwrap();
        let kept = MgmKey::get_protected(&mut key).unwrap();
        key.authenticate(&kept).unwrap();
        key.block_puk().unwrap();
        for _ in 0..6 {
            key.verify_pin(b"000000").unwrap_err();
        }
        key.reset_device().unwrap();
        assert_eq!(key.get_pin_retries().unwrap(), 3);
    });
}

#[test]
fn imports_objects_and_older_firmware() {
    apart("piv_crate::imports_objects_and_older_firmware", Profile::YUBIKEY_5_4_3, |_| {
        let mut key = open();
        administer(&mut key);
        key.verify_pin(b"123456").unwrap();
        assert!(matches!(key.chuid(), Err(Error::NotFound)));
        let chuid = ChuId(Chuid::new([7; 16]).encode().try_into().unwrap());
        chuid.set(&mut key).unwrap();
        assert_eq!(key.chuid().unwrap().uuid(), chuid.uuid());

        let scalar = [5; 32];
        let algorithm = AlgorithmId::EccP256;
        piv::import_ecc_key(&mut key, RETIRED, algorithm, &scalar, TouchPolicy::Never, PinPolicy::Once)
            .unwrap();
        let metadata = piv::metadata(&mut key, RETIRED).unwrap();
        assert_eq!(metadata.algorithm, piv::SlotAlgorithmId::Asymmetric(algorithm));
        assert_eq!(metadata.origin, Some(piv::Origin::Imported));
        let expected = p256::SecretKey::from_slice(&scalar).unwrap().public_key();
        let point = metadata.public.unwrap().subject_public_key.raw_bytes().to_vec();
        assert_eq!(*expected.to_sec1_bytes(), *point);
        let signature = piv::sign_data(&mut key, &digest(), algorithm, RETIRED).unwrap();
        let signature = p256::ecdsa::Signature::from_der(&signature).unwrap();
        use p256::ecdsa::signature::hazmat::PrehashVerifier;
        p256::ecdsa::VerifyingKey::from(expected).verify_prehash(&digest(), &signature).unwrap();
        assert!(piv::attest(&mut key, RETIRED).is_err(), "it was made elsewhere");
        assert!(matches!(piv::metadata(&mut key, SlotId::Signature), Err(Error::NotFound)));
        assert!(
            piv::generate(&mut key, RETIRED, AlgorithmId::Ed25519, PinPolicy::Once, TouchPolicy::Never)
                .is_err()
        );
        let certified: Vec<_> = key.piv_keys().unwrap().iter().map(piv::Key::slot).collect();
        assert_eq!(certified, [SlotId::Attestation], "there are no other certificates yet");
    });
}
