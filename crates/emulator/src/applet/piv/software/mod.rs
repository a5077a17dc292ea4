//! Keys made of software: what a secure element does with RSA and elliptic curves.
//!
//! A key test double needs no defence against who measures its time or its power; nothing here
//! claims any.

mod curves;
mod noise;
mod rsa;

use tapkey_protocol::piv::{self, Algorithm, PublicKey};
use tapkey_protocol::secret::SecretBytes;

use self::curves::{P256Key, P384Key};
use self::rsa::RsaKey;

pub(crate) use noise::Noise;

/// A private key, ready to compute.
pub(crate) enum PrivateKey {
    Rsa(Box<RsaKey>),
    P256(P256Key),
    P384(P384Key),
    Ed25519(Box<ed25519_dalek::SigningKey>),
    X25519(Box<x25519_dalek::StaticSecret>),
}

/// What is asked of a key does not go with it, or the numbers are not a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Unsuitable;

impl PrivateKey {
    /// A new key.
    pub(crate) fn generate(algorithm: Algorithm, noise: &mut Noise) -> Result<Self, Unsuitable> {
        Ok(match algorithm {
            Algorithm::P256 => Self::P256(P256Key::generate(noise)),
            Algorithm::P384 => Self::P384(P384Key::generate(noise)),
            Algorithm::Ed25519 => {
                Self::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(noise.secret().expose())))
            }
            Algorithm::X25519 => {
                Self::X25519(Box::new(x25519_dalek::StaticSecret::from(*noise.secret().expose())))
            }
            rsa => Self::Rsa(Box::new(RsaKey::generate(rsa.size(), noise)?)),
        })
    }

    /// A key that a host brings, checked as far as arithmetic can.
    pub(crate) fn import(algorithm: Algorithm, key: &piv::PrivateKey) -> Result<Self, Unsuitable> {
        let secret = |bytes: &[u8]| SecretBytes::new(bytes.to_vec());
        match key {
            piv::PrivateKey::Rsa { p, q, dp, dq, qinv } => {
                let parts = [p, q, dp, dq, qinv].map(SecretBytes::expose);
                Ok(Self::Rsa(Box::new(RsaKey::import(algorithm.size(), parts)?)))
            }
            piv::PrivateKey::P384(scalar) => Self::restore(algorithm, &secret(scalar.expose())),
            piv::PrivateKey::P256(scalar)
            | piv::PrivateKey::Ed25519(scalar)
            | piv::PrivateKey::X25519(scalar) => Self::restore(algorithm, &secret(scalar.expose())),
        }
    }

    /// A key from what [`PrivateKey::stored`] gave.
    pub(crate) fn restore(algorithm: Algorithm, stored: &SecretBytes) -> Result<Self, Unsuitable> {
        let bytes = stored.expose();
        let short = || <[u8; 32]>::try_from(bytes).map_err(|_| Unsuitable);
        Ok(match algorithm {
            Algorithm::P256 => Self::P256(P256Key::restore(bytes)?),
            Algorithm::P384 => Self::P384(P384Key::restore(bytes)?),
            Algorithm::Ed25519 => Self::Ed25519(Box::new(ed25519_dalek::SigningKey::from_bytes(&short()?))),
            Algorithm::X25519 => Self::X25519(Box::new(x25519_dalek::StaticSecret::from(short()?))),
            rsa => Self::Rsa(Box::new(RsaKey::restore(rsa.size(), bytes)?)),
        })
    }

    /// The private part alone: two primes, a scalar, or a seed.
    pub(crate) fn stored(&self) -> SecretBytes {
        SecretBytes::new(match self {
            Self::Rsa(key) => key.stored(),
            Self::P256(key) => key.stored(),
            Self::P384(key) => key.stored(),
            Self::Ed25519(key) => key.to_bytes().to_vec(),
            Self::X25519(key) => key.to_bytes().to_vec(),
        })
    }

    /// The public part.
    pub(crate) fn public(&self) -> PublicKey {
        match self {
            Self::Rsa(key) => PublicKey::Rsa { modulus: key.modulus(), exponent: rsa::EXPONENT.to_vec() },
            Self::P256(key) => PublicKey::P256(key.point()),
            Self::P384(key) => PublicKey::P384(key.point()),
            Self::Ed25519(key) => PublicKey::Ed25519(key.verifying_key().to_bytes()),
            Self::X25519(key) => PublicKey::X25519(x25519_dalek::PublicKey::from(&**key).to_bytes()),
        }
    }

    /// The operation under tag 81: RSA with a block that the host padded, for signing and for
    /// decrypting; a signature over a digest (ECDSA) or over a message (Ed25519).
    pub(crate) fn transform(&self, data: &[u8]) -> Result<Vec<u8>, Unsuitable> {
        match self {
            Self::Rsa(key) => key.raw(data),
            Self::P256(key) => key.sign(data),
            Self::P384(key) => key.sign(data),
            Self::Ed25519(key) => Ok(ed25519_dalek::Signer::sign(&**key, data).to_bytes().to_vec()),
            Self::X25519(_) => Err(Unsuitable),
        }
    }

    /// The operation under tag 85: a secret shared with the holder of another key.
    pub(crate) fn agree(&self, other: &[u8]) -> Result<Vec<u8>, Unsuitable> {
        match self {
            Self::P256(key) => key.agree(other),
            Self::P384(key) => key.agree(other),
            Self::X25519(key) => {
                let other = <[u8; 32]>::try_from(other).map_err(|_| Unsuitable)?;
                let shared = key.diffie_hellman(&x25519_dalek::PublicKey::from(other));
                // RFC 7748 section 6.1: a point of small order gives no secret.
                if shared.was_contributory() { Ok(shared.to_bytes().to_vec()) } else { Err(Unsuitable) }
            }
            Self::Rsa(_) | Self::Ed25519(_) => Err(Unsuitable),
        }
    }

    /// A signature over a SHA-256 digest as certificates carry it: PKCS #1 v1.5 or ECDSA.
    pub(crate) fn certify(&self, digest: &[u8; 32]) -> Result<Vec<u8>, Unsuitable> {
        match self {
            Self::Rsa(key) => key.sign_sha256(digest),
            Self::P256(key) => key.sign(digest),
            Self::P384(key) => key.sign(digest),
            Self::Ed25519(_) | Self::X25519(_) => Err(Unsuitable),
        }
    }
}
