//! Messages of USB/IP, protocol 1.1.1, as the Linux kernel's documentation describes them.
//!
//! Numbers are big-endian, except inside the eight setup bytes. A connection begins with requests
//! for the list of devices or for one of them ([`Opening`]); once a device was imported it carries
//! [`Command`]s one way and [`Reply`]s the other.

mod opening;
mod transfer;

use std::io::{self, Read};

use thiserror::Error;

pub use opening::{DeviceRecord, ImportRefusal, Opening};
pub use transfer::{Command, Reply};

/// The protocol version, 1.1.1.
pub const VERSION: u16 = 0x0111;
/// The usual TCP port.
pub const PORT: u16 = 3240;
/// Bytes of the header of every command and reply.
pub const HEADER_SIZE: usize = 48;
/// The most data that a command may carry or ask for.
pub const MOST_DATA: usize = 1 << 20;

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

/// Linux error numbers that travel, negative.
pub const EPIPE: i32 = -32;
/// See [`Reply::Unlink`].
pub const ECONNRESET: i32 = -104;
/// There is no such device any more.
pub const ENODEV: i32 = -19;

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

#[cfg(test)]
mod tests;
