//! The counters of a token, as one ordered number.

use std::fmt;

/// Use counter (15 bits) and session counter (8 bits) of one token as a single integer,
/// `use counter << 8 | session counter`.
///
/// The use counter grows at the first use after each power-up and when the session counter wraps;
/// the session counter grows with every further use. A token is newer than another of the same
/// credential exactly if its `Counter` is greater. Databases store and compare [`Counter::value`],
/// which has the same order.
///
/// ```
/// use tapkey_protocol::otp::{Counter, UseCounter};
/// let first = Counter::new(UseCounter::from_raw(1), 0xff);
/// let after_power_up = Counter::new(UseCounter::from_raw(2), 0);
/// assert!(after_power_up > first);
/// assert_eq!(first.value(), 0x1ff);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Counter(u32);

impl Counter {
    /// Below the counter of every real token.
    pub const ZERO: Self = Self(0);

    /// Joins the two counters.
    #[must_use]
    pub fn new(use_counter: UseCounter, session_counter: u8) -> Self {
        Self(u32::from(use_counter.get()) << 8 | u32::from(session_counter))
    }

    /// From a stored number; `None` above `0x7fffff`, which no token has.
    #[must_use]
    pub const fn from_value(value: u32) -> Option<Self> {
        if value <= 0x7f_ffff { Some(Self(value)) } else { None }
    }

    /// The number to store; same order as `Counter` itself.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.0
    }

    /// How often the key was powered up and used, 0 to 0x7fff.
    #[must_use]
    pub const fn use_counter(self) -> u16 {
        let [_, high, low, _] = self.0.to_be_bytes();
        u16::from_be_bytes([high, low])
    }

    /// How often it was used since then, from 0.
    #[must_use]
    pub const fn session_counter(self) -> u8 {
        self.0.to_be_bytes()[3]
    }
}

impl fmt::Display for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.use_counter(), self.session_counter())
    }
}

/// A use counter: 15 bits. A key stops at [`UseCounter::CEILING`].
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UseCounter(u16);

impl UseCounter {
    /// Where the counter stops. A key that reached it and wrapped its session counter can type no
    /// acceptable password until its slot is programmed anew.
    pub const CEILING: Self = Self(0x7fff);

    /// From the token's 16 bits. The top bit is an old mark of how the password was triggered and
    /// not part of the counter, so it is dropped.
    #[must_use]
    pub const fn from_raw(raw: u16) -> Self {
        Self(raw & 0x7fff)
    }

    /// The number, 0 to 0x7fff.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// The next value, or the ceiling again.
    #[must_use]
    pub const fn next(self) -> Self {
        if self.0 >= Self::CEILING.0 { Self::CEILING } else { Self(self.0 + 1) }
    }

    /// Whether it can grow no more.
    #[must_use]
    pub const fn at_ceiling(self) -> bool {
        self.0 >= Self::CEILING.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stops_at_the_ceiling() {
        assert_eq!(UseCounter::from_raw(0x7ffe).next(), UseCounter::CEILING);
        assert_eq!(UseCounter::CEILING.next(), UseCounter::CEILING);
        assert_eq!(UseCounter::from_raw(0x8001).get(), 1);
    }

    proptest! {
        #[test]
        fn order_is_lexicographic_and_survives_storage(a: (u16, u8), b: (u16, u8)) {
            let pair = |(uses, session): (u16, u8)| (uses & 0x7fff, session);
            let counter = |(uses, session): (u16, u8)| Counter::new(UseCounter::from_raw(uses), session);
            prop_assert_eq!(counter(a).cmp(&counter(b)), pair(a).cmp(&pair(b)));
            prop_assert_eq!(counter(a).value().cmp(&counter(b).value()), pair(a).cmp(&pair(b)));
            prop_assert_eq!(Counter::from_value(counter(a).value()), Some(counter(a)));
            prop_assert_eq!(counter(a).use_counter(), pair(a).0);
            prop_assert_eq!(counter(a).session_counter(), a.1);
        }
    }
}
