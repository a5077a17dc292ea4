//! What a watch looks at.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::connector::Connector;
use crate::control::Control;
use crate::discover::Diagnostic;
use crate::error::Error;

/// Tells which interfaces of keys are there, without opening one.
pub trait Source: Send {
    /// Looks. `nudged` says that there was news, so nothing remembered is good enough.
    fn look(&mut self, nudged: bool, now: Instant) -> Look;

    /// How long to wait between two looks when there is no news.
    fn interval(&self) -> Duration {
        Duration::from_millis(400)
    }

    /// Waits for news, at most so long. Whether there was any.
    ///
    /// # Errors
    /// [`Error::Cancelled`] or [`Error::DeadlinePassed`].
    fn wait(&mut self, limit: Duration, control: &Control) -> Result<bool, Error> {
        control.sleep(limit)?;
        Ok(false)
    }
}

/// What is there at one moment.
#[derive(Debug, Default)]
pub struct Look {
    /// The interfaces.
    pub sightings: Vec<Sighting>,
    /// What could not be looked at.
    pub problems: Vec<Diagnostic>,
    /// Whether smart cards would have been seen, which makes it worth waiting for the second half
    /// of a key.
    pub sees_cards: bool,
}

/// One interface that is there.
#[derive(Clone)]
pub struct Sighting {
    /// The way to it.
    pub connector: Arc<dyn Connector>,
    /// Names it for as long as it stays plugged in, and is another one after it was plugged in anew.
    pub mark: String,
}

impl fmt::Debug for Sighting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sighting").field("mark", &self.mark).finish_non_exhaustive()
    }
}
