//! Writing a slot, and making sure of it.

use tapkey_driver::{Control, Device, Error, OtpSession, OtpStatus, Prefer, Refusal};
use tapkey_protocol::slot::{AccessCode, Slot, Update};

use super::{Run, StepError};
use crate::plan::memory::Remembered;
use crate::plan::observe::{self, Proof};
use crate::plan::resolve::{CodeDesire, SlotDesire, SlotProgram};
use crate::plan::step::SlotWork;

impl Run<'_> {
    pub(super) fn write_slot(
        &mut self,
        device: &Device,
        slot: Slot,
        work: SlotWork,
        control: &Control,
    ) -> Result<(), StepError> {
        let desired = self.desired;
        let mut session = device.open_otp(Prefer::Programming, control)?;
        let program = match &desired.slots[slot.index()] {
            SlotDesire::Program(program) if work != SlotWork::Delete => Some(&**program),
            _ => None,
        };
        let written = self.write_with_a_code(&mut session, slot, program, work, control);
        let code = match written {
            Ok(code) => code,
            Err(error) => {
                if is_unchanged(&error) {
                    self.store.vault_mut().memory_mut(self.serial).slot_mut(slot).writing = None;
                }
                return Err(error);
            }
        };
        let applied = match program {
            None => {
                self.verify_empty(&mut session, slot, control)?;
                Some(Remembered::emptied(self.now))
            }
            Some(program) => Some(self.verify_program(&mut session, slot, program, code, control)?),
        };
        let memory = self.store.vault_mut().memory_mut(self.serial).slot_mut(slot);
        memory.applied = applied;
        memory.writing = None;
        Ok(())
    }

    /// Tries the codes that the slot may have; there is no limit on tries. Returns the code it has now.
    fn write_with_a_code(
        &self,
        session: &mut OtpSession,
        slot: Slot,
        program: Option<&SlotProgram>,
        work: SlotWork,
        control: &Control,
    ) -> Result<AccessCode, StepError> {
        let mut refused = None;
        for current in self.codes_to_try(slot) {
            let code = match program.map(|program| &program.code) {
                Some(CodeDesire::Set(code)) => code.clone(),
                Some(CodeDesire::Keep) => current.clone(),
                Some(CodeDesire::None) | None => AccessCode::NONE,
            };
            self.check_saved(slot, &code)?;
            let outcome = match (program, work) {
                (Some(program), SlotWork::Update) => {
                    let update = Update { options: program.options, access_code: code.clone() };
                    session.update(slot, &update, &current, control)
                }
                (Some(program), _) => {
                    session.program(slot, &*program.config(code.clone()), &current, control)
                }
                (None, _) => match session.delete(slot, &current, control) {
                    // An earlier try has emptied it already.
                    Err(Error::Refused(Refusal::SlotEmpty { .. })) => Ok(()),
                    outcome => outcome,
                },
            };
            match outcome {
                Ok(()) => return Ok(code),
                Err(
                    error @ Error::Refused(
                        Refusal::AccessCodeNeeded { .. }
                        | Refusal::AccessCodeWrong { .. }
                        | Refusal::UpdateRefused { .. },
                    ),
                ) => refused = Some(error),
                Err(error) => return Err(error.into()),
            }
        }
        // At least the attempt without a code was made.
        Err(refused.unwrap_or(Error::Refused(Refusal::AccessCodeNeeded { slot })).into())
    }

    /// No code first: that works only where there is none, so a slot that is to keep its code does.
    fn codes_to_try(&self, slot: Slot) -> Vec<AccessCode> {
        let mut codes = vec![AccessCode::NONE];
        let vault = self.store.vault();
        let given = match &self.desired.slots[slot.index()] {
            SlotDesire::Program(program) => program.current.clone(),
            SlotDesire::Empty { current } => current.clone(),
            SlotDesire::Keep => None,
        };
        let memory = vault.memory(self.serial);
        for code in memory.slot(slot).codes().chain(given) {
            if !codes.contains(&code) {
                codes.push(code);
            }
        }
        codes
    }

    /// A code that only the key knows locks everybody out.
    fn check_saved(&self, slot: Slot, code: &AccessCode) -> Result<(), StepError> {
        let saved =
            |code| self.store.saved().is_some_and(|vault| vault.holds_access_code(self.serial, slot, code));
        if code.is_none() || saved(code) { Ok(()) } else { Err(StepError::NotSaved { what: "access code" }) }
    }

    fn verify_empty(&self, session: &mut OtpSession, slot: Slot, control: &Control) -> Result<(), StepError> {
        if session.status(control)?.is_certainly(slot, true) {
            return Err(StepError::NotVerified(format!("slot {slot} is not empty")));
        }
        Ok(())
    }

    fn verify_program(
        &self,
        session: &mut OtpSession,
        slot: Slot,
        program: &SlotProgram,
        code: AccessCode,
        control: &Control,
    ) -> Result<Remembered, StepError> {
        let config = program.config(code);
        let mut applied = Remembered::of_slot(&*config, &self.store.vault().fingerprint_key, self.now);
        let status = session.status(control)?;
        check_status(&status, slot, &applied)?;
        applied.sequence = Some(status.sequence);
        if program.challenge_touch() == Some(false) && can_be_asked(session) && !applied.is_dormant() {
            if observe::prove(session, slot, program, control)? == Proof::Wrong {
                let text = format!("slot {slot} does not answer with the secret it was given");
                return Err(StepError::NotVerified(text));
            }
            applied.proof = observe::keepsake(session, slot, program, control)?;
        }
        Ok(applied)
    }
}

fn check_status(status: &OtpStatus, slot: Slot, applied: &Remembered) -> Result<(), StepError> {
    if status.is_certainly(slot, false) {
        return Err(StepError::NotVerified(format!("slot {slot} is empty")));
    }
    let touch = status.slot(slot).touch_triggered;
    if status.caveat.is_none() && !applied.is_dormant() && touch.is_some_and(|seen| seen != applied.touch) {
        let text = format!("slot {slot} does not say the right thing about touches");
        return Err(StepError::NotVerified(text));
    }
    Ok(())
}

fn can_be_asked(session: &OtpSession) -> bool {
    use tapkey_driver::Transport;
    use tapkey_protocol::link::CardTransport;
    session.transport() != Transport::Card(CardTransport::Usb)
}

/// The key said no, or nothing was sent: the slot holds what it held.
const fn is_unchanged(error: &StepError) -> bool {
    matches!(
        error,
        StepError::NotSaved { .. }
            | StepError::Key(
                Error::Refused(_) | Error::Unsupported(_) | Error::NotOverThisLink(_) | Error::Input(_)
            )
    )
}
