//! The file that holds the master key: 64 hexadecimal digits, readable by nobody else.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use tapkey_protocol::secret::Secret;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::random::{self, RandomError};

/// Its name in the data folder.
pub(crate) const MASTER_KEY_FILE: &str = "master.key";

/// Draws a master key and writes it to a new file, which must not exist.
pub(crate) fn create_master_key(path: &Path) -> Result<Secret<32>, MasterKeyError> {
    let failed = |source| MasterKeyError::Write { path: path.to_owned(), source };
    let key = Zeroizing::new(random::bytes::<32>()?);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(failed)?;
    let text = Zeroizing::new(HEXLOWER.encode(&*key) + "\n");
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(Secret::new(*key))
}

/// Reads the master key.
pub(crate) fn read_master_key(path: &Path) -> Result<Secret<32>, MasterKeyError> {
    let path_owned = || path.to_owned();
    let file = File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => MasterKeyError::Missing { path: path_owned() },
        _ => MasterKeyError::Read { path: path_owned(), source },
    })?;
    check_mode(path, &file)?;
    let mut text = Zeroizing::new(String::new());
    // A few bytes more than the key, so that anything longer is noticed without being read.
    (&file)
        .take(80)
        .read_to_string(&mut text)
        .map_err(|source| MasterKeyError::Read { path: path_owned(), source })?;
    let bytes = Zeroizing::new(
        HEXLOWER
            .decode(text.trim().as_bytes())
            .map_err(|_| MasterKeyError::Malformed { path: path_owned() })?,
    );
    let key = <[u8; 32]>::try_from(bytes.as_slice())
        .map_err(|_| MasterKeyError::Malformed { path: path_owned() })?;
    Ok(Secret::new(key))
}

#[cfg(unix)]
fn check_mode(path: &Path, file: &File) -> Result<(), MasterKeyError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata =
        file.metadata().map_err(|source| MasterKeyError::Read { path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(MasterKeyError::Mode { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn check_mode(_: &Path, _: &File) -> Result<(), MasterKeyError> {
    Ok(())
}

/// Why there is no master key.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum MasterKeyError {
    /// The file is not there, but the data is.
    #[error(
        "the master key {} is missing, but its store is there: restore the file from where it is kept \
         safe (no other key opens the store's secrets)",
        path.display()
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The file cannot be read.
    #[error("the master key {} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("the master key {} cannot be written: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{} holds no master key: one line of 64 hexadecimal digits is expected", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// Others may read the file.
    #[error("the master key {0} can be read by other users (mode {mode:03o}): run chmod 600 {0}", path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// No randomness.
    #[error(transparent)]
    Random(#[from] RandomError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip_and_never_over_an_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(MASTER_KEY_FILE);
        let key = create_master_key(&path).unwrap();
        assert_eq!(read_master_key(&path).unwrap(), key);
        assert!(matches!(create_master_key(&path), Err(MasterKeyError::Write { .. })));
        assert_eq!(read_master_key(&path).unwrap(), key);
    }

    #[test]
    fn wrong_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(MASTER_KEY_FILE);
        assert!(matches!(read_master_key(&path), Err(MasterKeyError::Missing { .. })));
        create_master_key(&path).unwrap();
        for text in ["", "00", &"0".repeat(65), &"g".repeat(64), &"0".repeat(10_000)] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(read_master_key(&path), Err(MasterKeyError::Malformed { .. })), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(MASTER_KEY_FILE);
        create_master_key(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read_master_key(&path), Err(MasterKeyError::Mode { mode: 0o640, .. })));
    }
}
