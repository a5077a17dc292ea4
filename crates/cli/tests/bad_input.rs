//! Wrong lengths, alphabets and combinations are refused before a key is touched: exit code 2, a
//! sentence that names what is wrong, nothing of a secret in it, and the key exactly as it was.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]
#![cfg(feature = "emulator")]

mod support;

use support::Home;

/// A command line and what the error must name.
type Row = (&'static [&'static str], &'static str);

/// What every `file:` below holds.
const FILES: [(&str, &str); 13] = [
    ("seed", "GEZDGNBVGY3TQOJQ"),
    ("short", "0011"),
    ("long", "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324"),
    ("letters", "not hexadecimal!"),
    ("base32", "this is not base32 1890"),
    ("key16", "000102030405060708090a0b0c0d0e0f"),
    ("key20", "b3cd9bc5afa573fc2ea2b7baa995af99fef9b2b4"),
    ("id6", "010203040506"),
    ("code6", "0a0b0c0d0e0f"),
    ("zeros", "000000000000"),
    ("pin", "123456"),
    ("longpin", "1234567890"),
    ("empty", ""),
];

const OTP: &[Row] = &[
    (&["otp", "yubiotp", "3", "--yes"], "3"),
    (&["otp", "yubiotp", "1", "--public-id", "xyz", "--yes"], "public"),
    (&["otp", "yubiotp", "1", "--private-id", "file:short", "--aes-key", "generate", "--yes"], "private id"),
    (&["otp", "yubiotp", "1", "--aes-key", "file:short", "--yes"], "AES key"),
    (&["otp", "yubiotp", "1", "--aes-key", "file:letters", "--yes"], "AES key"),
    (&["otp", "yubiotp", "1", "--aes-key", "000102030405060708090a0b0c0d0e0f", "--yes"], "--aes-key"),
    (&["otp", "chalresp", "2", "--key", "file:long", "--yes"], "key"),
    (&["otp", "chalresp", "2", "--key", "file:letters", "--yes"], "key"),
    (&["otp", "hotp", "2", "--key", "file:base32", "--yes"], "key"),
    (&["otp", "hotp", "2", "--key", "file:key20", "--digits", "7", "--yes"], "7"),
    (&["otp", "hotp", "2", "--key", "file:key20", "--counter", "5", "--yes"], "counter"),
    (&["otp", "static", "2", "--password", "file:long", "--yes"], "password"),
    (&["otp", "static", "2", "--password", "file:empty", "--yes"], "password"),
    (
        &[
            "otp",
            "ndef",
            "1",
            "--prefix",
            "https://example.org/a/very/long/prefix/that/does/not/fit/into/the/tag/at/all",
        ],
        "54",
    ),
    (&["otp", "delete", "1", "--access-code", "file:short", "--yes"], "access code"),
    (&["otp", "delete", "1", "--access-code", "file:letters", "--yes"], "access code"),
];

const CHALLENGE: &[Row] = &[
    (&["challenge", "-2", "-x", "zz"], "challenge"),
    (&["challenge", "-2", "-x", "123"], "challenge"),
    (&["challenge", "-3", "-x", "12"], "-3"),
    (&["challenge", "-1", "-2", "-x", "12"], "-2"),
];

const CONFIG: &[Row] = &[
    (&["config", "usb", "--disable", "nonsense", "--yes"], "nonsense"),
    (&["config", "usb", "--disable", "oath", "--enable", "oath", "--yes"], "oath"),
    (&["config", "usb", "--chalresp-timeout", "999", "--yes"], "999"),
    (&["config", "set-lock-code", "--new-lock-code", "file:short", "--yes"], "lock code"),
    (&["config", "set-lock-code", "--new-lock-code", "file:letters", "--yes"], "lock code"),
    (&["config", "set-lock-code", "--new-lock-code", "file:key16", "--clear", "--yes"], "--clear"),
];

const OATH: &[Row] = &[
    (&["oath", "accounts", "add", "alice", "--secret", "file:base32"], "secret"),
    (&["oath", "accounts", "add", "alice", "--secret", "GEZDGNBVGY3TQOJQ"], "--secret"),
    (&["oath", "accounts", "add", "alice", "--secret", "file:pin", "--digits", "9"], "9"),
    (&["oath", "accounts", "add", "alice", "--generate", "--algorithm", "MD5"], "MD5"),
    (&["oath", "accounts", "add", "alice", "--generate", "--period", "0"], "0"),
    (&["oath", "accounts", "add", "alice", "--secret", "file:seed", "--counter", "5"], "counter"),
    (
        &[
            "oath",
            "accounts",
            "add",
            "a-name-that-is-much-longer-than-the-sixty-four-bytes-that-fit-into-a-key",
            "--secret",
            "file:seed",
        ],
        "64",
    ),
    (&["oath", "accounts", "uri", "file:letters"], "otpauth"),
];

const PIV: &[Row] = &[
    (&["piv", "keys", "generate", "9b", "--management-key", "file:key16"], "9b"),
    (&["piv", "keys", "generate", "9a", "--algorithm", "dsa", "--management-key", "file:key16"], "dsa"),
    (&["piv", "keys", "generate", "9a", "--management-key", "file:short"], "management key"),
    (&["piv", "keys", "generate", "9a", "--management-key", "0102"], "--management-key"),
    (&["piv", "access", "change-pin", "--pin", "file:pin", "--new-pin", "file:longpin"], "PIN"),
    (&["piv", "access", "change-pin", "--pin", "file:pin", "--new-pin", "file:empty"], "PIN"),
    (&["piv", "access", "set-retries", "0", "3", "--pin", "file:pin", "--management-key", "file:key16"], "0"),
];

fn check(rows: &[Row]) {
    let home = Home::new();
    for (name, text) in FILES {
        home.write(name, text);
    }
    home.run(&["--emulated=key.json", "otp", "chalresp", "2", "--key", "file:key20", "--yes"]).exits(0);
    home.run(&["--emulated=key.json", "piv", "info"]).exits(0);
    let before = home.read("key.json");
    for (command, named) in rows {
        let line = [&["--emulated=key.json"], *command].concat();
        let outcome = home.run(&line).exits(2).prints_nothing();
        let said = &outcome.stderr;
        assert!(said.to_lowercase().contains(&named.to_lowercase()), "{command:?} must name {named}: {said}");
        for (name, secret) in FILES {
            let kept = secret.len() > 8 && command.iter().any(|word| *word == format!("file:{name}"));
            assert!(!kept || !said.contains(secret), "{command:?} repeats a secret: {said}");
        }
        assert_eq!(home.read("key.json"), before, "{command:?} changed the key");
    }
}

#[test]
fn slots() {
    check(OTP);
}

#[test]
fn challenges() {
    check(CHALLENGE);
}

#[test]
fn settings() {
    check(CONFIG);
}

#[test]
fn accounts() {
    check(OATH);
}

#[test]
fn piv() {
    check(PIV);
}
