//! What `tapkey doctor` finds wrong, on a machine made wrong on purpose.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]
#![cfg(all(feature = "device", feature = "emulator", feature = "server"))]

mod support;

use std::{net::TcpListener, os::unix::fs::PermissionsExt};

use serde_json::Value;
use support::{Home, Outcome, TestServer};

/// Nobody listens there, whatever runs on this machine.
const NO_SERVICE: &str = "/nonexistent/pcscd.comm";

fn doctor(home: &Home, arguments: &[&str]) -> (i32, Value) {
    let mut command = home.command(&[&["--json", "doctor"], arguments].concat());
    command.env("PCSCLITE_CSOCK_NAME", NO_SERVICE);
    let outcome = Outcome::of(command.output().unwrap());
    (outcome.code, outcome.json())
}

fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|check| check["check"] == name).unwrap_or_else(|| panic!("no {name} in {report}"))
}

/// Status, and what was found and what to do in one text.
fn told(report: &Value, name: &str) -> (String, String) {
    let check = check(report, name);
    let text = format!("{} {}", check["detail"], check["fix"]);
    (check["status"].as_str().unwrap().to_owned(), text)
}

#[test]
fn a_service_that_does_not_run() {
    let home = Home::new();
    let (code, report) = doctor(&home, &[]);
    assert_eq!((code, &report["schema"], &report["healthy"]), (1, &"doctor/1".into(), &false.into()));
    let (status, text) = told(&report, "smart-card service");
    assert!(status == "problem" && text.contains("pcscd"), "{text}");
    assert_eq!(told(&report, "software keys").0, "not-applicable");
    assert_eq!(told(&report, "server").0, "not-applicable");
    let human = home.command(&["doctor"]).env("PCSCLITE_CSOCK_NAME", NO_SERVICE).output().unwrap();
    let text = String::from_utf8(human.stdout).unwrap();
    assert!(text.contains("do: ") && text.contains("to be done"), "{text}");
}

#[test]
fn the_rules_are_printed_as_they_are() {
    let rules = Home::new().run(&["doctor", "--udev-rules"]).exits(0).stdout;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../udev/70-tapkey.rules");
    assert_eq!(rules, std::fs::read_to_string(path).unwrap());
}

#[test]
fn files_of_ones_own() {
    let home = Home::new();
    home.run(&["--emulated", "info"]).exits(0);
    let (_, report) = doctor(&home, &["--emulated"]);
    assert_eq!(told(&report, "software keys").0, "ok", "{report}");
    let (status, text) = told(&report, "keys answer");
    assert!(status == "ok" && text.contains("5.7.4"), "{text}");
    let key = home.path("state/tapkey/key.json");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let (status, text) = told(&doctor(&home, &[]).1, "software keys");
    assert!(status == "problem" && text.contains("chmod 600") && text.contains("mode 640"), "{text}");

    std::fs::create_dir_all(home.path("config/tapkey")).unwrap();
    home.write("config/tapkey/config.toml", "sevrer = \"https://example.org\"\n");
    let (status, text) = told(&doctor(&home, &[]).1, "settings");
    assert!(status == "problem" && text.contains("sevrer"), "{text}");
    home.write("config/tapkey/config.toml", "token-file = \"/nonexistent\"\n");
    let (status, text) = told(&doctor(&home, &[]).1, "settings");
    assert!(status == "problem" && text.contains("/nonexistent"), "{text}");
}

#[test]
fn the_way_to_a_server() {
    let home = Home::new();
    let server = TestServer::start(&home);
    let (_, report) = doctor(&home, &server.options());
    for name in ["server", "clock", "API token"] {
        assert_eq!(told(&report, name).0, "ok", "{name}: {report}");
    }
    let (_, report) = doctor(&home, &["--server", &server.url]);
    assert_eq!(told(&report, "API token").0, "not-applicable");
    let wrong = home.write("wrong", "tkt_0000000000000000000000000000000000000000000\n");
    let (_, report) = doctor(&home, &["--server", &server.url, "--token-file", &wrong]);
    let (status, text) = told(&report, "API token");
    assert!(status == "problem" && text.contains("use another"), "{text}");
    let secret = home.read("wrong");
    assert!(!report.to_string().contains(secret.trim()), "{report}");

    let (_, report) = doctor(&home, &["--server", "http://192.0.2.1:8080"]);
    let (status, text) = told(&report, "server");
    assert!(status == "problem" && text.contains("https"), "{text}");
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (_, report) = doctor(&home, &["--server", &format!("http://{free}")]);
    let (status, text) = told(&report, "server");
    assert!(status == "problem" && text.contains("nothing listens there"), "{text}");
    // TLS spoken to a server without it.
    let (_, report) = doctor(&home, &["--server", &server.url.replace("http://", "https://")]);
    assert_eq!(told(&report, "server").0, "problem");
}
