//! Both applications over the smart card.

use tapkey_protocol::aid;
use tapkey_protocol::apdu::{Command, StatusWord};
use tapkey_protocol::hid::{Status, accepted_over_card};
use tapkey_protocol::link::CardTransport;
use tapkey_protocol::management::{SetMode, ins};
use tapkey_protocol::slot::SlotCommand;
use tapkey_protocol::version::Version;

use super::otp::Transport;
use super::{ManagementBackend, NEO, OtpBackend, parse_serial};
use crate::control::Control;
use crate::error::{Error, Malformed, Refusal};
use crate::transport::Failure;
use crate::transport::card::{Application, Card, Selected};

pub(crate) struct CardBackend {
    pub(crate) card: Card,
    /// The firmware, where the status that the OTP application tells is not to be trusted.
    version: Option<Version>,
}

impl CardBackend {
    pub(crate) fn new(card: Card) -> Self {
        Self { card, version: None }
    }

    /// The firmware, from the text with which the management application answers a SELECT.
    pub(crate) fn management_version(&mut self, control: &Control) -> Result<Version, Error> {
        let mut selected = self.card.select(MANAGEMENT, control)?;
        let text = String::from_utf8_lossy(&selected.answer).into_owned();
        let version = Version::find_in_text(&text).ok_or(Malformed::NoVersion)?;
        if version.major == NEO {
            // A NEO stays in this application until it is sent a SELECT that it cannot carry out.
            selected.transmit_raw(&NEO_DESELECT)?;
        }
        Ok(version)
    }

    /// Over NFC, firmware 5.0 to 5.2.4 fills the OTP status with garbage, version included.
    pub(crate) fn learn_version(&mut self, control: &Control) -> Result<(), Error> {
        if self.card.transport() == CardTransport::Nfc {
            self.version = match self.management_version(control) {
                Ok(version) => Some(version),
                Err(Error::Refused(_) | Error::Malformed(_)) => None,
                Err(error) => return Err(error),
            };
        }
        Ok(())
    }

    fn ask(
        &mut self,
        application: Application,
        command: &Command,
        operation: &'static str,
        control: &Control,
    ) -> Result<Vec<u8>, Error> {
        let response = self.card.select(application, control)?.call(command)?;
        response.into_data().map_err(|status| Refusal::Status { operation, status }.into())
    }

    fn order(
        &mut self,
        application: Application,
        command: &Command,
        control: &Control,
    ) -> Result<(), Failure> {
        let response = self.card.select(application, control)?.call(command)?;
        if response.status.is_success() { Ok(()) } else { Err(rejected("take the setting", response.status)) }
    }

    /// Puts the known firmware into a status.
    fn corrected(&self, status: Status) -> Status {
        Status { version: self.version.unwrap_or(status.version), ..status }
    }
}

impl ManagementBackend for CardBackend {
    fn page(&mut self, page: u8, control: &Control) -> Result<Vec<u8>, Error> {
        let command = Command::new(0, ins::READ_CONFIG, page, 0, []);
        self.ask(MANAGEMENT, &command, "tell its device information", control)
    }

    fn serial(&mut self, control: &Control) -> Result<Option<u32>, Error> {
        match self.ask(OTP, &otp_command(SlotCommand::Serial, &[]), "tell its serial number", control) {
            Ok(bytes) => parse_serial(&bytes).map(Some),
            Err(Error::Refused(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write_config(&mut self, body: &[u8], control: &Control) -> Result<(), Failure> {
        self.order(MANAGEMENT, &Command::new(0, ins::WRITE_CONFIG, 0, 0, body), control)
    }

    /// Firmware 4 appends mode and timeouts to the status that answers a SELECT of its OTP application.
    fn mode(&mut self, version: Version, control: &Control) -> Result<Option<SetMode>, Error> {
        if version.major != 4 {
            return Ok(None);
        }
        match self.card.select(OTP, control) {
            Ok(selected) => {
                Ok(selected.answer.get(Status::SIZE..).and_then(|rest| SetMode::parse(rest).ok()))
            }
            Err(Error::Refused(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn reset(&mut self, control: &Control) -> Result<(), Failure> {
        let command = Command::new(0, ins::DEVICE_RESET, 0, 0, []);
        let response = self.card.select(MANAGEMENT, control)?.call(&command)?;
        match response.into_data() {
            Ok(_) => Ok(()),
            Err(status) => Err(Refusal::Status { operation: "reset itself as a whole", status }.into()),
        }
    }

    fn set_mode(&mut self, payload: &[u8], version: Version, control: &Control) -> Result<(), Failure> {
        if version.major == NEO {
            // The NEO's mode is a setting of its OTP application.
            return self.order(OTP, &otp_command(SlotCommand::SetMode, payload), control);
        }
        self.order(MANAGEMENT, &Command::new(0, ins::SET_MODE, ins::P1_SET_MODE, 0, payload), control)
    }
}

impl OtpBackend for CardBackend {
    fn transport(&self) -> Transport {
        Transport::Card(self.card.transport())
    }

    fn status(&mut self, control: &Control) -> Result<Status, Error> {
        let selected = self.card.select(OTP, control)?;
        let status = parse_status(&selected.answer)?;
        drop(selected);
        Ok(self.corrected(status))
    }

    fn read(
        &mut self,
        command: SlotCommand,
        payload: &[u8],
        length: usize,
        control: &Control,
    ) -> Result<Vec<u8>, Failure> {
        let response = self.card.select(OTP, control)?.call(&otp_command(command, payload))?;
        let data = response.into_data().map_err(|status| rejected("answer", status))?;
        // A command that comes to nothing may also be answered by the status alone.
        if data.len() == Status::SIZE && length != Status::SIZE {
            return Err(Failure::Rejected);
        }
        if data.len() != length {
            let found = data.len();
            return Err(Malformed::Length { what: "the answer", expected: length, found }.into());
        }
        Ok(data)
    }

    fn write(&mut self, command: SlotCommand, payload: &[u8], control: &Control) -> Result<(), Failure> {
        let known = self.version;
        let mut selected = self.card.select(OTP, control)?;
        let before = parse_status(&selected.answer)?;
        let response = selected.call(&otp_command(command, payload))?;
        let answer = response.into_data().map_err(|status| rejected(command.name(), status))?;
        let after = match Status::from_card(&answer) {
            Some(status) => status,
            None => ask_status(&mut selected)?,
        };
        let with_version = |status: Status| Status { version: known.unwrap_or(status.version), ..status };
        if accepted_over_card(with_version(before), with_version(after)) || is_unreadable(known) {
            return Ok(());
        }
        Err(Failure::Rejected)
    }
}

/// Most refusals come as one of a few status words that do not tell a wrong access code from a slot of
/// another kind. Those that do say something are passed on.
fn rejected(operation: &'static str, status: StatusWord) -> Failure {
    match status {
        StatusWord::WRONG_LENGTH
        | StatusWord::MEMORY_FAILURE
        | StatusWord::NO_SPACE
        | StatusWord::INS_NOT_SUPPORTED
        | StatusWord::CLA_NOT_SUPPORTED
        | StatusWord::WRONG_PARAMETERS
        | StatusWord::INCORRECT_PARAMETERS => Refusal::Status { operation, status }.into(),
        _ => Failure::Rejected,
    }
}

fn otp_command(command: SlotCommand, payload: &[u8]) -> Command {
    Command::new(0, SlotCommand::INS, command.code(), 0, payload)
}

fn ask_status(selected: &mut Selected<'_>) -> Result<Status, Error> {
    let response = selected.call(&Command::new(0, SlotCommand::INS_STATUS, 0, 0, []))?;
    let data =
        response.into_data().map_err(|status| Refusal::Status { operation: "tell its status", status })?;
    parse_status(&data)
}

fn parse_status(answer: &[u8]) -> Result<Status, Error> {
    Status::from_card(answer).ok_or_else(|| {
        Malformed::Length { what: "the status", expected: Status::SIZE, found: answer.len() }.into()
    })
}

/// Where the whole status is garbage, the status word of a write is all there is to go by.
fn is_unreadable(version: Option<Version>) -> bool {
    version.is_some_and(super::otp::is_garbled_over_nfc)
}

const OTP: Application = Application { aid: aid::OTP, name: "OTP" };
const MANAGEMENT: Application = Application { aid: aid::MANAGEMENT, name: "management" };
const NEO_DESELECT: [u8; 4] = [0xA4, 0x04, 0x00, 0x08];
