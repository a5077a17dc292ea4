//! The job file: what keys are to be like.
//!
//! [`Job::parse`] reads and checks everything that can be checked without a key: fields, alphabets,
//! lengths and combinations. Secrets do not stand in it, only where they come from.

mod accounts;
mod applications;
mod raw;
mod reader;
mod slots;
mod target;

use std::path::PathBuf;

use thiserror::Error;

pub use accounts::{Account, AccountSecret, Oath, Others};
pub use applications::{Applications, NAMED};
pub use slots::{Content, PublicIdFrom, SlotGoal, SlotWish};
pub use target::{FirmwareRange, Target};

use super::source::SecretSource;
use super::toml_text;
use reader::Reader;

/// A job: what a key, or each key of a fleet, is to be like.
#[derive(Clone, Debug)]
pub struct Job {
    /// The vault file, as it is written in the job.
    pub vault: Option<PathBuf>,
    /// What is wanted of which keys.
    pub entries: Vec<Entry>,
}

/// What is wanted of one key, or of each key of a sort.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What people call it.
    pub name: String,
    /// Which keys are meant.
    pub target: Target,
    /// How many keys of this sort there are.
    pub count: u32,
    /// What the vault does not know may be overwritten.
    pub overwrite: bool,
    /// What the two slots are to hold.
    pub slots: [SlotWish; 2],
    /// What is to be switched on.
    pub applications: Option<Applications>,
    /// Which OATH accounts there are to be.
    pub oath: Option<Oath>,
    /// The line of the job file on which it begins, from 1.
    pub line: usize,
}

/// A code that guards something.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum CodeWish {
    /// It stays as it is.
    #[default]
    Keep,
    /// There is to be none.
    None,
    /// This one.
    From(SecretSource),
}

/// What is wrong with a job file.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("line {line}: {message}")]
pub struct JobError {
    /// The line, from 1; 0 where it is not known.
    pub line: usize,
    /// What is wrong and what belongs there. No secret is repeated.
    pub message: String,
}

impl Job {
    /// Reads a job file and checks it.
    ///
    /// # Errors
    /// [`JobError`] with the line.
    ///
    /// ```
    /// use tapkey_workflow::plan::Job;
    ///
    /// let job = Job::parse(
    ///     r#"
    ///     version = 1
    ///     vault = "office.vault"
    ///
    ///     [[key]]
    ///     name = "office keys"
    ///     any = true
    ///     slot.1 = { kind = "yubico-otp", access-code = "generate" }
    ///     slot.2 = { kind = "hmac-sha1", touch = true }
    ///     "#,
    /// )?;
    /// assert_eq!(job.entries.len(), 1);
    ///
    /// let error = Job::parse("version = 1\n[[key]]\nserail = 7").unwrap_err();
    /// assert_eq!(error.line, 3);
    /// # Ok::<(), tapkey_workflow::plan::JobError>(())
    /// ```
    pub fn parse(text: &str) -> Result<Self, JobError> {
        let raw: raw::RawJob = toml::from_str(text).map_err(|error| {
            let (line, message) = toml_text::explain(text, &error);
            JobError { line, message }
        })?;
        let reader = Reader::new(text);
        if *raw.version.get_ref() != 1 {
            return Err(reader.wrong(&raw.version, "this program knows version 1 of job files"));
        }
        if raw.key.is_empty() {
            return Err(JobError {
                line: 1,
                message: "there is no [[key]], so nothing is to be done".into(),
            });
        }
        let vault = match raw.vault {
            Some(path) if path.get_ref().trim().is_empty() => {
                return Err(reader.wrong(&path, "vault is the name of a file"));
            }
            path => path.map(|path| PathBuf::from(path.into_inner())),
        };
        let entries = raw.key.into_iter().map(|key| entry(&reader, key)).collect::<Result<Vec<_>, _>>()?;
        target::check_apart(&entries)?;
        let job = Self { vault, entries };
        job.check_vault()?;
        Ok(job)
    }

    /// Everything that has a secret needs a vault: it is where the secret is kept.
    fn check_vault(&self) -> Result<(), JobError> {
        if self.vault.is_some() {
            return Ok(());
        }
        match self.entries.iter().find(|entry| entry.needs_vault()) {
            Some(entry) => Err(JobError {
                line: entry.line,
                message: "this key gets secrets or codes, so the job needs a vault to keep them in: \
                          write vault = \"FILE\" above the first [[key]]"
                    .into(),
            }),
            None => Ok(()),
        }
    }
}

impl Entry {
    /// How many keys have to come until the entry is done.
    #[must_use]
    pub const fn wanted(&self) -> u32 {
        self.count
    }

    /// The wish for a slot.
    #[must_use]
    pub const fn slot(&self, slot: tapkey_protocol::slot::Slot) -> &SlotWish {
        &self.slots[slot.index()]
    }

    fn needs_vault(&self) -> bool {
        let codes = self.applications.iter().any(|wish| matches!(wish.lock_code, CodeWish::From(_)));
        let slots = self.slots.iter().any(|wish| matches!(wish, SlotWish::Program(_)));
        codes || slots || self.oath.is_some()
    }
}

fn entry(reader: &Reader<'_>, raw: toml::Spanned<raw::RawKey>) -> Result<Entry, JobError> {
    let line = reader.line(raw.span().start);
    let key = raw.into_inner();
    let target = target::read(reader, &key, line)?;
    let name = match &key.name {
        Some(name) if name.get_ref().trim().is_empty() => {
            return Err(reader.wrong(name, "the name is empty"));
        }
        Some(name) => name.get_ref().clone(),
        None => target.to_string(),
    };
    let count = match (&key.count, &target) {
        (Some(count), Target::Serial(_)) => {
            return Err(reader.wrong(count, "there is only one key with this serial number"));
        }
        (Some(count), _) if *count.get_ref() == 0 => {
            return Err(reader.wrong(count, "count is how many keys there are, at least 1"));
        }
        (count, _) => count.as_ref().map_or(1, |count| *count.get_ref()),
    };
    let slots = [slots::read(reader, key.slot.one)?, slots::read(reader, key.slot.two)?];
    let applications = key.applications.map(|wish| applications::read(reader, &wish)).transpose()?;
    let oath = key.oath.map(|wish| accounts::read(reader, wish)).transpose()?;
    let idle = slots.iter().all(|wish| matches!(wish, SlotWish::Keep));
    if idle && applications.is_none() && oath.is_none() {
        return Err(JobError { line, message: "nothing is wanted of this key".into() });
    }
    let overwrite = key.overwrite.is_some_and(toml::Spanned::into_inner);
    Ok(Entry { name, target, count, overwrite, slots, applications, oath, line })
}

#[cfg(test)]
mod tests;
