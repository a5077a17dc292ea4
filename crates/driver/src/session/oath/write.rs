//! Storing, renaming and deleting accounts. Each is looked up in the key's list afterwards, in the
//! same hold of the card.

use tapkey_protocol::apdu::StatusWord;
use tapkey_protocol::oath::codec::{Delete, Put, Rename, ins};
use tapkey_protocol::oath::{Algorithm, CredentialId};
use tapkey_protocol::version::{Unsupported, Version};

use super::applet::{Applet, refused};
use super::{OathAccount, OathInfo, OathRefusal, OathSession};
use crate::control::Control;
use crate::error::Error;

/// What to do about an account of the same name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum IfTaken {
    /// Leave it alone and refuse.
    Refuse,
    /// Replace it, secret and all.
    Replace,
}

impl OathInfo {
    /// Whether the firmware can store an account.
    ///
    /// # Errors
    /// [`Unsupported`] for a touch before 4.2.6 and for SHA-512 before 4.3.1.
    pub fn check_put(&self, put: &Put) -> Result<(), Unsupported> {
        if put.properties.require_touch {
            Unsupported::check_at_least("an account whose codes need a touch", self.version, TOUCH_SINCE)?;
        }
        if put.algorithm == Algorithm::Sha512 {
            Unsupported::check_at_least("an account with SHA-512", self.version, SHA512_SINCE)?;
        }
        Ok(())
    }

    /// Whether storing an account beside these would damage one of them: firmware 4.0.0 to 4.3.4
    /// mixes accounts up when the name of one is part of another's.
    ///
    /// # Errors
    /// [`OathRefusal::WouldDamage`].
    pub fn check_beside(&self, id: &CredentialId, others: &[OathAccount]) -> Result<(), OathRefusal> {
        if !self.version.is_within(MIXES_UP_SINCE, MIXES_UP_BEFORE) {
            return Ok(());
        }
        match others.iter().find(|other| other.id != *id && contains(other.id.as_bytes(), id.as_bytes())) {
            Some(other) => Err(OathRefusal::WouldDamage { id: id.clone(), other: other.id.clone() }),
            None => Ok(()),
        }
    }

    /// Whether the firmware can rename accounts.
    ///
    /// # Errors
    /// [`Unsupported`] before 5.3.1.
    pub fn check_rename(&self) -> Result<(), Unsupported> {
        Unsupported::check_at_least("renaming an account", self.version, RENAME_SINCE)
    }
}

impl OathSession {
    /// Stores an account, in the same hold of the card in which its name is looked for.
    ///
    /// # Errors
    /// [`Error::Unsupported`] and [`OathRefusal::WouldDamage`] before anything is sent;
    /// [`OathRefusal::NameTaken`], [`OathRefusal::Full`].
    pub fn put(&mut self, put: &Put, taken: IfTaken, control: &Control) -> Result<(), Error> {
        let mut applet = self.applet(control)?;
        let info = applet.info;
        info.check_put(put)?;
        let accounts = applet.list()?;
        info.check_beside(&put.id, &accounts)?;
        if taken == IfTaken::Refuse && has(&accounts, &put.id) {
            return Err(OathRefusal::NameTaken { id: put.id.clone() }.into());
        }
        match applet.send(ins::PUT, (0, 0), put.encode())? {
            Ok(_) => {}
            Err(StatusWord::NO_SPACE) => return Err(full(&info)),
            // A NEO has no word for it.
            Err(StatusWord::UNKNOWN) if info.version.major == NEO => return Err(full(&info)),
            Err(status) => return Err(refused("store the account", status)),
        }
        let stored = applet.list()?.into_iter().any(|account| {
            account.id == put.id && account.kind == put.kind && account.algorithm == Some(put.algorithm)
        });
        done(stored, "stored the account")
    }

    /// Gives an account another name; firmware 5.3.1 and later.
    ///
    /// # Errors
    /// [`Error::Unsupported`] before anything is sent; [`OathRefusal::NoSuchAccount`],
    /// [`OathRefusal::NameTaken`].
    pub fn rename(&mut self, from: &CredentialId, to: &CredentialId, control: &Control) -> Result<(), Error> {
        let mut applet = self.applet(control)?;
        applet.info.check_rename()?;
        let accounts = applet.list()?;
        require(&accounts, from)?;
        if has(&accounts, to) {
            return Err(OathRefusal::NameTaken { id: to.clone() }.into());
        }
        let body = Rename { from: from.clone(), to: to.clone() }.encode();
        applet.order(ins::RENAME, (0, 0), body, "rename the account")?;
        let after = applet.list()?;
        done(has(&after, to) && !has(&after, from), "renamed the account")
    }

    /// Deletes an account. There is no way back.
    ///
    /// # Errors
    /// [`OathRefusal::NoSuchAccount`].
    pub fn delete(&mut self, id: &CredentialId, control: &Control) -> Result<(), Error> {
        let mut applet: Applet<'_> = self.applet(control)?;
        require(&applet.list()?, id)?;
        applet.order(ins::DELETE, (0, 0), Delete(id.clone()).encode(), "delete the account")?;
        done(!has(&applet.list()?, id), "deleted the account")
    }
}

fn has(accounts: &[OathAccount], id: &CredentialId) -> bool {
    accounts.iter().any(|account| account.id == *id)
}

fn require(accounts: &[OathAccount], id: &CredentialId) -> Result<(), Error> {
    if has(accounts, id) { Ok(()) } else { Err(OathRefusal::NoSuchAccount { id: id.clone() }.into()) }
}

fn done(is_so: bool, done: &'static str) -> Result<(), Error> {
    if is_so { Ok(()) } else { Err(OathRefusal::NotDone { done }.into()) }
}

fn full(info: &OathInfo) -> Error {
    OathRefusal::Full { capacity: info.capacity() }.into()
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

const NEO: u8 = 3;
const TOUCH_SINCE: Version = Version::new(4, 2, 6);
const SHA512_SINCE: Version = Version::new(4, 3, 1);
const RENAME_SINCE: Version = Version::new(5, 3, 1);
const MIXES_UP_SINCE: Version = Version::new(4, 0, 0);
const MIXES_UP_BEFORE: Version = Version::new(4, 3, 5);
