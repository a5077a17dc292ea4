//! The vault: the secrets of keys by serial number and name, and what was applied to each key.
//!
//! What a slot holds cannot be read back, and a code that only the key knows locks everybody out. So
//! everything that [`apply`](super::apply) gives to a key stands in the vault first, on the disk, and
//! what was given is remembered there.

mod document;
mod file;

use std::collections::BTreeMap;
use std::fmt;

use subtle_eq::same;
use tapkey_protocol::slot::{AccessCode, Slot};
use thiserror::Error;
use zeroize::{Zeroize, ZeroizeOnDrop};

pub use file::{FileError, Kind, Lock, Opener, VaultFile};

use super::memory::{Memory, Remembered, SlotMemory};

/// A secret as text: hexadecimal digits, a password, an `otpauth` URI.
#[derive(Clone, Default, Zeroize, ZeroizeOnDrop)]
pub struct SecretText(String);

impl SecretText {
    /// Takes the text over.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself; name every use of this in review.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretText(…)")
    }
}

impl PartialEq for SecretText {
    fn eq(&self, other: &Self) -> bool {
        same(self.0.as_bytes(), other.0.as_bytes())
    }
}

impl Eq for SecretText {}

/// Everything a vault holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Vault {
    /// What fingerprints are made with, so that they tell nothing without the vault.
    pub(super) fingerprint_key: SecretText,
    /// Who can open the file beside the one who makes it, as age recipients.
    pub(super) recipients: Vec<String>,
    /// Secrets that belong to no key in particular.
    pub(super) shared: BTreeMap<String, SecretText>,
    /// By serial number.
    pub(super) keys: BTreeMap<u32, KeyEntry>,
}

/// What the vault holds of one key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct KeyEntry {
    pub(super) secrets: BTreeMap<String, SecretText>,
    pub(super) memory: Memory,
}

impl Vault {
    /// An empty vault.
    ///
    /// # Errors
    /// [`VaultError::Random`] when the system gives no random bytes.
    pub fn new() -> Result<Self, VaultError> {
        Ok(Self {
            fingerprint_key: SecretText::new(random_hex::<32>()?),
            recipients: Vec::new(),
            shared: BTreeMap::new(),
            keys: BTreeMap::new(),
        })
    }

    /// A secret of a key, or a shared one where the key has none of that name.
    #[must_use]
    pub fn find(&self, serial: u32, name: &str) -> Option<&SecretText> {
        self.of_key(serial, name).or_else(|| self.shared.get(name))
    }

    /// A secret of this key alone.
    #[must_use]
    pub fn of_key(&self, serial: u32, name: &str) -> Option<&SecretText> {
        self.keys.get(&serial)?.secrets.get(name)
    }

    /// A secret that belongs to no key in particular.
    #[must_use]
    pub fn of_all(&self, name: &str) -> Option<&SecretText> {
        self.shared.get(name)
    }

    /// Puts a secret in, of one key or of all; what had its name is replaced.
    ///
    /// # Errors
    /// [`VaultError::Name`] for a name that could not be written in a job file.
    pub fn put(&mut self, serial: Option<u32>, name: &str, secret: SecretText) -> Result<(), VaultError> {
        if !is_name(name) {
            return Err(VaultError::Name);
        }
        match serial {
            Some(serial) => self.keys.entry(serial).or_default().secrets.insert(name.to_owned(), secret),
            None => self.shared.insert(name.to_owned(), secret),
        };
        Ok(())
    }

    /// The names there are, each with the serial number it belongs to.
    pub fn names(&self) -> impl Iterator<Item = (Option<u32>, &str)> {
        let shared = self.shared.keys().map(|name| (None, name.as_str()));
        let own = self
            .keys
            .iter()
            .flat_map(|(serial, key)| key.secrets.keys().map(move |name| (Some(*serial), name.as_str())));
        shared.chain(own)
    }

    /// What was applied to the keys, one line for each thing.
    pub fn applied(&self) -> impl Iterator<Item = (u32, String, &Remembered)> {
        self.keys.iter().flat_map(|(serial, key)| {
            key.memory.all().map(move |(subject, remembered)| (*serial, subject, remembered))
        })
    }

    /// What is remembered of a key.
    pub(super) fn memory(&self, serial: u32) -> Memory {
        self.keys.get(&serial).map(|key| key.memory.clone()).unwrap_or_default()
    }

    pub(super) fn memory_mut(&mut self, serial: u32) -> &mut Memory {
        &mut self.keys.entry(serial).or_default().memory
    }

    /// Whether an access code of a slot stands here, so that it is not lost when the key has it.
    #[must_use]
    pub fn holds_access_code(&self, serial: u32, slot: Slot, code: &AccessCode) -> bool {
        self.keys.get(&serial).is_some_and(|key| {
            let given = key.secrets.get(&given_code(slot)).and_then(|text| text.expose().parse().ok());
            key.memory.slot(slot).codes().chain(given).any(|known: AccessCode| known == *code)
        })
    }

    /// Slots that are empty now: what was given to them is history. Whether that is news.
    pub(super) fn see_empty(&mut self, serial: u32, empty: &[Slot], now: &str) -> bool {
        let mut changed = false;
        for slot in empty {
            let memory = self.memory_mut(serial).slot_mut(*slot);
            let known = memory.applied.as_ref().is_some_and(Remembered::is_emptied);
            if !known || memory.writing.is_some() {
                *memory = SlotMemory { applied: Some(Remembered::emptied(now)), writing: None };
                changed = true;
            }
        }
        changed
    }

    /// Keeps the code that a slot has already, where the job brought it.
    pub(super) fn remember_code(&mut self, serial: u32, slot: Slot, code: &AccessCode) {
        let text = SecretText::new(data_encoding::HEXLOWER.encode(code.expose()));
        self.keys.entry(serial).or_default().secrets.insert(given_code(slot), text);
    }

    /// Adds who can open the file from its next writing on.
    pub fn add_recipient(&mut self, recipient: String) {
        if !self.recipients.contains(&recipient) {
            self.recipients.push(recipient);
        }
    }
}

/// What is wrong with a vault or a request to it.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum VaultError {
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
    /// A secret cannot have this name.
    #[error("a name in the vault has 1 to 100 printable characters, without quotes and backslashes")]
    Name,
}

fn given_code(slot: Slot) -> String {
    format!("slot-{slot}.current-access-code")
}

/// Whether a name can stand after `vault:`.
pub(super) fn is_name(name: &str) -> bool {
    let fits = |c: char| !c.is_control() && !matches!(c, '"' | '\\');
    !name.trim().is_empty() && name.trim() == name && name.chars().count() <= 100 && name.chars().all(fits)
}

/// Random bytes in hexadecimal digits.
pub(super) fn random_hex<const N: usize>() -> Result<String, VaultError> {
    let mut bytes = zeroize::Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(|_| VaultError::Random)?;
    Ok(data_encoding::HEXLOWER.encode(bytes.as_slice()))
}

mod subtle_eq {
    use tapkey_protocol::secret::SecretBytes;

    /// Compares in constant time.
    pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
        SecretBytes::new(one.to_vec()) == SecretBytes::new(other.to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_s_own_secret_goes_before_a_shared_one() {
        let mut vault = Vault::new().unwrap();
        vault.put(None, "totp", SecretText::new("shared".into())).unwrap();
        vault.put(Some(7), "totp", SecretText::new("own".into())).unwrap();
        assert_eq!(vault.find(7, "totp").unwrap().expose(), "own");
        assert_eq!(vault.find(8, "totp").unwrap().expose(), "shared");
        assert_eq!(vault.find(8, "other"), None);
        assert_eq!(vault.names().collect::<Vec<_>>(), [(None, "totp"), (Some(7), "totp")]);
    }

    #[test]
    fn names_that_could_not_be_written_are_refused() {
        let mut vault = Vault::new().unwrap();
        for name in ["", " ", " a", "a\"b", "a\nb", &"x".repeat(101)] {
            assert_eq!(vault.put(None, name, SecretText::default()), Err(VaultError::Name), "{name:?}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let mut vault = Vault::new().unwrap();
        vault.put(Some(7), "slot-1.aes-key", SecretText::new("c0ffee".into())).unwrap();
        let text = format!("{vault:?}");
        assert!(!text.contains("c0ffee") && !text.contains(vault.fingerprint_key.expose()), "{text}");
    }
}
