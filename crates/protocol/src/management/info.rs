//! What a key says about itself.

use thiserror::Error;

use super::form_factor::FormFactorByte;
use super::{Capabilities, FipsCapabilities, FormFactor, tag};
use crate::tlv::{self, TlvError};
use crate::version::Version;

/// Everything the management application tells. Fields that a key leaves out are `None` or their
/// default; tags that are not known here are kept in `unknown`.
///
/// This is the key's own word; [`DeviceInfo::corrected`] applies what is known to be wrong in it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct DeviceInfo {
    /// Applications there are on USB.
    pub usb_supported: Capabilities,
    /// Applications switched on on USB; unreliable before firmware 5.
    pub usb_enabled: Option<Capabilities>,
    /// Applications there are over NFC; `None` for a key without NFC.
    pub nfc_supported: Option<Capabilities>,
    /// Applications switched on over NFC.
    pub nfc_enabled: Option<Capabilities>,
    /// The serial number; some keys have none.
    pub serial: Option<u32>,
    /// Shape, FIPS and Security Key marks.
    pub form_factor: FormFactorByte,
    /// The firmware.
    pub version: Option<Version>,
    /// What kind of release the firmware is.
    pub version_qualifier: Option<VersionQualifier>,
    /// Seconds until the smart card ejects itself.
    pub auto_eject_timeout: Option<u16>,
    /// Seconds that a challenge waits for a touch.
    pub challenge_timeout: Option<u8>,
    /// Touch-eject and remote wake-up.
    pub flags: Option<DeviceFlags>,
    /// A lock code guards the settings.
    pub locked: bool,
    /// Text of the part number.
    pub part_number: Option<String>,
    /// Applications that can be used in a FIPS-approved way.
    pub fips_capable: Option<FipsCapabilities>,
    /// Applications that are in a FIPS-approved state now.
    pub fips_approved: Option<FipsCapabilities>,
    /// PINs must not be trivial.
    pub pin_complexity: Option<bool>,
    /// NFC stays off until the key was powered over USB.
    pub nfc_restricted: Option<bool>,
    /// Applications whose reset is blocked.
    pub reset_blocked: Option<Capabilities>,
    /// Version of the fingerprint template storage (Bio).
    pub fingerprint_storage: Option<Version>,
    /// Version of the image processor (Bio).
    pub image_processor: Option<Version>,
    /// What else the key told, in its order.
    pub unknown: Vec<UnknownTag>,
}

/// Device flags (tag 08).
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct DeviceFlags(pub u8);

impl DeviceFlags {
    /// A touch inserts and ejects the smart card.
    pub const TOUCH_EJECT: Self = Self(0x80);
    /// A touch wakes the host.
    pub const REMOTE_WAKEUP: Self = Self(0x40);

    /// True when all of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A tag that is not known here, with its value.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownTag {
    /// The tag.
    pub tag: u8,
    /// The value.
    pub value: Vec<u8>,
}

/// What kind of release a firmware is (tag 19).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct VersionQualifier {
    /// The version that is to be.
    pub version: Version,
    /// How far it is.
    pub release: ReleaseType,
    /// Counts the releases of that kind.
    pub iteration: u32,
}

/// How far a firmware is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum ReleaseType {
    /// An early test version.
    Alpha,
    /// A test version.
    Beta,
    /// A release.
    Final,
    /// A code that is not known here.
    Other(u8),
}

/// Why device information could not be read.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum InfoError {
    /// The length byte and the number of bytes disagree.
    #[error("device information says it has {stated} bytes, but {found} arrived")]
    WrongLength {
        /// The length byte.
        stated: usize,
        /// The bytes after it.
        found: usize,
    },
    /// There is no length byte.
    #[error("device information is empty")]
    Empty,
    /// The list of tags is broken.
    #[error("device information cannot be read: {0}")]
    Tlv(#[from] TlvError),
    /// A field has a length that it never has.
    #[error("the field {tag:#04x} of the device information has {length} bytes")]
    BadField {
        /// Its tag.
        tag: u8,
        /// Its length.
        length: usize,
    },
    /// The information does not fit a page, whose length is one byte.
    #[error("device information does not fit its page: {length} bytes, at most 255 do")]
    TooLong {
        /// The length there would be.
        length: usize,
    },
    /// The key keeps announcing pages.
    #[error("the key announces more pages of device information than any known key has")]
    TooManyPages,
}

/// Reads pages one after another.
///
/// ```
/// use tapkey_protocol::management::InfoPages;
///
/// let mut pages = InfoPages::new();
/// // The page to ask for is `pages.next_page()`; here a key with a single page.
/// assert_eq!(pages.next_page(), Some(0));
/// pages.push(&[0x0A, 0x01, 0x02, 0x02, 0x3F, 0x02, 0x04, 0x00, 0xA8, 0x57, 0x9B])?;
/// assert_eq!(pages.next_page(), None);
/// assert_eq!(pages.finish().serial, Some(11_032_475));
/// # Ok::<(), tapkey_protocol::management::InfoError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct InfoPages {
    info: DeviceInfo,
    page: u8,
    complete: bool,
}

impl InfoPages {
    /// Before the first page.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The page to ask for, or nothing when all were read.
    #[must_use]
    pub const fn next_page(&self) -> Option<u8> {
        if self.complete { None } else { Some(self.page) }
    }

    /// Takes a page: a length byte and the tags.
    ///
    /// # Errors
    /// [`InfoError`] when it cannot be read, or after 16 pages.
    pub fn push(&mut self, page: &[u8]) -> Result<(), InfoError> {
        let more = self.info.read_page(page)?;
        self.complete = !more;
        self.page += 1;
        if more && self.page >= MAX_PAGES {
            return Err(InfoError::TooManyPages);
        }
        Ok(())
    }

    /// What was read so far.
    #[must_use]
    pub fn finish(self) -> DeviceInfo {
        self.info
    }
}

impl DeviceInfo {
    /// Reads a single page: a length byte and the tags.
    ///
    /// # Errors
    /// [`InfoError`] when it cannot be read.
    pub fn parse(page: &[u8]) -> Result<Self, InfoError> {
        let mut info = Self::default();
        info.read_page(page)?;
        Ok(info)
    }

    /// The information with what is known to be wrong in it put right, as host tools do:
    ///
    /// * Firmware 4.2.4 tells the wrong applications; every key with it has the first six.
    /// * Nano, Lightning and USB-C keys before firmware 5.2.4 have no NFC, whatever they tell.
    /// * A release that is not final has its version in the qualifier.
    /// * What is switched on on USB is unreliable before firmware 5, so it is taken as not told.
    #[must_use]
    pub fn corrected(mut self) -> Self {
        if let Some(qualifier) = self.version_qualifier
            && qualifier.release != ReleaseType::Final
        {
            self.version = Some(qualifier.version);
        }
        let Some(version) = self.version else {
            return self;
        };
        if version == Version::new(4, 2, 4) {
            self.usb_supported = Capabilities(0x3F);
        }
        if version < Version::new(5, 0, 0) {
            self.usb_enabled = None;
        }
        let without_nfc = matches!(
            self.form_factor.shape(),
            FormFactor::UsbANano
                | FormFactor::UsbCKeychain
                | FormFactor::UsbCNano
                | FormFactor::UsbCLightning
        );
        if without_nfc && version < Version::new(5, 2, 4) {
            self.nfc_supported = None;
            self.nfc_enabled = None;
        }
        self
    }

    fn read_page(&mut self, page: &[u8]) -> Result<bool, InfoError> {
        let (&stated, body) = page.split_first().ok_or(InfoError::Empty)?;
        let stated = usize::from(stated);
        if stated != body.len() {
            return Err(InfoError::WrongLength { stated, found: body.len() });
        }
        let mut more = false;
        for element in tlv::Reader::new(body) {
            let element = element?;
            if element.tag == tag::MORE_PAGES {
                more = element.value.iter().any(|byte| *byte != 0);
            } else {
                self.read_field(element.tag, element.value)?;
            }
        }
        Ok(more)
    }

    fn read_field(&mut self, tag: u8, value: &[u8]) -> Result<(), InfoError> {
        let bad = InfoError::BadField { tag, length: value.len() };
        let capabilities =
            || if value.is_empty() { Err(bad) } else { Ok(Capabilities::from_be_bytes(value)) };
        let byte = || value.last().copied().ok_or(bad);
        match tag {
            tag::USB_SUPPORTED => self.usb_supported = capabilities()?,
            tag::USB_ENABLED => self.usb_enabled = Some(capabilities()?),
            tag::NFC_SUPPORTED => self.nfc_supported = Some(capabilities()?),
            tag::NFC_ENABLED => self.nfc_enabled = Some(capabilities()?),
            tag::SERIAL => self.serial = Some(u32::from_be_bytes(value.try_into().map_err(|_| bad)?)),
            tag::FORM_FACTOR => self.form_factor = FormFactorByte(byte()?),
            tag::VERSION => self.version = Some(version(value).ok_or(bad)?),
            tag::VERSION_QUALIFIER => {
                self.version_qualifier = Some(VersionQualifier::parse(value).ok_or(bad)?)
            }
            tag::AUTO_EJECT_TIMEOUT => self.auto_eject_timeout = Some(Capabilities::from_be_bytes(value).0),
            tag::CHALLENGE_TIMEOUT => self.challenge_timeout = Some(byte()?),
            tag::DEVICE_FLAGS => self.flags = Some(DeviceFlags(byte()?)),
            tag::CONFIG_LOCK => self.locked = value.iter().any(|byte| *byte != 0),
            tag::PART_NUMBER => self.part_number = Some(String::from_utf8_lossy(value).into_owned()),
            tag::FIPS_CAPABLE => self.fips_capable = Some(FipsCapabilities(capabilities()?.0)),
            tag::FIPS_APPROVED => self.fips_approved = Some(FipsCapabilities(capabilities()?.0)),
            tag::PIN_COMPLEXITY => self.pin_complexity = Some(byte()? != 0),
            tag::NFC_RESTRICTED => self.nfc_restricted = Some(byte()? != 0),
            tag::RESET_BLOCKED => self.reset_blocked = Some(capabilities()?),
            tag::FINGERPRINT_STORAGE => self.fingerprint_storage = version(value),
            tag::IMAGE_PROCESSOR => self.image_processor = version(value),
            _ => self.unknown.push(UnknownTag { tag, value: value.to_vec() }),
        }
        Ok(())
    }
}

/// More pages than any known key has.
const MAX_PAGES: u8 = 16;

fn version(value: &[u8]) -> Option<Version> {
    <[u8; 3]>::try_from(value).ok().map(Version::from)
}

mod write;

#[cfg(test)]
mod tests;
