//! Yubico's yubico-piv-tool uses the PIV application; OpenSSL checks what comes out.
//!
//! The one in Debian 12 knows management keys of 3DES alone, so the keys here are of firmware 5.4.3.
//! Its `selfsign-certificate` and `request-certificate` fail with OpenSSL 3 before they have sent
//! anything to the key; OpenSSL itself makes the certificates, with a key of its own.

use tapkey_emulator::Profile;
use tapkey_tests::pcscd::Run;

use super::piv::{Host, MANAGEMENT};

struct Tool(Host);

impl Tool {
    fn new() -> Self {
        Self(Host::of(Profile::YUBIKEY_5_4_3))
    }

    fn run(&self, arguments: &[&str]) -> Run {
        self.0.run("yubico-piv-tool", arguments)
    }

    fn does(&self, arguments: &[&str]) -> String {
        self.run(arguments).succeeds().unwrap()
    }

    /// A certificate about the public key in `@public.pem`, signed by somebody.
    fn certify(&self, public: &str, certificate: &str) {
        let host = &self.0;
        if !host.path("ca.pem").exists() {
            let ca = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
            host.openssl(&[&ca[..], &["-keyout", "@ca.key", "-out", "@ca.pem", "-subj", "/CN=ca"]].concat());
            let request = ["req", "-new", "-key", "@ca.key", "-subj", "/CN=holder", "-out", "@holder.csr"];
            host.openssl(&request);
        }
        let sign = ["x509", "-req", "-in", "@holder.csr", "-CA", "@ca.pem", "-CAkey", "@ca.key"];
        host.openssl(
            &[&sign[..], &["-CAcreateserial", "-force_pubkey", public, "-out", certificate]].concat(),
        );
    }
}

#[test]
fn generated_keys_sign_and_decrypt() {
    let tool = Tool::new();
    tool.0.write("data", "what is signed");
    for (slot, algorithm) in [("9a", "RSA1024"), ("9d", "RSA2048"), ("9e", "ECCP256"), ("82", "ECCP384")] {
        tool.does(&["-a", "generate", "-s", slot, "-A", algorithm, "-o", "@public.pem"]);
        let hash = if algorithm == "ECCP384" { "SHA384" } else { "SHA256" };
        let pin = ["-a", "verify-pin", "-P", "123456", "-s", slot];
        tool.does(
            &[&pin[..], &["--sign", "-A", algorithm, "-H", hash, "-i", "@data", "-o", "@signature"]].concat(),
        );
        let digest = format!("-{}", hash.to_lowercase());
        let check = ["dgst", &digest, "-verify", "@public.pem", "-signature", "@signature", "@data"];
        assert!(tool.0.openssl(&check).contains("Verified OK"), "{algorithm}");

        tool.certify("@public.pem", "@certificate.pem");
        tool.does(&["-a", "import-certificate", "-s", slot, "-i", "@certificate.pem"]);
        tool.does(&["-a", "read-certificate", "-s", slot, "-o", "@back.pem"]);
        assert_eq!(tool.0.read("certificate.pem"), tool.0.read("back.pem"));
        tool.does(&[&pin[..], &["-a", "test-signature", "-i", "@certificate.pem"]].concat());
        // RSA decrypts, curves agree on a secret.
        tool.does(&[&pin[..], &["-a", "test-decipher", "-i", "@certificate.pem"]].concat());
    }
    let status = tool.does(&["-a", "status"]);
    assert!(status.contains("Version:\t5.4.3") && status.contains("CN=holder"), "{status}");
    tool.does(&["-a", "delete-certificate", "-s", "9a"]);
    tool.run(&["-a", "read-certificate", "-s", "9a"]).fails().unwrap();
}

#[test]
fn imported_keys_sign() {
    let tool = Tool::new();
    tool.0.write("data", "what is signed");
    for (slot, algorithm, options) in [
        ("9a", "RSA2048", &["RSA", "-pkeyopt", "rsa_keygen_bits:2048"][..]),
        ("9c", "ECCP256", &["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        ("9e", "ECCP384", &["EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
    ] {
        tool.0.openssl(&[&["genpkey", "-out", "@private.pem", "-algorithm"], options].concat());
        tool.0.openssl(&["pkey", "-in", "@private.pem", "-pubout", "-out", "@public.pem"]);
        tool.does(&["-a", "import-key", "-s", slot, "-i", "@private.pem"]);
        let sign = ["-a", "verify-pin", "-P", "123456", "-s", slot, "--sign", "-A", algorithm];
        tool.does(&[&sign[..], &["-H", "SHA256", "-i", "@data", "-o", "@signature"]].concat());
        tool.0.check_signature("@public.pem", "@signature", "@data");
        tool.run(&["-a", "attest", "-s", slot]).fails().unwrap();
    }
}

#[test]
fn attestation() {
    let tool = Tool::new();
    tool.does(&[
        "-a",
        "generate",
        "-s",
        "9a",
        "-A",
        "ECCP256",
        "--pin-policy=always",
        "--touch-policy=cached",
    ]);
    tool.does(&["-a", "attest", "-s", "9a", "-o", "@attested.pem"]);
    tool.does(&["-a", "read-certificate", "-s", "f9", "-o", "@f9.pem"]);
    tool.0.check_attestation("@attested.pem", "@f9.pem");
    tool.0.openssl(&["x509", "-in", "@attested.pem", "-outform", "DER", "-out", "@attested.der"]);
    // Firmware, serial number, and policies: each by its name, with its value.
    let der = data_encoding::HEXLOWER.encode(&tool.0.read("attested.der"));
    for value in
        ["82c40a03030403050403", "82c40a030704070205 00f0000001", "82c40a030804020303", "82c40a0309040101"]
    {
        assert!(der.contains(&value.replace(' ', "")), "{value} is not in {der}");
    }
}

#[test]
fn pin_puk_management_key_and_reset() {
    let tool = Tool::new();
    tool.does(&["-a", "change-pin", "-P", "123456", "-N", "204863"]);
    tool.does(&["-a", "change-puk", "-P", "12345678", "-N", "20486321"]);
    for _ in 0..3 {
        tool.run(&["-a", "verify-pin", "-P", "000000"]).fails().unwrap();
    }
    tool.run(&["-a", "verify-pin", "-P", "204863"]).fails().unwrap();
    assert!(tool.does(&["-a", "status"]).contains("PIN tries left:\t0"));
    tool.does(&["-a", "unblock-pin", "-P", "20486321", "-N", "864203"]);
    tool.does(&["-a", "verify-pin", "-P", "864203"]);
    tool.does(&["-a", "set-chuid"]);
    tool.does(&["-a", "set-ccc"]);
    let status = tool.does(&["-a", "status"]);
    assert!(status.contains("CHUID:\t3019d4e7") && status.contains("CCC:\tf015a000"), "{status}");

    let other = "a7".repeat(24);
    tool.does(&["-a", "set-mgm-key", "-n", &other]);
    tool.run(&["-a", "set-chuid"]).fails().unwrap();
    tool.does(&[&format!("-k{other}"), "-a", "set-chuid"]);
    let retries =
        ["-a", "verify-pin", "-P", "864203", "-a", "pin-retries", "--pin-retries=5", "--puk-retries=6"];
    tool.does(&[&[format!("-k{other}").as_str()], &retries[..]].concat());
    assert!(tool.does(&["-a", "status"]).contains("PIN tries left:\t5"));

    tool.run(&["-a", "reset"]).fails().unwrap();
    for _ in 0..5 {
        tool.run(&["-a", "verify-pin", "-P", "000000"]).fails().unwrap();
    }
    for _ in 0..6 {
        tool.run(&["-a", "unblock-pin", "-P", "00000000", "-N", "000000"]).fails().unwrap();
    }
    tool.does(&["-a", "reset"]);
    let status = tool.does(&["-a", "status"]);
    assert!(status.contains("PIN tries left:\t3") && status.contains("CHUID:\tNo data"), "{status}");
    tool.does(&[&format!("-k{MANAGEMENT}"), "-a", "set-chuid"]);
}

#[test]
fn objects() {
    let tool = Tool::new();
    tool.0.write("content", "00112233");
    tool.does(&["-a", "write-object", "--id", "0x5fc10c", "-i", "@content"]);
    assert_eq!(tool.does(&["-a", "read-object", "--id", "0x5fc10c"]).trim(), "00112233");
}
