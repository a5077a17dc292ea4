//! The two slots of the OTP application: what is written into them, and what they do.
//!
//! A configuration is built with [`YubicoOtp`], [`ChallengeHmac`], [`ChallengeYubico`], [`Hotp`],
//! [`StaticTicket`] or [`ScanCodes`], all of which are [`SlotConfig`]s and turn into the 52-byte
//! [`SlotRecord`] that travels. The key's side reads it with [`WritePayload::parse`] and asks
//! [`SlotKind::of`] what the slot does.

mod access_code;
mod builder;
mod challenge;
mod changes;
mod command;
mod flags;
mod hmac_key;
mod hotp;
mod kind;
mod ndef;
mod record;
mod scan_map;
mod statics;
mod swap;
mod update;
mod yubico_otp;

use std::{fmt, str::FromStr};

use thiserror::Error;

pub use access_code::{AccessCode, AccessCodeError};
pub use builder::{Options, Pacing, SlotConfig};
pub use challenge::{ChallengeHmac, ChallengeYubico};
pub use changes::OptionChanges;
pub use command::{SlotCommand, UnknownCommand};
pub use flags::{ConfigFlags, ExtendedFlags, TicketFlags};
pub use hmac_key::{HmacKey, HmacKeyError};
pub use hotp::{Digits, Hotp, MovingFactor, MovingFactorError, TokenId, TokenIdError};
pub use kind::SlotKind;
pub use ndef::{Ndef, NdefError, NdefPayload, NdefType, TextEncoding};
pub use record::{RecordError, SlotRecord, SlotWrite, WritePayload};
pub use scan_map::{ScanMap, ScanMapError, ScanMapPayload};
pub use statics::{ScanCodes, ScanCodesError, StaticTicket};
pub use swap::{swap_code_over_card, swap_code_over_hid};
pub use update::{Update, UpdateRefused, apply_update};
pub use yubico_otp::YubicoOtp;

/// A slot: touched briefly or long.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Slot {
    /// The slot of a short touch.
    One,
    /// The slot of a long touch (firmware 2.0 and later).
    Two,
}

impl Slot {
    /// Both slots.
    pub const ALL: [Self; 2] = [Self::One, Self::Two];

    /// 1 or 2.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }

    /// 0 or 1, for arrays.
    #[must_use]
    pub const fn index(self) -> usize {
        match self {
            Self::One => 0,
            Self::Two => 1,
        }
    }

    /// The other slot.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::One => Self::Two,
            Self::Two => Self::One,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number())
    }
}

impl TryFrom<u8> for Slot {
    type Error = NoSuchSlot;

    fn try_from(number: u8) -> Result<Self, Self::Error> {
        match number {
            1 => Ok(Self::One),
            2 => Ok(Self::Two),
            _ => Err(NoSuchSlot),
        }
    }
}

impl FromStr for Slot {
    type Err = NoSuchSlot;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "1" => Ok(Self::One),
            "2" => Ok(Self::Two),
            _ => Err(NoSuchSlot),
        }
    }
}

/// There are two slots.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("there is no such slot; slots are 1 and 2")]
pub struct NoSuchSlot;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        for slot in Slot::ALL {
            assert_eq!(Slot::try_from(slot.number()), Ok(slot));
            assert_eq!(slot.to_string().parse(), Ok(slot));
            assert_eq!(slot.other().other(), slot);
        }
        assert_eq!(Slot::try_from(0), Err(NoSuchSlot));
        assert_eq!("3".parse::<Slot>(), Err(NoSuchSlot));
    }
}
