//! Yubico's next ykman, written in Rust, on the emulated key. `scripts/test` builds it.

use std::path::PathBuf;

use tapkey_protocol::{
    otp::{AesKey, Otp},
    slot::Slot,
};
use tapkey_tests::{
    parts::root,
    pcscd::{Pcscd, Run},
};

use super::piv::{Host, MANAGEMENT};
use super::{key_5, typed};

const AES: [u8; 16] = *b"0123456789abcdef";
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn program() -> PathBuf {
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |path| root().join(path));
    let program = target.join("third-party/bin/ykman");
    assert!(program.exists(), "Yubico's next ykman is missing: run scripts/ykman6, which builds it");
    program
}

fn run(pcscd: &Pcscd, arguments: &[&str]) -> Run {
    let serial = pcscd.key(0).unwrap().with(|key| key.serial()).to_string();
    pcscd.run(&program(), &[&["--device", &serial], arguments].concat()).unwrap()
}

fn does(pcscd: &Pcscd, arguments: &[&str]) -> String {
    run(pcscd, arguments).succeeds().unwrap()
}

#[test]
fn slots() {
    let pcscd = Pcscd::start(vec![key_5()]).unwrap();
    let key = pcscd.key(0).unwrap();
    let list = pcscd.run(&program(), &["list"]).unwrap().succeeds().unwrap();
    assert!(list.contains("Serial: 4026531841"), "{list}");
    let info = does(&pcscd, &["info"]);
    assert!(info.contains("YubiKey 5 NFC") && info.contains("5.7.4"), "{info}");
    let aes = data_encoding::HEXLOWER.encode(&AES);
    let private = ["-p", "010203040506", "-k", &aes, "-f"];
    does(&pcscd, &[&["otp", "yubiotp", "1", "-P", "vvcccccccccb"], &private[..]].concat());
    let otp: Otp = typed(key, Slot::One).trim().parse().unwrap();
    assert_eq!(otp.open(&AesKey::new(AES)).unwrap().private_id.expose(), &[1, 2, 3, 4, 5, 6]);
    does(&pcscd, &["otp", "static", "2", "vvcc", "-f"]);
    assert_eq!(typed(key, Slot::Two).trim_end(), "vvcc");

    let code = "0a0b0c0d0e0f";
    does(&pcscd, &["otp", "settings", "2", "--new-access-code", code, "-f"]);
    run(&pcscd, &["otp", "static", "2", "vvvv", "-f"]).fails().unwrap();
    assert_eq!(typed(key, Slot::Two).trim_end(), "vvcc");
    // This alpha sends the code with `delete` and `settings` alone, not where a slot is written anew.
    run(&pcscd, &["otp", "delete", "2", "-A", "0a0b0c0d0e00", "-f"]).fails().unwrap();
    does(&pcscd, &["otp", "delete", "2", "-A", code, "-f"]);
    does(&pcscd, &["otp", "swap", "-f"]);
    let slots = does(&pcscd, &["otp", "info"]);
    assert!(slots.contains("Slot 1: empty") && slots.contains("Slot 2: programmed"), "{slots}");
}

#[test]
fn accounts_and_configuration() {
    let pcscd = Pcscd::start(vec![key_5()]).unwrap();
    does(&pcscd, &["oath", "accounts", "add", "one", SECRET, "-o", "hotp"]);
    does(&pcscd, &["oath", "accounts", "add", "two", SECRET, "-i", "Shop"]);
    assert_eq!(does(&pcscd, &["oath", "accounts", "code", "-s", "one"]).trim(), "755224");
    does(&pcscd, &["oath", "accounts", "rename", "Shop:two", "Shop:three", "-f"]);
    does(&pcscd, &["oath", "accounts", "delete", "one", "-f"]);
    assert_eq!(does(&pcscd, &["oath", "accounts", "list"]).trim(), "Shop:three");
    does(&pcscd, &["oath", "reset", "-f"]);

    let lock = "01020304050607080102030405060708";
    does(&pcscd, &["config", "set-lock-code", "-n", lock, "-f"]);
    run(&pcscd, &["config", "nfc", "--disable", "oath", "-f"]).fails().unwrap();
    does(&pcscd, &["config", "nfc", "--disable", "oath", "-L", lock, "-f"]);
    let info = does(&pcscd, &["info"]);
    let row = info.lines().find(|line| line.starts_with("OATH")).unwrap();
    assert!(row.contains("Enabled") && row.contains("Disabled"), "{info}");
}

/// `ykman piv …` on the key of a test of the PIV application.
fn piv(host: &Host, arguments: &[&str]) -> Run {
    let words = host.words(arguments);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    run(&host.pcscd, &[&["piv"], &words[..]].concat())
}

#[test]
fn keys_and_certificates() {
    let host = Host::new();
    let does = |arguments: &[&str]| piv(&host, arguments).succeeds().unwrap();
    // This alpha asks a terminal for the PIN where the management key is given alone.
    let opened = ["-m", MANAGEMENT, "-P", "123456"];
    host.write("data", "what is signed");
    for (slot, algorithm) in [("9a", "eccp256"), ("9c", "rsa2048"), ("82", "ed25519"), ("83", "x25519")] {
        does(&[&["keys", "generate"][..], &opened, &["-a", algorithm, slot, "@public.pem"]].concat());
        let info = does(&["keys", "info", slot]).to_lowercase();
        assert!(info.contains(algorithm) && info.contains("generated"), "{info}");
        does(&["keys", "attest", slot, "@attested.pem"]);
        does(&["certificates", "export", "f9", "@f9.pem"]);
        host.check_attestation("@attested.pem", "@f9.pem");
        if ["9a", "9c"].contains(&slot) {
            does(&["keys", "sign", "-P", "123456", slot, "@data", "@signature"]);
            host.check_signature("@public.pem", "@signature", "@data");
            does(
                &[&["certificates", "generate"][..], &opened, &["-s", "CN=six", slot, "@public.pem"]]
                    .concat(),
            );
            does(&["certificates", "export", slot, "@certificate.pem"]);
            let check = ["verify", "-check_ss_sig", "-CAfile", "@certificate.pem", "@certificate.pem"];
            assert!(host.openssl(&check).contains("OK"));
        }
    }
    // Both of Yubico's programs see the same.
    assert!(host.ykman(&["keys", "info", "83"]).contains("X25519"));
    does(&["access", "change-pin", "-P", "123456", "-n", "204863"]);
    piv(&host, &["access", "change-pin", "-P", "123456", "-n", "111222"]).fails().unwrap();
    assert!(host.ykman(&["info"]).contains("PIN tries remaining:      2/3"));
    does(&["reset", "-f"]);
    let info = does(&["info"]);
    assert!(info.contains("3/3") && !info.contains("9A"), "{info}");
}
