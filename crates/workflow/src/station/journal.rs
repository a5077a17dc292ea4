//! What a station has done: one line of JSON for each step, on disk before the step is taken. It
//! holds no secret.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tapkey_api::Timestamp;

use super::{Disk, ListRow, Row, StationJournalError, disk::Lock};

/// The journal of one job: these keys, this server or bundle, this slot.
pub struct StationJournal {
    path: PathBuf,
    disk: Box<dyn Disk>,
    keys: BTreeMap<u32, KeyState>,
    numbers: u32,
    closed: Option<u64>,
    length: u64,
    _lock: Lock,
}

/// What the journal knows of a key.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct KeyState {
    /// Which account it gets.
    pub assignment: Option<Assignment>,
    /// The last record that was drawn for it, and its public id (without a server).
    pub drawn: Option<(String, String)>,
    /// Every record that was ever drawn for it.
    pub records: Vec<String>,
    /// Whether writing the last record into the slot was begun.
    pub writing: bool,
    /// What became of it, once it is done.
    pub done: Option<Row>,
}

/// What a key gets.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// The account.
    pub account: String,
    /// The label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The key's number in the job, from 1.
    pub number: u32,
    /// The row of the list that it uses up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub row: Option<ListRow>,
}

#[derive(Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: String,
    version: u32,
    purpose: String,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Event {
    Assigned { at: Timestamp, serial: u32, to: Assignment },
    Released { at: Timestamp, serial: u32 },
    Drawn { at: Timestamp, serial: u32, record: String, public_id: String },
    Writing { at: Timestamp, serial: u32 },
    Unwritten { at: Timestamp, serial: u32 },
    Done { row: Row },
    Closed { at: Timestamp, messages: u64 },
}

impl StationJournal {
    /// Opens the journal of a job, or begins one. `purpose` says what the job is: a journal of
    /// another one is refused.
    ///
    /// # Errors
    /// The file cannot be used, or another process uses it.
    pub fn open(path: &Path, purpose: &str, disk: Box<dyn Disk>) -> Result<Self, StationJournalError> {
        let io = |source| StationJournalError::Io { path: path.to_owned(), source };
        let lock = Lock::take(path).map_err(io)?;
        let lock = lock.ok_or_else(|| StationJournalError::InUse { path: path.to_owned() })?;
        let mut journal = Self {
            path: path.to_owned(),
            disk,
            keys: BTreeMap::new(),
            numbers: 0,
            closed: None,
            length: 0,
            _lock: lock,
        };
        let text = match fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(io(source)),
        };
        // The last line may be torn; what it announced was not begun.
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        journal.read(&text[..whole], purpose)?;
        if whole < text.len() {
            journal.disk.truncate(path, u64::try_from(whole).unwrap_or_default()).map_err(io)?;
        }
        journal.length = u64::try_from(whole).unwrap_or_default();
        if whole == 0 {
            journal.write(&Head { format: FORMAT.into(), version: VERSION, purpose: purpose.into() })?;
        }
        Ok(journal)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is known of a key.
    #[must_use]
    pub fn key(&self, serial: u32) -> KeyState {
        self.keys.get(&serial).cloned().unwrap_or_default()
    }

    /// How many keys are done.
    #[must_use]
    pub fn done(&self) -> usize {
        self.keys.values().filter(|key| key.done.is_some()).count()
    }

    /// The keys that were begun and are not done, with what they were to get.
    pub fn unfinished(&self) -> impl Iterator<Item = (u32, &Assignment)> {
        let begun = self.keys.iter().filter(|(_, key)| key.done.is_none());
        begun.filter_map(|(serial, key)| Some((*serial, key.assignment.as_ref()?)))
    }

    /// How many keys have an account.
    pub(super) fn begun(&self) -> usize {
        self.keys.values().filter(|key| key.assignment.is_some()).count()
    }

    /// Whether a key is done that never typed a password.
    pub(super) fn unproven(&self) -> bool {
        self.keys.values().filter_map(|key| key.done.as_ref()).any(|row| !row.result.is_proven())
    }

    /// The rows of the list that were given away.
    pub(super) fn given(&self) -> impl Iterator<Item = &ListRow> {
        self.keys.values().filter_map(|key| key.assignment.as_ref()?.row.as_ref())
    }

    /// The number that the next new key gets.
    pub(super) const fn next_number(&self) -> u32 {
        self.numbers.saturating_add(1)
    }

    /// Whether the bundle was closed when it had so many messages.
    pub(super) fn is_closed_at(&self, messages: u64) -> bool {
        self.closed == Some(messages)
    }

    /// Takes the account of a key back, so that another key gets it: the key broke, or is to be done
    /// anew. What an earlier run made of it stays as it is.
    ///
    /// # Errors
    /// The journal cannot be written, or there is no such key.
    pub fn release(&mut self, serial: u32) -> Result<(), StationJournalError> {
        if self.key(serial).assignment.is_none() {
            return Err(StationJournalError::NothingToRelease { serial });
        }
        self.add(Event::Released { at: Timestamp::now(), serial })
    }

    pub(super) fn assign(&mut self, serial: u32, to: Assignment) -> Result<(), StationJournalError> {
        self.add(Event::Assigned { at: Timestamp::now(), serial, to })
    }

    pub(super) fn drawn(
        &mut self,
        serial: u32,
        record: &str,
        public_id: &str,
    ) -> Result<(), StationJournalError> {
        let (record, public_id) = (record.to_owned(), public_id.to_owned());
        self.add(Event::Drawn { at: Timestamp::now(), serial, record, public_id })
    }

    pub(super) fn writing(&mut self, serial: u32) -> Result<(), StationJournalError> {
        self.add(Event::Writing { at: Timestamp::now(), serial })
    }

    /// The key surely did not take it.
    pub(super) fn unwritten(&mut self, serial: u32) -> Result<(), StationJournalError> {
        self.add(Event::Unwritten { at: Timestamp::now(), serial })
    }

    pub(super) fn finished(&mut self, row: Row) -> Result<(), StationJournalError> {
        self.add(Event::Done { row })
    }

    pub(super) fn closed(&mut self, messages: u64) -> Result<(), StationJournalError> {
        self.add(Event::Closed { at: Timestamp::now(), messages })
    }

    fn add(&mut self, event: Event) -> Result<(), StationJournalError> {
        self.write(&event)?;
        self.apply(event);
        Ok(())
    }

    fn write(&mut self, line: &impl Serialize) -> Result<(), StationJournalError> {
        let path = &self.path;
        let failed = |source| StationJournalError::Io { path: path.clone(), source };
        let text = serde_json::to_string(line).map_err(|error| failed(error.into()))? + "\n";
        if let Err(error) = self.disk.append(path, text.as_bytes()) {
            // A torn line is left out when the journal is read; taking it away only keeps it tidy.
            let _ = self.disk.truncate(path, self.length);
            return Err(failed(error));
        }
        self.length += u64::try_from(text.len()).unwrap_or_default();
        Ok(())
    }

    fn read(&mut self, text: &str, purpose: &str) -> Result<(), StationJournalError> {
        let own = self.path.clone();
        let path = || own.clone();
        let mut lines = text.lines().enumerate();
        let Some((_, head)) = lines.next() else { return Ok(()) };
        let head: Head = serde_json::from_str(head).map_err(|source| StationJournalError::Malformed {
            path: path(),
            line: 1,
            source,
        })?;
        if head.format != FORMAT || head.version != VERSION || head.purpose != purpose {
            return Err(StationJournalError::OtherJob { path: path(), purpose: head.purpose });
        }
        for (index, line) in lines {
            let event = serde_json::from_str(line).map_err(|source| StationJournalError::Malformed {
                path: path(),
                line: index + 1,
                source,
            })?;
            self.apply(event);
        }
        Ok(())
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Assigned { serial, to, .. } => {
                self.numbers = self.numbers.max(to.number);
                self.keys.entry(serial).or_default().assignment = Some(to);
            }
            Event::Released { serial, .. } => {
                // What may be in the slot is still known, should the key ever come back.
                let key = self.keys.entry(serial).or_default();
                key.done = None;
                if key.assignment.take().is_some_and(|to| to.number == self.numbers) {
                    self.numbers = self.numbers.saturating_sub(1);
                }
            }
            Event::Drawn { serial, record, public_id, .. } => {
                let key = self.keys.entry(serial).or_default();
                if !key.records.contains(&record) {
                    key.records.push(record.clone());
                }
                key.drawn = Some((record, public_id));
                key.writing = false;
            }
            Event::Writing { serial, .. } => self.keys.entry(serial).or_default().writing = true,
            Event::Unwritten { serial, .. } => self.keys.entry(serial).or_default().writing = false,
            Event::Done { row } => {
                let serial = row.serial;
                self.keys.entry(serial).or_default().done = Some(row);
            }
            Event::Closed { messages, .. } => self.closed = Some(messages),
        }
    }
}

impl std::fmt::Debug for StationJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StationJournal")
            .field("path", &self.path)
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}

const FORMAT: &str = "tapkey-station";
const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::station::RealDisk;

    fn open(path: &Path) -> Result<StationJournal, StationJournalError> {
        StationJournal::open(path, "job", Box::new(RealDisk))
    }

    fn to(number: u32) -> Assignment {
        Assignment { account: "alice".into(), label: None, number, row: None }
    }

    #[test]
    fn what_was_written_is_known_again_and_a_torn_line_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/journal");
        let mut journal = open(&path).unwrap();
        journal.assign(7, to(1)).unwrap();
        journal.drawn(7, "r", "vv").unwrap();
        journal.writing(7).unwrap();
        assert!(matches!(open(&path).unwrap_err(), StationJournalError::InUse { .. }));
        let before = journal.key(7);
        drop(journal);
        let whole = fs::read(&path).unwrap();
        RealDisk.append(&path, b"{\"done\":{\"row\"").unwrap();
        let mut journal = open(&path).unwrap();
        assert_eq!(journal.key(7), before);
        assert_eq!(fs::read(&path).unwrap(), whole);
        assert_eq!((journal.next_number(), journal.unfinished().count()), (2, 1));
        journal.release(7).unwrap();
        assert!(matches!(journal.release(7), Err(StationJournalError::NothingToRelease { serial: 7 })));
        assert!(journal.key(7).writing, "the slot may still hold it");
    }

    #[test]
    fn other_jobs_and_damage_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        drop(open(&path).unwrap());
        let error = StationJournal::open(&path, "other", Box::new(RealDisk)).unwrap_err();
        assert!(matches!(error, StationJournalError::OtherJob { .. }), "{error}");
        RealDisk.append(&path, b"nonsense\n{}\n").unwrap();
        assert!(matches!(open(&path).unwrap_err(), StationJournalError::Malformed { line: 2, .. }));
    }
}
