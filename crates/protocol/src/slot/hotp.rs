//! OATH-HOTP slots.

use std::{fmt, str::FromStr};

use thiserror::Error;

use super::builder::{Options, SlotConfig, V2_1, V2_2};
use super::yubico_otp::fixed_part;
use super::{AccessCode, ConfigFlags, HmacKey, SlotRecord, TicketFlags};
use crate::secret::Secret;
use crate::version::{Unsupported, Version};

/// A slot that types an OATH-HOTP code (RFC 4226).
#[derive(Clone, Debug)]
pub struct Hotp {
    /// The key.
    pub key: HmacKey,
    /// Six or eight digits.
    pub digits: Digits,
    /// The counter of the first code.
    pub moving_factor: MovingFactor,
    /// What is typed in front of the code, if anything.
    pub token_id: Option<TokenId>,
    /// Common settings.
    pub options: Options,
    /// The access code from now on.
    pub access_code: AccessCode,
}

impl SlotConfig for Hotp {
    fn record(&self) -> SlotRecord {
        let (key, [a, b, c, d]) = self.key.split();
        let [high, low] = self.moving_factor.units.to_be_bytes();
        let mut record = self.options.typing_record(&self.access_code);
        record.ticket = record.ticket | TicketFlags::OATH_HOTP;
        record.config = record.config.with(ConfigFlags::HOTP_EIGHT_DIGITS, self.digits == Digits::Eight);
        if let Some(token_id) = &self.token_id {
            (record.fixed, record.fixed_length) = fixed_part(&token_id.bytes);
            record.config = record.config | token_id.flags();
        }
        SlotRecord { key, uid: Secret::new([a, b, c, d, high, low]), ..record }
    }

    fn supported_by(&self, version: Version) -> Result<(), Unsupported> {
        Unsupported::check_at_least("OATH-HOTP", version, V2_1)?;
        if self.moving_factor.value() != 0 {
            Unsupported::check_at_least("a starting counter for OATH-HOTP", version, V2_2)?;
        }
        self.options.supported_by(version)
    }
}

/// The length of a code.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Digits {
    /// Six digits.
    #[default]
    Six,
    /// Eight digits.
    Eight,
}

impl Digits {
    /// 6 or 8.
    #[must_use]
    pub const fn count(self) -> u8 {
        match self {
            Self::Six => 6,
            Self::Eight => 8,
        }
    }
}

/// The counter a HOTP slot starts from: a multiple of 16, at most 1 048 560.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct MovingFactor {
    units: u16,
}

impl MovingFactor {
    /// Takes a counter.
    ///
    /// # Errors
    /// [`MovingFactorError`] when it is not a multiple of 16, or too large.
    pub fn new(counter: u32) -> Result<Self, MovingFactorError> {
        if !counter.is_multiple_of(UNIT) {
            return Err(MovingFactorError);
        }
        u16::try_from(counter / UNIT).map(|units| Self { units }).map_err(|_| MovingFactorError)
    }

    /// The counter.
    #[must_use]
    pub fn value(self) -> u32 {
        u32::from(self.units) * UNIT
    }
}

/// A slot cannot start from this counter.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a slot can start from multiples of 16 up to 1048560 only")]
pub struct MovingFactorError;

/// What is typed in front of a code to tell whose it is: pairs of modhex letters on the left, then
/// pairs of digits.
///
/// ```
/// use tapkey_protocol::slot::TokenId;
///
/// assert_eq!(TokenId::from_serial(1234567).to_string(), "ubhe01234567");
/// assert_eq!("ubhe01234567".parse::<TokenId>()?, TokenId::from_serial(1234567));
/// assert!("01ub".parse::<TokenId>().is_err()); // modhex only on the left
/// # Ok::<(), tapkey_protocol::slot::TokenIdError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenId {
    bytes: Vec<u8>,
    modhex: Modhex,
}

/// How many bytes on the left are typed in modhex.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Modhex {
    None,
    First,
    FirstTwo,
    All,
}

impl TokenId {
    /// The id that host tools make of a serial number: `ubhe` and its last eight digits.
    #[must_use]
    pub fn from_serial(serial: u32) -> Self {
        let mut rest = serial % 100_000_000;
        let mut bytes = vec![0xE1, 0x63, 0, 0, 0, 0];
        for byte in bytes.iter_mut().skip(2).rev() {
            let pair = u8::try_from(rest % 100).unwrap_or(0);
            *byte = ((pair / 10) << 4) | (pair % 10);
            rest /= 100;
        }
        Self { bytes, modhex: Modhex::FirstTwo }
    }

    /// What a slot's record says; nothing when its fixed part is empty.
    #[must_use]
    pub fn of_record(record: &SlotRecord) -> Option<Self> {
        if record.fixed_part().is_empty() {
            return None;
        }
        let modhex = if record.config.contains(ConfigFlags::HOTP_MODHEX_ALL) {
            Modhex::All
        } else if record.config.contains(ConfigFlags::HOTP_MODHEX_FIRST_TWO) {
            Modhex::FirstTwo
        } else if record.config.contains(ConfigFlags::HOTP_MODHEX_FIRST) {
            Modhex::First
        } else {
            Modhex::None
        };
        Some(Self { bytes: record.fixed_part().to_vec(), modhex })
    }

    fn flags(&self) -> ConfigFlags {
        match self.modhex {
            Modhex::None => ConfigFlags::NONE,
            Modhex::First => ConfigFlags::HOTP_MODHEX_FIRST,
            Modhex::FirstTwo => ConfigFlags::HOTP_MODHEX_FIRST_TWO,
            Modhex::All => ConfigFlags::HOTP_MODHEX_ALL,
        }
    }

    fn is_modhex(&self, index: usize) -> bool {
        match self.modhex {
            Modhex::None => false,
            Modhex::First => index < 1,
            Modhex::FirstTwo => index < 2,
            Modhex::All => true,
        }
    }
}

impl fmt::Display for TokenId {
    /// As it is typed. A nibble above nine has no digit; it is typed as a modhex letter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.bytes.iter().enumerate() {
            for nibble in [byte >> 4, byte & 0x0F] {
                let alphabet = if self.is_modhex(index) || nibble > 9 { MODHEX } else { DIGITS };
                let letter = alphabet.get(usize::from(nibble)).copied().unwrap_or(b'c');
                write!(f, "{}", char::from(letter))?;
            }
        }
        Ok(())
    }
}

impl FromStr for TokenId {
    type Err = TokenIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || !text.len().is_multiple_of(2) || text.len() > 32 {
            return Err(TokenIdError::Length { length: text.len() });
        }
        let mut bytes = Vec::new();
        let mut modhex_pairs = 0;
        for pair in text.as_bytes().chunks_exact(2) {
            if let Some(byte) = pair_value(pair, DIGITS) {
                bytes.push(byte);
            } else {
                let byte = pair_value(pair, MODHEX).ok_or(TokenIdError::Letter)?;
                if modhex_pairs != bytes.len() {
                    return Err(TokenIdError::ModhexOnTheRight);
                }
                modhex_pairs += 1;
                bytes.push(byte);
            }
        }
        let modhex = match modhex_pairs {
            0 => Modhex::None,
            1 => Modhex::First,
            2 => Modhex::FirstTwo,
            pairs if pairs == bytes.len() => Modhex::All,
            _ => return Err(TokenIdError::ModhexOnTheRight),
        };
        Ok(Self { bytes, modhex })
    }
}

/// Why a text is no token id.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum TokenIdError {
    /// It has a wrong length.
    #[error("a token id has an even number of characters from 2 to 32, not {length}")]
    Length {
        /// Its length.
        length: usize,
    },
    /// It has other characters, or a pair of a letter and a digit.
    #[error("a token id consists of pairs of modhex letters (cbdefghijklnrtuv) and pairs of digits")]
    Letter,
    /// Modhex stands where it cannot.
    #[error("in a token id the first pair, the first two pairs or all pairs can be modhex")]
    ModhexOnTheRight,
}

const UNIT: u32 = 16;
const DIGITS: &[u8] = b"0123456789";
const MODHEX: &[u8] = b"cbdefghijklnrtuv";

fn pair_value(pair: &[u8], alphabet: &[u8]) -> Option<u8> {
    let value = |letter: &u8| {
        let place = alphabet.iter().position(|known| known.eq_ignore_ascii_case(letter))?;
        u8::try_from(place).ok()
    };
    match pair {
        [high, low] => Some((value(high)? << 4) | value(low)?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::slot::SlotKind;

    fn hotp(token_id: Option<TokenId>, counter: u32) -> Hotp {
        Hotp {
            key: HmacKey::new(*b"12345678901234567890"),
            digits: Digits::Eight,
            moving_factor: MovingFactor::new(counter).unwrap(),
            token_id,
            options: Options::for_typing(),
            access_code: AccessCode::NONE,
        }
    }

    #[test]
    fn record() {
        let record = hotp(Some(TokenId::from_serial(7)), 32).record();
        assert_eq!(record.kind(), SlotKind::Hotp { eight_digits: true });
        assert_eq!(record.hmac_key(), Secret::new(*b"12345678901234567890"));
        assert_eq!(record.moving_factor(), 32);
        assert_eq!(record.config, ConfigFlags(0x42));
        assert_eq!(TokenId::of_record(&record).unwrap().to_string(), "ubhe00000007");
        assert_eq!(TokenId::of_record(&hotp(None, 0).record()), None);
    }

    #[test]
    fn counters() {
        assert_eq!(MovingFactor::new(1_048_560).unwrap().value(), 1_048_560);
        assert_eq!(MovingFactor::new(1_048_576), Err(MovingFactorError));
        assert_eq!(MovingFactor::new(17), Err(MovingFactorError));
        assert!(hotp(None, 16).supported_by(Version::new(2, 1, 5)).is_err());
    }

    #[test]
    fn texts() {
        for text in ["ub", "ubhe", "ubhecccc", "01", "ub01", "ubhe01234567"] {
            assert_eq!(text.parse::<TokenId>().unwrap().to_string(), text);
        }
        assert_eq!("ubhecb01".parse::<TokenId>(), Err(TokenIdError::ModhexOnTheRight));
        assert_eq!("u1".parse::<TokenId>(), Err(TokenIdError::Letter));
        assert_eq!("ubh".parse::<TokenId>(), Err(TokenIdError::Length { length: 3 }));
    }

    proptest! {
        #[test]
        fn round_trip(pairs in 0_usize..=2, digits in "([0-9]{2}){1,6}") {
            let text = "ubhe"[..pairs * 2].to_owned() + &digits;
            let id: TokenId = text.parse().unwrap();
            prop_assert_eq!(id.to_string(), text);
            let record = hotp(Some(id.clone()), 0).record();
            prop_assert_eq!(TokenId::of_record(&record), Some(id));
        }

        #[test]
        fn parsing_never_panics(text: String) {
            let _ = text.parse::<TokenId>();
        }
    }
}
