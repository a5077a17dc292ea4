//! Challenges on a key that a kernel plugged in: `ykchalresp`, `ykpamcfg`, `pam_yubico` and ours ask one
//! key and agree.

use std::{fs, os::unix::fs::chown, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use data_encoding::HEXLOWER;
use tapkey_protocol::{
    challenge::{
        pam::{ChallengeFile, SlotNumber, file_name},
        strip,
    },
    oath::Algorithm,
    secret::Secret,
};
use tapkey_tests::{
    credential::told,
    lab::{self, Checks, Lab},
    parts::{command, part},
    tapkey,
};

use super::{
    key::{Key, hidraw, person, wait_for},
    run,
};

/// Bytes 0 to 19.
const HMAC_KEY: &str = "000102030405060708090a0b0c0d0e0f10111213";
const TAPKEY: &str = "/usr/local/bin/tapkey";
const LAB: u32 = 4711;

#[test]
fn ykchalresp_and_pam_yubico_agree_with_us() {
    let name = "challenge::ykchalresp_and_pam_yubico_agree_with_us";
    if lab::step().is_none() {
        for program in ["ykpersonalize", "ykpamcfg", "pamtester"] {
            part(program).unwrap();
        }
        Lab::new(name).unwrap().boot("checks", &[]).unwrap().finish().unwrap();
        return;
    }
    fs::copy(tapkey::binary().unwrap(), TAPKEY).unwrap();
    let mut checks = Checks::new();
    let key = Key::plug(Path::new("/tmp/key.json")).unwrap();
    program(HMAC_KEY).unwrap();
    checks.check("the same answers as ykchalresp's", same_answers);
    checks.check("a login with the file of ykpamcfg, which we read before and after", || {
        theirs_then_ours(&key)
    });
    checks.check("a login with our file, which the module rewrites", ours_then_theirs);
    checks.check("logins with a challenge that ends in zeros, and with a file of version 1", odd_files);
    checks.check("a login with a file in the system's folder", systems_folder);
    checks.check("another key in the slot: neither lets in", || {
        program(&HMAC_KEY.replace("13", "14"))?;
        ensure!(!login(OWN)?, "pam_yubico lets another key in");
        let output = ours(&["challenge", "pam-file", "verify"])?;
        ensure!(output.status.code() == Some(1), "{}", told(&output));
        Ok(())
    });
    drop(key);
    checks.finish().unwrap();
}

fn program(key: &str) -> Result<()> {
    let key = format!("-a{key}");
    let options = ["-y", "-2", "-ochal-resp", "-ochal-hmac", "-ohmac-lt64", "-oserial-api-visible", &key];
    run("ykpersonalize", &options)?;
    Ok(())
}

/// Our program as the person at the seat.
fn ours(arguments: &[&str]) -> Result<std::process::Output> {
    wait_for("the drivers", || Ok(hidraw(0)?.is_some()))?;
    run("udevadm", &["settle"])?;
    Ok(person(TAPKEY).args(arguments).output()?)
}

fn said(output: &std::process::Output) -> Result<String> {
    ensure!(output.status.success(), "{}", told(output));
    Ok(String::from_utf8(output.stdout.clone())?.trim().to_owned())
}

/// One table, three ways of asking. What ends in a zero is where padding shows.
fn same_answers() -> Result<()> {
    let long: Vec<u8> = (1..=64).collect();
    let full = HEXLOWER.encode(&long);
    let link = Path::new("/tmp/link/ykchalresp");
    fs::create_dir_all("/tmp/link")?;
    std::os::unix::fs::symlink(TAPKEY, link)?;
    for (arguments, exact_too) in [
        (&["-2", "-x", "00"][..], false),
        (&["-2", "-x", "1122334455667788"], true),
        (&["-2", "-x", "11000000"], false),
        (&["-2", "-x", &full[..126]], true),
        (&["-2", "-x", &full], true),
        (&["-2", "-H", "hello"], true),
        (&["-2", "-6", "hello"], true),
        (&["-2", "-8", "-x", "1122334455667788"], true),
        (&["-2", "-i/etc/hostname"], true),
    ] {
        let theirs = run("ykchalresp", arguments)?;
        wait_for("the drivers", || Ok(hidraw(0)?.is_some()))?;
        let linked = Command::new(link).args(arguments).output()?;
        ensure!(said(&linked)? == theirs.trim(), "{arguments:?}: {theirs:?}, and the link {}", told(&linked));
        let padded = ours(&[&["challenge", "--padding", "zeros"], arguments].concat())?;
        ensure!(said(&padded)? == theirs.trim(), "{arguments:?}: {theirs:?}, and ours {}", told(&padded));
        let exact = said(&ours(&[&["challenge"], arguments].concat())?)?;
        ensure!((exact == theirs.trim()) == exact_too, "{arguments:?}: {theirs:?}, and exactly {exact}");
    }
    Ok(())
}

const OWN: &str = "tapkey-own";
const SYSTEM: &str = "tapkey-system";

/// Logs the person in through a PAM service that asks the key alone.
fn login(service: &str) -> Result<bool> {
    let more = if service == SYSTEM { "chalresp_path=/var/yubico" } else { "" };
    let text = format!("auth required pam_yubico.so mode=challenge-response debug {more}\n");
    fs::write(Path::new("/etc/pam.d").join(service), text)?;
    wait_for("the drivers", || Ok(hidraw(0)?.is_some()))?;
    let output = command("pamtester").args([service, "lab", "authenticate"]).output()?;
    eprintln!("                  {}", told(&output).lines().last().unwrap_or_default());
    Ok(output.status.success())
}

/// The person's file, whatever the key calls itself.
fn file() -> Result<std::path::PathBuf> {
    let folder = fs::read_dir("/home/lab/.yubico").context("no folder .yubico")?;
    let files: Vec<_> = folder.filter_map(|entry| Some(entry.ok()?.path())).collect();
    ensure!(files.len() == 1, "{files:?}");
    Ok(files[0].clone())
}

fn read() -> Result<String> {
    Ok(fs::read_to_string(file()?)?)
}

fn theirs_then_ours(key: &Key) -> Result<()> {
    let output = person("ykpamcfg").args(["-2", "-v"]).output()?;
    ensure!(output.status.success(), "{}", told(&output));
    let shown: serde_json::Value = serde_json::from_str(&key.emulate(&["show", "--json"])?)?;
    let serial = u32::try_from(shown["serial"].as_u64().context("a serial number")?)?;
    let path = file()?;
    ensure!(path.ends_with(file_name("challenge", Some(serial))), "{}", path.display());
    let theirs = read()?;
    let parsed: ChallengeFile = theirs.parse()?;
    ensure!((parsed.version(), parsed.slot(), parsed.rounds()) == (2, SlotNumber::TWO, Some(10_000)));
    ensure!(parsed.to_string() == theirs, "written as it was read");
    said(&ours(&["challenge", "pam-file", "verify"])?)?;
    ensure!(read()? == theirs, "verifying writes nothing");
    ensure!(login(OWN)?, "pam_yubico does not take the file of its own tool");
    ensure!(read()? != theirs, "a login rewrites the file");
    said(&ours(&["challenge", "pam-file", "verify", "--renew"])?)?;
    ensure!(login(OWN)?, "pam_yubico does not take the file that we renewed");
    Ok(())
}

fn ours_then_theirs() -> Result<()> {
    fs::remove_file(file()?)?;
    said(&ours(&["challenge", "pam-file", "create", "-2"])?)?;
    for _ in 0..2 {
        let before = read()?;
        ensure!(login(OWN)?, "pam_yubico does not take our file");
        ensure!(read()? != before, "a login rewrites the file");
        said(&ours(&["challenge", "pam-file", "verify"])?)?;
    }
    Ok(())
}

fn odd_files() -> Result<()> {
    let mut challenge = [0x5A; 63];
    challenge[60..].fill(0);
    let key = HEXLOWER.decode(HMAC_KEY.as_bytes())?;
    let answer = |challenge: &[u8]| {
        let frame = tapkey_protocol::challenge::pam::frame(challenge);
        <[u8; 20]>::try_from(Algorithm::Sha1.hmac(&key, strip(&frame)))
            .map(Secret::new)
            .ok()
            .context("20 bytes")
    };
    let zeros = ChallengeFile::new(&challenge, &answer(&challenge)?, &[3; 32], 100, SlotNumber::TWO)?;
    let plain = HEXLOWER.encode(answer(&[0x11; 63])?.expose());
    let first = format!("v1:{}:{plain}:2\n", "11".repeat(63));
    for text in [zeros.to_string(), first] {
        fs::write(file()?, &text)?;
        chown(file()?, Some(LAB), Some(LAB))?;
        said(&ours(&["challenge", "pam-file", "verify"])?)?;
        ensure!(read()? == text, "verifying writes nothing");
        ensure!(login(OWN)?, "pam_yubico does not take {text}");
        ensure!(read()?.starts_with("v2:"), "{}", read()?);
        said(&ours(&["challenge", "pam-file", "verify"])?)?;
    }
    Ok(())
}

fn systems_folder() -> Result<()> {
    fs::create_dir_all("/var/yubico")?;
    let place = ["--folder", "/var/yubico", "--user", "lab"];
    let as_root = |words: &[&str]| -> Result<String> {
        wait_for("the drivers", || Ok(hidraw(0)?.is_some()))?;
        said(&command(TAPKEY).args(["challenge", "pam-file"]).args(words).args(place).output()?)
    };
    as_root(&["create", "-2"])?;
    for _ in 0..2 {
        ensure!(login(SYSTEM)?, "pam_yubico does not find our file");
        as_root(&["verify"])?;
    }
    Ok(())
}
