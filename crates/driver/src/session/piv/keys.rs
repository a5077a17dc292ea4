//! Keys: making, bringing, moving, deleting, and what is known of them.

use tapkey_protocol::apdu::StatusWord;
use tapkey_protocol::piv::{
    AuthAnswer, Generate, Import, KeyMetadata, PrivateKeyError, PublicKey, Slot, command, since,
};
use tapkey_protocol::version::Unsupported;

use super::PivSession;
use super::error::{PivInputError, PivRefusal};
use super::held::{Administrator, malformed, refused};
use crate::control::Control;
use crate::error::Error;

impl PivSession {
    /// Generates a key, in place of what is in the slot. RSA of 4096 bits takes a key up to a minute.
    ///
    /// # Errors
    /// [`Error::Unsupported`] before anything is sent, also for RSA on firmware that generates weak
    /// keys.
    pub fn generate(
        &mut self,
        slot: Slot,
        ask: &Generate,
        administrator: Administrator<'_>,
        control: &Control,
    ) -> Result<PublicKey, Error> {
        let version = self.version();
        ask.algorithm.check_generation(version)?;
        ask.pin_policy.map_or(Ok(()), |policy| policy.check(version))?;
        ask.touch_policy.map_or(Ok(()), |policy| policy.check(version))?;
        let mut held = self.hold(control)?;
        held.authenticate(administrator)?;
        let answer = held.ask(&command::generate(slot, ask), "generate the key")?;
        PublicKey::parse_generated(&answer, ask.algorithm).map_err(malformed)
    }

    /// Imports a key, in place of what is in the slot.
    ///
    /// # Errors
    /// [`Error::Unsupported`] before anything is sent.
    pub fn import(
        &mut self,
        slot: Slot,
        import: &Import,
        administrator: Administrator<'_>,
        control: &Control,
    ) -> Result<(), Error> {
        let version = self.version();
        let algorithm =
            import.key.algorithm().ok_or(PivInputError::PrivateKey(PrivateKeyError::RsaNumber))?;
        algorithm.check(version)?;
        import.pin_policy.map_or(Ok(()), |policy| policy.check(version))?;
        import.touch_policy.map_or(Ok(()), |policy| policy.check(version))?;
        let mut held = self.hold(control)?;
        held.authenticate(administrator)?;
        held.ask(&command::import(algorithm, slot, import), "import the key")?;
        Ok(())
    }

    /// Moves a key to an empty slot. Certificates stay where they are.
    ///
    /// # Errors
    /// [`PivRefusal::NoKey`], [`PivRefusal::SlotTaken`].
    pub fn move_key(
        &mut self,
        from: Slot,
        to: Slot,
        administrator: Administrator<'_>,
        control: &Control,
    ) -> Result<(), Error> {
        Unsupported::check_at_least("moving keys", self.version(), since::KEY_MOVING)?;
        if from == to {
            return Err(PivInputError::SameSlot.into());
        }
        for slot in [from, to] {
            if slot == Slot::ATTESTATION {
                return Err(PivInputError::Slot { slot }.into());
            }
        }
        let mut held = self.hold(control)?;
        if held.key(from)?.is_none() {
            return Err(PivRefusal::NoKey { slot: from }.into());
        }
        if held.key(to)?.is_some() {
            return Err(PivRefusal::SlotTaken { slot: to }.into());
        }
        held.authenticate(administrator)?;
        held.ask(&command::move_key(from, to), "move the key")?;
        Ok(())
    }

    /// Deletes a key. Its certificate stays.
    ///
    /// # Errors
    /// [`PivRefusal::NoKey`].
    pub fn delete_key(
        &mut self,
        slot: Slot,
        administrator: Administrator<'_>,
        control: &Control,
    ) -> Result<(), Error> {
        Unsupported::check_at_least("deleting keys", self.version(), since::KEY_MOVING)?;
        let mut held = self.hold(control)?;
        held.authenticate(administrator)?;
        match held.call(&command::delete_key(slot))?.status {
            StatusWord::SUCCESS => Ok(()),
            StatusWord::REFERENCE_NOT_FOUND => Err(PivRefusal::NoKey { slot }.into()),
            status => Err(refused("delete the key", status)),
        }
    }

    /// What is known of the key in a slot (firmware 5.3 and later); `None` when there is none.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for earlier firmware.
    pub fn metadata(&mut self, slot: Slot, control: &Control) -> Result<Option<KeyMetadata>, Error> {
        Unsupported::check_at_least("metadata of keys", self.version(), since::METADATA)?;
        self.hold(control)?.key(slot)
    }

    /// Has the key certify that a key was generated on it: a certificate in DER, signed by the key in
    /// slot F9.
    ///
    /// # Errors
    /// [`PivRefusal::NotGenerated`], [`PivRefusal::NoKey`].
    pub fn attest(&mut self, slot: Slot, control: &Control) -> Result<Vec<u8>, Error> {
        Unsupported::check_at_least("attestation", self.version(), since::ATTESTATION)?;
        if slot == Slot::ATTESTATION {
            return Err(PivInputError::Slot { slot }.into());
        }
        let mut held = self.hold(control)?;
        let response = held.call(&command::attest(slot))?;
        match response.status {
            StatusWord::SUCCESS => Ok(response.data),
            StatusWord::WRONG_DATA => Err(PivRefusal::NotGenerated { slot }.into()),
            StatusWord::REFERENCE_NOT_FOUND => Err(PivRefusal::NoKey { slot }.into()),
            status => Err(refused("attest the key", status)),
        }
    }
}

/// What is in the answer to the use of a key.
pub(super) fn result_of(body: &[u8]) -> Result<Vec<u8>, Error> {
    match AuthAnswer::parse(body).map_err(malformed)? {
        AuthAnswer::Response(result) => Ok(result.to_vec()),
        AuthAnswer::Witness(_) | AuthAnswer::Challenge(_) => {
            Err(malformed(tapkey_protocol::piv::CodecError::Missing { tag: 0x82 }))
        }
    }
}
