//! Yubico's ykman finds keys, describes them, and switches their applications on and off.

use tapkey_emulator::Profile;
use tapkey_tests::pcscd::Pcscd;

use super::{SERIAL, key, key_5};

#[test]
fn list_and_info() {
    let pcscd = Pcscd::start(vec![key_5()]).unwrap();
    // Without a serial number: there may be real keys on the machine as well.
    let list = pcscd.ykman_list(&[]).unwrap();
    assert!(list.contains("YubiKey 5 NFC (5.7.4) [OTP+FIDO+CCID] Serial: 4026531841\n"), "{list}");
    let serials = pcscd.ykman_list(&["--serials"]).unwrap();
    assert!(serials.lines().any(|line| line == "4026531841"), "{serials}");
    let info = pcscd.ykman(0, &["info"]).unwrap().succeeds().unwrap();
    for line in [
        "Device type: YubiKey 5 NFC",
        "Serial number: 4026531841",
        "Firmware version: 5.7.4",
        "Form factor: Keychain (USB-A)",
        "Enabled USB interfaces: OTP, FIDO, CCID",
    ] {
        assert!(info.contains(line), "{line} is not in {info}");
    }
    let slots = pcscd.ykman(0, &["otp", "info"]).unwrap().succeeds().unwrap();
    assert!(slots.contains("Slot 1: empty") && slots.contains("Slot 2: empty"), "{slots}");
}

#[test]
fn older_keys() {
    let keys = vec![
        key(Profile::YUBIKEY_5_4_3, SERIAL),
        key(Profile::YUBIKEY_5_2_7, SERIAL + 1),
        key(Profile::YUBIKEY_4_3_5, SERIAL + 2),
    ];
    let pcscd = Pcscd::start(keys).unwrap();
    for (number, (name, firmware)) in
        [("YubiKey 5 NFC", "5.4.3"), ("YubiKey 5 NFC", "5.2.7"), ("YubiKey 4", "4.3.5")].iter().enumerate()
    {
        let info = pcscd.ykman(number, &["info"]).unwrap().succeeds().unwrap();
        assert!(info.contains(&format!("Device type: {name}\n")), "{info}");
        assert!(info.contains(&format!("Firmware version: {firmware}\n")), "{info}");
    }
}

#[test]
fn applications_are_switched_off_and_on() {
    let pcscd = Pcscd::start(vec![key_5()]).unwrap();
    pcscd.ykman(0, &["config", "usb", "--disable", "PIV", "-f"]).unwrap().succeeds().unwrap();
    let usb = pcscd.ykman(0, &["config", "usb", "--list"]).unwrap().succeeds().unwrap();
    assert!(!usb.contains("PIV") && usb.contains("OATH"), "{usb}");
    pcscd.ykman(0, &["config", "nfc", "--disable", "OATH", "-f"]).unwrap().succeeds().unwrap();
    let nfc = pcscd.ykman(0, &["config", "nfc", "--list"]).unwrap().succeeds().unwrap();
    assert!(!nfc.contains("OATH") && nfc.contains("PIV"), "{nfc}");
    pcscd.ykman(0, &["config", "usb", "--enable-all", "-f"]).unwrap().succeeds().unwrap();
    let usb = pcscd.ykman(0, &["config", "usb", "--list"]).unwrap().succeeds().unwrap();
    assert!(usb.contains("PIV"), "{usb}");
}

#[test]
fn a_lock_code_guards_the_configuration() {
    let pcscd = Pcscd::start(vec![key_5()]).unwrap();
    let (code, wrong) = ("01020304050607080102030405060708", "01020304050607080102030405060709");
    pcscd.ykman(0, &["config", "set-lock-code", "-n", code, "-f"]).unwrap().succeeds().unwrap();
    let info = pcscd.ykman(0, &["info"]).unwrap().succeeds().unwrap();
    assert!(info.contains("Configured capabilities are protected by a lock code"), "{info}");
    let disable = ["config", "usb", "--disable", "HSMAUTH", "-f"];
    pcscd.ykman(0, &[&disable[..], &["-L", wrong]].concat()).unwrap().fails().unwrap();
    pcscd.ykman(0, &[&disable[..], &["-L", code]].concat()).unwrap().succeeds().unwrap();
    pcscd.ykman(0, &["config", "set-lock-code", "-l", wrong, "--clear", "-f"]).unwrap().fails().unwrap();
    pcscd.ykman(0, &["config", "set-lock-code", "-l", code, "--clear", "-f"]).unwrap().succeeds().unwrap();
    pcscd.ykman(0, &["config", "usb", "--enable-all", "-f"]).unwrap().succeeds().unwrap();
}
