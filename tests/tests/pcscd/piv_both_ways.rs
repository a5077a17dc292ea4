//! What Tapkey makes in the PIV application ykman shows the same, and the other way round.

use std::path::PathBuf;

use serde_json::Value;
use tapkey_driver::{Control, Device};
use tapkey_tests::pcscd::Pcscd;
use tempfile::TempDir;

use super::{SERIAL, key_5};

/// One key, two programs.
struct Both {
    pcscd: Pcscd,
    folder: TempDir,
}

impl Both {
    fn new() -> Self {
        let both = Self { pcscd: Pcscd::start(vec![key_5()]).unwrap(), folder: tempfile::tempdir().unwrap() };
        for (name, text) in
            [("pin", "246810"), ("old-pin", "123456"), ("puk", "12345678"), ("new-puk", "13579135")]
        {
            std::fs::write(both.path(name), text).unwrap();
        }
        both
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn source(&self, name: &str) -> String {
        format!("file:{}", self.text(name))
    }

    fn tapkey(&self, arguments: &[&str]) -> String {
        let serial = SERIAL.to_string();
        let arguments = [&["--serial", &serial, "piv"], arguments].concat();
        self.pcscd.tapkey(&arguments).unwrap().succeeds().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.tapkey(&[&["--json"], arguments].concat())).unwrap()
    }

    fn ykman(&self, arguments: &[&str]) -> String {
        self.pcscd.ykman(0, &[&["piv"], arguments].concat()).unwrap().succeeds().unwrap()
    }
}

#[test]
fn what_tapkey_makes_ykman_shows() {
    let both = Both::new();
    let (pin, old, puk, new_puk) =
        (both.source("pin"), both.source("old-pin"), both.source("puk"), both.source("new-puk"));
    both.tapkey(&["access", "change-pin", "-P", &old, "-n", &pin]);
    both.tapkey(&["access", "change-puk", "-p", &puk, "-n", &new_puk]);
    both.tapkey(&["access", "change-management-key", "--protect", "-P", &pin]);
    both.tapkey(&["objects", "generate", "chuid", "-P", &pin]);
    let public =
        both.tapkey(&["keys", "generate", "9a", "-a", "eccp384", "--touch-policy", "cached", "-P", &pin]);
    both.tapkey(&["keys", "generate", "9c", "-a", "rsa2048", "-P", &pin]);
    both.tapkey(&["certificates", "generate", "9c", "-s", "CN=Ada Lovelace", "-P", &pin]);

    let info = both.ykman(&["info"]);
    for part in [
        "PIV version:",
        "5.7.4",
        "AES192",
        "Management key is stored on the YubiKey, protected by PIN",
        "Ada Lovelace",
        "RSA2048",
        "ECCP384",
    ] {
        assert!(info.contains(part), "{part} in\n{info}");
    }
    assert!(!info.contains("Using default PIN") && !info.contains("Using default PUK"), "{info}");
    let chuid = both.json(&["objects", "export", "chuid"])["value"].as_str().unwrap().to_owned();
    assert!(info.replace(' ', "").contains(&chuid), "{chuid} in\n{info}");
    assert_eq!(both.ykman(&["keys", "export", "9a", "-"]), public);
    let key = both.ykman(&["keys", "info", "9a"]);
    for part in ["ECCP384", "GENERATED", "ONCE", "CACHED"] {
        assert!(key.contains(part), "{part} in\n{key}");
    }
    assert_eq!(
        both.ykman(&["certificates", "export", "9c", "-"]),
        both.tapkey(&["certificates", "export", "9c"])
    );
    // The PIN is enough for ykman too: it finds the management key where we put it.
    both.ykman(&["keys", "generate", "-P", "246810", "82", &both.text("retired.pem")]);
    let retired = both.tapkey(&["keys", "export", "82"]);
    assert_eq!(retired, std::fs::read_to_string(both.path("retired.pem")).unwrap());
    both.tapkey(&["keys", "move", "82", "83", "-P", &pin]);
    assert!(both.ykman(&["keys", "info", "83"]).contains("GENERATED"));
    both.tapkey(&["reset", "--force"]);
    assert!(both.ykman(&["info"]).contains("Using default PIN"));
}

#[test]
fn what_ykman_makes_tapkey_shows() {
    let both = Both::new();
    let pin = both.source("pin");
    both.ykman(&["access", "change-pin", "-P", "123456", "-n", "246810"]);
    both.ykman(&["access", "change-puk", "-p", "12345678", "-n", "13579135"]);
    both.ykman(&[
        "access",
        "change-management-key",
        "--protect",
        "-a",
        "AES256",
        "-P",
        "246810",
        "-m",
        FACTORY,
        "-f",
    ]);
    both.ykman(&[
        "keys",
        "generate",
        "-a",
        "ECCP256",
        "--pin-policy",
        "ALWAYS",
        "-P",
        "246810",
        "9a",
        &both.text("9a.pem"),
    ]);
    both.ykman(&[
        "certificates",
        "generate",
        "9a",
        &both.text("9a.pem"),
        "-s",
        "CN=Grace Hopper",
        "-P",
        "246810",
    ]);
    both.ykman(&["objects", "generate", "CCC", "-P", "246810"]);

    let info = both.json(&["info"]);
    assert_eq!((&info["pin"]["default"], &info["puk"]["default"]), (&false.into(), &false.into()));
    let management = &info["management_key"];
    assert_eq!((&management["algorithm"], &management["protected_by_pin"]), (&"AES256".into(), &true.into()));
    assert!(info["ccc"].is_string());
    let slot = info["slots"].as_array().unwrap().iter().find(|slot| slot["slot"] == "9a").unwrap();
    assert_eq!(
        (&slot["key"]["algorithm"], &slot["key"]["pin_policy"]),
        (&"ECCP256".into(), &"always".into())
    );
    assert_eq!(slot["certificate"]["subject"], "CN=Grace Hopper");
    assert_eq!(both.tapkey(&["keys", "export", "9a"]), std::fs::read_to_string(both.path("9a.pem")).unwrap());
    assert_eq!(
        both.tapkey(&["certificates", "export", "9a"]),
        both.ykman(&["certificates", "export", "9a", "-"])
    );
    // The PIN is enough for us too: we find the management key where ykman put it.
    both.tapkey(&["objects", "generate", "chuid", "-P", &pin]);
    both.tapkey(&["access", "change-management-key", "--protect", "-a", "aes128", "-P", &pin]);
    both.ykman(&["objects", "generate", "CHUID", "-P", "246810"]);
    assert_eq!(both.json(&["info"])["management_key"]["algorithm"], "AES128");
    // A packed certificate of ours is read there.
    std::fs::write(both.path("c.pem"), both.tapkey(&["certificates", "export", "9a"])).unwrap();
    both.tapkey(&["certificates", "import", "9d", &both.text("c.pem"), "--compress", "-P", &pin]);
    assert_eq!(
        both.ykman(&["certificates", "export", "9d", "-"]),
        both.tapkey(&["certificates", "export", "9a"])
    );
    both.ykman(&["certificates", "import", "--compress", "9e", &both.text("c.pem"), "-P", "246810"]);
    assert_eq!(
        both.tapkey(&["certificates", "export", "9e"]),
        both.tapkey(&["certificates", "export", "9a"])
    );
}

/// Programs that build on the `yubikey` crate get the key that our driver has chosen. The crate finds
/// pcscd by the environment, so the work is done by this test in a process of its own.
#[test]
fn the_yubikey_crate_opens_the_chosen_key() {
    if std::env::var_os(CHILD).is_some() {
        return open_with_the_crate();
    }
    let mut other = super::key(tapkey_emulator::Profile::YUBIKEY_5_4_3, SERIAL + 1);
    other.power(tapkey_emulator::Power::Usb).unwrap();
    let pcscd = Pcscd::start(vec![other, key_5()]).unwrap();
    let serial = (SERIAL).to_string();
    pcscd.tapkey(&["--serial", &serial, "piv", "keys", "generate", "9a"]).unwrap().succeeds().unwrap();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "piv_both_ways::the_yubikey_crate_opens_the_chosen_key", "--nocapture"])
        .env(CHILD, "1")
        .env(tapkey_emulator::port::pcscd::PrivatePcscd::VARIABLE, pcscd.socket())
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn open_with_the_crate() {
    let control = Control::new();
    let listing =
        tapkey_driver::discover::list(&tapkey_driver::discover::Options::default(), &control).unwrap();
    let device: Device = listing.devices.into_iter().find(|device| device.serial() == Some(SERIAL)).unwrap();
    let mut theirs = device.open_yubikey().unwrap();
    assert_eq!(u32::from(theirs.serial()), SERIAL);
    theirs.verify_pin(b"123456").unwrap();
    let keys = yubikey::piv::metadata(&mut theirs, yubikey::piv::SlotId::Authentication).unwrap();
    assert_eq!(keys.policy, Some((yubikey::PinPolicy::Once, yubikey::TouchPolicy::Never)));
    drop(theirs);
    // And it left the key as it found it: our session works again, and finds the same key.
    let mut ours = device.open_piv(&control).unwrap();
    assert!(ours.metadata(tapkey_protocol::piv::Slot::AUTHENTICATION, &control).unwrap().is_some());
}

const CHILD: &str = "TAPKEY_TEST_CHILD";
const FACTORY: &str = "010203040506070801020304050607080102030405060708";
