//! Where a key gets its noise from.

/// Random bytes for a key.
///
/// A key draws the start of its clock and two bytes per one-time password from here, the salt and
/// the challenges of the OATH application, and the keys and challenges of the PIV application. A
/// seeded source makes tests repeatable; the PIV keys that it makes are known to whoever knows the
/// seed.
pub trait RandomSource: Send {
    /// Fills the buffer.
    fn fill(&mut self, bytes: &mut [u8]);

    /// Fills the buffer for a private key, and says whether that worked. A key is not made of what
    /// is not random.
    fn try_fill(&mut self, bytes: &mut [u8]) -> bool {
        self.fill(bytes);
        true
    }
}

/// The operating system's random numbers. Should they fail, the bytes stay zero, which costs
/// noise, and lets somebody who listens prove an OATH password or a PIV management key again. No
/// private key is made then.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandom;

impl RandomSource for OsRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        if getrandom::fill(bytes).is_err() {
            bytes.fill(0);
        }
    }

    fn try_fill(&mut self, bytes: &mut [u8]) -> bool {
        getrandom::fill(bytes).is_ok()
    }
}

/// The same numbers for the same seed (SplitMix64), for tests. Never use it for secrets.
#[derive(Clone, Copy, Debug)]
pub struct SeededRandom {
    state: u64,
}

impl SeededRandom {
    /// A source that depends on nothing but `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

impl RandomSource for SeededRandom {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let number = self.next().to_le_bytes();
            for (to, from) in chunk.iter_mut().zip(number) {
                *to = from;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(seed: u64) -> [u8; 20] {
        let mut bytes = [0; 20];
        SeededRandom::new(seed).fill(&mut bytes);
        bytes
    }

    #[test]
    fn a_seed_decides_everything() {
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn the_systems_numbers_differ() {
        let mut first = [0; 16];
        let mut second = [0; 16];
        OsRandom.fill(&mut first);
        OsRandom.fill(&mut second);
        assert_ne!(first, second);
    }
}
