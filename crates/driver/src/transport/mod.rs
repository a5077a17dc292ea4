//! Carrying one command over a link, with deadline, cancellation and touch notices.

pub(crate) mod card;
pub(crate) mod hid;

use crate::error::Error;

/// Why a command came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The key refused and gave no reason that says anything, so the caller has to find out.
    Rejected,
    /// Anything else.
    Error(Error),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}
