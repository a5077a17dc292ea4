//! A recorded key: links that say what a recording says, and notice a host that does otherwise.
//!
//! A recording of something that went wrong becomes a test of it: play it to the code that it went
//! wrong with. Links are handed out in the order in which they were opened when it was recorded.
//!
//! Parts of a command that consist of zeros are not sent, so a command with other secrets than the
//! recorded ones may have more or fewer parts. Where secrets were left out, both are accepted.
//!
//! ```
//! use tapkey_emulator::port::replay::Replay;
//! use tapkey_protocol::link::CardLink;
//! use tapkey_protocol::transcript::recording::Recording;
//!
//! let recording = Recording::parse(r#"{"tapkey-recording":1,"secrets":"hidden","program":"example"}
//! {"do":"open","at":0,"link":1,"interface":"card-usb"}
//! {"do":"transmit","at":0,"link":1,"command":"0020008008????????????????","response":"63c2"}
//! "#)?;
//! let replay = Replay::new(recording);
//! let mut card = replay.card()?;
//! // Any PIN will do, as none was recorded.
//! assert_eq!(card.transmit(b"\x00\x20\x00\x80\x08123456\xff\xff")?, [0x63, 0xC2]);
//! // Anything else is not in the recording.
//! assert!(card.transmit(&[0, 3, 0, 0]).is_err());
//! assert!(replay.finish().is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tapkey_protocol::link::{CardLink, CardTransport, LinkError, OtpLink, Report};
use tapkey_protocol::transcript::recording::{Failure, Interface, Line, Recording};
use thiserror::Error;

/// A recording that is being played. Clones play the same one.
#[derive(Clone, Debug)]
pub struct Replay {
    work: Arc<Mutex<Work>>,
}

#[derive(Debug)]
struct Work {
    /// Links that are still to be opened, in their order.
    unopened: VecDeque<(u32, Interface)>,
    /// What is still to happen, with the number of its line in the file.
    left: Vec<(usize, Line)>,
    departure: Option<Departure>,
}

/// Where a host did something else than in the recording.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Departure {
    /// It did something else.
    #[error("line {line} of the recording: the host was to {expected}, and it {found}")]
    Different {
        /// The line in the file, from 1.
        line: usize,
        /// What the recording says.
        expected: String,
        /// What the host did.
        found: String,
    },
    /// It went on where the recording ends.
    #[error("the recording of this link has ended, and the host still {found}")]
    TooMuch {
        /// What the host did.
        found: String,
    },
    /// It stopped before the recording did.
    #[error("line {line} of the recording was never played: the host was to {expected}")]
    TooLittle {
        /// The line in the file, from 1.
        line: usize,
        /// What the recording says.
        expected: String,
    },
}

/// The OTP interface of a recorded key.
#[derive(Debug)]
pub struct ReplayOtp {
    replay: Replay,
    link: u32,
    last_read: Option<Report>,
    /// A part was written that is not in the recording, as it was zeros then.
    extra: bool,
}

/// The smart card of a recorded key.
#[derive(Debug)]
pub struct ReplayCard {
    replay: Replay,
    link: u32,
    transport: CardTransport,
}

impl Replay {
    /// Plays a recording from its beginning.
    #[must_use]
    pub fn new(recording: Recording) -> Self {
        let mut unopened = VecDeque::new();
        let mut left = Vec::new();
        for (index, line) in recording.lines.into_iter().enumerate() {
            match line {
                Line::Open { link, interface, .. } => unopened.push_back((link, interface)),
                Line::Note { .. } => {}
                // The head is line 1.
                line => left.push((index + 2, line)),
            }
        }
        Self { work: Arc::new(Mutex::new(Work { unopened, left, departure: None })) }
    }

    /// The next link to the OTP interface that was opened.
    ///
    /// # Errors
    /// [`LinkError::Unavailable`] when no more were.
    pub fn otp(&self) -> Result<ReplayOtp, LinkError> {
        let (link, _) = self.open(|interface| interface == Interface::Otp)?;
        Ok(ReplayOtp { replay: self.clone(), link, last_read: None, extra: false })
    }

    /// The next link to a smart card that was opened.
    ///
    /// # Errors
    /// [`LinkError::Unavailable`] when no more were.
    pub fn card(&self) -> Result<ReplayCard, LinkError> {
        let (link, interface) = self.open(|interface| interface != Interface::Otp)?;
        let transport = if interface == Interface::CardNfc { CardTransport::Nfc } else { CardTransport::Usb };
        Ok(ReplayCard { replay: self.clone(), link, transport })
    }

    /// Where the host departed from the recording, if it did.
    #[must_use]
    pub fn departure(&self) -> Option<Departure> {
        self.lock().departure.clone()
    }

    /// Whether all of the recording was played, and nothing else.
    ///
    /// # Errors
    /// The [`Departure`].
    pub fn finish(&self) -> Result<(), Departure> {
        let work = self.lock();
        if let Some(departure) = &work.departure {
            return Err(departure.clone());
        }
        match work.left.first() {
            Some((line, left)) => Err(Departure::TooLittle { line: *line, expected: expected(left) }),
            None => Ok(()),
        }
    }

    fn open(&self, fits: impl Fn(Interface) -> bool) -> Result<(u32, Interface), LinkError> {
        let mut work = self.lock();
        let found = work.unopened.iter().position(|(_, interface)| fits(*interface));
        found
            .and_then(|index| work.unopened.remove(index))
            .ok_or_else(|| LinkError::Unavailable { what: "another link in the recording".to_owned() })
    }

    /// Plays the next line of a link, if it is what the host does.
    fn play<T>(
        &self,
        link: u32,
        found: &str,
        answer: impl FnOnce(&Line) -> Option<Result<T, Failure>>,
    ) -> Result<T, LinkError> {
        let mut work = self.lock();
        if let Some(departure) = &work.departure {
            return Err(departed(departure.clone()));
        }
        let next = work.left.iter().position(|(_, line)| line.link() == Some(link));
        let departure = match next.and_then(|index| work.left.get(index).map(|entry| (index, entry))) {
            None => Departure::TooMuch { found: found.to_owned() },
            Some((index, (line, left))) => match answer(left) {
                Some(result) => {
                    work.left.remove(index);
                    return result.map_err(LinkError::from);
                }
                None => {
                    Departure::Different { line: *line, expected: expected(left), found: found.to_owned() }
                }
            },
        };
        work.departure = Some(departure.clone());
        Err(departed(departure))
    }

    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work {
    /// The host writes a report with this flag. Drops recorded parts of a hidden command that come
    /// before it: they are zeros now. True when the host's part comes before the recorded ones:
    /// it was zeros then.
    fn take_up(&mut self, link: u32, flag: u8) -> bool {
        if !is_middle(flag) && flag != LAST_PART {
            return false;
        }
        loop {
            let mut lines = self.left.iter().enumerate().filter(|(_, (_, line))| line.link() == Some(link));
            let Some((index, (_, Line::Write { report, error: None, .. }))) = lines.next() else {
                return false;
            };
            let Some(recorded) = report.get(FLAG_AT) else { return false };
            if flag < recorded {
                return report.get(0).is_none()
                    && is_middle(flag)
                    && (is_middle(recorded) || recorded == LAST_PART);
            }
            if flag == recorded || !is_middle(recorded) || report.get(0).is_some() {
                return false;
            }
            // The part, and the look whether the key has taken it.
            let read = lines.next().filter(|(_, (_, line))| matches!(line, Line::Read { .. }));
            if let Some((read, _)) = read {
                self.left.remove(read);
            }
            self.left.remove(index);
        }
    }
}

/// A part of a command that is left out when it is zeros.
const fn is_middle(flag: u8) -> bool {
    0x80 < flag && flag < LAST_PART
}

const LAST_PART: u8 = 0x89;
const FLAG_AT: usize = 7;

impl OtpLink for ReplayOtp {
    fn write_report(&mut self, report: &Report) -> Result<(), LinkError> {
        if self.replay.lock().take_up(self.link, report[7]) {
            self.extra = true;
            return Ok(());
        }
        self.extra = false;
        // What a host writes may be a secret, so only the flag is told.
        let found = format!("wrote another report, with flag {:02x}", report[7]);
        self.replay.play(self.link, &found, |line| match line {
            Line::Write { report: known, error, .. } if known.matches(report) => {
                Some(error.map_or(Ok(()), Err))
            }
            _ => None,
        })
    }

    fn read_report(&mut self) -> Result<Report, LinkError> {
        if let (true, Some(report)) = (self.extra, self.last_read) {
            return Ok(report);
        }
        let report = self.replay.play(self.link, "read a report", |line| match line {
            Line::Read { error: Some(error), .. } => Some(Err(*error)),
            Line::Read { report: Some(report), .. } => {
                Some(Report::try_from(report.0.as_slice()).map_err(|_| Failure::Malformed))
            }
            _ => None,
        })?;
        self.last_read = Some(report);
        Ok(report)
    }
}

impl CardLink for ReplayCard {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, LinkError> {
        let header: Vec<String> = command.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        let found = format!("sent another command, {} … of {} bytes", header.concat(), command.len());
        self.replay.play(self.link, &found, |line| match line {
            Line::Transmit { command: known, response, error, .. } if known.matches(command) => {
                Some(match (response, error) {
                    (Some(response), _) => Ok(response.0.clone()),
                    (None, error) => Err(error.unwrap_or(Failure::Io)),
                })
            }
            _ => None,
        })
    }

    fn transport(&self) -> CardTransport {
        self.transport
    }
}

fn departed(departure: Departure) -> LinkError {
    LinkError::Io(io::Error::other(departure))
}

fn expected(line: &Line) -> String {
    match line {
        Line::Write { report, .. } => format!("write the report {report}"),
        Line::Read { .. } => "read a report".to_owned(),
        Line::Transmit { command, .. } => format!("send the command {command}"),
        Line::Open { .. } | Line::Note { .. } => "do nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tapkey_protocol::transcript::Secrets;
    use tapkey_protocol::transcript::recording::Tape;

    use super::*;
    use crate::VirtualKey;
    use crate::port::in_process::PluggedKey;

    fn recorded(work: impl FnOnce(&PluggedKey)) -> Recording {
        let (lines, text) = mpsc::channel();
        let key = PluggedKey::new(VirtualKey::builder().build().unwrap()).unwrap();
        let tape =
            Tape::new("test", Secrets::Hide, || 0, move |line| lines.send(format!("{line}\n")).unwrap());
        key.record(tape);
        work(&key);
        drop(key);
        Recording::parse(&text.try_iter().collect::<String>()).unwrap()
    }

    #[test]
    fn several_links_are_played_each_in_its_order() {
        let recording = recorded(|key| {
            let (mut otp, mut card) = (key.otp().unwrap(), key.card().unwrap());
            otp.read_report().unwrap();
            card.transmit(&[0, 3, 0, 0]).unwrap();
            key.unplug();
            card.transmit(&[0, 3, 0, 0]).unwrap_err();
            otp.read_report().unwrap_err();
        });
        let replay = Replay::new(recording);
        let (mut card, mut otp) = (replay.card().unwrap(), replay.otp().unwrap());
        assert!(matches!(replay.otp(), Err(LinkError::Unavailable { .. })));
        // Links do not wait for each other.
        assert_eq!(card.transmit(&[0, 3, 0, 0]).unwrap(), [0x6D, 0x00]);
        assert_eq!(otp.read_report().unwrap()[1..4], [5, 7, 4]);
        assert!(matches!(replay.finish(), Err(Departure::TooLittle { .. })));
        assert!(matches!(otp.read_report(), Err(LinkError::Removed)));
        assert!(matches!(card.transmit(&[0, 3, 0, 0]), Err(LinkError::Removed)));
        replay.finish().unwrap();
        let error = otp.read_report().unwrap_err().to_string();
        assert!(error.contains("has ended, and the host still read a report"), "{error}");
    }

    #[test]
    fn a_command_with_other_secrets_may_have_other_parts() {
        use tapkey_protocol::hid::Frame;
        let send = |link: &mut dyn OtpLink, payload: &[u8]| {
            for report in Frame::new(1, payload).unwrap().reports() {
                link.write_report(&report)?;
                link.read_report()?;
            }
            Ok::<_, LinkError>(())
        };
        let sparse = [0; 58];
        let mut middle = [0; 58];
        middle[20..30].copy_from_slice(&[7; 10]);
        let full = [7; 58];
        for recorded in [&sparse, &middle, &full] {
            let recording = recorded_sending(recorded, send);
            for played in [&sparse, &middle, &full] {
                let replay = Replay::new(recording.clone());
                send(&mut replay.otp().unwrap(), played).unwrap();
                replay.finish().unwrap();
            }
        }
    }

    fn recorded_sending(
        payload: &[u8],
        send: impl Fn(&mut dyn OtpLink, &[u8]) -> Result<(), LinkError>,
    ) -> Recording {
        recorded(|key| send(&mut key.otp().unwrap(), payload).unwrap())
    }

    #[test]
    fn a_host_that_does_otherwise_is_told_where() {
        let recording = recorded(|key| {
            let mut otp = key.otp().unwrap();
            otp.read_report().unwrap();
            otp.write_report(&[0, 0, 0, 0, 0, 0, 0, 0x8F]).unwrap();
        });
        let replay = Replay::new(recording);
        let mut otp = replay.otp().unwrap();
        otp.read_report().unwrap();
        let error = otp.write_report(&[0xAB, 0, 0, 0, 0, 0, 0, 0x80]).unwrap_err().to_string();
        assert!(error.contains("line 4 of the recording"), "{error}");
        assert!(error.contains("write the report 000000000000008f"), "{error}");
        assert!(!error.contains("ab"), "{error}");
        // It stays said.
        assert!(otp.write_report(&[0, 0, 0, 0, 0, 0, 0, 0x8F]).is_err());
        assert!(matches!(replay.departure(), Some(Departure::Different { line: 4, .. })));
    }
}
