//! `tapkey list`: the keys that are there.

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_driver::Device;

use super::Context;
use crate::{exit::Failure, interrupt, keys, output, progress::Progress};

/// Options of `tapkey list`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "Keys stand in one order, however they are found: by serial number, then those without one by \
their place, then software keys that are plugged in by `tapkey emulate run`.

Examples:
  tapkey list
  for serial in $(tapkey list --serials); do tapkey --serial $serial otp info; done"
)]
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
    model: String,
    serial: Option<u32>,
    version: Option<String>,
    form_factor: &'static str,
    interfaces: String,
    software: bool,
    places: Vec<String>,
    usb_port: Option<String>,
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
        if list.keys.is_empty() {
            return String::new();
        }
        let rows: Vec<_> = list.keys.iter().map(Entry::row).collect();
        output::table(["SERIAL", "KEY", "FIRMWARE", "INTERFACES", "PLACE"], &rows)
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
            model: device.model(),
            serial: device.serial(),
            version: device.version().map(|version| version.to_string()),
            form_factor: device.form_factor().id(),
            interfaces: device.interfaces().to_string(),
            software: device.is_software(),
            places: device.places(),
            usb_port: device.port().map(|port| port.to_string()),
        }
    }

    fn row(&self) -> [String; 5] {
        let software = if self.software { ", made of software" } else { "" };
        let port = self.usb_port.as_ref().map(|port| format!("USB {port}"));
        let places: Vec<String> = port.into_iter().chain(self.places.iter().cloned()).collect();
        [
            self.serial.map_or_else(|| "-".to_owned(), |serial| serial.to_string()),
            format!("{}{software}", self.name),
            self.version.clone().unwrap_or_else(|| "-".to_owned()),
            self.interfaces.clone(),
            places.join(", "),
        ]
    }
}
