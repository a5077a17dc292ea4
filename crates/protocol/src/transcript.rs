//! Names for what travels, with secrets left out.
//!
//! Every log of traffic goes through here. What is shown is an explicit list of exchanges known to
//! be harmless; everything else, including anything unknown, shows its length only. Showing raw
//! bytes is a choice that the caller makes with [`Secrets::Show`] and must warn about.

mod names;
#[cfg(feature = "recording")]
pub mod recording;

use std::fmt;

use data_encoding::HEXLOWER;

use crate::aid;
use crate::apdu::{Command, Response, StatusWord, ins};
use crate::slot::SlotCommand;

/// Which way bytes travel.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Direction {
    /// From the host to the key.
    ToKey,
    /// From the key to the host.
    FromKey,
}

/// Whether secrets are written out.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Secrets {
    /// Only lengths.
    #[default]
    Hide,
    /// All bytes, keys and PINs included.
    Show,
}

/// One line of a transcript.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Which way.
    pub direction: Direction,
    /// What it is, for example `OATH: put credential`.
    pub name: String,
    /// Its bytes, as far as they may be shown.
    pub body: Body,
    /// The status word, of a smart card's answer.
    pub status: Option<StatusWord>,
}

/// The bytes of an exchange.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Body {
    /// There are none.
    Empty,
    /// They may be shown.
    Shown(Vec<u8>),
    /// They may carry a secret.
    Hidden {
        /// How many there are.
        length: usize,
    },
}

/// The application that a card has selected, as far as a transcript needs to know.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Application {
    /// None yet, or one that is not known here.
    #[default]
    Unknown,
    /// OTP slots.
    Otp,
    /// Management.
    Management,
    /// OATH.
    Oath,
    /// PIV.
    Piv,
    /// OpenPGP.
    OpenPgp,
    /// FIDO.
    Fido,
    /// NFC Forum tag.
    Ndef,
    /// YubiHSM Auth.
    HsmAuth,
}

/// Follows one connection and names what travels on it.
///
/// ```
/// use tapkey_protocol::transcript::{Secrets, Transcript};
///
/// let mut transcript = Transcript::new(Secrets::Hide);
/// let entry = transcript.command(&[0x00, 0xA4, 0x04, 0x00, 0x05, 0xA0, 0x00, 0x00, 0x03, 0x08]);
/// assert_eq!(entry.to_string(), "> select PIV a000000308");
/// let entry = transcript.command(b"\x00\x20\x00\x80\x08123456\xff\xff");
/// assert_eq!(entry.to_string(), "> PIV: verify PIN [8 bytes hidden]");
/// let entry = transcript.response(&[0x90, 0x00]);
/// assert_eq!(entry.to_string(), "< PIV: verify PIN 9000 (success)");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Transcript {
    secrets: Secrets,
    selected: Application,
    last: Option<names::Named>,
}

impl Transcript {
    /// Begins with no application selected.
    #[must_use]
    pub fn new(secrets: Secrets) -> Self {
        Self { secrets, ..Self::default() }
    }

    /// Names a command APDU.
    #[must_use]
    pub fn command(&mut self, bytes: &[u8]) -> Entry {
        let Ok(command) = Command::parse(bytes) else {
            self.last = None;
            return self.entry(Direction::ToKey, "malformed command".to_owned(), bytes, false);
        };
        if let Some(selected) = selection(&command) {
            self.selected = selected;
        }
        let named = self.name(&command);
        let entry = self.entry(Direction::ToKey, named.name.clone(), &command.data, named.show_command);
        self.last = Some(named);
        entry
    }

    /// Names the response to the command named last.
    #[must_use]
    pub fn response(&mut self, bytes: &[u8]) -> Entry {
        let (name, show) = match &self.last {
            Some(named) => (named.name.clone(), named.show_response),
            None => ("answer".to_owned(), false),
        };
        let Ok(response) = Response::parse(bytes) else {
            return self.entry(Direction::FromKey, name, bytes, false);
        };
        let mut entry = self.entry(Direction::FromKey, name, &response.data, show);
        entry.status = Some(response.status);
        entry
    }

    /// Names a command of the OTP application over HID, with its payload.
    #[must_use]
    pub fn hid_command(&mut self, code: u8, payload: &[u8]) -> Entry {
        let named = names::otp_command(code);
        let used = payload.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let payload = payload.get(..used).unwrap_or(payload);
        let entry = self.entry(Direction::ToKey, named.name.clone(), payload, named.show_command);
        self.last = Some(named);
        entry
    }

    /// Names the data that answers the HID command named last.
    #[must_use]
    pub fn hid_answer(&self, data: &[u8]) -> Entry {
        let (name, show) = match &self.last {
            Some(named) => (named.name.clone(), named.show_response),
            None => ("answer".to_owned(), false),
        };
        self.entry(Direction::FromKey, name, data, show)
    }

    /// Forgets the selected application, as a card reset does.
    pub fn reset(&mut self) {
        self.selected = Application::Unknown;
        self.last = None;
    }

    fn name(&self, command: &Command) -> names::Named {
        let continues = command.ins == ins::GET_RESPONSE
            || (self.selected == Application::Oath && command.ins == ins::OATH_SEND_REMAINING);
        if continues && let Some(last) = &self.last {
            return names::Named { show_command: true, ..last.clone() }.continued();
        }
        names::of(self.selected, command)
    }

    fn entry(&self, direction: Direction, name: String, bytes: &[u8], harmless: bool) -> Entry {
        let body = match (bytes.is_empty(), harmless || self.secrets == Secrets::Show) {
            (true, _) => Body::Empty,
            (false, true) => Body::Shown(bytes.to_vec()),
            (false, false) => Body::Hidden { length: bytes.len() },
        };
        Entry { direction, name, body, status: None }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arrow = match self.direction {
            Direction::ToKey => '>',
            Direction::FromKey => '<',
        };
        write!(f, "{arrow} {}", self.name)?;
        match &self.body {
            Body::Empty => {}
            Body::Shown(bytes) => write!(f, " {}", HEXLOWER.encode(bytes))?,
            Body::Hidden { length } => write!(f, " [{length} bytes hidden]")?,
        }
        match self.status {
            Some(status) => write!(f, " {status}"),
            None => Ok(()),
        }
    }
}

fn selection(command: &Command) -> Option<Application> {
    if command.ins != ins::SELECT || command.p1 != 0x04 {
        return None;
    }
    let known = [
        (aid::registered::OTP, Application::Otp),
        (aid::MANAGEMENT, Application::Management),
        (aid::registered::OATH, Application::Oath),
        (aid::registered::PIV, Application::Piv),
        (aid::FIDO, Application::Fido),
        (aid::NDEF, Application::Ndef),
        (aid::HSM_AUTH, Application::HsmAuth),
    ];
    let found = known.iter().find(|(registered, _)| aid::selects(&command.data, registered));
    match found {
        Some((_, application)) => Some(*application),
        // An OpenPGP card's full identifier carries its serial number behind the registered part.
        None if command.data.starts_with(aid::OPENPGP) => Some(Application::OpenPgp),
        None => Some(Application::Unknown),
    }
}

/// The name of a HID command, for messages.
#[must_use]
pub fn hid_command_name(code: u8) -> String {
    SlotCommand::try_from(code)
        .map_or_else(|_| format!("command {code:#04x}"), |command| command.name().to_owned())
}

#[cfg(test)]
mod tests;
