//! The chosen key for programs that are built on the `yubikey` crate.

use tapkey_protocol::link::CardTransport;
use thiserror::Error;
use yubikey::YubiKey;
use yubikey::reader::Context;

use crate::device::Device;

impl Device {
    /// Opens the key with the `yubikey` crate, by the name of its reader.
    ///
    /// That crate speaks PC/SC and nothing else, so it opens keys that the system sees, and no
    /// software key in this process. When its value is dropped, it resets the card.
    ///
    /// # Errors
    /// [`OpenYubikeyError`].
    pub fn open_yubikey(&self) -> Result<YubiKey, OpenYubikeyError> {
        let reader = self
            .reader()
            .filter(|_| !self.is_software() && self.ways().card.is_some())
            .ok_or(OpenYubikeyError::NoReader { over: self.ways().card })?;
        let mut context = Context::open()?;
        let readers = context.iter()?;
        for found in readers {
            if found.name() == reader.as_str() {
                return Ok(found.open()?);
            }
        }
        Err(OpenYubikeyError::Gone { reader })
    }
}

/// Why the `yubikey` crate does not open a key.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenYubikeyError {
    /// The key is in no smart-card reader of this system.
    #[error("the key is in no smart-card reader of this system, and the yubikey crate opens no others")]
    NoReader {
        /// How its smart card is reached otherwise.
        over: Option<CardTransport>,
    },
    /// The reader is not there any more.
    #[error("the reader {reader} is not there any more; plug the key in again")]
    Gone {
        /// Its name.
        reader: String,
    },
    /// The crate itself failed.
    #[error("the yubikey crate does not open the key: {0}")]
    Crate(#[from] yubikey::Error),
}
