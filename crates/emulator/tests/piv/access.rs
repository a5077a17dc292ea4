//! PIN and PUK: tries, blocking, unblocking, policies, touches.

use super::*;
use tapkey_protocol::piv::TouchPolicy as Touch;

#[test]
fn a_pin_has_three_tries_and_a_right_one_gives_them_back() {
    let bench = Bench::new();
    let piv = Piv::open(&bench);
    assert_eq!(piv.send(&command::pin_state()), Err(tries_left(3)));
    assert_eq!(piv.verify(b"000000"), Err(tries_left(2)));
    assert_eq!(piv.verify(b"123456"), Ok(()));
    assert_eq!(piv.send(&command::pin_state()), Ok(vec![]));
    assert_eq!(piv.tries(), (3, 3));
    assert_eq!(piv.verify(b"000000"), Err(tries_left(2)), "and forgets what was verified");
    assert_eq!(piv.send(&command::pin_state()), Err(tries_left(2)));
    assert_eq!(piv.verify(b"000000"), Err(tries_left(1)));
    assert_eq!(piv.verify(b"000000"), Err(BLOCKED));
    assert_eq!(piv.verify(b"123456"), Err(BLOCKED), "the right one comes too late");
    assert_eq!(piv.send(&command::pin_state()), Err(BLOCKED));

    assert_eq!(piv.unblock(b"00000000", b"654321"), Err(tries_left(2)));
    assert_eq!(piv.unblock(b"12345678", b"654321"), Ok(()));
    assert_eq!(piv.verify(b"654321"), Ok(()));
    assert_eq!(piv.tries(), (3, 3));
}

#[test]
fn bodies_of_other_lengths_cost_no_try_but_log_out() {
    let bench = Bench::new();
    let piv = Piv::open(&bench);
    piv.verify(b"123456").unwrap();
    assert_eq!(piv.send(&Command::new(0, 0x20, 0, 0x80, [0x31; 7])), Err(WRONG));
    assert_eq!(piv.send(&command::pin_state()), Err(tries_left(3)));
    assert_eq!(piv.send(&Command::new(0, 0x20, 1, 0x80, [])), Err(WRONG));
    assert_eq!(piv.send(&Command::new(0, 0x20, 0, 0x81, *b"12345678")), Err(WRONG));
    assert_eq!(piv.send(&Command::new(0, 0x24, 0, 0x80, [0x31; 15])), Err(WRONG));
    assert_eq!(piv.send(&Command::new(0, 0x24, 0, 0x82, [0x31; 16])), Err(EMPTY));
    assert_eq!(piv.tries(), (3, 3));
    // How Yubico's programs block a PIN.
    assert_eq!(piv.send(&Command::new(0, 0x20, 0, 0x80, [0xFF; 8])), Err(tries_left(2)));
    assert_eq!(piv.send(&Command::new(0, 0x2C, 0, 0x80, [0xFF; 16])), Err(tries_left(2)));
}

#[test]
fn a_new_value_is_judged_after_the_old_one() {
    let bench = Bench::new();
    let piv = Piv::open(&bench);
    let raw =
        |p2: u8, old: &[u8; 8], new: &[u8; 8]| piv.send(&Command::new(0, 0x24, 0, p2, [*old, *new].concat()));
    let refused = Err(StatusWord::CONDITIONS_NOT_SATISFIED);
    assert_eq!(raw(0x80, b"000000\xFF\xFF", b"12\xFF\xFF\xFF\xFF\xFF\xFF"), Err(tries_left(2)));
    for new in [b"12345\xFF\xFF\xFF", b"12345\xE4\xFF\xFF", b"12\xFF456\xFF\xFF"] {
        assert_eq!(raw(0x80, b"123456\xFF\xFF", new), refused, "{new:?}");
    }
    assert_eq!(piv.tries(), (3, 3), "the old one was right");
    assert_eq!(raw(0x81, b"12345678", b"12345\xE4\xFF\xFF"), refused, "from 5.7 on");
    piv.change_pin(b"123456", b"tr0ub4do").unwrap();
    piv.verify(b"tr0ub4do").unwrap();
    let old = Bench::of(Profile::YUBIKEY_5_4_3);
    let piv = Piv::open(&old);
    let change = [*b"12345678", *b"12345\xE4\xFF\xFF"].concat();
    assert_eq!(piv.send(&Command::new(0, 0x24, 0, 0x81, change)), Ok(vec![]), "before 5.7");
}

#[test]
fn pin_complexity_refuses_what_everybody_tries_first() {
    let key = VirtualKey::builder().pin_complexity().build().unwrap();
    let bench = Bench::with(key);
    let piv = Piv::open(&bench);
    assert!(bench.key.with(|key| key.info().pin_complexity).unwrap());
    let refused = Err(StatusWord::CONDITIONS_NOT_SATISFIED);
    assert_eq!(piv.change_pin(b"123456", b"111111"), refused);
    assert_eq!(piv.change_pin(b"123456", b"654321"), refused);
    assert_eq!(piv.change_pin(b"123456", b"Password"), refused);
    assert_eq!(piv.unblock(b"12345678", b"123456"), refused);
    assert_eq!(piv.change_pin(b"123456", b"204863"), Ok(()));
}

#[test]
fn more_tries_take_the_pin_and_the_management_key() {
    let bench = Bench::new();
    let piv = Piv::open(&bench);
    assert_eq!(piv.send(&command::set_retries(5, 6)), Err(LOCKED));
    piv.verify(b"123456").unwrap();
    assert_eq!(piv.send(&command::set_retries(5, 6)), Err(LOCKED));
    piv.change_pin(b"123456", b"204863").unwrap();
    piv.administer();
    assert_eq!(piv.send(&command::set_retries(0, 0)), Err(WRONG), "that would be for good");
    piv.send(&command::set_retries(200, 6)).unwrap();
    assert_eq!(piv.tries(), (200, 6));
    assert_eq!(piv.verify(b"000000"), Err(StatusWord(0x63CF)), "no status word tells more than 15");
    piv.verify(b"123456").unwrap();
}

#[test]
fn policies_of_the_pin() {
    let bench = Bench::new();
    let piv = Piv::open(&bench);
    piv.administer();
    for (slot, policy) in [(0x82, PinPolicy::Never), (0x83, PinPolicy::Once), (0x84, PinPolicy::Always)] {
        let slot = Slot::try_from(slot).unwrap();
        piv.generate(slot, &with_policies(Algorithm::P256, policy, Touch::Never)).unwrap();
        assert_eq!(piv.metadata(slot).unwrap().pin_policy, policy);
    }
    let [never, once, always] = [0x82, 0x83, 0x84].map(|slot| Slot::try_from(slot).unwrap());
    assert!(piv.sign(never).is_ok());
    assert_eq!((piv.sign(once), piv.sign(always)), (Err(LOCKED), Err(LOCKED)));
    piv.verify(b"123456").unwrap();
    assert!(piv.sign(never).is_ok() && piv.sign(always).is_ok());
    assert_eq!(piv.sign(always), Err(LOCKED), "once per verification");
    assert!(piv.sign(once).is_ok() && piv.sign(once).is_ok());
    assert!(piv.send(&command::pin_state()).is_ok());
    // Another key that wants the PIN uses it up as well, and so does one that fails.
    piv.verify(b"123456").unwrap();
    assert!(piv.sign(once).is_ok());
    assert_eq!(piv.sign(always), Err(LOCKED));
    piv.verify(b"123456").unwrap();
    let too_long = Authenticate::Sign(vec![7; 33].into());
    assert_eq!(piv.use_key(always, Algorithm::P256, &too_long), Err(WRONG));
    assert_eq!(piv.sign(always), Err(LOCKED));
    // What never reached the key does not.
    piv.verify(b"123456").unwrap();
    assert_eq!(piv.use_key(always, Algorithm::P384, &too_long), Err(WRONG));
    assert!(piv.sign(always).is_ok());
}

#[test]
fn defaults_depend_on_the_slot() {
    let bench = Bench::new();
    let piv = Piv::open(&bench);
    piv.administer();
    for (slot, policy) in [
        (Slot::AUTHENTICATION, PinPolicy::Once),
        (Slot::SIGNATURE, PinPolicy::Always),
        (Slot::KEY_MANAGEMENT, PinPolicy::Once),
        (Slot::CARD_AUTHENTICATION, PinPolicy::Never),
        (Slot::retired(20).unwrap(), PinPolicy::Once),
    ] {
        piv.make(slot, Algorithm::P256);
        let metadata = piv.metadata(slot).unwrap();
        assert_eq!((metadata.pin_policy, metadata.touch_policy), (policy, Touch::Never), "{slot}");
    }
}

#[test]
fn touches() {
    let bench =
        Bench::with(VirtualKey::builder().touch(TouchPolicy::Automatic(Milliseconds(100))).build().unwrap());
    let piv = Piv::opened(&bench);
    let [always, cached] = [0x82, 0x83].map(|slot| Slot::try_from(slot).unwrap());
    piv.generate(always, &with_policies(Algorithm::P256, PinPolicy::Always, Touch::Always)).unwrap();
    piv.generate(cached, &with_policies(Algorithm::P256, PinPolicy::Never, Touch::Cached)).unwrap();
    piv.verify(b"123456").unwrap();
    assert!(piv.sign(always).is_ok() && piv.sign(cached).is_ok());
    // From here on nobody touches.
    bench.key.with(|key| key.set_touch_policy(TouchPolicy::Never));
    bench.pass(10_000);
    assert!(piv.sign(cached).is_ok(), "the touch counts for 15 seconds");
    bench.select(common::AID_MANAGEMENT).unwrap();
    let piv = Piv::open(&bench);
    assert!(piv.sign(cached).is_ok(), "also for the next program");
    bench.pass(5_000);
    let before = bench.clock.now();
    assert_eq!(piv.sign(cached), Err(LOCKED));
    assert!((15_000..15_300).contains(&(bench.clock.now() - before).0), "after a wait");
    piv.verify(b"123456").unwrap();
    assert_eq!(piv.sign(always), Err(LOCKED), "a touch is for one use");
    bench.key.with(|key| key.set_touch_policy(TouchPolicy::Automatic(Milliseconds(100))));
    assert!(piv.sign(always).is_ok());
    assert!(piv.sign(cached).is_ok());
    bench.key.with(|key| key.set_touch_policy(TouchPolicy::Never));
    bench.key.replug().unwrap();
    let piv = Piv::open(&bench);
    assert_eq!(piv.sign(cached), Err(LOCKED), "power takes the touch with it");
}

#[test]
fn a_touch_does_not_count_for_a_key_that_came_later() {
    let bench =
        Bench::with(VirtualKey::builder().touch(TouchPolicy::Automatic(Milliseconds(1))).build().unwrap());
    let piv = Piv::opened(&bench);
    let cached = with_policies(Algorithm::P256, PinPolicy::Never, Touch::Cached);
    piv.generate(Slot::AUTHENTICATION, &cached).unwrap();
    piv.sign(Slot::AUTHENTICATION).unwrap();
    bench.key.with(|key| key.set_touch_policy(TouchPolicy::Never));
    piv.generate(Slot::AUTHENTICATION, &cached).unwrap();
    assert_eq!(piv.sign(Slot::AUTHENTICATION), Err(LOCKED));
}

#[test]
fn over_nfc_the_field_is_the_touch() {
    let bench = Bench::with(VirtualKey::builder().touch(TouchPolicy::Never).build().unwrap());
    let piv = Piv::opened(&bench);
    piv.generate(Slot::AUTHENTICATION, &with_policies(Algorithm::P256, PinPolicy::Never, Touch::Always))
        .unwrap();
    assert_eq!(piv.sign(Slot::AUTHENTICATION), Err(LOCKED));
    bench.nfc();
    assert!(Piv::open(&bench).sign(Slot::AUTHENTICATION).is_ok());
}

#[test]
fn only_what_is_blocked_is_reset_and_the_attestation_key_stays() {
    let bench = Bench::new();
    let piv = Piv::opened(&bench);
    let attestation = (piv.metadata(Slot::ATTESTATION).unwrap(), objects::get(&piv, "5fff01").unwrap());
    piv.make(Slot::AUTHENTICATION, Algorithm::P256);
    objects::put(&piv, "5fc102", &[1, 2]).unwrap();
    piv.send(&command::set_retries(2, 2)).unwrap();
    assert_eq!(piv.send(&command::reset()), Err(StatusWord::CONDITIONS_NOT_SATISFIED));
    while piv.verify(b"000000") != Err(BLOCKED) {}
    assert_eq!(piv.send(&command::reset()), Err(StatusWord::CONDITIONS_NOT_SATISFIED), "not both");
    piv.block();
    piv.send(&command::reset()).unwrap();
    assert_eq!(piv.tries(), (3, 3));
    assert_eq!(piv.metadata(Slot::AUTHENTICATION).unwrap_err(), EMPTY);
    assert_eq!(objects::get(&piv, "5fc102"), Err(NOT_FOUND));
    assert_eq!(
        attestation,
        (piv.metadata(Slot::ATTESTATION).unwrap(), objects::get(&piv, "5fff01").unwrap())
    );
    assert_eq!(objects::put(&piv, "5fc102", &[1]), Err(LOCKED), "nobody is an administrator any more");
    piv.administer();
}
