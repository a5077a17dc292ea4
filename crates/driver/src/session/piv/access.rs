//! PIN, PUK, tries and management key.

use tapkey_protocol::apdu::StatusWord;
use tapkey_protocol::piv::{
    AdminData, ChangeReference, ManagementKey, ManagementKeyMetadata, ManagementKeyType, ObjectId, Pin,
    PinMetadata, ProtectedKey, Puk, SetManagementKey, TouchPolicy, VerifyAnswer, command, reference,
};
use tapkey_protocol::secret::SecretBytes;

use super::PivSession;
use super::error::{PinKind, PivInputError, PivRefusal};
use super::held::{Administrator, Held, judge, malformed, refused};
use crate::control::Control;
use crate::error::Error;

/// How many wrong tries are left.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Tries {
    /// So many; without metadata, 15 stands for more as well.
    pub left: u8,
    /// Of so many, where the key tells (firmware 5.3 and later).
    pub total: Option<u8>,
}

/// A management key that is to be set.
#[derive(Clone, Copy, Debug)]
pub struct NewManagementKey<'a> {
    /// The key.
    pub key: &'a ManagementKey,
    /// Whether proving it will take a touch.
    pub touch: TouchPolicy,
    /// Keep it on the key, where the PIN is needed to read it; then the PIN is enough to make
    /// changes.
    pub protect: Option<&'a Pin>,
}

impl PivSession {
    /// Checks the PIN and forgets it again.
    ///
    /// # Errors
    /// [`PivRefusal::Wrong`] with the tries left, [`PivRefusal::Blocked`].
    pub fn verify_pin(&mut self, pin: &Pin, control: &Control) -> Result<(), Error> {
        self.hold(control)?.verify(pin)
    }

    /// How many wrong PINs are left. It costs none.
    ///
    /// # Errors
    /// [`Error`] when the key does not answer.
    pub fn pin_tries(&mut self, control: &Control) -> Result<Tries, Error> {
        self.hold(control)?.pin_tries()
    }

    /// What is known of PIN and PUK, where the key tells (firmware 5.3 and later).
    ///
    /// # Errors
    /// [`Error`] when the key does not answer.
    pub fn pin_and_puk(&mut self, control: &Control) -> Result<Option<(PinMetadata, PinMetadata)>, Error> {
        let mut held = self.hold(control)?;
        Ok(held.pin_metadata(reference::PIN)?.zip(held.pin_metadata(reference::PUK)?))
    }

    /// Changes the PIN.
    ///
    /// # Errors
    /// [`PivRefusal::Wrong`], [`PivRefusal::Blocked`], [`PivRefusal::Unfit`];
    /// [`PivRefusal::ManagementKeyDerived`] before anything is changed, because the management key
    /// would be lost with the old PIN.
    pub fn change_pin(&mut self, old: &Pin, new: &Pin, control: &Control) -> Result<(), Error> {
        let mut held = self.hold(control)?;
        if held.admin_data()?.salt.is_some() {
            return Err(PivRefusal::ManagementKeyDerived.into());
        }
        held.change(reference::PIN, PinKind::Pin, &ChangeReference::pin(old, new))
    }

    /// Changes the PUK.
    ///
    /// # Errors
    /// [`PivRefusal::Wrong`], [`PivRefusal::Blocked`], [`PivRefusal::Unfit`].
    pub fn change_puk(&mut self, old: &Puk, new: &Puk, control: &Control) -> Result<(), Error> {
        new.check(self.version()).map_err(PivInputError::from)?;
        let mut held = self.hold(control)?;
        held.change(reference::PUK, PinKind::Puk, &ChangeReference::puk(old, new))
    }

    /// Sets a new PIN with the PUK, whether the PIN is blocked or not.
    ///
    /// # Errors
    /// [`PivRefusal::Wrong`] and [`PivRefusal::Blocked`], which are about the PUK;
    /// [`PivRefusal::Unfit`].
    pub fn unblock_pin(&mut self, puk: &Puk, new: &Pin, control: &Control) -> Result<(), Error> {
        let mut held = self.hold(control)?;
        let status = held.change_pins(&command::unblock(&ChangeReference::unblock(puk, new)))?;
        changed(PinKind::Puk, PinKind::Pin, status)
    }

    /// Sets how many wrong tries there are. **PIN and PUK become those of the factory.**
    ///
    /// # Errors
    /// [`PivInputError::NoTries`] for zero, before anything is sent.
    pub fn set_retries(
        &mut self,
        pin_tries: u8,
        puk_tries: u8,
        administrator: Administrator<'_>,
        pin: &Pin,
        control: &Control,
    ) -> Result<(), Error> {
        if pin_tries == 0 || puk_tries == 0 {
            return Err(PivInputError::NoTries.into());
        }
        let mut held = self.hold(control)?;
        held.authenticate(administrator)?;
        held.verify(pin)?;
        held.ask(&command::set_retries(pin_tries, puk_tries), "set the numbers of tries")?;
        // A tool that had blocked the PUK has noted so, which is no longer true.
        let admin = held.admin_data()?;
        if admin.puk_blocked {
            held.put_admin(&AdminData { puk_blocked: false, ..admin })?;
        }
        Ok(())
    }

    /// The cipher of the management key. Firmware before 5.3 does not tell, and has 3DES.
    ///
    /// # Errors
    /// [`Error`] when the key does not answer.
    pub fn management_key_type(&mut self, control: &Control) -> Result<ManagementKeyType, Error> {
        self.hold(control)?.management_key_type()
    }

    /// What the key tells of its management key (firmware 5.3 and later).
    ///
    /// # Errors
    /// [`Error`] when the key does not answer.
    pub fn management_key(&mut self, control: &Control) -> Result<Option<ManagementKeyMetadata>, Error> {
        self.hold(control)?.management_key()
    }

    /// Proves the management key to the key and has it proven, and changes nothing.
    ///
    /// # Errors
    /// [`PivRefusal::ManagementKeyWrong`], [`PivRefusal::ManagementKeyNotProven`].
    pub fn authenticate(&mut self, administrator: Administrator<'_>, control: &Control) -> Result<(), Error> {
        self.hold(control)?.authenticate(administrator)
    }

    /// Reads the management key of a key that keeps it under its PIN.
    ///
    /// # Errors
    /// [`PivRefusal::ManagementKeyNotStored`] when it does not.
    pub fn stored_management_key(&mut self, pin: &Pin, control: &Control) -> Result<ManagementKey, Error> {
        let mut held = self.hold(control)?;
        held.verify(pin)?;
        let kind = held.management_key_type()?;
        let mut stored = held.stored_keys(pin)?.into_iter();
        let bytes = stored.next().ok_or(PivRefusal::ManagementKeyNotStored)?;
        Ok(ManagementKey::new(kind, bytes).map_err(PivInputError::from)?)
    }

    /// Whether the key keeps its management key under its PIN, or derives it from the PIN: then
    /// [`Administrator::Pin`] can be used.
    ///
    /// # Errors
    /// [`Error`] when the key does not answer.
    pub fn keeps_management_key(&mut self, control: &Control) -> Result<bool, Error> {
        let admin = self.hold(control)?.admin_data()?;
        Ok(admin.key_protected || admin.salt.is_some())
    }

    /// Sets the management key. With [`NewManagementKey::protect`] it is written to the key before it
    /// is set, and beside the old one where that was kept too: at any interruption, the one that
    /// counts can be read with the PIN or is the one that was known before.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a cipher or touch policy that the firmware does not have, before
    /// anything is sent.
    pub fn set_management_key(
        &mut self,
        new: &NewManagementKey<'_>,
        administrator: Administrator<'_>,
        control: &Control,
    ) -> Result<(), Error> {
        new.key.kind().check(self.version())?;
        if new.touch != TouchPolicy::Never {
            new.touch.check(self.version())?;
        }
        let mut held = self.hold(control)?;
        held.authenticate(administrator)?;
        let admin = held.admin_data()?;
        if let Some(pin) = new.protect {
            held.verify(pin)?;
            held.store_beside(new.key, &admin)?;
            if !admin.key_protected || admin.salt.is_some() {
                held.put_admin(&AdminData { key_protected: true, salt: None, ..admin.clone() })?;
            }
        }
        let set = SetManagementKey { key: new.key.clone(), touch: new.touch };
        held.ask(&command::set_management_key(&set), "set the management key")?;
        if new.protect.is_some() {
            let stored = ProtectedKey::new(SecretBytes::new(new.key.expose().to_vec()));
            return held.put(ObjectId::PRINTED, &stored.encode());
        }
        if admin.key_protected || admin.salt.is_some() {
            held.put_admin(&AdminData { key_protected: false, salt: None, ..admin.clone() })?;
        }
        if admin.key_protected {
            held.put(ObjectId::PRINTED, &[])?;
        }
        Ok(())
    }
}

impl Held<'_> {
    pub(super) fn pin_tries(&mut self) -> Result<Tries, Error> {
        if let Some(metadata) = self.pin_metadata(reference::PIN)? {
            return Ok(Tries::of(metadata));
        }
        let mut status = self.call(&command::pin_state())?.status;
        if status == StatusWord::SUCCESS {
            // Another program's PIN stands, which hides the number.
            self.forget()?;
            status = self.call(&command::pin_state())?.status;
        }
        match VerifyAnswer::of(status) {
            VerifyAnswer::TriesLeft(left) => Ok(Tries { left, total: None }),
            VerifyAnswer::Blocked => Ok(Tries { left: 0, total: None }),
            VerifyAnswer::Verified => Err(refused("tell the tries left", status)),
            VerifyAnswer::Other(status) => Err(refused("tell the tries left", status)),
        }
    }

    pub(super) fn pin_metadata(&mut self, reference: u8) -> Result<Option<PinMetadata>, Error> {
        let Some(body) = self.metadata(reference)? else { return Ok(None) };
        Ok(Some(PinMetadata::parse(&body).map_err(malformed)?))
    }

    pub(super) fn put_admin(&mut self, admin: &AdminData) -> Result<(), Error> {
        if admin.is_empty() {
            self.put(ObjectId::ADMIN, &[])
        } else {
            self.put(ObjectId::ADMIN, &admin.encode())
        }
    }

    fn change(&mut self, reference: u8, what: PinKind, change: &ChangeReference) -> Result<(), Error> {
        let status = self.change_pins(&command::change_reference(reference, change))?;
        changed(what, what, status)
    }

    /// Puts a management key that is about to be set where it can be read with the PIN, and keeps
    /// the one that counts until then.
    fn store_beside(&mut self, key: &ManagementKey, admin: &AdminData) -> Result<(), Error> {
        let new = SecretBytes::new(key.expose().to_vec());
        let old = if admin.key_protected { self.object(ObjectId::PRINTED)? } else { None };
        let stored = match old.map(|value| ProtectedKey::parse(&value)) {
            Some(Ok(old)) => ProtectedKey { key: old.key, pending: Some(new) },
            Some(Err(_)) | None => ProtectedKey::new(new),
        };
        self.put(ObjectId::PRINTED, &stored.encode())
    }
}

impl Tries {
    fn of(metadata: PinMetadata) -> Self {
        Self { left: metadata.left, total: Some(metadata.total) }
    }
}

fn changed(old: PinKind, new: PinKind, status: StatusWord) -> Result<(), Error> {
    match status {
        // The old value was right.
        StatusWord::CONDITIONS_NOT_SATISFIED | StatusWord::WRONG_DATA => {
            Err(PivRefusal::Unfit { what: new }.into())
        }
        status => judge(old, status, "change the PIN or PUK"),
    }
}
