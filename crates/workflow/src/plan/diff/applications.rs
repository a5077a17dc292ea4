//! What is different in the settings of the key as a whole.

use tapkey_protocol::management::{Capabilities, DeviceConfig, DeviceFlags, DeviceInfo};
use tapkey_protocol::version::{Unsupported, Version};

use super::{Action, Facts, Work};
use crate::plan::job::NAMED;
use crate::plan::resolve::{ApplicationsDesire, CodeDesire};
use crate::plan::step::Step;
use crate::plan::vault::SecretText;

/// Applications over which this program can reach a key again.
pub(crate) const REACHED_OVER: Capabilities = Capabilities(
    Capabilities::OTP.0
        | Capabilities::OATH.0
        | Capabilities::PIV.0
        | Capabilities::OPENPGP.0
        | Capabilities::HSM_AUTH.0,
);

/// What a key has on the smart card beside the applications that are named.
const BESIDE_CARD: Capabilities =
    Capabilities(Capabilities::CCID.0 | Capabilities::MANAGEMENT.0 | Capabilities::FIDO_OVER_CCID.0);

const ON_CARD: Capabilities = Capabilities(
    Capabilities::OATH.0 | Capabilities::PIV.0 | Capabilities::OPENPGP.0 | Capabilities::HSM_AUTH.0,
);

/// Adds what goes with the named applications: the bare smart card and what has no name in a job
/// are on as long as an application needs the card.
pub(crate) fn extras(named: Capabilities, supported: Capabilities) -> Capabilities {
    if named.intersects(ON_CARD) { named | (supported & BESIDE_CARD) } else { named }
}

/// Decides about the settings.
pub(super) fn decide(facts: &Facts<'_>, work: &mut Work) {
    let info = &facts.observed.info;
    let Some(desire) = &facts.desired.applications else {
        check_temporary(facts, work);
        return;
    };
    let before = work.items.len();
    usb(info, desire, work);
    nfc(info, desire, work);
    let mut config = DeviceConfig {
        usb_enabled: changed(info.usb_enabled.unwrap_or(info.usb_supported), desire.wish.usb)
            .map(|named| extras(named, info.usb_supported)),
        nfc_enabled: changed(info.nfc_enabled.unwrap_or_default(), desire.wish.nfc),
        ..DeviceConfig::default()
    };
    details(info, desire, &mut config, work);
    lock_code(facts, desire, work);
    let firmware = Unsupported::check_at_least(
        "changing what is switched on",
        facts.observed.version,
        Version::new(5, 0, 0),
    );
    let items = work.items.iter_mut().skip(before);
    let mut changes = 0;
    for item in items.filter(|item| item.action.is_change()) {
        changes += 1;
        let refusal = match (&firmware, unlockable(facts)) {
            (Err(error), _) => error.to_string(),
            (Ok(()), false) => LOCKED.to_owned(),
            (Ok(()), true) => continue,
        };
        item.action = Action::Refused;
        item.note(refusal);
    }
    if changes > 0 {
        // Switching the interface off on which the key is reached, or another on, needs a restart.
        config.reboot = config.usb_enabled.is_some();
        let lock = lock_change(facts, desire);
        work.steps.push(Step::Settings { config: Box::new(config), lock });
    }
    check_temporary(facts, work);
}

/// Applications that are switched on for the work need the settings too.
fn check_temporary(facts: &Facts<'_>, work: &mut Work) {
    let needed = work.steps.iter().any(|step| matches!(step, Step::SwitchOn { .. }));
    if needed && !unlockable(facts) {
        work.item("settings", Action::Refused, "guarded by a lock code").note(LOCKED);
    }
}

fn usb(info: &DeviceInfo, desire: &ApplicationsDesire, work: &mut Work) {
    let Some(wanted) = desire.wish.usb else { return };
    let now = info.usb_enabled.unwrap_or(info.usb_supported) & NAMED;
    let item = work.item("USB applications", action(now, wanted), now.to_string());
    if now != wanted {
        item.then(wanted.to_string());
    }
    if !info.usb_supported.contains(wanted) {
        item.action = Action::Refused;
        item.note(format!("this key has no {}", wanted.without(info.usb_supported)));
    } else if !wanted.intersects(REACHED_OVER) {
        item.action = Action::Refused;
        item.note("this would switch off the last USB interface over which this program reaches the key");
    }
}

fn nfc(info: &DeviceInfo, desire: &ApplicationsDesire, work: &mut Work) {
    let Some(wanted) = desire.wish.nfc else { return };
    let Some(supported) = info.nfc_supported else {
        let item = work.item("NFC applications", Action::Same, "this key has no NFC");
        if !wanted.is_empty() {
            item.action = Action::Refused;
        }
        return;
    };
    let now = info.nfc_enabled.unwrap_or_default() & NAMED;
    let item = work.item("NFC applications", action(now, wanted), now.to_string());
    if now != wanted {
        item.then(wanted.to_string());
    }
    if !supported.contains(wanted) {
        item.action = Action::Refused;
        item.note(format!("over NFC this key has no {}", wanted.without(supported)));
    }
}

fn action(now: Capabilities, wanted: Capabilities) -> Action {
    if now == wanted {
        Action::Same
    } else if wanted.contains(now) {
        Action::Add
    } else if now.contains(wanted) {
        Action::Remove
    } else {
        Action::Change
    }
}

fn changed(now: Capabilities, wanted: Option<Capabilities>) -> Option<Capabilities> {
    wanted.filter(|wanted| now & NAMED != *wanted)
}

fn details(info: &DeviceInfo, desire: &ApplicationsDesire, config: &mut DeviceConfig, work: &mut Work) {
    let wish = &desire.wish;
    if let Some(wanted) = wish.challenge_timeout {
        let now = info.challenge_timeout.unwrap_or_default();
        if compare(work, "challenge timeout", seconds(now.into()), seconds(wanted.into())) {
            config.challenge_timeout = Some(wanted);
        }
    }
    if let Some(wanted) = wish.auto_eject_timeout {
        let now = info.auto_eject_timeout.unwrap_or_default();
        if compare(work, "auto-eject timeout", seconds(now), seconds(wanted)) {
            config.auto_eject_timeout = Some(wanted);
        }
    }
    if let Some(wanted) = wish.touch_eject {
        let flags = info.flags.unwrap_or_default();
        let now = flags.contains(DeviceFlags::TOUCH_EJECT);
        if compare(work, "touch-eject", on_off(now).into(), on_off(wanted).into()) {
            let others = flags.0 & !DeviceFlags::TOUCH_EJECT.0;
            config.flags = Some(DeviceFlags(others | if wanted { DeviceFlags::TOUCH_EJECT.0 } else { 0 }));
        }
    }
    if let Some(wanted) = wish.nfc_restricted {
        match info.nfc_restricted {
            // The restriction ends by itself when the key gets power over USB, so that is where it stands.
            Some(now) => {
                if compare(work, "NFC restricted", on_off(now).into(), on_off(wanted).into()) {
                    config.nfc_restricted = Some(wanted);
                }
            }
            None => {
                work.item("NFC restricted", Action::Refused, "not known")
                    .note("restricting NFC needs firmware 5.7.0 or later");
            }
        }
    }
}

/// Whether two texts differ, with the line that says so.
fn compare(work: &mut Work, subject: &str, now: String, wanted: String) -> bool {
    let differ = now != wanted;
    let item = work.item(subject, if differ { Action::Change } else { Action::Same }, now);
    if differ {
        item.then(wanted);
    }
    differ
}

fn seconds(count: u16) -> String {
    format!("{count} s")
}

const fn on_off(value: bool) -> &'static str {
    if value { "on" } else { "off" }
}

fn lock_code(facts: &Facts<'_>, desire: &ApplicationsDesire, work: &mut Work) {
    let locked = facts.observed.info.locked;
    let remembered = facts.memory.lock_codes.first();
    match (&desire.lock_code, locked) {
        (CodeDesire::Keep, _) => {}
        (CodeDesire::None, false) => {
            work.item("lock code", Action::Same, "none");
        }
        (CodeDesire::None, true) => {
            work.item("lock code", Action::Remove, "set").then("none");
        }
        (CodeDesire::Set(_), false) => {
            work.item("lock code", Action::Add, "none").then("set, kept in the vault");
        }
        (CodeDesire::Set(code), true) if remembered.is_some_and(|known| *known == text_of(code.expose())) => {
            work.item("lock code", Action::Unverified, "set").note(
                "which code it is cannot be asked without changing something; the vault has the last one",
            );
        }
        (CodeDesire::Set(_), true) => {
            work.item("lock code", Action::Change, "another").then("set, kept in the vault");
        }
    }
}

/// What becomes of the lock code: `Some(None)` removes it.
fn lock_change(facts: &Facts<'_>, desire: &ApplicationsDesire) -> Option<Option<SecretText>> {
    let locked = facts.observed.info.locked;
    match &desire.lock_code {
        CodeDesire::Keep => None,
        CodeDesire::None => locked.then_some(None),
        CodeDesire::Set(code) => {
            let code = text_of(code.expose());
            let known = locked && facts.memory.lock_codes.first() == Some(&code);
            (!known).then_some(Some(code))
        }
    }
}

fn text_of(code: &[u8; 16]) -> SecretText {
    SecretText::new(data_encoding::HEXLOWER.encode(code))
}

/// Whether there is a code to try where one is needed.
fn unlockable(facts: &Facts<'_>) -> bool {
    let given = facts.desired.applications.as_ref().is_some_and(|desire| desire.current.is_some());
    !facts.observed.info.locked || given || !facts.memory.lock_codes.is_empty()
}

const LOCKED: &str = "a lock code guards the settings, and the vault does not have it; \
                      say where it comes from with current-lock-code";
