//! Changing what is switched on.

use thiserror::Error;

use super::info::DeviceFlags;
use super::{Capabilities, tag};
use crate::secret::{Secret, SecretBytes};
use crate::tlv::{self, TlvError, Writer};
use crate::version::{Unsupported, Version};

/// The code that guards the settings of a key. Sixteen zeros mean that there is none.
pub type LockCode = Secret<16>;

/// A change of settings. Only what is `Some` changes.
///
/// Writing needs firmware 5.0. `Debug` hides the lock codes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeviceConfig {
    /// Restart afterwards, which makes the key re-enumerate on USB.
    pub reboot: bool,
    /// The lock code that is set now.
    pub current_lock_code: Option<LockCode>,
    /// Applications to switch on on USB; all others are switched off.
    pub usb_enabled: Option<Capabilities>,
    /// Applications to switch on over NFC; all others are switched off.
    pub nfc_enabled: Option<Capabilities>,
    /// Seconds until the smart card ejects itself.
    pub auto_eject_timeout: Option<u16>,
    /// Seconds that a challenge waits for a touch.
    pub challenge_timeout: Option<u8>,
    /// Touch-eject and remote wake-up.
    pub flags: Option<DeviceFlags>,
    /// The lock code from now on; zeros remove it.
    pub new_lock_code: Option<LockCode>,
    /// NFC off until the key is powered over USB (firmware 5.7 and later).
    pub nfc_restricted: Option<bool>,
}

impl DeviceConfig {
    /// Writes the body: a length byte and the tags, for [`super::ins::WRITE_CONFIG`] and for the
    /// HID command `15`.
    ///
    /// With everything in it, it takes 60 bytes, so it always fits a HID frame.
    #[must_use]
    pub fn encode(&self) -> SecretBytes {
        let mut list = Writer::new();
        if self.reboot {
            list.push(tag::REBOOT, &[]);
        }
        if let Some(code) = &self.current_lock_code {
            list.push(tag::UNLOCK, code.expose());
        }
        if let Some(enabled) = self.usb_enabled {
            list.push(tag::USB_ENABLED, &enabled.to_be_bytes());
        }
        if let Some(enabled) = self.nfc_enabled {
            list.push(tag::NFC_ENABLED, &enabled.to_be_bytes());
        }
        if let Some(seconds) = self.auto_eject_timeout {
            list.push(tag::AUTO_EJECT_TIMEOUT, &seconds.to_be_bytes());
        }
        if let Some(seconds) = self.challenge_timeout {
            list.push(tag::CHALLENGE_TIMEOUT, &[seconds]);
        }
        if let Some(flags) = self.flags {
            list.push(tag::DEVICE_FLAGS, &[flags.0]);
        }
        if let Some(code) = &self.new_lock_code {
            list.push(tag::CONFIG_LOCK, code.expose());
        }
        if let Some(restricted) = self.nfc_restricted {
            list.push(tag::NFC_RESTRICTED, &[u8::from(restricted)]);
        }
        // See above: the length always fits its byte.
        let length = u8::try_from(list.as_bytes().len()).unwrap_or(u8::MAX);
        let mut body = vec![length];
        body.extend_from_slice(list.as_bytes());
        SecretBytes::new(body)
    }

    /// Whether a key with this firmware takes the change.
    ///
    /// # Errors
    /// [`Unsupported`] naming what it cannot do.
    pub fn supported_by(&self, version: Version) -> Result<(), Unsupported> {
        Unsupported::check_at_least("writing device information", version, Version::new(5, 0, 0))?;
        if self.nfc_restricted.is_some() {
            Unsupported::check_at_least("restricting NFC", version, Version::new(5, 7, 0))?;
        }
        Ok(())
    }

    /// Reads a body, as the key does. Bytes after the stated length must be zero: they are the
    /// padding of a HID frame. Tags may come in any order; those not known here are ignored.
    ///
    /// # Errors
    /// [`ConfigError`] when the body cannot be read.
    pub fn parse(body: &[u8]) -> Result<Self, ConfigError> {
        let (&stated, rest) = body.split_first().ok_or(ConfigError::WrongLength)?;
        let (list, padding) = rest.split_at_checked(usize::from(stated)).ok_or(ConfigError::WrongLength)?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(ConfigError::WrongLength);
        }
        let mut config = Self::default();
        for element in tlv::Reader::new(list) {
            let element = element?;
            config.read_field(element.tag, element.value)?;
        }
        Ok(config)
    }

    fn read_field(&mut self, tag: u8, value: &[u8]) -> Result<(), ConfigError> {
        let bad = ConfigError::BadField { tag, length: value.len() };
        let capabilities =
            || if matches!(value.len(), 1 | 2) { Ok(Capabilities::from_be_bytes(value)) } else { Err(bad) };
        let byte = || <[u8; 1]>::try_from(value).map(|[byte]| byte).map_err(|_| bad);
        let code = || <[u8; 16]>::try_from(value).map(LockCode::new).map_err(|_| bad);
        match tag {
            tag::REBOOT => self.reboot = true,
            tag::UNLOCK => self.current_lock_code = Some(code()?),
            tag::USB_ENABLED => self.usb_enabled = Some(capabilities()?),
            tag::NFC_ENABLED => self.nfc_enabled = Some(capabilities()?),
            tag::AUTO_EJECT_TIMEOUT => self.auto_eject_timeout = Some(capabilities()?.0),
            tag::CHALLENGE_TIMEOUT => self.challenge_timeout = Some(byte()?),
            tag::DEVICE_FLAGS => self.flags = Some(DeviceFlags(byte()?)),
            tag::CONFIG_LOCK => self.new_lock_code = Some(code()?),
            tag::NFC_RESTRICTED => self.nfc_restricted = Some(byte()? != 0),
            _ => {}
        }
        Ok(())
    }
}

/// Why a change of settings could not be read.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The length byte and the number of bytes disagree.
    #[error("the length byte of the settings does not fit what follows")]
    WrongLength,
    /// The list of tags is broken.
    #[error("the settings cannot be read: {0}")]
    Tlv(#[from] TlvError),
    /// A field has a wrong length.
    #[error("the setting {tag:#04x} has {length} bytes")]
    BadField {
        /// Its tag.
        tag: u8,
        /// Its length.
        length: usize,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn order_on_the_wire() {
        let config = DeviceConfig {
            reboot: true,
            current_lock_code: Some(LockCode::new([1; 16])),
            usb_enabled: Some(Capabilities(0x023F)),
            nfc_enabled: Some(Capabilities::NONE),
            new_lock_code: Some(LockCode::new([0; 16])),
            nfc_restricted: Some(true),
            ..DeviceConfig::default()
        };
        let body = config.encode();
        let tags: Vec<u8> =
            tlv::Reader::new(&body.expose()[1..]).map(|element| element.unwrap().tag).collect();
        assert_eq!(tags, [0x0C, 0x0B, 0x03, 0x0E, 0x0A, 0x17]);
        assert_eq!(usize::from(body.expose()[0]), body.len() - 1);
        assert!(!format!("{config:?}").contains("[1, 1"));
    }

    #[test]
    fn padding_must_be_zero() {
        assert_eq!(
            DeviceConfig::parse(&[2, 0x0C, 0, 0, 0, 0]).unwrap(),
            DeviceConfig { reboot: true, ..Default::default() }
        );
        assert_eq!(DeviceConfig::parse(&[2, 0x0C, 0, 1]), Err(ConfigError::WrongLength));
        assert_eq!(DeviceConfig::parse(&[9, 0x0C, 0]), Err(ConfigError::WrongLength));
        assert_eq!(DeviceConfig::parse(&[]), Err(ConfigError::WrongLength));
        assert_eq!(
            DeviceConfig::parse(&[3, 0x0A, 1, 1]),
            Err(ConfigError::BadField { tag: 0x0A, length: 1 })
        );
    }

    #[test]
    fn everything_fits_a_frame() {
        let config = DeviceConfig {
            reboot: true,
            current_lock_code: Some(LockCode::new([1; 16])),
            usb_enabled: Some(Capabilities(0xFFFF)),
            nfc_enabled: Some(Capabilities(0xFFFF)),
            auto_eject_timeout: Some(0xFFFF),
            challenge_timeout: Some(0xFF),
            flags: Some(DeviceFlags(0xFF)),
            new_lock_code: Some(LockCode::new([1; 16])),
            nfc_restricted: Some(true),
        };
        assert_eq!(config.encode().len(), 60);
        assert!(config.supported_by(Version::new(5, 6, 0)).is_err());
        assert!(config.supported_by(Version::new(5, 7, 0)).is_ok());
    }

    proptest! {
        #[test]
        fn round_trip(
            reboot: bool,
            codes: (Option<[u8; 16]>, Option<[u8; 16]>),
            bits: (Option<u16>, Option<u16>),
            timeouts: (Option<u16>, Option<u8>),
            flags: Option<u8>,
            restricted: Option<bool>,
        ) {
            let config = DeviceConfig {
                reboot,
                current_lock_code: codes.0.map(LockCode::new),
                usb_enabled: bits.0.map(Capabilities),
                nfc_enabled: bits.1.map(Capabilities),
                auto_eject_timeout: timeouts.0,
                challenge_timeout: timeouts.1,
                flags: flags.map(DeviceFlags),
                new_lock_code: codes.1.map(LockCode::new),
                nfc_restricted: restricted,
            };
            prop_assert_eq!(DeviceConfig::parse(config.encode().expose()), Ok(config));
        }

        #[test]
        fn parsing_never_panics(bytes: Vec<u8>) {
            let _ = DeviceConfig::parse(&bytes);
        }
    }
}
