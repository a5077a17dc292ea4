//! One reader: a connection to an emulator that comes and goes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tapkey_emulator::port::socket::{Client, RemoteCard};
use tapkey_protocol::link::{CardLink, LinkError};

use crate::abi::{Dword, MAX_ATR_SIZE};

/// A reader for the key at one socket.
#[derive(Debug)]
pub(crate) struct Reader {
    client: Client,
    card: Card,
}

#[derive(Debug)]
enum Card {
    Absent,
    Present(RemoteCard),
    /// It went away at this time. For a while there must be no new card, or pcscd would not notice,
    /// and what a program had going on would run on with another card.
    Lost(Instant),
}

impl Reader {
    /// A reader for this `DEVICENAME`: a path, with or without `unix:` before it and quotes around.
    pub(crate) fn new(device: &[u8]) -> Self {
        let device = device.strip_prefix(b"\"").and_then(|inner| inner.strip_suffix(b"\"")).unwrap_or(device);
        let path = device.strip_prefix(b"unix:").unwrap_or(device);
        let path = PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(path));
        Self { client: Client::new(path).with_timeout(PATIENCE), card: Card::Absent }
    }

    /// Whether there is a card, which is what pcscd asks again and again. A new one is found here.
    pub(crate) fn is_present(&mut self) -> bool {
        match &mut self.card {
            Card::Present(card) => {
                if card.atr().is_ok_and(|atr| is_usable(&atr)) {
                    return true;
                }
                self.card = Card::Lost(Instant::now());
            }
            Card::Lost(since) if since.elapsed() < ABSENCE => {}
            Card::Lost(_) | Card::Absent => {
                self.card = Card::Absent;
                if let Ok(mut card) = self.client.card()
                    && card.atr().is_ok_and(|atr| is_usable(&atr))
                {
                    self.card = Card::Present(card);
                    return true;
                }
            }
        }
        false
    }

    /// The answer to reset.
    pub(crate) fn atr(&mut self) -> Result<Vec<u8>, LinkError> {
        self.with(RemoteCard::atr)
    }

    /// Resets the card: nothing is selected any more. The key keeps its power.
    pub(crate) fn reset(&mut self) -> Result<(), LinkError> {
        self.with(RemoteCard::reset)
    }

    /// Sends a command, and gives the answer.
    pub(crate) fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, LinkError> {
        let answer = self.with(|card| card.transmit(command))?;
        // A key whose smart card was just switched off answers nothing.
        if answer.len() < STATUS_WORD {
            self.card = Card::Lost(Instant::now());
            return Err(LinkError::Removed);
        }
        Ok(answer)
    }

    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut RemoteCard) -> Result<T, LinkError>,
    ) -> Result<T, LinkError> {
        let Card::Present(card) = &mut self.card else { return Err(LinkError::Removed) };
        let result = work(card);
        if result.is_err() {
            // Also after a late answer, which would be taken for that to the next command.
            self.card = Card::Lost(Instant::now());
        }
        result
    }
}

fn is_usable(atr: &[u8]) -> bool {
    (1..=MAX_ATR_SIZE).contains(&atr.len())
}

/// Longer than any key waits for a touch.
const PATIENCE: Duration = Duration::from_secs(60);
/// pcscd looks every 0.4 seconds; in between it asks as well, without drawing conclusions.
pub(crate) const ABSENCE: Duration = Duration::from_secs(1);
const STATUS_WORD: usize = 2;

/// Every open reader by its number. Each has a lock of its own, so that one that waits stops no other.
static READERS: Mutex<BTreeMap<Dword, Arc<Mutex<Reader>>>> = Mutex::new(BTreeMap::new());

/// Adds a reader, or replaces the one with this number.
pub(crate) fn open(number: Dword, reader: Reader) {
    let reader = Arc::new(Mutex::new(reader));
    READERS.lock().unwrap_or_else(PoisonError::into_inner).insert(number, reader);
}

/// Forgets a reader.
pub(crate) fn close(number: Dword) {
    READERS.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
}

/// Does something with a reader. `None` when there is none with this number.
pub(crate) fn with<T>(number: Dword, work: impl FnOnce(&mut Reader) -> T) -> Option<T> {
    let reader = READERS.lock().unwrap_or_else(PoisonError::into_inner).get(&number).cloned()?;
    let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
    Some(work(&mut reader))
}
