//! `tapkey piv` on a software key, with openssl as the judge of what it makes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]
#![cfg(feature = "emulator")]

mod support;

use std::process::{Command, Stdio};

use support::{Home, Outcome};

const KEY: &str = "--emulated=key.json";

/// A home with a PIN file for every secret that is used.
fn home() -> Home {
    let home = Home::new();
    for (name, value) in [
        ("pin", "123456"),
        ("new-pin", "246810"),
        ("wrong-pin", "111111"),
        ("puk", "12345678"),
        ("new-puk", "87654321"),
        ("management", "00112233445566778899aabbccddeeff0011223344556677"),
        ("message", "what is signed\n"),
    ] {
        home.write(name, value);
    }
    home
}

fn piv(home: &Home, arguments: &[&str]) -> Outcome {
    home.run(&[&[KEY, "piv"], arguments].concat())
}

fn ok(home: &Home, arguments: &[&str]) -> Outcome {
    piv(home, arguments).exits(0)
}

fn json(home: &Home, arguments: &[&str]) -> serde_json::Value {
    home.json(&[&[KEY, "piv"], arguments].concat())
}

/// Runs openssl, which must succeed; the programs of other hands are never skipped.
fn openssl(home: &Home, arguments: &[&str]) -> Vec<u8> {
    let mut command = Command::new("openssl");
    home.tame(&mut command);
    let output = command.args(arguments).stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    [output.stdout, output.stderr].concat()
}

fn said(home: &Home, arguments: &[&str]) -> String {
    String::from_utf8(openssl(home, arguments)).unwrap()
}

#[test]
fn a_new_key_is_shown_and_warned_about() {
    let home = home();
    let shown = ok(&home, &["info"])
        .says("PIN is still the factory's")
        .says("PUK is still")
        .says("management key is");
    assert!(
        shown.stdout.contains("3 of 3 tries left") && shown.stdout.contains("AES192"),
        "{}",
        shown.stdout
    );
    let info = json(&home, &["info"]);
    assert_eq!(info["schema"], "piv-info/1");
    assert_eq!(info["pin"]["left"], 3);
    assert_eq!(info["management_key"]["default"], true);
    assert_eq!(info["slots"][0]["slot"], "f9");
    ok(&home, &["access", "change-pin", "-P", "file:pin", "-n", "file:new-pin"]);
    ok(&home, &["access", "change-puk", "-p", "file:puk", "-n", "file:new-puk"]);
    ok(&home, &["access", "change-management-key", "-n", "file:management"]);
    let quiet = ok(&home, &["info"]);
    assert_eq!(quiet.stderr, "");
}

#[test]
fn a_wrong_pin_says_how_many_tries_are_left() {
    let home = home();
    ok(&home, &["keys", "generate", "9a"]);
    piv(&home, &["sign", "9a", "message", "-P", "file:wrong-pin"])
        .exits(4)
        .says("2 tries are left")
        .prints_nothing();
    piv(&home, &["sign", "9a", "message", "-P", "file:wrong-pin"]).exits(4).says("1 try is left");
    piv(&home, &["sign", "9a", "message", "-P", "file:wrong-pin"]).exits(4).says("blocked");
    piv(&home, &["access", "unblock-pin", "-p", "file:new-puk", "-n", "file:new-pin"])
        .exits(4)
        .says("PUK is wrong");
    ok(&home, &["access", "unblock-pin", "-p", "file:puk", "-n", "file:new-pin"]);
    ok(&home, &["sign", "9a", "message", "-P", "file:new-pin", "-o", "signature"]);
}

#[test]
fn secrets_are_no_arguments_and_bad_ones_never_reach_the_key() {
    let home = home();
    ok(&home, &["keys", "generate", "9a"]);
    let given = piv(&home, &["sign", "9a", "message", "-P", "135799"]).exits(2);
    assert!(!given.all().contains("135799"));
    let refused = piv(&home, &["access", "change-pin", "-P", "654321", "-n", "file:pin"]).exits(2);
    assert!(!refused.all().contains("654321"));
    home.write("short", "12345");
    piv(&home, &["access", "change-pin", "-P", "file:pin", "-n", "file:short"]).exits(2).says("6 to 8");
    home.write("odd", "0011");
    let odd = piv(&home, &["access", "change-management-key", "-n", "file:odd"]).exits(2);
    assert!(!odd.all().contains("0011"));
    piv(&home, &["access", "set-retries", "0", "3", "-P", "file:pin", "-f"]).exits(2);
    assert_eq!(json(&home, &["info"])["pin"]["left"], 3);
}

#[test]
fn openssl_believes_signatures_certificates_and_requests() {
    let home = home();
    for (algorithm, digest) in [
        ("rsa2048", "-sha256"),
        ("rsa1024", "-sha256"),
        ("eccp256", "-sha256"),
        ("eccp384", "-sha384"),
        ("ed25519", ""),
    ] {
        ok(&home, &["keys", "generate", "9c", "-f", "-a", algorithm, "-o", "public.pem"]);
        ok(&home, &["sign", "9c", "message", "-P", "file:pin", "-o", "signature"]);
        if digest.is_empty() {
            openssl(
                &home,
                &[
                    "pkeyutl",
                    "-verify",
                    "-pubin",
                    "-inkey",
                    "public.pem",
                    "-rawin",
                    "-in",
                    "message",
                    "-sigfile",
                    "signature",
                ],
            );
        } else {
            openssl(&home, &["dgst", digest, "-verify", "public.pem", "-signature", "signature", "message"]);
        }
        ok(
            &home,
            &[
                "certificates",
                "generate",
                "9c",
                "-f",
                "-s",
                "CN=Ada Lovelace,O=Example",
                "-d",
                "30",
                "-P",
                "file:pin",
            ],
        );
        ok(&home, &["certificates", "export", "9c", "-o", "certificate.pem"]);
        assert!(said(&home, &["verify", "-CAfile", "certificate.pem", "certificate.pem"]).contains("OK"));
        let names =
            said(&home, &["x509", "-in", "certificate.pem", "-noout", "-subject", "-checkend", "2500000"]);
        assert!(names.contains("Ada Lovelace") && names.contains("Example"), "{names}");
        let days = json(&home, &["certificates", "export", "9c"])["content"]["not_after"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(days.ends_with('Z'));
        ok(
            &home,
            &["certificates", "request", "9c", "-s", "Ada, Countess", "-P", "file:pin", "-o", "request.pem"],
        );
        let request = said(&home, &["req", "-in", "request.pem", "-noout", "-verify", "-subject"]);
        assert!(request.contains("OK") && request.contains("Ada, Countess"), "{request}");
    }
}

#[test]
fn pss_and_other_hashes() {
    let home = home();
    ok(&home, &["keys", "generate", "9a", "-a", "rsa2048", "-o", "public.pem"]);
    for hash in ["sha256", "sha384", "sha512"] {
        let dash = format!("-{hash}");
        ok(&home, &["sign", "9a", "message", "-P", "file:pin", "--hash", hash, "-o", "plain"]);
        openssl(&home, &["dgst", &dash, "-verify", "public.pem", "-signature", "plain", "message"]);
        ok(&home, &["sign", "9a", "message", "-P", "file:pin", "--hash", hash, "--pss", "-o", "pss"]);
        let padding = ["-sigopt", "rsa_padding_mode:pss"];
        openssl(
            &home,
            &[&["dgst", &dash], &padding[..], &["-verify", "public.pem", "-signature", "pss", "message"]]
                .concat(),
        );
        ok(
            &home,
            &["certificates", "generate", "9a", "-f", "-s", "x", "--pss", "--hash", hash, "-P", "file:pin"],
        );
        ok(&home, &["certificates", "export", "9a", "-o", "certificate.pem"]);
        assert!(said(&home, &["verify", "-CAfile", "certificate.pem", "certificate.pem"]).contains("OK"));
    }
    piv(&home, &["sign", "9a", "message", "--hash", "md5"]).exits(2);
    ok(&home, &["keys", "generate", "9c", "-a", "x25519"]);
    piv(&home, &["sign", "9c", "message", "-P", "file:pin"]).exits(2).says("do not sign");
}

#[test]
fn what_openssl_encrypts_is_decrypted() {
    let home = home();
    ok(&home, &["keys", "generate", "9d", "-a", "rsa2048", "-o", "public.pem"]);
    let encrypt = |options: &[&str]| {
        let base =
            ["pkeyutl", "-encrypt", "-pubin", "-inkey", "public.pem", "-in", "message", "-out", "encrypted"];
        openssl(&home, &[&base[..], options].concat());
    };
    encrypt(&[]);
    assert_eq!(ok(&home, &["decrypt", "9d", "encrypted", "-P", "file:pin"]).stdout, "what is signed\n");
    for (padding, digest) in [("oaep-sha1", "sha1"), ("oaep-sha256", "sha256"), ("oaep-sha512", "sha512")] {
        let digest = format!("rsa_oaep_md:{digest}");
        encrypt(&["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", &digest]);
        let again = ok(&home, &["decrypt", "9d", "encrypted", "-P", "file:pin", "--padding", padding]);
        assert_eq!(again.stdout, "what is signed\n", "{padding}");
    }
    piv(&home, &["decrypt", "9d", "encrypted", "-P", "file:pin"]).exits(1).says("padded in another way");
    piv(&home, &["decrypt", "9d", "message", "-P", "file:pin"]).exits(2).says("256 bytes");
    // Into a file for its owner alone, and never over another.
    ok(&home, &["decrypt", "9d", "encrypted", "-P", "file:pin", "--padding", "oaep-sha512", "-o", "plain"]);
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(home.path("plain")).unwrap().permissions().mode() & 0o777, 0o600);
    piv(&home, &["decrypt", "9d", "encrypted", "-P", "file:pin", "--padding", "oaep-sha512", "-o", "plain"])
        .exits(1);
}

#[test]
fn openssl_agrees_on_the_same_secret() {
    let home = home();
    for (algorithm, options) in [
        ("eccp256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..]),
        ("eccp384", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
        ("x25519", &["-algorithm", "X25519"]),
    ] {
        openssl(&home, &[&["genpkey", "-out", "peer.pem"], options].concat());
        openssl(&home, &["pkey", "-in", "peer.pem", "-pubout", "-out", "peer-public.pem"]);
        ok(&home, &["keys", "generate", "9d", "-f", "-a", algorithm, "-o", "own.pem"]);
        let ours = json(&home, &["decrypt", "9d", "--peer", "peer-public.pem", "-P", "file:pin"]);
        let theirs = openssl(&home, &["pkeyutl", "-derive", "-inkey", "peer.pem", "-peerkey", "own.pem"]);
        let theirs: String = theirs.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(ours["value"], theirs, "{algorithm}");
    }
}

#[test]
fn keys_that_openssl_made_are_imported() {
    let home = home();
    for (algorithm, options) in [
        ("RSA1024", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"][..]),
        ("RSA3072", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"]),
        ("ECCP256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        ("ECCP384", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
        ("ED25519", &["-algorithm", "ED25519"]),
        ("X25519", &["-algorithm", "X25519"]),
    ] {
        openssl(&home, &[&["genpkey", "-out", "key.pem"], options].concat());
        openssl(&home, &["pkey", "-in", "key.pem", "-outform", "DER", "-out", "key.der"]);
        openssl(&home, &["pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"]);
        let mut files = vec!["key.pem", "key.der"];
        if !algorithm.contains("25519") {
            openssl(&home, &["pkey", "-in", "key.pem", "-traditional", "-out", "old.pem"]);
            files.push("old.pem");
        }
        for file in files {
            let imported = json(&home, &["keys", "import", "82", file, "-f"]);
            assert_eq!(imported["algorithm"], algorithm, "{file}");
            let exported = ok(&home, &["keys", "export", "82"]);
            assert_eq!(exported.stdout, home.read("public.pem"), "{file}");
            let key = json(&home, &["keys", "info", "82"]);
            assert_eq!((&key["origin"], &key["pin_policy"]), (&"imported".into(), &"once".into()));
        }
    }
    openssl(&home, &["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1536", "-out", "odd.pem"]);
    piv(&home, &["keys", "import", "83", "odd.pem"]).exits(2).says("1024, 2048");
    openssl(
        &home,
        &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521", "-out", "odd.pem"],
    );
    piv(&home, &["keys", "import", "83", "odd.pem"]).exits(2).says("do not take");
    openssl(&home, &["pkey", "-in", "key.pem", "-aes256", "-passout", "pass:x", "-out", "locked.pem"]);
    piv(&home, &["keys", "import", "83", "locked.pem"]).exits(2).says("encrypted");
    piv(&home, &["keys", "import", "83", "public.pem"]).exits(2);
}

#[test]
fn keys_move_and_go_and_are_not_lost_without_a_word() {
    let home = home();
    ok(&home, &["keys", "generate", "9a"]);
    piv(&home, &["keys", "generate", "9a"]).exits(2).says("lost for good").says("--force");
    openssl(&home, &["genpkey", "-algorithm", "ED25519", "-out", "key.pem"]);
    piv(&home, &["keys", "import", "9a", "key.pem"]).exits(2).says("--force");
    let before = ok(&home, &["keys", "export", "9a"]).stdout;
    ok(&home, &["keys", "move", "9a", "retired5"]);
    assert_eq!(ok(&home, &["keys", "export", "86"]).stdout, before);
    piv(&home, &["keys", "info", "9a"]).exits(4).says("no key in slot 9a");
    piv(&home, &["keys", "delete", "86"]).exits(2).says("--force");
    ok(&home, &["keys", "delete", "86", "-f"]);
    piv(&home, &["keys", "info", "86"]).exits(4);
    piv(&home, &["keys", "generate", "99"]).exits(2).says("the slots are");
    piv(&home, &["reset"]).exits(2).says("--force");
}

#[test]
fn certificates_belong_to_their_keys_and_fit_packed() {
    let home = home();
    ok(&home, &["keys", "generate", "9a"]);
    ok(&home, &["certificates", "generate", "9a", "-s", "one", "-P", "file:pin"]);
    ok(&home, &["certificates", "export", "9a", "-o", "one.pem"]);
    ok(&home, &["keys", "generate", "9d"]);
    piv(&home, &["certificates", "import", "9d", "one.pem", "--verify"]).exits(1).says("does not belong");
    ok(&home, &["certificates", "import", "9a", "one.pem", "--verify"]);
    let packed = json(&home, &["certificates", "import", "9d", "one.pem", "--compress", "--update-chuid"]);
    assert_eq!(packed["content"]["compressed"], true);
    assert_eq!(ok(&home, &["certificates", "export", "9d"]).stdout, home.read("one.pem"));
    let der = home.run(&[KEY, "piv", "certificates", "export", "9d", "-F", "der", "-o", "one.der"]).exits(0);
    assert!(der.stderr.contains("one.der"));
    assert!(said(&home, &["x509", "-inform", "DER", "-in", "one.der", "-noout", "-subject"]).contains("one"));
    assert!(json(&home, &["info"])["chuid"].is_string());
    ok(&home, &["certificates", "generate", "9d", "-f", "-s", "two", "-P", "file:pin"]);
    piv(&home, &["certificates", "import", "9d", "one.pem"]).exits(2).says("--force");
    piv(&home, &["certificates", "import", "9d", "message"]).exits(2);
    ok(&home, &["certificates", "delete", "9d", "-f"]);
    piv(&home, &["certificates", "export", "9d"]).exits(4).says("no object");
}

#[test]
fn objects_come_and_go() {
    let home = home();
    ok(&home, &["objects", "generate", "chuid"]);
    ok(&home, &["objects", "generate", "ccc"]);
    assert_eq!(json(&home, &["objects", "export", "chuid"])["length"], 59);
    assert_eq!(json(&home, &["objects", "export", "5fc107"])["length"], 51);
    ok(&home, &["objects", "import", "5fff12", "message"]);
    assert_eq!(ok(&home, &["objects", "export", "0x5fff12"]).stdout, "what is signed\n");
    let listed = json(&home, &["objects", "list"]);
    let names: Vec<&str> =
        listed["objects"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    assert!(
        names.contains(&"chuid") && names.contains(&"attestation") && names.contains(&"printed"),
        "{names:?}"
    );
    home.write("printed", "only with the PIN");
    ok(&home, &["objects", "import", "printed", "printed", "-f"]);
    piv(&home, &["objects", "export", "printed"]).exits(2).says("--pin");
    assert_eq!(ok(&home, &["objects", "export", "printed", "-P", "file:pin"]).stdout, "only with the PIN");
    ok(&home, &["objects", "delete", "chuid", "-f"]);
    piv(&home, &["objects", "export", "chuid"]).exits(4).says("no object");
    piv(&home, &["objects", "import", "discovery", "message"]).exits(2).says("cannot be written");
    home.write("long", &"x".repeat(3064));
    piv(&home, &["objects", "import", "ccc", "long"]).exits(2).says("3063");
}

#[test]
fn management_keys() {
    let home = home();
    let given = ["-m", "file:management"];
    ok(&home, &["access", "change-management-key", "-n", "file:management"]);
    piv(&home, &["objects", "generate", "ccc"]).exits(2).says("--management-key");
    ok(&home, &[&["objects", "generate", "ccc"], &given[..]].concat());
    home.write("other", "ffffffffffffffffffffffffffffffffffffffffffffffff");
    piv(&home, &["objects", "generate", "ccc", "-m", "file:other"]).exits(4).says("management key is wrong");
    home.write("short", "ffffffffffffffffffffffffffffffff");
    piv(&home, &["objects", "generate", "ccc", "-m", "file:short"]).exits(2).says("24 bytes");
    // A drawn one is not lost.
    piv(&home, &[&["access", "change-management-key", "--generate"], &given[..]].concat())
        .exits(2)
        .says("--output");
    let drawn = ["access", "change-management-key", "--generate", "-a", "aes256", "-o", "drawn"];
    let done = json(&home, &[&drawn[..], &given[..]].concat());
    assert_eq!((&done["algorithm"], done.get("management_key")), (&"AES256".into(), None));
    assert_eq!(home.read("drawn").trim().len(), 64);
    ok(&home, &["objects", "generate", "ccc", "-m", "file:drawn"]);
    // Under the PIN.
    let protect = ["access", "change-management-key", "--protect", "-m", "file:drawn", "-P", "file:pin"];
    assert_eq!(json(&home, &protect)["protected_by_pin"], true);
    piv(&home, &["objects", "generate", "ccc"]).exits(2).says("--pin");
    ok(&home, &["objects", "generate", "ccc", "-P", "file:pin"]);
    piv(&home, &["objects", "generate", "ccc", "-P", "file:wrong-pin"]).exits(4).says("2 tries");
    ok(&home, &["keys", "generate", "9a", "-P", "file:pin"]);
    assert_eq!(json(&home, &["info"])["management_key"]["protected_by_pin"], true);
    let shown = ["access", "change-management-key", "--generate", "--show-secret", "-P", "file:pin"];
    assert_eq!(json(&home, &shown)["management_key"].as_str().unwrap().len(), 64);
    assert_eq!(json(&home, &["info"])["management_key"]["protected_by_pin"], false);
}

#[test]
fn tries_and_reset() {
    let home = home();
    ok(&home, &["access", "change-pin", "-P", "file:pin", "-n", "file:new-pin"]);
    piv(&home, &["access", "set-retries", "9", "8", "-P", "file:new-pin"]).exits(2).says("--force");
    ok(&home, &["access", "set-retries", "9", "8", "-P", "file:new-pin", "-f"])
        .says("PIN is still the factory's");
    let info = json(&home, &["info"]);
    assert_eq!((&info["pin"]["total"], &info["puk"]["total"]), (&9.into(), &8.into()));
    ok(&home, &["keys", "generate", "9a"]);
    ok(&home, &["reset", "-f"]);
    let info = json(&home, &["info"]);
    assert_eq!((&info["pin"]["total"], info["slots"].as_array().unwrap().len()), (&3.into(), 1));
}

#[test]
fn attestations_are_believed_only_with_a_whole_chain() {
    let home = home();
    home.write("root.pem", &home.run(&["emulate", "attestation-root"]).exits(0).stdout);
    ok(&home, &["keys", "generate", "9a", "--touch-policy", "cached"]);
    let attested = json(&home, &["verify-attestation", "9a", "--root", "root.pem"]);
    let serial = json(&home, &["info"])["serial"].clone();
    assert_eq!(
        (&attested["valid"], &attested["slot"], &attested["serial"]),
        (&true.into(), &"9a".into(), &serial)
    );
    assert_eq!((&attested["version"], &attested["touch_policy"]), (&"5.7.4".into(), &"cached".into()));
    assert_eq!(attested["public_key"].as_str().unwrap(), ok(&home, &["keys", "export", "9a"]).stdout);

    ok(&home, &["keys", "attest", "9a", "-o", "a.pem"]);
    ok(&home, &["certificates", "export", "f9", "-o", "f9.pem"]);
    let off = ["piv", "verify-attestation", "--attestation", "a.pem", "--intermediate", "f9.pem", "--root"];
    home.run(&[&off[..], &["root.pem"]].concat()).exits(0);
    assert!(said(&home, &["verify", "-CAfile", "root.pem", "-untrusted", "f9.pem", "a.pem"]).contains("OK"));
    // A root of somebody else, and one in the wrong place.
    ok(&home, &["certificates", "generate", "9a", "-s", "x", "-P", "file:pin"]);
    ok(&home, &["certificates", "export", "9a", "-o", "x.pem"]);
    home.run(&[&off[..], &["x.pem"]].concat()).exits(1).says("does not reach");
    home.run(&[&off[..], &["f9.pem"]].concat()).exits(1).says("itself");

    // The owner of an attested key signs an attestation of their own with it: the chain is whole, but the
    // one in the middle may not issue.
    forge(&home);
    let forged = [
        "piv",
        "verify-attestation",
        "--attestation",
        "forged.pem",
        "--intermediate",
        "a.pem",
        "--intermediate",
        "f9.pem",
    ];
    home.run(&[&forged[..], &["--root", "root.pem"]].concat()).exits(1).says("may not issue");
    // A changed one.
    let text = home.read("a.pem");
    let position = text.find("MII").unwrap() + 300;
    let changed = if &text[position..=position] == "A" { "B" } else { "A" };
    home.write("b.pem", &format!("{}{changed}{}", &text[..position], &text[position + 1..]));
    let broken = [
        "piv",
        "verify-attestation",
        "--attestation",
        "b.pem",
        "--intermediate",
        "f9.pem",
        "--root",
        "root.pem",
    ];
    assert!([1, 2].contains(&home.run(&broken).code));
    // An imported key has none.
    openssl(&home, &["genpkey", "-algorithm", "ED25519", "-out", "key.pem"]);
    ok(&home, &["keys", "import", "9d", "key.pem"]);
    piv(&home, &["verify-attestation", "9d", "--root", "root.pem"]).exits(4).says("imported");
}

/// Makes `forged.pem`: a certificate that the attested key in 9a signs under the name of its attestation.
fn forge(home: &Home) {
    let subject = said(home, &["x509", "-in", "a.pem", "-noout", "-subject", "-nameopt", "RFC2253"]);
    let name = subject.trim().trim_start_matches("subject=").to_owned();
    ok(home, &["certificates", "generate", "9a", "-f", "-s", &name, "-P", "file:pin"]);
    ok(home, &["certificates", "export", "9a", "-o", "forged.pem"]);
}
