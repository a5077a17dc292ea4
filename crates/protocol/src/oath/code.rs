//! HOTP and TOTP values.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};
use thiserror::Error;

/// The hash under a code.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Algorithm {
    /// SHA-1, what nearly every authenticator uses.
    #[default]
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Algorithm {
    /// HMAC of `message` under `key` with this hash.
    #[must_use]
    pub fn hmac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => mac::<Hmac<Sha1>>(key, message),
            Self::Sha256 => mac::<Hmac<Sha256>>(key, message),
            Self::Sha512 => mac::<Hmac<Sha512>>(key, message),
        }
    }

    /// The hash of `data` alone.
    #[must_use]
    pub fn digest(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => Sha1::digest(data).to_vec(),
            Self::Sha256 => Sha256::digest(data).to_vec(),
            Self::Sha512 => Sha512::digest(data).to_vec(),
        }
    }

    /// The bytes of a block of the hash; HMAC hashes longer keys first (RFC 2104 section 2).
    #[must_use]
    pub const fn block_size(self) -> usize {
        match self {
            Self::Sha1 | Self::Sha256 => 64,
            Self::Sha512 => 128,
        }
    }

    /// The name in `otpauth://` URIs: `SHA1`, `SHA256` or `SHA512`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
            Self::Sha512 => "SHA512",
        }
    }
}

fn mac<M: Mac + KeyInit>(key: &[u8], message: &[u8]) -> Vec<u8> {
    // HMAC takes keys of every length, so the error cannot occur.
    M::new_from_slice(key)
        .map(|mac| mac.chain_update(message).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

/// How many decimal digits a code has: 6, 7 or 8.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Digits(u8);

impl Digits {
    /// Six digits.
    pub const SIX: Self = Self(6);
    /// Seven digits.
    pub const SEVEN: Self = Self(7);
    /// Eight digits.
    pub const EIGHT: Self = Self(8);

    /// How many.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl Default for Digits {
    fn default() -> Self {
        Self::SIX
    }
}

impl TryFrom<u8> for Digits {
    type Error = DigitsError;

    fn try_from(digits: u8) -> Result<Self, Self::Error> {
        if (6..=8).contains(&digits) { Ok(Self(digits)) } else { Err(DigitsError(digits)) }
    }
}

/// A number of digits that no code has.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a code has 6, 7 or 8 digits, not {0}")]
pub struct DigitsError(pub u8);

/// A code with its number of digits; displays with leading zeros.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Code {
    value: u32,
    digits: Digits,
}

impl Code {
    /// Reduces a truncated value to the digits shown.
    #[must_use]
    pub fn new(truncated: u32, digits: Digits) -> Self {
        Self { value: truncated % 10u32.pow(u32::from(digits.get())), digits }
    }

    /// The code as a number, without its leading zeros.
    #[must_use]
    pub const fn value(self) -> u32 {
        self.value
    }

    /// How many digits it is shown with.
    #[must_use]
    pub const fn digits(self) -> Digits {
        self.digits
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$}", self.value, width = usize::from(self.digits.get()))
    }
}

/// A code is a secret until it was used.
impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({} digits)", self.digits.get())
    }
}

/// Dynamic truncation: 31 bits out of an HMAC (RFC 4226 section 5.3).
#[must_use]
pub fn truncate(hmac: &[u8]) -> u32 {
    let offset = hmac.last().map_or(0, |last| usize::from(last & 0x0f));
    hmac.get(offset..offset + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map_or(0, |bytes| u32::from_be_bytes(bytes) & 0x7fff_ffff)
}

/// The five characters that Steam shows instead of digits, out of an HMAC.
#[must_use]
pub fn steam_code(hmac: &[u8]) -> String {
    let mut value = truncate(hmac);
    let mut code = String::with_capacity(STEAM_LENGTH);
    for _ in 0..STEAM_LENGTH {
        let (rest, index) = (value / STEAM_BASE, value % STEAM_BASE);
        code.extend(
            usize::try_from(index).ok().and_then(|index| STEAM_ALPHABET.get(index)).map(|c| char::from(*c)),
        );
        value = rest;
    }
    code
}

const STEAM_ALPHABET: &[u8; 26] = b"23456789BCDFGHJKMNPQRTVWXY";
const STEAM_BASE: u32 = 26;
const STEAM_LENGTH: usize = 5;

/// The code for a counter (RFC 4226, with SHA-1).
///
/// ```
/// use tapkey_protocol::oath::{Digits, hotp};
/// assert_eq!(hotp(b"12345678901234567890", 0, Digits::SIX).to_string(), "755224");
/// ```
#[must_use]
pub fn hotp(key: &[u8], counter: u64, digits: Digits) -> Code {
    code(Algorithm::Sha1, key, counter, digits)
}

/// The code for a moment (RFC 6238): `seconds` since 1970 in steps of `period` seconds.
///
/// A period of 0 is taken as 1.
#[must_use]
pub fn totp(algorithm: Algorithm, key: &[u8], seconds: u64, period: u32, digits: Digits) -> Code {
    code(algorithm, key, seconds / u64::from(period.max(1)), digits)
}

fn code(algorithm: Algorithm, key: &[u8], counter: u64, digits: Digits) -> Code {
    Code::new(truncate(&algorithm.hmac(key, &counter.to_be_bytes())), digits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use totp_rs::{Algorithm as Oracle, Builder};

    use super::*;

    /// RFC 4226 appendix D.
    #[test]
    fn hotp_of_the_rfc() {
        let expected = [
            "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
            "520489",
        ];
        for (counter, code) in (0u64..).zip(expected) {
            assert_eq!(hotp(b"12345678901234567890", counter, Digits::SIX).to_string(), code);
        }
    }

    /// RFC 6238 appendix B.
    #[test]
    fn totp_of_the_rfc() {
        let keys = [
            (Algorithm::Sha1, "12345678901234567890".to_owned()),
            (Algorithm::Sha256, "1234567890".repeat(4)[..32].to_owned()),
            (Algorithm::Sha512, "1234567890".repeat(7)[..64].to_owned()),
        ];
        let expected = [
            (59, ["94287082", "46119246", "90693936"]),
            (1_111_111_109, ["07081804", "68084774", "25091201"]),
            (20_000_000_000, ["65353130", "77737706", "47863826"]),
        ];
        for (seconds, codes) in expected {
            for ((algorithm, key), code) in keys.iter().zip(codes) {
                assert_eq!(totp(*algorithm, key.as_bytes(), seconds, 30, Digits::EIGHT).to_string(), code);
            }
        }
    }

    /// Worked out with Python's `hmac`.
    #[test]
    fn steam_codes() {
        let code =
            |counter: u64| steam_code(&Algorithm::Sha1.hmac(b"12345678901234567890", &counter.to_be_bytes()));
        assert_eq!([code(0), code(1), code(50_000_000)], ["GG5F5", "PV9M4", "K23BY"]);
    }

    #[test]
    fn truncation_of_short_input_is_zero() {
        assert_eq!(truncate(&[]), 0);
        assert_eq!(truncate(&[0x0f]), 0);
    }

    proptest! {
        #[test]
        fn agrees_with_an_independent_library(key in proptest::collection::vec(any::<u8>(), 16..64), seconds in 0u64..1 << 40) {
            let oracle = Builder::new()
                .with_algorithm(Oracle::SHA1)
                .with_digits(6)
                .with_step_duration(30)
                .with_secret(key.clone())
                .build()
                .unwrap();
            let ours = totp(Algorithm::Sha1, &key, seconds, 30, Digits::SIX).to_string();
            prop_assert_eq!(ours, oracle.generate(seconds).to_string());
        }

        #[test]
        fn truncation_never_panics(hmac: Vec<u8>) {
            prop_assert!(truncate(&hmac) <= 0x7fff_ffff);
        }
    }
}
