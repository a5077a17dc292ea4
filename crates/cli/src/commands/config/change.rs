//! What all changes of settings have in common: say what will happen, ask, write, read back.

use std::time::{Duration, Instant};

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_driver::{Applied, Device, Error};
use tapkey_protocol::{
    management::{Capabilities, DeviceConfig, DeviceInfo, Interfaces, LockCode, Side},
    secret::Secret,
};

use crate::{
    commands::{Context, info::SHOWN},
    encode::from_hex_exact,
    exit::{Exit, Failure},
    interrupt, keys, output, prompt,
    secrets::{Source, Wanted},
};

/// Leave to change the settings.
#[derive(ClapArgs, Debug)]
pub(super) struct Leave {
    /// Where the key's lock code comes from, if it has one (32 hexadecimal digits).
    #[arg(long, short = 'L', value_name = "SOURCE", help_heading = "Leave to change the settings")]
    pub(super) lock_code: Option<Source>,

    #[command(flatten)]
    pub(super) consent: Consent,
}

/// Whether to ask, and whether to do anything at all.
#[derive(ClapArgs, Clone, Copy, Debug)]
pub(super) struct Consent {
    /// Show what would change, and write nothing.
    #[arg(long, help_heading = "Leave to change the settings")]
    pub(super) dry_run: bool,

    /// Do not ask, and do also what leaves the key out of reach for this program.
    #[arg(long, short, help_heading = "Leave to change the settings")]
    pub(super) force: bool,

    /// Do not ask, as long as the key stays within reach.
    #[arg(long, short, help_heading = "Leave to change the settings")]
    pub(super) yes: bool,
}

/// One setting and what becomes of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Row {
    pub(super) setting: String,
    pub(super) from: String,
    pub(super) to: String,
}

/// A change that was worked out for a key.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// What is to be written.
    pub(super) config: DeviceConfig,
    /// The same for people; empty when everything is so already.
    pub(super) rows: Vec<Row>,
}

/// What became of a change.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) serial: Option<u32>,
    pub(super) changed: bool,
    pub(super) dry_run: bool,
    /// Read back from the key and found as wanted.
    pub(super) verified: bool,
    /// It takes effect when the key is plugged in anew.
    pub(super) replug_needed: bool,
    pub(super) changes: Vec<Row>,
}

impl Change {
    /// Notes that a setting changes, unless it does not.
    pub(super) fn note(&mut self, setting: impl ToString, from: impl ToString, to: impl ToString) -> bool {
        let (from, to) = (from.to_string(), to.to_string());
        let differs = from != to;
        if differs {
            self.rows.push(Row { setting: setting.to_string(), from, to });
        }
        differs
    }

    /// Notes every application that is switched on or off. Whether there is any.
    pub(super) fn note_applications(
        &mut self,
        side: Side,
        before: Capabilities,
        after: Capabilities,
    ) -> bool {
        let word = |set: Capabilities, one| if set.contains(one) { "enabled" } else { "disabled" };
        SHOWN.into_iter().fold(false, |any, one| {
            let setting = format!("{} on {side}", one.name().unwrap_or_default());
            self.note(setting, word(before, one), word(after, one)) || any
        })
    }
}

/// The lock code from where the person says it is.
pub(super) fn read_lock_code(
    source: Option<&Source>,
    name: &'static str,
    option: &'static str,
) -> Result<LockCode, Failure> {
    let wanted = Wanted { name, option };
    let code = from_hex_exact::<16>(&wanted.read(source)?, name)?;
    if code.iter().all(|byte| *byte == 0) {
        return Err(Failure::usage(format!("{name} must not be all zeros, which stand for no lock code"))
            .hint("`tapkey config set-lock-code --clear` removes a lock code"));
    }
    Ok(Secret::new(*code))
}

/// The current lock code: that of the option, or asked for when the key has one.
pub(super) fn current_lock_code(
    source: Option<&Source>,
    info: &DeviceInfo,
) -> Result<Option<LockCode>, Failure> {
    if !info.locked {
        return Ok(None);
    }
    if source.is_none() && !prompt::possible() {
        return Err(Failure::usage("a lock code guards the settings of this key, and none is given")
            .hint("add --lock-code file:PATH, --lock-code env:NAME or --lock-code -"));
    }
    read_lock_code(source, "the lock code", "--lock-code").map(Some)
}

/// Shows what will change and asks. True when it is to be done.
pub(super) fn agreed(
    device: &Device,
    rows: &[Row],
    consent: Consent,
    replug_needed: bool,
    context: &Context,
) -> Result<bool, Failure> {
    let report = |changed| Report {
        serial: device.serial(),
        changed,
        dry_run: consent.dry_run,
        verified: false,
        replug_needed,
        changes: rows.to_vec(),
    };
    if rows.is_empty() {
        context
            .printer
            .result("config-change/1", &report(false), |_| "already so; nothing is changed".to_owned())?;
        return Ok(false);
    }
    if consent.dry_run {
        context.printer.result("config-change/1", &report(false), |report| {
            format!("{}would change:\n{}", heading(device), table(&report.changes))
        })?;
        return Ok(false);
    }
    context.printer.say(format!("{}{}", heading(device), table(rows).trim_end()));
    if !consent.yes && !consent.force {
        prompt::confirm("Change this?", "--yes")?;
    }
    Ok(true)
}

/// Does what was agreed on, and makes sure that it was done.
pub(super) fn write(opened: &keys::Opened, change: &Change, context: &Context) -> Result<(), Failure> {
    let busy = interrupt::busy();
    let control = keys::control(context);
    let mut session = opened.device.open_management(&control).map_err(keys::refused)?;
    let applied = session.write_config(&change.config, &control).map_err(keys::refused)?;
    drop(session);
    let wait = change.config.reboot || applied == Applied::Restarted;
    let verified = match read_back(opened, &change.config, wait, context) {
        Ok(()) => true,
        Err(_) if !is_surely_reachable(change, opened) => {
            context.printer.warn("what was written cannot be read back, because the key is out of reach now");
            false
        }
        Err(failure) => return Err(failure),
    };
    drop(busy);
    done(&opened.device, &change.rows, verified, false, context)
}

/// Says what was done.
pub(super) fn done(
    device: &Device,
    rows: &[Row],
    verified: bool,
    replug_needed: bool,
    context: &Context,
) -> Result<(), Failure> {
    let report = Report {
        serial: device.serial(),
        changed: true,
        dry_run: false,
        verified,
        replug_needed,
        changes: rows.to_vec(),
    };
    context.printer.result("config-change/1", &report, |report| {
        let how = if report.verified { "changed, and read back" } else { "changed" };
        let then = if replug_needed { "; it takes effect when the key is plugged in again" } else { "" };
        format!("{}{then}", output::good(how))
    })
}

/// Reads the settings until they are as wanted, for as long as a restart may take.
fn read_back(
    opened: &keys::Opened,
    config: &DeviceConfig,
    wait: bool,
    context: &Context,
) -> Result<(), Failure> {
    let start = Instant::now();
    loop {
        let found = opened.look_again(context);
        let differing = match &found {
            Ok(device) => differing(config, device.info()),
            Err(_) => None,
        };
        match (found, differing) {
            (Ok(_), None) => return Ok(()),
            (found, differing) if !wait || start.elapsed() > BACK || interrupt::pressed() => {
                found?;
                let what = differing.unwrap_or("settings");
                return Err(Failure::failed(format!(
                    "the key took the new settings but tells others: its {what} did not become what was asked for"
                ))
                .hint("look at `tapkey info`; plug the key in again if it has not restarted"));
            }
            _ => std::thread::sleep(PAUSE),
        }
    }
}

/// The setting that is not as wanted.
fn differing(config: &DeviceConfig, info: &DeviceInfo) -> Option<&'static str> {
    let applications = SHOWN.into_iter().fold(Capabilities::NONE, Capabilities::union);
    let same_set = |wanted: Option<Capabilities>, found: Option<Capabilities>| {
        wanted.is_none_or(|wanted| found.is_some_and(|found| found & applications == wanted & applications))
    };
    let locked = config.new_lock_code.as_ref().map(|code| code.expose().iter().any(|byte| *byte != 0));
    let checks = [
        (same_set(config.usb_enabled, info.usb_enabled), "set of applications on USB"),
        (same_set(config.nfc_enabled, info.nfc_enabled), "set of applications over NFC"),
        (
            config.auto_eject_timeout.is_none() || config.auto_eject_timeout == info.auto_eject_timeout,
            "auto-eject timeout",
        ),
        (
            config.challenge_timeout.is_none() || config.challenge_timeout == info.challenge_timeout,
            "challenge timeout",
        ),
        (config.flags.is_none() || config.flags == info.flags, "touch-eject"),
        (config.nfc_restricted.is_none() || config.nfc_restricted == info.nfc_restricted, "NFC restriction"),
        (locked.is_none_or(|locked| locked == info.locked), "lock code"),
    ];
    checks.into_iter().find(|(same, _)| !same).map(|(_, what)| what)
}

/// Whether there is no doubt that this program reaches the key afterwards.
fn is_surely_reachable(change: &Change, opened: &keys::Opened) -> bool {
    let ways = opened.device.ways();
    if ways.card == Some(tapkey_protocol::link::CardTransport::Nfc) {
        let off = change.config.nfc_enabled.is_some_and(Capabilities::is_empty);
        return !off && change.config.nfc_restricted != Some(true);
    }
    change.config.usb_enabled.is_none_or(|enabled| {
        let left = interfaces_of_applications(enabled);
        left.contains(Interfaces::OTP) || left.contains(Interfaces::CCID)
    })
}

/// The interfaces on which applications are. Some firmware counts a smart card without any as switched on;
/// whether it shows one then is not known, so nobody is let count on it.
pub(super) fn interfaces_of_applications(enabled: Capabilities) -> Interfaces {
    Interfaces::of(enabled & SHOWN.into_iter().fold(Capabilities::NONE, Capabilities::union))
}

/// Whether a failure leaves no doubt that nothing was written.
pub(super) fn is_certain(error: &Error) -> bool {
    matches!(error, Error::Refused(_) | Error::Unsupported(_) | Error::NotOverThisLink(_) | Error::Input(_))
}

/// Refuses what this program could not take back, and warns of what it makes harder.
pub(super) fn guard(
    device: &Device,
    after: Interfaces,
    consent: Consent,
    context: &Context,
) -> Result<(), Failure> {
    let speaks = after.contains(Interfaces::OTP) || after.contains(Interfaces::CCID);
    if !speaks && !consent.force {
        return Err(Failure::usage(
            "this would leave FIDO as the only interface, over which this program cannot switch the others on again",
        )
        .hint("leave otp or one of the smart-card applications on; or add --force, and use a FIDO tool or NFC later"));
    }
    let ways = device.ways();
    let loses_hid = ways.hid && !after.contains(Interfaces::OTP);
    let loses_card = ways.card.is_some() && !after.contains(Interfaces::CCID);
    match (loses_hid, loses_card) {
        (true, _) if ways.card.is_none() && speaks => context.printer.warn(
            "this switches off the interface over which the key is reached now; the smart card remains, for which a \
             smart-card service must run (`tapkey doctor`)",
        ),
        (true, _) => context.printer.warn("this switches off the OTP interface: no typing, no challenges over it"),
        (_, true) => context.printer.warn("this switches off the smart card: no PIV, OATH or OpenPGP over USB"),
        _ => {}
    }
    Ok(())
}

fn heading(device: &Device) -> String {
    format!("{}\n", output::title(&device.to_string()))
}

fn table(rows: &[Row]) -> String {
    let rows: Vec<[String; 3]> =
        rows.iter().map(|row| [row.setting.clone(), row.from.clone(), row.to.clone()]).collect();
    output::table(["SETTING", "NOW", "THEN"], &rows)
}

/// A firmware that does not take these settings, said with the command that it does take.
pub(super) fn too_old(error: &tapkey_protocol::version::Unsupported) -> Failure {
    let failure = Failure::new(Exit::Key, error.to_string());
    if error.found.major >= 3 && error.found.major < 5 {
        return failure.hint("`tapkey config mode` chooses the interfaces of such a key");
    }
    failure
}

/// How long a key may take to come back.
const BACK: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use tapkey_protocol::management::DeviceFlags;

    use super::*;

    #[test]
    fn what_differs_is_named() {
        let info = DeviceInfo {
            usb_enabled: Some(Capabilities::OTP | Capabilities::MANAGEMENT),
            challenge_timeout: Some(15),
            flags: Some(DeviceFlags(0)),
            locked: true,
            ..DeviceInfo::default()
        };
        let check = |config: DeviceConfig| differing(&config, &info);
        let usb = |enabled| DeviceConfig { usb_enabled: Some(enabled), ..DeviceConfig::default() };
        // What stands for no application of its own is none of our business.
        assert_eq!(check(usb(Capabilities::OTP)), None);
        assert_eq!(check(usb(Capabilities::PIV)), Some("set of applications on USB"));
        let timeout = DeviceConfig { challenge_timeout: Some(30), ..DeviceConfig::default() };
        assert_eq!(check(timeout), Some("challenge timeout"));
        let cleared = DeviceConfig { new_lock_code: Some(Secret::new([0; 16])), ..DeviceConfig::default() };
        assert_eq!(check(cleared), Some("lock code"));
        let restricted = DeviceConfig { nfc_restricted: Some(true), ..DeviceConfig::default() };
        assert_eq!(check(restricted), Some("NFC restriction"));
        assert_eq!(check(DeviceConfig::default()), None);
    }

    #[test]
    fn nothing_is_noted_that_does_not_change() {
        let mut change = Change::default();
        assert!(!change.note("challenge timeout", 15, "15"));
        assert!(change.note("challenge timeout", 15, 30));
        assert_eq!(change.rows.len(), 1);
    }
}
