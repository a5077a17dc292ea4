//! Time as the key sees it: a number that somebody else counts.

use std::fmt;
use std::ops::{Add, Sub};

/// Milliseconds since any fixed moment. A key only compares them and subtracts them.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Milliseconds(pub u64);

impl Milliseconds {
    /// The beginning.
    pub const ZERO: Self = Self(0);

    /// From whole seconds.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }
}

impl Add for Milliseconds {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Milliseconds {
    type Output = Self;

    /// The distance, or zero when `other` lies later.
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Milliseconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Milliseconds(3) - Milliseconds(5), Milliseconds::ZERO);
        assert_eq!(Milliseconds(u64::MAX) + Milliseconds(1), Milliseconds(u64::MAX));
        assert_eq!(Milliseconds::from_seconds(15), Milliseconds(15_000));
    }
}
