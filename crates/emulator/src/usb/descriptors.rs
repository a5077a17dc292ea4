//! What the device tells about itself when it is plugged in.
//!
//! The values are those that `lsusb -v` shows for a YubiKey 5 (and a YubiKey 4, where it differs);
//! the product string carries a mark that no real key has.

use tapkey_protocol::management::Interfaces;
use tapkey_protocol::version::Version;

use crate::key::{UsbIdentity, VirtualKey};

/// One of the interfaces of a key. They are numbered in this order, those that are switched off
/// left out.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Function {
    /// The keyboard that takes OTP commands.
    Otp,
    /// CTAPHID.
    Fido,
    /// The smart card.
    Ccid,
}

/// The descriptors of a key as it was plugged in (USB 2.0 section 9.5).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Descriptors {
    identity: UsbIdentity,
    serial: Option<u32>,
    functions: Vec<Function>,
    version: Version,
}

impl Descriptors {
    /// Those of a key that is plugged in; `None` without power or without a USB interface.
    #[must_use]
    pub fn of(key: &VirtualKey) -> Option<Self> {
        let interfaces = key.interfaces();
        let functions: Vec<_> =
            Function::ALL.into_iter().filter(|one| interfaces.contains(one.interface())).collect();
        let serial = key.shows_serial_on_usb().then(|| key.serial());
        let (identity, version) = (key.usb_identity(), key.profile().version());
        (!functions.is_empty()).then_some(Self { identity, serial, functions, version })
    }

    /// The ids and strings.
    #[must_use]
    pub const fn identity(&self) -> &UsbIdentity {
        &self.identity
    }

    /// The serial number, if the descriptors show it.
    #[must_use]
    pub const fn serial(&self) -> Option<u32> {
        self.serial
    }

    /// The interfaces in the order of their numbers.
    #[must_use]
    pub fn functions(&self) -> &[Function] {
        &self.functions
    }

    /// The device descriptor.
    #[must_use]
    pub fn device(&self) -> [u8; 18] {
        let mut bytes = [0; 18];
        bytes[..8].copy_from_slice(&[18, DEVICE, 0x00, 0x02, 0, 0, 0, CONTROL_PACKET]);
        bytes[8..10].copy_from_slice(&self.identity.vendor_id.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.identity.product_id.to_le_bytes());
        bytes[12..14].copy_from_slice(&self.identity.device_version.to_le_bytes());
        let serial = if self.serial.is_some() { STRING_SERIAL } else { 0 };
        bytes[14..].copy_from_slice(&[STRING_MANUFACTURER, STRING_PRODUCT, serial, 1]);
        bytes
    }

    /// The configuration descriptor with everything below it.
    #[must_use]
    pub fn configuration(&self) -> Vec<u8> {
        let mut bytes = vec![9, CONFIGURATION, 0, 0];
        let count = u8::try_from(self.functions.len()).unwrap_or_default();
        // Configuration 1, powered by the bus, 30 mA in units of 2 mA.
        bytes.extend_from_slice(&[count, 1, 0, 0x80, 15]);
        for (number, function) in (0_u8..).zip(&self.functions) {
            self.interface(number, *function, &mut bytes);
        }
        let total = u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_le_bytes();
        bytes[2..4].copy_from_slice(&total);
        bytes
    }

    /// A string descriptor; index 0 lists the languages, of which there is one.
    #[must_use]
    pub fn string(&self, index: u8) -> Option<Vec<u8>> {
        let text = match index {
            0 => return Some(vec![4, STRING, 0x09, 0x04]),
            STRING_MANUFACTURER => self.identity.manufacturer.clone(),
            STRING_PRODUCT => self.identity.product.clone(),
            STRING_SERIAL => format!("{:010}", self.serial?),
            _ => return None,
        };
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let mut bytes = vec![u8::try_from(units.len() + 2).ok()?, STRING];
        bytes.extend_from_slice(&units);
        Some(bytes)
    }

    /// The HID descriptor of an interface, for those that are HID.
    #[must_use]
    pub fn hid(function: Function) -> Option<[u8; 9]> {
        let length = u16::try_from(function.report_descriptor()?.len()).ok()?;
        let [low, high] = length.to_le_bytes();
        Some([9, HID, 0x10, 0x01, 0, 1, HID_REPORT, low, high])
    }

    /// Classes, subclasses and protocols of the interfaces.
    #[must_use]
    pub fn classes(&self) -> Vec<[u8; 3]> {
        self.functions.iter().map(|function| function.class()).collect()
    }

    fn interface(&self, number: u8, function: Function, bytes: &mut Vec<u8>) {
        let endpoints = function.endpoints();
        let [class, subclass, protocol] = function.class();
        let count = u8::try_from(endpoints.len()).unwrap_or_default();
        bytes.extend_from_slice(&[9, INTERFACE, number, 0, count, class, subclass, protocol, 0]);
        match Self::hid(function) {
            Some(hid) => bytes.extend_from_slice(&hid),
            None => bytes.extend_from_slice(&self.smart_card()),
        }
        for (address, kind, size, interval) in endpoints {
            bytes.extend_from_slice(&[7, ENDPOINT, *address, *kind, *size, 0, *interval]);
        }
    }

    /// The class descriptor of the smart-card interface (CCID 1.1 section 5.1).
    fn smart_card(&self) -> Vec<u8> {
        let message = u32::try_from(self.max_ccid_message()).unwrap_or_default();
        // CCID 1.00, one slot, all voltages.
        let mut bytes = vec![54, HID, 0x00, 0x01, 0, 0x07];
        let words = |values: &[u32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
        bytes.extend(words(&[PROTOCOL_T1, CLOCK_KHZ, CLOCK_KHZ]));
        bytes.push(0); // no other clocks
        bytes.extend(words(&[DATA_RATE, DATA_RATE]));
        bytes.push(0); // no other data rates
        bytes.extend(words(&[message - CCID_HEADER, 0, 0, FEATURES, message]));
        // Classes for GET RESPONSE and ENVELOPE as in the command, no display, no keypad, one busy slot.
        bytes.extend_from_slice(&[0xFF, 0xFF, 0, 0, 0, 1]);
        bytes
    }

    /// The longest message of the smart-card interface, its header of ten bytes included.
    #[must_use]
    pub const fn max_ccid_message(&self) -> usize {
        if self.version.major < 5 { 2048 } else { 3072 }
    }
}

impl Function {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Otp, Self::Fido, Self::Ccid];

    /// Its bit among the interfaces of a key.
    #[must_use]
    pub const fn interface(self) -> Interfaces {
        match self {
            Self::Otp => Interfaces::OTP,
            Self::Fido => Interfaces::FIDO,
            Self::Ccid => Interfaces::CCID,
        }
    }

    /// Class, subclass and protocol: a boot keyboard, a plain HID device, a smart-card reader.
    #[must_use]
    pub const fn class(self) -> [u8; 3] {
        match self {
            Self::Otp => [3, 1, 1],
            Self::Fido => [3, 0, 0],
            Self::Ccid => [11, 0, 0],
        }
    }

    /// The HID report descriptor, for those that are HID.
    #[must_use]
    pub const fn report_descriptor(self) -> Option<&'static [u8]> {
        match self {
            Self::Otp => Some(KEYBOARD_REPORTS),
            Self::Fido => Some(FIDO_REPORTS),
            Self::Ccid => None,
        }
    }

    /// Address, transfer type, packet size and interval of its endpoints.
    const fn endpoints(self) -> &'static [(u8, u8, u8, u8)] {
        match self {
            Self::Otp => &[(EP_KEYBOARD, INTERRUPT, 8, 10)],
            Self::Fido => &[(EP_FIDO_OUT, INTERRUPT, 64, 2), (EP_FIDO_IN, INTERRUPT, 64, 2)],
            Self::Ccid => {
                &[(EP_CCID_OUT, BULK, 64, 0), (EP_CCID_IN, BULK, 64, 0), (EP_CCID_NOTIFY, INTERRUPT, 8, 32)]
            }
        }
    }

    /// The interface that an endpoint belongs to.
    pub(super) fn of_endpoint(address: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.endpoints().iter().any(|endpoint| endpoint.0 == address))
    }
}

pub(super) const EP_KEYBOARD: u8 = 0x81;
pub(super) const EP_FIDO_OUT: u8 = 0x04;
pub(super) const EP_FIDO_IN: u8 = 0x84;
pub(super) const EP_CCID_OUT: u8 = 0x02;
pub(super) const EP_CCID_IN: u8 = 0x82;
pub(super) const EP_CCID_NOTIFY: u8 = 0x83;

/// Types of descriptors.
pub(super) const DEVICE: u8 = 1;
pub(super) const CONFIGURATION: u8 = 2;
pub(super) const STRING: u8 = 3;
const INTERFACE: u8 = 4;
const ENDPOINT: u8 = 5;
pub(super) const HID: u8 = 0x21;
pub(super) const HID_REPORT: u8 = 0x22;

const STRING_MANUFACTURER: u8 = 1;
const STRING_PRODUCT: u8 = 2;
const STRING_SERIAL: u8 = 3;

/// Bytes of a packet on endpoint 0.
const CONTROL_PACKET: u8 = 64;
const BULK: u8 = 2;
const INTERRUPT: u8 = 3;

const PROTOCOL_T1: u32 = 2;
const CLOCK_KHZ: u32 = 4000;
const DATA_RATE: u32 = 307_200;
/// The reader does by itself whatever a reader can, and takes whole commands, extended ones too.
const FEATURES: u32 = 0x0004_00FE;
const CCID_HEADER: u32 = 10;

/// Modifiers, a reserved byte, five lights, six keys, and a feature report of eight bytes for OTP
/// commands.
const KEYBOARD_REPORTS: &[u8] = &[
    0x05, 0x01, 0x09, 0x06, 0xA1, 0x01, 0x05, 0x07, 0x19, 0xE0, 0x29, 0xE7, 0x15, 0x00, 0x25, 0x01, 0x75,
    0x01, 0x95, 0x08, 0x81, 0x02, 0x95, 0x01, 0x75, 0x08, 0x81, 0x01, 0x95, 0x05, 0x75, 0x01, 0x05, 0x08,
    0x19, 0x01, 0x29, 0x05, 0x91, 0x02, 0x95, 0x01, 0x75, 0x03, 0x91, 0x01, 0x95, 0x06, 0x75, 0x08, 0x15,
    0x00, 0x25, 0x65, 0x05, 0x07, 0x19, 0x00, 0x29, 0x65, 0x81, 0x00, 0x09, 0x03, 0x75, 0x08, 0x95, 0x08,
    0xB1, 0x02, 0xC0,
];

/// Packets of 64 bytes both ways, on the usage page of FIDO.
const FIDO_REPORTS: &[u8] = &[
    0x06, 0xD0, 0xF1, 0x09, 0x01, 0xA1, 0x01, 0x09, 0x20, 0x15, 0x00, 0x26, 0xFF, 0x00, 0x75, 0x08, 0x95,
    0x40, 0x81, 0x02, 0x09, 0x21, 0x15, 0x00, 0x26, 0xFF, 0x00, 0x75, 0x08, 0x95, 0x40, 0x91, 0x02, 0xC0,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Power;
    use crate::profile::Profile;

    fn plugged(profile: Profile) -> VirtualKey {
        let mut key = VirtualKey::builder().profile(profile).build().unwrap();
        key.power(Power::Usb).unwrap();
        key
    }

    fn hex(text: &str) -> Vec<u8> {
        data_encoding::HEXLOWER_PERMISSIVE.decode(text.replace([' ', '\n'], "").as_bytes()).unwrap()
    }

    #[test]
    fn a_yubikey_5_to_the_byte() {
        let descriptors = Descriptors::of(&plugged(Profile::YUBIKEY_5_4_3)).unwrap();
        assert_eq!(descriptors.device()[..], hex("12 01 00 02 00 00 00 40 50 10 07 04 43 05 01 02 00 01"));
        // What `lsusb -v` shows for a YubiKey 5 with all interfaces.
        let published = hex(
            "09 02 96 00 03 01 00 80 0f
             09 04 00 00 01 03 01 01 00  09 21 10 01 00 01 22 47 00  07 05 81 03 08 00 0a
             09 04 01 00 02 03 00 00 00  09 21 10 01 00 01 22 22 00  07 05 04 03 40 00 02  07 05 84 03 40 00 02
             09 04 02 00 03 0b 00 00 00
             36 21 00 01 00 07 02 00 00 00 a0 0f 00 00 a0 0f 00 00 00 00 b0 04 00 00 b0 04 00 00
             f6 0b 00 00 00 00 00 00 00 00 00 00 fe 00 04 00 00 0c 00 00 ff ff 00 00 00 01
             07 05 02 02 40 00 00  07 05 82 02 40 00 00  07 05 83 03 08 00 20",
        );
        assert_eq!(descriptors.configuration(), published);
        assert_eq!(published.len(), 150);
        assert_eq!((KEYBOARD_REPORTS.len(), FIDO_REPORTS.len()), (71, 34));
    }

    #[test]
    fn firmware_and_model_show() {
        let descriptors = Descriptors::of(&plugged(Profile::YUBIKEY_4_3_5)).unwrap();
        assert_eq!(descriptors.device()[12..14], [0x35, 0x04]);
        let product = descriptors.string(2).unwrap();
        let units: Vec<u16> =
            product[2..].chunks_exact(2).map(|unit| u16::from_le_bytes([unit[0], unit[1]])).collect();
        assert_eq!(String::from_utf16(&units).unwrap(), "Yubikey 4 OTP+U2F+CCID EMU");
        let configuration = descriptors.configuration();
        assert_eq!(configuration.len(), 150);
        // dwMaxIFSD 2038.
        assert_eq!(configuration[75 + 28..75 + 32], 2038_u32.to_le_bytes());
        assert_eq!(descriptors.string(0).unwrap(), [4, 3, 9, 4]);
        assert_eq!(descriptors.string(3), None);
        assert_eq!(descriptors.string(9), None);
    }

    #[test]
    fn nothing_without_power() {
        let mut key = VirtualKey::builder().build().unwrap();
        assert_eq!(Descriptors::of(&key), None);
        key.power(Power::Nfc).unwrap();
        assert_eq!(Descriptors::of(&key), None);
    }
}
