//! `tapkey info`: what a key is and what it can do.

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_driver::Device;
use tapkey_protocol::management::{Capabilities, DeviceInfo};

use super::Context;
use crate::{exit::Failure, interrupt, keys, output};

/// Options of `tapkey info`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Args {}

#[derive(Serialize)]
struct Info {
    name: String,
    serial: Option<u32>,
    version: Option<String>,
    form_factor: String,
    software: bool,
    interfaces: String,
    reached_over: String,
    places: Vec<String>,
    applications: Vec<Application>,
    locked: bool,
    fips: bool,
    pin_complexity: Option<bool>,
    nfc_restricted: Option<bool>,
    part_number: Option<String>,
}

#[derive(Serialize)]
struct Application {
    id: &'static str,
    name: &'static str,
    /// `enabled`, `disabled` or `absent`.
    usb: &'static str,
    nfc: &'static str,
}

/// Shows the key.
pub(crate) fn run(_args: &Args, context: &Context) -> Result<(), Failure> {
    let busy = interrupt::busy();
    let device = keys::open(context)?.device;
    drop(busy);
    context.printer.result("info/1", &describe(&device), Info::text)
}

fn describe(device: &Device) -> Info {
    let info = device.info();
    Info {
        name: device.name(),
        serial: device.serial(),
        version: device.version().map(|version| version.to_string()),
        form_factor: device.form_factor().to_string(),
        software: device.is_software(),
        interfaces: device.interfaces().to_string(),
        reached_over: device.ways().to_string(),
        places: device.places(),
        applications: applications(info),
        locked: info.locked,
        fips: info.form_factor.is_fips(),
        pin_complexity: info.pin_complexity,
        nfc_restricted: info.nfc_restricted,
        part_number: info.part_number.clone().filter(|number| !number.is_empty()),
    }
}

fn applications(info: &DeviceInfo) -> Vec<Application> {
    let nfc = info.nfc_supported.unwrap_or(Capabilities::NONE);
    SHOWN
        .into_iter()
        .filter(|one| info.usb_supported.contains(*one) || nfc.contains(*one))
        .filter_map(|one| {
            Some(Application {
                id: one.id()?,
                name: one.name()?,
                usb: state(one, info.usb_supported, info.usb_enabled),
                nfc: state(one, nfc, info.nfc_enabled),
            })
        })
        .collect()
}

/// Keys that do not tell what is switched on have everything switched on.
fn state(one: Capabilities, supported: Capabilities, enabled: Option<Capabilities>) -> &'static str {
    if !supported.contains(one) {
        "absent"
    } else if enabled.unwrap_or(supported).contains(one) {
        "enabled"
    } else {
        "disabled"
    }
}

impl Info {
    fn text(&self) -> String {
        let unknown = || "not told".to_owned();
        let mut rows = vec![
            ("serial number", self.serial.map_or_else(unknown, |serial| serial.to_string())),
            ("firmware", self.version.clone().unwrap_or_else(unknown)),
            ("form factor", self.form_factor.clone()),
            ("USB interfaces", self.interfaces.clone()),
            ("reached over", format!("{} ({})", self.reached_over, self.places.join(", "))),
            ("settings locked", output::yes_no(self.locked).to_owned()),
        ];
        if self.fips {
            rows.push(("FIPS model", "yes".to_owned()));
        }
        if let Some(complexity) = self.pin_complexity.filter(|on| *on) {
            rows.push(("PIN complexity", output::yes_no(complexity).to_owned()));
        }
        if let Some(restricted) = self.nfc_restricted.filter(|on| *on) {
            rows.push(("NFC restricted", output::yes_no(restricted).to_owned()));
        }
        let software = if self.software { "  (made of software)" } else { "" };
        let applications: Vec<_> = self
            .applications
            .iter()
            .map(|one| [one.name.to_owned(), one.usb.to_owned(), one.nfc.to_owned()])
            .collect();
        format!(
            "{}{software}\n{}\n{}",
            output::title(&self.name),
            output::fields(&rows),
            output::table(["APPLICATION", "USB", "NFC"], &applications)
        )
    }
}

const SHOWN: [Capabilities; 7] = [
    Capabilities::OTP,
    Capabilities::U2F,
    Capabilities::FIDO2,
    Capabilities::OATH,
    Capabilities::PIV,
    Capabilities::OPENPGP,
    Capabilities::HSM_AUTH,
];
