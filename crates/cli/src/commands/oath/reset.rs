//! `tapkey oath reset`: everything is deleted.

use clap::Args as ClapArgs;
use serde::Serialize;

use super::{memory::Memory, session::Session};
use crate::{commands::Context, exit::Failure, interrupt, prompt};

/// Options of `tapkey oath reset`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Args {
    /// Do not ask.
    #[arg(long, short)]
    force: bool,
}

#[derive(Serialize)]
struct Reset {
    device_id: String,
}

/// Asks, and resets the application. Other applications of the key stay as they are.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut session = Session::open(context)?;
    if !args.force {
        let question = "Delete all OATH accounts on this key, and their password? There is no way back.";
        prompt::confirm(question, "--force")?;
    }
    let _busy = interrupt::busy();
    let before = session.oath.info().device_id();
    session.with(|oath, control| oath.reset(control))?;
    // What was remembered opens nothing any more.
    if let Ok(mut memory) = Memory::load() {
        let _ = memory.forget(&before);
    }
    let document = Reset { device_id: session.oath.info().device_id() };
    context
        .printer
        .result("oath-reset/1", &document, |_| "all accounts and the password were deleted".to_owned())
}
