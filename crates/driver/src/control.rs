//! Deadline, cancellation and the touch notice, which every operation on a key takes.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::clock::{Clock, SystemClock};
use crate::error::Error;

/// What is called with what is known of a program that is in the way.
type BusyCallback = dyn Fn(&str) + Send + Sync;

/// How an operation may be ended from outside, and whom it tells about touches.
///
/// Cloning is cheap; clones share the cancel token and the callback.
///
/// ```
/// use std::time::Duration;
/// use tapkey_driver::{CancelToken, Control, TouchEvent};
///
/// let cancel = CancelToken::new();
/// let control = Control::new()
///     .with_timeout(Duration::from_secs(20))
///     .with_cancel(cancel.clone())
///     .with_touch(|event| {
///         if let TouchEvent::Needed { .. } = event {
///             eprintln!("Touch your key");
///         }
///     });
/// // From a signal handler:
/// cancel.cancel();
/// assert!(control.check().is_err());
/// ```
#[derive(Clone)]
pub struct Control {
    clock: Arc<dyn Clock>,
    deadline: Option<Instant>,
    cancel: CancelToken,
    touch: Option<Arc<dyn Fn(TouchEvent) + Send + Sync>>,
    busy_patience: Duration,
    busy: Option<Arc<BusyCallback>>,
}

impl Control {
    /// No deadline, nobody who cancels, nobody to tell. Even so no operation lasts for ever: a busy
    /// key is given up after a few seconds and a touch wait when the key itself gives it up.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(Arc::new(SystemClock))
    }

    /// The same on another clock.
    #[must_use]
    pub fn with_clock(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            deadline: None,
            cancel: CancelToken::new(),
            touch: None,
            busy_patience: BUSY_PATIENCE,
            busy: None,
        }
    }

    /// Ends every operation at `deadline`, a moment of this control's clock.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Ends every operation when `timeout` from now has passed.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        match self.clock.now().checked_add(timeout) {
            Some(deadline) => self.with_deadline(deadline),
            None => self,
        }
    }

    /// The same without a deadline.
    #[must_use]
    pub fn without_deadline(mut self) -> Self {
        self.deadline = None;
        self
    }

    /// Ends operations when `token` is fired.
    #[must_use]
    pub fn with_cancel(mut self, token: CancelToken) -> Self {
        self.cancel = token;
        self
    }

    /// Calls `callback` when a key begins to wait for a touch, when the seconds that it will still wait
    /// change, and when the wait ends.
    ///
    /// It runs in the thread of the operation: let it be quick.
    #[must_use]
    pub fn with_touch(mut self, callback: impl Fn(TouchEvent) + Send + Sync + 'static) -> Self {
        self.touch = Some(Arc::new(callback));
        self
    }

    /// Waits at most so long for another program to let go of a key, and never beyond the deadline;
    /// without this, two seconds.
    #[must_use]
    pub fn with_busy_patience(mut self, patience: Duration) -> Self {
        self.busy_patience = patience;
        self
    }

    /// Calls `callback`, once for each wait, when another program has held a key for a second, with
    /// what is known of it.
    #[must_use]
    pub fn with_busy(mut self, callback: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.busy = Some(Arc::new(callback));
        self
    }

    /// How long to wait for another program: the patience, or what is left until the deadline.
    #[must_use]
    pub fn busy_patience(&self) -> Duration {
        self.remaining().map_or(self.busy_patience, |left| left.min(self.busy_patience))
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// The token that ends operations.
    #[must_use]
    pub const fn cancel_token(&self) -> &CancelToken {
        &self.cancel
    }

    /// Whether to go on.
    ///
    /// # Errors
    /// [`Error::Cancelled`] or [`Error::DeadlinePassed`].
    pub fn check(&self) -> Result<(), Error> {
        if self.cancel.is_cancelled() {
            return Err(Error::Cancelled);
        }
        if self.remaining() == Some(Duration::ZERO) {
            return Err(Error::DeadlinePassed);
        }
        Ok(())
    }

    /// The time left until the deadline, zero when it has passed, or `None` without one.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        self.deadline.map(|deadline| deadline.saturating_duration_since(self.clock.now()))
    }

    /// Sleeps for `duration` in short pieces, and less when the operation is to end.
    ///
    /// # Errors
    /// [`Error::Cancelled`] or [`Error::DeadlinePassed`], at once.
    pub fn sleep(&self, duration: Duration) -> Result<(), Error> {
        let mut left = duration;
        self.check()?;
        while !left.is_zero() {
            let piece = left.min(SLEEP_PIECE).min(self.remaining().unwrap_or(SLEEP_PIECE));
            self.clock.sleep(piece);
            left = left.saturating_sub(piece);
            self.check()?;
        }
        Ok(())
    }

    pub(crate) fn tell(&self, event: TouchEvent) {
        if let Some(touch) = &self.touch {
            touch(event);
        }
    }
}

impl Control {
    /// Tells that another program is in the way.
    pub(crate) fn tell_busy(&self, holder: Option<&str>) {
        if let Some(busy) = &self.busy {
            busy(holder.unwrap_or("another program"));
        }
    }
}

impl Default for Control {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("remaining", &self.remaining())
            .field("cancelled", &self.cancel.is_cancelled())
            .finish_non_exhaustive()
    }
}

/// Ends operations from another thread or a signal handler. Once fired it stays fired.
///
/// ```
/// use tapkey_driver::CancelToken;
///
/// let all = CancelToken::new();
/// let (one, two) = (all.child(), all.child());
/// one.cancel();
/// assert!(one.is_cancelled() && !two.is_cancelled() && !all.is_cancelled());
/// all.cancel();
/// assert!(two.is_cancelled());
/// ```
#[derive(Clone, Debug, Default)]
pub struct CancelToken(Arc<Fired>);

#[derive(Debug, Default)]
struct Fired {
    here: AtomicBool,
    above: Option<CancelToken>,
}

impl CancelToken {
    /// A token that was not fired.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A token for a part of what this one ends: it counts as fired when this one is, and firing it
    /// leaves this one as it is.
    #[must_use]
    pub fn child(&self) -> Self {
        Self(Arc::new(Fired { here: AtomicBool::new(false), above: Some(self.clone()) }))
    }

    /// Ends the operations that watch this token, within about a tenth of a second.
    pub fn cancel(&self) {
        self.0.here.store(true, Ordering::SeqCst);
    }

    /// Whether it was fired, or one that it is a part of.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.here.load(Ordering::SeqCst) || self.0.above.as_ref().is_some_and(Self::is_cancelled)
    }
}

/// What a person should know about touches.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TouchEvent {
    /// The key blinks and waits. Told once for each wait, first of all.
    Needed {
        /// How long the key will wait, in seconds, where it says so.
        seconds_left: Option<u8>,
    },
    /// It still waits, and another second has gone. Told only by keys that count, over HID.
    Waiting {
        /// How long the key will wait from now, in seconds.
        seconds_left: u8,
    },
    /// The wait is over, for whatever reason; the operation's result says which.
    Over,
}

const BUSY_PATIENCE: Duration = Duration::from_secs(2);
/// The longest time between two looks at the cancel token.
const SLEEP_PIECE: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn a_deadline_cuts_a_sleep_short() {
        let clock = Arc::new(ManualClock::new());
        let control = Control::with_clock(clock.clone()).with_timeout(Duration::from_millis(250));
        assert!(matches!(control.sleep(Duration::from_secs(9)), Err(Error::DeadlinePassed)));
        assert_eq!(clock.elapsed(), Duration::from_millis(250));
    }

    #[test]
    fn a_token_ends_a_sleep_within_a_piece() {
        let token = CancelToken::new();
        let fire = token.clone();
        let clock = Arc::new(ManualClock::with_hook(move |elapsed| {
            if elapsed >= Duration::from_millis(300) {
                fire.cancel();
            }
        }));
        let control = Control::with_clock(clock.clone()).with_cancel(token);
        assert!(matches!(control.sleep(Duration::from_secs(9)), Err(Error::Cancelled)));
        assert_eq!(clock.elapsed(), Duration::from_millis(300));
    }

    #[test]
    fn an_endless_timeout_is_no_deadline() {
        assert_eq!(Control::new().with_timeout(Duration::MAX).remaining(), None);
    }
}
