//! `tapkey oath`: the accounts on a key and their codes.

mod access;
mod account;
mod add;
mod code;
mod delete;
mod import;
mod info;
mod keyring;
mod list;
mod live;
mod memory;
mod picture;
mod rename;
mod reset;
mod session;
mod store;
mod uri;

use std::time::{SystemTime, UNIX_EPOCH};

use clap::Subcommand;

use super::Context;
use crate::exit::Failure;

/// Everything `tapkey oath` does.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "An account is what an authenticator app calls one: it makes codes out of a secret and the time \
(TOTP) or a counter (HOTP). The secret stays in the key; nothing reads it back.

Examples:
  tapkey oath accounts uri --image screenshot.png
  tapkey oath accounts code
  tapkey oath accounts code --single github

docs/oath.md has recipes."
)]
pub(crate) enum Command {
    /// Show version, password and room for accounts.
    Info(info::Args),
    /// Delete all accounts and the password.
    Reset(reset::Args),
    /// The password in front of the accounts.
    #[command(subcommand)]
    Access(access::Command),
    /// List, use and change accounts.
    #[command(subcommand)]
    Accounts(Accounts),
}

/// Everything `tapkey oath accounts` does.
#[derive(Debug, Subcommand)]
pub(crate) enum Accounts {
    /// List the names of the accounts.
    List(list::Args),
    /// Show codes: of all accounts, or of those that match.
    Code(code::Args),
    /// Add an account, with a secret of your own or one that is drawn.
    Add(add::Args),
    /// Add accounts from an otpauth:// URI, or from a picture of a QR code.
    Uri(uri::Args),
    /// Add the accounts of a file: PSKC, or one URI on each line.
    Import(import::Args),
    /// Give an account another name.
    Rename(rename::Args),
    /// Delete an account.
    Delete(delete::Args),
}

/// Runs it.
pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Info(args) => info::run(&args, context),
        Command::Reset(args) => reset::run(&args, context),
        Command::Access(command) => access::run(&command, context),
        Command::Accounts(Accounts::List(args)) => list::run(&args, context),
        Command::Accounts(Accounts::Code(args)) => code::run(&args, context),
        Command::Accounts(Accounts::Add(args)) => add::run(&args, context),
        Command::Accounts(Accounts::Uri(args)) => uri::run(&args, context),
        Command::Accounts(Accounts::Import(args)) => import::run(&args, context),
        Command::Accounts(Accounts::Rename(args)) => rename::run(&args, context),
        Command::Accounts(Accounts::Delete(args)) => delete::run(&args, context),
    }
}

/// The time, in seconds since 1970. Everything below gets it as an argument.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
