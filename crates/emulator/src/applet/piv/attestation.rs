//! Attestation: certificates that say that a key was made here, signed by the key in slot F9.
//!
//! F9 is certified by a root whose private key follows from a published sentence. So software keys
//! have the chain that programs expect, one trust anchor serves all of them, and nobody can take
//! what it says for a statement about hardware.

use sha2::{Digest, Sha256};
use tapkey_protocol::apdu::StatusWord;
use tapkey_protocol::piv::{Algorithm, ObjectId, Origin, PinPolicy, Slot, TouchPolicy};
use tapkey_protocol::secret::{Secret, SecretBytes};
use tapkey_protocol::tlv;
use tapkey_protocol::version::Version;
use x509_cert::certificate::{CertificateInner, Raw};
use x509_cert::der::{Decode, Encode};

use super::der;
use super::software::{Noise, PrivateKey};
use super::{NOT_HERE, piv};
use crate::key::Device;
use crate::state::PivKey;

/// The certificate of the key in a slot.
pub(super) fn attest(device: &mut Device, slot: Slot) -> Result<Vec<u8>, StatusWord> {
    if slot == Slot::ATTESTATION {
        return Err(StatusWord::WRONG_DATA);
    }
    let state = piv(device)?;
    let key = state.keys.get(&slot).ok_or(NOT_HERE)?.clone();
    if key.origin != Origin::Generated {
        return Err(StatusWord::WRONG_DATA);
    }
    let signer = state.keys.get(&Slot::ATTESTATION).ok_or(NOT_HERE)?;
    let signer = PrivateKey::restore(signer.algorithm, &signer.secret).map_err(|_| StatusWord::UNKNOWN)?;
    let (issuer, validity) = issuer(state.objects.get(&ObjectId::ATTESTATION_CERTIFICATE))?;
    let public = PrivateKey::restore(key.algorithm, &key.secret).map_err(|_| StatusWord::UNKNOWN)?.public();
    let subject = der::common_name(&format!("YubiKey PIV Attestation {:02x}", slot.id()));
    let extensions = statements(device, &key);
    let serial = device.draw::<16>();
    let body = Body { serial, issuer, validity, subject, key: der::public_key(&public), extensions };
    body.sign(&signer).ok_or(StatusWord::WRONG_DATA)
}

/// Subject and validity of the attestation certificate, which is one that a host put there maybe.
fn issuer(object: Option<&SecretBytes>) -> Result<(Vec<u8>, Vec<u8>), StatusWord> {
    let object = object.ok_or(StatusWord::NOT_FOUND)?.expose();
    let certificate = tlv::find(object, TAG_CERTIFICATE).ok().flatten().ok_or(StatusWord::WRONG_DATA)?;
    let certificate = CertificateInner::<Raw>::from_der(certificate).map_err(|_| StatusWord::WRONG_DATA)?;
    let body = certificate.tbs_certificate();
    let subject = body.subject().to_der().map_err(|_| StatusWord::WRONG_DATA)?;
    let validity = body.validity().to_der().map_err(|_| StatusWord::WRONG_DATA)?;
    Ok((subject, validity))
}

/// What the key says about itself and about the attested key: Yubico's extensions, whose values
/// are raw bytes but for the serial number.
fn statements(device: &Device, key: &PivKey) -> Vec<u8> {
    let profile = device.profile();
    let version = profile.version();
    let mut all = vec![statement(3, &[version.major, version.minor, version.patch])];
    if version >= Version::new(5, 0, 0) {
        all.push(statement(7, &der::integer(&device.state().serial.to_be_bytes())));
    }
    all.push(statement(8, &[key.pin_policy.id(), key.touch_policy.id()]));
    all.push(statement(9, &[profile.form_factor().0]));
    all.concat()
}

/// 1.3.6.1.4.1.41482.3.x
fn statement(number: u8, value: &[u8]) -> Vec<u8> {
    der::extension(&[0x2B, 6, 1, 4, 1, 0x82, 0xC4, 0x0A, 3, number], false, value)
}

/// A new attestation key, and the object with its certificate.
pub(super) fn make_authority(noise: &mut Noise) -> Option<(PivKey, Vec<u8>)> {
    let key = PrivateKey::generate(Algorithm::P256, noise).ok()?;
    let mut serial = [0; 16];
    serial.copy_from_slice(noise.secret().expose().first_chunk::<16>()?);
    let body = Body {
        serial,
        issuer: der::common_name(ROOT_NAME),
        validity: der::validity(FROM, TO),
        subject: der::common_name(AUTHORITY_NAME),
        key: der::public_key(&key.public()),
        extensions: der::authority(0),
    };
    let object = der::element(TAG_CERTIFICATE, &[&body.sign(&root()?)?]);
    let key = PivKey {
        algorithm: Algorithm::P256,
        origin: Origin::Generated,
        pin_policy: PinPolicy::Never,
        touch_policy: TouchPolicy::Never,
        secret: key.stored(),
    };
    Some((key, object))
}

/// The certificate, in DER, under which all software keys attest. Its private key is published: it
/// proves nothing about any key, and must never be trusted beyond tests.
#[must_use]
pub fn attestation_root() -> Vec<u8> {
    let certificate = root().and_then(|root| {
        let body = Body {
            serial: *b"Tapkey test root",
            issuer: der::common_name(ROOT_NAME),
            validity: der::validity(FROM, TO),
            subject: der::common_name(ROOT_NAME),
            key: der::public_key(&root.public()),
            extensions: der::authority(1),
        };
        body.sign(&root)
    });
    // It does not depend on anything, and a test has seen it.
    certificate.unwrap_or_default()
}

fn root() -> Option<PrivateKey> {
    let scalar = Secret::<32>::new(Sha256::digest(ROOT_SENTENCE).into());
    PrivateKey::restore(Algorithm::P256, &SecretBytes::new(scalar.expose().to_vec())).ok()
}

/// A certificate before it is signed.
struct Body {
    serial: [u8; 16],
    issuer: Vec<u8>,
    validity: Vec<u8>,
    subject: Vec<u8>,
    key: Vec<u8>,
    extensions: Vec<u8>,
}

impl Body {
    /// RFC 5280 section 4.1.
    fn sign(mut self, signer: &PrivateKey) -> Option<Vec<u8>> {
        let algorithm = match signer {
            PrivateKey::Rsa(_) => der::sha256_with_rsa(),
            _ => der::ecdsa_with_sha256(),
        };
        // Positive, and of sixteen bytes.
        if let Some(first) = self.serial.first_mut() {
            *first = (*first & 0x3F) | 0x40;
        }
        let body = der::sequence(&[
            &der::element(der::CONTEXT_0, &[&der::integer(&[2])]),
            &der::integer(&self.serial),
            &algorithm,
            &self.issuer,
            &self.validity,
            &self.subject,
            &self.key,
            &der::element(der::CONTEXT_3, &[&der::sequence(&[&self.extensions])]),
        ]);
        let signature = signer.certify(&Sha256::digest(&body).into()).ok()?;
        Some(der::sequence(&[&body, &algorithm, &der::bit_string(&signature)]))
    }
}

const TAG_CERTIFICATE: u8 = 0x70;
const ROOT_SENTENCE: &str = "The root of attestation of Tapkey's software keys is public and proves nothing.";
const ROOT_NAME: &str = "Tapkey software key attestation root (proves nothing)";
const AUTHORITY_NAME: &str = "Tapkey software key PIV attestation";
const FROM: &str = "240101000000Z";
const TO: &str = "20740101000000Z";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_always_the_same_and_names_nobody_else() {
        let root = attestation_root();
        assert_eq!(root, attestation_root());
        let certificate = CertificateInner::<Raw>::from_der(&root).unwrap();
        let name = certificate.tbs_certificate().subject().to_string();
        assert!(name.contains("proves nothing") && !name.contains("Yubi"), "{name}");
    }

    #[test]
    fn every_key_has_an_authority_of_its_own() {
        let make = |seed| make_authority(&mut Noise::new(Secret::new([seed; 32]))).unwrap();
        let (first, second) = (make(1), make(2));
        assert_eq!(first.1, make(1).1);
        assert_ne!(first.0.secret, second.0.secret);
        let der = tlv::find(&first.1, TAG_CERTIFICATE).unwrap().unwrap();
        let certificate = CertificateInner::<Raw>::from_der(der).unwrap();
        assert!(certificate.tbs_certificate().issuer().to_string().contains("root"));
    }
}
