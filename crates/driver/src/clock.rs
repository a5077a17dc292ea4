//! The only place where the driver reads the time or sleeps.
//!
//! Sessions get their clock through [`Control`](crate::Control), so that tests of touch waits,
//! deadlines and busy keys take no time at all.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// Tells the time and lets it pass.
pub trait Clock: Send + Sync {
    /// The present moment. It never goes back.
    fn now(&self) -> Instant;

    /// Returns after `duration`, never before.
    fn sleep(&self, duration: Duration);
}

/// The clock of the operating system.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn sleep(&self, duration: Duration) {
        thread::sleep(duration);
    }
}

/// A clock that stands still until somebody sleeps or moves it.
///
/// ```
/// use std::time::Duration;
/// use tapkey_driver::clock::{Clock, ManualClock};
///
/// let clock = ManualClock::new();
/// clock.sleep(Duration::from_secs(3600));
/// assert_eq!(clock.elapsed(), Duration::from_secs(3600));
/// ```
pub struct ManualClock {
    start: Instant,
    elapsed: Mutex<Duration>,
    on_sleep: Box<dyn Fn(Duration) + Send + Sync>,
}

impl ManualClock {
    /// A clock at its beginning.
    #[must_use]
    pub fn new() -> Self {
        Self::with_hook(|_| {})
    }

    /// A clock that tells `hook` how much time has passed since the beginning whenever somebody has
    /// slept, for example to move an emulated key's clock along, to touch it or to unplug it.
    #[must_use]
    pub fn with_hook(hook: impl Fn(Duration) + Send + Sync + 'static) -> Self {
        Self { start: Instant::now(), elapsed: Mutex::new(Duration::ZERO), on_sleep: Box::new(hook) }
    }

    /// Moves the clock forward without telling the hook.
    pub fn advance(&self, duration: Duration) {
        let mut elapsed = self.lock();
        *elapsed = elapsed.saturating_add(duration);
    }

    /// How much time has passed since the beginning.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Duration> {
        self.elapsed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.start + self.elapsed()
    }

    fn sleep(&self, duration: Duration) {
        self.advance(duration);
        (self.on_sleep)(self.elapsed());
    }
}

impl Default for ManualClock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").field("elapsed", &self.elapsed()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn sleeping_moves_the_manual_clock_and_tells_the_hook() {
        let heard = Arc::new(AtomicU64::new(0));
        let hook = Arc::clone(&heard);
        let clock = ManualClock::with_hook(move |elapsed| {
            hook.store(elapsed.as_secs(), Ordering::SeqCst);
        });
        let start = clock.now();
        clock.sleep(Duration::from_secs(2));
        clock.sleep(Duration::from_secs(5));
        assert_eq!(clock.now() - start, Duration::from_secs(7));
        assert_eq!(heard.load(Ordering::SeqCst), 7);
    }
}
