//! The OTP application: two slots that type or answer challenges.

mod challenge;
mod fips;
mod program;
mod status;

use std::fmt;

use tapkey_protocol::link::{CardLink, CardTransport, OtpLink};
use tapkey_protocol::management::DeviceInfo;
use tapkey_protocol::version::Version;

use super::OtpBackend;
use super::card::CardBackend;
use super::hid::HidBackend;
use super::management::read_info;
use crate::control::Control;
use crate::error::{Error, NotOverThisLink, Refusal};
use crate::transport::card::Card;
use crate::transport::hid::Reports;

pub use challenge::Probe;
pub use status::{Caveat, OtpStatus, SlotState};
pub(crate) use status::{card_takes_settings, is_garbled_over_nfc};

/// A session with the OTP application, over HID or a smart card.
///
/// Every method takes a [`Control`] and can be ended by it. A command that was sent and then given up
/// is taken back, so the key is ready for the next one.
pub struct OtpSession {
    backend: Box<dyn OtpBackend>,
    version: Version,
}

/// How the OTP application is reached.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Transport {
    /// Feature reports of the keyboard interface.
    Hid,
    /// The smart card.
    Card(CardTransport),
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hid => "HID",
            Self::Card(CardTransport::Usb) => "CCID",
            Self::Card(CardTransport::Nfc) => "NFC",
        })
    }
}

impl OtpSession {
    /// Begins over the OTP interface. What another program left behind there is cleared.
    ///
    /// # Errors
    /// [`Error`] when the key's status cannot be read.
    pub fn over_hid(link: impl OtpLink + 'static, control: &Control) -> Result<Self, Error> {
        Self::begin(HidBackend { reports: Reports::new(link) }, control)
    }

    /// Begins over the smart card.
    ///
    /// # Errors
    /// [`Refusal::ApplicationMissing`] when the application is not there or switched off;
    /// [`Error::NotOverThisLink`] where the firmware is known not to have it on this interface.
    pub fn over_card(link: impl CardLink + 'static, control: &Control) -> Result<Self, Error> {
        let mut backend = CardBackend::new(Card::new(link));
        backend.learn_version(control)?;
        match backend.status(control) {
            Ok(status) => Ok(Self { backend: Box::new(backend), version: status.version }),
            Err(Error::Refused(refusal @ Refusal::ApplicationMissing { .. })) => {
                Err(explain_missing(&mut backend, refusal, control))
            }
            Err(error) => Err(error),
        }
    }

    fn begin(mut backend: impl OtpBackend + 'static, control: &Control) -> Result<Self, Error> {
        let version = backend.status(control)?.version;
        Ok(Self { backend: Box::new(backend), version })
    }

    /// The firmware.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// How the application is reached.
    #[must_use]
    pub fn transport(&self) -> Transport {
        self.backend.transport()
    }

    /// What is programmed, as far as the key tells.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub fn status(&mut self, control: &Control) -> Result<OtpStatus, Error> {
        let status = self.backend.status(control)?;
        Ok(OtpStatus::new(status, self.backend.transport()))
    }

    /// The serial number.
    ///
    /// # Errors
    /// [`Refusal::SerialHidden`] when no slot makes it readable. [`device_info`](Self::device_info)
    /// tells it from firmware 4.1 on nevertheless.
    pub fn serial(&mut self, control: &Control) -> Result<u32, Error> {
        self.backend.serial(control)?.ok_or_else(|| Refusal::SerialHidden.into())
    }

    /// Everything the key tells about itself; see
    /// [`ManagementSession::device_info`](crate::ManagementSession::device_info).
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub fn device_info(&mut self, control: &Control) -> Result<DeviceInfo, Error> {
        read_info(&mut *self.backend, self.version, control)
    }
}

impl fmt::Debug for OtpSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OtpSession")
            .field("version", &self.version)
            .field("transport", &self.transport())
            .finish_non_exhaustive()
    }
}

/// Firmware 5.0 to 5.2 has the application, but refuses it over the smart card on USB.
fn explain_missing(backend: &mut CardBackend, refusal: Refusal, control: &Control) -> Error {
    match backend.management_version(control) {
        Ok(version) if version.major == 5 && !card_takes_settings(version, backend.card.transport()) => {
            NotOverThisLink::OtpWriteOverUsbCard { version }.into()
        }
        Ok(_) | Err(Error::Refused(_) | Error::Malformed(_)) => refusal.into(),
        Err(error) => error,
    }
}
