//! The FIPS mode of the FIPS series of generation 4.

use tapkey_protocol::slot::SlotCommand;
use tapkey_protocol::version::{Requirement, Unsupported, Version};

use super::OtpSession;
use crate::control::Control;
use crate::error::{Error, Refusal};
use crate::transport::Failure;

impl OtpSession {
    /// Whether the OTP application is in its FIPS mode: both slots have access codes. Only the YubiKey
    /// FIPS of generation 4 (firmware 4.4) tells it this way; later ones tell it in their device
    /// information.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for other firmware, before anything is sent.
    pub fn fips_mode(&mut self, control: &Control) -> Result<bool, Error> {
        let required = Requirement::Between(Version::new(4, 4, 0), Version::new(4, 5, 0));
        Unsupported::check("asking for the FIPS mode of the slots", self.version, required)?;
        match self.backend.read(SlotCommand::FipsMode, &[], 1, control) {
            Ok(answer) => Ok(answer.first().is_some_and(|byte| *byte != 0)),
            Err(Failure::Error(error)) => Err(error),
            Err(Failure::Rejected) => {
                Err(Refusal::Silent { operation: "tell its FIPS mode", hint: None }.into())
            }
        }
    }
}
