//! Routes commands to the selected application; chaining in both directions happens here.

use std::fmt;

use tapkey_protocol::aid;
use tapkey_protocol::apdu::chaining::{Assembled, Pending, Reassembler};
use tapkey_protocol::apdu::{Command, Response, StatusWord, ins};

use super::Applet;
use crate::key::Device;

pub(crate) struct Dispatcher {
    applets: Vec<Box<dyn Applet>>,
    selected: Option<usize>,
    chain: Reassembler,
    pending: Pending,
    waiting: Option<(Command, usize)>,
}

impl Dispatcher {
    pub(crate) fn new(max_apdu: usize) -> Self {
        Self {
            applets: vec![
                Box::new(super::otp::OtpApplet),
                Box::new(super::management::ManagementApplet),
                Box::new(super::oath::OathApplet::default()),
                Box::new(super::piv::PivApplet::default()),
                Box::new(super::ndef::NdefApplet::default()),
            ],
            selected: None,
            chain: Reassembler::new(max_apdu),
            pending: Pending::new(),
            waiting: None,
        }
    }

    /// The card was reset or lost its power: nothing is selected and nothing waits.
    pub(crate) fn reset(&mut self) {
        self.leave();
        self.chain.reset();
        self.pending.clear();
        self.waiting = None;
    }

    /// The response to a command, or `None` when it needs a touch; see [`Dispatcher::resume`].
    pub(crate) fn transmit(&mut self, device: &mut Device, bytes: &[u8]) -> Option<Response> {
        self.waiting = None;
        let Ok(command) = Command::parse(bytes) else {
            return Some(StatusWord::WRONG_LENGTH.into());
        };
        let limit = answer_limit(&command, is_extended(bytes));
        if command.ins == self.continuation() {
            return Some(self.pending.next_piece(limit).unwrap_or_else(|| self.nothing_waits().into()));
        }
        self.pending.clear();
        let response = match self.chain.push(command) {
            Assembled::More(status) | Assembled::Refused(status) => status.into(),
            Assembled::Complete(command) if !self.takes_class(&command) => {
                StatusWord::CLA_NOT_SUPPORTED.into()
            }
            Assembled::Complete(command) if is_select_by_name(&command) => self.select(device, &command),
            Assembled::Complete(command) => {
                let response = self.call(device, &command);
                if device.wants_touch() {
                    device.forget_touch();
                    self.waiting = Some((command, limit));
                    return None;
                }
                response
            }
        };
        Some(self.pending.begin(response, limit))
    }

    /// Ends the wait of a command for a touch. Without the touch it is refused. `None` when no
    /// command waits.
    pub(crate) fn resume(&mut self, device: &mut Device, touched: bool) -> Option<Response> {
        let (command, limit) = self.waiting.take()?;
        let response = if touched {
            device.give_touch();
            let response = self.call(device, &command);
            device.forget_touch();
            response
        } else {
            StatusWord::SECURITY_STATUS_NOT_SATISFIED.into()
        };
        Some(self.pending.begin(response, limit))
    }

    fn selected(&self) -> Option<&dyn Applet> {
        self.selected.and_then(|index| self.applets.get(index)).map(|applet| &**applet)
    }

    fn continuation(&self) -> u8 {
        self.selected().map_or(ins::GET_RESPONSE, Applet::continuation)
    }

    fn nothing_waits(&self) -> StatusWord {
        self.selected().map_or(StatusWord::CONDITIONS_NOT_SATISFIED, Applet::nothing_waits)
    }

    fn takes_class(&self, command: &Command) -> bool {
        if is_select_by_name(command) {
            return command.cla == 0;
        }
        self.selected().map_or(command.cla == 0, |applet| applet.takes_class(command.cla))
    }

    fn select(&mut self, device: &mut Device, command: &Command) -> Response {
        let found = self
            .applets
            .iter()
            .position(|applet| aid::selects(&command.data, applet.aid()) && applet.is_available(device));
        let Some(found) = found else {
            return StatusWord::NOT_FOUND.into();
        };
        if self.selected != Some(found) {
            self.leave();
        }
        self.selected = Some(found);
        match self.applets.get_mut(found) {
            Some(applet) => applet.select(device),
            None => StatusWord::NOT_FOUND.into(),
        }
    }

    fn call(&mut self, device: &mut Device, command: &Command) -> Response {
        let Some(applet) = self.selected.and_then(|index| self.applets.get_mut(index)) else {
            // Nothing is selected: files are not found, and instructions belong to nobody.
            let select = command.ins == ins::SELECT;
            return if select { StatusWord::NOT_FOUND } else { StatusWord::INS_NOT_SUPPORTED }.into();
        };
        match applet.call(device, command) {
            Ok(data) => Response::ok(data),
            Err(status) => status.into(),
        }
    }

    fn leave(&mut self) {
        if let Some(applet) = self.selected.take().and_then(|index| self.applets.get_mut(index)) {
            applet.deselect();
        }
    }
}

impl fmt::Debug for Dispatcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dispatcher").field("selected", &self.selected).finish_non_exhaustive()
    }
}

/// The longest answer that fits one frame of the card interface.
const MAX_ANSWER: u32 = 3060;

/// Without an expected length an answer is given whole as far as the form of the command allows, as
/// keys do.
fn answer_limit(command: &Command, extended: bool) -> usize {
    let most = if extended { MAX_ANSWER } else { 256 };
    let limit = command.le.unwrap_or(most).min(MAX_ANSWER);
    usize::try_from(limit).unwrap_or(256)
}

/// Whether the lengths of a command take three bytes.
fn is_extended(bytes: &[u8]) -> bool {
    bytes.len() > 5 && bytes.get(4) == Some(&0)
}

fn is_select_by_name(command: &Command) -> bool {
    command.ins == ins::SELECT && command.p1 == 0x04
}
