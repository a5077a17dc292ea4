//! The management application: what a key is and which applications are switched on.

use std::fmt;

use tapkey_protocol::link::{CardLink, OtpLink};
use tapkey_protocol::management::{Capabilities, DeviceConfig, DeviceInfo, InfoPages, SetMode};
use tapkey_protocol::version::{Requirement, Unsupported, Version};

use super::ManagementBackend;
use super::card::CardBackend;
use super::hid::HidBackend;
use crate::control::Control;
use crate::error::{Error, Refusal};
use crate::transport::Failure;
use crate::transport::card::Card;
use crate::transport::hid::Reports;

/// A session with the management application, over HID or a smart card.
///
/// Keys older than firmware 4.1 have no device information; what their generation is known to have
/// stands in for it.
///
/// ```
/// use tapkey_driver::{Applied, Control, ManagementSession};
/// use tapkey_emulator::{VirtualKey, port::in_process::PluggedKey};
/// use tapkey_protocol::management::{Capabilities, DeviceConfig};
///
/// let key = PluggedKey::new(VirtualKey::builder().build()?)?;
/// let control = Control::new();
/// let mut management = ManagementSession::over_hid(key.otp()?, &control)?;
/// let info = management.device_info(&control)?;
/// println!("firmware {}, serial {:?}", management.version(), info.serial);
///
/// // Everything but PIV, on USB.
/// let enabled = info.usb_enabled.unwrap_or(info.usb_supported).without(Capabilities::PIV);
/// let config = DeviceConfig { usb_enabled: Some(enabled), ..DeviceConfig::default() };
/// assert_eq!(management.write_config(&config, &control)?, Applied::Confirmed);
/// assert_eq!(management.device_info(&control)?.usb_enabled, Some(enabled));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ManagementSession {
    backend: Box<dyn ManagementBackend>,
    version: Version,
}

/// What became of new settings that were accepted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Applied {
    /// The key said so.
    Confirmed,
    /// The key restarted, as it was told to, before it could say so. Look again when it is back.
    Restarted,
}

impl ManagementSession {
    /// Begins over the OTP interface.
    ///
    /// # Errors
    /// [`Error`] when the key's status cannot be read.
    pub fn over_hid(link: impl OtpLink + 'static, control: &Control) -> Result<Self, Error> {
        let mut reports = Reports::new(link);
        let version = reports.status(control)?.version;
        Ok(Self { backend: Box::new(HidBackend { reports }), version })
    }

    /// Begins over the smart card.
    ///
    /// # Errors
    /// [`Error`] when the application is not there.
    pub fn over_card(link: impl CardLink + 'static, control: &Control) -> Result<Self, Error> {
        let mut backend = CardBackend::new(Card::new(link));
        let version = backend.management_version(control)?;
        Ok(Self { backend: Box::new(backend), version })
    }

    /// The firmware.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// All pages of device information, with what keys are known to tell wrongly put right.
    ///
    /// # Errors
    /// [`Error`] when a page cannot be read.
    pub fn device_info(&mut self, control: &Control) -> Result<DeviceInfo, Error> {
        read_info(&mut *self.backend, self.version, control)
    }

    /// Changes what is switched on (firmware 5.0 and later).
    ///
    /// # Errors
    /// [`Error::Unsupported`] before anything is sent; [`Refusal::Locked`] when a lock code guards the
    /// settings and the right one was not given.
    pub fn write_config(&mut self, config: &DeviceConfig, control: &Control) -> Result<Applied, Error> {
        Unsupported::check_at_least("changing the settings of the key", self.version, CONFIG_SINCE)?;
        if config.nfc_restricted.is_some() {
            Unsupported::check_at_least("restricting NFC", self.version, NFC_RESTRICT_SINCE)?;
        }
        match self.backend.write_config(config.encode().expose(), control) {
            Ok(()) => Ok(Applied::Confirmed),
            Err(Failure::Error(error)) if config.reboot && error.is_removal() => Ok(Applied::Restarted),
            Err(Failure::Error(error)) => Err(error),
            Err(Failure::Rejected) => Err(self.explain_config(config, control)?.into()),
        }
    }

    /// Chooses the USB interfaces of a key with firmware 3 or 4. It takes effect when the key is
    /// plugged in again.
    ///
    /// # Errors
    /// [`Error::Unsupported`] before anything is sent: later firmware is set by
    /// [`write_config`](Self::write_config), earlier firmware has one interface only.
    pub fn set_mode(&mut self, mode: SetMode, control: &Control) -> Result<(), Error> {
        let required = Requirement::Between(MODE_SINCE, CONFIG_SINCE);
        Unsupported::check("choosing a USB mode", self.version, required)?;
        match self.backend.set_mode(&mode.encode(), self.version, control) {
            Ok(()) => Ok(()),
            Err(Failure::Error(error)) => Err(error),
            Err(Failure::Rejected) => Err(Refusal::Silent {
                operation: "change its USB mode",
                hint: Some("it does not while a slot has an access code"),
            }
            .into()),
        }
    }

    /// The USB mode of a key with firmware 4, over its smart card. `None` where it cannot be read: over
    /// HID, and on all other firmware.
    ///
    /// # Errors
    /// [`Error`] when the key does not answer.
    pub fn mode(&mut self, control: &Control) -> Result<Option<SetMode>, Error> {
        self.backend.mode(self.version, control)
    }

    /// Resets the whole key, as only the multi-protocol YubiKey Bio can (firmware 5.6 and later, over
    /// its smart card): all applications are emptied, fingerprints and PINs are gone.
    ///
    /// # Errors
    /// [`Refusal::NoDeviceReset`] for all other keys and [`Error::NotOverThisLink`] over HID, before
    /// anything is sent.
    pub fn reset_device(&mut self, control: &Control) -> Result<(), Error> {
        let info = self.device_info(control)?;
        if !can_be_reset(&info) {
            return Err(Refusal::NoDeviceReset.into());
        }
        Unsupported::check_at_least("resetting the whole key", self.version, RESET_SINCE)?;
        match self.backend.reset(control) {
            Ok(()) => Ok(()),
            Err(Failure::Error(error)) => Err(error),
            Err(Failure::Rejected) => {
                Err(Refusal::Silent { operation: "reset itself as a whole", hint: None }.into())
            }
        }
    }

    fn explain_config(&mut self, config: &DeviceConfig, control: &Control) -> Result<Refusal, Error> {
        if self.device_info(control)?.locked {
            return Ok(Refusal::Locked { code_given: config.current_lock_code.is_some() });
        }
        Ok(Refusal::Silent { operation: "take the new settings", hint: None })
    }
}

impl fmt::Debug for ManagementSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManagementSession").field("version", &self.version).finish_non_exhaustive()
    }
}

/// Whether the key is one that can be reset as a whole: with a fingerprint sensor and more than FIDO.
#[must_use]
pub fn can_be_reset(info: &DeviceInfo) -> bool {
    info.form_factor.shape().is_bio() && info.usb_supported.intersects(Capabilities::PIV)
}

/// Reads all pages, or puts together what is known of keys that have none.
pub(crate) fn read_info<B: ManagementBackend + ?Sized>(
    backend: &mut B,
    version: Version,
    control: &Control,
) -> Result<DeviceInfo, Error> {
    if version < INFO_SINCE {
        return Ok(known_of_generation(version, backend.serial(control)?));
    }
    let mut pages = InfoPages::new();
    while let Some(page) = pages.next_page() {
        pages.push(&backend.page(page, control)?)?;
    }
    let mut info = pages.finish();
    // A key that leaves its version out has told it when the session began.
    info.version.get_or_insert(version);
    Ok(info.corrected())
}

/// What is known of keys that cannot tell.
fn known_of_generation(version: Version, serial: Option<u32>) -> DeviceInfo {
    let card = Capabilities::CCID | Capabilities::OATH | Capabilities::PIV | Capabilities::OPENPGP;
    let (usb, nfc) = match version.major {
        0..=2 => (Capabilities::OTP, None),
        3 => {
            (Capabilities::OTP | Capabilities::U2F | card, Some(Capabilities::OTP | Capabilities::U2F | card))
        }
        _ => (Capabilities::OTP | Capabilities::U2F | card, None),
    };
    DeviceInfo {
        version: Some(version),
        serial,
        usb_supported: usb,
        nfc_supported: nfc,
        nfc_enabled: nfc,
        ..DeviceInfo::default()
    }
}

const INFO_SINCE: Version = Version::new(4, 1, 0);
const CONFIG_SINCE: Version = Version::new(5, 0, 0);
const RESET_SINCE: Version = Version::new(5, 6, 0);
const MODE_SINCE: Version = Version::new(3, 0, 0);
const NFC_RESTRICT_SINCE: Version = Version::new(5, 7, 0);
