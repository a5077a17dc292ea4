//! `tapkey oath accounts code`: the codes.

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_driver::{OathAccount, OathCode};

use super::{
    account::{Shown, ambiguous, matching, none},
    live,
    session::{Password, Session},
};
use crate::{commands::Context, exit::Failure, interrupt};

/// Options of `tapkey oath accounts code`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "All codes at once leave those out that need a touch, and HOTP, whose codes are used up by asking: name \
such an account to get its code.

Examples:
  tapkey oath accounts code
  tapkey oath accounts code github
  tapkey oath accounts code --single GitHub:alice | wl-copy
  tapkey oath accounts code --watch"
)]
pub(crate) struct Args {
    /// Only accounts of this name, or with this in their name.
    query: Option<String>,

    /// Show hidden accounts too.
    #[arg(long, short = 'H')]
    show_hidden: bool,

    /// Print the code and nothing else; exactly one account has to match.
    #[arg(long, short, conflicts_with = "watch")]
    single: bool,

    /// Show the codes and how long they are good, anew all the time, until Ctrl-C.
    #[arg(long, short)]
    watch: bool,

    #[command(flatten)]
    password: Password,
}

/// An account with its code, if it came without asking for it.
pub(super) type Found = (OathAccount, Option<OathCode>);

/// All codes of a moment, in JSON.
#[derive(Serialize)]
pub(super) struct Codes {
    device_id: String,
    /// Seconds since 1970.
    at: u64,
    pub(super) accounts: Vec<Entry>,
}

/// One account with its code, in JSON.
#[derive(Serialize)]
pub(super) struct Entry {
    #[serde(flatten)]
    pub(super) account: Shown,
    /// A password that is good for seconds: printing it is what this is for.
    pub(super) code: Option<String>,
    pub(super) valid_from: Option<u64>,
    pub(super) valid_until: Option<u64>,
}

impl Codes {
    pub(super) fn of(session: &Session<'_>, found: &[Found], at: u64) -> Self {
        let mut accounts: Vec<Entry> = found.iter().map(Entry::of).collect();
        accounts.sort_by_cached_key(|entry| entry.account.name.to_lowercase());
        Self { device_id: session.oath.info().device_id(), at, accounts }
    }
}

impl Entry {
    fn of((account, code): &Found) -> Self {
        let valid = code.as_ref().and_then(OathCode::valid);
        Self {
            account: Shown::of(account),
            code: code.as_ref().map(|code| code.expose().to_owned()),
            valid_from: valid.map(|valid| valid.start),
            valid_until: valid.map(|valid| valid.end),
        }
    }
}

/// Prints them.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut session = Session::unlocked(context, &args.password)?;
    if args.watch {
        return live::run(args, &mut session, context);
    }
    let _busy = interrupt::busy();
    let at = super::now();
    let mut found = ask(args, &mut session, at)?;
    if args.single {
        return single(args, &mut session, context, found, at);
    }
    // One account that was asked for by name is worth a touch or a count.
    if args.query.is_some() && found.len() == 1 {
        compute(&mut session, &mut found, at)?;
    }
    let codes = Codes::of(&session, &found, at);
    context.printer.result("oath-codes/1", &codes, |codes| live::text(&codes.accounts, at))?;
    match &args.query {
        Some(query) if found.is_empty() => Err(none(query)),
        None if found.is_empty() => {
            context.printer.say("no accounts");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The codes of those accounts that are meant.
pub(super) fn ask(args: &Args, session: &mut Session<'_>, at: u64) -> Result<Vec<Found>, Failure> {
    let all = session.with(|oath, control| oath.codes(at, control))?;
    let found: Vec<Found> = match &args.query {
        None => all,
        Some(query) => matching(&all, query, |(account, _)| account).into_iter().cloned().collect(),
    };
    // Whoever names a hidden account wants to see it.
    let shows =
        |account: &OathAccount| args.show_hidden || !account.name().is_hidden() || args.query.is_some();
    Ok(found.into_iter().filter(|(account, _)| shows(account)).collect())
}

fn compute(session: &mut Session<'_>, found: &mut [Found], at: u64) -> Result<(), Failure> {
    for (account, code) in found {
        if code.is_none() {
            *code = Some(session.with(|oath, control| oath.code(account, at, control))?);
        }
    }
    Ok(())
}

fn single(
    args: &Args,
    session: &mut Session<'_>,
    context: &Context,
    mut found: Vec<Found>,
    at: u64,
) -> Result<(), Failure> {
    let query = args.query.as_deref().unwrap_or("");
    match &found[..] {
        [] => return Err(none(query)),
        [_] => compute(session, &mut found, at)?,
        several => {
            let names: Vec<String> = several.iter().map(|(one, _)| one.name().to_string()).collect();
            return Err(ambiguous(query, &names));
        }
    }
    let codes = Codes::of(session, &found, at);
    context.printer.result("oath-codes/1", &codes, |codes| {
        codes.accounts.iter().filter_map(|entry| entry.code.clone()).collect()
    })
}
