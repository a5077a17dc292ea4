//! The OTP interface over USB HID.
//!
//! On Linux the pure Rust backend of hidapi reads `/dev/hidraw*`, to which an ordinary user gets
//! access by a udev rule; Tapkey ships one as [`UDEV_RULES`].

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use ::hidapi::{HidApi, HidDevice, HidError};
use tapkey_protocol::link::{CardLink, LinkError, OtpLink, REPORT_SIZE, Report};
use tapkey_protocol::management::{ProductId, VENDOR_ID};

use crate::connector::{Connector, UsbPlace, Ways};

/// Where the udev rules belong that let an ordinary user open a key.
pub const UDEV_RULES: &str = "/etc/udev/rules.d/70-tapkey.rules";

/// The OTP interface of one plugged-in key.
#[derive(Clone, Debug)]
pub struct HidConnector {
    path: CString,
    place: UsbPlace,
}

/// Lists the OTP interfaces of all keys that are plugged in: keyboards of Yubico's. Nothing is
/// opened and no permission is needed.
///
/// # Errors
/// [`LinkError`] when the system's list of devices cannot be read.
pub fn connectors() -> Result<Vec<HidConnector>, LinkError> {
    let api = HidApi::new().map_err(|error| other(&error))?;
    let mut found: Vec<HidConnector> = api
        .device_list()
        .filter(|device| device.vendor_id() == VENDOR_ID)
        .filter(|device| device.usage_page() == USAGE_PAGE_DESKTOP && device.usage() == USAGE_KEYBOARD)
        .map(|device| HidConnector {
            path: device.path().to_owned(),
            place: UsbPlace {
                product: Some(ProductId(device.product_id())),
                ..usb_place(device.path()).unwrap_or_default()
            },
        })
        .collect();
    found.sort_by(|left, right| left.path.cmp(&right.path));
    found.dedup_by(|left, right| left.path == right.path);
    Ok(found)
}

impl HidConnector {
    /// The device node or the system's name of the interface.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(self.path.to_string_lossy().into_owned())
    }

    fn open(&self) -> Result<HidLink, LinkError> {
        let path = self.path();
        let lock = lock(&path)?;
        let api = HidApi::new().map_err(|error| other(&error))?;
        let device = api.open_path(&self.path).map_err(|error| refine(&path, &error))?;
        Ok(HidLink { device, path, _lock: lock })
    }
}

impl Connector for HidConnector {
    fn name(&self) -> String {
        self.path().display().to_string()
    }

    fn open_otp_link(&self) -> Result<Option<Box<dyn OtpLink>>, LinkError> {
        Ok(Some(Box::new(self.open()?)))
    }

    fn open_card_link(&self) -> Result<Option<Box<dyn CardLink>>, LinkError> {
        Ok(None)
    }

    fn ways(&self) -> Ways {
        Ways { hid: true, card: None }
    }

    fn usb(&self) -> UsbPlace {
        self.place
    }
}

struct HidLink {
    device: HidDevice,
    path: PathBuf,
    /// Held so that two of our own processes do not mix their reports.
    _lock: Option<File>,
}

impl OtpLink for HidLink {
    fn write_report(&mut self, report: &Report) -> Result<(), LinkError> {
        let mut buffer = [0; WITH_ID];
        buffer[1..].copy_from_slice(report);
        self.device.send_feature_report(&buffer).map_err(|error| refine(&self.path, &error))
    }

    fn read_report(&mut self) -> Result<Report, LinkError> {
        let mut buffer = [0; WITH_ID];
        let length =
            self.device.get_feature_report(&mut buffer).map_err(|error| refine(&self.path, &error))?;
        match buffer {
            [0, report @ ..] if length == WITH_ID => Ok(report),
            _ => Err(LinkError::Malformed("a feature report of another length")),
        }
    }
}

/// Opens the node once more, because hidapi reports failures as text: this tells "no permission"
/// from "gone", and gives us something to lock.
fn lock(path: &Path) -> Result<Option<File>, LinkError> {
    if !path.starts_with("/dev") {
        return Ok(None);
    }
    let file = File::options().read(true).write(true).open(path).map_err(|error| open_error(path, error))?;
    match file.try_lock() {
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(LinkError::Busy { holder: Some("another Tapkey command".to_owned()) })
        }
        // A system that cannot lock device nodes is no reason to refuse work.
        _ => Ok(Some(file)),
    }
}

fn open_error(path: &Path, error: io::Error) -> LinkError {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            LinkError::PermissionDenied { what: format!("{} (rule file {UDEV_RULES})", path.display()) }
        }
        io::ErrorKind::NotFound => LinkError::Removed,
        _ if error.raw_os_error() == Some(ENODEV) => LinkError::Removed,
        _ => LinkError::Io(error),
    }
}

/// Tells a removal from other failures by looking whether the node is still there.
fn refine(path: &Path, error: &HidError) -> LinkError {
    match error {
        _ if path.starts_with("/dev") && !path.exists() => LinkError::Removed,
        HidError::HidApiError { message } if message.contains("ENODEV") => LinkError::Removed,
        HidError::IoError { error } if error.raw_os_error() == Some(ENODEV) => LinkError::Removed,
        _ => other(error),
    }
}

fn other(error: &HidError) -> LinkError {
    LinkError::Io(io::Error::other(error.to_string()))
}

/// Where the USB device behind `/dev/hidrawN` is plugged in, from Linux's sysfs.
fn usb_place(path: &CStr) -> Option<UsbPlace> {
    let node = Path::new(path.to_str().ok()?).file_name()?;
    let device = Path::new("/sys/class/hidraw").join(node).join("device").canonicalize().ok()?;
    device.ancestors().find_map(super::sysfs::place)
}

const USAGE_PAGE_DESKTOP: u16 = 1;
const USAGE_KEYBOARD: u16 = 6;
/// The report id, which is 0, comes first.
const WITH_ID: usize = 1 + REPORT_SIZE;
const ENODEV: i32 = 19;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listing_needs_neither_keys_nor_permissions() {
        assert!(connectors().is_ok());
    }

    #[test]
    fn errors_of_opening_a_node() {
        let path = Path::new("/dev/hidraw7");
        let denied = open_error(path, io::ErrorKind::PermissionDenied.into());
        let text = denied.to_string();
        assert!(text.contains("/dev/hidraw7") && text.contains(UDEV_RULES), "{text}");
        assert!(matches!(open_error(path, io::ErrorKind::NotFound.into()), LinkError::Removed));
        assert!(matches!(open_error(path, io::Error::from_raw_os_error(ENODEV)), LinkError::Removed));
        assert!(matches!(lock(Path::new("/dev/hidraw-that-is-not-there")), Err(LinkError::Removed)));
    }

    #[test]
    fn a_vanished_node_is_a_removal() {
        let error = HidError::HidApiError { message: "ioctl (GFEATURE): EIO: I/O error".to_owned() };
        assert!(matches!(refine(Path::new("/dev/hidraw-that-is-not-there"), &error), LinkError::Removed));
        assert!(matches!(refine(Path::new("/dev/null"), &error), LinkError::Io(_)));
    }
}
