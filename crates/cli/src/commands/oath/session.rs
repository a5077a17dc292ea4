//! Opening the OATH application, and getting past its password.

use clap::Args as ClapArgs;
use tapkey_driver::{Control, Error, OathRefusal, OathSession, Refusal};
use tapkey_protocol::oath::AccessKey;

use super::memory::{Memory, Where};
use crate::{
    commands::Context,
    exit::Failure,
    keys,
    secrets::{Source, Wanted},
};

/// How to get past the password.
#[derive(ClapArgs, Debug)]
pub(super) struct Password {
    /// Where the password comes from, when one is set; a remembered one is used otherwise.
    #[arg(long, short, value_name = "SOURCE", help_heading = "Password")]
    pub(super) password: Option<Source>,

    /// Remember the password on this computer from now on: in a file, or in the desktop's keyring.
    #[arg(
        long,
        short,
        value_name = "WHERE",
        value_enum,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "file",
        help_heading = "Password"
    )]
    pub(super) remember: Option<Where>,
}

/// The accounts of the chosen key.
pub(super) struct Session<'a> {
    pub(super) oath: OathSession,
    /// The key, of which a software one lives as long as this.
    opened: keys::Opened,
    context: &'a Context,
}

impl<'a> Session<'a> {
    /// Opens the application, locked or not.
    pub(super) fn open(context: &'a Context) -> Result<Self, Failure> {
        let opened = keys::open(context)?;
        let oath = opened.device.open_oath(&keys::control(context)).map_err(keys::refused)?;
        Ok(Self { oath, opened, context })
    }

    /// The same, and proves the password where one is set.
    pub(super) fn unlocked(context: &'a Context, password: &Password) -> Result<Self, Failure> {
        let mut session = Self::open(context)?;
        session.unlock(password)?;
        Ok(session)
    }

    /// The serial number of the key, where it tells.
    pub(super) fn serial(&self) -> Option<u32> {
        self.opened.device.serial()
    }

    /// Deadline, Ctrl-C and touch notice for one operation.
    pub(super) fn control(&self) -> Control {
        keys::control(self.context)
    }

    /// Does something to the accounts.
    pub(super) fn with<T>(
        &mut self,
        work: impl FnOnce(&mut OathSession, &Control) -> Result<T, Error>,
    ) -> Result<T, Failure> {
        let control = self.control();
        work(&mut self.oath, &control).map_err(keys::refused)
    }

    /// Proves the password where one is set: the one that is given, else the one that is
    /// remembered, else one that is asked for.
    pub(super) fn unlock(&mut self, password: &Password) -> Result<(), Failure> {
        if !self.oath.info().has_password {
            if password.remember.is_some() {
                self.context.printer.say("no password is set, so there is none to remember");
            }
            return Ok(());
        }
        if password.password.is_none() && password.remember.is_none() && self.unlock_remembered()? {
            return Ok(());
        }
        let key = self.oath.info().access_key(&WANTED.read(password.password.as_ref())?);
        self.with(|oath, control| oath.unlock(&key, control))?;
        match password.remember {
            Some(place) => self.remember(&key, place),
            None => Ok(()),
        }
    }

    /// Whether what is remembered opened the application.
    fn unlock_remembered(&mut self) -> Result<bool, Failure> {
        let id = self.oath.info().device_id();
        let printer = &self.context.printer;
        let key = match Memory::load().and_then(|memory| memory.find(&id)) {
            Ok(Some(key)) => key,
            Ok(None) => return Ok(false),
            Err(failure) => {
                printer.warn(format!("the remembered password cannot be used: {failure}"));
                return Ok(false);
            }
        };
        let control = self.control();
        match self.oath.unlock(&key, &control) {
            Ok(()) => Ok(true),
            Err(Error::Refused(Refusal::Oath(OathRefusal::WrongPassword))) => {
                printer.warn("the remembered password is not the one of this key any more");
                Ok(false)
            }
            Err(error) => Err(keys::refused(error)),
        }
    }

    /// Keeps an access key for this key and this computer.
    pub(super) fn remember(&self, key: &AccessKey, place: Where) -> Result<(), Failure> {
        let mut memory = Memory::load()?;
        memory.remember(&self.oath.info().device_id(), key, place)?;
        self.context.printer.say(format!("the password is remembered in {}", memory.name(place)));
        Ok(())
    }
}

/// The password, for questions and messages.
pub(super) const WANTED: Wanted = Wanted { name: "the password of the accounts", option: "--password" };
