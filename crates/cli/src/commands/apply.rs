//! `tapkey apply`: make keys what a job wants them to be, those that are here or each that comes.

use std::time::Duration;

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_driver::{Control, Device, Error, discover::watch};
use tapkey_workflow::plan::{Applied, ApplyError, Event, KeyAccess, KeyPlan, Planner, StepError};

use super::{
    Context,
    plan::{self, KeyReport, Work},
};
use crate::{
    exit::{Exit, Failure, chain},
    interrupt, keys, output, prompt,
};

/// Options of `tapkey apply`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey apply office.toml
  tapkey apply office.toml --watch --yes --vault-identity me.txt

Pulled out or interrupted at any moment: apply the same job again, it finishes. Everything that a key \
gets stands in the vault before. docs/plan.md describes job files.")]
pub(crate) struct Args {
    #[command(flatten)]
    work: Work,

    /// Do not ask.
    #[arg(long, short)]
    yes: bool,

    /// Apply to each key as it is plugged in, until every key of the job is done.
    #[arg(long)]
    watch: bool,

    /// With --watch, end after so many seconds.
    #[arg(long, value_name = "S", requires = "watch", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
}

#[derive(Serialize)]
struct Report {
    keys: Vec<Outcome>,
    missing: Vec<String>,
}

/// What became of one key.
#[derive(Serialize)]
struct Outcome {
    serial: Option<u32>,
    key: String,
    entry: String,
    /// `applied`, `unchanged`, `refused` or `failed`.
    outcome: &'static str,
    steps: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    done: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_done: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<KeyReport>,
    #[serde(skip)]
    failure: Option<Failure>,
}

/// Applies.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut planner = args.work.open()?;
    if args.watch {
        return fleet(args, &mut planner, context);
    }
    let found = plan::find(&planner, context)?;
    agree(args, &planner, &found.devices, context)?;
    let mut outcomes = Vec::new();
    for device in &found.devices {
        let mut live = Live {
            context,
            device: device.clone(),
            #[cfg(feature = "emulator")]
            software: found.software.clone(),
        };
        outcomes.push(one(args, &mut planner, &mut live, context));
    }
    finish(context, &planner, &found.devices, outcomes)
}

/// Shows what will be done and asks.
fn agree(args: &Args, planner: &Planner, devices: &[Device], context: &Context) -> Result<(), Failure> {
    let busy = interrupt::busy();
    let mut plans = Vec::new();
    for device in devices {
        let plan =
            planner.plan(device, args.work.wishes(), &keys::control(context)).map_err(plan::explain)?;
        plans.push(plan);
    }
    drop(busy);
    if !context.printer.is_json() {
        for plan in &plans {
            context.printer.say(plan::describe(plan));
        }
        context.printer.say(plan::summary(&plans).trim_end());
    }
    if let Some(item) = plans.iter().find_map(|plan| plan.refused().next()) {
        let note = item.note.as_deref().unwrap_or(&item.now);
        return Err(Failure::failed(format!("nothing was changed: {}: {note}", item.subject)));
    }
    let changes: usize = plans.iter().map(KeyPlan::changes).sum();
    if changes > 0 && !args.yes {
        let keys = if devices.len() == 1 { "this key".to_owned() } else { format!("{} keys", devices.len()) };
        prompt::confirm(&format!("Apply to {keys}?"), "--yes")?;
    }
    Ok(())
}

/// Applies the job to one key.
fn one(args: &Args, planner: &mut Planner, live: &mut Live<'_>, context: &Context) -> Outcome {
    let entry = planner
        .entry_for(&live.device)
        .and_then(|index| planner.job().entries.get(index))
        .map(|entry| entry.name.clone())
        .unwrap_or_default();
    let (serial, key) = (live.device.serial(), live.device.to_string());
    interrupt::farewell("the key may be half done; apply the same job again to finish it");
    let _busy = interrupt::busy();
    let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let speaks = !context.printer.is_json();
    let mut progress = |event: Event| {
        if let (Event::Step { number, of, what }, true) = (event, speaks) {
            context.printer.say(format!("[{number}/{of}] {what}"));
        }
    };
    let controls = || keys::control(context);
    let result = planner.apply(live, args.work.wishes(), &controls, &now, &mut progress);
    Outcome::of(serial, key, entry, result)
}

impl Outcome {
    fn of(serial: Option<u32>, key: String, entry: String, result: Result<Applied, ApplyError>) -> Self {
        let blank = Self {
            serial,
            key,
            entry,
            outcome: "failed",
            steps: 0,
            error: None,
            done: Vec::new(),
            not_done: Vec::new(),
            plan: None,
            failure: None,
        };
        match result {
            Ok(applied) => Self {
                outcome: if applied.steps == 0 { "unchanged" } else { "applied" },
                steps: applied.steps,
                plan: Some(KeyReport::of(&applied.plan)),
                ..blank
            },
            Err(error) => {
                let text = chain(&error);
                let mut outcome = Self { error: Some(text), ..blank };
                match &error {
                    ApplyError::Refused { plan, .. } => {
                        outcome.outcome = "refused";
                        outcome.plan = Some(KeyReport::of(plan));
                    }
                    ApplyError::NotThere(plan) => outcome.plan = Some(KeyReport::of(plan)),
                    ApplyError::Interrupted { done, step, left, .. } => {
                        outcome.steps = done.len();
                        outcome.done.clone_from(done);
                        outcome.not_done = std::iter::once(step).chain(left).cloned().collect();
                    }
                    _ => {}
                }
                outcome.failure = Some(explain(error));
                outcome
            }
        }
    }

    fn line(&self) -> String {
        let word = match self.outcome {
            "applied" => output::good("applied"),
            "unchanged" => output::good("unchanged"),
            word => output::bad(word),
        };
        format!("{word}  {}  {}", self.key, output::faint(&self.entry))
    }
}

fn finish(
    context: &Context,
    planner: &Planner,
    devices: &[Device],
    outcomes: Vec<Outcome>,
) -> Result<(), Failure> {
    let report = Report { missing: plan::missing(planner, devices), keys: outcomes };
    tell(context, &report)?;
    match report.keys.into_iter().find_map(|outcome| outcome.failure) {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

fn tell(context: &Context, report: &Report) -> Result<(), Failure> {
    context.printer.result("apply/1", report, |report| {
        let mut text: String = report.keys.iter().map(|outcome| outcome.line() + "\n").collect();
        for entry in &report.missing {
            text.push_str(&format!("{}\n", output::faint(&format!("not here: {entry}"))));
        }
        text
    })
}

/// How many keys of each entry are still to come, and who is done.
struct Tally {
    left: Vec<u32>,
    done: Vec<u32>,
    outcomes: Vec<Outcome>,
}

/// Applies to each key that comes, until all are done.
fn fleet(args: &Args, planner: &mut Planner, context: &Context) -> Result<(), Failure> {
    let total: u32 = planner.job().entries.iter().map(|entry| entry.wanted()).sum();
    if !args.yes {
        let question =
            format!("Apply {} to each of {total} keys as it is plugged in?", args.work.job.display());
        prompt::confirm(&question, "--yes")?;
    }
    let _busy = interrupt::until_stopped(|| {});
    let mut control = Control::new().with_cancel(interrupt::token());
    if let Some(seconds) = args.timeout {
        control = control.with_timeout(Duration::from_secs(seconds));
    }
    let left = planner.job().entries.iter().map(|entry| entry.wanted()).collect();
    let mut tally = Tally { left, done: Vec::new(), outcomes: Vec::new() };
    let mut ended = None;
    for event in keys::watch(context, &control)? {
        match event {
            Ok(watch::Event::Plugged { device, .. }) => {
                came(args, planner, device, &mut tally, context);
                if tally.left.iter().all(|left| *left == 0) {
                    break;
                }
            }
            Ok(watch::Event::Ready) => context.printer.say("waiting for keys; Ctrl-C ends it"),
            Ok(watch::Event::Problem(problem)) => context.printer.detail(problem.to_string()),
            Ok(_) => {}
            Err(Error::DeadlinePassed) => break,
            Err(Error::Cancelled) => {
                ended = Some(Failure::reported(Exit::Interrupted));
                break;
            }
            Err(error) => return Err(keys::refused(error)),
        }
    }
    let names = planner.job().entries.iter().zip(&tally.left).filter(|(_, left)| **left > 0);
    let missing: Vec<String> =
        names.map(|(entry, left)| format!("{} ({left} to come)", entry.name)).collect();
    let incomplete = !missing.is_empty();
    tell(context, &Report { keys: tally.outcomes, missing })?;
    match ended {
        Some(failure) => Err(failure),
        None if incomplete => Err(Failure::reported(Exit::NoKey)),
        None => Ok(()),
    }
}

fn came(args: &Args, planner: &mut Planner, device: Device, tally: &mut Tally, context: &Context) {
    let Some(index) = planner.entry_for(&device) else {
        context.printer.say(format!("{device}: the job has nothing for this key"));
        return;
    };
    if device.serial().is_some_and(|serial| tally.done.contains(&serial)) {
        return;
    }
    if tally.left.get(index) == Some(&0) {
        context.printer.say(format!("{device}: one more than the job counts; left alone"));
        return;
    }
    context.printer.say(format!("{device}"));
    let mut live = Live {
        context,
        device,
        #[cfg(feature = "emulator")]
        software: None,
    };
    let outcome = one(args, planner, &mut live, context);
    if outcome.failure.is_none() {
        tally.done.extend(outcome.serial);
        if let Some(left) = tally.left.get_mut(index) {
            *left -= 1;
        }
    }
    // A key that failed and came again is told of once, as it ended.
    tally.outcomes.retain(|earlier| earlier.serial != outcome.serial);
    let left: u32 = tally.left.iter().sum();
    if let Some(error) = &outcome.error {
        context.printer.warn(format!("{error}; plug the key in again to go on with it"));
    }
    if !context.printer.is_json() {
        context.printer.say(format!("{}  ({left} to come)", outcome.line()));
    }
    tally.outcomes.push(outcome);
}

/// A key that may restart while it is worked on.
struct Live<'a> {
    context: &'a Context,
    device: Device,
    #[cfg(feature = "emulator")]
    software: Option<keys::software::Software>,
}

impl KeyAccess for Live<'_> {
    fn device(&self) -> Device {
        self.device.clone()
    }

    fn after_restart(&mut self, control: &Control) -> Result<Device, Error> {
        #[cfg(feature = "emulator")]
        if let Some(software) = &self.software {
            self.device = Device::from_connector(Box::new(software.connector()), control)?;
            return Ok(self.device.clone());
        }
        let serial = self.device.serial();
        // The interfaces that are about to go are still there for a moment.
        control.sleep(SETTLING)?;
        loop {
            if let Ok(listing) = keys::list(self.context)
                && let Some(device) = listing.devices.into_iter().find(|device| device.serial() == serial)
            {
                self.device = device.clone();
                return Ok(device);
            }
            control.sleep(POLL)?;
        }
    }
}

/// What an application that ended early means for the exit code.
fn explain(error: ApplyError) -> Failure {
    let text = chain(&error);
    let exit = match &error {
        ApplyError::Plan(_) => None,
        ApplyError::Interrupted { source: StepError::Key(source), .. } => {
            Some(keys::refused_ref(source).exit())
        }
        ApplyError::Interrupted { source: StepError::WrongKey { .. }, .. } => Some(Exit::NoKey),
        _ => Some(Exit::Failed),
    };
    match (error, exit) {
        (ApplyError::Plan(error), _) => plan::explain(error),
        (ApplyError::Interrupted { .. }, Some(exit)) => {
            Failure::new(exit, text).hint("apply the same job again: it finishes what was begun")
        }
        (_, exit) => Failure::new(exit.unwrap_or(Exit::Failed), text),
    }
}

/// How long a key takes to let go of its interfaces when it restarts.
const SETTLING: Duration = Duration::from_millis(800);
const POLL: Duration = Duration::from_millis(200);
