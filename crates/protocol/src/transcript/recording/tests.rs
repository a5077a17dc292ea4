//! Round trips, and that no secret gets into a recording.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::crc;
use crate::hid::{DeviceSide, Event, Exchange, Expect, Frame, Input, Outcome, Status, Step, TouchLevel};
use crate::link::{CardLink, CardTransport, LinkError, OtpLink, Report};
use crate::version::Version;

/// A key that answers every command with the same bytes, or accepts it when there are none.
struct Key {
    side: DeviceSide,
    sequence: u8,
    answer: Vec<u8>,
}

impl OtpLink for Key {
    fn write_report(&mut self, report: &Report) -> Result<(), LinkError> {
        if let Event::Frame { .. } = self.side.write_report(report) {
            if self.answer.is_empty() {
                self.sequence += 1;
                self.side.finish();
            } else {
                self.side.respond(&self.answer).unwrap();
            }
        }
        Ok(())
    }

    fn read_report(&mut self) -> Result<Report, LinkError> {
        let version = Version::new(5, 7, 4);
        Ok(self.side.read_report(Status { version, sequence: self.sequence, touch_level: TouchLevel(1) }))
    }
}

#[derive(Clone, Default)]
struct Text(Arc<Mutex<String>>);

impl Text {
    fn tape(&self, secrets: Secrets) -> Tape {
        let text = Arc::clone(&self.0);
        let mut time = 0;
        let now = move || {
            time += 1;
            time
        };
        Tape::new("test", secrets, now, move |line| {
            let mut text = text.lock().unwrap();
            text.push_str(line);
            text.push('\n');
        })
    }

    fn get(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

fn exchange(link: &mut impl OtpLink, command: u8, payload: &[u8], expect: Expect) -> Outcome {
    let mut exchange = Exchange::new(command, payload, expect).unwrap();
    let mut input = Input::Start;
    loop {
        input = match exchange.step(input).unwrap() {
            Step::Write(report) => {
                link.write_report(&report).unwrap();
                Input::Written
            }
            Step::Read => Input::Report(link.read_report().unwrap()),
            Step::Wait { .. } | Step::AwaitTouch { .. } => Input::Waited,
            Step::Done(outcome) => return outcome,
        };
    }
}

fn record(secrets: Secrets, command: u8, payload: &[u8], answer: &[u8], expect: Expect) -> String {
    let text = Text::default();
    let key = Key { side: DeviceSide::new(), sequence: 1, answer: answer.to_vec() };
    let mut link = text.tape(secrets).otp(key);
    exchange(&mut link, command, payload, expect);
    drop(link);
    text.get()
}

fn decoded(text: &str) -> Vec<String> {
    let recording = Recording::parse(text).unwrap();
    assert_eq!(recording.to_text(), text);
    decode(&recording).into_iter().map(|one| one.text).collect()
}

#[test]
fn a_programming_is_recorded_without_its_secrets() {
    let text = record(Secrets::Hide, 1, &[0xAB; 58], &[], Expect::Programming);
    assert!(!text.contains("abab"), "{text}");
    assert!(text.contains(r#""report":"??01????00000089""#), "{text}");
    assert_eq!(
        decoded(&text),
        [
            "opened",
            "< status: firmware 5.7.4, sequence 1, slots 0001",
            "> OTP: configure slot 1 [64 bytes hidden]",
            "< status: firmware 5.7.4, sequence 2, slots 0001",
        ]
    );
    let text = record(Secrets::Show, 1, &[0xAB; 58], &[], Expect::Programming);
    assert!(text.contains("ababababababab80"), "{text}");
    assert_eq!(decoded(&text)[2], format!("> OTP: configure slot 1 {}", "ab".repeat(58)));
}

#[test]
fn the_answer_to_a_challenge_becomes_zeros_with_a_checksum() {
    let text = record(Secrets::Hide, 0x30, &[0xAB; 64], &[0xCD; 20], Expect::Data { length: 20 });
    assert!(!text.contains("abab") && !text.contains("cdcd"), "{text}");
    let recording = Recording::parse(&text).unwrap();
    let mut answer = Vec::new();
    for line in &recording.lines {
        if let Line::Read { report: Some(report), masked: true, .. } = line {
            answer.extend_from_slice(&report.0[..7]);
        }
    }
    assert!(crc::holds(&answer[..22]) && answer[..20] == [0; 20]);
    assert_eq!(
        decoded(&text)[2..],
        [
            "> OTP: HMAC challenge to slot 1 [64 bytes hidden]",
            "< OTP: HMAC challenge to slot 1 [20 bytes hidden]",
            "> reset",
        ]
    );
}

#[test]
fn what_is_harmless_is_recorded_whole() {
    let text = record(Secrets::Hide, 0x10, &[], &[0, 0xBC, 0x61, 0x4E], Expect::Data { length: 4 });
    assert!(!text.contains('?') && !text.contains("masked"), "{text}");
    assert_eq!(decoded(&text)[2..4], ["> OTP: read serial", "< OTP: read serial 00bc614e"]);
}

#[test]
fn a_command_that_breaks_off_is_hidden() {
    let text = Text::default();
    let mut link = text.tape(Secrets::Hide).otp(Key { side: DeviceSide::new(), sequence: 1, answer: vec![] });
    for report in Frame::new(1, &[0xAB; 58]).unwrap().reports().iter().take(3) {
        link.write_report(report).unwrap();
        link.read_report().unwrap();
    }
    drop(link);
    assert!(!text.get().contains("abab"), "{}", text.get());
    assert!(decoded(&text.get()).last().unwrap().contains("breaks off after 3 parts"));
    // Parts without a beginning, and a key that shows what was written to it.
    struct Echo(Report);
    impl OtpLink for Echo {
        fn write_report(&mut self, report: &Report) -> Result<(), LinkError> {
            self.0 = *report;
            Err(LinkError::TimedOut)
        }
        fn read_report(&mut self) -> Result<Report, LinkError> {
            Ok(self.0)
        }
    }
    let text = Text::default();
    let mut link = text.tape(Secrets::Hide).otp(Echo([0; 8]));
    for part in [3, 9, 0, 5, 31] {
        let _ = link.write_report(&[0xAB, 0xAB, 0xAB, 0xAB, 0xAB, 0xAB, 0xAB, 0x80 | part]);
        link.read_report().unwrap();
    }
    drop(link);
    assert!(!text.get().contains("abab"), "{}", text.get());
    assert!(text.get().contains(r#""error":"timed-out""#));
}

struct Card(Vec<u8>);

impl CardLink for Card {
    fn transmit(&mut self, _: &[u8]) -> Result<Vec<u8>, LinkError> {
        Ok(self.0.clone())
    }

    fn transport(&self) -> CardTransport {
        CardTransport::Nfc
    }
}

#[test]
fn cards_too() {
    let text = Text::default();
    let tape = text.tape(Secrets::Hide);
    let mut card = tape.card(Card(vec![0xCD, 0xCD, 0xCD, 0x90, 0x00]));
    card.transmit(&[0, 0xA4, 4, 0, 7, 0xA0, 0, 0, 5, 0x27, 0x20, 1]).unwrap();
    card.transmit(&[0, 1, 0x30, 0, 4, 0xAB, 0xAB, 0xAB, 0xAB, 0]).unwrap();
    card.transmit(&[0, 1, 0x30, 0, 0, 0, 4, 0xAB, 0xAB, 0xAB, 0xAB, 0, 0]).unwrap();
    card.transmit(&[0xAB, 0xAB, 0xAB, 0xAB, 0xAB, 0xAB]).unwrap();
    tape.note("pressed");
    let text = text.get();
    assert!(!text.contains("abab"), "{text}");
    assert_eq!(text.matches("cdcd").count(), 1, "only the answer to SELECT: {text}");
    assert!(
        text.contains(r#""command":"0001300004????????00","response":"0000009000","masked":true"#),
        "{text}"
    );
    assert!(text.contains(r#""command":"00013000000004????????0000""#), "{text}");
    assert_eq!(
        decoded(&text),
        [
            "opened",
            "> select OTP a0000005272001",
            "< select OTP cdcdcd 9000 (success)",
            "> OTP: HMAC challenge to slot 1 [4 bytes hidden]",
            "< OTP: HMAC challenge to slot 1 [3 bytes hidden] 9000 (success)",
            "> OTP: HMAC challenge to slot 1 [4 bytes hidden]",
            "< OTP: HMAC challenge to slot 1 [3 bytes hidden] 9000 (success)",
            "> malformed command [6 bytes hidden]",
            "< answer [3 bytes hidden] 9000 (success)",
            "pressed",
        ]
    );
}

#[test]
fn what_is_no_recording_is_said_to_be_none() {
    let parse = |text: &str| Recording::parse(text).unwrap_err();
    for text in ["", "hello", "{}", "{\"tapkey-recording\":\"x\"}"] {
        assert!(matches!(parse(text), RecordingError::NotARecording), "{text}");
    }
    assert!(matches!(parse("{\"tapkey-recording\":2}\n"), RecordingError::Version { found: 2 }));
    let head = header(Secrets::Hide, "test");
    let bad = format!("{head}\n{{\"do\":\"fly\"}}\n");
    assert!(matches!(parse(&bad), RecordingError::Line { number: 2, .. }));
    // What a killed program leaves behind.
    let torn = format!("{head}\n{{\"do\":\"note\",\"at\":1,\"text\":\"x\"}}\n{{\"do\":\"no");
    assert_eq!(Recording::parse(&torn).unwrap().lines.len(), 1);
}

#[test]
fn patterns_match_what_they_know() {
    let pattern = Pattern::exact(&[1, 2, 3]).hide(1..2);
    assert_eq!(pattern.to_string(), "01??03");
    assert!(pattern.matches(&[1, 9, 3]) && pattern.has_gaps());
    assert!(!pattern.matches(&[2, 9, 3]) && !pattern.matches(&[1, 9]) && !pattern.matches(&[1, 9, 3, 4]));
    assert_eq!(Pattern::hidden(2).to_string(), "????");
    assert_eq!((pattern.get(0), pattern.get(1), pattern.len()), (Some(1), None, 3));
}

fn any_line() -> impl Strategy<Value = Line> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..12);
    let pattern = || {
        proptest::collection::vec(any::<Option<u8>>(), 0..12).prop_map(|bytes| {
            let gaps: Vec<usize> = (0..bytes.len()).filter(|index| bytes[*index].is_none()).collect();
            let known: Vec<u8> = bytes.into_iter().map(|byte| byte.unwrap_or(0)).collect();
            gaps.into_iter().fold(Pattern::exact(&known), |pattern, gap| pattern.hide(gap..gap + 1))
        })
    };
    let interfaces = [Interface::Otp, Interface::CardUsb, Interface::CardNfc];
    let failures = [None, Some(Failure::Removed), Some(Failure::TimedOut), Some(Failure::Io)];
    let failure = move || proptest::sample::select(failures.to_vec());
    prop_oneof![
        (any::<u64>(), any::<u32>(), proptest::sample::select(interfaces.to_vec()))
            .prop_map(|(at, link, interface)| Line::Open { at, link, interface }),
        (any::<u64>(), any::<u32>(), pattern(), failure())
            .prop_map(|(at, link, report, error)| Line::Write { at, link, report, error }),
        (any::<u64>(), any::<u32>(), proptest::option::of(bytes()), any::<bool>(), failure()).prop_map(
            |(at, link, report, masked, error)| Line::Read {
                at,
                link,
                report: report.map(Bytes),
                masked,
                error
            }
        ),
        (any::<u64>(), pattern(), proptest::option::of(bytes()), any::<bool>(), failure()).prop_map(
            |(at, command, response, masked, error)| {
                let response = response.map(Bytes);
                Line::Transmit { at, link: 7, command, response, masked, error }
            }
        ),
        (any::<u64>(), ".*").prop_map(|(at, text)| Line::Note { at, text }),
    ]
}

proptest! {
    #[test]
    fn round_trip(lines in proptest::collection::vec(any_line(), 0..8), program: String, show: bool) {
        let secrets = if show { Secrets::Show } else { Secrets::Hide };
        let recording = Recording { secrets, program, lines };
        prop_assert_eq!(&Recording::parse(&recording.to_text()).unwrap(), &recording);
        let _ = decode(&recording);
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".*") {
        let _ = Recording::parse(&text);
        let _ = Recording::parse(&format!("{}\n{text}", header(Secrets::Hide, "x")));
    }

    #[test]
    fn no_report_that_the_host_writes_shows_without_its_whole_command(
        reports in proptest::collection::vec((0_u8..32, any::<bool>()), 0..40)
    ) {
        // Whatever order parts come in, the only bytes shown are flags and the end of a command.
        let text = Text::default();
        let mut link = text.tape(Secrets::Hide).otp(Key { side: DeviceSide::new(), sequence: 1, answer: vec![] });
        for (part, read) in reports {
            link.write_report(&[0xAB, 0x01, 0xAB, 0xAB, 0xAB, 0xAB, 0xAB, 0x80 | part]).unwrap();
            if read {
                link.read_report().unwrap();
            }
        }
        drop(link);
        for line in text.get().lines().filter(|line| line.contains("\"write\"")) {
            prop_assert!(!line.contains("ab01ab"), "{}", line);
        }
        let _ = decode(&Recording::parse(&text.get()).unwrap());
    }
}
