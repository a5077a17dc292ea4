//! The host's side of the report exchange, without a clock and without a device.

use std::fmt;

use thiserror::Error;
use zeroize::Zeroize;

use super::frame::{Frame, FrameError, RESET_REPORT};
use super::{
    FLAG_RESPONSE, FLAG_TOUCH, FLAG_WRITE, MASK_SEQUENCE, REPORT_DATA, Report, Status, accepted_over_hid,
    split,
};
use crate::crc;

/// How long to wait between looks at a key that waits for a touch.
pub const TOUCH_POLL_MILLISECONDS: u32 = 100;

/// One command and its answer.
///
/// Call [`step`](Self::step) with [`Input::Start`], do what the [`Step`] says, pass the result in,
/// and so on until [`Step::Done`]. The deadline belongs to the caller: when it passes, pass
/// [`Input::Cancel`], which tells the key to forget the command.
///
/// ```
/// use tapkey_protocol::hid::{DeviceSide, Event, Exchange, Expect, Input, Outcome, Status, Step, TouchLevel};
/// use tapkey_protocol::version::Version;
///
/// // A key that knows one command: its serial number.
/// let mut key = DeviceSide::new();
/// let status = Status { version: Version::new(5, 7, 4), sequence: 0, touch_level: TouchLevel(0) };
///
/// let mut exchange = Exchange::new(0x10, &[], Expect::Data { length: 4 })?;
/// let mut input = Input::Start;
/// let outcome = loop {
///     input = match exchange.step(input)? {
///         Step::Write(report) => {
///             if let Event::Frame { .. } = key.write_report(&report) {
///                 key.respond(&[0, 0xBC, 0x61, 0x4E])?;
///             }
///             Input::Written
///         }
///         Step::Read => Input::Report(key.read_report(status)),
///         Step::Wait { .. } | Step::AwaitTouch { .. } => Input::Waited,
///         Step::Done(outcome) => break outcome,
///     };
/// };
/// assert_eq!(outcome, Outcome::Data(vec![0, 0xBC, 0x61, 0x4E]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Exchange {
    reports: Vec<Report>,
    next_report: usize,
    expect: Expect,
    budget: Budget,
    polls: u32,
    before: Option<Status>,
    touched: bool,
    collected: Vec<u8>,
    parts: u8,
    state: State,
}

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
#[derive(Clone, Copy, Debug)]
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

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    New,
    /// Reading the status from before the command.
    Preparing,
    /// Reading until the key takes the next part.
    Ready,
    /// A part is being written.
    Writing,
    /// Reading the answer.
    Reading,
    /// The reset after an answer is being written.
    Resetting,
    /// A reset before the command is being written, because the key shows something stale.
    Clearing,
    /// The reset after a failure is being written.
    Failing(ExchangeError),
    Finished,
}

impl Exchange {
    /// Prepares a command.
    ///
    /// # Errors
    /// [`ExchangeError::TooLong`] for more than 64 bytes of payload.
    pub fn new(command_code: u8, payload: &[u8], expect: Expect) -> Result<Self, ExchangeError> {
        let frame = Frame::new(command_code, payload)
            .map_err(|_: FrameError| ExchangeError::TooLong { length: payload.len() })?;
        Ok(Self {
            reports: frame.reports(),
            next_report: 0,
            expect,
            budget: Budget::default(),
            polls: 0,
            before: None,
            touched: false,
            collected: Vec::new(),
            parts: 0,
            state: State::New,
        })
    }

    /// The same with another budget of polls.
    #[must_use]
    pub fn with_budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// The status that the key showed before the command, once it was read.
    #[must_use]
    pub const fn before(&self) -> Option<Status> {
        self.before
    }

    /// Takes what the caller did and says what to do next.
    ///
    /// # Errors
    /// [`ExchangeError`] ends the exchange. Where the key must forget something first, the reset is
    /// written before the error is returned.
    pub fn step(&mut self, input: Input) -> Result<Step, ExchangeError> {
        match (self.state, input) {
            (State::Finished, _) => Err(ExchangeError::OutOfOrder),
            (State::New, Input::Cancel) => self.end(ExchangeError::Cancelled),
            (State::New, Input::Start) => Ok(self.enter(State::Preparing)),
            (State::Failing(error), Input::Written | Input::Cancel) => self.end(error),
            (_, Input::Cancel) => Ok(self.fail(ExchangeError::Cancelled)),
            (State::Preparing | State::Ready | State::Reading, Input::Waited) => Ok(Step::Read),
            (State::Clearing, Input::Written) => Ok(self.resume(State::Preparing)),
            (State::Writing, Input::Written) => Ok(self.written()),
            (State::Resetting, Input::Written) => self.complete(),
            (State::Preparing, Input::Report(report)) => Ok(self.prepare(&report)),
            (State::Ready, Input::Report(report)) => Ok(self.write_when_ready(&report)),
            (State::Reading, Input::Report(report)) => self.read(&report),
            _ => Err(ExchangeError::OutOfOrder),
        }
    }

    fn prepare(&mut self, report: &Report) -> Step {
        let (_, flag) = split(report);
        if let Some(status) = Status::from_report(report) {
            self.before = Some(status);
            return self.write_when_ready(report);
        }
        if flag & FLAG_WRITE != 0 {
            return self.poll(self.budget.write_ready, WRITE_WAIT_MILLISECONDS);
        }
        // An answer or a touch wait that another program left behind.
        self.polls += 1;
        if self.polls > self.budget.write_ready {
            return self.fail(ExchangeError::NotReady);
        }
        self.state = State::Clearing;
        Step::Write(RESET_REPORT)
    }

    fn write_when_ready(&mut self, report: &Report) -> Step {
        let (_, flag) = split(report);
        if flag & FLAG_WRITE != 0 {
            self.state = State::Ready;
            return self.poll(self.budget.write_ready, WRITE_WAIT_MILLISECONDS);
        }
        match self.reports.get(self.next_report) {
            Some(report) => {
                let report = *report;
                self.next_report += 1;
                self.state = State::Writing;
                Step::Write(report)
            }
            None => self.enter(State::Reading),
        }
    }

    fn written(&mut self) -> Step {
        let more = self.next_report < self.reports.len();
        self.enter(if more { State::Ready } else { State::Reading })
    }

    fn read(&mut self, report: &Report) -> Result<Step, ExchangeError> {
        let (data, flag) = split(report);
        if let Some(after) = Status::from_report(report) {
            return self.idle(after);
        }
        if flag & FLAG_WRITE != 0 {
            return Ok(self.poll(self.budget.response, RESPONSE_WAIT_MILLISECONDS));
        }
        if flag & FLAG_RESPONSE != 0 {
            return Ok(self.part(flag & MASK_SEQUENCE, data));
        }
        if flag & FLAG_TOUCH != 0 {
            self.touched = true;
            self.polls = 0;
            return Ok(Step::AwaitTouch { seconds_left: flag & MASK_SEQUENCE });
        }
        Ok(self.poll(self.budget.response, RESPONSE_WAIT_MILLISECONDS))
    }

    fn part(&mut self, index: u8, data: [u8; REPORT_DATA]) -> Step {
        if index == 0 && self.parts > 0 {
            self.state = State::Resetting;
            return Step::Write(RESET_REPORT);
        }
        if index == self.parts {
            self.collected.extend_from_slice(&data);
            self.parts += 1;
            self.polls = 0;
            return Step::Read;
        }
        if index + 1 == self.parts {
            // The key was read faster than it moves on.
            return self.poll(self.budget.response, RESPONSE_WAIT_MILLISECONDS);
        }
        self.fail(ExchangeError::UnexpectedPart { expected: self.parts, found: index })
    }

    /// The key shows its status, so no (more) data comes.
    fn idle(&mut self, after: Status) -> Result<Step, ExchangeError> {
        if self.parts > 0 {
            return self.complete();
        }
        let Some(before) = self.before else {
            return self.end(ExchangeError::OutOfOrder);
        };
        if self.expect == Expect::Programming && accepted_over_hid(before, after) {
            self.state = State::Finished;
            return Ok(Step::Done(Outcome::Status { before, after }));
        }
        if self.touched {
            return self.end(ExchangeError::TouchTimedOut);
        }
        self.end(ExchangeError::Rejected { before, after })
    }

    fn complete(&mut self) -> Result<Step, ExchangeError> {
        self.state = State::Finished;
        let length = match self.expect {
            Expect::Data { length } => length,
            Expect::LengthPrefixed => self.collected.first().map_or(1, |length| usize::from(*length) + 1),
            // Data where none was due: whatever it is, it is not the answer to this command.
            Expect::Programming => {
                return Err(ExchangeError::UnexpectedPart { expected: 0, found: self.parts });
            }
        };
        let found = self.collected.len();
        let with_crc = self
            .collected
            .get(..length + 2)
            .ok_or(ExchangeError::TooShort { expected: length + 2, found })?;
        if crc::checksum(with_crc) != crc::RESIDUAL {
            return Err(ExchangeError::BadCrc);
        }
        let data = with_crc.get(..length).unwrap_or_default().to_vec();
        self.collected.zeroize();
        Ok(Step::Done(Outcome::Data(data)))
    }

    fn enter(&mut self, state: State) -> Step {
        self.polls = 0;
        self.resume(state)
    }

    fn resume(&mut self, state: State) -> Step {
        self.state = state;
        Step::Read
    }

    fn poll(&mut self, budget: u32, longest: u32) -> Step {
        self.polls += 1;
        if self.polls > budget {
            return self.fail(ExchangeError::NotReady);
        }
        let milliseconds = 1_u32.checked_shl(self.polls - 1).unwrap_or(longest).min(longest);
        Step::Wait { milliseconds }
    }

    fn fail(&mut self, error: ExchangeError) -> Step {
        self.state = State::Failing(error);
        Step::Write(RESET_REPORT)
    }

    fn end(&mut self, error: ExchangeError) -> Result<Step, ExchangeError> {
        self.state = State::Finished;
        Err(error)
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.reports.zeroize();
        self.collected.zeroize();
    }
}

impl Default for Budget {
    /// About 1.3 s before each part (a swap of slots takes up to 0.92 s) and about 2 s for the answer.
    fn default() -> Self {
        Self { write_ready: 30, response: 104 }
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("state", &self.state)
            .field("expect", &self.expect)
            .field("parts", &self.parts)
            .finish_non_exhaustive()
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

const WRITE_WAIT_MILLISECONDS: u32 = 50;
const RESPONSE_WAIT_MILLISECONDS: u32 = 20;

#[cfg(test)]
mod tests;
