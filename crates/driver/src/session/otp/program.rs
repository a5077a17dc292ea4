//! Changing slots.
//!
//! A key rejects what it does not want without a word. So what is known to be impossible is refused
//! here before anything is sent, and a rejection is explained by what was known before it.

use tapkey_protocol::slot::{
    AccessCode, Ndef, NdefPayload, ScanMap, ScanMapPayload, Slot, SlotCommand, SlotConfig, Update,
    WritePayload,
};
use tapkey_protocol::version::Version;

use super::{OtpSession, Transport, card_takes_settings};
use crate::control::Control;
use crate::error::{Error, NotOverThisLink, Refusal};
use crate::transport::Failure;

impl OtpSession {
    /// Writes a configuration into a slot. The access code from now on is part of `config`; `current`
    /// is the one the slot has, [`AccessCode::NONE`] for none.
    ///
    /// # Errors
    /// [`Error::Unsupported`] or [`Error::NotOverThisLink`] before anything is sent;
    /// [`Refusal::AccessCodeNeeded`], [`Refusal::AccessCodeWrong`] or another [`Refusal`] when the key
    /// did not do it. The slot then holds what it held.
    pub fn program(
        &mut self,
        slot: Slot,
        config: &(impl SlotConfig + ?Sized),
        current: &AccessCode,
        control: &Control,
    ) -> Result<(), Error> {
        config.supported_by(self.version)?;
        let command = SlotCommand::Configure(slot);
        self.check(command)?;
        let record = config.record();
        match self.backend.write(command, record.payload(current).expose(), control) {
            Ok(()) => Ok(()),
            Err(Failure::Error(error)) => Err(error),
            Err(Failure::Rejected) => Err(self.explain_write(slot, current, &record.access_code, control)?),
        }
    }

    /// Changes the flags and the access code of a slot that allows it. The secret and the counters
    /// stay.
    ///
    /// # Errors
    /// As [`program`](Self::program), and [`Refusal::SlotEmpty`] before anything is sent.
    pub fn update(
        &mut self,
        slot: Slot,
        update: &Update,
        current: &AccessCode,
        control: &Control,
    ) -> Result<(), Error> {
        update.supported_by(self.version, update.access_code != *current)?;
        let command = SlotCommand::Update(slot);
        self.check(command)?;
        self.check_programmed(slot, control)?;
        match self.backend.write(command, update.record().payload(current).expose(), control) {
            Ok(()) => Ok(()),
            Err(Failure::Error(error)) => Err(error),
            Err(Failure::Rejected) => {
                Err(Refusal::UpdateRefused { slot, code_given: !current.is_none() }.into())
            }
        }
    }

    /// Empties a slot.
    ///
    /// # Errors
    /// As [`program`](Self::program), and [`Refusal::SlotEmpty`] before anything is sent.
    pub fn delete(&mut self, slot: Slot, current: &AccessCode, control: &Control) -> Result<(), Error> {
        let command = SlotCommand::Configure(slot);
        self.check(command)?;
        self.check_programmed(slot, control)?;
        let payload = WritePayload::delete(current.clone()).encode();
        match self.backend.write(command, payload.expose(), control) {
            Ok(()) => Ok(()),
            Err(Failure::Error(error)) => Err(error),
            Err(Failure::Rejected) => Err(self.explain_write(slot, current, &AccessCode::NONE, control)?),
        }
    }

    /// Exchanges the two slots, with their counters and access codes.
    ///
    /// # Errors
    /// As [`program`](Self::program), with [`Refusal::BothSlotsEmpty`] and [`Refusal::SwapRefused`].
    pub fn swap(&mut self, current: &AccessCode, control: &Control) -> Result<(), Error> {
        self.check(SlotCommand::Swap)?;
        let status = self.status(control)?;
        if Slot::ALL.into_iter().all(|slot| status.is_certainly(slot, false)) {
            return Err(Refusal::BothSlotsEmpty.into());
        }
        let written = match self.transport() {
            // Over HID the code stands where it stands in a write, over a smart card alone.
            Transport::Hid => {
                let payload = WritePayload::delete(current.clone()).encode();
                self.backend.write(SlotCommand::Swap, payload.expose(), control)
            }
            Transport::Card(_) if current.is_none() => self.backend.write(SlotCommand::Swap, &[], control),
            Transport::Card(_) => self.backend.write(SlotCommand::Swap, current.expose(), control),
        };
        match written {
            Ok(()) => Ok(()),
            Err(Failure::Error(error)) => Err(error),
            Err(Failure::Rejected) => Err(Refusal::SwapRefused { code_given: !current.is_none() }.into()),
        }
    }

    /// Sets what the key says as an NFC tag, and that `slot` speaks there. `None` restores what it
    /// came with.
    ///
    /// # Errors
    /// As [`program`](Self::program).
    pub fn set_ndef(
        &mut self,
        slot: Slot,
        ndef: Option<&Ndef>,
        current: &AccessCode,
        control: &Control,
    ) -> Result<(), Error> {
        let command = SlotCommand::Ndef(slot);
        self.check(command)?;
        let payload = NdefPayload { ndef: ndef.cloned(), current: current.clone() }.encode();
        match self.backend.write(command, &payload, control) {
            Ok(()) => Ok(()),
            Err(Failure::Error(error)) => Err(error),
            Err(Failure::Rejected) => Err(self.explain_write(slot, current, &AccessCode::NONE, control)?),
        }
    }

    /// Sets which keys the key presses for which characters.
    ///
    /// # Errors
    /// As [`program`](Self::program).
    pub fn set_scan_map(
        &mut self,
        map: &ScanMap,
        current: &AccessCode,
        control: &Control,
    ) -> Result<(), Error> {
        self.check(SlotCommand::ScanMap)?;
        let payload = ScanMapPayload { map: map.clone(), current: current.clone() }.encode();
        match self.backend.write(SlotCommand::ScanMap, &payload, control) {
            Ok(()) => Ok(()),
            Err(Failure::Error(error)) => Err(error),
            Err(Failure::Rejected) => Err(Refusal::Silent {
                operation: "change its scan map",
                hint: Some("a slot may be protected by another access code than the one given"),
            }
            .into()),
        }
    }

    /// What firmware and link do not allow is refused before anything is sent.
    fn check(&self, command: SlotCommand) -> Result<(), Error> {
        command.supported_by(self.version)?;
        match self.transport() {
            Transport::Card(transport) if !card_takes_settings(self.version, transport) => {
                Err(NotOverThisLink::OtpWriteOverUsbCard { version: self.version }.into())
            }
            _ => Ok(()),
        }
    }

    fn check_programmed(&mut self, slot: Slot, control: &Control) -> Result<(), Error> {
        if self.status(control)?.is_certainly(slot, false) {
            return Err(Refusal::SlotEmpty { slot }.into());
        }
        Ok(())
    }

    /// Why the key did not write a slot, as far as can be told.
    fn explain_write(
        &mut self,
        slot: Slot,
        current: &AccessCode,
        new: &AccessCode,
        control: &Control,
    ) -> Result<Error, Error> {
        if !new.is_none() && new.is_trivial() && self.insists_on_complex_codes(control) {
            return Ok(Refusal::TrivialAccessCode { slot }.into());
        }
        if self.status(control)?.is_certainly(slot, false) {
            let hint = match slot {
                Slot::One => None,
                Slot::Two => Some("slot 1 may have been programmed to protect slot 2; program slot 1 anew"),
            };
            return Ok(Refusal::Silent { operation: "write an empty slot", hint }.into());
        }
        Ok(if current.is_none() {
            Refusal::AccessCodeNeeded { slot }.into()
        } else {
            Refusal::AccessCodeWrong { slot }.into()
        })
    }

    fn insists_on_complex_codes(&mut self, control: &Control) -> bool {
        self.version >= PIN_COMPLEXITY_SINCE
            && self.device_info(control).is_ok_and(|info| info.pin_complexity == Some(true))
    }
}

const PIN_COMPLEXITY_SINCE: Version = Version::new(5, 7, 0);
