//! `tapkey enroll`: make a key and a server share a new credential, or many keys one after the other.

mod line;
mod report;
mod source;
mod station;

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use serde::Serialize;
use tapkey_api::keys::Key;
use tapkey_client::api;
use tapkey_driver::Error as KeyFailure;
use tapkey_protocol::{
    advisories,
    management::DeviceInfo,
    otp::{PublicId, PublicIdError},
    slot::{AccessCode, Slot},
};
use tapkey_workflow::{
    DeviceKey, EnrolError, Enrolled, Event, Journal, KeyError, Plan, Programmed, PublicIdChoice, ServerError,
    TouchError, TouchPort, enrol, enrol_pending,
};

use super::{Context, admin, block_on};
use crate::{
    config,
    encode::from_hex_exact,
    exit::{Exit, Failure, chain},
    interrupt, keys, memory, output, prompt,
    secrets::{Source, Wanted},
};

/// Options of `tapkey enroll`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey enroll --server https://keys.example.org --token-file token --account alice --slot 2
  tapkey --emulated enroll --account alice --yes
  tapkey enroll --watch --accounts people.csv --label 'desk-{number}' --report keys.csv
  tapkey enroll --watch --accounts people.csv --offline --bundle keys.bundle --recipient age1…

The server draws the credential, the slot is programmed, you touch the key, the server checks what it \
types, and only then is the key active. If anything comes between (Ctrl-C, the network, the plug), run \
the same command again: it finishes what was begun.

With --watch every key that is plugged in is enrolled, until the first unexpected thing; keys that are \
done are skipped, so it can be run again at any time. With --offline the secrets are drawn here and \
written to a bundle that only the server can read, and `tapkey admin import` takes it in: see \
docs/provisioning.md.")]
pub(crate) struct Args {
    /// The account that will own the key.
    #[arg(long, value_name = "NAME", required_unless_present = "accounts", conflicts_with = "accounts")]
    account: Option<String>,

    /// Create the account if there is none (administrators only).
    #[arg(long)]
    create_account: bool,

    /// The slot to program, 1 or 2.
    #[arg(long, value_name = "SLOT", default_value = "2")]
    slot: Slot,

    /// What people will call the key; with --watch or --offline {number}, {serial} and {account} are filled in.
    #[arg(long, value_name = "TEXT")]
    label: Option<String>,

    /// The public id: `random` (the server draws it), `serial` (made of the serial number) or modhex.
    #[arg(long, value_name = "ID", default_value = "random", value_parser = public_id)]
    public_id: PublicIdChoice,

    /// `generate` protects the slot with a new access code, which the server keeps.
    #[arg(long, value_name = "CODE", value_enum, default_value_t, hide_possible_values = true)]
    access_code: Protect,

    /// Where the slot's present access code comes from, if it has one (12 hexadecimal digits).
    #[arg(long, value_name = "SOURCE")]
    current_access_code: Option<Source>,

    /// Read the password from standard input, also where a software key could press itself.
    #[arg(long)]
    typed: bool,

    /// Do not have the key prove itself: its credential stays pending until `tapkey admin enrollments confirm`.
    #[arg(long, conflicts_with = "typed")]
    no_touch: bool,

    /// Do not ask, and overwrite what the slot holds.
    #[arg(long, short)]
    force: bool,

    /// Do not ask, as long as nothing is lost.
    #[arg(long, short)]
    yes: bool,

    #[command(flatten, next_help_heading = "Provisioning station")]
    station: StationArgs,
}

/// Options of a provisioning station.
#[derive(ClapArgs, Debug)]
struct StationArgs {
    /// Enrol every key that is plugged in, one after the other.
    #[arg(long)]
    watch: bool,

    /// A CSV file of accounts, each of which gets one key: account, label, serial number.
    #[arg(long, value_name = "FILE", requires = "watch")]
    accounts: Option<PathBuf>,

    /// End after so many keys.
    #[arg(long, value_name = "N", requires = "watch", value_parser = clap::value_parser!(u32).range(1..))]
    count: Option<u32>,

    /// Append a line of CSV for each key to this file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,

    /// Stop at a key whose product name does not contain this.
    #[arg(long, value_name = "TEXT")]
    model: Option<String>,

    /// Stop at a key whose firmware has a known weakness, instead of warning.
    #[arg(long)]
    refuse_advisories: bool,

    /// Where the station writes down what it did, so that it can go on.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,

    /// Forget that this key was done or begun: its account is free for another one.
    #[arg(long, value_name = "SERIAL", requires = "watch")]
    release: Vec<u32>,

    /// Enrol without a server: draw the secrets here and write them to an encrypted bundle.
    #[arg(long, requires = "bundle", requires = "recipient")]
    offline: bool,

    /// The bundle, which is begun or gone on with.
    #[arg(long, value_name = "FILE", requires = "offline")]
    bundle: Option<PathBuf>,

    /// The server's public key for bundles, as `tapkey admin bundle-key` prints it, or a file with it.
    #[arg(long, value_name = "AGE1…", requires = "offline")]
    recipient: Option<String>,

    /// What the station is called in bundles [default: this computer's name].
    #[arg(long, value_name = "NAME", requires = "offline")]
    station: Option<String>,
}

impl StationArgs {
    /// Whether this is more than one key and one server.
    const fn is_meant(&self) -> bool {
        self.watch || self.offline
    }
}

/// Whether the slot gets an access code.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
enum Protect {
    /// It does not.
    #[default]
    None,
    /// The server draws and keeps one.
    Generate,
}

fn public_id(text: &str) -> Result<PublicIdChoice, String> {
    match text {
        "random" => Ok(PublicIdChoice::Server),
        "serial" => Ok(PublicIdChoice::Serial),
        _ => text
            .parse::<PublicId>()
            .map_err(|error: PublicIdError| format!("{error}; or write random or serial"))
            .and_then(|id| match id.len() {
                1..=PublicId::MAX_ON_A_SERVER => Ok(PublicIdChoice::Given(id)),
                _ => Err("servers take public ids of 2 to 16 modhex letters".to_owned()),
            }),
    }
}

/// Enrols the key.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if args.station.is_meant() {
        return station::run(args, context);
    }
    refuse_station_options(args)?;
    let settings = context.settings()?;
    let client = admin::connect(context, &settings)?;
    let journal = Journal::new(config::state_folder()?.join("enrolments"));
    let current = args.current_access_code.as_ref().map(read_code).transpose()?;
    let key = open(context)?;
    introduce(args, context, &key, &client);
    warn_of_faults(key.device.info(), context);
    let account = args.account.clone().unwrap_or_default();
    if !args.yes && !args.force {
        prompt::confirm("Go ahead?", "--yes")?;
    }
    let mut plan = Plan {
        account,
        create_account: args.create_account,
        slot: args.slot,
        label: args.label.clone(),
        public_id: args.public_id,
        generate_access_code: args.access_code == Protect::Generate,
        current_access_code: current,
        overwrite: args.force,
    };
    let attempt = |plan: &Plan| attempt(plan, &key, args, &client, &journal, context);
    let mut outcome = attempt(&plan);
    if let Err(EnrolError::SlotProgrammed { .. }) = &outcome
        && prompt::possible()
    {
        context.printer.warn(chain_of(&outcome));
        prompt::confirm("Overwrite it?", "--force")?;
        plan.overwrite = true;
        outcome = attempt(&plan);
    }
    match outcome.map_err(|error| explain(&error))? {
        Outcome::Enrolled(enrolled) => {
            memory::note_enrolled(&enrolled.key, &context.printer);
            report(&enrolled, context)
        }
        Outcome::Programmed(programmed) => report_pending(&programmed, context),
    }
}

/// Options that mean nothing with a single key must not be ignored silently.
fn refuse_station_options(args: &Args) -> Result<(), Failure> {
    let StationArgs { report, model, refuse_advisories, journal, .. } = &args.station;
    let given = [
        (report.is_some(), "--report"),
        (model.is_some(), "--model"),
        (*refuse_advisories, "--refuse-advisories"),
        (journal.is_some(), "--journal"),
    ];
    match given.iter().find(|(given, _)| *given) {
        Some((_, option)) => Err(Failure::usage(format!("{option} belongs to a provisioning station"))
            .hint("add --watch, with --count 1 for a single key")),
        None => Ok(()),
    }
}

/// How far an enrolment went.
enum Outcome {
    Enrolled(Enrolled),
    Programmed(Programmed),
}

fn chain_of<T>(outcome: &Result<T, EnrolError>) -> String {
    outcome.as_ref().err().map(|error| chain(error)).unwrap_or_default()
}

fn read_code(source: &Source) -> Result<AccessCode, Failure> {
    let wanted = Wanted { name: "the present access code", option: "--current-access-code" };
    Ok(AccessCode::new(*from_hex_exact::<6>(&wanted.read(Some(source))?, wanted.name)?))
}

fn open(context: &Context) -> Result<keys::Opened, Failure> {
    let _busy = interrupt::busy();
    keys::open(context)
}

/// What will happen, before anything does.
fn introduce(args: &Args, context: &Context, key: &keys::Opened, client: &api::Client) {
    let id = match args.public_id {
        PublicIdChoice::Server => "drawn by the server".to_owned(),
        PublicIdChoice::Serial => "made of the serial number".to_owned(),
        PublicIdChoice::Given(id) => id.to_string(),
    };
    let code = match args.access_code {
        Protect::None => "none",
        Protect::Generate => "drawn and kept by the server",
    };
    context.printer.say(
        output::fields(&[
            ("key", key.device.to_string()),
            ("slot", format!("{}, to be programmed with a Yubico OTP credential", args.slot)),
            ("account", args.account.clone().unwrap_or_default()),
            ("server", client.server().to_string()),
            ("public id", id),
            ("access code", code.to_owned()),
        ])
        .trim_end(),
    );
}

/// What has been published about the firmware and matters to a key for one-time passwords.
fn warn_of_faults(info: &DeviceInfo, context: &Context) {
    faults_that_matter(info).for_each(|text| context.printer.warn(text));
}

fn faults_that_matter(info: &DeviceInfo) -> impl Iterator<Item = String> {
    advisories::of(info)
        .filter(|one| one.at_enrolment)
        .map(|one| format!("{}: {}; {}", one.id, one.title, one.remedy))
}

fn attempt(
    plan: &Plan,
    key: &keys::Opened,
    args: &Args,
    client: &api::Client,
    journal: &Journal,
    context: &Context,
) -> Result<Outcome, EnrolError> {
    interrupt::farewell("the key was not changed");
    let port = DeviceKey::new(key.device.clone(), keys::control(context));
    let touch = if args.typed { Touch::Terminal } else { Touch::of(key) };
    let by_hand = matches!(touch, Touch::Terminal);
    let mut busy = None;
    let mut follow = |event: Event| {
        match &event {
            // Writing must not be cut in two: Ctrl-C asks the driver to stop.
            Event::Programming { .. } => busy = Some(interrupt::busy()),
            Event::Programmed { .. } => {
                busy = None;
                interrupt::farewell(
                    "the slot holds the new credential, which is not active yet; run the same command again to finish",
                );
            }
            _ => {}
        }
        tell(&event, by_hand, context);
    };
    let mut outcome = Err(EnrolError::Task);
    let run = block_on(async {
        outcome = if args.no_touch {
            enrol_pending(plan, port, client, journal, &mut follow).await.map(Outcome::Programmed)
        } else {
            enrol(plan, port, touch, client, journal, &mut follow).await.map(Outcome::Enrolled)
        };
        Ok(())
    });
    // Only a runtime that does not start ends up here.
    run.map_err(|_| EnrolError::Task).and(outcome)
}

fn tell(event: &Event, by_hand: bool, context: &Context) {
    let printer = &context.printer;
    match event {
        Event::KeyRead(facts) => {
            let slots = Slot::ALL.map(|slot| {
                format!("slot {slot} {}", if facts.is_programmed(slot) { "programmed" } else { "empty" })
            });
            printer.detail(slots.join(", "));
        }
        Event::Resuming { public_id } => {
            printer.say(format!("Finishing what was begun before: credential {public_id}."))
        }
        Event::Pending { public_id } => {
            printer.say(format!("The server holds a pending credential: {public_id}."))
        }
        Event::Programming { slot } => {
            printer.say(format!("Programming slot {slot}; leave the key plugged in."))
        }
        Event::Programmed { slot } => printer.say(format!("Slot {slot} is programmed.")),
        Event::AwaitingTouch { slot, .. } if !by_hand => {
            printer.say(format!("The software key presses itself (slot {slot})."))
        }
        Event::AwaitingTouch { slot: Slot::One, .. } => printer.say("Touch the key briefly (slot 1)."),
        Event::AwaitingTouch { slot: Slot::Two, .. } => {
            printer.say("Touch the key and hold it for about three seconds (slot 2).")
        }
        Event::NotThisPassword { why } => {
            printer.warn(format!("that was no password of the new credential: {why}"))
        }
        Event::Confirmed(_) => printer.say("The server has checked the password: the key is active."),
        _ => {}
    }
}

/// How what the key types reaches us.
enum Touch {
    /// The key types into the terminal, like any keyboard.
    Terminal,
    /// A software key presses itself.
    #[cfg(feature = "emulator")]
    Software(keys::software::Software),
}

impl Touch {
    fn of(key: &keys::Opened) -> Self {
        #[cfg(feature = "emulator")]
        if let Some(software) = &key.software {
            return Self::Software(software.clone());
        }
        let _ = key;
        Self::Terminal
    }
}

impl TouchPort for Touch {
    fn typed_password(&mut self, slot: Slot, _: PublicId) -> Result<String, TouchError> {
        let _ = slot;
        match self {
            Self::Terminal => match prompt::read_line() {
                Ok(Some(line)) => Ok(line.to_string()),
                Ok(None) => Err(TouchError::Cancelled),
                Err(failure) => Err(TouchError::Failed(failure.message().into())),
            },
            #[cfg(feature = "emulator")]
            Self::Software(key) => press(key, slot),
        }
    }
}

/// Has a software key type.
#[cfg(feature = "emulator")]
fn press(key: &keys::software::Software, slot: Slot) -> Result<String, TouchError> {
    match key.press(slot) {
        Ok(keys::software::Pressed::Typed(text)) => Ok(text),
        Ok(keys::software::Pressed::Answered) => Err(TouchError::Failed("a challenge took the touch".into())),
        Ok(keys::software::Pressed::Nothing(why)) => Err(TouchError::Failed(why.into())),
        Err(failure) => Err(TouchError::Failed(failure.message().into())),
    }
}

#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    key: &'a Key,
    resumed: bool,
}

fn report(enrolled: &Enrolled, context: &Context) -> Result<(), Failure> {
    let report = Report { key: &enrolled.key, resumed: enrolled.resumed };
    context.printer.result("enroll/1", &report, |report| {
        let key = report.key;
        output::fields(&[
            ("enrolled", output::good(&key.public_id)),
            ("account", key.account.clone()),
            ("key id", key.id.clone()),
            ("access code", if key.has_access_code { "kept on the server" } else { "none" }.to_owned()),
        ])
    })
}

#[derive(Serialize)]
struct PendingReport<'a> {
    enrollment_id: &'a str,
    public_id: String,
    resumed: bool,
}

fn report_pending(programmed: &Programmed, context: &Context) -> Result<(), Failure> {
    let Programmed { enrollment, public_id, resumed } = programmed;
    let report =
        PendingReport { enrollment_id: enrollment, public_id: public_id.to_string(), resumed: *resumed };
    context
        .printer
        .say("The credential is pending: `tapkey admin enrollments confirm` activates it with a touch.");
    context.printer.result("enroll-pending/1", &report, |report| {
        output::fields(&[
            ("pending", report.public_id.clone()),
            ("enrolment", report.enrollment_id.to_owned()),
        ])
    })
}

/// What an enrolment that ended early means for the exit code, and what to do.
fn explain(error: &EnrolError) -> Failure {
    let text = chain(error);
    match error {
        EnrolError::SlotProgrammed { .. } => {
            Failure::usage(text).hint("add --force to overwrite it, or choose the other slot with --slot")
        }
        EnrolError::NoSerial => Failure::usage(text).hint("leave --public-id out"),
        EnrolError::Read(source) | EnrolError::Refused(source) | EnrolError::Interrupted(source) => {
            from_key(source, text)
        }
        EnrolError::Server(source) | EnrolError::Confirm { source, .. } => from_server(source, text),
        EnrolError::Touch { source: TouchError::Cancelled, .. } => Failure::new(Exit::Interrupted, text),
        EnrolError::Touch { source: TouchError::TimedOut, .. } => Failure::new(Exit::Key, text),
        EnrolError::NotThisPassword { .. } => Failure::new(Exit::Rejected, text)
            .hint("let the right slot type: a short touch is slot 1, a long one slot 2"),
        _ => Failure::failed(text),
    }
}

fn from_key(error: &KeyError, text: String) -> Failure {
    match error.source.downcast_ref::<KeyFailure>() {
        Some(source) => with_advice(keys::refused_ref(source), text),
        None => Failure::failed(text),
    }
}

fn from_server(error: &ServerError, text: String) -> Failure {
    let Some(source) = error.source.downcast_ref::<api::Error>() else { return Failure::failed(text) };
    let exit = if source.is_unreachable() {
        Exit::Unreachable
    } else if source.problem().is_some() {
        Exit::Rejected
    } else {
        Exit::Failed
    };
    let failure = Failure::new(exit, text);
    match admin::advice(source.code()) {
        Some(advice) => failure.hint(advice),
        None if exit == Exit::Unreachable => failure.hint("is the server running, and is its address right?"),
        None => failure,
    }
}

fn with_advice(from: Failure, text: String) -> Failure {
    let failure = Failure::new(from.exit(), text);
    match from.advice() {
        Some(advice) => failure.hint(advice),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use tapkey_protocol::{management::Capabilities, version::Version};

    use super::*;

    #[test]
    fn a_faulty_firmware_is_warned_of_where_it_matters_to_passwords() {
        let info = |minor, patch| DeviceInfo {
            version: Some(Version::new(5, minor, patch)),
            nfc_supported: Some(Capabilities::OTP),
            ..DeviceInfo::default()
        };
        let told: Vec<String> = faults_that_matter(&info(2, 6)).collect();
        assert!(matches!(&told[..], [one] if one.starts_with("YSA-2020-04")), "{told:?}");
        // What concerns FIDO and PIV alone is no matter here.
        assert_eq!(faults_that_matter(&info(4, 3)).count(), 0);
    }
}
