use proptest::prelude::*;

use super::*;
use crate::hid::{DeviceSide, Event, TouchLevel};
use crate::version::Version;

/// A key whose answer to the next command is scripted, driven without any waiting.
struct Bench {
    key: DeviceSide,
    status: Status,
    answer: Answer,
    log: Vec<String>,
}

enum Answer {
    Data(Vec<u8>),
    Accept,
    Refuse,
    TouchThen(u8, Box<Answer>),
}

fn status(sequence: u8) -> Status {
    Status { version: Version::new(5, 7, 4), sequence, touch_level: TouchLevel(1) }
}

impl Bench {
    fn new(answer: Answer) -> Self {
        Self { key: DeviceSide::new(), status: status(3), answer, log: Vec::new() }
    }

    fn carry_out(&mut self) {
        match std::mem::replace(&mut self.answer, Answer::Refuse) {
            Answer::Data(data) => self.key.respond(&data).unwrap(),
            Answer::Accept => {
                self.status.sequence = self.status.sequence.wrapping_add(1);
                self.key.finish();
            }
            Answer::Refuse => self.key.finish(),
            Answer::TouchThen(0, then) => {
                self.answer = *then;
                self.carry_out();
            }
            Answer::TouchThen(left, then) => {
                self.key.await_touch(left);
                self.answer = Answer::TouchThen(left - 1, then);
            }
        }
    }

    fn run(&mut self, mut exchange: Exchange) -> Result<Outcome, ExchangeError> {
        let mut input = Input::Start;
        loop {
            let step = exchange.step(input)?;
            self.log.push(format!("{step:?}"));
            input = match step {
                Step::Write(report) => {
                    if let Event::Frame { .. } = self.key.write_report(&report) {
                        self.carry_out();
                    }
                    Input::Written
                }
                Step::Read => Input::Report(self.key.read_report(self.status)),
                Step::Wait { .. } => Input::Waited,
                Step::AwaitTouch { .. } => {
                    self.carry_out();
                    Input::Waited
                }
                Step::Done(outcome) => return Ok(outcome),
            };
        }
    }
}

fn exchange(expect: Expect) -> Exchange {
    Exchange::new(0x30, &[1; 64], expect).unwrap()
}

#[test]
fn data_arrives_and_the_key_is_reset() {
    let mut bench = Bench::new(Answer::Data(vec![7; 20]));
    let outcome = bench.run(exchange(Expect::Data { length: 20 })).unwrap();
    assert_eq!(outcome, Outcome::Data(vec![7; 20]));
    assert_eq!(bench.log[bench.log.len() - 2], "Write(part 0xff)");
    assert!(bench.key.is_idle());
}

#[test]
fn length_prefixed_data_is_cut_to_its_length() {
    let mut bench = Bench::new(Answer::Data(vec![3, 0x01, 0x01, 0x3F]));
    let outcome = bench.run(exchange(Expect::LengthPrefixed)).unwrap();
    assert_eq!(outcome, Outcome::Data(vec![3, 1, 1, 0x3F]));
}

#[test]
fn writes_are_judged_by_the_sequence() {
    let mut bench = Bench::new(Answer::Accept);
    let outcome = bench.run(exchange(Expect::Programming)).unwrap();
    assert_eq!(outcome, Outcome::Status { before: status(3), after: status(4) });
    let error = Bench::new(Answer::Refuse).run(exchange(Expect::Programming)).unwrap_err();
    assert_eq!(error, ExchangeError::Rejected { before: status(3), after: status(3) });
    let error = Bench::new(Answer::Refuse).run(exchange(Expect::Data { length: 4 })).unwrap_err();
    assert!(matches!(error, ExchangeError::Rejected { .. }));
}

#[test]
fn touch_and_no_touch() {
    let touched = Answer::TouchThen(3, Box::new(Answer::Data(vec![9; 20])));
    let mut bench = Bench::new(touched);
    assert_eq!(bench.run(exchange(Expect::Data { length: 20 })), Ok(Outcome::Data(vec![9; 20])));
    assert!(bench.log.contains(&"AwaitTouch(3 s)".to_owned()));

    let missed = Answer::TouchThen(2, Box::new(Answer::Refuse));
    let error = Bench::new(missed).run(exchange(Expect::Data { length: 20 })).unwrap_err();
    assert_eq!(error, ExchangeError::TouchTimedOut);
}

#[test]
fn a_stale_touch_wait_is_cleared_first() {
    let mut bench = Bench::new(Answer::Data(vec![1; 4]));
    bench.key.await_touch(15);
    assert_eq!(bench.run(exchange(Expect::Data { length: 4 })), Ok(Outcome::Data(vec![1; 4])));
    assert_eq!(bench.log[..2], ["Read", "Write(part 0xff)"]);
}

/// Feeds an exchange that has sent its command with scripted reports.
fn read_back(expect: Expect, reports: &[Report]) -> Result<Outcome, ExchangeError> {
    let mut exchange = Exchange::new(0x10, &[], expect).unwrap();
    let mut key = DeviceSide::new();
    let mut input = Input::Start;
    let mut reports = reports.iter();
    let mut sent = false;
    loop {
        input = match exchange.step(input)? {
            Step::Write(report) => {
                sent |= matches!(key.write_report(&report), Event::Frame { .. });
                if !sent {
                    key.finish();
                }
                Input::Written
            }
            Step::Read if sent => Input::Report(*reports.next().expect("a report is left")),
            Step::Read => Input::Report(status(3).to_report()),
            Step::Wait { .. } | Step::AwaitTouch { .. } => Input::Waited,
            Step::Done(outcome) => return Ok(outcome),
        };
    }
}

/// The parts of an answer of eight bytes, and the end mark.
fn parts() -> [Report; 3] {
    let mut key = DeviceSide::new();
    key.respond(&[5; 8]).unwrap();
    std::array::from_fn(|_| key.read_report(status(3)))
}

#[test]
fn a_repeated_part_is_tolerated_and_a_gap_is_not() {
    let [first, second, end] = parts();
    let expect = Expect::Data { length: 8 };
    let busy = [0, 0, 0, 0, 0, 0, 0, 0x80];
    let all = [busy, first, second, second, end];
    assert_eq!(read_back(expect, &all), Ok(Outcome::Data(vec![5; 8])));
    let gap = read_back(expect, &[second, end]);
    assert_eq!(gap, Err(ExchangeError::UnexpectedPart { expected: 0, found: 1 }));
}

#[test]
fn damaged_answers() {
    let [mut first, second, end] = parts();
    let expect = Expect::Data { length: 8 };
    assert_eq!(
        read_back(Expect::Data { length: 16 }, &[first, second, end]),
        Err(ExchangeError::TooShort { expected: 18, found: 14 })
    );
    first[0] ^= 1;
    assert_eq!(read_back(expect, &[first, second, end]), Err(ExchangeError::BadCrc));
}

#[test]
fn an_answer_without_end_mark_is_taken() {
    let [first, second, _] = parts();
    let idle = status(3).to_report();
    let outcome = read_back(Expect::Data { length: 8 }, &[first, second, idle]);
    assert_eq!(outcome, Ok(Outcome::Data(vec![5; 8])));
}

#[test]
fn a_key_that_stays_busy_is_given_up() {
    let busy = [[0, 0, 0, 0, 0, 0, 0, 0x80]; 200];
    assert_eq!(read_back(Expect::Programming, &busy), Err(ExchangeError::NotReady));
}

#[test]
fn waits_grow_and_end() {
    let mut exchange = exchange(Expect::Programming).with_budget(Budget { write_ready: 8, response: 1 });
    let mut step = exchange.step(Input::Start).unwrap();
    let mut waits = Vec::new();
    while !matches!(step, Step::Write(_)) {
        step = match step {
            Step::Wait { milliseconds } => {
                waits.push(milliseconds);
                exchange.step(Input::Waited).unwrap()
            }
            _ => exchange.step(Input::Report([0, 0, 0, 0, 0, 0, 0, 0x9F])).unwrap(),
        };
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 50, 50]);
    assert_eq!(exchange.step(Input::Written), Err(ExchangeError::NotReady));
    assert_eq!(exchange.step(Input::Start), Err(ExchangeError::OutOfOrder));
}

#[test]
fn cancelling_resets_the_key() {
    let mut bench = Bench::new(Answer::TouchThen(9, Box::new(Answer::Refuse)));
    let mut exchange = exchange(Expect::Data { length: 20 });
    let mut input = Input::Start;
    loop {
        input = match exchange.step(input) {
            Ok(Step::Write(report)) => {
                if let Event::Frame { .. } = bench.key.write_report(&report) {
                    bench.carry_out();
                }
                Input::Written
            }
            Ok(Step::Read) => Input::Report(bench.key.read_report(bench.status)),
            Ok(Step::AwaitTouch { .. }) => Input::Cancel,
            Ok(step) => panic!("unexpected {step:?}"),
            Err(error) => {
                assert_eq!(error, ExchangeError::Cancelled);
                break;
            }
        };
    }
    assert!(bench.key.is_idle());
    let mut unused = Exchange::new(1, &[], Expect::Programming).unwrap();
    assert_eq!(unused.step(Input::Cancel), Err(ExchangeError::Cancelled));
}

#[test]
fn debug_shows_no_payload() {
    let mut exchange = Exchange::new(1, &[0xAB; 64], Expect::Programming).unwrap();
    let _ = exchange.step(Input::Start).unwrap();
    let step = exchange.step(Input::Report(status(0).to_report())).unwrap();
    let (input, data) = (Input::Report([0xAB; 8]), Outcome::Data(vec![0xAB; 4]));
    let text = format!("{exchange:?} {step:?} {input:?} {data:?}").replace("flag 0xab", "");
    assert!(!text.contains("171") && !text.contains("ab"), "{text}");
}

proptest! {
    #[test]
    fn any_data_comes_through(
        payload in proptest::collection::vec(any::<u8>(), 0..=64),
        data in proptest::collection::vec(any::<u8>(), 1..=222),
        delays in 0_u8..3,
    ) {
        let answer = Answer::TouchThen(delays, Box::new(Answer::Data(data.clone())));
        let exchange = Exchange::new(0x20, &payload, Expect::Data { length: data.len() }).unwrap();
        prop_assert_eq!(Bench::new(answer).run(exchange), Ok(Outcome::Data(data)));
    }

    #[test]
    fn any_reports_end_or_go_on(reports: Vec<[u8; 8]>, kind in 0_u8..3) {
        let expect = match kind {
            0 => Expect::Programming,
            1 => Expect::Data { length: 4 },
            _ => Expect::LengthPrefixed,
        };
        let mut exchange = Exchange::new(0x13, &[0], expect).unwrap();
        let mut step = exchange.step(Input::Start);
        for report in reports {
            step = match step {
                Ok(Step::Read) => exchange.step(Input::Report(report)),
                Ok(Step::Write(_)) => exchange.step(Input::Written),
                Ok(Step::Wait { .. } | Step::AwaitTouch { .. }) => exchange.step(Input::Waited),
                Ok(Step::Done(_)) | Err(_) => break,
            };
        }
    }
}
