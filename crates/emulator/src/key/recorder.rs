//! Writes down what goes in and out, with secrets left out unless asked for.

use std::fmt;

use tapkey_protocol::transcript::{Body, Direction, Entry, Secrets, Transcript};

use super::{Press, VirtualKey};
use crate::clock::Milliseconds;

/// Takes the lines of a transcript. Every closure of two arguments is one.
///
/// ```
/// use std::sync::mpsc;
/// use tapkey_emulator::{Power, VirtualKey};
/// use tapkey_protocol::transcript::Secrets;
///
/// let (lines, transcript) = mpsc::channel();
/// let mut key = VirtualKey::builder()
///     .transcript(Secrets::Hide, move |at, entry: &_| {
///         let _ = lines.send(format!("{at}: {entry}"));
///     })
///     .build()?;
/// key.power(Power::Usb)?;
/// key.apdu(&[0, 0xA4, 4, 0, 7, 0xA0, 0, 0, 5, 0x27, 0x20, 1]);
/// assert_eq!(transcript.recv()?, "0 ms: > plugged in");
/// assert_eq!(transcript.recv()?, "0 ms: > select OTP a0000005272001");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Recorder: Send {
    /// Takes one line, with the key's time.
    fn record(&mut self, at: Milliseconds, entry: &Entry);
}

impl<F: FnMut(Milliseconds, &Entry) + Send> Recorder for F {
    fn record(&mut self, at: Milliseconds, entry: &Entry) {
        self(at, entry);
    }
}

/// A recorder, and what has to be known to name what travels.
pub(crate) struct Log {
    recorder: Box<dyn Recorder>,
    reports: Transcript,
    card: Transcript,
    secrets: Secrets,
}

impl Log {
    pub(crate) fn new(secrets: Secrets, recorder: Box<dyn Recorder>) -> Self {
        Self { recorder, reports: Transcript::new(secrets), card: Transcript::new(secrets), secrets }
    }
}

impl VirtualKey {
    pub(super) fn log_report_command(&mut self, command: u8, payload: &[u8]) {
        self.log(|log| log.reports.hid_command(command, payload));
    }

    pub(super) fn log_report_answer(&mut self, data: &[u8]) {
        self.log(|log| log.reports.hid_answer(data));
    }

    pub(super) fn log_command(&mut self, command: &[u8]) {
        self.log(|log| log.card.command(command));
    }

    pub(super) fn log_response(&mut self, response: &[u8]) {
        self.log(|log| log.card.response(response));
    }

    pub(super) fn log_card_reset(&mut self) {
        self.log(|log| {
            log.card.reset();
            event("card reset")
        });
    }

    /// Something that happens to the key.
    pub(super) fn log_event(&mut self, name: &'static str) {
        self.log(|_| event(name));
    }

    /// Something that the key decides.
    pub(super) fn log_outcome(&mut self, name: &'static str) {
        self.log(|_| Entry { direction: Direction::FromKey, ..event(name) });
    }

    pub(super) fn log_press(&mut self, press: &Press) {
        self.log(|log| match press {
            Press::Typed(typed) => Entry {
                direction: Direction::FromKey,
                name: format!("typed by slot {}", typed.slot()),
                body: match log.secrets {
                    Secrets::Show => Body::Shown(typed.text().into_bytes()),
                    Secrets::Hide => Body::Hidden { length: typed.strokes().len() },
                },
                status: None,
            },
            Press::AnsweredChallenge => event("press answers the challenge"),
            Press::Nothing(silence) => event(&format!("press does nothing: {silence}")),
        });
    }

    fn log(&mut self, entry: impl FnOnce(&mut Log) -> Entry) {
        let now = self.device.now();
        if let Some(log) = &mut self.log {
            let entry = entry(log);
            log.recorder.record(now, &entry);
        }
    }
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Log").field("secrets", &self.secrets).finish_non_exhaustive()
    }
}

fn event(name: &str) -> Entry {
    Entry { direction: Direction::ToKey, name: name.to_owned(), body: Body::Empty, status: None }
}
