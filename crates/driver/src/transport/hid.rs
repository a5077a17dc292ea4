//! One command over feature reports.

use std::time::{Duration, Instant};

use tapkey_protocol::hid::{
    Exchange, ExchangeError, Expect, FLAG_WRITE, Input, Outcome, PAYLOAD_SIZE, RESET_REPORT, Status, Step,
    TOUCH_POLL_MILLISECONDS,
};
use tapkey_protocol::link::OtpLink;
use tapkey_protocol::slot::SlotCommand;
use tapkey_protocol::version::Version;

use super::Failure;
use crate::control::{Control, TouchEvent};
use crate::error::{Error, InputError, Malformed, Refusal};

/// The OTP interface of a key, with what its firmware needs to be handled with care.
pub(crate) struct Reports {
    link: Box<dyn OtpLink>,
    version: Option<Version>,
    /// The interface is known to take commands.
    settled: bool,
}

impl Reports {
    pub(crate) fn new(link: impl OtpLink + 'static) -> Self {
        Self { link: Box::new(link), version: None, settled: false }
    }

    /// Reads the status. A NEO shows an old one until something was written, so a scan map that no
    /// key accepts is written to it first.
    pub(crate) fn status(&mut self, control: &Control) -> Result<Status, Error> {
        let status = status(&mut *self.link, control)?;
        self.version = Some(status.version);
        if status.version.major != NEO {
            return Ok(status);
        }
        match run(&mut *self.link, SlotCommand::ScanMap, &[b'c'; 51], Expect::Programming, control) {
            Ok(_) | Err(Failure::Rejected) => {}
            Err(Failure::Error(error)) => return Err(error),
        }
        self::status(&mut *self.link, control)
    }

    /// Sends a command that answers data.
    pub(crate) fn read(
        &mut self,
        command: SlotCommand,
        payload: &[u8],
        expect: Expect,
        control: &Control,
    ) -> Result<Vec<u8>, Failure> {
        match self.run(command, payload, expect, control)? {
            Outcome::Data(data) => Ok(data),
            Outcome::Status { .. } => Err(Malformed::from(ExchangeError::OutOfOrder).into()),
        }
    }

    /// Sends a command that changes something.
    pub(crate) fn write(
        &mut self,
        command: SlotCommand,
        payload: &[u8],
        control: &Control,
    ) -> Result<(), Failure> {
        match self.run(command, payload, Expect::Programming, control)? {
            Outcome::Status { .. } => Ok(()),
            Outcome::Data(_) => Err(Malformed::from(ExchangeError::OutOfOrder).into()),
        }
    }

    /// Runs a command, once more if the first rejection came only because the key had not yet
    /// switched to this interface. Sending it again is safe: a rejected command did nothing.
    fn run(
        &mut self,
        command: SlotCommand,
        payload: &[u8],
        expect: Expect,
        control: &Control,
    ) -> Result<Outcome, Failure> {
        let first = run(&mut *self.link, command, payload, expect, control);
        if first.is_ok() {
            self.settled = true;
        }
        match first {
            Err(Failure::Rejected) if !self.settled && self.settle(control)? => {
                run(&mut *self.link, command, payload, expect, control)
            }
            result => result,
        }
    }

    /// A key that was just used through another interface rejects everything here for up to three
    /// seconds (a tenth of a second from firmware 5.6 on). Asks it something harmless until it
    /// answers. True when it had refused that at first, so that other rejections mean nothing.
    fn settle(&mut self, control: &Control) -> Result<bool, Failure> {
        self.settled = true;
        let version = match self.version {
            Some(version) => version,
            None => self.status(control)?.version,
        };
        if version.major < NEO {
            // One interface only.
            return Ok(false);
        }
        let (probe, expect) = if version >= DEVICE_INFO_SINCE {
            (SlotCommand::ReadDeviceInfo, Expect::LengthPrefixed)
        } else {
            (SlotCommand::Serial, Expect::Data { length: 4 })
        };
        let limit = if version >= QUICK_RECLAIM_SINCE { QUICK_RECLAIM } else { SLOW_RECLAIM };
        let start = control.clock().now();
        for attempt in 0_u32.. {
            match run(&mut *self.link, probe, &[0], expect, control) {
                Ok(_) => return Ok(attempt > 0),
                Err(Failure::Rejected) => {}
                Err(error) => return Err(error),
            }
            if control.clock().now().duration_since(start) >= limit {
                break;
            }
            control.sleep(RECLAIM_POLL)?;
        }
        // The probe is refused for a reason of its own, such as a hidden serial number.
        Ok(false)
    }
}

/// Sends a command and waits for its outcome.
fn run(
    link: &mut dyn OtpLink,
    command: SlotCommand,
    payload: &[u8],
    expect: Expect,
    control: &Control,
) -> Result<Outcome, Failure> {
    control.check()?;
    let mut exchange = Exchange::new(command.code(), payload, expect).map_err(translate)?;
    let mut touch = TouchWatch::new(control);
    let mut input = Input::Start;
    loop {
        // Looked at before every single report, so that a cancelled write of ten parts ends early.
        if let Err(reason) = touch.check() {
            take_back(link, &mut exchange);
            return Err(reason.into());
        }
        input = match exchange.step(input).map_err(translate)? {
            Step::Write(report) => {
                link.write_report(&report)?;
                Input::Written
            }
            Step::Read => Input::Report(link.read_report()?),
            Step::Wait { milliseconds } => {
                pause(control, milliseconds);
                Input::Waited
            }
            Step::AwaitTouch { seconds_left } => {
                touch.waiting(seconds_left);
                pause(control, TOUCH_POLL_MILLISECONDS);
                Input::Waited
            }
            Step::Done(outcome) => return Ok(outcome),
        };
    }
}

/// Reads the status of an idle key, waking it from whatever another program left behind.
fn status(link: &mut dyn OtpLink, control: &Control) -> Result<Status, Error> {
    for _ in 0..STATUS_TRIES {
        control.check()?;
        let report = link.read_report()?;
        if let Some(status) = Status::from_report(&report) {
            return Ok(status);
        }
        let [.., flag] = report;
        if flag & FLAG_WRITE == 0 {
            link.write_report(&RESET_REPORT)?;
        } else {
            control.sleep(STATUS_WAIT)?;
        }
    }
    Err(Error::NotReady)
}

/// Tells the key to forget the command. The reason to give up counts, not whether this succeeds.
fn take_back(link: &mut dyn OtpLink, exchange: &mut Exchange) {
    if let Ok(Step::Write(reset)) = exchange.step(Input::Cancel)
        && link.write_report(&reset).is_ok()
    {
        let _ = exchange.step(Input::Written);
    }
}

fn pause(control: &Control, milliseconds: u32) {
    let wanted = Duration::from_millis(u64::from(milliseconds));
    let allowed = control.remaining().unwrap_or(wanted);
    control.clock().sleep(wanted.min(allowed));
}

fn translate(error: ExchangeError) -> Failure {
    match error {
        ExchangeError::Rejected { .. } => Failure::Rejected,
        ExchangeError::TouchTimedOut => Failure::Error(Refusal::TouchTimedOut.into()),
        ExchangeError::NotReady => Failure::Error(Error::NotReady),
        ExchangeError::Cancelled => Failure::Error(Error::Cancelled),
        ExchangeError::TooLong { length } => {
            Failure::Error(InputError::TooLong { length, limit: PAYLOAD_SIZE }.into())
        }
        other => Failure::Error(Malformed::from(other).into()),
    }
}

/// Tells the caller that a touch is awaited, for how many seconds still, and that it no longer is;
/// ends a wait that the key itself would never end.
struct TouchWatch<'a> {
    control: &'a Control,
    since: Option<Instant>,
    told: u8,
}

impl<'a> TouchWatch<'a> {
    const fn new(control: &'a Control) -> Self {
        Self { control, since: None, told: 0 }
    }

    fn waiting(&mut self, seconds_left: u8) {
        if self.since.is_none() {
            self.since = Some(self.control.clock().now());
            self.control.tell(TouchEvent::Needed { seconds_left: Some(seconds_left) });
        } else if seconds_left != self.told {
            self.control.tell(TouchEvent::Waiting { seconds_left });
        }
        self.told = seconds_left;
    }

    fn check(&self) -> Result<(), Error> {
        self.control.check()?;
        match self.since {
            Some(since) if self.control.clock().now().duration_since(since) > LONGEST_TOUCH_WAIT => {
                Err(Error::NotReady)
            }
            _ => Ok(()),
        }
    }
}

impl Drop for TouchWatch<'_> {
    fn drop(&mut self) {
        if self.since.is_some() {
            self.control.tell(TouchEvent::Over);
        }
    }
}

/// More than the longest wait that a key can be configured for, which is 255 seconds.
const LONGEST_TOUCH_WAIT: Duration = Duration::from_secs(260);
const NEO: u8 = 3;
const DEVICE_INFO_SINCE: Version = Version::new(4, 1, 0);
const QUICK_RECLAIM_SINCE: Version = Version::new(5, 6, 0);
const QUICK_RECLAIM: Duration = Duration::from_millis(400);
const SLOW_RECLAIM: Duration = Duration::from_millis(3500);
const RECLAIM_POLL: Duration = Duration::from_millis(100);
const STATUS_TRIES: u32 = 40;
const STATUS_WAIT: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests;
