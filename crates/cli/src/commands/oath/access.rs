//! `tapkey oath access`: the password in front of the accounts.

use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;
use zeroize::Zeroizing;

use super::{
    memory::{Memory, Where},
    session::{Password, Session},
};
use crate::{
    commands::Context,
    exit::Failure,
    interrupt, prompt,
    secrets::{Source, Wanted},
};

/// Everything `tapkey oath access` does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Set, replace or remove the password.
    Change(Change),
    /// Remember the password on this computer.
    Remember(Remember),
    /// Forget what was remembered on this computer.
    Forget(Forget),
}

/// Options of `tapkey oath access change`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey oath access change
  tapkey oath access change --password file:old.txt --new file:new.txt
  tapkey oath access change --clear")]
pub(crate) struct Change {
    /// Where the new password comes from.
    #[arg(long, short, value_name = "SOURCE", conflicts_with = "clear")]
    new: Option<Source>,

    /// Remove the password.
    #[arg(long, short, conflicts_with = "remember")]
    clear: bool,

    #[command(flatten)]
    password: Password,
}

/// Options of `tapkey oath access remember`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "What is kept is not the password but a key that is derived from it, for this YubiKey alone."
)]
pub(crate) struct Remember {
    /// Where the password comes from.
    #[arg(long, short, value_name = "SOURCE")]
    password: Option<Source>,

    /// Where to keep it.
    #[arg(long = "in", value_name = "WHERE", value_enum, default_value = "file")]
    keep_in: Where,
}

/// Options of `tapkey oath access forget`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Forget {
    /// Forget the passwords of all keys; none needs to be plugged in.
    #[arg(long, short)]
    all: bool,
}

#[derive(Serialize)]
struct Access {
    device_id: String,
    password: bool,
    remembered: Option<&'static str>,
}

#[derive(Serialize)]
struct Forgotten {
    forgotten: usize,
}

/// Runs it.
pub(crate) fn run(command: &Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Change(args) => change(args, context),
        Command::Remember(args) => remember(args, context),
        Command::Forget(args) => forget(args, context),
    }
}

fn change(args: &Change, context: &Context) -> Result<(), Failure> {
    let mut session = Session::open(context)?;
    if args.clear && !session.oath.info().has_password {
        context.printer.say("no password is set");
        return told(&session, context);
    }
    // What -r asks for is the new password.
    let current = Password { password: args.password.password.clone(), remember: None };
    session.unlock(&current)?;
    let device_id = session.oath.info().device_id();
    if args.clear {
        let _busy = interrupt::busy();
        session.with(|oath, control| oath.remove_access_key(control))?;
        Memory::load()?.forget(&device_id)?;
        return told(&session, context);
    }
    let password = new_password(args.new.as_ref())?;
    let _busy = interrupt::busy();
    let key = session.oath.info().access_key(&password);
    session.with(|oath, control| oath.set_access_key(&key, control))?;
    // What is remembered would be wrong from now on.
    if let Some(place) = args.password.remember.or(Memory::load()?.place(&device_id)) {
        session.remember(&key, place)?;
    }
    told(&session, context)
}

fn new_password(source: Option<&Source>) -> Result<Zeroizing<String>, Failure> {
    let wanted = Wanted { name: "the new password", option: "--new" };
    let password = wanted.read(source)?;
    if password.is_empty() {
        return Err(Failure::usage("the new password is empty").hint("--clear removes the password"));
    }
    if matches!(source, None | Some(Source::Prompt)) && *prompt::hidden("The same again")? != *password {
        return Err(Failure::usage("the two passwords differ; nothing was changed"));
    }
    Ok(password)
}

fn remember(args: &Remember, context: &Context) -> Result<(), Failure> {
    let mut session = Session::open(context)?;
    let password = Password { password: args.password.clone(), remember: Some(args.keep_in) };
    session.unlock(&password)?;
    told(&session, context)
}

fn forget(args: &Forget, context: &Context) -> Result<(), Failure> {
    let forgotten = if args.all {
        Memory::forget_all()?
    } else {
        let session = Session::open(context)?;
        usize::from(Memory::load()?.forget(&session.oath.info().device_id())?)
    };
    context.printer.result("oath-forget/1", &Forgotten { forgotten }, |done| match done.forgotten {
        0 => "nothing was remembered".to_owned(),
        1 => "one password was forgotten".to_owned(),
        count => format!("{count} passwords were forgotten"),
    })
}

fn told(session: &Session<'_>, context: &Context) -> Result<(), Failure> {
    let info = session.oath.info();
    let device_id = info.device_id();
    let remembered = Memory::load()?.place(&device_id).map(Where::name);
    let document = Access { device_id, password: info.has_password, remembered };
    context.printer.result("oath-access/1", &document, |access| {
        if access.password { "a password is set" } else { "no password is set" }.to_owned()
    })
}
