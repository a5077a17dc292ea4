//! Pressing the key, and what it types.

use std::fmt;

use tapkey_protocol::keyboard::{Stroke, text_of};
use tapkey_protocol::slot::Slot;

use super::{Power, VirtualKey};
use crate::applet::otp;
use crate::clock::Milliseconds;
use crate::state::StateError;

/// What came of pressing the key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Press {
    /// It typed.
    Typed(Typed),
    /// A challenge waited for a touch, and this was it.
    AnsweredChallenge,
    /// Nothing happened.
    Nothing(Silence),
}

/// Why nothing happened.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Silence {
    /// The key has no power.
    NoPower,
    /// There is no keyboard: it is switched off, or the key is used over NFC.
    NoKeyboard,
    /// The slot is empty.
    Empty,
    /// The slot sleeps until an update wakes it.
    Dormant,
    /// The slot answers challenges and types nothing.
    ChallengeResponse,
    /// The slot's counter is at its end. Anything typed now would repeat a password; program the
    /// slot anew.
    CounterExhausted,
    /// The USB host has put the bus to sleep.
    Suspended,
    /// The key was held for too short or too long, or for a time between the two slots.
    Undecided,
}

/// Key strokes. They may be a password, so `Debug` shows their number only.
#[derive(Clone, Eq, PartialEq)]
pub struct Typed {
    slot: Slot,
    strokes: Vec<Stroke>,
}

impl Typed {
    pub(crate) const fn new(slot: Slot, strokes: Vec<Stroke>) -> Self {
        Self { slot, strokes }
    }

    /// The slot that typed.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        self.slot
    }

    /// Keys and pauses in their order.
    #[must_use]
    pub fn strokes(&self) -> &[Stroke] {
        &self.strokes
    }

    /// What they leave behind in a text field on a US keyboard layout; Enter is `\n`.
    #[must_use]
    pub fn text(&self) -> String {
        text_of(&self.strokes)
    }
}

impl fmt::Debug for Typed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Typed(slot {}, {} strokes)", self.slot, self.strokes.len())
    }
}

impl Press {
    /// The typed text on a US keyboard layout, if anything was typed.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match self {
            Self::Typed(typed) => Some(typed.text()),
            Self::AnsweredChallenge | Self::Nothing(_) => None,
        }
    }
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPower => "the key has no power; plug it in",
            Self::NoKeyboard => {
                "the key has no keyboard now: it is switched off, or the key is used over NFC"
            }
            Self::Empty => "the slot is empty",
            Self::Dormant => "the slot is dormant until an update wakes it",
            Self::ChallengeResponse => "the slot answers challenges and types nothing",
            Self::CounterExhausted => "the slot's counter is at its end; program the slot anew",
            Self::Suspended => "the USB host has suspended the key; resume it",
            Self::Undecided => "the press was too short, too long, or between the times of the two slots",
        })
    }
}

impl VirtualKey {
    /// Presses the key as long as the slot needs. A challenge that waits for a touch takes the
    /// press for itself.
    ///
    /// # Errors
    /// [`StateError`] when a counter that has to move could not be stored; nothing was typed then.
    pub fn press(&mut self, slot: Slot) -> Result<Press, StateError> {
        let press = self.pressed(slot);
        self.notice_power_cut();
        let press = press?;
        self.log_press(&press);
        Ok(press)
    }

    /// Holds the key down for a time and lets it go, which decides the slot: 0.3 to 2.5 s is slot
    /// 1, 3 to 5 s slot 2. With only slot 1 programmed any time from 0.3 s is slot 1.
    ///
    /// # Errors
    /// As [`press`](Self::press).
    pub fn hold(&mut self, duration: Milliseconds) -> Result<Press, StateError> {
        let only_first = self.device.state().slot(Slot::Two).is_none();
        let slot = match duration.0 {
            _ if self.is_waiting() => Slot::One,
            300.. if only_first => Slot::One,
            300..=2500 => Slot::One,
            3000..=5000 => Slot::Two,
            _ => return Ok(Press::Nothing(Silence::Undecided)),
        };
        self.press(slot)
    }

    fn pressed(&mut self, slot: Slot) -> Result<Press, StateError> {
        if self.powered() == Power::Off {
            return Ok(Press::Nothing(Silence::NoPower));
        }
        if self.suspended {
            return Ok(Press::Nothing(Silence::Suspended));
        }
        if self.is_waiting() {
            self.touched();
            return Ok(Press::AnsweredChallenge);
        }
        if !self.has_otp_reports() {
            return Ok(Press::Nothing(Silence::NoKeyboard));
        }
        otp::press(&mut self.device, slot)
    }
}
