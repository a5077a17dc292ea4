//! Keys that the kernel sees on USB, and whether this user may speak to them.

use std::io;

use tapkey_protocol::management::{Interfaces, ProductId};

use super::{Finding, Machine};

/// A key on USB, as the kernel knows it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct UsbKey {
    /// The port, such as `1-4.2`.
    pub(super) port: String,
    pub(super) product: ProductId,
    /// What it calls itself.
    pub(super) name: String,
    /// The node of the whole device.
    pub(super) node: String,
    /// Nodes of its keyboard interface, such as `hidraw3`.
    hidraw: Vec<String>,
}

impl UsbKey {
    /// Whether one of these interfaces is switched on, by its product id.
    pub(super) fn has(&self, interfaces: Interfaces) -> bool {
        self.product.interfaces().is_some_and(|there| there.contains(interfaces))
    }
}

/// All checks of USB.
pub(super) fn all(machine: &Machine) -> Vec<Finding> {
    let keys = keys(machine);
    let mut findings = vec![on_usb(keys.as_deref())];
    findings.push(otp_interface(machine, &keys.unwrap_or_default()));
    findings
}

/// The keys that the kernel sees; `None` where it has no USB.
pub(super) fn keys(machine: &Machine) -> Option<Vec<UsbKey>> {
    let ports = machine.names(DEVICES)?;
    Some(ports.iter().filter(|port| !port.contains(':')).filter_map(|port| key(machine, port)).collect())
}

fn key(machine: &Machine, port: &str) -> Option<UsbKey> {
    let read = |name: &str| machine.read(format!("{DEVICES}/{port}/{name}"));
    if read("idVendor")? != YUBICO {
        return None;
    }
    let number = |name: &str| read(name)?.parse::<u16>().ok();
    let product = ProductId(u16::from_str_radix(&read("idProduct")?, 16).ok()?);
    Some(UsbKey {
        port: port.to_owned(),
        product,
        name: read("product").unwrap_or_else(|| "a key".to_owned()),
        node: format!("/dev/bus/usb/{:03}/{:03}", number("busnum")?, number("devnum")?),
        hidraw: keyboard_nodes(machine, port),
    })
}

/// The hidraw nodes of the interface that is a keyboard.
fn keyboard_nodes(machine: &Machine, port: &str) -> Vec<String> {
    let device = format!("{DEVICES}/{port}");
    let names = machine.names(&device).unwrap_or_default();
    let interfaces = names.iter().filter(|name| name.starts_with(&format!("{port}:")));
    let keyboards = interfaces.map(|name| format!("{device}/{name}")).filter(|interface| {
        let is =
            |name: &str, value: &str| machine.read(format!("{interface}/{name}")).as_deref() == Some(value);
        is("bInterfaceClass", "03") && is("bInterfaceProtocol", "01")
    });
    keyboards
        .flat_map(|interface| {
            let hids = machine.names(&interface).unwrap_or_default();
            hids.into_iter().map(move |hid| format!("{interface}/{hid}/hidraw"))
        })
        .flat_map(|folder| machine.names(folder).unwrap_or_default())
        .collect()
}

fn on_usb(keys: Option<&[UsbKey]>) -> Finding {
    const CHECK: &str = "key on USB";
    match keys {
        None => Finding::skipped(
            CHECK,
            "this system has no USB, as in most containers; keys on NFC readers may work",
        ),
        Some([]) => Finding::skipped(CHECK, "the kernel sees none"),
        Some(keys) => {
            let names: Vec<String> =
                keys.iter().map(|key| format!("{} in USB port {}", key.name, key.port)).collect();
            Finding::ok(CHECK, names.join("; "))
        }
    }
}

/// Whether the keyboard interface, over which slots are programmed and asked, can be opened.
fn otp_interface(machine: &Machine, keys: &[UsbKey]) -> Finding {
    const CHECK: &str = "OTP interface";
    let meant: Vec<&UsbKey> = keys.iter().filter(|key| key.has(Interfaces::OTP)).collect();
    if meant.is_empty() {
        return Finding::skipped(CHECK, "no key with one is plugged in");
    }
    let mut nodes = Vec::new();
    for key in meant {
        if key.hidraw.is_empty() {
            return Finding::problem(
                CHECK,
                format!("the kernel has made no hidraw node for {} in USB port {}", key.name, key.port),
                "sudo modprobe -a usbhid hid-generic    (a kernel without hidraw needs CONFIG_HIDRAW)",
            );
        }
        for name in &key.hidraw {
            let node = format!("/dev/{name}");
            if let Err(error) = machine.open(&node) {
                return unusable(machine, &node, &error);
            }
            nodes.push(node);
        }
    }
    Finding::ok(CHECK, format!("{} can be opened", nodes.join(", ")))
}

fn unusable(machine: &Machine, node: &str, error: &io::Error) -> Finding {
    const CHECK: &str = "OTP interface";
    match error.kind() {
        io::ErrorKind::NotFound => Finding::problem(
            CHECK,
            format!("the kernel has {node}, but there is no such file here"),
            format!("in a container, hand it in: --device {node}; elsewhere start udev"),
        ),
        io::ErrorKind::PermissionDenied => match rules(machine) {
            None => Finding::problem(
                CHECK,
                format!("you may not open {node}, and no udev rule lets you"),
                INSTALL,
            ),
            Some(file) => Finding::problem(
                CHECK,
                format!("you may not open {node}, although the udev rule {file} is there"),
                "unplug the key and plug it in again; the rule lets in whoever sits at this computer, so over ssh add a rule \
                 with a group of yours: GROUP=\"plugdev\", MODE=\"0660\"",
            ),
        },
        _ => Finding::problem(
            CHECK,
            format!("{node} cannot be opened: {error}"),
            "unplug the key and plug it in again",
        ),
    }
}

/// The rule file that lets people open keys.
fn rules(machine: &Machine) -> Option<String> {
    let folders = ["/etc/udev/rules.d", "/run/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d"];
    let mut seen = Vec::new();
    for folder in folders {
        for name in machine.names(folder).unwrap_or_default() {
            // A file hides those of the same name in later folders; one that leads nowhere switches them off.
            if seen.contains(&name) {
                continue;
            }
            let file = format!("{folder}/{name}");
            if machine.read(&file).is_some_and(|text| text.lines().any(is_for_keys)) {
                return Some(file);
            }
            seen.push(name);
        }
    }
    None
}

fn is_for_keys(line: &str) -> bool {
    let line = line.trim_start();
    !line.starts_with('#') && line.contains("hidraw") && line.contains(YUBICO) && lets_in(line)
}

fn lets_in(rule: &str) -> bool {
    ["uaccess", "GROUP", "MODE"].iter().any(|word| rule.contains(word))
}

const DEVICES: &str = "/sys/bus/usb/devices";
const YUBICO: &str = "1050";
const INSTALL: &str = "tapkey doctor --udev-rules | sudo tee /etc/udev/rules.d/70-tapkey.rules\n\
                       sudo udevadm control --reload && sudo udevadm trigger --subsystem-match=hidraw";

#[cfg(test)]
pub(super) mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::commands::doctor::Status;

    fn write(root: &Path, name: &str, text: &str) {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }

    /// A key as Linux shows it, in port 1-4.2, with or without a node of its keyboard interface.
    pub(in crate::commands::doctor) fn plug(root: &Path, product: &str, hidraw: bool) {
        let device = "sys/bus/usb/devices/1-4.2";
        for (name, text) in [
            ("idVendor", "1050"),
            ("idProduct", product),
            ("product", "YubiKey OTP+FIDO+CCID"),
            ("busnum", "1"),
            ("devnum", "17"),
            ("1-4.2:1.0/bInterfaceClass", "03"),
            ("1-4.2:1.0/bInterfaceProtocol", "01"),
            ("1-4.2:1.1/bInterfaceClass", "03"),
            ("1-4.2:1.1/bInterfaceProtocol", "00"),
            ("1-4.2:1.1/0003:1050:0407.0002/hidraw/hidraw4/dev", "240:4"),
        ] {
            write(root, &format!("{device}/{name}"), text);
        }
        write(root, "sys/bus/usb/devices/1-3/idVendor", "046d");
        write(root, "sys/bus/usb/devices/1-3/idProduct", "c31c");
        if hidraw {
            write(root, &format!("{device}/1-4.2:1.0/0003:1050:0407.0001/hidraw/hidraw3/dev"), "240:3");
        }
    }

    fn findings(root: &Path, open: fn(&Path) -> io::Result<()>) -> [Finding; 2] {
        all(&Machine::below(root, open)).try_into().unwrap()
    }

    fn denied(_: &Path) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    #[test]
    fn without_usb_or_without_a_key_nothing_is_wrong() {
        let root = tempfile::tempdir().unwrap();
        let [usb, otp] = findings(root.path(), denied);
        assert!(usb.detail.contains("no USB"), "{usb:?}");
        assert_eq!([usb.status, otp.status], [Status::NotApplicable; 2]);
        fs::create_dir_all(root.path().join("sys/bus/usb/devices")).unwrap();
        let [usb, _] = findings(root.path(), denied);
        assert_eq!((usb.status, usb.detail.as_str()), (Status::NotApplicable, "the kernel sees none"));
    }

    #[test]
    fn a_key_that_may_be_opened() {
        let root = tempfile::tempdir().unwrap();
        plug(root.path(), "0407", true);
        let found = keys(&Machine::below(root.path(), denied)).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].node.as_str(), found[0].hidraw.as_slice()),
            ("/dev/bus/usb/001/017", &["hidraw3".to_owned()][..])
        );
        let [usb, otp] = findings(root.path(), |_| Ok(()));
        assert_eq!([usb.status, otp.status], [Status::Ok; 2]);
        assert!(usb.detail.contains("USB port 1-4.2"), "{usb:?}");
        assert_eq!(otp.detail, "/dev/hidraw3 can be opened");
    }

    #[test]
    fn a_node_without_permission_names_the_node_and_the_rule() {
        let root = tempfile::tempdir().unwrap();
        plug(root.path(), "0407", true);
        let [_, otp] = findings(root.path(), denied);
        assert_eq!(otp.status, Status::Problem);
        assert!(otp.detail.contains("/dev/hidraw3") && otp.detail.contains("no udev rule"), "{otp:?}");
        assert!(otp.fix.as_ref().unwrap().contains("/etc/udev/rules.d/70-tapkey.rules"), "{otp:?}");

        // A rule that is commented out, or only marks the device, does not count.
        write(
            root.path(),
            "etc/udev/rules.d/10-x.rules",
            "# SUBSYSTEM==\"hidraw\", ATTRS{idVendor}==\"1050\", MODE=\"0666\"",
        );
        assert!(findings(root.path(), denied)[1].detail.contains("no udev rule"));
        write(root.path(), "usr/lib/udev/rules.d/60-x.rules", super::super::UDEV_RULES);
        write(root.path(), "etc/udev/rules.d/60-x.rules", "");
        assert!(findings(root.path(), denied)[1].detail.contains("no udev rule"), "it is switched off");
        write(root.path(), "usr/lib/udev/rules.d/70-tapkey.rules", super::super::UDEV_RULES);
        let [_, otp] = findings(root.path(), denied);
        assert!(otp.detail.contains("/usr/lib/udev/rules.d/70-tapkey.rules"), "{otp:?}");
        assert!(otp.fix.unwrap().contains("ssh"));
    }

    #[test]
    fn nodes_that_are_missing() {
        let root = tempfile::tempdir().unwrap();
        plug(root.path(), "0407", false);
        let [_, otp] = findings(root.path(), denied);
        assert!(otp.fix.unwrap().contains("modprobe"), "{}", otp.detail);
        plug(root.path(), "0407", true);
        let [_, otp] = findings(root.path(), |_| Err(io::ErrorKind::NotFound.into()));
        assert!(otp.fix.unwrap().contains("--device /dev/hidraw3"));
        let [_, otp] = findings(root.path(), |_| Err(io::Error::other("odd")));
        assert!(otp.detail.contains("odd"));
    }

    #[test]
    fn a_key_without_the_interface_needs_no_node() {
        let root = tempfile::tempdir().unwrap();
        plug(root.path(), "0406", false);
        let [usb, otp] = findings(root.path(), denied);
        assert_eq!([usb.status, otp.status], [Status::Ok, Status::NotApplicable]);
    }
}
