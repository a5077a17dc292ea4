//! Firmware versions, which decide what a key can do.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// A firmware or application version: three numbers, compared in order.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Version {
    /// The generation: 1 and 2 first keys, 3 NEO, 4 and 5 the later series.
    pub major: u8,
    /// The feature level.
    pub minor: u8,
    /// The revision.
    pub patch: u8,
}

impl Version {
    /// Makes a version from its three numbers.
    #[must_use]
    pub const fn new(major: u8, minor: u8, patch: u8) -> Self {
        Self { major, minor, patch }
    }

    /// The three bytes as they travel: major, minor, patch.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 3] {
        [self.major, self.minor, self.patch]
    }

    /// True from `low` on and before `high`.
    #[must_use]
    pub fn is_within(self, low: Self, high: Self) -> bool {
        low <= self && self < high
    }

    /// True when the version has `major.minor.patch` or more.
    #[must_use]
    pub fn at_least(self, major: u8, minor: u8, patch: u8) -> bool {
        self >= Self::new(major, minor, patch)
    }

    /// True for the firmware of keys that were given out before their release: 5.0.x, 5.2.0 to
    /// 5.2.2, 5.5.0 and 5.5.1. Host tools call such a key a preview.
    #[must_use]
    pub fn is_preview(self) -> bool {
        self.is_within(Self::new(5, 0, 0), Self::new(5, 1, 0))
            || self.is_within(Self::new(5, 2, 0), Self::new(5, 2, 3))
            || self.is_within(Self::new(5, 5, 0), Self::new(5, 5, 2))
    }

    /// Finds the version at the end of a text such as `Virtual mgr - FW version 5.8.0`, which is
    /// how the management application answers a SELECT.
    #[must_use]
    pub fn find_in_text(text: &str) -> Option<Self> {
        text.split(|c: char| !(c.is_ascii_digit() || c == '.'))
            .filter_map(|word| word.trim_matches('.').parse().ok())
            .next_back()
    }
}

impl From<[u8; 3]> for Version {
    fn from([major, minor, patch]: [u8; 3]) -> Self {
        Self { major, minor, patch }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = ParseVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut numbers = text.split('.').map(parse_number);
        let version = match (numbers.next(), numbers.next(), numbers.next()) {
            (Some(major), Some(minor), Some(patch)) => Self::new(major?, minor?, patch?),
            _ => return Err(ParseVersionError),
        };
        if numbers.next().is_some() {
            return Err(ParseVersionError);
        }
        Ok(version)
    }
}

/// The text is not three numbers of 0–255 with dots between them.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a version is three numbers from 0 to 255 with dots between them, for example 5.4.3")]
pub struct ParseVersionError;

/// Something the firmware at hand cannot do.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{feature} needs firmware {required}, this key has {found}")]
pub struct Unsupported {
    /// What was asked for.
    pub feature: &'static str,
    /// The firmware that has it.
    pub required: Requirement,
    /// The firmware of the key.
    pub found: Version,
}

impl Unsupported {
    /// Checks that `found` is at least `required`.
    ///
    /// # Errors
    /// [`Unsupported`] naming the feature when it is older.
    pub fn check_at_least(feature: &'static str, found: Version, required: Version) -> Result<(), Self> {
        Self::check(feature, found, Requirement::AtLeast(required))
    }

    /// Checks that `found` meets `required`.
    ///
    /// # Errors
    /// [`Unsupported`] naming the feature when it does not.
    pub fn check(feature: &'static str, found: Version, required: Requirement) -> Result<(), Self> {
        if required.met_by(found) { Ok(()) } else { Err(Self { feature, required, found }) }
    }
}

/// A range of firmware versions.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Requirement {
    /// This version or a later one.
    AtLeast(Version),
    /// The first version or later, and before the second.
    Between(Version, Version),
    /// Any version but those from the first on and before the second.
    Outside(Version, Version),
}

impl Requirement {
    /// True when `version` lies in the range.
    #[must_use]
    pub fn met_by(self, version: Version) -> bool {
        match self {
            Self::AtLeast(low) => version >= low,
            Self::Between(low, high) => version.is_within(low, high),
            Self::Outside(low, high) => !version.is_within(low, high),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(low) => write!(f, "{low} or later"),
            Self::Between(low, high) => write!(f, "{low} or later but before {high}"),
            Self::Outside(low, high) => write!(f, "before {low}, or {high} or later"),
        }
    }
}

fn parse_number(text: &str) -> Result<u8, ParseVersionError> {
    // `u8::from_str` also takes a leading plus sign, which no version has.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ParseVersionError);
    }
    text.parse().map_err(|_| ParseVersionError)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn order_is_numeric() {
        assert!(Version::new(5, 10, 0) > Version::new(5, 9, 9));
        assert!(Version::new(4, 3, 5).is_within(Version::new(4, 3, 2), Version::new(4, 3, 6)));
    }

    #[test]
    fn previews() {
        let preview = |text: &str| text.parse::<Version>().unwrap().is_preview();
        assert!(preview("5.0.2") && preview("5.2.2") && preview("5.5.1"));
        assert!(!preview("5.1.0") && !preview("5.2.3") && !preview("5.5.2") && !preview("4.3.5"));
    }

    #[test]
    fn text_of_the_management_application() {
        let found = Version::find_in_text("Virtual mgr - FW version 5.8.0");
        assert_eq!(found, Some(Version::new(5, 8, 0)));
        assert_eq!(Version::find_in_text("Yubico 3.4."), None);
        assert_eq!(Version::find_in_text(""), None);
    }

    #[test]
    fn bad_texts() {
        for text in ["", "5", "5.4", "5.4.3.1", "5.4.256", "+5.4.3", "5.4.x", "5..3"] {
            assert_eq!(text.parse::<Version>(), Err(ParseVersionError), "{text}");
        }
    }

    #[test]
    fn unsupported_names_both_versions() {
        let error =
            Unsupported::check_at_least("swapping slots", Version::new(2, 2, 9), Version::new(2, 3, 0));
        assert_eq!(
            error.unwrap_err().to_string(),
            "swapping slots needs firmware 2.3.0 or later, this key has 2.2.9"
        );
    }

    proptest! {
        #[test]
        fn text_round_trip(bytes: [u8; 3]) {
            let version = Version::from(bytes);
            prop_assert_eq!(version.to_string().parse::<Version>(), Ok(version));
            prop_assert_eq!(version.to_bytes(), bytes);
        }

        #[test]
        fn parsing_never_panics(text: String) {
            let _ = text.parse::<Version>();
            let _ = Version::find_in_text(&text);
        }
    }
}
