//! One card and several programs: gpg's scdaemon, scripts that keep the card, and ours, which waits, says for whom, and
//! stops nobody.
//!
//! The emulated key has no OpenPGP application, without which scdaemon lets go of a card at once. So here a small one
//! stands in front of the key: enough for scdaemon to take it for a card of its own and keep it.

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use tapkey_emulator::port::{in_process::PluggedKey, pcscd::Reader};
use tapkey_protocol::link::CardLink;
use tapkey_tests::{
    parts::{command, part},
    pcscd::{Pcscd, serve_card},
};
use tempfile::TempDir;

use super::{SERIAL, key_5};

const NAME: &str = "Yubico YubiKey OTP+FIDO+CCID";
/// The card's number, as gpg tells it: the OpenPGP application, version 3.4, maker 6, number 12345678.
const CARD: &str = "D2760001240103040006123456780000";

/// The emulated key with an OpenPGP application that has nothing but a number.
struct WithOpenPgp {
    key: Box<dyn CardLink>,
    selected: bool,
}

impl WithOpenPgp {
    fn answer(&mut self, command: &[u8]) -> Vec<u8> {
        let data = command.get(5..).unwrap_or_default();
        if command.starts_with(&[0x00, 0xA4, 0x04]) {
            self.selected = data.starts_with(&[0xD2, 0x76, 0x00, 0x01, 0x24, 0x01]);
            if self.selected {
                return vec![0x90, 0x00];
            }
        }
        if !self.selected {
            return self.key.transmit(command).unwrap();
        }
        match command {
            [_, 0xCA, p1, p2, ..] => object(u16::from_be_bytes([*p1, *p2])),
            _ => vec![0x6D, 0x00],
        }
    }
}

fn object(tag: u16) -> Vec<u8> {
    let number = [0xD2, 0x76, 0, 1, 0x24, 1, 3, 4, 0, 6, 0x12, 0x34, 0x56, 0x78, 0, 0];
    let tlv = |tag: &[u8], value: &[u8]| [tag, &[u8::try_from(value.len()).unwrap()], value].concat();
    let status = [0x00, 0x7F, 0x7F, 0x7F, 3, 0, 3];
    let rsa = [1, 8, 0, 0, 0x20, 0];
    let data = match tag {
        0x004F => number.to_vec(),
        0x5F52 => vec![0x00, 0x73, 0, 0, 0x80, 0x05, 0x90, 0x00],
        0x00C4 => status.to_vec(),
        0x006E => {
            let inner = [
                tlv(&[0xC0], &[0x7C, 0, 0, 0x20, 8, 0, 0, 0xFF, 1, 0]),
                tlv(&[0xC1], &rsa),
                tlv(&[0xC2], &rsa),
                tlv(&[0xC3], &rsa),
                tlv(&[0xC4], &status),
            ]
            .concat();
            [
                tlv(&[0x4F], &number),
                tlv(&[0x5F, 0x52], &[0, 0x73, 0, 0, 0x80, 5, 0x90, 0]),
                tlv(&[0x73], &inner),
            ]
            .concat()
        }
        _ => return vec![0x6A, 0x88],
    };
    let data = if tag == 0x006E { tlv(&[0x6E], &data) } else { data };
    [data.as_slice(), &[0x90, 0x00]].concat()
}

/// A smart-card service with such a card.
struct Bench {
    pcscd: Pcscd,
    _folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("card.sock");
        let key = PluggedKey::new(key_5()).unwrap();
        let card: Box<dyn CardLink> = Box::new(key.card().unwrap());
        let card = Arc::new(Mutex::new(WithOpenPgp { key: card, selected: false }));
        serve_card(&socket, move |command| Some(card.lock().unwrap().answer(command))).unwrap();
        let pcscd = Pcscd::with_readers(&[Reader::new(NAME, &socket)]).unwrap();
        pcscd.wait_for_cards(1).unwrap();
        Self { pcscd, _folder: folder }
    }

    fn tapkey(&self, arguments: &[&str]) -> tapkey_tests::pcscd::Run {
        self.pcscd.tapkey(arguments).unwrap()
    }

    /// Our program, while the test goes on.
    fn beside(&self, arguments: &[&str]) -> Child {
        let mut command = tapkey_tests::tapkey::command(self._folder.path()).unwrap();
        command.env("PCSCLITE_CSOCK_NAME", self.pcscd.socket()).args(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// gpg's agent and scdaemon with a home of their own. They end with this.
struct Gpg {
    home: TempDir,
    socket: std::path::PathBuf,
}

impl Gpg {
    fn new(pcscd: &Pcscd, settings: &str) -> Self {
        part("scdaemon").unwrap();
        let home = tempfile::tempdir().unwrap();
        let log = home.path().join("log");
        let settings = format!("{settings}debug-level expert\nlog-file {}\n", log.display());
        std::fs::write(home.path().join("scdaemon.conf"), settings).unwrap();
        Self { home, socket: pcscd.socket().to_owned() }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = command(Path::new(program));
        command.env("GNUPGHOME", self.home.path()).env("PCSCLITE_CSOCK_NAME", &self.socket);
        command
    }

    /// What scdaemon says to these commands.
    fn ask(&self, commands: &[&str]) -> Result<String> {
        let commands = commands.iter().map(|one| format!("scd {one}"));
        let output = self.command("gpg-connect-agent").args(commands).arg("/bye").output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let log = || std::fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
        ensure!(!text.contains("ERR "), "{text}\n{}", log());
        Ok(text)
    }

    /// Reads the card's number from the card.
    fn works(&self) -> Result<()> {
        let text = self.ask(&["serialno", "getattr CHV-STATUS"])?;
        ensure!(text.contains(CARD) && text.contains("CHV-STATUS"), "{text}");
        Ok(())
    }

    fn process(&self) -> u32 {
        let text = self.ask(&["getinfo pid"]).unwrap();
        text.lines().find_map(|line| line.strip_prefix("D ")).unwrap().trim().parse().unwrap()
    }

    /// What the hint of our program says, done by a person.
    fn kill_scdaemon(&self) {
        assert!(self.command("gpgconf").args(["--kill", "scdaemon"]).status().unwrap().success());
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = self.command("gpgconf").args(["--kill", "all"]).status();
    }
}

#[test]
fn gpg_that_shares_works_before_during_and_after() {
    let bench = Bench::new();
    let gpg = Gpg::new(&bench.pcscd, "disable-ccid\npcsc-shared\n");
    gpg.works().unwrap();
    let process = gpg.process();
    let info = bench.tapkey(&["--json", "info"]).succeeds().unwrap();
    assert!(info.contains(&SERIAL.to_string()), "{info}");
    gpg.works().unwrap();
    // Both at once, for as long as it takes.
    thread::scope(|scope| {
        let ours = scope.spawn(|| {
            (0..8).map(|_| bench.tapkey(&["info"]).succeeds()).collect::<Result<Vec<_>>>().map(|_| ())
        });
        while !ours.is_finished() {
            gpg.works().unwrap();
        }
        ours.join().unwrap().unwrap();
    });
    gpg.works().unwrap();
    assert_eq!(gpg.process(), process, "it was never stopped");
    let doctor = bench.tapkey(&["doctor"]).succeeds().unwrap();
    assert!(doctor.contains(&format!("shared with gpg's scdaemon (process {process})")), "{doctor}");
}

#[test]
fn gpg_that_keeps_the_card_is_waited_for_and_named_but_never_stopped() {
    let bench = Bench::new();
    let gpg = Gpg::new(&bench.pcscd, "disable-ccid\n");
    gpg.works().unwrap();
    let process = gpg.process();
    let who = format!("gpg's scdaemon (process {process})");

    let run = bench.tapkey(&["info"]);
    assert_eq!(run.code(), Some(6), "{run}");
    let text = run.fails().unwrap();
    assert!(text.contains(&format!("Waiting for the key, which {who} is using")), "{text}");
    assert!(text.contains(&format!("in use by {who}")), "{text}");
    assert!(text.contains("gpgconf --kill scdaemon") && text.contains("pcsc-shared"), "{text}");
    let doctor = bench.tapkey(&["doctor"]);
    assert_eq!(doctor.code(), Some(1), "{doctor}");
    assert!(doctor.to_string().contains(&format!("{who} has the card in {NAME}")), "{doctor}");
    // A list does not wait long.
    let start = Instant::now();
    let list = bench.tapkey(&["--json", "list"]).succeeds().unwrap();
    assert!(list.contains(&who) && start.elapsed() < Duration::from_secs(6), "{list}");
    gpg.works().unwrap();
    assert_eq!(gpg.process(), process, "it was never stopped");

    // As soon as it lets go, the command that waits goes on.
    let waiting = bench.beside(&["info"]);
    thread::sleep(Duration::from_millis(2500));
    gpg.kill_scdaemon();
    let output = waiting.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains(&who), "{output:?}");
    // gpg starts its program again when it needs it, once its agent has noticed that the old one is gone.
    let start = Instant::now();
    while let Err(error) = gpg.works() {
        assert!(start.elapsed() < Duration::from_secs(10), "{error:?}");
        thread::sleep(Duration::from_millis(100));
    }
    assert_ne!(gpg.process(), process);
}

/// Connects to the card for itself alone, or shares it and keeps a transaction, until a line comes.
const KEEP: &str = r#"
import sys
from smartcard.scard import *
_, context = SCardEstablishContext(SCARD_SCOPE_USER)
_, readers = SCardListReaders(context, [])
mode = SCARD_SHARE_EXCLUSIVE if sys.stdin.readline().strip() == "exclusive" else SCARD_SHARE_SHARED
result, card, _ = SCardConnect(context, readers[0], mode, SCARD_PROTOCOL_ANY)
assert result == SCARD_S_SUCCESS, result
if mode == SCARD_SHARE_SHARED:
    assert SCardBeginTransaction(card) == SCARD_S_SUCCESS
print("kept", flush=True)
sys.stdin.readline()
if mode == SCARD_SHARE_SHARED:
    SCardEndTransaction(card, SCARD_LEAVE_CARD)
SCardDisconnect(card, SCARD_LEAVE_CARD)
print("free", flush=True)
"#;

/// A script that keeps the card.
struct Keeper(Child, BufReader<std::process::ChildStdout>);

impl Keeper {
    fn start(pcscd: &Pcscd, how: &str) -> Result<Self> {
        let mut child = pcscd.python_beside(KEEP)?;
        let answers = BufReader::new(child.stdout.take().context("its output")?);
        let mut keeper = Self(child, answers);
        keeper.say(how, "kept")?;
        Ok(keeper)
    }

    fn say(&mut self, line: &str, expected: &str) -> Result<()> {
        writeln!(self.0.stdin.as_mut().context("its input")?, "{line}")?;
        let mut answer = String::new();
        self.1.read_line(&mut answer)?;
        ensure!(answer.trim() == expected, "{answer:?}");
        Ok(())
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn a_script_that_keeps_the_card_is_named_and_waited_for() {
    let bench = Bench::new();
    for how in ["exclusive", "transaction"] {
        let mut keeper = Keeper::start(&bench.pcscd, how).unwrap();
        let who = format!("(process {})", keeper.0.id());
        let run = bench.tapkey(&["info"]);
        assert_eq!(run.code(), Some(6), "{how}: {run}");
        let text = run.fails().unwrap();
        assert!(text.contains("python") && text.contains(&who), "{how}: {text}");
        assert!(text.contains("Waiting for the key"), "{how}: {text}");

        let waiting = bench.beside(&["--json", "info"]);
        thread::sleep(Duration::from_millis(2500));
        keeper.say("let go", "free").unwrap();
        let output = waiting.wait_with_output().unwrap();
        assert!(output.status.success(), "{how}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(&who), "{how}: {output:?}");
        // Somebody who waits quietly is told nothing.
        let quiet = bench.tapkey(&["--quiet", "info"]);
        assert!(quiet.succeeds().is_ok(), "{how}");
    }
}

#[test]
fn the_doctor_tells_a_service_that_is_missing_from_one_that_answers() {
    let bench = Bench::new();
    let doctor = bench.tapkey(&["--json", "doctor"]).succeeds().unwrap();
    let report: serde_json::Value = serde_json::from_str(&doctor).unwrap();
    let status = |report: &serde_json::Value, name: &str| {
        let checks = report["checks"].as_array().unwrap();
        checks.iter().find(|check| check["check"] == name).unwrap_or_else(|| panic!("{name}"))["status"]
            .clone()
    };
    assert_eq!((&report["schema"], &report["healthy"]), (&"doctor/1".into(), &true.into()));
    for name in ["smart-card service", "CCID driver", "card in the reader", "other programs", "keys answer"] {
        assert_eq!(status(&report, name), "ok", "{name}: {report}");
    }
    let mut command = tapkey_tests::tapkey::command(bench._folder.path()).unwrap();
    command.env("PCSCLITE_CSOCK_NAME", "/nonexistent/pcscd.comm").args(["--json", "doctor"]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status(&report, "smart-card service"), "problem");
    assert!(report.to_string().contains("/nonexistent/pcscd.comm"), "{report}");
}

#[test]
fn an_exact_reader_name_wins_and_a_choice_that_fits_two_is_refused() {
    let on_nfc = |serial| {
        let mut key = tapkey_emulator::VirtualKey::builder().serial(serial).build().unwrap();
        key.power(tapkey_emulator::Power::Nfc).unwrap();
        key
    };
    let pcscd = Pcscd::start(vec![on_nfc(SERIAL), on_nfc(SERIAL + 1)]).unwrap();
    let run = pcscd.tapkey(&["--reader", "ACR122U", "info"]).unwrap();
    assert_eq!(run.code(), Some(3), "{run}");
    let text = run.fails().unwrap();
    assert!(text.contains(&SERIAL.to_string()) && text.contains(&(SERIAL + 1).to_string()), "{text}");
    let list: serde_json::Value =
        serde_json::from_str(&pcscd.tapkey(&["--json", "list"]).unwrap().succeeds().unwrap()).unwrap();
    for (index, serial) in [SERIAL, SERIAL + 1].iter().enumerate() {
        let key = &list["keys"][index];
        assert_eq!(key["serial"], *serial, "{list}");
        let reader = key["places"][0].as_str().unwrap();
        for option in ["--reader", "--place"] {
            let info = pcscd.tapkey(&["--json", option, reader, "info"]).unwrap().succeeds().unwrap();
            assert!(info.contains(&serial.to_string()), "{option} {reader}: {info}");
        }
    }
    let run = pcscd.tapkey(&["--form-factor", "usb-a", "info"]).unwrap();
    assert_eq!(run.code(), Some(3), "{run}");
}
