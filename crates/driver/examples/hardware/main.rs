//! The driver's scenarios on a real key, which loses what is in its OTP slots.
//!
//! ```text
//! scripts/test-hardware SERIAL [--software] [--without-touch]
//! scripts/test-hardware --emulated
//! ```
//!
//! `--software` allows a software key behind a real reader or USB port, `--without-touch` leaves out
//! what needs a person, and `--emulated` runs everything on a key inside this program, which proves
//! the suite itself. Without arguments the serial number is taken from `TAPKEY_TEST_SERIAL`.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod rig;
mod scenarios;

use std::error::Error;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use rig::{EmulatedRig, RealRig, Rig};
use scenarios::{Outcome, SCENARIOS, is_software_serial};

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("hardware suite: {error}");
            ExitCode::from(2)
        }
    }
}

struct Arguments {
    serial: Option<u32>,
    emulated: bool,
    software: bool,
    touch: bool,
}

fn run() -> Result<bool, Box<dyn Error>> {
    let arguments = parse()?;
    if arguments.emulated {
        let mut rig = EmulatedRig::new()?;
        return Ok(run_all(&mut rig, arguments.touch));
    }
    let Some(serial) = arguments.serial else {
        return Err("nothing was tested: give the serial number of the key to erase, \
                    or --emulated to try the suite itself"
            .into());
    };
    let mut rig = RealRig::new(serial)?;
    let device = rig.device()?;
    if (device.is_software() || is_software_serial(serial)) && !arguments.software {
        return Err(format!("{device} is a software key; add --software if you mean it").into());
    }
    confirm(serial, &device.to_string())?;
    Ok(run_all(&mut rig, arguments.touch))
}

fn parse() -> Result<Arguments, Box<dyn Error>> {
    let mut arguments = Arguments { serial: None, emulated: false, software: false, touch: true };
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--emulated" => arguments.emulated = true,
            "--software" => arguments.software = true,
            "--without-touch" => arguments.touch = false,
            serial => {
                arguments.serial = Some(serial.parse().map_err(|_| format!("{serial} is no serial number"))?);
            }
        }
    }
    if arguments.serial.is_none()
        && let Ok(serial) = std::env::var("TAPKEY_TEST_SERIAL")
    {
        let bad = format!("TAPKEY_TEST_SERIAL={serial} is no serial number");
        arguments.serial = Some(serial.parse().map_err(|_| bad)?);
    }
    Ok(arguments)
}

fn confirm(serial: u32, device: &str) -> Result<(), Box<dyn Error>> {
    if !std::io::stdin().is_terminal() {
        return Err("this erases a key and asks first, so it needs a terminal".into());
    }
    println!("This is {device}.");
    println!("The suite ERASES BOTH OTP SLOTS of this key. What is in them cannot be brought back.");
    print!("To go on, type the serial number of the key: ");
    std::io::stdout().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    if line.trim() == serial.to_string() { Ok(()) } else { Err("that is not it; nothing was done".into()) }
}

fn run_all(rig: &mut dyn Rig, touch: bool) -> bool {
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for scenario in SCENARIOS {
        print!("{:<64}", scenario.name);
        let outcome = if scenario.needs_person && !touch {
            Ok(Outcome::Skipped("needs a person".to_owned()))
        } else {
            (scenario.run)(rig)
        };
        match outcome {
            Ok(Outcome::Passed) => {
                passed += 1;
                println!("ok");
            }
            Ok(Outcome::Observed(what)) => {
                passed += 1;
                println!("ok: {what}");
            }
            Ok(Outcome::Skipped(why)) => {
                skipped += 1;
                println!("skipped: {why}");
            }
            Err(error) => {
                failed += 1;
                println!("FAILED: {error}");
            }
        }
    }
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    failed == 0
}
