//! Command and response APDUs of ISO/IEC 7816-4, for the host and for the card.

pub mod chaining;
mod command;
mod limits;
mod response;
mod status;

pub use command::{Command, CommandError, Encoding};
pub use limits::{encoding_for, max_command_size};
pub use response::{Response, ResponseError};
pub use status::StatusWord;

/// Instruction bytes that belong to no single application.
pub mod ins {
    /// SELECT (by name with P1 = 04).
    pub const SELECT: u8 = 0xA4;
    /// GET RESPONSE: the next part of a long answer.
    pub const GET_RESPONSE: u8 = 0xC0;
    /// The OATH application's own way to ask for the next part.
    pub const OATH_SEND_REMAINING: u8 = 0xA5;
}
