//! What the Linux kernel tells when a device comes or goes: one datagram for each.
//!
//! A datagram is `ACTION@DEVPATH`, a zero byte, and `NAME=VALUE` pairs, each ended by a zero byte
//! (Linux, `lib/kobject_uevent.c`). udev sends datagrams of another form, which are refused here.

use thiserror::Error;

/// Room for the largest datagram: the kernel's variables take 2048 bytes, and a path comes before.
pub(super) const LARGEST: usize = 8192;
/// The kernel sends 64 variables at most.
const MOST_VARIABLES: usize = 64;
/// Yubico's vendor id as the kernel writes it in `PRODUCT` of USB devices, without leading zeros.
const USB_VENDOR: &str = "1050/";
/// The same as it stands in the names of HID devices, such as `0003:1050:0407.0001`.
const HID_VENDOR: &str = "1050";

/// One device came, went or changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Uevent<'a> {
    /// `add`, `remove`, `change`, `bind`, `unbind` …
    pub(super) action: &'a str,
    /// Where it stands below `/sys`.
    pub(super) path: &'a str,
    /// Such as `hidraw` or `usb`.
    pub(super) subsystem: &'a str,
    /// For devices on USB: vendor, product and version in hexadecimal, separated by slashes.
    pub(super) product: Option<&'a str>,
}

/// A datagram that is none of the kernel's.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub(super) enum BadUevent {
    /// Longer than any that the kernel sends.
    #[error("the message has more than {LARGEST} bytes")]
    TooLong,
    /// It does not begin with an action and a path.
    #[error("the message does not begin with an action and a path")]
    NoHeader,
    /// It holds more variables than the kernel sends.
    #[error("the message has more than {MOST_VARIABLES} variables")]
    TooMany,
    /// It does not say what kind of device it is about.
    #[error("the message does not name a subsystem")]
    NoSubsystem,
    /// The variables contradict the first line.
    #[error("the message contradicts itself")]
    Contradiction,
}

impl<'a> Uevent<'a> {
    /// Reads a datagram.
    pub(super) fn parse(datagram: &'a [u8]) -> Result<Self, BadUevent> {
        if datagram.len() > LARGEST {
            return Err(BadUevent::TooLong);
        }
        let mut lines = datagram.split(|byte| *byte == 0);
        let header = lines.next().and_then(text).ok_or(BadUevent::NoHeader)?;
        let (action, path) = header.split_once('@').ok_or(BadUevent::NoHeader)?;
        let known = action.bytes().all(|letter| letter.is_ascii_lowercase()) && !action.is_empty();
        if !known || !path.starts_with('/') {
            return Err(BadUevent::NoHeader);
        }
        let (mut subsystem, mut product) = (None, None);
        for (count, line) in lines.filter(|line| !line.is_empty()).enumerate() {
            if count == MOST_VARIABLES {
                return Err(BadUevent::TooMany);
            }
            // Values such as names of devices need not be text; those that matter here are.
            let Some((name, value)) = text(line).and_then(|line| line.split_once('=')) else { continue };
            match name {
                "ACTION" if value != action => return Err(BadUevent::Contradiction),
                "DEVPATH" if value != path => return Err(BadUevent::Contradiction),
                "SUBSYSTEM" => subsystem = Some(value),
                "PRODUCT" => product = Some(value),
                _ => {}
            }
        }
        Ok(Self { action, path, subsystem: subsystem.ok_or(BadUevent::NoSubsystem)?, product })
    }

    /// Whether a key may have come or gone: a raw HID node of Yubico's, or one of Yubico's devices
    /// on USB.
    pub(super) fn concerns_keys(&self) -> bool {
        match self.subsystem {
            "hidraw" => hid_vendor(self.path).is_none_or(|vendor| vendor.eq_ignore_ascii_case(HID_VENDOR)),
            "usb" => self.product.is_some_and(|product| product.starts_with(USB_VENDOR)),
            _ => false,
        }
    }
}

/// The vendor in the name of a HID device in a path: `BUS:VENDOR:PRODUCT.NUMBER`.
fn hid_vendor(path: &str) -> Option<&str> {
    path.split('/').rev().find_map(|part| {
        let mut fields = part.split(':');
        match (fields.next(), fields.next(), fields.next(), fields.next()) {
            (Some(bus), Some(vendor), Some(product), None)
                if bus.len() == 4 && vendor.len() == 4 && product.contains('.') =>
            {
                Some(vendor)
            }
            _ => None,
        }
    })
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const KEY: &str = "/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/0003:1050:0407.0004/hidraw/hidraw2";
    const MOUSE: &str =
        "/devices/pci0000:00/0000:00:14.0/usb1/1-3/1-3:1.0/0003:046D:C077.0005/hidraw/hidraw3";

    fn hidraw(action: &str, path: &str) -> Vec<u8> {
        format!(
            "{action}@{path}\0ACTION={action}\0DEVPATH={path}\0SUBSYSTEM=hidraw\0MAJOR=244\0MINOR=2\0DEVNAME=hidraw2\0SEQNUM=4711\0"
        )
        .into_bytes()
    }

    fn usb(action: &str, product: &str) -> Vec<u8> {
        let path = "/devices/pci0000:00/0000:00:14.0/usb1/1-2";
        format!(
            "{action}@{path}\0ACTION={action}\0DEVPATH={path}\0SUBSYSTEM=usb\0MAJOR=189\0MINOR=5\0DEVNAME=bus/usb/001/006\0\
             DEVTYPE=usb_device\0PRODUCT={product}\0TYPE=0/0/0\0BUSNUM=001\0DEVNUM=006\0SEQNUM=4702\0"
        )
        .into_bytes()
    }

    #[test]
    fn a_key_comes_and_goes() {
        for action in ["add", "remove"] {
            let datagram = hidraw(action, KEY);
            let event = Uevent::parse(&datagram).unwrap();
            assert_eq!(event, Uevent { action, path: KEY, subsystem: "hidraw", product: None });
            assert!(event.concerns_keys());
            let datagram = usb(action, "1050/407/574");
            let event = Uevent::parse(&datagram).unwrap();
            assert_eq!((event.subsystem, event.product), ("usb", Some("1050/407/574")));
            assert!(event.concerns_keys());
        }
    }

    #[test]
    fn other_devices_concern_nobody() {
        let battery = "/devices/LNXSYSTM:00/LNXSYBUS:00/PNP0C0A:00/power_supply/BAT0";
        let change = format!(
            "change@{battery}\0ACTION=change\0DEVPATH={battery}\0SUBSYSTEM=power_supply\0POWER_SUPPLY_NAME=BAT0\0SEQNUM=9\0"
        );
        let link = "add@/devices/virtual/net/veth1\0ACTION=add\0DEVPATH=/devices/virtual/net/veth1\0SUBSYSTEM=net\0\
                    INTERFACE=veth1\0IFINDEX=7\0SEQNUM=10\0";
        for datagram in [
            hidraw("add", MOUSE),
            usb("add", "46d/c077/7200"),
            usb("add", "10501/7/1"),
            change.into(),
            link.into(),
        ] {
            let event = Uevent::parse(&datagram).unwrap();
            assert!(!event.concerns_keys(), "{event:?}");
        }
        // A raw HID node that does not tell its maker is looked at.
        assert!(Uevent::parse(&hidraw("add", "/devices/virtual/hidraw/hidraw9")).unwrap().concerns_keys());
    }

    #[test]
    fn a_kernel_without_variables_in_the_last_place_is_understood() {
        let mut datagram = hidraw("add", KEY);
        datagram.pop();
        assert!(Uevent::parse(&datagram).is_ok());
        datagram.extend_from_slice(b"\0HID_NAME=\xFF\xFE\0\0");
        assert!(Uevent::parse(&datagram).is_ok());
    }

    #[test]
    fn what_is_none_is_refused() {
        let many = format!("add@/x\0{}SUBSYSTEM=usb\0", "A=1\0".repeat(MOST_VARIABLES));
        let cases: [(&[u8], BadUevent); 9] = [
            (b"", BadUevent::NoHeader),
            (b"libudev\0\xFE\xED\xCA\xFE(\0\0\0", BadUevent::NoHeader),
            (b"add@relative\0SUBSYSTEM=usb\0", BadUevent::NoHeader),
            (b"@/x\0SUBSYSTEM=usb\0", BadUevent::NoHeader),
            (b"add@/x\0ACTION=add\0", BadUevent::NoSubsystem),
            (b"add@/x\0ACTION=remove\0SUBSYSTEM=usb\0", BadUevent::Contradiction),
            (b"add@/x\0DEVPATH=/y\0SUBSYSTEM=usb\0", BadUevent::Contradiction),
            (many.as_bytes(), BadUevent::TooMany),
            (&[b'a'; LARGEST + 1], BadUevent::TooLong),
        ];
        for (datagram, error) in cases {
            assert_eq!(Uevent::parse(datagram), Err(error));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
            if let Ok(event) = Uevent::parse(&bytes) {
                event.concerns_keys();
            }
        }

        #[test]
        fn near_misses_are_read_or_refused(at in 0..200_usize, byte: u8, cut in 0..300_usize) {
            let mut datagram = hidraw("add", KEY);
            if let Some(place) = datagram.get_mut(at) {
                *place = byte;
            }
            datagram.truncate(cut);
            if let Ok(event) = Uevent::parse(&datagram) {
                event.concerns_keys();
            }
        }
    }
}
