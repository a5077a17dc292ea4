//! `tapkey otp settings`: change single settings of a slot without its secret.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_protocol::{
    formats::csv::access_code_line,
    slot::{AccessCode, Options, Slot, Update},
};

use super::{
    change::{Change, Leave, Protection, new_code, present_code, shown_code},
    known::{Known, known},
    options::{self, Behaviour, Typing},
    record::{Record, time},
};
use crate::{
    commands::Context,
    exit::{Exit, Failure},
    interrupt, keys, output,
};

/// Options of `tapkey otp settings`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey otp settings 1 --no-enter                 the rest stays as Tapkey programmed it
  tapkey otp settings 2 --pacing 20 --reset-others
  tapkey otp settings 1 --new-access-code generate --output codes.csv

A key takes all settings at once and does not tell those it has. Tapkey knows them of software keys and of \
slots that it programmed on this machine; otherwise say --reset-others, and what is not named here becomes \
its default. An access code that --access-code gives must be kept, replaced or deleted explicitly.")]
pub(crate) struct Args {
    /// 1 or 2.
    slot: Slot,

    /// What is not named here becomes its default, whatever it was.
    #[arg(long)]
    reset_others: bool,

    /// Keep the access code that --access-code gives.
    #[arg(long, requires = "access_code", conflicts_with_all = ["new_access_code", "delete_access_code"])]
    keep_access_code: bool,

    /// The slot has no access code afterwards.
    #[arg(long, conflicts_with = "new_access_code")]
    delete_access_code: bool,

    /// Append a new access code to this file (mode 0600).
    #[arg(long, short = 'O', value_name = "FILE", requires = "new_access_code")]
    output: Option<PathBuf>,

    /// Show a generated access code.
    #[arg(long)]
    show_secret: bool,

    #[command(flatten)]
    typing: Typing,
    #[command(flatten)]
    behaviour: Behaviour,
    #[command(flatten)]
    protection: Protection,
    #[command(flatten)]
    leave: Leave,
}

#[derive(Serialize)]
struct Updated {
    slot: u8,
    serial: Option<u32>,
    access_code: bool,
    /// What changed, by the names of the options; `None` where the state before was not known.
    changed: Option<Vec<&'static str>>,
    /// From where the state before was known.
    base: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_access_code: Option<String>,
}

/// Updates the slot.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let changes = args.behaviour.and(args.typing.changes());
    if changes.protect_slot_2.is_some() {
        return Err(Failure::usage("--protect-slot-2 cannot be changed by an update")
            .hint("program the slot anew with or without it"));
    }
    let code_changes = args.delete_access_code || args.protection.new_access_code.is_some();
    if changes.is_empty() && !code_changes && !args.reset_others && args.leave.access_code.is_none() {
        return Err(Failure::usage("nothing is to be changed").hint("name a setting, or --reset-others"));
    }
    let mut change = Change::begin(context)?;
    let slot = args.slot;
    if change.status.is_certainly(slot, false) {
        return Err(keys::refused(tapkey_driver::Refusal::SlotEmpty { slot }.into()));
    }
    let present = known(&change, slot)?;
    let kind = present.as_ref().map(|present| present.kind);
    options::check(&changes, kind, change.version())?;
    let base = base(args, &change, present.as_ref())?;
    let (current, access_code, drawn) = codes(args, present.as_ref())?;
    change.check_code(&access_code)?;
    if drawn && !args.show_secret && args.output.is_none() {
        return Err(Failure::usage("the access code would be drawn at random and known to the key alone")
            .hint("add --output FILE to keep it, or --show-secret to see it"));
    }
    let options = changes.apply(base);
    change.warn_of_idle(&options);
    let update = Update { options, access_code: access_code.clone() };
    update
        .supported_by(change.version(), access_code != current)
        .map_err(|error| Failure::new(Exit::Key, error.to_string()).hint(hint_of(&access_code, &current)))?;
    let changed = present.as_ref().map(|present| options.differences(&present.options));
    change.agree(&will(slot, changed.as_deref(), &access_code), None, &args.leave)?;
    let record = match (&args.output, &args.protection.new_access_code) {
        (Some(path), Some(_)) => {
            let line = access_code_line(change.device.serial(), slot, &access_code, &time());
            Some(Record::append(path, &line)?)
        }
        _ => None,
    };
    let busy = interrupt::busy();
    let outcome = change.session.update(slot, &update, &current, &change.control).map_err(keys::refused);
    drop(busy);
    if let Err(failure) = outcome {
        if let (Some(record), Exit::Key) = (record, failure.exit()) {
            record.undo()?;
        }
        return Err(failure);
    }
    change.note(|memory| {
        if let Some(remembered) = memory.slot_mut(slot) {
            remembered.update(&options, &access_code);
        }
    });
    report(&change, args, changed, present.as_ref(), &access_code)
}

/// The settings to begin with: what is known, or the defaults when somebody said so.
fn base(args: &Args, change: &Change<'_>, present: Option<&Known>) -> Result<Options, Failure> {
    if args.reset_others {
        let usual = if present.is_some_and(|present| present.kind.is_challenge_response()) {
            Options::for_challenges()
        } else {
            Options::for_typing()
        };
        // Two flags of a challenge-response slot stand where others have their pacing.
        let pacing = present
            .filter(|present| present.kind.is_challenge_response())
            .map_or(usual.pacing, |present| present.options.pacing);
        return Ok(Options { pacing, ..usual }.fitted_to(change.version()));
    }
    let unknown = || {
        Failure::usage(format!(
            "the present settings of slot {} are not known, and everything that is not named would become its default",
            args.slot
        ))
        .hint("add --reset-others if that is meant, and name all settings that the slot is to have")
    };
    let present = present.ok_or_else(unknown)?;
    if let Some(contradiction) = &present.contradiction {
        return Err(Failure::usage(format!(
            "what is remembered of slot {} does not fit the key: {contradiction}",
            args.slot
        ))
        .hint("add --reset-others and name all settings that the slot is to have"));
    }
    Ok(present.options)
}

/// The access code that the slot has, the one it gets, and whether that was drawn here.
fn codes(args: &Args, present: Option<&Known>) -> Result<(AccessCode, AccessCode, bool), Failure> {
    let current = present_code(&args.leave)?;
    let silent =
        args.protection.new_access_code.is_none() && !args.keep_access_code && !args.delete_access_code;
    if !current.is_none() && silent {
        return Err(Failure::usage(
            "the slot's access code would be gone, because nothing says what becomes of it",
        )
        .hint("add --keep-access-code, --delete-access-code or --new-access-code"));
    }
    if current.is_none() && present.is_some_and(|present| present.access_code) {
        return Err(Failure::new(
            Exit::Key,
            format!("slot {} is protected by an access code, and none was given", args.slot),
        )
        .hint("add --access-code SOURCE, and --keep-access-code if it is to stay"));
    }
    let (new, drawn) = new_code(&args.protection)?;
    let code = if args.keep_access_code { current.clone() } else { new };
    Ok((current, code, drawn))
}

fn hint_of(new: &AccessCode, current: &AccessCode) -> &'static str {
    if new == current {
        "choose settings that this firmware has"
    } else {
        "this firmware changes an access code only when the slot is deleted and programmed anew"
    }
}

fn will(slot: Slot, changed: Option<&[&str]>, access_code: &AccessCode) -> String {
    let what = match changed {
        Some([]) => "keep its settings".to_owned(),
        Some(names) => format!("get other settings ({})", names.join(", ")),
        None => "get new settings".to_owned(),
    };
    let code = if access_code.is_none() { "no access code" } else { "an access code" };
    format!("slot {slot} will {what} and have {code}; its secret stays")
}

fn report(
    change: &Change<'_>,
    args: &Args,
    changed: Option<Vec<&'static str>>,
    present: Option<&Known>,
    access_code: &AccessCode,
) -> Result<(), Failure> {
    let base = match present {
        _ if args.reset_others => "defaults",
        Some(present) => present.source,
        None => "defaults",
    };
    let new = args.protection.new_access_code.is_some() && args.show_secret;
    let slot = args.slot;
    let updated = Updated {
        slot: slot.number(),
        serial: change.device.serial(),
        access_code: !access_code.is_none(),
        changed,
        base,
        new_access_code: shown_code(access_code, new),
    };
    change.context.printer.result("otp-settings/1", &updated, |updated| {
        let mut text = format!("slot {slot} has new settings\n");
        if let Some(code) = &updated.new_access_code {
            text.push_str(&output::fields(&[("access code", code)]));
        }
        text
    })
}
