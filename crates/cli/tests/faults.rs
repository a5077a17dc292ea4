//! Things that go wrong with a software key, on the command line, and recordings of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]
#![cfg(feature = "emulator")]

mod support;

use std::os::unix::fs::PermissionsExt;

use support::{Home, Running};

const KEY: &str = "--emulated=key.json";
const CHALLENGE: [&str; 5] = [KEY, "challenge", "-2", "-x", "1122334455667788"];
/// A published challenge and its response.
const SECRET: &str = "b3cd9bc5afa573fc2ea2b7baa995af99fef9b2b4";
const RESPONSE: &str = "884701c5995a388f2832246fdee22196943825bf";

/// A home with a key whose slot 2 answers challenges.
fn home() -> Home {
    let home = Home::new();
    home.write("secret", SECRET);
    home.run(&[KEY, "otp", "chalresp", "2", "--key", "file:secret", "--yes"]).exits(0);
    home
}

fn run(home: &Home, options: &[&str]) -> Running {
    Running::start(home.command(&[&["--json", "emulate", "run", "key.json"], options].concat()))
}

#[test]
fn faults_strike_a_running_key_and_are_listed_and_cleared() {
    let home = home();
    let _running = run(&home, &["--fault", "stall@1", "--seed", "3"]);
    home.run(&CHALLENGE).exits(0);
    let plan = home.json(&["emulate", "fault", "add", "crc@2", "key.json"]);
    assert_eq!(plan["schema"], "emulate-faults/1");
    assert_eq!(plan["faults"][0]["fault"], "stall@1");
    assert_eq!((&plan["faults"][0]["fired"], &plan["faults"][1]["fired"]), (&1.into(), &0.into()));
    home.run(&CHALLENGE).exits(1).says("checksum");
    home.run(&CHALLENGE).exits(0);
    let listed = home.run(&["emulate", "fault", "list", "key.json"]).exits(0).stdout;
    assert!(listed.contains("crc@2") && listed.contains("has struck once"), "{listed}");
    home.run(&["emulate", "fault", "clear", "key.json"]).exits(0);
    let listed = home.run(&["emulate", "fault", "list", "key.json"]).exits(0).stdout;
    assert_eq!(listed, "no faults are planned\n");

    home.run(&["emulate", "fault", "add", "unplug@4", "key.json"]).exits(0);
    home.run(&CHALLENGE).exits(3);
    home.run(&["emulate", "replug", "key.json"]).exits(0);
    home.run(&CHALLENGE).exits(0);
    home.run(&["emulate", "fault", "add", "power-cut", "key.json"]).exits(0);
    home.run(&[KEY, "otp", "delete", "2", "--yes", "--force"]).exits(3);
    home.run(&["emulate", "replug", "key.json"]).exits(0);
    home.run(&CHALLENGE).exits(0);

    home.run(&["emulate", "fault", "add", "nonsense", "key.json"])
        .exits(2)
        .says("there are crc, report-lost");
    home.run(&["emulate", "fault", "add", "crc@x", "key.json"]).exits(2).says("@3x2");
    home.run(&["emulate", "fault", "list", "other.json"]).exits(4).says("emulate run");
}

#[test]
fn what_a_key_goes_through() {
    let home = home();
    {
        let _running = run(&home, &[]);
        let power = || home.json(&["emulate", "show", "key.json"])["power"].as_str().unwrap().to_owned();
        home.run(&["emulate", "tap", "key.json", "--for", "1ms"]).exits(0);
        assert_eq!(power(), "usb");
        home.run(&["emulate", "tap", "key.json", "--stay"]).exits(0);
        assert_eq!(power(), "nfc");
        home.run(&["emulate", "replug", "key.json"]).exits(0);
        home.run(&["emulate", "suspend", "key.json"]).exits(0);
        home.run(&CHALLENGE).exits(6);
        home.run(&["emulate", "press", "key.json"]).exits(4).says("resume it");
        home.run(&["emulate", "resume", "key.json"]).exits(0);
        home.run(&CHALLENGE).exits(0);
        home.run(&["emulate", "clock", "25d", "key.json"]).exits(0);
        home.run(&["emulate", "clock", "yesterday", "key.json"]).exits(2).says("500ms, 90s");
        home.run(&["emulate", "set", "key.json", "--sequence", "255"]).exits(0);
        assert_eq!(home.json(&["emulate", "show", "key.json"])["programming_sequence"], 255);
        home.run(&[KEY, "otp", "hotp", "1", "--key", "file:secret", "--yes"]).exits(0);
    }
    // Counters are stored, so no running key is needed for most.
    home.run(&["emulate", "set", "key.json", "--moving-factor", "99999"]).exits(0);
    assert_eq!(home.json(&["emulate", "show", "key.json"])["slots"][0]["moving_factor"], 99_999);
    home.run(&["emulate", "set", "key.json", "--moving-factor", "5"]).exits(4).says("turns forward only");
    home.run(&["emulate", "set", "key.json", "--use-counter", "5"]).exits(4).says("no such counter");
    home.run(&["emulate", "set", "key.json"]).exits(2);
    for command in ["tap", "suspend", "resume"] {
        home.run(&["emulate", command, "key.json"]).exits(4).says("emulate run");
    }
}

#[test]
fn a_recorded_command_can_be_read_and_holds_no_secret() {
    let home = Home::new();
    home.write("secret", SECRET);
    let program =
        ["record", "program.jsonl", "--", KEY, "otp", "chalresp", "2", "--key", "file:secret", "--yes"];
    home.run(&program).exits(0).says("recorded");
    let challenge = [&[KEY, "record", "challenge.jsonl"], &CHALLENGE[1..]].concat();
    assert_eq!(home.run(&challenge).exits(0).stdout, format!("{RESPONSE}\n"), "the command's own output");
    for (file, says) in [
        ("program.jsonl", "> OTP: configure slot 2 [64 bytes hidden]"),
        ("challenge.jsonl", "< OTP: HMAC challenge to slot 2 [20 bytes hidden]"),
    ] {
        let text = home.read(file);
        // The secret is recognised by any seven bytes of it in a row, which is what a part holds.
        let shown = (0..SECRET.len() - 14).step_by(2).any(|at| text.contains(&SECRET[at..at + 14]));
        assert!(!shown && !text.contains(&RESPONSE[..14]) && !text.contains("1122334455"), "{text}");
        assert_eq!(std::fs::metadata(home.path(file)).unwrap().permissions().mode() & 0o777, 0o600);
        let told = home.run(&["replay", file]).exits(0).stdout;
        assert!(told.contains(says), "{told}");
    }
    let told = home.json(&["replay", "challenge.jsonl"]);
    assert_eq!((&told["schema"], &told["secrets"]), (&"replay/1".into(), &false.into()));
    assert_eq!(
        (&told["lines"][0]["interface"], &told["lines"][0]["text"]),
        (&"otp".into(), &"opened".into())
    );

    home.run(&challenge).exits(2).says("recordings are not overwritten");
    let secrets = [&[KEY, "record", "--with-secrets", "secrets.jsonl"], &CHALLENGE[1..]].concat();
    home.run(&secrets).exits(0).says("keys, PINs and responses included");
    assert!(home.read("secrets.jsonl").contains("1122334455"));
    assert!(home.run(&["replay", "secrets.jsonl"]).exits(0).says("holds secrets").stdout.contains(RESPONSE));

    // A command that fails keeps its exit code, and what happened until then is recorded.
    let fails = [KEY, "record", "fails.jsonl", "challenge", "-1", "-x", "1122"];
    home.run(&fails).exits(4);
    assert!(home.run(&["replay", "fails.jsonl"]).exits(0).stdout.contains("> OTP: HMAC challenge to slot 1"));
    home.run(&["record", "none.jsonl", "otp", "generate", "--help"]).exits(0);
    home.run(&["record", "none.jsonl", "nonsense"]).exits(2);
    home.run(&["replay", "secret"]).exits(2).says("no recording");
    home.run(&["replay", "missing"]).exits(2);
}

#[test]
fn an_emulator_writes_a_transcript() {
    let home = home();
    let mut running = run(&home, &["--transcript", "all.jsonl"]);
    home.run(&CHALLENGE).exits(0);
    home.run(&["emulate", "press", "key.json"]).exits(4);
    home.run(&["emulate", "replug", "key.json"]).exits(0);
    running.signal("TERM");
    running.wait();
    let told = home.run(&["replay", "all.jsonl"]).exits(0).stdout;
    for says in [
        "< OTP: HMAC challenge to slot 2 [20 bytes hidden]",
        "pressed, and nothing happens: the slot is empty",
        "unplugged and plugged in again",
    ] {
        assert!(told.contains(says), "{says} is not in {told}");
    }
    home.run(&["emulate", "run", "key.json", "--transcript", "all.jsonl"]).exits(2).says("name a new file");
    home.run(&["emulate", "run", "key.json", "--with-secrets"]).exits(2);
}

#[test]
fn a_seed_makes_the_same_key_again() {
    let serial = |seed: &str| {
        let home = Home::new();
        let running = run(&home, &["--seed", seed]);
        running.ready["serial"].clone()
    };
    assert_eq!(serial("7"), serial("7"));
    assert_ne!(serial("7"), serial("8"));
}
