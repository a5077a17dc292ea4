//! Which lines of a list were used, in a file beside it.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use tapkey_protocol::{
    formats::csv::{Entry, Style},
    slot::Slot,
};

use super::super::record::time;
use crate::{exit::Failure, memory::Prints, secrets::private};

/// The file: a line per event, `fingerprint,event,serial,slot,time`. Fingerprints are keyed, so that the
/// file tells nothing of the secrets.
pub(super) struct Ledger {
    path: PathBuf,
    events: Vec<Event>,
    prints: Prints,
}

#[derive(Clone)]
struct Event {
    print: String,
    what: What,
    serial: String,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum What {
    Begun,
    Done,
    Free,
}

impl What {
    const fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Done => "done",
            Self::Free => "free",
        }
    }
}

impl Ledger {
    /// Reads it, where there is one.
    pub(super) fn open(list: &Path) -> Result<Self, Failure> {
        let mut name = list.as_os_str().to_owned();
        name.push(".used");
        let path = PathBuf::from(name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Failure::usage(format!("cannot read {}: {error}", path.display()))),
        };
        let events = (1_usize..)
            .zip(text.lines())
            .map(|(line, text)| event(text).ok_or((line, text)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|(line, _)| {
                Failure::usage(format!("{} cannot be read: line {line} is wrong", path.display()))
            })?;
        Ok(Self { path, events, prints: Prints::open()? })
    }

    /// The first line that was not used; one that an interrupted run began for the same key goes first.
    pub(super) fn next<'a>(
        &self,
        mut entries: impl Iterator<Item = &'a Entry> + Clone,
        serial: Option<u32>,
    ) -> Result<Option<&'a Entry>, Failure> {
        let key = serial_text(serial);
        if serial.is_some() && self.events.iter().any(|event| event.serial == key && self.is_done(event)) {
            return Err(Failure::usage("this key has had a line of the list already")
                .hint(format!("remove its line from {} if it is to have another one", self.path.display())));
        }
        let begun = entries.clone().find(|entry| {
            self.last(entry).is_some_and(|event| event.what == What::Begun && event.serial == key)
        });
        Ok(begun
            .or_else(|| entries.find(|entry| self.last(entry).is_none_or(|event| event.what == What::Free))))
    }

    /// The key is about to be written.
    pub(super) fn begin(&mut self, entry: &Entry, serial: Option<u32>, slot: Slot) -> Result<(), Failure> {
        self.write(entry, What::Begun, serial, slot)
    }

    /// It was written.
    pub(super) fn done(&mut self, entry: &Entry, serial: Option<u32>, slot: Slot) -> Result<(), Failure> {
        self.write(entry, What::Done, serial, slot)
    }

    /// It was not.
    pub(super) fn free(&mut self, entry: &Entry, serial: Option<u32>, slot: Slot) -> Result<(), Failure> {
        self.write(entry, What::Free, serial, slot)
    }

    fn is_done(&self, event: &Event) -> bool {
        let last = self.events.iter().rev().find(|other| other.print == event.print);
        last.is_some_and(|last| last.what == What::Done && last.serial == event.serial)
    }

    fn last(&self, entry: &Entry) -> Option<&Event> {
        let print = self.print(entry);
        self.events.iter().rev().find(|event| event.print == print)
    }

    fn print(&self, entry: &Entry) -> String {
        self.prints.line(Style::Ykman.line(entry).unwrap_or_default().as_bytes())
    }

    fn write(&mut self, entry: &Entry, what: What, serial: Option<u32>, slot: Slot) -> Result<(), Failure> {
        let event = Event { print: self.print(entry), what, serial: serial_text(serial) };
        let line = format!("{},{},{},{slot},{}\n", event.print, what.name(), event.serial, time());
        private(fs::OpenOptions::new().append(true).create(true))
            .open(&self.path)
            .and_then(|mut file| file.write_all(line.as_bytes()).and_then(|()| file.sync_all()))
            .map_err(|error| Failure::usage(format!("cannot write {}: {error}", self.path.display())))?;
        self.events.push(event);
        Ok(())
    }
}

fn event(line: &str) -> Option<Event> {
    let mut columns = line.split(',');
    let print = columns.next()?.to_owned();
    let what = match columns.next()? {
        "begun" => What::Begun,
        "done" => What::Done,
        "free" => What::Free,
        _ => return None,
    };
    Some(Event { print, what, serial: columns.next()?.to_owned() })
}

fn serial_text(serial: Option<u32>) -> String {
    serial.map(|serial| serial.to_string()).unwrap_or_default()
}
