//! Where keys live.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::{ObjectId, PinPolicy};

/// A place for a private key and, beside it, a certificate (NIST SP 800-73-4 part 1, table 4b, and
/// Yubico's slot F9).
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Slot(u8);

impl Slot {
    /// 9A, PIV authentication: signing in.
    pub const AUTHENTICATION: Self = Self(0x9A);
    /// 9C, digital signature: asks for the PIN every time unless told otherwise.
    pub const SIGNATURE: Self = Self(0x9C);
    /// 9D, key management: decryption.
    pub const KEY_MANAGEMENT: Self = Self(0x9D);
    /// 9E, card authentication: without a PIN unless told otherwise.
    pub const CARD_AUTHENTICATION: Self = Self(0x9E);
    /// F9, which signs attestations and nothing else.
    pub const ATTESTATION: Self = Self(0xF9);

    /// A slot for a retired key, 1 to 20, which are 82 to 95.
    #[must_use]
    pub const fn retired(number: u8) -> Option<Self> {
        match number {
            1..=20 => Some(Self(FIRST_RETIRED + number - 1)),
            _ => None,
        }
    }

    /// The number of a slot for a retired key.
    #[must_use]
    pub const fn retired_number(self) -> Option<u8> {
        match self.0 {
            FIRST_RETIRED..=LAST_RETIRED => Some(self.0 - FIRST_RETIRED + 1),
            _ => None,
        }
    }

    /// All slots, in the order in which people expect them.
    pub fn all() -> impl Iterator<Item = Self> {
        let first = [0x9A, 0x9C, 0x9D, 0x9E];
        first.into_iter().chain(FIRST_RETIRED..=LAST_RETIRED).chain([0xF9]).map(Self)
    }

    /// The byte by which commands call it.
    #[must_use]
    pub const fn id(self) -> u8 {
        self.0
    }

    /// The object that holds its certificate.
    #[must_use]
    pub const fn certificate(self) -> ObjectId {
        match self.0 {
            0x9A => ObjectId::AUTHENTICATION_CERTIFICATE,
            0x9C => ObjectId::SIGNATURE_CERTIFICATE,
            0x9D => ObjectId::KEY_MANAGEMENT_CERTIFICATE,
            0x9E => ObjectId::CARD_AUTHENTICATION_CERTIFICATE,
            0xF9 => ObjectId::ATTESTATION_CERTIFICATE,
            retired => ObjectId::retired_certificate_of(retired - FIRST_RETIRED),
        }
    }

    /// The policy that a key gets when none is asked for. (From firmware 5.7 on, keys with FIPS
    /// certification have [`PinPolicy::Once`] for 9E.)
    #[must_use]
    pub const fn default_pin_policy(self) -> PinPolicy {
        match self.0 {
            0x9C => PinPolicy::Always,
            0x9E => PinPolicy::Never,
            _ => PinPolicy::Once,
        }
    }

    /// What it is for, in words.
    #[must_use]
    pub fn purpose(self) -> String {
        match (self.0, self.retired_number()) {
            (0x9A, _) => "authentication".to_owned(),
            (0x9C, _) => "digital signature".to_owned(),
            (0x9D, _) => "key management".to_owned(),
            (0x9E, _) => "card authentication".to_owned(),
            (_, Some(number)) => format!("retired key {number}"),
            _ => "attestation".to_owned(),
        }
    }
}

impl TryFrom<u8> for Slot {
    type Error = SlotError;

    fn try_from(id: u8) -> Result<Self, SlotError> {
        match id {
            0x9A | 0x9C | 0x9D | 0x9E | 0xF9 | FIRST_RETIRED..=LAST_RETIRED => Ok(Self(id)),
            _ => Err(SlotError),
        }
    }
}

impl FromStr for Slot {
    type Err = SlotError;

    /// Reads `9a`, `82`, `authentication`, `signature`, `key-management`, `card-auth`, `retired7`,
    /// `attestation`, in either case.
    fn from_str(text: &str) -> Result<Self, SlotError> {
        let text = text.to_ascii_lowercase().replace('_', "-");
        let named = match text.as_str() {
            "authentication" | "auth" => Some(Self::AUTHENTICATION),
            "signature" | "sign" => Some(Self::SIGNATURE),
            "key-management" | "keym" => Some(Self::KEY_MANAGEMENT),
            "card-authentication" | "card-auth" => Some(Self::CARD_AUTHENTICATION),
            "attestation" | "attest" => Some(Self::ATTESTATION),
            other => other
                .strip_prefix("retired")
                .and_then(|number| Self::retired(number.trim_start_matches('-').parse().ok()?)),
        };
        if let Some(slot) = named {
            return Ok(slot);
        }
        let id = text.strip_prefix("0x").unwrap_or(&text);
        if id.len() != 2 {
            return Err(SlotError);
        }
        u8::from_str_radix(id, 16).map_err(|_| SlotError)?.try_into()
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02x}", self.0)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({:02x})", self.0)
    }
}

/// There is no such slot.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error(
    "the slots are 9a (authentication), 9c (signature), 9d (key-management), 9e (card-auth), \
         82 to 95 (retired1 to retired20) and f9 (attestation)"
)]
pub struct SlotError;

const FIRST_RETIRED: u8 = 0x82;
const LAST_RETIRED: u8 = 0x95;
