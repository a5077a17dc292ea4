//! Private keys in files, for import: PKCS #8, PKCS #1 and SEC 1.

use p256::pkcs8::{ObjectIdentifier, PrivateKeyInfoRef};
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BoxedUint, RsaPrivateKey};
use tapkey_protocol::piv::PrivateKey;
use tapkey_protocol::secret::Secret;
use zeroize::Zeroizing;

use super::files::{self, Part};
use crate::exit::Failure;

/// Reads the private key in a file.
pub(super) fn parse(bytes: &[u8]) -> Result<PrivateKey, Failure> {
    let parts = files::parts(bytes)?;
    let part = parts
        .iter()
        .find(|part| part.label.is_empty() || part.label.ends_with("PRIVATE KEY"))
        .ok_or_else(|| Failure::usage("there is no private key in the file"))?;
    of_part(part)
}

fn of_part(part: &Part) -> Result<PrivateKey, Failure> {
    match part.label.as_str() {
        "ENCRYPTED PRIVATE KEY" => Err(Failure::usage("the private key is encrypted")
            .hint("decrypt it first: openssl pkey -in FILE -out PLAIN")),
        "RSA PRIVATE KEY" => of_rsa(&RsaPrivateKey::from_pkcs1_der(&part.der).map_err(broken)?),
        "EC PRIVATE KEY" => of_ec(&part.der),
        "PRIVATE KEY" => of_pkcs8(&part.der),
        // DER does not say what it is.
        "" => of_pkcs8(&part.der).or_else(|failure| match RsaPrivateKey::from_pkcs1_der(&part.der) {
            Ok(key) => of_rsa(&key),
            Err(_) => of_ec(&part.der).map_err(|_| failure),
        }),
        other => Err(Failure::usage(format!("a key of the kind {other:?} is not read here"))
            .hint("convert it with `openssl pkey`, or `ssh-keygen -p -m PKCS8` for OpenSSH keys")),
    }
}

fn of_pkcs8(der: &[u8]) -> Result<PrivateKey, Failure> {
    let info = PrivateKeyInfoRef::try_from(der).map_err(broken)?;
    match info.algorithm.oid {
        RSA => of_rsa(&RsaPrivateKey::from_pkcs8_der(der).map_err(broken)?),
        EC => match info.algorithm.parameters_oid().map_err(broken)? {
            P256 => {
                let key = p256::SecretKey::from_pkcs8_der(der).map_err(broken)?;
                Ok(PrivateKey::P256(Secret::new(key.to_bytes().into())))
            }
            P384 => {
                let key = p384::SecretKey::from_pkcs8_der(der).map_err(broken)?;
                Ok(PrivateKey::P384(Secret::new(key.to_bytes().into())))
            }
            _ => Err(unknown()),
        },
        ED25519 => curve25519(info.private_key.as_bytes()).map(PrivateKey::Ed25519),
        X25519 => curve25519(info.private_key.as_bytes()).map(PrivateKey::X25519),
        _ => Err(unknown()),
    }
}

fn of_ec(der: &[u8]) -> Result<PrivateKey, Failure> {
    if let Ok(key) = p256::SecretKey::from_sec1_der(der) {
        return Ok(PrivateKey::P256(Secret::new(key.to_bytes().into())));
    }
    let key = p384::SecretKey::from_sec1_der(der).map_err(|_| unknown())?;
    Ok(PrivateKey::P384(Secret::new(key.to_bytes().into())))
}

fn of_rsa(key: &RsaPrivateKey) -> Result<PrivateKey, Failure> {
    if key.e_bytes().as_ref() != [1, 0, 1] {
        return Err(Failure::usage(
            "the RSA key has another public exponent than 65537, which keys do not take",
        ));
    }
    let [p, q] = key.primes() else {
        return Err(Failure::usage("the RSA key has more than two primes, which keys do not take"));
    };
    let missing = || Failure::usage("the RSA key has not all its numbers");
    let dp = key.dp().ok_or_else(missing)?;
    let dq = key.dq().ok_or_else(missing)?;
    let qinv = key.qinv().ok_or_else(missing)?.retrieve();
    let bytes = |number: &BoxedUint| Zeroizing::new(number.to_be_bytes().to_vec());
    PrivateKey::rsa(&bytes(p), &bytes(q), &bytes(dp), &bytes(dq), &bytes(&qinv))
        .map_err(|error| Failure::usage(error.to_string()))
}

/// 32 bytes in an OCTET STRING in the OCTET STRING (RFC 8410 section 7).
fn curve25519(bytes: &[u8]) -> Result<Secret<32>, Failure> {
    let inner = bytes.strip_prefix(&[0x04, 0x20]).unwrap_or_default();
    <[u8; 32]>::try_from(inner).map(Secret::new).map_err(|_| broken("not 32 bytes"))
}

/// The reason is the parser's and says nothing of the key.
fn broken(reason: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("the private key cannot be read: {reason}"))
}

fn unknown() -> Failure {
    Failure::usage("the private key is of a kind that keys do not take")
        .hint("keys take RSA of 1024 to 4096 bits, P-256, P-384, Ed25519 and X25519")
}

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const X25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.110");
