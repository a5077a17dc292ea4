//! Every option of `ykpersonalize` and ours for the same make the same record, byte for byte.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tapkey_tests::{
    credential::told,
    lab::{self, Checks, Lab},
    parts, tapkey,
};

use super::{
    key::{Key, wait_for},
    run,
};

const STATE: &str = "/tmp/slots.json";
/// The same key in a file of its own, which ours programs without the detour over USB.
const OURS: &str = "/tmp/ours.json";

const AES: &str = "000102030405060708090a0b0c0d0e0f";
const HMAC: &str = "000102030405060708090a0b0c0d0e0f10111213";
const UID: &str = "010203040506";
const CODE: &str = "112233445566";
/// `c` and `b` change places.
const MAP: &str =
    "05060708090a0b0c0d0e0f111517181986858788898a8b8c8d8e8f9195979899271e1f202122232425269e2b28";

/// The slot, the common words, and pairs of ours and theirs.
struct Table {
    slot: u8,
    ours: &'static [&'static str],
    theirs: &'static [&'static str],
    pairs: &'static [(&'static [&'static str], &'static [&'static str])],
}

const YUBICO_OTP: Table = Table {
    slot: 1,
    ours: &["yubiotp", "1", "--public-id", "cccccccccccb", "--private-id", "env:UID", "--aes-key", "env:AES"],
    theirs: &[
        "-1",
        "-ofixed=cccccccccccb",
        "-ouid=010203040506",
        "-a000102030405060708090a0b0c0d0e0f",
        "-oserial-api-visible",
        "-oallow-update",
        "-ofast-trig",
    ],
    pairs: &[
        (&[], &[]),
        (&["--no-enter"], &["-o-append-cr"]),
        (&["--tab-first"], &["-otab-first"]),
        (&["--tab-after-id"], &["-oappend-tab1"]),
        (&["--tab-last"], &["-oappend-tab2"]),
        (&["--delay-after-id"], &["-oappend-delay1"]),
        (&["--delay-last"], &["-oappend-delay2"]),
        (&["--pacing", "10"], &["-opacing-10ms"]),
        (&["--pacing", "20"], &["-opacing-20ms"]),
        (&["--pacing", "30"], &["-opacing-10ms", "-opacing-20ms"]),
        (&["--send-reference"], &["-osend-ref"]),
        (&["--numeric-keypad"], &["-ouse-numeric-keypad"]),
        (&["--fast-trigger=no"], &["-o-fast-trig"]),
        (&["--allow-update=no"], &["-o-allow-update"]),
        (&["--dormant"], &["-odormant"]),
        (&["--led-inverted"], &["-oled-inv"]),
        (&["--serial-api-visible=no"], &["-o-serial-api-visible"]),
        (&["--serial-usb-visible"], &["-oserial-usb-visible"]),
        (&["--serial-button-visible"], &["-oserial-btn-visible"]),
        (&["--protect-slot-2"], &["-oprotect-cfg2"]),
        (&["--public-id", ""], &["-ofixed="]),
        (&["--public-id", "cbdefghijklnrtuvcbdefghijklnrtuv"], &["-ofixed=cbdefghijklnrtuvcbdefghijklnrtuv"]),
    ],
};

const HOTP: Table = Table {
    slot: 1,
    ours: &["hotp", "1", "--key", "env:HMAC"],
    theirs: &[
        "-1",
        "-ooath-hotp",
        "-a000102030405060708090a0b0c0d0e0f10111213",
        "-oserial-api-visible",
        "-oallow-update",
        "-ofast-trig",
        "-oappend-cr",
    ],
    // `-ooath-id` without a value was seen to write no id on a software key, so what `serial` makes is
    // compared with ykman instead.
    pairs: &[
        (&[], &["-ofixed=", "-ooath-imf=0"]),
        (&["--digits", "8"], &["-ofixed=", "-ooath-imf=0", "-ooath-hotp8"]),
        (&["--counter", "1048560"], &["-ofixed=", "-ooath-imf=1048560"]),
        (&["--identifier", "0123"], &["-ofixed=h:0123", "-ooath-imf=0"]),
        (&["--identifier", "ub01"], &["-ofixed=h:e101", "-ooath-imf=0", "-ooath-fixed-modhex1"]),
        (
            &["--identifier", "ubhe01234567"],
            &["-ofixed=h:e16301234567", "-ooath-imf=0", "-ooath-fixed-modhex2"],
        ),
        (&["--identifier", "ubhecccc"], &["-ofixed=h:e1630000", "-ooath-imf=0", "-ooath-fixed-modhex"]),
    ],
};

const CHALLENGE: Table = Table {
    slot: 2,
    ours: &["chalresp", "2"],
    theirs: &["-2", "-ochal-resp", "-oserial-api-visible", "-oallow-update", "-o-append-cr"],
    pairs: &[
        (
            &["--key", "env:HMAC"],
            &["-ochal-hmac", "-ohmac-lt64", "-a000102030405060708090a0b0c0d0e0f10111213"],
        ),
        (
            &["--key", "env:HMAC", "--fixed-64"],
            &["-ochal-hmac", "-o-hmac-lt64", "-a000102030405060708090a0b0c0d0e0f10111213"],
        ),
        (
            &["--key", "env:HMAC", "--touch"],
            &["-ochal-hmac", "-ohmac-lt64", "-ochal-btn-trig", "-a000102030405060708090a0b0c0d0e0f10111213"],
        ),
        (&["--key", "env:AES", "--yubico"], &["-ochal-yubico", "-a000102030405060708090a0b0c0d0e0f"]),
        (
            &["--key", "env:AES", "--yubico", "--touch"],
            &["-ochal-yubico", "-ochal-btn-trig", "-a000102030405060708090a0b0c0d0e0f"],
        ),
    ],
};

const STATIC_TICKET: Table = Table {
    slot: 2,
    ours: &["static-ticket", "2", "--private-id", "env:UID", "--aes-key", "env:AES", "--public-id", "cccccc"],
    theirs: &[
        "-2",
        "-ofixed=cccccc",
        "-ouid=010203040506",
        "-a000102030405060708090a0b0c0d0e0f",
        "-oserial-api-visible",
        "-oallow-update",
        "-ofast-trig",
        "-oappend-cr",
        "-ostatic-ticket",
    ],
    pairs: &[
        (&[], &["-o-strong-pw1", "-o-strong-pw2", "-o-man-update"]),
        (&["--strong-1", "--strong-2", "--manual-update"], &["-ostrong-pw1", "-ostrong-pw2", "-oman-update"]),
        (&["--strong-1"], &["-ostrong-pw1", "-o-strong-pw2", "-o-man-update"]),
        (
            &["--strong-2", "--send-reference"],
            &["-o-strong-pw1", "-ostrong-pw2", "-o-man-update", "-osend-ref"],
        ),
        (&["--short"], &["-o-strong-pw1", "-o-strong-pw2", "-o-man-update", "-oshort-ticket"]),
    ],
};

/// The example of the manual page, filled up to the length that ours always has.
const SCAN_CODES: Table = Table {
    slot: 1,
    ours: &["static", "1", "--password", "env:HELLO"],
    theirs: &[
        "-1",
        "-oshort-ticket",
        "-ofixed=h:8b080f0f122c9a12150f079e00000000",
        "-ouid=000000000000",
        "-a00000000000000000000000000000000",
        "-oserial-api-visible",
        "-oallow-update",
        "-ofast-trig",
    ],
    pairs: &[(&[], &[]), (&["--pacing", "20", "--tab-first"], &["-opacing-20ms", "-otab-first"])],
};

#[test]
fn every_option_of_ykpersonalize_has_one_of_ours() {
    let name = "slots::every_option_of_ykpersonalize_has_one_of_ours";
    if lab::step().is_none() {
        parts::part("ykpersonalize").unwrap();
        let lab = Lab::new(name).unwrap();
        lab.boot("checks", &["--timeout", "600"]).unwrap().finish().unwrap();
        return;
    }
    let plugged = Key::plug(Path::new(STATE)).unwrap();
    fs::copy(STATE, OURS).unwrap();
    let mut checks = Checks::new();
    for (name, table) in [
        ("Yubico OTP, and every flag", &YUBICO_OTP),
        ("OATH-HOTP", &HOTP),
        ("challenge-response", &CHALLENGE),
        ("static tickets", &STATIC_TICKET),
        ("scan codes", &SCAN_CODES),
    ] {
        checks.check(name, || compare(table));
    }
    checks.check("updates, access codes, swap and deletion", update_swap_delete);
    checks.check("NDEF and scan maps", tag_and_map);
    checks.check("ykinfo reads the same of both", || ykinfo(&plugged));
    drop(plugged);
    checks.finish().unwrap();
}

/// The state of a key, without what counts uses.
fn state(path: &str) -> Result<Value> {
    Ok(serde_json::from_str(&fs::read_to_string(path)?)?)
}

fn record(path: &str, slot: u8) -> Result<String> {
    let state = state(path)?;
    let record = state[format!("slot_{slot}")]["record"].as_str();
    Ok(record.with_context(|| format!("slot {slot} of {path} is empty"))?.to_owned())
}

fn theirs(arguments: &[&str]) -> Result<()> {
    run("ykpersonalize", &[&["-y"], arguments].concat())?;
    Ok(())
}

/// On the key in the file.
fn ours(arguments: &[&str]) -> Result<()> {
    tapkey_on(&[&format!("--emulated={OURS}")], arguments)
}

fn tapkey_on(choice: &[&str], arguments: &[&str]) -> Result<()> {
    let mut command = tapkey::command(Path::new("/tmp"))?;
    for (name, value) in
        [("UID", UID), ("AES", AES), ("HMAC", HMAC), ("CODE", CODE), ("HELLO", "Hello World!")]
    {
        command.env(name, value);
    }
    let output = command.args(choice).arg("otp").args(arguments).output()?;
    ensure!(output.status.success(), "{arguments:?}: {}", told(&output));
    Ok(())
}

fn compare(table: &Table) -> Result<()> {
    let mut wrong = Vec::new();
    for (our_part, their_part) in table.pairs {
        // A later word of ours wins where both are given.
        let mut words: Vec<&str> = table.ours.to_vec();
        if let [name, value] = our_part
            && let Some(at) = words.iter().position(|word| word == name)
        {
            words[at + 1] = value;
        } else {
            words.extend(*our_part);
        }
        ours(&[&words[..], &["--force"]].concat())?;
        // Likewise with theirs.
        let given = |word: &str| {
            let name = word.split('=').next().unwrap_or(word);
            their_part
                .iter()
                .any(|other| other.split('=').next() == Some(name) && name.starts_with("-ofixed"))
        };
        let base: Vec<&str> = table.theirs.iter().copied().filter(|word| !given(word)).collect();
        theirs(&[&base[..], their_part].concat())?;
        let (left, right) = (record(OURS, table.slot)?, record(STATE, table.slot)?);
        if left != right {
            wrong.push(format!("{our_part:?} and {their_part:?}:\n  {left}\n  {right}"));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn same(slot: u8) -> Result<()> {
    let (left, right) = (record(OURS, slot)?, record(STATE, slot)?);
    ensure!(left == right, "slot {slot}:\n  {left}\n  {right}");
    Ok(())
}

fn update_swap_delete() -> Result<()> {
    theirs(YUBICO_OTP.theirs)?;
    ours(&[YUBICO_OTP.ours, &["--force"]].concat())?;
    let (visible, fast) = ("-oserial-api-visible", "-ofast-trig");
    theirs(&["-u", "-1", "-o-append-cr", "-oappend-tab1", visible, fast])?;
    ours(&["settings", "1", "--no-enter", "--tab-after-id", "--yes"])?;
    same(1)?;
    theirs(&["-u", "-1", "-oaccess=112233445566", "-o-append-cr", "-oappend-tab1", visible, fast])?;
    ours(&["settings", "1", "--new-access-code", "env:CODE", "--yes"])?;
    same(1)?;
    theirs(&["-u", "-1", "-c112233445566", "-oaccess=000000000000", "-oappend-cr", visible, fast])?;
    ours(&[
        "settings",
        "1",
        "--access-code",
        "env:CODE",
        "--delete-access-code",
        "--enter",
        "--tab-after-id=no",
        "--yes",
    ])?;
    same(1)?;
    theirs(&[YUBICO_OTP.theirs, &["-oaccess=112233445566"]].concat())?;
    ours(&[YUBICO_OTP.ours, &["--new-access-code", "env:CODE", "--force"]].concat())?;
    same(1)?;
    theirs(&["-1", "-z", "-c112233445566"])?;
    ours(&["delete", "1", "--access-code", "env:CODE", "--force"])?;
    for path in [STATE, OURS] {
        ensure!(state(path)?["slot_1"].is_null(), "{path} still has it");
    }
    theirs(YUBICO_OTP.theirs)?;
    ours(&[YUBICO_OTP.ours, &["--force"]].concat())?;
    theirs(&["-x"])?;
    ours(&["swap", "--yes"])?;
    same(2)
}

fn tag_and_map() -> Result<()> {
    let equal = |what: &str| {
        let (left, right) = (state(OURS)?, state(STATE)?);
        ensure!(left[what] == right[what], "{what}: {} and {}", left[what], right[what]);
        Ok(())
    };
    theirs(&["-1", "-nhttps://example.org/otp#"])?;
    ours(&["ndef", "1", "--prefix", "https://example.org/otp#", "--yes"])?;
    equal("ndef")?;
    theirs(&["-2", "-tcode: "])?;
    ours(&["ndef", "2", "--type", "text", "--prefix", "code: ", "--yes"])?;
    equal("ndef")?;
    theirs(&[&format!("-S{MAP}")])?;
    ours(&["scan-map", "--map", MAP, "--yes"])?;
    equal("scan_map")?;
    theirs(&["-S"])?;
    ours(&["scan-map", "--reset", "--yes"])?;
    equal("scan_map")
}

/// Programmed over USB by either, the key says the same to ykinfo.
fn ykinfo(key: &Key) -> Result<()> {
    let serial = ["--serial", &state(STATE)?["serial"].to_string()].map(str::to_owned);
    let serial: Vec<&str> = serial.iter().map(String::as_str).collect();
    let read = || -> Result<Vec<String>> {
        let all = run("ykinfo", &["-a"])?;
        // How often it was written is not what is compared.
        Ok(all.lines().filter(|line| !line.starts_with("programming_sequence")).map(str::to_owned).collect())
    };
    for table in [&YUBICO_OTP, &HOTP] {
        let (first_ours, first_theirs) = table.pairs[0];
        theirs(&[table.theirs, first_theirs].concat())?;
        let by_theirs = (read()?, record(STATE, table.slot)?);
        key.settle()?;
        wait_for("hidraw", || Ok(super::key::hidraw(0)?.is_some()))?;
        tapkey_on(&serial, &[table.ours, first_ours, &["--force"]].concat())?;
        let by_ours = (read()?, record(STATE, table.slot)?);
        ensure!(by_theirs == by_ours, "{by_theirs:?} and {by_ours:?}");
        ensure!(by_ours.0.iter().any(|line| line == "slot1_status: 1"), "{by_ours:?}");
    }
    Ok(())
}
