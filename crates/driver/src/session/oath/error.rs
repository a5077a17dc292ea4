//! What the OATH application refuses.

use tapkey_protocol::oath::CredentialId;
use thiserror::Error;

/// Why the OATH application did not do what it was asked for.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum OathRefusal {
    /// There is a password and none was given.
    #[error("the accounts on this key are behind a password, and none was given")]
    Locked,
    /// The password is wrong.
    #[error("the password of the accounts on this key is wrong; there is no limit on tries")]
    WrongPassword,
    /// The key could not prove that it knows the password.
    #[error(
        "the key took the password but could not show that it knows it; \
         something between this program and the key may be lying"
    )]
    NotProven,
    /// There is no such account.
    #[error("there is no account {:?} on this key", id.to_string())]
    NoSuchAccount {
        /// The name that was asked for.
        id: CredentialId,
    },
    /// There is an account of that name, and replacing it was not asked for.
    #[error("there is an account {:?} on this key already", id.to_string())]
    NameTaken {
        /// The name.
        id: CredentialId,
    },
    /// There is no room for another account.
    #[error("the key is full: it has room for {capacity} accounts; delete one first")]
    Full {
        /// How many it takes.
        capacity: usize,
    },
    /// Firmware 4.0.0 to 4.3.4 damages accounts in this case. Nothing was sent.
    #[error(
        "storing {:?} on firmware before 4.3.5 would damage the account {:?}, whose name contains it; \
         choose a name that is not part of another",
        id.to_string(),
        other.to_string()
    )]
    WouldDamage {
        /// The name that was to be stored.
        id: CredentialId,
        /// The account in danger.
        other: CredentialId,
    },
    /// An account takes no time before the last one it was asked for.
    #[error(
        "an account on the key was asked for a later time before and does not go back; \
         set the clock of this computer right"
    )]
    ClockWentBack,
    /// The key finds what it has stored damaged.
    #[error(
        "an account on the key is damaged, so it gives no codes of all at once; \
         ask for the codes one by one, and delete the account that gives none"
    )]
    Damaged,
    /// The key said that it was done, but it is not so.
    #[error("the key said that it had {done}, but it had not; try again")]
    NotDone {
        /// What it was to do.
        done: &'static str,
    },
}
