//! `tapkey oath accounts list`: the names.

use clap::Args as ClapArgs;
use serde::Serialize;

use super::{
    account::Shown,
    session::{Password, Session},
};
use crate::{commands::Context, exit::Failure, interrupt, output};

/// Options of `tapkey oath accounts list`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Args {
    /// Show hidden accounts too.
    #[arg(long, short = 'H')]
    show_hidden: bool,

    /// Show what kind of account it is, and its hash.
    #[arg(long, short)]
    oath_type: bool,

    /// Show for how many seconds a code is good.
    #[arg(long, short = 'P')]
    period: bool,

    #[command(flatten)]
    password: Password,
}

#[derive(Serialize)]
struct List {
    device_id: String,
    accounts: Vec<Shown>,
}

/// Prints them.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut session = Session::unlocked(context, &args.password)?;
    let _busy = interrupt::busy();
    let accounts = session.with(|oath, control| oath.list(control))?;
    let mut accounts: Vec<Shown> = accounts.iter().map(Shown::of).collect();
    accounts.retain(|account| args.show_hidden || !account.hidden);
    accounts.sort_by_cached_key(|account| account.name.to_lowercase());
    let list = List { device_id: session.oath.info().device_id(), accounts };
    context.printer.result("oath-accounts/1", &list, |list| human(args, &list.accounts))?;
    if list.accounts.is_empty() {
        context.printer.say("no accounts");
    }
    Ok(())
}

fn human(args: &Args, accounts: &[Shown]) -> String {
    if (!args.oath_type && !args.period) || accounts.is_empty() {
        return accounts.iter().map(|account| format!("{}\n", account.name)).collect();
    }
    let kind =
        |account: &Shown| format!("{} {}", account.kind.to_uppercase(), account.algorithm.unwrap_or(""));
    let period = |account: &Shown| account.period.map_or_else(String::new, |period| format!("{period} s"));
    let rows = accounts.iter();
    match (args.oath_type, args.period) {
        (true, true) => {
            let rows: Vec<_> = rows.map(|one| [one.name.clone(), kind(one), period(one)]).collect();
            output::table(["ACCOUNT", "TYPE", "PERIOD"], &rows)
        }
        (true, false) => {
            let rows: Vec<_> = rows.map(|one| [one.name.clone(), kind(one)]).collect();
            output::table(["ACCOUNT", "TYPE"], &rows)
        }
        _ => {
            let rows: Vec<_> = rows.map(|one| [one.name.clone(), period(one)]).collect();
            output::table(["ACCOUNT", "PERIOD"], &rows)
        }
    }
}
