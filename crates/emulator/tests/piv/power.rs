//! What is remembered, and what a power cut leaves of it.

use tapkey_emulator::{Faults, FileStore};
use tapkey_protocol::piv::TouchPolicy as Touch;

use super::*;

#[test]
fn everything_is_there_after_a_restart() {
    let store = MemoryStore::new();
    let key = || VirtualKey::builder().state(store.clone()).random(SeededRandom::new(4)).build().unwrap();
    let bench = Bench::with(key());
    let piv = Piv::opened(&bench);
    piv.generate(Slot::AUTHENTICATION, &with_policies(Algorithm::P256, PinPolicy::Never, Touch::Never))
        .unwrap();
    piv.make(Slot::retired(3).unwrap(), Algorithm::Ed25519);
    objects::put(&piv, "5fc102", &[1, 2, 3]).unwrap();
    piv.change_pin(b"123456", b"204863").unwrap();
    assert_eq!(piv.verify(b"000000"), Err(tries_left(2)));
    let all = |piv: &Piv| {
        let keys: Vec<_> = Slot::all().map(|slot| piv.metadata(slot)).collect();
        (keys, piv.tries(), objects::get(piv, "5fc102"), objects::get(piv, "5fff01"))
    };
    let before = (all(&piv), piv.sign(Slot::AUTHENTICATION));
    drop(bench);
    let bench = Bench::with(key());
    let piv = Piv::open(&bench);
    assert_eq!(
        (all(&piv), piv.sign(Slot::AUTHENTICATION)),
        before,
        "the signature too, which is deterministic"
    );
    assert_eq!(piv.verify(b"204863"), Ok(()));
}

#[test]
fn a_key_without_the_application_stays_as_it_was_until_it_is_selected() {
    let store = MemoryStore::new();
    let key = VirtualKey::builder().state(store.clone()).build().unwrap();
    let document = String::from_utf8(store.clone().load().unwrap().unwrap().expose().to_vec()).unwrap();
    assert!(!document.contains("piv") && !document.contains("complexity"), "{document}");
    drop(key);
    let bench = Bench::with(VirtualKey::builder().state(store.clone()).build().unwrap());
    Piv::open(&bench).verify(b"123456").unwrap();
    let document = String::from_utf8(store.clone().load().unwrap().unwrap().expose().to_vec()).unwrap();
    assert!(document.contains("\"piv\""));
}

#[test]
fn damage_in_the_document_is_told() {
    let store = MemoryStore::new();
    let bench = Bench::with(VirtualKey::builder().state(store.clone()).build().unwrap());
    Piv::opened(&bench).make(Slot::AUTHENTICATION, Algorithm::P256);
    drop(bench);
    let document = String::from_utf8(store.clone().load().unwrap().unwrap().expose().to_vec()).unwrap();
    for (from, to, hint) in [
        ("\"slot\": \"9a\"", "\"slot\": \"9b\"", "no such key slot"),
        ("\"slot\": \"9a\"", "\"slot\": \"f9\"", "two keys"),
        ("ECCP256", "ECCP521", "rsa1024"),
        ("ECCP256", "ECCP384", "wrong length"),
        ("\"left\": 3", "\"left\": 4", "more tries"),
        ("AES192", "AES256", "management key"),
        ("5fff01", "5fff0", "no such object"),
        ("\"touch\": \"never\"", "\"touch\": \"often\"", "unknown variant"),
    ] {
        let damaged = MemoryStore::new();
        assert!(document.contains(from), "{from}");
        damaged.clone().save(document.replacen(from, to, 1).as_bytes()).unwrap();
        let error = VirtualKey::builder().state(damaged).build().unwrap_err().to_string();
        assert!(error.contains(hint), "{hint}: {error}");
    }
}

/// What is done to a key, and what is seen of it.
type Step = fn(&Piv);
type Seen = (Vec<Option<KeyMetadata>>, Vec<Result<Vec<u8>, StatusWord>>, (u8, u8));

fn seen(piv: &Piv) -> Seen {
    let keys = Slot::all().map(|slot| piv.metadata(slot).ok()).collect();
    let objects = ["5fc102", "5fc105"].map(|id| objects::get(piv, id)).to_vec();
    (keys, objects, piv.tries())
}

#[test]
fn keys_and_objects_are_old_or_new_wherever_the_power_goes() {
    let steps: [(&str, Step); 7] = [
        ("generate", |piv| {
            drop(piv.send(&command::generate(Slot::SIGNATURE, &Generate::new(Algorithm::P256))))
        }),
        ("replace", |piv| {
            drop(piv.send(&command::generate(Slot::AUTHENTICATION, &Generate::new(Algorithm::P256))))
        }),
        ("move", |piv| drop(piv.send(&command::move_key(Slot::AUTHENTICATION, Slot::SIGNATURE)))),
        ("delete", |piv| drop(piv.send(&command::delete_key(Slot::AUTHENTICATION)))),
        ("write", |piv| objects::put(piv, "5fc105", &[5; 300]).unwrap_or_default()),
        ("erase", |piv| objects::put(piv, "5fc102", &[]).unwrap_or_default()),
        ("tries", |piv| drop(piv.send(&command::set_retries(7, 8)))),
    ];
    for (name, step) in steps {
        for (moment, done) in [("before", false), ("during", false), ("after", true)] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("key.json");
            let faults = Faults::new();
            let start = |faults: &Faults| {
                let store = FileStore::open(&path).unwrap();
                let key = VirtualKey::builder().state(store).faults(faults.clone());
                Bench::with(key.random(SeededRandom::new(5)).build().unwrap())
            };
            let old = {
                let bench = start(&faults);
                let piv = Piv::opened(&bench);
                piv.make(Slot::AUTHENTICATION, Algorithm::P256);
                objects::put(&piv, "5fc102", &[1, 2, 3]).unwrap();
                let old = seen(&piv);
                faults.add(format!("power-cut={moment}").parse().unwrap());
                let gone = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| step(&piv)));
                assert!(gone.is_err(), "{name}, {moment}: the card is gone");
                old
            };
            let bench = start(&Faults::new());
            let new = seen(&Piv::open(&bench));
            assert_eq!(old != new, done, "{name}, {moment}");
            step(&Piv::opened(&bench));
        }
    }
}

#[test]
fn no_power_cut_gives_a_try_back() {
    // A guess, with the power going at each of the writes that it could cause.
    for (pin, writes) in [(&b"000000"[..], 1), (b"123456", 2)] {
        for write in 1..=writes {
            for moment in ["before", "during", "after"] {
                let faults = Faults::new();
                let bench = Bench::with(VirtualKey::builder().faults(faults.clone()).build().unwrap());
                let piv = Piv::open(&bench);
                assert_eq!(piv.verify(b"000000"), Err(tries_left(2)));
                faults.add(format!("power-cut={moment}@{write}").parse().unwrap());
                let answer = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| piv.verify(pin)));
                assert!(answer.is_err(), "there is no answer to learn from");
                bench.key.replug().unwrap();
                let (left, _) = Piv::open(&bench).tries();
                let restored = pin == b"123456" && write == 2 && moment == "after";
                let untouched = write == 1 && moment != "after";
                assert_eq!(
                    left,
                    if restored {
                        3
                    } else if untouched {
                        2
                    } else {
                        1
                    },
                    "{write} {moment}"
                );
            }
        }
    }
}
