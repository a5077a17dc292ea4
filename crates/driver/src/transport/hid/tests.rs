use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tapkey_protocol::hid::{DeviceSide, Event, FLAG_RESPONSE, FLAG_TOUCH, TouchLevel};
use tapkey_protocol::link::{LinkError, Report};

use super::*;
use crate::clock::ManualClock;
use crate::control::CancelToken;

const IDLE: Report = [0, 5, 7, 4, 3, 1, 0, 0];
const BUSY: Report = [0, 0, 0, 0, 0, 0, 0, FLAG_WRITE];

/// Answers reads by a script; the last entry repeats for ever. Writes are recorded.
#[derive(Clone)]
struct Script {
    reads: Arc<Mutex<VecDeque<Report>>>,
    writes: Arc<Mutex<Vec<Report>>>,
}

impl Script {
    fn new(reads: &[Report]) -> Self {
        Self { reads: Arc::new(Mutex::new(reads.iter().copied().collect())), writes: Arc::default() }
    }

    /// The status, then ready for both parts of an empty frame, then `answer`.
    fn answering(answer: &[Report]) -> Self {
        Self::new(&[&[IDLE, IDLE], answer].concat())
    }

    fn last_write(&self) -> Option<Report> {
        self.writes.lock().unwrap().last().copied()
    }
}

impl OtpLink for Script {
    fn write_report(&mut self, report: &Report) -> Result<(), LinkError> {
        self.writes.lock().unwrap().push(*report);
        Ok(())
    }

    fn read_report(&mut self) -> Result<Report, LinkError> {
        let mut reads = self.reads.lock().unwrap();
        match reads.len() {
            0 => Err(LinkError::Removed),
            1 => Ok(reads[0]),
            _ => Ok(reads.pop_front().unwrap()),
        }
    }
}

fn part(index: u8, data: [u8; 7]) -> Report {
    let [a, b, c, d, e, f, g] = data;
    [a, b, c, d, e, f, g, FLAG_RESPONSE | index]
}

fn manual() -> (Arc<ManualClock>, Control) {
    let clock = Arc::new(ManualClock::new());
    (Arc::clone(&clock), Control::with_clock(clock))
}

fn serial(script: &Script, control: &Control) -> Result<Vec<u8>, Failure> {
    let mut reports = Reports::new(script.clone());
    reports.settled = true;
    reports.read(SlotCommand::Serial, &[], Expect::Data { length: 4 }, control)
}

#[test]
fn a_wrong_checksum_is_malformed() {
    let script = Script::answering(&[part(0, [0, 1, 2, 3, 0xAA, 0xBB, 0]), part(0, [0; 7]), IDLE]);
    let error = serial(&script, &manual().1).unwrap_err();
    assert!(matches!(error, Failure::Error(Error::Malformed(Malformed::Exchange(ExchangeError::BadCrc)))));
}

#[test]
fn a_gap_in_the_parts_is_malformed_and_ends_the_answer() {
    let script = Script::answering(&[part(0, [1; 7]), part(2, [2; 7]), IDLE]);
    let error = serial(&script, &manual().1).unwrap_err();
    assert!(
        matches!(
            error,
            Failure::Error(Error::Malformed(Malformed::Exchange(ExchangeError::UnexpectedPart {
                expected: 1,
                found: 2
            })))
        ),
        "{error:?}"
    );
    assert_eq!(script.last_write(), Some(RESET_REPORT));
}

#[test]
fn a_part_repeated_for_ever_ends_in_time() {
    let script = Script::answering(&[part(0, [1; 7]), part(1, [2; 7]), part(1, [2; 7])]);
    let (clock, control) = manual();
    assert!(matches!(serial(&script, &control), Err(Failure::Error(Error::NotReady))));
    assert!(clock.elapsed() < Duration::from_secs(5), "{clock:?}");
}

#[test]
fn a_key_that_stays_busy_is_given_up() {
    for script in [Script::new(&[BUSY]), Script::answering(&[BUSY])] {
        let (clock, control) = manual();
        assert!(matches!(serial(&script, &control), Err(Failure::Error(Error::NotReady))));
        assert!(clock.elapsed() < Duration::from_secs(5), "{clock:?}");
        assert!(clock.elapsed() > Duration::from_secs(1), "{clock:?}");
        assert_eq!(script.last_write(), Some(RESET_REPORT));
    }
    let (clock, control) = manual();
    assert!(matches!(status(&mut Script::new(&[BUSY]), &control), Err(Error::NotReady)));
    assert!(clock.elapsed() < Duration::from_secs(5), "{clock:?}");
}

#[test]
fn a_deadline_ends_a_busy_wait_exactly() {
    let (clock, control) = manual();
    let control = control.with_timeout(Duration::from_millis(137));
    let script = Script::answering(&[BUSY]);
    assert!(matches!(serial(&script, &control), Err(Failure::Error(Error::DeadlinePassed))));
    assert_eq!(clock.elapsed(), Duration::from_millis(137));
    assert_eq!(script.last_write(), Some(RESET_REPORT), "the command is taken back");
}

#[test]
fn a_removal_in_any_step_is_a_removal() {
    let complete = [IDLE, IDLE, part(0, [1; 7]), part(1, [2; 7])];
    for length in 0..complete.len() {
        struct Cut(Script, usize);
        impl OtpLink for Cut {
            fn write_report(&mut self, report: &Report) -> Result<(), LinkError> {
                self.0.write_report(report)
            }
            fn read_report(&mut self) -> Result<Report, LinkError> {
                self.1 = self.1.checked_sub(1).ok_or(LinkError::Removed)?;
                self.0.read_report()
            }
        }
        let link = Cut(Script::new(&complete), length);
        let mut reports = Reports::new(link);
        let result = reports.read(SlotCommand::Serial, &[], Expect::Data { length: 4 }, &manual().1);
        assert!(matches!(result, Err(Failure::Error(Error::Link(LinkError::Removed)))), "{length}");
    }
}

#[test]
fn touches_are_told_once_and_cancelling_takes_the_command_back() {
    let waiting = [0, 0, 0, 0, 0, 0, 0, FLAG_TOUCH | 14];
    let script = Script::answering(&[waiting]);
    let token = CancelToken::new();
    let fire = token.clone();
    let clock = Arc::new(ManualClock::with_hook(move |elapsed| {
        if elapsed >= Duration::from_secs(2) {
            fire.cancel();
        }
    }));
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = Arc::clone(&told);
    let control = Control::with_clock(clock.clone())
        .with_cancel(token)
        .with_touch(move |event| tell.lock().unwrap().push(event));
    assert!(matches!(serial(&script, &control), Err(Failure::Error(Error::Cancelled))));
    assert_eq!(*told.lock().unwrap(), [TouchEvent::Needed { seconds_left: Some(14) }, TouchEvent::Over]);
    assert_eq!(script.last_write(), Some(RESET_REPORT));
    assert!(clock.elapsed() < Duration::from_millis(2200), "{clock:?}");
}

#[test]
fn a_touch_wait_without_end_ends() {
    let waiting = [0, 0, 0, 0, 0, 0, 0, FLAG_TOUCH | 31];
    let (clock, control) = manual();
    let error = serial(&Script::answering(&[waiting]), &control).unwrap_err();
    assert!(matches!(error, Failure::Error(Error::NotReady)), "{error:?}");
    assert!(clock.elapsed() > Duration::from_secs(255), "no key waits longer: {clock:?}");
}

/// A key that rejects every command until a moment, as one does that is just leaving its smart card.
struct Switching {
    side: DeviceSide,
    until: Duration,
    clock: Arc<ManualClock>,
    version: Version,
    commands: Arc<AtomicUsize>,
}

impl OtpLink for Switching {
    fn write_report(&mut self, report: &Report) -> Result<(), LinkError> {
        if let Event::Frame { command, .. } = self.side.write_report(report) {
            self.commands.fetch_add(1, Ordering::SeqCst);
            match command {
                _ if self.clock.elapsed() < self.until => self.side.finish(),
                0x10 => self.side.respond(&[0, 0, 0, 42]).unwrap(),
                0x13 => self.side.respond(&[0]).unwrap(),
                _ => self.side.finish(),
            }
        }
        Ok(())
    }

    fn read_report(&mut self) -> Result<Report, LinkError> {
        let touch_level = TouchLevel(0);
        Ok(self.side.read_report(Status { version: self.version, sequence: 0, touch_level }))
    }
}

fn ask_switching(
    version: Version,
    until: Duration,
    command: SlotCommand,
) -> (Result<Vec<u8>, Failure>, Duration, usize) {
    let (clock, control) = manual();
    let commands = Arc::new(AtomicUsize::new(0));
    let mut reports = Reports::new(Switching {
        side: DeviceSide::new(),
        until,
        clock: Arc::clone(&clock),
        version,
        commands: Arc::clone(&commands),
    });
    let result = reports.read(command, &[], Expect::Data { length: 4 }, &control);
    (result, clock.elapsed(), commands.load(Ordering::SeqCst))
}

#[test]
fn a_key_that_is_switching_interfaces_is_waited_for() {
    for version in [Version::new(5, 4, 3), Version::new(3, 4, 9)] {
        let (result, elapsed, _) = ask_switching(version, Duration::from_secs(3), SlotCommand::Serial);
        assert_eq!(result.unwrap(), [0, 0, 0, 42]);
        assert!(elapsed < Duration::from_millis(3500), "{elapsed:?}");
    }
}

#[test]
fn a_real_rejection_costs_no_wait() {
    let command = SlotCommand::ChallengeHmac(tapkey_protocol::slot::Slot::One);
    let (result, elapsed, commands) = ask_switching(Version::new(5, 4, 3), Duration::ZERO, command);
    assert!(matches!(result, Err(Failure::Rejected)));
    assert!(elapsed < Duration::from_millis(100), "{elapsed:?}");
    assert_eq!(commands, 2, "the command and one probe");
}

#[test]
fn a_key_that_never_answers_is_not_asked_for_ever() {
    let forever = Duration::from_secs(3600);
    let (result, elapsed, _) = ask_switching(Version::new(5, 7, 4), forever, SlotCommand::Serial);
    assert!(matches!(result, Err(Failure::Rejected)));
    assert!(elapsed < Duration::from_secs(1), "recent firmware switches quickly: {elapsed:?}");
}
