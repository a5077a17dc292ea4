//! A key that is pulled out at any step of any command ends it with exit code 3 or 4 and a sentence,
//! and is as good as before when it is plugged in again.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]
#![cfg(feature = "emulator")]

mod support;

use support::{Home, Running};

const KEY: &str = "--emulated=key.json";
const SECRET: &str = "b3cd9bc5afa573fc2ea2b7baa995af99fef9b2b4";
/// More exchanges than any command here needs.
const MANY: usize = 600;

/// A home with a key that is plugged in, slot 2 of which answers challenges.
fn home() -> (Home, Running) {
    let home = Home::new();
    home.write("secret", SECRET);
    home.run(&[KEY, "otp", "chalresp", "2", "--key", "file:secret", "--yes"]).exits(0);
    let running = Running::start(home.command(&["--json", "emulate", "run", "key.json"]));
    (home, running)
}

#[track_caller]
fn survives(home: &Home, command: &[&str]) {
    survives_after(home, &["otp", "info"], command);
}

/// Runs a command again and again, each time after another that prepares the key, and the key being
/// pulled out one exchange later each time, until it is not pulled out at all.
#[track_caller]
fn survives_after(home: &Home, before: &[&str], command: &[&str]) {
    survives_every(1, home, before, command);
}

/// The same, with several exchanges between one place and the next.
#[track_caller]
fn survives_every(stride: usize, home: &Home, before: &[&str], command: &[&str]) {
    let before = [&[KEY], before].concat();
    let command = [&[KEY], command].concat();
    for step in (1..MANY).step_by(stride) {
        home.run(&["emulate", "fault", "clear", "key.json"]).exits(0);
        home.run(&before).exits(0);
        home.run(&["emulate", "fault", "add", &format!("unplug@{step}"), "key.json"]).exits(0);
        let outcome = home.run(&command);
        if outcome.code == 0 {
            assert!(step > 1, "{command:?} never spoke to the key");
            home.run(&["emulate", "fault", "clear", "key.json"]).exits(0);
            // Pulled out right after its last word, it may be out still.
            home.run(&["emulate", "replug", "key.json"]).exits(0);
            return;
        }
        let place = format!("{command:?}, pulled out at exchange {step}: {outcome:?}");
        assert!(matches!(outcome.code, 3 | 4), "{place}");
        let sentence = outcome.stderr.lines().find_map(|line| line.strip_prefix("error: "));
        assert!(sentence.is_some_and(|sentence| sentence.len() > 20), "{place}");
        assert!(!outcome.stderr.contains("panicked"), "{place}");
        home.run(&["emulate", "replug", "key.json"]).exits(0);
    }
    panic!("{command:?} does not end");
}

#[test]
fn slots() {
    let (home, _running) = home();
    let program = &["otp", "chalresp", "1", "--key", "file:secret", "--yes", "--force"];
    for command in [
        &["info"][..],
        &["list"],
        &["otp", "info"],
        program,
        &["otp", "hotp", "1", "--key", "file:secret", "--yes", "--force"],
        &["otp", "swap", "--yes"],
        &["otp", "swap", "--yes"],
        &["challenge", "-2", "-x", "1122334455667788"],
    ] {
        survives(&home, command);
    }
    survives_after(&home, program, &["otp", "delete", "1", "--yes", "--force"]);
}

#[test]
fn settings() {
    let (home, _running) = home();
    home.write("lock", "000102030405060708090a0b0c0d0e0f");
    let on = &["config", "usb", "--enable", "oath", "--yes"];
    survives(&home, &["config", "usb", "--list"]);
    // After new settings a key goes away for a moment, so that its return is waited for.
    survives_every(7, &home, on, &["config", "usb", "--disable", "oath", "--yes"]);
    survives(&home, &["config", "nfc", "--list"]);
    survives(&home, &["apdu", "--app", "management", "1D="]);
}

#[test]
fn accounts() {
    let (home, _running) = home();
    home.write("secret32", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    let add = &["oath", "accounts", "add", "example:alice", "--secret", "file:secret32", "--force"];
    survives(&home, add);
    for command in [
        &["oath", "info"][..],
        &["oath", "accounts", "list"],
        &["oath", "accounts", "code"],
        &["oath", "accounts", "code", "alice", "--single"],
    ] {
        survives(&home, command);
    }
    survives_after(&home, add, &["oath", "accounts", "delete", "example:alice", "--force"]);
}

#[test]
fn piv() {
    let (home, _running) = home();
    home.write("pin", "123456");
    home.write("management-key", "010203040506070801020304050607080102030405060708");
    home.write("message", "to be signed");
    let keys = ["--pin", "file:pin", "--management-key", "file:management-key"];
    let generate = [&["piv", "keys", "generate", "9a", "--force"][..], &keys].concat();
    survives(&home, &generate);
    survives(&home, &["piv", "info"]);
    survives(&home, &["piv", "keys", "info", "9a"]);
    survives(&home, &["piv", "keys", "attest", "9a"]);
    survives(&home, &["piv", "sign", "9a", "message", "--pin", "file:pin", "--output", "signature"]);
}
