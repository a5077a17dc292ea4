//! Our own program and driver reach the key through pcscd, as they reach real ones.

use serde_json::Value;
use tapkey_protocol::slot::Slot;
use tapkey_tests::pcscd::Pcscd;

use super::{key_5, key_on_nfc, typed};

fn json(pcscd: &Pcscd, arguments: &[&str]) -> Value {
    let text = pcscd.tapkey(&[&["--json"], arguments].concat()).unwrap().succeeds().unwrap();
    serde_json::from_str(&text).unwrap()
}

const CHOICE: [&str; 2] = ["--serial", "4026531841"];

#[test]
fn list_info_and_slots() {
    let pcscd = Pcscd::start(vec![key_5()]).unwrap();
    let list = json(&pcscd, &["list"]);
    let keys = list["keys"].as_array().unwrap();
    let ours = keys.iter().find(|key| key["serial"] == 4_026_531_841_u32).unwrap();
    assert_eq!((&ours["version"], &ours["name"]), (&"5.7.4".into(), &"YubiKey 5 NFC".into()));
    let info = json(&pcscd, &[&CHOICE[..], &["info"]].concat());
    assert_eq!(info["software"], false, "nothing tells it from a key that is plugged in");

    let write = [&CHOICE[..], &["otp", "yubiotp", "2", "--yes", "--show-secret"]].concat();
    let written = json(&pcscd, &write);
    let otp = typed(pcscd.key(0).unwrap(), Slot::Two);
    assert!(otp.starts_with(written["public_id"].as_str().unwrap()), "{otp} {written}");
    let slots = json(&pcscd, &[&CHOICE[..], &["otp", "info"]].concat());
    assert_eq!(slots["slots"][1]["programmed"], true, "{slots}");
    pcscd.tapkey(&[&CHOICE[..], &["otp", "swap", "--yes"]].concat()).unwrap().succeeds().unwrap();
    assert_eq!(&typed(pcscd.key(0).unwrap(), Slot::One)[..12], &otp[..12]);
    pcscd.tapkey(&[&CHOICE[..], &["otp", "delete", "1", "--force"]].concat()).unwrap().succeeds().unwrap();
    assert_eq!(pcscd.key(0).unwrap().snapshot().slots, [None, None]);
}

#[test]
fn challenge_over_nfc() {
    let pcscd = Pcscd::start(vec![key_on_nfc()]).unwrap();
    let key = "b3cd9bc5afa573fc2ea2b7baa995af99fef9b2b4";
    pcscd.ykman_on("ACS", &["otp", "chalresp", "2", key, "-f"]).unwrap().succeeds().unwrap();
    let arguments = ["--reader", "ACR122U", "challenge", "-2", "-x", "1122334455667788"];
    let response = pcscd.tapkey(&arguments).unwrap().succeeds().unwrap();
    assert_eq!(response.trim(), "884701c5995a388f2832246fdee22196943825bf");
}

#[test]
fn without_a_key_in_the_reader_the_exit_code_says_so() {
    let pcscd = Pcscd::start(vec![key_5()]).unwrap();
    pcscd.key(0).unwrap().unplug();
    pcscd.wait_for_cards(0).unwrap();
    let run = pcscd.tapkey(&[&CHOICE[..], &["info"]].concat()).unwrap();
    assert_eq!(run.code(), Some(3), "{run}");
}
