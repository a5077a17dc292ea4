//! `tapkey watch` beside a software key that is plugged in and pulled out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]
#![cfg(feature = "emulator")]

mod support;

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use serde_json::Value;
use support::{Home, PATIENCE, Running};

const KEY: &str = "--emulated=key.json";

/// A running watch, with its lines as they come.
struct Watching {
    running: Running,
    lines: Receiver<String>,
}

impl Watching {
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Self { running: Running { child, ready: Value::Null }, lines }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("a line")
    }

    fn event(&self) -> Value {
        let value: Value = serde_json::from_str(&self.line()).unwrap();
        assert_eq!(value["schema"], "watch/1", "{value}");
        assert!(value["at"].as_str().unwrap().ends_with('Z'), "{value}");
        value
    }

    fn says_nothing_more(&self) {
        assert!(self.lines.recv_timeout(Duration::from_millis(100)).is_err());
    }
}

fn emulator(home: &Home) -> Running {
    Running::start(home.command(&["--json", "emulate", "run", "key.json"]))
}

#[test]
fn a_program_hears_of_every_plug_at_once() {
    let home = Home::new();
    let mut watching = Watching::start(home.command(&["--json", KEY, "watch"]));
    assert_eq!(watching.event()["event"], "ready");
    let mut emulator = emulator(&home);
    let plugged = watching.event();
    assert_eq!((&plugged["event"], &plugged["already"]), (&"plugged".into(), &false.into()));
    let key = &plugged["key"];
    assert_eq!(key["serial"], emulator.ready["serial"]);
    assert_eq!((&key["version"], &key["software"]), (&"5.7.4".into(), &true.into()));
    assert_eq!((&key["reached_over"], &key["places"][0]), (&"HID+CCID".into(), &"key.json".into()));

    home.run(&[KEY, "emulate", "replug"]).exits(0);
    assert_eq!(watching.event()["event"], "unplugged");
    assert_eq!(watching.event()["event"], "plugged");

    // The watch is in nobody's way.
    home.run(&[KEY, "info"]).exits(0);
    home.run(&[KEY, "emulate", "press"]);

    emulator.signal("INT");
    emulator.wait();
    let unplugged = watching.event();
    assert_eq!(unplugged["event"], "unplugged");
    assert_eq!(unplugged["key"]["serial"], plugged["key"]["serial"]);
    watching.says_nothing_more();
    watching.running.signal("INT");
    assert_eq!(watching.running.wait(), 130);
}

#[test]
fn a_person_reads_lines() {
    let home = Home::new();
    let mut emulator = emulator(&home);
    let serial = emulator.ready["serial"].to_string();
    let mut watching = Watching::start(home.command(&[KEY, "watch"]));
    let key = format!("firmware 5.7.4, serial {serial}, made of software");
    let present = watching.line();
    assert!(present.starts_with("present    YubiKey 5") && present.ends_with(&key), "{present}");
    emulator.signal("INT");
    emulator.wait();
    let unplugged = watching.line();
    assert_eq!(unplugged, present.replace("present  ", "unplugged"));
    watching.running.signal("TERM");
    assert_eq!(watching.running.wait(), 130);
}

#[test]
fn waiting_for_a_key() {
    let home = Home::new();
    // One that only lies in its file is not there, and is not made.
    home.run(&[KEY, "watch", "--once", "--timeout", "1"]).exits(3).prints_nothing().says("within 1 seconds");
    assert!(!home.path("key.json").exists());
    home.run(&[KEY, "watch", "--timeout", "1"]).exits(0).prints_nothing().says("Ctrl-C");
    let emulator = emulator(&home);
    let found = home.json(&[KEY, "watch", "--once", "--timeout", "20"]);
    assert_eq!((&found["event"], &found["already"]), (&"plugged".into(), &true.into()));
    assert_eq!(found["key"]["serial"], emulator.ready["serial"]);
    let other = home.run(&[KEY, "--serial", "4026531841", "watch", "--once", "--timeout", "1"]);
    other.exits(3).prints_nothing();
    home.run(&["watch", "--timeout", "0"]).exits(2);
}

#[cfg(feature = "device")]
#[test]
fn this_machine_can_be_watched_without_any_rights() {
    let home = Home::new();
    let watched = home.run(&["--json", "watch", "--timeout", "1"]).exits(0).stdout;
    let events: Vec<Value> = watched.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().any(|event| event["event"] == "ready"), "{watched}");
}
