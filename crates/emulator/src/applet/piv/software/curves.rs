//! The NIST curves P-256 and P-384.

use p256::elliptic_curve::Generate;
use p256::elliptic_curve::sec1::ToSec1Point;

use super::{Noise, Unsuitable};

/// The two crates share traits, but no type that both keys are of.
macro_rules! curve {
    ($(#[$doc:meta])* $name:ident, $library:ident, $field:literal) => {
        $(#[$doc])*
        pub(crate) struct $name($library::SecretKey);

        impl $name {
            /// Bytes of a coordinate.
            const FIELD: usize = $field;

            pub(super) fn generate(noise: &mut Noise) -> Self {
                Self($library::SecretKey::generate_from_rng(noise))
            }

            pub(super) fn restore(scalar: &[u8]) -> Result<Self, Unsuitable> {
                if scalar.len() != Self::FIELD {
                    return Err(Unsuitable);
                }
                $library::SecretKey::from_slice(scalar).map(Self).map_err(|_| Unsuitable)
            }

            pub(super) fn stored(&self) -> Vec<u8> {
                self.0.to_bytes().to_vec()
            }

            /// 04, X and Y.
            pub(super) fn point(&self) -> [u8; 2 * $field + 1] {
                let point = self.0.public_key().to_sec1_point(false);
                // It is never the point at infinity, whose form is shorter.
                point.as_bytes().try_into().unwrap_or([0; 2 * $field + 1])
            }

            /// A signature over a digest no longer than the field, in DER.
            pub(super) fn sign(&self, digest: &[u8]) -> Result<Vec<u8>, Unsuitable> {
                use $library::ecdsa::signature::hazmat::PrehashSigner;

                // The number that a shorter digest stands for is the same with zeros in front.
                let mut number = [0; $field];
                let start = Self::FIELD.checked_sub(digest.len()).filter(|_| !digest.is_empty());
                let place = start.and_then(|start| number.get_mut(start..)).ok_or(Unsuitable)?;
                place.copy_from_slice(digest);
                let key = $library::ecdsa::SigningKey::from(&self.0);
                let signature: $library::ecdsa::Signature = key.sign_prehash(&number).map_err(|_| Unsuitable)?;
                Ok(signature.to_der().as_bytes().to_vec())
            }

            /// The X coordinate of the shared point.
            pub(super) fn agree(&self, other: &[u8]) -> Result<Vec<u8>, Unsuitable> {
                if other.first() != Some(&4) {
                    return Err(Unsuitable);
                }
                let other = $library::PublicKey::from_sec1_bytes(other).map_err(|_| Unsuitable)?;
                let shared = $library::ecdh::diffie_hellman(self.0.to_nonzero_scalar(), other.as_affine());
                Ok(shared.raw_secret_bytes().to_vec())
            }
        }
    };
}

curve!(
    /// P-256.
    P256Key, p256, 32
);
curve!(
    /// P-384.
    P384Key, p384, 48
);
