//! What is kept: names, room, the document, and the strictness about what comes in.

use super::*;

#[test]
fn delete_and_rename() {
    let bench = Bench::new();
    let oath = Oath::open(&bench);
    for name in ["a", "b", "c"] {
        oath.put(&credential(name, Kind::Totp)).unwrap();
    }
    let rename = |from, to| oath.send(ins::RENAME, &Rename { from: id(from), to: id(to) }.encode()).map(drop);
    assert_eq!(rename("b", "new"), Ok(()));
    assert_eq!(oath.names(), ["a", "new", "c"], "it keeps its place");
    assert_eq!(rename("b", "x"), Err(NO_SUCH));
    assert_eq!(rename("a", "c"), Err(NO_SUCH), "taken");
    assert_eq!(rename("a", "a"), Err(NO_SUCH), "taken, by itself");
    let delete = |name| oath.send(ins::DELETE, &Delete(id(name)).encode()).map(drop);
    assert_eq!(delete("a"), Ok(()));
    assert_eq!(delete("a"), Err(NO_SUCH));
    assert_eq!(oath.names(), ["new", "c"]);
    assert_eq!(oath.code(&Calculate::totp(id("a"), 59, 30)), Err(NO_SUCH));
}

#[test]
fn renaming_needs_firmware_5_3_1() {
    for profile in Profile::ALL {
        let bench = Bench::of(profile);
        let oath = Oath::open(&bench);
        oath.put(&credential("a", Kind::Totp)).unwrap();
        let answer = oath.send(ins::RENAME, &Rename { from: id("a"), to: id("b") }.encode());
        if profile.version().at_least(5, 3, 1) {
            assert_eq!(answer, Ok(vec![]));
        } else {
            assert_eq!(answer, Err(StatusWord::INS_NOT_SUPPORTED));
        }
    }
}

#[test]
fn room_for_32_or_64_and_long_answers_in_pieces() {
    for (profile, room) in [(Profile::YUBIKEY_5_4_3, 32), (Profile::YUBIKEY_5_7_4, 64)] {
        let bench = Bench::of(profile);
        let oath = Oath::open(&bench);
        let name = |number: usize| format!("{number:064}");
        for number in 0..room {
            oath.put(&credential(&name(number), Kind::Totp)).unwrap();
        }
        assert_eq!(oath.put(&credential("more", Kind::Totp)), Err(StatusWord::NO_SPACE));
        oath.put(&Put { digits: Digits::EIGHT, ..credential(&name(3), Kind::Totp) }).unwrap();
        assert_eq!(oath.names(), (0..room).map(name).collect::<Vec<_>>());
        assert_eq!(oath.all(59).unwrap().len(), room);

        let first = bench.raw(&[0, ins::LIST, 0, 0, 0]);
        assert_eq!((first.data.len(), first.status), (256, StatusWord(0x6100)));
        assert_eq!(bench.raw(&[0, 0xC0, 0, 0, 0]).status, StatusWord::INS_NOT_SUPPORTED, "A5, not C0");
        assert_eq!(bench.raw(&[0, ins::SEND_REMAINING, 0, 0, 0]).status, StatusWord::INS_NOT_SUPPORTED);
        let extended = bench.raw(&[0, ins::LIST, 0, 0, 0, 0, 0]);
        assert_eq!(extended.data.len(), (room * 67).min(3060));
    }
}

#[test]
fn nothing_remains_nothing_is_sent() {
    let bench = Bench::new();
    Oath::open(&bench);
    assert_eq!(bench.raw(&[0, ins::SEND_REMAINING, 0, 0]).status, StatusWord::INS_NOT_SUPPORTED);
}

#[test]
fn firmware_5_7_takes_nothing_that_does_not_belong_there() {
    let totp = credential("x", Kind::Totp).encode();
    for (tail, name) in [
        (&[0x7A, 4, 0, 0, 0, 1][..], "a counter for TOTP"),
        (&[0x78, 0x80], "an unknown property"),
        (&[0x78, 0x00, 0x00], "a third byte of the property"),
    ] {
        let body = [&totp, tail].concat();
        let bench = Bench::of(Profile::YUBIKEY_5_7_4);
        let oath = Oath::open(&bench);
        assert_eq!(oath.send(ins::PUT, &body), Err(StatusWord::WRONG_DATA), "{name}");
        assert!(oath.names().is_empty(), "nothing was stored");
        let bench = Bench::of(Profile::YUBIKEY_5_4_3);
        assert_eq!(Oath::open(&bench).send(ins::PUT, &body), Ok(vec![]), "{name}");
    }
    let bench = Bench::new();
    let oath = Oath::open(&bench);
    oath.put(&credential("x", Kind::Totp)).unwrap();
    let mut body = vec![0x71, 1, b'x', 0x74, 65];
    body.extend([0; 65]);
    assert_eq!(oath.send_with(ins::CALCULATE, 0, 1, &body), Err(StatusWord::WRONG_DATA));
    assert_eq!(oath.send_with(ins::CALCULATE_ALL, 0, 1, &body[3..]), Err(StatusWord::WRONG_DATA));
    body[4] = 64;
    assert!(oath.send_with(ins::CALCULATE, 0, 1, &body[..69]).is_ok());
    assert_eq!(
        oath.send_with(ins::CALCULATE, 0, 1, &[0x74, 0, 0x71, 1, b'x']),
        Err(StatusWord::WRONG_DATA),
        "in the other order"
    );
}

#[test]
fn the_file_keeps_everything_and_old_files_still_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.json");
    let build = || {
        let store = FileStore::open(&path).unwrap();
        Bench::with(VirtualKey::builder().random(SeededRandom::new(9)).state(store).build().unwrap())
    };
    drop(build());
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("oath"), "a key that never used the application has the old document");
    let (salt, key) = {
        let bench = build();
        let key = locked(&bench);
        let oath = Oath::open(&bench);
        oath.put(&credential("h", Kind::Hotp)).unwrap();
        oath.put(&credential("hex:é", Kind::Totp)).unwrap();
        let strange = Put { id: CredentialId::new([0xFF, 0xFE]).unwrap(), ..touchy("x") };
        oath.put(&Put { algorithm: Algorithm::Sha512, digits: Digits::EIGHT, ..strange }).unwrap();
        oath.hotp("h");
        (oath.selected.salt, key)
    };
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"name\": \"h\"") && text.contains("hex:fffe"), "{text}");
    let bench = build();
    let oath = Oath::open(&bench);
    assert_eq!(oath.selected.salt, salt);
    oath.validate(&key).unwrap();
    assert_eq!(oath.hotp("h"), "287082");
    let names: Vec<_> = ListEntry::parse_all(&oath.send(ins::LIST, &[]).unwrap())
        .unwrap()
        .iter()
        .map(|entry| entry.id.as_bytes().to_vec())
        .collect();
    assert_eq!(names, [&b"a"[..], b"h", "hex:é".as_bytes(), &[0xFF, 0xFE]]);
    assert_eq!(oath.all(59).unwrap()[3].answer, BulkAnswer::Touch(Digits::EIGHT));
}

/// A store that can be told to fail.
#[derive(Clone)]
struct Failing(MemoryStore, std::sync::Arc<std::sync::atomic::AtomicBool>);

impl StateStore for Failing {
    fn load(&mut self) -> Result<Option<SecretBytes>, StateError> {
        self.0.load()
    }

    fn save(&mut self, document: &[u8]) -> Result<(), StateError> {
        if self.1.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(StateError::Store("full".into()));
        }
        self.0.save(document)
    }

    fn location(&self) -> String {
        self.0.location()
    }
}

#[test]
fn a_code_that_could_not_be_stored_is_not_given_out() {
    let failing = Failing(MemoryStore::new(), std::sync::Arc::default());
    let bench = Bench::with(VirtualKey::builder().state(failing.clone()).build().unwrap());
    let oath = Oath::open(&bench);
    oath.put(&credential("h", Kind::Hotp)).unwrap();
    oath.put(&credential("t", Kind::Totp)).unwrap();
    failing.1.store(true, std::sync::atomic::Ordering::SeqCst);
    let ask = Calculate::hotp(id("h"));
    assert_eq!(oath.code(&ask), Err(StatusWord::MEMORY_FAILURE));
    assert_eq!(oath.put(&credential("x", Kind::Totp)), Err(StatusWord::MEMORY_FAILURE));
    assert!(oath.code(&Calculate::totp(id("t"), 59, 30)).is_ok(), "nothing to store");
    failing.1.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(oath.hotp("h"), "755224");
    assert_eq!(oath.names(), ["h", "t"]);
    bench.key.with(|key| {
        key.power(Power::Off).unwrap();
        key.power(Power::Usb).unwrap();
    });
    assert_eq!(Oath::open(&bench).hotp("h"), "287082");
}

#[test]
fn secrets_stay_out_of_debug() {
    let bench = Bench::new();
    Oath::open(&bench).put(&credential("x", Kind::Totp)).unwrap();
    let text = bench.key.with(|key| format!("{key:?}"));
    assert!(!text.contains("49, 50, 51"), "{text}");
}
