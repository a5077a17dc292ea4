//! `tapkey plan`: what a job would change on the keys that are here.

use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_driver::Device;
use tapkey_workflow::plan::{Action, Item, Job, KeyPlan, PlanError, Planner, Target, Wishes};

use super::{Context, vault::Opening};
use crate::{
    exit::{Exit, Failure, chain},
    interrupt, keys, output,
};

/// Options of `tapkey plan`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Signs: + is made, ~ is changed, - is removed, = is as it should be, ? was made \
as it should be and cannot be looked at without destroying it, ! will not be done.

Examples:
  tapkey plan office.toml
  tapkey --serial 12345678 plan office.toml --touch
  tapkey --json plan office.toml --vault-identity me.txt | jq .changes

docs/plan.md describes job files.")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(super) work: Work,

    /// End with exit code 1 when a key differs from the job or something of it is refused.
    #[arg(long)]
    exit_code: bool,
}

/// What `plan` and `apply` have in common.
#[derive(ClapArgs, Debug)]
pub(super) struct Work {
    /// The job file.
    pub(super) job: PathBuf,

    /// Overwrite what the vault does not know, whatever the job says.
    #[arg(long, short)]
    pub(super) force: bool,

    /// Ask slots and accounts that answer only when touched; touch the key when it blinks.
    #[arg(long)]
    pub(super) touch: bool,

    #[command(flatten)]
    opening: Opening,
}

impl Work {
    /// Reads the job and its vault, and checks everything that can be checked without a key.
    pub(super) fn open(&self) -> Result<Planner, Failure> {
        let name = self.job.display();
        let text = std::fs::read_to_string(&self.job)
            .map_err(|error| Failure::usage(format!("cannot read the job {name}: {error}")))?;
        let job = Job::parse(&text).map_err(|error| {
            Failure::usage(format!("{name}, {error}")).hint("docs/plan.md describes every field")
        })?;
        let folder = self.job.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let vault = job.vault.as_ref().map(|path| self.opening.open(&folder.join(path))).transpose()?;
        Planner::new(job, folder, vault).map_err(explain)
    }

    /// What may be done beyond the usual.
    pub(super) fn wishes(&self) -> Wishes {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
        Wishes { force: self.force, touch: self.touch, seconds }
    }
}

/// Keys that are here and meant, and what to say about the others.
pub(super) struct Found {
    pub(super) devices: Vec<Device>,
    #[cfg(feature = "emulator")]
    pub(super) software: Option<keys::software::Software>,
}

/// Finds the keys that the job and the global options mean.
pub(super) fn find(planner: &Planner, context: &Context) -> Result<Found, Failure> {
    let _busy = interrupt::busy();
    if context.global.emulated.is_some() || context.global.serial.is_some() || context.global.reader.is_some()
    {
        let opened = keys::open(context)?;
        if planner.entry_for(&opened.device).is_none() {
            return Err(Failure::new(Exit::NoKey, format!("the job has nothing for {}", opened.device)));
        }
        return Ok(Found {
            devices: vec![opened.device],
            #[cfg(feature = "emulator")]
            software: opened.software,
        });
    }
    let listing = keys::list(context)?;
    let (devices, others): (Vec<Device>, Vec<Device>) =
        listing.devices.into_iter().partition(|device| planner.entry_for(device).is_some());
    for device in &others {
        context.printer.say(format!("{device}: the job has nothing for this key"));
    }
    for problem in &listing.diagnostics {
        context.printer.detail(problem.to_string());
    }
    if devices.is_empty() {
        let failure = Failure::new(Exit::NoKey, "no key is here that the job means");
        return Err(match listing.diagnostics.first() {
            Some(problem) => failure.hint(format!("not looked at: {problem}")),
            None => failure.hint("plug one in; `tapkey apply --watch` waits for each"),
        });
    }
    Ok(Found {
        devices,
        #[cfg(feature = "emulator")]
        software: None,
    })
}

#[derive(Serialize)]
struct Report {
    changes: usize,
    unverified: usize,
    refused: usize,
    keys: Vec<KeyReport>,
    missing: Vec<String>,
}

#[derive(Serialize)]
pub(super) struct KeyReport {
    serial: u32,
    key: String,
    entry: String,
    changes: usize,
    items: Vec<ItemReport>,
    steps: Vec<String>,
}

#[derive(Serialize)]
struct ItemReport {
    what: String,
    action: &'static str,
    now: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    then: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

impl KeyReport {
    pub(super) fn of(plan: &KeyPlan) -> Self {
        Self {
            serial: plan.serial,
            key: plan.key.clone(),
            entry: plan.entry.clone(),
            changes: plan.changes(),
            items: plan
                .items
                .iter()
                .map(|item| ItemReport {
                    what: item.subject.clone(),
                    action: item.action.word(),
                    now: item.now.clone(),
                    then: item.then.clone(),
                    note: item.note.clone(),
                })
                .collect(),
            steps: plan.steps.clone(),
        }
    }
}

/// Compares.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let planner = args.work.open()?;
    let found = find(&planner, context)?;
    let busy = interrupt::busy();
    let mut plans = Vec::new();
    for device in &found.devices {
        plans.push(planner.plan(device, args.work.wishes(), &keys::control(context)).map_err(explain)?);
    }
    drop(busy);
    let report = Report {
        changes: plans.iter().map(KeyPlan::changes).sum(),
        unverified: plans.iter().map(KeyPlan::unverified).sum(),
        refused: plans.iter().map(|plan| plan.refused().count()).sum(),
        keys: plans.iter().map(KeyReport::of).collect(),
        missing: missing(&planner, &found.devices),
    };
    context.printer.result("plan/1", &report, |report| {
        let mut text: String = plans.iter().map(|plan| describe(plan) + "\n").collect();
        for entry in &report.missing {
            text.push_str(&format!("{}\n", output::faint(&format!("not here: {entry}"))));
        }
        text + &summary(&plans)
    })?;
    if args.exit_code && (report.changes > 0 || report.refused > 0) {
        return Err(Failure::reported(Exit::Failed));
    }
    Ok(())
}

/// Entries for keys that are not here.
pub(super) fn missing(planner: &Planner, devices: &[Device]) -> Vec<String> {
    let here: Vec<usize> = devices.iter().filter_map(|device| planner.entry_for(device)).collect();
    planner
        .job()
        .entries
        .iter()
        .enumerate()
        .filter(|(index, _)| !here.contains(index))
        .map(|(_, entry)| match entry.target {
            Target::Serial(serial) if entry.name != entry.target.to_string() => {
                format!("{} (serial {serial})", entry.name)
            }
            _ => entry.name.clone(),
        })
        .collect()
}

/// One key for people: a line for each thing, and below it why.
pub(super) fn describe(plan: &KeyPlan) -> String {
    let mut text = format!("{}  {}\n", output::title(&plan.key), output::faint(&plan.entry));
    let what = width(plan, |item| &item.subject);
    let now = width(plan, |item| &item.now);
    for item in &plan.items {
        let sign = item.action.sign().to_string();
        let arrow = if item.then.is_empty() {
            item.now.clone()
        } else {
            let space = " ".repeat(now.saturating_sub(item.now.chars().count()));
            format!("{}{space}  ->  {}", item.now, item.then)
        };
        let space = " ".repeat(what.saturating_sub(item.subject.chars().count()));
        text.push_str(&format!("  {} {}{space}  {arrow}\n", paint(item.action, &sign), item.subject));
        if let Some(note) = &item.note {
            text.push_str(&format!("    {}  {}\n", " ".repeat(what), output::faint(note)));
        }
    }
    text
}

/// Columns grow up to a point, beyond which a long text only moves its own line.
fn width(plan: &KeyPlan, text: fn(&Item) -> &String) -> usize {
    plan.items
        .iter()
        .map(|item| text(item).chars().count())
        .filter(|width| *width <= WIDEST)
        .max()
        .unwrap_or(0)
}

fn paint(action: Action, text: &str) -> String {
    match action {
        Action::Add => output::good(text),
        Action::Change => output::notable(text),
        Action::Remove | Action::Refused => output::bad(text),
        _ => output::faint(text),
    }
}

/// How many things would be done, over all keys.
pub(super) fn summary(plans: &[KeyPlan]) -> String {
    let count = |action: Action| {
        plans.iter().flat_map(|plan| &plan.items).filter(|item| item.action == action).count()
    };
    let mut text = if plans.iter().all(|plan| plan.changes() == 0) {
        format!("{} The keys are as the job wants them", output::good("No changes."))
    } else {
        format!(
            "{} {} to add, {} to change, {} to remove",
            output::title("Plan:"),
            count(Action::Add),
            count(Action::Change),
            count(Action::Remove)
        )
    };
    let (unverified, refused) = (count(Action::Unverified), count(Action::Refused));
    if refused > 0 {
        text = text.replace("The keys are as the job wants them", "What is left will not be done");
        text.push_str(&format!("; {}", output::bad(&format!("{refused} refused, see the lines with !"))));
    }
    if unverified > 0 {
        text.push_str(&format!("; {unverified} cannot be verified"));
    }
    text + ".\n"
}

/// What a job that cannot be compared means for the exit code.
pub(super) fn explain(error: PlanError) -> Failure {
    match error {
        PlanError::Key(error) => keys::refused(error),
        PlanError::Resolve(_) => Failure::usage(chain(&error)),
        PlanError::NoSerial | PlanError::NotMeant { .. } => Failure::new(Exit::NoKey, chain(&error)),
        error => Failure::failed(chain(&error)),
    }
}

const WIDEST: usize = 44;
