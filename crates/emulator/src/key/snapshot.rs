//! The key at one moment, for people and for programs that look on.

use serde::{Deserialize, Serialize};
use tapkey_protocol::management::{Interfaces, ProductFamily, ProductId, VENDOR_ID};
use tapkey_protocol::otp::PublicId;
use tapkey_protocol::piv;
use tapkey_protocol::slot::{ExtendedFlags, Slot, SlotKind};

use super::touch::Led;
use super::{Power, VirtualKey};
use crate::state::{PivKey, PivState, SlotState};

/// The key at one moment. It holds no secrets.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// The serial number, from the range of emulated keys.
    pub serial: u32,
    /// The firmware personality.
    pub profile: String,
    /// `off`, `usb` or `nfc`.
    pub power: String,
    /// The interfaces that a host sees on USB, such as `OTP+FIDO+CCID`.
    pub interfaces: String,
    /// How it would present itself on USB.
    pub usb: UsbIdentity,
    /// A computer has it on USB, through [`port::usbip`](crate::port::usbip): what it types arrives
    /// there.
    #[serde(default)]
    pub usb_host: bool,
    /// `off`, `on` or `blinking`.
    pub led: String,
    /// Milliseconds for which it will still wait for a touch.
    pub waits_for_touch: Option<u64>,
    /// Slots 1 and 2; `None` for an empty one.
    pub slots: [Option<SlotSnapshot>; 2],
    /// What it says as an NFC tag.
    #[serde(default)]
    pub ndef: TagSnapshot,
    /// What the PIV application holds; `None` until it is selected for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub piv: Option<PivSnapshot>,
    /// Counts accepted writes since power-up; 0 when no slot is programmed.
    pub programming_sequence: u8,
    /// Where its state is kept.
    pub state: String,
}

/// How a key presents itself on USB.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UsbIdentity {
    /// Always Yubico's.
    pub vendor_id: u16,
    /// Follows the interfaces.
    pub product_id: u16,
    /// The firmware in binary-coded decimals.
    pub device_version: u16,
    /// The manufacturer's string.
    pub manufacturer: String,
    /// The product's string. It ends in a mark that no real key has.
    pub product: String,
}

/// A programmed slot, without its secrets.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SlotSnapshot {
    /// What it does, in words.
    pub kind: String,
    /// For Yubico OTP, the public id in modhex.
    pub public_id: Option<String>,
    /// For Yubico OTP and Yubico challenges: power-ups with a use.
    pub use_counter: Option<u16>,
    /// The session counter used last, if the slot was used since power-up.
    pub session_counter: Option<u8>,
    /// For HOTP: the counter of the next code.
    pub moving_factor: Option<u64>,
    /// Reacts to a touch.
    pub touch: bool,
    /// An access code protects it.
    pub protected: bool,
    /// Sleeps until an update wakes it.
    pub dormant: bool,
    /// Its flags can be updated.
    pub updatable: bool,
    /// The ticket flags as they are stored.
    #[serde(default)]
    pub ticket_flags: u8,
    /// The configuration flags as they are stored.
    #[serde(default)]
    pub config_flags: u8,
    /// The extended flags as they are stored.
    #[serde(default)]
    pub extended_flags: u8,
}

/// What the key says as an NFC tag.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TagSnapshot {
    /// The slot whose password is appended, 1 or 2.
    pub slot: u8,
    /// What stands in front of it.
    pub text: Option<String>,
}

/// The PIV application, without its secrets.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PivSnapshot {
    /// How often the PIN may still be wrong.
    pub pin_tries: u8,
    /// How often the PUK may still be wrong.
    pub puk_tries: u8,
    /// The cipher of the management key, such as `AES192`.
    pub management_key: String,
    /// The slots that hold a key, by their numbers; that of attestation is one of them.
    pub keys: Vec<PivKeySnapshot>,
    /// The names of its objects, in hexadecimal.
    pub objects: Vec<String>,
}

/// A key of the PIV application, as far as it is no secret.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct PivKeySnapshot {
    /// The slot, such as `9a`.
    pub slot: String,
    /// What it is made of, such as `ECCP256`.
    pub algorithm: String,
    /// `generated` or `imported`.
    pub origin: String,
    /// `never`, `once` or `always`.
    pub pin_policy: String,
    /// `never`, `always` or `cached`.
    pub touch_policy: String,
}

impl VirtualKey {
    /// What the key is and does at this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            serial: self.serial(),
            profile: self.profile().name().to_owned(),
            power: match self.powered() {
                Power::Off => "off",
                Power::Usb => "usb",
                Power::Nfc => "nfc",
            }
            .to_owned(),
            interfaces: self.interfaces().to_string(),
            usb: self.usb_identity(),
            usb_host: false,
            led: match self.led() {
                Led::Off => "off",
                Led::On => "on",
                Led::Blinking => "blinking",
            }
            .to_owned(),
            waits_for_touch: self.waits_for().map(|left| left.0),
            slots: Slot::ALL.map(|slot| self.slot_snapshot(slot)),
            ndef: TagSnapshot {
                slot: self.device.state().tag.slot.number(),
                text: self.device.state().tag.ndef.to_text(),
            },
            piv: self.device.state().piv.as_ref().map(PivSnapshot::of),
            programming_sequence: self.device.session_ref().sequence,
            state: self.device.location(),
        }
    }

    /// How the key presents itself on USB: the ids of the model, and a product string that ends in
    /// `EMU`.
    #[must_use]
    pub fn usb_identity(&self) -> UsbIdentity {
        let enabled = match self.powered() {
            Power::Usb => self.interfaces(),
            Power::Off | Power::Nfc => Interfaces::of(self.device.state().settings.usb_enabled),
        };
        let version = self.profile().version();
        let digits = [version.major, version.minor, version.patch].map(|digit| u16::from(digit & 0x0F));
        let series = if version.major == 4 { "Yubikey 4 " } else { "YubiKey " };
        let mut names = enabled.to_string();
        if version.major == 4 {
            names = names.replace("FIDO", "U2F");
        }
        UsbIdentity {
            vendor_id: VENDOR_ID,
            product_id: ProductId::of(ProductFamily::Series4And5, enabled).map_or(0, |id| id.0),
            device_version: digits.iter().fold(0, |sum, digit| (sum << 4) | digit),
            manufacturer: "Yubico".to_owned(),
            product: format!("{series}{names} EMU"),
        }
    }

    fn slot_snapshot(&self, slot: Slot) -> Option<SlotSnapshot> {
        let state = self.device.state().slot(slot)?;
        let kind = state.kind();
        let counts = matches!(kind, SlotKind::YubicoOtp | SlotKind::ChallengeYubico { .. });
        Some(SlotSnapshot {
            kind: kind.name().to_owned(),
            public_id: public_id(state),
            use_counter: counts.then(|| state.use_counter.get()),
            session_counter: self.device.session_ref().last_use(slot),
            moving_factor: matches!(kind, SlotKind::Hotp { .. }).then_some(state.moving_factor),
            touch: kind.is_touch_triggered(),
            protected: state.is_protected(),
            dormant: state.has(ExtendedFlags::DORMANT),
            updatable: state.has(ExtendedFlags::ALLOW_UPDATE),
            ticket_flags: state.record.ticket.0,
            config_flags: state.record.config.0,
            extended_flags: state.record.extended.0,
        })
    }
}

impl PivSnapshot {
    fn of(piv: &PivState) -> Self {
        let key = |(slot, key): (&piv::Slot, &PivKey)| PivKeySnapshot {
            slot: slot.to_string(),
            algorithm: key.algorithm.to_string(),
            origin: key.origin.name().to_owned(),
            pin_policy: key.pin_policy.to_string(),
            touch_policy: key.touch_policy.to_string(),
        };
        Self {
            pin_tries: piv.pin.left,
            puk_tries: piv.puk.left,
            management_key: piv.management.key.kind().to_string(),
            keys: piv.keys.iter().map(key).collect(),
            objects: piv.objects.keys().map(ToString::to_string).collect(),
        }
    }
}

fn public_id(state: &SlotState) -> Option<String> {
    if state.kind() != SlotKind::YubicoOtp {
        return None;
    }
    PublicId::new(state.record.fixed_part()).ok().map(|id| id.to_string())
}
