//! `tapkey oath` on software keys.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]

mod support;

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use support::{Home, Outcome, feed};
use tapkey_protocol::formats::pskc::{Document, KeyKind, Unlock};
use tapkey_protocol::oath::{Algorithm, Digits, KeyUri, hotp, steam_code, totp};

/// The secret of RFC 4226 and RFC 6238, "12345678901234567890", in base32.
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const BYTES: &[u8] = b"12345678901234567890";

fn home() -> Home {
    let home = Home::new();
    home.write("secret", &format!("{SECRET}\n"));
    home
}

fn oath(home: &Home, arguments: &[&str]) -> Outcome {
    home.run(&[&["--emulated", "oath"], arguments].concat())
}

fn json(home: &Home, arguments: &[&str]) -> Value {
    home.json(&[&["--emulated", "oath"], arguments].concat())
}

fn add(home: &Home, name: &str, more: &[&str]) {
    oath(home, &[&["accounts", "add", name, "--secret", "file:secret"], more].concat()).exits(0);
}

fn names(home: &Home) -> Vec<String> {
    let list = json(home, &["accounts", "list", "--show-hidden"]);
    list["accounts"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Runs something twice when a period has ended meanwhile.
fn at_one_time<T>(period: u64, mut work: impl FnMut() -> T) -> (u64, T) {
    loop {
        let before = now();
        let result = work();
        if before / period == now() / period {
            return (before, result);
        }
    }
}

#[test]
fn codes_of_every_sort() {
    let home = home();
    add(&home, "Example:alice", &[]);
    add(&home, "bob", &["-i", "Shop", "-a", "sha-256", "-d", "8"]);
    add(&home, "slow", &["--period", "60", "-a", "SHA512"]);
    add(&home, "Steam:gamer", &[]);
    add(&home, "_hidden:secret", &[]);
    add(&home, "counting", &["-o", "hotp", "-c", "5"]);
    add(&home, "touchy", &["--touch"]);
    let (at, all) = at_one_time(30, || json(&home, &["accounts", "code"]));
    assert_eq!(all["schema"], "oath-codes/1");
    let code = |name: &str| {
        let accounts = all["accounts"].as_array().unwrap();
        accounts.iter().find(|one| one["name"] == name).map(|one| one["code"].clone())
    };
    let expected =
        |algorithm, period, digits| Value::from(totp(algorithm, BYTES, at, period, digits).to_string());
    assert_eq!(code("Example:alice").unwrap(), expected(Algorithm::Sha1, 30, Digits::SIX));
    assert_eq!(code("Shop:bob").unwrap(), expected(Algorithm::Sha256, 30, Digits::EIGHT));
    assert_eq!(code("slow").unwrap(), expected(Algorithm::Sha512, 60, Digits::SIX));
    let hmac = Algorithm::Sha1.hmac(BYTES, &(at / 30).to_be_bytes());
    assert_eq!(code("Steam:gamer").unwrap(), steam_code(&hmac));
    assert_eq!((code("counting"), code("touchy")), (Some(Value::Null), Some(Value::Null)));
    assert_eq!(code("_hidden:secret"), None);
    let first = &all["accounts"][0];
    assert_eq!(
        (&first["name"], &first["type"], &first["period"]),
        (&"counting".into(), &"hotp".into(), &Value::Null)
    );
    let slow = all["accounts"].as_array().unwrap().iter().find(|one| one["name"] == "slow").unwrap();
    assert_eq!(
        (slow["valid_from"].as_u64().unwrap(), slow["valid_until"].as_u64().unwrap()),
        (at / 60 * 60, at / 60 * 60 + 60)
    );

    // By name: a HOTP code is used up, a touch is asked for, hidden ones are shown.
    let single = |query: &str| oath(&home, &["accounts", "code", "--single", query]).exits(0).stdout;
    assert_eq!(single("counting"), format!("{}\n", hotp(BYTES, 5, Digits::SIX)));
    assert_eq!(single("COUNT"), format!("{}\n", hotp(BYTES, 6, Digits::SIX)));
    let (at, code) = at_one_time(30, || {
        oath(&home, &["accounts", "code", "-s", "touchy"]).exits(0).says("Touch your key")
    });
    assert_eq!(code.stdout, format!("{}\n", totp(Algorithm::Sha1, BYTES, at, 30, Digits::SIX)));
    assert_eq!(single("_hidden:secret").trim().len(), 6);
    oath(&home, &["accounts", "code", "-s"]).exits(1).says("matches 6 accounts").prints_nothing();
    oath(&home, &["accounts", "code", "-s", "nobody"]).exits(1).says("no account").prints_nothing();
    oath(&home, &["accounts", "code", "nobody"]).exits(1).says("no account").prints_nothing();
    let table = oath(&home, &["accounts", "code"]).exits(0).stdout;
    assert!(
        table.contains("counting       [HOTP]\n") && table.contains("touchy         [touch]\n"),
        "{table}"
    );
    let shown = oath(&home, &["accounts", "code", "counting"]).exits(0).stdout;
    assert_eq!(shown, format!("counting  {}\n", hotp(BYTES, 7, Digits::SIX)));
}

#[test]
fn lists() {
    let home = home();
    oath(&home, &["accounts", "list"]).exits(0).says("no accounts").prints_nothing();
    add(&home, "b", &["-o", "hotp", "-a", "sha256"]);
    add(&home, "A:x", &["-P", "60"]);
    add(&home, "_hidden:y", &[]);
    assert_eq!(oath(&home, &["accounts", "list"]).stdout, "A:x\nb\n");
    assert_eq!(oath(&home, &["accounts", "list", "-H"]).stdout, "_hidden:y\nA:x\nb\n");
    assert_eq!(
        oath(&home, &["accounts", "list", "-oP"]).stdout,
        "ACCOUNT  TYPE         PERIOD\nA:x      TOTP SHA1    60 s\nb        HOTP SHA256\n"
    );
    let info = json(&home, &["info"]);
    assert_eq!(
        (&info["accounts"], &info["capacity"], &info["password"]),
        (&3.into(), &64.into(), &false.into())
    );
}

#[test]
fn accounts_are_replaced_renamed_and_deleted() {
    let home = home();
    add(&home, "Example:alice", &[]);
    add(&home, "Example:bob", &[]);
    let again = ["accounts", "add", "Example:alice", "-s", "file:secret"];
    oath(&home, &again).exits(2).says("is on the key already").says("--force").prints_nothing();
    assert_eq!(oath(&home, &[&again[..], &["-f"]].concat()).exits(0).stdout, "replaced Example:alice\n");
    oath(&home, &["accounts", "rename", "example", "x"]).exits(1).says("matches 2 accounts");
    oath(&home, &["accounts", "rename", "alice", "Example:bob"]).exits(4).says("already");
    oath(&home, &["accounts", "rename", "alice", "Shop:carol"]).exits(0);
    assert_eq!(names(&home), ["Example:bob", "Shop:carol"]);
    oath(&home, &["accounts", "delete", "carol"]).exits(2).says("--force").prints_nothing();
    oath(&home, &["accounts", "delete", "nobody", "-f"]).exits(1).says("no account");
    assert_eq!(oath(&home, &["accounts", "delete", "carol", "-f"]).exits(0).stdout, "deleted Shop:carol\n");
    assert_eq!(names(&home), ["Example:bob"]);
    oath(&home, &["reset"]).exits(2).says("--force");
    assert_eq!(names(&home), ["Example:bob"]);
    oath(&home, &["reset", "--force"]).exits(0);
    assert_eq!(names(&home), Vec::<String>::new());
}

/// Nothing that is wrong reaches the key, and no secret is repeated.
#[test]
fn bad_input_is_refused() {
    let home = home();
    home.write("bad", "SECRET1!\n");
    let refused = |arguments: &[&str], says: &str| {
        let outcome =
            oath(&home, &[&["accounts", "add"], arguments].concat()).exits(2).says(says).prints_nothing();
        assert!(!outcome.all().contains("SECRET1"), "{outcome:?}");
    };
    refused(&["x", "-s", "SECRET1"], "says where the secret comes from");
    refused(&["x", "-s", "file:bad"], "not base32");
    refused(&["x", "-s", "file:bad", "--hex"], "no hexadecimal digit");
    refused(&["x"], "the secret is missing");
    refused(&["x", "-g"], "nobody would know the secret");
    refused(&["", "-s", "file:secret"], "empty");
    refused(&["x", "-i", "a:b", "-s", "file:secret"], "colon");
    refused(&[&"x".repeat(65), "-s", "file:secret"], "65 bytes");
    refused(&["x", "-s", "file:secret", "-c", "1"], "--counter is for");
    refused(&["x", "-s", "file:secret", "-o", "hotp", "-P", "60"], "--period is for");
    refused(&["x", "-s", "file:secret", "-d", "9"], "6, 7 or 8 digits");
    refused(&["x", "-s", "file:secret", "-a", "md5"], "SHA1, SHA256 or SHA512");
    refused(&["x", "-s", "file:secret", "-P", "0"], "0");
    assert_eq!(names(&home), Vec::<String>::new());
    assert!(!home.path("seed.xml").exists());
}

#[test]
fn what_old_firmware_lacks_is_refused() {
    let home = home();
    let _key = support::Running::start(home.command(&[
        "--json",
        "emulate",
        "run",
        "old.json",
        "--profile",
        "4.3.5",
    ]));
    let old =
        |arguments: &[&str]| home.run(&[&["--emulated=old.json", "oath", "accounts"], arguments].concat());
    old(&["add", "a", "-s", "file:secret", "-a", "sha512", "-t"]).exits(0);
    old(&["rename", "a", "b"]).exits(4).says("5.3.1").prints_nothing();
    assert_eq!(old(&["list"]).stdout, "a\n");
}

#[test]
fn a_password() {
    let home = home();
    home.write("old", "first password\n");
    home.write("new", "second password\n");
    home.write("wrong", "guessed\n");
    add(&home, "a", &[]);
    assert_eq!(json(&home, &["access", "change", "--new", "file:old"])["password"], true);
    let info = json(&home, &["info"]);
    assert_eq!(
        (&info["password"], &info["accounts"], &info["remembered"]),
        (&true.into(), &Value::Null, &Value::Null)
    );
    oath(&home, &["accounts", "list"]).exits(2).says("the password of the accounts is missing");
    oath(&home, &["accounts", "list", "-p", "file:wrong"]).exits(4).says("wrong");
    assert_eq!(oath(&home, &["accounts", "list", "-p", "file:old"]).exits(0).stdout, "a\n");

    // Remembered: the key that is derived, not the password, for the owner alone.
    oath(&home, &["accounts", "list", "-p", "file:old", "--remember"]).exits(0).says("is remembered in");
    let file = home.path("state/tapkey/oath-keys.json");
    let kept = std::fs::read_to_string(&file).unwrap();
    let device_id = info["device_id"].as_str().unwrap();
    assert!(kept.contains(device_id) && !kept.contains("first password"), "{kept}");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(oath(&home, &["accounts", "list"]).exits(0).stdout, "a\n");
    assert_eq!(json(&home, &["info"])["remembered"], "file");

    // A new password replaces what is remembered.
    oath(&home, &["access", "change", "-n", "file:new"]).exits(0);
    assert_eq!(oath(&home, &["accounts", "list"]).exits(0).stdout, "a\n");
    oath(&home, &["accounts", "list", "-p", "file:old"]).exits(4);
    assert_eq!(json(&home, &["access", "forget"])["forgotten"], 1);
    assert_eq!(json(&home, &["access", "forget"])["forgotten"], 0);
    oath(&home, &["accounts", "list"]).exits(2);

    // One that is remembered and wrong is not used twice.
    oath(&home, &["access", "remember", "-p", "file:new"]).exits(0);
    let right = std::fs::read_to_string(&file).unwrap();
    oath(&home, &["access", "change", "-n", "file:old"]).exits(0);
    std::fs::write(&file, &right).unwrap();
    oath(&home, &["accounts", "list"]).exits(2).says("is not the one of this key any more");
    std::fs::write(&file, "{").unwrap();
    oath(&home, &["accounts", "list", "-p", "file:old"]).exits(0);
    oath(&home, &["accounts", "list"]).exits(2).says("is damaged");
    oath(&home, &["access", "forget", "--all"]).exits(0);
    assert!(!file.exists());

    assert_eq!(json(&home, &["access", "change", "-p", "file:old", "--clear"])["password"], false);
    assert_eq!(oath(&home, &["accounts", "list"]).exits(0).stdout, "a\n");
    oath(&home, &["access", "change", "--clear"]).exits(0).says("no password is set");
}

#[test]
fn a_reset_forgets_what_was_remembered() {
    let home = home();
    home.write("password", "correct horse\n");
    oath(&home, &["access", "change", "-n", "file:password", "-r"]).exits(0);
    assert_eq!(json(&home, &["info"])["remembered"], "file");
    let before = json(&home, &["info"])["device_id"].clone();
    oath(&home, &["reset", "-f"]).exits(0);
    let after = json(&home, &["info"]);
    assert_ne!(after["device_id"], before);
    assert!(!home.read("state/tapkey/oath-keys.json").contains(before.as_str().unwrap()));
}

#[test]
fn a_password_typed_at_the_terminal() {
    let home = home();
    home.write("password", "correct horse\n");
    oath(&home, &["access", "change", "-n", "file:password"]).exits(0);
    let outcome = home.terminal(
        &["--emulated", "oath", "access", "change"],
        &[
            ("assword of the accounts", "correct horse\n"),
            ("New password", "battery\n"),
            ("The same again", "staple\n"),
        ],
    );
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert!(outcome.stdout.contains("differ") && !outcome.stdout.contains("battery"), "{outcome:?}");
    let outcome = home.terminal(
        &["--emulated", "oath", "access", "change"],
        &[
            ("assword of the accounts", "correct horse\n"),
            ("New password", "battery\n"),
            ("The same again", "battery\n"),
        ],
    );
    assert_eq!(outcome.code, 0, "{outcome:?}");
    home.write("password", "battery\n");
    oath(&home, &["accounts", "list", "-p", "file:password"]).exits(0);
}

#[test]
fn uris() {
    let home = home();
    let uri =
        format!("otpauth://totp/Example:alice?secret={SECRET}&issuer=Example&digits=8&algorithm=SHA256");
    let outcome = feed(home.command(&["--emulated", "oath", "accounts", "uri", "-"]), &uri).exits(0);
    assert_eq!(outcome.stdout, "added Example:alice\n");
    home.write("uri", &uri);
    oath(&home, &["accounts", "uri", "file:uri"]).exits(2).says("--force");
    let (at, code) = at_one_time(30, || oath(&home, &["accounts", "code", "-s"]).exits(0).stdout);
    assert_eq!(code.trim(), totp(Algorithm::Sha256, BYTES, at, 30, Digits::EIGHT).to_string());
    let outcome = oath(&home, &["accounts", "uri", &uri]).exits(2).says("says where");
    assert!(!outcome.all().contains(SECRET));
    home.write("steam", &format!("otpauth://totp/Steam:gamer?secret={SECRET}&digits=5\n"));
    oath(&home, &["accounts", "uri", "file:steam", "--touch"]).exits(0);
    // Two accounts of an authenticator app's export.
    home.write(
        "export",
        "otpauth-migration://offline?data=CjEKCkhlbGxvId6tvu8SGEV4YW1wbGU6YWxpY2VAZ29vZ2xlLmNvbRoHRXhhbXBsZTAC\n",
    );
    oath(&home, &["accounts", "uri", "file:export"]).exits(0);
    assert_eq!(names(&home), ["Example:alice", "Example:alice@google.com", "Steam:gamer"]);
}

/// A picture of codes beside each other, in dots of four by four.
fn picture(texts: &[&str]) -> Vec<u8> {
    let codes: Vec<qrcode::QrCode> = texts.iter().map(|text| qrcode::QrCode::new(text).unwrap()).collect();
    let side = codes.iter().map(qrcode::QrCode::width).max().unwrap() + 8;
    let (width, height) = (side * 4 * codes.len(), side * 4);
    let mut bytes = Vec::new();
    for y in 0..height {
        for x in 0..width {
            let code = &codes[x / (side * 4)];
            let (column, row) = ((x / 4 % side).wrapping_sub(4), (y / 4).wrapping_sub(4));
            let inside = column < code.width() && row < code.width();
            bytes.push(if inside && code[(column, row)] == qrcode::Color::Dark { 0 } else { 255 });
        }
    }
    let mut file = Vec::new();
    let mut encoder =
        png::Encoder::new(&mut file, u32::try_from(width).unwrap(), u32::try_from(height).unwrap());
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
    file
}

#[test]
fn pictures() {
    let home = home();
    let uri = |name: &str| format!("otpauth://totp/{name}?secret={SECRET}");
    std::fs::write(home.path("one.png"), picture(&["https://example.org", &uri("alice")])).unwrap();
    oath(&home, &["accounts", "uri", "--image", "one.png"]).exits(0);
    assert_eq!(names(&home), ["alice"]);
    std::fs::write(home.path("two.png"), picture(&[&uri("bob"), &uri("carol")])).unwrap();
    let refused = oath(&home, &["accounts", "uri", "--image", "two.png"]).exits(2).says("--pick N");
    assert!(refused.stderr.contains("bob") && refused.stderr.contains("carol"), "{refused:?}");
    oath(&home, &["accounts", "uri", "--image", "two.png", "--pick", "3"]).exits(2);
    let outcome = home.terminal(
        &["--emulated", "oath", "accounts", "uri", "--image", "two.png"],
        &[("Which one", "all\n")],
    );
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert_eq!(names(&home), ["alice", "bob", "carol"]);
    std::fs::write(home.path("none.png"), picture(&["https://example.org"])).unwrap();
    oath(&home, &["accounts", "uri", "--image", "none.png"]).exits(2).says("not for an account");
    oath(&home, &["accounts", "uri", "--image", "secret"]).exits(2).says("not a PNG picture");
}

#[test]
fn a_secret_that_is_drawn_is_kept() {
    let home = home();
    home.write("pass", "a good passphrase\n");
    home.write("key", "12345678901234567890123456789012\n");
    let shown = json(&home, &["accounts", "add", "A:shown", "-g", "--show-secret", "-a", "sha256"]);
    let uri: KeyUri = shown["uri"].as_str().unwrap().parse().unwrap();
    assert_eq!((uri.secret.len(), shown["secret"].as_str().unwrap().len()), (32, 52));
    let kept = oath(&home, &["accounts", "add", "A:kept", "-g", "-O", "plain.xml"]).exits(0).says("as it is");
    assert_eq!(kept.stdout, "added A:kept\n");
    oath(&home, &["accounts", "add", "A:k", "-g", "-O", "key.xml", "--pskc-key", "file:key"]).exits(0);
    let hotp = ["accounts", "add", "A:p", "-g", "-o", "hotp", "-c", "7", "-O", "pass.xml"];
    oath(&home, &[&hotp[..], &["--pskc-passphrase", "file:pass"]].concat()).exits(0);
    // An existing file is left alone, and then nothing is written to the key either.
    oath(&home, &["accounts", "add", "A:z", "-g", "-O", "key.xml"]).exits(2).says("cannot create");
    assert_eq!(names(&home), ["A:k", "A:kept", "A:p", "A:shown"]);
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(home.path("plain.xml")).unwrap().permissions().mode() & 0o777, 0o600);

    let open = |name: &str, unlock: Unlock<'_>| {
        let text = home.read(name);
        Document::parse(text.as_bytes()).unwrap().open(unlock).unwrap().keys.remove(0)
    };
    let key = open("plain.xml", Unlock::Nothing);
    assert!(matches!(key.kind, KeyKind::Totp { period: 30, .. }));
    assert_eq!(key.device.manufacturer.as_deref(), Some("Yubico"));
    let secret = open("plain.xml", Unlock::Nothing).secret;
    let (at, code) = at_one_time(30, || oath(&home, &["accounts", "code", "-s", "A:kept"]).exits(0).stdout);
    assert_eq!(code.trim(), totp(Algorithm::Sha1, secret.expose(), at, 30, Digits::SIX).to_string());

    // The files go into another key, which then makes the same codes.
    let other =
        |arguments: &[&str]| home.run(&[&["--emulated=other.json", "oath", "accounts"], arguments].concat());
    other(&["import", "key.xml", "--pskc-key", "file:key"]).exits(0);
    other(&["import", "pass.xml"]).exits(2).says("--pskc-passphrase");
    home.write("bad", "another passphrase\n");
    other(&["import", "pass.xml", "--pskc-passphrase", "file:bad"]).exits(2).says("wrong");
    other(&["import", "pass.xml", "--pskc-passphrase", "file:pass"]).exits(0);
    let mine = oath(&home, &["accounts", "code", "-s", "A:p"]).exits(0).stdout;
    assert_eq!(other(&["code", "-s", "A:p"]).exits(0).stdout, mine);
}

#[test]
fn imports_are_checked_before_anything_is_written() {
    let home = home();
    add(&home, "there", &[]);
    home.write(
        "uris",
        &format!(
            "# seeds\n\notpauth://totp/A:one?secret={SECRET}\notpauth://totp/A:two?secret=1\n\
             otpauth://totp/A:one?secret={SECRET}\notpauth://totp/there?secret={SECRET}\nhttps://example.org\n"
        ),
    );
    let refused = oath(&home, &["accounts", "import", "uris"]).exits(2).prints_nothing();
    for line in ["line 4: ", "line 7: "] {
        assert!(refused.stderr.contains(line), "{refused:?}");
    }
    let plan = home
        .run(&["--json", "--emulated", "oath", "accounts", "import", "uris", "--dry-run"])
        .exits(2)
        .json();
    assert_eq!(plan["accounts"].as_array().unwrap().len(), 1, "{plan}");
    let lines: Vec<_> =
        plan["problems"].as_array().unwrap().iter().map(|one| one["line"].as_u64().unwrap()).collect();
    assert_eq!(lines, [4, 5, 6, 7], "{plan}");
    assert_eq!(names(&home), ["there"]);

    home.write(
        "good",
        &format!("otpauth://totp/A:one?secret={SECRET}\notpauth://hotp/there?secret={SECRET}\n"),
    );
    oath(&home, &["accounts", "import", "good"]).exits(2).says("line 2: there is on the key already");
    let plan = oath(&home, &["accounts", "import", "good", "-nf"]).exits(0).stdout;
    assert_eq!(plan, "would add A:one\nwould replace there\n");
    assert_eq!(names(&home), ["there"]);
    assert_eq!(
        oath(&home, &["accounts", "import", "good", "-f"]).exits(0).stdout,
        "added A:one\nreplaced there\n"
    );

    // More than there is room for.
    let many: String = (0..63).map(|n| format!("otpauth://totp/x{n}?secret={SECRET}\n")).collect();
    home.write("many", &many);
    oath(&home, &["accounts", "import", "many"]).exits(2).says("line 63: the key is full").prints_nothing();
    assert_eq!(names(&home).len(), 2);
    let fitting: String = many.lines().take(62).map(|line| format!("{line}\n")).collect();
    let outcome = feed(home.command(&["--emulated", "oath", "accounts", "import", "-"]), &fitting).exits(0);
    assert_eq!(outcome.stdout.lines().count(), 62);
    assert_eq!(names(&home).len(), 64);
}

#[test]
fn files_with_other_keys_are_refused_as_a_whole() {
    let home = home();
    let key = |algorithm: &str| {
        format!(
            "<KeyPackage><Key Id=\"x{}\" Algorithm=\"{algorithm}\"><Data><Secret>\
             <PlainValue>MTIzNDU2Nzg5MDEyMzQ1Ng==</PlainValue></Secret></Data></Key></KeyPackage>\n",
            algorithm.len()
        )
    };
    let file = |keys: &[&str]| {
        let keys: String = keys.iter().map(|name| key(name)).collect();
        format!(
            "<KeyContainer Version=\"1.0\" xmlns=\"urn:ietf:params:xml:ns:keyprov:pskc\">\n{keys}</KeyContainer>\n"
        )
    };
    let hotp = "urn:ietf:params:xml:ns:keyprov:pskc:hotp";
    home.write("ocra.xml", &file(&[hotp, "urn:ietf:params:xml:ns:keyprov:pskc:OCRA-1:HOTP-SHA1-6:QN08"]));
    oath(&home, &["accounts", "import", "ocra.xml"]).exits(2).says("line 3: a YubiKey does not compute");
    home.write("yubico.xml", &file(&["http://www.yubico.com/#yubikey-aes"]));
    oath(&home, &["accounts", "import", "yubico.xml"]).exits(2).says("belongs into a slot");
    home.write("pin.xml", &file(&[hotp, "urn:ietf:params:xml:ns:keyprov:pskc:pin"]));
    assert_eq!(names(&home), Vec::<String>::new());
    oath(&home, &["accounts", "import", "pin.xml"]).exits(0).says("a PIN was left out");
    assert_eq!(names(&home).len(), 1);
    home.write("bomb.xml", "<!DOCTYPE x [<!ENTITY a \"aaaa\">]><x>&a;</x>");
    oath(&home, &["accounts", "import", "bomb.xml"]).exits(2).says("document type");
}

#[test]
fn codes_are_watched_until_the_end() {
    let home = home();
    add(&home, "alice", &[]);
    // In place on a terminal.
    let outcome =
        home.terminal(&["--emulated", "oath", "accounts", "code", "--watch"], &[("\u{1b}[1A", "\u{3}")]);
    assert_eq!(outcome.code, 130, "{outcome:?}");
    assert!(outcome.stdout.contains("alice") && outcome.stdout.contains("█"), "{outcome:?}");
    assert!(!outcome.stdout.contains("error"), "{outcome:?}");
    // For programs, one document for each set of codes.
    let mut watch = support::Running::start(home.command(&[
        "--json",
        "--emulated",
        "oath",
        "accounts",
        "code",
        "--watch",
    ]));
    assert_eq!(watch.ready["schema"], "oath-codes/1");
    assert_eq!(watch.ready["accounts"][0]["code"].as_str().unwrap().len(), 6);
    watch.signal("INT");
    assert_eq!(watch.wait(), 130);
}

/// Where the keyring cannot be reached, that is said, and nothing is lost.
#[test]
fn without_a_keyring() {
    let home = home();
    home.write("password", "correct horse\n");
    oath(&home, &["access", "change", "-n", "file:password"]).exits(0);
    let arguments = ["access", "remember", "--in", "keyring", "-p", "file:password"];
    oath(&home, &arguments).exits(6).says("the keyring does not answer").says("--remember=file");
    assert_eq!(json(&home, &["info"])["remembered"], Value::Null);
    oath(&home, &["access", "remember", "-p", "file:password"]).exits(0);
    oath(&home, &["accounts", "list"]).exits(0);
}
