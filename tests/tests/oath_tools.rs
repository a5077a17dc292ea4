//! Codes against the OATH Toolkit, and passwords in a real keyring.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use tapkey_tests::{parts::part, tapkey};

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn oath(home: &Path, arguments: &[&str]) -> Value {
    let mut command = tapkey::command(home).unwrap();
    let output = command.args(["--json", "--emulated", "oath"]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn oathtool(arguments: &[&str]) -> String {
    let output = Command::new(part("oathtool").unwrap()).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn codes_are_those_of_the_oath_toolkit() {
    let home = tempfile::tempdir().unwrap();
    let secret = home.path().join("secret");
    fs::write(&secret, SECRET).unwrap();
    let source = format!("file:{}", secret.display());
    let mut wanted = Vec::new();
    for hash in ["SHA1", "SHA256", "SHA512"] {
        for digits in ["6", "7", "8"] {
            for period in ["30", "60", "17"] {
                let name = format!("{hash}-{digits}-{period}");
                oath(
                    home.path(),
                    &["accounts", "add", &name, "-s", &source, "-a", hash, "-d", digits, "-P", period],
                );
                wanted.push((name, hash, digits, period));
            }
        }
    }
    let codes = oath(home.path(), &["accounts", "code"]);
    let at = format!("@{}", codes["at"]);
    let accounts = codes["accounts"].as_array().unwrap();
    for (name, hash, digits, period) in wanted {
        let ours = accounts.iter().find(|one| one["name"] == name.as_str()).unwrap();
        let step = format!("{period}s");
        let mode = format!("--totp={hash}");
        let theirs = oathtool(&[&mode, "-b", "-d", digits, "-s", &step, "-N", &at, SECRET]);
        assert_eq!(ours["code"], theirs, "{name}");
    }
    oath(home.path(), &["accounts", "add", "counting", "-s", &source, "-o", "hotp", "-c", "40"]);
    for counter in 40..43 {
        let ours = oath(home.path(), &["accounts", "code", "counting"]);
        let theirs = oathtool(&["--hotp", "-b", "-c", &format!("{counter}"), SECRET]);
        assert_eq!(ours["accounts"][0]["code"], theirs);
    }
}

/// GNOME Keyring on a D-Bus session of its own keeps the access key; nothing of it is in a file of ours.
#[test]
fn a_password_in_the_desktops_keyring() {
    let (session, keyring) = (part("dbus-run-session").unwrap(), part("gnome-keyring-daemon").unwrap());
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("password"), "correct horse\n").unwrap();
    fs::create_dir(home.path().join("run")).unwrap();
    let script = format!(
        "set -e\n\
         printf '\\n' | '{}' --unlock --components=secrets >/dev/null\n\
         oath() {{ \"$0\" --emulated oath \"$@\"; }}\n\
         oath access change --new file:password >/dev/null\n\
         oath access remember --in keyring --password file:password >/dev/null\n\
         oath info; oath accounts list; echo listed\n\
         oath access forget\n\
         oath accounts list || echo locked\n",
        keyring.display()
    );
    let program = tapkey::command(home.path()).unwrap();
    let mut command = Command::new(session);
    command.args(["--", "sh", "-c", &script]).arg(program.get_program()).current_dir(home.path());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("XDG_RUNTIME_DIR", home.path().join("run")).env_remove("DBUS_SESSION_BUS_ADDRESS");
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    for text in ["remembered here (keyring)", "listed", "one password was forgotten", "locked"] {
        assert!(stdout.contains(text), "{text}: {stdout}\n{stderr}");
    }
    let file = fs::read_to_string(home.path().join("state/tapkey/oath-keys.json")).unwrap();
    assert!(!file.contains("access_key"), "{file}");
}
