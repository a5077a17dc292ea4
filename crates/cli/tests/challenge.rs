//! Challenges in use: padding of other programs, codes, sign-ins, pam_yubico's files, disks.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]
#![cfg(feature = "emulator")]

mod support;

use std::os::unix::fs::{PermissionsExt, symlink};

use serde_json::Value;
use support::{Home, Outcome, TAPKEY};

const KEY: &str = "--emulated=key.json";
/// Bytes 0 to 19.
const HMAC_KEY: &str = "000102030405060708090a0b0c0d0e0f10111213";

/// A key that answers in slot 2.
fn home() -> Home {
    let home = Home::new();
    home.write("key", HMAC_KEY);
    home.run(&[KEY, "otp", "chalresp", "2", "--key", "file:key", "--yes"]).exits(0);
    home
}

fn ask(home: &Home, arguments: &[&str]) -> Outcome {
    home.run(&[&[KEY, "challenge", "-2"], arguments].concat())
}

/// The answers are by Python's `hmac`, of what the slot hashes of the frame.
#[test]
fn padding_of_other_programs() {
    let home = home();
    let (plain, one, two) = (
        "652a02ab43218e9956efffaeb4fe936f43e49f2c",
        "8714830c2b8bf5abdc9dd8c1b4bbf8c81a6472ca",
        "86a2d99b285ef4acc8404346595103bae74e95af",
    );
    let ends_in_the_count = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20";
    for (padding, challenge, answer) in [
        ("exact", "68656c6c6f", plain),
        ("zeros", "68656c6c6f", plain),
        ("keepassxc", "68656c6c6f", plain),
        // A zero at the end counts, or is lost.
        ("exact", "1100", two),
        ("zeros", "1100", one),
        ("keepassxc", "1100", two),
        // Thirty-two bytes are added, and the slot takes the challenge's own 0x20 for another.
        ("keepassxc", ends_in_the_count, "3672f8e3f8f2a0f64cb45a7897431f1582c750a3"),
    ] {
        let said = ask(&home, &["--padding", padding, "-x", challenge]).exits(0).stdout;
        assert_eq!(said, format!("{answer}\n"), "{padding} {challenge}");
    }
    ask(&home, &["--padding", "zeros", "-Y", "x"]).exits(2);
    ask(&home, &["--padding", "other", "x"]).exits(2);
}

#[test]
fn codes_of_the_time() {
    let home = home();
    let at = |arguments: &[&str]| {
        let arguments = [arguments, &["--at", "1111111109"]].concat();
        ask(&home, &arguments).exits(0).stdout
    };
    assert_eq!(at(&["-T"]), at(&["-t", "-6"]));
    assert_eq!(at(&["-T", "-8"]), at(&["-t", "-8"]));
    assert_eq!(at(&["-T", "-8"]).trim().len(), 8);
    // The step stands in eight bytes, big-endian.
    let step = format!("{:016x}", 1_111_111_109 / 30);
    assert_eq!(at(&["-T"]), ask(&home, &["-6", "-x", &step]).exits(0).stdout);
    assert_eq!(ask(&home, &["-T"]).exits(0).stdout.trim().len(), 6);
    ask(&home, &["--at", "5", "x"]).exits(2).says("-T");
    ask(&home, &["-T", "x"]).exits(2);
    ask(&home, &["-T", "-Y"]).exits(2);
}

#[test]
fn called_by_the_name_of_the_other_program() {
    let home = home();
    let link = home.path("ykchalresp");
    symlink(TAPKEY, &link).unwrap();
    let call = |arguments: &[&str]| {
        let mut command = std::process::Command::new(&link);
        home.tame(&mut command);
        Outcome::of(command.arg(KEY).args(arguments).output().unwrap())
    };
    home.write("hello", "hello");
    let hello = "652a02ab43218e9956efffaeb4fe936f43e49f2c\n";
    for arguments in
        [&["-2", "hello"][..], &["-2", "-H", "-x", "68656c6c6f"], &["-2", "-ihello"], &["-2", "-N", "hello"]]
    {
        assert_eq!(call(arguments).exits(0).stdout, hello, "{arguments:?}");
    }
    assert_eq!(call(&["-2", "-x", "1100"]).exits(0).stdout, call(&["-2", "-x", "11"]).exits(0).stdout);
    assert_eq!(call(&["-2", "-t", "-8"]).exits(0).stdout.trim().len(), 8);
}

#[test]
fn sign_ins_ask_what_was_derived_here() {
    let home = home();
    let nonce = "07".repeat(16);
    let base = ["--sign-in", "https://login.example.org", "--account", "alice", "--nonce", &nonce];
    let sign_in = |change: &[(usize, &str)], more: &[&str]| -> Value {
        let mut arguments = base;
        for (at, text) in change {
            arguments[*at] = text;
        }
        home.json(&[&[KEY, "challenge", "-2"], &arguments[..], more].concat())
    };
    let first = sign_in(&[], &[]);
    // The known answers of tapkey_protocol::challenge::sign_in.
    let challenge = first["challenge"].as_str().unwrap().to_owned();
    assert_eq!(challenge, "e72aec18aca048afb89748188039306be3733b87bfa653c003412ac93b4886dd");
    assert_eq!(ask(&home, &["-x", &challenge]).exits(0).stdout.trim(), first["response"].as_str().unwrap());
    assert_eq!(sign_in(&[(1, "HTTPS://Login.example.org:443/")], &[]), first);
    let other_nonce = "08".repeat(16);
    let others = [
        sign_in(&[(1, "https://login.example.com")], &[]),
        sign_in(&[(3, "bob")], &[]),
        sign_in(&[(5, &other_nonce)], &[]),
        sign_in(&[], &["--purpose", "confirm"]),
    ];
    for (at, other) in others.iter().enumerate() {
        assert_ne!((&other["challenge"], &other["response"]), (&first["challenge"], &first["response"]));
        assert!(others[..at].iter().all(|earlier| earlier["challenge"] != other["challenge"]));
    }
    // What the server sent is never what the slot was asked.
    assert_ne!(ask(&home, &["-x", &nonce]).exits(0).stdout.trim(), first["response"].as_str().unwrap());

    let refused = |change: &[(usize, &str)], more: &[&str], says: &str| {
        let mut arguments = base;
        for (at, text) in change {
            arguments[*at] = text;
        }
        ask(&home, &[&arguments[..], more].concat()).exits(2).prints_nothing().says(says);
    };
    refused(&[(5, "0707")], &[], "16 to 255");
    refused(&[(1, "login.example.org")], &[], "https://");
    refused(&[(3, "")], &[], "account");
    refused(&[], &["--purpose", "pay"], "purpose");
    for more in [&["-x"][..], &["-T"], &["-6"], &["--padding", "zeros"], &["hello"], &["-Y"]] {
        refused(&[], more, "cannot be used with");
    }
    ask(&home, &["--sign-in", "https://login.example.org"]).exits(2);
}

#[test]
fn a_pam_file_is_made_shown_verified_and_renewed() {
    let home = home();
    let serial = home.json(&[KEY, "info"])["serial"].to_string();
    let pam = |arguments: &[&str]| home.run(&[&[KEY, "challenge", "pam-file"], arguments].concat());
    pam(&["verify"]).exits(2).says("create");
    let made = home.json(&[KEY, "challenge", "pam-file", "create", "-2"]);
    let path = home.path(&format!(".yubico/challenge-{serial}"));
    assert_eq!(made["path"], path.display().to_string());
    assert_eq!((&made["version"], &made["slot"], &made["written"]), (&2.into(), &2.into(), &true.into()));
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    let read = || std::fs::read_to_string(&path).unwrap();
    let first = read();
    let fields: Vec<&str> = first.trim_end().split(':').collect();
    let lengths: Vec<usize> = fields.iter().map(|field| field.len()).collect();
    assert_eq!((lengths, fields[4]), (vec![2, 126, 40, 64, 5, 1], "10000"));

    // Neither the answer nor what is like it is ever shown.
    let shown = home.json(&["challenge", "pam-file", "show", path.to_str().unwrap()]);
    assert_eq!((&shown["schema"], &shown["iterations"]), (&"pam-file/1".into(), &10_000.into()));
    assert!(!shown.to_string().contains(fields[2]) && !shown.to_string().contains(fields[1]));

    assert_eq!(home.json(&[KEY, "challenge", "pam-file", "verify"])["valid"], true);
    assert_eq!(read(), first, "verifying alone writes nothing");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(home.json(&[KEY, "challenge", "pam-file", "verify", "--renew"])["written"], true);
    assert_ne!(read(), first);
    assert_eq!(mode(&path), 0o640, "the rights are the old file's");
    pam(&["verify"]).exits(0);

    pam(&["create", "-2"]).exits(2).says("--force");
    pam(&["create", "-2", "--force", "--iterations", "1"]).exits(0);
    pam(&["create", "-2", "--force", "--iterations", "0"]).exits(2);
    pam(&["verify"]).exits(0);

    // Another key in the slot: told, with an exit code of its own, and the file stays.
    let before = read();
    home.write("other", &HMAC_KEY.replace("13", "14"));
    home.run(&[KEY, "otp", "chalresp", "2", "--key", "file:other", "--force"]).exits(0);
    let outcome = pam(&["verify", "--renew"]).exits(1);
    assert!(outcome.stdout.contains("another"), "{outcome:?}");
    assert_eq!(read(), before);
    home.run(&[KEY, "otp", "delete", "2", "--force"]).exits(0);
    pam(&["verify"]).exits(4);
    // A slot that does not answer makes no file.
    pam(&["create", "-2", "--file", "new"]).exits(4);
    assert!(!home.path("new").exists());
}

#[test]
fn a_pam_file_in_the_systems_folder_and_of_the_first_version() {
    let home = home();
    let serial = home.json(&[KEY, "info"])["serial"].to_string();
    std::fs::create_dir(home.path("pam")).unwrap();
    let pam = |arguments: &[&str]| home.run(&[&[KEY, "challenge", "pam-file"], arguments].concat());
    pam(&["create", "-2", "--folder", "pam", "--user", "alice"]).exits(0);
    pam(&["verify", "--folder", "pam", "--user", "alice"]).exits(0);
    assert!(home.path(&format!("pam/alice-{serial}")).exists());
    pam(&["create", "-2", "--folder", "pam"]).exits(2).says("--user");
    // Who one is counts for that folder only.
    for more in [&["--folder", "pam"][..], &["--file", "mine"], &[]] {
        let mut command = home.command(&[&[KEY, "challenge", "pam-file", "create", "-2"], more].concat());
        Outcome::of(command.env("USER", "carol").output().unwrap()).exits(0);
    }
    assert!(home.path(&format!("pam/carol-{serial}")).exists() && home.path("mine").exists());
    pam(&["create", "-2", "--folder", "pam", "--user", "../alice"]).exits(2);

    // The plain answer to the published challenge stands in it.
    home.write("v1", "v1:68656c6c6f:652a02ab43218e9956efffaeb4fe936f43e49f2c:2\n");
    pam(&["show", "v1"]).exits(0).says("plain");
    pam(&["verify", "--file", "v1"]).exits(0);
    pam(&["verify", "--file", "v1", "--renew"]).exits(0);
    assert!(home.read("v1").starts_with("v2:"));
    pam(&["verify", "--file", "v1"]).exits(0);
    home.write("foreign", "v3:00:00\n");
    pam(&["show", "foreign"]).exits(2).says("version");
}

#[test]
fn a_disks_passphrase_is_always_the_same_one() {
    let home = home();
    home.write("known", "correct horse\n");
    let make = |arguments: &[&str]| home.run(&[&[KEY, "challenge", "luks-passphrase"], arguments].concat());
    let first = make(&["-2", "--volume", "uuid-1"]).exits(0);
    assert_eq!(first.stdout, "Go-tvgdfs1lWJ3yyzktqNacScCwkVdx8c8gtJHbyf7U", "no line end");
    assert_eq!(first.stdout, make(&["-2", "--volume", "uuid-1"]).exits(0).stdout);
    let known = make(&["-2", "--volume", "uuid-1", "--passphrase", "file:known"]).exits(0);
    assert_eq!(known.stdout, "Li_8uQk11eQCvu_tUEkrwJZIfnIAAkduZXQMOkTJ70E");
    assert!(!known.stderr.contains("horse"), "{known:?}");
    assert_ne!(first.stdout, make(&["-2", "--volume", "uuid-2"]).exits(0).stdout);
    let document = home.json(&[KEY, "challenge", "luks-passphrase", "-2", "--volume", "uuid-1"]);
    assert_eq!((&document["schema"], &document["derivation"]), (&"luks-passphrase/1".into(), &1.into()));
    assert_eq!(document["passphrase"], first.stdout);

    make(&["-1", "--volume", "uuid-1"]).exits(4).prints_nothing();
    make(&["-2", "--volume", ""]).exits(2);
    make(&["-2"]).exits(2);
    home.write("empty", "\n");
    make(&["-2", "--volume", "v", "--passphrase", "file:empty"]).exits(2).says("leave --passphrase out");
    make(&["-2", "--volume", "v", "--passphrase", "secret"]).exits(2).says("file:PATH");
    let hidden = home.terminal(&[KEY, "challenge", "luks-passphrase", "-2", "--volume", "uuid-1"], &[]);
    assert_eq!(hidden.code, 2, "{hidden:?}");
    assert!(!hidden.stdout.contains(&first.stdout) && hidden.stdout.contains("--show-secret"), "{hidden:?}");
    let arguments = [KEY, "challenge", "luks-passphrase", "-2", "--volume", "uuid-1", "--show-secret"];
    assert!(home.terminal(&arguments, &[]).stdout.contains(&first.stdout));
}

#[test]
fn words_of_commands_go_behind_two_dashes() {
    let home = home();
    let dashes = ask(&home, &["--", "pam-file"]).exits(0).stdout;
    assert_eq!(dashes, ask(&home, &["-x", "70616d2d66696c65"]).exits(0).stdout);
    // The global options may stand anywhere.
    home.run(&["challenge", "luks-passphrase", "-2", "--volume", "v", KEY]).exits(0);
    home.run(&["challenge", KEY, "luks-passphrase", "-2", "--volume", "v"]).exits(0);
    ask(&home, &["luks-passphrase", "--volume", "v"]).exits(2).says("behind it");
}
