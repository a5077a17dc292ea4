//! `tapkey watch`: keys that come and go.

use std::time::Duration;

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_driver::{
    Control, Device, Error,
    discover::{Diagnostic, Selector, watch::Event},
};

use super::{Context, list::Entry};
use crate::{
    exit::{Exit, Failure},
    interrupt, keys,
};

/// Options of `tapkey watch`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Keys that are there already are told first, as `present`.

Examples:
  tapkey watch
  tapkey watch --once --timeout 30 && tapkey info
  tapkey --json watch | jq --unbuffered 'select(.event == \"plugged\") | .key.serial'")]
pub(crate) struct Args {
    /// End with the first key, whether it is there already or comes later.
    #[arg(long)]
    once: bool,

    /// End after so many seconds; with --once, with exit code 3 if no key came.
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..))]
    timeout: Option<u64>,
}

/// One thing that happened.
#[derive(Serialize)]
struct Line {
    event: &'static str,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    already: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Key>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
    /// What people read.
    #[serde(skip)]
    text: String,
}

#[derive(Serialize)]
struct Key {
    #[serde(flatten)]
    entry: Entry,
    reached_over: String,
}

/// Prints what happens until Ctrl-C, the time is over or, with `--once`, a key is there.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    // Ctrl-C is how this is meant to end, so nothing is said about it.
    let _busy = interrupt::until_stopped(|| {});
    let mut control = Control::new().with_cancel(interrupt::token());
    if let Some(seconds) = args.timeout {
        control = control.with_timeout(Duration::from_secs(seconds));
    }
    for event in keys::watch(context, &control)? {
        match event {
            Ok(event) => {
                let found = tell(&event, context)?;
                if args.once && found {
                    return Ok(());
                }
            }
            Err(Error::DeadlinePassed) if args.once => {
                let seconds = args.timeout.unwrap_or_default();
                return Err(Failure::new(Exit::NoKey, format!("no key came within {seconds} seconds")));
            }
            Err(Error::DeadlinePassed) => return Ok(()),
            Err(Error::Cancelled) => return Err(Failure::reported(Exit::Interrupted)),
            Err(error) => return Err(keys::refused(error)),
        }
    }
    Ok(())
}

/// Prints an event. Whether it is a key that is there now and was not before.
fn tell(event: &Event, context: &Context) -> Result<bool, Failure> {
    // Readers that are not meant are not even looked at.
    let selector = Selector { reader: None, ..keys::selector(context) };
    let is_meant = |device: &Device| selector.matches(device);
    let (line, is_new) = match event {
        Event::Plugged { device, .. } | Event::Unplugged { device } | Event::Changed { device }
            if !is_meant(device) =>
        {
            return Ok(false);
        }
        Event::Plugged { device, already } => {
            let word = if *already { "present" } else { "plugged" };
            let line = Line { already: Some(*already), ..Line::of(word, "plugged", device) };
            (line, true)
        }
        Event::Unplugged { device } => (Line::of("unplugged", "unplugged", device), false),
        Event::Changed { device } => {
            let mut line = Line::of("changed", "changed", device);
            line.text = format!("{}, now over {}\n", line.text.trim_end(), device.ways());
            (line, false)
        }
        Event::Ready => (Line::without_key("ready"), false),
        Event::Problem(problem) => {
            (Line { problem: Some(problem.to_string()), ..Line::without_key("problem") }, false)
        }
        _ => return Ok(false),
    };
    context.printer.result("watch/1", &line, |line| line.text.clone())?;
    match event {
        Event::Ready if !context.printer.is_json() => {
            context.printer.say("watching for keys; Ctrl-C ends it");
        }
        Event::Problem(problem) if !context.printer.is_json() => warn(problem, context),
        _ => {}
    }
    Ok(is_new)
}

fn warn(problem: &Diagnostic, context: &Context) {
    context.printer.warn(problem.to_string());
}

impl Line {
    fn of(word: &str, event: &'static str, device: &Device) -> Self {
        let software = if device.is_software() { ", made of software" } else { "" };
        Self {
            key: Some(Key { entry: Entry::of(device), reached_over: device.ways().to_string() }),
            text: format!("{word:<WIDTH$}{device}{software}\n"),
            ..Self::without_key(event)
        }
    }

    fn without_key(event: &'static str) -> Self {
        Self {
            event,
            at: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
            already: None,
            key: None,
            problem: None,
            text: String::new(),
        }
    }
}

/// Room for the longest word and two spaces.
const WIDTH: usize = 11;
