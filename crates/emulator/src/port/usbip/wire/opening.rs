//! What opens a connection: asking for the list of devices, or for one of them.

use std::io::Read;

use super::{VERSION, WireError, read_first};

/// A request at the beginning of a connection.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Opening {
    /// Which devices are there?
    List,
    /// Plug this one in.
    Import {
        /// The bus id.
        bus_id: String,
    },
}

/// A device, as lists and imports describe it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeviceRecord {
    /// A path that nobody opens.
    pub path: String,
    /// The name under which it is imported.
    pub bus_id: String,
    /// Bus and device number; together they are the device id of commands.
    pub bus: u32,
    /// See [`bus`](Self::bus).
    pub device: u32,
    /// 1 low, 2 full, 3 high, 5 super.
    pub speed: u32,
    /// Vendor, product and device version.
    pub ids: [u16; 3],
    /// Class, subclass and protocol of each interface.
    pub interfaces: Vec<[u8; 3]>,
}

impl Opening {
    /// Reads a request; `None` when the connection was closed before one.
    ///
    /// # Errors
    /// [`WireError`] when it makes no sense.
    pub fn read(from: &mut impl Read) -> Result<Option<Self>, WireError> {
        let mut header = [0; 8];
        if !read_first(from, &mut header)? {
            return Ok(None);
        }
        let [v0, v1, c0, c1, ..] = header;
        let (found, code) = (u16::from_be_bytes([v0, v1]), u16::from_be_bytes([c0, c1]));
        if found != VERSION {
            return Err(WireError::Version { found });
        }
        match code {
            REQUEST_LIST => Ok(Some(Self::List)),
            REQUEST_IMPORT => {
                let mut bus_id = [0; BUS_ID_SIZE];
                from.read_exact(&mut bus_id)?;
                Ok(Some(Self::Import { bus_id: text(&bus_id) }))
            }
            _ => Err(WireError::Unknown { code: u32::from(code) }),
        }
    }

    /// Writes a request.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::List => header(REQUEST_LIST, 0),
            Self::Import { bus_id } => {
                let mut bytes = header(REQUEST_IMPORT, 0);
                put_text(&mut bytes, bus_id, BUS_ID_SIZE);
                bytes
            }
        }
    }

    /// Writes the answer to [`Opening::List`].
    #[must_use]
    pub fn list(devices: &[DeviceRecord]) -> Vec<u8> {
        let mut bytes = header(REPLY_LIST, 0);
        bytes.extend_from_slice(&u32::try_from(devices.len()).unwrap_or(0).to_be_bytes());
        for device in devices {
            device.encode(&mut bytes);
            for [class, subclass, protocol] in &device.interfaces {
                bytes.extend_from_slice(&[*class, *subclass, *protocol, 0]);
            }
        }
        bytes
    }

    /// Writes the answer to [`Opening::Import`]: the device, or a refusal.
    #[must_use]
    pub fn imported(device: Result<&DeviceRecord, ImportRefusal>) -> Vec<u8> {
        match device {
            Ok(device) => {
                let mut bytes = header(REPLY_IMPORT, 0);
                device.encode(&mut bytes);
                bytes
            }
            Err(ImportRefusal::Busy) => header(REPLY_IMPORT, 2),
            Err(ImportRefusal::NotThere) => header(REPLY_IMPORT, 4),
        }
    }
}

/// Why a device is not plugged in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ImportRefusal {
    /// Another host has it.
    Busy,
    /// There is none of that name, or it has no power.
    NotThere,
}

impl DeviceRecord {
    /// Bytes of a record without its interfaces.
    pub const SIZE: usize = PATH_SIZE + BUS_ID_SIZE + 24;

    /// The device id of commands.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.bus << 16 | self.device
    }

    fn encode(&self, bytes: &mut Vec<u8>) {
        put_text(bytes, &self.path, PATH_SIZE);
        put_text(bytes, &self.bus_id, BUS_ID_SIZE);
        for number in [self.bus, self.device, self.speed] {
            bytes.extend_from_slice(&number.to_be_bytes());
        }
        for id in self.ids {
            bytes.extend_from_slice(&id.to_be_bytes());
        }
        let interfaces = u8::try_from(self.interfaces.len()).unwrap_or(u8::MAX);
        // The class stands at each interface; configuration 1 of 1.
        bytes.extend_from_slice(&[0, 0, 0, 1, 1, interfaces]);
    }
}

fn header(code: u16, status: u32) -> Vec<u8> {
    let mut bytes = VERSION.to_be_bytes().to_vec();
    bytes.extend_from_slice(&code.to_be_bytes());
    bytes.extend_from_slice(&status.to_be_bytes());
    bytes
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}

/// At least one zero ends the text.
fn put_text(bytes: &mut Vec<u8>, text: &str, size: usize) {
    let end = bytes.len() + size;
    bytes.extend(text.bytes().take(size - 1));
    bytes.resize(end, 0);
}

const REQUEST_LIST: u16 = 0x8005;
const REPLY_LIST: u16 = 0x0005;
const REQUEST_IMPORT: u16 = 0x8003;
const REPLY_IMPORT: u16 = 0x0003;

/// A bus id on the wire: text, filled up with zeros.
const BUS_ID_SIZE: usize = 32;
const PATH_SIZE: usize = 256;
