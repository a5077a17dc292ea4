//! A store in a file, safe against power cuts and against a second process.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tapkey_protocol::secret::SecretBytes;

use super::{StateError, StateStore};
use crate::faults::PowerCut;

/// Keeps the document in a file that only its owner may read (mode 0600).
///
/// A change is written to a second file, forced to the disk and renamed over the first, and the
/// folder is forced to the disk as well, so the file holds either the old or the new document. A
/// lock on a side file (`.lock`) is held for as long as the store exists; the side file itself
/// stays, because removing it would let two processes lock two files of the same name.
#[derive(Debug)]
pub struct FileStore {
    path: PathBuf,
    folder: PathBuf,
    // Held, not used: the lock ends when it is closed.
    _lock: File,
}

impl FileStore {
    /// Takes the lock; the file itself need not exist yet, its folder must. Symbolic links are
    /// followed first, so that two names of one file are one lock.
    ///
    /// # Errors
    /// [`StateError::InUse`] when another process has it, [`StateError::Io`] otherwise.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StateError> {
        let path = resolve(path.as_ref())?;
        let folder = folder_of(&path).to_owned();
        let lock = take_lock(&path)?;
        Ok(Self { path, folder, _lock: lock })
    }

    /// The state file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn replace(&self, document: &[u8]) -> Result<(), StateError> {
        let fresh = with_suffix(&self.path, ".new");
        // One left behind by a killed process; the lock says that nobody is writing it.
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed(&fresh, "remove", error));
            }
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)
            .map_err(|error| failed(&fresh, "create", error))?;
        file.write_all(document)
            .and_then(|()| file.sync_all())
            .map_err(|error| failed(&fresh, "write", error))?;
        fs::rename(&fresh, &self.path).map_err(|error| failed(&self.path, "replace", error))?;
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|error| failed(&self.folder, "force to the disk", error))
    }
}

impl StateStore for FileStore {
    fn load(&mut self) -> Result<Option<SecretBytes>, StateError> {
        let file = match File::open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&self.path, "open", error)),
        };
        // One byte more than allowed tells a foreign file from a long one. Room for all of it at
        // once, because growing would leave copies of secrets behind in memory.
        let mut document = Vec::with_capacity(LONGEST + 1);
        let limit = u64::try_from(LONGEST + 1).unwrap_or(u64::MAX);
        file.take(limit).read_to_end(&mut document).map_err(|error| failed(&self.path, "read", error))?;
        if document.len() > LONGEST {
            let error = io::Error::new(io::ErrorKind::InvalidData, "it is too long for the state of a key");
            return Err(failed(&self.path, "read", error));
        }
        Ok(Some(SecretBytes::new(document)))
    }

    fn save(&mut self, document: &[u8]) -> Result<(), StateError> {
        self.replace(document)
    }

    /// Cut in the middle, half of the document lies beside the file under the name of the new one.
    fn save_cut_short(&mut self, document: &[u8], moment: PowerCut) -> Result<(), StateError> {
        match moment {
            PowerCut::Before => Ok(()),
            PowerCut::During => {
                let fresh = with_suffix(&self.path, ".new");
                let half = document.get(..document.len() / 2).unwrap_or_default();
                let mut options = OpenOptions::new();
                options.write(true).create(true).truncate(true).mode(0o600);
                options
                    .open(&fresh)
                    .and_then(|mut file| file.write_all(half))
                    .map_err(|error| failed(&fresh, "write", error))
            }
            PowerCut::After => self.replace(document),
        }
    }

    fn location(&self) -> String {
        self.path.display().to_string()
    }
}

/// No key's state comes near this many bytes.
const LONGEST: usize = 1 << 20;

fn resolve(path: &Path) -> Result<PathBuf, StateError> {
    match fs::canonicalize(path) {
        Ok(path) => Ok(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = folder_of(path);
            let folder =
                fs::canonicalize(folder).map_err(|error| failed(folder, "open the folder", error))?;
            let name = path.file_name().ok_or_else(|| {
                failed(path, "use", io::Error::new(io::ErrorKind::InvalidInput, "it names no file"))
            })?;
            Ok(folder.join(name))
        }
        Err(error) => Err(failed(path, "open", error)),
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn take_lock(path: &Path) -> Result<File, StateError> {
    let side = with_suffix(path, ".lock");
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&side)
        .map_err(|error| failed(&side, "open", error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(StateError::InUse { path: path.to_owned(), holder: read_holder(&file) });
        }
        Err(TryLockError::Error(error)) => return Err(failed(&side, "lock", error)),
    }
    file.set_len(0)
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(|error| failed(&side, "write", error))?;
    Ok(file)
}

fn read_holder(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn failed(path: &Path, action: &'static str, source: io::Error) -> StateError {
    StateError::Io { path: path.to_owned(), action, source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, symlink};

    use super::*;

    #[test]
    fn what_was_saved_is_loaded_and_only_the_owner_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        let mut store = FileStore::open(&path).unwrap();
        assert!(store.load().unwrap().is_none());
        store.save(b"one").unwrap();
        store.save(b"two").unwrap();
        assert_eq!(store.load().unwrap().unwrap().expose(), b"two");
        for name in ["key.json", "key.json.lock"] {
            assert_eq!(fs::metadata(folder.path().join(name)).unwrap().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_half_written_file_of_a_killed_process_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        fs::write(folder.path().join("key.json.new"), b"half").unwrap();
        let mut store = FileStore::open(&path).unwrap();
        assert!(store.load().unwrap().is_none());
        store.save(b"whole").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert!(!folder.path().join("key.json.new").exists());
    }

    #[test]
    fn one_file_has_one_user_under_all_its_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.json");
        let other_name = folder.path().join("alias.json");
        let mut store = FileStore::open(&path).unwrap();
        store.save(b"x").unwrap();
        symlink(&path, &other_name).unwrap();
        for name in [&path, &other_name] {
            let error = FileStore::open(name).unwrap_err();
            let StateError::InUse { holder, .. } = &error else { panic!("{error}") };
            assert_eq!(*holder, Some(std::process::id()));
            assert!(error.to_string().contains("key.json"), "{error}");
        }
        drop(store);
        FileStore::open(&other_name).unwrap();
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = FileStore::open("/nonexistent/folder/key.json").unwrap_err();
        assert!(error.to_string().contains("/nonexistent/folder"), "{error}");
    }
}
