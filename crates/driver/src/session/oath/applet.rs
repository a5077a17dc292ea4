//! The selected application: one hold of the card.

use tapkey_protocol::aid;
use tapkey_protocol::apdu::{Command, StatusWord};
use tapkey_protocol::oath::AccessKey;
use tapkey_protocol::oath::codec::{
    CodecError, ListEntry, RESET_PARAMETERS, Selected as Answer, SetCode, Validate, ins,
};

use super::{OathAccount, OathInfo, OathRefusal};
use crate::control::Control;
use crate::error::{Error, Malformed, Refusal};
use crate::transport::card::{Application, Card, Selected};

/// The application while the card is held.
pub(super) struct Applet<'a> {
    pub(super) selected: Selected<'a>,
    pub(super) info: OathInfo,
    /// Whether a password was proved, which the application remembers even when it is selected anew.
    unlocked: bool,
}

/// An answer, or the status word with which the key refused.
pub(super) type Answered = Result<Vec<u8>, StatusWord>;

impl<'a> Applet<'a> {
    /// Holds the card and selects the application, locked or not.
    pub(super) fn select(card: &'a mut Card, control: &'a Control) -> Result<Self, Error> {
        let mut selected = card.select(OATH, control)?;
        selected.continue_with(ins::SEND_REMAINING);
        let info = parse_info(&selected.answer)?;
        Ok(Self { selected, info, unlocked: false })
    }

    /// The same, and proves the access key where one is set.
    pub(super) fn open(
        card: &'a mut Card,
        key: Option<&AccessKey>,
        control: &'a Control,
    ) -> Result<Self, Error> {
        let mut applet = Self::select(card, control)?;
        if applet.info.has_password {
            applet.validate(key.ok_or(OathRefusal::Locked)?)?;
        }
        Ok(applet)
    }

    /// Proves an access key and checks the proof of the key.
    fn validate(&mut self, key: &AccessKey) -> Result<(), Error> {
        let Some(lock) = self.info.lock else { return Ok(()) };
        let challenge = random()?;
        let body = Validate::new(key, &lock, challenge).encode();
        self.unlocked = true;
        let answer = match self.send(ins::VALIDATE, (0, 0), body)? {
            Ok(answer) => answer,
            Err(StatusWord::WRONG_DATA | StatusWord::SECURITY_STATUS_NOT_SATISFIED) => {
                return Err(OathRefusal::WrongPassword.into());
            }
            Err(status) => return Err(refused("take the password", status)),
        };
        let proof = Validate::parse_answer(&answer).map_err(Malformed::from)?;
        if key.accepts(&challenge, &proof) { Ok(()) } else { Err(OathRefusal::NotProven.into()) }
    }

    /// Sets or removes the password and makes sure that the key has it.
    pub(super) fn set_code(&mut self, key: Option<&AccessKey>) -> Result<OathInfo, Error> {
        let set = match key {
            Some(key) => SetCode::set(key, random()?),
            None => SetCode::Remove,
        };
        self.unlocked = true;
        self.order(ins::SET_CODE, (0, 0), set.encode(), "change the password")?;
        self.select_again()?;
        match key {
            Some(key) if self.info.has_password => self.validate(key)?,
            None if !self.info.has_password => {}
            _ => return Err(OathRefusal::NotDone { done: "changed its password" }.into()),
        }
        Ok(self.info)
    }

    /// Deletes everything and makes sure that it is gone.
    pub(super) fn reset(&mut self) -> Result<OathInfo, Error> {
        let before = self.info;
        self.order(ins::RESET, RESET_PARAMETERS, Vec::new(), "delete everything")?;
        self.select_again()?;
        if self.info.has_password || self.info.salt == before.salt {
            return Err(OathRefusal::NotDone { done: "deleted everything" }.into());
        }
        Ok(self.info)
    }

    pub(super) fn list(&mut self) -> Result<Vec<OathAccount>, Error> {
        let body = self.ask(ins::LIST, (0, 0), Vec::new(), "list its accounts")?;
        let entries = ListEntry::parse_all(&body).map_err(Malformed::from)?;
        Ok(entries.into_iter().map(OathAccount::from).collect())
    }

    /// Sends a command.
    pub(super) fn send(&mut self, ins: u8, (p1, p2): (u8, u8), body: Vec<u8>) -> Result<Answered, Error> {
        let command = Command::new(0, ins, p1, p2, body);
        Ok(self.selected.call(&command)?.into_data())
    }

    /// Sends a command whose refusals have no better name.
    pub(super) fn ask(
        &mut self,
        ins: u8,
        parameters: (u8, u8),
        body: Vec<u8>,
        operation: &'static str,
    ) -> Result<Vec<u8>, Error> {
        self.send(ins, parameters, body)?.map_err(|status| refused(operation, status))
    }

    /// The same for commands that answer nothing.
    pub(super) fn order(
        &mut self,
        ins: u8,
        parameters: (u8, u8),
        body: Vec<u8>,
        operation: &'static str,
    ) -> Result<(), Error> {
        self.ask(ins, parameters, body, operation).map(drop)
    }

    /// Looks at the application again without letting the card go.
    fn select_again(&mut self) -> Result<(), Error> {
        let response = self.selected.call(&Command::select(OATH.aid))?;
        let answer = response.into_data().map_err(|status| refused("open its application", status))?;
        self.info = parse_info(&answer)?;
        Ok(())
    }
}

/// Whoever uses the card next must prove the password as well: selecting another application makes
/// this one forget that it was proved.
impl Drop for Applet<'_> {
    fn drop(&mut self) {
        if self.unlocked {
            // A key that is gone has forgotten everything anyway.
            let _ = self.selected.leave_for(aid::MANAGEMENT);
        }
    }
}

/// A refusal of which nothing better is known. After the password was proved, a key says "locked"
/// only when another program has changed it this very moment.
pub(super) fn refused(operation: &'static str, status: StatusWord) -> Error {
    match status {
        StatusWord::SECURITY_STATUS_NOT_SATISFIED => OathRefusal::Locked.into(),
        status => Refusal::Status { operation, status }.into(),
    }
}

fn parse_info(answer: &[u8]) -> Result<OathInfo, Error> {
    let Answer { version, salt, lock } = Answer::parse(answer).map_err(Malformed::from)?;
    Ok(OathInfo { version, salt, has_password: lock.is_some(), lock })
}

fn random() -> Result<[u8; 8], Error> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|_| Error::NoRandomness)?;
    Ok(bytes)
}

impl From<CodecError> for Error {
    fn from(error: CodecError) -> Self {
        Self::Malformed(error.into())
    }
}

const OATH: Application = Application { aid: aid::OATH, name: "OATH" };
