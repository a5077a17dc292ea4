//! Turning counters forward, for tests of what happens near their ends.

use tapkey_protocol::otp::UseCounter;
use tapkey_protocol::slot::{Slot, SlotKind};
use thiserror::Error;

use super::{Power, VirtualKey};
use crate::state::StateError;

/// A counter and where it is to stand. Counters turn forward only: turned back, a key would type a
/// password that it has typed before.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Counter {
    /// Of Yubico OTP: power-ups with a use, at most 32767. The next use after a power-up adds one.
    Use(Slot, u16),
    /// Of Yubico OTP: the session counter used last since power-up. At 255 the next password moves
    /// the use counter instead.
    Session(Slot, u8),
    /// Of HOTP: the counter of the next code.
    MovingFactor(Slot, u64),
    /// The programming sequence, which every accepted write adds one to, modulo 256.
    Sequence(u8),
}

/// Why a counter stays where it is.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TurnError {
    /// The slot holds nothing, or something without this counter.
    #[error("slot {slot} has no such counter; program it for Yubico OTP or HOTP first")]
    NoCounter {
        /// The slot.
        slot: Slot,
    },
    /// The counter stands further on already.
    #[error(
        "the counter stands at {stands} and turns forward only; a key that counts back repeats passwords"
    )]
    Backwards {
        /// Where it stands.
        stands: u64,
    },
    /// There is no such number.
    #[error("a use counter ends at 32767")]
    TooHigh,
    /// The key has no power, so nothing is counted.
    #[error("the key has no power; plug it in")]
    NoPower,
    /// No slot is programmed, so the programming sequence is 0 and stays so.
    #[error("both slots are empty, so there is nothing to count; program one first")]
    BothEmpty,
    /// The counter could not be stored.
    #[error(transparent)]
    State(#[from] StateError),
}

impl VirtualKey {
    /// Turns a counter forward.
    ///
    /// # Errors
    /// [`TurnError`]; the counter has not moved then.
    pub fn turn(&mut self, counter: Counter) -> Result<(), TurnError> {
        let outcome = match counter {
            Counter::Use(slot, to) => self.turn_use_counter(slot, to),
            Counter::Session(slot, to) => self.turn_session_counter(slot, to),
            Counter::MovingFactor(slot, to) => self.turn_moving_factor(slot, to),
            Counter::Sequence(to) => self.turn_sequence(to),
        };
        self.notice_power_cut();
        outcome
    }

    fn turn_use_counter(&mut self, slot: Slot, to: u16) -> Result<(), TurnError> {
        let stands = self.use_counter(slot)?;
        if to > UseCounter::CEILING.get() {
            return Err(TurnError::TooHigh);
        }
        if to < stands.get() {
            return Err(TurnError::Backwards { stands: stands.get().into() });
        }
        self.store_use_counter(slot, UseCounter::from_raw(to))?;
        if to > stands.get() {
            // What follows counts as another power-up: no pair of counters can come back.
            self.device.session().forget_use(slot);
        }
        Ok(())
    }

    fn turn_session_counter(&mut self, slot: Slot, to: u8) -> Result<(), TurnError> {
        let uses = self.use_counter(slot)?;
        if self.powered() == Power::Off {
            return Err(TurnError::NoPower);
        }
        match self.device.session_ref().last_use(slot) {
            Some(stands) if to < stands => return Err(TurnError::Backwards { stands: stands.into() }),
            Some(_) => {}
            // This is the first use since power-up.
            None if uses.at_ceiling() => return Err(TurnError::TooHigh),
            None => self.store_use_counter(slot, uses.next())?,
        }
        self.device.session().note_use(slot, to);
        Ok(())
    }

    fn turn_moving_factor(&mut self, slot: Slot, to: u64) -> Result<(), TurnError> {
        let stands = match self.device.state().slot(slot) {
            Some(state) if matches!(state.kind(), SlotKind::Hotp { .. }) => state.moving_factor,
            _ => return Err(TurnError::NoCounter { slot }),
        };
        if to < stands {
            return Err(TurnError::Backwards { stands });
        }
        self.device.change(|key| {
            if let Some(state) = key.slot_mut(slot) {
                state.moving_factor = to;
            }
        })?;
        Ok(())
    }

    fn turn_sequence(&mut self, to: u8) -> Result<(), TurnError> {
        if self.powered() == Power::Off {
            return Err(TurnError::NoPower);
        }
        if self.device.state().slots.iter().all(Option::is_none) {
            return Err(TurnError::BothEmpty);
        }
        self.device.session().sequence = to;
        Ok(())
    }

    fn use_counter(&self, slot: Slot) -> Result<UseCounter, TurnError> {
        match self.device.state().slot(slot) {
            Some(state) if matches!(state.kind(), SlotKind::YubicoOtp | SlotKind::ChallengeYubico { .. }) => {
                Ok(state.use_counter)
            }
            _ => Err(TurnError::NoCounter { slot }),
        }
    }

    fn store_use_counter(&mut self, slot: Slot, to: UseCounter) -> Result<(), StateError> {
        self.device.change(|key| {
            if let Some(state) = key.slot_mut(slot) {
                state.use_counter = to;
            }
        })
    }
}
