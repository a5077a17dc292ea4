//! Emptying the application.

use tapkey_protocol::apdu::{Command, StatusWord};
use tapkey_protocol::piv::{VerifyAnswer, command, ins, reference};

use super::PivSession;
use super::held::{Held, refused};
use crate::control::Control;
use crate::error::Error;

impl PivSession {
    /// **Deletes all keys but F9's, all objects, and sets PIN, PUK and management key to the
    /// factory's.** Keys allow this only when PIN and PUK are blocked, so both are blocked first, on
    /// purpose, with wrong values.
    ///
    /// Ended in the middle, the application is blocked and still full; calling this again finishes.
    ///
    /// # Errors
    /// [`Error`] when the key refuses.
    pub fn reset(&mut self, control: &Control) -> Result<(), Error> {
        let mut held = self.hold(control)?;
        held.exhaust(&Command::new(0, ins::VERIFY, 0, reference::PIN, [NOBODYS; 8]))?;
        held.exhaust(&Command::new(0, ins::RESET_RETRY, 0, reference::PIN, [NOBODYS; 16]))?;
        held.ask(&command::reset(), "empty the PIV application")?;
        Ok(())
    }
}

impl Held<'_> {
    /// Gives a wrong value until it is blocked.
    fn exhaust(&mut self, wrong: &Command) -> Result<(), Error> {
        for _ in 0..=u8::MAX {
            let status = self.call(wrong)?.status;
            match VerifyAnswer::of(status) {
                VerifyAnswer::Blocked => return Ok(()),
                VerifyAnswer::TriesLeft(_) => {}
                VerifyAnswer::Verified | VerifyAnswer::Other(_) => {
                    return Err(refused("block its PIN and PUK for a reset", status));
                }
            }
        }
        Err(refused("block its PIN and PUK for a reset", StatusWord::EXECUTION_ERROR))
    }
}

/// Filling alone is no PIN and no PUK.
const NOBODYS: u8 = 0xFF;
