//! What each fault looks like at the links, and what a key goes through besides.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]

mod common;

use common::{AID_OTP, Bench, hmac, yubico};
use tapkey_emulator::port::in_process::PluggedKey;
use tapkey_emulator::{
    Counter, Fault, Led, Milliseconds, Power, Press, Silence, TouchError, TouchPolicy, TurnError,
};
use tapkey_protocol::apdu::{Command, Encoding, StatusWord};
use tapkey_protocol::crc;
use tapkey_protocol::hid::{FLAG_TOUCH, FLAG_WRITE, Frame, Status};
use tapkey_protocol::link::{CardLink, LinkError, OtpLink, Report};
use tapkey_protocol::slot::{Slot, SlotCommand};

fn bench(faults: &[&str]) -> Bench {
    let bench = Bench::new();
    bench.program(Slot::One, &yubico());
    bench.program(Slot::Two, &hmac(&[1; 20]));
    for fault in faults {
        bench.key.faults().add(fault.parse().unwrap());
    }
    bench
}

fn write(key: &PluggedKey, command: SlotCommand, payload: &[u8]) {
    let mut link = key.otp().unwrap();
    for report in Frame::new(command.code(), payload).unwrap().reports() {
        link.write_report(&report).unwrap();
    }
}

fn reads(key: &PluggedKey, count: usize) -> Vec<Report> {
    let mut link = key.otp().unwrap();
    (0..count).map(|_| link.read_report().unwrap()).collect()
}

fn flags(reports: &[Report]) -> Vec<u8> {
    reports.iter().map(|report| report[7]).collect()
}

#[test]
fn answers_with_wrong_checksums_and_missing_parts() {
    let bench = bench(&["crc@2", "answer-cut=2@3", "read-lost@20"]);
    let challenge = SlotCommand::ChallengeHmac(Slot::Two);
    let intact = |reports: &[Report]| {
        let data: Vec<u8> = reports.iter().flat_map(|report| report[..7].to_vec()).collect();
        crc::holds(&data[..22])
    };
    write(&bench.key, challenge, &[5; 64]);
    let first = reads(&bench.key, 6);
    assert_eq!((flags(&first), intact(&first)), (vec![0x40, 0x41, 0x42, 0x43, 0x40, 0], true));
    write(&bench.key, challenge, &[5; 64]);
    let second = reads(&bench.key, 6);
    assert_eq!((flags(&second), intact(&second)), (vec![0x40, 0x41, 0x42, 0x43, 0x40, 0], false));
    write(&bench.key, challenge, &[5; 64]);
    assert_eq!(flags(&reads(&bench.key, 4)), [0x40, 0x41, 0x40, 0]);
    write(&bench.key, challenge, &[5; 64]);
    // The reads so far were 16; the fourth from here is lost.
    assert_eq!(flags(&reads(&bench.key, 5)), [0x40, 0x41, 0x42, 0x40, 0]);
    assert!(bench.key.faults().list().iter().all(|fault| fault.fired == 1));
}

#[test]
fn commands_that_do_not_arrive_whole_do_nothing() {
    for fault in ["write-lost@1", "write-lost@2", "report-lost@1", "frame-cut"] {
        let bench = bench(&[fault]);
        let before = bench.status();
        bench.key.faults().clear();
        bench.key.faults().add(fault.parse().unwrap());
        write(&bench.key, SlotCommand::Swap, &[7; 64]);
        let after = Status::from_report(&reads(&bench.key, 1)[0]).unwrap();
        assert_eq!(after, before, "{fault}");
        assert_eq!(bench.key.faults().list()[0].fired, 1, "{fault}");
        assert_eq!(bench.hid(SlotCommand::Swap, &[0; 6]), common::Answer::Accepted);
    }
}

#[test]
fn a_key_that_stays_busy() {
    let bench = bench(&["stuck-write=3"]);
    bench.otp().write_report(&[0, 0, 0, 0, 0, 0, 0, 0x80]).unwrap();
    assert_eq!(flags(&reads(&bench.key, 5)), [FLAG_WRITE, FLAG_WRITE, FLAG_WRITE, 0, 0]);

    let bench = self::bench(&["answer-delay=1000"]);
    write(&bench.key, SlotCommand::ChallengeHmac(Slot::Two), &[5; 64]);
    assert_eq!(flags(&reads(&bench.key, 2)), [FLAG_WRITE, FLAG_WRITE]);
    bench.pass(1000);
    assert_eq!(flags(&reads(&bench.key, 1)), [0x40]);
}

#[test]
fn links_that_break() {
    let bench = bench(&["stall@1", "stall@4"]);
    let mut link = bench.otp();
    assert!(matches!(link.read_report(), Err(LinkError::Io(_))));
    link.read_report().unwrap();
    link.write_report(&[0; 8]).unwrap();
    assert!(matches!(link.write_report(&[0; 8]), Err(LinkError::Io(_))));
    bench.key.faults().add("unplug".parse().unwrap());
    assert!(matches!(link.read_report(), Err(LinkError::Removed)));
    assert_eq!(bench.key.with(|key| key.powered()), Power::Off);
    bench.key.replug().unwrap();
    bench.otp().read_report().unwrap();
}

#[test]
fn cards_that_misbehave() {
    let bench = bench(&["mute@1", "status@2", "short-response=3@3", "response-lost@4", "response-delay@5"]);
    let select = Command::select(AID_OTP).encode(Encoding::Short).unwrap();
    let mut card = bench.key.card().unwrap();
    assert!(matches!(card.transmit(&select), Err(LinkError::TimedOut)));
    assert_eq!(card.transmit(&select).unwrap(), [0x6F, 0x00]);
    assert_eq!(card.transmit(&select).unwrap(), [5, 7, 4]);
    assert!(matches!(card.transmit(&select), Err(LinkError::TimedOut)));
    let before = bench.clock.now();
    assert!(card.transmit(&select).unwrap().ends_with(&[0x90, 0x00]));
    assert_eq!(bench.clock.now() - before, Milliseconds(300));

    for (fault, programmed) in [("removal", false), ("removal-after", true)] {
        let bench = Bench::new();
        bench.select(AID_OTP).unwrap();
        bench.key.faults().add(fault.parse().unwrap());
        let payload = *tapkey_protocol::slot::SlotConfig::record(&yubico())
            .payload(&tapkey_protocol::slot::AccessCode::NONE)
            .expose();
        let command = Command::new(0, SlotCommand::INS, 1, 0, payload).encode(Encoding::Short).unwrap();
        let mut card = bench.key.card().unwrap();
        assert!(matches!(card.transmit(&command), Err(LinkError::Removed)));
        assert!(matches!(card.transmit(&command), Err(LinkError::Removed)));
        bench.key.replug().unwrap();
        assert_eq!(bench.key.snapshot().slots[0].is_some(), programmed, "{fault}");
    }
}

#[test]
fn a_touch_that_never_comes() {
    let mut config = hmac(&[1; 20]);
    config.require_touch = true;
    for policy in [TouchPolicy::Manual, TouchPolicy::Automatic(Milliseconds(10))] {
        let bench = Bench::new();
        bench.program(Slot::Two, &config);
        bench.key.with(|key| key.set_touch_policy(policy.clone()));
        bench.key.faults().add("touch-never".parse().unwrap());
        let challenge = SlotCommand::ChallengeHmac(Slot::Two);
        write(&bench.key, challenge, &[5; 64]);
        bench.pass(1000);
        assert_eq!(reads(&bench.key, 1)[0][7] & FLAG_TOUCH, FLAG_TOUCH);
        assert_eq!(bench.key.touch(), Err(TouchError::NobodyThere));
        bench.pass(20_000);
        assert_eq!(flags(&reads(&bench.key, 1)), [0]);
        // The next one is touched again.
        write(&bench.key, challenge, &[5; 64]);
        bench.pass(100);
        if policy == TouchPolicy::Manual {
            bench.key.touch().unwrap();
        }
        assert_eq!(flags(&reads(&bench.key, 1)), [0x40]);
    }
}

#[test]
fn a_suspended_key_answers_nothing_and_forgets_nothing() {
    let bench = bench(&[]);
    let first = bench.counters(Slot::One);
    let mut link = bench.otp();
    let mut card = bench.key.card().unwrap();
    bench.key.suspend();
    assert!(matches!(link.read_report(), Err(LinkError::TimedOut)));
    assert!(matches!(link.write_report(&[0; 8]), Err(LinkError::TimedOut)));
    assert!(matches!(card.transmit(&[0, 3, 0, 0]), Err(LinkError::TimedOut)));
    assert_eq!(bench.key.press(Slot::One).unwrap(), Press::Nothing(Silence::Suspended));
    assert_eq!(bench.key.with(|key| key.led()), Led::Off);
    bench.key.resume();
    link.read_report().unwrap();
    card.transmit(&[0, 3, 0, 0]).unwrap();
    assert_eq!(bench.counters(Slot::One), (first.0, first.1 + 1), "no power-up in between");
    bench.key.suspend();
    bench.key.replug().unwrap();
    assert_eq!(bench.counters(Slot::One), (first.0 + 1, 0));
}

#[test]
fn a_clock_that_jumps_moves_the_timestamp_and_ends_waits() {
    let bench = bench(&[]);
    let ticks = |token: tapkey_protocol::otp::Token| token.timestamp.value();
    let first = ticks(bench.token(Slot::One));
    bench.key.jump(Milliseconds::from_seconds(3600));
    let second = ticks(bench.token(Slot::One));
    assert_eq!(second.wrapping_sub(first) & 0xFF_FFFF, 3600 * 8);
    bench.key.jump(Milliseconds(u64::MAX));
    bench.key.jump(Milliseconds(u64::MAX));
    bench.token(Slot::One);
}

#[test]
fn counters_turn_forward_to_their_end_and_never_back() {
    let bench = bench(&[]);
    let key = &bench.key;
    assert_eq!(bench.counters(Slot::One), (1, 0));
    key.turn(Counter::Session(Slot::One, 254)).unwrap();
    assert_eq!(bench.counters(Slot::One), (1, 255));
    assert_eq!(bench.counters(Slot::One), (2, 0));
    assert!(matches!(key.turn(Counter::Use(Slot::One, 1)), Err(TurnError::Backwards { stands: 2 })));
    assert!(matches!(key.turn(Counter::Use(Slot::One, 32768)), Err(TurnError::TooHigh)));
    assert!(matches!(key.turn(Counter::Use(Slot::Two, 5)), Err(TurnError::NoCounter { .. })));
    assert!(matches!(key.turn(Counter::MovingFactor(Slot::One, 5)), Err(TurnError::NoCounter { .. })));

    key.turn(Counter::Use(Slot::One, 32766)).unwrap();
    assert_eq!(bench.counters(Slot::One), (32767, 0));
    key.turn(Counter::Session(Slot::One, 254)).unwrap();
    assert_eq!(bench.counters(Slot::One), (32767, 255));
    assert_eq!(key.press(Slot::One).unwrap(), Press::Nothing(Silence::CounterExhausted));

    key.replug().unwrap();
    assert!(matches!(key.turn(Counter::Session(Slot::One, 3)), Err(TurnError::TooHigh)));
    key.turn(Counter::Sequence(255)).unwrap();
    bench.program(Slot::One, &yubico());
    assert_eq!(bench.sequence(), 0);
    // The first use since power-up is counted also when only the session counter is turned.
    key.turn(Counter::Session(Slot::One, 7)).unwrap();
    assert_eq!(bench.counters(Slot::One), (1, 8));
    bench.delete(Slot::One);
    bench.delete(Slot::Two);
    assert!(matches!(key.turn(Counter::Sequence(9)), Err(TurnError::BothEmpty)));
}

#[test]
fn faults_outside_the_ports_stay_outside() {
    // Straight into the state machine, nothing is injected.
    let bench = bench(&["crc@1x*", "mute@1x*", "stall@1x*"]);
    bench.key.with(|key| {
        assert!(key.apdu(&Command::select(AID_OTP).encode(Encoding::Short).unwrap()).ends_with(&[0x90, 0]));
        assert_eq!(key.read_report()[7], 0);
    });
    assert!(bench.key.faults().list().iter().all(|fault| fault.fired == 0));
    assert_eq!(StatusWord::SUCCESS.to_bytes(), [0x90, 0x00]);
    assert_eq!(Fault::ALL.len(), 22);
}

#[test]
fn hosts_on_usb_are_recorded_as_well() {
    use std::sync::mpsc;
    use tapkey_protocol::transcript::Secrets;
    use tapkey_protocol::transcript::recording::{Recording, Tape, decode};

    let bench = bench(&["mute@2"]);
    let (lines, text) = mpsc::channel();
    let tape = Tape::new("test", Secrets::Hide, || 0, move |line| lines.send(format!("{line}\n")).unwrap());
    bench.key.record(tape);
    // As the USB port does it.
    bench.key.with(|key| {
        for report in Frame::new(SlotCommand::ChallengeHmac(Slot::Two).code(), &[5; 64]).unwrap().reports() {
            key.host_writes(&report).unwrap();
        }
        while key.host_reads().unwrap()[7] != 0 {}
        let select = Command::select(AID_OTP).encode(Encoding::Short).unwrap();
        key.host_submits(&select).unwrap().unwrap();
        key.host_submits(&select).unwrap_err();
    });
    bench.key.faults().add("unplug".parse().unwrap());
    bench.key.with(|key| key.host_reads().unwrap_err());
    let recording = Recording::parse(&text.try_iter().collect::<String>()).unwrap();
    let told: Vec<String> = decode(&recording).into_iter().map(|one| one.text).collect();
    assert_eq!(
        told,
        [
            "opened",
            "> OTP: HMAC challenge to slot 2 [64 bytes hidden]",
            "< OTP: HMAC challenge to slot 2 [20 bytes hidden]",
            "< status: firmware 5.7.4, sequence 2, slots 0007",
            "opened",
            "> select OTP a0000005272001",
            "< select OTP 050704020700 9000 (success)",
            "> select OTP a0000005272001",
            "! transmit failed: no answer in time",
            "! read failed: the key was removed",
        ]
    );
}
