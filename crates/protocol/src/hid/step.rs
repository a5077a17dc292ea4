//! What passes between an [`Exchange`](super::Exchange) and the code that drives it.

use std::fmt;

use thiserror::Error;

use super::{Report, Status, split};

/// How long to wait between looks at a key that waits for a touch.
pub const TOUCH_POLL_MILLISECONDS: u32 = 100;

/// What the command answers when the key accepts it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Expect {
    /// No data: the programming sequence moves.
    Programming,
    /// Exactly this many bytes.
    Data {
        /// Their number.
        length: usize,
    },
    /// A length byte and as many bytes as it says, such as a page of device information.
    LengthPrefixed,
}

/// How often to look at a busy key before giving up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Budget {
    /// Looks before each part is written. Waits double from 1 ms to 50 ms.
    pub write_ready: u32,
    /// Looks for the answer, not counting those during a touch wait. Waits double from 1 ms to 20 ms.
    pub response: u32,
}

/// What the caller did.
#[derive(Clone, Copy)]
pub enum Input {
    /// Begin.
    Start,
    /// The report of [`Step::Write`] was written.
    Written,
    /// The report that [`Step::Read`] asked for.
    Report(Report),
    /// The wait of [`Step::Wait`] or [`Step::AwaitTouch`] is over.
    Waited,
    /// The caller gives up, at any moment.
    Cancel,
}

/// What the caller does next.
#[derive(Clone, Eq, PartialEq)]
pub enum Step {
    /// Write this report.
    Write(Report),
    /// Read a report.
    Read,
    /// Wait, then go on.
    Wait {
        /// For so long.
        milliseconds: u32,
    },
    /// The key waits for a touch: tell the person, wait [`TOUCH_POLL_MILLISECONDS`], then go on.
    AwaitTouch {
        /// How long the key will wait, as it says itself.
        seconds_left: u8,
    },
    /// The end.
    Done(Outcome),
}

/// What came of the command.
#[derive(Clone, Eq, PartialEq)]
pub enum Outcome {
    /// A write was accepted.
    Status {
        /// The status before it.
        before: Status,
        /// The status after it.
        after: Status,
    },
    /// The answer, without CRC and padding.
    Data(Vec<u8>),
}

/// Why there is no outcome.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The key went idle without doing what it was told: wrong access code, a slot of another
    /// kind, or a command that the firmware does not know. The key does not say which.
    #[error(
        "the key rejected the command; the slot may be empty, of another kind, or protected by an access code"
    )]
    Rejected {
        /// The status before the command.
        before: Status,
        /// The status after it.
        after: Status,
    },
    /// Nobody touched the key in time.
    #[error("nobody touched the key in time; run the command again and touch the key when it blinks")]
    TouchTimedOut,
    /// The checksum of the answer is wrong.
    #[error("the checksum of the key's answer is wrong; run the command again")]
    BadCrc,
    /// The answer is shorter than the command's answer must be.
    #[error("the key answered {found} bytes, {expected} were expected")]
    TooShort {
        /// With the CRC.
        expected: usize,
        /// What arrived.
        found: usize,
    },
    /// A part of the answer is missing.
    #[error(
        "part {expected} of the key's answer is missing, part {found} came instead; run the command again"
    )]
    UnexpectedPart {
        /// The part that was due.
        expected: u8,
        /// The part that came.
        found: u8,
    },
    /// The key was busy for all the polls the caller allowed.
    #[error("the key stays busy; unplug it and plug it in again")]
    NotReady,
    /// The payload does not fit a frame.
    #[error("a payload of {length} bytes does not fit, 64 do")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// The caller gave up.
    #[error("the command was cancelled")]
    Cancelled,
    /// The input does not answer the last step: a mistake in the calling code.
    #[error("the exchange was driven out of order")]
    OutOfOrder,
}

impl Default for Budget {
    /// About 1.3 s before each part (a swap of slots takes up to 0.92 s) and about 2 s for the answer.
    fn default() -> Self {
        Self { write_ready: 30, response: 104 }
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("Start"),
            Self::Written => f.write_str("Written"),
            Self::Report(report) => write!(f, "Report(flag {:#04x})", split(report).1),
            Self::Waited => f.write_str("Waited"),
            Self::Cancel => f.write_str("Cancel"),
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write(report) => write!(f, "Write(part {:#04x})", split(report).1),
            Self::Read => f.write_str("Read"),
            Self::Wait { milliseconds } => write!(f, "Wait({milliseconds} ms)"),
            Self::AwaitTouch { seconds_left } => write!(f, "AwaitTouch({seconds_left} s)"),
            Self::Done(outcome) => write!(f, "Done({outcome:?})"),
        }
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status { before, after } => write!(f, "Status({} -> {})", before.sequence, after.sequence),
            Self::Data(data) => write!(f, "Data({} bytes)", data.len()),
        }
    }
}
