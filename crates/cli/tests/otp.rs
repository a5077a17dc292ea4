//! The slots, with every setting, on a key made of software.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]
#![cfg(feature = "emulator")]

mod support;

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use support::{Home, Running, TestServer};

const KEY: &str = "--emulated=key.json";
const AES: &str = "000102030405060708090a0b0c0d0e0f";
const HMAC: &str = "000102030405060708090a0b0c0d0e0f10111213";

/// A machine with secrets in files.
fn home() -> Home {
    let home = Home::new();
    for (name, text) in [
        ("aes", AES),
        ("hmac", HMAC),
        ("uid", "010203040506"),
        ("code", "0a0b0c0d0e0f"),
        ("other", "0a0a0a0a0a0b"),
    ] {
        home.write(name, text);
    }
    home
}

/// The 52 bytes of a slot in the state file.
fn record(home: &Home, slot: u8) -> Vec<u8> {
    let state: Value = serde_json::from_str(&home.read("key.json")).unwrap();
    let text = state[format!("slot_{slot}")]["record"].as_str().unwrap().to_owned();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn flags(home: &Home, slot: u8) -> [u8; 3] {
    record(home, slot)[45..48].try_into().unwrap()
}

const YUBIOTP: [&str; 11] = [
    KEY,
    "otp",
    "yubiotp",
    "1",
    "--public-id",
    "cccccccccccb",
    "--private-id",
    "file:uid",
    "--aes-key",
    "file:aes",
    "--force",
];

/// Every option, and the one bit of the extended, ticket or configuration flags that it changes.
#[test]
fn every_option_sets_its_flag_and_nothing_else() {
    let home = home();
    home.run(&YUBIOTP).exits(0);
    let usual = flags(&home, 1);
    assert_eq!(usual, [0x34, 0x20, 0x00]);
    for (option, [extended, ticket, config]) in [
        ("--enter=no", [0, 0x20, 0]),
        ("--no-enter", [0, 0x20, 0]),
        ("--tab-first", [0, 0x01, 0]),
        ("--tab-after-id", [0, 0x02, 0]),
        ("--tab-last", [0, 0x04, 0]),
        ("--delay-after-id", [0, 0x08, 0]),
        ("--delay-last", [0, 0x10, 0]),
        ("--pacing=10", [0, 0, 0x04]),
        ("--pacing=20", [0, 0, 0x08]),
        ("--pacing=30", [0, 0, 0x0C]),
        ("--send-reference", [0, 0, 0x01]),
        ("--serial-button-visible", [0x01, 0, 0]),
        ("--serial-usb-visible", [0x02, 0, 0]),
        ("--serial-api-visible=no", [0x04, 0, 0]),
        ("--numeric-keypad", [0x08, 0, 0]),
        ("--no-fast-trigger", [0x10, 0, 0]),
        ("--fast-trigger=no", [0x10, 0, 0]),
        ("--allow-update=no", [0x20, 0, 0]),
        ("--dormant", [0x40, 0, 0]),
        ("--led-inverted", [0x80, 0, 0]),
        ("--protect-slot-2", [0, 0x80, 0]),
        ("--tab-first=no", [0, 0, 0]),
    ] {
        home.run(&[&YUBIOTP[..], &[option]].concat()).exits(0);
        let found = flags(&home, 1);
        assert_eq!(
            found,
            [usual[0] ^ extended, usual[1] ^ ticket, usual[2] ^ config],
            "{option}: {found:02x?}"
        );
    }
}

#[test]
fn single_settings_change_and_the_others_stay() {
    let home = home();
    home.run(&[&YUBIOTP[..], &["--tab-after-id", "--pacing", "20"]].concat()).exits(0);
    let before = record(&home, 1);
    let done = home.json(&[KEY, "otp", "settings", "1", "--no-enter", "--yes"]);
    assert_eq!((&done["changed"], &done["base"]), (&serde_json::json!(["enter"]), &"software state".into()));
    assert_eq!(flags(&home, 1), [0x34, 0x02, 0x08]);
    home.run(&[KEY, "otp", "settings", "1", "--enter", "--yes"]).exits(0);
    assert_eq!(record(&home, 1), before, "and back");
    home.run(&[KEY, "otp", "settings", "1", "--reset-others", "--tab-last", "--yes"]).exits(0);
    assert_eq!(flags(&home, 1), [0x34, 0x24, 0x00]);

    home.run(&[KEY, "otp", "settings", "1", "--yes"]).exits(2).says("nothing is to be changed");
    home.run(&[KEY, "otp", "settings", "1", "--protect-slot-2", "--yes"]).exits(2).says("--protect-slot-2");
    home.run(&[KEY, "otp", "settings", "2", "--enter", "--yes"]).exits(4).says("empty");
    // A slot that was programmed without leave to update it.
    home.run(&[&YUBIOTP[..], &["--allow-update=no"]].concat()).exits(0);
    home.run(&[KEY, "otp", "settings", "1", "--enter=no", "--yes"]).exits(4).says("update");
}

#[test]
fn settings_of_a_challenge_response_slot() {
    let home = home();
    home.run(&[KEY, "otp", "chalresp", "2", "--key", "file:hmac", "--touch", "--yes"]).exits(0);
    let before = flags(&home, 2);
    assert_eq!(before, [0x24, 0x40, 0x2E]);
    home.run(&[KEY, "otp", "settings", "2", "--tab-first", "--yes"])
        .exits(2)
        .says("--tab-first means nothing");
    home.run(&[KEY, "otp", "settings", "2", "--serial-usb-visible", "--yes"]).exits(0);
    assert_eq!(flags(&home, 2), [0x26, 0x40, 0x2E], "touch and variable length stay");
    home.run(&[KEY, "otp", "settings", "2", "--reset-others", "--dormant", "--yes"]).exits(0);
    assert_eq!(flags(&home, 2), [0x64, 0x40, 0x2E]);
    home.run(&[KEY, "challenge", "-2", "-x", "00"]).exits(4);
}

#[test]
fn access_codes_are_kept_replaced_and_deleted() {
    let home = home();
    home.run(&[&YUBIOTP[..], &["--new-access-code", "file:code"]].concat()).exits(0);
    home.run(&[KEY, "otp", "settings", "1", "--no-enter", "--yes"]).exits(4).says("--access-code");
    let with_code = [KEY, "otp", "settings", "1", "--yes", "--access-code", "file:code"];
    home.run(&[&with_code[..], &["--no-enter"]].concat()).exits(2).says("--keep-access-code");
    home.run(&[&with_code[..], &["--no-enter", "--keep-access-code"]].concat()).exits(0);
    home.run(&[&with_code[..], &["--new-access-code", "generate"]].concat()).exits(2).says("--output");
    home.run(&[&with_code[..], &["--new-access-code", "generate", "-O", "codes.csv"]].concat()).exits(0);
    let line = home.read("codes.csv");
    let columns: Vec<&str> = line.trim_end().split(',').collect();
    assert_eq!((columns[1], columns[2]), ("access-code", "slot=1"), "{line}");
    assert_eq!(std::fs::metadata(home.path("codes.csv")).unwrap().permissions().mode() & 0o777, 0o600);
    home.write("drawn", columns[4]);
    // A refused update takes its line back.
    home.run(&[&with_code[..], &["--new-access-code", "generate", "-O", "codes.csv"]].concat()).exits(4);
    assert_eq!(home.read("codes.csv"), line);
    home.run(&[KEY, "otp", "delete", "1", "--force", "--access-code", "file:code"]).exits(4).says("wrong");
    let drawn = [KEY, "otp", "settings", "1", "--yes", "--access-code", "file:drawn", "--delete-access-code"];
    home.run(&drawn).exits(0);
    home.run(&[KEY, "otp", "delete", "1", "--force"]).exits(0);
    // Other lines of the same file are no credentials.
    home.run(&["otp", "convert", "--from", "codes.csv"]).exits(2).says("no credential");
}

/// Firmware 4.3.5 cannot change a code by update, and takes no update that would.
#[test]
fn firmware_that_cannot_change_a_code_is_not_asked_to() {
    let home = home();
    let _key = Running::start(home.command(&["--json", "emulate", "run", "key.json", "--profile", "4.3.5"]));
    home.run(&[&YUBIOTP[..], &["--new-access-code", "file:code"]].concat()).exits(0);
    let settings = [KEY, "otp", "settings", "1", "--yes", "--access-code", "file:code"];
    for change in [&["--delete-access-code"][..], &["--new-access-code", "file:other"]] {
        let outcome = home.run(&[&settings[..], change].concat()).exits(4);
        outcome.says("4.3.").says("deleted and programmed anew");
    }
    home.run(&[&settings[..], &["--keep-access-code", "--no-enter"]].concat()).exits(0);
    assert_eq!(flags(&home, 1)[1], 0);
}

#[test]
fn every_kind_of_slot_has_its_record() {
    let home = home();
    let static_ticket = [KEY, "otp", "static-ticket", "2", "-p", "file:uid", "-k", "file:aes", "--force"];
    for (more, config) in [
        (&[][..], 0x20),
        (&["--short"], 0x22),
        (&["--strong-1"], 0x30),
        (&["--strong-2"], 0x60),
        (&["--manual-update"], 0xA0),
        (&["--send-reference", "--strong-2"], 0x61),
    ] {
        home.run(&[&static_ticket[..], more].concat()).exits(0);
        assert_eq!(flags(&home, 2)[2], config, "{more:?}");
        let typed = home.run(&[KEY, "emulate", "press", "--slot", "2"]).exits(0).stdout;
        assert_eq!(typed, home.run(&[KEY, "emulate", "press", "--slot", "2"]).stdout, "{more:?}");
    }
    let hotp = [KEY, "otp", "hotp", "2", "--key", "file:hmac", "--force"];
    for (more, config, id) in [
        (&[][..], 0x00, ""),
        (&["--digits", "8", "--counter", "1048560"], 0x02, ""),
        (&["--identifier", "ub01"], 0x10, "ub01"),
        (&["--identifier", "ubhe01234567"], 0x40, "ubhe01234567"),
        (&["--identifier", "ubhecccccccc"], 0x50, "ubhecccccccc"),
        (&["--identifier", "01234567"], 0x00, "01234567"),
    ] {
        home.run(&[&hotp[..], more].concat()).exits(0);
        assert_eq!(flags(&home, 2)[2], config, "{more:?}");
        let typed = home.run(&[KEY, "emulate", "press", "--slot", "2"]).exits(0).stdout;
        assert!(typed.starts_with(id), "{more:?} {typed}");
    }
    let chalresp = [KEY, "otp", "chalresp", "2", "--force", "--key"];
    for (more, config) in [
        (&["file:hmac"][..], 0x26),
        (&["file:hmac", "--fixed-64"], 0x22),
        (&["file:hmac", "--touch"], 0x2E),
        (&["file:aes", "--yubico"], 0x20),
        (&["file:aes", "--yubico", "--touch"], 0x28),
    ] {
        home.run(&[&chalresp[..], more].concat()).exits(0);
        assert_eq!(flags(&home, 2), [0x24, 0x40, config], "{more:?}");
    }
    home.run(&[&chalresp[..], &["file:hmac", "--tab-first"]].concat()).exits(2).says("--tab-first");
}

#[test]
fn passwords_for_other_keyboards() {
    let home = home();
    home.write("password", "Zürich^2 größer");
    let typed =
        |layout: &'static str| [KEY, "otp", "static", "2", "--password", "file:password", "-f", "-k", layout];
    let outcome = home.run(&typed("us")).exits(2).says("'ü'").says("character 2").says("de");
    assert!(!outcome.all().contains("rich"), "the rest of the password is nobody's business: {outcome:?}");
    home.run(&typed("klingon")).exits(2).says("bepo");
    home.run(&typed("DE")).exits(0);
    let codes = record(&home, 2)[..38].to_vec();
    // Z stands at Y's place, ü at [, and ^ waits for Space.
    assert_eq!(codes[..9], [0x9C, 0x2F, 0x15, 0x0C, 0x06, 0x0B, 0x35, 0x2C, 0x1F]);

    home.write("codes", "8b080f0f12");
    home.run(&[KEY, "otp", "static", "2", "--scan-codes", "--password", "file:codes", "-f", "--no-enter"])
        .exits(0);
    assert_eq!(home.json(&[KEY, "emulate", "press", "--slot", "2"])["typed"], "Hello");

    let drawn = home.json(&[KEY, "otp", "static", "2", "-g", "-l", "20", "-k", "fr", "--show-secret", "-f"]);
    let password = drawn["secrets"]["password"].as_str().unwrap();
    assert!(password.len() == 20 && password.is_ascii(), "{password}");
    let drawn = home.json(&[
        KEY,
        "otp",
        "static",
        "2",
        "-g",
        "-l",
        "9",
        "--alphabet",
        "chars:ab",
        "--show-secret",
        "-f",
    ]);
    assert!(
        drawn["secrets"]["password"].as_str().unwrap().bytes().all(|byte| b"ab".contains(&byte)),
        "{drawn}"
    );
    home.run(&[KEY, "otp", "static", "2", "-g", "--alphabet", "chars:aé", "--show-secret", "-f"])
        .exits(2)
        .says("'é'");
    let layouts = home.json(&["otp", "layouts"]);
    assert!(layouts["layouts"].as_array().unwrap().len() > 20);
    let german = home.json(&["otp", "layouts", "de"]);
    assert!(german["layouts"][0]["characters"].as_str().unwrap().contains('ß'));
    assert!(german["layouts"][0]["composed"].as_str().unwrap().contains('^'));
}

#[test]
fn scan_maps_and_tags() {
    let home = home();
    home.run(&[&YUBIOTP[..], &["--no-enter"]].concat()).exits(0);
    home.run(&[KEY, "otp", "scan-map", "-k", "dvorak", "--yes"]).exits(0);
    let typed = home.json(&[KEY, "emulate", "press"])["typed"].as_str().unwrap().to_owned();
    // c stands where a US keyboard has i.
    assert!(typed.starts_with("iiiiiiiiiii"), "{typed}");
    home.run(&[KEY, "otp", "scan-map", "--map", "0605", "--yes"]).exits(2).says("45 codes");
    home.run(&[KEY, "otp", "scan-map", "--yes"]).exits(2).says("--layout");
    assert_eq!(home.json(&[KEY, "otp", "scan-map", "--reset", "--yes"])["map"], Value::Null);
    let typed = home.json(&[KEY, "emulate", "press"])["typed"].as_str().unwrap().to_owned();
    assert!(typed.starts_with("cccccccccccb"), "{typed}");

    let text = [KEY, "otp", "ndef", "1", "--type", "text", "--prefix", "Grüße ", "--yes"];
    home.run(&[&text[..], &["--encoding", "utf-16", "--language", "de"]].concat()).exits(0);
    assert_eq!(home.json(&[KEY, "otp", "info"])["ndef"]["text"], "Grüße ");
    home.run(&[KEY, "otp", "ndef", "1", "--encoding", "utf-16", "--yes"]).exits(2).says("--encoding");
    home.run(&text).exits(0);
    assert_eq!(home.json(&[KEY, "otp", "info"])["ndef"]["slot"], 1);
}

fn facts(info: &Value, slot: usize) -> Vec<(String, String, String)> {
    let facts = info["slots"][slot]["facts"].as_array().unwrap();
    let text = |fact: &Value, name: &str| fact[name].as_str().unwrap().to_owned();
    facts.iter().map(|fact| (text(fact, "name"), text(fact, "value"), text(fact, "source"))).collect()
}

#[test]
fn info_says_what_is_known_and_from_where() {
    let home = home();
    home.run(&YUBIOTP).exits(0);
    home.run(&[KEY, "otp", "chalresp", "2", "--key", "file:hmac", "--touch", "--yes"]).exits(0);
    let before = home.read("key.json");
    let info = home.json(&[KEY, "otp", "info"]);
    assert_eq!(home.read("key.json"), before, "looking changed something");
    let [first, second] = [facts(&info, 0), facts(&info, 1)];
    for expected in [
        ("state", "programmed, acts on a touch", "key"),
        ("challenge", "answers no HMAC-SHA1 challenges", "probe"),
        ("kind", "Yubico OTP", "software state"),
        ("public id", "cccccccccccb", "software state"),
        ("settings", "enter, fast-trigger, allow-update, serial-api-visible", "software state"),
        ("access code", "none", "software state"),
    ] {
        let expected = (expected.0.to_owned(), expected.1.to_owned(), expected.2.to_owned());
        assert!(first.contains(&expected), "{expected:?} is not in {first:?}");
    }
    assert_eq!(info["slots"][1]["hmac_probe"], "waits-for-touch", "{second:?}");
    assert!(info["slots"][0]["contradictions"].as_array().unwrap().is_empty());
    assert_eq!(home.json(&[KEY, "emulate", "show"])["led"], "on", "it is left blinking");
    let text = home.run(&[KEY, "otp", "info"]).exits(0).stdout;
    assert!(text.contains("SOURCE") && text.contains("cccccccccccb"), "{text}");
    for secret in [AES, HMAC] {
        assert!(!text.contains(secret) && !info.to_string().contains(secret));
    }
    let quiet = home.json(&[KEY, "otp", "info", "--no-probe"]);
    assert!(quiet["slots"][1].get("hmac_probe").is_none());
}

/// Without a touch the answer itself shows whether the secret is still the one that was written.
#[test]
fn what_is_remembered_is_held_against_the_key() {
    let home = home();
    home.run(&[KEY, "otp", "chalresp", "2", "--key", "file:hmac", "--yes"]).exits(0);
    let info = home.json(&[KEY, "otp", "info"]);
    let same =
        ("secret".to_owned(), "the one that was written".to_owned(), "probe and remembered".to_owned());
    assert!(facts(&info, 1).contains(&same), "{info}");

    let folder = home.path("state/tapkey/slots");
    let mut remembered = Vec::new();
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{path:?}");
        if path.extension().is_some_and(|name| name == "json") {
            remembered.push(path);
        }
    }
    let [memory] = remembered.as_slice() else { panic!("{remembered:?}") };
    let before = std::fs::read_to_string(memory).unwrap();
    assert!(!before.contains(HMAC), "{before}");

    // Somebody else writes another key, and later something of another kind.
    home.write("hmac", "ff0102030405060708090a0b0c0d0e0f10111213");
    home.run(&[KEY, "otp", "chalresp", "2", "--key", "file:hmac", "--force"]).exits(0);
    std::fs::write(memory, &before).unwrap();
    home.run(&[KEY, "otp", "info"]).exits(0).says("slot 2: the slot answers with another secret");
    home.run(&[KEY, "otp", "static", "2", "-g", "--show-secret", "--force"]).exits(0);
    std::fs::write(memory, &before).unwrap();
    let info = home.json(&[KEY, "otp", "info"]);
    let told = info["slots"][1]["contradictions"].to_string();
    assert!(told.contains("acts on one") && told.contains("answers no such challenge"), "{told}");
    home.run(&[KEY, "otp", "delete", "2", "--force"]).exits(0);
    std::fs::write(memory, &before).unwrap();
    home.run(&[KEY, "otp", "info"]).exits(0).says("the slot is empty");
    home.run(&[KEY, "otp", "info", "--forget"]).exits(0);
    let info = home.json(&[KEY, "otp", "info"]);
    assert!(info["slots"][1]["contradictions"].as_array().unwrap().is_empty(), "{info}");

    // A file that is none is named, and nothing is overwritten unseen.
    std::fs::write(memory, "{}").unwrap();
    home.run(&[KEY, "otp", "info"]).exits(1).says(memory.file_name().unwrap().to_str().unwrap());
    home.run(&[KEY, "otp", "chalresp", "2", "--key", "file:hmac", "--yes"])
        .exits(0)
        .says("not be remembered");
}

#[test]
fn memory_follows_swaps_and_deletions() {
    let home = home();
    home.run(&YUBIOTP).exits(0);
    home.run(&[KEY, "otp", "swap", "--yes"]).exits(0);
    let info = home.json(&[KEY, "otp", "info"]);
    assert_eq!(info["slots"][1]["remembered"]["public_id"], "cccccccccccb");
    assert!(info["slots"][0].get("remembered").is_none());
    assert!(info["slots"][1]["contradictions"].as_array().unwrap().is_empty(), "{info}");
    home.run(&[KEY, "otp", "delete", "2", "--force"]).exits(0);
    assert!(home.json(&[KEY, "otp", "info"])["slots"][1].get("remembered").is_none());
}

#[test]
#[cfg(feature = "server")]
fn the_server_is_asked_when_it_is_named() {
    let home = home();
    let server = TestServer::start(&home);
    let enroll = ["enroll", "--account", "alice", "--create-account", "--slot", "2", "--yes"];
    home.run(&[&[KEY][..], &server.options(), &enroll].concat()).exits(0);
    let info = home.json(&[&[KEY][..], &server.options(), &["otp", "info"]].concat());
    let enrolled = facts(&info, 1).into_iter().find(|fact| fact.2 == "server").unwrap();
    assert!(enrolled.1.contains("alice") && enrolled.1.contains("active"), "{enrolled:?}");
    let id = info["slots"][1]["remembered"]["public_id"].as_str().unwrap();
    assert!(enrolled.1.starts_with(id), "{enrolled:?} and {id}");
    assert_eq!(info["slots"][1]["remembered"]["by"], "enroll");
    let alone =
        home.run(&[KEY, "--server", "http://127.0.0.1:1", "--token-file", &server.token_file, "otp", "info"]);
    alone.exits(0).says("was not asked");
}

#[test]
fn lists_are_programmed_and_converted() {
    let home = home();
    home.run(&[KEY, "info"]).exits(0);
    let serial = home.json(&[KEY, "info"])["serial"].to_string();
    home.write(
        "keys.csv",
        &format!(
            "7,vvcccccccccd,010203040506,{AES},,T,\n{serial},vvcccccccccb,010203040506,{AES},0a0b0c0d0e0f,T,\n"
        ),
    );
    home.run(&[KEY, "otp", "program", "--from", "keys.csv", "--yes"]).exits(2).says("--slot");
    let plan = home.json(&[KEY, "otp", "program", "--from", "keys.csv", "--slot", "1", "--dry-run"]);
    assert_eq!((&plan["line"], &plan["public_id"]), (&2.into(), &"vvcccccccccb".into()));
    assert_eq!(home.json(&[KEY, "otp", "info"])["slots"][0]["programmed"], false, "it was a dry run");
    let done =
        home.json(&[KEY, "otp", "program", "--from", "keys.csv", "--slot", "1", "--yes", "--no-enter"]);
    assert_eq!((&done["line"], &done["access_code"]), (&2.into(), &true.into()));
    assert_eq!(flags(&home, 1), [0x34, 0, 0]);
    assert_eq!(record(&home, 1)[38..44], [10, 11, 12, 13, 14, 15]);
    home.run(&[KEY, "otp", "program", "--from", "keys.csv", "--slot", "1", "--line", "1", "--yes"])
        .exits(2)
        .says("serial number 7");
    home.write("keys.csv", &format!("7,vvcccccccccd,010203040506,{AES},,T,\n\n8,vv,c0ffee,{AES},,,\n"));
    let outcome = home.run(&[KEY, "otp", "program", "--from", "keys.csv", "--slot", "2", "--yes"]).exits(2);
    assert!(!outcome.all().contains("c0ffee"), "{outcome:?}");
    outcome.says("line 3").says("private id");

    // A log of the Personalization Tool tells the slot.
    home.write(
        "log.csv",
        &format!("LOGGING START,1/2/30\nOATH-HOTP,1/2/30,2,ubhebbbbbbbb,,{HMAC},,,0,1,0,8,16,0,0,0,0,0\n"),
    );
    let checked = home.json(&["otp", "convert", "--from", "log.csv"]);
    assert_eq!((&checked["entries"], &checked["kinds"]["OATH-HOTP"]), (&1.into(), &1.into()));
    home.run(&["otp", "convert", "--from", "log.csv", "--to", "ykman", "-O", "out.csv"]).exits(0);
    assert_eq!(home.read("out.csv"), format!(",hotp,digits=8 counter=16 id=ubhe11111111,{HMAC},,1/2/30,\n"));
    assert_eq!(std::fs::metadata(home.path("out.csv")).unwrap().permissions().mode() & 0o777, 0o600);
    home.run(&["otp", "convert", "--from", "log.csv", "--to", "ykman", "-O", "out.csv"]).exits(2);
    home.run(&[KEY, "otp", "program", "--from", "log.csv", "--line", "2", "--yes"]).exits(0);
    let typed = home.run(&[KEY, "emulate", "press", "--slot", "2"]).exits(0).stdout;
    assert!(typed.starts_with("ubhe11111111") && typed.trim().len() == 20, "{typed}");

    let flexible =
        ["--output-format", "flexible", "--output-template", "{configSlot}|{secretKeyTxt}", "-O", "own.log"];
    home.run(&[&[KEY, "otp", "chalresp", "2", "--key", "file:hmac", "-f"][..], &flexible].concat()).exits(0);
    assert_eq!(home.read("own.log"), format!("2|{HMAC}\n"));
    let own = ["otp", "convert", "--from", "own.log", "--template", "{configSlot}|{secretKeyTxt}"];
    home.run(&own).exits(2).says("--as hotp");
    home.run(&[&own[..], &["--as", "chalresp"]].concat()).exits(0);
}

/// Lines without serial numbers: one for each key, and never one twice.
#[test]
fn lines_are_taken_in_order() {
    let home = home();
    let list: String =
        ["vvcb", "vvcd", "vvce"].iter().map(|id| format!(",{id},010203040506,{AES},,T,\n")).collect();
    home.write("keys.csv", &list);
    let next = |key: &str| {
        home.run(&[
            &format!("--emulated={key}"),
            "--json",
            "otp",
            "program",
            "--from",
            "keys.csv",
            "--slot",
            "1",
            "--next",
            "-y",
        ])
    };
    assert_eq!(next("a.json").exits(0).json()["public_id"], "vvcb");
    next("a.json").exits(2).says("this key has had a line");
    assert_eq!(next("b.json").exits(0).json()["public_id"], "vvcd");
    let ledger = home.read("keys.csv.used");
    assert!(!ledger.contains(AES) && ledger.lines().count() == 4, "{ledger}");
    assert_eq!(std::fs::metadata(home.path("keys.csv.used")).unwrap().permissions().mode() & 0o777, 0o600);

    // A key that refuses leaves its line to the next one.
    let protect = [
        "--emulated=c.json",
        "otp",
        "static",
        "1",
        "-g",
        "--show-secret",
        "-y",
        "--new-access-code",
        "file:code",
    ];
    home.run(&protect).exits(0);
    home.run(&["--emulated=c.json", "otp", "program", "--from", "keys.csv", "--slot", "1", "--next", "-f"])
        .exits(4);
    assert_eq!(next("d.json").exits(0).json()["public_id"], "vvce");
    next("e.json").exits(2).says("every line of the list was used");

    // Interrupted after the line was taken, a run goes on with it.
    let cut: String = ledger.lines().take(3).map(|line| format!("{line}\n")).collect();
    home.write("keys.csv.used", &cut);
    home.run(&["--emulated=b.json", "otp", "delete", "1", "--force"]).exits(0);
    assert_eq!(next("b.json").exits(0).json()["public_id"], "vvcd");
}

#[test]
fn what_firmware_does_not_have_is_named() {
    let home = home();
    let outcome = home.run(&[&YUBIOTP[..], &["--delay-last", "--numeric-keypad"]].concat()).exits(0);
    outcome.says("--delay-last is documented for firmware 2").says("--numeric-keypad");
    home.run(&[&YUBIOTP[..], &["--tab-first=perhaps"]].concat()).exits(2).says("yes or no");
    home.run(&[&YUBIOTP[..], &["--pacing", "15"]].concat()).exits(2).says("0, 10, 20 or 30");
}

/// PSKC, plain and encrypted: what is written is programmed again, and nothing of it is readable.
#[test]
fn pskc_files_there_and_back() {
    let home = home();
    let serial = home.json(&[KEY, "info"])["serial"].to_string();
    home.write(
        "keys.csv",
        &format!("{serial},vvcccccccccb,010203040506,{AES},,T,\n7,hotp,digits=8 counter=16,{HMAC},,T,\n"),
    );
    home.write("passphrase", "correct horse battery");
    home.write("short", "short");
    home.write("shared", AES);
    let convert = ["otp", "convert", "--from", "keys.csv", "--to", "pskc"];
    home.run(&[&convert[..], &["-O", "plain.xml"]].concat()).exits(0);
    home.run(&[&convert[..], &["-O", "x.xml", "--to-passphrase", "file:short"]].concat()).exits(2);
    for (file, lock, unlock) in [
        ("phrase.xml", ["--to-passphrase", "file:passphrase"], ["--pskc-passphrase", "file:passphrase"]),
        ("key.xml", ["--to-key", "file:shared"], ["--pskc-key", "file:shared"]),
    ] {
        home.run(&[&convert[..], &["-O", file], &lock].concat()).exits(0);
        assert!(!home.read(file).contains("AAECAwQFBgcICQoLDA0ODw"), "the key is readable");
        let back = ["otp", "convert", "--from", file, "--to", "yubico", "-O", &format!("{file}.csv")];
        home.run(&[&back[..], &unlock].concat()).exits(0);
        assert!(home.read(&format!("{file}.csv")).contains(&format!("vvcccccccccb,010203040506,{AES}")));
        home.write("passphrase.wrong", "another horse battery");
        let program = [KEY, "otp", "program", "--slot", "1", "--force", "--from", file];
        home.run(&[&program[..], &unlock].concat()).exits(0);
        assert_eq!(record(&home, 1)[22..38], (0..16).collect::<Vec<u8>>());
        home.run(&[&program[..], &["--pskc-passphrase", "file:passphrase.wrong"]].concat()).exits(2);
    }
    home.run(&[
        "otp",
        "convert",
        "--from",
        "keys.csv",
        "--to",
        "ykman",
        "-O",
        "y",
        "--to-key",
        "file:shared",
    ])
    .exits(2)
    .says("only PSKC");
}
