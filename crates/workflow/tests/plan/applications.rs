//! What is switched on, and the code that guards it.

use tapkey_driver::{Control, Device, Error};
use tapkey_emulator::Profile;
use tapkey_protocol::management::{Capabilities, DeviceConfig};
use tapkey_protocol::secret::Secret;
use tapkey_workflow::plan::{Action, ApplyError, Job, KeyAccess, StepError};

use crate::bench::{Access, Bench, SERIAL, action, entry, wishes};

#[test]
fn applications_and_timeouts_are_set_and_read_back() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let job = entry(
        "[key.applications]\nusb = [\"otp\", \"fido2\", \"oath\"]\nnfc = [\"fido2\"]\n\
         challenge-timeout = 9\nauto-eject-timeout = 60\ntouch-eject = true",
    );
    let plan = bench.plan(&job);
    assert_eq!(action(&plan, "USB applications"), Action::Remove);
    assert_eq!(plan.changes(), 5);
    bench.converge(&job);
    let info = bench.device().unwrap().info().clone();
    assert!(!info.usb_enabled.unwrap().intersects(Capabilities::PIV | Capabilities::U2F));
    assert!(info.usb_enabled.unwrap().contains(Capabilities::OATH | Capabilities::CCID));
    assert_eq!(info.nfc_enabled, Some(Capabilities::FIDO2));
    assert_eq!((info.challenge_timeout, info.auto_eject_timeout), (Some(9), Some(60)));
    assert_eq!(bench.apply(&job).unwrap().steps, 0);
}

#[test]
fn without_an_application_on_it_the_smart_card_is_off() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    bench.converge(&entry("applications = { usb = [\"otp\", \"u2f\"] }"));
    assert!(bench.key.card().is_err());
    bench.converge(&entry("applications = { usb = [\"piv\"] }"));
    assert!(bench.key.otp().is_err() && bench.key.card().is_ok());
}

#[test]
fn a_lock_code_is_in_the_vault_and_opens_later_changes() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    bench.converge(&entry("applications = { lock-code = \"generate\" }"));
    assert!(bench.device().unwrap().info().locked);
    let code = bench.secret("lock-code").unwrap();
    assert_eq!(code.len(), 32);
    let job = entry("applications = { lock-code = \"generate\", challenge-timeout = 5 }");
    assert_eq!(action(&bench.plan(&job), "lock code"), Action::Unverified);
    bench.converge(&job);
    bench.put("other", &"5a".repeat(16));
    bench.converge(&entry("applications = { lock-code = \"vault:other\" }"));
    bench.converge(&entry("applications = { lock-code = \"none\" }"));
    assert!(!bench.device().unwrap().info().locked);
}

#[test]
fn settings_behind_an_unknown_lock_code_are_refused() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let lock = DeviceConfig { new_lock_code: Some(Secret::new([7; 16])), ..DeviceConfig::default() };
    let control = bench.control();
    bench.device().unwrap().open_management(&control).unwrap().write_config(&lock, &control).unwrap();
    let job = entry("slot.1 = { kind = \"static\" }\napplications = { challenge-timeout = 5 }");
    assert_eq!(action(&bench.plan(&job), "challenge timeout"), Action::Refused);
    assert!(matches!(bench.apply(&job), Err(ApplyError::Refused { .. })));
    bench.put("theirs", &"07".repeat(16));
    bench.converge(&job.replace("= 5 }", "= 5, current-lock-code = \"vault:theirs\" }"));
}

#[test]
fn the_last_way_to_a_key_is_never_switched_off() {
    let refused = |usb: &str| {
        let text = format!("version = 1\n[[key]]\nany = true\napplications = {{ usb = {usb} }}");
        Job::parse(&text).unwrap_err().to_string()
    };
    assert!(refused("[]").contains("never be reached again"), "{}", refused("[]"));
    assert!(refused("[\"fido2\", \"u2f\"]").contains("could not reach"));
    // A key that has none of what would be left on.
    let bench = Bench::new(Profile::YUBIKEY_5_2_7);
    let job = entry("applications = { usb = [\"hsmauth\"] }");
    assert_eq!(action(&bench.plan(&job), "USB applications"), Action::Refused);
    assert!(matches!(bench.apply(&job), Err(ApplyError::Refused { .. })));
}

#[test]
fn what_later_steps_need_is_switched_off_after_them() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let job = entry(
        "slot.1 = { kind = \"static\", access-code = \"generate\" }\n\
         applications = { usb = [\"oath\"], lock-code = \"generate\" }\n\
         [[key.oath.account]]\nname = \"Example:alice\"",
    );
    let plan = bench.plan(&job);
    assert!(plan.steps.last().unwrap().contains("set the lock code"), "{:?}", plan.steps);
    bench.converge(&job);
    assert!(bench.key.otp().is_err());
    assert_eq!(action(&bench.plan(&job), "slot 1"), Action::Unverified);
    assert_eq!(bench.apply(&job).unwrap().steps, 0);
}

#[test]
fn what_is_off_is_switched_on_for_the_work_and_off_again() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    bench.converge(&entry("applications = { usb = [\"piv\"] }"));
    let job = entry(
        "slot.2 = { kind = \"hmac-sha1\" }\napplications = { usb = [\"piv\"] }\n\
         [[key.oath.account]]\nname = \"Example:alice\"",
    );
    assert_eq!(bench.plan(&job).steps, ["switch OTP, OATH on"]);
    bench.converge(&job);
    assert!(bench.key.otp().is_err(), "OTP is off again");
    bench.converge(&entry("applications = { usb = [\"piv\", \"otp\", \"oath\"] }"));
    let job = job.replace("[\"piv\"]", "[\"piv\", \"otp\", \"oath\"]");
    assert_eq!(action(&bench.plan(&job), "slot 2"), Action::Same);
    assert_eq!(action(&bench.plan(&job), "account Example:alice"), Action::Same);
    // Without a word about USB it is not for this program to decide.
    bench.converge(&entry("applications = { usb = [\"piv\"] }"));
    let job = entry("slot.2 = { kind = \"static\" }");
    assert_eq!(action(&bench.plan(&job), "slot 2"), Action::Refused);
}

#[test]
fn nfc_of_a_key_without_it_and_newer_settings_of_an_older_key_are_refused() {
    let bench = Bench::new(Profile::YUBIKEY_5_4_3);
    let job = entry("applications = { nfc-restricted = true }");
    assert_eq!(action(&bench.plan(&job), "NFC restricted"), Action::Refused);
    let bench = Bench::new(Profile::YUBIKEY_4_3_5);
    let job = entry("applications = { nfc = [\"otp\"] }");
    assert_eq!(action(&bench.plan(&job), "NFC applications"), Action::Refused);
}

/// Another key comes back after the restart.
struct Swapped<'a> {
    mine: Access<'a>,
    other: &'a Bench,
}

impl KeyAccess for Swapped<'_> {
    fn device(&self) -> Device {
        self.mine.device()
    }

    fn after_restart(&mut self, _: &Control) -> Result<Device, Error> {
        self.other.device()
    }
}

#[test]
fn another_key_that_comes_back_is_not_touched() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let other = Bench::of(Profile::YUBIKEY_5_7_4, SERIAL + 1);
    let before = other.key.snapshot();
    let mut access =
        Swapped { mine: Access { device: bench.device().unwrap(), bench: &bench }, other: &other };
    let job = entry("applications = { usb = [\"otp\", \"piv\"] }");
    let error = bench
        .planner(&job)
        .apply(&mut access, wishes(), &|| bench.control(), "now", &mut |_| {})
        .unwrap_err();
    let ApplyError::Interrupted { source: StepError::WrongKey { wanted, found }, .. } = error else {
        panic!("{error}")
    };
    assert_eq!((wanted, found), (SERIAL, SERIAL + 1));
    assert_eq!(format!("{before:?}"), format!("{:?}", other.key.snapshot()));
}
