//! `tapkey otp convert`: check a list of credentials, or write it in another format.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_protocol::formats::csv::Template;
use zeroize::Zeroizing;

use super::{
    list::{List, name},
    record::{Format, style},
};
use crate::{commands::Context, exit::Failure, output, secrets::NewFile};

/// Options of `tapkey otp convert`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey otp convert --from configuration_log.csv                     checks every line
  tapkey otp convert --from configuration_log.csv --to ykman --output keys.csv")]
pub(crate) struct Args {
    #[command(flatten)]
    list: List,

    /// The format to write: ykman, yubico, traditional or flexible.
    #[arg(long, value_name = "FORMAT", value_enum, requires = "output", hide_possible_values = true)]
    to: Option<Format>,

    /// The line of `flexible`.
    #[arg(long, value_name = "TEMPLATE", requires = "to")]
    to_template: Option<Template>,

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
    if let (Some(format), Some(path)) = (args.to, &args.output) {
        let style = style(format, args.to_template.as_ref(), "--to-template")?;
        let mut lines = Zeroizing::new(String::with_capacity(entries.len() * 160));
        for entry in &entries {
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
        NewFile::create(path)?.write(&lines)?;
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
