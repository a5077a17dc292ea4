//! The shape of a key.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// The shape of a key and how it plugs in.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum FormFactor {
    /// Not told, or a shape that came later than this program.
    Unknown,
    /// For a key ring, with USB-A.
    UsbAKeychain,
    /// Small enough to stay plugged in, with USB-A.
    UsbANano,
    /// For a key ring, with USB-C.
    UsbCKeychain,
    /// Small enough to stay plugged in, with USB-C.
    UsbCNano,
    /// With USB-C and Lightning.
    UsbCLightning,
    /// With a fingerprint sensor and USB-A.
    UsbABio,
    /// With a fingerprint sensor and USB-C.
    UsbCBio,
}

impl FormFactor {
    /// The code, which fills the low four bits of the form-factor byte.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::UsbAKeychain => 1,
            Self::UsbANano => 2,
            Self::UsbCKeychain => 3,
            Self::UsbCNano => 4,
            Self::UsbCLightning => 5,
            Self::UsbABio => 6,
            Self::UsbCBio => 7,
        }
    }

    /// Reads a code; those not known here become [`FormFactor::Unknown`].
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        match code {
            1 => Self::UsbAKeychain,
            2 => Self::UsbANano,
            3 => Self::UsbCKeychain,
            4 => Self::UsbCNano,
            5 => Self::UsbCLightning,
            6 => Self::UsbABio,
            7 => Self::UsbCBio,
            _ => Self::Unknown,
        }
    }

    /// Every shape that is known here.
    pub const KNOWN: [Self; 7] = [
        Self::UsbAKeychain,
        Self::UsbANano,
        Self::UsbCKeychain,
        Self::UsbCNano,
        Self::UsbCLightning,
        Self::UsbABio,
        Self::UsbCBio,
    ];

    /// The name as it is written on a command line and in JSON.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::UsbAKeychain => "usb-a",
            Self::UsbANano => "usb-a-nano",
            Self::UsbCKeychain => "usb-c",
            Self::UsbCNano => "usb-c-nano",
            Self::UsbCLightning => "lightning",
            Self::UsbABio => "usb-a-bio",
            Self::UsbCBio => "usb-c-bio",
        }
    }

    /// True for the keys with a fingerprint sensor.
    #[must_use]
    pub const fn is_bio(self) -> bool {
        matches!(self, Self::UsbABio | Self::UsbCBio)
    }
}

impl fmt::Display for FormFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::UsbAKeychain => "keychain (USB-A)",
            Self::UsbANano => "nano (USB-A)",
            Self::UsbCKeychain => "keychain (USB-C)",
            Self::UsbCNano => "nano (USB-C)",
            Self::UsbCLightning => "keychain (USB-C, Lightning)",
            Self::UsbABio => "Bio (USB-A)",
            Self::UsbCBio => "Bio (USB-C)",
        })
    }
}

impl FromStr for FormFactor {
    type Err = UnknownFormFactor;

    /// Reads an [`id`](Self::id) of one of the [`KNOWN`](Self::KNOWN), in any case of letters.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::KNOWN.into_iter().find(|one| one.id().eq_ignore_ascii_case(text)).ok_or(UnknownFormFactor)
    }
}

/// The text names no shape.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("no such form factor; there are {}", FormFactor::KNOWN.map(FormFactor::id).join(", "))]
pub struct UnknownFormFactor;

/// The form-factor byte: the shape and two marks.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct FormFactorByte(pub u8);

impl FormFactorByte {
    const FIPS: u8 = 0x80;
    const SECURITY_KEY: u8 = 0x40;
    const SHAPE: u8 = 0x0F;

    /// Puts a byte together.
    #[must_use]
    pub const fn new(shape: FormFactor, fips: bool, security_key: bool) -> Self {
        let fips = if fips { Self::FIPS } else { 0 };
        let security_key = if security_key { Self::SECURITY_KEY } else { 0 };
        Self(shape.code() | fips | security_key)
    }

    /// The shape.
    #[must_use]
    pub const fn shape(self) -> FormFactor {
        FormFactor::from_code(self.0 & Self::SHAPE)
    }

    /// True for a FIPS model.
    #[must_use]
    pub const fn is_fips(self) -> bool {
        self.0 & Self::FIPS != 0
    }

    /// True for a Security Key, which has FIDO only.
    #[must_use]
    pub const fn is_security_key(self) -> bool {
        self.0 & Self::SECURITY_KEY != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_round_trips() {
        for code in 0..=7 {
            assert_eq!(FormFactor::from_code(code).code(), code);
        }
        assert_eq!(FormFactor::from_code(9), FormFactor::Unknown);
        for one in FormFactor::KNOWN {
            assert_eq!(one.id().parse(), Ok(one));
            assert_eq!(one.id().to_uppercase().parse(), Ok(one));
        }
        assert_eq!("unknown".parse::<FormFactor>(), Err(UnknownFormFactor));
    }

    #[test]
    fn marks() {
        let byte = FormFactorByte::new(FormFactor::UsbCKeychain, true, false);
        assert_eq!(byte, FormFactorByte(0x83));
        assert_eq!(byte.shape(), FormFactor::UsbCKeychain);
        assert!(byte.is_fips() && !byte.is_security_key());
        assert!(FormFactorByte(0x41).is_security_key());
        assert!(FormFactor::UsbABio.is_bio());
    }
}
