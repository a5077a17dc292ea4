//! Codes: one and all, HOTP and TOTP.

use super::*;

/// RFC 6238 appendix B, all three hashes, and every number of digits.
#[test]
fn totp_of_the_rfc() {
    for profile in Profile::ALL {
        let bench = Bench::of(profile);
        let oath = Oath::open(&bench);
        assert_eq!(oath.selected.version, profile.version());
        for (algorithm, length, expected) in [
            (Algorithm::Sha1, 20, ["94287082", "07081804", "65353130"]),
            (Algorithm::Sha256, 32, ["46119246", "68084774", "77737706"]),
            (Algorithm::Sha512, 64, ["90693936", "25091201", "47863826"]),
        ] {
            let secret: Vec<u8> = b"1234567890".iter().copied().cycle().take(length).collect();
            for digits in [Digits::SIX, Digits::SEVEN, Digits::EIGHT] {
                let secret = SecretBytes::new(secret.clone());
                oath.put(&Put { algorithm, digits, secret, ..credential("x", Kind::Totp) }).unwrap();
                for (seconds, code) in [59, 1_111_111_109, 20_000_000_000].into_iter().zip(expected) {
                    let shown = &code[8 - usize::from(digits.get())..];
                    assert_eq!(oath.code(&Calculate::totp(id("x"), seconds, 30)).unwrap(), shown);
                }
            }
        }
        assert_eq!(oath.names(), ["x"], "the same name replaces");
    }
}

/// RFC 4226 appendix D, and a counter that does not begin at 0.
#[test]
fn hotp_of_the_rfc() {
    let bench = Bench::new();
    let oath = Oath::open(&bench);
    oath.put(&credential("h", Kind::Hotp)).unwrap();
    for code in ["755224", "287082", "359152"] {
        assert_eq!(oath.hotp("h"), code);
    }
    oath.put(&Put { counter: 8, ..credential("h", Kind::Hotp) }).unwrap();
    assert_eq!([oath.hotp("h"), oath.hotp("h")], ["399871", "520489"], "stored again, it starts again");
    oath.put(&Put { counter: u32::MAX, ..credential("h", Kind::Hotp) }).unwrap();
    for counter in [u64::from(u32::MAX), 1 << 32] {
        assert_eq!(oath.hotp("h"), hotp(RFC_KEY, counter, Digits::SIX).to_string());
    }
}

#[test]
fn whole_and_truncated_values() {
    let bench = Bench::new();
    let oath = Oath::open(&bench);
    oath.put(&credential("x", Kind::Totp)).unwrap();
    let ask = Calculate::totp(id("x"), 59, 30);
    let CodeAnswer::Full { hmac, digits } = oath.calculate(&ask, Form::Full).unwrap() else { panic!() };
    assert_eq!(hmac.expose(), Algorithm::Sha1.hmac(RFC_KEY, &1_u64.to_be_bytes()));
    assert_eq!(digits, Digits::SIX);
    let truncated = truncate(hmac.expose()) % 1_000_000;
    assert_eq!(
        oath.calculate(&ask, Form::Truncated).unwrap(),
        CodeAnswer::Truncated { digits, value: truncated },
        "the key reduces it itself"
    );
}

#[test]
fn short_and_long_secrets_after_the_hosts_preparation() {
    let bench = Bench::new();
    let oath = Oath::open(&bench);
    for length in [1, 13, 14, 64, 65, 200] {
        let secret = vec![7; length];
        let prepared = prepare_secret(Algorithm::Sha1, &secret).unwrap();
        oath.put(&Put { secret: prepared, ..credential("x", Kind::Totp) }).unwrap();
        let expected = totp(Algorithm::Sha1, &secret, 59, 30, Digits::SIX).to_string();
        assert_eq!(oath.code(&Calculate::totp(id("x"), 59, 30)).unwrap(), expected);
    }
}

#[test]
fn all_codes_at_once() {
    let bench = Bench::new();
    let oath = Oath::open(&bench);
    assert_eq!(oath.all(59).unwrap(), []);
    oath.put(&credential("totp", Kind::Totp)).unwrap();
    oath.put(&Put { digits: Digits::EIGHT, ..credential("hotp", Kind::Hotp) }).unwrap();
    oath.put(&touchy("touch")).unwrap();
    let entries = oath.all(59).unwrap();
    let names: Vec<_> = entries.iter().map(|entry| entry.id.to_string()).collect();
    assert_eq!(names, ["totp", "hotp", "touch"]);
    let BulkAnswer::Code(code) = &entries[0].answer else { panic!() };
    assert_eq!(code.code().unwrap().to_string(), "287082");
    assert_eq!(entries[1].answer, BulkAnswer::Hotp(Digits::EIGHT));
    assert_eq!(entries[2].answer, BulkAnswer::Touch(Digits::SIX));
    assert_eq!(oath.hotp("hotp"), "84755224", "no code was used up");
    let trailing = [Challenge::time(59, 30).encode(), vec![0x99]].concat();
    assert!(oath.send_with(ins::CALCULATE_ALL, 0, 1, &trailing).is_ok(), "only the first field counts");
}

#[test]
fn challenges_that_only_increase() {
    let store = MemoryStore::new();
    let properties = Properties { only_increasing: true, ..Properties::default() };
    {
        let bench = Bench::with(VirtualKey::builder().state(store.clone()).build().unwrap());
        let oath = Oath::open(&bench);
        oath.put(&Put { properties, ..credential("x", Kind::Totp) }).unwrap();
        oath.put(&credential("free", Kind::Totp)).unwrap();
        let at = |seconds| oath.code(&Calculate::totp(id("x"), seconds, 30));
        assert!(at(300).is_ok());
        assert!(at(300).is_ok(), "the same again");
        assert!(at(330).is_ok());
        assert_eq!(at(300), Err(LOCKED));
        assert!(oath.all(360).is_ok());
        assert_eq!(at(330), Err(LOCKED), "asking for all counts as well");
        assert_eq!(oath.all(330), Err(LOCKED));
        assert!(oath.code(&Calculate::totp(id("free"), 30, 30)).is_ok());
    }
    // The next power-up does not forget.
    let bench = Bench::with(VirtualKey::builder().state(store).build().unwrap());
    let oath = Oath::open(&bench);
    assert_eq!(oath.code(&Calculate::totp(id("x"), 330, 30)), Err(LOCKED));
    let ask = |bytes: &[u8]| {
        let challenge = Challenge::new(bytes).unwrap();
        oath.code(&Calculate { id: id("x"), challenge }).is_ok()
    };
    assert!(ask(&[0, 0, 12]), "zeros in front do not count");
    assert!(!ask(&[11]));
    assert!(ask(&[1, 0]));
    assert!(!ask(&[13]));
}
