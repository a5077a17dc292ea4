//! Yubico's ykman uses the PIV application; OpenSSL checks what comes out.

use tapkey_emulator::{Milliseconds, Profile, TouchPolicy};

use super::piv::{Host, MANAGEMENT};

const M: [&str; 2] = ["-m", MANAGEMENT];
const P: [&str; 2] = ["-P", "123456"];

fn with(parts: &[&[&'static str]]) -> Vec<&'static str> {
    parts.concat()
}

#[test]
fn keys_of_every_algorithm_and_their_attestation() {
    let host = Host::new();
    host.ykman(&["certificates", "export", "f9", "@f9.pem"]);
    for (slot, algorithm, name) in [
        ("9a", "RSA1024", "RSA Public-Key: (1024 bit)"),
        ("9c", "RSA2048", "RSA Public-Key: (2048 bit)"),
        ("9d", "RSA3072", "RSA Public-Key: (3072 bit)"),
        ("9e", "RSA4096", "RSA Public-Key: (4096 bit)"),
        ("82", "ECCP256", "P-256"),
        ("83", "ECCP384", "P-384"),
        ("84", "ED25519", "ED25519"),
        ("95", "X25519", "X25519"),
    ] {
        host.ykman(&["keys", "generate", "-m", MANAGEMENT, "-a", algorithm, slot, "@public.pem"]);
        let info = host.ykman(&["keys", "info", slot]);
        assert!(info.contains(algorithm) && info.contains("GENERATED"), "{info}");
        host.ykman(&["keys", "export", slot, "@exported.pem"]);
        assert_eq!(host.read("public.pem"), host.read("exported.pem"));
        let told = host.openssl(&["pkey", "-pubin", "-in", "@public.pem", "-noout", "-text"]);
        let told = told.replace("Public-Key", "RSA Public-Key");
        assert!(told.contains(name), "{told}");

        host.ykman(&["keys", "attest", slot, "@attested.pem"]);
        host.check_attestation("@attested.pem", "@f9.pem");
        let public = host.openssl(&["x509", "-in", "@attested.pem", "-noout", "-pubkey"]);
        assert_eq!(public.as_bytes(), host.read("public.pem"));
    }
}

#[test]
fn certificates_and_requests_that_openssl_believes() {
    let host = Host::new();
    for (slot, algorithm) in [("9a", "ECCP256"), ("9c", "RSA2048"), ("9d", "ECCP384"), ("82", "ED25519")] {
        host.ykman(&["keys", "generate", "-m", MANAGEMENT, "-a", algorithm, slot, "@public.pem"]);
        let make = with(&[&["certificates", "generate"], &M, &P, &["-s", "CN=Somebody,O=Example"]]);
        host.ykman(&[&make[..], &[slot, "@public.pem"]].concat());
        host.ykman(&["certificates", "export", slot, "@certificate.pem"]);
        assert!(
            host.openssl(&["verify", "-check_ss_sig", "-CAfile", "@certificate.pem", "@certificate.pem"])
                .contains("OK")
        );
        host.ykman(&[
            "certificates",
            "request",
            "-P",
            "123456",
            "-s",
            "CN=Somebody",
            slot,
            "@public.pem",
            "@request.pem",
        ]);
        host.openssl(&["req", "-verify", "-in", "@request.pem", "-noout"]);
        let import = ["certificates", "import", "-m", MANAGEMENT, "-P", "123456"];
        // ykman 5.9 cannot check this kind against its key.
        let verify: &[&str] = if algorithm == "ED25519" { &[] } else { &["--verify"] };
        host.ykman(&[&import[..], verify, &[slot, "@certificate.pem"]].concat());
        // The key of another slot does not fit the certificate.
        host.try_ykman(&[&import[..], &["--verify", "9e", "@certificate.pem"]].concat()).fails().unwrap();
    }
    let info = host.ykman(&["info"]);
    assert!(info.contains("CN=Somebody,O=Example"), "{info}");
    host.ykman(&["certificates", "delete", "-m", MANAGEMENT, "9a"]);
    host.try_ykman(&["certificates", "export", "9a", "-"]).fails().unwrap();
}

#[test]
fn keys_from_elsewhere() {
    let host = Host::new();
    for (slot, name, options) in [
        ("9a", "RSA2048", &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"][..]),
        ("9c", "ECCP256", &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        ("9d", "ECCP384", &["EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
        ("82", "ED25519", &["ED25519"]),
        ("83", "X25519", &["X25519"]),
    ] {
        host.openssl(&[&["genpkey", "-out", "@private.pem", "-algorithm"], options].concat());
        host.openssl(&["pkey", "-in", "@private.pem", "-pubout", "-out", "@public.pem"]);
        let import = ["keys", "import", "-m", MANAGEMENT, "--pin-policy", "ONCE", slot, "@private.pem"];
        host.ykman(&import);
        let info = host.ykman(&["keys", "info", slot]);
        assert!(info.contains(name) && info.contains("IMPORTED"), "{info}");
        host.ykman(&["keys", "export", slot, "@exported.pem"]);
        assert_eq!(host.read("public.pem"), host.read("exported.pem"), "{name}");
        if name != "X25519" {
            let sign =
                [&["certificates", "request"][..], &P, &["-s", "CN=x", slot, "@public.pem", "@request.pem"]];
            host.ykman(&sign.concat());
            host.openssl(&["req", "-verify", "-in", "@request.pem", "-noout"]);
        }
        let refused = host.try_ykman(&["keys", "attest", slot, "-"]).fails().unwrap();
        assert!(!refused.is_empty());
    }
}

#[test]
fn pin_puk_and_tries() {
    let host = Host::new();
    host.ykman(&["access", "change-pin", "-P", "123456", "-n", "204863"]);
    host.ykman(&["access", "change-puk", "-p", "12345678", "-n", "20486321"]);
    let wrong = host.try_ykman(&["access", "change-pin", "-P", "000000", "-n", "204863"]).fails().unwrap();
    assert!(wrong.contains("2 tries left") || wrong.contains("2 attempts"), "{wrong}");
    assert!(host.ykman(&["info"]).contains("PIN tries remaining:      2/3"));
    for _ in 0..2 {
        host.try_ykman(&["access", "change-pin", "-P", "000000", "-n", "204863"]).fails().unwrap();
    }
    let blocked = host.try_ykman(&["access", "change-pin", "-P", "204863", "-n", "111222"]).fails().unwrap();
    assert!(blocked.contains("blocked"), "{blocked}");
    host.try_ykman(&["access", "unblock-pin", "-p", "12345678", "-n", "123457"]).fails().unwrap();
    host.ykman(&["access", "unblock-pin", "-p", "20486321", "-n", "123457"]);
    host.ykman(&["access", "set-retries", "-m", MANAGEMENT, "-P", "123457", "7", "9", "-f"]);
    let info = host.ykman(&["info"]);
    assert!(info.contains("7/7") && info.contains("9/9") && info.contains("default PIN"), "{info}");
}

#[test]
fn management_keys() {
    let host = Host::new();
    let aes = "a1".repeat(32);
    let change = ["access", "change-management-key"];
    host.ykman(&[&change[..], &M, &["-a", "AES256", "-n", &aes]].concat());
    assert!(host.ykman(&["info"]).contains("AES256"));
    let old = ["keys", "generate", "-m", MANAGEMENT, "-a", "ECCP256", "9a", "-"];
    host.try_ykman(&old).fails().unwrap();
    host.ykman(&["keys", "generate", "-m", &aes, "-a", "ECCP256", "9a", "-"]);
    for (kind, length) in [("AES128", 16), ("TDES", 24), ("AES192", 24)] {
        let key = "5c".repeat(length);
        let last = host.ykman(&["info"]).contains("AES256");
        let current = if last { aes.clone() } else { "5c".repeat(if kind == "TDES" { 16 } else { 24 }) };
        host.ykman(&[&change[..], &["-m", &current, "-a", kind, "-n", &key]].concat());
        assert!(host.ykman(&["info"]).contains(kind), "{kind}");
    }
    // Under the PIN: nobody has to know it any more.
    host.ykman(
        &[&change[..], &["-m", &"5c".repeat(24), "-a", "AES192", "-g", "-p", "-P", "123456"]].concat(),
    );
    let info = host.ykman(&["info"]);
    assert!(info.contains("Management key is stored on the YubiKey, protected by PIN"), "{info}");
    host.ykman(&["keys", "generate", "-P", "123456", "-a", "ECCP256", "9c", "-"]);
}

#[test]
fn a_management_key_behind_a_touch() {
    let host = Host::new();
    let key = host.pcscd.key(0).unwrap();
    let change =
        ["access", "change-management-key", "-m", MANAGEMENT, "-a", "AES192", "-n", MANAGEMENT, "-t", "-f"];
    host.ykman(&change);
    key.with(|key| key.set_touch_policy(TouchPolicy::Never));
    let make = ["keys", "generate", "-m", MANAGEMENT, "-a", "ECCP256", "9a", "-"];
    host.try_ykman(&make).fails().unwrap();
    key.with(|key| key.set_touch_policy(TouchPolicy::Automatic(Milliseconds(100))));
    host.ykman(&make);
}

#[test]
fn a_key_behind_a_touch() {
    let host = Host::new();
    let key = host.pcscd.key(0).unwrap();
    let make = [
        "keys",
        "generate",
        "-m",
        MANAGEMENT,
        "-a",
        "ECCP256",
        "--touch-policy",
        "ALWAYS",
        "9a",
        "@public.pem",
    ];
    host.ykman(&make);
    let request =
        ["certificates", "request", "-P", "123456", "-s", "CN=x", "9a", "@public.pem", "@request.pem"];
    key.with(|key| key.set_touch_policy(TouchPolicy::Never));
    host.try_ykman(&request).fails().unwrap();
    key.with(|key| key.set_touch_policy(TouchPolicy::Automatic(Milliseconds(100))));
    host.ykman(&request);
    host.openssl(&["req", "-verify", "-in", "@request.pem", "-noout"]);
}

#[test]
fn keys_are_moved_and_deleted() {
    let host = Host::new();
    host.ykman(&["keys", "generate", "-m", MANAGEMENT, "-a", "ECCP256", "9a", "@public.pem"]);
    host.ykman(&["keys", "move", "-m", MANAGEMENT, "9a", "82"]);
    host.try_ykman(&["keys", "info", "9a"]).fails().unwrap();
    host.ykman(&["keys", "export", "82", "@moved.pem"]);
    assert_eq!(host.read("public.pem"), host.read("moved.pem"));
    host.ykman(&["keys", "delete", "-m", MANAGEMENT, "82"]);
    host.try_ykman(&["keys", "info", "82"]).fails().unwrap();
}

#[test]
fn objects() {
    let host = Host::new();
    for (name, length) in [("CHUID", 59), ("CCC", 51)] {
        host.ykman(&["objects", "generate", "-m", MANAGEMENT, name]);
        host.ykman(&["objects", "export", name, "@object"]);
        assert_eq!(host.read("object").len(), length, "{name}");
    }
    let content: Vec<u8> = (0..3000_u32).map(|n| n.to_le_bytes()[0]).collect();
    host.write("content", &content);
    host.ykman(&["objects", "import", "-m", MANAGEMENT, "0x5f0001", "@content"]);
    host.ykman(&["objects", "export", "0x5f0001", "@back"]);
    assert_eq!(host.read("back"), content);
    host.ykman(&["objects", "import", "-m", MANAGEMENT, "PRINTED", "@content"]);
    host.ykman(&["objects", "export", "-P", "123456", "PRINTED", "@back"]);
    assert_eq!(host.read("back"), content);
}

#[test]
fn reset() {
    let host = Host::new();
    host.ykman(&["certificates", "export", "f9", "@before.pem"]);
    host.ykman(&["keys", "generate", "-m", MANAGEMENT, "-a", "ECCP256", "9a", "-"]);
    host.ykman(&["access", "change-pin", "-P", "123456", "-n", "204863"]);
    host.ykman(&["reset", "-f"]);
    let info = host.ykman(&["info"]);
    assert!(info.contains("default PIN") && info.contains("3/3") && !info.contains("Slot 9A"), "{info}");
    host.ykman(&["certificates", "export", "f9", "@after.pem"]);
    assert_eq!(host.read("before.pem"), host.read("after.pem"));
}

#[test]
fn older_firmware() {
    for profile in [Profile::YUBIKEY_5_4_3, Profile::YUBIKEY_5_2_7, Profile::YUBIKEY_4_3_5] {
        let host = Host::of(profile);
        let info = host.ykman(&["info"]);
        assert!(info.contains(&format!("PIV version:              {profile}\n")), "{info}");
        host.ykman(&["keys", "generate", "-m", MANAGEMENT, "-a", "RSA2048", "9a", "@public.pem"]);
        host.ykman(&[
            "certificates",
            "generate",
            "-m",
            MANAGEMENT,
            "-P",
            "123456",
            "-s",
            "CN=old",
            "9a",
            "@public.pem",
        ]);
        host.ykman(&["certificates", "export", "9a", "@certificate.pem"]);
        assert!(
            host.openssl(&["verify", "-check_ss_sig", "-CAfile", "@certificate.pem", "@certificate.pem"])
                .contains("OK")
        );
        host.ykman(&["keys", "attest", "9a", "@attested.pem"]);
        host.ykman(&["certificates", "export", "f9", "@f9.pem"]);
        host.check_attestation("@attested.pem", "@f9.pem");
        host.try_ykman(&["keys", "generate", "-m", MANAGEMENT, "-a", "ED25519", "9c", "-"]).fails().unwrap();
        let aes =
            ["access", "change-management-key", "-m", MANAGEMENT, "-a", "AES128", "-n", &"77".repeat(16)];
        assert_eq!(host.try_ykman(&aes).code() == Some(0), profile == Profile::YUBIKEY_5_4_3, "{profile}");
    }
}
