//! The small values of a request: client id, nonce, sync level.

use std::{fmt, num::NonZeroU64, str::FromStr};

use thiserror::Error;

/// The number of an API client: 1 to 10 decimal digits, not 0.
///
/// ```
/// use tapkey_protocol::validation::ClientId;
/// assert!("1".parse::<ClientId>().is_ok());
/// assert!("0".parse::<ClientId>().is_err());
/// assert!("12345678901".parse::<ClientId>().is_err());
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ClientId(NonZeroU64);

impl ClientId {
    /// The greatest id: ten digits.
    pub const MAX: u64 = 9_999_999_999;

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get()
    }
}

impl TryFrom<u64> for ClientId {
    type Error = ClientIdError;

    fn try_from(id: u64) -> Result<Self, Self::Error> {
        NonZeroU64::new(id).filter(|id| id.get() <= Self::MAX).map(Self).ok_or(ClientIdError)
    }
}

impl FromStr for ClientId {
    type Err = ClientIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if !(1..=10).contains(&text.len()) || !text.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(ClientIdError);
        }
        text.parse::<u64>().map_err(|_| ClientIdError)?.try_into()
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Not a client id.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a client id is a number of 1 to 10 digits, greater than 0")]
pub struct ClientIdError;

/// What ties an answer to its request: 16 to 40 ASCII letters and digits.
///
/// ```
/// use tapkey_protocol::validation::Nonce;
/// let nonce = Nonce::from_random([7; 16]);
/// assert_eq!(nonce.as_str().parse::<Nonce>().as_ref(), Ok(&nonce));
/// assert!("too short".parse::<Nonce>().is_err());
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Nonce(String);

impl Nonce {
    /// From 16 random bytes, as 32 hexadecimal digits.
    #[must_use]
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(data_encoding::HEXLOWER.encode(&bytes))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Nonce {
    type Err = NonceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if (16..=40).contains(&text.len()) && text.bytes().all(|letter| letter.is_ascii_alphanumeric()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NonceError)
        }
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Not a nonce.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a nonce is 16 to 40 letters and digits")]
pub struct NonceError;

/// How many of the server's peers must agree, in percent.
///
/// The published protocol allows 0 to 100; the old reference server refused 0. Both are taken here,
/// numbers above 100 are not.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SyncLevel {
    /// The server's own choice for quick answers.
    Fast,
    /// The server's own choice for careful answers.
    Secure,
    /// 0 to 100 percent.
    Percent(u8),
}

impl FromStr for SyncLevel {
    type Err = SyncLevelError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.eq_ignore_ascii_case("fast") {
            return Ok(Self::Fast);
        }
        if text.eq_ignore_ascii_case("secure") {
            return Ok(Self::Secure);
        }
        if !(1..=3).contains(&text.len()) || !text.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(SyncLevelError);
        }
        text.parse().ok().filter(|percent| *percent <= 100).map(Self::Percent).ok_or(SyncLevelError)
    }
}

impl fmt::Display for SyncLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fast => f.write_str("fast"),
            Self::Secure => f.write_str("secure"),
            Self::Percent(percent) => percent.fmt(f),
        }
    }
}

/// Not a sync level.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a sync level is fast, secure, or a percentage from 0 to 100")]
pub struct SyncLevelError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sync_levels() {
        for (text, level) in [
            ("fast", SyncLevel::Fast),
            ("SECURE", SyncLevel::Secure),
            ("0", SyncLevel::Percent(0)),
            ("100", SyncLevel::Percent(100)),
        ] {
            assert_eq!(text.parse(), Ok(level));
        }
        for text in ["", "101", "-1", "1.0", "faster", "+5", "0000"] {
            assert_eq!(text.parse::<SyncLevel>(), Err(SyncLevelError), "{text}");
        }
    }

    #[test]
    fn nonces() {
        for text in ["a".repeat(15), "a".repeat(41), format!("{}-", "a".repeat(20)), "é".repeat(10)] {
            assert_eq!(text.parse::<Nonce>(), Err(NonceError), "{text}");
        }
    }

    #[test]
    fn client_ids() {
        assert_eq!("0000000001".parse::<ClientId>(), ClientId::try_from(1));
        for text in ["", "-1", "+1", " 1", "1e3", "00000000001"] {
            assert_eq!(text.parse::<ClientId>(), Err(ClientIdError), "{text}");
        }
    }
}
