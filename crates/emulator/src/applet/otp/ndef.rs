//! What the NFC tag says: set by a command, read by a phone.

use tapkey_protocol::apdu::StatusWord;
use tapkey_protocol::slot::{Ndef, NdefError, NdefPayload, Slot};

use super::output::{self, Output};
use super::program::check_code;
use super::{Outcome, is_enabled};
use crate::key::Device;
use crate::state::Tag;

/// Chooses the slot whose password the tag carries, and the text in front of it; an empty payload
/// restores the text that the key came with.
pub(super) fn configure(device: &mut Device, slot: Slot, payload: &[u8]) -> Result<Outcome, StatusWord> {
    let payload = NdefPayload::parse(payload).map_err(|error| match error {
        NdefError::TooShort => StatusWord::WRONG_LENGTH,
        _ => StatusWord::WRONG_DATA,
    })?;
    check_code(device, slot, &payload.current)?;
    let ndef = payload.ndef.unwrap_or_else(Ndef::factory);
    device.change(|key| key.tag = Tag { slot, ndef })?;
    device.programmed_something();
    Ok(Outcome::Done)
}

/// What a slot adds to the tag: one-time passwords as text, a static password as raw key codes,
/// nothing for a challenge-response, dormant or empty slot.
pub(crate) fn text_for_tag(device: &mut Device, slot: Slot) -> Result<Vec<u8>, StatusWord> {
    if !is_enabled(device) {
        return Ok(Vec::new());
    }
    Ok(match output::next(device, slot)? {
        Output::Otp(otp) => otp.to_string().into_bytes(),
        Output::Hotp { token_id, code } => {
            format!("{}{code}", token_id.map(|id| id.to_string()).unwrap_or_default()).into_bytes()
        }
        Output::ScanCodes(codes) => codes.expose().iter().copied().filter(|code| *code != 0).collect(),
        Output::Static(otp) => otp.to_string().into_bytes(),
        Output::Nothing(_) => Vec::new(),
    })
}
