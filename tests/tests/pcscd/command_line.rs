//! `tapkey emulate run --pcscd`, as its users start it.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tapkey_tests::{
    parts::{command, part},
    tapkey,
};

/// `tapkey emulate run key.json --pcscd --json`, and what it printed.
struct Running {
    child: Child,
    said: Value,
}

impl Running {
    fn start(folder: &Path, more: &[&str]) -> Self {
        let mut command = tapkey::command(folder).unwrap();
        command.args(["--json", "emulate", "run", "key.json", "--pcscd"]).args(more).current_dir(folder);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, said: serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}")) }
    }

    fn socket(&self) -> &Path {
        Path::new(self.said["pcscd"]["socket"].as_str().unwrap())
    }

    fn readers(&self) -> String {
        let mut opensc = command(part("opensc-tool").unwrap());
        opensc.arg("-l").env(self.said["pcscd"]["variable"].as_str().unwrap(), self.socket());
        String::from_utf8(opensc.output().unwrap().stdout).unwrap()
    }

    fn end(&mut self, signal: &str) {
        Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_private_service_is_there_until_it_is_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Running::start(folder.path(), &[]);
    assert_eq!(running.said["schema"], "emulate-run/1");
    assert_eq!(running.said["pcscd"]["reader"], "Yubico YubiKey OTP+FIDO+CCID 00 00");
    assert!(running.readers().contains("Yubico YubiKey OTP+FIDO+CCID 00 00"));
    let socket = running.socket().to_owned();
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &socket.ancestors().nth(2).unwrap().metadata().unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o700, "nobody else can reach it");
    running.end("-TERM");
    assert!(!socket.ancestors().nth(2).unwrap().exists(), "nothing is left behind");
}

#[test]
fn a_killed_emulator_leaves_no_service_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut running = Running::start(folder.path(), &["--nfc"]);
    assert_eq!(running.said["pcscd"]["reader"], "ACS ACR122U PICC Interface 00 00");
    let socket = running.socket().to_owned();
    running.end("-KILL");
    let start = Instant::now();
    while socket.ancestors().nth(2).unwrap().exists() {
        assert!(start.elapsed() < Duration::from_secs(5), "{} is still there", socket.display());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn where_there_can_be_no_private_service_the_other_way_is_told() {
    let folder = tempfile::tempdir().unwrap();
    // A path without any program: no unshare, so no namespaces.
    let mut command = tapkey::command(folder.path()).unwrap();
    command.args(["emulate", "run", "key.json", "--pcscd"]).current_dir(folder.path());
    let output = command.env("PATH", folder.path()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    // `unshare` stands in /usr/bin, which is not on the path.
    assert_eq!(output.status.code(), Some(6), "{text}");
    for part in
        ["/etc/reader.conf.d/tapkey", "FRIENDLYNAME \"Yubico YubiKey", "LIBPATH /", "DEVICENAME unix:"]
    {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn the_configuration_for_the_systems_pcscd() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut command = tapkey::command(folder.path()).unwrap();
        command.args(["emulate", "run", "key.json", "--print-reader-conf"]).args(arguments);
        let output = command.current_dir(folder.path()).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = run(&[]);
    assert_eq!(code, Some(0));
    let socket = folder.path().canonicalize().unwrap().join("key.json.sock");
    assert!(text.contains(&format!("DEVICENAME unix:{}\n", socket.display())), "{text}");
    assert!(text.contains("FRIENDLYNAME \"Yubico YubiKey OTP+FIDO+CCID\"\n"), "{text}");
    let driver = text.lines().find_map(|line| line.strip_prefix("LIBPATH ")).unwrap();
    assert!(Path::new(driver).exists(), "{driver}");
    assert!(run(&["--nfc"]).1.contains("FRIENDLYNAME \"ACS ACR122U PICC Interface\"\n"));
    assert_eq!(run(&["--reader-driver", "/nonexistent.so"]).0, Some(2));
}
