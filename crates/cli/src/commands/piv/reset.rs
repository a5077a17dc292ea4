//! `tapkey piv reset`: start over.

use clap::Args as ClapArgs;
use serde::Serialize;

use super::session::Piv;
use crate::{commands::Context, exit::Failure, interrupt};

/// Options of `tapkey piv reset`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "All private keys (but the attestation key f9), certificates and other objects are lost. PIN, PUK \
and management key become the factory's. Keys allow this only when PIN and PUK are blocked, so both are blocked first."
)]
pub(crate) struct Args {
    /// Do not ask.
    #[arg(long, short)]
    force: bool,
}

#[derive(Serialize)]
struct Reset {
    serial: Option<u32>,
}

/// Does it.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut piv = Piv::begin(context)?;
    let slots = piv.with(|session, control| session.info(control))?.slots;
    let lost: Vec<String> =
        slots.iter().map(|slot| slot.slot.to_string()).filter(|slot| slot != "f9").collect();
    let loss = match lost.len() {
        0 => "No slot holds anything".to_owned(),
        1 => format!("What slot {} holds is lost for good", lost.join(", ")),
        _ => format!("What slots {} hold is lost for good", lost.join(", ")),
    };
    piv.confirm(&format!("{loss}, and so are all other objects. Reset the PIV application?"), args.force)?;
    let busy = interrupt::busy();
    piv.with(|session, control| session.reset(control))?;
    drop(busy);
    let done = Reset { serial: piv.serial() };
    context.printer.result("piv-reset/1", &done, |_| {
        "the PIV application is empty; PIN 123456, PUK 12345678 and the management key are the factory's"
            .to_owned()
    })
}
