//! The 70-byte frame that carries a command.

use std::fmt;

use thiserror::Error;
use zeroize::Zeroize;

use super::{FLAG_WRITE, REPORT_DATA, Report, join};
use crate::crc;

/// Payload bytes of a frame.
pub const PAYLOAD_SIZE: usize = 64;

/// Bytes of a frame: payload, command, CRC (little-endian, plain) and three zeros.
pub const FRAME_SIZE: usize = 70;

/// The write that makes a key forget a frame, an answer or a touch wait: its sequence number lies
/// beyond the last part of a frame.
pub const RESET_REPORT: Report = [0, 0, 0, 0, 0, 0, 0, 0xFF];

/// A command with its payload. `Debug` hides the payload, and it is wiped when it is dropped.
#[derive(Clone, Eq, PartialEq)]
pub struct Frame {
    /// The command code.
    pub command: u8,
    /// The payload, zero-padded.
    pub payload: [u8; PAYLOAD_SIZE],
}

impl Frame {
    /// Makes a frame, padding the payload with zeros.
    ///
    /// # Errors
    /// [`FrameError::TooLong`] for more than 64 bytes.
    pub fn new(command: u8, payload: &[u8]) -> Result<Self, FrameError> {
        let mut padded = [0; PAYLOAD_SIZE];
        padded
            .get_mut(..payload.len())
            .ok_or(FrameError::TooLong { length: payload.len() })?
            .copy_from_slice(payload);
        Ok(Self { command, payload: padded })
    }

    /// Writes the frame.
    #[must_use]
    pub fn encode(&self) -> [u8; FRAME_SIZE] {
        let mut bytes = [0; FRAME_SIZE];
        bytes[..PAYLOAD_SIZE].copy_from_slice(&self.payload);
        bytes[COMMAND_AT] = self.command;
        bytes[CRC_AT..CRC_AT + 2].copy_from_slice(&crc::checksum(&self.payload).to_le_bytes());
        bytes
    }

    /// Reads a frame and checks its CRC.
    ///
    /// # Errors
    /// [`FrameError::BadCrc`]; a key drops such a frame.
    pub fn parse(bytes: &[u8; FRAME_SIZE]) -> Result<Self, FrameError> {
        let mut payload = [0; PAYLOAD_SIZE];
        payload.copy_from_slice(&bytes[..PAYLOAD_SIZE]);
        let stored = u16::from_le_bytes([bytes[CRC_AT], bytes[CRC_AT + 1]]);
        if stored != crc::checksum(&payload) {
            return Err(FrameError::BadCrc);
        }
        Ok(Self { command: bytes[COMMAND_AT], payload })
    }

    /// The reports that carry the frame. Those without content are left out, except the first and
    /// the last, which tell the key where the frame begins and ends.
    #[must_use]
    pub fn reports(&self) -> Vec<Report> {
        let mut bytes = self.encode();
        let reports = (FLAG_WRITE..)
            .zip(bytes.chunks_exact(REPORT_DATA))
            .filter(|(flag, data)| {
                matches!(flag & !FLAG_WRITE, 0 | LAST_PART) || data.iter().any(|byte| *byte != 0)
            })
            .map(|(flag, data)| join(data, flag))
            .collect();
        bytes.zeroize();
        reports
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("command", &format_args!("{:#04x}", self.command))
            .finish_non_exhaustive()
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.payload.zeroize();
    }
}

/// Why a frame could not be made or read.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum FrameError {
    /// The payload does not fit.
    #[error("a payload of {length} bytes does not fit a frame, which has room for 64")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// The checksum is wrong.
    #[error("the checksum of the frame is wrong")]
    BadCrc,
    /// The answer has more parts than can be numbered.
    #[error("an answer of {length} bytes cannot be sent over HID, at most 222 can")]
    ResponseTooLong {
        /// Its length.
        length: usize,
    },
}

/// The number of the report that completes a frame.
pub(crate) const LAST_PART: u8 = 9;

const COMMAND_AT: usize = PAYLOAD_SIZE;
const CRC_AT: usize = COMMAND_AT + 1;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn empty_payload_takes_two_reports() {
        let reports = Frame::new(0x10, &[]).unwrap().reports();
        assert_eq!(reports.len(), 2);
        assert_eq!(reports[0], [0, 0, 0, 0, 0, 0, 0, 0x80]);
        assert_eq!(reports[1][1], 0x10);
        assert_eq!(reports[1][7], 0x89);
    }

    #[test]
    fn full_payload_takes_ten() {
        assert_eq!(Frame::new(1, &[1; 64]).unwrap().reports().len(), 10);
        assert_eq!(Frame::new(1, &[1; 65]), Err(FrameError::TooLong { length: 65 }));
    }

    #[test]
    fn debug_hides_the_payload() {
        assert_eq!(format!("{:?}", Frame::new(1, &[0x77; 9]).unwrap()), "Frame { command: 0x01, .. }");
    }

    proptest! {
        #[test]
        fn round_trip(command: u8, payload in proptest::collection::vec(any::<u8>(), 0..=64)) {
            let frame = Frame::new(command, &payload).unwrap();
            prop_assert_eq!(Frame::parse(&frame.encode()), Ok(frame));
        }

        #[test]
        fn one_wrong_bit_is_seen(payload: [u8; 32], at in 0_usize..64, bit in 0_u8..8) {
            let mut bytes = Frame::new(3, &payload).unwrap().encode();
            bytes[at] ^= 1 << bit;
            prop_assert_eq!(Frame::parse(&bytes), Err(FrameError::BadCrc));
        }
    }
}
