//! Choosing one key.

use std::fmt;
use std::str::FromStr;

use tapkey_protocol::management::FormFactor;
use thiserror::Error;

use crate::connector::UsbPort;
use crate::device::Device;
use crate::naming::{MODELS, model_id};

/// Which key is meant. An empty selector means the only key there is.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selector {
    /// The key with this serial number.
    pub serial: Option<u32>,
    /// The key on the reader of this name, or else whose name contains this text, in any case of
    /// letters.
    pub reader: Option<String>,
    /// Keys of this shape or model.
    pub kind: Option<Kind>,
    /// The key in this place: a USB port such as `1-4.2`, or one of [`Device::places`]. It tells two keys
    /// apart that are alike in everything else.
    pub place: Option<String>,
}

/// A shape, or a model by the name under which it is sold.
///
/// ```
/// use tapkey_driver::discover::Kind;
/// use tapkey_protocol::management::FormFactor;
///
/// assert_eq!("usb-c-nano".parse(), Ok(Kind::FormFactor(FormFactor::UsbCNano)));
/// assert_eq!("5C-nano".parse(), Ok(Kind::Model("5c-nano".to_owned())));
/// assert!("5d".parse::<Kind>().is_err());
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Kind {
    /// Keys of this shape.
    FormFactor(FormFactor),
    /// Keys of this model, as [`Device::model`] writes it.
    Model(String),
}

/// The text names neither a shape nor a model.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error(
    "no such form factor or model; there are {} and the models {}",
    FormFactor::KNOWN.map(FormFactor::id).join(", "),
    MODELS.join(", ")
)]
pub struct UnknownKind;

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Ok(form_factor) = text.parse() {
            return Ok(Self::FormFactor(form_factor));
        }
        let model = model_id(text);
        if MODELS.contains(&model.as_str()) { Ok(Self::Model(model)) } else { Err(UnknownKind) }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FormFactor(form_factor) => write!(f, "form factor {}", form_factor.id()),
            Self::Model(model) => write!(f, "model {model}"),
        }
    }
}

impl Kind {
    fn matches(&self, device: &Device) -> bool {
        match self {
            Self::FormFactor(form_factor) => device.form_factor() == *form_factor,
            Self::Model(model) => device.model() == *model,
        }
    }
}

impl Selector {
    /// The key with this serial number.
    #[must_use]
    pub const fn serial(serial: u32) -> Self {
        Self { serial: Some(serial), reader: None, kind: None, place: None }
    }

    /// Whether `device` is meant. Of several readers that fit, [`select`] prefers the one whose name is
    /// exactly the wanted one.
    #[must_use]
    pub fn matches(&self, device: &Device) -> bool {
        let serial = self.serial.is_none() || self.serial == device.serial();
        let reader = self.reader.as_ref().is_none_or(|wanted| {
            device.reader().is_some_and(|reader| reader.to_lowercase().contains(&wanted.to_lowercase()))
        });
        let kind = self.kind.as_ref().is_none_or(|kind| kind.matches(device));
        let place = self.place.as_ref().is_none_or(|place| is_at(device, place));
        serial && reader && kind && place
    }

    fn matches_exactly(&self, device: &Device) -> bool {
        self.reader
            .as_ref()
            .is_some_and(|wanted| device.reader().is_some_and(|reader| reader.eq_ignore_ascii_case(wanted)))
    }
}

fn is_at(device: &Device, place: &str) -> bool {
    let port = place.strip_prefix("usb:").unwrap_or(place).parse::<UsbPort>().ok();
    (port.is_some() && port == device.port()) || device.places().iter().any(|one| one == place)
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        if let Some(serial) = self.serial {
            words.push(format!("serial number {serial}"));
        }
        if let Some(kind) = &self.kind {
            words.push(kind.to_string());
        }
        if let Some(place) = &self.place {
            words.push(format!("the place {place}"));
        }
        if let Some(reader) = &self.reader {
            words.push(format!("a reader named like \"{reader}\""));
        }
        if words.is_empty() { f.write_str("any key") } else { f.write_str(&words.join(" and ")) }
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
        wanted: Box<Selector>,
        /// The keys there are.
        present: Vec<String>,
    },
    /// Several keys are meant.
    #[error("several keys fit, say which one is meant by its serial number, place or reader: {}", candidates.join("; "))]
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
    if meant.iter().any(|device| selector.matches_exactly(device)) {
        meant.retain(|device| selector.matches_exactly(device));
    }
    match (meant.pop(), meant.is_empty()) {
        (None, _) => Err(SelectError::NoSuchKey { wanted: Box::new(selector.clone()), present }),
        (Some(device), true) => Ok(device),
        (Some(last), false) => {
            meant.push(last);
            Err(SelectError::Ambiguous { candidates: meant.iter().map(describe).collect() })
        }
    }
}

/// The key and how to say that it is this one.
fn describe(device: &Device) -> String {
    let port = device.port().map(|port| format!("USB port {port}"));
    let places: Vec<String> = port.into_iter().chain(device.places()).collect();
    format!("{device} ({})", places.join(", "))
}
