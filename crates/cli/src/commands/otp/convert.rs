//! `tapkey otp convert`: check a list of credentials, or write it in another format.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Args as ClapArgs, ValueEnum};
use serde::Serialize;
use tapkey_protocol::formats::csv::{Entry, Template};
use zeroize::Zeroizing;

use super::{
    list::{List, name},
    pskc,
    record::{Format, style},
};
use crate::{
    commands::Context,
    exit::Failure,
    output,
    secrets::{NewFile, Source},
};

/// Options of `tapkey otp convert`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey otp convert --from configuration_log.csv                     checks every line
  tapkey otp convert --from configuration_log.csv --to ykman --output keys.csv")]
pub(crate) struct Args {
    #[command(flatten)]
    list: List,

    /// The format to write: ykman, yubico, traditional, flexible or pskc.
    #[arg(long, value_name = "FORMAT", value_enum, requires = "output", hide_possible_values = true)]
    to: Option<Target>,

    /// The line of `flexible`.
    #[arg(long, value_name = "TEMPLATE", requires = "to")]
    to_template: Option<Template>,

    /// Encrypt a PSKC file with the key of this source (hexadecimal digits).
    #[arg(long, value_name = "SOURCE", requires = "to", conflicts_with = "to_passphrase")]
    to_key: Option<Source>,

    /// Encrypt a PSKC file with the passphrase of this source.
    #[arg(long, value_name = "SOURCE", requires = "to")]
    to_passphrase: Option<Source>,

    /// A new file (mode 0600).
    #[arg(long, short = 'O', value_name = "FILE", requires = "to")]
    output: Option<PathBuf>,
}

#[derive(Serialize)]
struct Converted {
    entries: usize,
    kinds: BTreeMap<&'static str, usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
}

/// Converts.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let entries = args.list.entries()?;
    let mut kinds = BTreeMap::new();
    for entry in &entries {
        *kinds.entry(name(&entry.credential)).or_insert(0) += 1;
    }
    if let (Some(target), Some(path)) = (args.to, &args.output) {
        let text = match target.format() {
            Some(format) => lines(&entries, args, format)?,
            None => container(&entries, args, context)?,
        };
        NewFile::create(path)?.write(&text)?;
    }
    let converted = Converted {
        entries: entries.len(),
        kinds,
        output: args.output.as_ref().map(|path| path.display().to_string()),
    };
    context.printer.result("otp-convert/1", &converted, |converted| {
        let mut rows: Vec<(String, String)> =
            converted.kinds.iter().map(|(kind, count)| ((*kind).to_owned(), count.to_string())).collect();
        rows.extend(converted.output.iter().map(|path| ("written to".to_owned(), path.clone())));
        output::fields(&rows)
    })
}

/// A format of lines, or a container.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum Target {
    Ykman,
    Yubico,
    Traditional,
    Flexible,
    Pskc,
}

impl Target {
    const fn format(self) -> Option<Format> {
        match self {
            Self::Ykman => Some(Format::Ykman),
            Self::Yubico => Some(Format::Yubico),
            Self::Traditional => Some(Format::Traditional),
            Self::Flexible => Some(Format::Flexible),
            Self::Pskc => None,
        }
    }
}

fn lines(entries: &[Entry], args: &Args, format: Format) -> Result<Zeroizing<String>, Failure> {
    if args.to_key.is_some() || args.to_passphrase.is_some() {
        return Err(Failure::usage("only PSKC files can be encrypted").hint("use --to pskc"));
    }
    let style = style(format, args.to_template.as_ref(), "--to-template")?;
    let mut lines = Zeroizing::new(String::with_capacity(entries.len() * 160));
    for entry in entries {
        let line = style.line(entry).ok_or_else(|| {
            Failure::usage(format!(
                "line {}: the format has no line for a {}",
                entry.line,
                name(&entry.credential)
            ))
            .hint("--to ykman has a line for everything")
        })?;
        if !lines.is_empty() {
            lines.push('\n');
        }
        lines.push_str(&line);
    }
    Ok(lines)
}

fn container(entries: &[Entry], args: &Args, context: &Context) -> Result<Zeroizing<String>, Failure> {
    if entries.iter().any(|entry| !entry.access_code.is_none()) {
        context.printer.warn("a PSKC file has no place for access codes; those of the list are left out");
    }
    pskc::write(entries, args.to_key.as_ref(), args.to_passphrase.as_ref())
}
