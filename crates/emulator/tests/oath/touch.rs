//! Credentials that want a touch, over everything that can wait for one.

use super::*;

fn touch_bench(policy: TouchPolicy) -> Bench {
    let bench = Bench::with(VirtualKey::builder().touch(policy).build().unwrap());
    let oath = Oath::open(&bench);
    oath.put(&touchy("t")).unwrap();
    let properties = Properties { require_touch: true, ..Properties::default() };
    oath.put(&Put { properties, ..credential("h", Kind::Hotp) }).unwrap();
    bench
}

#[test]
fn a_code_after_a_touch() {
    let bench = touch_bench(TouchPolicy::Automatic(Milliseconds(700)));
    let oath = Oath::open(&bench);
    let before = bench.clock.now();
    assert_eq!(oath.code(&Calculate::totp(id("t"), 59, 30)).unwrap(), "287082");
    let waited = bench.clock.now() - before;
    assert!((700..1000).contains(&waited.0), "{waited}");
    assert_eq!(oath.hotp("h"), "755224");
    assert_eq!(oath.hotp("h"), "287082", "one touch, one code");
}

#[test]
fn nobody_touches() {
    for policy in [TouchPolicy::Manual, TouchPolicy::Never] {
        let bench = touch_bench(policy);
        let oath = Oath::open(&bench);
        let before = bench.clock.now();
        assert_eq!(oath.code(&Calculate::hotp(id("h"))), Err(LOCKED));
        assert!((15_000..15_200).contains(&(bench.clock.now() - before).0));
        assert_eq!(bench.key.touch(), Err(TouchError::NothingWaits), "too late");
        bench.key.with(|key| key.set_touch_policy(TouchPolicy::Automatic(Milliseconds::ZERO)));
        assert_eq!(oath.hotp("h"), "755224", "the wait used no code up");
    }
}

#[test]
fn somebody_touches_from_elsewhere() {
    // A real clock, so that the wait does not run away from the other thread.
    let key = VirtualKey::builder().touch(TouchPolicy::Manual).build().unwrap();
    let key = PluggedKey::new(key).unwrap();
    let mut card = key.card().unwrap();
    card.transmit(&Command::select(aid::OATH).encode(Encoding::Short).unwrap()).unwrap();
    let mut send = |ins, p2, body: &[u8]| {
        card.transmit(&Command::new(0, ins, 0, p2, body).encode(Encoding::Short).unwrap()).unwrap()
    };
    assert_eq!(send(ins::PUT, 0, &touchy("t").encode()), [0x90, 0]);
    let finger = std::thread::spawn({
        let key = key.clone();
        move || {
            while key.touch() == Err(TouchError::NothingWaits) {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
    });
    let answer = send(ins::CALCULATE, 1, &Calculate::totp(id("t"), 59, 30).encode());
    assert_eq!(answer[..3], [0x76, 5, 6]);
    finger.join().unwrap();
}

#[test]
fn a_key_taken_away_while_it_waits() {
    let key = VirtualKey::builder().touch(TouchPolicy::Manual).build().unwrap();
    let key = PluggedKey::new(key).unwrap();
    let mut card = key.card().unwrap();
    card.transmit(&Command::select(aid::OATH).encode(Encoding::Short).unwrap()).unwrap();
    let put = Command::new(0, ins::PUT, 0, 0, touchy("t").encode()).encode(Encoding::Short).unwrap();
    card.transmit(&put).unwrap();
    let thief = std::thread::spawn({
        let key = key.clone();
        move || {
            while key.with(|key| key.waits_for()).is_none() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            key.unplug();
        }
    });
    let body = Calculate::totp(id("t"), 59, 30).encode();
    let ask = Command::new(0, ins::CALCULATE, 0, 1, body).encode(Encoding::Short).unwrap();
    assert!(card.transmit(&ask).is_err());
    thief.join().unwrap();
}

/// The key in another process: one connection waits, another touches.
#[test]
fn over_the_socket() {
    use tapkey_emulator::port::socket::{Client, Server};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.sock");
    let key = VirtualKey::builder().touch(TouchPolicy::Manual).build().unwrap();
    let server = Server::bind(&path, PluggedKey::new(key).unwrap()).unwrap();
    let stopper = server.stopper();
    let server = std::thread::spawn(move || server.run().unwrap());
    let client = Client::new(&path);
    let mut card = client.card().unwrap();
    let mut send = |ins, p1, p2, body: &[u8]| {
        card.transmit(&Command::new(0, ins, p1, p2, body).encode(Encoding::Short).unwrap())
    };
    send(0xA4, 4, 0, aid::OATH).unwrap();
    assert_eq!(send(ins::PUT, 0, 0, &touchy("t").encode()).unwrap(), [0x90, 0]);
    let ask = Calculate::totp(id("t"), 59, 30).encode();
    let finger = std::thread::spawn({
        let client = client.clone();
        move || {
            while client.touch().is_err() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        }
    });
    assert_eq!(send(ins::CALCULATE, 0, 1, &ask).unwrap()[..3], [0x76, 5, 6]);
    finger.join().unwrap();

    // An emulator that ends does not wait for the touch.
    let stopped = std::thread::spawn(move || {
        while client.show().unwrap().waits_for_touch.is_none() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        let start = std::time::Instant::now();
        stopper.stop();
        server.join().unwrap();
        start.elapsed()
    });
    let _ = send(ins::CALCULATE, 0, 1, &ask);
    assert!(stopped.join().unwrap() < std::time::Duration::from_secs(5));
}

/// The key itself, without a port that waits.
#[test]
fn the_wait_step_by_step() {
    let bench = touch_bench(TouchPolicy::Manual);
    Oath::open(&bench);
    let body = Calculate::totp(id("t"), 59, 30).encode();
    let ask = Command::new(0, ins::CALCULATE, 0, 1, body).encode(Encoding::Short).unwrap();
    bench.key.with(|key| {
        assert_eq!(key.submit(&ask), None);
        assert_eq!(key.waits_for(), Some(Milliseconds(15_000)));
        assert_eq!(key.response(), None);
        key.touch().unwrap();
        assert_eq!(key.response().unwrap()[..3], [0x76, 5, 6]);
        assert_eq!(key.waits_for(), None);
        // A new command ends the wait.
        assert_eq!(key.submit(&ask), None);
        assert_eq!(key.submit(&[0, ins::LIST, 0, 0]).unwrap().len(), 10);
        assert_eq!(key.touch(), Err(TouchError::NothingWaits));
        // And so does a reset.
        assert_eq!(key.submit(&ask), None);
        key.card_reset();
        assert_eq!(key.response(), Some(vec![0x6F, 0x00]));
        // Where nobody can wait, only a touch that is sure to come counts.
        key.apdu(&Command::select(aid::OATH).encode(Encoding::Short).unwrap());
        assert_eq!(key.apdu(&ask), [0x69, 0x82]);
        key.set_touch_policy(TouchPolicy::Automatic(Milliseconds(100)));
        assert_eq!(key.apdu(&ask)[..3], [0x76, 5, 6]);
    });
}

#[test]
fn one_finger_serves_one_wait() {
    let bench = touch_bench(TouchPolicy::Manual);
    let mut slot = common::hmac(&[1]);
    slot.require_touch = true;
    bench.program(tapkey_protocol::slot::Slot::One, &slot);
    Oath::open(&bench);
    let body = Calculate::totp(id("t"), 59, 30).encode();
    let ask = Command::new(0, ins::CALCULATE, 0, 1, body).encode(Encoding::Short).unwrap();
    bench.key.with(|key| assert_eq!(key.submit(&ask), None));
    let refused = bench
        .hid(tapkey_protocol::slot::SlotCommand::ChallengeHmac(tapkey_protocol::slot::Slot::One), &[1; 64]);
    assert_eq!(refused, common::Answer::Refused);
    bench.key.with(|key| {
        key.touch().unwrap();
        assert_eq!(key.response().unwrap()[..3], [0x76, 5, 6]);
    });
}

#[test]
fn over_nfc_the_tap_is_the_touch() {
    let bench = touch_bench(TouchPolicy::Never);
    bench.nfc();
    let oath = Oath::open(&bench);
    assert_eq!(oath.code(&Calculate::totp(id("t"), 59, 30)).unwrap(), "287082");
    assert_eq!(oath.all(59).unwrap()[0].answer, BulkAnswer::Touch(Digits::SIX));
}
