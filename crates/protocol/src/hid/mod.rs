//! The OTP application over HID: commands in 8-byte feature reports of a keyboard.
//!
//! A host sends a [`Frame`] in pieces, then reads the answer in pieces. [`Exchange`] is the host's
//! side of that, [`DeviceSide`] the key's; neither reads a clock or touches a device.
//!
//! Flag bits (the eighth byte of a report), as the YubiKey's public tools use them:
//!
//! | bits | meaning |
//! |---|---|
//! | `80` | from the host: this is a write; from the key: a write is not consumed yet |
//! | `40` | from the key: part of an answer, low five bits are its index |
//! | `20` | from the key: it waits for a touch, low five bits are the seconds left |

mod device;
mod exchange;
mod frame;
mod status;
mod step;

pub use device::{DeviceSide, Event};
pub use exchange::Exchange;
pub use frame::{FRAME_SIZE, Frame, FrameError, PAYLOAD_SIZE, RESET_REPORT};
pub use status::{Status, TouchLevel, accepted_over_card, accepted_over_hid};
pub use step::{Budget, ExchangeError, Expect, Input, Outcome, Step, TOUCH_POLL_MILLISECONDS};

pub use crate::link::{REPORT_SIZE, Report};

/// From the host: a write. From the key: not consumed yet.
pub const FLAG_WRITE: u8 = 0x80;
/// From the key: part of an answer.
pub const FLAG_RESPONSE: u8 = 0x40;
/// From the key: a touch is awaited.
pub const FLAG_TOUCH: u8 = 0x20;
/// Index of a part, or seconds left.
pub const MASK_SEQUENCE: u8 = 0x1F;

/// Data bytes in a report.
pub(crate) const REPORT_DATA: usize = 7;

/// Splits a report into its data and its flag byte.
pub(crate) const fn split(report: &Report) -> ([u8; REPORT_DATA], u8) {
    let [a, b, c, d, e, f, g, flag] = *report;
    ([a, b, c, d, e, f, g], flag)
}

/// Puts up to seven data bytes and a flag byte together.
pub(crate) fn join(data: &[u8], flag: u8) -> Report {
    let mut report = [0; REPORT_SIZE];
    for (to, from) in report.iter_mut().take(REPORT_DATA).zip(data) {
        *to = *from;
    }
    report[REPORT_DATA] = flag;
    report
}
