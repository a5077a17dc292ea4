//! The state of a key, and the JSON document it is stored as.
//!
//! The document carries a format name and a version. A change of what it means raises the version;
//! a newer version than this program knows is refused, not guessed at.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use tapkey_protocol::management::{Capabilities, LockCode};
use tapkey_protocol::otp::UseCounter;
use tapkey_protocol::secret::{Secret, SecretBytes};
use tapkey_protocol::slot::{Ndef, NdefType, ScanMap, Slot, SlotRecord};

use super::oath::{OathDocument, OathState};
use super::piv::{self, PivState};
use super::slot::SlotState;
use super::{StateError, hex};
use crate::key::EMULATED_SERIALS;
use crate::profile::Profile;

/// Everything a key remembers without power.
#[derive(Clone, Debug)]
pub(crate) struct KeyState {
    pub(crate) profile: Profile,
    pub(crate) serial: u32,
    pub(crate) slots: [Option<SlotState>; 2],
    pub(crate) scan_map: ScanMap,
    pub(crate) tag: Tag,
    pub(crate) settings: Settings,
    pub(crate) oath: OathState,
    /// `None` until the application is selected for the first time.
    pub(crate) piv: Option<PivState>,
}

/// What the NFC tag says, and for which slot.
#[derive(Clone, Debug)]
pub(crate) struct Tag {
    pub(crate) slot: Slot,
    pub(crate) ndef: Ndef,
}

/// What the management application changes.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) usb_enabled: Capabilities,
    pub(crate) nfc_enabled: Capabilities,
    /// Seconds; 0 for never.
    pub(crate) auto_eject_timeout: u16,
    /// Seconds that a challenge waits for a touch; 0 for the default.
    pub(crate) challenge_timeout: u8,
    pub(crate) flags: u8,
    pub(crate) lock_code: Option<LockCode>,
    pub(crate) nfc_restricted: bool,
    /// Set in the factory: PINs that everybody tries first are refused.
    pub(crate) pin_complexity: bool,
}

impl KeyState {
    /// A key as it comes: empty slots, everything switched on.
    pub(crate) fn new(profile: Profile, serial: u32) -> Self {
        Self {
            profile,
            serial,
            slots: [None, None],
            scan_map: ScanMap::DEFAULT,
            tag: Tag { slot: Slot::One, ndef: Ndef::factory() },
            settings: Settings {
                usb_enabled: profile.usb_supported(),
                nfc_enabled: profile.nfc_supported().unwrap_or(Capabilities::NONE),
                auto_eject_timeout: 0,
                challenge_timeout: 15,
                flags: 0,
                lock_code: None,
                nfc_restricted: false,
                pin_complexity: false,
            },
            oath: OathState::default(),
            piv: None,
        }
    }

    pub(crate) fn slot(&self, slot: Slot) -> Option<&SlotState> {
        match (slot, &self.slots) {
            (Slot::One, [state, _]) | (Slot::Two, [_, state]) => state.as_ref(),
        }
    }

    pub(crate) fn slot_mut(&mut self, slot: Slot) -> &mut Option<SlotState> {
        match (slot, &mut self.slots) {
            (Slot::One, [state, _]) | (Slot::Two, [_, state]) => state,
        }
    }
}

/// Reads a document.
///
/// # Errors
/// [`StateError::Unreadable`] with the place in the document.
pub(crate) fn parse(document: &[u8], location: &str) -> Result<KeyState, StateError> {
    let document: Document = serde_json::from_slice(document).map_err(|source| StateError::Unreadable {
        location: location.to_owned(),
        line: source.line(),
        column: source.column(),
        source,
    })?;
    Ok(document.into())
}

/// Writes a document.
///
/// # Errors
/// [`StateError::Serialize`], which does not happen with what a key can hold.
pub(crate) fn write(state: &KeyState) -> Result<SecretBytes, StateError> {
    // Room for all of it at once: growing would leave copies of secrets behind in memory.
    let piv = state.piv.as_ref().map_or(0, piv::document_size);
    let mut document = Vec::with_capacity(8192 + state.oath.credentials.len() * 1024 + piv);
    serde_json::to_writer_pretty(&mut document, &Document::from(state)).map_err(StateError::Serialize)?;
    document.push(b'\n');
    Ok(SecretBytes::new(document))
}

const FORMAT: &str = "tapkey-emulated-key";
const VERSION: u32 = 1;

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(deserialize_with = "format_name")]
    format: String,
    #[serde(deserialize_with = "format_version")]
    version: u32,
    #[serde(deserialize_with = "profile_name")]
    profile: String,
    #[serde(deserialize_with = "serial_number")]
    serial: u32,
    slot_1: Option<SlotDocument>,
    slot_2: Option<SlotDocument>,
    #[serde(with = "hex")]
    scan_map: [u8; ScanMap::SIZE],
    ndef: TagDocument,
    settings: SettingsDocument,
    /// Missing in documents of keys whose OATH application was never used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    oath: Option<OathDocument>,
    /// Missing likewise.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "piv::write",
        deserialize_with = "piv::read"
    )]
    piv: Option<PivState>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SlotDocument {
    #[serde(serialize_with = "write_record", deserialize_with = "read_record")]
    record: SlotRecord,
    #[serde(deserialize_with = "use_counter")]
    use_counter: u16,
    moving_factor: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct TagDocument {
    slot: SlotNumber,
    kind: TagKind,
    #[serde(deserialize_with = "tag_data")]
    data: Vec<u8>,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum TagKind {
    Uri,
    Text,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
enum SlotNumber {
    #[serde(rename = "1")]
    One,
    #[serde(rename = "2")]
    Two,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct SettingsDocument {
    usb_enabled: u16,
    nfc_enabled: u16,
    auto_eject_timeout: u16,
    challenge_timeout: u8,
    flags: u8,
    lock_code: Option<LockCodeDocument>,
    nfc_restricted: bool,
    /// Missing in documents of keys without it.
    #[serde(default, skip_serializing_if = "is_false")]
    pin_complexity: bool,
}

#[derive(Deserialize, Serialize)]
#[serde(transparent)]
struct LockCodeDocument(#[serde(serialize_with = "write_lock", deserialize_with = "read_lock")] LockCode);

// Serde calls it with a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
const fn is_false(value: &bool) -> bool {
    !*value
}

fn write_record<S: serde::Serializer>(record: &SlotRecord, serializer: S) -> Result<S::Ok, S::Error> {
    hex::serialize(record.encode().expose(), serializer)
}

/// A record carries a checksum of its own, so damage in it is noticed.
fn read_record<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SlotRecord, D::Error> {
    let bytes = Secret::new(hex::deserialize::<_, { SlotRecord::SIZE }>(deserializer)?);
    SlotRecord::parse(bytes.expose()).map_err(D::Error::custom)
}

fn write_lock<S: serde::Serializer>(code: &LockCode, serializer: S) -> Result<S::Ok, S::Error> {
    hex::serialize(code.expose(), serializer)
}

fn read_lock<'de, D: Deserializer<'de>>(deserializer: D) -> Result<LockCode, D::Error> {
    hex::deserialize::<_, 16>(deserializer).map(Secret::new)
}

fn format_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    if name == FORMAT { Ok(name) } else { Err(D::Error::custom(format_args!("the format is not {FORMAT}"))) }
}

fn format_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        VERSION => Ok(VERSION),
        other => Err(D::Error::custom(format_args!(
            "version {other} of the format is not known to this program, which knows {VERSION}"
        ))),
    }
}

fn profile_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.parse::<Profile>().map_err(D::Error::custom)?;
    Ok(name)
}

fn serial_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let serial = u32::deserialize(deserializer)?;
    if EMULATED_SERIALS.contains(&serial) {
        return Ok(serial);
    }
    Err(D::Error::custom("the serial number is outside the range of emulated keys"))
}

fn use_counter<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let counter = u16::deserialize(deserializer)?;
    if counter <= UseCounter::CEILING.get() {
        return Ok(counter);
    }
    Err(D::Error::custom("the use counter is above 32767"))
}

fn tag_data<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let data = Vec::<u8>::deserialize(deserializer)?;
    if data.len() <= Ndef::MAX { Ok(data) } else { Err(D::Error::custom("the NDEF data is too long")) }
}

impl From<&KeyState> for Document {
    fn from(key: &KeyState) -> Self {
        let [slot_1, slot_2] = &key.slots;
        let settings = &key.settings;
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            profile: key.profile.name().to_owned(),
            serial: key.serial,
            slot_1: slot_1.as_ref().map(SlotDocument::from),
            slot_2: slot_2.as_ref().map(SlotDocument::from),
            scan_map: *key.scan_map.as_bytes(),
            ndef: TagDocument {
                slot: match key.tag.slot {
                    Slot::One => SlotNumber::One,
                    Slot::Two => SlotNumber::Two,
                },
                kind: match key.tag.ndef.kind() {
                    NdefType::Uri => TagKind::Uri,
                    NdefType::Text => TagKind::Text,
                },
                data: key.tag.ndef.data().to_vec(),
            },
            settings: SettingsDocument {
                usb_enabled: settings.usb_enabled.0,
                nfc_enabled: settings.nfc_enabled.0,
                auto_eject_timeout: settings.auto_eject_timeout,
                challenge_timeout: settings.challenge_timeout,
                flags: settings.flags,
                lock_code: settings.lock_code.clone().map(LockCodeDocument),
                nfc_restricted: settings.nfc_restricted,
                pin_complexity: settings.pin_complexity,
            },
            oath: OathDocument::of(&key.oath),
            piv: key.piv.clone(),
        }
    }
}

impl From<&SlotState> for SlotDocument {
    fn from(slot: &SlotState) -> Self {
        Self {
            record: slot.record.clone(),
            use_counter: slot.use_counter.get(),
            moving_factor: slot.moving_factor,
        }
    }
}

impl From<SlotDocument> for SlotState {
    fn from(slot: SlotDocument) -> Self {
        Self {
            record: slot.record,
            use_counter: UseCounter::from_raw(slot.use_counter),
            moving_factor: slot.moving_factor,
        }
    }
}

impl From<Document> for KeyState {
    fn from(document: Document) -> Self {
        let settings = document.settings;
        let slot = match document.ndef.slot {
            SlotNumber::One => Slot::One,
            SlotNumber::Two => Slot::Two,
        };
        let kind = match document.ndef.kind {
            TagKind::Uri => NdefType::Uri,
            TagKind::Text => NdefType::Text,
        };
        Self {
            // Both were checked while reading.
            profile: document.profile.parse().unwrap_or_default(),
            serial: document.serial,
            slots: [document.slot_1.map(SlotState::from), document.slot_2.map(SlotState::from)],
            scan_map: ScanMap::new(document.scan_map),
            tag: Tag { slot, ndef: Ndef::new(kind, document.ndef.data).unwrap_or_else(|_| Ndef::factory()) },
            settings: Settings {
                usb_enabled: Capabilities(settings.usb_enabled),
                nfc_enabled: Capabilities(settings.nfc_enabled),
                auto_eject_timeout: settings.auto_eject_timeout,
                challenge_timeout: settings.challenge_timeout,
                flags: settings.flags,
                lock_code: settings.lock_code.map(|code| code.0),
                nfc_restricted: settings.nfc_restricted,
                pin_complexity: settings.pin_complexity,
            },
            oath: document.oath.map(OathState::from).unwrap_or_default(),
            piv: document.piv,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tapkey_protocol::slot::AccessCode;

    use super::*;

    fn filled() -> KeyState {
        let mut key = KeyState::new(Profile::YUBIKEY_5_4_3, 0xF123_4567);
        let record = SlotRecord {
            key: Secret::new([0xAB; 16]),
            access_code: AccessCode::new([1, 2, 3, 4, 5, 6]),
            ..SlotRecord::default()
        };
        let mut slot = SlotState::program(record);
        slot.use_counter = UseCounter::from_raw(77);
        slot.moving_factor = u64::MAX;
        *key.slot_mut(Slot::Two) = Some(slot);
        key.settings.lock_code = Some(Secret::new([9; 16]));
        key.tag = Tag { slot: Slot::Two, ndef: Ndef::text("en", "hello ").unwrap() };
        key
    }

    fn error(document: &str) -> String {
        parse(document.as_bytes(), "some/key.json").unwrap_err().to_string()
    }

    #[test]
    fn what_is_written_is_read() {
        let document = write(&filled()).unwrap();
        let again = parse(document.expose(), "x").unwrap();
        assert_eq!(write(&again).unwrap(), document);
        let slot = again.slot(Slot::Two).unwrap();
        assert_eq!((slot.use_counter.get(), slot.moving_factor), (77, u64::MAX));
        assert!(again.slot(Slot::One).is_none());
    }

    #[test]
    fn damage_is_told_by_file_and_line() {
        let document = String::from_utf8(write(&filled()).unwrap().expose().to_vec()).unwrap();
        for (from, to, line, hint) in [
            (FORMAT, "something-else", 2, "format"),
            ("\"version\": 1", "\"version\": 2", 3, "version 2"),
            ("5.4.3", "9.9.9", 4, "no such profile"),
            ("abab", "abac", 8, "checksum"),
            ("abab", "xyab", 8, "hexadecimal"),
            ("\"use_counter\": 77", "\"use_counter\": 32768", 9, "use counter"),
            ("\"slot_1\"", "\"slot_one\"", 6, "unknown field"),
        ] {
            let text = error(&document.replacen(from, to, 1));
            assert!(text.contains("some/key.json") && text.contains(hint), "{text}");
            assert!(text.contains(&format!("line {line}")), "{line}: {text}");
        }
        assert!(error("").contains("line 1"));
        assert!(error("{}").contains("line 1"));
    }

    #[test]
    fn an_error_does_not_repeat_a_secret() {
        let document = String::from_utf8(write(&filled()).unwrap().expose().to_vec()).unwrap();
        let text = error(&document.replacen("abababab", "abababax", 1));
        assert!(!text.contains("abab"), "{text}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = parse(&bytes, "x");
        }
    }
}
