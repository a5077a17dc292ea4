//! `tapkey otp swap`: exchange the slots.

use clap::Args as ClapArgs;
use serde::Serialize;

use super::change::{Change, Leave, present_code};
use crate::{commands::Context, exit::Failure, interrupt, keys};

/// Options of `tapkey otp swap`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    leave: Leave,
}

#[derive(Serialize)]
struct Swapped {
    serial: Option<u32>,
}

/// Swaps the slots.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut change = Change::begin(context)?;
    let current = present_code(&args.leave)?;
    change.agree(
        "slot 1 and slot 2 will change places, with their counters and access codes",
        None,
        &args.leave,
    )?;
    let busy = interrupt::busy();
    change.session.swap(&current, &change.control).map_err(keys::refused)?;
    drop(busy);
    change.note(crate::memory::Memory::swap);
    let swapped = Swapped { serial: change.device.serial() };
    context.printer.result("otp-swap/1", &swapped, |_| "slot 1 and slot 2 have changed places".to_owned())
}
