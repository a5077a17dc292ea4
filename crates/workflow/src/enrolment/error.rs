//! Why an enrolment ended early, and what holds then.

use tapkey_protocol::{otp::PublicId, slot::Slot};
use thiserror::Error;

use super::{JournalError, KeyError, ServerError, TouchError};

/// Why an enrolment ended early. Each text says what the slot holds.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EnrolError {
    /// The slot holds something, and overwriting was not allowed. Nothing was changed.
    #[error(
        "slot {slot} is programmed, and what it holds would be lost; choose the other slot, or allow overwriting{}",
        if *leftover { " (it may be what an enrolment that was never finished left there)" } else { "" }
    )]
    SlotProgrammed {
        /// Which one.
        slot: Slot,
        /// Whether an enrolment that lapsed may have left its credential there.
        leftover: bool,
    },
    /// A public id from the serial number was asked for, and the key shows none. Nothing was changed.
    #[error(
        "the key does not show its serial number, so no public id can be made from it; let the server choose one"
    )]
    NoSerial,
    /// The key could not be read. Nothing was changed.
    #[error("the key could not be read; nothing was changed: {0}")]
    Read(#[source] KeyError),
    /// The key took nothing, and the pending credential was given up.
    #[error("the key refused the new credential; the slot is as it was: {0}")]
    Refused(#[source] KeyError),
    /// The slot may or may not hold the pending credential.
    #[error(
        "programming was interrupted; the slot holds its old content or the new credential, which is not active. \
         Run the same command again to finish: {0}"
    )]
    Interrupted(#[source] KeyError),
    /// The server refused or was not reached before the key was touched. The slot is as it was.
    #[error("{0}; the key was not changed")]
    Server(#[source] ServerError),
    /// The slot holds the pending credential, and no password came.
    #[error(
        "{source}; the slot holds the new credential, which is not active yet. Run the same command again to finish"
    )]
    Touch {
        /// Whose.
        public_id: PublicId,
        /// Why not.
        source: TouchError,
    },
    /// The slot holds the pending credential, and the server did not confirm it.
    #[error(
        "{source}; the slot holds the new credential, which may not be active yet. Run the same command again to finish"
    )]
    Confirm {
        /// Whose.
        public_id: PublicId,
        /// Why not.
        source: ServerError,
    },
    /// Several passwords in a row were not of this credential.
    #[error(
        "what was typed {tries} times is not a password of {public_id}: {why}. Run the same command again to finish"
    )]
    NotThisPassword {
        /// Whose it should have been.
        public_id: PublicId,
        /// How often.
        tries: u32,
        /// What was wrong the last time.
        why: String,
    },
    /// The server answered with something that is no credential. Nothing was changed.
    #[error("the server's answer is not a credential ({0}); the key was not changed")]
    Malformed(&'static str),
    /// The journal could not be read or written; without it an interruption could not be mended.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A thread of our own failed.
    #[error("internal: a background task failed")]
    Task,
}
