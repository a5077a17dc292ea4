//! Programs that use keys through PKCS #11, by OpenSC's module and by Yubico's.

use std::path::Path;

use tapkey_emulator::Profile;
use tapkey_tests::{parts::part, pcscd::Run};

use super::piv::{Host, MANAGEMENT};

const OPENSC: &str = "opensc-pkcs11.so";
const YKCS11: &str = "libykcs11.so";

/// Keys and certificates in the slots 9A, 9C and 9D, whose ids are 01, 02 and 03.
fn furnished(profile: Profile) -> Host {
    let host = Host::of(profile);
    for (slot, algorithm) in [("9a", "ECCP256"), ("9c", "RSA2048"), ("9d", "RSA2048")] {
        let public = format!("@{slot}.pem");
        host.ykman(&["keys", "generate", "-m", MANAGEMENT, "-a", algorithm, slot, &public]);
        let subject = format!("CN={slot}");
        host.ykman(&[
            "certificates",
            "generate",
            "-m",
            MANAGEMENT,
            "-P",
            "123456",
            "-s",
            &subject,
            slot,
            &public,
        ]);
    }
    host.write("data", "what is signed, or kept secret");
    host
}

fn pkcs11(host: &Host, module: &str, arguments: &[&str]) -> String {
    run(host, module, arguments).succeeds().unwrap()
}

/// OpenSC's program, which has no command that succeeds without a reader.
fn run(host: &Host, module: &str, arguments: &[&str]) -> Run {
    part("opensc-tool").unwrap();
    host.run_at(Path::new("pkcs11-tool"), &[&["--module", module], arguments].concat())
}

/// Signs with RSA and ECDSA and decrypts, as both modules can.
fn works(host: &Host, module: &str) {
    let login = ["--login", "--pin", "123456"];
    let list = pkcs11(host, module, &[&login[..], &["--list-objects"]].concat());
    for (what, number) in [("Private Key Object; EC", 1), ("Private Key Object; RSA", 2), ("CN=9a", 1)] {
        assert!(list.matches(what).count() >= number, "{what} in {list}");
    }
    let sign = ["--sign", "--id", "01", "-m", "ECDSA-SHA256", "--signature-format", "openssl"];
    pkcs11(host, module, &[&login[..], &sign, &["-i", "@data", "-o", "@signature"]].concat());
    host.check_signature("@9a.pem", "@signature", "@data");
    // The slot for signatures wants the PIN for each of them.
    let sign = ["--sign", "--id", "02", "-m", "SHA256-RSA-PKCS", "-i", "@data", "-o", "@signature"];
    pkcs11(host, module, &[&login[..], &sign].concat());
    host.check_signature("@9c.pem", "@signature", "@data");

    let encrypt = ["pkeyutl", "-encrypt", "-pubin", "-inkey", "@9d.pem", "-in", "@data", "-out", "@secret"];
    host.openssl(&encrypt);
    let decrypt = ["--decrypt", "--id", "03", "-m", "RSA-PKCS", "-i", "@secret", "-o", "@plain"];
    pkcs11(host, module, &[&login[..], &decrypt].concat());
    assert_eq!(host.read("plain"), host.read("data"));

    run(host, module, &["--login", "--pin", "000000", "--list-objects"]).fails().unwrap();
    assert!(host.ykman(&["info"]).contains("PIN tries remaining:      2/3"));
    pkcs11(host, module, &[&login[..], &["--list-objects"]].concat());
    assert!(host.ykman(&["info"]).contains("PIN tries remaining:      3/3"));
}

#[test]
fn opensc() {
    let host = furnished(Profile::YUBIKEY_5_7_4);
    works(&host, OPENSC);
    pkcs11(&host, OPENSC, &["--login", "--pin", "123456", "--change-pin", "--new-pin", "204863"]);
    pkcs11(&host, OPENSC, &["--login", "--pin", "204863", "--list-objects"]);
    let slots = pkcs11(&host, OPENSC, &["--list-slots"]);
    assert!(slots.contains("piv_II"), "{slots}");
}

#[test]
fn yubicos_module() {
    let host = furnished(Profile::YUBIKEY_5_7_4);
    works(&host, YKCS11);
    let objects = pkcs11(&host, YKCS11, &["--list-objects", "--type", "cert"]);
    assert!(objects.contains("YubiKey PIV Attestation 9a"), "it asks for attestations by itself: {objects}");
}

#[test]
fn yubicos_module_makes_keys() {
    // The module in Debian 12 knows management keys of 3DES alone.
    let host = Host::of(Profile::YUBIKEY_5_4_3);
    host.write("data", "what is signed");
    let administer = ["--login", "--login-type", "so", "--so-pin", MANAGEMENT];
    let make = ["--keypairgen", "--id", "04", "--key-type", "EC:secp384r1"];
    pkcs11(&host, YKCS11, &[&administer[..], &make].concat());
    let info = host.ykman(&["certificates", "export", "9e", "@certificate.pem"]);
    host.openssl(&["x509", "-in", "@certificate.pem", "-noout", "-pubkey", "-out", "@public.pem"]);
    assert!(host.ykman(&["keys", "info", "9e"]).contains("ECCP384"), "{info}");
    let sign = ["--sign", "--id", "04", "-m", "ECDSA-SHA256", "--signature-format", "openssl"];
    let login = ["--login", "--pin", "123456", "-i", "@data", "-o", "@signature"];
    pkcs11(&host, YKCS11, &[&sign[..], &login].concat());
    host.check_signature("@public.pem", "@signature", "@data");
}
