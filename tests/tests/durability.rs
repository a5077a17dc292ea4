//! `OK` is on disk before it is answered, and a software key's counter before it is typed.
//!
//! A process that is killed loses nothing that it wrote: the system writes it later. A power cut
//! does. So the programs run on a disk that forgets what was not synced, and the same test with
//! syncing switched off must lose something, or it would prove nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr, missing_docs)]

use std::{
    fs,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use tapkey_protocol::otp::{Counter, Otp};
use tapkey_tests::{
    tapkey::{self, Serving},
    unsynced::Disk,
};

const KEYS: usize = 16;

/// Passwords that were answered `OK` (or confirmed a key) before the power went, and are accepted
/// after it came back.
fn accepted_twice(synchronous: &str) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::new(folder.path()).unwrap();
    let data = disk.folder().join("server");
    let server = Serving::start(&data, |command| disk.put_under(command)).unwrap();
    server.post("clients", &json!({ "label": "load" })).unwrap();
    server.post("accounts", &json!({ "name": "load" })).unwrap();
    let keys: Vec<_> =
        (0..KEYS).map(|index| server.enrol("load", &format!("durability-{index:04}")).unwrap()).collect();
    server.stop().unwrap();

    let config = folder.path().join("config.toml");
    fs::write(&config, format!("[store]\nsynchronous = \"{synchronous}\"\n")).unwrap();
    let server = Serving::start(&data, |command| {
        disk.put_under(command);
        command.arg("--config").arg(&config).env("TAPKEY_UNSAFE_SYNCHRONOUS_OFF", "1");
    })
    .unwrap();
    let (sender, spent) = mpsc::channel();
    let end = Instant::now() + Duration::from_millis(1500);
    let threads: Vec<_> = keys
        .iter()
        .map(|(credential, _)| {
            let (ask, sender, credential) = (server.asker(), sender.clone(), credential.clone());
            thread::spawn(move || {
                for uses in 2..0x7fff {
                    let otp = credential.otp(uses, 0);
                    // The server goes in the middle of this.
                    match ask("1", &otp) {
                        Ok(status) if status == "OK" => sender.send(otp).unwrap(),
                        Ok(status) => panic!("a fresh password was answered {status}"),
                        Err(_) => return,
                    }
                }
            })
        })
        .collect();
    drop(sender);
    thread::sleep(end.saturating_duration_since(Instant::now()));
    server.kill().unwrap();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let mut spent: Vec<String> = spent.into_iter().collect();
    assert!(spent.len() > KEYS, "only {} passwords were accepted before the power went", spent.len());
    spent.extend(keys.into_iter().map(|(_, confirming)| confirming));

    disk.cut_power().unwrap();
    let server = Serving::start(&data, |_| ()).unwrap();
    // Newest last for each key, so that one that is accepted does not hide the ones before it.
    let twice = spent.iter().filter(|otp| server.verify("1", otp).unwrap() == "OK").count();
    eprintln!("synchronous = {synchronous}: {twice} of {} passwords accepted twice", spent.len());
    twice
}

#[test]
fn no_password_is_accepted_again_after_a_power_cut() {
    assert_eq!(accepted_twice("full"), 0);
}

#[test]
fn without_syncing_the_same_test_does_find_replays() {
    assert!(accepted_twice("off") > 0, "the disk forgot nothing: this test cannot fail");
}

#[test]
fn a_software_key_repeats_no_counter_after_a_power_cut() {
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::new(folder.path()).unwrap();
    let state = disk.folder().join("key.json");
    let run = |arguments: &[&str]| {
        let mut command = tapkey::command(folder.path()).unwrap();
        disk.put_under(&mut command);
        command.arg(format!("--emulated={}", state.display())).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let secret = folder.path().join("secret");
    fs::write(&secret, "00112233445566778899aabbccddeeff").unwrap();
    run(&[
        "otp",
        "yubiotp",
        "1",
        "--aes-key",
        &format!("file:{}", secret.display()),
        "--show-secret",
        "--yes",
    ]);
    let key = tapkey_protocol::otp::AesKey::new(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff_u128.to_be_bytes());
    let mut last = Counter::ZERO;
    for _ in 0..8 {
        for _ in 0..3 {
            let typed = run(&["emulate", "press", "--slot", "1"]);
            let counter = typed.parse::<Otp>().unwrap().open(&key).unwrap().counter();
            assert!(counter > last, "{counter} after {last}");
            last = counter;
        }
        disk.cut_power().unwrap();
    }
}
