//! What all changes of a slot have in common: read the key, say what will happen, ask, write, remember.

use std::collections::BTreeMap;

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_driver::{Control, Device, OtpSession, OtpStatus, Prefer};
use tapkey_protocol::{
    formats::csv::{Credential, Entry},
    slot::{AccessCode, OptionChanges, Options, Slot, SlotConfig},
    version::Version,
};

use super::{
    options,
    record::{Keep, Record, code_text, shown, time},
};
use crate::{
    commands::Context,
    encode::{from_hex_exact, hex, random},
    exit::{Exit, Failure},
    interrupt, keys,
    memory::{self, Memory, Prints, Remembered},
    prompt,
    secrets::{Source, Wanted},
};

/// Leave to change a slot.
#[derive(ClapArgs, Debug, Default)]
#[command(next_help_heading = "Leave to change the slot")]
pub(super) struct Leave {
    /// Where the slot's present access code comes from, if it has one (12 hexadecimal digits).
    #[arg(long, value_name = "SOURCE")]
    pub(super) access_code: Option<Source>,

    /// Do not ask, and overwrite what the slot holds.
    #[arg(long, short)]
    pub(super) force: bool,

    /// Do not ask, as long as nothing is lost.
    #[arg(long, short)]
    pub(super) yes: bool,
}

/// The access code that a slot gets.
#[derive(ClapArgs, Debug, Default)]
#[command(next_help_heading = "Leave to change the slot")]
pub(super) struct Protection {
    /// Protect the slot from now on: where its access code comes from (12 hexadecimal digits), or
    /// `generate`. Without this the slot has no access code afterwards.
    #[arg(long, value_name = "SOURCE")]
    pub(super) new_access_code: Option<Source>,
}

/// A key whose slot is about to be changed.
pub(super) struct Change<'a> {
    pub(super) context: &'a Context,
    pub(super) device: Device,
    pub(super) session: OtpSession,
    pub(super) control: Control,
    pub(super) status: OtpStatus,
    #[cfg(feature = "emulator")]
    pub(super) software: Option<keys::software::Software>,
}

impl<'a> Change<'a> {
    /// Opens the chosen key and reads its slots.
    pub(super) fn begin(context: &'a Context) -> Result<Self, Failure> {
        Self::with(context, Prefer::Programming)
    }

    /// Opens it for reading.
    pub(super) fn look(context: &'a Context) -> Result<Self, Failure> {
        Self::with(context, Prefer::Any)
    }

    fn with(context: &'a Context, prefer: Prefer) -> Result<Self, Failure> {
        let busy = interrupt::busy();
        let opened = keys::open(context)?;
        let control = keys::control(context);
        let mut session = opened.device.open_otp(prefer, &control).map_err(keys::refused)?;
        let status = session.status(&control).map_err(keys::refused)?;
        drop(busy);
        Ok(Self {
            context,
            device: opened.device,
            session,
            control,
            status,
            #[cfg(feature = "emulator")]
            software: opened.software,
        })
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

    /// What is remembered of this key; nothing where it has no serial number.
    pub(super) fn memory(&self) -> Result<Option<Memory>, Failure> {
        self.device.serial().map(Memory::load).transpose()
    }

    /// Remembers a change.
    pub(super) fn note(&self, change: impl FnOnce(&mut Memory)) {
        memory::note(self.device.serial(), &self.context.printer, change);
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
        if !self.is_programmed(slot) {
            return None;
        }
        let certain = if self.status.is_certainly(slot, true) { "is" } else { "may be" };
        let remembered = self.memory().ok().flatten().and_then(|memory| memory.slot(slot).cloned());
        let what = match remembered {
            Some(Remembered { kind, public_id: Some(id), .. }) => format!(" ({kind} {id}, as remembered)"),
            Some(Remembered { kind, .. }) => format!(" ({kind}, as remembered)"),
            None => String::new(),
        };
        Some(format!("slot {slot} {certain} programmed{what}; what it holds now will be lost for good"))
    }

    /// What is known to be impossible with an access code, before anything is sent.
    pub(super) fn check_code(&self, code: &AccessCode) -> Result<(), Failure> {
        let complex = self.device.info().pin_complexity == Some(true);
        if complex && !code.is_none() && code.is_trivial() {
            return Err(Failure::new(
                Exit::Key,
                "--new-access-code: this key insists on complex codes, and all six bytes of this one are equal",
            )
            .hint("use another code, or --new-access-code generate"));
        }
        Ok(())
    }

    /// Settings that the firmware takes and does nothing about.
    pub(super) fn warn_of_idle(&self, options: &Options) {
        for name in options.idle_on(self.version()) {
            self.context.printer.warn(format!(
                "--{name} is documented for firmware 2; firmware {} takes it and probably does nothing about it",
                self.version()
            ));
        }
    }

    /// Writes a slot: preflight, question, record of the secrets, write, report.
    pub(super) fn program(&mut self, job: &Job<'_>) -> Result<Written, Failure> {
        let slot = job.slot;
        let base = if job.credential.is_challenge_response() {
            Options::for_challenges()
        } else {
            Options::for_typing()
        };
        let options = job.changes.apply(base.fitted_to(self.version()));
        let config = job
            .credential
            .config(options, job.code.clone())
            .map_err(|error| Failure::usage(error.to_string()))?;
        options::check(&job.changes, Some(config.kind()), self.version())?;
        config.supported_by(self.version()).map_err(|error| keys::refused(error.into()))?;
        self.check_code(job.code)?;
        self.warn_of_idle(&options);
        if job.generated && job.keep.output.is_none() && !job.keep.show_secret {
            return Err(Failure::usage("the secrets would be drawn at random and known to the key alone")
                .hint("add --output FILE to keep them in a file, or --show-secret to see them"));
        }
        let current = job.current()?;
        let line = job.keep.output.as_ref().map(|_| job.keep.line(&self.entry(job, &current))).transpose()?;
        let loss = self.loss(slot);
        self.agree(&job.will, loss.as_deref(), job.leave)?;
        let record = match (&job.keep.output, line) {
            (Some(path), Some(line)) => Some(Record::append(path, &line)?),
            _ => None,
        };
        let busy = interrupt::busy();
        let outcome = self.session.program(slot, &*config, &current, &self.control);
        drop(busy);
        match outcome {
            Ok(()) => Ok(self.written(job, &*config)),
            Err(error) => {
                let failure = keys::refused(error);
                // A write that broke off may have reached the key: its secrets stay on record.
                if failure.exit() == Exit::Key
                    && let Some(record) = record
                {
                    record.undo()?;
                }
                Err(failure)
            }
        }
    }

    fn entry(&self, job: &Job<'_>, current: &AccessCode) -> Entry {
        Entry {
            line: 0,
            serial: self.device.serial(),
            slot: Some(job.slot),
            credential: job.credential.clone(),
            current_access_code: current.clone(),
            access_code: job.code.clone(),
            time: Some(time()),
        }
    }

    fn written(&self, job: &Job<'_>, config: &dyn SlotConfig) -> Written {
        let remembered = Remembered::of(&config.record(), job.by, Prints::open().ok().as_ref());
        self.note(|memory| *memory.slot_mut(job.slot) = Some(remembered));
        Written {
            slot: job.slot.number(),
            kind: config.kind().name(),
            serial: self.device.serial(),
            public_id: job.credential.public_id().map(|id| id.to_string()),
            access_code: !job.code.is_none(),
            record: job.keep.output.as_ref().map(|path| path.display().to_string()),
            secrets: job.keep.show_secret.then(|| shown(&job.credential)),
            new_access_code: (job.keep.show_secret && !job.code.is_none()).then(|| code_text(job.code)),
            line: None,
        }
    }
}

/// One slot to be written.
pub(super) struct Job<'a> {
    /// Which.
    pub(super) slot: Slot,
    /// With what.
    pub(super) credential: Credential,
    /// Settings that differ from the usual ones.
    pub(super) changes: OptionChanges,
    /// In a sentence.
    pub(super) will: String,
    /// Whether any of the secrets was drawn here.
    pub(super) generated: bool,
    /// Its access code from now on.
    pub(super) code: &'a AccessCode,
    /// Its present access code, where it is already known.
    pub(super) current: Option<AccessCode>,
    /// Leave to do so.
    pub(super) leave: &'a Leave,
    /// What becomes of the secrets.
    pub(super) keep: &'a Keep,
    /// The command, for the record of what is remembered.
    pub(super) by: &'static str,
}

impl Job<'_> {
    fn current(&self) -> Result<AccessCode, Failure> {
        match &self.current {
            Some(code) => Ok(code.clone()),
            None => present_code(self.leave),
        }
    }
}

/// What was written.
#[derive(Serialize)]
pub(super) struct Written {
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
    /// Of a list.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<usize>,
}

impl Written {
    /// The same, from this line of a list.
    pub(super) fn on_line(self, line: usize) -> Self {
        Self { line: Some(line), ..self }
    }

    /// Prints it.
    pub(super) fn report(&self, context: &Context) -> Result<(), Failure> {
        context.printer.result("otp-write/1", self, Self::text)
    }

    fn text(&self) -> String {
        let mut text = format!("slot {} holds a new credential: {}\n", self.slot, self.kind);
        let mut rows: Vec<(String, String)> = Vec::new();
        let mut row = |name: &str, value: &Option<String>| {
            rows.extend(value.iter().map(|value| (name.to_owned(), value.clone())));
        };
        row("public id", &self.public_id);
        for (name, value) in self.secrets.iter().flatten() {
            row(&name.replace('_', " "), &Some(value.clone()));
        }
        row("access code", &self.new_access_code);
        row("secrets in", &self.record);
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

/// Exactly so many bytes from a source, or drawn.
pub(super) fn secret<const N: usize>(
    name: &'static str,
    option: &'static str,
    source: &Source,
) -> Result<zeroize::Zeroizing<[u8; N]>, Failure> {
    match source {
        Source::Generate => random::<N>(),
        source => from_hex_exact(&Wanted { name, option }.read(Some(source))?, name),
    }
}

/// An access code for people, when it is to be shown.
pub(super) fn shown_code(code: &AccessCode, show: bool) -> Option<String> {
    (show && !code.is_none()).then(|| hex(code.expose()))
}
