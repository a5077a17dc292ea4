//! Commands as a host sends them.

use super::{
    Algorithm, Authenticate, ChangeReference, Generate, GetData, Import, ObjectId, Pin, PutData,
    SetManagementKey, Slot, ins, reference,
};
use crate::apdu::Command;

/// Reads the version of the application, which is the firmware's from generation 4 on: 3 bytes.
#[must_use]
pub fn version() -> Command {
    ask(ins::VERSION, 0, 0)
}

/// Reads the serial number: 4 bytes, the highest first.
#[must_use]
pub fn serial() -> Command {
    ask(ins::SERIAL, 0, 0)
}

/// Checks the PIN.
#[must_use]
pub fn verify(pin: &Pin) -> Command {
    Command::new(0, ins::VERIFY, 0, reference::PIN, *pin.padded())
}

/// Asks whether the PIN was checked, and otherwise how many tries are left.
#[must_use]
pub fn pin_state() -> Command {
    Command::new(0, ins::VERIFY, 0, reference::PIN, [])
}

/// Forgets that the PIN was checked (firmware 5.4.3 and later).
#[must_use]
pub fn log_out() -> Command {
    Command::new(0, ins::VERIFY, 0xFF, reference::PIN, [])
}

/// Changes the PIN or PUK; `reference` is one of [`mod@super::reference`].
#[must_use]
pub fn change_reference(reference: u8, change: &ChangeReference) -> Command {
    Command::new(0, ins::CHANGE_REFERENCE, 0, reference, change.encode().as_slice())
}

/// Sets a new PIN with the PUK.
#[must_use]
pub fn unblock(change: &ChangeReference) -> Command {
    Command::new(0, ins::RESET_RETRY, 0, reference::PIN, change.encode().as_slice())
}

/// Sets how many tries there are, and PIN and PUK to the factory's.
#[must_use]
pub fn set_retries(pin: u8, puk: u8) -> Command {
    Command::new(0, ins::SET_RETRIES, pin, puk, [])
}

/// Empties the application, which the key does only when PIN and PUK are both blocked.
#[must_use]
pub fn reset() -> Command {
    Command::new(0, ins::RESET, 0, 0, [])
}

/// Reads what is known of a slot or of one of [`mod@super::reference`].
#[must_use]
pub fn metadata(reference: u8) -> Command {
    ask(ins::METADATA, 0, reference)
}

/// Sets the management key.
#[must_use]
pub fn set_management_key(set: &SetManagementKey) -> Command {
    let body = set.encode();
    Command::new(0, ins::SET_MANAGEMENT_KEY, 0xFF, set.touch.management_key_p2(), body.as_slice())
}

/// A step of proving the management key; `kind` is the id of its cipher.
#[must_use]
pub fn prove_management_key(kind: u8, step: &Authenticate) -> Command {
    let body = step.encode();
    Command::new(0, ins::AUTHENTICATE, kind, reference::MANAGEMENT_KEY, body.as_slice())
}

/// Uses the key in a slot.
#[must_use]
pub fn use_key(algorithm: Algorithm, slot: Slot, operation: &Authenticate) -> Command {
    let body = operation.encode();
    Command::new(0, ins::AUTHENTICATE, algorithm.id(), slot.id(), body.as_slice())
}

/// Generates a key.
#[must_use]
pub fn generate(slot: Slot, generate: &Generate) -> Command {
    Command::new(0, ins::GENERATE, 0, slot.id(), generate.encode())
}

/// Imports a key of this algorithm.
#[must_use]
pub fn import(algorithm: Algorithm, slot: Slot, import: &Import) -> Command {
    Command::new(0, ins::IMPORT, algorithm.id(), slot.id(), import.encode().as_slice())
}

/// Moves a key to an empty slot.
#[must_use]
pub fn move_key(from: Slot, to: Slot) -> Command {
    Command::new(0, ins::MOVE_KEY, to.id(), from.id(), [])
}

/// Deletes a key.
#[must_use]
pub fn delete_key(slot: Slot) -> Command {
    Command::new(0, ins::MOVE_KEY, DELETED, slot.id(), [])
}

/// Makes a certificate about a generated key.
#[must_use]
pub fn attest(slot: Slot) -> Command {
    ask(ins::ATTEST, slot.id(), 0)
}

/// Reads an object.
#[must_use]
pub fn get_data(id: ObjectId) -> Command {
    Command::new(0, ins::GET_DATA, 0x3F, 0xFF, GetData(id).encode())
}

/// Writes an object.
#[must_use]
pub fn put_data(put: &PutData) -> Command {
    Command::new(0, ins::PUT_DATA, 0x3F, 0xFF, put.encode().as_slice())
}

/// P1 of the command that moves a key when the key is to be nowhere.
pub const DELETED: u8 = 0xFF;

/// A command without data that wants all of the answer.
fn ask(ins: u8, p1: u8, p2: u8) -> Command {
    Command::new(0, ins, p1, p2, []).with_le(256)
}
