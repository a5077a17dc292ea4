//! Waiting for a touch, and the light that shows it.

use thiserror::Error;

use super::{Power, VirtualKey};
use crate::applet::otp::{self, Challenge};
use crate::clock::Milliseconds;
use crate::faults::{Fault, Occasion};
use crate::touch::TouchPolicy;

/// A wait for a touch.
#[derive(Debug)]
pub(super) struct Waiting {
    purpose: Purpose,
    until: Milliseconds,
    touch_at: Option<Milliseconds>,
    /// A fault keeps every finger away.
    in_vain: bool,
}

/// What waits for the touch.
#[derive(Debug)]
pub(super) enum Purpose {
    /// A challenge over reports.
    Report(Challenge),
    /// A command over the smart card, which the dispatcher keeps.
    Command,
    /// Somebody asked over FIDO whether anybody is there.
    Presence,
}

/// Why a touch did nothing.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum TouchError {
    /// The key does not wait for a touch.
    #[error("nothing waits for a touch; to make the key type, press it")]
    NothingWaits,
    /// The policy says that nobody touches this key.
    #[error("this key was set up so that nobody touches it")]
    NobodyThere,
}

/// The key's light.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Led {
    /// Dark: no power, or idle with the light inverted by a slot's flag.
    Off,
    /// Lit: idle.
    On,
    /// A touch is awaited.
    Blinking,
}

impl VirtualKey {
    /// Touches the key while a challenge or a command waits for it.
    ///
    /// # Errors
    /// [`TouchError`] when nothing waits, or when nobody is there to touch.
    pub fn touch(&mut self) -> Result<(), TouchError> {
        if self.waiting.is_none() {
            return Err(TouchError::NothingWaits);
        }
        if self.touch == TouchPolicy::Never
            || self.suspended
            || self.waiting.as_ref().is_some_and(|waiting| waiting.in_vain)
        {
            return Err(TouchError::NobodyThere);
        }
        self.touched();
        self.notice_power_cut();
        Ok(())
    }

    /// Who touches the key from now on. A wait under way is not affected.
    pub fn set_touch_policy(&mut self, policy: TouchPolicy) {
        self.touch = policy;
    }

    /// The key's light.
    #[must_use]
    pub fn led(&self) -> Led {
        match self.powered() {
            Power::Off => Led::Off,
            _ if self.suspended => Led::Off,
            _ if self.waiting.is_some() => Led::Blinking,
            _ if self.device.touch_level().is_led_inverted() => Led::Off,
            _ => Led::On,
        }
    }

    /// How long the key will still wait for a touch, or `None` when it does not wait.
    #[must_use]
    pub fn waits_for(&self) -> Option<Milliseconds> {
        self.waiting.as_ref().map(|waiting| waiting.until - self.device.now())
    }

    pub(super) fn wait_for_touch(&mut self, purpose: Purpose) {
        let now = self.device.now();
        let seconds = match self.device.state().settings.challenge_timeout {
            0 => DEFAULT_TIMEOUT_SECONDS,
            seconds => seconds,
        };
        let until = now + Milliseconds::from_seconds(u64::from(seconds));
        let in_vain = self.faults.occur(&[Occasion::TouchWait]).contains(&Fault::TouchNever);
        let touch_at = self.touch.begin(now).filter(|_| !in_vain);
        self.waiting = Some(Waiting { purpose, until, touch_at, in_vain });
        self.go_on_waiting();
    }

    pub(super) fn go_on_waiting(&mut self) {
        let now = self.device.now();
        let Some(waiting) = &self.waiting else { return };
        let (until, touch_at) = (waiting.until, waiting.touch_at);
        let over_reports = matches!(waiting.purpose, Purpose::Report(_));
        let over_card = matches!(waiting.purpose, Purpose::Command);
        if touch_at.is_some_and(|at| at <= now && at < until) {
            self.touched();
        } else if until <= now {
            self.waiting = None;
            self.log_outcome("nobody touched in time");
            if over_reports {
                self.hid.finish();
            } else if over_card {
                self.resume_card(false);
            } else {
                self.presence = Some(false);
            }
        } else if over_reports {
            let seconds = (until - now).0.div_ceil(1000);
            self.hid.await_touch(u8::try_from(seconds).unwrap_or(u8::MAX));
        }
    }

    /// Ends a command's wait at once: with the touch if one would come in time.
    pub(super) fn decide_card_wait(&mut self) {
        let comes = |waiting: &Waiting| waiting.touch_at.is_some_and(|at| at < waiting.until);
        if self.waiting.as_ref().is_some_and(comes) {
            self.touched();
        } else if self.waiting.take().is_some() {
            self.log_outcome("nobody touched in time");
            self.resume_card(false);
        }
    }

    /// A finger came down while something waits.
    pub(super) fn touched(&mut self) {
        let Some(waiting) = self.waiting.take() else { return };
        self.log_event("touched");
        let challenge = match &waiting.purpose {
            Purpose::Report(challenge) => challenge,
            Purpose::Command => return self.resume_card(true),
            Purpose::Presence => return self.presence = Some(true),
        };
        match otp::answer(&mut self.device, challenge) {
            Ok(answer) => self.respond(answer.expose()),
            Err(_) => self.refuse(),
        }
    }

    /// Begins to wait for a touch that says no more than that somebody is there. False when
    /// something else waits already: one finger cannot serve two waits.
    pub(crate) fn ask_for_presence(&mut self) -> bool {
        if self.is_waiting() {
            return false;
        }
        self.presence = None;
        self.wait_for_touch(Purpose::Presence);
        true
    }

    /// Whether somebody was there, once that is known.
    pub(crate) const fn take_presence(&mut self) -> Option<bool> {
        self.presence.take()
    }

    /// Nobody wants to know any more.
    pub(crate) fn forget_presence(&mut self) {
        self.presence = None;
        if self.waiting.as_ref().is_some_and(|waiting| matches!(waiting.purpose, Purpose::Presence)) {
            self.waiting = None;
            self.log_event("the host gives the question up");
        }
    }

    /// A challenge over reports waits.
    pub(super) fn is_report_waiting(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| matches!(waiting.purpose, Purpose::Report(_)))
    }

    /// A command over the smart card waits.
    pub(super) fn is_card_waiting(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| matches!(waiting.purpose, Purpose::Command))
    }

    pub(super) const fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }
}

const DEFAULT_TIMEOUT_SECONDS: u8 = 15;
