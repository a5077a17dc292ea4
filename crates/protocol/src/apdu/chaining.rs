//! Command and response chaining (ISO/IEC 7816-4 sections 5.3.3 and 5.3.4), for both ends.
//!
//! Nothing here talks to a card: the host side says what to send next, the card side says what to
//! answer.

use std::fmt;

use thiserror::Error;
use zeroize::Zeroize;

use super::command::CHAINING_BIT;
use super::{Command, CommandError, Encoding, Response, StatusWord, ins};

/// Splits a command into a chain of short commands of at most 255 bytes each.
///
/// A command that fits is returned alone and unchanged. Every command of the chain but the last
/// carries the class bit `10`; only the last keeps the expected length.
#[must_use]
pub fn split(command: &Command) -> Vec<Command> {
    let limit = Encoding::Short.max_data();
    if command.data.len() <= limit {
        return vec![command.clone()];
    }
    let count = command.data.len().div_ceil(limit);
    command
        .data
        .chunks(limit)
        .enumerate()
        .map(|(index, part)| {
            let last = index + 1 == count;
            Command {
                cla: if last { command.cla } else { command.cla | CHAINING_BIT },
                ins: command.ins,
                p1: command.p1,
                p2: command.p2,
                data: part.to_vec(),
                le: if last { command.le } else { None },
            }
        })
        .collect()
}

/// The host's side of one command: what to send, and the whole answer in the end.
///
/// ```
/// use tapkey_protocol::apdu::{chaining::{Next, Transaction}, Command, Encoding};
///
/// let command = Command::new(0x00, 0xA1, 0, 0, []);
/// let mut transaction = Transaction::new(&command, Encoding::Short)?;
/// let Next::Send(bytes) = transaction.start() else { panic!() };
/// assert_eq!(bytes, [0x00, 0xA1, 0, 0]);
/// let Next::Done(response) = transaction.receive(&[0x01, 0x90, 0x00])? else { panic!() };
/// assert_eq!(response.data, [0x01]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Transaction {
    outgoing: std::vec::IntoIter<Vec<u8>>,
    continue_cla: u8,
    continue_ins: u8,
    collected: Vec<u8>,
    limit: usize,
}

/// What the host does next. `Debug` shows lengths only.
#[derive(Clone, Eq, PartialEq)]
pub enum Next {
    /// Send these bytes and pass the answer to [`Transaction::receive`].
    Send(Vec<u8>),
    /// The answer is complete.
    Done(Response),
}

impl Transaction {
    /// Prepares a command. In the short encoding, long data becomes a chain.
    ///
    /// # Errors
    /// [`CommandError`] when the command does not fit the encoding.
    pub fn new(command: &Command, encoding: Encoding) -> Result<Self, CommandError> {
        let commands = match encoding {
            Encoding::Short => split(command),
            Encoding::Extended => vec![command.clone()],
        };
        let outgoing = commands.iter().map(|part| part.encode(encoding)).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            outgoing: outgoing.into_iter(),
            // GET RESPONSE has neither the chaining bit nor secure messaging of the command.
            continue_cla: command.cla & !CHAINING_BIT,
            continue_ins: ins::GET_RESPONSE,
            collected: Vec::new(),
            limit: DEFAULT_RESPONSE_LIMIT,
        })
    }

    /// Fetches the rest of the answer with another instruction, such as the OATH application's
    /// [`ins::OATH_SEND_REMAINING`].
    #[must_use]
    pub fn continue_with(mut self, ins: u8) -> Self {
        self.continue_ins = ins;
        self
    }

    /// Refuses answers that grow beyond `limit` bytes, so that a broken card cannot fill memory.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// The first step.
    #[must_use]
    pub fn start(&mut self) -> Next {
        match self.outgoing.next() {
            Some(bytes) => Next::Send(bytes),
            None => Next::Done(Response::status(StatusWord::UNKNOWN)),
        }
    }

    /// Takes the answer to what was sent last.
    ///
    /// A refusal in the middle of a chain ends it and is the result.
    ///
    /// # Errors
    /// [`TransactionError`] when the answer is malformed or too long.
    pub fn receive(&mut self, answer: &[u8]) -> Result<Next, TransactionError> {
        let mut response =
            Response::parse(answer).map_err(|error| TransactionError::Malformed { length: error.length })?;
        if response.status.is_success()
            && let Some(bytes) = self.outgoing.next()
        {
            return Ok(Next::Send(bytes));
        }
        if self.collected.len().saturating_add(response.data.len()) > self.limit {
            return Err(TransactionError::TooLong { limit: self.limit });
        }
        self.collected.append(&mut response.data);
        if let Some(remaining) = response.status.remaining() {
            return Ok(Next::Send(vec![self.continue_cla, self.continue_ins, 0, 0, remaining]));
        }
        Ok(Next::Done(Response { data: std::mem::take(&mut self.collected), status: response.status }))
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("commands_left", &self.outgoing.len())
            .field("collected", &self.collected.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Next {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send(bytes) => write!(f, "Send({} bytes)", bytes.len()),
            Self::Done(response) => f.debug_tuple("Done").field(response).finish(),
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        for mut bytes in self.outgoing.by_ref() {
            bytes.zeroize();
        }
        self.collected.zeroize();
    }
}

/// Why an answer could not be put together.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum TransactionError {
    /// A part has no status word.
    #[error("the card answered {length} bytes, too few for a status word")]
    Malformed {
        /// The bytes that arrived.
        length: usize,
    },
    /// The parts add up to more than any answer of a key.
    #[error("the card's answer is longer than {limit} bytes")]
    TooLong {
        /// The most that is taken.
        limit: usize,
    },
}

/// The card's side of command chaining: puts the parts of a long command together.
#[derive(Debug)]
pub struct Reassembler {
    partial: Option<Command>,
    limit: usize,
}

/// What the card does with a part.
#[derive(Debug)]
pub enum Assembled {
    /// The command is complete: carry it out.
    Complete(Command),
    /// More parts follow: answer with this status word (`9000`).
    More(StatusWord),
    /// The chain is refused: answer with this status word.
    Refused(StatusWord),
}

impl Reassembler {
    /// Takes chains of at most `limit` data bytes in all.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { partial: None, limit }
    }

    /// Takes the next command as it came from the host.
    ///
    /// A part whose instruction or parameters differ from the chain's ends the chain, and the new
    /// command stands alone.
    #[must_use]
    pub fn push(&mut self, mut command: Command) -> Assembled {
        let more = command.is_chained();
        command.cla &= !CHAINING_BIT;
        let mut whole = match self.partial.take() {
            Some(mut partial) if same_chain(&partial, &command) => {
                partial.data.extend_from_slice(&command.data);
                partial.le = command.le;
                partial
            }
            _ => command,
        };
        if whole.data.len() > self.limit {
            whole.data.zeroize();
            return Assembled::Refused(StatusWord::WRONG_LENGTH);
        }
        if more {
            self.partial = Some(whole);
            return Assembled::More(StatusWord::SUCCESS);
        }
        Assembled::Complete(whole)
    }

    /// Forgets a chain that was begun, as a card reset does.
    pub fn reset(&mut self) {
        self.partial = None;
    }
}

/// The card's side of response chaining: hands out a long answer piece by piece.
#[derive(Default)]
pub struct Pending {
    data: Vec<u8>,
    offset: usize,
    status: Option<StatusWord>,
}

impl Pending {
    /// Nothing waits.
    #[must_use]
    pub const fn new() -> Self {
        Self { data: Vec::new(), offset: 0, status: None }
    }

    /// Takes a complete answer and returns its first piece of at most `limit` bytes; `61xx` says
    /// that more waits. What waited before is dropped.
    #[must_use]
    pub fn begin(&mut self, response: Response, limit: usize) -> Response {
        self.clear();
        if response.data.len() <= limit {
            return response;
        }
        self.data = response.data;
        self.status = Some(response.status);
        self.piece(limit)
    }

    /// The next piece of at most `limit` bytes, or `None` when nothing waits.
    #[must_use]
    pub fn next_piece(&mut self, limit: usize) -> Option<Response> {
        self.is_waiting().then(|| self.piece(limit))
    }

    /// True while pieces wait.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.status.is_some()
    }

    /// Drops what waits, as any other command does.
    pub fn clear(&mut self) {
        self.data.zeroize();
        self.offset = 0;
        self.status = None;
    }

    fn piece(&mut self, limit: usize) -> Response {
        let end = self.offset.saturating_add(limit.max(1)).min(self.data.len());
        let data = self.data.get(self.offset..end).unwrap_or_default().to_vec();
        self.offset = end;
        let remaining = self.data.len() - end;
        if remaining > 0 {
            return Response { data, status: StatusWord::more_data(remaining) };
        }
        let status = self.status.unwrap_or(StatusWord::SUCCESS);
        self.clear();
        Response { data, status }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.clear();
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("remaining", &self.data.len().saturating_sub(self.offset))
            .finish_non_exhaustive()
    }
}

/// More than the longest answer of any known key, which is a few kilobytes.
const DEFAULT_RESPONSE_LIMIT: usize = 65_536;

fn same_chain(left: &Command, right: &Command) -> bool {
    (left.cla, left.ins, left.p1, left.p2) == (right.cla, right.ins, right.p1, right.p2)
}

#[cfg(test)]
mod tests;
