//! One line of a recording.

use std::fmt;
use std::io;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::hid::REPORT_DATA;
use crate::link::{CardTransport, LinkError};

/// Something that happened. Times are milliseconds from the beginning.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Line {
    /// A link was opened.
    Open {
        /// When.
        at: u64,
        /// Its number, from 1.
        link: u32,
        /// What it leads to.
        interface: Interface,
    },
    /// The host wrote a feature report.
    Write {
        /// When.
        at: u64,
        /// Over which link.
        link: u32,
        /// Eight bytes.
        report: Pattern,
        /// Why it did not arrive.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Failure>,
    },
    /// The host read a feature report.
    Read {
        /// When.
        at: u64,
        /// Over which link.
        link: u32,
        /// Eight bytes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        report: Option<Bytes>,
        /// The data was replaced by zeros.
        #[serde(default, skip_serializing_if = "is_false")]
        masked: bool,
        /// Why none came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Failure>,
    },
    /// The host sent a command to the card.
    Transmit {
        /// When.
        at: u64,
        /// Over which link.
        link: u32,
        /// The command as it was encoded.
        command: Pattern,
        /// The response, status word included.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        response: Option<Bytes>,
        /// The data of the response was replaced by zeros.
        #[serde(default, skip_serializing_if = "is_false")]
        masked: bool,
        /// Why none came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Failure>,
    },
    /// Something that did not pass over a link.
    Note {
        /// When.
        at: u64,
        /// What.
        text: String,
    },
}

/// What a link leads to.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interface {
    /// The OTP interface.
    Otp,
    /// The smart card on USB.
    CardUsb,
    /// The smart card over NFC.
    CardNfc,
}

/// How a transfer failed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Failure {
    /// The key was removed.
    Removed,
    /// Another program holds the interface.
    Busy,
    /// The user may not open it.
    PermissionDenied,
    /// No answer in time.
    TimedOut,
    /// The interface is switched off, or a service is missing.
    Unavailable,
    /// Another failure of the operating system.
    Io,
    /// Bytes that the interface may not deliver.
    Malformed,
}

/// Bytes. They may be secrets, so `Debug` shows their number only.
#[derive(Clone, Eq, PartialEq, Zeroize, ZeroizeOnDrop)]
pub struct Bytes(pub Vec<u8>);

/// Bytes of which some were left out.
#[derive(Clone, Eq, PartialEq, Zeroize, ZeroizeOnDrop)]
pub struct Pattern(Vec<Option<u8>>);

impl Line {
    /// When it happened, in milliseconds from the beginning.
    #[must_use]
    pub const fn at(&self) -> u64 {
        match self {
            Self::Open { at, .. }
            | Self::Write { at, .. }
            | Self::Read { at, .. }
            | Self::Transmit { at, .. }
            | Self::Note { at, .. } => *at,
        }
    }

    /// The link it happened on.
    #[must_use]
    pub const fn link(&self) -> Option<u32> {
        match self {
            Self::Open { link, .. }
            | Self::Write { link, .. }
            | Self::Read { link, .. }
            | Self::Transmit { link, .. } => Some(*link),
            Self::Note { .. } => None,
        }
    }

    /// The line as JSON, without its end.
    #[must_use]
    pub fn to_text(&self) -> String {
        // Strings and numbers always go into JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Pattern {
    /// All bytes known.
    #[must_use]
    pub fn exact(bytes: &[u8]) -> Self {
        Self(bytes.iter().copied().map(Some).collect())
    }

    /// As many gaps.
    #[must_use]
    pub fn hidden(length: usize) -> Self {
        Self(vec![None; length])
    }

    /// The same bytes with gaps in this range, as far as it lies within.
    #[must_use]
    pub fn hide(mut self, range: std::ops::Range<usize>) -> Self {
        for byte in self.0.iter_mut().take(range.end).skip(range.start) {
            *byte = None;
        }
        self
    }

    /// The same bytes with seven others from `start` on.
    pub(super) fn overlaid(mut self, start: usize, other: &Self) -> Self {
        for (to, from) in self.0.iter_mut().skip(start).zip(other.0.iter().take(REPORT_DATA)) {
            *to = *from;
        }
        self
    }

    /// How many bytes, gaps included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether any byte was left out.
    #[must_use]
    pub fn has_gaps(&self) -> bool {
        self.0.contains(&None)
    }

    /// The byte at a place; `None` where there is none, or where it was left out.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<u8> {
        self.0.get(index).copied().flatten()
    }

    /// The bytes, zeros in the gaps.
    #[must_use]
    pub fn with_zeros(&self) -> Vec<u8> {
        self.0.iter().map(|byte| byte.unwrap_or(0)).collect()
    }

    /// Whether these bytes may be the ones that were recorded.
    #[must_use]
    pub fn matches(&self, bytes: &[u8]) -> bool {
        self.0.len() == bytes.len()
            && self.0.iter().zip(bytes).all(|(known, byte)| known.is_none_or(|known| known == *byte))
    }
}

impl From<CardTransport> for Interface {
    fn from(transport: CardTransport) -> Self {
        match transport {
            CardTransport::Usb => Self::CardUsb,
            CardTransport::Nfc => Self::CardNfc,
        }
    }
}

impl From<&LinkError> for Failure {
    fn from(error: &LinkError) -> Self {
        match error {
            LinkError::Removed => Self::Removed,
            LinkError::Busy { .. } => Self::Busy,
            LinkError::PermissionDenied { .. } => Self::PermissionDenied,
            LinkError::TimedOut => Self::TimedOut,
            LinkError::Unavailable { .. } => Self::Unavailable,
            LinkError::Io(_) => Self::Io,
            LinkError::Malformed(_) => Self::Malformed,
        }
    }
}

/// The failure once more, without the words that the system had for it.
impl From<Failure> for LinkError {
    fn from(failure: Failure) -> Self {
        let what = || "the recorded key".to_owned();
        match failure {
            Failure::Removed => Self::Removed,
            Failure::Busy => Self::Busy { holder: None },
            Failure::PermissionDenied => Self::PermissionDenied { what: what() },
            Failure::TimedOut => Self::TimedOut,
            Failure::Unavailable => Self::Unavailable { what: what() },
            Failure::Io => Self::Io(io::Error::other("the recorded transfer failed")),
            Failure::Malformed => Self::Malformed("as it was recorded"),
        }
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Otp => "OTP",
            Self::CardUsb => "card",
            Self::CardNfc => "NFC",
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Removed => "the key was removed",
            Self::Busy => "another program held it",
            Self::PermissionDenied => "no permission",
            Self::TimedOut => "no answer in time",
            Self::Unavailable => "not available",
            Self::Io => "the transfer failed",
            Self::Malformed => "malformed bytes",
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in &self.0 {
            match byte {
                Some(byte) => write!(f, "{byte:02x}")?,
                None => f.write_str("??")?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({} bytes)", self.0.len())
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({} bytes)", self.0.len())
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let byte = |pair: &[u8]| match pair {
            b"??" => Ok(None),
            pair => match HEXLOWER.decode(pair).as_deref() {
                Ok([byte]) => Ok(Some(*byte)),
                _ => Err(de::Error::custom("bytes are two hexadecimal digits each, or ??")),
            },
        };
        text.as_bytes().chunks(2).map(byte).collect::<Result<_, _>>().map(Self)
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&HEXLOWER.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        HEXLOWER.decode(text.as_bytes()).map(Self).map_err(de::Error::custom)
    }
}

const fn is_false(value: &bool) -> bool {
    !*value
}
