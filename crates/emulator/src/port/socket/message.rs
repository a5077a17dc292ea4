//! What the frames say.

use std::fmt;

use tapkey_protocol::keyboard::{Key, Stroke};
use tapkey_protocol::link::{CardTransport, LinkError, Report};
use tapkey_protocol::slot::Slot;
use thiserror::Error;
use zeroize::Zeroize;

use crate::clock::Milliseconds;
use crate::key::{Counter, HostError, Power, PowerError, Press, Silence, TouchError, Typed};

/// What a client asks for. Reports, commands and typed keys may carry secrets, so none of this is
/// ever formatted.
#[derive(Clone, Eq, PartialEq)]
pub(super) enum Request {
    OpenOtp,
    OpenCard,
    WriteReport(Report),
    ReadReport,
    Transmit(Vec<u8>),
    CardReset,
    Press(Slot),
    Hold(Milliseconds),
    Touch,
    Plug(Power),
    Replug,
    Show,
    Atr,
    /// The text of a planned fault.
    AddFault(String),
    ListFaults,
    ClearFaults,
    Suspend,
    Resume,
    Jump(Milliseconds),
    Turn(Counter),
}

/// What the server answers.
#[derive(Clone, Eq, PartialEq)]
pub(super) enum Reply {
    Done,
    Report(Report),
    Response(Vec<u8>),
    Card(CardTransport),
    Atr(Vec<u8>),
    Press(Press),
    /// JSON.
    Snapshot(Vec<u8>),
    /// JSON.
    Faults(Vec<u8>),
    /// A transfer failed while the key stays.
    Failed(HostError),
    /// Why a counter was not turned.
    NotTurned(String),
    /// The key is not there any more.
    Removed,
    /// The interface is switched off.
    Unavailable(String),
    Refused(Refusal),
}

/// Why the emulator did not do something. The text is the same that the key itself gives.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// A touch did nothing.
    #[error(transparent)]
    Touch(#[from] TouchError),
    /// The key does not start.
    #[error(transparent)]
    Power(#[from] PowerError),
    /// The emulator could not store a counter, so the key typed nothing.
    #[error("the emulator could not store the state of the key; its own output says why")]
    Storage,
    /// The request makes no sense: the client is of another version, or no client at all.
    #[error("the emulator did not understand the request; are both programs of the same version?")]
    BadRequest,
}

/// A message that is none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct BadMessage;

impl fmt::Display for BadMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message that this version does not know")
    }
}

impl Request {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::OpenOtp => bytes.push(1),
            Self::OpenCard => bytes.push(2),
            Self::WriteReport(report) => {
                bytes.push(3);
                bytes.extend_from_slice(report);
            }
            Self::ReadReport => bytes.push(4),
            Self::Transmit(command) => {
                bytes.reserve(command.len() + 1);
                bytes.push(5);
                bytes.extend_from_slice(command);
            }
            Self::CardReset => bytes.push(6),
            Self::Press(slot) => bytes.extend_from_slice(&[7, slot.number()]),
            Self::Hold(duration) => {
                bytes.push(8);
                bytes.extend_from_slice(&duration.0.to_be_bytes());
            }
            Self::Touch => bytes.push(9),
            Self::Plug(power) => bytes.extend_from_slice(&[10, power_code(*power)]),
            Self::Replug => bytes.push(11),
            Self::Show => bytes.push(12),
            Self::Atr => bytes.push(13),
            Self::AddFault(text) => {
                bytes.push(32);
                bytes.extend_from_slice(text.as_bytes());
            }
            Self::ListFaults => bytes.push(33),
            Self::ClearFaults => bytes.push(34),
            Self::Suspend => bytes.push(35),
            Self::Resume => bytes.push(36),
            Self::Jump(by) => {
                bytes.push(37);
                bytes.extend_from_slice(&by.0.to_be_bytes());
            }
            Self::Turn(counter) => {
                let (kind, slot, to) = match *counter {
                    Counter::Use(slot, to) => (1, slot.number(), u64::from(to)),
                    Counter::Session(slot, to) => (2, slot.number(), u64::from(to)),
                    Counter::MovingFactor(slot, to) => (3, slot.number(), to),
                    Counter::Sequence(to) => (4, 0, u64::from(to)),
                };
                bytes.extend_from_slice(&[38, kind, slot]);
                bytes.extend_from_slice(&to.to_be_bytes());
            }
        }
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BadMessage> {
        match bytes {
            [1] => Ok(Self::OpenOtp),
            [2] => Ok(Self::OpenCard),
            [3, report @ ..] => report.try_into().map(Self::WriteReport).map_err(|_| BadMessage),
            [4] => Ok(Self::ReadReport),
            [5, command @ ..] => Ok(Self::Transmit(command.to_vec())),
            [6] => Ok(Self::CardReset),
            [7, slot] => Slot::try_from(*slot).map(Self::Press).map_err(|_| BadMessage),
            [8, duration @ ..] => duration
                .try_into()
                .map(|bytes| Self::Hold(Milliseconds(u64::from_be_bytes(bytes))))
                .map_err(|_| BadMessage),
            [9] => Ok(Self::Touch),
            [10, power] => power_of(*power).map(Self::Plug),
            [11] => Ok(Self::Replug),
            [12] => Ok(Self::Show),
            [13] => Ok(Self::Atr),
            [32, text @ ..] => String::from_utf8(text.to_vec()).map(Self::AddFault).map_err(|_| BadMessage),
            [33] => Ok(Self::ListFaults),
            [34] => Ok(Self::ClearFaults),
            [35] => Ok(Self::Suspend),
            [36] => Ok(Self::Resume),
            [37, by @ ..] => by
                .try_into()
                .map(|by| Self::Jump(Milliseconds(u64::from_be_bytes(by))))
                .map_err(|_| BadMessage),
            [38, kind, slot, to @ ..] => parse_counter(*kind, *slot, to).map(Self::Turn),
            _ => Err(BadMessage),
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        match self {
            Self::WriteReport(report) => report.zeroize(),
            Self::Transmit(command) => command.zeroize(),
            _ => {}
        }
    }
}

impl Reply {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Self::Done => bytes.push(1),
            Self::Report(report) => {
                bytes.push(2);
                bytes.extend_from_slice(report);
            }
            Self::Response(response) => {
                bytes.reserve(response.len() + 1);
                bytes.push(3);
                bytes.extend_from_slice(response);
            }
            Self::Card(CardTransport::Usb) => bytes.extend_from_slice(&[4, 1]),
            Self::Card(CardTransport::Nfc) => bytes.extend_from_slice(&[4, 2]),
            Self::Press(press) => {
                bytes.push(5);
                encode_press(press, &mut bytes);
            }
            Self::Snapshot(json) => {
                bytes.push(6);
                bytes.extend_from_slice(json);
            }
            Self::Removed => bytes.push(7),
            Self::Unavailable(what) => {
                bytes.push(8);
                bytes.extend_from_slice(what.as_bytes());
            }
            Self::Refused(refusal) => bytes.extend_from_slice(&[9, refusal_code(*refusal)]),
            Self::Atr(atr) => {
                bytes.push(10);
                bytes.extend_from_slice(atr);
            }
            Self::Faults(json) => {
                bytes.push(32);
                bytes.extend_from_slice(json);
            }
            Self::Failed(HostError::Stalled) => bytes.extend_from_slice(&[33, 1]),
            Self::Failed(HostError::TimedOut) => bytes.extend_from_slice(&[33, 2]),
            Self::Failed(HostError::Removed) => bytes.push(7),
            Self::NotTurned(why) => {
                bytes.push(34);
                bytes.extend_from_slice(why.as_bytes());
            }
        }
        bytes
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, BadMessage> {
        match bytes {
            [1] => Ok(Self::Done),
            [2, report @ ..] => report.try_into().map(Self::Report).map_err(|_| BadMessage),
            [3, response @ ..] => Ok(Self::Response(response.to_vec())),
            [4, 1] => Ok(Self::Card(CardTransport::Usb)),
            [4, 2] => Ok(Self::Card(CardTransport::Nfc)),
            [5, press @ ..] => parse_press(press).map(Self::Press),
            [6, json @ ..] => Ok(Self::Snapshot(json.to_vec())),
            [7] => Ok(Self::Removed),
            [8, what @ ..] => Ok(Self::Unavailable(String::from_utf8_lossy(what).into_owned())),
            [9, code] => refusal_of(*code).map(Self::Refused),
            [10, atr @ ..] => Ok(Self::Atr(atr.to_vec())),
            [32, json @ ..] => Ok(Self::Faults(json.to_vec())),
            [33, 1] => Ok(Self::Failed(HostError::Stalled)),
            [33, 2] => Ok(Self::Failed(HostError::TimedOut)),
            [34, why @ ..] => Ok(Self::NotTurned(String::from_utf8_lossy(why).into_owned())),
            _ => Err(BadMessage),
        }
    }
}

/// What a link of the server's own key answers when it fails.
impl From<LinkError> for Reply {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Unavailable { what } => Self::Unavailable(what),
            LinkError::Io(_) => Self::Failed(HostError::Stalled),
            LinkError::TimedOut => Self::Failed(HostError::TimedOut),
            _ => Self::Removed,
        }
    }
}

/// Codes that may be given once and never change: both programs must agree on them.
const SILENCES: [(u8, Silence); 8] = [
    (1, Silence::NoPower),
    (2, Silence::NoKeyboard),
    (3, Silence::Empty),
    (4, Silence::Dormant),
    (5, Silence::ChallengeResponse),
    (6, Silence::CounterExhausted),
    (7, Silence::Undecided),
    (8, Silence::Suspended),
];
const REFUSALS: [(u8, Refusal); 7] = [
    (1, Refusal::Touch(TouchError::NothingWaits)),
    (2, Refusal::Touch(TouchError::NobodyThere)),
    (3, Refusal::Power(PowerError::NoNfc)),
    (4, Refusal::Power(PowerError::NfcRestricted)),
    (5, Refusal::Power(PowerError::Storage)),
    (6, Refusal::Storage),
    (7, Refusal::BadRequest),
];
const POWERS: [(u8, Power); 3] = [(0, Power::Off), (1, Power::Usb), (2, Power::Nfc)];

const KEY: u8 = 1;
const SHIFTED_KEY: u8 = 2;
const PAUSE: u8 = 3;
const STROKE_SIZE: usize = 5;

fn encode_press(press: &Press, bytes: &mut Vec<u8>) {
    match press {
        Press::Typed(typed) => {
            bytes.reserve(typed.strokes().len() * STROKE_SIZE + 2);
            bytes.extend_from_slice(&[1, typed.slot().number()]);
            for stroke in typed.strokes() {
                match stroke {
                    Stroke::Press(Key { usage, shift }) => {
                        let kind = if *shift { SHIFTED_KEY } else { KEY };
                        bytes.extend_from_slice(&[kind, *usage, 0, 0, 0]);
                    }
                    Stroke::DelayMilliseconds(pause) => {
                        bytes.push(PAUSE);
                        bytes.extend_from_slice(&pause.to_be_bytes());
                    }
                }
            }
        }
        Press::AnsweredChallenge => bytes.push(2),
        Press::Nothing(silence) => {
            let code = SILENCES.iter().find(|(_, known)| known == silence).map_or(0, |(code, _)| *code);
            bytes.extend_from_slice(&[3, code]);
        }
    }
}

fn parse_press(bytes: &[u8]) -> Result<Press, BadMessage> {
    match bytes {
        [1, slot, strokes @ ..] if strokes.len().is_multiple_of(STROKE_SIZE) => {
            let slot = Slot::try_from(*slot).map_err(|_| BadMessage)?;
            let strokes = strokes.chunks_exact(STROKE_SIZE).map(parse_stroke).collect::<Result<_, _>>()?;
            Ok(Press::Typed(Typed::new(slot, strokes)))
        }
        [2] => Ok(Press::AnsweredChallenge),
        [3, code] => {
            let found = SILENCES.iter().find(|(known, _)| known == code);
            found.map(|(_, silence)| Press::Nothing(*silence)).ok_or(BadMessage)
        }
        _ => Err(BadMessage),
    }
}

fn parse_counter(kind: u8, number: u8, to: &[u8]) -> Result<Counter, BadMessage> {
    let to = u64::from_be_bytes(to.try_into().map_err(|_| BadMessage)?);
    let slot = || Slot::try_from(number).map_err(|_| BadMessage);
    match kind {
        1 => Ok(Counter::Use(slot()?, to.try_into().map_err(|_| BadMessage)?)),
        2 => Ok(Counter::Session(slot()?, to.try_into().map_err(|_| BadMessage)?)),
        3 => Ok(Counter::MovingFactor(slot()?, to)),
        4 if number == 0 => Ok(Counter::Sequence(to.try_into().map_err(|_| BadMessage)?)),
        _ => Err(BadMessage),
    }
}

fn parse_stroke(bytes: &[u8]) -> Result<Stroke, BadMessage> {
    match *bytes {
        [KEY, usage, 0, 0, 0] => Ok(Stroke::Press(Key::plain(usage))),
        [SHIFTED_KEY, usage, 0, 0, 0] => Ok(Stroke::Press(Key::shifted(usage))),
        [PAUSE, a, b, c, d] => Ok(Stroke::DelayMilliseconds(u32::from_be_bytes([a, b, c, d]))),
        _ => Err(BadMessage),
    }
}

fn refusal_code(refusal: Refusal) -> u8 {
    REFUSALS.iter().find(|(_, known)| *known == refusal).map_or(0, |(code, _)| *code)
}

fn refusal_of(code: u8) -> Result<Refusal, BadMessage> {
    REFUSALS.iter().find(|(known, _)| *known == code).map(|(_, refusal)| *refusal).ok_or(BadMessage)
}

fn power_code(power: Power) -> u8 {
    POWERS.iter().find(|(_, known)| *known == power).map_or(0, |(code, _)| *code)
}

fn power_of(code: u8) -> Result<Power, BadMessage> {
    POWERS.iter().find(|(known, _)| *known == code).map(|(_, power)| *power).ok_or(BadMessage)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_request_survives_the_way() {
        let requests = [
            Request::OpenOtp,
            Request::OpenCard,
            Request::WriteReport([1, 2, 3, 4, 5, 6, 7, 0x80]),
            Request::ReadReport,
            Request::Transmit(vec![]),
            Request::Transmit(vec![0, 0xA4, 4, 0]),
            Request::CardReset,
            Request::Press(Slot::Two),
            Request::Hold(Milliseconds(3500)),
            Request::Touch,
            Request::Plug(Power::Nfc),
            Request::Replug,
            Request::Show,
            Request::Atr,
            Request::AddFault("crc@1".to_owned()),
            Request::ListFaults,
            Request::ClearFaults,
            Request::Suspend,
            Request::Resume,
            Request::Jump(Milliseconds(u64::MAX)),
            Request::Turn(Counter::Use(Slot::One, 32_766)),
            Request::Turn(Counter::Session(Slot::Two, 254)),
            Request::Turn(Counter::MovingFactor(Slot::Two, u64::MAX)),
            Request::Turn(Counter::Sequence(255)),
        ];
        for request in requests {
            assert!(Request::parse(&request.encode()) == Ok(request.clone()));
        }
    }

    #[test]
    fn every_reply_survives_the_way() {
        let strokes =
            vec![Stroke::Press(Key::shifted(4)), Stroke::DelayMilliseconds(500), Stroke::Press(Key::ENTER)];
        let presses = SILENCES.map(|(_, silence)| Press::Nothing(silence)).into_iter().chain([
            Press::Typed(Typed::new(Slot::Two, strokes)),
            Press::Typed(Typed::new(Slot::One, vec![])),
            Press::AnsweredChallenge,
        ]);
        let replies = [
            Reply::Done,
            Reply::Report([9; 8]),
            Reply::Response(vec![0x90, 0]),
            Reply::Card(CardTransport::Nfc),
            Reply::Card(CardTransport::Usb),
            Reply::Atr(vec![0x3B, 0]),
            Reply::Snapshot(b"{}".to_vec()),
            Reply::Faults(b"[]".to_vec()),
            Reply::Failed(HostError::Stalled),
            Reply::Failed(HostError::TimedOut),
            Reply::NotTurned("it is empty".to_owned()),
            Reply::Removed,
            Reply::Unavailable("the card".to_owned()),
        ];
        let refusals = REFUSALS.map(|(_, refusal)| Reply::Refused(refusal));
        for reply in replies.into_iter().chain(presses.map(Reply::Press)).chain(refusals) {
            assert!(Reply::parse(&reply.encode()) == Ok(reply.clone()));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            if let Ok(request) = Request::parse(&bytes) {
                prop_assert_eq!(request.encode(), bytes.clone());
            }
            let _ = Reply::parse(&bytes);
        }
    }
}
