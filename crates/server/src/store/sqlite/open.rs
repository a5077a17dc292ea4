//! Creating, inspecting and opening the database file.
//!
//! A file that is not ours is never written to: the header is read as plain bytes, then the content
//! is checked through a connection that cannot write, and only then opened for writing.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};
use tapkey_domain::audit::Action;
use thiserror::Error;

use super::{audit, columns, tokens};
use crate::{
    config::Synchronous,
    store::{NewToken, Scope},
    vault::VaultError,
};

/// The database's name in the data folder.
pub(crate) const DATABASE_FILE: &str = "tapkey.db";
/// The name of the file that is locked while a server uses the folder.
const LOCK_FILE: &str = "tapkey.lock";

/// Marks a database as ours, in the place that SQLite has for this: `TKey`.
const APPLICATION_ID: i32 = 0x544b_6579;
/// Up to this size a database is read through completely before it is used, in bytes.
const FULL_CHECK_UP_TO: u64 = 64 * 1024 * 1024;

#[allow(missing_docs, unreachable_pub, reason = "generated code")]
mod embedded {
    refinery::embed_migrations!("src/store/sqlite/migrations");
}

/// The folder's lock; released when dropped.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "held, not used")] File);

impl Lock {
    /// Takes the lock, or says that somebody else has it.
    pub(crate) fn take(folder: &Path) -> Result<Self, OpenError> {
        let path = folder.join(LOCK_FILE);
        let failed = |source| OpenError::Read { path: path.clone(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(OpenError::Locked { folder: folder.to_owned() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

/// Creates a database at a path where there is none.
pub(super) fn create(path: &Path, check: &[u8], scope: &Scope, first: &NewToken) -> Result<(), OpenError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(|source| OpenError::Read { path: path.to_owned(), source })?;
    let failed = |source| OpenError::Database { path: path.to_owned(), source };
    let mut db = Connection::open(path).map_err(failed)?;
    db.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed)?;
    migrate(path, &mut db)?;
    let tenant = (scope.tenant.get(), columns::time(scope.now));
    db.execute("INSERT INTO tenants (id, name, created_at) VALUES (?, 'default', ?)", tenant)
        .and_then(|_| db.execute("INSERT INTO meta (id, sealed_key) VALUES (0, ?)", [check]))
        .map_err(failed)?;
    audit::insert(&db, scope, &scope.event(Action::StoreCreated))
        .and_then(|()| tokens::insert(&db, scope, first))
        .map_err(failed)?;
    db.close().map_err(|(_, source)| failed(source))
}

/// Refuses what is not a database of ours in good order, without writing to it.
pub(super) fn inspect(path: &Path) -> Result<(), OpenError> {
    inspect_header(path)?;
    let size =
        std::fs::metadata(path).map_err(|source| OpenError::Read { path: path.to_owned(), source })?.len();
    if size > FULL_CHECK_UP_TO {
        return Ok(());
    }
    let damaged = |source| OpenError::Damaged { path: path.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags).map_err(damaged)?;
    let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(damaged)?;
    if verdict == "ok" { Ok(()) } else { Err(OpenError::Inconsistent { path: path.to_owned(), verdict }) }
}

/// The first hundred bytes of a database (SQLite file format, section 1.3).
fn inspect_header(path: &Path) -> Result<(), OpenError> {
    let mut header = [0; 100];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    match read {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(OpenError::NotADatabase { path: path.to_owned() });
        }
        Err(source) => return Err(OpenError::Read { path: path.to_owned(), source }),
    }
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(OpenError::NotADatabase { path: path.to_owned() });
    }
    let word = |at: usize| i32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    if word(68) != APPLICATION_ID {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    let (found, known) = (word(60), newest_schema());
    if found > known {
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    }
    Ok(())
}

/// The writing connection, its tables brought up to date, and the version of these.
pub(super) fn writer(path: &Path, synchronous: Synchronous) -> Result<(Connection, u32), OpenError> {
    let failed = |source| OpenError::Database { path: path.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut db = Connection::open_with_flags(path, flags).map_err(failed)?;
    db.busy_timeout(Duration::from_secs(10)).map_err(failed)?;
    let mode: String = db.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        return Err(OpenError::NoWriteAheadLog { path: path.to_owned() });
    }
    let synchronous = match synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Off => "OFF",
    };
    let settings = [
        ("synchronous", synchronous),
        ("foreign_keys", "ON"),
        // Checkpoints cost two waits for the disk; 16 MiB of log make them rare.
        ("wal_autocheckpoint", "4096"),
        ("cache_size", "-65536"),
        ("temp_store", "MEMORY"),
    ];
    for (name, value) in settings {
        db.pragma_update(None, name, value).map_err(failed)?;
    }
    db.set_prepared_statement_cache_capacity(64);
    migrate(path, &mut db)?;
    Ok((db, u32::try_from(newest_schema()).unwrap_or_default()))
}

fn migrate(path: &Path, db: &mut Connection) -> Result<(), OpenError> {
    embedded::migrations::runner()
        .run(db)
        .map_err(|source| OpenError::Migration { path: path.to_owned(), source: Box::new(source) })?;
    let failed = |source| OpenError::Database { path: path.to_owned(), source };
    let found: i32 = db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    if found == newest_schema() {
        return Ok(());
    }
    db.pragma_update(None, "user_version", newest_schema()).map_err(failed)
}

fn newest_schema() -> i32 {
    let migrations = embedded::migrations::runner();
    let newest = migrations.get_migrations().iter().map(refinery::Migration::version).max();
    newest.unwrap_or_default()
}

/// Why a store cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Another process uses the folder.
    #[error(
        "another Tapkey server uses the data folder {}; stop it first, or give this one a folder of its own",
        folder.display()
    )]
    Locked {
        /// The folder.
        folder: PathBuf,
    },
    /// A file cannot be read or created.
    #[error("{} cannot be opened: {source}; check its owner and permissions", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is no database at all.
    #[error(
        "{} is not a SQLite database; it was left as it is. Restore it from a backup, or give the server \
         another data folder",
        path.display()
    )]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The database belongs to another program.
    #[error(
        "{} is a database of another program; it was left as it is. Give the server another data folder",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The database was written by a newer version.
    #[error(
        "{} was written by a newer Tapkey (tables of version {found}, this program knows up to {known}); it \
         was left as it is. Use the newer program",
        path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i32,
        /// The newest version known here.
        known: i32,
    },
    /// The database cannot be read through.
    #[error("{} is damaged ({source}); it was left as it is. Restore it from a backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The database contradicts itself.
    #[error("{} is damaged ({verdict}); it was left as it is. Restore it from a backup", path.display())]
    Inconsistent {
        /// The file.
        path: PathBuf,
        /// What SQLite's check says.
        verdict: String,
    },
    /// The file system cannot hold a write-ahead log.
    #[error(
        "{} cannot use a write-ahead log, as on network file systems; put the data folder on a local disk",
        path.display()
    )]
    NoWriteAheadLog {
        /// The file.
        path: PathBuf,
    },
    /// The tables cannot be brought up to date.
    #[error("the tables of {} cannot be brought up to date: {source}", path.display())]
    Migration {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<refinery::Error>,
    },
    /// SQLite failed.
    #[error("{}: {source}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The master key does not belong to the store.
    #[error(
        "the master key does not belong to {}; restore the right master.key (another one opens none of the \
         store's secrets)",
        path.display()
    )]
    WrongMasterKey {
        /// The database.
        path: PathBuf,
    },
    /// A secret could not be drawn or sealed.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The writing thread did not start.
    #[error("a thread for the store cannot be started: {source}")]
    Thread {
        /// Why.
        source: io::Error,
    },
}
