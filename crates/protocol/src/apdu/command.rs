//! Command APDUs in their short and extended forms.

use std::fmt;

use thiserror::Error;
use zeroize::Zeroize;

/// A command. `Debug` shows the header and lengths only, and the data is wiped when it is dropped.
#[derive(Clone, Eq, PartialEq)]
pub struct Command {
    /// Class.
    pub cla: u8,
    /// Instruction.
    pub ins: u8,
    /// First parameter.
    pub p1: u8,
    /// Second parameter.
    pub p2: u8,
    /// The data field, at most 65 535 bytes; empty for none.
    pub data: Vec<u8>,
    /// How many bytes of answer are asked for: `None` for none, 256 for "all" in the short form,
    /// 65 536 for "all" in the extended form.
    pub le: Option<u32>,
}

/// The two ways to write lengths.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Encoding {
    /// One-byte lengths: up to 255 bytes of data and 256 of answer.
    Short,
    /// Three- and two-byte lengths: up to 65 535 bytes of data and 65 536 of answer.
    Extended,
}

impl Encoding {
    /// The most data bytes one command can carry.
    #[must_use]
    pub const fn max_data(self) -> usize {
        match self {
            Self::Short => SHORT_MAX_DATA,
            Self::Extended => EXTENDED_MAX_DATA,
        }
    }
}

impl Command {
    /// A command with data and no expected length: what follows from `61xx` is fetched anyway.
    #[must_use]
    pub fn new(cla: u8, ins: u8, p1: u8, p2: u8, data: impl Into<Vec<u8>>) -> Self {
        Self { cla, ins, p1, p2, data: data.into(), le: None }
    }

    /// The same command with an expected length.
    #[must_use]
    pub fn with_le(mut self, le: u32) -> Self {
        self.le = Some(le);
        self
    }

    /// SELECT by application identifier, asking for the whole answer.
    #[must_use]
    pub fn select(aid: &[u8]) -> Self {
        Self::new(0x00, super::ins::SELECT, 0x04, 0x00, aid)
    }

    /// Writes the command.
    ///
    /// The short form of a command with neither data nor Le is the bare header (case 1).
    ///
    /// # Errors
    /// [`CommandError::DataTooLong`] or [`CommandError::LeTooLong`] when the encoding has no room.
    pub fn encode(&self, encoding: Encoding) -> Result<Vec<u8>, CommandError> {
        let mut bytes = Vec::with_capacity(self.data.len() + 9);
        bytes.extend_from_slice(&[self.cla, self.ins, self.p1, self.p2]);
        match encoding {
            Encoding::Short => self.encode_short(&mut bytes)?,
            Encoding::Extended => self.encode_extended(&mut bytes)?,
        }
        Ok(bytes)
    }

    /// Reads a command in any of the seven cases of ISO/IEC 7816-3 section 12.1.3.
    ///
    /// # Errors
    /// [`CommandError`] when the lengths do not add up; a card answers `6700` then.
    pub fn parse(bytes: &[u8]) -> Result<Self, CommandError> {
        let (&[cla, ins, p1, p2], body) =
            bytes.split_first_chunk::<4>().ok_or(CommandError::NoHeader { length: bytes.len() })?;
        let (data, le) = parse_body(body)?;
        Ok(Self { cla, ins, p1, p2, data: data.to_vec(), le })
    }

    /// Whether the class byte says that more commands of the same chain follow.
    #[must_use]
    pub const fn is_chained(&self) -> bool {
        self.cla & CHAINING_BIT != 0
    }

    fn encode_short(&self, bytes: &mut Vec<u8>) -> Result<(), CommandError> {
        if !self.data.is_empty() {
            let length = u8::try_from(self.data.len()).map_err(|_| self.data_too_long(SHORT_MAX_DATA))?;
            bytes.push(length);
            bytes.extend_from_slice(&self.data);
        }
        match self.le {
            None => {}
            Some(SHORT_MAX_LE) => bytes.push(0),
            Some(le) => bytes.push(u8::try_from(le).map_err(|_| CommandError::LeTooLong { le })?),
        }
        Ok(())
    }

    fn encode_extended(&self, bytes: &mut Vec<u8>) -> Result<(), CommandError> {
        if self.data.is_empty() && self.le.is_none() {
            return Ok(());
        }
        bytes.push(0);
        if !self.data.is_empty() {
            let length = u16::try_from(self.data.len()).map_err(|_| self.data_too_long(EXTENDED_MAX_DATA))?;
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(&self.data);
        }
        match self.le {
            None => {}
            Some(EXTENDED_MAX_LE) => bytes.extend_from_slice(&[0, 0]),
            Some(le) => {
                let le = u16::try_from(le).map_err(|_| CommandError::LeTooLong { le })?;
                bytes.extend_from_slice(&le.to_be_bytes());
            }
        }
        Ok(())
    }

    fn data_too_long(&self, limit: usize) -> CommandError {
        CommandError::DataTooLong { length: self.data.len(), limit }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Command({:02X} {:02X} {:02X} {:02X}, {} bytes, le {:?})",
            self.cla,
            self.ins,
            self.p1,
            self.p2,
            self.data.len(),
            self.le
        )
    }
}

impl Drop for Command {
    fn drop(&mut self) {
        self.data.zeroize();
    }
}

/// Why a command could not be written or read.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum CommandError {
    /// There are fewer than four bytes.
    #[error("a command of {length} bytes has no complete header")]
    NoHeader {
        /// How many there are.
        length: usize,
    },
    /// The length fields and the number of bytes disagree.
    #[error("the length fields of the command do not fit its {length} bytes")]
    LengthMismatch {
        /// The bytes after the header.
        length: usize,
    },
    /// More data than the encoding can carry.
    #[error("{length} bytes of data do not fit one command, {limit} do; use command chaining")]
    DataTooLong {
        /// The data there is.
        length: usize,
        /// The most that fits.
        limit: usize,
    },
    /// A longer answer than the encoding can ask for.
    #[error("an answer of {le} bytes cannot be asked for in this encoding")]
    LeTooLong {
        /// The length asked for.
        le: u32,
    },
}

/// The class bit of every command of a chain but the last.
pub(crate) const CHAINING_BIT: u8 = 0x10;

const SHORT_MAX_DATA: usize = 255;
const SHORT_MAX_LE: u32 = 256;
const EXTENDED_MAX_DATA: usize = 65_535;
const EXTENDED_MAX_LE: u32 = 65_536;

fn parse_body(body: &[u8]) -> Result<(&[u8], Option<u32>), CommandError> {
    let mismatch = CommandError::LengthMismatch { length: body.len() };
    match body {
        [] => Ok((&[], None)),
        [le] => Ok((&[], Some(short_le(*le)))),
        [0, high, low] => Ok((&[], Some(extended_le(*high, *low)))),
        [0, high, low, rest @ ..] => {
            let (data, tail) =
                rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low]))).ok_or(mismatch)?;
            match tail {
                _ if data.is_empty() => Err(mismatch),
                [] => Ok((data, None)),
                [high, low] => Ok((data, Some(extended_le(*high, *low)))),
                _ => Err(mismatch),
            }
        }
        [0, ..] => Err(mismatch),
        [length, rest @ ..] => {
            let (data, tail) = rest.split_at_checked(usize::from(*length)).ok_or(mismatch)?;
            match tail {
                [] => Ok((data, None)),
                [le] => Ok((data, Some(short_le(*le)))),
                _ => Err(mismatch),
            }
        }
    }
}

fn short_le(le: u8) -> u32 {
    if le == 0 { SHORT_MAX_LE } else { u32::from(le) }
}

fn extended_le(high: u8, low: u8) -> u32 {
    match u16::from_be_bytes([high, low]) {
        0 => EXTENDED_MAX_LE,
        le => u32::from(le),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(bytes: &[u8]) -> (Vec<u8>, Option<u32>) {
        let command = Command::parse(bytes).unwrap();
        (command.data.clone(), command.le)
    }

    #[test]
    fn all_seven_cases() {
        assert_eq!(parse(&[0, 1, 2, 3]), (vec![], None));
        assert_eq!(parse(&[0, 1, 2, 3, 0]), (vec![], Some(256)));
        assert_eq!(parse(&[0, 1, 2, 3, 2, 8, 9]), (vec![8, 9], None));
        assert_eq!(parse(&[0, 1, 2, 3, 2, 8, 9, 5]), (vec![8, 9], Some(5)));
        assert_eq!(parse(&[0, 1, 2, 3, 0, 0, 0]), (vec![], Some(65_536)));
        assert_eq!(parse(&[0, 1, 2, 3, 0, 0, 2, 8, 9]), (vec![8, 9], None));
        assert_eq!(parse(&[0, 1, 2, 3, 0, 0, 2, 8, 9, 1, 0]), (vec![8, 9], Some(256)));
    }

    #[test]
    fn lengths_that_do_not_add_up() {
        for bytes in [
            &[0, 1, 2, 3, 3, 1][..],
            &[0, 1, 2, 3, 1, 1, 1, 1],
            &[0, 1, 2, 3, 0, 0],
            &[0, 1, 2, 3, 0, 0, 2, 9],
            &[0, 1, 2, 3, 0, 0, 1, 9, 1],
            &[0, 1, 2, 3, 0, 0, 0, 1],
        ] {
            assert!(matches!(Command::parse(bytes), Err(CommandError::LengthMismatch { .. })), "{bytes:?}");
        }
        assert_eq!(Command::parse(&[0, 1]), Err(CommandError::NoHeader { length: 2 }));
    }

    #[test]
    fn select_of_the_otp_application() {
        let bytes = Command::select(&[0xA0, 0, 0, 5, 0x27, 0x20, 1]).encode(Encoding::Short).unwrap();
        assert_eq!(bytes, [0, 0xA4, 4, 0, 7, 0xA0, 0, 0, 5, 0x27, 0x20, 1]);
    }

    #[test]
    fn too_long_for_short() {
        let command = Command::new(0, 1, 0, 0, vec![1; 256]);
        let error = command.encode(Encoding::Short).unwrap_err();
        assert_eq!(error, CommandError::DataTooLong { length: 256, limit: 255 });
        assert!(command.encode(Encoding::Extended).is_ok());
        let command = Command::new(0, 1, 0, 0, []).with_le(257);
        assert_eq!(command.encode(Encoding::Short), Err(CommandError::LeTooLong { le: 257 }));
    }

    #[test]
    fn debug_shows_no_data() {
        let text = format!("{:?}", Command::new(0, 0x20, 0, 0x80, *b"123456"));
        assert_eq!(text, "Command(00 20 00 80, 6 bytes, le None)");
    }

    proptest! {
        #[test]
        fn short_round_trip(
            header: [u8; 4],
            data in proptest::collection::vec(any::<u8>(), 0..=255),
            le in proptest::option::of(1_u32..=256),
        ) {
            let [cla, ins, p1, p2] = header;
            let command = Command { cla, ins, p1, p2, data, le };
            prop_assert_eq!(Command::parse(&command.encode(Encoding::Short).unwrap()), Ok(command));
        }

        #[test]
        fn extended_round_trip(
            header: [u8; 4],
            data in proptest::collection::vec(any::<u8>(), 0..=2000),
            le in proptest::option::of(1_u32..=65_536),
        ) {
            let [cla, ins, p1, p2] = header;
            let command = Command { cla, ins, p1, p2, data, le };
            prop_assert_eq!(Command::parse(&command.encode(Encoding::Extended).unwrap()), Ok(command));
        }

        #[test]
        fn parsing_never_panics(bytes: Vec<u8>) {
            let _ = Command::parse(&bytes);
        }
    }
}
