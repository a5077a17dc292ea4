//! Which keys an entry of a job means.

use std::fmt;
use std::str::FromStr;

use tapkey_protocol::management::FormFactor;
use tapkey_protocol::version::Version;

use super::raw::RawKey;
use super::reader::{Reader, on, place};
use super::{Entry, JobError};

/// Which keys are meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Target {
    /// The key with this serial number.
    Serial(u32),
    /// Keys of a sort.
    Sort {
        /// Their shape.
        form_factor: Option<FormFactor>,
        /// Their firmware.
        firmware: Option<FirmwareRange>,
    },
    /// Every key.
    Any,
}

impl Target {
    /// Whether a key is meant.
    #[must_use]
    pub fn matches(&self, serial: Option<u32>, shape: FormFactor, version: Option<Version>) -> bool {
        match self {
            Self::Serial(wanted) => serial == Some(*wanted),
            Self::Sort { form_factor, firmware } => {
                form_factor.is_none_or(|wanted| wanted == shape)
                    && firmware
                        .as_ref()
                        .is_none_or(|range| version.is_some_and(|found| range.contains(found)))
            }
            Self::Any => true,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Serial(serial) => write!(f, "serial {serial}"),
            Self::Sort { form_factor, firmware } => {
                let shape = form_factor.and_then(|wanted| FORMS.iter().find(|(_, form)| *form == wanted));
                match (shape, firmware) {
                    (Some((id, _)), Some(range)) => write!(f, "{id}, firmware {range}"),
                    (Some((id, _)), None) => f.write_str(id),
                    (None, Some(range)) => write!(f, "firmware {range}"),
                    (None, None) => f.write_str("any key"),
                }
            }
            Self::Any => f.write_str("any key"),
        }
    }
}

/// Firmware versions, written like `>=5.4.3, <6.0.0`. A version alone means exactly this one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FirmwareRange(Vec<(Comparison, Version)>);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Comparison {
    AtLeast,
    AtMost,
    Above,
    Below,
    Equal,
}

impl FirmwareRange {
    /// Whether a version lies in it.
    #[must_use]
    pub fn contains(&self, version: Version) -> bool {
        self.0.iter().all(|(comparison, bound)| match comparison {
            Comparison::AtLeast => version >= *bound,
            Comparison::AtMost => version <= *bound,
            Comparison::Above => version > *bound,
            Comparison::Below => version < *bound,
            Comparison::Equal => version == *bound,
        })
    }
}

impl FromStr for FirmwareRange {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bound = |part: &str| {
            let part = part.trim();
            let (comparison, rest) = SIGNS
                .iter()
                .find_map(|(sign, comparison)| Some((*comparison, part.strip_prefix(sign)?)))
                .unwrap_or((Comparison::Equal, part));
            rest.trim().parse().map(|version| (comparison, version)).map_err(|_| FIRMWARE)
        };
        text.split(',').map(bound).collect::<Result<Vec<_>, _>>().map(Self)
    }
}

impl fmt::Display for FirmwareRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (comparison, version)) in self.0.iter().enumerate() {
            let sign = SIGNS.iter().find(|(_, one)| one == comparison).map_or("", |(sign, _)| sign);
            write!(f, "{}{sign}{version}", if index == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

pub(super) fn read(reader: &Reader<'_>, key: &RawKey, line: usize) -> Result<Target, JobError> {
    if let Some(serial) = &key.serial {
        let others = [
            (place(&key.form_factor), "form-factor"),
            (place(&key.firmware), "firmware"),
            (place(&key.any), "any"),
        ];
        reader.refuse(&others, "a serial number, which says everything")?;
        return Ok(Target::Serial(*serial.get_ref()));
    }
    if on(key.any.as_ref(), false) {
        let others = [(place(&key.form_factor), "form-factor"), (place(&key.firmware), "firmware")];
        reader.refuse(&others, "any")?;
        return Ok(Target::Any);
    }
    let form_factor =
        key.form_factor.as_ref().map(|field| reader.word(field, "form-factor", FORMS)).transpose()?;
    let firmware = key.firmware.as_ref().map(|field| reader.parse(field)).transpose()?;
    if form_factor.is_none() && firmware.is_none() {
        return Err(JobError {
            line,
            message: "say which key is meant: serial, form-factor, firmware, or any = true".into(),
        });
    }
    Ok(Target::Sort { form_factor, firmware })
}

/// Two entries must not mean the same key.
pub(super) fn check_apart(entries: &[Entry]) -> Result<(), JobError> {
    for (index, entry) in entries.iter().enumerate() {
        if entries.iter().take(index).any(|earlier| earlier.target == entry.target) {
            let message = format!("another [[key]] above means {} too", entry.target);
            return Err(JobError { line: entry.line, message });
        }
    }
    Ok(())
}

const FORMS: &[(&str, FormFactor)] = &[
    ("usb-a-keychain", FormFactor::UsbAKeychain),
    ("usb-a-nano", FormFactor::UsbANano),
    ("usb-c-keychain", FormFactor::UsbCKeychain),
    ("usb-c-nano", FormFactor::UsbCNano),
    ("usb-c-lightning", FormFactor::UsbCLightning),
    ("usb-a-bio", FormFactor::UsbABio),
    ("usb-c-bio", FormFactor::UsbCBio),
];

const SIGNS: &[(&str, Comparison)] = &[
    (">=", Comparison::AtLeast),
    ("<=", Comparison::AtMost),
    (">", Comparison::Above),
    ("<", Comparison::Below),
    ("=", Comparison::Equal),
];

const FIRMWARE: &str = "firmware is written like \">=5.4.3, <6.0.0\" or \"5.7.4\"";
