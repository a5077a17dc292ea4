//! What everyday commands cost: ours beside Yubico's, on the same emulated key behind the same pcscd,
//! in turn.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

// Linked for its shared library alone, which pcscd loads.
use tapkey_ifd as _;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tapkey_emulator::{Power, VirtualKey};
use tapkey_tests::pcscd::Pcscd;

const ROUNDS: usize = 15;
const SERIAL: &str = "4026531841";
const NFC_READER: &str = "ACS ACR122U";
/// A published key, challenge and response.
const HMAC_KEY: &str = "b3cd9bc5afa573fc2ea2b7baa995af99fef9b2b4";
const CHALLENGE: &str = "1122334455667788";
const RESPONSE: &str = "884701c5995a388f2832246fdee22196943825bf";
const OATH_SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

/// Where the three programs are, ours first.
struct Programs {
    tapkey: PathBuf,
    next: PathBuf,
    ykman: PathBuf,
}

/// One command as each of the three programs wants it, and what its answer contains.
struct Case {
    name: &'static str,
    tapkey: Vec<&'static str>,
    next: Vec<&'static str>,
    ykman: Vec<&'static str>,
    answer: &'static str,
}

fn main() {
    let third_party = std::env::var_os("TAPKEY_THIRD_PARTY").map(PathBuf::from).expect("run scripts/bench");
    let programs = Programs {
        tapkey: std::env::var_os("TAPKEY_BINARY").map(PathBuf::from).expect("run scripts/bench"),
        next: third_party.join("bin/ykman"),
        ykman: third_party.join("venv/bin/ykman"),
    };
    println!("\n{ROUNDS} runs each in turn: median, least, most; memory is the largest resident set");
    let usb = Pcscd::start(vec![key(Power::Usb)]).unwrap();
    ykman(&usb, &programs, &["--device", SERIAL, "oath", "accounts", "add", "example:alice", OATH_SECRET]);
    for case in on_usb() {
        compare(&usb, &programs, &case);
    }
    drop(usb);
    let nfc = Pcscd::start(vec![key(Power::Nfc)]).unwrap();
    ykman(&nfc, &programs, &["--reader", NFC_READER, "otp", "chalresp", "2", HMAC_KEY, "--force"]);
    compare(&nfc, &programs, &challenge());
}

fn key(power: Power) -> VirtualKey {
    let mut key = VirtualKey::builder().serial(0xF000_0001).build().unwrap();
    key.power(power).unwrap();
    key
}

fn ykman(pcscd: &Pcscd, programs: &Programs, arguments: &[&str]) {
    pcscd.run(&programs.ykman, arguments).unwrap().succeeds().unwrap();
}

fn on_usb() -> [Case; 3] {
    [
        Case { name: "list", tapkey: vec!["list"], next: vec!["list"], ykman: vec!["list"], answer: SERIAL },
        Case {
            name: "info",
            tapkey: vec!["--serial", SERIAL, "info"],
            next: vec!["--device", SERIAL, "info"],
            ykman: vec!["--device", SERIAL, "info"],
            answer: SERIAL,
        },
        Case {
            name: "oath accounts code",
            tapkey: vec!["--serial", SERIAL, "oath", "accounts", "code"],
            next: vec!["--device", SERIAL, "oath", "accounts", "code"],
            ykman: vec!["--device", SERIAL, "oath", "accounts", "code"],
            answer: "example:alice",
        },
    ]
}

/// Over NFC, because keys do not answer challenges over the smart card on USB.
fn challenge() -> Case {
    Case {
        name: "challenge",
        tapkey: vec!["--serial", SERIAL, "challenge", "-2", "-x", CHALLENGE],
        next: vec!["--device", SERIAL, "otp", "calculate", "2", CHALLENGE],
        ykman: vec!["--reader", NFC_READER, "otp", "calculate", "2", CHALLENGE],
        answer: RESPONSE,
    }
}

fn compare(pcscd: &Pcscd, programs: &Programs, case: &Case) {
    let runs: [(&str, &Path, &[&str]); 3] = [
        ("tapkey", &programs.tapkey, &case.tapkey),
        ("ykman-cli 6.0.0-alpha.0 (Rust)", &programs.next, &case.next),
        ("ykman 5.9.2 (Python)", &programs.ykman, &case.ykman),
    ];
    let mut times = [const { Vec::new() }; 3];
    for round in 0..=ROUNDS {
        for ((name, program, arguments), times) in runs.iter().zip(&mut times) {
            let start = Instant::now();
            let said = pcscd.run(program, arguments).unwrap().succeeds().unwrap();
            let time = start.elapsed();
            assert!(said.contains(case.answer), "{name}: {said}");
            // The first round fills the machine's caches.
            if round > 0 {
                times.push(time);
            }
        }
    }
    for times in &mut times {
        times.sort_unstable();
    }
    let ours = median(&times[0]);
    for ((name, program, arguments), times) in runs.iter().zip(&times) {
        let all = (milliseconds(median(times)), milliseconds(times[0]), milliseconds(times[ROUNDS - 1]));
        println!(
            "| `{}` | {name} | {:.1} ms | {:.1} | {:.1} | {:.1} × | {:.1} MB |",
            case.name,
            all.0,
            all.1,
            all.2,
            median(times).as_secs_f64() / ours.as_secs_f64(),
            megabytes(pcscd, program, arguments),
        );
    }
}

/// The most memory that a run held, as GNU time tells it on the last line of its report.
fn megabytes(pcscd: &Pcscd, program: &Path, arguments: &[&str]) -> f64 {
    let report = tempfile::NamedTempFile::new().unwrap();
    let report_path = report.path().to_str().unwrap();
    let timed = [&["--format", "%M", "--output", report_path, program.to_str().unwrap()], arguments].concat();
    pcscd.run(Path::new("/usr/bin/time"), &timed).unwrap().succeeds().unwrap();
    let text = std::fs::read_to_string(report.path()).unwrap();
    text.lines().last().and_then(|line| line.parse::<f64>().ok()).expect("kilobytes") / 1000.0
}

fn median(sorted: &[Duration]) -> Duration {
    sorted[sorted.len() / 2]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
