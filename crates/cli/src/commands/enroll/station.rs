//! `tapkey enroll --watch` and `--offline`: the wiring of a provisioning station.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use tapkey_workflow::{
    Event, Journal, PublicIdChoice,
    station::{
        self, AccountList, Accounts, BundleFileError, BundleWriter, Ended, Job, LabelPattern, Offline,
        Online, Progress, RealDisk, Recipient, Row, Run, StationError, StationEvent, StationJournal,
        StationJournalError,
    },
};

use super::{
    Args, Protect, explain, read_code,
    report::{BundleSummary, ReportFile, finish, tell_key},
    source::Keys,
};
use crate::{
    commands::{Context, admin, block_on},
    config,
    exit::{Exit, Failure, chain},
    interrupt, output, prompt,
};

/// Runs the station.
pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let job = job(args)?;
    let report = args.station.report.as_deref().map(ReportFile::open).transpose()?;
    if args.station.offline {
        offline(args, &job, report, context)
    } else {
        online(args, &job, report, context)
    }
}

fn online(args: &Args, job: &Job, report: Option<ReportFile>, context: &Context) -> Result<(), Failure> {
    let client = admin::connect(context, &context.settings()?)?;
    let purpose = format!("{} slot {}", client.server(), job.slot);
    let state = config::state_folder()?;
    let place = args.station.journal.clone().unwrap_or_else(|| {
        let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(purpose.as_bytes())[..8]);
        state.join("stations").join(format!("{hash}.jsonl"))
    });
    let mut journal = open_journal(&place, &purpose, args)?;
    introduce(args, job, &format!("the server {}", client.server()), &journal, context)?;
    let mut bench = Online::new(&client, Journal::new(state.join("enrolments")));
    let run = work(args, job, &mut bench, &mut journal, report, context)?;
    finish(&run, journal.path(), None, context)?;
    conclude(run.ended, &journal)
}

fn offline(args: &Args, job: &Job, report: Option<ReportFile>, context: &Context) -> Result<(), Failure> {
    if args.create_account {
        return Err(Failure::usage("without a server no account can be created")
            .hint("`tapkey admin import --create-accounts` creates them"));
    }
    let (Some(path), Some(recipient)) = (&args.station.bundle, &args.station.recipient) else {
        return Err(Failure::usage("--offline needs --bundle and --recipient"));
    };
    let recipient = read_recipient(recipient)?;
    let purpose = format!("bundle for {recipient} slot {}", job.slot);
    let place = args.station.journal.clone().unwrap_or_else(|| {
        let mut name = path.clone().into_os_string();
        name.push(".journal");
        PathBuf::from(name)
    });
    let mut journal = open_journal(&place, &purpose, args)?;
    introduce(args, job, &format!("the bundle {}", path.display()), &journal, context)?;
    let bundle =
        BundleWriter::open(path, recipient, Box::new(RealDisk)).map_err(|error| of_bundle(&error))?;
    let name = args.station.station.clone().unwrap_or_else(host_name);
    let mut bench = Offline::new(bundle, name);
    let run = work(args, job, &mut bench, &mut journal, report, context)?;
    let bundle = bench.bundle();
    let sha256 = bundle.sha256().map_err(|error| of_bundle(&error))?;
    let summary = BundleSummary { file: path.display().to_string(), sha256 };
    finish(&run, journal.path(), Some(&summary), context)?;
    if matches!(run.ended, Ended::ListDone | Ended::Count | Ended::NoMoreKeys) && !run.rows.is_empty() {
        context
            .printer
            .say("`tapkey admin import` brings the bundle to the server; compare the SHA-256 there.");
    }
    conclude(run.ended, &journal)
}

fn job(args: &Args) -> Result<Job, Failure> {
    if matches!(args.public_id, PublicIdChoice::Given(_)) && args.station.watch {
        return Err(Failure::usage("one public id cannot be given to many keys")
            .hint("write --public-id random or --public-id serial"));
    }
    let accounts = match (&args.station.accounts, &args.account) {
        (Some(path), _) => Accounts::List(read_list(path)?),
        (None, account) => Accounts::One(account.clone().unwrap_or_default()),
    };
    let label = args.label.as_deref().map(str::parse::<LabelPattern>).transpose();
    let current = args.current_access_code.as_ref().map(read_code).transpose()?;
    Ok(Job {
        accounts,
        create_account: args.create_account,
        slot: args.slot,
        label: label.map_err(|error| Failure::usage(format!("--label: {error}")))?,
        public_id: args.public_id,
        access_code: args.access_code == Protect::Generate,
        current_access_code: current,
        overwrite: args.force,
        touch: !args.no_touch,
        count: if args.station.watch { args.station.count } else { Some(1) },
        model: args.station.model.clone(),
        refuse_faults: args.station.refuse_advisories,
    })
}

fn read_list(path: &Path) -> Result<AccountList, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("cannot read the accounts {}: {error}", path.display())))?;
    let list = AccountList::parse(&text)
        .map_err(|error| Failure::usage(format!("the accounts {}: {error}", path.display())))?;
    if list.rows().is_empty() {
        return Err(Failure::usage(format!("{} names no account", path.display())));
    }
    Ok(list)
}

fn read_recipient(text: &str) -> Result<Recipient, Failure> {
    let content = if text.starts_with("age1") {
        text.to_owned()
    } else {
        fs::read_to_string(text)
            .map_err(|error| Failure::usage(format!("--recipient: cannot read {text}: {error}")))?
    };
    content.parse().map_err(|error| Failure::usage(format!("--recipient: {error}")))
}

fn host_name() -> String {
    let name = fs::read_to_string("/etc/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "station".to_owned() } else { name.to_owned() }
}

fn open_journal(path: &Path, purpose: &str, args: &Args) -> Result<StationJournal, Failure> {
    let mut journal =
        StationJournal::open(path, purpose, Box::new(RealDisk)).map_err(|error| of_journal(&error))?;
    for serial in &args.station.release {
        journal.release(*serial).map_err(|error| of_journal(&error))?;
    }
    Ok(journal)
}

/// What will happen, before anything does.
fn introduce(
    args: &Args,
    job: &Job,
    place: &str,
    journal: &StationJournal,
    context: &Context,
) -> Result<(), Failure> {
    let accounts = match (&job.accounts, &args.station.accounts) {
        (Accounts::List(list), Some(path)) => format!("{} of {}", list.rows().len(), path.display()),
        (Accounts::One(account), _) => account.clone(),
        (Accounts::List(list), None) => list.rows().len().to_string(),
    };
    let overwrite = if job.overwrite { ", also where it holds something" } else { "" };
    let keys = if args.station.watch { "every key that is plugged in" } else { "one key" };
    let mut fields = vec![
        ("keys", keys.to_owned()),
        ("slot", format!("{}, to be programmed with a Yubico OTP credential{overwrite}", job.slot)),
        ("accounts", accounts),
        ("enrolled into", place.to_owned()),
        (
            "access code",
            if job.access_code { "drawn for each key, kept by the server" } else { "none" }.to_owned(),
        ),
        ("journal", journal.path().display().to_string()),
    ];
    if journal.done() > 0 {
        fields.push(("done before", format!("{} keys", journal.done())));
    }
    for (serial, to) in journal.unfinished() {
        fields.push(("to be finished", format!("{serial}, for {}", to.account)));
    }
    context.printer.say(output::fields(&fields).trim_end());
    if args.yes || args.force { Ok(()) } else { prompt::confirm("Go ahead?", "--yes") }
}

fn work<B: station::Bench>(
    args: &Args,
    job: &Job,
    bench: &mut B,
    journal: &mut StationJournal,
    mut report: Option<ReportFile>,
    context: &Context,
) -> Result<Run, Failure> {
    // Ctrl-C ends the run between two keys, or asks the driver to stop in the middle of one.
    let _busy =
        interrupt::until_stopped(|| output::notice("\nending; the key at hand can be finished later"));
    let keys =
        if args.station.watch { Keys::watch(context, args.typed) } else { Keys::one(context, args.typed) }?;
    let mut unwritten = None;
    let mut follow = |event: StationEvent| {
        if let StationEvent::Done(row, _) | StationEvent::Interrupted(row) | StationEvent::Failed(row) =
            &event
        {
            tell_key(row, context);
            if let Some(file) = &mut report
                && let Err(failure) = file.add(row)
            {
                context.printer.warn(failure.message());
                unwritten = Some(failure);
            }
        }
        tell(&event, context);
    };
    let run = block_on(async { Ok(station::run(job, keys, bench, journal, &mut follow).await) })?;
    match unwritten {
        // What was done is in the journal, but the report was asked for.
        Some(failure) if !matches!(run.ended, Ended::Stopped(_)) => Err(failure),
        _ => Ok(run),
    }
}

fn tell(event: &StationEvent, context: &Context) {
    let printer = &context.printer;
    match event {
        StationEvent::Waiting(progress) => {
            printer.say(format!("{}Plug in the next key; Ctrl-C ends.", so_far(progress)));
        }
        StationEvent::AlreadyDone(row) => {
            printer.say(format!("The key {} is done: {}, {}.", row.serial, row.account, row.result.as_str()));
        }
        StationEvent::Started { name, faults, assignment, again, .. } => {
            for fault in faults {
                printer.warn(fault);
            }
            let label = assignment.label.as_ref().map(|label| format!(", {label}")).unwrap_or_default();
            let again = if *again { " again" } else { "" };
            printer.say(format!("{name}{again}: for {}{label}", assignment.account));
        }
        StationEvent::Step(event) => step(event, context),
        StationEvent::Done(row, _) => printer.say(format!("{} {}", output::good("done"), line(row))),
        StationEvent::Interrupted(row) => {
            printer.warn(format!("the key {} was cut off; plug it in again to finish it", row.serial))
        }
        StationEvent::Failed(row) => printer.say(format!("{} {}", output::bad("failed"), line(row))),
        _ => {}
    }
}

fn line(row: &Row) -> String {
    let label = row.label.as_ref().map(|label| format!(" ({label})")).unwrap_or_default();
    let public_id = row.public_id.as_deref().unwrap_or("-");
    format!("{} {}{label} {public_id} {}", row.serial, row.account, row.result.as_str())
}

fn so_far(progress: &Progress) -> String {
    let of = progress.of.map(|of| format!(" of {of}")).unwrap_or_default();
    match progress.now {
        0 => format!("{}{of} done. ", progress.done),
        _ => format!("{}{of} done, {:.1} keys per minute. ", progress.done, progress.per_minute()),
    }
}

fn step(event: &Event, context: &Context) {
    match event {
        Event::AwaitingTouch { slot, .. } => {
            let how = match slot {
                tapkey_protocol::slot::Slot::One => "briefly",
                tapkey_protocol::slot::Slot::Two => "for about three seconds",
            };
            context.printer.say(format!("  touch it {how}"));
        }
        Event::NotThisPassword { why } => {
            context.printer.warn(format!("that was no password of this key: {why}"))
        }
        Event::Resuming { .. } => context.printer.say("  finishing what was begun before"),
        Event::Programming { slot } => context.printer.say(format!("  programming slot {slot}")),
        _ => {}
    }
}

/// How the command ends.
fn conclude(ended: Ended, journal: &StationJournal) -> Result<(), Failure> {
    if let Ended::Stopped(error) = ended {
        return Err(stopped(&error));
    }
    if interrupt::pressed() && !matches!(ended, Ended::ListDone | Ended::Count) {
        return Err(Failure::reported(Exit::Interrupted));
    }
    let unfinished: Vec<_> =
        journal.unfinished().map(|(serial, to)| format!("{serial} for {}", to.account)).collect();
    if unfinished.is_empty() {
        return Ok(());
    }
    Err(Failure::failed(format!("keys that were begun are not finished: {}", unfinished.join(", ")))
        .hint("run the same command again and plug them in, or free their accounts with --release SERIAL"))
}

/// What ended the run, and how to go on.
fn stopped(error: &StationError) -> Failure {
    let text = format!("stopped: {}", chain(error));
    match error {
        StationError::NoSerial { .. } => Failure::new(Exit::Key, text),
        StationError::SlotProgrammed { .. } => Failure::usage(text)
            .hint("put the key aside, or run again with --force to overwrite, or with the other --slot"),
        StationError::Unfit { .. } => {
            Failure::new(Exit::Key, text).hint("put the key aside and run the same command again")
        }
        StationError::ListExhausted { .. } => Failure::usage(text).hint(
            "add rows to the list, free the account of a broken key with --release SERIAL, or begin another job with --journal FILE",
        ),
        StationError::Label { .. } => Failure::usage(text),
        StationError::Key { source, .. } => {
            let failure = explain(source);
            let advice = failure.advice().map_or_else(String::new, |advice| format!("{advice}; "));
            Failure::new(failure.exit(), text)
                .hint(format!("{advice}then run the same command again, which goes on where this one stopped"))
        }
        StationError::Locked { .. } => Failure::new(Exit::Key, text)
            .hint("or run without --no-touch: a touch of the key finishes it as it is"),
        StationError::Bundle(error) => {
            let failure = of_bundle(error);
            let hint = failure.advice().unwrap_or("make room, and run the same command again");
            Failure::new(failure.exit(), text).hint(hint)
        }
        StationError::Journal(error) => {
            let failure = of_journal(error);
            let hint = failure.advice().unwrap_or("make room, and run the same command again");
            Failure::new(failure.exit(), text).hint(hint)
        }
        StationError::Read { .. } | StationError::Source(_) => {
            Failure::new(Exit::Unreachable, text).hint("run the same command again")
        }
        _ => Failure::failed(text),
    }
}

fn of_bundle(error: &BundleFileError) -> Failure {
    match error {
        BundleFileError::Io { .. } | BundleFileError::Random => Failure::failed(error.to_string()),
        BundleFileError::InUse { .. } => {
            Failure::usage(error.to_string()).hint("give each station a bundle of its own")
        }
        _ => Failure::usage(error.to_string()).hint("name another file with --bundle"),
    }
}

fn of_journal(error: &StationJournalError) -> Failure {
    match error {
        StationJournalError::Io { .. } => Failure::failed(error.to_string()),
        StationJournalError::Malformed { .. } => Failure::failed(error.to_string())
            .hint("restore it from a backup, or begin another job with --journal FILE"),
        StationJournalError::OtherJob { .. } | StationJournalError::InUse { .. } => {
            Failure::usage(error.to_string()).hint("name another one with --journal FILE")
        }
        _ => Failure::usage(error.to_string()),
    }
}
