//! When a key asks for its PIN and for a touch.

use std::fmt;
use std::str::FromStr;

use super::{CodecError, UnknownName, since};
use crate::version::{Unsupported, Version};

/// When a private key wants the PIN.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum PinPolicy {
    /// Never.
    Never,
    /// Once while the application is selected.
    Once,
    /// Right before every use.
    Always,
    /// A fingerprint or the PIN, once (keys that read fingerprints).
    MatchOnce,
    /// A fingerprint or the PIN, before every use (keys that read fingerprints).
    MatchAlways,
}

impl PinPolicy {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Never, Self::Once, Self::Always, Self::MatchOnce, Self::MatchAlways];

    /// The byte in commands.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::Never => 1,
            Self::Once => 2,
            Self::Always => 3,
            Self::MatchOnce => 4,
            Self::MatchAlways => 5,
        }
    }

    /// The name for people and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Once => "once",
            Self::Always => "always",
            Self::MatchOnce => "match-once",
            Self::MatchAlways => "match-always",
        }
    }

    /// Checks that firmware has policies.
    ///
    /// # Errors
    /// [`Unsupported`] when it does not.
    pub fn check(self, firmware: Version) -> Result<(), Unsupported> {
        Unsupported::check_at_least("a PIN policy", firmware, since::POLICIES)
    }
}

impl TryFrom<u8> for PinPolicy {
    type Error = CodecError;

    fn try_from(id: u8) -> Result<Self, CodecError> {
        Self::ALL.into_iter().find(|policy| policy.id() == id).ok_or(CodecError::PinPolicy(id))
    }
}

impl fmt::Display for PinPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for PinPolicy {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let text = text.to_ascii_lowercase().replace('_', "-");
        Self::ALL
            .into_iter()
            .find(|policy| policy.name() == text)
            .ok_or(UnknownName("never, once, always, match-once or match-always"))
    }
}

/// When a private key wants a touch.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum TouchPolicy {
    /// Never.
    Never,
    /// For every use.
    Always,
    /// Unless there was one for this key in the last 15 seconds (firmware 4.3 and later).
    Cached,
}

impl TouchPolicy {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Never, Self::Always, Self::Cached];

    /// How long a touch counts under [`TouchPolicy::Cached`], in seconds.
    pub const CACHED_SECONDS: u8 = 15;

    /// The byte in commands.
    #[must_use]
    pub const fn id(self) -> u8 {
        match self {
            Self::Never => 1,
            Self::Always => 2,
            Self::Cached => 3,
        }
    }

    /// The name for people and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Always => "always",
            Self::Cached => "cached",
        }
    }

    /// P2 of the command that sets the management key.
    #[must_use]
    pub const fn management_key_p2(self) -> u8 {
        match self {
            Self::Never => 0xFF,
            Self::Always => 0xFE,
            Self::Cached => 0xFD,
        }
    }

    /// Checks that firmware has it.
    ///
    /// # Errors
    /// [`Unsupported`] when it does not.
    pub fn check(self, firmware: Version) -> Result<(), Unsupported> {
        let required = if self == Self::Cached { since::ATTESTATION } else { since::POLICIES };
        Unsupported::check_at_least("this touch policy", firmware, required)
    }
}

impl TryFrom<u8> for TouchPolicy {
    type Error = CodecError;

    fn try_from(id: u8) -> Result<Self, CodecError> {
        Self::ALL.into_iter().find(|policy| policy.id() == id).ok_or(CodecError::TouchPolicy(id))
    }
}

impl fmt::Display for TouchPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TouchPolicy {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let text = text.to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|policy| policy.name() == text)
            .ok_or(UnknownName("never, always or cached"))
    }
}
