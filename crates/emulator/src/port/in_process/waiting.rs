//! Waiting until somebody else uses the key, and passing on what it types: for ports that carry
//! the key to a host.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::{Clock, PluggedKey, Shared};
use crate::clock::Milliseconds;
use crate::key::{Press, Typed, VirtualKey};

type Queue = Mutex<VecDeque<Typed>>;

/// Who waits, and who listens to the keyboard.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    waiting: AtomicUsize,
    used: Condvar,
    keyboards: Mutex<Vec<Weak<Queue>>>,
}

/// What the key types, for somebody who passes it on; see [`PluggedKey::keyboard`].
#[derive(Debug)]
pub struct Keyboard {
    typed: Arc<Queue>,
}

impl Keyboard {
    /// The next thing that was typed and not yet taken.
    #[must_use]
    pub fn take(&self) -> Option<Typed> {
        self.typed.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// What [`PluggedKey::wait`] is to do next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wait<T> {
    /// Return this.
    Over(T),
    /// Look again when somebody has used the key, or at this time of the key.
    Until(Option<Milliseconds>),
}

impl PluggedKey {
    /// Listens to what [`press`](Self::press) and [`hold`](Self::hold) type from now on.
    #[must_use]
    pub fn keyboard(&self) -> Keyboard {
        let typed = Arc::default();
        self.keyboards().push(Arc::downgrade(&typed));
        Keyboard { typed }
    }

    /// Whether anybody listens to what the key types.
    #[must_use]
    pub fn has_keyboard(&self) -> bool {
        self.keyboards().iter().any(|one| one.strong_count() > 0)
    }

    /// Looks at the key again and again, after telling it the time, until `look` has found what it
    /// waits for: at once, then whenever somebody else has used the key, and when it asks to.
    pub fn wait<T>(&self, mut look: impl FnMut(&mut VirtualKey) -> Wait<T>) -> T {
        let waiters = &self.shared.waiters;
        let mut guard = self.lock();
        waiters.waiting.fetch_add(1, Ordering::SeqCst);
        loop {
            let pause = match look(&mut guard) {
                Wait::Over(found) => {
                    waiters.waiting.fetch_sub(1, Ordering::SeqCst);
                    return found;
                }
                Wait::Until(at) => self.shared.clock.pause(guard.now(), at),
            };
            guard = guard.sleep(pause);
            guard.tick(self.now());
        }
    }

    /// Wakes whoever waits, without using the key.
    pub fn wake(&self) {
        drop(self.lock());
    }

    /// Gives what was typed to those who listen.
    pub(super) fn pass_on(&self, press: &Press) {
        let Press::Typed(typed) = press else { return };
        self.keyboards().retain(|keyboard| {
            let Some(queue) = keyboard.upgrade() else { return false };
            queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(typed.clone());
            true
        });
    }

    fn keyboards(&self) -> MutexGuard<'_, Vec<Weak<Queue>>> {
        self.shared.waiters.keyboards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock {
    /// How long to sleep until a time.
    fn pause(&self, now: Milliseconds, until: Option<Milliseconds>) -> Duration {
        match (self, until) {
            (Self::System(_), Some(until)) => Duration::from_millis((until - now).0).min(LONGEST_SLEEP),
            (Self::System(_), None) => LONGEST_SLEEP,
            // Nobody tells when a clock is moved by hand.
            (Self::Manual(_), _) => Duration::from_millis(1),
        }
    }
}

/// The key, locked. Whoever waits looks again when it is let go.
pub(super) struct Guard<'a> {
    key: MutexGuard<'a, VirtualKey>,
    _wakes: Wakes<'a>,
}

/// Wakes those who wait when it goes.
struct Wakes<'a>(&'a Waiters);

impl<'a> Guard<'a> {
    pub(super) fn new(shared: &'a Shared) -> Self {
        // A panic elsewhere cannot leave the key half-changed: it changes by whole values.
        let key = shared.key.lock().unwrap_or_else(PoisonError::into_inner);
        Self { key, _wakes: Wakes(&shared.waiters) }
    }

    /// Lets the key go until somebody has used it, or for so long.
    fn sleep(self, pause: Duration) -> Self {
        let Self { key, _wakes: wakes } = self;
        let key = wakes.0.used.wait_timeout(key, pause).unwrap_or_else(PoisonError::into_inner).0;
        Self { key, _wakes: wakes }
    }
}

impl Deref for Guard<'_> {
    type Target = VirtualKey;

    fn deref(&self) -> &VirtualKey {
        &self.key
    }
}

impl DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut VirtualKey {
        &mut self.key
    }
}

impl Drop for Wakes<'_> {
    fn drop(&mut self) {
        // Waking nobody would still cost a system call.
        if self.0.waiting.load(Ordering::SeqCst) > 0 {
            self.0.used.notify_all();
        }
    }
}

const LONGEST_SLEEP: Duration = Duration::from_secs(1);
