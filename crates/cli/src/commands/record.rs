//! `tapkey record`: another command, with everything that passes between it and a key written down.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser};

use super::Context;
use crate::{
    args::{self, Global},
    exit::Failure,
    output::Printer,
    tape,
};

/// Options of `tapkey record`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "\
A recording makes a problem with a key a test that needs no key: send it along with the report.
Keys, access codes, PINs, challenges and responses are left out of it; serial numbers, public
settings and the times of everything stay.

  tapkey record problem.jsonl -- challenge -2 -x 1122
  tapkey replay problem.jsonl")]
pub(crate) struct Args {
    /// The file to write; it must not exist yet.
    file: PathBuf,

    /// Record keys, PINs and responses as well.
    #[arg(long)]
    with_secrets: bool,

    /// A command of tapkey, with its options.
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Runs it.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if context.tape.is_some() {
        return Err(Failure::usage("this is being recorded already"));
    }
    let words = std::iter::once("tapkey").chain(args.command.iter().map(String::as_str));
    let inner = args::Args::try_parse_from(words).unwrap_or_else(|error| error.exit());
    let global = joined(inner.global, &context.global);
    let (file, tape) = tape::File::create(&args.file, args.with_secrets, context)?;
    let inside = Context { printer: Printer::new(&global), global, tape: Some(tape) };
    let outcome = super::run(inner.command, &inside);
    drop(inside);
    match file.finish()? {
        0 => context
            .printer
            .warn(format!("nothing passed to or from a key; {} is empty", file.path().display())),
        1 => context.printer.say(format!("recorded one line in {}", file.path().display())),
        lines => context.printer.say(format!("recorded {lines} lines in {}", file.path().display())),
    }
    outcome
}

/// Global options may stand before `record` or behind it.
fn joined(inner: Global, outer: &Global) -> Global {
    let outer = outer.clone();
    Global {
        json: inner.json || outer.json,
        quiet: inner.quiet || outer.quiet,
        verbose: inner.verbose.max(outer.verbose),
        color: outer.color,
        serial: inner.serial.or(outer.serial),
        reader: inner.reader.or(outer.reader),
        form_factor: inner.form_factor.or(outer.form_factor),
        place: inner.place.or(outer.place),
        emulated: inner.emulated.or(outer.emulated),
        server: inner.server.or(outer.server),
        token_file: inner.token_file.or(outer.token_file),
        ca_file: inner.ca_file.or(outer.ca_file),
        config_file: inner.config_file.or(outer.config_file),
    }
}
