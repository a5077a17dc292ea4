//! Commands to one application of the smart card.

use std::time::Duration;

use tapkey_protocol::apdu::chaining::{Next, Transaction};
use tapkey_protocol::apdu::{Command, Encoding, Response};
use tapkey_protocol::link::{CardLink, CardTransport, LinkError};
use zeroize::Zeroize;

use crate::control::Control;
use crate::device::SILENCE;
use crate::error::{Error, Refusal};

/// A smart card whose applications are selected anew for every operation.
///
/// Between operations other programs may use the card and select what they like; during an
/// operation it is held.
pub(crate) struct Card {
    link: Box<dyn CardLink>,
}

/// An application that was selected. The card is held as long as this lives.
pub(crate) struct Selected<'a> {
    link: &'a mut dyn CardLink,
    control: &'a Control,
    /// The instruction that fetches the rest of a long answer, where it is not GET RESPONSE.
    continuation: Option<u8>,
    /// What the application said to SELECT.
    pub(crate) answer: Vec<u8>,
}

/// An application as it is selected and as it is called in messages.
#[derive(Clone, Copy)]
pub(crate) struct Application {
    pub(crate) aid: &'static [u8],
    pub(crate) name: &'static str,
}

impl Card {
    pub(crate) fn new(link: impl CardLink + 'static) -> Self {
        Self { link: Box::new(link) }
    }

    pub(crate) fn transport(&self) -> CardTransport {
        self.link.transport()
    }

    /// Holds the card and selects an application.
    pub(crate) fn select<'a>(
        &'a mut self,
        application: Application,
        control: &'a Control,
    ) -> Result<Selected<'a>, Error> {
        control.check()?;
        self.hold(control)?;
        let mut selected =
            Selected { link: &mut *self.link, control, continuation: None, answer: Vec::new() };
        let response = selected.call(&Command::select(application.aid))?;
        if response.status.means_no_application() {
            return Err(Refusal::ApplicationMissing { application: application.name }.into());
        }
        selected.answer = response
            .into_data()
            .map_err(|status| Refusal::Status { operation: "open its application", status })?;
        Ok(selected)
    }
}

impl Card {
    /// Keeps other programs off the card, and says so when that takes more than a moment.
    fn hold(&mut self, control: &Control) -> Result<(), Error> {
        let patience = control.busy_patience().max(HOLD_PATIENCE);
        let patience = control.remaining().map_or(patience, |left| left.min(patience));
        let silent = patience.min(SILENCE);
        match self.link.hold(silent) {
            Err(LinkError::Busy { holder }) if silent < patience => {
                control.check()?;
                control.tell_busy(holder.as_deref());
                Ok(self.link.hold(patience - silent)?)
            }
            result => Ok(result?),
        }
    }
}

impl Selected<'_> {
    /// Fetches the rest of long answers with another instruction from now on.
    pub(crate) fn continue_with(&mut self, ins: u8) {
        self.continuation = Some(ins);
    }

    /// Sends a command. What was sent and received in pieces is wiped.
    pub(crate) fn call(&mut self, command: &Command) -> Result<Response, Error> {
        let mut transaction = Transaction::new(command, Encoding::Short)?;
        if let Some(ins) = self.continuation {
            transaction = transaction.continue_with(ins);
        }
        let mut next = transaction.start();
        loop {
            match next {
                Next::Done(response) => return Ok(response),
                Next::Send(mut bytes) => {
                    // An APDU under way cannot be taken back, so this is where an operation ends.
                    self.control.check()?;
                    let answer = self.link.transmit(&bytes);
                    bytes.zeroize();
                    let mut answer = answer?;
                    next = transaction.receive(&answer)?;
                    answer.zeroize();
                }
            }
        }
    }

    /// Selects another application, whatever it answers, and whether or not there is time left.
    pub(crate) fn leave_for(&mut self, aid: &[u8]) -> Result<(), Error> {
        self.transmit_raw(&Command::select(aid).encode(Encoding::Short)?)
    }

    /// Sends bytes that are no proper command and ignores the answer.
    pub(crate) fn transmit_raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.link.transmit(bytes)?;
        Ok(())
    }
}

impl Drop for Selected<'_> {
    fn drop(&mut self) {
        self.link.release();
    }
}

/// Other programs finish a transaction sooner than they let go of a card, so this long is waited at least.
const HOLD_PATIENCE: Duration = Duration::from_secs(3);
