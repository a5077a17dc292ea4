//! Messages of `/dev/uhid`, as `linux/uhid.h` lays them out: packed, in the machine's byte order.

use std::fmt;
use std::io::{self, Read};

use tapkey_protocol::keyboard::KeyboardReport;
use tapkey_protocol::link::Report;

use crate::usb::{Descriptors, Function};

/// Bytes of every message.
pub const EVENT_SIZE: usize = 4 + 4376;

/// What the kernel says.
#[derive(Clone, Eq, PartialEq)]
pub enum FromKernel {
    /// A program asks for the feature report.
    GetFeature {
        /// Number of the request.
        id: u32,
    },
    /// A program sends a feature report.
    SetFeature {
        /// Number of the request.
        id: u32,
        /// The report; `None` when it does not have its size.
        report: Option<Report>,
    },
    /// A program asks for another report, or sends one by a request.
    Other {
        /// Number of the request.
        id: u32,
        /// It sends one.
        writes: bool,
    },
    /// The lights of the keyboard.
    Lights(u8),
    /// Anything else: the device was started, opened, closed or stopped.
    News,
}

/// What the kernel is told.
#[derive(Clone, Eq, PartialEq)]
pub enum ToKernel {
    /// Here is a keyboard.
    Create {
        /// Its name.
        name: String,
        /// Its serial number, if it shows one.
        serial: Option<String>,
        /// Vendor, product and device version.
        ids: [u16; 3],
    },
    /// The keyboard is taken away.
    Destroy,
    /// Keys are pressed or released.
    Keys(KeyboardReport),
    /// The feature report that was asked for, or a refusal.
    Feature {
        /// Number of the request.
        id: u32,
        /// The report.
        report: Option<Report>,
    },
    /// A report that was sent was taken, or refused.
    Taken {
        /// Number of the request.
        id: u32,
        /// It was taken.
        done: bool,
    },
}

impl FromKernel {
    /// Reads a message.
    ///
    /// # Errors
    /// [`io::Error`] when there is no whole message.
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut bytes = [0; EVENT_SIZE];
        from.read_exact(&mut bytes)?;
        Ok(Self::parse(&bytes))
    }

    /// Reads the bytes of a message.
    #[must_use]
    pub fn parse(bytes: &[u8; EVENT_SIZE]) -> Self {
        let (kind, body) = (number(bytes, 0), bytes.get(4..).unwrap_or_default());
        let id = number(body, 0);
        let byte = |place: usize| body.get(place).copied().unwrap_or(0);
        match kind {
            GET_REPORT if byte(5) == FEATURE => Self::GetFeature { id },
            GET_REPORT => Self::Other { id, writes: false },
            SET_REPORT if byte(5) == FEATURE => {
                // The number of the report, which is 0, comes first.
                let whole = u16::from_ne_bytes([byte(6), byte(7)]) == 9 && byte(8) == 0;
                let report = body.get(9..).and_then(<[u8]>::first_chunk).copied();
                Self::SetFeature { id, report: report.filter(|_| whole) }
            }
            // Lights come by a request, too, with their report number in front.
            SET_REPORT => Self::Other { id, writes: true },
            OUTPUT => {
                let size = u16::from_ne_bytes([byte(DATA), byte(DATA + 1)]);
                // With the report number in front, or without.
                Self::Lights(byte(usize::from(size > 1)))
            }
            _ => Self::News,
        }
    }

    /// Writes the message; for tests that play the kernel.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let kind = match self {
            Self::GetFeature { id } => {
                body.extend_from_slice(&id.to_ne_bytes());
                body.extend_from_slice(&[0, FEATURE]);
                GET_REPORT
            }
            Self::SetFeature { id, report } => {
                body.extend_from_slice(&id.to_ne_bytes());
                body.extend_from_slice(&[0, FEATURE]);
                let report = report.as_ref().map_or(&[][..], |report| report);
                body.extend_from_slice(&u16::try_from(report.len() + 1).unwrap_or(0).to_ne_bytes());
                body.push(0);
                body.extend_from_slice(report);
                SET_REPORT
            }
            Self::Other { id, writes } => {
                body.extend_from_slice(&id.to_ne_bytes());
                body.extend_from_slice(&[0, INPUT]);
                if *writes { SET_REPORT } else { GET_REPORT }
            }
            Self::Lights(lights) => {
                body.extend_from_slice(&[0, *lights]);
                body.resize(DATA, 0);
                body.extend_from_slice(&2_u16.to_ne_bytes());
                OUTPUT
            }
            Self::News => START,
        };
        message(kind, &body)
    }
}

impl ToKernel {
    /// The keyboard of a key with these descriptors.
    #[must_use]
    pub fn create(descriptors: &Descriptors) -> Self {
        let identity = descriptors.identity();
        Self::Create {
            name: format!("{} {}", identity.manufacturer, identity.product),
            serial: descriptors.serial().map(|serial| format!("{serial:010}")),
            ids: [identity.vendor_id, identity.product_id, identity.device_version],
        }
    }

    /// Writes the message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        let kind = match self {
            Self::Create { name, serial, ids } => {
                put_text(&mut body, name, 128);
                put_text(&mut body, "", 64);
                put_text(&mut body, serial.as_deref().unwrap_or(""), 64);
                let reports = Function::Otp.report_descriptor().unwrap_or_default();
                body.extend_from_slice(&u16::try_from(reports.len()).unwrap_or(0).to_ne_bytes());
                body.extend_from_slice(&BUS_USB.to_ne_bytes());
                for id in ids {
                    body.extend_from_slice(&u32::from(*id).to_ne_bytes());
                }
                body.extend_from_slice(&0_u32.to_ne_bytes());
                body.extend_from_slice(reports);
                CREATE
            }
            Self::Destroy => DESTROY,
            Self::Keys(report) => {
                body.extend_from_slice(&8_u16.to_ne_bytes());
                body.extend_from_slice(report);
                KEYS
            }
            Self::Feature { id, report } => {
                body.extend_from_slice(&id.to_ne_bytes());
                body.extend_from_slice(&error(report.is_some()).to_ne_bytes());
                body.extend_from_slice(&9_u16.to_ne_bytes());
                body.push(0);
                body.extend_from_slice(report.as_ref().map_or(&[][..], |report| report));
                GET_REPORT_REPLY
            }
            Self::Taken { id, done } => {
                body.extend_from_slice(&id.to_ne_bytes());
                body.extend_from_slice(&error(*done).to_ne_bytes());
                SET_REPORT_REPLY
            }
        };
        message(kind, &body)
    }

    /// Reads the bytes of a message; for tests that play the kernel. `None` when it is none.
    #[must_use]
    pub fn parse(bytes: &[u8; EVENT_SIZE]) -> Option<Self> {
        let body = bytes.get(4..)?;
        let id = number(body, 0);
        let short = |place: usize| body.get(place..)?.first_chunk().copied().map(u16::from_ne_bytes);
        match number(bytes, 0) {
            CREATE => {
                let id = |place: usize| u16::try_from(number(body, place)).ok();
                let serial = text(body.get(192..256)?);
                Some(Self::Create {
                    name: text(body.get(..128)?),
                    serial: (!serial.is_empty()).then_some(serial),
                    ids: [id(260)?, id(264)?, id(268)?],
                })
            }
            DESTROY => Some(Self::Destroy),
            KEYS if short(0)? == 8 => Some(Self::Keys(*body.get(2..)?.first_chunk()?)),
            GET_REPORT_REPLY => {
                let report = body.get(9..)?.first_chunk().copied();
                Some(Self::Feature { id, report: report.filter(|_| short(4) == Some(0)) })
            }
            SET_REPORT_REPLY => Some(Self::Taken { id, done: short(4)? == 0 }),
            _ => None,
        }
    }
}

/// Reports may hold passwords and keys.
impl fmt::Debug for FromKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GetFeature { id } => write!(f, "GetFeature({id})"),
            Self::SetFeature { id, .. } => write!(f, "SetFeature({id})"),
            Self::Other { id, writes } => write!(f, "Other({id}, writes: {writes})"),
            Self::Lights(lights) => write!(f, "Lights({lights})"),
            Self::News => f.write_str("News"),
        }
    }
}

impl fmt::Debug for ToKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { name, .. } => write!(f, "Create({name:?})"),
            Self::Destroy => f.write_str("Destroy"),
            Self::Keys(_) => f.write_str("Keys"),
            Self::Feature { id, .. } => write!(f, "Feature({id})"),
            Self::Taken { id, done } => write!(f, "Taken({id}, {done})"),
        }
    }
}

const DESTROY: u32 = 1;
const START: u32 = 2;
const OUTPUT: u32 = 6;
const GET_REPORT: u32 = 9;
const GET_REPORT_REPLY: u32 = 10;
const CREATE: u32 = 11;
const KEYS: u32 = 12;
const SET_REPORT: u32 = 13;
const SET_REPORT_REPLY: u32 = 14;

/// Kinds of reports, numbered in another way than on USB.
const FEATURE: u8 = 0;
const INPUT: u8 = 2;
/// Room for the data of a report.
const DATA: usize = 4096;
const BUS_USB: u16 = 3;

/// 0, or the error number of a failed transfer.
const fn error(done: bool) -> u16 {
    if done { 0 } else { 5 }
}

fn number(bytes: &[u8], place: usize) -> u32 {
    bytes.get(place..).and_then(<[u8]>::first_chunk).copied().map_or(0, u32::from_ne_bytes)
}

fn message(kind: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = kind.to_ne_bytes().to_vec();
    bytes.extend_from_slice(body);
    bytes.resize(EVENT_SIZE, 0);
    bytes
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

fn put_text(bytes: &mut Vec<u8>, text: &str, size: usize) {
    let end = bytes.len() + size;
    bytes.extend(text.bytes().take(size - 1));
    bytes.resize(end, 0);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn round_trips(id: u32, report: Report, done: bool, lights: u8, ids: [u16; 3], writes: bool) {
            let report = Some(report).filter(|_| done);
            for event in [
                FromKernel::GetFeature { id },
                FromKernel::SetFeature { id, report },
                FromKernel::Other { id, writes },
                FromKernel::Lights(lights),
                FromKernel::News,
            ] {
                let bytes = event.encode();
                prop_assert_eq!(FromKernel::read(&mut &bytes[..]).unwrap(), event);
            }
            for event in [
                ToKernel::Create { name: "Yubico".to_owned(), serial: None, ids },
                ToKernel::Destroy,
                ToKernel::Keys([lights; 8]),
                ToKernel::Feature { id, report },
                ToKernel::Taken { id, done },
            ] {
                let bytes = event.encode();
                prop_assert_eq!(ToKernel::parse(bytes[..].try_into().unwrap()), Some(event));
            }
        }

        #[test]
        fn any_bytes_are_survived(start in proptest::collection::vec(any::<u8>(), 0..64), kind in 0_u32..16) {
            let bytes = message(kind, &start);
            let bytes = bytes[..].try_into().unwrap();
            let _ = FromKernel::parse(bytes);
            let _ = ToKernel::parse(bytes);
        }
    }

    #[test]
    fn the_layout_is_the_kernels() {
        // sizeof(struct uhid_event), and where uhid_create2_req has its fields.
        assert_eq!(EVENT_SIZE, 4380);
        let event = ToKernel::Create { name: "x".to_owned(), serial: None, ids: [0x1050, 0x0401, 0x0574] };
        let bytes = event.encode();
        assert_eq!(bytes.len(), EVENT_SIZE);
        assert_eq!(bytes[4 + 256..4 + 258], 71_u16.to_ne_bytes());
        assert_eq!(bytes[4 + 258..4 + 260], 3_u16.to_ne_bytes());
        assert_eq!(bytes[4 + 260..4 + 264], 0x1050_u32.to_ne_bytes());
        assert_eq!(bytes[4 + 276..4 + 280], [0x05, 0x01, 0x09, 0x06]);
        // A feature report has its number in front.
        let event = ToKernel::Feature { id: 1, report: Some([7; 8]) }.encode();
        assert_eq!(event[8..10], 0_u16.to_ne_bytes());
        assert_eq!(event[10..12], 9_u16.to_ne_bytes());
        assert_eq!(event[12..21], [0, 7, 7, 7, 7, 7, 7, 7, 7]);
    }
}
