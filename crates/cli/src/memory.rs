//! What Tapkey remembers of the slots that it programmed: enough to say later what is in them, and no
//! secret. A key itself tells next to nothing.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use tapkey_api::keys::Key;
use tapkey_protocol::{
    otp::{AesKey, PrivateId, PublicId},
    secret::Secret,
    slot::{
        AccessCode, ConfigFlags, ExtendedFlags, HmacKey, Options, Slot, SlotConfig, SlotKind, SlotRecord,
        TicketFlags, YubicoOtp,
    },
};
use zeroize::Zeroizing;

use crate::{
    config,
    encode::{hex, random},
    exit::Failure,
    output::Printer,
    secrets::private,
};

/// What is remembered of one slot.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Remembered {
    /// What it does, in the words of [`SlotKind::name`].
    pub(crate) kind: String,
    /// The public id of a Yubico OTP credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) public_id: Option<String>,
    /// The flags as they were written.
    pub(crate) ticket_flags: u8,
    /// Likewise.
    pub(crate) config_flags: u8,
    /// Likewise.
    pub(crate) extended_flags: u8,
    /// Whether the slot got an access code.
    pub(crate) access_code: bool,
    /// When it was programmed, in UTC.
    pub(crate) at: String,
    /// By which command.
    pub(crate) by: String,
    /// Of an HMAC-SHA1 slot: a keyed hash of what it answers to the challenge of [`Prints`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) answer: Option<String>,
}

impl Remembered {
    /// What will be remembered of a slot that is programmed with this record.
    pub(crate) fn of(record: &SlotRecord, by: &str, prints: Option<&Prints>) -> Self {
        let kind = record.kind();
        let public_id = (kind == SlotKind::YubicoOtp)
            .then(|| PublicId::new(record.fixed_part()).ok())
            .flatten()
            .map(|id| id.to_string());
        let answer = match kind {
            SlotKind::ChallengeHmac { variable_length, .. } => prints.and_then(|prints| {
                let key = HmacKey::new(*record.hmac_key().expose());
                key.respond(&prints.challenge(), variable_length).ok().map(|answer| prints.print(&answer))
            }),
            _ => None,
        };
        Self {
            kind: kind.name().to_owned(),
            public_id,
            ticket_flags: record.ticket.0,
            config_flags: record.config.0,
            extended_flags: record.extended.0,
            access_code: !record.access_code.is_none(),
            at: now(),
            by: by.to_owned(),
            answer,
        }
    }

    /// What the flags say that the slot does.
    pub(crate) const fn slot_kind(&self) -> SlotKind {
        SlotKind::of(TicketFlags(self.ticket_flags), ConfigFlags(self.config_flags))
    }

    /// The settings.
    pub(crate) fn options(&self) -> Options {
        Options::of_flags(
            TicketFlags(self.ticket_flags),
            ConfigFlags(self.config_flags),
            ExtendedFlags(self.extended_flags),
        )
    }

    /// Takes an update over.
    pub(crate) fn update(&mut self, options: &Options, access_code: &AccessCode) {
        let updated = TicketFlags(self.ticket_flags).without(TicketFlags::UPDATABLE) | options.ticket_flags();
        self.ticket_flags = updated.0;
        if !self.slot_kind().is_challenge_response() {
            let config = ConfigFlags(self.config_flags).without(ConfigFlags::UPDATABLE);
            self.config_flags = (config | options.pacing.flags()).0;
        }
        self.extended_flags = options.extended_flags().0;
        self.access_code = !access_code.is_none();
    }
}

/// What is remembered of a key.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Memory {
    format: String,
    version: u32,
    serial: u32,
    slot_1: Option<Remembered>,
    slot_2: Option<Remembered>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ndef: Option<RememberedTag>,
}

/// What the key says as an NFC tag.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct RememberedTag {
    /// The slot whose password is appended.
    pub(crate) slot: u8,
    /// What stands in front; `None` for what the key came with.
    pub(crate) prefix: Option<String>,
    /// When it was set, in UTC.
    pub(crate) at: String,
}

impl Memory {
    /// What is remembered of the key with this serial number; nothing of one that was never seen.
    pub(crate) fn load(serial: u32) -> Result<Self, Failure> {
        let path = path(serial)?;
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::empty(serial)),
            Err(error) => return Err(unusable(&path, &error)),
        };
        let memory: Self = serde_json::from_str(&text).map_err(|error| unusable(&path, &error))?;
        if memory.format != FORMAT || memory.version != VERSION || memory.serial != serial {
            return Err(unusable(&path, &"it is of another program, version or key"));
        }
        Ok(memory)
    }

    fn empty(serial: u32) -> Self {
        Self { format: FORMAT.to_owned(), version: VERSION, serial, slot_1: None, slot_2: None, ndef: None }
    }

    /// What is remembered of a slot.
    pub(crate) const fn slot(&self, slot: Slot) -> Option<&Remembered> {
        match slot {
            Slot::One => self.slot_1.as_ref(),
            Slot::Two => self.slot_2.as_ref(),
        }
    }

    /// The same, to be changed.
    pub(crate) const fn slot_mut(&mut self, slot: Slot) -> &mut Option<Remembered> {
        match slot {
            Slot::One => &mut self.slot_1,
            Slot::Two => &mut self.slot_2,
        }
    }

    /// What the key says as an NFC tag.
    pub(crate) const fn ndef(&self) -> Option<&RememberedTag> {
        self.ndef.as_ref()
    }

    /// Remembers what it says as an NFC tag from now on.
    pub(crate) fn set_ndef(&mut self, slot: Slot, prefix: Option<String>) {
        self.ndef = Some(RememberedTag { slot: slot.number(), prefix, at: now() });
    }

    /// Exchanges the slots.
    pub(crate) const fn swap(&mut self) {
        std::mem::swap(&mut self.slot_1, &mut self.slot_2);
    }

    /// Writes it down: whole or not at all, for its owner alone.
    pub(crate) fn save(&self) -> Result<(), Failure> {
        let path = path(self.serial)?;
        let document = serde_json::to_string_pretty(self).map_err(|error| unusable(&path, &error))?;
        let folder = path.parent().unwrap_or(Path::new("."));
        let written = fs::create_dir_all(folder)
            .and_then(|()| tempfile::NamedTempFile::new_in(folder))
            .and_then(|mut file| file.write_all(document.as_bytes()).map(|()| file))
            .and_then(|file| file.persist(&path).map_err(|error| error.error));
        written.map(|_| ()).map_err(|error| unusable(&path, &error))
    }
}

/// Remembers a change of a key. That this fails does not make the change undone, so it is only said.
pub(crate) fn note(serial: Option<u32>, printer: &Printer, change: impl FnOnce(&mut Memory)) {
    let Some(serial) = serial else { return };
    let outcome = Memory::load(serial).and_then(|mut memory| {
        change(&mut memory);
        memory.save()
    });
    if let Err(failure) = outcome {
        printer.warn(format!("what was done will not be remembered: {}", failure.message()));
    }
}

/// Remembers a credential that a server drew and this program wrote.
pub(crate) fn note_enrolled(key: &Key, printer: &Printer) {
    let (Ok(slot), Ok(public_id)) = (Slot::try_from(key.slot), key.public_id.parse::<PublicId>()) else {
        return;
    };
    let version = key.firmware.as_deref().and_then(|text| text.parse().ok()).unwrap_or_default();
    let written = YubicoOtp {
        public_id,
        // Nothing of secrets is remembered, so any will do.
        private_id: PrivateId::new([0; 6]),
        key: AesKey::new([0; 16]),
        send_reference: false,
        options: Options::for_typing().fitted_to(version),
        access_code: if key.has_access_code { AccessCode::new([1; 6]) } else { AccessCode::NONE },
    };
    let remembered = Remembered::of(&written.record(), "enroll", None);
    note(key.serial, printer, |memory| *memory.slot_mut(slot) = Some(remembered));
}

/// Turns answers of HMAC-SHA1 slots into something that tells nothing without a key of this machine, and
/// with it only whether two answers are the same.
///
/// The challenge too is made of that key: it is like no challenge that another program asks, and an
/// answer to it opens nothing.
pub(crate) struct Prints(Secret<32>);

impl Prints {
    /// With the key of this machine, which is made when it is first needed.
    pub(crate) fn open() -> Result<Self, Failure> {
        let path = folder()?.join("fingerprint.key");
        match read_key(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unusable(&path, &error)),
            Ok(key) => return Ok(Self(key)),
        }
        let drawn = random::<32>()?;
        let made = fs::create_dir_all(folder()?)
            .and_then(|()| private(fs::OpenOptions::new().write(true).create_new(true)).open(&path))
            .and_then(|mut file| file.write_all(drawn.as_slice()).and_then(|()| file.sync_all()));
        match made {
            Ok(()) => Ok(Self(Secret::new(*drawn))),
            // Another process was quicker.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                read_key(&path).map(Self).map_err(|error| unusable(&path, &error))
            }
            Err(error) => Err(unusable(&path, &error)),
        }
    }

    /// What a slot is asked.
    pub(crate) fn challenge(&self) -> [u8; 32] {
        self.mac(b"tapkey slot challenge")
    }

    /// What is kept of an answer.
    pub(crate) fn print(&self, answer: &Secret<20>) -> String {
        let mut text = Zeroizing::new(b"tapkey slot answer".to_vec());
        text.extend_from_slice(answer.expose());
        hex(&self.mac(&text)[..16])
    }

    /// What is kept of a line of a list.
    pub(crate) fn line(&self, line: &[u8]) -> String {
        let mut text = Zeroizing::new(b"tapkey list line".to_vec());
        text.extend_from_slice(line);
        hex(&self.mac(&text)[..16])
    }

    fn mac(&self, text: &[u8]) -> [u8; 32] {
        // HMAC takes keys of every length, so the error cannot occur.
        Hmac::<Sha256>::new_from_slice(self.0.expose())
            .map(|mac| mac.chain_update(text).finalize().into_bytes().into())
            .unwrap_or_default()
    }
}

fn read_key(path: &Path) -> io::Result<Secret<32>> {
    let mut key = Zeroizing::new([0; 32]);
    fs::File::open(path)?.read_exact(key.as_mut_slice())?;
    Ok(Secret::new(*key))
}

fn folder() -> Result<PathBuf, Failure> {
    Ok(config::state_folder()?.join("slots"))
}

fn path(serial: u32) -> Result<PathBuf, Failure> {
    Ok(folder()?.join(format!("{serial}.json")))
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::failed(format!("{} cannot be used: {error}", path.display()))
        .hint("it holds no secret; remove it, and Tapkey forgets what it knew of this key's slots")
}

/// The time, in UTC.
pub(crate) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

const FORMAT: &str = "tapkey-slots";
const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use tapkey_protocol::slot::ChallengeHmac;

    use super::*;

    fn record(options: Options) -> SlotRecord {
        ChallengeHmac {
            key: HmacKey::new([0x5A; 20]),
            variable_length: true,
            require_touch: false,
            options,
            access_code: AccessCode::new([0xA5; 6]),
        }
        .record()
    }

    #[test]
    fn no_secret_is_remembered() {
        let prints = Prints(Secret::new([7; 32]));
        let remembered = Remembered::of(&record(Options::for_challenges()), "test", Some(&prints));
        let text = serde_json::to_string(&remembered).unwrap();
        assert!(!text.contains("5a5a") && !text.contains("a5a5"), "{text}");
        let answer = HmacKey::new([0x5A; 20]).respond(&prints.challenge(), true).unwrap();
        assert!(!text.contains(&hex(answer.expose())), "{text}");
        assert_eq!(remembered.answer, Some(prints.print(&answer)));
        // On another machine the same answer looks different.
        let elsewhere = Prints(Secret::new([8; 32]));
        assert_ne!(prints.print(&answer), elsewhere.print(&answer));
        assert_ne!(prints.challenge(), elsewhere.challenge());
    }

    #[test]
    fn an_update_keeps_what_the_slot_does() {
        let mut remembered = Remembered::of(&record(Options::for_challenges()), "test", None);
        let before = remembered.slot_kind();
        remembered.update(&Options { dormant: true, ..Options::for_typing() }, &AccessCode::NONE);
        assert_eq!(remembered.slot_kind(), before);
        assert!(remembered.options().dormant && !remembered.access_code);
    }
}
