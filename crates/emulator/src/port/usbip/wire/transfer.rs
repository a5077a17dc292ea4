//! What travels once a device was imported: commands one way, replies the other.

use std::io::Read;

use super::{HEADER_SIZE, MOST_DATA, WireError, read_first};
use crate::usb::{Direction, Setup};

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
        /// [`ECONNRESET`](super::ECONNRESET) when the transfer was forgotten, 0 when it was completed before.
        status: i32,
    },
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

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(HEADER_SIZE, 0);
    bytes
}

const SUBMIT: u32 = 1;
const UNLINK: u32 = 2;
const REPLY_SUBMIT: u32 = 3;
const REPLY_UNLINK: u32 = 4;
const NOT_ISOCHRONOUS: u32 = 0xFFFF_FFFF;
