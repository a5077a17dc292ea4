//! Which applications there are.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// A set of applications, as the management application counts them.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Capabilities(pub u16);

impl Capabilities {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// The two OTP slots.
    pub const OTP: Self = Self(0x01);
    /// FIDO U2F.
    pub const U2F: Self = Self(0x02);
    /// The bare CCID interface, without an application.
    pub const CCID: Self = Self(0x04);
    /// OpenPGP.
    pub const OPENPGP: Self = Self(0x08);
    /// PIV.
    pub const PIV: Self = Self(0x10);
    /// OATH.
    pub const OATH: Self = Self(0x20);
    /// YubiHSM Auth.
    pub const HSM_AUTH: Self = Self(0x0100);
    /// FIDO2.
    pub const FIDO2: Self = Self(0x0200);
    /// Management over CCID.
    pub const MANAGEMENT: Self = Self(0x0400);
    /// FIDO over CCID on USB.
    pub const FIDO_OVER_CCID: Self = Self(0x1000);

    /// What needs the CCID interface on USB.
    pub const ON_CCID: Self = Self(0x04 | 0x08 | 0x10 | 0x20 | 0x0100 | 0x0400 | 0x1000);
    /// What needs the FIDO interface on USB.
    pub const ON_FIDO: Self = Self(0x02 | 0x0200);

    /// True when all of `other` are in the set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// True when any of `other` is in the set.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// True when the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What is in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// What is in this set and not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The named applications in the set, in the order of their bits.
    pub fn iter(self) -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(one, _, _)| *one).filter(move |one| self.contains(*one))
    }

    /// The name of a single application as people read it.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        NAMES.iter().find(|(one, _, _)| *one == self).map(|(_, name, _)| *name)
    }

    /// The name of a single application as it is written on a command line and in JSON.
    #[must_use]
    pub fn id(self) -> Option<&'static str> {
        NAMES.iter().find(|(one, _, _)| *one == self).map(|(_, _, id)| *id)
    }

    /// Reads a field of one or more bytes, big-endian. Only the last two bytes are known today.
    #[must_use]
    pub fn from_be_bytes(bytes: &[u8]) -> Self {
        Self(bytes.iter().fold(0, |sum, byte| (sum << 8) | u16::from(*byte)))
    }

    /// Writes a field of two bytes, big-endian.
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 2] {
        self.0.to_be_bytes()
    }
}

const NAMES: &[(Capabilities, &str, &str)] = &[
    (Capabilities::OTP, "OTP", "otp"),
    (Capabilities::U2F, "FIDO U2F", "u2f"),
    (Capabilities::CCID, "CCID", "ccid"),
    (Capabilities::OPENPGP, "OpenPGP", "openpgp"),
    (Capabilities::PIV, "PIV", "piv"),
    (Capabilities::OATH, "OATH", "oath"),
    (Capabilities::HSM_AUTH, "YubiHSM Auth", "hsmauth"),
    (Capabilities::FIDO2, "FIDO2", "fido2"),
    (Capabilities::MANAGEMENT, "Management over CCID", "management"),
    (Capabilities::FIDO_OVER_CCID, "FIDO over CCID", "fido-ccid"),
];

impl std::ops::BitOr for Capabilities {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl std::ops::BitAnd for Capabilities {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        self.intersection(other)
    }
}

impl fmt::Display for Capabilities {
    /// Names with commas between them; `none` for the empty set.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let mut separator = "";
        let mut unknown = *self;
        for (one, name, _) in NAMES {
            if self.contains(*one) {
                write!(f, "{separator}{name}")?;
                separator = ", ";
                unknown = unknown.without(*one);
            }
        }
        if !unknown.is_empty() {
            write!(f, "{separator}{:#06x}", unknown.0)?;
        }
        Ok(())
    }
}

impl FromStr for Capabilities {
    type Err = UnknownCapability;

    /// Reads one application by [`Capabilities::id`] or [`Capabilities::name`], in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        NAMES
            .iter()
            .find(|(_, name, id)| id.eq_ignore_ascii_case(text) || name.eq_ignore_ascii_case(text))
            .map(|(one, _, _)| *one)
            .ok_or(UnknownCapability)
    }
}

/// The text names no application.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("no such application; known are otp, u2f, fido2, oath, piv, openpgp and hsmauth")]
pub struct UnknownCapability;

/// A set of applications as FIPS keys count them, which is another way than [`Capabilities`].
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct FipsCapabilities(pub u16);

impl FipsCapabilities {
    /// The same set in the usual count.
    #[must_use]
    pub fn to_capabilities(self) -> Capabilities {
        FIPS_BITS
            .iter()
            .filter(|(bit, _)| self.0 & bit != 0)
            .fold(Capabilities::NONE, |sum, (_, one)| sum | *one)
    }

    /// The set as FIPS keys count it; applications that they do not count are left out.
    #[must_use]
    pub fn from_capabilities(capabilities: Capabilities) -> Self {
        Self(
            FIPS_BITS
                .iter()
                .filter(|(_, one)| capabilities.contains(*one))
                .fold(0, |sum, (bit, _)| sum | bit),
        )
    }
}

const FIPS_BITS: &[(u16, Capabilities)] = &[
    (0x01, Capabilities::FIDO2),
    (0x02, Capabilities::PIV),
    (0x04, Capabilities::OPENPGP),
    (0x08, Capabilities::OATH),
    (0x10, Capabilities::HSM_AUTH),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn genuine_5_8_0() {
        let usb = Capabilities(0x173F);
        assert_eq!(usb.iter().fold(Capabilities::NONE, Capabilities::union), usb);
        assert!(usb.contains(Capabilities::FIDO_OVER_CCID | Capabilities::MANAGEMENT));
    }

    #[test]
    fn texts() {
        assert_eq!(Capabilities::NONE.to_string(), "none");
        assert_eq!(
            (Capabilities::OTP | Capabilities::PIV | Capabilities(0x8000)).to_string(),
            "OTP, PIV, 0x8000"
        );
        assert_eq!("HsmAuth".parse(), Ok(Capabilities::HSM_AUTH));
        assert_eq!("fido u2f".parse(), Ok(Capabilities::U2F));
        assert_eq!("x".parse::<Capabilities>(), Err(UnknownCapability));
    }

    #[test]
    fn fields_of_one_two_and_more_bytes() {
        assert_eq!(Capabilities::from_be_bytes(&[0x3F]), Capabilities(0x3F));
        assert_eq!(Capabilities::from_be_bytes(&[0x02, 0x3F]), Capabilities(0x023F));
        assert_eq!(Capabilities::from_be_bytes(&[0, 0x02, 0x3F]), Capabilities(0x023F));
        assert_eq!(Capabilities::from_be_bytes(&[]), Capabilities::NONE);
    }

    proptest! {
        #[test]
        fn names_round_trip(bits: u16) {
            for one in Capabilities(bits).iter() {
                prop_assert_eq!(one.id().unwrap().parse(), Ok(one));
                prop_assert_eq!(one.name().unwrap().parse(), Ok(one));
            }
        }

        #[test]
        fn fips_round_trip(bits in 0_u16..0x20) {
            let fips = FipsCapabilities(bits);
            prop_assert_eq!(FipsCapabilities::from_capabilities(fips.to_capabilities()), fips);
        }
    }
}
