//! What all changes of a slot have in common: read the key, say what will happen, ask, write.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_driver::{Control, Device, OtpSession, OtpStatus, Prefer};
use tapkey_protocol::{
    slot::{AccessCode, Options, Pacing, Slot, SlotConfig},
    version::Version,
};

use super::record::{Record, Row};
use crate::{
    commands::Context,
    encode::{from_hex_exact, hex, random},
    exit::Failure,
    interrupt, keys, prompt,
    secrets::{Source, Wanted},
};

/// Leave to change a slot.
#[derive(ClapArgs, Debug)]
pub(super) struct Leave {
    /// Where the slot's present access code comes from, if it has one (12 hexadecimal digits).
    #[arg(long, value_name = "SOURCE", help_heading = "Leave to change the slot")]
    access_code: Option<Source>,

    /// Do not ask, and overwrite what the slot holds.
    #[arg(long, short, help_heading = "Leave to change the slot")]
    force: bool,

    /// Do not ask, as long as nothing is lost.
    #[arg(long, short, help_heading = "Leave to change the slot")]
    yes: bool,
}

/// The access code that a slot gets.
#[derive(ClapArgs, Debug)]
pub(super) struct Protection {
    /// Protect the slot from now on: where its access code comes from (12 hexadecimal digits), or
    /// `generate`. Without this the slot has no access code afterwards.
    #[arg(long, value_name = "SOURCE", help_heading = "Leave to change the slot")]
    pub(super) new_access_code: Option<Source>,
}

/// What becomes of secrets that were drawn here.
#[derive(ClapArgs, Debug)]
pub(super) struct Keep {
    /// Append the secrets to this file (mode 0600), one comma-separated line per key.
    #[arg(long, short = 'O', value_name = "FILE", help_heading = "Secrets")]
    output: Option<PathBuf>,

    /// Show the secrets.
    #[arg(long, help_heading = "Secrets")]
    show_secret: bool,
}

/// How a slot types.
#[derive(ClapArgs, Debug)]
pub(super) struct Typing {
    /// Type Enter at the end (the default).
    #[arg(long, overrides_with = "no_enter", help_heading = "How the slot types")]
    enter: bool,

    /// Do not type Enter at the end.
    #[arg(long, help_heading = "How the slot types")]
    no_enter: bool,

    /// Wait so many milliseconds after each key: 0, 10, 20 or 30.
    #[arg(long, value_name = "MS", default_value = "0", value_parser = pacing, help_heading = "How the slot types")]
    pacing: Pacing,

    /// Type digits as keys of the numeric keypad.
    #[arg(long, help_heading = "How the slot types")]
    numeric_keypad: bool,

    /// Type TAB before everything.
    #[arg(long, help_heading = "How the slot types")]
    tab_first: bool,

    /// Do not act at once on a touch when only slot 1 is programmed.
    #[arg(long, help_heading = "How the slot types")]
    no_fast_trigger: bool,
}

impl Typing {
    /// The settings for a key with this firmware.
    pub(super) fn options(&self, version: Version) -> Options {
        let usual = Options::for_typing().fitted_to(version);
        Options {
            append_enter: !self.no_enter,
            pacing: self.pacing,
            numeric_keypad: self.numeric_keypad,
            tab_first: self.tab_first,
            fast_trigger: usual.fast_trigger && !self.no_fast_trigger,
            ..usual
        }
    }
}

/// Reads a wait in milliseconds.
pub(super) fn pacing(text: &str) -> Result<Pacing, String> {
    match text {
        "0" => Ok(Pacing::None),
        "10" => Ok(Pacing::Ten),
        "20" => Ok(Pacing::Twenty),
        "30" => Ok(Pacing::Thirty),
        _ => Err("the wait is 0, 10, 20 or 30 milliseconds".to_owned()),
    }
}

/// A key whose slot is about to be changed.
pub(super) struct Change<'a> {
    context: &'a Context,
    pub(super) device: Device,
    pub(super) session: OtpSession,
    pub(super) control: Control,
    pub(super) status: OtpStatus,
}

impl<'a> Change<'a> {
    /// Opens the chosen key and reads its slots.
    pub(super) fn begin(context: &'a Context) -> Result<Self, Failure> {
        let busy = interrupt::busy();
        let device = keys::open(context)?.device;
        let control = keys::control(context);
        let mut session = device.open_otp(Prefer::Programming, &control).map_err(keys::refused)?;
        let status = session.status(&control).map_err(keys::refused)?;
        drop(busy);
        Ok(Self { context, device, session, control, status })
    }

    /// The firmware.
    pub(super) const fn version(&self) -> Version {
        self.status.version
    }

    /// Whether a slot may hold something.
    pub(super) const fn is_programmed(&self, slot: Slot) -> bool {
        !self.status.is_certainly(slot, false)
    }

    /// The key's serial number, where an option needs it.
    pub(super) fn serial(&self, option: &str) -> Result<u32, Failure> {
        self.device.serial().ok_or_else(|| {
            Failure::usage(format!("{option} needs the key's serial number, which this key does not tell"))
        })
    }

    /// Says what will happen and asks. `loses` is what cannot be brought back, if anything.
    pub(super) fn agree(&self, will: &str, loses: Option<&str>, leave: &Leave) -> Result<(), Failure> {
        let printer = &self.context.printer;
        printer.say(format!("{}: {will}", self.device));
        if let Some(loss) = loses {
            if leave.force {
                return Ok(());
            }
            printer.warn(loss);
            return prompt::confirm("Go ahead?", "--force");
        }
        if leave.force || leave.yes { Ok(()) } else { prompt::confirm("Go ahead?", "--yes") }
    }

    /// What would be lost by writing this slot.
    pub(super) fn loss(&self, slot: Slot) -> Option<String> {
        let certain = if self.status.is_certainly(slot, true) { "is" } else { "may be" };
        self.is_programmed(slot)
            .then(|| format!("slot {slot} {certain} programmed; what it holds now will be lost for good"))
    }

    /// Writes a slot: preflight, question, record of the secrets, write, report.
    pub(super) fn program(mut self, job: &Job<'_>) -> Result<(), Failure> {
        let slot = job.slot;
        job.config.supported_by(self.version()).map_err(|error| keys::refused(error.into()))?;
        if job.generated && job.keep.output.is_none() && !job.keep.show_secret {
            return Err(Failure::usage("the secrets would be drawn at random and known to the key alone")
                .hint("add --output FILE to keep them in a file, or --show-secret to see them"));
        }
        let current = present_code(job.leave)?;
        let loss = self.loss(slot);
        self.agree(&job.will, loss.as_deref(), job.leave)?;
        let record = match &job.keep.output {
            Some(path) => Some(Record::append(path, &self.row(job))?),
            None => None,
        };
        let busy = interrupt::busy();
        let outcome = self.session.program(slot, job.config, &current, &self.control);
        drop(busy);
        match outcome {
            Ok(()) => self.report(job),
            Err(error) => {
                let failure = keys::refused(error);
                // A write that broke off may have reached the key: its secrets stay on record.
                if failure.exit() == crate::exit::Exit::Key
                    && let Some(record) = record
                {
                    record.undo()?;
                }
                Err(failure)
            }
        }
    }

    fn row(&self, job: &Job<'_>) -> Row {
        Row { serial: self.device.serial(), secrets: job.secrets.clone(), access_code: code_text(job.code) }
    }

    fn report(&self, job: &Job<'_>) -> Result<(), Failure> {
        let shown = job.keep.show_secret.then(|| job.secrets.shown());
        let written = Written {
            slot: job.slot.number(),
            kind: job.config.kind().name(),
            serial: self.device.serial(),
            public_id: job.secrets.public_id(),
            access_code: !job.code.is_none(),
            record: job.keep.output.as_ref().map(|path| path.display().to_string()),
            secrets: shown,
            new_access_code: (job.keep.show_secret && !job.code.is_none()).then(|| hex(job.code.expose())),
        };
        self.context.printer.result("otp-write/1", &written, Written::text)
    }
}

/// One slot to be written.
pub(super) struct Job<'a> {
    /// Which.
    pub(super) slot: Slot,
    /// With what.
    pub(super) config: &'a dyn SlotConfig,
    /// In a sentence.
    pub(super) will: String,
    /// Its secrets, for the record.
    pub(super) secrets: super::record::Secrets,
    /// Whether any of them was drawn here.
    pub(super) generated: bool,
    /// Its access code from now on.
    pub(super) code: &'a AccessCode,
    /// Leave to do so.
    pub(super) leave: &'a Leave,
    /// What becomes of the secrets.
    pub(super) keep: &'a Keep,
}

#[derive(Serialize)]
struct Written {
    slot: u8,
    kind: &'static str,
    serial: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_id: Option<String>,
    access_code: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secrets: Option<BTreeMap<&'static str, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_access_code: Option<String>,
}

impl Written {
    fn text(&self) -> String {
        let mut text = format!("slot {} holds a new credential: {}\n", self.slot, self.kind);
        let mut rows: Vec<(&str, String)> = Vec::new();
        if let Some(id) = &self.public_id {
            rows.push(("public id", id.clone()));
        }
        let secrets: Vec<_> =
            self.secrets.iter().flatten().map(|(name, value)| (name.replace('_', " "), value)).collect();
        rows.extend(secrets.iter().map(|(name, value)| (name.as_str(), (*value).clone())));
        if let Some(code) = &self.new_access_code {
            rows.push(("access code", code.clone()));
        }
        if let Some(record) = &self.record {
            rows.push(("secrets in", record.clone()));
        }
        text.push_str(&crate::output::fields(&rows));
        text
    }
}

/// The slot's present access code; none where no source is given.
pub(super) fn present_code(leave: &Leave) -> Result<AccessCode, Failure> {
    let Some(source) = &leave.access_code else { return Ok(AccessCode::NONE) };
    read_code(source, Wanted { name: "the access code", option: "--access-code" })
}

/// The slot's new access code, and whether it was drawn here.
pub(super) fn new_code(protection: &Protection) -> Result<(AccessCode, bool), Failure> {
    match &protection.new_access_code {
        None => Ok((AccessCode::NONE, false)),
        Some(Source::Generate) => draw_code().map(|code| (code, true)),
        Some(source) => {
            let code =
                read_code(source, Wanted { name: "the new access code", option: "--new-access-code" })?;
            if code.is_none() {
                return Err(Failure::usage("an access code of six zeros means that there is none")
                    .hint("leave --new-access-code out, or use another code"));
            }
            Ok((code, false))
        }
    }
}

fn read_code(source: &Source, wanted: Wanted) -> Result<AccessCode, Failure> {
    let text = wanted.read(Some(source))?;
    Ok(AccessCode::new(*from_hex_exact::<6>(&text, wanted.name)?))
}

fn draw_code() -> Result<AccessCode, Failure> {
    loop {
        let code = AccessCode::new(*random::<6>()?);
        if !code.is_trivial() {
            return Ok(code);
        }
    }
}

fn code_text(code: &AccessCode) -> String {
    if code.is_none() { String::new() } else { hex(code.expose()) }
}
