//! What must be remembered so that an interrupted enrolment can be finished: one small file per
//! server, key and slot. It holds no secret.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tapkey_protocol::slot::Slot;
use thiserror::Error;

/// A folder of unfinished enrolments.
#[derive(Clone, Debug)]
pub struct Journal {
    folder: PathBuf,
}

/// One unfinished enrolment.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Entry {
    version: u32,
    pub(super) server: String,
    pub(super) account: String,
    pub(super) serial: u32,
    pub(super) slot: u8,
    pub(super) request_id: String,
    /// The server's id, once known.
    pub(super) enrollment: Option<String>,
    /// Whether writing the slot was begun.
    pub(super) slot_written: bool,
}

impl Entry {
    pub(super) const fn new(
        server: String,
        account: String,
        serial: u32,
        slot: u8,
        request_id: String,
    ) -> Self {
        Self {
            version: VERSION,
            server,
            account,
            serial,
            slot,
            request_id,
            enrollment: None,
            slot_written: false,
        }
    }
}

impl Journal {
    /// A journal in this folder, which is created when first needed.
    #[must_use]
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    pub(super) fn find(&self, server: &str, serial: u32, slot: Slot) -> Result<Option<Entry>, JournalError> {
        let path = self.path(server, serial, slot);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(JournalError::Read { path, source }),
        };
        match serde_json::from_str::<Entry>(&text) {
            Ok(entry) if entry.version == VERSION && entry.server == server && entry.serial == serial => {
                Ok(Some(entry))
            }
            Ok(_) => Err(JournalError::Foreign { path }),
            Err(source) => Err(JournalError::Malformed { path, source }),
        }
    }

    /// Writes an entry so that it is whole and on disk when this returns.
    pub(super) fn write(&self, entry: &Entry, slot: Slot) -> Result<(), JournalError> {
        let path = self.path(&entry.server, entry.serial, slot);
        write_durably(&self.folder, &path, entry).map_err(|source| JournalError::Write { path, source })
    }

    pub(super) fn remove(&self, entry: &Entry, slot: Slot) -> Result<(), JournalError> {
        let path = self.path(&entry.server, entry.serial, slot);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(JournalError::Write { path, source: error })
            }
            _ => Ok(()),
        }
    }

    fn path(&self, server: &str, serial: u32, slot: Slot) -> PathBuf {
        // A server's address is no file name; its hash is, and the entry repeats the address.
        let hash = data_encoding::HEXLOWER.encode(&Sha256::digest(server.as_bytes())[..8]);
        self.folder.join(format!("{serial}-slot{}-{hash}.json", number(slot)))
    }
}

pub(crate) const fn number(slot: Slot) -> u8 {
    match slot {
        Slot::One => 1,
        Slot::Two => 2,
    }
}

/// One temporary name for each entry: what a kill leaves behind is overwritten by the next run.
fn write_durably(folder: &Path, path: &Path, entry: &Entry) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let temporary = path.with_extension("tmp");
    let mut file = fs::File::create(&temporary)?;
    serde_json::to_writer_pretty(&mut file, entry)?;
    file.flush()?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    fs::File::open(folder)?.sync_all()
}

/// Why the journal could not be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The file cannot be read.
    #[error("cannot read the journal of an unfinished enrolment, {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write the journal {}: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is damaged.
    #[error(
        "the journal of an unfinished enrolment, {}, is damaged ({source}); \
         remove the file to start over, and allow overwriting the slot",
        path.display()
    )]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The file is of another version or another key.
    #[error("the journal {} is not of this program's version or not of this key; move it away", path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
    },
}

const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_kept_apart_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path().join("deep/er"));
        let entry = Entry::new("https://a".into(), "alice".into(), 7, 1, "r".into());
        assert_eq!(journal.find("https://a", 7, Slot::One).unwrap(), None);
        journal.write(&entry, Slot::One).unwrap();
        assert_eq!(journal.find("https://a", 7, Slot::One).unwrap(), Some(entry.clone()));
        for (server, serial, slot) in
            [("https://b", 7, Slot::One), ("https://a", 8, Slot::One), ("https://a", 7, Slot::Two)]
        {
            assert_eq!(journal.find(server, serial, slot).unwrap(), None);
        }
        journal.remove(&entry, Slot::One).unwrap();
        journal.remove(&entry, Slot::One).unwrap();
        assert_eq!(journal.find("https://a", 7, Slot::One).unwrap(), None);
    }

    #[test]
    fn a_damaged_entry_is_named_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::new(folder.path().to_owned());
        let path = journal.path("https://a", 7, Slot::One);
        fs::write(&path, "{\n  nonsense").unwrap();
        let error = journal.find("https://a", 7, Slot::One).unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()) && error.contains("line 2"), "{error}");
        assert!(path.exists());
    }
}
