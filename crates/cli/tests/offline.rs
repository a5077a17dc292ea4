//! Commands that need neither key nor server, and how output behaves.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]

mod support;

use std::process::Stdio;

use support::{Home, TAPKEY, feed};

/// The token library's published vector.
const KEY: &str = "ecde18dbe76fbd0c33330f1c354871db";
const OTP: &str = "dteffujehknhfjbrjnlnldnhcujvddbikngjrtgh";

#[test]
fn decode_shows_what_is_inside() {
    let home = Home::new();
    home.write("key", KEY);
    let document = home.json(&["otp", "decode", "--aes-key", "file:key", OTP]);
    assert_eq!(
        document,
        serde_json::json!({
            "schema": "otp-decode/1", "public_id": "dteffuje", "private_id": "8792ebfe26cc", "use_counter": 19,
            "session_counter": 17, "timestamp": 49712, "random": 40904, "crc": 0xc823, "caps_lock": false,
        })
    );
    let text = home.run(&["otp", "decode", "--aes-key", "file:key", OTP]).exits(0).stdout;
    assert!(text.contains("private id") && text.contains("8792ebfe26cc"), "{text}");
}

#[test]
fn decode_takes_many_lines_and_says_which_are_wrong() {
    let home = Home::new();
    let input = format!("{KEY}\n{OTP}\nnonsense\n\n{}\n", OTP.to_uppercase());
    let outcome = home.run_with(&["otp", "decode", "--aes-key", "-", "-"], &input).exits(1).says("line 2");
    let line = "dteffuje\t8792ebfe26cc\t19\t17\t49712\t40904\tc823\n";
    assert_eq!(outcome.stdout, line.repeat(2));
}

#[test]
fn a_wrong_key_is_told() {
    let home = Home::new();
    home.write("key", "00000000000000000000000000000000");
    home.run(&["otp", "decode", "--aes-key", "file:key", OTP]).exits(1).says("wrong checksum");
}

#[test]
fn generate_makes_what_decode_reads() {
    let home = Home::new();
    let arguments = [
        "otp",
        "generate",
        "--public-id",
        "dteffuje",
        "--private-id",
        "-",
        "--aes-key",
        "-",
        "--use-counter",
        "19",
        "--session-counter",
        "17",
        "--timestamp",
        "49712",
        "--random",
        "40904",
    ];
    let outcome = home.run_with(&arguments, &format!("8792ebfe26cc\n{KEY}\n")).exits(0);
    assert_eq!(outcome.stdout, format!("{OTP}\n"));

    let many = [
        "otp",
        "generate",
        "--private-id",
        "-",
        "--aes-key",
        "-",
        "--use-counter",
        "1",
        "--session-counter",
        "254",
        "--count",
        "4",
    ];
    let otps = home.run_with(&many, &format!("8792ebfe26cc\n{KEY}\n")).exits(0).stdout;
    let decoded =
        home.run_with(&["otp", "decode", "--aes-key", "-", "-"], &format!("{KEY}\n{otps}")).exits(0).stdout;
    let counters: Vec<(&str, &str)> = decoded
        .lines()
        .map(|line| {
            let columns: Vec<&str> = line.split('\t').collect();
            (columns[2], columns[3])
        })
        .collect();
    assert_eq!(counters, [("1", "254"), ("1", "255"), ("2", "0"), ("2", "1")]);
}

#[test]
fn secrets_as_arguments_are_refused_and_not_repeated() {
    let home = Home::new();
    let secret = "00112233445566778899aabbccddeeff";
    for arguments in [
        vec!["otp", "decode", "--aes-key", secret, OTP],
        vec!["otp", "generate", "--private-id", secret, "--aes-key", secret],
        vec!["verify", "--url", "http://127.0.0.1:1/", "--client-id", "1", "--api-key", secret, OTP],
    ] {
        let outcome = home.run(&arguments).exits(2).says("where");
        assert!(!outcome.all().contains(secret), "{outcome:?}");
    }
}

#[test]
fn a_missing_secret_without_a_terminal_names_the_option() {
    let home = Home::new();
    home.run(&["otp", "decode", OTP]).exits(2).says("--aes-key file:PATH");
    home.run(&["otp", "decode", "--aes-key", "prompt", OTP]).exits(2).says("no terminal");
    home.run(&["otp", "decode", "--aes-key", "env:NOT_THERE", OTP]).exits(2).says("NOT_THERE");
    home.run(&["otp", "decode", "--aes-key", "file:not-there", OTP]).exits(2).says("not-there");
}

#[test]
fn errors_are_json_when_asked_for() {
    let home = Home::new();
    let outcome = home.run(&["--json", "otp", "decode", OTP]).exits(2);
    assert_eq!(outcome.stdout, "");
    let error: serde_json::Value = serde_json::from_str(&outcome.stderr).unwrap();
    assert_eq!(error["schema"], "error/1");
    assert_eq!(error["error"], "usage");
    assert_eq!(error["exit"], 2);
    assert!(error["message"].is_string() && error["hint"].is_string());
}

#[test]
fn colour_only_where_it_is_wanted() {
    let home = Home::new();
    let escape = |color: &str, no_color: bool| {
        let mut command = home.command(&["--color", color, "otp", "decode", OTP]);
        if no_color {
            command.env("NO_COLOR", "1");
        }
        feed(command, "").all().contains('\x1b')
    };
    assert!(!escape("auto", false), "a pipe is no terminal");
    assert!(!escape("never", false));
    assert!(escape("always", false));
    assert!(escape("always", true), "an explicit choice wins");
}

#[test]
fn a_closed_pipe_is_success() {
    let home = Home::new();
    let mut command =
        home.command(&["otp", "generate", "--private-id", "-", "--aes-key", "-", "--count", "200000"]);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), format!("8792ebfe26cc\n{KEY}\n").as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn settings_are_read_and_their_errors_named() {
    let home = Home::new();
    std::fs::create_dir_all(home.path("config/tapkey")).unwrap();
    home.write("config/tapkey/config.toml", "server = \"http://keys.example.org\"\n");
    home.run(&["admin", "status"]).exits(2).says("https");
    home.write("config/tapkey/config.toml", "# mine\nsrever = 1\n");
    home.run(&["admin", "status"]).exits(2).says("config.toml").says("line 2").says("srever");
    home.run(&["--config-file", "not-there.toml", "admin", "status"]).exits(2).says("not-there.toml");
}

#[test]
fn plain_http_stays_on_this_machine() {
    let home = Home::new();
    home.write("token", "tk_x");
    home.run(&["--server", "http://keys.example.org", "--token-file", "token", "admin", "status"])
        .exits(2)
        .says("https");
    home.run(&["--server", "http://127.0.0.1:1", "--token-file", "token", "admin", "status"]).exits(6);
    home.run(&["--server", "http://127.0.0.1:1", "admin", "status"]).exits(2).says("--token-file");
    home.run(&["admin", "status"]).exits(2).says("--server");
}

#[test]
fn verify_without_a_server_is_told_apart_from_a_refusal() {
    let home = Home::new();
    home.write("key", "mG5be6ZJU1qBGz24yPh/ESM3UdU=");
    let url = "http://127.0.0.1:1/wsapi/2.0/verify";
    let ask = |otp| home.run(&["verify", "--url", url, "--client-id", "1", "--api-key-file", "key", otp]);
    ask("vvccccbdefghdvgtiblfkbgturecfllberrvkinnctnn").exits(6).says("127.0.0.1:1");
    ask("not an otp").exits(5).says("not a Yubico one-time password");
}

/// The binary must not link what it does not need to find its help.
#[test]
fn it_starts_quickly() {
    let start = std::time::Instant::now();
    for _ in 0..10 {
        std::process::Command::new(TAPKEY).arg("--version").output().unwrap();
    }
    assert!(start.elapsed().as_millis() < 2000, "{:?}", start.elapsed());
}
