//! What a recording means, for people.

use std::collections::BTreeMap;

use super::super::{Body, Entry, Secrets, Transcript};
use super::Recording;
use super::line::{Bytes, Failure, Interface, Line, Pattern};
use crate::crc;
use crate::hid::{FLAG_RESPONSE, FLAG_TOUCH, FLAG_WRITE, FRAME_SIZE, MASK_SEQUENCE, REPORT_DATA, Status};

/// One thing that happened, in words. Several lines of the recording may be one thing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Decoded {
    /// When, in milliseconds from the beginning.
    pub at: u64,
    /// On which link, and what it leads to.
    pub link: Option<(u32, Interface)>,
    /// What.
    pub text: String,
}

/// Puts the parts of commands and answers together and names them. Looks at a key that is still
/// busy are counted.
#[must_use]
pub fn decode(recording: &Recording) -> Vec<Decoded> {
    let mut decoder = Decoder { secrets: recording.secrets, links: BTreeMap::new(), out: Vec::new() };
    for line in &recording.lines {
        decoder.line(line);
    }
    let links: Vec<u32> = decoder.links.keys().copied().collect();
    for link in links {
        decoder.settle(link);
    }
    decoder.out
}

struct Decoder {
    secrets: Secrets,
    links: BTreeMap<u32, Link>,
    out: Vec<Decoded>,
}

struct Link {
    interface: Interface,
    names: Transcript,
    command: Pattern,
    command_parts: u32,
    answer: Vec<u8>,
    answer_at: u64,
    answer_masked: bool,
    /// The last thing shown and how often it came in a row.
    repeated: Option<(String, u32)>,
}

impl Decoder {
    fn line(&mut self, line: &Line) {
        match line {
            Line::Open { at, link, interface } => {
                self.links.insert(*link, Link::new(*interface, self.secrets));
                self.say(*at, *link, "opened".to_owned());
            }
            Line::Note { at, text } => self.out.push(Decoded { at: *at, link: None, text: text.clone() }),
            Line::Write { at, link, report, error } => self.write(*at, *link, report, *error),
            Line::Read { at, link, report, masked, error } => match (report, error) {
                (Some(report), _) => self.read(*at, *link, report, *masked),
                (None, error) => self.failed(*at, *link, "read", *error),
            },
            Line::Transmit { at, link, command, response, masked, error } => {
                self.transmit(*at, *link, command, response.as_ref(), *masked, *error);
            }
        }
    }

    fn write(&mut self, at: u64, number: u32, report: &Pattern, error: Option<Failure>) {
        if error.is_some() {
            return self.failed(at, number, "write", error);
        }
        self.end_answer(number);
        let Some(link) = self.links.get_mut(&number) else { return };
        let flag = report.get(REPORT_DATA).unwrap_or(0);
        let part = flag & MASK_SEQUENCE;
        if flag & FLAG_WRITE == 0 || part > LAST_PART {
            link.command_parts = 0;
            return self.say(at, number, "> reset".to_owned());
        }
        if part == 0 {
            link.command = Pattern::exact(&[0; FRAME_SIZE]);
            link.command_parts = 0;
        }
        link.command_parts += 1;
        link.command = link.command.clone().overlaid(usize::from(part) * REPORT_DATA, report);
        if part < LAST_PART {
            return;
        }
        link.command_parts = 0;
        let frame = std::mem::replace(&mut link.command, Pattern::exact(&[0; FRAME_SIZE]));
        let bytes = frame.with_zeros();
        let (payload, rest) = bytes.split_at(bytes.len().min(CODE_AT));
        let entry = link.names.hid_command(rest.first().copied().unwrap_or(0), payload);
        let entry = if frame.has_gaps() { hidden(entry, payload.len()) } else { entry };
        self.say(at, number, entry.to_string());
    }

    fn read(&mut self, at: u64, number: u32, report: &Bytes, masked: bool) {
        let Ok(report) = <[u8; REPORT_DATA + 1]>::try_from(report.0.as_slice()) else {
            return self.say(at, number, format!("< {} bytes, which are no report", report.0.len()));
        };
        let flag = report[REPORT_DATA];
        let is_part = flag & (FLAG_WRITE | FLAG_RESPONSE) == FLAG_RESPONSE;
        if !is_part {
            self.end_answer(number);
        }
        let Some(link) = self.links.get_mut(&number) else { return };
        if is_part {
            if flag & MASK_SEQUENCE == 0 && !link.answer.is_empty() {
                return self.end_answer(number);
            }
            link.answer.extend_from_slice(&report[..REPORT_DATA]);
            link.answer_masked |= masked;
            link.answer_at = at;
            return;
        }
        let text = match Status::from_report(&report) {
            // Between two parts of a command, that only says that the key took the first of them.
            Some(_) if link.command_parts > 0 => return,
            Some(status) => format!(
                "< status: firmware {}, sequence {}, slots {:04x}",
                status.version, status.sequence, status.touch_level.0
            ),
            None if flag & FLAG_WRITE != 0 => "< busy".to_owned(),
            None if flag & FLAG_TOUCH != 0 => {
                // The seconds count down; only that they do is of interest.
                "< waits for a touch".to_owned()
            }
            None => format!("< unknown flag {flag:02x}"),
        };
        self.say(at, number, text);
    }

    fn transmit(
        &mut self,
        at: u64,
        number: u32,
        command: &Pattern,
        response: Option<&Bytes>,
        masked: bool,
        error: Option<Failure>,
    ) {
        let Some(link) = self.links.get_mut(&number) else { return };
        let entry = link.names.command(&command.with_zeros());
        let length = match &entry.body {
            Body::Shown(bytes) => bytes.len(),
            Body::Hidden { length } => *length,
            Body::Empty => 0,
        };
        let entry = if command.has_gaps() { hidden(entry, length) } else { entry };
        let answer = response.map(|response| {
            let entry = link.names.response(&response.0);
            if masked { hidden(entry, response.0.len().saturating_sub(2)) } else { entry }
        });
        self.say(at, number, entry.to_string());
        match answer {
            Some(entry) => self.say(at, number, entry.to_string()),
            None => self.failed(at, number, "transmit", error),
        }
    }

    /// An answer over reports is complete, or breaks off.
    fn end_answer(&mut self, number: u32) {
        let Some(link) = self.links.get_mut(&number) else { return };
        if link.answer.is_empty() {
            return;
        }
        let answer = std::mem::take(&mut link.answer);
        let masked = std::mem::take(&mut link.answer_masked);
        let at = link.answer_at;
        let shortest = answer.len().saturating_sub(REPORT_DATA - 1).max(2);
        let length = (shortest..=answer.len()).find(|length| answer.get(..*length).is_some_and(crc::holds));
        let text = match length {
            Some(length) => {
                let data = answer.get(..length - 2).unwrap_or_default();
                let entry = link.names.hid_answer(data);
                if masked { hidden(entry, data.len()) } else { entry }.to_string()
            }
            None => format!("< {} bytes whose checksum is wrong", answer.len()),
        };
        self.say(at, number, text);
    }

    fn failed(&mut self, at: u64, number: u32, what: &str, error: Option<Failure>) {
        self.end_answer(number);
        let why = error.map_or_else(|| "for no recorded reason".to_owned(), |error| error.to_string());
        self.say(at, number, format!("! {what} failed: {why}"));
    }

    fn say(&mut self, at: u64, number: u32, text: String) {
        let Some(link) = self.links.get_mut(&number) else { return };
        let interface = link.interface;
        match &mut link.repeated {
            Some((last, times)) if *last == text => {
                *times += 1;
                let place = Some((number, interface));
                if let Some(shown) = self.out.iter_mut().rev().find(|one| one.link == place) {
                    shown.text = format!("{text} (×{times})");
                    return;
                }
            }
            repeated => *repeated = Some((text.clone(), 1)),
        }
        self.out.push(Decoded { at, link: Some((number, interface)), text });
    }

    fn settle(&mut self, number: u32) {
        self.end_answer(number);
        if let Some(link) = self.links.get(&number).filter(|link| link.command_parts > 0) {
            let text = format!("> a command that breaks off after {} parts", link.command_parts);
            self.say(self.out.last().map_or(0, |last| last.at), number, text);
        }
    }
}

impl Link {
    fn new(interface: Interface, secrets: Secrets) -> Self {
        Self {
            interface,
            names: Transcript::new(secrets),
            command: Pattern::exact(&[0; FRAME_SIZE]),
            command_parts: 0,
            answer: Vec::new(),
            answer_at: 0,
            answer_masked: false,
            repeated: None,
        }
    }
}

/// The entry without its bytes, which were not recorded.
fn hidden(entry: Entry, length: usize) -> Entry {
    let body = if length == 0 { Body::Empty } else { Body::Hidden { length } };
    Entry { body, ..entry }
}

const LAST_PART: u8 = 9;
/// The command's code stands behind 64 bytes of payload.
const CODE_AT: usize = 64;
