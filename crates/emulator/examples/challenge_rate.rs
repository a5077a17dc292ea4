//! How many challenges per second an emulated key answers in process, on one core:
//! `cargo run --release -p tapkey-emulator --example challenge_rate`.

#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::time::{Duration, Instant};

use tapkey_emulator::VirtualKey;
use tapkey_emulator::port::in_process::PluggedKey;
use tapkey_protocol::challenge;
use tapkey_protocol::hid::Frame;
use tapkey_protocol::link::{OtpLink, Report};
use tapkey_protocol::slot::{AccessCode, ChallengeHmac, HmacKey, Options, Slot, SlotCommand, SlotConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let key = PluggedKey::new(VirtualKey::builder().build()?)?;
    let mut link = key.otp()?;
    let config = ChallengeHmac {
        key: HmacKey::new([0x0B; 20]),
        variable_length: true,
        require_touch: false,
        options: Options::for_challenges(),
        access_code: AccessCode::NONE,
    };
    let payload = config.record().payload(&AccessCode::NONE);
    write(&mut link, SlotCommand::Configure(Slot::One).code(), payload.expose())?;
    link.read_report()?;

    // The frame is the host's work, so it is made once.
    let frame = challenge::pad(b"Hi There")?;
    let reports = Frame::new(SlotCommand::ChallengeHmac(Slot::One).code(), &frame)?.reports();
    let mut answers = 0_u32;
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(2) {
        for _ in 0..1000 {
            exchange(&mut link, &reports)?;
            answers += 1;
        }
    }
    let rate = f64::from(answers) / start.elapsed().as_secs_f64();
    println!("{rate:.0} challenges per second");
    Ok(())
}

fn write(link: &mut impl OtpLink, command: u8, payload: &[u8]) -> Result<(), Box<dyn std::error::Error>> {
    for report in Frame::new(command, payload)?.reports() {
        link.write_report(&report)?;
    }
    Ok(())
}

fn exchange(link: &mut impl OtpLink, reports: &[Report]) -> Result<(), Box<dyn std::error::Error>> {
    for report in reports {
        link.write_report(report)?;
    }
    // Four parts of the answer, then the end mark.
    for part in [0x40, 0x41, 0x42, 0x43, 0x40] {
        let report = link.read_report()?;
        if report.last() != Some(&part) {
            return Err("the key answered something else".into());
        }
    }
    Ok(())
}
