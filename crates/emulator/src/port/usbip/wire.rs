//! Messages of USB/IP, protocol 1.1.1, as the Linux kernel's documentation describes them.
//!
//! Numbers are big-endian, except inside the eight setup bytes. A connection begins with requests
//! for the list of devices or for one of them ([`Opening`]); once a device was imported it carries
//! [`Command`]s one way and [`Reply`]s the other.

use std::io::{self, Read};

use thiserror::Error;

use crate::usb::{Direction, Setup};

/// The protocol version, 1.1.1.
pub const VERSION: u16 = 0x0111;
/// The usual TCP port.
pub const PORT: u16 = 3240;
/// Bytes of the header of every command and reply.
pub const HEADER_SIZE: usize = 48;
/// The most data that a command may carry or ask for.
pub const MOST_DATA: usize = 1 << 20;

/// A bus id on the wire: text, filled up with zeros.
const BUS_ID_SIZE: usize = 32;
const PATH_SIZE: usize = 256;

/// Why bytes are no message.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum WireError {
    /// The connection broke.
    #[error("the USB/IP connection broke: {0}")]
    Io(#[from] io::Error),
    /// Another version of the protocol.
    #[error("the other side speaks USB/IP version {found:#06x}, not 0x0111")]
    Version {
        /// Its version.
        found: u16,
    },
    /// A request or command of an unknown kind.
    #[error("the other side sent an unknown USB/IP message ({code:#x})")]
    Unknown {
        /// Its code.
        code: u32,
    },
    /// More data than [`MOST_DATA`].
    #[error("the other side wants to move {length} bytes at once; {MOST_DATA} are the most")]
    TooLong {
        /// How much it is.
        length: u32,
    },
    /// An endpoint number above 15, or a direction that is neither.
    #[error("the other side named an endpoint that cannot exist")]
    Endpoint,
    /// Isochronous packets, which no endpoint of a key has.
    #[error("the other side asked for an isochronous transfer")]
    Isochronous,
}

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

/// A command of the host.
#[derive(Clone, Eq, PartialEq)]
pub enum Command {
    /// Move data.
    Submit {
        /// The host's number for the transfer.
        sequence: u32,
        /// The device id.
        device: u32,
        /// The endpoint, 0 to 15.
        endpoint: u8,
        /// Which way.
        direction: Direction,
        /// The request, on endpoint 0.
        setup: Setup,
        /// How much room there is (IN).
        length: u32,
        /// What is sent (OUT).
        data: Vec<u8>,
    },
    /// Forget a transfer.
    Unlink {
        /// The host's number for this command.
        sequence: u32,
        /// The device id.
        device: u32,
        /// The number of the transfer.
        victim: u32,
    },
}

/// An answer of the device.
#[derive(Clone, Eq, PartialEq)]
pub enum Reply {
    /// A transfer is completed.
    Submit {
        /// Its number.
        sequence: u32,
        /// 0, or a negative error number of Linux.
        status: i32,
        /// How many bytes moved.
        actual: u32,
        /// What the device sent; empty for OUT.
        data: Vec<u8>,
    },
    /// A transfer was forgotten, or was completed before.
    Unlink {
        /// The number of the unlink command.
        sequence: u32,
        /// [`ECONNRESET`] when the transfer was forgotten, 0 when it was completed before.
        status: i32,
    },
}

/// Linux error numbers that travel, negative.
pub const EPIPE: i32 = -32;
/// See [`Reply::Unlink`].
pub const ECONNRESET: i32 = -104;
/// There is no such device any more.
pub const ENODEV: i32 = -19;

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

impl Command {
    /// Reads a command; `None` when the connection was closed before one.
    ///
    /// # Errors
    /// [`WireError`] when it makes no sense or is too long; nothing is allocated then.
    pub fn read(from: &mut impl Read) -> Result<Option<Self>, WireError> {
        let mut header = [0; HEADER_SIZE];
        if !read_first(from, &mut header)? {
            return Ok(None);
        }
        let mut command = Self::parse(&header)?;
        if let Self::Submit { direction: Direction::Out, length, data, .. } = &mut command {
            data.resize(usize::try_from(*length).unwrap_or(0), 0);
            from.read_exact(data)?;
        }
        Ok(Some(command))
    }

    /// Reads a header. The data of a transfer OUT is still empty then; `length` says how much there
    /// is.
    ///
    /// # Errors
    /// As [`Command::read`].
    pub fn parse(header: &[u8; HEADER_SIZE]) -> Result<Self, WireError> {
        let word = |index: usize| {
            header.get(index * 4..).and_then(<[u8]>::first_chunk).copied().map_or(0, u32::from_be_bytes)
        };
        let (code, sequence, device) = (word(0), word(1), word(2));
        match code {
            SUBMIT => {
                let direction = match word(3) {
                    0 => Direction::Out,
                    1 => Direction::In,
                    _ => return Err(WireError::Endpoint),
                };
                let endpoint =
                    u8::try_from(word(4)).ok().filter(|one| *one < 16).ok_or(WireError::Endpoint)?;
                let length = word(6);
                if usize::try_from(length).map_or(true, |length| length > MOST_DATA) {
                    return Err(WireError::TooLong { length });
                }
                if !matches!(word(8), 0 | NOT_ISOCHRONOUS) {
                    return Err(WireError::Isochronous);
                }
                let setup = header.last_chunk().copied().map(Setup::parse).unwrap_or_default();
                Ok(Self::Submit { sequence, device, endpoint, direction, setup, length, data: Vec::new() })
            }
            UNLINK => Ok(Self::Unlink { sequence, device, victim: word(5) }),
            code => Err(WireError::Unknown { code }),
        }
    }

    /// Writes a command.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Submit { sequence, device, endpoint, direction, setup, length, data } => {
                let way = u32::from(*direction == Direction::In);
                let numbers = [SUBMIT, *sequence, *device, way, u32::from(*endpoint)];
                let mut bytes = words(&numbers);
                // Flags, length, start frame, packets, interval.
                bytes.extend(words(&[0, *length, 0, NOT_ISOCHRONOUS, 0]));
                bytes.extend_from_slice(&setup.to_bytes());
                bytes.extend_from_slice(data);
                bytes
            }
            Self::Unlink { sequence, device, victim } => {
                padded(words(&[UNLINK, *sequence, *device, 0, 0, *victim]))
            }
        }
    }
}

impl Reply {
    /// Writes a reply.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Submit { sequence, status, actual, data } => {
                let mut bytes = words(&[REPLY_SUBMIT, *sequence, 0, 0, 0]);
                bytes.extend_from_slice(&status.to_be_bytes());
                bytes.extend(words(&[*actual, 0, NOT_ISOCHRONOUS, 0]));
                let mut bytes = padded(bytes);
                bytes.extend_from_slice(data);
                bytes
            }
            Self::Unlink { sequence, status } => {
                let mut bytes = words(&[REPLY_UNLINK, *sequence, 0, 0, 0]);
                bytes.extend_from_slice(&status.to_be_bytes());
                padded(bytes)
            }
        }
    }

    /// Reads a reply; `None` when the connection was closed before one. Only the host knows which
    /// way the data of a transfer goes, so it is asked by the transfer's number.
    ///
    /// # Errors
    /// [`WireError`] when it makes no sense or is too long.
    pub fn read(
        from: &mut impl Read,
        direction: impl FnOnce(u32) -> Direction,
    ) -> Result<Option<Self>, WireError> {
        let mut header = [0; HEADER_SIZE];
        if !read_first(from, &mut header)? {
            return Ok(None);
        }
        let word =
            |index: usize| header.get(index * 4..).and_then(<[u8]>::first_chunk).copied().unwrap_or_default();
        let number = |index| u32::from_be_bytes(word(index));
        let (code, sequence, status) = (number(0), number(1), i32::from_be_bytes(word(5)));
        match code {
            REPLY_SUBMIT => {
                let actual = number(6);
                let length = match direction(sequence) {
                    Direction::In => usize::try_from(actual).unwrap_or(usize::MAX),
                    Direction::Out => 0,
                };
                if length > MOST_DATA {
                    return Err(WireError::TooLong { length: actual });
                }
                let mut data = vec![0; length];
                from.read_exact(&mut data)?;
                Ok(Some(Self::Submit { sequence, status, actual, data }))
            }
            REPLY_UNLINK => Ok(Some(Self::Unlink { sequence, status })),
            code => Err(WireError::Unknown { code }),
        }
    }
}

/// Data may hold passwords and keys.
impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Submit { sequence, endpoint, direction, length, .. } => {
                write!(f, "Submit({sequence}, endpoint {endpoint} {direction:?}, {length} bytes)")
            }
            Self::Unlink { sequence, victim, .. } => write!(f, "Unlink({sequence}, victim {victim})"),
        }
    }
}

impl std::fmt::Debug for Reply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Submit { sequence, status, actual, .. } => {
                write!(f, "Submit({sequence}, status {status}, {actual} bytes)")
            }
            Self::Unlink { sequence, status } => write!(f, "Unlink({sequence}, status {status})"),
        }
    }
}

const REQUEST_LIST: u16 = 0x8005;
const REPLY_LIST: u16 = 0x0005;
const REQUEST_IMPORT: u16 = 0x8003;
const REPLY_IMPORT: u16 = 0x0003;
const SUBMIT: u32 = 1;
const UNLINK: u32 = 2;
const REPLY_SUBMIT: u32 = 3;
const REPLY_UNLINK: u32 = 4;
const NOT_ISOCHRONOUS: u32 = 0xFFFF_FFFF;

/// Fills the buffer; false when the connection was closed before the first byte.
fn read_first(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(buffer.get_mut(filled..).unwrap_or_default()) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

fn header(code: u16, status: u32) -> Vec<u8> {
    let mut bytes = VERSION.to_be_bytes().to_vec();
    bytes.extend_from_slice(&code.to_be_bytes());
    bytes.extend_from_slice(&status.to_be_bytes());
    bytes
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(HEADER_SIZE, 0);
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn submit() -> impl Strategy<Value = Command> {
        let numbers = (any::<u32>(), any::<u32>(), 0_u8..16, any::<[u8; 8]>());
        (numbers, any::<bool>(), proptest::collection::vec(any::<u8>(), 0..200)).prop_map(
            |((sequence, device, endpoint, setup), out, bytes)| Command::Submit {
                sequence,
                device,
                endpoint,
                direction: if out { Direction::Out } else { Direction::In },
                setup: Setup::parse(setup),
                length: u32::try_from(bytes.len()).unwrap(),
                data: if out { bytes } else { Vec::new() },
            },
        )
    }

    proptest! {
        #[test]
        fn commands_round_trip(command in submit(), sequence in 0_u32.., device in 0_u32.., victim in 0_u32..) {
            for command in [command, Command::Unlink { sequence, device, victim }] {
                let bytes = command.encode();
                let mut rest = &bytes[..];
                prop_assert_eq!(Command::read(&mut rest).unwrap(), Some(command));
                prop_assert!(rest.is_empty());
            }
        }

        #[test]
        fn replies_round_trip(sequence: u32, status: i32, data: Vec<u8>, out: bool) {
            let actual = u32::try_from(data.len()).unwrap();
            let data = if out { Vec::new() } else { data };
            for reply in [Reply::Submit { sequence, status, actual, data }, Reply::Unlink { sequence, status }] {
                let bytes = reply.encode();
                let way = if out { Direction::Out } else { Direction::In };
                let mut rest = &bytes[..];
                prop_assert_eq!(Reply::read(&mut rest, |_| way).unwrap(), Some(reply));
                prop_assert!(rest.is_empty());
            }
        }

        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>, header: [u8; HEADER_SIZE], code in 0_u8..6) {
            let _ = Opening::read(&mut &bytes[..]);
            let _ = Command::read(&mut &bytes[..]);
            let _ = Reply::read(&mut &bytes[..], |_| Direction::In);
            let mut header = header;
            header[..4].copy_from_slice(&[0, 0, 0, code]);
            let _ = Command::read(&mut &header[..]);
            let _ = Reply::read(&mut &header[..], |_| Direction::In);
        }
    }

    #[test]
    fn openings() {
        for opening in [Opening::List, Opening::Import { bus_id: "1-1".to_owned() }] {
            assert_eq!(Opening::read(&mut &opening.encode()[..]).unwrap(), Some(opening));
        }
        assert!(Opening::read(&mut &[][..]).unwrap().is_none());
        let wrong = [1, 6, 0x80, 5, 0, 0, 0, 0];
        assert!(matches!(Opening::read(&mut &wrong[..]), Err(WireError::Version { found: 0x0106 })));
        let import = Opening::imported(Err(ImportRefusal::Busy));
        assert_eq!(import, [1, 0x11, 0, 3, 0, 0, 0, 2]);
    }

    #[test]
    fn a_length_that_is_a_lie_takes_no_memory() {
        let command = Command::Submit {
            sequence: 1,
            device: 2,
            endpoint: 2,
            direction: Direction::Out,
            setup: Setup::default(),
            length: u32::MAX,
            data: Vec::new(),
        };
        let error = Command::read(&mut &command.encode()[..]).unwrap_err();
        assert!(matches!(error, WireError::TooLong { length: u32::MAX }), "{error}");
    }

    #[test]
    fn records_have_their_size() {
        let record = DeviceRecord {
            path: "/sys/tapkey".to_owned(),
            bus_id: "1-1".to_owned(),
            bus: 1,
            device: 2,
            speed: 2,
            ids: [0x1050, 0x0407, 0x0574],
            interfaces: vec![[3, 1, 1], [3, 0, 0], [11, 0, 0]],
        };
        assert_eq!(DeviceRecord::SIZE, 312);
        assert_eq!(Opening::imported(Ok(&record)).len(), 8 + 312);
        assert_eq!(Opening::list(std::slice::from_ref(&record)).len(), 12 + 312 + 12);
        assert_eq!(record.id(), 0x0001_0002);
    }
}
