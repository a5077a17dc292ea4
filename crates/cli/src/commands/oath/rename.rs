//! `tapkey oath accounts rename`: another name for an account.

use clap::Args as ClapArgs;
use serde::Serialize;

use super::{
    account::{one, parse_name},
    session::{Password, Session},
};
use crate::{commands::Context, exit::Failure, interrupt, keys};

/// Options of `tapkey oath accounts rename`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Example:
  tapkey oath accounts rename github GitHub:alice@example.org")]
pub(crate) struct Args {
    /// The account: its name, or a part that no other has.
    query: String,

    /// The new name: ISSUER:ACCOUNT, or ACCOUNT alone.
    name: String,

    #[command(flatten)]
    password: Password,
}

#[derive(Serialize)]
struct Renamed {
    from: String,
    to: String,
}

/// Renames it.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut session = Session::unlocked(context, &args.password)?;
    let _busy = interrupt::busy();
    session.oath.info().check_rename().map_err(|error| keys::refused(error.into()))?;
    let accounts = session.with(|oath, control| oath.list(control))?;
    let account = one(&accounts, &args.query)?;
    let old = account.name();
    let new = parse_name(&args.name, None, old.period);
    let id = new.to_id(account.kind).map_err(|error| Failure::usage(error.to_string()))?;
    session.with(|oath, control| oath.rename(&account.id, &id, control))?;
    let document = Renamed { from: old.to_string(), to: new.to_string() };
    context
        .printer
        .result("oath-rename/1", &document, |done| format!("{} is called {} now", done.from, done.to))
}
