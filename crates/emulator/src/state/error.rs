//! Why a key's memory could not be read or written.

use std::{io, path::PathBuf};

use thiserror::Error;

/// Why a key's memory could not be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StateError {
    /// Another process has the same key running. Two would repeat counters.
    #[error("the key in {} is in use{}; stop that program first, or choose another state file",
        path.display(), holder.map(|pid| format!(" by process {pid}")).unwrap_or_default())]
    InUse {
        /// The state file.
        path: PathBuf,
        /// The process that holds it, where it says so.
        holder: Option<u32>,
    },
    /// The document is damaged, or is something else altogether. It was left as it is.
    #[error(
        "{location}, line {line}, column {column}: not the state of an emulated key, or damaged: {source}; \
        it was left untouched"
    )]
    Unreadable {
        /// The file, or where else the document is.
        location: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong there.
        source: serde_json::Error,
    },
    /// A key exists already and is not the one asked for.
    #[error(
        "{location} holds a key with {what} {stored}, not {asked}; choose another state file, or do not ask for a {what}"
    )]
    OtherKey {
        /// The file, or where else the document is.
        location: String,
        /// Which property differs.
        what: &'static str,
        /// What is stored.
        stored: String,
        /// What was asked for.
        asked: String,
    },
    /// Serial numbers outside the range belong to real keys.
    #[error("the serial number {serial} may belong to a real key; emulated keys use {} to {}",
        crate::EMULATED_SERIALS.start(), crate::EMULATED_SERIALS.end())]
    ForeignSerial {
        /// The number asked for.
        serial: u32,
    },
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// Its reason.
        source: io::Error,
    },
    /// The power went while the document was written: a fault that was asked for.
    #[error("the power was cut while the state of the key was written; plug the key in again")]
    PowerCut,
    /// The document could not be put together.
    #[error("the state of the key cannot be written: {0}")]
    Serialize(#[source] serde_json::Error),
    /// A store of another kind failed.
    #[error("the store of the key failed: {0}")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}
