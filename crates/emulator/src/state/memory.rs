//! A store that lasts as long as somebody holds it.

use std::sync::{Arc, Mutex, PoisonError};

use tapkey_protocol::secret::SecretBytes;

use super::{StateError, StateStore};

/// Keeps the document in memory. Clones share it, so a test can throw a key away and build it
/// again from what it had stored.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    document: Arc<Mutex<Option<SecretBytes>>>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl StateStore for MemoryStore {
    fn load(&mut self) -> Result<Option<SecretBytes>, StateError> {
        Ok(self.document.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn save(&mut self, document: &[u8]) -> Result<(), StateError> {
        let copy = SecretBytes::new(document.to_vec());
        *self.document.lock().unwrap_or_else(PoisonError::into_inner) = Some(copy);
        Ok(())
    }

    fn location(&self) -> String {
        "memory".to_owned()
    }
}
