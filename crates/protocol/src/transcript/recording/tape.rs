//! Writes down what passes over links.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::super::Secrets;
use super::line::{Bytes, Failure, Interface, Line, Pattern};
use super::{header, mask::Mask};
use crate::link::{CardLink, CardTransport, LinkError, OtpLink, Report};

/// Makes the lines of a recording. Clones write to the same one.
///
/// It opens no file and reads no clock: both are handed in.
///
/// ```
/// use std::sync::mpsc;
/// use tapkey_protocol::link::{CardLink, CardTransport, LinkError};
/// use tapkey_protocol::transcript::Secrets;
/// use tapkey_protocol::transcript::recording::{Recording, Tape};
///
/// struct Card;
///
/// impl CardLink for Card {
///     fn transmit(&mut self, _: &[u8]) -> Result<Vec<u8>, LinkError> {
///         Ok(vec![0x90, 0x00])
///     }
///     fn transport(&self) -> CardTransport {
///         CardTransport::Usb
///     }
/// }
///
/// let (lines, recorded) = mpsc::channel();
/// let tape = Tape::new("example 1.0", Secrets::Hide, || 0, move |line| {
///     let _ = lines.send(format!("{line}\n"));
/// });
/// let mut card = tape.card(Card);
/// card.transmit(&[0x00, 0xA4, 0x04, 0x00, 0x05, 0xA0, 0x00, 0x00, 0x03, 0x08])?;
/// // A PIN is left out.
/// card.transmit(b"\x00\x20\x00\x80\x08123456\xff\xff")?;
/// let text: String = recorded.try_iter().collect();
/// assert!(text.contains(r#""command":"0020008008????????????????","response":"9000""#));
/// assert_eq!(Recording::parse(&text)?.lines.len(), 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Tape {
    head: Arc<Mutex<Head>>,
    secrets: Secrets,
}

struct Head {
    links: u32,
    now: Box<dyn FnMut() -> u64 + Send>,
    out: Box<dyn FnMut(&str) + Send>,
}

/// The part of a tape that follows one link. Written by whoever carries the bytes.
pub struct LinkTape {
    tape: Tape,
    link: u32,
    mask: Mask,
}

/// A link to the OTP interface that is being recorded.
#[derive(Debug)]
pub struct RecordedOtp<L> {
    link: L,
    tape: LinkTape,
}

/// A link to a smart card that is being recorded.
#[derive(Debug)]
pub struct RecordedCard<L> {
    link: L,
    tape: LinkTape,
}

impl Tape {
    /// Begins a recording by the program of this name. `now` tells the milliseconds from the
    /// beginning, `out` takes the lines, without their ends.
    ///
    /// With [`Secrets::Show`] keys, PINs and answers are in it; whoever asks for that must warn.
    #[must_use]
    pub fn new(
        program: &str,
        secrets: Secrets,
        now: impl FnMut() -> u64 + Send + 'static,
        mut out: impl FnMut(&str) + Send + 'static,
    ) -> Self {
        out(&header(secrets, program));
        let head = Head { links: 0, now: Box::new(now), out: Box::new(out) };
        Self { head: Arc::new(Mutex::new(head)), secrets }
    }

    /// Records a link to the OTP interface.
    #[must_use]
    pub fn otp<L: OtpLink>(&self, link: L) -> RecordedOtp<L> {
        RecordedOtp { link, tape: self.open(Interface::Otp) }
    }

    /// Records a link to a smart card.
    #[must_use]
    pub fn card<L: CardLink>(&self, link: L) -> RecordedCard<L> {
        let tape = self.open(link.transport().into());
        RecordedCard { link, tape }
    }

    /// A link was opened.
    #[must_use]
    pub fn open(&self, interface: Interface) -> LinkTape {
        let mut head = self.lock();
        head.links += 1;
        let link = head.links;
        let at = head.now();
        head.write(&Line::Open { at, link, interface });
        drop(head);
        LinkTape { tape: self.clone(), link, mask: Mask::new(self.secrets) }
    }

    /// Something happened that did not pass over a link. It must not be a secret.
    pub fn note(&self, text: impl Into<String>) {
        let mut head = self.lock();
        let at = head.now();
        head.write(&Line::Note { at, text: text.into() });
    }

    fn lock(&self) -> MutexGuard<'_, Head> {
        self.head.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Head {
    fn now(&mut self) -> u64 {
        (self.now)()
    }

    fn write(&mut self, line: &Line) {
        (self.out)(&line.to_text());
    }
}

impl LinkTape {
    /// The host wrote a report, or tried to.
    pub fn wrote(&mut self, report: &Report, result: &Result<(), LinkError>) {
        let (link, report, error) = (self.link, Pattern::exact(report), failure(result));
        self.add(|at| Line::Write { at, link, report, error });
    }

    /// The host read a report, or tried to.
    pub fn read(&mut self, result: &Result<Report, LinkError>) {
        let (link, error) = (self.link, failure(result));
        let report = result.as_ref().ok().map(|report| Bytes(report.to_vec()));
        self.add(|at| Line::Read { at, link, report, masked: false, error });
    }

    /// The host sent a command to the card.
    pub fn transmitted(&mut self, command: &[u8], result: &Result<Vec<u8>, LinkError>) {
        let (link, command, error) = (self.link, Pattern::exact(command), failure(result));
        let response = result.as_ref().ok().map(|response| Bytes(response.clone()));
        self.add(|at| Line::Transmit { at, link, command, response, masked: false, error });
    }

    fn add(&mut self, line: impl FnOnce(u64) -> Line) {
        let mut head = self.tape.lock();
        let at = head.now();
        for line in self.mask.pass(line(at)) {
            head.write(&line);
        }
    }
}

impl Drop for LinkTape {
    fn drop(&mut self) {
        let mut head = self.tape.lock();
        for line in self.mask.flush() {
            head.write(&line);
        }
    }
}

impl<L: OtpLink> OtpLink for RecordedOtp<L> {
    fn write_report(&mut self, report: &Report) -> Result<(), LinkError> {
        let result = self.link.write_report(report);
        self.tape.wrote(report, &result);
        result
    }

    fn read_report(&mut self) -> Result<Report, LinkError> {
        let result = self.link.read_report();
        self.tape.read(&result);
        result
    }
}

impl<L: CardLink> CardLink for RecordedCard<L> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, LinkError> {
        let result = self.link.transmit(command);
        self.tape.transmitted(command, &result);
        result
    }

    fn transport(&self) -> CardTransport {
        self.link.transport()
    }

    fn hold(&mut self, patience: Duration) -> Result<(), LinkError> {
        self.link.hold(patience)
    }

    fn release(&mut self) {
        self.link.release();
    }
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape").field("secrets", &self.secrets).finish_non_exhaustive()
    }
}

impl fmt::Debug for LinkTape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkTape").field("link", &self.link).finish_non_exhaustive()
    }
}

fn failure<T>(result: &Result<T, LinkError>) -> Option<Failure> {
    result.as_ref().err().map(Failure::from)
}
