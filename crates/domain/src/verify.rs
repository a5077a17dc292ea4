//! Whether a password is acceptable, and which counter that spends.
//!
//! In three steps, because the last word is the store's:
//!
//! 1. [`open`]: is it a password of this credential at all? Nothing is spent by asking.
//! 2. The store carries out the [`Advance`] as one conditional statement. Whether that statement
//!    changed a row *is* the decision: two nodes or two connections can never both succeed.
//! 3. Where it changed none, [`Stored::explain`] says why.
//!
//! [`Stored::apply`] is steps 2 and 3 as a function, which the SQL is tested against.

use tapkey_protocol::{
    otp::{AesKey, Counter, Otp, PrivateId, PublicId, Timestamp, Token},
    validation::{ApiKey, ClientId, Nonce, Status},
};

use crate::{
    Moment,
    delay::Seen,
    id::{AccountId, CredentialId, TenantId},
};

/// A client of the validation protocol.
#[derive(Clone, Debug)]
pub struct Client {
    /// The number it calls itself by.
    pub id: ClientId,
    /// The tenant whose keys it may ask about.
    pub tenant: TenantId,
    /// Whether its requests are answered.
    pub enabled: bool,
    /// What signs requests and answers.
    pub key: ApiKey,
}

/// What a key and the server share.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Secret {
    /// Inside the encrypted block.
    pub private_id: PrivateId,
    /// Encrypts the block.
    pub aes_key: AesKey,
}

/// A credential as it was read from the store, at some moment: what it says about being enabled may
/// be out of date, which the generations tell.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Its number.
    pub id: CredentialId,
    /// Its tenant.
    pub tenant: TenantId,
    /// What the key types in clear.
    pub public_id: PublicId,
    /// Its secret.
    pub secret: Secret,
    /// Whether it and its account are enabled.
    pub enabled: bool,
    /// Which version of the record this is.
    pub generations: Generations,
    /// The account that owns it.
    pub account: AccountId,
    /// That account's name.
    pub account_name: String,
    /// What people call the key.
    pub label: Option<String>,
    /// The newest password accepted so far.
    pub last: Option<Seen>,
}

/// Versions of the records that a decision rests on. Disabling, deleting or reassigning moves them,
/// so that a decision made on an older copy is refused by the store.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Generations {
    /// The credential's.
    pub credential: i64,
    /// Its account's.
    pub account: i64,
}

/// A change of a credential's counters, to be carried out only if [`Stored::apply`] would.
#[derive(Clone, Debug)]
pub struct Advance {
    /// Whose.
    pub credential: CredentialId,
    /// The records it was decided on.
    pub generations: Generations,
    /// The counters of the password.
    pub counter: Counter,
    /// The key's clock.
    pub timestamp: Timestamp,
    /// What ties the password to its request, where the protocol has such a thing.
    pub nonce: Option<Nonce>,
    /// When it arrived.
    pub at: Moment,
}

impl Advance {
    /// What will be remembered of the password.
    #[must_use]
    pub const fn seen(&self) -> Seen {
        Seen { counter: self.counter, timestamp: self.timestamp, at: self.at }
    }
}

/// Decrypts a password with a credential's secret.
///
/// `None` where the password is not this credential's, or the credential is disabled: outsiders
/// learn no more than `BAD_OTP`, and nothing is spent.
#[must_use]
pub fn open(otp: &Otp, credential: &Credential) -> Option<Token> {
    if !credential.enabled || otp.public_id() != credential.public_id {
        return None;
    }
    credential.secret.open(otp)
}

impl Secret {
    /// Decrypts a password; `None` where it was not made with this secret.
    #[must_use]
    pub fn open(&self, otp: &Otp) -> Option<Token> {
        let token = otp.open(&self.aes_key).ok()?;
        // The checksum alone holds for one in 65,536 foreign blocks; this is the real test.
        (token.private_id == self.private_id).then_some(token)
    }
}

/// The change that accepting a password makes.
#[must_use]
pub fn advance(credential: &Credential, token: &Token, nonce: Option<Nonce>, now: Moment) -> Advance {
    Advance {
        credential: credential.id,
        generations: credential.generations,
        counter: token.counter(),
        timestamp: token.timestamp,
        nonce,
        at: now,
    }
}

/// What the store did with an [`Advance`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// The counters moved, durably: the password is accepted and spent.
    Accepted,
    /// The counters were there or beyond already.
    Replayed {
        /// By the very same request.
        same_request: bool,
    },
    /// The decision rests on records that have changed since: read them again and decide anew.
    Stale,
    /// The credential is disabled or gone, or its account is.
    Disabled,
}

impl Outcome {
    /// What to answer; `None` where the decision has to be made anew.
    #[must_use]
    pub const fn status(self) -> Option<Status> {
        match self {
            Self::Accepted => Some(Status::Ok),
            Self::Replayed { same_request: false } => Some(Status::ReplayedOtp),
            Self::Replayed { same_request: true } => Some(Status::ReplayedRequest),
            Self::Disabled => Some(Status::BadOtp),
            Self::Stale => None,
        }
    }
}

/// The part of a stored credential that an [`Advance`] looks at.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Stored {
    /// The credential is active.
    pub active: bool,
    /// Its account is enabled.
    pub account_active: bool,
    /// Versions of both.
    pub generations: Generations,
    /// The counters of the newest password accepted; `None` where none ever was.
    pub counter: Option<Counter>,
    /// The nonce it came with.
    pub nonce: Option<Nonce>,
}

impl Stored {
    /// Carries an advance out, or says why not.
    pub fn apply(&mut self, advance: &Advance) -> Outcome {
        let fits = self.active
            && self.account_active
            && self.generations == advance.generations
            && self.counter.is_none_or(|counter| counter < advance.counter);
        if !fits {
            return self.explain(advance);
        }
        self.counter = Some(advance.counter);
        self.nonce.clone_from(&advance.nonce);
        Outcome::Accepted
    }

    /// Why an advance was not carried out.
    ///
    /// Enabled comes first, so that a disabled credential tells nothing about its counters.
    #[must_use]
    pub fn explain(&self, advance: &Advance) -> Outcome {
        if !self.active || !self.account_active {
            return Outcome::Disabled;
        }
        if self.generations != advance.generations {
            return Outcome::Stale;
        }
        let same_request =
            self.counter == Some(advance.counter) && advance.nonce.is_some() && self.nonce == advance.nonce;
        Outcome::Replayed { same_request }
    }
}

#[cfg(test)]
mod tests;
