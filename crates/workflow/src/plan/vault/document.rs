//! A vault as a TOML text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tapkey_protocol::slot::Slot;

use super::{KeyEntry, SecretText, Vault, file::FileError};
use crate::plan::memory::{AccountMemory, Memory, Remembered, SlotMemory};
use crate::plan::toml_text;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Document {
    version: u32,
    fingerprint_key: SecretText,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    recipients: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    shared: BTreeMap<String, SecretText>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    keys: BTreeMap<String, Key>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Key {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    lock_codes: Vec<SecretText>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    oath_passwords: Vec<SecretText>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    secrets: BTreeMap<String, SecretText>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    slots: BTreeMap<String, Item>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    accounts: BTreeMap<String, Item>,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Item {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    applied: Option<Entry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    writing: Option<Entry>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Entry {
    kind: String,
    at: String,
    fingerprint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sequence: Option<u8>,
    #[serde(default)]
    flags: [u8; 3],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    access_code: Option<SecretText>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    challenge: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    response: Option<SecretText>,
    #[serde(default)]
    touch: bool,
}

impl Serialize for SecretText {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

impl Vault {
    /// The text of the vault, every secret in it.
    pub(super) fn write(&self) -> Result<SecretText, FileError> {
        let keys = self.keys.iter().map(|(serial, key)| (serial.to_string(), Key::of(key))).collect();
        let document = Document {
            version: VERSION,
            fingerprint_key: self.fingerprint_key.clone(),
            recipients: self.recipients.clone(),
            shared: self.shared.clone(),
            keys,
        };
        toml::to_string(&document).map(SecretText::new).map_err(|_| FileError::Encode)
    }

    /// Reads the text of a vault. Errors name lines and never repeat what stands there.
    pub(super) fn read(text: &str) -> Result<Self, FileError> {
        let document: Document = toml::from_str(text).map_err(|error| {
            let (line, message) = toml_text::explain(text, &error);
            FileError::Malformed { line, message }
        })?;
        if document.version != VERSION {
            return Err(FileError::Version { found: document.version });
        }
        let mut keys = BTreeMap::new();
        for (serial, key) in document.keys {
            let serial: u32 = serial.parse().map_err(|_| FileError::Malformed {
                line: 0,
                message: "a key is named by something that is no serial number".to_owned(),
            })?;
            keys.insert(serial, key.into_entry()?);
        }
        Ok(Self {
            fingerprint_key: document.fingerprint_key,
            recipients: document.recipients,
            shared: document.shared,
            keys,
        })
    }
}

impl Key {
    fn of(entry: &KeyEntry) -> Self {
        let slots = Slot::ALL
            .into_iter()
            .map(|slot| (slot, entry.memory.slot(slot)))
            .filter(|(_, memory)| **memory != SlotMemory::default())
            .map(|(slot, memory)| (slot.to_string(), Item::of(&memory.applied, &memory.writing)))
            .collect();
        let accounts = entry
            .memory
            .accounts
            .iter()
            .map(|(name, memory)| (name.clone(), Item::of(&memory.applied, &memory.writing)))
            .collect();
        Self {
            lock_codes: entry.memory.lock_codes.clone(),
            oath_passwords: entry.memory.oath_passwords.clone(),
            secrets: entry.secrets.clone(),
            slots,
            accounts,
        }
    }

    fn into_entry(self) -> Result<KeyEntry, FileError> {
        let mut memory =
            Memory { lock_codes: self.lock_codes, oath_passwords: self.oath_passwords, ..Memory::default() };
        for (number, item) in self.slots {
            let slot: Slot = number.parse().map_err(|_| FileError::Malformed {
                line: 0,
                message: "there is a slot other than 1 and 2".to_owned(),
            })?;
            *memory.slot_mut(slot) =
                SlotMemory { applied: item.applied.map(Into::into), writing: item.writing.map(Into::into) };
        }
        for (name, item) in self.accounts {
            let account = AccountMemory {
                applied: item.applied.map(Into::into),
                writing: item.writing.map(Into::into),
            };
            memory.accounts.insert(name, account);
        }
        Ok(KeyEntry { secrets: self.secrets, memory })
    }
}

impl Item {
    fn of(applied: &Option<Remembered>, writing: &Option<Remembered>) -> Self {
        Self { applied: applied.as_ref().map(Entry::of), writing: writing.as_ref().map(Entry::of) }
    }
}

impl Entry {
    fn of(remembered: &Remembered) -> Self {
        let (challenge, response) = remembered.proof.clone().unzip();
        Self {
            kind: remembered.kind.clone(),
            at: remembered.at.clone(),
            fingerprint: remembered.fingerprint.clone(),
            sequence: remembered.sequence,
            flags: remembered.flags,
            access_code: remembered.access_code.clone(),
            challenge,
            response,
            touch: remembered.touch,
        }
    }
}

impl From<Entry> for Remembered {
    fn from(entry: Entry) -> Self {
        Self {
            kind: entry.kind,
            at: entry.at,
            sequence: entry.sequence,
            fingerprint: entry.fingerprint,
            flags: entry.flags,
            access_code: entry.access_code,
            proof: entry.challenge.zip(entry.response),
            touch: entry.touch,
        }
    }
}

const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_text() -> impl Strategy<Value = SecretText> {
        "[ -~]{0,20}".prop_map(SecretText::new)
    }

    prop_compose! {
        fn any_remembered()(
            kind in "[a-z ]{1,10}", at in "[0-9TZ:-]{0,20}", fingerprint in "[0-9a-f]{32}",
            sequence: Option<u8>, flags: [u8; 3], code in proptest::option::of(any_text()),
            proof in proptest::option::of(("[0-9a-f]{8}", any_text())), touch: bool,
        ) -> Remembered {
            Remembered { kind, at, sequence, fingerprint, flags, access_code: code, proof, touch }
        }
    }

    prop_compose! {
        fn any_vault()(
            fingerprint_key in any_text(),
            shared in proptest::collection::btree_map("[a-z.:-]{1,12}", any_text(), 0..4),
            secrets in proptest::collection::btree_map("[a-z.:-]{1,12}", any_text(), 0..4),
            serial: u32,
            codes in proptest::collection::vec(any_text(), 0..3),
            applied in proptest::option::of(any_remembered()),
            writing in proptest::option::of(any_remembered()),
        ) -> Vault {
            let mut memory = Memory { lock_codes: codes.clone(), oath_passwords: codes, ..Memory::default() };
            memory.slots[1] = SlotMemory { applied: applied.clone(), writing: writing.clone() };
            memory.accounts.insert("Example:alice".to_owned(), AccountMemory { applied, writing });
            Vault { fingerprint_key, recipients: vec!["age1x".into()], shared,
                keys: BTreeMap::from([(serial, KeyEntry { secrets, memory })]) }
        }
    }

    proptest! {
        #[test]
        fn round_trip(vault in any_vault()) {
            let text = vault.write().unwrap();
            prop_assert_eq!(Vault::read(text.expose()).unwrap(), vault);
        }

        #[test]
        fn reading_never_panics(text in "\\PC{0,200}") {
            let _ = Vault::read(&text);
            let _ = Vault::read(&format!("version = 1\nfingerprint-key = \"x\"\n{text}"));
        }
    }

    #[test]
    fn errors_name_the_line_and_no_secret() {
        let text = "version = 1\nfingerprint-key = \"x\"\n[shared]\ncode = 112233445566\n";
        let error = Vault::read(text).unwrap_err().to_string();
        assert!(error.contains("line 4") && !error.contains("112233"), "{error}");
    }
}
