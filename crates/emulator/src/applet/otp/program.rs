//! Writing, updating, deleting and swapping slots, and the map of key codes.

use tapkey_protocol::apdu::StatusWord;
use tapkey_protocol::slot::{
    AccessCode, RecordError, ScanMap, ScanMapPayload, Slot, SlotWrite, WritePayload, apply_update,
    swap_code_over_card, swap_code_over_hid,
};

use super::{Outcome, Via};
use crate::key::Device;
use crate::state::SlotState;

/// Programs a slot, or empties it when the record is all zeros.
pub(super) fn configure(device: &mut Device, slot: Slot, payload: &[u8]) -> Result<Outcome, StatusWord> {
    let WritePayload { write, current } = WritePayload::parse(payload).map_err(refusal)?;
    authorize(device, slot, &current)?;
    let state = match write {
        SlotWrite::Delete => None,
        SlotWrite::Record(record) => Some(SlotState::program(record)),
    };
    device.change(|key| *key.slot_mut(slot) = state)?;
    device.session().forget_use(slot);
    device.programmed_slots();
    Ok(Outcome::Done)
}

/// Changes flags and access code of a slot that allows it; key and counters stay.
pub(super) fn update(device: &mut Device, slot: Slot, payload: &[u8]) -> Result<Outcome, StatusWord> {
    let WritePayload { write, current } = WritePayload::parse(payload).map_err(refusal)?;
    authorize(device, slot, &current)?;
    let SlotWrite::Record(update) = write else {
        return Err(StatusWord::WRONG_DATA);
    };
    let present = device.state().slot(slot).ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
    let record = apply_update(&present.record, &update, device.profile().version())
        .map_err(|_| StatusWord::CONDITIONS_NOT_SATISFIED)?;
    device.change(|key| {
        if let Some(state) = key.slot_mut(slot) {
            state.record = record;
        }
    })?;
    device.programmed_slots();
    Ok(Outcome::Done)
}

/// Exchanges the slots, counters and all. What a genuine key asks for when a slot has an access
/// code is not documented; this one asks for the code, so that a swap is no way around it.
pub(super) fn swap(device: &mut Device, payload: &[u8], via: Via) -> Result<Outcome, StatusWord> {
    let code = match via {
        Via::Reports => swap_code_over_hid(payload),
        Via::Card => swap_code_over_card(payload),
    };
    check_both_codes(device, &code)?;
    device.change(|key| key.slots.swap(0, 1))?;
    device.session().swap_uses();
    device.programmed_slots();
    Ok(Outcome::Done)
}

/// Replaces the codes that the key types for its characters. A map of zeros, which would type
/// nothing, brings back the one a key comes with: that is how `ykpersonalize -S` resets it.
pub(super) fn scan_map(device: &mut Device, payload: &[u8]) -> Result<Outcome, StatusWord> {
    let ScanMapPayload { map, current } = ScanMapPayload::parse(payload).ok_or(StatusWord::WRONG_LENGTH)?;
    check_both_codes(device, &current)?;
    let map = if map.as_bytes().iter().all(|code| *code == 0) { ScanMap::DEFAULT } else { map };
    device.change(|key| key.scan_map = map)?;
    device.programmed_something();
    Ok(Outcome::Done)
}

/// Whether whoever writes gave the slot's access code. A slot without one takes any.
pub(super) fn check_code(device: &Device, slot: Slot, code: &AccessCode) -> Result<(), StatusWord> {
    match device.state().slot(slot) {
        Some(state) if !state.record.access_code.permits(code) => {
            Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED)
        }
        _ => Ok(()),
    }
}

fn check_both_codes(device: &Device, code: &AccessCode) -> Result<(), StatusWord> {
    Slot::ALL.into_iter().try_for_each(|slot| check_code(device, slot, code))
}

/// The access code, and slot 1's say in who may write slot 2: with its flag set, only a slot 2
/// that is programmed and carries the flag itself.
fn authorize(device: &Device, slot: Slot, code: &AccessCode) -> Result<(), StatusWord> {
    check_code(device, slot, code)?;
    let protects = |slot| device.state().slot(slot).is_some_and(SlotState::protects_second_slot);
    if slot == Slot::Two && protects(Slot::One) && !protects(Slot::Two) {
        return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
    }
    Ok(())
}

fn refusal(error: RecordError) -> StatusWord {
    match error {
        RecordError::TooShort { .. } => StatusWord::WRONG_LENGTH,
        _ => StatusWord::WRONG_DATA,
    }
}
