//! Everything that is done with a key, on one made of software.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]
#![cfg(feature = "emulator")]

mod support;

use std::{os::unix::fs::PermissionsExt, thread, time::Duration};

use serde_json::Value;
use support::{Home, Running};

const KEY: &str = "--emulated=key.json";

/// A published challenge and its response.
const HMAC_KEY: &str = "b3cd9bc5afa573fc2ea2b7baa995af99fef9b2b4";
const CHALLENGE: &str = "1122334455667788";
const RESPONSE: &str = "884701c5995a388f2832246fdee22196943825bf\n";

fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn list_and_info() {
    let home = Home::new();
    let list = home.json(&[KEY, "list"]);
    assert_eq!(list["schema"], "list/1");
    let entry = &list["keys"][0];
    let fields =
        ["form_factor", "interfaces", "model", "name", "places", "serial", "software", "usb_port", "version"];
    assert_eq!(names(entry), fields);
    let serial = entry["serial"].to_string();
    assert_eq!(home.run(&[KEY, "list", "--serials"]).exits(0).stdout, format!("{serial}\n"));
    assert!(home.run(&[KEY, "list"]).exits(0).stdout.contains("made of software"));

    let info = home.json(&[KEY, "info"]);
    assert_eq!(info["schema"], "info/1");
    assert_eq!((&info["version"], &info["software"]), (&"5.7.4".into(), &true.into()));
    assert_eq!(names(&info["applications"][0]), ["id", "name", "nfc", "reset_blocked", "usb"]);
    assert_eq!((&info["model"], &info["form_factor_id"]), (&"5-nfc".into(), &"usb-a".into()));
    home.run(&[KEY, "--serial", &serial, "info"]).exits(0);
    home.run(&[KEY, "--serial", "4294967290", "info"]).exits(3).says(&serial);
    home.run(&["--emulated=new.json", "--serial", "5", "info"]).exits(2).says("may belong to a real key");
}

#[test]
#[cfg(feature = "device")]
fn without_a_key_the_exit_code_is_3() {
    let home = Home::new();
    // A machine with a key plugged in proves nothing here.
    if home.json(&["list"])["keys"].as_array().unwrap().is_empty() {
        home.run(&["info"]).exits(3).says("--emulated");
        home.run(&["--serial", "1", "otp", "info"]).exits(3);
        home.run(&["list"]).exits(0).says("no keys");
    }
}

#[test]
fn the_piv_application_is_shown_without_secrets() {
    let home = Home::new();
    let shown = home.json(&["emulate", "show", "key.json"]);
    assert_eq!(shown["schema"], "emulate-show/1");
    assert!(shown.get("piv").is_none(), "nobody has used it: {shown}");
    home.run(&[KEY, "apdu", "--app", "piv", "FD="]).exits(0);
    let piv = &home.json(&["emulate", "show", "key.json"])["piv"];
    assert_eq!(names(piv), ["keys", "management_key", "objects", "pin_tries", "puk_tries"]);
    assert_eq!((&piv["pin_tries"], &piv["management_key"]), (&3.into(), &"AES192".into()));
    let key = &piv["keys"][0];
    assert_eq!(names(key), ["algorithm", "origin", "pin_policy", "slot", "touch_policy"]);
    assert_eq!((&key["slot"], &key["algorithm"]), (&"f9".into(), &"ECCP256".into()));
    let text = home.run(&["emulate", "show", "key.json"]).exits(0).stdout;
    assert!(text.contains("f9: ECCP256, generated, PIN never, touch never"), "{text}");
}

#[test]
fn a_yubico_otp_credential_types_what_decode_reads() {
    let home = Home::new();
    home.run(&[KEY, "otp", "yubiotp", "2"]).exits(2).says("--output");
    home.run(&[KEY, "otp", "yubiotp", "2", "--show-secret"]).exits(2).says("--yes");
    let outcome = home.run(&[KEY, "--json", "otp", "yubiotp", "2", "--yes", "--output", "keys.csv"]).exits(0);
    let written = outcome.json();
    assert_eq!(names(&written), ["access_code", "kind", "public_id", "record", "schema", "serial", "slot"]);
    assert_eq!(written["schema"], "otp-write/1");
    let mode = std::fs::metadata(home.path("keys.csv")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let csv = home.read("keys.csv");
    let columns: Vec<&str> = csv.trim_end().split(',').collect();
    assert_eq!(columns.len(), 7, "{csv}");
    assert_eq!(
        (columns[0], columns[1]),
        (&*written["serial"].to_string(), written["public_id"].as_str().unwrap())
    );
    for secret in [columns[2], columns[3]] {
        assert!(!outcome.all().contains(secret), "{outcome:?}");
    }
    home.write("aes", columns[3]);
    let typed = home.run(&[KEY, "emulate", "press", "--slot", "2"]).exits(0).stdout;
    let decoded = home.json(&["otp", "decode", "--aes-key", "file:aes", typed.trim()]);
    assert_eq!((&decoded["private_id"], &decoded["use_counter"]), (&columns[2].into(), &1.into()));

    // The slot is programmed now: nothing short of --force overwrites it.
    home.run(&[KEY, "otp", "yubiotp", "2", "--yes", "--show-secret"]).exits(2).says("--force");
    let shown = home.run(&[KEY, "--json", "otp", "yubiotp", "2", "--force", "--show-secret"]).exits(0).json();
    assert_eq!(names(&shown["secrets"]), ["aes_key", "private_id"]);
}

#[test]
fn a_refused_write_leaves_no_record() {
    let home = Home::new();
    home.write("code", "010203040506");
    home.run(&[KEY, "otp", "yubiotp", "1", "--yes", "--new-access-code", "file:code", "-O", "keys.csv"])
        .exits(0);
    let before = home.read("keys.csv");
    assert!(before.contains(",010203040506,"));
    home.run(&[KEY, "otp", "yubiotp", "1", "--force", "-O", "keys.csv"]).exits(4).says("access code");
    assert_eq!(home.read("keys.csv"), before);
    home.run(&[KEY, "otp", "yubiotp", "1", "--force", "-O", "other.csv"]).exits(4);
    assert!(!home.path("other.csv").exists());
}

#[test]
fn access_codes() {
    let home = Home::new();
    home.write("code", "010203040506");
    home.write("wrong", "060504030201");
    let shown = home
        .run(&[
            KEY,
            "--json",
            "otp",
            "static",
            "1",
            "--generate",
            "--modhex",
            "--show-secret",
            "--yes",
            "--new-access-code",
            "file:code",
        ])
        .exits(0)
        .json();
    assert_eq!(shown["access_code"], true);
    let password = shown["secrets"]["password"].as_str().unwrap().to_owned();
    assert_eq!(home.run(&[KEY, "emulate", "press"]).exits(0).stdout, format!("{password}\n"));

    home.run(&[KEY, "otp", "delete", "1", "--force"]).exits(4).says("access code");
    home.run(&[KEY, "otp", "delete", "1", "--force", "--access-code", "file:wrong"]).exits(4).says("wrong");
    home.run(&[KEY, "otp", "settings", "1", "--yes", "--access-code", "file:code"])
        .exits(2)
        .says("--keep-access-code");
    home.run(&[
        KEY,
        "otp",
        "settings",
        "1",
        "--yes",
        "--access-code",
        "file:code",
        "--keep-access-code",
        "--no-enter",
    ])
    .exits(0);
    assert_eq!(home.json(&[KEY, "emulate", "press"])["typed"], password);
    home.run(&[KEY, "otp", "delete", "1", "--force", "--access-code", "010203040506"])
        .exits(2)
        .says("file:PATH");
    home.run(&[KEY, "otp", "delete", "1", "--force", "--access-code", "file:code"]).exits(0);
    home.run(&[KEY, "otp", "delete", "1", "--force"]).exits(4).says("empty");
}

#[test]
fn static_password_of_ones_own() {
    let home = Home::new();
    let outcome =
        home.run_with(&[KEY, "otp", "static", "2", "--password", "-", "--yes", "--no-enter"], "Grüße\n");
    outcome.exits(2).says("character 3");
    let secret = "Corr3ct horse, \"battery\"!";
    let outcome = home
        .run_with(
            &[KEY, "otp", "static", "2", "--password", "-", "--yes", "--no-enter"],
            &format!("{secret}\n"),
        )
        .exits(0);
    assert!(!outcome.all().contains("horse"), "{outcome:?}");
    assert_eq!(home.json(&[KEY, "emulate", "press", "--slot", "2"])["typed"], secret);
}

#[test]
fn hotp_types_the_codes_of_the_rfc() {
    let home = Home::new();
    home.write("key", "3132333435363738393031323334353637383930");
    home.run(&[KEY, "otp", "hotp", "1", "--key", "file:key", "--yes", "--identifier", "ubhe01"]).exits(0);
    for code in ["755224", "287082", "359152"] {
        assert_eq!(home.run(&[KEY, "emulate", "press"]).exits(0).stdout, format!("ubhe01{code}\n"));
    }
    home.run(&[KEY, "otp", "hotp", "1", "--key", "file:key", "--force", "--counter", "5"])
        .exits(2)
        .says("multiples of 16");
}

#[test]
fn challenges_are_answered_as_published() {
    let home = Home::new();
    home.write("key", HMAC_KEY);
    home.run(&[KEY, "otp", "chalresp", "2", "--key", "file:key", "--yes"]).exits(0);
    assert_eq!(home.run(&[KEY, "challenge", "-2", "-x", CHALLENGE]).exits(0).stdout, RESPONSE);
    assert_eq!(home.run(&[KEY, "challenge", "-2x", CHALLENGE]).exits(0).stdout, RESPONSE);
    let outcome =
        home.run_with(&[KEY, "challenge", "-2", "-i", "-"], "\x11\x22\x33\x44\x55\x66\x77").exits(0);
    assert_eq!(outcome.stdout.len(), 41);
    let document = home.json(&[KEY, "challenge", "-2", "-x", CHALLENGE]);
    assert_eq!(names(&document), ["mode", "response", "schema", "slot"]);

    home.run(&[KEY, "challenge", "-1", "x"]).exits(4).says("empty");
    home.run(&[KEY, "challenge", "-2", "-Y", "x"]).exits(4);
    home.run(&[KEY, "challenge", "-2", "-x", "abc"]).exits(2).says("odd");
    home.run(&[KEY, "challenge", "-2", &"x".repeat(65)]).exits(2).says("at most 64");
    home.run(&[KEY, "challenge", "-2"]).exits(2);
    home.run(&[KEY, "emulate", "press", "--slot", "2"]).exits(4).says("types nothing");

    // The key `abba` at 999 s.
    home.write("abba", "abba");
    home.run(&[KEY, "otp", "chalresp", "1", "--key", "file:abba", "--yes"]).exits(0);
    assert_eq!(home.run(&[KEY, "challenge", "-1", "-t", "-6", "--at", "999"]).exits(0).stdout, "533486\n");
    assert_eq!(home.run(&[KEY, "challenge", "-1", "-t", "-8", "--at", "999"]).exits(0).stdout, "04533486\n");
    assert_eq!(
        home.run(&[KEY, "challenge", "-x", "abba"]).exits(0).stdout,
        "f8de2586056d89d8b961a072d1245a495d2155e1\n"
    );
}

#[test]
fn a_yubico_challenge_comes_back_inside_the_answer() {
    let home = Home::new();
    home.write("key", "000102030405060708090a0b0c0d0e0f");
    home.run(&[KEY, "otp", "chalresp", "2", "--yubico", "--key", "file:key", "--yes"]).exits(0);
    let answer = home.run(&[KEY, "challenge", "-2", "-Y", "-x", "010203040506"]).exits(0).stdout;
    assert_eq!(answer.trim().len(), 32);
    let decoded = home.json(&["otp", "decode", "--aes-key", "file:key", answer.trim()]);
    assert_eq!(decoded["private_id"], "010203040506");
}

#[test]
fn touches_come_from_another_process() {
    let home = Home::new();
    home.write("key", HMAC_KEY);
    home.run(&[KEY, "otp", "chalresp", "2", "--key", "file:key", "--touch", "--yes"]).exits(0);
    // Without an emulator process the key touches itself.
    home.run(&[KEY, "challenge", "-2", "-x", CHALLENGE]).exits(0).says("Touch your key");
    home.run(&[KEY, "challenge", "-2", "-N", "-x", CHALLENGE]).exits(4).says("-N");
    home.run(&[KEY, "emulate", "touch"]).exits(4).says("emulate run");

    let mut emulator = Running::start(home.command(&["--json", "emulate", "run", "key.json"]));
    assert_eq!(emulator.ready["schema"], "emulate-run/1");
    home.run(&["emulate", "touch", "key.json"]).exits(4).says("nothing waits");
    thread::scope(|scope| {
        let asking = scope.spawn(|| home.run(&[KEY, "challenge", "-2", "-x", CHALLENGE]));
        while home.json(&[KEY, "emulate", "show"])["led"] != "blinking" {
            thread::sleep(Duration::from_millis(20));
        }
        home.run(&["emulate", "touch", "key.json"]).exits(0);
        assert_eq!(asking.join().unwrap().exits(0).stdout, RESPONSE);
    });
    home.run(&["emulate", "run", "key.json"]).exits(6).says("in use");
    emulator.signal("TERM");
    assert_eq!(emulator.wait(), 0);
    home.run(&[KEY, "challenge", "-2", "-x", CHALLENGE]).exits(0);
}

#[test]
fn ctrl_c_takes_a_waiting_challenge_back() {
    let home = Home::new();
    home.write("key", HMAC_KEY);
    home.run(&[KEY, "otp", "chalresp", "2", "--key", "file:key", "--touch", "--yes"]).exits(0);
    let _emulator = Running::start(home.command(&["--json", "emulate", "run", "key.json"]));
    let asking = home.command(&[KEY, "challenge", "-2", "-x", CHALLENGE]).spawn().unwrap();
    while home.json(&[KEY, "emulate", "show"])["led"] != "blinking" {
        thread::sleep(Duration::from_millis(20));
    }
    let mut asking = Running { child: asking, ready: Value::Null };
    asking.signal("INT");
    assert_eq!(asking.wait(), 130);
    assert_eq!(home.json(&[KEY, "emulate", "show"])["led"], "on");
}

#[test]
fn counters_outlive_a_killed_emulator() {
    let home = Home::new();
    home.run(&[KEY, "otp", "yubiotp", "1", "--yes", "-O", "keys.csv"]).exits(0);
    home.write("aes", home.read("keys.csv").split(',').nth(3).unwrap());
    let mut last = (0, 0);
    for _ in 0..3 {
        let mut emulator = Running::start(home.command(&["--json", "emulate", "run", "key.json"]));
        for _ in 0..2 {
            let typed = home.json(&[KEY, "emulate", "press"])["typed"].as_str().unwrap().trim().to_owned();
            let decoded = home.json(&["otp", "decode", "--aes-key", "file:aes", &typed]);
            let counters =
                (decoded["use_counter"].as_u64().unwrap(), decoded["session_counter"].as_u64().unwrap());
            assert!(counters > last, "{counters:?} after {last:?}");
            last = counters;
        }
        emulator.signal("KILL");
        assert_eq!(emulator.wait(), 137);
    }
}

#[test]
fn swap_ndef_replug_and_show() {
    let home = Home::new();
    home.run(&[KEY, "otp", "swap", "--yes"]).exits(4).says("empty");
    home.run(&[KEY, "otp", "static", "1", "--generate", "-O", "keys.csv", "--yes"]).exits(0);
    home.run(&[KEY, "otp", "swap"]).exits(2).says("--yes");
    assert_eq!(home.json(&[KEY, "otp", "swap", "--yes"])["schema"], "otp-swap/1");
    let info = home.json(&[KEY, "otp", "info"]);
    for (slot, programmed) in [(1, false), (2, true)] {
        let told = &info["slots"][slot - 1];
        assert_eq!((&told["slot"], &told["programmed"]), (&slot.into(), &programmed.into()));
        assert_eq!(told["touch_triggered"], programmed);
    }
    let ndef = home.json(&[KEY, "otp", "ndef", "2", "--prefix", "https://example.org/#", "--yes"]);
    assert_eq!(ndef["prefix"], "https://example.org/#");
    home.run(&[KEY, "otp", "ndef", "2", "--prefix", &"x".repeat(60), "--yes"]).exits(2).says("54");
    assert_eq!(home.json(&[KEY, "emulate", "replug"])["done"], true);
    let shown = home.json(&[KEY, "emulate", "show"]);
    assert_eq!((&shown["slots"][0], &shown["slots"][1]["kind"]), (&Value::Null, &"static password".into()));
    assert_eq!(home.json(&[KEY, "otp", "delete", "2", "--force"])["slot"], 2);
}

#[test]
fn old_firmware_is_refused_what_it_cannot_do() {
    let home = Home::new();
    let emulator =
        Running::start(home.command(&["--json", "emulate", "run", "key.json", "--profile", "4.3.5"]));
    assert_eq!(home.json(&[KEY, "info"])["version"], "4.3.5");
    home.run(&[KEY, "otp", "ndef", "1", "--yes"]).exits(4).says("firmware");
    drop(emulator);
    home.run(&["emulate", "run", "key.json", "--profile", "5.4.3"]).exits(3).says("4.3.5");
    home.run(&["emulate", "run", "new.json", "--profile", "9.9.9"]).exits(2).says("5.7.4");
}

#[test]
fn a_foreign_state_file_is_named_and_left_alone() {
    let home = Home::new();
    for (text, place) in
        [("", "line 1"), ("{\n\"version\": 1,\n!", "line 3"), ("[1]", "line 1"), ("{\"a\":1}", "line 1")]
    {
        home.write("key.json", text);
        home.run(&[KEY, "info"]).exits(1).says("key.json").says(place);
        assert_eq!(home.read("key.json"), text);
    }
    home.run(&["--emulated=.", "info"]).exits(1);
}

#[test]
fn prompts_in_a_terminal() {
    let home = Home::new();
    let refused = home.terminal(&[KEY, "otp", "yubiotp", "1", "--show-secret"], &[("[y/N]", "n\n")]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stdout.contains("nothing was changed"), "{refused:?}");
    assert_eq!(home.json(&[KEY, "otp", "info"])["slots"][0]["programmed"], false);

    let ended = home.terminal(&[KEY, "otp", "yubiotp", "1", "--show-secret"], &[("[y/N]", "\x04")]);
    assert_eq!(ended.code, 1, "{ended:?}");

    let agreed = home.terminal(
        &[KEY, "otp", "chalresp", "1"],
        &[("Key", "abba\n"), ("[y/N]", "maybe\n"), ("[y/N]", "y\n")],
    );
    assert_eq!(agreed.code, 0, "{agreed:?}");
    assert!(!agreed.stdout.contains("abba"), "the secret was shown: {agreed:?}");
    assert_eq!(
        home.run(&[KEY, "challenge", "-x", "abba"]).exits(0).stdout,
        "f8de2586056d89d8b961a072d1245a495d2155e1\n"
    );
    let lost = home.terminal(&[KEY, "otp", "delete", "1"], &[("lost for good", ""), ("[y/N]", "\n")]);
    assert_eq!(lost.code, 1, "{lost:?}");
}

#[test]
fn ctrl_c_at_prompts() {
    let home = Home::new();
    for (arguments, prompt) in [
        (vec![KEY, "otp", "yubiotp", "1", "--show-secret"], "[y/N]"),
        (vec![KEY, "otp", "chalresp", "1"], "Key"),
        (vec!["otp", "decode", "--aes-key", "prompt", "x"], "AES key"),
    ] {
        let outcome = home.terminal(&arguments, &[(prompt, "\x03")]);
        assert_eq!(outcome.code, 130, "{outcome:?}");
        assert!(outcome.stdout.contains("nothing was changed"), "{outcome:?}");
    }
    assert_eq!(home.json(&[KEY, "otp", "info"])["slots"][0]["programmed"], false);
}

#[test]
fn raw_commands() {
    let home = Home::new();
    let apdu = |arguments: &[&str]| home.run(&[&["--emulated=key.json", "apdu"], arguments].concat());
    // The OTP application answers its SELECT with the firmware first.
    let said = apdu(&["00A40400:A0000005272001=", "0003"]).exits(0).stdout;
    assert!(said.lines().count() == 2 && said.lines().all(|line| line.starts_with("9000 050704")), "{said}");
    let said = apdu(&["--app", "management", "1D"]).exits(0).stdout;
    assert!(said.lines().nth(1).unwrap().starts_with("9000 "), "{said}");

    // The first unexpected status word ends it.
    let refused = apdu(&["00A40400:A0000005272001=", "00EE=", "0003"]).exits(4).says("6D00 where 9000");
    assert_eq!(refused.stdout.lines().count(), 2, "{refused:?}");
    let json = home.json(&["--emulated=key.json", "apdu", "--app", "otp", "EE=6D00"]);
    assert_eq!((&json["schema"], &json["responses"][1]["status"]), (&"apdu/1".into(), &"6D00".into()));

    // Nothing is sent where anything is malformed, and what may be a PIN is not repeated.
    apdu(&["00A40400:A0000005272001", "xyz"]).exits(2).says("APDU 2 is malformed").prints_nothing();
    apdu(&[]).exits(2);
    let input = "# the OTP application\n00A40400:A0000005272001=9000\n0020008:313233\n";
    let outcome = home.run_with(&["--emulated=key.json", "apdu", "-"], input).exits(2).prints_nothing();
    assert!(outcome.stderr.contains("command 2") && !outcome.stderr.contains("313233"), "{outcome:?}");
    let input = "# the OTP application\n\n00A40400:A0000005272001=9000\n0003\n";
    let outcome = home.run_with(&["--emulated=key.json", "apdu", "-"], input).exits(0);
    assert_eq!(outcome.stdout.lines().count(), 2, "{outcome:?}");
}
