//! KeePassXC and `tapkey challenge --padding keepassxc` get the same answers of one key.

use std::fs;

use data_encoding::HEXLOWER;
use tapkey_emulator::{Power, VirtualKey};
use tapkey_tests::{parts::part, pcscd::Pcscd};

use super::{HMAC_KEY, kdbx};

const SERIAL: u32 = 0xF000_0001;

/// A key on a contactless reader, where keys answer smart-card programs.
fn on_a_reader() -> Pcscd {
    let mut key = VirtualKey::builder().serial(SERIAL).build().unwrap();
    key.power(Power::Nfc).unwrap();
    let pcscd = Pcscd::start(vec![key]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    fs::write(&file, HMAC_KEY).unwrap();
    let source = format!("file:{}", file.display());
    tapkey(&pcscd, &["otp", "chalresp", "2", "--key", &source, "--yes"]);
    pcscd
}

fn tapkey(pcscd: &Pcscd, arguments: &[&str]) -> String {
    let serial = SERIAL.to_string();
    pcscd.tapkey(&[&["--serial", &serial], arguments].concat()).unwrap().succeeds().unwrap()
}

fn answer(pcscd: &Pcscd, padding: &str, challenge: &[u8]) -> Vec<u8> {
    let challenge = HEXLOWER.encode(challenge);
    let said = tapkey(pcscd, &["challenge", "-2", "--padding", padding, "-x", &challenge]);
    HEXLOWER.decode(said.trim().as_bytes()).unwrap()
}

#[test]
fn databases_open_with_the_same_answers() {
    let keepassxc = part("keepassxc-cli").unwrap();
    let pcscd = on_a_reader();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("database.kdbx");
    let file = path.to_str().unwrap();
    let slot = format!("2:{SERIAL}");
    let options = ["-q", "--no-password", "-y", &slot, file];
    let run = |command: &str, more: &[&str]| {
        pcscd.run(&keepassxc, &[&[command], &options[..], more].concat()).unwrap()
    };
    // The second seed ends in what KeePassXC adds for 32 bytes, 0x20, so that its last byte is lost in
    // the slot; with the padding of others, the answer is another one.
    let mut trap = [7; 32];
    trap[31] = 0x20;
    for (seed, is_trap) in [([5; 32], false), (trap, true)] {
        let response = answer(&pcscd, "keepassxc", &seed);
        assert_eq!(response == answer(&pcscd, "exact", &seed), !is_trap);
        fs::write(&path, kdbx::write(seed, &response, "the-entry")).unwrap();
        assert!(run("ls", &[]).succeeds().unwrap().contains("the-entry"));
    }
    fs::write(&path, kdbx::write([5; 32], &[9; 20], "the-entry")).unwrap();
    run("ls", &[]).fails().unwrap();

    // What KeePassXC writes itself, with a seed of its own each time, opens by our answer and by its.
    fs::write(&path, kdbx::write([5; 32], &answer(&pcscd, "keepassxc", &[5; 32]), "the-entry")).unwrap();
    let mut seeds = vec![vec![5; 32]];
    for name in ["one", "two", "three"] {
        run("mkdir", &[&format!("/{name}")]).succeeds().unwrap();
        let written = fs::read(&path).unwrap();
        let seed = kdbx::header(&written).seed;
        assert!(!seeds.contains(&seed), "the seed is a new one");
        assert!(kdbx::opens(&written, &answer(&pcscd, "keepassxc", &seed)), "after {name}");
        assert!(!kdbx::opens(&written, &answer(&pcscd, "keepassxc", &[5; 32])));
        assert!(run("ls", &[]).succeeds().unwrap().contains(&format!("{name}/")));
        seeds.push(seed);
    }
}
