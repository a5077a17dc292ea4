//! `tapkey list`: the keys that are there.

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_driver::Device;

use super::Context;
use crate::{exit::Failure, interrupt, keys, progress::Progress};

/// Options of `tapkey list`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey list
  for serial in $(tapkey list --serials); do tapkey --serial $serial otp info; done")]
pub(crate) struct Args {
    /// Print serial numbers only, one on a line.
    #[arg(long, short)]
    serials: bool,
}

#[derive(Serialize)]
struct List {
    keys: Vec<Entry>,
    problems: Vec<String>,
}

/// One key, as other commands show it too.
#[derive(Serialize)]
pub(super) struct Entry {
    name: String,
    serial: Option<u32>,
    version: Option<String>,
    interfaces: String,
    software: bool,
    places: Vec<String>,
}

/// Prints them.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let _busy = interrupt::busy();
    let progress = Progress::start(context, None, "Looking at keys");
    let found = keys::list(context);
    progress.finish();
    let found = found?;
    let list = List {
        keys: found.devices.iter().map(Entry::of).collect(),
        problems: found.diagnostics.iter().map(ToString::to_string).collect(),
    };
    context.printer.result("list/1", &list, |list| {
        if args.serials {
            return list
                .keys
                .iter()
                .filter_map(|key| key.serial)
                .map(|serial| format!("{serial}\n"))
                .collect();
        }
        list.keys.iter().map(Entry::line).collect()
    })?;
    if found.devices.is_empty() {
        context.printer.say("no keys are plugged in");
    }
    let telling = found.devices.is_empty() || context.printer.is_verbose();
    for diagnostic in found.diagnostics.iter().filter(|_| telling) {
        context.printer.warn(diagnostic.to_string());
    }
    Ok(())
}

impl Entry {
    pub(super) fn of(device: &Device) -> Self {
        Self {
            name: device.name(),
            serial: device.serial(),
            version: device.version().map(|version| version.to_string()),
            interfaces: device.interfaces().to_string(),
            software: device.is_software(),
            places: device.places(),
        }
    }

    fn line(&self) -> String {
        let version = self.version.as_deref().unwrap_or("unknown firmware");
        let serial =
            self.serial.map_or_else(|| "no serial number".to_owned(), |serial| format!("serial {serial}"));
        let software = if self.software { ", made of software" } else { "" };
        format!("{} ({version}) [{}] {serial}{software}\n", self.name, self.interfaces)
    }
}
