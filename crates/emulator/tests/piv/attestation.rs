//! Attestation certificates and their chain.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use sha2::{Digest, Sha256};
use tapkey_protocol::piv::{CertificateObject, Import, PrivateKey, TouchPolicy as Touch, attestation};
use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

use super::*;

fn attest(piv: &Piv, slot: Slot) -> Result<Certificate, StatusWord> {
    Ok(Certificate::from_der(&piv.send(&command::attest(slot))?).unwrap())
}

fn authority(piv: &Piv) -> Certificate {
    let object = CertificateObject::parse(&objects::get(piv, "5fff01").unwrap()).unwrap();
    Certificate::from_der(&object.bytes).unwrap()
}

/// A signature by a key on P-256 holds.
fn is_signed_by(certificate: &Certificate, issuer: &Certificate) -> bool {
    let key = issuer.tbs_certificate().subject_public_key_info().subject_public_key.raw_bytes();
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key).unwrap();
    let digest = Sha256::digest(certificate.tbs_certificate().to_der().unwrap());
    let signature = p256::ecdsa::Signature::from_der(certificate.signature().raw_bytes()).unwrap();
    certificate.tbs_certificate().issuer() == issuer.tbs_certificate().subject()
        && key.verify_prehash(&digest, &signature).is_ok()
}

fn extension<'a>(certificate: &'a Certificate, oid: &str) -> Option<&'a [u8]> {
    let all = certificate.tbs_certificate().extensions()?;
    let found = all.iter().find(|extension| extension.extn_id.to_string() == oid)?;
    assert!(!found.critical);
    Some(found.extn_value.as_bytes())
}

#[test]
fn the_chain_leads_to_the_published_root() {
    let bench = Bench::new();
    let piv = Piv::opened(&bench);
    let root = Certificate::from_der(&tapkey_emulator::attestation_root()).unwrap();
    let authority = authority(&piv);
    assert!(
        is_signed_by(&root, &root) && is_signed_by(&authority, &root) && !is_signed_by(&root, &authority)
    );
    for (number, algorithm) in
        [Algorithm::P256, Algorithm::P384, Algorithm::Ed25519, Algorithm::X25519].iter().enumerate()
    {
        let slot = Slot::retired(u8::try_from(number).unwrap() + 1).unwrap();
        piv.make(slot, *algorithm);
        let certificate = attest(&piv, slot).unwrap();
        assert!(is_signed_by(&certificate, &authority), "{algorithm}");
        let body = certificate.tbs_certificate();
        assert_eq!(body.subject().to_string(), format!("CN=YubiKey PIV Attestation {slot}"));
        assert_eq!(body.validity(), authority.tbs_certificate().validity());
        assert_eq!(body.serial_number().as_bytes().len(), 16);
        let key = body.subject_public_key_info().subject_public_key.raw_bytes().to_vec();
        assert_eq!(key, piv.metadata(slot).unwrap().public_key.encode()[2..]);
    }
    let first = attest(&piv, Slot::retired(1).unwrap()).unwrap();
    let second = attest(&piv, Slot::retired(1).unwrap()).unwrap();
    assert_ne!(first.tbs_certificate().serial_number(), second.tbs_certificate().serial_number());
}

#[test]
fn what_it_says() {
    for profile in Profile::ALL {
        let bench = Bench::of(profile);
        let piv = Piv::opened(&bench);
        piv.generate(Slot::AUTHENTICATION, &with_policies(Algorithm::P256, PinPolicy::Always, Touch::Cached))
            .unwrap();
        let certificate = attest(&piv, Slot::AUTHENTICATION).unwrap();
        let read = |oid| extension(&certificate, oid);
        assert_eq!(
            attestation::parse_firmware(read(attestation::OID_FIRMWARE).unwrap()),
            Some(profile.version())
        );
        let serial = read(attestation::OID_SERIAL).map(|value| attestation::parse_serial(value).unwrap());
        let told = profile != Profile::YUBIKEY_4_3_5;
        assert_eq!(serial, told.then(|| bench.key.with(|key| key.serial())));
        let policies = attestation::parse_policies(read(attestation::OID_POLICIES).unwrap());
        assert_eq!(policies, Some((PinPolicy::Always, Touch::Cached)));
        assert_eq!(read(attestation::OID_FORM_FACTOR), Some(&[profile.form_factor().0][..]));
    }
}

#[test]
fn only_generated_keys_are_attested() {
    let bench = Bench::new();
    let piv = Piv::opened(&bench);
    assert_eq!(attest(&piv, Slot::AUTHENTICATION).unwrap_err(), EMPTY);
    let import = Import { key: PrivateKey::P256([5; 32].into()), pin_policy: None, touch_policy: None };
    piv.send(&command::import(Algorithm::P256, Slot::AUTHENTICATION, &import)).unwrap();
    assert_eq!(attest(&piv, Slot::AUTHENTICATION).unwrap_err(), WRONG);
    assert_eq!(attest(&piv, Slot::ATTESTATION).unwrap_err(), WRONG);
    // A key that was moved still knows where it comes from.
    piv.send(&command::move_key(Slot::AUTHENTICATION, Slot::SIGNATURE)).unwrap();
    assert_eq!(attest(&piv, Slot::SIGNATURE).unwrap_err(), WRONG);
}

#[test]
fn an_organisation_can_put_its_own_key_there() {
    let bench = Bench::new();
    let piv = Piv::opened(&bench);
    piv.make(Slot::AUTHENTICATION, Algorithm::P256);
    piv.make(Slot::ATTESTATION, Algorithm::Rsa2048);
    let certificate = attest(&piv, Slot::AUTHENTICATION).unwrap();
    assert_eq!(certificate.signature_algorithm().oid.to_string(), "1.2.840.113549.1.1.11");
    assert_eq!(certificate.signature().raw_bytes().len(), 256);
    // The root is an authority of another name and validity.
    let root = tapkey_emulator::attestation_root();
    objects::put(&piv, "5fff01", &CertificateObject::new(root.clone()).encode_bare()).unwrap();
    let root = Certificate::from_der(&root).unwrap();
    let certificate = attest(&piv, Slot::AUTHENTICATION).unwrap();
    assert_eq!(certificate.tbs_certificate().issuer(), root.tbs_certificate().subject());
    objects::put(&piv, "5fff01", &[0x70, 2, 1, 2]).unwrap();
    assert_eq!(attest(&piv, Slot::AUTHENTICATION).unwrap_err(), WRONG);
    objects::put(&piv, "5fff01", &[]).unwrap();
    assert_eq!(attest(&piv, Slot::AUTHENTICATION).unwrap_err(), NOT_FOUND);
    piv.send(&command::delete_key(Slot::ATTESTATION)).unwrap();
    assert_eq!(attest(&piv, Slot::AUTHENTICATION).unwrap_err(), EMPTY);
}

#[test]
fn every_key_has_its_own_authority_and_a_seed_decides_it() {
    let made = |seed| {
        let bench = Bench::with(VirtualKey::builder().random(SeededRandom::new(seed)).build().unwrap());
        authority(&Piv::open(&bench)).to_der().unwrap()
    };
    assert_eq!(made(1), made(1));
    assert_ne!(made(1), made(2));
}
