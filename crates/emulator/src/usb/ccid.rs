//! The smart-card interface: messages of the CCID specification, revision 1.1, section 6.

use std::collections::VecDeque;

use crate::clock::Milliseconds;
use crate::faults::{Fault, Occasion};
use crate::key::{HostError, Transmitted, VirtualKey};

#[derive(Debug)]
pub(super) struct Ccid {
    /// The longest message, header included.
    limit: usize,
    /// A message that is not complete yet.
    received: Vec<u8>,
    answers: VecDeque<Vec<u8>>,
    notices: VecDeque<Vec<u8>>,
    powered: bool,
    /// A command that comes in several blocks.
    chain: Option<Vec<u8>>,
    unanswered: Option<Unanswered>,
}

/// The head of a message from the host.
#[derive(Clone, Copy, Debug)]
struct Head {
    kind: u8,
    slot: u8,
    sequence: u8,
    parameters: [u8; 3],
}

/// A command that the card has not answered yet. The reader asks the host for patience meanwhile.
#[derive(Debug)]
struct Unanswered {
    head: Head,
    until: Until,
    patience_at: Milliseconds,
}

/// What an answer waits for.
#[derive(Debug)]
enum Until {
    /// The card: somebody has to touch the key.
    Card,
    /// A moment.
    Time(Milliseconds, Vec<u8>),
    /// Nothing: the card is mute, and the reader does not even ask for patience.
    Never,
}

/// What comes of a message.
enum Outcome {
    Answer(Vec<u8>),
    Later(Until),
}

impl Ccid {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            received: Vec::new(),
            answers: VecDeque::new(),
            notices: VecDeque::from([vec![NOTIFY_SLOT_CHANGE, CARD_CAME]]),
            powered: false,
            chain: None,
            unanswered: None,
        }
    }

    /// Takes what the host sent in one transfer. Messages may come in pieces; a piece that is not
    /// a multiple of the packet size ends a message.
    pub(super) fn receive(&mut self, key: &mut VirtualKey, bytes: &[u8]) {
        if self.answers.len() > MOST_ANSWERS {
            // A host that only writes is not listened to.
            return;
        }
        self.received.extend_from_slice(bytes);
        let Some(header) = self.received.first_chunk::<HEADER>().copied() else {
            if !bytes.len().is_multiple_of(PACKET) {
                self.received.clear();
            }
            return;
        };
        let [kind, l0, l1, l2, l3, slot, sequence, parameters @ ..] = header;
        let length = usize::try_from(u32::from_le_bytes([l0, l1, l2, l3])).unwrap_or(usize::MAX);
        let total = length.saturating_add(HEADER);
        let ended = !bytes.len().is_multiple_of(PACKET);
        if self.received.len() < total && total <= self.limit && !ended {
            return;
        }
        let received = std::mem::take(&mut self.received);
        let fits = received.len() == total && total <= self.limit;
        let head = Head { kind, slot, sequence, parameters };
        let data = received.get(HEADER..).unwrap_or_default();
        let outcome = if fits { self.carry_out(key, head, data) } else { self.fail(key, head, BAD_LENGTH) };
        self.finish(key, head, outcome);
    }

    /// Asks for patience, or answers what is answered by now.
    pub(super) fn tick(&mut self, key: &mut VirtualKey) {
        let now = key.now();
        let Some(mut waiting) = self.unanswered.take() else { return };
        match waiting.until {
            Until::Card => match self.card_result(key, waiting.head, |key| key.host_asks_response()) {
                Outcome::Later(Until::Card) => {}
                outcome => return self.finish(key, waiting.head, outcome),
            },
            Until::Time(at, answer) if at <= now => return self.answers.push_back(answer),
            Until::Time(..) | Until::Never => {}
        }
        if !matches!(waiting.until, Until::Never) && waiting.patience_at <= now {
            waiting.patience_at = now + PATIENCE_INTERVAL;
            // A host that does not read needs no second request.
            if self.answers.is_empty() {
                let status = TIME_EXTENSION | self.card_status();
                self.answers.push_back(frame(waiting.head, status, 1, 0, &[]));
            }
        }
        self.unanswered = Some(waiting);
    }

    /// When [`tick`](Self::tick) has something to do.
    pub(super) fn next_event(&self, now: Milliseconds) -> Option<Milliseconds> {
        let waiting = self.unanswered.as_ref()?;
        match waiting.until {
            Until::Never => None,
            Until::Time(at, _) => Some(at.min(waiting.patience_at)),
            // A touch by the policy comes by itself.
            Until::Card => Some(now + CARD_POLL),
        }
    }

    /// Up to `length` bytes of the next answer.
    pub(super) fn take(&mut self, length: usize) -> Option<Vec<u8>> {
        let answer = self.answers.front_mut()?;
        if answer.len() > length {
            return Some(answer.drain(..length).collect());
        }
        self.answers.pop_front()
    }

    /// The next notice on the interrupt endpoint.
    pub(super) fn take_notice(&mut self) -> Option<Vec<u8>> {
        self.notices.pop_front()
    }

    /// No answer waits for the host.
    pub(super) fn is_quiet(&self) -> bool {
        self.answers.is_empty() && self.unanswered.is_none()
    }

    /// Answers, or begins to wait; faults strike here.
    fn finish(&mut self, key: &VirtualKey, head: Head, outcome: Outcome) {
        let now = key.now();
        let mut until = match outcome {
            Outcome::Answer(answer) => Until::Time(now, answer),
            Outcome::Later(until) => until,
        };
        if let Until::Time(at, answer) = &mut until {
            for fault in key.faults().occur(&[Occasion::CcidMessage]) {
                match fault {
                    Fault::CcidSequence => answer[6] = answer[6].wrapping_add(1),
                    Fault::CcidExtension { times: None } => *at = FOR_EVER,
                    Fault::CcidExtension { times: Some(times) } => {
                        *at = now + Milliseconds(PATIENCE_INTERVAL.0.saturating_mul(u64::from(times)));
                    }
                    _ => {}
                }
            }
        }
        match until {
            Until::Time(at, answer) if at <= now => self.answers.push_back(answer),
            until => self.unanswered = Some(Unanswered { head, until, patience_at: now + PATIENCE_INTERVAL }),
        }
    }

    fn carry_out(&mut self, key: &mut VirtualKey, head: Head, data: &[u8]) -> Outcome {
        if head.slot != 0 {
            return self.fail(key, head, NO_SUCH_SLOT);
        }
        if matches!(head.kind, POWER_ON | POWER_OFF) {
            key.card_reset();
            self.chain = None;
            self.unanswered = None;
            self.powered = head.kind == POWER_ON;
        }
        match &self.unanswered {
            Some(Unanswered { until: Until::Never, .. }) => self.unanswered = None,
            Some(_) => return self.fail(key, head, SLOT_BUSY),
            None => {}
        }
        match head.kind {
            POWER_ON => self.reply(head, 0, key.atr().unwrap_or_default()),
            POWER_OFF | SLOT_STATUS => self.reply(head, 0, &[]),
            TRANSFER => self.transfer(key, head, data),
            GET_PARAMETERS | RESET_PARAMETERS => self.reply(head, PROTOCOL_T1, PARAMETERS_T1),
            SET_PARAMETERS if head.parameters[0] == PROTOCOL_T1 => {
                self.reply(head, PROTOCOL_T1, PARAMETERS_T1)
            }
            SET_PARAMETERS => self.fail(key, head, BAD_PROTOCOL),
            ABORT => {
                self.chain = None;
                self.reply(head, 0, &[])
            }
            _ => self.fail(key, head, NOT_SUPPORTED),
        }
    }

    /// A command, or a part of one, and the card's answer.
    fn transfer(&mut self, key: &mut VirtualKey, head: Head, data: &[u8]) -> Outcome {
        if !self.powered {
            return self.fail(key, head, CARD_MUTE);
        }
        let [_, level, _] = head.parameters;
        let begun = self.chain.is_some();
        match level {
            WHOLE if !begun && matches!(data.len(), 1 | 3) => self.fail(key, head, BAD_LENGTH),
            WHOLE if !begun => self.card_result(key, head, |key| key.host_submits(data)),
            BEGINS if !begun => self.collect(key, head, data),
            GOES_ON if begun => self.collect(key, head, data),
            ENDS if begun => {
                let mut command = self.chain.take().unwrap_or_default();
                command.extend_from_slice(data);
                self.card_result(key, head, |key| key.host_submits(&command))
            }
            _ => {
                self.chain = None;
                self.fail(key, head, BAD_LEVEL)
            }
        }
    }

    fn collect(&mut self, key: &VirtualKey, head: Head, data: &[u8]) -> Outcome {
        let chain = self.chain.get_or_insert_default();
        if chain.len() + data.len() > MOST_COMMAND {
            self.chain = None;
            return self.fail(key, head, BAD_LENGTH);
        }
        chain.extend_from_slice(data);
        self.reply(head, NEXT_BLOCK, &[])
    }

    fn card_result(
        &self,
        key: &mut VirtualKey,
        head: Head,
        ask: impl FnOnce(&mut VirtualKey) -> Result<Option<Transmitted>, HostError>,
    ) -> Outcome {
        match ask(key) {
            Ok(None) => Outcome::Later(Until::Card),
            Ok(Some(Transmitted { response, .. })) if response.is_empty() => self.fail(key, head, CARD_MUTE),
            Ok(Some(Transmitted { response, delay })) => {
                let answer = frame(head, self.card_status(), 0, 0, &response);
                Outcome::Later(Until::Time(key.now() + delay, answer))
            }
            Err(HostError::Removed) => self.fail(key, head, CARD_MUTE),
            Err(_) => Outcome::Later(Until::Never),
        }
    }

    fn fail(&self, key: &VirtualKey, head: Head, error: u8) -> Outcome {
        let card = if head.slot == 0 && key.has_card() { self.card_status() } else { NO_CARD };
        Outcome::Answer(frame(head, FAILED | card, error, 0, &[]))
    }

    fn reply(&self, head: Head, last: u8, data: &[u8]) -> Outcome {
        Outcome::Answer(frame(head, self.card_status(), 0, last, data))
    }

    const fn card_status(&self) -> u8 {
        if self.powered { ACTIVE } else { INACTIVE }
    }
}

/// A message to the host; `last` is the byte whose meaning depends on the kind.
fn frame(head: Head, status: u8, error: u8, last: u8, data: &[u8]) -> Vec<u8> {
    let kind = match head.kind {
        POWER_ON | TRANSFER | SECURE => DATA_BLOCK,
        GET_PARAMETERS | SET_PARAMETERS | RESET_PARAMETERS => PARAMETERS,
        ESCAPE => ESCAPE_ANSWER,
        SET_RATE => RATE,
        _ => SLOT_STATUS_ANSWER,
    };
    let mut bytes = vec![kind];
    bytes.extend_from_slice(&u32::try_from(data.len()).unwrap_or_default().to_le_bytes());
    bytes.extend_from_slice(&[head.slot, head.sequence, status, error, last]);
    bytes.extend_from_slice(data);
    bytes
}

/// Bytes of a message's header.
const HEADER: usize = 10;
/// Bytes of a packet on the bulk endpoints.
const PACKET: usize = 64;
/// Answers for a host that does not fetch them.
const MOST_ANSWERS: usize = 16;
/// The longest extended command.
const MOST_COMMAND: usize = 65_544;

const SET_PARAMETERS: u8 = 0x61;
const POWER_ON: u8 = 0x62;
const POWER_OFF: u8 = 0x63;
const SLOT_STATUS: u8 = 0x65;
const SECURE: u8 = 0x69;
const ESCAPE: u8 = 0x6B;
const GET_PARAMETERS: u8 = 0x6C;
const RESET_PARAMETERS: u8 = 0x6D;
const TRANSFER: u8 = 0x6F;
const ABORT: u8 = 0x72;
const SET_RATE: u8 = 0x73;

const DATA_BLOCK: u8 = 0x80;
const SLOT_STATUS_ANSWER: u8 = 0x81;
const PARAMETERS: u8 = 0x82;
const ESCAPE_ANSWER: u8 = 0x83;
const RATE: u8 = 0x84;
const NOTIFY_SLOT_CHANGE: u8 = 0x50;
/// Slot 0: a card is there, and that is news.
const CARD_CAME: u8 = 0x03;

/// Status of the card, and of the command.
const ACTIVE: u8 = 0;
const INACTIVE: u8 = 1;
const NO_CARD: u8 = 2;
const FAILED: u8 = 0x40;
const TIME_EXTENSION: u8 = 0x80;

/// Errors: small numbers are the offset of the byte that is wrong.
const NOT_SUPPORTED: u8 = 0;
const BAD_LENGTH: u8 = 1;
const NO_SUCH_SLOT: u8 = 5;
const BAD_PROTOCOL: u8 = 7;
const BAD_LEVEL: u8 = 8;
const SLOT_BUSY: u8 = 0xE0;
const CARD_MUTE: u8 = 0xFE;

/// Whether a block is the whole command or a part of it.
const WHOLE: u8 = 0;
const BEGINS: u8 = 1;
const ENDS: u8 = 2;
const GOES_ON: u8 = 3;
/// In an answer: the next block, please.
const NEXT_BLOCK: u8 = 0x10;

const PROTOCOL_T1: u8 = 1;
/// Fi/Di, checksum, guard time, waiting times, clock stop, block size, node address.
const PARAMETERS_T1: &[u8] = &[0x11, 0x10, 0x00, 0x15, 0x00, 0xFE, 0x00];

/// A driver gives up after three seconds without a word.
const PATIENCE_INTERVAL: Milliseconds = Milliseconds(500);
const CARD_POLL: Milliseconds = Milliseconds(20);
const FOR_EVER: Milliseconds = Milliseconds(u64::MAX);
