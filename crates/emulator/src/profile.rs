//! Firmware personalities: what tells one YubiKey from another.

use std::{fmt, str::FromStr};

use tapkey_protocol::management::{Capabilities, FormFactor, FormFactorByte};
use tapkey_protocol::oath::{Algorithm, codec::Strictness};
use tapkey_protocol::version::Version;
use thiserror::Error;

/// A model and its firmware. Start from one of the constants.
///
/// The applications that a profile lists are those of the real model. What this crate does not
/// implement yet answers a SELECT with `6A82`, like a card without it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Profile {
    name: &'static str,
    version: Version,
    form_factor: FormFactorByte,
    usb_supported: Capabilities,
    nfc_supported: Option<Capabilities>,
    usb_atr: &'static [u8],
    nfc_atr: Option<&'static [u8]>,
    max_apdu: usize,
}

/// What the OTP application does over the smart-card interface on USB. Over NFC it does everything.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum OtpOverUsbCard {
    /// SELECT, status and serial number; no configuration (4.x).
    StatusOnly,
    /// It cannot be selected (5.0 to 5.2).
    Refused,
    /// All but challenge-response (5.3 and later).
    Configuration,
}

impl Profile {
    /// A YubiKey 4 with firmware 4.3.5: no NFC, 10-byte OTP status, no device configuration.
    pub const YUBIKEY_4_3_5: Self = Self {
        name: "4.3.5",
        version: Version::new(4, 3, 5),
        form_factor: FormFactorByte::new(FormFactor::UsbAKeychain, false, false),
        usb_supported: Capabilities(0x3F),
        nfc_supported: None,
        usb_atr: ATR_4_USB,
        nfc_atr: None,
        max_apdu: 3072,
    };

    /// A YubiKey 5 NFC with firmware 5.2.7: the OTP application cannot be selected over USB.
    pub const YUBIKEY_5_2_7: Self = Self {
        name: "5.2.7",
        version: Version::new(5, 2, 7),
        usb_supported: Capabilities(0x023F),
        nfc_supported: Some(Capabilities(0x023F)),
        ..Self::YUBIKEY_5_7_4
    };

    /// A YubiKey 5 NFC with firmware 5.4.3.
    pub const YUBIKEY_5_4_3: Self =
        Self { name: "5.4.3", version: Version::new(5, 4, 3), ..Self::YUBIKEY_5_7_4 };

    /// A YubiKey 5 NFC with firmware 5.7.4.
    pub const YUBIKEY_5_7_4: Self = Self {
        name: "5.7.4",
        version: Version::new(5, 7, 4),
        form_factor: FormFactorByte::new(FormFactor::UsbAKeychain, false, false),
        usb_supported: Capabilities(0x033F),
        nfc_supported: Some(Capabilities(0x033F)),
        usb_atr: ATR_5_USB,
        nfc_atr: Some(ATR_5_NFC),
        max_apdu: 3072,
    };

    /// All profiles, oldest first.
    pub const ALL: [Self; 4] =
        [Self::YUBIKEY_4_3_5, Self::YUBIKEY_5_2_7, Self::YUBIKEY_5_4_3, Self::YUBIKEY_5_7_4];

    /// The name on a command line and in a state file: the firmware version.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The firmware.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// Shape and marks.
    #[must_use]
    pub const fn form_factor(&self) -> FormFactorByte {
        self.form_factor
    }

    /// The applications of the model on USB.
    #[must_use]
    pub const fn usb_supported(&self) -> Capabilities {
        self.usb_supported
    }

    /// The applications of the model over NFC; `None` for a model without NFC.
    #[must_use]
    pub const fn nfc_supported(&self) -> Option<Capabilities> {
        self.nfc_supported
    }

    /// The answer to reset on USB, as the smart-card interface gives it.
    #[must_use]
    pub const fn usb_atr(&self) -> &'static [u8] {
        self.usb_atr
    }

    /// The answer to reset that a contactless reader makes up for the model.
    #[must_use]
    pub const fn nfc_atr(&self) -> Option<&'static [u8]> {
        self.nfc_atr
    }

    /// The most data bytes of a command, chains included.
    #[must_use]
    pub const fn max_apdu(&self) -> usize {
        self.max_apdu
    }

    pub(crate) fn otp_over_usb_card(&self) -> OtpOverUsbCard {
        match self.version.major {
            4 => OtpOverUsbCard::StatusOnly,
            5 if self.version < Version::new(5, 3, 0) => OtpOverUsbCard::Refused,
            _ => OtpOverUsbCard::Configuration,
        }
    }

    /// Firmware 4.0 to 5.4 shows over a smart card the slots as they were at power-up.
    pub(crate) fn card_state_is_stale(&self) -> bool {
        self.version.is_within(Version::new(4, 0, 0), Version::new(5, 5, 0))
    }

    /// Firmware 5.0.0 to 5.4.2 shows a programming sequence of 0 after a write over a smart card.
    pub(crate) fn card_sequence_is_silent(&self) -> bool {
        self.version.is_within(Version::new(5, 0, 0), Version::new(5, 4, 3))
    }

    /// Firmware 4 appends USB mode and timeouts to the status that answers a SELECT.
    pub(crate) fn select_tells_mode(&self) -> bool {
        self.version.major == 4
    }

    /// NDEF: generation 3 and from 5 on.
    pub(crate) fn has_ndef(&self) -> bool {
        self.version.major != 4 && self.version.major >= 3
    }

    /// Reading device information.
    pub(crate) fn has_device_info(&self) -> bool {
        self.version >= Version::new(4, 1, 0)
    }

    /// Writing device information.
    pub(crate) fn has_device_config(&self) -> bool {
        self.version >= Version::new(5, 0, 0)
    }

    /// How many OATH credentials there is room for.
    pub(crate) fn oath_capacity(&self) -> usize {
        if self.version >= Version::new(5, 7, 0) { 64 } else { 32 }
    }

    /// What the OATH application puts up with.
    pub(crate) fn oath_strictness(&self) -> Strictness {
        if self.version >= Version::new(5, 7, 0) { Strictness::Strict } else { Strictness::Lenient }
    }

    /// Renaming OATH credentials.
    pub(crate) fn has_oath_rename(&self) -> bool {
        self.version >= Version::new(5, 3, 1)
    }

    /// OATH credentials that need a touch.
    pub(crate) fn has_oath_touch(&self) -> bool {
        self.version >= Version::new(4, 2, 6)
    }

    /// SHA-512 came later than the others.
    pub(crate) fn has_oath_algorithm(&self, algorithm: Algorithm) -> bool {
        algorithm != Algorithm::Sha512 || self.version >= Version::new(4, 3, 1)
    }

    /// Models that refuse weak PINs.
    pub(crate) fn has_pin_complexity(&self) -> bool {
        self.version >= Version::new(5, 7, 0)
    }

    /// Restricting NFC until the next power-up over USB.
    pub(crate) fn has_nfc_restriction(&self) -> bool {
        self.version >= Version::new(5, 7, 0)
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::YUBIKEY_5_7_4
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|profile| profile.name == name).ok_or(UnknownProfile)
    }
}

/// No profile has that name.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("no such profile; there are {}", Profile::ALL.map(|profile| profile.name).join(", "))]
pub struct UnknownProfile;

const ATR_5_USB: &[u8] = &[
    0x3B, 0xFD, 0x13, 0x00, 0x00, 0x81, 0x31, 0xFE, 0x15, 0x80, 0x73, 0xC0, 0x21, 0xC0, 0x57, 0x59, 0x75,
    0x62, 0x69, 0x4B, 0x65, 0x79, 0x40,
];
const ATR_5_NFC: &[u8] = &[
    0x3B, 0x8D, 0x80, 0x01, 0x80, 0x73, 0xC0, 0x21, 0xC0, 0x57, 0x59, 0x75, 0x62, 0x69, 0x4B, 0x65, 0x79,
    0xF9,
];
const ATR_4_USB: &[u8] = &[
    0x3B, 0xF8, 0x13, 0x00, 0x00, 0x81, 0x31, 0xFE, 0x15, 0x59, 0x75, 0x62, 0x69, 0x6B, 0x65, 0x79, 0x34,
    0xD4,
];

#[cfg(test)]
mod tests {
    use tapkey_protocol::link::CardTransport;

    use super::*;

    #[test]
    fn names_are_found_and_others_refused() {
        for profile in Profile::ALL {
            assert_eq!(profile.name().parse(), Ok(profile));
            assert_eq!(profile.name(), profile.version().to_string());
        }
        let error = "5.9.9".parse::<Profile>().unwrap_err();
        assert!(error.to_string().contains("4.3.5, 5.2.7, 5.4.3, 5.7.4"), "{error}");
    }

    #[test]
    fn answers_to_reset_tell_the_transport_and_their_check_bytes_hold() {
        for profile in Profile::ALL {
            assert_eq!(CardTransport::from_atr(profile.usb_atr()), CardTransport::Usb);
            for atr in [Some(profile.usb_atr()), profile.nfc_atr()].into_iter().flatten() {
                // TCK: everything after the first byte adds up to zero (ISO/IEC 7816-3 section 8.2.5).
                assert_eq!(atr.iter().skip(1).fold(0, |sum, byte| sum ^ byte), 0, "{profile}");
            }
        }
    }

    #[test]
    fn quirks_follow_the_firmware() {
        use OtpOverUsbCard::*;
        let over = Profile::ALL.map(|profile| profile.otp_over_usb_card());
        assert_eq!(over, [StatusOnly, Refused, Configuration, Configuration]);
        assert_eq!(Profile::ALL.map(|profile| profile.card_state_is_stale()), [true, true, true, false]);
        assert_eq!(
            Profile::ALL.map(|profile| profile.card_sequence_is_silent()),
            [false, true, false, false]
        );
        assert_eq!(Profile::ALL.map(|profile| profile.has_ndef()), [false, true, true, true]);
    }
}
