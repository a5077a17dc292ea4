//! Writing device information, which is the emulated key's side.

use super::{DeviceInfo, InfoError, ReleaseType, VersionQualifier};
use crate::management::{Capabilities, tag};
use crate::tlv::{self, Writer};
use crate::version::Version;

impl DeviceInfo {
    /// The longest page that can be read over HID, its length byte included.
    pub const HID_PAGE: usize = 222;

    /// Writes everything on a single page: a length byte and the tags. `more` announces another
    /// page, for tests; [`DeviceInfo::encode_pages`] spreads the tags over several.
    ///
    /// Capability fields take two bytes. NFC-enabled always accompanies NFC-supported, because
    /// host tools rely on it.
    ///
    /// # Errors
    /// [`InfoError::TooLong`] when it does not fit 255 bytes.
    pub fn encode(&self, more: bool) -> Result<Vec<u8>, InfoError> {
        let mut list = self.list();
        if more {
            list.push(tag::MORE_PAGES, &[1]);
        }
        page(list.as_bytes())
    }

    /// Writes pages of at most `limit` bytes, length byte included, each but the last announcing
    /// the next. Tags stay whole and in order.
    ///
    /// # Errors
    /// [`InfoError::TooLong`] when a single tag does not fit a page.
    pub fn encode_pages(&self, limit: usize) -> Result<Vec<Vec<u8>>, InfoError> {
        let room = limit.min(usize::from(u8::MAX) + 1).saturating_sub(1 + MORE_PAGES_SIZE);
        let list = self.list();
        let mut pages = Vec::new();
        let mut current = Writer::new();
        for element in tlv::Reader::new(list.as_bytes()) {
            let element = element?;
            let mut alone = Writer::new();
            alone.push(element.tag, element.value);
            let length = alone.as_bytes().len();
            if length > room {
                return Err(InfoError::TooLong { length });
            }
            if current.as_bytes().len() + length > room {
                current.push(tag::MORE_PAGES, &[1]);
                pages.push(page(current.as_bytes())?);
                current = Writer::new();
            }
            current.push_raw(alone.as_bytes());
        }
        pages.push(page(current.as_bytes())?);
        Ok(pages)
    }

    fn list(&self) -> Writer {
        let mut list = Writer::new();
        self.write_interfaces(&mut list);
        self.write_settings(&mut list);
        self.write_later_fields(&mut list);
        for unknown in &self.unknown {
            list.push(unknown.tag, &unknown.value);
        }
        list
    }

    fn write_interfaces(&self, list: &mut Writer) {
        list.push(tag::USB_SUPPORTED, &self.usb_supported.to_be_bytes());
        if let Some(serial) = self.serial {
            list.push(tag::SERIAL, &serial.to_be_bytes());
        }
        if let Some(enabled) = self.usb_enabled {
            list.push(tag::USB_ENABLED, &enabled.to_be_bytes());
        }
        list.push(tag::FORM_FACTOR, &[self.form_factor.0]);
        if let Some(version) = self.version {
            list.push(tag::VERSION, &version.to_bytes());
        }
        if let Some(supported) = self.nfc_supported {
            let enabled = self.nfc_enabled.unwrap_or(Capabilities::NONE);
            list.push(tag::NFC_SUPPORTED, &supported.to_be_bytes());
            list.push(tag::NFC_ENABLED, &enabled.to_be_bytes());
        } else if let Some(enabled) = self.nfc_enabled {
            list.push(tag::NFC_ENABLED, &enabled.to_be_bytes());
        }
    }

    fn write_settings(&self, list: &mut Writer) {
        if let Some(seconds) = self.auto_eject_timeout {
            list.push(tag::AUTO_EJECT_TIMEOUT, &seconds.to_be_bytes());
        }
        if let Some(seconds) = self.challenge_timeout {
            list.push(tag::CHALLENGE_TIMEOUT, &[seconds]);
        }
        if let Some(flags) = self.flags {
            list.push(tag::DEVICE_FLAGS, &[flags.0]);
        }
        list.push(tag::CONFIG_LOCK, &[u8::from(self.locked)]);
    }

    fn write_later_fields(&self, list: &mut Writer) {
        if let Some(text) = &self.part_number {
            list.push(tag::PART_NUMBER, text.as_bytes());
        }
        for (tag, field) in [(tag::FIPS_CAPABLE, self.fips_capable), (tag::FIPS_APPROVED, self.fips_approved)]
        {
            if let Some(field) = field {
                list.push(tag, &field.0.to_be_bytes());
            }
        }
        for (tag, field) in
            [(tag::PIN_COMPLEXITY, self.pin_complexity), (tag::NFC_RESTRICTED, self.nfc_restricted)]
        {
            if let Some(field) = field {
                list.push(tag, &[u8::from(field)]);
            }
        }
        if let Some(blocked) = self.reset_blocked {
            list.push(tag::RESET_BLOCKED, &blocked.to_be_bytes());
        }
        if let Some(qualifier) = self.version_qualifier {
            list.push(tag::VERSION_QUALIFIER, &qualifier.encode());
        }
        for (tag, field) in [
            (tag::FINGERPRINT_STORAGE, self.fingerprint_storage),
            (tag::IMAGE_PROCESSOR, self.image_processor),
        ] {
            if let Some(version) = field {
                list.push(tag, &version.to_bytes());
            }
        }
    }
}

impl VersionQualifier {
    /// Reads the nested list of tag 19.
    pub(super) fn parse(value: &[u8]) -> Option<Self> {
        let mut version = None;
        let mut release = None;
        let mut iteration = 0;
        for element in tlv::Reader::new(value) {
            let element = element.ok()?;
            match element.tag {
                QUALIFIER_VERSION => version = <[u8; 3]>::try_from(element.value).ok().map(Version::from),
                QUALIFIER_RELEASE => release = element.value.last().copied().map(ReleaseType::from_code),
                QUALIFIER_ITERATION => {
                    iteration = element.value.iter().fold(0, |sum, byte| (sum << 8) | u32::from(*byte));
                }
                _ => {}
            }
        }
        Some(Self { version: version?, release: release?, iteration })
    }

    fn encode(self) -> Vec<u8> {
        let mut list = Writer::new();
        list.push(QUALIFIER_VERSION, &self.version.to_bytes());
        list.push(QUALIFIER_RELEASE, &[self.release.code()]);
        list.push(QUALIFIER_ITERATION, &self.iteration.to_be_bytes());
        list.into_bytes()
    }
}

impl ReleaseType {
    const fn from_code(code: u8) -> Self {
        match code {
            0 => Self::Alpha,
            1 => Self::Beta,
            2 => Self::Final,
            other => Self::Other(other),
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Alpha => 0,
            Self::Beta => 1,
            Self::Final => 2,
            Self::Other(code) => code,
        }
    }
}

fn page(list: &[u8]) -> Result<Vec<u8>, InfoError> {
    let stated = u8::try_from(list.len()).map_err(|_| InfoError::TooLong { length: list.len() })?;
    let mut page = vec![stated];
    page.extend_from_slice(list);
    Ok(page)
}

/// Tag, length and value of the mark that another page follows.
const MORE_PAGES_SIZE: usize = 3;

const QUALIFIER_VERSION: u8 = 0x01;
const QUALIFIER_RELEASE: u8 = 0x02;
const QUALIFIER_ITERATION: u8 = 0x03;
