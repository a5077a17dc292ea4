//! The emulated key on the USB of a kernel that knows nothing of it, used by programs of other hands
//! and by ours without root.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::chown,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tapkey_protocol::otp::{AesKey, Otp};
use tapkey_tests::{
    credential::told,
    lab::{self, Checks, Lab},
    parts::{self, part},
    tapkey::{self, Serving},
};

use super::{
    key::{self, Key, PATIENCE, hidraw, person, text, usb_node, wait_for},
    run,
};

const AES_KEY: &str = "000102030405060708090a0b0c0d0e0f";
const PRIVATE_ID: &str = "010203040506";
const PUBLIC_ID: &str = "cccccccccccb";
/// Bytes 0 to 19.
const HMAC_KEY: &str = "000102030405060708090a0b0c0d0e0f10111213";
const CODE: &str = "112233445566";

const STATE: &str = "/tmp/key.json";
/// Where everybody can run it, wherever the checkout lies.
const TAPKEY: &str = "/usr/local/bin/tapkey";

#[test]
fn a_kernel_and_programs_of_other_hands_take_it_for_a_yubikey() {
    let name = "usb::a_kernel_and_programs_of_other_hands_take_it_for_a_yubikey";
    if lab::step().is_none() {
        for program in ["lsusb", "ykpersonalize", "fido2-token", "ykclient"] {
            part(program).unwrap();
        }
        let lab = Lab::new(name).unwrap().with_disks(1);
        lab.boot("checks", &[]).unwrap().finish().unwrap();
        return;
    }
    fs::copy(tapkey::binary().unwrap(), TAPKEY).unwrap();
    // What is typed when nobody has the console open would show up in the middle of what follows.
    let mut held = File::options().read(true).write(true).open("/dev/tty1").unwrap();
    // No repetition of keys: a busy machine releases them late.
    held.write_all(b"\x1b[?8l").unwrap();
    let mut checks = Checks::new();
    super::machine(&mut checks);
    let plugged = Key::plug(Path::new(STATE)).unwrap();
    let key = &plugged;
    checks.check("lsusb shows the descriptors of a YubiKey 5", descriptors);
    checks.check("udev gives it to the person at the seat and to nobody else", given_to_the_person);
    checks.check("fido2-token finds it", fido2_token);
    checks.check("ykinfo reads an empty key", || {
        let all = run("ykinfo", &["-a"])?;
        for line in ["version: 5.7.4", "programming_sequence: 0", "slot1_status: 0", "slot2_status: 0"] {
            ensure!(all.contains(line), "no {line:?} in {all}");
        }
        Ok(())
    });
    checks.check("ykpersonalize: a one-time password, typed like a key types", || otp_slot(key));
    checks.check("a press types into a virtual console", || console(key));
    checks.check("ykpersonalize: an update, with an access code", || update(key));
    checks.check("ykpersonalize: HOTP and a static password, and a swap", || hotp_static_swap(key));
    checks.check("ykpersonalize: a scan map", || scan_map(key));
    checks.check("ykpersonalize: NDEF", || {
        personalize(&["-1", "-nhttps://example.org/"])?;
        Ok(())
    });
    checks.check("ykchalresp: HMAC over 0, 1, 63 and 64 bytes", hmac);
    checks.check("ykchalresp: Yubico mode, and a touch", || yubico_mode_and_touch(key));
    checks.check("ykpersonalize: deleting both slots", delete);
    checks.check("our program as the person at the seat", our_program);
    checks.check("enrolment by that person, typed by the kernel, then ykclient", || enrolment(key));
    checks.check("tapkey watch sees it go and come", || watched(key));
    checks.check("pulled out in the middle of an exchange, the slot is old or new", || {
        pulled_out(plugged, &[(5, 0), (8, 1000)])
    });
    checks.finish().unwrap();
    drop(held);
}

#[test]
#[ignore = "takes minutes: just lab-full"]
fn pulled_out_at_any_moment_of_an_exchange_the_slot_is_old_or_new() {
    let name = "usb::pulled_out_at_any_moment_of_an_exchange_the_slot_is_old_or_new";
    if lab::step().is_none() {
        Lab::new(name).unwrap().boot("checks", &[]).unwrap().finish().unwrap();
        return;
    }
    let key = Key::plug(Path::new(STATE)).unwrap();
    let parts = (1..=8).map(|part| (part, 0));
    let moments: Vec<_> = parts.chain([5, 10, 20, 40, 80, 160, 1000].map(|after| (8, after))).collect();
    pulled_out(key, &moments).unwrap();
}

/// Python under software emulation takes its time.
#[test]
fn ykman_and_the_smart_card_service_find_it() {
    let name = "usb::ykman_and_the_smart_card_service_find_it";
    if lab::step().is_none() {
        part("opensc-tool").unwrap();
        let ykman = part("ykman").unwrap().with_file_name("ykman");
        let environment = format!("YKMAN={}", ykman.display());
        let lab = Lab::new(name).unwrap();
        lab.boot("checks", &["--env", &environment]).unwrap().finish().unwrap();
        return;
    }
    let program = std::env::var("YKMAN").unwrap();
    let ykman = |arguments: &[&str]| run(&program, arguments);
    let key = Key::plug(Path::new(STATE)).unwrap();
    let mut checks = Checks::new();
    checks.check("ykman over HID programs a slot and asks it", || {
        let info = ykman(&["otp", "info"])?;
        ensure!(info.contains("Slot 1: empty") && info.contains("Slot 2: empty"), "{info}");
        ykman(&["otp", "chalresp", "--force", "2", HMAC_KEY])?;
        let answer = ykman(&["otp", "calculate", "2", "68656c6c6f"])?;
        ensure!(answer.trim() == "652a02ab43218e9956efffaeb4fe936f43e49f2c", "{answer}");
        Ok(())
    });
    checks.check("pcscd with its CCID driver finds the reader and the card", || {
        fs::create_dir_all("/run/pcscd")?;
        Command::new("pcscd").arg("--foreground").stderr(Stdio::null()).stdout(Stdio::null()).spawn()?;
        wait_for("the reader", || {
            let output = parts::command("opensc-tool").arg("--list-readers").output()?;
            Ok(String::from_utf8_lossy(&output.stdout).contains("Yubico YubiKey OTP+FIDO+CCID"))
        })?;
        let atr = run("opensc-tool", &["--reader", "0", "--atr"])?;
        ensure!(atr.replace(':', "").starts_with("3bfd1300008131fe15"), "{atr}");
        Ok(())
    });
    checks.check("ykman over CCID", || {
        let info = ykman(&["info"])?;
        for line in ["Firmware version: 5.7.4", "Enabled USB interfaces: OTP, FIDO, CCID"] {
            ensure!(info.contains(line), "no {line:?} in {info}");
        }
        ykman(&["oath", "accounts", "add", "example", "JBSWY3DPEHPK3PXP"])?;
        let list = ykman(&["oath", "accounts", "list"])?;
        ensure!(list.trim() == "example", "{list}");
        Ok(())
    });
    drop(key);
    checks.finish().unwrap();
}

fn personalize(arguments: &[&str]) -> Result<String> {
    run("ykpersonalize", &[&["-y"], arguments].concat())
}

/// A program that must fail.
fn refused(program: &str, arguments: &[&str]) -> Result<String> {
    let output = parts::command(program).args(arguments).output()?;
    ensure!(!output.status.success(), "{program} {arguments:?} succeeded: {}", told(&output));
    Ok(told(&output))
}

fn descriptors() -> Result<()> {
    let output = run("lsusb", &["-v", "-d", "1050:"])?;
    // Runs of blanks differ between versions.
    let lines: Vec<String> =
        output.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let expected = [
        "bcdUSB 2.00",
        "bcdDevice 5.74",
        "iManufacturer 1 Yubico",
        "wTotalLength 0x0096",
        "bNumInterfaces 3",
        "bInterfaceProtocol 1 Keyboard",
        "wDescriptorLength 71",
        "bEndpointAddress 0x81 EP 1 IN",
        "wMaxPacketSize 0x0008 1x 8 bytes",
        "bInterval 10",
        "wDescriptorLength 34",
        "bEndpointAddress 0x04 EP 4 OUT",
        "bEndpointAddress 0x84 EP 4 IN",
        "bInterfaceClass 11 Chip/SmartCard",
        "dwFeatures 000400FE",
        "dwMaxCCIDMsgLen 3072",
        "bEndpointAddress 0x02 EP 2 OUT",
        "bEndpointAddress 0x82 EP 2 IN",
        "bEndpointAddress 0x83 EP 3 IN",
    ];
    let mut rest = lines.iter();
    for line in expected {
        ensure!(rest.any(|found| found == line), "no {line:?} where it belongs in\n{output}");
    }
    let product = lines.iter().find(|line| line.starts_with("iProduct")).context("no product")?;
    ensure!(product.contains("YubiKey OTP+FIDO+CCID"), "{product}");
    Ok(())
}

fn given_to_the_person() -> Result<()> {
    for node in [hidraw(0)?, hidraw(1)?, Some(usb_node()?)] {
        let node = node.context("no node")?.to_string_lossy().into_owned();
        let properties = run("udevadm", &["info", "--query=property", &node])?;
        ensure!(properties.contains("ID_SECURITY_TOKEN=1"), "{node}: {properties}");
        let tags = properties.lines().find(|line| line.starts_with("CURRENT_TAGS=")).unwrap_or_default();
        ensure!(tags.contains(":uaccess:"), "{node}: {properties}");
        let may = person("test").args(["-r", &node, "-a", "-w", &node]).status()?;
        ensure!(may.success(), "the person at the seat may not use {node}");
        let may = parts::command("setpriv")
            .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "test", "-w", &node])
            .status()?;
        ensure!(!may.success(), "everybody may use {node}");
    }
    Ok(())
}

fn fido2_token() -> Result<()> {
    let list = run("fido2-token", &["-L"])?;
    let node = hidraw(1)?.context("no FIDO interface")?.to_string_lossy().into_owned();
    ensure!(list.starts_with(&format!("{node}:")) && list.lines().count() == 1, "{list}");
    ensure!(list.contains("vendor=0x1050, product=0x0407"), "{list}");
    let info = run("fido2-token", &["-I", &node])?;
    for line in ["proto: 0x02", "major: 0x05", "caps: 0x05 (wink, cbor, msg)"] {
        ensure!(info.contains(line), "no {line:?} in {info}");
    }
    Ok(())
}

fn open(otp: &str) -> Result<tapkey_protocol::otp::Token> {
    let key: [u8; 16] = data_encoding::HEXLOWER.decode(AES_KEY.as_bytes())?.try_into().ok().context("16")?;
    Ok(otp.parse::<Otp>()?.open(&AesKey::new(key))?)
}

fn private_id(otp: &str) -> Result<String> {
    Ok(data_encoding::HEXLOWER.encode(open(otp)?.private_id.expose()))
}

fn otp_slot(key: &Key) -> Result<()> {
    let (fixed, uid, aes) =
        (format!("-ofixed={PUBLIC_ID}"), format!("-ouid={PRIVATE_ID}"), format!("-a{AES_KEY}"));
    personalize(&["-1", &fixed, &uid, &aes, "-oserial-api-visible", "-oallow-update"])?;
    let all = run("ykinfo", &["-a"])?;
    for line in ["programming_sequence: 1", "slot1_status: 1", "slot2_status: 0"] {
        ensure!(all.contains(line), "no {line:?} in {all}");
    }
    let letters = key.press(1)?;
    let typed = text(&letters);
    ensure!(typed.len() == 45 && typed.ends_with('\n'), "{typed:?}");
    ensure!(private_id(typed.trim())? == PRIVATE_ID, "{typed:?}");
    // A report for the key and one for its release, each ten milliseconds.
    let (first, last) = (letters[0].at, letters[44].at);
    ensure!((0.8..20.0).contains(&(last - first)), "44 characters in {} s", last - first);
    let mut gaps: Vec<f64> = letters.windows(2).map(|two| two[1].at - two[0].at).collect();
    gaps.sort_by(f64::total_cmp);
    ensure!((0.015..0.1).contains(&gaps[22]), "a character each {} s", gaps[22]);
    let next = key.types(1)?;
    ensure!(next.starts_with(PUBLIC_ID) && next != typed, "{next:?}");
    Ok(())
}

fn console(key: &Key) -> Result<()> {
    key.settle()?;
    forget_what_was_typed()?;
    let (sender, lines) = mpsc::channel();
    let console = File::open("/dev/tty1")?;
    thread::spawn(move || {
        let mut line = String::new();
        let read = BufReader::new(console).read_line(&mut line);
        let _ = sender.send(read.map(|_| line));
    });
    let said = key.emulate(&["press", "--slot", "1"])?;
    let line = lines.recv_timeout(PATIENCE)??;
    ensure!(line == format!("{said}\n"), "the console has {line:?}, the key typed {said:?}");
    Ok(())
}

/// The console keeps what nobody read.
fn forget_what_was_typed() -> Result<()> {
    run("sh", &["-c", "exec <>/dev/tty1; stty -icanon min 0 time 1; cat >/dev/null; stty sane"])?;
    Ok(())
}

fn update(key: &Key) -> Result<()> {
    personalize(&["-u", "-1", "-o-append-cr", "-oserial-api-visible", &format!("-oaccess={CODE}")])?;
    let typed = key.types(1)?;
    ensure!(typed.len() == 44 && private_id(&typed)? == PRIVATE_ID, "after the update {typed:?}");
    refused("ykpersonalize", &["-y", "-u", "-1", "-oappend-tab1"])?;
    refused("ykpersonalize", &["-y", "-1", &format!("-a{AES_KEY}"), "-c000000000001"])?;
    refused("ykpersonalize", &["-y", "-1", "-z"])?;
    ensure!(private_id(&key.types(1)?)? == PRIVATE_ID);
    // An empty code takes it off.
    personalize(&[
        "-u",
        "-1",
        &format!("-c{CODE}"),
        "-oaccess=000000000000",
        "-oappend-tab1",
        "-oappend-cr",
        "-oserial-api-visible",
    ])?;
    let typed = key.types(1)?;
    ensure!(typed.len() == 46 && typed[12..].starts_with('\t'), "after the second update {typed:?}");
    Ok(())
}

/// Of RFC 4226, appendix D, whose key is the digits from 1 to 9, 0 and again.
fn hotp_static_swap(key: &Key) -> Result<()> {
    let rfc = "-a3132333435363738393031323334353637383930";
    personalize(&["-2", "-ooath-hotp", "-ofixed=", "-ooath-imf=0", rfc])?;
    for code in ["755224", "287082"] {
        let typed = key.types(2)?;
        ensure!(typed.trim_end() == code, "{typed:?}, and {code} was expected");
    }
    personalize(&["-x"])?;
    let (first, second) = (key.types(1)?, key.types(2)?);
    ensure!(first.trim_end() == "359152", "after the swap, slot 1 types {first:?}");
    ensure!(second.starts_with(PUBLIC_ID), "after the swap, slot 2 types {second:?}");
    personalize(&["-x"])?;
    personalize(&["-2", "-ooath-hotp", "-ooath-hotp8", "-ofixed=", "-ooath-imf=0", rfc])?;
    let typed = key.types(2)?;
    ensure!(typed.trim_end() == "84755224", "eight digits: {typed:?}");

    personalize(&["-2", "-ofixed=cccccc", &format!("-a{AES_KEY}"), &format!("-ouid={PRIVATE_ID}")])?;
    let (one, two) = (key.types(2)?, key.types(2)?);
    ensure!(one == two && one.trim_end().len() == 38, "a static password: {one:?}, then {two:?}");
    let capitals = one.chars().filter(char::is_ascii_uppercase).count();
    ensure!(capitals > 0 && one.chars().any(|letter| letter.is_ascii_digit()), "no strong password: {one:?}");
    Ok(())
}

fn scan_map(key: &Key) -> Result<()> {
    let rest = "0708090a0b0c0d0e0f111517181986858788898a8b8c8d8e8f9195979899271e1f202122232425269e2b28";
    // `c` and `b` change places.
    personalize(&[&format!("-S0506{rest}")])?;
    let typed = key.types(1)?;
    ensure!(typed.starts_with("bbbbbbbbbbbc"), "{typed:?}");
    personalize(&["-S"])?;
    let typed = key.types(1)?;
    ensure!(typed.starts_with(PUBLIC_ID), "{typed:?}");
    Ok(())
}

fn hmac() -> Result<()> {
    let bytes: Vec<u8> = (0..64_u8).map(|index| index.wrapping_mul(7).wrapping_add(1)).collect();
    let challenge = |length: usize| data_encoding::HEXLOWER.encode(&bytes[..length]);
    // By Python's `hmac`. The key drops from the end what equals the last of the 64 bytes, and
    // `ykchalresp` fills up with zeros.
    let short = [
        (0, "06e8ad50fc1035823661d979e2968968cecd03d9"),
        (1, "df1eaab5f64566357f20b49d3a330c3d84e227fa"),
        (63, "817bad95aae85da5c2b7853639e120e9ec5b1025"),
    ];
    let full =
        [(0, "c71c70f1b8f9dce8c2114df29990faab6b361296"), (64, "3516049dc18711883f45210328c0150edeb2fd58")];
    let ask = |length: usize| run("ykchalresp", &["-2", "-x", &challenge(length)]);
    let program = |mode: &[&str]| {
        let key = format!("-a{HMAC_KEY}");
        personalize(&[&["-2", "-ochal-resp", "-ochal-hmac"], mode, &[&key]].concat())
    };
    program(&["-ohmac-lt64"])?;
    for (length, response) in short {
        // No bytes are no hexadecimal digits for it.
        let answer = if length == 0 { run("ykchalresp", &["-2", ""])? } else { ask(length)? };
        ensure!(answer.trim() == response, "{length} bytes, variable: {answer}");
    }
    program(&["-o-hmac-lt64"])?;
    for (length, response) in full {
        let answer = if length == 0 { run("ykchalresp", &["-2", ""])? } else { ask(length)? };
        ensure!(answer.trim() == response, "{length} bytes, fixed: {answer}");
    }
    Ok(())
}

fn yubico_mode_and_touch(key: &Key) -> Result<()> {
    personalize(&["-2", "-ochal-resp", "-ochal-yubico", &format!("-a{AES_KEY}")])?;
    let ask = || run("ykchalresp", &["-2", "-Y", "-x", "a1a2a3a4a5a6"]);
    let (one, two) = (ask()?, ask()?);
    ensure!(one != two, "the same answer twice: {one}");
    for answer in [one, two] {
        ensure!(private_id(&format!("{PUBLIC_ID}{}", answer.trim()))? == "a1a2a3a4a5a6", "{answer}");
    }
    personalize(&[
        "-2",
        "-ochal-resp",
        "-ochal-hmac",
        "-ohmac-lt64",
        "-ochal-btn-trig",
        &format!("-a{HMAC_KEY}"),
    ])?;
    refused("ykchalresp", &["-2", "-N", "hello"])?;
    let asking = parts::command("ykchalresp").args(["-2", "hello"]).stdout(Stdio::piped()).spawn()?;
    wait_for("the key to wait for a touch", || {
        let shown: serde_json::Value = serde_json::from_str(&key.emulate(&["show", "--json"])?)?;
        Ok(!shown["waits_for_touch"].is_null())
    })?;
    key.emulate(&["touch"])?;
    let answer = asking.wait_with_output()?;
    // The known answer that Yubico publishes for this key.
    ensure!(answer.stdout.starts_with(b"652a02ab43218e9956efffaeb4fe936f43e49f2c"), "{}", told(&answer));
    Ok(())
}

fn delete() -> Result<()> {
    personalize(&["-1", "-z"])?;
    personalize(&["-2", "-z"])?;
    let all = run("ykinfo", &["-a"])?;
    for line in ["programming_sequence: 0", "slot1_status: 0", "slot2_status: 0"] {
        ensure!(all.contains(line), "no {line:?} in {all}");
    }
    Ok(())
}

/// Runs `tapkey` as the person at the seat.
fn ours(arguments: &[&str]) -> Result<String> {
    let output = person(TAPKEY).args(arguments).env("KEY", HMAC_KEY).output()?;
    ensure!(output.status.success(), "tapkey {arguments:?}: {}", told(&output));
    Ok(String::from_utf8(output.stdout)?)
}

fn our_program() -> Result<()> {
    wait_for("the drivers", || Ok(hidraw(0)?.is_some()))?;
    run("udevadm", &["settle"])?;
    let list = ours(&["list"])?;
    ensure!(list.contains("5.7.4") && list.lines().count() == 2, "{list}");
    let output = parts::command("setpriv")
        .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", TAPKEY, "otp", "info"])
        .env("HOME", "/tmp")
        .output()?;
    ensure!(!output.status.success(), "whoever has no right uses the key: {}", told(&output));
    diagnosed()?;
    ours(&["otp", "chalresp", "1", "--key", "env:KEY", "--yes"])?;
    let answer = ours(&["challenge", "-1", "hello"])?;
    ensure!(answer.trim() == "652a02ab43218e9956efffaeb4fe936f43e49f2c", "{answer}");
    let info = ours(&["otp", "info"])?;
    ensure!(info.contains("challenge-response"), "{info}");
    ours(&["otp", "delete", "1", "--force"])?;
    Ok(())
}

/// `tapkey doctor` names the node that may not be opened, and tells a rule that is missing from one that
/// lets in others.
fn diagnosed() -> Result<()> {
    let node = hidraw(0)?.context("no node")?.to_string_lossy().into_owned();
    let nobody = || {
        let output = parts::command("setpriv")
            .args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", TAPKEY, "doctor"])
            .env("HOME", "/tmp")
            .output()?;
        let text = told(&output);
        ensure!(output.status.code() == Some(1), "{text}");
        ensure!(text.contains(&format!("you may not open {node}")), "{text}");
        anyhow::Ok(text)
    };
    let text = nobody()?;
    ensure!(text.contains("the udev rule /etc/udev/rules.d/70-tapkey.rules is there"), "{text}");
    fs::rename("/etc/udev/rules.d/70-tapkey.rules", "/tmp/70-tapkey.rules")?;
    let text = nobody();
    fs::rename("/tmp/70-tapkey.rules", "/etc/udev/rules.d/70-tapkey.rules")?;
    let text = text?;
    ensure!(text.contains("no udev rule lets you") && text.contains("--udev-rules"), "{text}");
    // The person at the seat has nothing to do about it.
    let seen = person(TAPKEY).args(["--json", "doctor"]).output()?;
    let report: serde_json::Value = serde_json::from_slice(&seen.stdout)?;
    let status = |name: &str| {
        let checks = report["checks"].as_array().into_iter().flatten();
        checks.filter(|check| check["check"] == name).map(|check| check["status"].clone()).next()
    };
    for check in ["key on USB", "OTP interface", "keys answer"] {
        ensure!(status(check) == Some("ok".into()), "{check}: {report}");
    }
    Ok(())
}

/// `tapkey watch`, run by the person at the seat, tells of the key that is there, and of its going and
/// coming.
fn watched(key: &Key) -> Result<()> {
    let mut watching = person(TAPKEY).args(["--json", "watch"]).stdout(Stdio::piped()).spawn()?;
    let lines = BufReader::new(watching.stdout.take().context("its output")?).lines();
    let (sender, events) = mpsc::channel::<serde_json::Value>();
    thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            let Ok(event) = serde_json::from_str(&line) else { return };
            if sender.send(event).is_err() {
                return;
            }
        }
    });
    let next = |wanted: &[&str]| loop {
        let event = events.recv_timeout(PATIENCE).with_context(|| format!("no news of {wanted:?}"))?;
        if wanted.iter().any(|name| event["event"] == *name) {
            return anyhow::Ok(event);
        }
    };
    let there = next(&["plugged", "ready"])?;
    ensure!(there["event"] == "plugged" && there["already"] == true, "{there}");
    next(&["ready"])?;
    key.emulate(&["replug"])?;
    let gone = next(&["plugged", "unplugged"])?;
    ensure!(gone["event"] == "unplugged", "{gone}");
    let back = next(&["plugged", "unplugged"])?;
    ensure!(back["event"] == "plugged" && back["already"] == false, "{back}");
    ensure!(back["key"]["serial"] == there["key"]["serial"] && back["key"]["version"] == "5.7.4", "{back}");
    watching.kill()?;
    watching.wait()?;
    key.settle()
}

fn enrolment(key: &Key) -> Result<()> {
    fs::create_dir_all("/tmp/enrolment")?;
    let config = "/tmp/enrolment/config.toml";
    fs::write(config, "[policy]\naccept_emulated = true\n")?;
    let data = Path::new("/tmp/enrolment/data");
    let server = Serving::start(data, |command| {
        command.args(["--config", config]);
    })?;
    let client = server.post("clients", &json!({ "label": "web shop" }))?;
    fs::copy(data.join("admin-token"), "/home/lab/token")?;
    chown("/home/lab/token", Some(4711), Some(4711))?;
    forget_what_was_typed()?;
    // As `login` does it.
    chown("/dev/tty1", Some(4711), None)?;
    let console = || File::options().read(true).write(true).open("/dev/tty1");
    let enroll = [TAPKEY, "enroll", "--server", server.address(), "--token-file", "/home/lab/token"];
    let more = ["--account", "alice", "--create-account", "--slot", "2", "--yes"];
    // A terminal of its own: the kernel types into it, and that is all that enrolment reads.
    let mut command = Command::new("setsid");
    let inner = person(enroll[0]);
    command.args(["--ctty", "--wait"]).arg(inner.get_program()).args(inner.get_args());
    command.args(&enroll[1..]).args(more).env_clear().current_dir("/home/lab");
    command.env("PATH", "/usr/local/bin:/usr/bin:/bin").env("HOME", "/home/lab");
    let mut enrolling = command.stdin(console()?).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut errors = enrolling.stderr.take().context("its errors")?;
    let (sender, said) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = errors.read(&mut bytes) {
            let _ = sender.send(String::from_utf8_lossy(&bytes[..count]).into_owned());
        }
    });
    let mut told_so_far = String::new();
    while !told_so_far.to_lowercase().contains("touch") {
        let more = said.recv_timeout(PATIENCE);
        told_so_far.push_str(&more.with_context(|| format!("no touch asked for: {told_so_far}"))?);
    }
    let confirming = key.types(2)?;
    let output = enrolling.wait_with_output()?;
    told_so_far.extend(said.iter());
    ensure!(output.status.success(), "{}{told_so_far}", told(&output));

    let text = |name: &str| match &client[name] {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let url = format!("{}/wsapi/2.0/verify", server.address());
    let ask = |otp: &str| {
        let arguments = ["--url", &url, "--apikey", &text("api_key"), &text("id"), otp.trim()];
        parts::command(part("ykclient")?).args(arguments).output().context("running ykclient")
    };
    let next = key.types(2)?;
    // 0 is accepted, 2 replayed.
    for (otp, code) in [(&next, 0), (&next, 2), (&confirming, 2)] {
        let output = ask(otp)?;
        ensure!(output.status.code() == Some(code), "{code} was expected: {}", told(&output));
    }
    server.stop()
}

/// Pulls the key out so many parts of a frame after its beginning, and so many milliseconds. The
/// whole frame has eight parts; empty ones are not sent.
fn pulled_out(plugged: Key, moments: &[(usize, u64)]) -> Result<()> {
    const KEYS: [&str; 2] = [HMAC_KEY, "1313131313131313131313131313131313131313"];
    let state = Path::new(STATE).to_owned();
    let arguments = |which: usize| {
        let key = format!("-a{}", KEYS[which]);
        ["-y", "-2", "-ochal-resp", "-ochal-hmac", "-ohmac-lt64", &key].map(str::to_owned)
    };
    let answer = || Ok::<_, anyhow::Error>(run("ykchalresp", &["-2", "hello"])?.trim().to_owned());
    let mut answers = vec![];
    for which in 0..KEYS.len() {
        let output = parts::command("ykpersonalize").args(arguments(which)).output()?;
        ensure!(output.status.success(), "{}", told(&output));
        answers.push(answer()?);
    }
    ensure!(answers[0] != answers[1]);

    run("modprobe", &["usbmon"])?;
    // Nothing else is mounted there.
    run("mount", &["-t", "debugfs", "debugfs", "/sys/kernel/debug"])?;
    let mut key = plugged;
    let mut holds = 1;
    let mut seen = vec![];
    for &(moment, after) in moments {
        key.settle()?;
        let monitor = BufReader::new(File::open("/sys/kernel/debug/usb/usbmon/0u")?);
        let (sender, sent) = mpsc::channel();
        thread::spawn(move || {
            // Feature reports that the host has sent to interface 0.
            let parts =
                monitor.lines().map_while(Result::ok).filter(|line| line.contains(" s 21 09 0300 0000"));
            for _ in parts {
                if sender.send(()).is_err() {
                    return;
                }
            }
        });
        let mut programming = parts::command("ykpersonalize")
            .args(arguments(1 - holds))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        for part in 1..=moment {
            sent.recv_timeout(PATIENCE).with_context(|| format!("part {part} was never sent"))?;
        }
        thread::sleep(Duration::from_millis(after));
        key.pull()?;
        programming.wait()?;
        key = Key::plug(&state)?;
        let now = answer()?;
        let before = holds;
        holds = answers
            .iter()
            .position(|answer| *answer == now)
            .with_context(|| format!("after part {moment} the slot answers {now}, neither old nor new"))?;
        seen.push(holds != before);
        let found = if holds == before { "old" } else { "new" };
        eprintln!("                  {after} ms after part {moment} of 8: {found}");
    }
    // Or it was never pulled out where this says.
    ensure!(seen.first() == Some(&false) && seen.last() == Some(&true), "{seen:?}");
    drop(key);
    key::wait_for("the key to be gone", || Ok(hidraw(0)?.is_none()))
}
