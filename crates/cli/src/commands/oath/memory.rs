//! Passwords that are remembered: never the password itself, only the access key that it makes on one
//! key, by that key's device id. A reset of the key makes it worthless.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use tapkey_protocol::oath::AccessKey;
use zeroize::{Zeroize, Zeroizing};

use super::keyring;
use crate::{
    config,
    encode::{from_hex_exact, hex},
    exit::Failure,
};

/// Where an access key is kept.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Where {
    /// In a file in your state folder, for your eyes only.
    File,
    /// In the desktop's keyring (Secret Service).
    Keyring,
}

impl Where {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Keyring => "keyring",
        }
    }
}

/// Everything that is remembered.
pub(super) struct Memory {
    path: PathBuf,
    document: Document,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    keys: BTreeMap<String, Entry>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    place: Where,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access_key: Option<Digits>,
}

/// Hexadecimal digits of an access key; wiped.
#[derive(Deserialize, Serialize)]
#[serde(transparent)]
struct Digits(String);

impl Drop for Digits {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl Memory {
    /// Reads the file; none is an empty one.
    pub(super) fn load() -> Result<Self, Failure> {
        Self::read(config::state_folder()?.join("oath-keys.json"))
    }

    fn read(path: PathBuf) -> Result<Self, Failure> {
        let text = match fs::read_to_string(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path, document: Document::default() });
            }
            Err(error) => {
                return Err(Failure::failed(format!("cannot read {}: {error}", path.display())));
            }
        };
        // What serde says may hold what it stumbled over.
        let document = serde_json::from_str(&text).map_err(|error| {
            Failure::failed(format!("{} is damaged in line {}", path.display(), error.line()))
                .hint("`tapkey oath access forget --all` removes it")
        })?;
        Ok(Self { path, document })
    }

    /// Where the access key of a key is kept.
    pub(super) fn place(&self, device_id: &str) -> Option<Where> {
        self.document.keys.get(device_id).map(|entry| entry.place)
    }

    /// The access key of a key.
    pub(super) fn find(&self, device_id: &str) -> Result<Option<AccessKey>, Failure> {
        let Some(entry) = self.document.keys.get(device_id) else { return Ok(None) };
        match (entry.place, &entry.access_key) {
            (Where::File, Some(text)) => {
                Ok(Some(AccessKey::new(*from_hex_exact(&text.0, "the remembered access key")?)))
            }
            (Where::File, None) => Ok(None),
            (Where::Keyring, _) => keyring::get(device_id),
        }
    }

    /// Keeps an access key.
    pub(super) fn remember(&mut self, device_id: &str, key: &AccessKey, place: Where) -> Result<(), Failure> {
        if place == Where::Keyring {
            keyring::set(device_id, key)?;
        }
        self.drop_from_keyring(device_id, place);
        let access_key = (place == Where::File).then(|| Digits(hex(key.expose())));
        self.document.keys.insert(device_id.to_owned(), Entry { place, access_key });
        self.save()
    }

    /// Forgets the access key of a key. Whether there was one.
    pub(super) fn forget(&mut self, device_id: &str) -> Result<bool, Failure> {
        match self.document.keys.remove(device_id) {
            None => return Ok(false),
            Some(Entry { place: Where::Keyring, .. }) => keyring::delete(device_id)?,
            Some(_) => {}
        }
        self.save()?;
        Ok(true)
    }

    /// Forgets everything, also a file that cannot be read. How many access keys there were.
    pub(super) fn forget_all() -> Result<usize, Failure> {
        let path = config::state_folder()?.join("oath-keys.json");
        let count = match Self::read(path.clone()) {
            Ok(memory) => {
                for (device_id, entry) in &memory.document.keys {
                    if entry.place == Where::Keyring {
                        keyring::delete(device_id)?;
                    }
                }
                memory.document.keys.len()
            }
            Err(_) => 0,
        };
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Failure::failed(format!("cannot remove {}: {error}", path.display())))
            }
            _ => Ok(count),
        }
    }

    /// A place in a sentence.
    pub(super) fn name(&self, place: Where) -> String {
        match place {
            Where::File => self.path.display().to_string(),
            Where::Keyring => "the keyring".to_owned(),
        }
    }

    /// What moves to the file leaves the keyring, if it can be reached.
    fn drop_from_keyring(&self, device_id: &str, place: Where) {
        if self.place(device_id) == Some(Where::Keyring) && place == Where::File {
            let _ = keyring::delete(device_id);
        }
    }

    /// Puts a new file in the place of the old one, whole or not at all, for its owner alone.
    fn save(&self) -> Result<(), Failure> {
        let failed =
            |error: io::Error| Failure::failed(format!("cannot write {}: {error}", self.path.display()));
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(failed)?;
        // Files of this kind are made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        let text = serde_json::to_string(&self.document).map(Zeroizing::new).map_err(io::Error::from);
        file.write_all(text.map_err(failed)?.as_bytes()).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&self.path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_found_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/oath-keys.json");
        let mut memory = Memory::read(path.clone()).unwrap();
        memory.remember("a", &AccessKey::new([1; 16]), Where::File).unwrap();
        memory.remember("b", &AccessKey::new([2; 16]), Where::File).unwrap();
        let mut memory = Memory::read(path.clone()).unwrap();
        assert_eq!(memory.find("a").unwrap(), Some(AccessKey::new([1; 16])));
        assert_eq!((memory.find("c").unwrap(), memory.place("b")), (None, Some(Where::File)));
        assert!(memory.forget("a").unwrap() && !memory.forget("a").unwrap());
        assert_eq!(Memory::read(path.clone()).unwrap().find("a").unwrap(), None);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_damaged_file_is_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        fs::write(&path, "{\"keys\":{\"a\":{\"place\":\"file\",\"access_kex\":\"c0ffee\"}}}").unwrap();
        let failure = Memory::read(path).map(|_| ()).unwrap_err();
        assert!(!failure.message().contains("c0ffee"), "{failure}");
    }
}
