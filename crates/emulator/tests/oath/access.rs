//! The password, and what is refused before anything else is looked at.

use super::*;

#[test]
fn a_key_without_password() {
    let bench = Bench::new();
    let oath = Oath::open(&bench);
    assert_eq!(oath.selected.lock, None);
    let lock = Lock { challenge: [0; 8], algorithm: Algorithm::Sha1 };
    let proof = Validate::new(&oath.key("x"), &lock, [3; 8]).encode();
    assert_eq!(oath.send(ins::VALIDATE, &proof), Err(NO_SUCH));
    assert_eq!(oath.send(ins::SET_CODE, &SetCode::Remove.encode()), Ok(vec![]));
}

#[test]
fn a_password_locks_everything_but_proof_and_reset() {
    let bench = Bench::new();
    let key = locked(&bench);
    let oath = Oath::open(&bench);
    assert_eq!(oath.names(), ["a"], "whoever set it stays in");
    bench.select(AID_OTP).unwrap();
    let oath = Oath::open(&bench);
    for (instruction, body) in [
        (ins::PUT, credential("b", Kind::Totp).encode()),
        (ins::PUT, vec![]),
        (ins::DELETE, Delete(id("a")).encode()),
        (ins::RENAME, Rename { from: id("a"), to: id("b") }.encode()),
        (ins::LIST, vec![]),
        (ins::CALCULATE, Calculate::hotp(id("a")).encode()),
        (ins::CALCULATE_ALL, Challenge::none().encode()),
        (ins::SET_CODE, SetCode::Remove.encode()),
    ] {
        assert_eq!(oath.send(instruction, &body), Err(LOCKED), "{instruction:#04x}");
    }
    let wrong = oath.key("wrong");
    assert_eq!(oath.validate(&wrong), Err(StatusWord::WRONG_DATA));
    assert_eq!(oath.send(ins::LIST, &[]), Err(LOCKED));
    let proof = oath.validate(&key).unwrap();
    assert!(key.accepts(&[3; 8], &proof), "the key proves that it is the key");
    assert_eq!(oath.names(), ["a"]);
}

#[test]
fn an_old_proof_is_worth_nothing() {
    let bench = Bench::new();
    let key = locked(&bench);
    bench.select(AID_MANAGEMENT).unwrap();
    let oath = Oath::open(&bench);
    let proof = Validate::new(&key, &oath.lock(), [3; 8]).encode();
    let again = Oath::open(&bench);
    assert_ne!(oath.lock().challenge, again.lock().challenge);
    assert_eq!(again.send(ins::VALIDATE, &proof), Err(StatusWord::WRONG_DATA));
}

#[test]
fn what_locks_again() {
    let bench = Bench::new();
    let key = locked(&bench);
    let is_open = |bench: &Bench| Oath::open(bench).send(ins::LIST, &[]).is_ok();
    let unlock = |bench: &Bench| Oath::open(bench).validate(&key).map(drop).unwrap();
    assert!(is_open(&bench), "selecting the application again does not");
    assert!(is_open(&bench));
    bench.select(AID_MANAGEMENT).unwrap();
    assert!(!is_open(&bench), "another application does");
    unlock(&bench);
    assert_eq!(bench.select(&[0xA0, 0, 0, 9, 9, 9]), Err(StatusWord::NOT_FOUND));
    assert!(is_open(&bench), "an application that is not there does not");
    bench.key.card().unwrap().reset().unwrap();
    assert!(!is_open(&bench), "a reset does");
    unlock(&bench);
    bench.key.replug().unwrap();
    assert!(!is_open(&bench), "power does");
    unlock(&bench);
    Oath::open(&bench).send(ins::SET_CODE, &SetCode::Remove.encode()).unwrap();
    bench.key.replug().unwrap();
    assert!(is_open(&bench), "without a password it is open");
    assert_eq!(Oath::open(&bench).selected.lock, None);
}

#[test]
fn a_password_that_its_host_cannot_prove_is_not_set() {
    let bench = Bench::new();
    let oath = Oath::open(&bench);
    let mut body = SetCode::set(&oath.key("x"), [1; 8]).encode();
    *body.last_mut().unwrap() ^= 1;
    assert_eq!(oath.send(ins::SET_CODE, &body), Err(StatusWord::WRONG_DATA));
    assert_eq!(Oath::open(&bench).selected.lock, None);
}

#[test]
fn reset_deletes_everything_and_makes_another_key_of_it() {
    let bench = Bench::new();
    locked(&bench);
    bench.select(AID_OTP).unwrap();
    let before = Oath::open(&bench);
    for (p1, p2) in [(0, 0), (0xDE, 0), (0xAD, 0xDE)] {
        assert_eq!(before.send_with(ins::RESET, p1, p2, &[]), Err(StatusWord::WRONG_PARAMETERS));
    }
    before.reset();
    let after = Oath::open(&bench);
    assert_eq!(after.selected.lock, None);
    assert_ne!(device_id(&after.selected.salt), device_id(&before.selected.salt));
    assert!(after.names().is_empty());
}

#[test]
fn parameters_are_looked_at_first() {
    let bench = Bench::new();
    locked(&bench);
    bench.select(AID_OTP).unwrap();
    let oath = Oath::open(&bench);
    for instruction in [ins::PUT, ins::DELETE, ins::SET_CODE, ins::RENAME, ins::LIST, ins::VALIDATE] {
        assert_eq!(oath.send_with(instruction, 0, 1, &[]), Err(StatusWord::WRONG_PARAMETERS));
        assert_eq!(oath.send_with(instruction, 1, 0, &[]), Err(StatusWord::WRONG_PARAMETERS));
    }
    for instruction in [ins::CALCULATE, ins::CALCULATE_ALL] {
        assert_eq!(oath.send_with(instruction, 0, 2, &[]), Err(StatusWord::WRONG_PARAMETERS));
        assert_eq!(oath.send_with(instruction, 0, 1, &[]), Err(LOCKED));
    }
    assert_eq!(oath.send(0x06, &[]), Err(StatusWord::INS_NOT_SUPPORTED));
}

#[test]
fn both_classes_are_served() {
    let bench = Bench::new();
    Oath::open(&bench);
    assert_eq!(bench.raw(&[0x80, ins::LIST, 0, 0]).status, StatusWord::SUCCESS);
    assert_eq!(bench.raw(&[0x90, ins::LIST, 0, 0]).status, StatusWord::SUCCESS, "begins a chain");
    assert_eq!(bench.raw(&[0x40, ins::LIST, 0, 0]).status, StatusWord::CLA_NOT_SUPPORTED);
    bench.select(AID_MANAGEMENT).unwrap();
    assert_eq!(bench.raw(&[0x80, 0x1D, 0, 0]).status, StatusWord::CLA_NOT_SUPPORTED);
}

#[test]
fn the_application_can_be_switched_off() {
    use tapkey_protocol::management::{Capabilities, DeviceConfig, ins as management};
    let bench = Bench::new();
    Oath::open(&bench);
    let without = Capabilities(0x033F & !Capabilities::OATH.0);
    let config = DeviceConfig { usb_enabled: Some(without), ..DeviceConfig::default() };
    bench.select(AID_MANAGEMENT).unwrap();
    bench
        .transmit(&Command::new(0, management::WRITE_CONFIG, 0, 0, config.encode().expose().to_vec()))
        .unwrap();
    bench.key.replug().unwrap();
    assert_eq!(bench.select(aid::OATH), Err(StatusWord::NOT_FOUND));
    bench.nfc();
    Oath::open(&bench);
}
