//! A memory that loses its power.

use tapkey_protocol::secret::SecretBytes;

use super::{Fault, Faults, Occasion};
use crate::state::{StateError, StateStore};

/// Any store, with the power cuts of a plan. After a cut nothing is written until power is back.
pub(crate) struct FaultyStore {
    inner: Box<dyn StateStore>,
    faults: Faults,
}

impl FaultyStore {
    pub(crate) fn new(inner: Box<dyn StateStore>, faults: Faults) -> Self {
        Self { inner, faults }
    }
}

impl StateStore for FaultyStore {
    fn load(&mut self) -> Result<Option<SecretBytes>, StateError> {
        self.inner.load()
    }

    fn save(&mut self, document: &[u8]) -> Result<(), StateError> {
        if self.faults.is_power_cut() {
            return Err(StateError::PowerCut);
        }
        for fault in self.faults.occur(&[Occasion::StateWrite]) {
            if let Fault::PowerCut(moment) = fault {
                self.faults.cut_power();
                self.inner.save_cut_short(document, moment)?;
                return Err(StateError::PowerCut);
            }
        }
        self.inner.save(document)
    }

    fn location(&self) -> String {
        self.inner.location()
    }
}
