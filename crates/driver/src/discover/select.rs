//! Choosing one key.

use std::fmt;

use thiserror::Error;

use crate::device::Device;

/// Which key is meant. An empty selector means the only key there is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selector {
    /// The key with this serial number.
    pub serial: Option<u32>,
    /// The key on the reader whose name contains this text, in any case of letters.
    pub reader: Option<String>,
}

impl Selector {
    /// The key with this serial number.
    #[must_use]
    pub const fn serial(serial: u32) -> Self {
        Self { serial: Some(serial), reader: None }
    }

    /// Whether `device` is meant.
    #[must_use]
    pub fn matches(&self, device: &Device) -> bool {
        let serial = self.serial.is_none() || self.serial == device.serial();
        let reader = self.reader.as_ref().is_none_or(|wanted| {
            device.reader().is_some_and(|reader| reader.to_lowercase().contains(&wanted.to_lowercase()))
        });
        serial && reader
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.serial, &self.reader) {
            (Some(serial), Some(reader)) => {
                write!(f, "serial number {serial} on a reader named like \"{reader}\"")
            }
            (Some(serial), None) => write!(f, "serial number {serial}"),
            (None, Some(reader)) => write!(f, "a reader named like \"{reader}\""),
            (None, None) => f.write_str("any key"),
        }
    }
}

/// Why there is not exactly one key.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum SelectError {
    /// There is no key at all.
    #[error("no key found; plug one in, or say which reader it lies on")]
    NoKey,
    /// There are keys, but not the one that is meant.
    #[error("no key with {wanted}; there are: {}", present.join("; "))]
    NoSuchKey {
        /// What was meant.
        wanted: Selector,
        /// The keys there are.
        present: Vec<String>,
    },
    /// Several keys are meant.
    #[error("several keys fit, say which one is meant by its serial number or reader: {}", candidates.join("; "))]
    Ambiguous {
        /// The keys that fit.
        candidates: Vec<String>,
    },
}

/// Picks the one key that is meant.
///
/// # Errors
/// [`SelectError`] when there is none, or when there are several. It never guesses.
pub fn select(devices: Vec<Device>, selector: &Selector) -> Result<Device, SelectError> {
    if devices.is_empty() {
        return Err(SelectError::NoKey);
    }
    let present: Vec<String> = devices.iter().map(describe).collect();
    let mut meant: Vec<Device> = devices.into_iter().filter(|device| selector.matches(device)).collect();
    match (meant.pop(), meant.is_empty()) {
        (None, _) => Err(SelectError::NoSuchKey { wanted: selector.clone(), present }),
        (Some(device), true) => Ok(device),
        (Some(last), false) => {
            meant.push(last);
            Err(SelectError::Ambiguous { candidates: meant.iter().map(describe).collect() })
        }
    }
}

fn describe(device: &Device) -> String {
    format!("{device} ({})", device.places().join(", "))
}
