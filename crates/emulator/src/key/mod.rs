//! The key itself: reports and commands in, answers and key strokes out.

mod adjust;
mod builder;
mod device;
mod host;
mod press;
mod recorder;
mod snapshot;
mod touch;
mod usb;

use std::fmt;

use tapkey_protocol::apdu::{Response, StatusWord};
use tapkey_protocol::hid::{DeviceSide, Event};
use tapkey_protocol::link::Report;
use tapkey_protocol::management::{DeviceInfo, Interfaces};
use tapkey_protocol::slot::Slot;
use thiserror::Error;

pub use adjust::{Counter, TurnError};
pub use builder::{Builder, EMULATED_SERIALS};
pub(crate) use device::Device;
pub use host::{HostError, Transmitted};
pub use press::{Press, Silence, Typed};
pub(crate) use recorder::Log;
pub use recorder::Recorder;
pub use snapshot::{PivKeySnapshot, PivSnapshot, SlotSnapshot, Snapshot, UsbIdentity};
pub use touch::{Led, TouchError};

use crate::applet::otp::{self, Outcome, Request, Via};
use crate::applet::{Dispatcher, management};
use crate::clock::Milliseconds;
use crate::faults::Faults;
use crate::profile::Profile;
use crate::state::StateError;
use crate::touch::TouchPolicy;
use touch::{Purpose, Waiting};

/// A YubiKey made of software.
///
/// It is a plain state machine: it starts no thread, opens nothing but its state file, and knows
/// what time it is only from [`tick`](Self::tick). The ports in [`crate::port`] put a clock and a
/// lock around it.
///
/// ```
/// use tapkey_emulator::{MemoryStore, Power, Profile, VirtualKey};
///
/// let mut key = VirtualKey::builder().profile(Profile::YUBIKEY_5_4_3).build()?;
/// key.power(Power::Usb)?;
/// // SELECT of the management application.
/// let answer = key.apdu(&[0, 0xA4, 4, 0, 8, 0xA0, 0, 0, 5, 0x27, 0x47, 0x11, 0x17]);
/// assert!(answer.ends_with(&[0x90, 0x00]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct VirtualKey {
    device: Device,
    hid: DeviceSide,
    card: Dispatcher,
    touch: TouchPolicy,
    waiting: Option<Waiting>,
    card_answer: Option<Vec<u8>>,
    presence: Option<bool>,
    generation: u64,
    log: Option<Log>,
    faults: Faults,
    after_command: host::AfterCommand,
    suspended: bool,
    tapes: Option<host::Tapes>,
}

/// Where a key gets its power from, and with it which of its interfaces work.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Power {
    /// In a drawer.
    #[default]
    Off,
    /// Plugged in: keyboard, OTP reports and smart card, as far as they are switched on.
    Usb,
    /// Held against a contactless reader: smart card only.
    Nfc,
}

/// Why a key does not start.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum PowerError {
    /// The model has no NFC.
    #[error("this model has no NFC; plug the key in instead")]
    NoNfc,
    /// NFC was restricted, and the key was not plugged in since.
    #[error("NFC is restricted until the key was plugged in once")]
    NfcRestricted,
    /// The key could not store that it was plugged in, which ends the restriction of NFC.
    #[error("the key could not store its state")]
    Storage,
}

impl VirtualKey {
    /// Describes the key to be built.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn from_parts(device: Device, touch: TouchPolicy, log: Option<Log>, faults: Faults) -> Self {
        let card = Dispatcher::new(device.profile().max_apdu());
        Self {
            device,
            hid: DeviceSide::new(),
            card,
            touch,
            waiting: None,
            card_answer: None,
            presence: None,
            generation: 0,
            log,
            faults,
            after_command: host::AfterCommand::default(),
            suspended: false,
            tapes: None,
        }
    }

    /// Plugs the key in, holds it against a reader, or takes it away. The same power again changes
    /// nothing; `Off` and then on is a power-up, at whose first use the use counter grows.
    ///
    /// # Errors
    /// [`PowerError`] when the key does not work that way; it is without power then.
    pub fn power(&mut self, power: Power) -> Result<(), PowerError> {
        if power == self.device.power() {
            return Ok(());
        }
        self.lose_power();
        if power != Power::Off && self.faults.restore_power() {
            // What it knew is gone; what was stored counts.
            self.device.reload().map_err(|_| PowerError::Storage)?;
        }
        match power {
            Power::Off => return Ok(()),
            Power::Usb => self.end_nfc_restriction()?,
            Power::Nfc => self.check_nfc()?,
        }
        self.gain_power(power);
        self.log_event(if power == Power::Nfc { "held against a reader" } else { "plugged in" });
        Ok(())
    }

    /// Where the power comes from.
    #[must_use]
    pub const fn powered(&self) -> Power {
        self.device.power()
    }

    /// Counts how often power went away. Whoever opened an interface remembers the number, and has
    /// lost the key when it changed.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Resets the smart card, as a reader does between users: nothing is selected any more. The
    /// key keeps its power, so no counter moves.
    pub fn card_reset(&mut self) {
        if self.is_card_waiting() {
            self.waiting = None;
            self.answer_card(&StatusWord::UNKNOWN.into());
        }
        self.card.reset();
        self.log_card_reset();
    }

    /// Takes a feature report of the OTP interface. Without that interface it is lost.
    pub fn write_report(&mut self, report: &Report) {
        if !self.has_otp_reports() {
            return;
        }
        let event = self.hid.write_report(report);
        if self.is_report_waiting() && !self.hid.is_awaiting_touch() {
            self.waiting = None;
            self.log_event("the host gives the challenge up");
        }
        if let Event::Frame { command, payload } = event {
            self.run(command, &payload);
        }
        self.notice_power_cut();
    }

    /// Gives a feature report of the OTP interface. Without that interface it is all zeros.
    pub fn read_report(&mut self) -> Report {
        if !self.has_otp_reports() {
            return Report::default();
        }
        let status = otp::status(&self.device, Via::Reports);
        let report = self.hid.read_report(status);
        if self.device.reboot_requested() && self.hid.is_idle() {
            self.reboot();
        }
        report
    }

    /// Carries out a command APDU and gives the response, status word included. It is empty when
    /// there is no card: without power, or with the smart-card interface switched off.
    ///
    /// No time passes meanwhile. A command that needs a touch gets it when the [`TouchPolicy`] says
    /// that one will come in time, and is refused otherwise; ports that can wait use
    /// [`submit`](Self::submit).
    pub fn apdu(&mut self, command: &[u8]) -> Vec<u8> {
        if let Some(response) = self.submit(command) {
            return response;
        }
        self.decide_card_wait();
        self.card_answer.take().unwrap_or_default()
    }

    /// Takes a command APDU, and gives the response at once unless the command needs a touch. Then
    /// it is `None`, the key waits and blinks, and [`response`](Self::response) has it later. A
    /// new command ends the wait of the one before.
    pub fn submit(&mut self, command: &[u8]) -> Option<Vec<u8>> {
        if !self.has_card() {
            return Some(Vec::new());
        }
        if self.is_card_waiting() {
            self.waiting = None;
            self.log_event("the host gives the command up");
        }
        self.card_answer = None;
        self.log_command(command);
        match self.card.transmit(&mut self.device, command) {
            Some(response) => self.answer_card(&response),
            // One finger cannot serve two waits.
            None if self.is_waiting() => self.resume_card(false),
            None => self.wait_for_touch(Purpose::Command),
        }
        self.notice_power_cut();
        if self.powered() == Power::Off {
            self.card_answer = None;
            return Some(Vec::new());
        }
        self.card_answer.take()
    }

    /// The response to a command that waited for a touch, or `None` while it waits on. Tell the
    /// time with [`tick`](Self::tick) before asking.
    pub fn response(&mut self) -> Option<Vec<u8>> {
        if self.is_card_waiting() {
            return None;
        }
        // Without a wait and without an answer somebody else has spoken to the card meanwhile.
        Some(self.card_answer.take().unwrap_or_else(|| StatusWord::UNKNOWN.to_bytes().to_vec()))
    }

    /// The answer to reset of the smart card, or `None` when there is no card.
    #[must_use]
    pub fn atr(&self) -> Option<&'static [u8]> {
        match self.device.power() {
            Power::Nfc => self.device.profile().nfc_atr(),
            Power::Usb if self.has_card() => Some(self.device.profile().usb_atr()),
            Power::Usb | Power::Off => None,
        }
    }

    /// Tells the time. Touches that are due come, waits that are over end. A time before the one
    /// told last is ignored.
    pub fn tick(&mut self, now: Milliseconds) {
        self.device.set_now(now);
        if self.waiting.is_some() {
            self.go_on_waiting();
            self.notice_power_cut();
        }
    }

    /// The interfaces that a host sees on USB.
    #[must_use]
    pub fn interfaces(&self) -> Interfaces {
        self.device.usb_interfaces()
    }

    /// What the key tells about itself.
    #[must_use]
    pub fn info(&self) -> DeviceInfo {
        management::info(&self.device)
    }

    /// The firmware personality.
    #[must_use]
    pub const fn profile(&self) -> &Profile {
        self.device.profile()
    }

    /// The serial number.
    #[must_use]
    pub const fn serial(&self) -> u32 {
        self.device.state().serial
    }

    /// Whether there is an interface for OTP reports.
    #[must_use]
    pub fn has_otp_reports(&self) -> bool {
        self.interfaces().contains(Interfaces::OTP)
    }

    /// Whether there is a smart card.
    #[must_use]
    pub fn has_card(&self) -> bool {
        self.device.power() == Power::Nfc || self.interfaces().contains(Interfaces::CCID)
    }

    /// A short press: what slot 1 types.
    ///
    /// # Errors
    /// As [`press`](Self::press).
    pub fn tap(&mut self) -> Result<Press, StateError> {
        self.press(Slot::One)
    }

    fn run(&mut self, command: u8, payload: &[u8]) {
        self.log_report_command(command, payload);
        let request = Request { command, payload, via: Via::Reports };
        match otp::execute(&mut self.device, &request) {
            Ok(Outcome::Done) => {
                self.hid.finish();
                self.log_outcome("accepted");
            }
            Err(_) => self.refuse(),
            Ok(Outcome::Data(data)) => self.respond(data.expose()),
            // One finger cannot serve two waits.
            Ok(Outcome::Touch(_)) if self.is_waiting() => self.refuse(),
            Ok(Outcome::Touch(challenge)) => self.wait_for_touch(Purpose::Report(challenge)),
        }
    }

    fn respond(&mut self, data: &[u8]) {
        self.log_report_answer(data);
        // What the key answers always fits.
        self.hid.respond(data).unwrap_or_default();
    }

    fn answer_card(&mut self, response: &Response) {
        let response = response.encode();
        self.log_response(&response);
        self.card_answer = Some(response);
        if self.device.reboot_requested() {
            self.reboot();
        }
    }

    /// Ends the wait of a command.
    fn resume_card(&mut self, touched: bool) {
        if let Some(response) = self.card.resume(&mut self.device, touched) {
            self.answer_card(&response);
        }
    }

    fn refuse(&mut self) {
        self.hid.finish();
        self.log_outcome("refused");
    }

    fn lose_power(&mut self) {
        self.hid.clear();
        self.card.reset();
        self.waiting = None;
        self.presence = None;
        self.after_command = host::AfterCommand::default();
        self.suspended = false;
        if self.device.power() != Power::Off {
            self.generation += 1;
            self.log_card_reset();
            self.log_event("power lost");
        }
        self.device.set_power(Power::Off);
    }

    fn gain_power(&mut self, power: Power) {
        self.device.set_power(power);
        if let Some(tapes) = &mut self.tapes {
            tapes.begin_anew();
        }
    }

    fn reboot(&mut self) {
        let power = self.device.power();
        self.lose_power();
        self.gain_power(power);
    }

    fn check_nfc(&self) -> Result<(), PowerError> {
        if self.device.profile().nfc_supported().is_none() {
            return Err(PowerError::NoNfc);
        }
        if self.device.state().settings.nfc_restricted {
            return Err(PowerError::NfcRestricted);
        }
        Ok(())
    }

    fn end_nfc_restriction(&mut self) -> Result<(), PowerError> {
        if !self.device.state().settings.nfc_restricted {
            return Ok(());
        }
        self.device.change(|state| state.settings.nfc_restricted = false).map_err(|_| PowerError::Storage)
    }
}

impl fmt::Debug for VirtualKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtualKey")
            .field("device", &self.device)
            .field("hid", &self.hid)
            .field("card", &self.card)
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}
