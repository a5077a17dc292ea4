//! How signatures are made and checked.

use clap::ValueEnum;
use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::pkcs1v15::Pkcs1v15Sign;
use rsa::{BoxedUint, RsaPublicKey};
use sha2::{Digest, Sha256, Sha384, Sha512};
use tapkey_protocol::piv::{Algorithm, PublicKey};
use x509_cert::der::Decode;
use x509_cert::der::asn1::{Any, ObjectIdentifier};
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::padding;
use crate::{encode::random, exit::Failure};

/// A hash.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// What fits an algorithm when nothing else is asked for.
    pub(super) const fn for_algorithm(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::P384 => Self::Sha384,
            _ => Self::Sha256,
        }
    }

    pub(super) fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    /// What stands before a digest in PKCS #1 v1.5 (RFC 8017 section 9.2, note 1).
    pub(super) const fn digest_info(self) -> &'static [u8] {
        match self {
            Self::Sha256 => &[
                0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01,
                0x05, 0x00, 0x04, 0x20,
            ],
            Self::Sha384 => &[
                0x30, 0x41, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02,
                0x05, 0x00, 0x04, 0x30,
            ],
            Self::Sha512 => &[
                0x30, 0x51, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03,
                0x05, 0x00, 0x04, 0x40,
            ],
        }
    }

    const fn size(self) -> u8 {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// A way to sign.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scheme {
    algorithm: Algorithm,
    hash: Hash,
    pss: bool,
}

impl Scheme {
    /// The way to sign with a key: PKCS #1 v1.5 or PSS for RSA, ECDSA, or Ed25519, which has a hash
    /// of its own.
    pub(super) fn new(algorithm: Algorithm, hash: Option<Hash>, pss: bool) -> Result<Self, Failure> {
        if !algorithm.signs() {
            return Err(Failure::usage("X25519 keys agree on secrets and do not sign")
                .hint("use a key of another algorithm"));
        }
        if pss && !algorithm.is_rsa() {
            return Err(Failure::usage("--pss is a way to sign with RSA; this key is of another algorithm"));
        }
        if algorithm == Algorithm::Ed25519 && hash.is_some() {
            return Err(Failure::usage("Ed25519 has a hash of its own").hint("leave --hash out"));
        }
        Ok(Self { algorithm, hash: hash.unwrap_or(Hash::for_algorithm(algorithm)), pss })
    }

    pub(super) const fn algorithm(self) -> Algorithm {
        self.algorithm
    }

    /// What the key is to sign for a message.
    pub(super) fn prepare(self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        let size = self.algorithm.size();
        let no_room =
            || Failure::usage("this hash is too long for this key").hint("choose a shorter one with --hash");
        match self.algorithm {
            Algorithm::Ed25519 => Ok(message.to_vec()),
            Algorithm::P256 | Algorithm::P384 => {
                let mut digest = self.hash.digest(message);
                // ECDSA takes as many bits as the field has (FIPS 186-5 section 6.4.1).
                digest.truncate(size);
                Ok(digest)
            }
            _ => {
                let digest = self.hash.digest(message);
                if !self.pss {
                    return padding::pkcs1_signature(self.hash, &digest, size).ok_or_else(no_room);
                }
                let salt = random::<64>()?;
                let salt = salt.get(..digest.len()).unwrap_or_default();
                padding::pss(self.hash, &digest, salt, size).ok_or_else(no_room)
            }
        }
    }

    /// How certificates call it.
    pub(super) fn identifier(self) -> Result<AlgorithmIdentifierOwned, Failure> {
        let of = |oid, parameters| AlgorithmIdentifierOwned { oid, parameters };
        Ok(match (self.algorithm, self.hash) {
            (Algorithm::Ed25519, _) => of(ED25519, None),
            (Algorithm::P256 | Algorithm::P384, Hash::Sha256) => of(ECDSA_SHA256, None),
            (Algorithm::P256 | Algorithm::P384, Hash::Sha384) => of(ECDSA_SHA384, None),
            (Algorithm::P256 | Algorithm::P384, Hash::Sha512) => of(ECDSA_SHA512, None),
            (_, hash) if self.pss => {
                let parameters = Any::from_der(&pss_parameters(hash))
                    .map_err(|error| Failure::failed(format!("cannot write the certificate: {error}")))?;
                of(RSA_PSS, Some(parameters))
            }
            (_, Hash::Sha256) => of(RSA_SHA256, Some(Any::null())),
            (_, Hash::Sha384) => of(RSA_SHA384, Some(Any::null())),
            (_, Hash::Sha512) => of(RSA_SHA512, Some(Any::null())),
        })
    }

    /// Whether a signature is right.
    pub(super) fn verifies(self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        let digest = || self.hash.digest(message);
        match key {
            PublicKey::Rsa { modulus, exponent } => {
                let Some(key) = rsa_key(modulus, exponent) else { return false };
                if self.pss {
                    self.verifies_pss(&key, &digest(), signature)
                } else {
                    self.verifies_pkcs1(&key, &digest(), signature)
                }
            }
            PublicKey::P256(point) => {
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point);
                let signature = p256::ecdsa::DerSignature::from_bytes(signature);
                matches!((key, signature), (Ok(key), Ok(signature)) if key.verify_prehash(&digest(), &signature).is_ok())
            }
            PublicKey::P384(point) => {
                let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(point);
                let signature = p384::ecdsa::DerSignature::from_bytes(signature);
                matches!((key, signature), (Ok(key), Ok(signature)) if key.verify_prehash(&digest(), &signature).is_ok())
            }
            PublicKey::Ed25519(point) => {
                let key = ed25519_dalek::VerifyingKey::from_bytes(point);
                let signature = ed25519_dalek::Signature::from_slice(signature);
                matches!((key, signature), (Ok(key), Ok(signature)) if key.verify_strict(message, &signature).is_ok())
            }
            PublicKey::X25519(_) => false,
        }
    }

    fn verifies_pkcs1(self, key: &RsaPublicKey, digest: &[u8], signature: &[u8]) -> bool {
        let scheme = match self.hash {
            Hash::Sha256 => Pkcs1v15Sign::new::<Sha256>(),
            Hash::Sha384 => Pkcs1v15Sign::new::<Sha384>(),
            Hash::Sha512 => Pkcs1v15Sign::new::<Sha512>(),
        };
        key.verify(scheme, digest, signature).is_ok()
    }

    fn verifies_pss(self, key: &RsaPublicKey, digest: &[u8], signature: &[u8]) -> bool {
        match self.hash {
            Hash::Sha256 => key.verify(rsa::Pss::<Sha256>::new(), digest, signature).is_ok(),
            Hash::Sha384 => key.verify(rsa::Pss::<Sha384>::new(), digest, signature).is_ok(),
            Hash::Sha512 => key.verify(rsa::Pss::<Sha512>::new(), digest, signature).is_ok(),
        }
    }
}

/// Whether a certificate's signature is right, of the kinds that attestation uses.
pub(super) fn signed_by(
    key: &PublicKey,
    identifier: &AlgorithmIdentifierOwned,
    message: &[u8],
    signature: &[u8],
) -> bool {
    let hash = match identifier.oid {
        RSA_SHA256 | ECDSA_SHA256 => Hash::Sha256,
        RSA_SHA384 | ECDSA_SHA384 => Hash::Sha384,
        RSA_SHA512 | ECDSA_SHA512 => Hash::Sha512,
        ED25519 => Hash::Sha512,
        _ => return false,
    };
    // The name of the signature and the kind of the key have to belong together.
    let fits = match key {
        PublicKey::Rsa { .. } => [RSA_SHA256, RSA_SHA384, RSA_SHA512].contains(&identifier.oid),
        PublicKey::P256(_) | PublicKey::P384(_) => {
            [ECDSA_SHA256, ECDSA_SHA384, ECDSA_SHA512].contains(&identifier.oid)
        }
        PublicKey::Ed25519(_) => identifier.oid == ED25519,
        PublicKey::X25519(_) => false,
    };
    // An RSA key of another length than keys have is still one that may have signed.
    let algorithm = key.algorithm().unwrap_or(Algorithm::Rsa2048);
    fits && Scheme { algorithm, hash, pss: false }.verifies(key, message, signature)
}

fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Option<RsaPublicKey> {
    let number = |bytes: &[u8]| {
        let bits = u32::try_from(bytes.len().div_ceil(8) * 64).ok()?;
        BoxedUint::from_be_slice(bytes, bits).ok()
    };
    RsaPublicKey::new(number(modulus)?, number(exponent)?).ok()
}

/// `RSASSA-PSS-params` (RFC 8017 appendix A.2.3) with the same hash in both places and a salt as long.
fn pss_parameters(hash: Hash) -> Vec<u8> {
    let Some(name) = hash.digest_info().get(2..17) else { return Vec::new() };
    let mut bytes = vec![0x30, 0x34, 0xA0, 0x0F];
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(&[
        0xA1, 0x1C, 0x30, 0x1A, 0x06, 0x09, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x08,
    ]);
    bytes.extend_from_slice(name);
    bytes.extend_from_slice(&[0xA2, 0x03, 0x02, 0x01, hash.size()]);
    bytes
}

const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
const RSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pss_parameters_are_der() {
        for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            assert!(Any::from_der(&pss_parameters(hash)).is_ok());
            assert_eq!(hash.digest(b"").len(), usize::from(hash.size()));
        }
    }

    #[test]
    fn ways_that_make_no_sense() {
        assert!(Scheme::new(Algorithm::X25519, None, false).is_err());
        assert!(Scheme::new(Algorithm::P256, None, true).is_err());
        assert!(Scheme::new(Algorithm::Ed25519, Some(Hash::Sha256), false).is_err());
        assert_eq!(Scheme::new(Algorithm::P384, None, false).unwrap().prepare(b"").unwrap().len(), 48);
        let cut = Scheme::new(Algorithm::P256, Some(Hash::Sha512), false).unwrap();
        assert_eq!(cut.prepare(b"").unwrap().len(), 32);
    }
}
