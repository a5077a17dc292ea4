//! `tapkey otp delete`: empty a slot.

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_protocol::slot::Slot;

use super::change::{Change, Leave, present_code};
use crate::{commands::Context, exit::Failure, interrupt, keys};

/// Options of `tapkey otp delete`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Args {
    /// 1 or 2.
    slot: Slot,

    #[command(flatten)]
    leave: Leave,
}

#[derive(Serialize)]
struct Deleted {
    slot: u8,
    serial: Option<u32>,
}

/// Empties the slot.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut change = Change::begin(context)?;
    let slot = args.slot;
    let current = present_code(&args.leave)?;
    let loss = change.loss(slot);
    if loss.is_some() {
        change.agree(&format!("slot {slot} will be empty"), loss.as_deref(), &args.leave)?;
    }
    let busy = interrupt::busy();
    change.session.delete(slot, &current, &change.control).map_err(keys::refused)?;
    drop(busy);
    change.note(|memory| *memory.slot_mut(slot) = None);
    let deleted = Deleted { slot: slot.number(), serial: change.device.serial() };
    context.printer.result("otp-delete/1", &deleted, |_| format!("slot {slot} is empty"))
}
