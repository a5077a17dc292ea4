//! Yubico's ykman keeps accounts in the OATH application and asks it for codes.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tapkey_emulator::{Milliseconds, Power, TouchPolicy};
use tapkey_protocol::oath::{Algorithm, Digits, totp};
use tapkey_tests::pcscd::Pcscd;

use super::key_5;

/// The secret of RFC 4226 and RFC 6238, "12345678901234567890".
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn oath(pcscd: &Pcscd, arguments: &[&str]) -> String {
    pcscd.ykman(0, &[&["oath"], arguments].concat()).unwrap().succeeds().unwrap()
}

/// The codes of this moment, and of a moment before, when the program may have asked.
fn codes(algorithm: Algorithm, digits: u8) -> [String; 2] {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    [now, now - 30].map(|time| {
        totp(algorithm, b"12345678901234567890", time, 30, Digits::try_from(digits).unwrap()).to_string()
    })
}

#[test]
fn accounts_and_their_codes() {
    let pcscd = Pcscd::start(vec![key_5()]).unwrap();
    oath(&pcscd, &["accounts", "add", "alice@example.org", SECRET, "-i", "Example"]);
    oath(&pcscd, &["accounts", "add", "counter", SECRET, "-o", "HOTP"]);
    let uri = format!("otpauth://totp/Shop:bob?secret={SECRET}&issuer=Shop&algorithm=SHA256&digits=8");
    oath(&pcscd, &["accounts", "uri", &uri]);
    let list = oath(&pcscd, &["accounts", "list"]);
    let mut names: Vec<&str> = list.lines().collect();
    names.sort_unstable();
    assert_eq!(names, ["Example:alice@example.org", "Shop:bob", "counter"]);

    let all = oath(&pcscd, &["accounts", "code"]);
    assert!(codes(Algorithm::Sha1, 6).iter().any(|code| all.contains(code)), "{all}");
    assert!(codes(Algorithm::Sha256, 8).iter().any(|code| all.contains(code)), "{all}");
    assert!(all.contains("[HOTP Account]"), "{all}");
    // RFC 4226, appendix D.
    for code in ["755224", "287082"] {
        assert_eq!(oath(&pcscd, &["accounts", "code", "-s", "counter"]).trim(), code);
    }
    oath(&pcscd, &["accounts", "rename", "Shop:bob", "Shop:robert", "-f"]);
    oath(&pcscd, &["accounts", "delete", "counter", "-f"]);
    let list = oath(&pcscd, &["accounts", "list"]);
    assert!(list.contains("Shop:robert") && !list.contains("bob") && !list.contains("counter"), "{list}");
}

#[test]
fn a_code_that_needs_a_touch() {
    let pcscd = Pcscd::start(vec![key_5()]).unwrap();
    oath(&pcscd, &["accounts", "add", "touchy", SECRET, "--touch"]);
    // With one account alone, asking for all codes would be asking for this one.
    oath(&pcscd, &["accounts", "add", "other", SECRET]);
    assert!(oath(&pcscd, &["accounts", "code"]).contains("[Requires Touch]"));
    let key = pcscd.key(0).unwrap();
    key.with(|key| key.set_touch_policy(TouchPolicy::Automatic(Milliseconds(100))));
    let code = oath(&pcscd, &["accounts", "code", "-s", "touchy"]);
    assert!(codes(Algorithm::Sha1, 6).contains(&code.trim().to_owned()), "{code}");
}

#[test]
fn a_key_pulled_out_while_it_waits_for_a_touch() {
    let mut pcscd = Pcscd::start(vec![key_5()]).unwrap();
    oath(&pcscd, &["accounts", "add", "touchy", SECRET, "--touch"]);
    let key = pcscd.key(0).unwrap();
    let start = Instant::now();
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| pcscd.ykman(0, &["oath", "accounts", "code", "touchy"]).unwrap().fails());
        while key.snapshot().waits_for_touch.is_none() {
            assert!(start.elapsed() < Duration::from_secs(20), "nothing waits");
            std::thread::sleep(Duration::from_millis(10));
        }
        key.unplug();
        let said = asking.join().unwrap().unwrap();
        assert!(!said.contains("timed out"), "it was told at once: {said}");
    });
    key.plug(Power::Usb).unwrap();
    pcscd.wait_for_cards(1).unwrap();
    assert_eq!(oath(&pcscd, &["accounts", "list"]).trim(), "touchy");
    assert!(pcscd.is_running());
}

#[test]
fn a_password_guards_the_accounts_until_the_reset() {
    let pcscd = Pcscd::start(vec![key_5()]).unwrap();
    oath(&pcscd, &["accounts", "add", "alice", SECRET]);
    oath(&pcscd, &["access", "change", "-n", "open sesame"]);
    assert!(oath(&pcscd, &["info"]).contains("Password protection: enabled"));
    let wrong = pcscd.ykman(0, &["oath", "accounts", "list", "-p", "wrong"]).unwrap().fails().unwrap();
    assert!(wrong.to_lowercase().contains("password"), "{wrong}");
    assert_eq!(oath(&pcscd, &["accounts", "list", "-p", "open sesame"]).trim(), "alice");
    oath(&pcscd, &["access", "change", "-p", "open sesame", "--clear"]);
    assert_eq!(oath(&pcscd, &["accounts", "list"]).trim(), "alice");
    oath(&pcscd, &["reset", "-f"]);
    assert_eq!(oath(&pcscd, &["accounts", "list"]).trim(), "");
}
