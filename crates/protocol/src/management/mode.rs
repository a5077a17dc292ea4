//! USB interfaces, the mode numbers of firmware 3 and 4, and product ids.

use std::fmt;

use thiserror::Error;

use super::Capabilities;

/// A set of USB interfaces.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Interfaces(u8);

impl Interfaces {
    /// No interface.
    pub const NONE: Self = Self(0);
    /// The keyboard that types and takes OTP commands.
    pub const OTP: Self = Self(1);
    /// FIDO over HID.
    pub const FIDO: Self = Self(2);
    /// The smart card.
    pub const CCID: Self = Self(4);
    /// All three.
    pub const ALL: Self = Self(7);

    /// True when all of `other` are in the set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// True for the empty set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The interfaces on which the given applications live.
    #[must_use]
    pub const fn of(capabilities: Capabilities) -> Self {
        let mut sum = 0;
        if capabilities.intersects(Capabilities::OTP) {
            sum |= Self::OTP.0;
        }
        if capabilities.intersects(Capabilities::ON_FIDO) {
            sum |= Self::FIDO.0;
        }
        if capabilities.intersects(Capabilities::ON_CCID) {
            sum |= Self::CCID.0;
        }
        Self(sum)
    }
}

impl std::ops::BitOr for Interfaces {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.union(other)
    }
}

impl fmt::Display for Interfaces {
    /// `OTP+FIDO+CCID` and its parts, as the product strings of keys spell it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [(Self::OTP, "OTP"), (Self::FIDO, "FIDO"), (Self::CCID, "CCID")];
        let mut separator = "";
        for (one, name) in names {
            if self.contains(one) {
                write!(f, "{separator}{name}")?;
                separator = "+";
            }
        }
        Ok(())
    }
}

/// A USB mode of firmware 3 and 4: which interfaces, and whether a touch ejects the card.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Mode {
    /// The interfaces; at least one.
    interfaces: Interfaces,
    /// A touch inserts and ejects the smart card.
    pub touch_eject: bool,
}

impl Mode {
    /// Makes a mode.
    ///
    /// # Errors
    /// [`ModeError`] when no interface is chosen.
    pub const fn new(interfaces: Interfaces, touch_eject: bool) -> Result<Self, ModeError> {
        if interfaces.is_empty() {
            return Err(ModeError);
        }
        Ok(Self { interfaces, touch_eject })
    }

    /// The interfaces.
    #[must_use]
    pub const fn interfaces(self) -> Interfaces {
        self.interfaces
    }

    /// The mode byte.
    #[must_use]
    pub fn code(self) -> u8 {
        let code =
            MODES.iter().find(|(_, interfaces)| *interfaces == self.interfaces).map_or(0, |(code, _)| *code);
        if self.touch_eject { code | TOUCH_EJECT } else { code }
    }
}

impl TryFrom<u8> for Mode {
    type Error = ModeError;

    fn try_from(code: u8) -> Result<Self, Self::Error> {
        let (_, interfaces) =
            MODES.iter().find(|(known, _)| *known == code & !TOUCH_EJECT).ok_or(ModeError)?;
        Self::new(*interfaces, code & TOUCH_EJECT != 0)
    }
}

/// The payload of a mode change, over HID and over a smart card.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SetMode {
    /// The mode.
    pub mode: Mode,
    /// Seconds that a challenge waits for a touch; 0 for the default of 15.
    pub challenge_timeout: u8,
    /// Seconds until the card is ejected by itself; the NEO counts in units of ten.
    pub auto_eject_timeout: u16,
}

impl SetMode {
    /// Bytes of the payload.
    pub const SIZE: usize = 4;

    /// Writes the payload: mode, challenge timeout, auto-eject timeout (little-endian).
    #[must_use]
    pub fn encode(self) -> [u8; Self::SIZE] {
        let [low, high] = self.auto_eject_timeout.to_le_bytes();
        [self.mode.code(), self.challenge_timeout, low, high]
    }

    /// Reads the payload; bytes after the fourth are padding.
    ///
    /// # Errors
    /// [`ModeError`] when there are fewer than four bytes or the mode is unknown.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModeError> {
        let &[mode, challenge_timeout, low, high] = bytes.first_chunk().ok_or(ModeError)?;
        Ok(Self {
            mode: Mode::try_from(mode)?,
            challenge_timeout,
            auto_eject_timeout: u16::from_le_bytes([low, high]),
        })
    }
}

/// There is no such USB mode.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("no such USB mode; at least one of OTP, FIDO and CCID must be chosen")]
pub struct ModeError;

/// The USB product id of a key.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ProductId(pub u16);

/// Yubico's USB vendor id.
pub const VENDOR_ID: u16 = 0x1050;

/// Which line of products a product id belongs to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ProductFamily {
    /// The first keys, generations 1 and 2.
    Standard,
    /// NEO.
    Neo,
    /// The first Security Key.
    SecurityKey,
    /// The 4 and 5 series.
    Series4And5,
    /// Plus.
    Plus,
}

impl ProductId {
    /// The product line, or nothing for an id that no known key has.
    #[must_use]
    pub fn family(self) -> Option<ProductFamily> {
        find_product(self).map(|(_, family, _)| *family)
    }

    /// The interfaces that the id promises.
    #[must_use]
    pub fn interfaces(self) -> Option<Interfaces> {
        find_product(self).map(|(_, _, interfaces)| *interfaces)
    }

    /// The id of a key of the given line with the given interfaces.
    #[must_use]
    pub fn of(family: ProductFamily, interfaces: Interfaces) -> Option<Self> {
        PRODUCTS
            .iter()
            .find(|(_, known, set)| *known == family && *set == interfaces)
            .map(|(id, _, _)| Self(*id))
    }
}

impl fmt::Display for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.0)
    }
}

const TOUCH_EJECT: u8 = 0x80;

const OTP: Interfaces = Interfaces::OTP;
const FIDO: Interfaces = Interfaces::FIDO;
const CCID: Interfaces = Interfaces::CCID;

const MODES: [(u8, Interfaces); 7] = [
    (0, OTP),
    (1, CCID),
    (2, OTP.union(CCID)),
    (3, FIDO),
    (4, OTP.union(FIDO)),
    (5, FIDO.union(CCID)),
    (6, Interfaces::ALL),
];

const PRODUCTS: &[(u16, ProductFamily, Interfaces)] = &[
    (0x0010, ProductFamily::Standard, OTP),
    (0x0110, ProductFamily::Neo, OTP),
    (0x0111, ProductFamily::Neo, OTP.union(CCID)),
    (0x0112, ProductFamily::Neo, CCID),
    (0x0113, ProductFamily::Neo, FIDO),
    (0x0114, ProductFamily::Neo, OTP.union(FIDO)),
    (0x0115, ProductFamily::Neo, FIDO.union(CCID)),
    (0x0116, ProductFamily::Neo, Interfaces::ALL),
    (0x0120, ProductFamily::SecurityKey, FIDO),
    (0x0401, ProductFamily::Series4And5, OTP),
    (0x0402, ProductFamily::Series4And5, FIDO),
    (0x0403, ProductFamily::Series4And5, OTP.union(FIDO)),
    (0x0404, ProductFamily::Series4And5, CCID),
    (0x0405, ProductFamily::Series4And5, OTP.union(CCID)),
    (0x0406, ProductFamily::Series4And5, FIDO.union(CCID)),
    (0x0407, ProductFamily::Series4And5, Interfaces::ALL),
    (0x0410, ProductFamily::Plus, OTP.union(FIDO)),
];

fn find_product(id: ProductId) -> Option<&'static (u16, ProductFamily, Interfaces)> {
    PRODUCTS.iter().find(|(known, _, _)| *known == id.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_mode_and_product_round_trips() {
        for (code, _) in MODES {
            assert_eq!(Mode::try_from(code).unwrap().code(), code);
            assert_eq!(Mode::try_from(code | 0x80).unwrap().code(), code | 0x80);
        }
        for (id, family, interfaces) in PRODUCTS {
            assert_eq!(ProductId::of(*family, *interfaces), Some(ProductId(*id)));
        }
        assert_eq!(Mode::try_from(7), Err(ModeError));
        assert_eq!(Mode::new(Interfaces::NONE, false), Err(ModeError));
        assert_eq!(ProductId(0x9999).family(), None);
    }

    #[test]
    fn interfaces_follow_the_applications() {
        assert_eq!(Interfaces::of(Capabilities(0x173F)).to_string(), "OTP+FIDO+CCID");
        assert_eq!(Interfaces::of(Capabilities::FIDO2), FIDO);
        assert_eq!(Interfaces::of(Capabilities::OTP | Capabilities::PIV), OTP | CCID);
    }

    proptest! {
        #[test]
        fn set_mode_round_trip(code in 0_u8..=6, eject: bool, challenge: u8, auto: u16) {
            let mode = Mode::try_from(if eject { code | 0x80 } else { code }).unwrap();
            let set = SetMode { mode, challenge_timeout: challenge, auto_eject_timeout: auto };
            prop_assert_eq!(SetMode::parse(&set.encode()), Ok(set));
        }

        #[test]
        fn parsing_never_panics(bytes: Vec<u8>) {
            let _ = SetMode::parse(&bytes);
        }
    }
}
