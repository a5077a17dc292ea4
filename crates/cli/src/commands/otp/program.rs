//! `tapkey otp program`: program keys from a list.

mod ledger;

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_protocol::{
    formats::csv::{Credential, Entry},
    slot::Slot,
};

use super::{
    change::{Change, Job, Leave, Protection, new_code},
    list::{List, name},
    options::{Behaviour, Typing},
    record::Keep,
    static_password,
};
use crate::{
    commands::Context,
    exit::{Exit, Failure},
    output,
};
use ledger::Ledger;

/// Options of `tapkey otp program`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey otp program --from keys.csv --slot 1                the line with this key's serial number
  tapkey otp program --from keys.csv --slot 1 --dry-run
  while tapkey watch --once; do tapkey otp program --from keys.csv --slot 1 --next --yes; done

With --next, lines without a serial number are taken in their order, one for each key. What was used stands \
in a file beside the list, so that no line is used twice and an interrupted run goes on with its own line.")]
pub(crate) struct Args {
    #[command(flatten)]
    list: List,

    /// The slot, 1 or 2, where the list does not tell.
    #[arg(long, value_name = "SLOT")]
    slot: Option<Slot>,

    /// Take the next line that has no serial number and was not used yet.
    #[arg(long, conflicts_with = "line")]
    next: bool,

    /// Take this line.
    #[arg(long, value_name = "N")]
    line: Option<usize>,

    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    typing: Typing,
    #[command(flatten)]
    behaviour: Behaviour,
    #[command(flatten)]
    keep: Keep,
    #[command(flatten)]
    protection: Protection,
    #[command(flatten)]
    leave: Leave,
}

#[derive(Serialize)]
struct Planned {
    line: usize,
    slot: u8,
    kind: &'static str,
    serial: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_id: Option<String>,
    access_code: bool,
    programmed: Option<bool>,
}

/// Programs the key.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let entries = args.list.entries()?;
    let mut change = Change::begin(context)?;
    let mut ledger = args.next.then(|| Ledger::open(&args.list.from)).transpose()?;
    let entry = choose(args, &entries, &change, ledger.as_ref())?;
    let slot = slot_of(args, entry)?;
    if let Credential::Password { text, layout } = &entry.credential {
        static_password::check(text.expose(), *layout)
            .map_err(|failure| Failure::usage(format!("line {}: {}", entry.line, failure.message())))?;
    }
    let (given, drawn) = new_code(&args.protection)?;
    let code = if args.protection.new_access_code.is_some() { given } else { entry.access_code.clone() };
    if args.dry_run {
        return dry_run(&change, entry, slot, !code.is_none(), context);
    }
    if let Some(ledger) = &mut ledger {
        ledger.begin(entry, change.device.serial(), slot)?;
    }
    let present = (args.leave.access_code.is_none()).then(|| entry.current_access_code.clone());
    let outcome = change.program(&Job {
        slot,
        credential: entry.credential.clone(),
        changes: args.behaviour.and(args.typing.changes()),
        will: format!("slot {slot} will hold line {} of the list: {}", entry.line, described(entry)),
        generated: drawn,
        code: &code,
        current: present,
        leave: &args.leave,
        keep: &args.keep,
        by: "otp program",
    });
    match (&outcome, &mut ledger) {
        (Ok(_), Some(ledger)) => ledger.done(entry, change.device.serial(), slot)?,
        // The key took nothing: the line is free again. A write that broke off keeps it.
        (Err(failure), Some(ledger)) if matches!(failure.exit(), Exit::Key | Exit::Usage | Exit::Failed) => {
            ledger.free(entry, change.device.serial(), slot)?;
        }
        _ => {}
    }
    outcome?.on_line(entry.line).report(context)
}

fn dry_run(
    change: &Change<'_>,
    entry: &Entry,
    slot: Slot,
    access_code: bool,
    context: &Context,
) -> Result<(), Failure> {
    let planned = Planned {
        line: entry.line,
        slot: slot.number(),
        kind: name(&entry.credential),
        serial: change.device.serial(),
        public_id: entry.credential.public_id().map(|id| id.to_string()),
        access_code,
        programmed: change.status.slot(slot).programmed,
    };
    context.printer.result("otp-program/1", &planned, |planned| {
        let loss = match planned.programmed {
            Some(false) => "empty",
            Some(true) => "programmed; --force would overwrite it",
            None => "perhaps programmed",
        };
        output::fields(&[
            ("key", change.device.to_string()),
            ("line", planned.line.to_string()),
            ("would hold", described(entry)),
            ("slot", format!("{slot}, {loss}")),
            ("access code", if planned.access_code { "yes" } else { "none" }.to_owned()),
        ])
    })
}

fn described(entry: &Entry) -> String {
    match entry.credential.public_id() {
        Some(id) if !id.is_empty() => format!("{} {id}", name(&entry.credential)),
        _ => name(&entry.credential).to_owned(),
    }
}

fn slot_of(args: &Args, entry: &Entry) -> Result<Slot, Failure> {
    match (args.slot, entry.slot) {
        (Some(wanted), Some(listed)) if wanted != listed => {
            Err(Failure::usage(format!("line {} is for slot {listed}, and --slot says {wanted}", entry.line)))
        }
        (Some(slot), _) | (None, Some(slot)) => Ok(slot),
        (None, None) => {
            Err(Failure::usage("the list does not tell the slot").hint("add --slot 1 or --slot 2"))
        }
    }
}

/// The line for this key.
fn choose<'a>(
    args: &Args,
    entries: &'a [Entry],
    change: &Change<'_>,
    ledger: Option<&Ledger>,
) -> Result<&'a Entry, Failure> {
    let serial = change.device.serial();
    if let Some(line) = args.line {
        let entry = entries
            .iter()
            .find(|entry| entry.line == line)
            .ok_or_else(|| Failure::usage(format!("line {line} of the list holds no credential")))?;
        return match entry.serial {
            Some(listed) if serial != Some(listed) => {
                Err(Failure::usage(format!("line {line} is for the key with the serial number {listed}")))
            }
            _ => Ok(entry),
        };
    }
    let fits = |entry: &&Entry| args.slot.is_none() || entry.slot.is_none() || entry.slot == args.slot;
    let own: Vec<&Entry> = entries
        .iter()
        .filter(|entry| entry.serial.is_some() && entry.serial == serial)
        .filter(fits)
        .collect();
    match (own.as_slice(), ledger) {
        ([entry], _) => Ok(entry),
        ([], Some(ledger)) => {
            let free = entries.iter().filter(|entry| entry.serial.is_none()).filter(fits);
            ledger.next(free, serial)?.ok_or_else(|| Failure::usage("every line of the list was used"))
        }
        ([], None) => {
            let who = serial.map_or_else(
                || "this key, which tells no serial number".to_owned(),
                |serial| format!("the serial number {serial}"),
            );
            Err(Failure::usage(format!("the list has no line for {who}"))
                .hint("--next takes lines without a serial number in their order, --line N a certain one"))
        }
        (several, _) => {
            let lines: Vec<String> = several.iter().map(|entry| entry.line.to_string()).collect();
            Err(Failure::usage(format!("the list has several lines for this key: {}", lines.join(", ")))
                .hint("choose one with --line N, or with --slot where the list tells slots"))
        }
    }
}
