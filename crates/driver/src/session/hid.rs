//! Both applications over the OTP interface.

use tapkey_protocol::hid::{Expect, Status};
use tapkey_protocol::management::SetMode;
use tapkey_protocol::slot::SlotCommand;
use tapkey_protocol::version::Version;

use super::otp::Transport;
use super::{ManagementBackend, OtpBackend, parse_serial};
use crate::control::Control;
use crate::error::{Error, NotOverThisLink, Refusal};
use crate::transport::Failure;
use crate::transport::hid::Reports;

pub(crate) struct HidBackend {
    pub(crate) reports: Reports,
}

impl ManagementBackend for HidBackend {
    /// Device information is not hidden by anything, unlike the serial number.
    fn page(&mut self, page: u8, control: &Control) -> Result<Vec<u8>, Error> {
        match self.reports.read(SlotCommand::ReadDeviceInfo, &[page], Expect::LengthPrefixed, control) {
            Ok(page) => Ok(page),
            Err(Failure::Error(error)) => Err(error),
            Err(Failure::Rejected) => {
                Err(Refusal::Silent { operation: "tell its device information", hint: None }.into())
            }
        }
    }

    fn serial(&mut self, control: &Control) -> Result<Option<u32>, Error> {
        match self.reports.read(SlotCommand::Serial, &[], Expect::Data { length: 4 }, control) {
            Ok(bytes) => parse_serial(&bytes).map(Some),
            Err(Failure::Error(error)) => Err(error),
            Err(Failure::Rejected) => Ok(None),
        }
    }

    fn write_config(&mut self, body: &[u8], control: &Control) -> Result<(), Failure> {
        self.write(SlotCommand::WriteDeviceInfo, body, control)
    }

    /// The interface has no command for it.
    fn mode(&mut self, _: Version, _: &Control) -> Result<Option<SetMode>, Error> {
        Ok(None)
    }

    fn reset(&mut self, _: &Control) -> Result<(), Failure> {
        Err(Error::from(NotOverThisLink::ResetOverHid).into())
    }

    fn set_mode(&mut self, payload: &[u8], _: Version, control: &Control) -> Result<(), Failure> {
        self.write(SlotCommand::SetMode, payload, control)
    }
}

impl OtpBackend for HidBackend {
    fn transport(&self) -> Transport {
        Transport::Hid
    }

    fn status(&mut self, control: &Control) -> Result<Status, Error> {
        self.reports.status(control)
    }

    fn read(
        &mut self,
        command: SlotCommand,
        payload: &[u8],
        length: usize,
        control: &Control,
    ) -> Result<Vec<u8>, Failure> {
        self.reports.read(command, payload, Expect::Data { length }, control)
    }

    fn write(&mut self, command: SlotCommand, payload: &[u8], control: &Control) -> Result<(), Failure> {
        // The exchange itself compares the programming sequence before and after.
        self.reports.write(command, payload, control)
    }
}
