//! Accounts that one program stores, the other one uses: ykman 5.9 and our own, on the same key.

use std::{fs, path::Path, time::SystemTime};

use serde_json::Value;
use tapkey_emulator::Profile;
use tapkey_protocol::oath::{Algorithm, Digits, hotp, steam_code, totp};
use tapkey_tests::{
    parts::part,
    pcscd::{Pcscd, Run},
};

use super::{SERIAL, key, key_5};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const BYTES: &[u8] = b"12345678901234567890";
const OTHER: u32 = SERIAL + 1;

fn ykman(pcscd: &Pcscd, arguments: &[&str]) -> String {
    pcscd.ykman(0, &[&["oath"], arguments].concat()).unwrap().succeeds().unwrap()
}

fn tapkey_on(pcscd: &Pcscd, serial: u32, arguments: &[&str]) -> Run {
    let serial = serial.to_string();
    pcscd.tapkey(&[&["--serial", &serial, "--json", "oath"], arguments].concat()).unwrap()
}

fn tapkey(pcscd: &Pcscd, arguments: &[&str]) -> Value {
    serde_json::from_str(&tapkey_on(pcscd, SERIAL, arguments).succeeds().unwrap()).unwrap()
}

/// Runs ykman with a line that it asks for.
fn ykman_told(pcscd: &Pcscd, line: &str, arguments: &[&str]) -> Run {
    let program = part("ykman").unwrap().with_file_name("ykman");
    let serial = SERIAL.to_string();
    let script = format!("printf '%s\\n' '{line}' | \"$0\" \"$@\"");
    let fixed = ["-c", &script, program.to_str().unwrap(), "--device", &serial, "oath"];
    pcscd.run(Path::new("/bin/sh"), &[&fixed[..], arguments].concat()).unwrap()
}

fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
}

/// Runs something again when a period has ended meanwhile.
fn at_one_time<T>(mut work: impl FnMut() -> T) -> (u64, T) {
    loop {
        let before = now();
        let result = work();
        if before / 30 == now() / 30 {
            return (before, result);
        }
    }
}

#[test]
fn what_ykman_stores_we_use() {
    let pcscd = Pcscd::start(vec![key_5()]).unwrap();
    ykman(&pcscd, &["accounts", "add", "alice", SECRET, "-i", "Example"]);
    ykman(&pcscd, &["accounts", "add", "bob", SECRET, "-a", "SHA256", "-d", "8", "-P", "60"]);
    ykman(&pcscd, &["accounts", "add", "gamer", SECRET, "-i", "Steam"]);
    ykman(&pcscd, &["accounts", "add", "counting", SECRET, "-o", "HOTP", "-c", "3"]);
    let (at, all) = at_one_time(|| tapkey(&pcscd, &["accounts", "code"]));
    let code = |name: &str| {
        let accounts = all["accounts"].as_array().unwrap();
        accounts.iter().find(|one| one["name"] == name).unwrap()["code"].clone()
    };
    assert_eq!(code("Example:alice"), totp(Algorithm::Sha1, BYTES, at, 30, Digits::SIX).to_string());
    assert_eq!(code("bob"), totp(Algorithm::Sha256, BYTES, at, 60, Digits::EIGHT).to_string());
    assert_eq!(code("Steam:gamer"), steam_code(&Algorithm::Sha1.hmac(BYTES, &(at / 30).to_be_bytes())));
    let counted = tapkey(&pcscd, &["accounts", "code", "counting"]);
    assert_eq!(counted["accounts"][0]["code"], hotp(BYTES, 3, Digits::SIX).to_string());
    assert_eq!(
        ykman(&pcscd, &["accounts", "code", "-s", "counting"]).trim(),
        hotp(BYTES, 4, Digits::SIX).to_string()
    );
}

#[test]
fn what_we_store_ykman_uses() {
    let pcscd = Pcscd::start(vec![key_5()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, SECRET).unwrap();
    let source = format!("file:{}", secret.display());
    let add = |arguments: &[&str]| {
        tapkey(&pcscd, &[&["accounts", "add", "-s", &source], arguments].concat());
    };
    add(&["Example:alice"]);
    add(&["bob", "-a", "SHA512", "-d", "7", "-P", "60"]);
    add(&["Steam:gamer"]);
    add(&["counting", "-o", "hotp", "-c", "7"]);
    tapkey(&pcscd, &["accounts", "rename", "alice", "Example:carol"]);
    let single =
        |name: &str| at_one_time(|| ykman(&pcscd, &["accounts", "code", "-s", name]).trim().to_owned());
    let (at, code) = single("carol");
    assert_eq!(code, totp(Algorithm::Sha1, BYTES, at, 30, Digits::SIX).to_string());
    let (at, code) = single("bob");
    assert_eq!(code, totp(Algorithm::Sha512, BYTES, at, 60, Digits::SEVEN).to_string());
    let (at, code) = single("gamer");
    assert_eq!(code, steam_code(&Algorithm::Sha1.hmac(BYTES, &(at / 30).to_be_bytes())));
    assert_eq!(
        ykman(&pcscd, &["accounts", "code", "-s", "counting"]).trim(),
        hotp(BYTES, 7, Digits::SIX).to_string()
    );
    tapkey(&pcscd, &["accounts", "delete", "bob", "-f"]);
    let mut names: Vec<String> = ykman(&pcscd, &["accounts", "list"]).lines().map(str::to_owned).collect();
    names.sort();
    assert_eq!(names, ["Example:carol", "Steam:gamer", "counting"]);
    // With -o and -P both programs say the same of each account.
    let theirs = ykman(&pcscd, &["accounts", "list", "-o", "-P"]);
    let ours = tapkey(&pcscd, &["accounts", "list"]);
    for account in ours["accounts"].as_array().unwrap() {
        let kind = account["type"].as_str().unwrap().to_uppercase();
        let line = theirs.lines().find(|line| line.starts_with(account["name"].as_str().unwrap())).unwrap();
        assert!(line.contains(&kind), "{line} {account}");
    }
}

#[test]
fn passwords_of_one_open_for_the_other() {
    let pcscd = Pcscd::start(vec![key_5()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        format!("file:{}", path.display())
    };
    let (theirs, ours, wrong) =
        (file("a", "of ykman"), file("b", "pässwörd of tapkey"), file("c", "guessed"));
    ykman(&pcscd, &["accounts", "add", "alice", SECRET]);
    ykman(&pcscd, &["access", "change", "-n", "of ykman"]);
    assert_eq!(tapkey_on(&pcscd, SERIAL, &["accounts", "list", "-p", &wrong]).code(), Some(4));
    let list = tapkey(&pcscd, &["accounts", "list", "-p", &theirs, "-r"]);
    assert_eq!(list["accounts"][0]["name"], "alice");
    // Both call the application of this key the same.
    assert!(list["device_id"].as_str().unwrap().len() == 22);
    tapkey(&pcscd, &["access", "change", "-n", &ours]);
    let refused = pcscd.ykman(0, &["oath", "accounts", "list", "-p", "of ykman"]).unwrap();
    refused.fails().unwrap();
    assert_eq!(ykman(&pcscd, &["accounts", "list", "-p", "pässwörd of tapkey"]).trim(), "alice");
    tapkey(&pcscd, &["access", "change", "--clear"]);
    assert_eq!(ykman(&pcscd, &["accounts", "list"]).trim(), "alice");
}

/// What one program writes into a key file, the other one reads: plain, with a key, with a passphrase.
#[test]
fn key_files_travel_both_ways() {
    let pcscd = Pcscd::start(vec![key_5(), key(Profile::YUBIKEY_5_4_3, OTHER)]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("key"), "000102030405060708090a0b0c0d0e0f").unwrap();
    fs::write(path("passphrase"), "a long passphrase").unwrap();
    let (key_source, passphrase_source) =
        (format!("file:{}", path("key")), format!("file:{}", path("passphrase")));
    let theirs: [(&str, &[&str], &[&str]); 3] = [
        ("plain", &[], &[]),
        ("with-key", &["--pskc-key", "000102030405060708090a0b0c0d0e0f"], &["--pskc-key", &key_source]),
        (
            "with-passphrase",
            &["--pskc-passphrase", "a long passphrase"],
            &["--pskc-passphrase", &passphrase_source],
        ),
    ];
    for (name, writing, reading) in theirs {
        let (account, file) = (format!("theirs-{name}"), path(&format!("{name}.xml")));
        let add = [
            "accounts", "add", &account, SECRET, "-i", "Example", "-a", "SHA256", "-d", "8", "-P", "60",
            "-O", &file,
        ];
        ykman(&pcscd, &[&add[..], writing].concat());
        let run = tapkey_on(&pcscd, OTHER, &[&["accounts", "import", &file], reading].concat());
        run.succeeds().unwrap();
        let run = || tapkey_on(&pcscd, OTHER, &["accounts", "code", "-s", &account]).succeeds().unwrap();
        let (at, code) = at_one_time(run);
        let code: Value = serde_json::from_str(&code).unwrap();
        let expected = totp(Algorithm::Sha256, BYTES, at, 60, Digits::EIGHT).to_string();
        assert_eq!(code["accounts"][0]["code"], expected, "{name}");
        assert_eq!(code["accounts"][0]["name"], format!("Example:{account}"), "{name}");
    }

    fs::write(path("secret"), SECRET).unwrap();
    let secret = format!("file:{}", path("secret"));
    let ours: [(&str, &[&str], &str); 3] = [
        ("plain", &[], ""),
        ("with-key", &["--pskc-key", &key_source], "000102030405060708090a0b0c0d0e0f"),
        ("with-passphrase", &["--pskc-passphrase", &passphrase_source], "a long passphrase"),
    ];
    for (name, writing, told) in ours {
        let (account, file) = (format!("Example:ours-{name}"), path(&format!("ours-{name}.xml")));
        let add = ["accounts", "add", &account, "-s", &secret, "-o", "hotp", "-c", "5", "-O", &file];
        tapkey_on(&pcscd, OTHER, &[&add[..], writing].concat()).succeeds().unwrap();
        ykman_told(&pcscd, told, &["accounts", "import", "-f", &file]).succeeds().unwrap();
        let code = ykman(&pcscd, &["accounts", "code", "-s", &account]);
        assert_eq!(code.trim(), hotp(BYTES, 5, Digits::SIX).to_string(), "{name}");
    }
}
