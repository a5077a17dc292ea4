//! The OATH application: HOTP and TOTP accounts behind an optional password.

mod account;
mod applet;
mod codes;
mod error;
mod write;

use std::fmt;

use tapkey_protocol::link::CardLink;
use tapkey_protocol::oath::codec::Lock;
use tapkey_protocol::oath::{AccessKey, device_id};
use tapkey_protocol::version::Version;

pub use account::{OathAccount, OathCode};
pub use error::OathRefusal;
pub use write::IfTaken;

use crate::control::Control;
use crate::error::Error;
use crate::transport::card::Card;
use applet::Applet;

/// A session with the OATH application, over the smart card.
///
/// The card is held for one operation at a time. A password is proved anew in each of them, in the
/// same hold as the operation itself, so that no other program can use what was unlocked here, and
/// none can lock it again in between.
///
/// Times are seconds since 1970 and come from the caller.
///
/// ```
/// use tapkey_driver::{Control, IfTaken, OathSession};
/// use tapkey_emulator::{VirtualKey, port::in_process::PluggedKey};
/// use tapkey_protocol::oath::codec::{Properties, Put};
/// use tapkey_protocol::oath::{KeyUri, prepare_secret};
///
/// let key = PluggedKey::new(VirtualKey::builder().build()?)?;
/// let control = Control::new();
/// // With a key that is plugged in: `device.open_oath(&control)?`.
/// let mut oath = OathSession::over_card(key.card()?, &control)?;
///
/// let uri: KeyUri =
///     "otpauth://totp/Example:alice?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&digits=8".parse()?;
/// let put = Put {
///     id: uri.name().to_id(uri.kind())?,
///     kind: uri.kind(),
///     algorithm: uri.algorithm,
///     digits: uri.digits,
///     secret: prepare_secret(uri.algorithm, uri.secret.expose())?,
///     properties: Properties::default(),
///     counter: 0,
/// };
/// oath.put(&put, IfTaken::Refuse, &control)?;
///
/// let all = oath.codes(59, &control)?;
/// let (account, code) = &all[0];
/// assert_eq!(account.name().to_string(), "Example:alice");
/// assert_eq!(code.as_ref().map(|code| code.expose()), Some("94287082"));
///
/// // A password in front of it all; the key it is derived to is what may be kept.
/// let access = oath.info().access_key("correct horse");
/// oath.set_access_key(&access, &control)?;
/// let mut other = OathSession::over_card(key.card()?, &control)?;
/// assert!(other.codes(59, &control).is_err(), "locked");
/// other.unlock(&access, &control)?;
/// assert_eq!(other.list(&control)?.len(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct OathSession {
    card: Card,
    info: OathInfo,
    key: Option<AccessKey>,
}

/// What the application tells everybody.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct OathInfo {
    /// The version of the application, which is the firmware's from generation 4 on.
    pub version: Version,
    /// Goes into the access key; a reset changes it.
    pub salt: [u8; 8],
    /// Whether there is a password.
    pub has_password: bool,
    pub(crate) lock: Option<Lock>,
}

impl OathInfo {
    /// What programs call the application of this key; a reset changes it.
    #[must_use]
    pub fn device_id(&self) -> String {
        device_id(&self.salt)
    }

    /// The access key that a password makes on this key.
    #[must_use]
    pub fn access_key(&self, password: &str) -> AccessKey {
        AccessKey::derive(password, &self.salt)
    }

    /// How many accounts there is room for: 64 from firmware 5.7 on, 32 before.
    #[must_use]
    pub fn capacity(&self) -> usize {
        if self.version.at_least(5, 7, 0) { 64 } else { 32 }
    }
}

impl OathSession {
    /// Begins over the smart card.
    ///
    /// # Errors
    /// [`Error`] when the application is not there.
    pub fn over_card(link: impl CardLink + 'static, control: &Control) -> Result<Self, Error> {
        let mut card = Card::new(link);
        let info = Applet::select(&mut card, control)?.info;
        Ok(Self { card, info, key: None })
    }

    /// What the application told last.
    #[must_use]
    pub const fn info(&self) -> &OathInfo {
        &self.info
    }

    /// Whether a password is set and was not yet given to this session.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.info.has_password && self.key.is_none()
    }

    /// Proves an access key, makes the key prove that it knows it too, and uses it from now on.
    ///
    /// Where no password is set this does nothing.
    ///
    /// # Errors
    /// [`OathRefusal::WrongPassword`], and [`OathRefusal::NotProven`] when the key's own proof is
    /// wrong.
    pub fn unlock(&mut self, key: &AccessKey, control: &Control) -> Result<(), Error> {
        let opened = Applet::open(&mut self.card, Some(key), control)?;
        self.info = opened.info;
        self.key = self.info.has_password.then(|| key.clone());
        Ok(())
    }

    /// Sets or replaces the password, as the access key that [`OathInfo::access_key`] derives.
    ///
    /// # Errors
    /// [`OathRefusal::Locked`] when there is a password already and this session was not unlocked.
    pub fn set_access_key(&mut self, key: &AccessKey, control: &Control) -> Result<(), Error> {
        let mut applet = Applet::open(&mut self.card, self.key.as_ref(), control)?;
        self.info = applet.set_code(Some(key))?;
        self.key = Some(key.clone());
        Ok(())
    }

    /// Removes the password.
    ///
    /// # Errors
    /// [`OathRefusal::Locked`] when this session was not unlocked.
    pub fn remove_access_key(&mut self, control: &Control) -> Result<(), Error> {
        let mut applet = Applet::open(&mut self.card, self.key.as_ref(), control)?;
        self.info = applet.set_code(None)?;
        self.key = None;
        Ok(())
    }

    /// Deletes all accounts and the password, and makes the key draw a new salt. No password is
    /// needed, and there is no way back.
    ///
    /// # Errors
    /// [`Error`] when the key did not do it.
    pub fn reset(&mut self, control: &Control) -> Result<(), Error> {
        self.info = Applet::select(&mut self.card, control)?.reset()?;
        self.key = None;
        Ok(())
    }

    /// All accounts, in the order in which the key keeps them.
    ///
    /// # Errors
    /// [`OathRefusal::Locked`].
    pub fn list(&mut self, control: &Control) -> Result<Vec<OathAccount>, Error> {
        self.applet(control)?.list()
    }

    fn applet<'a>(&'a mut self, control: &'a Control) -> Result<Applet<'a>, Error> {
        Applet::open(&mut self.card, self.key.as_ref(), control)
    }
}

impl fmt::Debug for OathSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OathSession").field("info", &self.info).finish_non_exhaustive()
    }
}
