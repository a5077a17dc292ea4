//! The host's side of the report exchange, without a clock and without a device.

use std::fmt;

use zeroize::Zeroize;

use super::frame::{Frame, FrameError, RESET_REPORT};
use super::step::{Budget, ExchangeError, Expect, Input, Outcome, Step};
use super::{
    FLAG_RESPONSE, FLAG_TOUCH, FLAG_WRITE, MASK_SEQUENCE, REPORT_DATA, Report, Status, accepted_over_hid,
    split,
};
use crate::crc;

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

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("state", &self.state)
            .field("expect", &self.expect)
            .field("parts", &self.parts)
            .finish_non_exhaustive()
    }
}

const WRITE_WAIT_MILLISECONDS: u32 = 50;
const RESPONSE_WAIT_MILLISECONDS: u32 = 20;

#[cfg(test)]
mod tests;
