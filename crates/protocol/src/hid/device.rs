//! The key's side of the report exchange.

use std::fmt;

use zeroize::Zeroize;

use super::frame::{FRAME_SIZE, Frame, FrameError, LAST_PART, PAYLOAD_SIZE};
use super::{FLAG_RESPONSE, FLAG_TOUCH, FLAG_WRITE, MASK_SEQUENCE, REPORT_DATA, Report, Status, join, split};
use crate::crc;

/// Receives frames and serves answers. Carrying a command out is the owner's business: it gets an
/// [`Event::Frame`] and calls [`respond`](Self::respond), [`await_touch`](Self::await_touch) or
/// [`finish`](Self::finish).
///
/// ```
/// use tapkey_protocol::hid::{DeviceSide, Event, Frame, Status, TouchLevel};
/// use tapkey_protocol::version::Version;
///
/// let mut key = DeviceSide::new();
/// let status = Status { version: Version::new(5, 7, 4), sequence: 0, touch_level: TouchLevel(0) };
/// let mut event = Event::None;
/// for report in Frame::new(0x10, &[])?.reports() {
///     event = key.write_report(&report);
/// }
/// assert!(matches!(event, Event::Frame { command: 0x10, .. }));
/// key.respond(&[0, 0xBC, 0x61, 0x4E])?;
/// assert_eq!(key.read_report(status)[7], 0x40); // four bytes and their CRC
/// assert_eq!(key.read_report(status)[7], 0x40); // the end mark
/// assert_eq!(key.read_report(status), status.to_report());
/// # Ok::<(), tapkey_protocol::hid::FrameError>(())
/// ```
pub struct DeviceSide {
    buffer: [u8; FRAME_SIZE],
    mode: Mode,
}

/// What a written report brought about.
#[derive(Eq, PartialEq)]
pub enum Event {
    /// Nothing the owner needs to know.
    None,
    /// A command arrived. Until the owner answers, the key shows that it is busy.
    Frame {
        /// The command code.
        command: u8,
        /// The payload, zero-padded.
        payload: [u8; PAYLOAD_SIZE],
    },
    /// The host gave up: a touch wait or an answer not yet read must be forgotten.
    Reset,
}

enum Mode {
    Idle,
    Working,
    Touch { seconds: u8 },
    Answer { data: Vec<u8>, next: u8 },
}

impl DeviceSide {
    /// A key that waits for a command.
    #[must_use]
    pub const fn new() -> Self {
        Self { buffer: [0; FRAME_SIZE], mode: Mode::Idle }
    }

    /// Takes a report that the host wrote.
    ///
    /// The first part of a frame clears the buffer and ends what went before; the last part runs
    /// the frame, unless its CRC is wrong. A sequence number beyond the last part is a reset.
    /// Reports that are not writes are ignored.
    #[must_use]
    pub fn write_report(&mut self, report: &Report) -> Event {
        let (data, flag) = split(report);
        if flag & FLAG_WRITE == 0 {
            return Event::None;
        }
        match flag & MASK_SEQUENCE {
            part @ 0..=LAST_PART => self.take_part(part, data),
            _ => {
                self.clear();
                Event::Reset
            }
        }
    }

    /// Serves the report that the host asks for. Each call hands out the next part of an answer;
    /// after the last one comes an end mark, and then the status again.
    #[must_use]
    pub fn read_report(&mut self, status: Status) -> Report {
        match &mut self.mode {
            Mode::Idle => status.to_report(),
            Mode::Working => with_flag(status, FLAG_WRITE),
            Mode::Touch { seconds } => with_flag(status, FLAG_TOUCH | (*seconds).min(MASK_SEQUENCE)),
            Mode::Answer { data, next } => {
                let start = usize::from(*next) * REPORT_DATA;
                if let Some(part) = data.get(start..start + REPORT_DATA) {
                    let report = join(part, FLAG_RESPONSE | *next);
                    *next += 1;
                    return report;
                }
                self.finish();
                join(&[], FLAG_RESPONSE)
            }
        }
    }

    /// Answers the command: the complemented CRC is added and zeros up to a multiple of seven.
    ///
    /// # Errors
    /// [`FrameError::ResponseTooLong`] for more than 222 bytes; the command is finished then.
    pub fn respond(&mut self, data: &[u8]) -> Result<(), FrameError> {
        self.finish();
        if data.len() > MAX_ANSWER {
            return Err(FrameError::ResponseTooLong { length: data.len() });
        }
        let mut answer = data.to_vec();
        answer.extend_from_slice(&(!crc::checksum(data)).to_le_bytes());
        answer.resize(answer.len().next_multiple_of(REPORT_DATA), 0);
        self.mode = Mode::Answer { data: answer, next: 0 };
        Ok(())
    }

    /// Shows that a touch is awaited, with the seconds left (31 at most are shown). Call it again
    /// as time passes; the sign stays until an answer, [`finish`](Self::finish) or a reset.
    pub fn await_touch(&mut self, seconds: u8) {
        self.finish();
        self.mode = Mode::Touch { seconds };
    }

    /// Ends the command without data: the host reads the status.
    pub fn finish(&mut self) {
        if let Mode::Answer { data, .. } = &mut self.mode {
            data.zeroize();
        }
        self.mode = Mode::Idle;
    }

    /// True while the key shows that it waits for a touch.
    #[must_use]
    pub const fn is_awaiting_touch(&self) -> bool {
        matches!(self.mode, Mode::Touch { .. })
    }

    /// True when no command is under way and no answer waits.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        matches!(self.mode, Mode::Idle)
    }

    /// Forgets everything, as a power cut does.
    pub fn clear(&mut self) {
        self.buffer.zeroize();
        self.finish();
    }

    fn take_part(&mut self, part: u8, data: [u8; REPORT_DATA]) -> Event {
        let interrupted = part == 0 && !self.is_idle();
        if part == 0 {
            self.clear();
        }
        let start = usize::from(part) * REPORT_DATA;
        if let Some(place) = self.buffer.get_mut(start..start + REPORT_DATA) {
            place.copy_from_slice(&data);
        }
        if part == LAST_PART {
            return self.run();
        }
        if interrupted { Event::Reset } else { Event::None }
    }

    fn run(&mut self) -> Event {
        let frame = Frame::parse(&self.buffer);
        self.clear();
        match frame {
            Ok(frame) => {
                self.mode = Mode::Working;
                Event::Frame { command: frame.command, payload: frame.payload }
            }
            Err(_) => Event::None,
        }
    }
}

impl Default for DeviceSide {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for DeviceSide {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for DeviceSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Idle => "idle",
            Mode::Working => "working",
            Mode::Touch { .. } => "awaiting touch",
            Mode::Answer { .. } => "answering",
        };
        f.debug_tuple("DeviceSide").field(&mode).finish()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Reset => f.write_str("Reset"),
            Self::Frame { command, .. } => write!(f, "Frame({command:#04x})"),
        }
    }
}

/// Parts are numbered with five bits, and two bytes of the last one are the CRC.
const MAX_ANSWER: usize = 32 * REPORT_DATA - 2;

fn with_flag(status: Status, flag: u8) -> Report {
    let mut report = status.to_report();
    report[REPORT_DATA] = flag;
    report
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::hid::{RESET_REPORT, TouchLevel};
    use crate::version::Version;

    const STATUS: Status = Status { version: Version::new(5, 7, 4), sequence: 3, touch_level: TouchLevel(1) };

    fn send(key: &mut DeviceSide, command: u8, payload: &[u8]) -> Event {
        let mut last = Event::None;
        for report in Frame::new(command, payload).unwrap().reports() {
            last = key.write_report(&report);
        }
        last
    }

    #[test]
    fn skipped_parts_read_as_zeros() {
        let mut key = DeviceSide::new();
        assert!(matches!(send(&mut key, 1, &[0xFF; 64]), Event::Frame { .. }));
        let mut payload = [0; 64];
        payload[40] = 7;
        let event = send(&mut key, 2, &payload);
        assert_eq!(event, Event::Frame { command: 2, payload });
    }

    #[test]
    fn bad_crc_is_dropped() {
        let mut key = DeviceSide::new();
        let mut reports = Frame::new(1, &[1; 10]).unwrap().reports();
        reports[0][0] ^= 1;
        for report in &reports {
            assert_eq!(key.write_report(report), Event::None);
        }
        assert_eq!(key.read_report(STATUS), STATUS.to_report());
    }

    #[test]
    fn any_sequence_beyond_nine_is_a_reset() {
        for flag in [0x8A_u8, 0x8F, 0x9F, 0xFF] {
            let mut key = DeviceSide::new();
            let _ = send(&mut key, 0x30, &[1; 64]);
            key.await_touch(15);
            assert_eq!(key.write_report(&join(&[], flag)), Event::Reset);
            assert_eq!(key.read_report(STATUS), STATUS.to_report());
        }
    }

    #[test]
    fn touch_stays_on_show_until_the_answer() {
        let mut key = DeviceSide::new();
        let _ = send(&mut key, 0x30, &[1; 64]);
        assert_eq!(key.read_report(STATUS)[7], 0x80);
        key.await_touch(15);
        assert_eq!(key.read_report(STATUS)[7], 0x2F);
        key.await_touch(200);
        assert_eq!(key.read_report(STATUS)[7], 0x3F);
        key.respond(&[9; 20]).unwrap();
        let flags: Vec<u8> = (0..6).map(|_| key.read_report(STATUS)[7]).collect();
        assert_eq!(flags, [0x40, 0x41, 0x42, 0x43, 0x40, 0]);
    }

    #[test]
    fn a_new_frame_ends_a_touch_wait() {
        let mut key = DeviceSide::new();
        let _ = send(&mut key, 0x30, &[1; 64]);
        key.await_touch(15);
        let reports = Frame::new(0x10, &[]).unwrap().reports();
        assert_eq!(key.write_report(&reports[0]), Event::Reset);
        assert!(!key.is_awaiting_touch());
        assert!(matches!(key.write_report(&reports[1]), Event::Frame { command: 0x10, .. }));
    }

    #[test]
    fn part_counts_that_tools_rely_on() {
        for (length, parts) in [(4_usize, 1_usize), (16, 3), (20, 4), (222, 32)] {
            let mut key = DeviceSide::new();
            key.respond(&vec![1; length]).unwrap();
            let count =
                std::iter::from_fn(|| Some(key.read_report(STATUS)[7])).take_while(|flag| *flag != 0).count();
            assert_eq!(count, parts + 1, "{length}");
        }
        let mut key = DeviceSide::new();
        assert_eq!(key.respond(&[0; 223]), Err(FrameError::ResponseTooLong { length: 223 }));
    }

    #[test]
    fn reads_and_unflagged_writes_change_nothing() {
        let mut key = DeviceSide::new();
        assert_eq!(key.write_report(&[1; 8]), Event::None);
        assert!(key.is_idle());
        assert_eq!(key.write_report(&RESET_REPORT), Event::Reset);
    }

    proptest! {
        #[test]
        fn any_reports_are_survived(reports: Vec<[u8; 8]>) {
            let mut key = DeviceSide::new();
            for report in reports {
                if let Event::Frame { payload, .. } = key.write_report(&report) {
                    key.respond(&payload).unwrap();
                }
                let _ = key.read_report(STATUS);
            }
        }
    }
}
