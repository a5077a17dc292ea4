//! Whether a password seems to have been kept back before it was sent, as a phisher would.
//!
//! Within one session of a key its own clock (about 8 ticks a second) and the server's clock should
//! agree on how much time went by between two passwords. Where they do not, somebody may have held
//! one back. The protocol's reference server logs this and answers nothing else because of it; what
//! ours does is its administrator's choice.

use tapkey_protocol::otp::{Counter, Timestamp};

use crate::Moment;

/// What is remembered of an accepted password.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Seen {
    /// Its counters.
    pub counter: Counter,
    /// The key's clock.
    pub timestamp: Timestamp,
    /// When it was accepted.
    pub at: Moment,
}

/// How far the two clocks disagree.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Deviation {
    /// Seconds that went by for the key.
    pub token_seconds: u64,
    /// Seconds that went by for the server.
    pub clock_seconds: u64,
}

impl Deviation {
    /// Deviations up to this many seconds are nothing.
    pub const ABSOLUTE_SECONDS: u64 = 20;
    /// Deviations up to this share of the time that went by are nothing, in percent.
    pub const RELATIVE_PERCENT: u64 = 30;

    /// The difference, in seconds.
    #[must_use]
    pub const fn seconds(&self) -> u64 {
        self.token_seconds.abs_diff(self.clock_seconds)
    }

    /// Compares two passwords. `None` where they are not of one session, or the clocks agree well
    /// enough.
    #[must_use]
    pub fn between(earlier: &Seen, later: &Seen) -> Option<Self> {
        let same_session = earlier.counter.use_counter() == later.counter.use_counter()
            && later.counter.session_counter() > earlier.counter.session_counter();
        if !same_session {
            return None;
        }
        let token_seconds = u64::from(later.timestamp.ticks_since(earlier.timestamp)) / TICKS_PER_SECOND;
        let clock_seconds = later.at.millis_since(earlier.at) / 1000;
        let deviation = Self { token_seconds, clock_seconds };
        deviation.is_suspicious().then_some(deviation)
    }

    const fn is_suspicious(&self) -> bool {
        let seconds = self.seconds();
        // Where no time at all went by, every deviation is the whole of it.
        let beyond_share =
            self.clock_seconds == 0 || seconds * 100 > self.clock_seconds * Self::RELATIVE_PERCENT;
        seconds > Self::ABSOLUTE_SECONDS && beyond_share
    }
}

/// The reference server's figure; real keys run between 7 and 9.
const TICKS_PER_SECOND: u64 = 8;

#[cfg(test)]
mod tests {
    use tapkey_protocol::otp::UseCounter;

    use super::*;

    fn seen(uses: u16, session: u8, ticks: u32, seconds: u64) -> Seen {
        Seen {
            counter: Counter::new(UseCounter::from_raw(uses), session),
            timestamp: Timestamp::new(ticks),
            at: Moment::from_millis(seconds * 1000),
        }
    }

    #[test]
    fn clocks_that_agree_are_nothing() {
        assert_eq!(Deviation::between(&seen(1, 0, 0, 0), &seen(1, 1, 8 * 100, 100)), None);
        // 20 seconds are still nothing, 21 are not, while they exceed the share.
        assert_eq!(Deviation::between(&seen(1, 0, 0, 0), &seen(1, 1, 0, 20)), None);
        assert!(Deviation::between(&seen(1, 0, 0, 0), &seen(1, 1, 0, 21)).is_some());
        // 30 percent of 100 seconds.
        assert_eq!(Deviation::between(&seen(1, 0, 0, 0), &seen(1, 1, 8 * 130, 100)), None);
        assert!(Deviation::between(&seen(1, 0, 0, 0), &seen(1, 1, 8 * 131, 100)).is_some());
        assert!(Deviation::between(&seen(1, 0, 0, 0), &seen(1, 1, 8 * 69, 100)).is_some());
    }

    #[test]
    fn only_within_a_session() {
        assert_eq!(Deviation::between(&seen(1, 0, 0, 0), &seen(2, 1, 0, 1000)), None);
        assert_eq!(Deviation::between(&seen(1, 1, 0, 0), &seen(1, 1, 0, 1000)), None);
        assert_eq!(Deviation::between(&seen(1, 2, 0, 0), &seen(1, 1, 0, 1000)), None);
    }

    #[test]
    fn no_time_and_backward_clocks() {
        let deviation = Deviation::between(&seen(1, 0, 0, 50), &seen(1, 1, 8 * 30, 50)).unwrap();
        assert_eq!((deviation.token_seconds, deviation.clock_seconds, deviation.seconds()), (30, 0, 30));
        assert_eq!(Deviation::between(&seen(1, 0, 0, 50), &seen(1, 1, 80, 40)), None);
    }

    #[test]
    fn the_tokens_clock_wraps() {
        assert_eq!(Deviation::between(&seen(1, 0, 0xff_ffff - 79, 0), &seen(1, 1, 0, 10)), None);
    }
}
