//! A key of the driver, as an enrolment sees it.

use tapkey_driver::{Control, Device, Error, Prefer};
use tapkey_protocol::slot::{AccessCode, Options, Slot, YubicoOtp};

use crate::enrolment::{Credential, KeyError, KeyFacts, KeyPort};

/// A plugged-in (or software) key that the driver found.
///
/// The control's deadline, cancel token and touch notice apply to each call.
#[derive(Debug)]
pub struct DeviceKey {
    device: Device,
    control: Control,
}

impl DeviceKey {
    /// Enrols on this key.
    #[must_use]
    pub const fn new(device: Device, control: Control) -> Self {
        Self { device, control }
    }
}

impl KeyPort for DeviceKey {
    fn facts(&mut self) -> Result<KeyFacts, KeyError> {
        let mut session =
            self.device.open_otp(Prefer::Programming, &self.control).map_err(KeyError::unchanged)?;
        let status = session.status(&self.control).map_err(KeyError::unchanged)?;
        Ok(KeyFacts {
            serial: self.device.serial(),
            version: session.version(),
            // What is not certainly empty counts as programmed.
            programmed: Slot::ALL.map(|slot| !status.is_certainly(slot, false)),
            software: self.device.is_software(),
        })
    }

    fn program(
        &mut self,
        slot: Slot,
        credential: &Credential,
        current: Option<&AccessCode>,
    ) -> Result<(), KeyError> {
        let mut session =
            self.device.open_otp(Prefer::Programming, &self.control).map_err(KeyError::unchanged)?;
        let config = YubicoOtp {
            public_id: credential.public_id,
            private_id: credential.private_id.clone(),
            key: credential.aes_key.clone(),
            send_reference: false,
            options: Options::for_typing().fitted_to(session.version()),
            access_code: credential.access_code.clone().unwrap_or(AccessCode::NONE),
        };
        let current = current.cloned().unwrap_or(AccessCode::NONE);
        session.program(slot, &config, &current, &self.control).map_err(|error| match error {
            // The key said no, or nothing was sent. Everything else leaves it open.
            Error::Refused(_) | Error::Unsupported(_) | Error::NotOverThisLink(_) | Error::Input(_) => {
                KeyError::unchanged(error)
            }
            other => KeyError::uncertain(other),
        })
    }
}
