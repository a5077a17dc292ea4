//! `tapkey config set-lock-code`.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_protocol::{
    management::{DeviceConfig, LockCode},
    secret::Secret,
    version::{Unsupported, Version},
};
use zeroize::Zeroizing;

use super::change::{Change, Consent, agreed, current_lock_code, is_certain, read_lock_code, too_old};
use crate::{
    commands::Context,
    encode::{hex, random},
    exit::Failure,
    interrupt, keys, output,
    secrets::{NewFile, SOURCES, Source},
};

/// Options of `tapkey config set-lock-code`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "The lock code guards what `config usb` and `config nfc` change; it has 32 hexadecimal digits. \
There is no way around a lost one, so a generated one is written to a file or shown before the key gets it.

Examples:
  tapkey config set-lock-code --generate --output lock-code.txt
  tapkey config set-lock-code --lock-code file:lock-code.txt --clear"
)]
#[group(id = "what", required = true, multiple = false, args = ["new_lock_code", "clear", "generate"])]
pub(crate) struct Args {
    /// Where the key's present lock code comes from, if it has one.
    #[arg(long, short = 'l', value_name = "SOURCE")]
    lock_code: Option<Source>,

    /// Where the new lock code comes from, or `generate`.
    #[arg(long, short = 'n', value_name = "SOURCE")]
    new_lock_code: Option<Source>,

    /// Remove the lock code.
    #[arg(long, short)]
    clear: bool,

    /// Draw the new lock code at random.
    #[arg(long, short)]
    generate: bool,

    /// Write the generated lock code to this new file (mode 0600), before the key gets it.
    #[arg(long, short = 'O', value_name = "FILE")]
    output: Option<PathBuf>,

    /// Show the generated lock code, before the key gets it.
    #[arg(long)]
    show_secret: bool,

    #[command(flatten)]
    consent: Consent,
}

/// What became of the lock code.
#[derive(Serialize)]
struct Report {
    serial: Option<u32>,
    changed: bool,
    locked: bool,
    verified: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lock_code: Option<String>,
}

/// Sets, changes or removes it.
pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let generate = args.generate || args.new_lock_code == Some(Source::Generate);
    if generate && args.output.is_none() && !args.show_secret && !args.consent.dry_run {
        return Err(Failure::usage(
            "a generated lock code must be kept somewhere, or the key can never be unlocked",
        )
        .hint("add --output FILE, or --show-secret"));
    }
    if generate && context.printer.is_json() && args.output.is_none() && !args.consent.dry_run {
        return Err(Failure::usage(
            "with --json everything is printed at the end, when the key has the code already",
        )
        .hint("add --output FILE, which is written before"));
    }
    if !generate && (args.output.is_some() || args.show_secret) {
        return Err(Failure::usage("--output and --show-secret are for a lock code that is generated")
            .hint("add --generate"));
    }
    check_source(args.lock_code.as_ref())?;
    check_source(args.new_lock_code.as_ref().filter(|_| !generate))?;
    let busy = interrupt::busy();
    let opened = keys::open(context)?;
    drop(busy);
    let info = opened.device.info();
    let version = info.version.unwrap_or_default();
    Unsupported::check_at_least("a lock code", version, SINCE).map_err(|error| too_old(&error))?;
    let mut change = Change::default();
    let word = |locked: bool| if locked { "set" } else { "none" };
    if args.clear {
        change.note("lock code", word(info.locked), word(false));
    } else {
        change.note("lock code", word(info.locked), if info.locked { "another" } else { "set" });
    }
    if !args.consent.dry_run && !change.rows.is_empty() {
        change.config.current_lock_code = current_lock_code(args.lock_code.as_ref(), info)?;
    }
    let new = if args.consent.dry_run { None } else { new_code(args, generate)? };
    if !agreed(&opened.device, &change.rows, args.consent, false, context)? {
        return Ok(());
    }
    change.config.new_lock_code = Some(new.clone().unwrap_or_else(|| Secret::new([0; 16])));
    // Kept before the key gets it: whatever happens then, no key has a code that nobody knows.
    let text = new.as_ref().map(|code| Zeroizing::new(hex(code.expose())));
    let file = keep(args, generate, text.as_ref(), context)?;
    set(&opened, &change, new.as_ref(), file.as_ref(), context)?;
    let report = Report {
        serial: opened.device.serial(),
        changed: true,
        locked: new.is_some(),
        verified: true,
        file: file.map(|path| path.display().to_string()),
        lock_code: text.filter(|_| generate && args.show_secret).map(|text| text.as_str().to_owned()),
    };
    context.printer.result("config-lock-code/1", &report, |report| {
        let what = if report.locked {
            "the settings are locked, and the code was tried"
        } else {
            "the lock code is gone"
        };
        match &report.file {
            Some(file) => format!("{}; the code is in {file}", output::good(what)),
            None => output::good(what),
        }
    })
}

fn new_code(args: &Args, generate: bool) -> Result<Option<LockCode>, Failure> {
    if args.clear {
        return Ok(None);
    }
    if generate {
        return Ok(Some(Secret::new(*random::<16>()?)));
    }
    read_lock_code(args.new_lock_code.as_ref(), "the new lock code", "--new-lock-code").map(Some)
}

fn keep(
    args: &Args,
    generate: bool,
    text: Option<&Zeroizing<String>>,
    context: &Context,
) -> Result<Option<PathBuf>, Failure> {
    let Some(text) = text.filter(|_| generate) else { return Ok(None) };
    if args.show_secret && !context.printer.is_json() {
        let line = Zeroizing::new(format!("lock code: {}\n", text.as_str()));
        context.printer.raw(line.as_bytes())?;
    }
    args.output.as_ref().map(|path| NewFile::create(path)?.write(text)).transpose()
}

/// Writes it, and proves that the key has it by a change of nothing that needs the code.
fn set(
    opened: &keys::Opened,
    change: &Change,
    new: Option<&LockCode>,
    file: Option<&PathBuf>,
    context: &Context,
) -> Result<(), Failure> {
    let _busy = interrupt::busy();
    let control = keys::control(context);
    let mut session = opened.device.open_management(&control).map_err(keys::refused)?;
    if let Err(error) = session.write_config(&change.config, &control) {
        let certain = is_certain(&error);
        let failure = keys::refused(error);
        return Err(match file {
            Some(path) if certain => {
                let _ = std::fs::remove_file(path);
                failure
            }
            Some(path) => {
                failure.hint(format!("the key may have the new lock code: keep {}", path.display()))
            }
            None => failure,
        });
    }
    let told = session.device_info(&control).map_err(keys::refused)?.locked;
    if told != new.is_some() {
        return Err(Failure::failed("the key took the lock code but tells otherwise")
            .hint("look at `tapkey info`, and keep the code"));
    }
    if let Some(code) = new {
        let proof = DeviceConfig { current_lock_code: Some(code.clone()), ..DeviceConfig::default() };
        session.write_config(&proof, &control).map_err(|error| {
            let failure = keys::refused(error);
            Failure::new(failure.exit(), format!("the new lock code does not open the settings: {failure}"))
        })?;
    }
    Ok(())
}

/// A secret given in place of its source is refused before anything is read or touched.
pub(super) fn check_source(source: Option<&Source>) -> Result<(), Failure> {
    match source {
        Some(Source::Unknown) => {
            Err(Failure::usage("a lock code was to come from a source, but none is named there")
                .hint(format!("give it as {SOURCES}; a secret on the command line can be read by others")))
        }
        _ => Ok(()),
    }
}

const SINCE: Version = Version::new(5, 0, 0);
