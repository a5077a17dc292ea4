//! `tapkey info`: what a key is and what it can do.

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_driver::{Device, Prefer};
use tapkey_protocol::{
    advisories::{self, Advisory},
    management::{Capabilities, DeviceFlags, DeviceInfo, ReleaseType},
};

use super::Context;
use crate::{
    exit::{Exit, Failure},
    interrupt, keys, output,
};

/// Options of `tapkey info`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey info
  tapkey info --check || echo 'read what it says'")]
pub(crate) struct Args {
    /// Say only which published faults the firmware has; exit code 1 when there is any.
    #[arg(long, short)]
    check: bool,
}

#[derive(Serialize)]
struct Info {
    name: String,
    model: String,
    serial: Option<u32>,
    version: Option<String>,
    /// What kind of release the firmware is, where it is no final one.
    release: Option<String>,
    preview: bool,
    form_factor: String,
    form_factor_id: &'static str,
    software: bool,
    interfaces: String,
    reached_over: String,
    places: Vec<String>,
    usb_port: Option<String>,
    applications: Vec<Application>,
    locked: bool,
    fips: bool,
    /// The slots of a FIPS key of generation 4.
    fips_mode: Option<bool>,
    pin_complexity: Option<bool>,
    nfc_restricted: Option<bool>,
    part_number: Option<String>,
    auto_eject_timeout: Option<u16>,
    challenge_timeout: Option<u8>,
    touch_eject: Option<bool>,
    remote_wakeup: Option<bool>,
    advisories: Vec<Fault>,
}

#[derive(Serialize)]
struct Application {
    id: &'static str,
    name: &'static str,
    /// `enabled`, `disabled` or `absent`.
    usb: &'static str,
    nfc: &'static str,
    /// `approved`, `capable` or `no`; only FIPS keys have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fips: Option<&'static str>,
    reset_blocked: bool,
}

/// A published fault of the firmware.
#[derive(Serialize)]
struct Fault {
    id: &'static str,
    cve: Option<&'static str>,
    title: &'static str,
    affected: &'static str,
    meaning: &'static str,
    remedy: &'static str,
    url: &'static str,
}

#[derive(Serialize)]
struct Check {
    name: String,
    serial: Option<u32>,
    version: Option<String>,
    advisories: Vec<Fault>,
}

/// Shows the key.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let busy = interrupt::busy();
    let device = keys::open(context)?.device;
    let fips_mode = fips_mode(&device, context);
    drop(busy);
    if args.check {
        return check(&device, context);
    }
    context.printer.result("info/1", &Info { fips_mode, ..describe(&device) }, Info::text)
}

/// Only FIPS keys of generation 4 are asked; that they do not say is no failure.
fn fips_mode(device: &Device, context: &Context) -> Option<bool> {
    let version = device.version()?;
    if (version.major, version.minor) != (4, 4) {
        return None;
    }
    let control = keys::control(context);
    device.open_otp(Prefer::Any, &control).and_then(|mut session| session.fips_mode(&control)).ok()
}

fn check(device: &Device, context: &Context) -> Result<(), Failure> {
    let check = Check {
        name: device.name(),
        serial: device.serial(),
        version: device.version().map(|version| version.to_string()),
        advisories: faults(device.info()),
    };
    context.printer.result("info-check/1", &check, |check| {
        if check.advisories.is_empty() {
            return format!("{device}: {}", output::good("no published fault is known here"));
        }
        let faults: Vec<String> = check.advisories.iter().map(Fault::text).collect();
        format!("{}\n\n{}", output::title(&device.to_string()), faults.join("\n"))
    })?;
    if check.advisories.is_empty() { Ok(()) } else { Err(Failure::reported(Exit::Failed)) }
}

fn faults(info: &DeviceInfo) -> Vec<Fault> {
    advisories::of(info).map(Fault::of).collect()
}

fn describe(device: &Device) -> Info {
    let info = device.info();
    let flag = |flag| info.flags.map(|flags: DeviceFlags| flags.contains(flag));
    Info {
        name: device.name(),
        model: device.model(),
        serial: device.serial(),
        version: device.version().map(|version| version.to_string()),
        release: release(info),
        preview: device.version().is_some_and(|version| version.is_preview()),
        form_factor: device.form_factor().to_string(),
        form_factor_id: device.form_factor().id(),
        software: device.is_software(),
        interfaces: device.interfaces().to_string(),
        reached_over: device.ways().to_string(),
        places: device.places(),
        usb_port: device.port().map(|port| port.to_string()),
        applications: applications(info),
        locked: info.locked,
        fips: info.form_factor.is_fips(),
        fips_mode: None,
        pin_complexity: info.pin_complexity,
        nfc_restricted: info.nfc_restricted,
        part_number: info.part_number.clone().filter(|number| !number.is_empty()),
        auto_eject_timeout: info.auto_eject_timeout,
        challenge_timeout: info.challenge_timeout,
        touch_eject: flag(DeviceFlags::TOUCH_EJECT),
        remote_wakeup: flag(DeviceFlags::REMOTE_WAKEUP),
        advisories: faults(info),
    }
}

/// What firmware that is not final says about itself.
fn release(info: &DeviceInfo) -> Option<String> {
    let qualifier = info.version_qualifier?;
    let word = match qualifier.release {
        ReleaseType::Final => return None,
        ReleaseType::Alpha => "alpha".to_owned(),
        ReleaseType::Beta => "beta".to_owned(),
        ReleaseType::Other(code) => format!("release type {code}"),
        _ => "not final".to_owned(),
    };
    Some(format!("{}-{word}.{}", qualifier.version, qualifier.iteration))
}

fn applications(info: &DeviceInfo) -> Vec<Application> {
    let nfc = info.nfc_supported.unwrap_or(Capabilities::NONE);
    let capable = info.fips_capable.map(|set| set.to_capabilities()).filter(|set| !set.is_empty());
    let approved = info.fips_approved.map_or(Capabilities::NONE, |set| set.to_capabilities());
    let fips = |one: Capabilities| {
        capable.map(|capable| {
            if approved.contains(one) {
                "approved"
            } else if capable.contains(one) {
                "capable"
            } else {
                "no"
            }
        })
    };
    SHOWN
        .into_iter()
        .filter(|one| info.usb_supported.contains(*one) || nfc.contains(*one))
        .filter_map(|one| {
            Some(Application {
                id: one.id()?,
                name: one.name()?,
                usb: state(one, info.usb_supported, info.usb_enabled),
                nfc: state(one, nfc, info.nfc_enabled),
                fips: fips(one),
                reset_blocked: info.reset_blocked.is_some_and(|blocked| blocked.contains(one)),
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

impl Fault {
    fn of(advisory: &Advisory) -> Self {
        let Advisory { id, cve, title, affected, meaning, remedy, url, .. } = *advisory;
        Self { id, cve, title, affected, meaning, remedy, url }
    }

    fn text(&self) -> String {
        let beside = |text: &str| output::beside(FAULT_INDENT, text);
        let cve = self.cve.map(|cve| format!(", {cve}")).unwrap_or_default();
        format!(
            "{} {}\n{}",
            output::bad(&format!("{}{cve}:", self.id)),
            self.title,
            output::fields(&[
                ("  concerns", beside(self.affected)),
                ("  means", beside(self.meaning)),
                ("  what to do", beside(self.remedy)),
                ("  published", beside(self.url)),
            ])
        )
    }
}

impl Info {
    fn text(&self) -> String {
        let software = if self.software { "  (made of software)" } else { "" };
        let mut text = format!("{}{software}\n{}\n", output::title(&self.name), output::fields(&self.rows()));
        text.push_str(&self.table());
        for fault in &self.advisories {
            text.push_str(&format!(
                "\n{} {}: {}; `tapkey info --check` says more",
                output::bad("published fault:"),
                fault.id,
                fault.title
            ));
        }
        text
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let unknown = || "not told".to_owned();
        let firmware = match (&self.release, self.preview) {
            (Some(release), _) => release.clone(),
            (None, true) => format!("{} (preview)", self.version.clone().unwrap_or_default()),
            (None, false) => self.version.clone().unwrap_or_else(unknown),
        };
        let port = self.usb_port.as_ref().map(|port| format!("USB port {port}"));
        let places: Vec<String> = self.places.iter().cloned().chain(port).collect();
        let mut rows = vec![
            ("serial number", self.serial.map_or_else(unknown, |serial| serial.to_string())),
            ("firmware", firmware),
            ("form factor", self.form_factor.clone()),
            ("USB interfaces", self.interfaces.clone()),
            ("reached over", format!("{} ({})", self.reached_over, places.join(", "))),
            ("settings locked", output::yes_no(self.locked).to_owned()),
        ];
        let seconds =
            |timeout: Option<u16>| timeout.filter(|seconds| *seconds != 0).map(|s| format!("{s} s"));
        let yes = |on: Option<bool>| on.filter(|on| *on).map(|_| "yes".to_owned());
        let optional = [
            ("part number", self.part_number.clone()),
            ("challenges wait", seconds(self.challenge_timeout.map(u16::from))),
            ("auto-eject", seconds(self.auto_eject_timeout)),
            ("touch-eject", yes(self.touch_eject)),
            ("remote wake-up", yes(self.remote_wakeup)),
            ("FIPS model", yes(Some(self.fips))),
            ("FIPS mode (slots)", self.fips_mode.map(|on| output::yes_no(on).to_owned())),
            ("PIN complexity", yes(self.pin_complexity)),
            ("NFC restricted", yes(self.nfc_restricted)),
        ];
        rows.extend(optional.into_iter().filter_map(|(name, value)| Some((name, value?))));
        rows
    }

    fn table(&self) -> String {
        let paint = |state: &str| if state == "enabled" { output::good(state) } else { state.to_owned() };
        let fips = self.applications.iter().any(|one| one.fips.is_some());
        let blocked = self.applications.iter().any(|one| one.reset_blocked);
        if !fips && !blocked {
            let rows: Vec<_> = self
                .applications
                .iter()
                .map(|one| [one.name.to_owned(), paint(one.usb), paint(one.nfc)])
                .collect();
            return output::table(["APPLICATION", "USB", "NFC"], &rows);
        }
        let rows: Vec<_> = self
            .applications
            .iter()
            .map(|one| {
                let reset = if one.reset_blocked { "blocked" } else { "possible" };
                [
                    one.name.to_owned(),
                    paint(one.usb),
                    paint(one.nfc),
                    one.fips.unwrap_or("-").to_owned(),
                    reset.to_owned(),
                ]
            })
            .collect();
        output::table(["APPLICATION", "USB", "NFC", "FIPS", "RESET"], &rows)
    }
}

/// Where the values of a fault stand: behind the longest name and two blanks.
const FAULT_INDENT: usize = "  what to do".len() + 2;
/// The applications that people know, in the order in which they are always listed.
pub(super) const SHOWN: [Capabilities; 7] = [
    Capabilities::OTP,
    Capabilities::U2F,
    Capabilities::FIDO2,
    Capabilities::OATH,
    Capabilities::PIV,
    Capabilities::OPENPGP,
    Capabilities::HSM_AUTH,
];

#[cfg(test)]
mod tests {
    use tapkey_protocol::{
        management::{FipsCapabilities, VersionQualifier},
        version::Version,
    };

    use super::*;

    #[test]
    fn a_fips_key_tells_which_applications_are_approved() {
        let info = DeviceInfo {
            usb_supported: Capabilities::PIV | Capabilities::OATH | Capabilities::OTP,
            fips_capable: Some(FipsCapabilities::from_capabilities(Capabilities::PIV | Capabilities::OATH)),
            fips_approved: Some(FipsCapabilities::from_capabilities(Capabilities::PIV)),
            reset_blocked: Some(Capabilities::OATH),
            ..DeviceInfo::default()
        };
        let told: Vec<_> =
            applications(&info).iter().map(|one| (one.id, one.fips, one.reset_blocked)).collect();
        assert_eq!(
            told,
            [("otp", Some("no"), false), ("oath", Some("capable"), true), ("piv", Some("approved"), false)]
        );
        // A key that is no FIPS key tells an empty set.
        let info = DeviceInfo { fips_capable: Some(FipsCapabilities(0)), ..info };
        assert!(applications(&info).iter().all(|one| one.fips.is_none()));
    }

    #[test]
    fn firmware_that_is_not_final_says_so() {
        let mut info = DeviceInfo {
            version_qualifier: Some(VersionQualifier {
                version: Version::new(5, 7, 2),
                release: ReleaseType::Beta,
                iteration: 3,
            }),
            ..DeviceInfo::default()
        };
        assert_eq!(release(&info).as_deref(), Some("5.7.2-beta.3"));
        info.version_qualifier.as_mut().unwrap().release = ReleaseType::Final;
        assert_eq!(release(&info), None);
    }
}
