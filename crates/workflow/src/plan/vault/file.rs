//! A vault in a file: encrypted with age (<https://age-encryption.org/v1>), or in the clear for its
//! owner alone when that is asked for. It is written whole and to the disk, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use age::secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use zeroize::Zeroizing;

use super::{SecretText, Vault};

/// What opens a vault file.
pub enum Opener {
    /// Nothing: the file is in the clear.
    Plain,
    /// A passphrase.
    Passphrase(SecretText),
    /// Private keys of age, `AGE-SECRET-KEY-1…`.
    Identities(Vec<age::x25519::Identity>),
}

impl Opener {
    /// Reads age's private keys, one on a line; lines that begin with `#` are remarks.
    ///
    /// # Errors
    /// [`FileError::Identity`] with the number of the line that is none.
    pub fn identities(text: &str) -> Result<Self, FileError> {
        let mut found = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                found.push(line.parse().map_err(|_| FileError::Identity { line: index + 1 })?);
            }
        }
        if found.is_empty() { Err(FileError::NoIdentity) } else { Ok(Self::Identities(found)) }
    }

    /// Draws a private key: the opener, the text for its file, and the public key that belongs to it.
    #[must_use]
    pub fn draw() -> (Self, SecretText, String) {
        let identity = age::x25519::Identity::generate();
        let recipient = identity.to_public().to_string();
        let text = format!("# public key: {recipient}\n{}\n", identity.to_string().expose_secret());
        (Self::Identities(vec![identity]), SecretText::new(text), recipient)
    }

    /// Whether a text is a public key of age, `age1…`.
    #[must_use]
    pub fn is_recipient(text: &str) -> bool {
        text.parse::<age::x25519::Recipient>().is_ok()
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Plain => Kind::Plain,
            Self::Passphrase(_) => Kind::Passphrase,
            Self::Identities(_) => Kind::Recipients,
        }
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Opener::{:?}(…)", self.kind())
    }
}

/// How a vault file is protected.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// It is not.
    Plain,
    /// By a passphrase.
    Passphrase,
    /// For public keys of age.
    Recipients,
}

/// An open vault file, locked against other processes for as long as this lives.
#[derive(Debug)]
pub struct VaultFile {
    path: PathBuf,
    opener: Opener,
    _lock: Lock,
    saved: Vault,
    /// What stands in it. It is on the disk after [`VaultFile::save`].
    pub vault: Vault,
}

/// Keeps other processes away from a vault: two that write it would lose each other's secrets.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held, not used")] File);

impl Lock {
    fn take(path: &Path) -> Result<Self, FileError> {
        let beside = beside(path, ".lock");
        let failed = |source| FileError::Write { path: beside.clone(), source };
        let file = private(OpenOptions::new().write(true).create(true).truncate(false))
            .open(&beside)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(fs::TryLockError::WouldBlock) => Err(FileError::InUse { path: path.to_owned() }),
            Err(fs::TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

impl VaultFile {
    /// Makes a new vault file.
    ///
    /// # Errors
    /// [`FileError`]; a file that exists is left as it is.
    pub fn create(path: &Path, opener: Opener, vault: Vault) -> Result<Self, FileError> {
        let lock = Lock::take(path)?;
        if path.exists() {
            return Err(FileError::Exists { path: path.to_owned() });
        }
        let mut file = Self { path: path.to_owned(), opener, _lock: lock, saved: vault.clone(), vault };
        file.save()?;
        Ok(file)
    }

    /// How a vault file is protected, without opening it.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be read.
    pub fn kind(path: &Path) -> Result<Kind, FileError> {
        let bytes = read(path)?;
        if !bytes.starts_with(AGE) {
            return Ok(Kind::Plain);
        }
        let decryptor = age::Decryptor::new(bytes.as_slice()).map_err(FileError::from)?;
        Ok(if decryptor.is_scrypt() { Kind::Passphrase } else { Kind::Recipients })
    }

    /// Opens a vault file.
    ///
    /// # Errors
    /// [`FileError`] when it cannot be read or is not opened by what was given.
    pub fn open(path: &Path, opener: Opener) -> Result<Self, FileError> {
        let lock = Lock::take(path)?;
        let bytes = read(path)?;
        let kind = Self::kind(path)?;
        if kind != opener.kind() {
            return Err(FileError::OtherProtection { path: path.to_owned(), kind });
        }
        let text = match &opener {
            Opener::Plain => {
                check_private(path)?;
                bytes
            }
            Opener::Passphrase(passphrase) => {
                let mut identity = age::scrypt::Identity::new(secret(passphrase));
                identity.set_max_work_factor(MAX_WORK_FACTOR);
                decrypt(&bytes, &[&identity])?
            }
            Opener::Identities(identities) => {
                let identities: Vec<&dyn age::Identity> =
                    identities.iter().map(|one| -> &dyn age::Identity { one }).collect();
                decrypt(&bytes, &identities)?
            }
        };
        let text = std::str::from_utf8(&text)
            .map_err(|_| FileError::Malformed { line: 0, message: "it is no text".to_owned() })?;
        let vault = Vault::read(text)?;
        Ok(Self { path: path.to_owned(), opener, _lock: lock, saved: vault.clone(), vault })
    }

    /// Writes the vault so that it is whole and on the disk when this returns.
    ///
    /// # Errors
    /// [`FileError::Write`]; the file then holds what it held.
    pub fn save(&mut self) -> Result<(), FileError> {
        let text = self.vault.write()?;
        let bytes = self.encrypt(text.expose().as_bytes())?;
        write_durably(&self.path, &bytes)
            .map_err(|source| FileError::Write { path: self.path.clone(), source })?;
        self.saved = self.vault.clone();
        Ok(())
    }

    /// What stands on the disk.
    #[must_use]
    pub const fn saved(&self) -> &Vault {
        &self.saved
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn encrypt(&self, text: &[u8]) -> Result<Zeroizing<Vec<u8>>, FileError> {
        let encryptor = match &self.opener {
            Opener::Plain => return Ok(Zeroizing::new(text.to_vec())),
            Opener::Passphrase(passphrase) => {
                let mut recipient = age::scrypt::Recipient::new(secret(passphrase));
                recipient.set_work_factor(WORK_FACTOR);
                let recipient: &dyn age::Recipient = &recipient;
                age::Encryptor::with_recipients(std::iter::once(recipient))
            }
            Opener::Identities(identities) => {
                let mut recipients: Vec<age::x25519::Recipient> =
                    identities.iter().map(age::x25519::Identity::to_public).collect();
                for text in &self.vault.recipients {
                    let recipient: age::x25519::Recipient = text.parse().map_err(|_| FileError::Recipient)?;
                    if recipients.iter().all(|known| known.to_string() != *text) {
                        recipients.push(recipient);
                    }
                }
                age::Encryptor::with_recipients(recipients.iter().map(|one| -> &dyn age::Recipient { one }))
            }
        }
        .map_err(|_| FileError::Encode)?;
        let mut bytes = Vec::new();
        let work = |bytes: &mut Vec<u8>| {
            let mut writer = encryptor.wrap_output(bytes)?;
            writer.write_all(text)?;
            writer.finish().map(|_| ())
        };
        work(&mut bytes).map_err(|_| FileError::Encode)?;
        Ok(Zeroizing::new(bytes))
    }
}

fn decrypt(bytes: &[u8], identities: &[&dyn age::Identity]) -> Result<Zeroizing<Vec<u8>>, FileError> {
    let decryptor = age::Decryptor::new(bytes)?;
    let mut reader = decryptor.decrypt(identities.iter().copied())?;
    // Room for everything at once: growing would leave a copy behind.
    let mut text = Zeroizing::new(Vec::with_capacity(bytes.len()));
    reader.read_to_end(&mut text).map_err(|_| FileError::Damaged)?;
    Ok(text)
}

fn secret(passphrase: &SecretText) -> SecretString {
    SecretString::from(passphrase.expose().to_owned())
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, FileError> {
    fs::read(path).map(Zeroizing::new).map_err(|source| FileError::Read { path: path.to_owned(), source })
}

/// One temporary name: what a kill leaves behind is overwritten by the next writing.
fn write_durably(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = beside(path, ".tmp");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = private(OpenOptions::new().write(true).create_new(true)).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    // On Windows a folder cannot be opened like this, and renaming is durable without it.
    if cfg!(unix) { File::open(folder.unwrap_or(Path::new(".")))?.sync_all() } else { Ok(()) }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Makes new files readable for their owner alone.
fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// A vault in the clear that others may read is refused.
#[cfg(unix)]
fn check_private(path: &Path) -> Result<(), FileError> {
    use std::os::unix::fs::PermissionsExt;
    let metadata = fs::metadata(path).map_err(|source| FileError::Read { path: path.to_owned(), source })?;
    if metadata.permissions().mode() & 0o077 == 0 {
        Ok(())
    } else {
        Err(FileError::Readable { path: path.to_owned() })
    }
}

#[cfg(not(unix))]
const fn check_private(_: &Path) -> Result<(), FileError> {
    Ok(())
}

/// Why a vault file cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read the vault {}: {source}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It cannot be written.
    #[error("cannot write the vault {}: {source}", path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is one already.
    #[error("{} exists; a vault is not overwritten", path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// Another process has it.
    #[error("the vault {} is in use by another process; wait for its end", path.display())]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// It is in the clear, and others may read it.
    #[error("the vault {} is in the clear and other users may read it; chmod 600 it, and think of what they have seen", path.display())]
    Readable {
        /// Which file.
        path: PathBuf,
    },
    /// It is protected in another way than was said.
    #[error("the vault {} {}", path.display(), match kind {
        Kind::Plain => "is in the clear; say --plain-vault if that is meant",
        Kind::Passphrase => "is protected by a passphrase",
        Kind::Recipients => "is encrypted for age keys; name the file with the private key",
    })]
    OtherProtection {
        /// Which file.
        path: PathBuf,
        /// How it is protected.
        kind: Kind,
    },
    /// The passphrase or the private key is wrong.
    #[error("what was given does not open the vault: a wrong passphrase, or another private key")]
    NotOpened,
    /// It was changed or cut off.
    #[error("the vault is damaged")]
    Damaged,
    /// A line of it makes no sense.
    #[error("the vault cannot be understood: line {line}: {message}")]
    Malformed {
        /// The line, from 1; 0 where it is not known.
        line: usize,
        /// What is wrong, without values.
        message: String,
    },
    /// It was written by another version of this program.
    #[error("the vault has version {found}; this program knows version 1")]
    Version {
        /// Its version.
        found: u32,
    },
    /// It cannot be put into words.
    #[error("the vault cannot be encoded")]
    Encode,
    /// A recipient in it is none.
    #[error("the vault names a recipient that is no public key of age (age1…)")]
    Recipient,
    /// A private key cannot be read.
    #[error("line {line} is no private key of age (AGE-SECRET-KEY-1…)")]
    Identity {
        /// Which line, from 1.
        line: usize,
    },
    /// There is no private key in the file.
    #[error("there is no private key of age (AGE-SECRET-KEY-1…) in the file")]
    NoIdentity,
}

impl From<age::DecryptError> for FileError {
    fn from(error: age::DecryptError) -> Self {
        use age::DecryptError as Why;
        match error {
            Why::DecryptionFailed | Why::NoMatchingKeys | Why::KeyDecryptionFailed => Self::NotOpened,
            _ => Self::Damaged,
        }
    }
}

const AGE: &[u8] = b"age-encryption.org/";
/// As age's own tool has it: about a second on a computer of 2020.
const WORK_FACTOR: u8 = 18;
/// Vaults made with more are not ours, and would keep a small computer busy for minutes.
const MAX_WORK_FACTOR: u8 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn vault() -> Vault {
        let mut vault = Vault::new().unwrap();
        vault.put(Some(7), "slot-1.aes-key", SecretText::new("c0ffee".into())).unwrap();
        vault
    }

    #[test]
    fn each_protection_round_trips_and_hides() {
        let folder = tempfile::tempdir().unwrap();
        let (identity, text, recipient) = Opener::draw();
        assert!(Opener::is_recipient(&recipient) && !Opener::is_recipient("age1x"));
        let again = || Opener::identities(text.expose()).unwrap();
        let passphrase = || Opener::Passphrase(SecretText::new("correct horse".into()));
        for (name, first, second, hidden) in [
            ("plain", Opener::Plain, Opener::Plain, false),
            ("recipient", identity, again(), true),
            ("passphrase", passphrase(), passphrase(), true),
        ] {
            let path = folder.path().join(name);
            drop(VaultFile::create(&path, first, vault()).unwrap());
            let bytes = fs::read(&path).unwrap();
            assert_eq!(hidden, !String::from_utf8_lossy(&bytes).contains("c0ffee"), "{name}");
            let file = VaultFile::open(&path, second).unwrap();
            assert_eq!(file.vault.find(7, "slot-1.aes-key").unwrap().expose(), "c0ffee", "{name}");
        }
        let wrong = Opener::Passphrase(SecretText::new("battery staple".into()));
        let path = folder.path().join("passphrase");
        assert!(matches!(VaultFile::open(&path, wrong), Err(FileError::NotOpened)));
        let path = folder.path().join("recipient");
        assert!(matches!(VaultFile::open(&path, Opener::draw().0), Err(FileError::NotOpened)));
        assert!(matches!(VaultFile::open(&path, Opener::Plain), Err(FileError::OtherProtection { .. })));
    }

    #[test]
    fn a_second_recipient_can_open_it_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault");
        let (first, _, _) = Opener::draw();
        let (second, _, recipient) = Opener::draw();
        let mut vault = vault();
        vault.add_recipient(recipient);
        drop(VaultFile::create(&path, first, vault).unwrap());
        assert!(VaultFile::open(&path, second).is_ok());
    }

    #[test]
    fn two_processes_do_not_write_one_vault() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault");
        let file = VaultFile::create(&path, Opener::Plain, vault()).unwrap();
        assert!(matches!(VaultFile::open(&path, Opener::Plain), Err(FileError::InUse { .. })));
        drop(file);
        assert!(matches!(VaultFile::create(&path, Opener::Plain, vault()), Err(FileError::Exists { .. })));
        assert!(VaultFile::open(&path, Opener::Plain).is_ok());
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_reads_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault");
        drop(VaultFile::create(&path, Opener::Plain, vault()).unwrap());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(VaultFile::open(&path, Opener::Plain), Err(FileError::Readable { .. })));
    }

    #[test]
    fn a_writing_that_fails_leaves_the_old_vault() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("vault");
        let mut file = VaultFile::create(&path, Opener::Plain, vault()).unwrap();
        // Something stands where the new text is written first.
        fs::create_dir(folder.path().join("vault.tmp")).unwrap();
        file.vault.put(None, "new", SecretText::new("x".into())).unwrap();
        assert!(matches!(file.save(), Err(FileError::Write { .. })));
        drop(file);
        assert_eq!(VaultFile::open(&path, Opener::Plain).unwrap().vault.of_all("new"), None);
    }
}
