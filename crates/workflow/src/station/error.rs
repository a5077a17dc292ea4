//! What ends a station's run.

use std::{error::Error, io, path::PathBuf};

use tapkey_driver::Error as KeyFailure;
use tapkey_protocol::{link::LinkError, slot::Slot};
use thiserror::Error;

use super::BundleFileError;
use crate::enrolment::{EnrolError, KeyError, TouchError};

/// The first thing that was not as expected. What was done before it is done.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StationError {
    /// The key shows no serial number, so it could not be known again after an interruption.
    #[error("{name} does not show its serial number, so a station cannot keep track of it; enrol it alone")]
    NoSerial {
        /// The key.
        name: String,
    },
    /// The slot holds something that nobody gave this station leave to overwrite.
    #[error("slot {slot} of the key {serial} is programmed, and what it holds would be lost")]
    SlotProgrammed {
        /// Which key.
        serial: u32,
        /// Which slot.
        slot: Slot,
    },
    /// The key is not one that this job is for.
    #[error("the key {serial} is not one for this job: {why}")]
    Unfit {
        /// Which key.
        serial: u32,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody is left to give the key to.
    #[error("no account is left for the key {serial}: {why}")]
    ListExhausted {
        /// Which key.
        serial: u32,
        /// Who has them all.
        why: String,
    },
    /// The list names an account or label that no server takes, or a pattern makes one.
    #[error("the key {serial} cannot be labelled {label:?}: a label has 1 to 128 characters")]
    Label {
        /// Which key.
        serial: u32,
        /// What it would be.
        label: String,
    },
    /// Programming or enrolling the key failed.
    #[error("the key {serial}: {source}")]
    Key {
        /// Which key.
        serial: u32,
        /// Why, and what its slot holds.
        source: EnrolError,
    },
    /// The key could not be read.
    #[error("{name} could not be read: {source}")]
    Read {
        /// The key.
        name: String,
        /// Why.
        source: KeyError,
    },
    /// An interrupted run may have left an access code in the slot that only the server can read.
    #[error(
        "the key {serial} was cut off while it was programmed, and refuses to be programmed anew: its slot may \
         hold the record {record} with an access code that only the server can read; import the bundle first"
    )]
    Locked {
        /// Which key.
        serial: u32,
        /// What it may hold.
        record: String,
        /// What the key said.
        source: EnrolError,
    },
    /// The bundle could not be written; the key's slot is as it was.
    #[error(transparent)]
    Bundle(#[from] BundleFileError),
    /// The journal could not be written, and without it nothing may be done.
    #[error(transparent)]
    Journal(#[from] StationJournalError),
    /// Keys can no longer be looked for.
    #[error("keys cannot be looked for: {0}")]
    Source(#[source] Box<dyn Error + Send + Sync>),
}

impl StationError {
    /// Whether Ctrl-C, or whatever else cancels, was the reason.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        match self {
            Self::Key { source: EnrolError::Touch { source: TouchError::Cancelled, .. }, .. } => true,
            _ => self.key_error().is_some_and(|error| matches!(failure(error), Some(KeyFailure::Cancelled))),
        }
    }

    /// Whether the key was pulled out.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        let removed = |error| matches!(failure(error), Some(KeyFailure::Link(LinkError::Removed)));
        self.key_error().is_some_and(removed)
    }

    /// Whether the key is as it was and nothing waits for it, so that its account is free again.
    pub(super) const fn leaves_nothing(&self) -> bool {
        match self {
            Self::Bundle(_) | Self::Unfit { .. } | Self::SlotProgrammed { .. } | Self::Label { .. } => true,
            Self::Key { source, .. } => match source {
                EnrolError::SlotProgrammed { .. }
                | EnrolError::NoSerial
                | EnrolError::Read(_)
                | EnrolError::Refused(_)
                | EnrolError::Malformed(_) => true,
                EnrolError::Server(error) => error.code.is_some(),
                _ => false,
            },
            _ => false,
        }
    }

    const fn key_error(&self) -> Option<&KeyError> {
        match self {
            Self::Read { source, .. }
            | Self::Key {
                source:
                    EnrolError::Read(source) | EnrolError::Refused(source) | EnrolError::Interrupted(source),
                ..
            } => Some(source),
            _ => None,
        }
    }
}

fn failure(error: &KeyError) -> Option<&KeyFailure> {
    error.source.downcast_ref()
}

/// Why a station's journal could not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StationJournalError {
    /// The file cannot be read or written.
    #[error("cannot use the station's journal {}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has it.
    #[error("another station works with the journal {}", path.display())]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// A line cannot be read.
    #[error("line {line} of the station's journal {} is damaged: {source}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// It belongs to another job.
    #[error("the station's journal {} belongs to another job ({purpose}); name another file", path.display())]
    OtherJob {
        /// Which file.
        path: PathBuf,
        /// What that job is.
        purpose: String,
    },
    /// The key has no account.
    #[error("the key {serial} has no account in this job that could be released")]
    NothingToRelease {
        /// Which key.
        serial: u32,
    },
}
