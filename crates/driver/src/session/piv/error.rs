//! What the PIV application refuses.

use std::fmt;

use thiserror::Error;

use tapkey_protocol::piv::{ObjectId, PinError, PrivateKeyError, Slot, WrongKeyLength};

/// What the PIV application refused, as far as can be told.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum PivRefusal {
    /// PIN or PUK is wrong.
    #[error("the {what} is wrong; {tries_left} {} left", if *tries_left == 1 { "try is" } else { "tries are" })]
    Wrong {
        /// Which of the two.
        what: PinKind,
        /// How many wrong tries are left; 15 stands for more as well.
        tries_left: u8,
    },
    /// PIN or PUK was given wrongly too often.
    #[error("the {what} is blocked: it was wrong too often; {}", what.way_out())]
    Blocked {
        /// Which of the two.
        what: PinKind,
    },
    /// The key does not take such a new PIN or PUK.
    #[error(
        "the key does not take this as a new {what}; choose one of 6 to 8 characters that is harder to guess"
    )]
    Unfit {
        /// Which of the two.
        what: PinKind,
    },
    /// The PIN is needed.
    #[error("the PIN is needed to {operation}")]
    PinNeeded {
        /// What was to be done.
        operation: &'static str,
    },
    /// The management key is wrong. There is no limit on tries.
    #[error("the management key is wrong, or it belongs to another cipher")]
    ManagementKeyWrong,
    /// The other side does not know the management key. It may not be a key at all.
    #[error(
        "the key did not prove that it knows the management key; what answers there may be something else"
    )]
    ManagementKeyNotProven,
    /// The management key does not lie on the key.
    #[error("the management key is not kept on this key under its PIN; give it yourself")]
    ManagementKeyNotStored,
    /// The management key depends on the PIN, so the PIN cannot be changed alone.
    #[error(
        "the management key of this key is derived from its PIN, in a way no longer used; set a management key first"
    )]
    ManagementKeyDerived,
    /// There is no key in the slot.
    #[error("there is no key in slot {slot}")]
    NoKey {
        /// The slot.
        slot: Slot,
    },
    /// The slot to move a key to holds one.
    #[error("slot {slot} holds a key already; delete it first, or choose another slot")]
    SlotTaken {
        /// The slot.
        slot: Slot,
    },
    /// The key in the slot does not do that, or not with such data.
    #[error(
        "the key in slot {slot} does not do this: it is of another kind, or the data have a wrong length"
    )]
    WrongOperation {
        /// The slot.
        slot: Slot,
    },
    /// The key was not made on this key, so nothing can be attested.
    #[error("the key in slot {slot} cannot be attested: it was imported, not generated")]
    NotGenerated {
        /// The slot.
        slot: Slot,
    },
    /// There is no such object.
    #[error("there is no object {id} on this key{}", Named(*id))]
    NoObject {
        /// Its name.
        id: ObjectId,
    },
    /// There is no room left.
    #[error("the object does not fit on the key; delete others first, or shorten it")]
    NoRoom,
}

/// PIN or PUK.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum PinKind {
    /// The PIN.
    Pin,
    /// The PUK.
    Puk,
}

impl PinKind {
    const fn way_out(self) -> &'static str {
        match self {
            Self::Pin => "unblock it with the PUK",
            Self::Puk => "it cannot be unblocked; only a reset of the PIV application sets a new one",
        }
    }
}

impl fmt::Display for PinKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pin => "PIN",
            Self::Puk => "PUK",
        })
    }
}

/// A request to the PIV application that makes no sense.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum PivInputError {
    /// No PIN or PUK.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// No management key.
    #[error(transparent)]
    ManagementKey(#[from] WrongKeyLength),
    /// No private key that keys take.
    #[error(transparent)]
    PrivateKey(#[from] PrivateKeyError),
    /// Zero tries would block the key for good.
    #[error("at least one try is needed; with none the key would be blocked for good")]
    NoTries,
    /// The slot does not take part in this.
    #[error("slot {slot} cannot be used for this")]
    Slot {
        /// The slot.
        slot: Slot,
    },
    /// Both slots are the same.
    #[error("a key cannot be moved to where it is")]
    SameSlot,
    /// The object cannot be written.
    #[error("the object {id} cannot be written")]
    NotWritable {
        /// The object.
        id: ObjectId,
    },
    /// The object is too long.
    #[error("an object of {length} bytes is too long, {limit} fit")]
    ObjectTooLong {
        /// Its bytes.
        length: usize,
        /// How many fit.
        limit: usize,
    },
}

struct Named(ObjectId);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.name() {
            Some(name) => write!(f, " ({name})"),
            None => Ok(()),
        }
    }
}
