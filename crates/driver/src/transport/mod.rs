//! Carrying one command over a link, with deadline, cancellation and touch notices.

pub(crate) mod card;
pub(crate) mod hid;

use tapkey_protocol::apdu::StatusWord;

use crate::error::Error;

/// Why a command came to nothing.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The key refused. Over HID it gives no reason, over a smart card at most a status word, so the
    /// caller has to find out.
    Rejected(Option<StatusWord>),
    /// Anything else.
    Error(Error),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}
