//! Randomness for new keys.

use std::convert::Infallible;

use rsa::rand_core::{TryCryptoRng, TryRng};
use sha2::{Digest, Sha256};
use tapkey_protocol::secret::Secret;

/// As much randomness as a search for primes wants, from 32 random bytes: SHA-256 over the seed
/// and a counter.
pub(crate) struct Noise {
    seed: Secret<32>,
    counter: u64,
}

impl Noise {
    pub(crate) const fn new(seed: Secret<32>) -> Self {
        Self { seed, counter: 0 }
    }

    /// Thirty-two bytes.
    pub(crate) fn secret(&mut self) -> Secret<32> {
        let mut hash = Sha256::new();
        hash.update(self.seed.expose());
        hash.update(self.counter.to_be_bytes());
        self.counter += 1;
        Secret::new(hash.finalize().into())
    }
}

impl TryRng for Noise {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(32) {
            let block = self.secret();
            for (to, from) in chunk.iter_mut().zip(block.expose()) {
                *to = *from;
            }
        }
        Ok(())
    }
}

impl TryCryptoRng for Noise {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_follow_from_the_seed_and_differ() {
        let draw = |seed: u8| {
            let mut bytes = [0; 96];
            Noise::new(Secret::new([seed; 32])).try_fill_bytes(&mut bytes).unwrap();
            bytes
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let bytes = draw(3);
        assert_ne!(bytes[..32], bytes[32..64]);
        assert_ne!(bytes[32..64], bytes[64..]);
    }
}
