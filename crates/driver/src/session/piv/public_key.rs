//! Public keys as certificates carry them: `SubjectPublicKeyInfo` (RFC 5280 section 4.1.2.7).

use der::asn1::{Any, BitString, ObjectIdentifier, UintRef};
use der::{Decode, Encode, Sequence};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use tapkey_protocol::piv::{Algorithm, PublicKey};
use thiserror::Error;

/// Writes a public key as certificates carry it, in DER.
///
/// # Errors
/// [`PublicKeyError`] when the numbers of an RSA key are empty.
pub fn public_key_to_der(key: &PublicKey) -> Result<Vec<u8>, PublicKeyError> {
    let (oid, parameters, bytes) = match key {
        PublicKey::Rsa { modulus, exponent } => {
            let numbers = RsaNumbers { modulus: UintRef::new(modulus)?, exponent: UintRef::new(exponent)? };
            (RSA, Some(Any::null()), numbers.to_der()?)
        }
        PublicKey::P256(point) => (EC, Some(Any::from(P256)), point.to_vec()),
        PublicKey::P384(point) => (EC, Some(Any::from(P384)), point.to_vec()),
        PublicKey::Ed25519(point) => (ED25519, None, point.to_vec()),
        PublicKey::X25519(point) => (X25519, None, point.to_vec()),
    };
    let info = SubjectPublicKeyInfoOwned {
        algorithm: AlgorithmIdentifierOwned { oid, parameters },
        subject_public_key: BitString::from_bytes(&bytes)?,
    };
    Ok(info.to_der()?)
}

/// Reads a public key from where certificates carry it.
///
/// # Errors
/// [`PublicKeyError`] when it is broken or of a kind that keys do not have.
pub fn public_key_from_der(bytes: &[u8]) -> Result<PublicKey, PublicKeyError> {
    let info = SubjectPublicKeyInfoOwned::from_der(bytes)?;
    let key = info.subject_public_key.as_bytes().ok_or(PublicKeyError::Other)?;
    let point = |algorithm| PublicKey::from_point(algorithm, key).map_err(|_| PublicKeyError::Other);
    match info.algorithm.oid {
        RSA => {
            let numbers = RsaNumbers::from_der(key)?;
            Ok(PublicKey::Rsa {
                modulus: numbers.modulus.as_bytes().to_vec(),
                exponent: numbers.exponent.as_bytes().to_vec(),
            })
        }
        EC => {
            let parameters = info.algorithm.parameters.ok_or(PublicKeyError::Other)?;
            match parameters.decode_as::<ObjectIdentifier>()? {
                P256 => point(Algorithm::P256),
                P384 => point(Algorithm::P384),
                _ => Err(PublicKeyError::Other),
            }
        }
        ED25519 => point(Algorithm::Ed25519),
        X25519 => point(Algorithm::X25519),
        _ => Err(PublicKeyError::Other),
    }
}

/// Why a public key cannot be read or written.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// It is no DER of this form.
    #[error("the public key cannot be read: {0}")]
    Der(#[from] der::Error),
    /// It is of a kind that keys do not have.
    #[error("the public key is of a kind that keys do not have")]
    Other,
}

/// `RSAPublicKey` (RFC 8017 appendix A.1.1).
#[derive(Sequence)]
struct RsaNumbers<'a> {
    modulus: UintRef<'a>,
    exponent: UintRef<'a>,
}

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const X25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.110");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys() -> Vec<PublicKey> {
        vec![
            PublicKey::Rsa { modulus: vec![0xC1; 256], exponent: vec![1, 0, 1] },
            PublicKey::P256([4; 65]),
            PublicKey::P384([4; 97]),
            PublicKey::Ed25519([5; 32]),
            PublicKey::X25519([6; 32]),
        ]
    }

    #[test]
    fn round_trip() {
        for key in keys() {
            let bytes = public_key_to_der(&key).unwrap();
            assert_eq!(public_key_from_der(&bytes), Ok(key));
        }
    }

    #[test]
    fn lengths_as_openssl_writes_them() {
        let lengths: Vec<usize> = keys().iter().map(|key| public_key_to_der(key).unwrap().len()).collect();
        assert_eq!(lengths, [294, 91, 120, 44, 44]);
    }

    proptest! {
        #[test]
        fn reading_never_panics(bytes: Vec<u8>, cut in 0..91_usize, byte: u8) {
            let _ = public_key_from_der(&bytes);
            let mut bytes = public_key_to_der(&PublicKey::P256([4; 65])).unwrap();
            bytes[cut] = byte;
            let _ = public_key_from_der(&bytes);
            let _ = public_key_from_der(&bytes[..cut]);
        }
    }
}
