//! What a key remembers without power, and where that is kept.
//!
//! The key hands a document to a [`StateStore`] before anything leaves that depends on it: a
//! counter that moved is stored before the password that carries it is given out. What a store
//! reported as saved must still be there after a power cut.

mod document;
mod error;
mod file;
mod hex;
mod memory;
mod oath;
mod piv;
mod slot;

use tapkey_protocol::secret::SecretBytes;

use crate::faults::PowerCut;

pub(crate) use document::{KeyState, Settings, Tag, parse, write};
pub use error::StateError;
pub use file::FileStore;
pub use memory::MemoryStore;
pub(crate) use oath::{OathCode, OathCredential, OathState};
pub(crate) use piv::{DEFAULT_PIN, DEFAULT_PUK, Management, PivKey, PivState, Tries};
pub(crate) use slot::SlotState;

/// Keeps the document of one key.
pub trait StateStore: Send {
    /// The document stored last, or `None` for a key that is still to be made.
    ///
    /// # Errors
    /// [`StateError`] when it cannot be read.
    fn load(&mut self) -> Result<Option<SecretBytes>, StateError>;

    /// Replaces the document. It is either replaced as a whole and durably, or not at all.
    ///
    /// # Errors
    /// [`StateError`] when it could not be stored; the key then refuses the command.
    fn save(&mut self, document: &[u8]) -> Result<(), StateError>;

    /// Begins to replace the document and leaves behind what a power cut at that moment leaves: the
    /// old document, or the new one. For tests with [`Faults`](crate::Faults).
    ///
    /// # Errors
    /// [`StateError`] when it goes wrong in another way than asked for.
    fn save_cut_short(&mut self, document: &[u8], moment: PowerCut) -> Result<(), StateError> {
        match moment {
            PowerCut::Before | PowerCut::During => Ok(()),
            PowerCut::After => self.save(document),
        }
    }

    /// Where it is, for messages.
    fn location(&self) -> String;
}

impl StateStore for Box<dyn StateStore> {
    fn load(&mut self) -> Result<Option<SecretBytes>, StateError> {
        (**self).load()
    }

    fn save(&mut self, document: &[u8]) -> Result<(), StateError> {
        (**self).save(document)
    }

    fn save_cut_short(&mut self, document: &[u8], moment: PowerCut) -> Result<(), StateError> {
        (**self).save_cut_short(document, moment)
    }

    fn location(&self) -> String {
        (**self).location()
    }
}
