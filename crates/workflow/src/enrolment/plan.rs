//! What to do, and what is happening.

use tapkey_api::keys::Key;
use tapkey_protocol::{
    otp::PublicId,
    slot::{AccessCode, Slot},
};

use super::KeyFacts;

/// What an enrolment should do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The account that will own the key.
    pub account: String,
    /// Create the account where it does not exist (administrators only).
    pub create_account: bool,
    /// The slot to program.
    pub slot: Slot,
    /// What people will call the key.
    pub label: Option<String>,
    /// Where the public id comes from.
    pub public_id: PublicIdChoice,
    /// Whether the server draws and keeps an access code for the slot.
    pub generate_access_code: bool,
    /// The slot's present access code, where it has one.
    pub current_access_code: Option<AccessCode>,
    /// Whether a programmed slot may be overwritten. What it holds now is lost for good.
    pub overwrite: bool,
}

/// Where the public id of a credential comes from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum PublicIdChoice {
    /// The server draws a free one.
    #[default]
    Server,
    /// Made from the key's serial number (`vv…`), so that one tells the other.
    Serial,
    /// This one.
    Given(PublicId),
}

/// What is happening, for a person to follow.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The key was read.
    KeyRead(KeyFacts),
    /// An earlier run was cut short; its pending credential is picked up.
    Resuming {
        /// The credential's public id.
        public_id: PublicId,
    },
    /// The server holds a pending credential.
    Pending {
        /// The credential's public id.
        public_id: PublicId,
    },
    /// The slot is about to be written. From here on its old content may be gone.
    Programming {
        /// Which one.
        slot: Slot,
    },
    /// The slot holds the pending credential.
    Programmed {
        /// Which one.
        slot: Slot,
    },
    /// A touch is needed.
    AwaitingTouch {
        /// Which slot types it.
        slot: Slot,
        /// What it begins with.
        public_id: PublicId,
    },
    /// What was typed is no password of this credential; another try follows.
    NotThisPassword {
        /// Why, in a sentence.
        why: String,
    },
    /// The server validated the password and let the key in.
    Confirmed(Box<Key>),
}
