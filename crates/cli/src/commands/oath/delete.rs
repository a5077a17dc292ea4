//! `tapkey oath accounts delete`: an account less.

use clap::Args as ClapArgs;
use serde::Serialize;

use super::{
    account::one,
    session::{Password, Session},
};
use crate::{commands::Context, exit::Failure, interrupt, prompt};

/// Options of `tapkey oath accounts delete`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Args {
    /// The account: its name, or a part that no other has.
    query: String,

    /// Do not ask.
    #[arg(long, short)]
    force: bool,

    #[command(flatten)]
    password: Password,
}

#[derive(Serialize)]
struct Deleted {
    name: String,
}

/// Asks, and deletes it.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut session = Session::unlocked(context, &args.password)?;
    let accounts = session.with(|oath, control| oath.list(control))?;
    let account = one(&accounts, &args.query)?;
    let name = account.name().to_string();
    if !args.force {
        let question = format!("Delete {name}? Its secret cannot be brought back.");
        prompt::confirm(&question, "--force")?;
    }
    let _busy = interrupt::busy();
    session.with(|oath, control| oath.delete(&account.id, control))?;
    context.printer.result("oath-delete/1", &Deleted { name }, |done| format!("deleted {}", done.name))
}
