//! Settings of a key, on one made of software.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]
#![cfg(feature = "emulator")]

mod support;

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use support::{Home, Running};

const KEY: &str = "--emulated=key.json";

/// Makes a key with this firmware.
fn made(home: &Home, profile: &str) {
    home.run(&["emulate", "run", "key.json", "--profile", profile, "--print-reader-conf"]);
    let mut running =
        Running::start(home.command(&["--json", "emulate", "run", "key.json", "--profile", profile]));
    running.signal("TERM");
    running.wait();
}

fn usb(home: &Home) -> Value {
    home.json(&[KEY, "config", "usb", "--list"])["enabled"].clone()
}

#[test]
fn applications_on_usb() {
    let home = Home::new();
    let dry = home.json(&[KEY, "config", "usb", "--disable", "otp", "-d", "PIV", "--dry-run"]);
    assert_eq!(dry["schema"], "config-change/1");
    let row =
        |name: &str| json!({ "setting": format!("{name} on USB"), "from": "enabled", "to": "disabled" });
    assert_eq!(dry["changes"], json!([row("OTP"), row("PIV")]));
    assert_eq!((&dry["changed"], &dry["dry_run"]), (&false.into(), &true.into()));
    assert_eq!(usb(&home).as_array().unwrap().len(), 7, "nothing was written");

    home.run(&[KEY, "config", "usb", "-d", "otp"]).exits(2).says("--yes");
    let done = home.json(&[KEY, "config", "usb", "-d", "otp", "-d", "piv", "--yes"]);
    assert_eq!((&done["changed"], &done["verified"]), (&true.into(), &true.into()));
    assert_eq!(usb(&home), json!(["u2f", "fido2", "oath", "openpgp", "hsmauth"]));
    // The interface is gone.
    assert_eq!(home.json(&[KEY, "info"])["interfaces"], "FIDO+CCID");
    let again = home.run(&[KEY, "config", "usb", "-d", "otp", "-d", "piv", "--yes"]).exits(0);
    assert_eq!(again.stdout, "already so; nothing is changed\n");
    let done = home.json(&[KEY, "config", "usb", "--enable-all", "--yes"]);
    assert_eq!(done["changes"].as_array().unwrap().len(), 2);
    assert_eq!(home.json(&[KEY, "info"])["interfaces"], "OTP+FIDO+CCID");
}

#[test]
fn nobody_locks_himself_out() {
    let home = Home::new();
    let all = ["otp", "u2f", "fido2", "oath", "piv", "openpgp", "hsmauth"];
    let mut arguments = vec![KEY, "config", "usb", "--force"];
    all.iter().for_each(|one| arguments.extend(["-d", *one]));
    home.run(&arguments).exits(2).says("the last application on USB").prints_nothing();
    // FIDO alone is out of this program's reach, so it wants more than a yes.
    let but_fido: Vec<&str> = all.iter().filter(|one| !one.contains("u2f")).copied().collect();
    let mut arguments = vec![KEY, "config", "usb", "--yes"];
    but_fido.iter().for_each(|one| arguments.extend(["-d", *one]));
    home.run(&arguments).exits(2).says("FIDO as the only interface").prints_nothing();
    assert_eq!(usb(&home).as_array().unwrap().len(), 7);
    arguments[3] = "--force";
    home.run(&arguments).exits(0);
    assert_eq!(usb(&home), json!(["u2f"]));
}

#[test]
fn what_makes_no_sense_is_refused_before_a_key_is_made() {
    let home = Home::new();
    home.run(&[KEY, "config", "usb"]).exits(2).says("--list");
    home.run(&[KEY, "config", "nfc"]).exits(2).says("--list");
    home.run(&[KEY, "config", "usb", "-e", "ccid"]).exits(2).says("otp, u2f");
    home.run(&[KEY, "config", "usb", "-e", "nonsense"]).exits(2).says("otp, u2f");
    home.run(&[KEY, "config", "usb", "-e", "otp", "-d", "otp"]).exits(2).says("at once");
    home.run(&[KEY, "config", "usb", "--list", "-d", "otp"]).exits(2);
    home.run(&[KEY, "config", "usb", "--chalresp-timeout", "0"]).exits(2);
    home.run(&[KEY, "config", "nfc", "-D", "-e", "otp"]).exits(2);
    let secret =
        home.run(&[KEY, "config", "usb", "-d", "otp", "-L", "00112233445566778899aabbccddeeff"]).exits(2);
    assert!(!secret.all().contains("00112233"), "{secret:?}");
    home.run(&[KEY, "config", "set-lock-code"]).exits(2);
    home.run(&[KEY, "config", "set-lock-code", "--generate"]).exits(2).says("--output");
    home.run(&[KEY, "config", "set-lock-code", "--clear", "--output", "x"]).exits(2).says("--generate");
    home.run(&[KEY, "config", "mode", "OTP+NFC"]).exits(2).says("OTP, FIDO and CCID");
    home.run(&[KEY, "config", "mode", "OTP", "--touch-eject"]).exits(2).says("CCID");
    assert!(!home.path("key.json").exists());
}

#[test]
fn nfc() {
    let home = Home::new();
    let list = home.json(&[KEY, "config", "nfc", "--list"]);
    assert_eq!((&list["schema"], &list["side"]), (&"config-applications/1".into(), &"nfc".into()));
    home.run(&[KEY, "config", "nfc", "--disable-all", "--yes"]).exits(0);
    assert_eq!(home.json(&[KEY, "config", "nfc", "--list"])["enabled"], json!([]));
    home.run(&[KEY, "config", "nfc", "-e", "oath", "--yes"]).exits(0);
    assert_eq!(home.json(&[KEY, "config", "nfc", "--list"])["enabled"], json!(["oath"]));
    let restricted = home.json(&[KEY, "config", "nfc", "--restrict", "--yes"]);
    assert_eq!(restricted["verified"], true);
}

#[test]
fn timeouts_and_touch_eject() {
    let home = Home::new();
    let arguments = ["config", "usb", "--chalresp-timeout", "30", "--autoeject-timeout", "60", "--yes"];
    let done = home.run(&[&[KEY, "--json"], &arguments[..]].concat()).exits(0).says("only interface");
    assert_eq!(done.json()["changes"].as_array().unwrap().len(), 3);
    let info = home.json(&[KEY, "info"]);
    assert_eq!((&info["challenge_timeout"], &info["auto_eject_timeout"]), (&30.into(), &60.into()));
    assert_eq!(info["touch_eject"], true);
    home.run(&[KEY, "config", "usb", "--no-touch-eject", "--yes"]).exits(0);
    assert_eq!(home.json(&[KEY, "info"])["touch_eject"], false);
}

#[test]
fn a_generated_lock_code_is_kept_before_the_key_has_it() {
    let home = Home::new();
    let set = home.json(&[KEY, "config", "set-lock-code", "--generate", "-O", "code", "--yes"]);
    assert_eq!((&set["schema"], &set["locked"]), (&"config-lock-code/1".into(), &true.into()));
    assert_eq!((&set["verified"], &set["file"]), (&true.into(), &"code".into()));
    let code = home.read("code");
    assert_eq!(code.trim_end().len(), 32, "{code:?}");
    assert_eq!(std::fs::metadata(home.path("code")).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!set.to_string().contains(code.trim_end()));
    assert_eq!(home.json(&[KEY, "info"])["locked"], true);

    home.run(&[KEY, "config", "usb", "-d", "otp", "--yes"]).exits(2).says("--lock-code");
    home.write("wrong", "ffeeddccbbaa99887766554433221100");
    home.run(&[KEY, "config", "usb", "-d", "otp", "--yes", "-L", "file:wrong"])
        .exits(4)
        .says("the lock code is wrong");
    home.run(&[KEY, "config", "usb", "-d", "otp", "--yes", "-L", "file:code"]).exits(0);
    // A refused change takes its file away: that code never came onto the key.
    let other = ["config", "set-lock-code", "-g", "-O", "other", "--yes", "-l", "file:wrong"];
    home.run(&[&[KEY], &other[..]].concat()).exits(4).says("wrong");
    assert!(!home.path("other").exists());
    // An existing file is never written over, and then the key is not touched.
    let same = ["config", "set-lock-code", "-g", "-O", "code", "--yes", "-l", "file:code"];
    home.run(&[&[KEY], &same[..]].concat()).exits(2);
    assert_eq!(home.read("code"), code);
    home.write("zeros", &"0".repeat(32));
    home.run(&[KEY, "config", "set-lock-code", "-l", "file:code", "-n", "file:zeros", "--yes"])
        .exits(2)
        .says("--clear");
    home.write("mine", "00112233445566778899aabbccddeeff");
    home.run(&[KEY, "config", "set-lock-code", "-l", "file:code", "-n", "file:mine", "--yes"]).exits(0);
    home.run(&[KEY, "config", "set-lock-code", "-l", "file:mine", "--clear", "--yes"]).exits(0);
    assert_eq!(home.json(&[KEY, "info"])["locked"], false);
    let nothing = home.json(&[KEY, "config", "set-lock-code", "--clear", "--yes"]);
    assert_eq!(nothing["changed"], false);
}

#[test]
fn a_lock_code_that_is_shown_is_shown_first() {
    let home = Home::new();
    home.run(&[KEY, "--json", "config", "set-lock-code", "-g", "--show-secret", "--yes"])
        .exits(2)
        .says("--output");
    let shown = home.run(&[KEY, "config", "set-lock-code", "-g", "--show-secret", "--yes"]).exits(0);
    assert!(shown.stdout.starts_with("lock code: "), "{shown:?}");
    home.write("code", &shown.stdout["lock code: ".len()..][..32]);
    home.run(&[KEY, "config", "set-lock-code", "--clear", "-l", "file:code", "--yes"]).exits(0);
}

#[test]
fn each_generation_has_its_own_settings() {
    let home = Home::new();
    made(&home, "4.3.5");
    home.run(&[KEY, "config", "usb", "-d", "otp", "--yes"]).exits(4).says("tapkey config mode");
    home.run(&[KEY, "config", "set-lock-code", "--clear", "--yes"]).exits(4).says("5.0.0");
    home.run(&[KEY, "config", "nfc", "--list"]).exits(4).says("no NFC");
    let dry = home.json(&[KEY, "config", "mode", "OTP+CCID", "--dry-run"]);
    assert_eq!(
        dry["changes"][0],
        json!({ "setting": "USB interfaces", "from": "OTP+FIDO+CCID", "to": "OTP+CCID" })
    );
    let done = home.json(&[KEY, "config", "mode", "-FIDO", "--yes"]);
    assert_eq!((&done["verified"], &done["replug_needed"]), (&true.into(), &true.into()));
    assert_eq!(home.json(&[KEY, "config", "mode", "OTP+CCID"])["changed"], false, "already so");
    home.run(&[KEY, "config", "mode", "-OTP-CCID"]).exits(2).says("last interface");
    home.run(&[KEY, "config", "mode", "FIDO", "--yes"]).exits(2).says("FIDO as the only interface");
    home.run(&[KEY, "config", "mode", "CCID", "--touch-eject", "--autoeject-timeout", "20", "--yes"])
        .exits(0);
    let new = Home::new();
    new.run(&[KEY, "config", "mode", "6"]).exits(4).says("tapkey config usb");
    let middle = Home::new();
    made(&middle, "5.4.3");
    middle.run(&[KEY, "config", "nfc", "--restrict", "--yes"]).exits(4).says("5.7.0");
}

#[test]
fn only_one_model_is_reset_as_a_whole() {
    let home = Home::new();
    home.run(&[KEY, "config", "reset", "--force"]).exits(4).says("tapkey oath reset").prints_nothing();
}

#[test]
fn published_faults() {
    let home = Home::new();
    let none = home.run(&[KEY, "info", "--check"]).exits(0);
    assert!(none.stdout.contains("no published fault"), "{none:?}");
    let old = Home::new();
    made(&old, "5.2.7");
    let found = old.run(&[KEY, "--json", "info", "--check"]).exits(1);
    let found = found.json();
    assert_eq!(found["schema"], "info-check/1");
    assert_eq!(found["advisories"][0]["id"], "YSA-2024-03");
    assert!(old.run(&[KEY, "info"]).exits(0).stdout.contains("YSA-2024-03"));
}

#[test]
fn software_keys_that_run_are_listed_and_used_only_by_name() {
    let home = Home::new();
    let running = Running::start(home.command(&["--json", "emulate", "run", "key.json"]));
    let serial = running.ready["serial"].to_string();
    let listed = |home: &Home| -> Vec<Value> {
        let list = home.json(&["list"]);
        list["keys"].as_array().unwrap().iter().filter(|key| key["software"] == true).cloned().collect()
    };
    let keys = listed(&home);
    assert_eq!(keys.len(), 1, "{keys:?}");
    assert_eq!(keys[0]["serial"].to_string(), serial);
    let place = keys[0]["places"][0].as_str().unwrap().to_owned();
    // Never by itself: a command for a real key must not end up on it.
    if home.json(&["list"])["keys"].as_array().unwrap().len() == 1 {
        home.run(&["info"]).exits(3);
    }
    assert_eq!(home.json(&["--serial", &serial, "info"])["software"], true);
    assert_eq!(home.json(&["--place", &place, "info"])["software"], true);
    assert_eq!(home.json(&["--form-factor", "usb-c", "list"])["keys"], json!([]));
    home.run(&["--form-factor", "5d", "list"]).exits(2).says("usb-c-nano");
    drop(running);
    // It was killed, and its note went with the next look.
    assert!(listed(&home).is_empty());
    assert_eq!(std::fs::read_dir(home.path("state/tapkey/running")).unwrap().count(), 0);
}
