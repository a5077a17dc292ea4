//! How an APDU is written on a command line.

use data_encoding::HEXUPPER_PERMISSIVE;
use tapkey_protocol::apdu::Command;
use thiserror::Error;

/// One command, and the status word that must come back.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) command: Command,
    pub(super) expected: Option<u16>,
}

/// Why a text is no APDU. The text itself may hold a PIN and is not repeated.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
pub(super) enum NotationError {
    #[error("before the colon stand one to four bytes: INS, CLA INS, INS P1 P2, or CLA INS P1 P2")]
    Header,
    #[error("after the colon stands the data, an even number of hexadecimal digits")]
    Data,
    #[error("after the slash stands the expected length, two or four hexadecimal digits")]
    Length,
    #[error("after = stands the expected status word, four hexadecimal digits or nothing")]
    Status,
}

impl Line {
    /// Reads `[CLA]INS[P1P2][:DATA][/LE][=SW]`.
    pub(super) fn parse(text: &str) -> Result<Self, NotationError> {
        let (text, expected) = match text.split_once('=') {
            Some((text, "")) => (text, Some(SUCCESS)),
            Some((text, status)) => (text, Some(status_word(status)?)),
            None => (text, None),
        };
        let (text, le) = match text.split_once('/') {
            Some((text, le)) => (text, Some(length(le)?)),
            None => (text, None),
        };
        let (header, data) = match text.split_once(':') {
            Some((_, "")) => return Err(NotationError::Data),
            Some((header, data)) => (header, bytes(data).ok_or(NotationError::Data)?),
            None => (text, Vec::new()),
        };
        let [cla, ins, p1, p2] = match *bytes(header).ok_or(NotationError::Header)? {
            [ins] => [0, ins, 0, 0],
            [cla, ins] => [cla, ins, 0, 0],
            [ins, p1, p2] => [0, ins, p1, p2],
            [cla, ins, p1, p2] => [cla, ins, p1, p2],
            _ => return Err(NotationError::Header),
        };
        let command = Command::new(cla, ins, p1, p2, data);
        let command = match le {
            Some(le) => command.with_le(le),
            None => command,
        };
        Ok(Self { command, expected })
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    HEXUPPER_PERMISSIVE.decode(text.as_bytes()).ok()
}

fn status_word(text: &str) -> Result<u16, NotationError> {
    match *bytes(text).ok_or(NotationError::Status)? {
        [high, low] => Ok(u16::from_be_bytes([high, low])),
        _ => Err(NotationError::Status),
    }
}

/// 00 stands for 256, and 0000 for 65,536 (ISO/IEC 7816-3 section 12.1.2).
fn length(text: &str) -> Result<u32, NotationError> {
    match *bytes(text).ok_or(NotationError::Length)? {
        [0] => Ok(0x100),
        [0, 0] => Ok(0x1_0000),
        [low] => Ok(low.into()),
        [high, low] => Ok(u16::from_be_bytes([high, low]).into()),
        _ => Err(NotationError::Length),
    }
}

const SUCCESS: u16 = 0x9000;

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> ([u8; 4], Vec<u8>, Option<u32>, Option<u16>) {
        let Line { command, expected } = Line::parse(text).unwrap();
        ([command.cla, command.ins, command.p1, command.p2], command.data.clone(), command.le, expected)
    }

    #[test]
    fn every_part_may_be_left_out_but_the_instruction() {
        assert_eq!(parsed("1D"), ([0, 0x1D, 0, 0], vec![], None, None));
        assert_eq!(parsed("801d"), ([0x80, 0x1D, 0, 0], vec![], None, None));
        assert_eq!(parsed("A40400:A0"), ([0, 0xA4, 4, 0], vec![0xA0], None, None));
        assert_eq!(
            parsed("00CB3FFF:5C017E/00=6A82"),
            ([0, 0xCB, 0x3F, 0xFF], vec![0x5C, 1, 0x7E], Some(256), Some(0x6A82))
        );
        assert_eq!(parsed("FD/0003="), ([0, 0xFD, 0, 0], vec![], Some(3), Some(0x9000)));
        assert_eq!(parsed("FD/0000").2, Some(0x1_0000));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, error) in [
            ("", NotationError::Header),
            ("0", NotationError::Header),
            ("zz", NotationError::Header),
            ("0011223344", NotationError::Header),
            ("é", NotationError::Header),
            ("00A4:", NotationError::Data),
            ("00A4:1", NotationError::Data),
            ("00A4/", NotationError::Length),
            ("00A4/112233", NotationError::Length),
            ("00A4=90", NotationError::Status),
            ("00A4=9000=", NotationError::Status),
        ] {
            assert_eq!(Line::parse(text).unwrap_err(), error, "{text:?}");
        }
    }
}
