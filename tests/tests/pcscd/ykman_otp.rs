//! Yubico's ykman programs both slots over the smart card; what it programmed is then pressed.

use tapkey_emulator::{Power, Press, Silence};
use tapkey_protocol::{
    link::CardLink,
    otp::{AesKey, Otp},
    slot::Slot,
};
use tapkey_tests::pcscd::Pcscd;

use super::{key_5, key_on_nfc, typed};

const AES: [u8; 16] = *b"0123456789abcdef";
/// A published challenge and its response.
const HMAC_KEY: &str = "b3cd9bc5afa573fc2ea2b7baa995af99fef9b2b4";
const CHALLENGE: &str = "1122334455667788";
const RESPONSE: &str = "884701c5995a388f2832246fdee22196943825bf";

#[test]
fn a_yubico_otp_credential_types_what_opens_with_its_key() {
    let pcscd = Pcscd::start(vec![key_5()]).unwrap();
    let aes = data_encoding::HEXLOWER.encode(&AES);
    let (public, private) = ("vvcccccccccb", "010203040506");
    let arguments = ["otp", "yubiotp", "1", "-P", public, "-p", private, "-k", &aes, "--force"];
    pcscd.ykman(0, &arguments).unwrap().succeeds().unwrap();
    let info = pcscd.ykman(0, &["otp", "info"]).unwrap().succeeds().unwrap();
    assert!(info.contains("Slot 1: programmed") && info.contains("Slot 2: empty"), "{info}");

    let first = typed(pcscd.key(0).unwrap(), Slot::One);
    assert!(first.ends_with('\n'), "{first:?}");
    let otp: Otp = first.trim().parse().unwrap();
    assert_eq!(otp.public_id().to_string(), public);
    let token = otp.open(&AesKey::new(AES)).unwrap();
    assert_eq!((token.private_id.expose(), token.use_counter_raw), (&[1, 2, 3, 4, 5, 6], 1));
    let second: Otp = typed(pcscd.key(0).unwrap(), Slot::One).trim().parse().unwrap();
    assert_eq!(second.open(&AesKey::new(AES)).unwrap().session_counter, token.session_counter + 1);

    // The same with everything drawn by ykman, and without Enter.
    let drawn = ["otp", "yubiotp", "2", "--serial-public-id", "-g", "-G", "--no-enter", "--force"];
    let said = pcscd.ykman(0, &drawn).unwrap().succeeds().unwrap();
    let otp = typed(pcscd.key(0).unwrap(), Slot::Two);
    assert!(said.contains(&otp[..12]), "the public id of {otp:?} is not in {said}");
    assert_eq!(otp.len(), 44);
}

#[test]
fn static_passwords_and_hotp_are_typed() {
    let pcscd = Pcscd::start(vec![key_5()]).unwrap();
    let key = pcscd.key(0).unwrap();
    pcscd.ykman(0, &["otp", "static", "1", "Correct-Horse9!", "-k", "US", "-f"]).unwrap().succeeds().unwrap();
    assert_eq!(typed(key, Slot::One), "Correct-Horse9!\n");
    pcscd.ykman(0, &["otp", "static", "1", "-g", "-l", "38", "-f"]).unwrap().succeeds().unwrap();
    assert_eq!(typed(key, Slot::One).trim_end().len(), 38);

    // RFC 4226, appendix D.
    let hotp = ["otp", "hotp", "2", "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "-f"];
    pcscd.ykman(0, &hotp).unwrap().succeeds().unwrap();
    assert_eq!([typed(key, Slot::Two), typed(key, Slot::Two)], ["755224\n", "287082\n"]);
    let later = [&hotp[..4], &["-d", "8", "-c", "16", "--no-enter", "-f"]].concat();
    pcscd.ykman(0, &later).unwrap().succeeds().unwrap();
    let code = typed(key, Slot::Two);
    assert!(code.len() == 8 && code.bytes().all(|byte| byte.is_ascii_digit()), "{code:?}");
}

#[test]
fn swap_settings_delete_and_ndef() {
    let pcscd = Pcscd::start(vec![key_5()]).unwrap();
    let key = pcscd.key(0).unwrap();
    pcscd.ykman(0, &["otp", "static", "1", "abc", "-k", "US", "-f"]).unwrap().succeeds().unwrap();
    pcscd.ykman(0, &["otp", "swap", "-f"]).unwrap().succeeds().unwrap();
    assert_eq!(key.press(Slot::One).unwrap(), Press::Nothing(Silence::Empty));
    assert_eq!(typed(key, Slot::Two), "abc\n");
    pcscd.ykman(0, &["otp", "settings", "2", "--no-enter", "-f"]).unwrap().succeeds().unwrap();
    assert_eq!(typed(key, Slot::Two), "abc");
    let uri = ["otp", "ndef", "2", "--prefix", "https://example.org/#"];
    pcscd.ykman(0, &uri).unwrap().succeeds().unwrap();
    let empty = pcscd.ykman(0, &["otp", "ndef", "1"]).unwrap().fails().unwrap();
    assert!(empty.contains("Slot 1 is empty"), "{empty}");
    pcscd.ykman(0, &["otp", "delete", "2", "-f"]).unwrap().succeeds().unwrap();
    assert_eq!(key.press(Slot::Two).unwrap(), Press::Nothing(Silence::Empty));
    let again = pcscd.ykman(0, &["otp", "delete", "2"]).unwrap().fails().unwrap();
    assert!(again.contains("empty"), "{again}");
}

#[test]
fn access_codes_protect_a_slot() {
    let pcscd = Pcscd::start(vec![key_5()]).unwrap();
    let key = pcscd.key(0).unwrap();
    let (code, wrong) = ("0a0b0c0d0e0f", "0a0b0c0d0e00");
    pcscd.ykman(0, &["otp", "static", "1", "abc", "-k", "US", "-f"]).unwrap().succeeds().unwrap();
    pcscd.ykman(0, &["otp", "settings", "1", "-A", code, "-f"]).unwrap().succeeds().unwrap();
    assert!(key.snapshot().slots[0].as_ref().unwrap().protected);

    let change = ["static", "1", "xyz", "-k", "US", "-f"];
    for refused in [&["otp"][..], &["otp", "--access-code", wrong]] {
        pcscd.ykman(0, &[refused, &change].concat()).unwrap().fails().unwrap();
        pcscd.ykman(0, &[refused, &["delete", "1", "-f"]].concat()).unwrap().fails().unwrap();
    }
    assert_eq!(typed(key, Slot::One), "abc\n");
    let with_code = ["otp", "--access-code", code];
    pcscd.ykman(0, &[&with_code, &change[..]].concat()).unwrap().succeeds().unwrap();
    assert_eq!(typed(key, Slot::One), "xyz\n");
    assert!(key.snapshot().slots[0].as_ref().unwrap().protected);
    let free = [&with_code[..], &["settings", "1", "--delete-access-code", "-f"]].concat();
    pcscd.ykman(0, &free).unwrap().succeeds().unwrap();
    pcscd.ykman(0, &["otp", "delete", "1", "-f"]).unwrap().succeeds().unwrap();
}

#[test]
fn challenges_are_answered_over_nfc_and_only_there() {
    let pcscd = Pcscd::start(vec![key_5()]).unwrap();
    let key = pcscd.key(0).unwrap();
    pcscd.ykman(0, &["otp", "chalresp", "2", HMAC_KEY, "-f"]).unwrap().succeeds().unwrap();
    pcscd.ykman(0, &["otp", "calculate", "2", CHALLENGE]).unwrap().fails().unwrap();
    key.unplug();
    key.plug(Power::Nfc).unwrap();
    let mut card = key.card().unwrap();
    card.transmit(&[0, 0xA4, 4, 0, 7, 0xA0, 0, 0, 5, 0x27, 0x20, 1]).unwrap();
    let challenge = data_encoding::HEXLOWER.decode(CHALLENGE.as_bytes()).unwrap();
    // ykman made it a slot for challenges of any length, where the last byte repeated is padding.
    let padded: Vec<u8> = challenge.iter().copied().chain([0; 56]).collect();
    let answer = card.transmit(&[&[0, 1, 0x38, 0, 64], &padded[..]].concat()).unwrap();
    assert_eq!(data_encoding::HEXLOWER.encode(&answer), format!("{RESPONSE}9000"));
}

#[test]
fn a_key_on_a_contactless_reader() {
    let pcscd = Pcscd::start(vec![key_on_nfc()]).unwrap();
    let reader = "ACS ACR122U PICC Interface 00 00";
    let info = pcscd.ykman_on(reader, &["info"]).unwrap().succeeds().unwrap();
    assert!(info.contains("YubiKey 5 NFC") && info.contains("Serial number: 4026531841"), "{info}");
    let chalresp = ["otp", "chalresp", "2", HMAC_KEY, "-f"];
    pcscd.ykman_on(reader, &chalresp).unwrap().succeeds().unwrap();
    let response = pcscd.ykman_on(reader, &["otp", "calculate", "2", CHALLENGE]).unwrap().succeeds().unwrap();
    assert_eq!(response.trim(), RESPONSE);
}
