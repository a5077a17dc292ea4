//! Where USB devices are plugged in, as Linux's sysfs tells it. Elsewhere there is nothing to read.

use std::fs;
use std::path::Path;

use crate::connector::UsbPlace;

/// The place of the USB device with this folder, or nothing when it is no folder of a USB device.
pub(super) fn place(folder: &Path) -> Option<UsbPlace> {
    let number =
        |name: &str| -> Option<u32> { fs::read_to_string(folder.join(name)).ok()?.trim().parse().ok() };
    let address = (number("busnum")?, number("devnum")?);
    let port = folder.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
    Some(UsbPlace { product: None, address: Some(address), port })
}

/// The place of the USB device with this bus and device number.
#[cfg(feature = "pcsc")]
pub(super) fn find(address: (u32, u32)) -> Option<UsbPlace> {
    let devices = fs::read_dir("/sys/bus/usb/devices").ok()?;
    devices.flatten().filter_map(|entry| place(&entry.path())).find(|place| place.address == Some(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_sysfs() {
        let root = std::env::temp_dir().join(format!("tapkey-sysfs-{}", std::process::id()));
        let folder = root.join("3-1.4");
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(place(&folder), None);
        fs::write(folder.join("busnum"), "3\n").unwrap();
        fs::write(folder.join("devnum"), "17\n").unwrap();
        let found = place(&folder).unwrap();
        assert_eq!((found.address, found.port), (Some((3, 17)), "3-1.4".parse().ok()));
        fs::remove_dir_all(root).unwrap();
    }
}
