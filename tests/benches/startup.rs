//! How long a command takes that does nothing: ours beside Yubico's, run in turn.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

const ROUNDS: usize = 21;

fn main() {
    let third_party = std::env::var_os("TAPKEY_THIRD_PARTY").map(PathBuf::from).expect("run scripts/bench");
    let tapkey = std::env::var_os("TAPKEY_BINARY").map(PathBuf::from).expect("run scripts/bench");
    let programs = [
        ("tapkey", tapkey),
        ("ykman-cli 6.0.0-alpha.0 (Rust)", third_party.join("bin/ykman")),
        ("ykman 5.9.2 (Python)", third_party.join("venv/bin/ykman")),
    ];
    for (name, path) in &programs {
        assert!(path.exists(), "{name} is missing: {}", path.display());
        time(path);
    }
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); programs.len()];
    for _ in 0..ROUNDS {
        for ((_, path), times) in programs.iter().zip(&mut times) {
            times.push(time(path));
        }
    }
    println!("\nstart-up (`--version`), {ROUNDS} runs each in turn: median, least, most");
    let medians: Vec<_> = times.iter_mut().map(|times| median(times)).collect();
    for (((name, _), times), median) in programs.iter().zip(&times).zip(&medians) {
        println!(
            "| {name} | {:.2} ms | {:.2} | {:.2} | {:.1} × tapkey |",
            milliseconds(*median),
            milliseconds(times[0]),
            milliseconds(times[times.len() - 1]),
            median.as_secs_f64() / medians[0].as_secs_f64()
        );
    }
}

fn time(program: &Path) -> Duration {
    let start = Instant::now();
    let status =
        Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "{} --version failed", program.display());
    start.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
