use proptest::prelude::*;

use super::super::AccessKey;
use super::*;
use crate::secret::SecretBytes;
use crate::version::Version;

fn id(name: &str) -> CredentialId {
    CredentialId::new(name).unwrap()
}

fn put() -> Put {
    Put {
        id: id("a:b"),
        kind: Kind::Hotp,
        algorithm: Algorithm::Sha256,
        digits: Digits::EIGHT,
        secret: SecretBytes::new(vec![0xAA; 14]),
        properties: Properties { only_increasing: false, require_touch: true },
        counter: 0x0102_0304,
    }
}

#[test]
fn put_on_the_wire() {
    let mut expected = vec![0x71, 3, b'a', b':', b'b', 0x73, 16, 0x12, 8];
    expected.extend([0xAA; 14]);
    expected.extend([0x78, 0x02, 0x7A, 4, 1, 2, 3, 4]);
    assert_eq!(put().encode(), expected);
    for strictness in [Strictness::Strict, Strictness::Lenient] {
        assert_eq!(Put::parse(&expected, strictness), Ok(put()));
    }
    let plain = Put { properties: Properties::default(), counter: 0, ..put() };
    assert_eq!(plain.encode(), expected[..23]);
}

/// Each change of a good command that firmware 5.7.4 refuses, and whether older firmware does.
#[test]
fn strictness() {
    let base = Put { properties: Properties::default(), counter: 0, ..put() };
    let totp = Put { kind: Kind::Totp, ..base.clone() }.encode();
    let hotp = base.encode();
    let with = |body: &[u8], tail: &[u8]| [body, tail].concat();
    let key = |first: u8, digits: u8, length: usize| {
        let mut body = vec![0x71, 1, b'x', 0x73, u8::try_from(length + 2).unwrap(), first, digits];
        body.extend(vec![7; length]);
        body
    };
    let swapped = [&hotp[5..], &hotp[..5]].concat();
    for (body, older_too) in [
        (vec![], true),
        (hotp[..5].to_vec(), true),
        (swapped, true),
        (key(0x21, 6, 13), true),
        (key(0x21, 6, 65), true),
        (key(0x21, 5, 20), true),
        (key(0x21, 9, 20), true),
        (key(0x31, 6, 20), true),
        (key(0x24, 6, 20), true),
        (key(0x20, 6, 20), true),
        (vec![0x71, 1, b'x', 0x73, 1, 0x21], true),
        (vec![0x71, 0, 0x73, 0], true),
        (with(&totp, &[0x78]), true),
        (with(&hotp, &[0x7A, 3, 0, 0, 1]), true),
        (with(&hotp, &[0x7A, 4, 0, 0]), true),
        (with(&totp, &[0x78, 0x04]), false),
        (with(&totp, &[0x7A, 4, 0, 0, 0, 1]), false),
        (with(&totp, &[0x00]), false),
        (with(&hotp, &[0x7A, 4, 0, 0, 0, 1, 0x78, 0x02]), false),
        (with(&totp, &[0x78, 0x01, 0x02]), false),
    ] {
        assert!(Put::parse(&body, Strictness::Strict).is_err(), "{body:02x?}");
        assert_eq!(Put::parse(&body, Strictness::Lenient).is_err(), older_too, "{body:02x?}");
    }
    for length in [14, 64] {
        assert!(Put::parse(&key(0x23, 7, length), Strictness::Strict).is_ok());
    }
}

#[test]
fn names_of_64_bytes_and_not_65() {
    let body = |length: usize| {
        let mut body = vec![0x71, u8::try_from(length).unwrap()];
        body.extend(vec![b'n'; length]);
        body
    };
    assert!(Delete::parse(&body(64)).is_ok());
    assert_eq!(Delete::parse(&body(65)), Err(CodecError::Name(NameError::TooLong { length: 65 })));
    assert_eq!(Delete::parse(&body(0)), Err(CodecError::Name(NameError::Empty)));
}

#[test]
fn the_answer_to_select() {
    let open = Selected { version: Version::new(5, 7, 4), salt: [1; 8], lock: None };
    let bytes = [0x79, 3, 5, 7, 4, 0x71, 8, 1, 1, 1, 1, 1, 1, 1, 1];
    assert_eq!(open.encode(), bytes);
    assert_eq!(Selected::parse(&bytes), Ok(open));
    let lock = Some(Lock { challenge: [2; 8], algorithm: Algorithm::Sha1 });
    let locked = [&bytes[..], &[0x74, 8, 2, 2, 2, 2, 2, 2, 2, 2, 0x7B, 1, 1]].concat();
    assert_eq!(Selected { lock, ..open }.encode(), locked);
    assert_eq!(Selected::parse(&locked), Ok(Selected { lock, ..open }));
    assert!(Selected::parse(&bytes[..5]).is_err());
    assert!(Selected::parse(&[&bytes[..], &[0x74, 2, 1, 1]].concat()).is_err());
}

/// The challenge, the key and the proofs worked out with Python's `hmac`.
#[test]
fn password_on_the_wire() {
    let key = AccessKey::new([1; 16]);
    let set = SetCode::set(&key, [2; 8]).encode();
    assert_eq!(set[..3], [0x73, 17, 0x21]);
    assert_eq!(set[19..29], [0x74, 8, 2, 2, 2, 2, 2, 2, 2, 2]);
    assert_eq!(set[29..], [&[0x75, 20][..], &PROOF].concat());
    assert_eq!(SetCode::parse(&set), Ok(SetCode::set(&key, [2; 8])));
    assert_eq!(SetCode::Remove.encode(), [0x73, 0]);
    assert_eq!(SetCode::parse(&[0x73, 0]), Ok(SetCode::Remove));
    let lock = Lock { challenge: [2; 8], algorithm: Algorithm::Sha1 };
    let validate = Validate::new(&key, &lock, [3; 8]);
    assert_eq!(validate.encode(), [&[0x75, 20][..], &PROOF, &[0x74, 8, 3, 3, 3, 3, 3, 3, 3, 3]].concat());
    assert_eq!(Validate::parse(&validate.encode()), Ok(validate));
    let answer = Validate::encode_answer(&PROOF);
    assert!(key.accepts(&[2; 8], &Validate::parse_answer(&answer).unwrap()));
}

const PROOF: [u8; 20] = [
    0x6B, 0x6D, 0x93, 0xB0, 0x87, 0xC3, 0xDD, 0xD1, 0xED, 0xAA, 0xEC, 0x1B, 0x4D, 0x9E, 0x75, 0xCD, 0xA2,
    0x5B, 0x48, 0x75,
];

#[test]
fn broken_passwords() {
    let good = SetCode::set(&AccessKey::new([1; 16]), [2; 8]).encode();
    let field =
        |length: usize| [&[0x73, u8::try_from(length + 1).unwrap(), 0x21][..], &vec![9; length]].concat();
    for body in [
        vec![],
        good[..19].to_vec(),
        good[..29].to_vec(),
        [&good[19..], &good[..19]].concat(),
        [field(13), good[19..].to_vec()].concat(),
        [field(65), good[19..].to_vec()].concat(),
        [&good[..19], &[0x74, 7, 2, 2, 2, 2, 2, 2, 2], &good[29..]].concat(),
    ] {
        assert!(SetCode::parse(&body).is_err(), "{body:02x?}");
    }
    assert!(Validate::parse(&[0x74, 1, 0, 0x75, 1, 0]).is_err(), "in the other order");
}

#[test]
fn lists_and_codes() {
    let entries = [
        ListEntry { kind: Kind::Totp, algorithm: Algorithm::Sha1, id: id("a") },
        ListEntry { kind: Kind::Hotp, algorithm: Algorithm::Sha512, id: id("b") },
    ];
    let bytes = [0x72, 2, 0x21, b'a', 0x72, 2, 0x13, b'b'];
    assert_eq!(ListEntry::encode_all(&entries), bytes);
    assert_eq!(ListEntry::parse_all(&bytes), Ok(entries.to_vec()));
    let code = CodeAnswer::Truncated { digits: Digits::SIX, value: 755_224 };
    let full = CodeAnswer::Full { digits: Digits::SIX, hmac: SecretBytes::new(vec![0x5A; 20]) };
    let bulk = [
        BulkEntry { id: id("a"), answer: BulkAnswer::Code(code.clone()) },
        BulkEntry { id: id("b"), answer: BulkAnswer::Hotp(Digits::SIX) },
        BulkEntry { id: id("c"), answer: BulkAnswer::Touch(Digits::EIGHT) },
        BulkEntry { id: id("d"), answer: BulkAnswer::Code(full.clone()) },
    ];
    let bytes = BulkEntry::encode_all(&bulk);
    assert_eq!(bytes[..10], [0x71, 1, b'a', 0x76, 5, 6, 0, 0x0B, 0x86, 0x18]);
    assert_eq!(bytes[10..16], [0x71, 1, b'b', 0x77, 1, 6]);
    assert_eq!(bytes[16..22], [0x71, 1, b'c', 0x7C, 1, 8]);
    assert_eq!(BulkEntry::parse_all(&bytes), Ok(bulk.to_vec()));
    assert_eq!(code.code().unwrap().to_string(), "755224");
    assert!(full.code().is_some());
    assert!(!format!("{code:?}").contains("755224"));
    assert!(CodeAnswer::parse(&[0x76, 4, 6, 0, 0, 0]).is_err());
    assert!(CodeAnswer::parse(&[0x77, 1, 6]).is_err());
}

fn name() -> impl Strategy<Value = CredentialId> {
    proptest::collection::vec(any::<u8>(), 1..=64).prop_map(|bytes| CredentialId::new(bytes).unwrap())
}

fn algorithm() -> impl Strategy<Value = Algorithm> {
    prop_oneof![Just(Algorithm::Sha1), Just(Algorithm::Sha256), Just(Algorithm::Sha512)]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::Hotp), Just(Kind::Totp)]
}

fn digits() -> impl Strategy<Value = Digits> {
    (6_u8..=8).prop_map(|digits| Digits::try_from(digits).unwrap())
}

proptest! {
    #[test]
    fn put_round_trip(
        id in name(),
        kind in kind(),
        algorithm in algorithm(),
        digits in digits(),
        secret in proptest::collection::vec(any::<u8>(), 14..=64),
        only_increasing: bool,
        require_touch: bool,
        counter: u32,
    ) {
        let properties = Properties { only_increasing, require_touch };
        let counter = if kind == Kind::Hotp { counter } else { 0 };
        let put = Put { id, kind, algorithm, digits, secret: secret.into(), properties, counter };
        prop_assert_eq!(Put::parse(&put.encode(), Strictness::Strict), Ok(put.clone()));
        prop_assert_eq!(Put::parse(&put.encode(), Strictness::Lenient), Ok(put));
    }

    #[test]
    fn small_commands_round_trip(
        from in name(),
        to in name(),
        challenge in proptest::collection::vec(any::<u8>(), 0..=64),
        proof in proptest::collection::vec(any::<u8>(), 0..=64),
    ) {
        let delete = Delete(from.clone());
        prop_assert_eq!(Delete::parse(&delete.encode()), Ok(delete));
        let rename = Rename { from: from.clone(), to };
        prop_assert_eq!(Rename::parse(&rename.encode()), Ok(rename));
        let validate = Validate { proof, challenge: challenge.clone() };
        prop_assert_eq!(Validate::parse(&validate.encode()), Ok(validate));
        let challenge = Challenge::new(challenge).unwrap();
        prop_assert_eq!(Challenge::parse(&challenge.encode()), Ok(challenge.clone()));
        let calculate = Calculate { id: from, challenge };
        prop_assert_eq!(Calculate::parse(&calculate.encode()), Ok(calculate));
    }

    #[test]
    fn passwords_round_trip(
        algorithm in algorithm(),
        key in proptest::collection::vec(any::<u8>(), 14..=64),
        challenge: [u8; 8],
        proof in proptest::collection::vec(any::<u8>(), 0..=64),
    ) {
        let set = SetCode::Set { algorithm, key: key.into(), challenge, proof };
        prop_assert_eq!(SetCode::parse(&set.encode()), Ok(set));
    }

    #[test]
    fn answers_round_trip(
        entries in proptest::collection::vec((name(), kind(), algorithm(), digits(), any::<u32>(), 0..4_u8), 0..70),
        salt: [u8; 8],
        lock in proptest::option::of((any::<[u8; 8]>(), algorithm())),
        version: [u8; 3],
    ) {
        let list: Vec<_> = entries
            .iter()
            .map(|(id, kind, algorithm, ..)| ListEntry { kind: *kind, algorithm: *algorithm, id: id.clone() })
            .collect();
        prop_assert_eq!(ListEntry::parse_all(&ListEntry::encode_all(&list)), Ok(list));
        let bulk: Vec<_> = entries
            .iter()
            .map(|(id, _, algorithm, digits, value, which)| {
                let (digits, value) = (*digits, *value);
                let answer = match which {
                    0 => BulkAnswer::Hotp(digits),
                    1 => BulkAnswer::Touch(digits),
                    2 => BulkAnswer::Code(CodeAnswer::Truncated { digits, value }),
                    _ => BulkAnswer::Code(CodeAnswer::Full { digits, hmac: algorithm.hmac(b"", b"").into() }),
                };
                BulkEntry { id: id.clone(), answer }
            })
            .collect();
        prop_assert_eq!(BulkEntry::parse_all(&BulkEntry::encode_all(&bulk)), Ok(bulk.clone()));
        for entry in bulk {
            if let BulkAnswer::Code(code) = entry.answer {
                prop_assert_eq!(CodeAnswer::parse(&code.encode()), Ok(code));
            }
        }
        let lock = lock.map(|(challenge, algorithm)| Lock { challenge, algorithm });
        let [major, minor, patch] = version;
        let selected = Selected { version: Version::new(major, minor, patch), salt, lock };
        prop_assert_eq!(Selected::parse(&selected.encode()), Ok(selected));
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = Put::parse(&bytes, Strictness::Strict);
        let _ = Put::parse(&bytes, Strictness::Lenient);
        let _ = (Delete::parse(&bytes), Rename::parse(&bytes), SetCode::parse(&bytes));
        let _ = (Validate::parse(&bytes), Validate::parse_answer(&bytes), Calculate::parse(&bytes));
        let _ = (Challenge::parse(&bytes), Selected::parse(&bytes), ListEntry::parse_all(&bytes));
        let _ = (BulkEntry::parse_all(&bytes), CodeAnswer::parse(&bytes).map(|answer| answer.code()));
    }

    /// What strict firmware takes, older firmware takes in the same meaning.
    #[test]
    fn strict_is_a_part_of_lenient(bytes in proptest::collection::vec(any::<u8>(), 0..12), id in name()) {
        let put = Put { id, ..put() };
        for body in [[put.encode(), bytes.clone()].concat(), bytes] {
            if let Ok(strict) = Put::parse(&body, Strictness::Strict) {
                prop_assert_eq!(Put::parse(&body, Strictness::Lenient), Ok(strict));
            }
        }
    }
}
