//! Writing the settings of the key as a whole.

use tapkey_driver::{Control, Device, Error, Refusal};
use tapkey_protocol::management::{Capabilities, DeviceConfig, DeviceInfo, LockCode};
use tapkey_protocol::secret::Secret;

use super::{Run, StepError};
use crate::plan::diff::{REACHED_OVER, extras};
use crate::plan::job::NAMED;
use crate::plan::memory::Memory;
use crate::plan::vault::SecretText;

impl Run<'_> {
    /// Switches on what later steps need, beside everything that is on.
    pub(super) fn switch_on(
        &mut self,
        device: &Device,
        usb: Capabilities,
        control: &Control,
    ) -> Result<(), StepError> {
        let info = device.open_management(control)?.device_info(control)?;
        let now = info.usb_enabled.unwrap_or(info.usb_supported);
        let enabled = now | extras((now & NAMED) | usb, info.usb_supported);
        let config = DeviceConfig { usb_enabled: Some(enabled), reboot: true, ..DeviceConfig::default() };
        self.write_config(device, &info, config, control)
    }

    pub(super) fn write_settings(
        &mut self,
        device: &Device,
        config: &DeviceConfig,
        lock: Option<&Option<SecretText>>,
        control: &Control,
    ) -> Result<(), StepError> {
        let info = device.open_management(control)?.device_info(control)?;
        let mut config = config.clone();
        if let Some(code) = lock {
            self.check_lock_saved(code.as_ref())?;
            config.new_lock_code = Some(code.as_ref().map_or(NO_CODE, lock_code));
        }
        self.write_config(device, &info, config, control)?;
        let memory = self.store.vault_mut().memory_mut(self.serial);
        match lock {
            Some(Some(code)) => Memory::expect_code(&mut memory.lock_codes, code.clone()),
            Some(None) => memory.lock_codes.clear(),
            None => {}
        }
        Ok(())
    }

    /// A code that only the key knows locks everybody out.
    fn check_lock_saved(&self, code: Option<&SecretText>) -> Result<(), StepError> {
        let Some(code) = code else { return Ok(()) };
        let saved =
            self.store.saved().is_some_and(|vault| vault.memory(self.serial).lock_codes.contains(code));
        if saved { Ok(()) } else { Err(StepError::NotSaved { what: "lock code" }) }
    }

    /// Writes, waits for the restart where there is one, and looks.
    fn write_config(
        &mut self,
        device: &Device,
        info: &DeviceInfo,
        config: DeviceConfig,
        control: &Control,
    ) -> Result<(), StepError> {
        if let Some(enabled) = config.usb_enabled
            && !enabled.intersects(REACHED_OVER)
        {
            // The plan refuses this before; here it must not pass either.
            return Err(StepError::Order);
        }
        self.write_unlocked(device, info, &config, control)?;
        let device = if config.reboot {
            let device = self.access.after_restart(control)?;
            self.check_key(&device)?;
            device
        } else {
            device.clone()
        };
        let after = device.open_management(control)?.device_info(control)?;
        verify(&config, &after)
    }

    /// Tries the lock codes that may be set.
    fn write_unlocked(
        &self,
        device: &Device,
        info: &DeviceInfo,
        config: &DeviceConfig,
        control: &Control,
    ) -> Result<(), StepError> {
        let mut refused = None;
        for current in self.lock_codes(info) {
            let mut session = device.open_management(control)?;
            let attempt = DeviceConfig { current_lock_code: current, ..config.clone() };
            match session.write_config(&attempt, control) {
                Ok(_) => return Ok(()),
                Err(error @ Error::Refused(Refusal::Locked { .. } | Refusal::Status { .. })) => {
                    refused = Some(error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(refused.unwrap_or(Error::Refused(Refusal::Locked { code_given: false })).into())
    }

    fn lock_codes(&self, info: &DeviceInfo) -> Vec<Option<LockCode>> {
        if !info.locked {
            return vec![None];
        }
        let given = self.desired.applications.as_ref().and_then(|desire| desire.current.clone());
        let memory = self.store.vault().memory(self.serial);
        memory.lock_codes.iter().map(lock_code).chain(given).map(Some).collect()
    }
}

fn verify(config: &DeviceConfig, after: &DeviceInfo) -> Result<(), StepError> {
    let wrong = |what: &str| Err(StepError::NotVerified(format!("{what} is not what it should be")));
    if let Some(usb) = config.usb_enabled
        && after.usb_enabled.unwrap_or(after.usb_supported) & NAMED != usb & NAMED
    {
        return wrong("what is on over USB");
    }
    if let Some(nfc) = config.nfc_enabled
        && after.nfc_enabled.unwrap_or_default() & NAMED != nfc & NAMED
    {
        return wrong("what is on over NFC");
    }
    if config.challenge_timeout.is_some() && after.challenge_timeout != config.challenge_timeout {
        return wrong("the challenge timeout");
    }
    if config.auto_eject_timeout.is_some() && after.auto_eject_timeout != config.auto_eject_timeout {
        return wrong("the auto-eject timeout");
    }
    if config.flags.is_some() && after.flags != config.flags {
        return wrong("touch-eject");
    }
    if let Some(code) = &config.new_lock_code
        && after.locked == (*code == NO_CODE)
    {
        return wrong("the lock");
    }
    Ok(())
}

/// Codes in the vault were checked when they came in.
fn lock_code(text: &SecretText) -> LockCode {
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.expose().as_bytes()).unwrap_or_default();
    bytes.as_slice().try_into().map_or(NO_CODE, Secret::new)
}

const NO_CODE: LockCode = Secret::new([0; 16]);
