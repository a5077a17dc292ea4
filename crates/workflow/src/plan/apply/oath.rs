//! Storing and removing accounts, and their password.

use tapkey_driver::{Control, Device, IfTaken, OathAccount, OathSession};
use tapkey_protocol::oath::{CredentialId, Kind};

use super::{Run, StepError};
use crate::plan::memory::{AccountMemory, Memory};
use crate::plan::oath::{prove, unlock};
use crate::plan::observe::Proof;
use crate::plan::resolve::{CodeDesire, OathDesire};
use crate::plan::vault::SecretText;

impl Run<'_> {
    pub(super) fn store_account(
        &mut self,
        device: &Device,
        id: &CredentialId,
        control: &Control,
    ) -> Result<(), StepError> {
        let Some(desire) = &self.desired.oath else { return Ok(()) };
        let Some(wanted) = desire.present.iter().find(|wanted| wanted.id == *id) else { return Ok(()) };
        let mut session = self.open_oath(device, desire, control)?;
        // What is on the key under this name was judged by the plan.
        session.put(&wanted.put(), IfTaken::Replace, control)?;
        if wanted.kind == Kind::Totp && !wanted.touch {
            let account = OathAccount::new(wanted.id.clone(), wanted.kind);
            let code = session.code(&account, self.seconds, control)?;
            let code = SecretText::new(code.expose().to_owned());
            if prove(wanted, &account, Some(&code), self.seconds) != Some(Proof::Right) {
                let text = format!("the account {id} does not show the code of its secret");
                return Err(StepError::NotVerified(text));
            }
        }
        let device_id = session.info().device_id();
        let vault = self.store.vault_mut();
        let applied = wanted.remember(&device_id, &vault.fingerprint_key.clone(), self.now);
        let memory = AccountMemory { applied: Some(applied), writing: None };
        vault.memory_mut(self.serial).accounts.insert(id.to_string(), memory);
        Ok(())
    }

    pub(super) fn delete_account(
        &mut self,
        device: &Device,
        id: &CredentialId,
        control: &Control,
    ) -> Result<(), StepError> {
        let Some(desire) = &self.desired.oath else { return Ok(()) };
        self.open_oath(device, desire, control)?.delete(id, control)?;
        self.store.vault_mut().memory_mut(self.serial).accounts.remove(&id.to_string());
        Ok(())
    }

    pub(super) fn write_password(
        &mut self,
        device: &Device,
        set: bool,
        control: &Control,
    ) -> Result<(), StepError> {
        let Some(desire) = &self.desired.oath else { return Ok(()) };
        let mut session = self.open_oath(device, desire, control)?;
        let (CodeDesire::Set(password), true) = (&desire.password, set) else {
            session.remove_access_key(control)?;
            self.store.vault_mut().memory_mut(self.serial).oath_passwords.clear();
            return Ok(());
        };
        let saved = |vault: &crate::plan::Vault| vault.memory(self.serial).oath_passwords.contains(password);
        if !self.store.saved().is_some_and(saved) {
            return Err(StepError::NotSaved { what: "OATH password" });
        }
        let key = session.info().access_key(password.expose());
        session.set_access_key(&key, control)?;
        // Another session, so that it is the key that says so.
        let mut again = device.open_oath(control)?;
        if !again.info().has_password {
            return Err(StepError::NotVerified("the accounts have no password".to_owned()));
        }
        again.unlock(&key, control)?;
        let memory = self.store.vault_mut().memory_mut(self.serial);
        Memory::expect_code(&mut memory.oath_passwords, password.clone());
        Ok(())
    }

    fn open_oath(
        &self,
        device: &Device,
        desire: &OathDesire,
        control: &Control,
    ) -> Result<OathSession, StepError> {
        let mut session = device.open_oath(control)?;
        unlock(&mut session, desire, &self.store.vault().memory(self.serial), control)?;
        Ok(session)
    }
}
