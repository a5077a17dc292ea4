//! Leaves secrets out of what passes over one link.
//!
//! Whether a command over reports is harmless shows only in its last part, so its parts wait until
//! that was written; likewise the parts of an answer wait for its end.

use super::super::{Body, Secrets, Transcript, names};
use super::line::{Bytes, Line};
use crate::crc;
use crate::hid::{FLAG_RESPONSE, FLAG_TOUCH, FLAG_WRITE, MASK_SEQUENCE, REPORT_DATA};

/// Follows one link.
pub(super) struct Mask {
    secrets: Secrets,
    waiting: Vec<Line>,
    mode: Mode,
    /// Whether the answer to the last command may be shown.
    show_answer: bool,
    card: Transcript,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Mode {
    Idle,
    Command,
    Answer,
}

impl Mask {
    pub(super) fn new(secrets: Secrets) -> Self {
        Self {
            secrets,
            waiting: Vec::new(),
            mode: Mode::Idle,
            show_answer: false,
            card: Transcript::new(Secrets::Hide),
        }
    }

    /// Takes a line as it happened and gives back those that can be written now.
    pub(super) fn pass(&mut self, line: Line) -> Vec<Line> {
        if self.secrets == Secrets::Show {
            return vec![line];
        }
        match &line {
            Line::Write { report, .. } => self.write(flag_of(&report.with_zeros()), line),
            Line::Read { report: Some(report), .. } => self.read(flag_of(&report.0), line),
            Line::Transmit { .. } => vec![self.transmit(line)],
            Line::Open { .. } | Line::Read { report: None, .. } | Line::Note { .. } => self.keep_order(line),
        }
    }

    /// Gives back what still waits, with its secrets left out.
    pub(super) fn flush(&mut self) -> Vec<Line> {
        let show = self.mode == Mode::Answer && self.show_answer;
        let waiting = std::mem::take(&mut self.waiting);
        let answer = self.mode == Mode::Answer;
        self.mode = Mode::Idle;
        match (show, answer) {
            (true, _) => waiting,
            (false, true) => hide_answer(waiting),
            (false, false) => waiting.into_iter().map(hide_part).collect(),
        }
    }

    fn write(&mut self, flag: u8, line: Line) -> Vec<Line> {
        let part = flag & MASK_SEQUENCE;
        if flag & FLAG_WRITE == 0 || part > LAST_PART {
            let mut lines = self.flush();
            lines.push(hide_report(line));
            return lines;
        }
        if part == 0 {
            let lines = self.flush();
            self.mode = Mode::Command;
            self.waiting.push(line);
            return lines;
        }
        if self.mode != Mode::Command {
            let mut lines = self.flush();
            lines.push(hide_report(line));
            return lines;
        }
        self.waiting.push(line);
        if part < LAST_PART {
            return Vec::new();
        }
        self.end_command()
    }

    fn end_command(&mut self) -> Vec<Line> {
        let code = match self.waiting.last() {
            Some(Line::Write { report, .. }) => report.get(CODE_IN_LAST_PART).unwrap_or(0),
            _ => 0,
        };
        let named = names::otp_command(code);
        self.show_answer = named.show_response;
        self.mode = Mode::Idle;
        let waiting = std::mem::take(&mut self.waiting);
        if named.show_command {
            return waiting;
        }
        let last = waiting.len().saturating_sub(1);
        let hide = |(index, line)| match line {
            // The code and the filling stay; the checksum would tell something about the rest.
            Line::Write { at, link, report, error } if index == last => {
                Line::Write { at, link, report: report.hide(0..1).hide(2..4), error }
            }
            line => hide_part(line),
        };
        waiting.into_iter().enumerate().map(hide).collect()
    }

    fn read(&mut self, flag: u8, line: Line) -> Vec<Line> {
        if self.mode == Mode::Command {
            self.waiting.push(line);
            return Vec::new();
        }
        let is_part = flag & (FLAG_WRITE | FLAG_RESPONSE) == FLAG_RESPONSE;
        if !is_part {
            let mut lines = self.flush();
            lines.push(hide_report(line));
            return lines;
        }
        let ends = self.mode == Mode::Answer && flag & MASK_SEQUENCE == 0;
        if ends {
            let mut lines = self.flush();
            lines.push(line);
            return lines;
        }
        self.mode = Mode::Answer;
        self.waiting.push(line);
        Vec::new()
    }

    fn keep_order(&mut self, line: Line) -> Vec<Line> {
        if self.mode == Mode::Idle {
            return vec![line];
        }
        self.waiting.push(line);
        Vec::new()
    }

    fn transmit(&mut self, line: Line) -> Line {
        let Line::Transmit { at, link, command, response, masked, error } = line else { return line };
        let bytes = command.with_zeros();
        let command = match self.card.command(&bytes).body {
            Body::Hidden { length } => {
                let from = data_start(&bytes, length);
                command.hide(from..from + length)
            }
            Body::Shown(_) | Body::Empty => command,
        };
        let (response, masked) = match response {
            None => (None, masked),
            Some(bytes) => match self.card.response(&bytes.0).body {
                Body::Hidden { length } => (Some(zero_data(&bytes, length)), true),
                Body::Shown(_) | Body::Empty => (Some(bytes), masked),
            },
        };
        Line::Transmit { at, link, command, response, masked, error }
    }
}

/// Where the data of a command begins: a command that cannot be read is hidden from its beginning.
fn data_start(command: &[u8], length: usize) -> usize {
    match command.len().checked_sub(length) {
        None | Some(0..=4) => 0,
        // An extended length is three bytes that begin with zero.
        Some(_) if command.get(4) == Some(&0) => 7,
        Some(_) => 5,
    }
}

fn zero_data(bytes: &Bytes, length: usize) -> Bytes {
    let mut zeros = bytes.clone();
    for byte in zeros.0.iter_mut().take(length) {
        *byte = 0;
    }
    zeros
}

/// Leaves out the data of a part of a command, zeros too: other secrets have zeros elsewhere.
fn hide_part(line: Line) -> Line {
    match line {
        Line::Write { at, link, report, error } => {
            Line::Write { at, link, report: report.hide(0..REPORT_DATA), error }
        }
        line => hide_report(line),
    }
}

/// Leaves out the data of a report that may be a secret: a part of an unknown command, or what a
/// key that has not consumed a part shows of it.
fn hide_report(line: Line) -> Line {
    match line {
        Line::Write { at, link, report, error }
            if report.with_zeros().iter().take(REPORT_DATA).any(is_set) =>
        {
            Line::Write { at, link, report: report.hide(0..REPORT_DATA), error }
        }
        Line::Read { at, link, report: Some(report), error, .. } if is_suspect(&report.0) => {
            Line::Read { at, link, report: Some(zero_data(&report, REPORT_DATA)), masked: true, error }
        }
        line => line,
    }
}

const fn is_set(byte: &u8) -> bool {
    *byte != 0
}

/// Everything but a status, with or without the sign of a touch wait.
fn is_suspect(report: &[u8]) -> bool {
    let flag = flag_of(report);
    flag != 0 && flag & (FLAG_WRITE | FLAG_RESPONSE | FLAG_TOUCH) != FLAG_TOUCH
}

/// Replaces an answer by zeros with a checksum that holds if its own did.
fn hide_answer(lines: Vec<Line>) -> Vec<Line> {
    let mut data = Vec::new();
    for line in &lines {
        if let Line::Read { report: Some(report), .. } = line {
            data.extend_from_slice(report.0.get(..REPORT_DATA).unwrap_or_default());
        }
    }
    let shortest = data.len().saturating_sub(REPORT_DATA - 1).max(CRC_SIZE);
    let length = (shortest..=data.len()).find(|length| data.get(..*length).is_some_and(crc::holds));
    let mut zeros = vec![0; data.len()];
    if let Some(place) = length.and_then(|length| zeros.get_mut(..length)) {
        let (answer, checksum) = place.split_at_mut(place.len() - CRC_SIZE);
        checksum.copy_from_slice(&crc::trailer(answer));
    }
    zeroize::Zeroize::zeroize(&mut data);
    let mut parts = zeros.chunks(REPORT_DATA);
    let hide = |line| match line {
        Line::Read { at, link, report: Some(mut report), error, .. } => {
            if let (Some(part), Some(place)) = (parts.next(), report.0.get_mut(..REPORT_DATA)) {
                place.copy_from_slice(part);
            }
            Line::Read { at, link, report: Some(report), masked: true, error }
        }
        line => line,
    };
    lines.into_iter().map(hide).collect()
}

fn flag_of(report: &[u8]) -> u8 {
    report.get(REPORT_DATA).copied().unwrap_or(0)
}

/// A command travels in parts 0 to 9; the last one holds the last byte of the payload, the
/// command's code, two bytes of checksum, and filling.
const LAST_PART: u8 = 9;
const CODE_IN_LAST_PART: usize = 1;
const CRC_SIZE: usize = 2;
