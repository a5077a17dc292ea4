//! What stands on standard error while something takes its time.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]
#![cfg(feature = "emulator")]

mod support;

use std::{net::TcpListener, thread, time::Duration};

use serde_json::Value;
use support::{Home, Outcome, Running};

const KEY: &str = "--emulated=key.json";
const ASK: [&str; 4] = [KEY, "challenge", "-2", "hello"];
/// The published answer of a key of the bytes from 0 to 19.
const ANSWER: &str = "652a02ab43218e9956efffaeb4fe936f43e49f2c";

/// A key that stays plugged in and waits for touches.
fn touchable(home: &Home) -> Running {
    home.write("key", "000102030405060708090a0b0c0d0e0f10111213");
    home.run(&[KEY, "otp", "chalresp", "2", "--key", "file:key", "--touch", "--yes"]).exits(0);
    Running::start(home.command(&["--json", "emulate", "run", "key.json"]))
}

/// Touches the key after it has waited for so long.
fn touched(home: &Home, after: Duration, ask: impl FnOnce() -> Outcome + Send) -> Outcome {
    thread::scope(|scope| {
        let asking = scope.spawn(ask);
        while home.json(&[KEY, "emulate", "show"])["led"] != "blinking" {
            thread::sleep(Duration::from_millis(20));
        }
        thread::sleep(after);
        home.run(&["emulate", "touch", "key.json"]).exits(0);
        asking.join().unwrap().exits(0)
    })
}

#[test]
fn a_terminal_sees_the_seconds_that_the_key_still_waits() {
    let home = Home::new();
    let _emulator = touchable(&home);
    let shown = touched(&home, Duration::from_millis(2500), || home.terminal(&ASK, &[])).stdout;
    let seconds: Vec<u8> = shown
        .split("Touch your key (")
        .skip(1)
        .map(|rest| rest.split_once(" s left)").unwrap().0.parse().unwrap())
        .collect();
    assert!(seconds.len() >= 3, "{shown:?}");
    assert!(seconds.windows(2).all(|two| two[0] == two[1] + 1), "{seconds:?}");
    // The line is wiped before the answer is written, and nothing of it is left behind the answer.
    let (before, after) = shown.split_once(ANSWER).unwrap();
    assert!(before.ends_with(" \r") || before.ends_with("\u{8}\r"), "{before:?}");
    assert_eq!(after.trim(), "", "{after:?}");
    assert!(!before.contains('\n'), "one line only: {before:?}");
}

#[test]
fn elsewhere_one_plain_line_or_events_or_nothing() {
    let home = Home::new();
    let _emulator = touchable(&home);
    let wait = Duration::from_millis(1500);
    let plain = touched(&home, wait, || home.run(&ASK));
    assert_eq!((&*plain.stdout, &*plain.stderr), (&*format!("{ANSWER}\n"), "Touch your key\n"));

    let json = touched(&home, wait, || home.run(&[&["--json"], &ASK[..]].concat()));
    assert_eq!(json.json()["response"], ANSWER);
    let events: Vec<Value> = json.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 2, "{json:?}");
    assert_eq!((&events[0]["schema"], &events[0]["event"]), (&"touch/1".into(), &"needed".into()));
    assert!(events[0]["seconds_left"].as_u64().unwrap() > 10, "{json:?}");
    assert_eq!(events[1], serde_json::json!({"schema": "touch/1", "event": "over"}));

    for quiet in [&["-q"][..], &["-q", "--json"]] {
        let silent = touched(&home, wait, || home.run(&[quiet, &ASK[..]].concat()));
        assert_eq!(silent.stderr, "", "{silent:?}");
    }
}

/// A server that takes requests and never answers.
fn mute_server() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/wsapi/2.0/verify", listener.local_addr().unwrap());
    (listener, url)
}

#[test]
fn what_takes_longer_than_a_second_says_so() {
    let home = Home::new();
    home.write("api-key", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=");
    let (_listener, url) = mute_server();
    let otp = "ccccccccccccdvgtiblfkbgturecfllberrvkinnctnn";
    let ask = |seconds| {
        ["verify", "--url", &*url, "--client-id", "1", "--api-key-file", "api-key", "--timeout", seconds, otp]
    };
    let waiting = "Waiting for the validation server";
    let shown = home.terminal(&ask("4"), &[]).exits(6).stdout;
    for part in [format!("{waiting} (1 s)"), format!("{waiting} (2 s)")] {
        assert!(shown.contains(&part), "{part} is not in {shown:?}");
    }
    // The line is gone before the reason is told.
    let (before, _) = shown.split_once("error:").unwrap();
    assert!(before.trim_end_matches(|letter| letter != '\r').ends_with('\r'), "{shown:?}");
    assert_eq!(home.run(&ask("3")).exits(6).stderr.matches(&format!("{waiting} …\n")).count(), 1);
    for silent in ["-q", "--json"] {
        let outcome = home.run(&[&[silent], &ask("2")[..]].concat()).exits(6);
        assert!(!outcome.stderr.contains(waiting), "{outcome:?}");
    }
    let quick = home
        .run(&[
            "verify",
            "--url",
            "http://127.0.0.1:1/",
            "--client-id",
            "1",
            "--api-key-file",
            "api-key",
            "--timeout",
            "5",
            otp,
        ])
        .exits(6);
    assert!(!quick.stderr.contains(waiting), "{quick:?}");
}
