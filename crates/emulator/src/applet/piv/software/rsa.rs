//! RSA with the exponent 65537.

use rsa::hazmat::rsa_decrypt_and_check;
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BoxedUint, RsaPrivateKey};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Noise, Unsuitable};

/// 65537, as it travels.
pub(super) const EXPONENT: [u8; 3] = [1, 0, 1];

pub(crate) struct RsaKey {
    key: RsaPrivateKey,
    /// Bytes of the modulus.
    size: usize,
}

impl RsaKey {
    pub(super) fn generate(size: usize, noise: &mut Noise) -> Result<Self, Unsuitable> {
        let key = RsaPrivateKey::new(noise, size * 8).map_err(|_| Unsuitable)?;
        Ok(Self { key, size })
    }

    /// From p, q, dP, dQ and qInv, each of half the modulus' length. What follows from the primes
    /// has to agree with them, and the whole has to compute.
    pub(super) fn import(size: usize, parts: [&[u8]; 5]) -> Result<Self, Unsuitable> {
        if parts.iter().any(|part| part.len() != size / 2) {
            return Err(Unsuitable);
        }
        let [p, q, dp, dq, qinv] = parts;
        let key = Self::from_primes(size, p, q)?;
        let derived = [key.key.dp().cloned(), key.key.dq().cloned(), key.key.crt_coefficient()];
        for (derived, given) in derived.into_iter().zip([dp, dq, qinv]) {
            let derived = derived.ok_or(Unsuitable)?;
            if !bool::from(bytes_of(&derived, size / 2)?.ct_eq(given)) {
                return Err(Unsuitable);
            }
        }
        key.check()?;
        Ok(key)
    }

    pub(super) fn restore(size: usize, stored: &[u8]) -> Result<Self, Unsuitable> {
        let (p, q) = stored.split_at_checked(size / 2).ok_or(Unsuitable)?;
        Self::from_primes(size, p, q)
    }

    fn from_primes(size: usize, p: &[u8], q: &[u8]) -> Result<Self, Unsuitable> {
        if p.len() != size / 2 || q.len() != size / 2 {
            return Err(Unsuitable);
        }
        // The library takes odd numbers for granted.
        if [p, q].iter().any(|prime| prime.last().is_none_or(|last| last & 1 == 0)) {
            return Err(Unsuitable);
        }
        let [p, q] = [number(p)?, number(q)?];
        let key =
            RsaPrivateKey::from_primes(vec![p, q], BoxedUint::from(65_537_u64)).map_err(|_| Unsuitable)?;
        if usize::try_from(key.n().bits()).ok() != Some(size * 8) {
            return Err(Unsuitable);
        }
        Ok(Self { key, size })
    }

    /// What went through the key comes back through its public half. It does not where a "prime"
    /// is none.
    fn check(&self) -> Result<(), Unsuitable> {
        let mut block = vec![0x55; self.size];
        if let Some(first) = block.first_mut() {
            *first = 0;
        }
        self.raw(&block).map(drop)
    }

    pub(super) fn stored(&self) -> Vec<u8> {
        let half = self.size / 2;
        self.key.primes().iter().take(2).filter_map(|prime| bytes_of(prime, half).ok()).fold(
            Vec::with_capacity(self.size),
            |mut all, prime| {
                all.extend_from_slice(&prime);
                all
            },
        )
    }

    pub(super) fn modulus(&self) -> Vec<u8> {
        bytes_of(self.key.n(), self.size).map(|bytes| bytes.to_vec()).unwrap_or_default()
    }

    /// The private operation on one whole block, which must be a number below the modulus.
    pub(super) fn raw(&self, block: &[u8]) -> Result<Vec<u8>, Unsuitable> {
        if block.len() != self.size {
            return Err(Unsuitable);
        }
        let block = number(block)?;
        let result = rsa_decrypt_and_check(&self.key, None::<&mut Noise>, &block).map_err(|_| Unsuitable)?;
        Ok(bytes_of(&result, self.size)?.to_vec())
    }

    /// RFC 8017 section 8.2.1 (PKCS #1 v1.5) over a SHA-256 digest.
    pub(super) fn sign_sha256(&self, digest: &[u8; 32]) -> Result<Vec<u8>, Unsuitable> {
        let filling = self.size.checked_sub(3 + DIGEST_INFO.len() + digest.len()).ok_or(Unsuitable)?;
        let mut block = vec![0, 1];
        block.resize(2 + filling, 0xFF);
        block.push(0);
        block.extend_from_slice(&DIGEST_INFO);
        block.extend_from_slice(digest);
        self.raw(&block)
    }
}

/// RFC 8017 section 9.2, note 1: what says that a SHA-256 digest follows.
const DIGEST_INFO: [u8; 19] = [
    0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
    0x04, 0x20,
];

fn number(bytes: &[u8]) -> Result<BoxedUint, Unsuitable> {
    let bits = u32::try_from(bytes.len() * 8).map_err(|_| Unsuitable)?;
    BoxedUint::from_be_slice(bytes, bits).map_err(|_| Unsuitable)
}

/// The number in exactly `size` bytes.
fn bytes_of(number: &BoxedUint, size: usize) -> Result<Zeroizing<Vec<u8>>, Unsuitable> {
    let bytes = Zeroizing::new(number.to_be_bytes().to_vec());
    let start = bytes.len().saturating_sub(size);
    if bytes.iter().take(start).any(|byte| *byte != 0) {
        return Err(Unsuitable);
    }
    let mut whole = Zeroizing::new(vec![0; size.saturating_sub(bytes.len())]);
    whole.extend_from_slice(bytes.get(start..).unwrap_or_default());
    Ok(whole)
}
