//! Certificates and requests that a key signs.

use std::{str::FromStr, time::Duration};

use jiff::Timestamp;
use rsa::signature::Keypair;
use tapkey_driver::piv::public_key_to_der;
use tapkey_protocol::piv::{Pin, PublicKey, Slot};
use x509_cert::{
    builder::{Builder, CertificateBuilder, profile::BuilderProfile},
    certificate::TbsCertificate,
    der::{Decode, Document, Encode, asn1::BitString},
    ext::{Extension, ToExtension, pkix::SubjectKeyIdentifier},
    name::Name,
    request::RequestBuilder,
    serial_number::SerialNumber,
    spki::{
        AlgorithmIdentifierOwned, DynSignatureAlgorithmIdentifier, EncodePublicKey,
        SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef,
    },
    time::{Time, Validity},
};

use super::{session::Piv, signing::Scheme};
use crate::{encode::random, exit::Failure};

/// The key in a slot, ready to sign.
pub(super) struct Signer {
    pub(super) slot: Slot,
    pub(super) public_key: PublicKey,
    pub(super) scheme: Scheme,
    pub(super) pin: Option<Pin>,
}

impl Signer {
    /// Signs a message and makes sure that the signature belongs to the public key.
    pub(super) fn sign(&self, piv: &mut Piv, message: &[u8]) -> Result<Vec<u8>, Failure> {
        let data = self.scheme.prepare(message)?;
        let algorithm = self.scheme.algorithm();
        let signature = piv
            .with(|session, control| session.sign(self.slot, algorithm, &data, self.pin.as_ref(), control))?;
        if self.scheme.verifies(&self.public_key, message, &signature) {
            Ok(signature)
        } else {
            Err(Failure::failed(format!("the key in slot {} is not the one of this public key", self.slot)))
        }
    }
}

/// Makes a certificate that says of a key what the key itself says.
pub(super) fn self_signed(
    piv: &mut Piv,
    signer: &Signer,
    subject: &str,
    valid_days: u32,
) -> Result<Vec<u8>, Failure> {
    let names = Names::of(signer)?;
    let mut number = random::<16>()?;
    // Positive and not short.
    number[0] = (number[0] & 0x7F) | 0x40;
    let serial = SerialNumber::new(number.as_slice()).map_err(cannot)?;
    let mut builder = CertificateBuilder::new(
        Plain(name(subject)?),
        serial,
        validity(valid_days)?,
        names.public_key.clone(),
    )
    .map_err(cannot)?;
    let message = builder.finalize(&names).map_err(cannot)?;
    let signature = signer.sign(piv, &message)?;
    let certificate =
        builder.assemble(BitString::from_bytes(&signature).map_err(cannot)?, &names).map_err(cannot)?;
    certificate.to_der().map_err(cannot)
}

/// Makes a request for a certificate (PKCS #10, RFC 2986).
pub(super) fn request(piv: &mut Piv, signer: &Signer, subject: &str) -> Result<Vec<u8>, Failure> {
    let names = Names::of(signer)?;
    let mut builder = RequestBuilder::new(name(subject)?).map_err(cannot)?;
    let message = builder.finalize(&names).map_err(cannot)?;
    let signature = signer.sign(piv, &message)?;
    let request =
        builder.assemble(BitString::from_bytes(&signature).map_err(cannot)?, &names).map_err(cannot)?;
    request.to_der().map_err(cannot)
}

/// Checks a subject before the key is touched.
pub(super) fn name(subject: &str) -> Result<Name, Failure> {
    let text = if subject.contains('=') { subject.to_owned() } else { format!("CN={}", escape(subject)) };
    if subject.trim().is_empty() {
        return Err(Failure::usage("the subject is empty"));
    }
    Name::from_str(&text).map_err(|error| {
        Failure::usage(format!("the subject {subject:?} cannot be read: {error}")).hint(
            "write a name, or parts with commas between them such as \"CN=Ada Lovelace,O=Example,C=GB\"",
        )
    })
}

/// What separates parts is part of a plain name (RFC 4514 section 2.4).
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.trim().chars() {
        if matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// From now on for so many days.
fn validity(days: u32) -> Result<Validity, Failure> {
    let now = u64::try_from(Timestamp::now().as_second()).map_err(cannot)?;
    let end = now.saturating_add(u64::from(days).saturating_mul(86_400));
    let time = |seconds| -> Result<Time, Failure> {
        Time::try_from(std::time::UNIX_EPOCH + Duration::from_secs(seconds)).map_err(|_| {
            Failure::usage(format!("a certificate cannot be valid for {days} days"))
                .hint("choose fewer --valid-days")
        })
    };
    Ok(Validity::new(time(now)?, time(end)?))
}

fn cannot(error: impl std::fmt::Display) -> Failure {
    Failure::failed(format!("cannot write the certificate: {error}"))
}

/// A certificate whose issuer is its subject, and that says nothing about its use.
struct Plain(Name);

impl BuilderProfile for Plain {
    fn get_issuer(&self, subject: &Name) -> Name {
        subject.clone()
    }

    fn get_subject(&self) -> Name {
        self.0.clone()
    }

    fn build_extensions(
        &self,
        key: SubjectPublicKeyInfoRef<'_>,
        _: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let identifier = SubjectKeyIdentifier::try_from(key)?;
        Ok(vec![identifier.to_extension(tbs.subject(), &[])?])
    }
}

/// How a signer is called in what it signs.
struct Names {
    public_key: SubjectPublicKeyInfoOwned,
    bytes: Vec<u8>,
    algorithm: AlgorithmIdentifierOwned,
}

impl Names {
    fn of(signer: &Signer) -> Result<Self, Failure> {
        let bytes = public_key_to_der(&signer.public_key).map_err(cannot)?;
        let public_key = SubjectPublicKeyInfoOwned::from_der(&bytes).map_err(cannot)?;
        Ok(Self { public_key, bytes, algorithm: signer.scheme.identifier()? })
    }
}

/// A public key as the builders want it.
#[derive(Clone)]
pub(super) struct Encoded(Vec<u8>);

impl EncodePublicKey for Encoded {
    fn to_public_key_der(&self) -> x509_cert::spki::Result<Document> {
        Ok(Document::from_der(&self.0)?)
    }
}

impl Keypair for Names {
    type VerifyingKey = Encoded;

    fn verifying_key(&self) -> Encoded {
        Encoded(self.bytes.clone())
    }
}

impl DynSignatureAlgorithmIdentifier for Names {
    fn signature_algorithm_identifier(&self) -> x509_cert::spki::Result<AlgorithmIdentifierOwned> {
        Ok(self.algorithm.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects() {
        assert_eq!(
            name("Ada, Countess").unwrap().to_string(),
            name("CN=Ada\\, Countess").unwrap().to_string()
        );
        assert!(name("CN=Ada,O=Example").is_ok());
        for text in ["", " ", "NOPE=1"] {
            assert!(name(text).is_err(), "{text:?}");
        }
    }
}
