//! `tapkey replay`: what a recording says, in words.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_protocol::transcript::{
    Secrets,
    recording::{Interface, Recording, decode},
};

use super::Context;
use crate::exit::{Failure, chain};

/// Options of `tapkey replay`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Args {
    /// A file that `tapkey record` or `tapkey emulate run --transcript` wrote.
    file: PathBuf,
}

#[derive(Serialize)]
struct Report {
    program: String,
    secrets: bool,
    lines: Vec<Line>,
}

#[derive(Serialize)]
struct Line {
    at: u64,
    link: Option<u32>,
    interface: Option<&'static str>,
    text: String,
}

/// Runs it.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let path = args.file.display();
    let text = std::fs::read_to_string(&args.file)
        .map_err(|error| Failure::usage(format!("cannot read {path}: {error}")))?;
    let recording =
        Recording::parse(&text).map_err(|error| Failure::usage(format!("{path}: {}", chain(&error))))?;
    let line = |one: tapkey_protocol::transcript::recording::Decoded| Line {
        at: one.at,
        link: one.link.map(|(link, _)| link),
        interface: one.link.map(|(_, interface)| match interface {
            Interface::Otp => "otp",
            Interface::CardUsb => "card-usb",
            Interface::CardNfc => "card-nfc",
        }),
        text: one.text,
    };
    let report = Report {
        lines: decode(&recording).into_iter().map(line).collect(),
        secrets: recording.secrets == Secrets::Show,
        program: recording.program,
    };
    context.printer.result("replay/1", &report, |report| {
        let mut text = String::new();
        for line in &report.lines {
            let place = match (line.link, line.interface) {
                (Some(link), Some(interface)) => format!("{interface} {link}"),
                _ => String::new(),
            };
            text.push_str(&format!("{:>8} ms  {place:<11} {}\n", line.at, line.text));
        }
        text
    })?;
    if report.secrets {
        context.printer.warn("this recording holds secrets");
    }
    Ok(())
}
