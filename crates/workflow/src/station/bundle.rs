//! Writing a bundle: each message encrypted and on disk before what it tells of is done.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    str::FromStr,
};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use tapkey_api::bundle::{Container, ContainerError, Content, Envelope, FORMAT, Header, VERSION};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{Disk, disk::Lock, draw};

/// The public key of a server, to which bundles are encrypted: `age1…`.
#[derive(Clone)]
pub struct Recipient {
    text: String,
    key: age::x25519::Recipient,
}

impl FromStr for Recipient {
    type Err = RecipientError;

    fn from_str(text: &str) -> Result<Self, RecipientError> {
        let key: age::x25519::Recipient = text.trim().parse().map_err(|_| RecipientError)?;
        Ok(Self { text: key.to_string(), key })
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Recipient({})", self.text)
    }
}

/// Not a public key.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a recipient is the text age1… that `tapkey admin bundle-key` prints")]
pub struct RecipientError;

/// A bundle that grows.
pub struct BundleWriter {
    path: PathBuf,
    disk: Box<dyn Disk>,
    recipient: Recipient,
    id: String,
    sequence: u64,
    /// SHA-256 of the last message, or of the first line.
    previous: String,
    length: u64,
    /// After a failure that could not be undone, nothing may be appended to the torn end.
    torn: bool,
    _lock: Lock,
}

impl BundleWriter {
    /// Begins a bundle, or goes on with one. What an interruption left at its end is taken away:
    /// no key was touched for it.
    ///
    /// # Errors
    /// The file is something else, is for another server, or cannot be written.
    pub fn open(path: &Path, recipient: Recipient, disk: Box<dyn Disk>) -> Result<Self, BundleFileError> {
        let io = |source| BundleFileError::Io { path: path.to_owned(), source };
        let lock = Lock::take(path).map_err(io)?;
        let lock = lock.ok_or_else(|| BundleFileError::InUse { path: path.to_owned() })?;
        let mut writer = Self {
            path: path.to_owned(),
            disk,
            recipient,
            id: String::new(),
            sequence: 0,
            previous: String::new(),
            length: 0,
            torn: false,
            _lock: lock,
        };
        match fs::read(path) {
            Ok(bytes) => writer.go_on(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(io(source)),
        }
        if writer.length == 0 {
            writer.begin()?;
        }
        Ok(writer)
    }

    /// Encrypts a message and appends it. It is on disk when this returns.
    ///
    /// # Errors
    /// It is not, and the bundle is as it was.
    pub fn append(&mut self, content: Content) -> Result<(), BundleFileError> {
        let envelope = Envelope {
            format: FORMAT.into(),
            version: VERSION,
            bundle: self.id.clone(),
            sequence: self.sequence + 1,
            previous: self.previous.clone(),
            content,
        };
        let plain = serde_json::to_vec(&envelope).map(Zeroizing::new);
        let plain = plain.map_err(|error| self.failed(error.into()))?;
        let message = age::encrypt_and_armor(&self.recipient.key, &plain)
            .map_err(|error| self.failed(io::Error::other(error.to_string())))?;
        self.write(&message)?;
        self.sequence += 1;
        Ok(())
    }

    /// How many messages there are.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.sequence
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 of the file, in hexadecimal: whoever imports it can compare.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn sha256(&self) -> Result<String, BundleFileError> {
        let bytes = fs::read(&self.path).map_err(|error| self.failed(error))?;
        Ok(HEXLOWER.encode(&Sha256::digest(&bytes)))
    }

    fn begin(&mut self) -> Result<(), BundleFileError> {
        self.id = draw::id().map_err(|()| BundleFileError::Random)?;
        let head = Header { bundle: &self.id, recipient: &self.recipient.text }.to_string();
        self.write(&head)
    }

    fn go_on(&mut self, bytes: &[u8]) -> Result<(), BundleFileError> {
        // A file system may have made room for what was never written.
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let text = match std::str::from_utf8(&bytes[..end]) {
            Ok(text) => text,
            Err(_) => return Err(self.malformed(ContainerError::NotABundle)),
        };
        let container = match Container::scan(text) {
            Ok(container) => container,
            // Not even its first line was whole: it was begun and nothing more.
            Err(ContainerError::Truncated) => return self.cut(0),
            Err(_) if format!("{FORMAT}/").starts_with(text) => return self.cut(0),
            Err(error) => return Err(self.malformed(error)),
        };
        if container.header.recipient != self.recipient.text {
            return Err(BundleFileError::OtherServer {
                path: self.path.clone(),
                recipient: container.header.recipient.to_owned(),
            });
        }
        self.id = container.header.bundle.to_owned();
        self.sequence = u64::try_from(container.messages.len()).unwrap_or(u64::MAX);
        let last = container.messages.last().unwrap_or(&container.head);
        self.previous = HEXLOWER.encode(&Sha256::digest(last.as_bytes()));
        self.length = u64::try_from(container.whole).unwrap_or(u64::MAX);
        if container.whole < bytes.len() { self.cut(self.length) } else { Ok(()) }
    }

    fn cut(&mut self, length: u64) -> Result<(), BundleFileError> {
        self.disk.truncate(&self.path, length).map_err(|error| self.failed(error))
    }

    fn write(&mut self, text: &str) -> Result<(), BundleFileError> {
        if self.torn {
            return Err(self.failed(io::Error::other("its end is torn; run the station again to mend it")));
        }
        if let Err(error) = self.disk.append(&self.path, text.as_bytes()) {
            self.torn = self.disk.truncate(&self.path, self.length).is_err();
            return Err(self.failed(error));
        }
        self.length += u64::try_from(text.len()).unwrap_or_default();
        self.previous = HEXLOWER.encode(&Sha256::digest(text.as_bytes()));
        Ok(())
    }

    fn failed(&self, source: io::Error) -> BundleFileError {
        BundleFileError::Io { path: self.path.clone(), source }
    }

    fn malformed(&self, source: ContainerError) -> BundleFileError {
        BundleFileError::Malformed { path: self.path.clone(), source }
    }
}

impl fmt::Debug for BundleWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BundleWriter")
            .field("path", &self.path)
            .field("id", &self.id)
            .field("messages", &self.sequence)
            .finish_non_exhaustive()
    }
}

/// Why a bundle cannot be written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum BundleFileError {
    /// The file cannot be read or written.
    #[error("cannot write the bundle {}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has it.
    #[error("another station writes to the bundle {}", path.display())]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{}: {source}", path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: ContainerError,
    },
    /// It was begun for another server.
    #[error("the bundle {} is for another server ({recipient}); name another file", path.display())]
    OtherServer {
        /// Which file.
        path: PathBuf,
        /// The public key of that server.
        recipient: String,
    },
    /// No randomness.
    #[error("the operating system gives no randomness; no secret can be drawn")]
    Random,
}

#[cfg(test)]
mod tests {
    use tapkey_api::{Timestamp, bundle::StationClose};

    use super::*;
    use crate::station::RealDisk;

    fn recipient() -> Recipient {
        age::x25519::Identity::generate().to_public().to_string().parse().unwrap()
    }

    fn close() -> Content {
        Content::Close(StationClose { at: Timestamp::UNIX_EPOCH })
    }

    /// A disk on which there is room for so many bytes.
    struct Small {
        room: usize,
        truncates: bool,
    }

    impl Disk for Small {
        fn append(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
            let fits = bytes.len().min(self.room);
            self.room -= fits;
            RealDisk.append(path, &bytes[..fits])?;
            if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        }

        fn truncate(&mut self, path: &Path, length: u64) -> io::Result<()> {
            if self.truncates { RealDisk.truncate(path, length) } else { Err(io::Error::other("no")) }
        }
    }

    #[test]
    fn a_bundle_is_gone_on_with_from_wherever_it_was_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bundle");
        let recipient = recipient();
        let open = || BundleWriter::open(&path, recipient.clone(), Box::new(RealDisk));
        let mut writer = open().unwrap();
        writer.append(close()).unwrap();
        assert!(matches!(open(), Err(BundleFileError::InUse { .. })));
        writer.append(close()).unwrap();
        drop(writer);
        let whole = fs::read(&path).unwrap();
        let mut zeros = whole.clone();
        zeros.extend_from_slice(&[0; 100]);
        fs::write(&path, &zeros).unwrap();
        assert_eq!(open().unwrap().messages(), 2);
        for end in 0..whole.len() {
            fs::write(&path, &whole[..end]).unwrap();
            let mut writer = open().unwrap_or_else(|error| panic!("{end}: {error}"));
            assert!(writer.messages() < 3);
            if end % 97 == 0 {
                let before = writer.messages();
                writer.append(close()).unwrap();
                drop(writer);
                assert_eq!(open().unwrap().messages(), before + 1);
            }
        }
    }

    #[test]
    fn a_full_disk_leaves_the_bundle_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bundle");
        let recipient = recipient();
        for truncates in [true, false] {
            let disk = Small { room: 5000, truncates };
            let _ = fs::remove_file(&path);
            let mut writer = BundleWriter::open(&path, recipient.clone(), Box::new(disk)).unwrap();
            // How long a message is, is left to chance: age adds a stanza without meaning.
            while writer.append(close()).is_ok() {}
            let before = writer.messages();
            assert!((3..9).contains(&before), "{before}");
            assert!(matches!(writer.append(close()), Err(BundleFileError::Io { .. })));
            assert_eq!(writer.messages(), before);
            drop(writer);
            let mended = BundleWriter::open(&path, recipient.clone(), Box::new(RealDisk)).unwrap();
            assert_eq!(mended.messages(), before);
        }
    }

    #[test]
    fn other_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bundle");
        fs::write(&path, "a diary\n").unwrap();
        let error = BundleWriter::open(&path, recipient(), Box::new(RealDisk)).unwrap_err();
        assert!(matches!(error, BundleFileError::Malformed { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"a diary\n");
        fs::remove_file(&path).unwrap();
        drop(BundleWriter::open(&path, recipient(), Box::new(RealDisk)).unwrap());
        let error = BundleWriter::open(&path, recipient(), Box::new(RealDisk)).unwrap_err();
        assert!(matches!(error, BundleFileError::OtherServer { .. }), "{error}");
    }
}
