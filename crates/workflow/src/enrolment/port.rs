//! The key and the person's touch, as an enrolment sees them.

use std::error::Error;

use tapkey_protocol::{
    otp::{AesKey, PrivateId, PublicId},
    slot::{AccessCode, Slot},
    version::Version,
};
use thiserror::Error;

/// A key whose slot can be programmed. Calls block.
pub trait KeyPort: Send {
    /// Reads what can be known without changing anything.
    ///
    /// # Errors
    /// The key could not be read.
    fn facts(&mut self) -> Result<KeyFacts, KeyError>;

    /// Programs a slot with a Yubico OTP credential and checks that the key took it.
    ///
    /// `current` is the slot's present access code, where it has one.
    ///
    /// # Errors
    /// [`KeyError`] says whether the slot may have changed.
    fn program(
        &mut self,
        slot: Slot,
        credential: &Credential,
        current: Option<&AccessCode>,
    ) -> Result<(), KeyError>;
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KeyFacts {
    /// Its serial number, where it shows one.
    pub serial: Option<u32>,
    /// Its firmware.
    pub version: Version,
    /// Whether slot 1 and slot 2 hold something.
    pub programmed: [bool; 2],
    /// Whether the key is made of software.
    pub software: bool,
}

impl KeyFacts {
    /// Whether a slot holds something.
    #[must_use]
    pub const fn is_programmed(&self, slot: Slot) -> bool {
        match slot {
            Slot::One => self.programmed[0],
            Slot::Two => self.programmed[1],
        }
    }
}

/// What goes into the slot.
#[derive(Clone, Debug)]
pub struct Credential {
    /// Typed in clear.
    pub public_id: PublicId,
    /// Typed encrypted.
    pub private_id: PrivateId,
    /// Encrypts it.
    pub aes_key: AesKey,
    /// Protects the slot from now on.
    pub access_code: Option<AccessCode>,
}

/// Why the key did not do as told.
#[derive(Debug, Error)]
#[error("{source}")]
pub struct KeyError {
    /// Whether the slot surely holds what it held before.
    pub unchanged: bool,
    /// What the driver said.
    pub source: Box<dyn Error + Send + Sync>,
}

impl KeyError {
    /// Nothing was written.
    pub fn unchanged(source: impl Error + Send + Sync + 'static) -> Self {
        Self { unchanged: true, source: Box::new(source) }
    }

    /// Something may have been written.
    pub fn uncertain(source: impl Error + Send + Sync + 'static) -> Self {
        Self { unchanged: false, source: Box::new(source) }
    }
}

/// How a password that the key typed reaches us. Calls block.
pub trait TouchPort: Send {
    /// Waits for one touch and returns what was typed. `public_id` is what it should begin with.
    ///
    /// # Errors
    /// Given up, or nothing came.
    fn typed_password(&mut self, slot: Slot, public_id: PublicId) -> Result<String, TouchError>;
}

/// Why no password came.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TouchError {
    /// The person gave up.
    #[error("given up while waiting for the touch")]
    Cancelled,
    /// Nothing was typed in time.
    #[error("the key was not touched in time")]
    TimedOut,
    /// The input failed.
    #[error("could not read what the key typed: {0}")]
    Failed(#[source] Box<dyn Error + Send + Sync>),
}
