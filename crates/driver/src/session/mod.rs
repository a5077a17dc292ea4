//! Sessions: one type per application, written once for all links.

pub(crate) mod management;
pub(crate) mod oath;
pub(crate) mod otp;
pub mod piv;

mod card;
mod hid;

use tapkey_protocol::management::SetMode;
use tapkey_protocol::slot::SlotCommand;
use tapkey_protocol::version::Version;

use crate::control::Control;
use crate::error::{Error, Malformed};
use crate::transport::Failure;

/// What management needs of a link.
pub(crate) trait ManagementBackend: Send {
    /// Reads one page of device information.
    fn page(&mut self, page: u8, control: &Control) -> Result<Vec<u8>, Error>;
    /// Reads the serial number, or nothing when the key does not tell it.
    fn serial(&mut self, control: &Control) -> Result<Option<u32>, Error>;
    /// Writes device information.
    fn write_config(&mut self, body: &[u8], control: &Control) -> Result<(), Failure>;
    /// Reads the USB mode of firmware 4, or nothing where it cannot be read.
    fn mode(&mut self, version: Version, control: &Control) -> Result<Option<SetMode>, Error>;
    /// Resets the whole device.
    fn reset(&mut self, control: &Control) -> Result<(), Failure>;
    /// Sets the USB mode of firmware 3 and 4.
    fn set_mode(&mut self, payload: &[u8], version: Version, control: &Control) -> Result<(), Failure>;
}

/// What the OTP application needs of a link.
pub(crate) trait OtpBackend: ManagementBackend {
    /// How the application is reached.
    fn transport(&self) -> otp::Transport;
    /// Reads the status.
    fn status(&mut self, control: &Control) -> Result<tapkey_protocol::hid::Status, Error>;
    /// Sends a command that answers `length` bytes.
    fn read(
        &mut self,
        command: SlotCommand,
        payload: &[u8],
        length: usize,
        control: &Control,
    ) -> Result<Vec<u8>, Failure>;
    /// Sends a command that changes something, and makes sure that it did.
    fn write(&mut self, command: SlotCommand, payload: &[u8], control: &Control) -> Result<(), Failure>;
}

fn parse_serial(bytes: &[u8]) -> Result<u32, Error> {
    let bytes = <[u8; 4]>::try_from(bytes).map_err(|_| Malformed::Length {
        what: "a serial number",
        expected: 4,
        found: bytes.len(),
    })?;
    Ok(u32::from_be_bytes(bytes))
}

const NEO: u8 = 3;
