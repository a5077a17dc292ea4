//! What needs a kernel: in a virtual machine with Debian's, under software emulation.
//!
//! Each test boots the machine and runs itself again inside, where `lab::step` tells which part.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    missing_docs
)]

use std::fs;

use anyhow::{Context, Result, ensure};
use tapkey_tests::lab::{Checks, Lab};

#[path = "lab/challenge.rs"]
mod challenge;
#[path = "lab/key.rs"]
mod key;
#[path = "lab/power.rs"]
mod power;
#[path = "lab/slots.rs"]
mod slots;
#[path = "lab/usb.rs"]
mod usb;

/// Runs a program that must succeed, and returns what it wrote.
fn run(program: &str, arguments: &[&str]) -> Result<String> {
    let output = tapkey_tests::parts::command(program)
        .args(arguments)
        .output()
        .with_context(|| format!("starting {program}"))?;
    ensure!(output.status.success(), "{program} {arguments:?}: {}", tapkey_tests::credential::told(&output));
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// What everything else relies on.
fn machine(checks: &mut Checks) {
    checks.check("the kernel is Debian's, and has what a USB key needs", || {
        let version = fs::read_to_string("/proc/version")?;
        ensure!(version.contains("Debian"), "{version}");
        let modules = fs::read_to_string("/proc/modules")?;
        for module in ["vhci_hcd", "uhid", "uinput", "evdev"] {
            ensure!(modules.lines().any(|line| line.starts_with(&format!("{module} "))), "no {module}");
        }
        ensure!(fs::exists("/sys/devices/platform/vhci_hcd.0/attach")?);
        Ok(())
    });
    checks.check("there is no network but loopback", || {
        let links: Vec<_> = fs::read_dir("/sys/class/net")?.map(|entry| entry.unwrap().file_name()).collect();
        ensure!(links == ["lo"], "{links:?}");
        std::net::TcpListener::bind("127.0.0.1:0")?;
        Ok(())
    });
    checks.check("the host cannot be written, and the folder can", || {
        let folder = tapkey_tests::lab::folder()?;
        fs::write(folder.join("from-the-guest"), "x")?;
        // The layer of memory takes it.
        fs::write(tapkey_tests::parts::root().join("target/lab/only-in-the-guest"), "x")?;
        fs::write("/disk/x", "x")?;
        Ok(())
    });
    checks.check("systemd-udevd has read our rules, and finds no fault in them", || {
        let rules = "/etc/udev/rules.d/70-tapkey.rules";
        let here = tapkey_tests::parts::root().join("udev/70-tapkey.rules");
        ensure!(fs::read(rules)? == fs::read(here)?, "other rules");
        run("udevadm", &["control", "--ping"])?;
        // A bus of the emulated USB controller, whose number is not Yubico's.
        let other = run("udevadm", &["test", "--action=add", "/sys/bus/usb/devices/usb1"])?;
        ensure!(!other.contains("ID_SECURITY_TOKEN"), "{other}");
        Ok(())
    });
}

#[test]
#[ignore = "two more boots: just lab-full"]
fn a_machine_that_panics_or_fails_is_told_as_such() {
    let lab = Lab::new("a_machine_that_panics_or_fails_is_told_as_such").unwrap();
    let end = |script: &str| {
        let machine = lab.start(&["--no-udev"], &["sh", "-c", script]).unwrap();
        machine.finish().unwrap_err().to_string()
    };
    let failed = end("echo out; echo err >&2; exit 7");
    assert!(["exit code 7", "out\n", "err\n"].iter().all(|part| failed.contains(part)), "{failed}");
    let panicked = end("echo before; echo c >/proc/sysrq-trigger; sleep 60");
    let parts = ["without an exit code", "kernel panicked", "before\n"];
    assert!(parts.iter().all(|part| panicked.contains(part)), "{panicked}");
}
