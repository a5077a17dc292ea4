//! What ports call: the key as a host meets it, with the faults of its plan.

use std::io;

use tapkey_protocol::hid::FLAG_WRITE;
use tapkey_protocol::link::{CardTransport, LinkError, Report};
use tapkey_protocol::transcript::recording::{Interface, LinkTape, Tape};
use thiserror::Error;
use zeroize::Zeroize;

use super::{Power, VirtualKey};
use crate::applet::otp::{self, Via};
use crate::clock::Milliseconds;
use crate::faults::{Fault, Faults, Occasion, ReadFate, WriteFate};

/// Why bytes did not pass between a host and the key.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum HostError {
    /// The key has no power, or lost it just now.
    #[error("the key was removed")]
    Removed,
    /// The key stalled the transfer.
    #[error("the key stalled the transfer")]
    Stalled,
    /// The key does not answer: it is suspended, or its card is mute.
    #[error("the key does not answer")]
    TimedOut,
}

/// A card's response.
#[derive(Clone, Eq, PartialEq)]
pub struct Transmitted {
    /// Data and status word.
    pub response: Vec<u8>,
    /// The port lets so much time pass before it hands the response over.
    pub delay: Milliseconds,
}

/// Where it is written down what hosts do.
#[derive(Debug)]
pub(super) struct Tapes {
    tape: Tape,
    otp: Option<LinkTape>,
    card: Option<LinkTape>,
    /// The command that waits for its response.
    command: Vec<u8>,
}

impl Tapes {
    /// The power is back: links from before are of no more use.
    pub(super) fn begin_anew(&mut self) {
        self.otp = None;
        self.card = None;
    }

    fn otp(&mut self) -> &mut LinkTape {
        self.otp.get_or_insert_with(|| self.tape.open(Interface::Otp))
    }

    fn responded(&mut self, transport: CardTransport, result: &Result<Option<Transmitted>, HostError>) {
        let result = match result {
            Ok(None) => return,
            Ok(Some(transmitted)) => Ok(transmitted.response.clone()),
            Err(error) => Err(LinkError::from(*error)),
        };
        let card = self.card.get_or_insert_with(|| self.tape.open(transport.into()));
        card.transmitted(&self.command, &result);
        self.command.zeroize();
    }
}

/// What becomes of the response to the command under way.
#[derive(Debug, Default)]
pub(super) struct AfterCommand {
    error: Option<HostError>,
    length: Option<usize>,
    delay: Milliseconds,
}

impl VirtualKey {
    /// Its faults. The plan may be changed at any time.
    #[must_use]
    pub const fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Records what hosts write, read and send from now on by the methods below. A link begins with
    /// the first use after each power-up.
    pub fn record(&mut self, tape: Tape) {
        self.tapes = Some(Tapes { tape, otp: None, card: None, command: Vec::new() });
    }

    /// A host writes a feature report: [`write_report`](Self::write_report), with faults.
    ///
    /// # Errors
    /// [`HostError`] when the report did not arrive, and the host notices.
    pub fn host_writes(&mut self, report: &Report) -> Result<(), HostError> {
        let result = self.carry_write(report);
        if let Some(tapes) = &mut self.tapes {
            tapes.otp().wrote(report, &result.map_err(LinkError::from));
        }
        result
    }

    /// A host reads a feature report: [`read_report`](Self::read_report), with faults.
    ///
    /// # Errors
    /// [`HostError`] when no report could be fetched.
    pub fn host_reads(&mut self) -> Result<Report, HostError> {
        let result = self.carry_read();
        if let Some(tapes) = &mut self.tapes {
            tapes.otp().read(&result.map_err(LinkError::from));
        }
        result
    }

    /// A host sends a command to the card: [`submit`](Self::submit), with faults.
    ///
    /// # Errors
    /// [`HostError`] when no response will arrive.
    pub fn host_submits(&mut self, command: &[u8]) -> Result<Option<Transmitted>, HostError> {
        let transport = self.transport();
        let result = self.carry_command(command);
        if let Some(tapes) = &mut self.tapes {
            command.clone_into(&mut tapes.command);
            tapes.responded(transport, &result);
        }
        result
    }

    /// Asks for the response to a command that waited for a touch: [`response`](Self::response),
    /// with faults.
    ///
    /// # Errors
    /// As [`host_submits`](Self::host_submits).
    pub fn host_asks_response(&mut self) -> Result<Option<Transmitted>, HostError> {
        let transport = self.transport();
        let result = self.carry_response();
        if let Some(tapes) = &mut self.tapes {
            tapes.responded(transport, &result);
        }
        result
    }

    fn transport(&self) -> CardTransport {
        if self.powered() == Power::Nfc { CardTransport::Nfc } else { CardTransport::Usb }
    }

    /// The same for ports that record for themselves.
    pub(crate) fn carry_write(&mut self, report: &Report) -> Result<(), HostError> {
        self.check_reachable()?;
        if self.faults.is_armed() {
            match self.faults.on_write(report, self.device.now()) {
                WriteFate::Arrives => {}
                WriteFate::Lost => return Ok(()),
                WriteFate::Stalled => return Err(HostError::Stalled),
                WriteFate::Unplugged => return Err(self.pulled_out()),
            }
        }
        self.write_report(report);
        self.check_power()
    }

    pub(crate) fn carry_read(&mut self) -> Result<Report, HostError> {
        self.check_reachable()?;
        if !self.faults.is_armed() {
            return Ok(self.read_report());
        }
        match self.faults.on_read(self.device.now()) {
            ReadFate::Served => {}
            ReadFate::Skipped => {
                let mut lost = self.read_report();
                self.faults.alter(&mut lost);
            }
            ReadFate::Busy => {
                let mut report = otp::status(&self.device, Via::Reports).to_report();
                report[7] = FLAG_WRITE;
                return Ok(report);
            }
            ReadFate::Ended => {
                self.hid.finish();
                return Ok(END_MARK);
            }
            ReadFate::Stalled => return Err(HostError::Stalled),
            ReadFate::Unplugged => return Err(self.pulled_out()),
        }
        let mut report = self.read_report();
        self.faults.alter(&mut report);
        self.check_power()?;
        Ok(report)
    }

    pub(crate) fn carry_command(&mut self, command: &[u8]) -> Result<Option<Transmitted>, HostError> {
        self.check_reachable()?;
        let mut after = AfterCommand::default();
        for fault in self.faults.occur(&[Occasion::Apdu]) {
            match fault {
                Fault::Removal => return Err(self.pulled_out()),
                Fault::RemovalAfter => after.error = Some(HostError::Removed),
                Fault::Mute => return Err(HostError::TimedOut),
                Fault::ResponseLost => after.error = Some(HostError::TimedOut),
                Fault::Status(status) => {
                    let response = status.to_be_bytes().to_vec();
                    return Ok(Some(Transmitted { response, delay: after.delay }));
                }
                Fault::ShortResponse { bytes } => after.length = Some(bytes),
                Fault::ResponseDelay(by) => after.delay = after.delay + by,
                _ => {}
            }
        }
        self.after_command = after;
        let response = self.submit(command);
        self.finish_command(response)
    }

    pub(crate) fn carry_response(&mut self) -> Result<Option<Transmitted>, HostError> {
        self.check_reachable()?;
        let response = self.response();
        self.finish_command(response)
    }

    fn finish_command(&mut self, response: Option<Vec<u8>>) -> Result<Option<Transmitted>, HostError> {
        self.check_power()?;
        let Some(mut response) = response else { return Ok(None) };
        let AfterCommand { error, length, delay } = std::mem::take(&mut self.after_command);
        match error {
            Some(HostError::Removed) => return Err(self.pulled_out()),
            Some(error) => return Err(error),
            None => {}
        }
        response.truncate(length.unwrap_or(usize::MAX));
        Ok(Some(Transmitted { response, delay }))
    }

    /// The USB host puts the bus to sleep. The key keeps its power and all it knows, but answers
    /// nothing and its light is off. Without USB power nothing happens.
    pub fn suspend(&mut self) {
        if self.powered() == Power::Usb && !self.suspended {
            self.suspended = true;
            self.log_event("suspended");
        }
    }

    /// The USB host wakes the bus.
    pub fn resume(&mut self) {
        if self.suspended {
            self.suspended = false;
            self.log_event("resumed");
        }
    }

    /// Whether the USB host has put the bus to sleep.
    #[must_use]
    pub const fn is_suspended(&self) -> bool {
        self.suspended
    }

    /// Takes the power away when it was cut while the memory was written.
    pub(super) fn notice_power_cut(&mut self) {
        if self.faults.is_power_cut() && self.powered() != Power::Off {
            self.log_outcome("power cut");
            self.lose_power();
        }
    }

    fn check_reachable(&self) -> Result<(), HostError> {
        self.check_power()?;
        if self.suspended { Err(HostError::TimedOut) } else { Ok(()) }
    }

    fn check_power(&self) -> Result<(), HostError> {
        if self.powered() == Power::Off { Err(HostError::Removed) } else { Ok(()) }
    }

    fn pulled_out(&mut self) -> HostError {
        self.lose_power();
        HostError::Removed
    }
}

impl From<HostError> for LinkError {
    fn from(error: HostError) -> Self {
        match error {
            HostError::Removed => Self::Removed,
            HostError::Stalled => Self::Io(io::Error::other(error)),
            HostError::TimedOut => Self::TimedOut,
        }
    }
}

impl std::fmt::Debug for Transmitted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Transmitted({} bytes, after {})", self.response.len(), self.delay)
    }
}

/// What stands behind the last part of an answer.
const END_MARK: Report = [0, 0, 0, 0, 0, 0, 0, 0x40];
