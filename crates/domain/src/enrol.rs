//! How a credential becomes active.
//!
//! ```text
//!            confirm (a password of the credential)
//!  pending ──────────────────────────────────────────▶ active
//!     ├── abandon ──▶ abandoned
//!     └── time ─────▶ expired
//! ```
//!
//! Confirming spends the password it is confirmed with, in the same transaction, or that password
//! could be validated again. Confirming twice with the same password is one confirmation.

use subtle::ConstantTimeEq;
use tapkey_protocol::otp::{Counter, Otp, PublicId, Timestamp};
use thiserror::Error;

use crate::{Moment, id::TokenId, verify::Secret};

/// Where an enrolment stands, as it is stored.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum State {
    /// Waiting for a password from the key.
    Pending,
    /// Confirmed, by the password of this hash.
    Active {
        /// SHA-256 of the password.
        confirmed_by: [u8; 32],
    },
    /// Given up.
    Abandoned,
    /// Not confirmed in time.
    Expired,
}

/// What the rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Enrolment {
    /// Where it stands, as it is stored.
    pub state: State,
    /// The token that created it.
    pub creator: TokenId,
    /// What the key will type in clear.
    pub public_id: PublicId,
    /// Until when it can be confirmed.
    pub expires_at: Moment,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// By which token.
    pub token: TokenId,
    /// Whether it is an administrator's.
    pub admin: bool,
}

impl Enrolment {
    /// Where it stands now: time expires it, whether or not the store has noticed.
    #[must_use]
    pub fn state_at(&self, now: Moment) -> State {
        match self.state {
            State::Pending if now >= self.expires_at => State::Expired,
            state => state,
        }
    }

    /// Whether the caller may know of it at all.
    #[must_use]
    pub fn visible_to(&self, caller: Caller) -> bool {
        caller.admin || caller.token == self.creator
    }

    /// Whether its secrets may be handed out (again).
    ///
    /// # Errors
    /// The caller did not create it, or it is pending no more.
    pub fn deliver(&self, caller: Caller, now: Moment) -> Result<(), EnrolError> {
        // Not even an administrator's: a secret has one recipient.
        if caller.token != self.creator {
            return Err(EnrolError::NotFound);
        }
        match self.state_at(now) {
            State::Pending => Ok(()),
            state => Err(refusal(state)),
        }
    }

    /// Whether a password confirms it, and what to store then.
    ///
    /// `floor` is the greatest counter ever accepted for this very secret, from before.
    ///
    /// # Errors
    /// The caller may not, the enrolment is pending no more, or the password is not of this credential.
    pub fn confirm(
        &self,
        caller: Caller,
        otp: &Otp,
        otp_hash: [u8; 32],
        secret: Option<&Secret>,
        floor: Option<Counter>,
        now: Moment,
    ) -> Result<Confirmation, EnrolError> {
        if !self.visible_to(caller) {
            return Err(EnrolError::NotFound);
        }
        match self.state_at(now) {
            State::Pending => {}
            State::Active { confirmed_by } if bool::from(confirmed_by.ct_eq(&otp_hash)) => {
                return Ok(Confirmation::AlreadyActive);
            }
            state => return Err(refusal(state)),
        }
        if otp.public_id() != self.public_id {
            return Err(EnrolError::OtherPublicId);
        }
        let token = secret.and_then(|secret| secret.open(otp)).ok_or(EnrolError::BadOtp)?;
        let counter = token.counter();
        if floor.is_some_and(|floor| counter <= floor) {
            return Err(EnrolError::ReplayedOtp);
        }
        Ok(Confirmation::Activate { counter, timestamp: token.timestamp, confirmed_by: otp_hash })
    }

    /// Whether it may be given up; `false` where there is nothing left to do.
    ///
    /// # Errors
    /// The caller may not, or it is active: then the key has to be deleted instead.
    pub fn abandon(&self, caller: Caller) -> Result<bool, EnrolError> {
        if !self.visible_to(caller) {
            return Err(EnrolError::NotFound);
        }
        match self.state {
            State::Pending => Ok(true),
            State::Abandoned | State::Expired => Ok(false),
            State::Active { .. } => Err(EnrolError::Confirmed),
        }
    }
}

/// What confirming does.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Confirmation {
    /// Make the credential active and store these, in one transaction.
    Activate {
        /// Spent by the confirming password.
        counter: Counter,
        /// The key's clock.
        timestamp: Timestamp,
        /// SHA-256 of the confirming password.
        confirmed_by: [u8; 32],
    },
    /// The same password confirmed it before: nothing to do.
    AlreadyActive,
}

const fn refusal(state: State) -> EnrolError {
    match state {
        State::Abandoned => EnrolError::Abandoned,
        State::Expired => EnrolError::Expired,
        State::Pending | State::Active { .. } => EnrolError::Confirmed,
    }
}

/// Why an enrolment does not go on.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum EnrolError {
    /// There is none, or it is another token's.
    #[error("there is no such enrolment, or another token created it")]
    NotFound,
    /// It was given up.
    #[error("the enrolment was abandoned; begin a new one")]
    Abandoned,
    /// It was not confirmed in time.
    #[error("the enrolment was not confirmed in time; begin a new one")]
    Expired,
    /// It was confirmed with another password.
    #[error("the enrolment was confirmed before; the key is active")]
    Confirmed,
    /// The password begins with another public id.
    #[error("the password comes from another slot or key: it does not begin with the enrolment's public id")]
    OtherPublicId,
    /// The password was not made with the enrolment's secret.
    #[error("the password was not made with this enrolment's secret; was the slot programmed with it?")]
    BadOtp,
    /// The password is not newer than what this very secret was used for before.
    #[error("the password is older than one that was accepted before; let the key type a new one")]
    ReplayedOtp,
}

#[cfg(test)]
mod tests;
