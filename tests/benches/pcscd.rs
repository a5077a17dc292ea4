//! What an APDU costs through pcscd and our reader driver: the emulated key beside a card that does
//! nothing at all, in turn, on one pcscd.
//!
//! The program starts itself again with the variable by which PC/SC's library finds this pcscd.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::as_conversions,
    missing_docs
)]

// Linked for its shared library alone, which pcscd loads.
use tapkey_ifd as _;

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use pcsc::{Card, Context, Protocols, Scope, ShareMode};
use tapkey_emulator::{
    VirtualKey,
    port::pcscd::{PrivatePcscd, Reader},
};
use tapkey_tests::pcscd::{Served, driver, serve_card};

const ROUNDS: usize = 9;
const COMMANDS: u32 = 2000;
/// Of the OTP application, with six bytes of status as the answer.
const SELECT: &[u8] = &[0, 0xA4, 4, 0, 7, 0xA0, 0, 0, 5, 0x27, 0x20, 1];
const STATUS: &[u8] = &[0, 3, 0, 0];

fn main() {
    if std::env::var_os(PrivatePcscd::VARIABLE).is_some() {
        measure();
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let key = VirtualKey::builder().serial(0xF000_0001).build().unwrap();
    let _served = Served::start(&path("key"), key).unwrap();
    serve_card(&path("empty"), |_| Some(vec![5, 7, 4, 0, 0, 0, 0x90, 0])).unwrap();
    let readers = [Reader::new("Yubico YubiKey", path("key")), Reader::new("Empty", path("empty"))];
    let pcscd = PrivatePcscd::start(&driver().unwrap(), &readers).unwrap();
    run_again(pcscd.socket());
}

fn run_again(socket: &Path) {
    let program = std::env::current_exe().unwrap();
    let status = Command::new(program).env(PrivatePcscd::VARIABLE, socket).status().unwrap();
    assert!(status.success());
}

fn measure() {
    let context = Context::establish(Scope::User).unwrap();
    let key = connect(&context, "Yubico");
    let empty = connect(&context, "Empty");
    let mut times = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        for (times, (card, command)) in
            times.iter_mut().zip([(&empty, SELECT), (&key, SELECT), (&empty, STATUS), (&key, STATUS)])
        {
            times.push(time(card, command));
        }
    }
    let medians = times.each_mut().map(|times| {
        times.sort_unstable();
        times[times.len() / 2]
    });
    println!(
        "\n{ROUNDS} turns of {COMMANDS} commands each, microseconds a command: median, least, above the empty card"
    );
    for (number, name) in
        ["SELECT, empty card", "SELECT, emulated key", "status, empty card", "status, emulated key"]
            .iter()
            .enumerate()
    {
        let floor = medians[number & !1];
        println!(
            "| {name} | {:.1} | {:.1} | {:.1} |",
            micros(medians[number]),
            micros(times[number][0]),
            micros(medians[number]) - micros(floor)
        );
    }
}

/// pcscd looks for cards every 0.4 seconds.
fn connect(context: &Context, name: &str) -> Card {
    let start = Instant::now();
    loop {
        let readers = context.list_readers_owned().unwrap_or_default();
        let reader = readers.iter().find(|reader| reader.to_string_lossy().contains(name));
        let card = reader.map(|reader| context.connect(reader, ShareMode::Exclusive, Protocols::ANY));
        if let Some(Ok(card)) = card {
            return card;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "no card in {name}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn time(card: &Card, command: &[u8]) -> Duration {
    let mut buffer = [0; 300];
    card.transmit(SELECT, &mut buffer).unwrap();
    let start = Instant::now();
    for _ in 0..COMMANDS {
        let answer = card.transmit(command, &mut buffer).unwrap();
        assert_eq!(answer, [5, 7, 4, 0, 0, 0, 0x90, 0]);
    }
    start.elapsed() / COMMANDS
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
