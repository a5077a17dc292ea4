//! What names may look like: texts that outsiders choose, checked once and then trusted.

use std::{fmt, str::FromStr};

use tapkey_protocol::otp::PublicId;
use thiserror::Error;

macro_rules! names {
    ($($(#[$doc:meta])+ $name:ident, $check:path;)+) => {$(
        $(#[$doc])+
        #[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                $check(text)?;
                Ok(Self(text.to_owned()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )+};
}

names! {
    /// Name of an account: 1 to 128 characters without control characters, slashes, backslashes and
    /// surrounding spaces. Not `.` or `..`, which addresses swallow.
    AccountName, account;
    /// What people call a key, a client or a token: 1 to 128 characters without control characters.
    Label, label;
    /// The caller's own name for a request, so that repeating it is harmless: 8 to 64 letters,
    /// digits and hyphens.
    RequestId, request_id;
    /// A firmware version: three numbers below 256 with dots between.
    Firmware, firmware;
}

/// Why a text is not acceptable.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum NameError {
    /// See [`AccountName`].
    #[error(
        "an account name has 1 to 128 characters, no control characters, slashes, backslashes or \
         surrounding spaces, and is not . or .."
    )]
    AccountName,
    /// See [`Label`].
    #[error("a label has 1 to 128 characters and no control characters")]
    Label,
    /// See [`RequestId`].
    #[error("a request id has 8 to 64 letters, digits and hyphens; a UUID does")]
    RequestId,
    /// See [`Firmware`].
    #[error("a firmware version is three numbers such as 5.7.4")]
    Firmware,
    /// See [`server_public_id`].
    #[error("a public id on a server has at most 16 modhex letters, an even number of them")]
    PublicId,
    /// See [`slot`].
    #[error("a slot is 1 or 2")]
    Slot,
}

/// A public id that the validation protocol has room for.
///
/// # Errors
/// Not modhex, or longer than 8 bytes.
pub fn server_public_id(text: &str) -> Result<PublicId, NameError> {
    match text.parse::<PublicId>() {
        Ok(id) if id.len() <= PublicId::MAX_ON_A_SERVER => Ok(id),
        _ => Err(NameError::PublicId),
    }
}

/// The number of a slot.
///
/// # Errors
/// Neither 1 nor 2.
pub const fn slot(number: u8) -> Result<u8, NameError> {
    match number {
        1 | 2 => Ok(number),
        _ => Err(NameError::Slot),
    }
}

fn account(text: &str) -> Result<(), NameError> {
    let plain = text.chars().all(|c| !c.is_control() && c != '/' && c != '\\');
    let fits = fits(text) && text.trim() == text && text != "." && text != "..";
    if plain && fits { Ok(()) } else { Err(NameError::AccountName) }
}

fn label(text: &str) -> Result<(), NameError> {
    if fits(text) && !text.chars().any(char::is_control) { Ok(()) } else { Err(NameError::Label) }
}

fn request_id(text: &str) -> Result<(), NameError> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if plain && (8..=64).contains(&text.len()) { Ok(()) } else { Err(NameError::RequestId) }
}

fn firmware(text: &str) -> Result<(), NameError> {
    let mut parts = 0;
    for part in text.split('.') {
        let digits = (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if !digits || part.parse::<u8>().is_err() {
            return Err(NameError::Firmware);
        }
        parts += 1;
    }
    if parts == 3 { Ok(()) } else { Err(NameError::Firmware) }
}

fn fits(text: &str) -> bool {
    (1..=128).contains(&text.chars().count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_names() {
        for good in ["alice", "alice@example.org", "Ærøskøbing", "a b", "x", &"é".repeat(128)] {
            assert!(good.parse::<AccountName>().is_ok(), "{good}");
        }
        for bad in ["", " a", "a ", "a/b", "a\\b", ".", "..", "a\nb", "a\0", &"x".repeat(129)] {
            assert_eq!(bad.parse::<AccountName>(), Err(NameError::AccountName), "{bad:?}");
        }
    }

    #[test]
    fn other_names() {
        assert!("9d6bd5f0-3a1e-4d6c-8f0e-0b3b2f1f8a11".parse::<RequestId>().is_ok());
        for bad in ["short", "has space", "", "under_score", &"a".repeat(65)] {
            assert!(bad.parse::<RequestId>().is_err(), "{bad}");
        }
        assert!("5.7.4".parse::<Firmware>().is_ok());
        for bad in ["5.7", "5.7.4.1", "5.7.x", "5..4", "5.7.256", "", "+5.7.4", "5.7.0004"] {
            assert!(bad.parse::<Firmware>().is_err(), "{bad}");
        }
        assert!("my key".parse::<Label>().is_ok());
        assert!("a\rb".parse::<Label>().is_err());
        assert!(server_public_id("").is_ok());
        assert!(server_public_id(&"c".repeat(16)).is_ok());
        assert_eq!(server_public_id(&"c".repeat(18)), Err(NameError::PublicId));
        assert_eq!(server_public_id("ccc"), Err(NameError::PublicId));
        assert_eq!([slot(0), slot(3)], [Err(NameError::Slot); 2]);
        assert_eq!([slot(1), slot(2)], [Ok(1), Ok(2)]);
    }
}
