//! Serial number, device information and the FIPS query.

use tapkey_protocol::apdu::StatusWord;
use tapkey_protocol::secret::SecretBytes;
use tapkey_protocol::slot::ExtendedFlags;

use super::Outcome;
use crate::applet::management;
use crate::key::Device;
use crate::state::SlotState;

/// The serial number, when one of the slots lets programs read it. With both slots empty nothing
/// hides it, so it is told: device information tells it in any case.
pub(super) fn serial(device: &Device) -> Result<Outcome, StatusWord> {
    let state = device.state();
    let mut slots = state.slots.iter().flatten().peekable();
    let visible = slots.peek().is_none() || slots.any(|slot| slot.has(ExtendedFlags::SERIAL_BY_API));
    if !visible {
        return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
    }
    Ok(data(state.serial.to_be_bytes().to_vec()))
}

/// A page of device information.
pub(super) fn read_page(device: &Device, payload: &[u8]) -> Result<Outcome, StatusWord> {
    let page = payload.first().copied().unwrap_or(0);
    management::read(device, page).map(data)
}

/// Whether the key is in FIPS mode: both slots have access codes.
pub(super) fn fips(device: &Device) -> Outcome {
    let approved = device.state().slots.iter().all(|slot| slot.as_ref().is_some_and(SlotState::is_protected));
    data(vec![u8::from(approved)])
}

fn data(bytes: Vec<u8>) -> Outcome {
    Outcome::Data(SecretBytes::new(bytes))
}
