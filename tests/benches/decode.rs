//! Opening one-time passwords: ours beside libyubikey, the same passwords, one core, run in turn.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::as_conversions,
    missing_docs
)]

use std::{fmt::Write, fs, hint::black_box, process::Command, time::Instant};

use tapkey_protocol::otp::{AesKey, Otp, PrivateId, PublicId, Timestamp, Token};

const PASSWORDS: u16 = 10_000;
const ROUNDS: usize = 20;
const TURNS: usize = 5;

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("decode");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/decode.c");
    let built =
        Command::new("cc").args(["-O2", "-o"]).arg(&program).arg(source).arg("-lyubikey").status().unwrap();
    assert!(built.success(), "cannot build against libyubikey (package libyubikey-dev)");

    let key = AesKey::new(*b"sixteen byte key");
    let passwords: Vec<String> = (1..=PASSWORDS).map(|uses| password(&key, uses)).collect();
    let list = folder.path().join("passwords");
    let lines = passwords.iter().fold(String::new(), |mut text, password| {
        writeln!(text, "{password}").unwrap();
        text
    });
    fs::write(&list, lines).unwrap();

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let output = Command::new(&program)
            .arg(data_encoding::HEXLOWER.encode(key.expose()))
            .arg(&list)
            .arg(ROUNDS.to_string())
            .output()
            .unwrap();
        assert!(output.status.success(), "libyubikey disagreed");
        theirs.push(String::from_utf8(output.stdout).unwrap().trim().parse::<f64>().unwrap());
        ours.push(rate(&key, &passwords));
    }
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    println!("\nopening a password (modhex, AES, checksum), per second on one core, median of {TURNS}:");
    println!("| tapkey-protocol | {ours:.0} | {:.1} × libyubikey |", ours / theirs);
    println!("| libyubikey | {theirs:.0} | |");
}

fn password(key: &AesKey, uses: u16) -> String {
    let token = Token {
        private_id: PrivateId::new([1, 2, 3, 4, 5, 6]),
        use_counter_raw: uses & 0x7fff,
        timestamp: Timestamp::new(u32::from(uses) * 7),
        session_counter: 3,
        random: uses.wrapping_mul(31),
    };
    Otp::new(PublicId::EMPTY, token.seal(key)).to_string()
}

fn rate(key: &AesKey, passwords: &[String]) -> f64 {
    let start = Instant::now();
    let mut good = 0usize;
    for _ in 0..ROUNDS {
        for password in passwords {
            let token = black_box(password).parse::<Otp>().unwrap().open(black_box(key));
            good += usize::from(black_box(token).is_ok());
        }
    }
    assert_eq!(good, ROUNDS * passwords.len());
    good as f64 / start.elapsed().as_secs_f64()
}

fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
