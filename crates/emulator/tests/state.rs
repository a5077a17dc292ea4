//! The state file: one process at a time, no counter twice, and nothing touched that is not ours.
//!
//! Some tests start this very test program again as another process; see [`child`].

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, missing_docs)]

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use common::{AES, Bench, yubico};
use tapkey_emulator::{FileStore, Power, StateError, VirtualKey};
use tapkey_protocol::oath;
use tapkey_protocol::otp::{AesKey, Otp};
use tapkey_protocol::slot::{AccessCode, Digits, HmacKey, Hotp, MovingFactor, Options, Slot};

const HOTP_KEY: &[u8; 20] = b"12345678901234567890";
const PATH_VARIABLE: &str = "TAPKEY_TEST_STATE";
const TASK_VARIABLE: &str = "TAPKEY_TEST_TASK";

/// Runs only as a child process: presses both slots in a loop and prints what they type, or tries
/// to open the state file. Without the variables it is an empty test.
#[test]
fn child() {
    let (Ok(path), Ok(task)) = (std::env::var(PATH_VARIABLE), std::env::var(TASK_VARIABLE)) else { return };
    let store = match FileStore::open(&path) {
        Ok(store) => store,
        Err(error) => {
            println!("\nerror {error}");
            return;
        }
    };
    println!("\nopened");
    assert_eq!(task, "press");
    let mut key = VirtualKey::builder().state(store).build().unwrap();
    let mut out = std::io::stdout().lock();
    for round in 0_u32.. {
        if round % 3 == 0 {
            key.power(Power::Off).unwrap();
            key.power(Power::Usb).unwrap();
        }
        for slot in Slot::ALL {
            let typed = key.press(slot).unwrap().text().unwrap();
            out.write_all(format!("{slot} {typed}").as_bytes()).unwrap();
            out.flush().unwrap();
        }
    }
}

fn start(path: &Path, task: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--test-threads=1"])
        .env(PATH_VARIABLE, path)
        .env(TASK_VARIABLE, task)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Makes a key with a Yubico OTP in slot 1 and HOTP in slot 2.
fn make_key(path: &Path) {
    let bench = Bench::with(VirtualKey::builder().state(FileStore::open(path).unwrap()).build().unwrap());
    bench.program(Slot::One, &yubico());
    let hotp = Hotp {
        key: HmacKey::new(*HOTP_KEY),
        digits: Digits::Eight,
        moving_factor: MovingFactor::default(),
        token_id: None,
        options: Options::for_typing(),
        access_code: AccessCode::NONE,
    };
    bench.program(Slot::Two, &hotp);
}

/// What was typed so far, as counters.
#[derive(Default)]
struct Seen {
    otp: Option<tapkey_protocol::otp::Counter>,
    next_hotp: u64,
    lines: usize,
}

impl Seen {
    fn take(&mut self, line: &str) {
        self.lines += 1;
        match line.split_at(2) {
            ("1 ", text) => {
                let otp: Otp = text.parse().unwrap();
                let counter = otp.open(&AesKey::new(AES)).unwrap().counter();
                assert!(Some(counter) > self.otp, "{counter} came after {:?}", self.otp);
                self.otp = Some(counter);
            }
            ("2 ", text) => {
                // A kill may cost codes that were stored but never typed; none may come twice.
                let found = (self.next_hotp..self.next_hotp + 1000)
                    .find(|counter| oath::hotp(HOTP_KEY, *counter, oath::Digits::EIGHT).to_string() == text);
                self.next_hotp = found.expect("the code is a new one") + 1;
            }
            other => panic!("{other:?}"),
        }
    }
}

/// SIGKILL at any moment. It takes the process only, not what the system has cached of the file,
/// so this says nothing about power cuts; those are the file store's fsync, and a virtual machine's
/// business to test.
#[test]
fn a_killed_emulator_never_repeats_a_counter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    make_key(&path);
    let mut seen = Seen::default();
    let mut random = 12345_u64;
    for round in 0..40 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut child = start(&path, "press");
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while line.trim() != "opened" {
            line.clear();
            assert_ne!(output.read_line(&mut line).unwrap(), 0, "round {round}: the child did not start");
            assert!(!line.starts_with("error"), "{line}");
        }
        // So many lines are waited for, however slow the machine is, and then a little longer.
        let (wanted, pause) =
            (seen.lines + 1 + usize::try_from(random >> 61).unwrap(), (random >> 40) % 3000);
        loop {
            line.clear();
            // A line without its end was cut by the kill; its counter was given out all the same,
            // but cannot be read.
            if output.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
                break;
            }
            seen.take(line.trim());
            if seen.lines == wanted {
                std::thread::sleep(Duration::from_micros(pause));
                child.kill().unwrap();
            }
        }
        child.wait().unwrap();
    }
    // Afterwards the key still works, and goes on where it was.
    let bench = Bench::with(VirtualKey::builder().state(FileStore::open(&path).unwrap()).build().unwrap());
    seen.take(&format!("1 {}", bench.press(Slot::One).trim()));
    seen.take(&format!("2 {}", bench.press(Slot::Two).trim()));
}

#[test]
fn a_second_process_is_refused_and_told_who_has_the_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    make_key(&path);
    let before = fs::read(&path).unwrap();
    let store = FileStore::open(&path).unwrap();
    let output = start(&path, "press").wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let error = text.lines().find(|line| line.starts_with("error")).expect("refused");
    assert!(error.contains("key.json"), "{error}");
    assert!(error.contains(&std::process::id().to_string()), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
    drop(store);

    // The lock goes with its holder, however that one ends.
    let mut child = start(&path, "press");
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("1 ") {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0);
    }
    let StateError::InUse { holder, .. } = FileStore::open(&path).unwrap_err() else { panic!() };
    assert_eq!(holder, Some(child.id()));
    child.kill().unwrap();
    child.wait().unwrap();
    FileStore::open(&path).unwrap();
}

#[test]
fn a_file_that_is_no_key_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    make_key(&path);
    let good = fs::read_to_string(&path).unwrap();
    let cut = good.get(..good.len() / 2).unwrap().to_owned();
    let bad = [
        String::new(),
        "not JSON at all\n".to_owned(),
        "{\n  \"name\": \"another program's file\"\n}\n".to_owned(),
        cut,
        good.replace("\"version\": 1", "\"version\": 99"),
    ];
    for text in bad {
        fs::write(&path, &text).unwrap();
        let error = VirtualKey::builder().state(open(&path)).build().unwrap_err();
        let StateError::Unreadable { line, .. } = &error else { panic!("{error}") };
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        assert!(error.to_string().contains(&format!("line {line}")), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    fs::write(&path, vec![b' '; 2 << 20]).unwrap();
    let error = VirtualKey::builder().state(open(&path)).build().unwrap_err();
    assert!(error.to_string().contains("too long"), "{error}");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let error = VirtualKey::builder().state(open(&path)).build().unwrap_err();
    assert!(error.to_string().contains("key.json"), "{error}");
}

/// A child process that another test is just starting holds copies of all files until it runs its
/// program, locks included.
fn open(path: &Path) -> FileStore {
    let start = Instant::now();
    loop {
        match FileStore::open(path) {
            Err(StateError::InUse { .. }) if start.elapsed() < Duration::from_secs(10) => {
                thread::sleep(Duration::from_millis(5));
            }
            opened => return opened.unwrap(),
        }
    }
}

#[test]
fn the_file_holds_the_key_from_the_first_moment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    let serial = VirtualKey::builder().state(FileStore::open(&path).unwrap()).build().unwrap().serial();
    let again = VirtualKey::builder().state(FileStore::open(&path).unwrap()).build().unwrap();
    assert_eq!(again.serial(), serial);
}
