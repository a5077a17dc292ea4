//! The management key: two ways to prove it, four ciphers, and no way around.

use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use tapkey_protocol::piv::{
    ManagementKeyMetadata, ManagementKeyType, SetManagementKey, TouchPolicy as Touch,
};

use super::*;

fn with(key: &ManagementKey, block: &[u8], encrypt: bool) -> Vec<u8> {
    macro_rules! run {
        ($cipher:ty) => {{
            let cipher = <$cipher>::new_from_slice(key.expose()).unwrap();
            let mut block = aes::cipher::Block::<$cipher>::try_from(block).unwrap();
            if encrypt {
                cipher.encrypt_block(&mut block)
            } else {
                cipher.decrypt_block(&mut block)
            };
            block.to_vec()
        }};
    }
    match key.kind() {
        ManagementKeyType::Tdes => run!(des::TdesEde3),
        ManagementKeyType::Aes128 => run!(aes::Aes128),
        ManagementKeyType::Aes192 => run!(aes::Aes192),
        ManagementKeyType::Aes256 => run!(aes::Aes256),
    }
}

pub(super) fn encrypt(key: &ManagementKey, block: &[u8]) -> Vec<u8> {
    with(key, block, true)
}

pub(super) fn decrypt(key: &ManagementKey, block: &[u8]) -> Vec<u8> {
    with(key, block, false)
}

fn step(piv: &Piv, kind: ManagementKeyType, step: &Authenticate) -> Result<AuthAnswer, StatusWord> {
    let answer = piv.send(&command::prove_management_key(kind.id(), step))?;
    Ok(AuthAnswer::parse(&answer).unwrap())
}

fn single(piv: &Piv, key: &ManagementKey) -> Result<(), StatusWord> {
    let AuthAnswer::Challenge(challenge) = step(piv, key.kind(), &Authenticate::AskChallenge)? else {
        panic!()
    };
    let response = Authenticate::Response(encrypt(key, &challenge).into());
    piv.send(&command::prove_management_key(key.kind().id(), &response)).map(drop)
}

fn is_administrator(piv: &Piv) -> bool {
    objects::put(piv, "5fc103", &[1]).is_ok()
}

fn metadata(piv: &Piv) -> ManagementKeyMetadata {
    ManagementKeyMetadata::parse(&piv.send(&command::metadata(reference::MANAGEMENT_KEY)).unwrap()).unwrap()
}

#[test]
fn four_ciphers_in_both_ways() {
    let bench = Bench::new();
    let mut piv = Piv::open(&bench);
    piv.administer();
    for kind in ManagementKeyType::ALL {
        let key = ManagementKey::new(
            kind,
            (1..=kind.key_size()).map(|n| n.try_into().unwrap()).collect::<Vec<u8>>().into(),
        )
        .unwrap();
        let set = SetManagementKey { key: key.clone(), touch: Touch::Never };
        piv.send(&command::set_management_key(&set)).unwrap();
        assert_eq!(
            metadata(&piv),
            ManagementKeyMetadata { kind, touch_policy: Touch::Never, is_default: false }
        );
        for way in [Piv::prove, single] {
            bench.select(common::AID_MANAGEMENT).unwrap();
            piv = Piv::open(&bench);
            assert!(!is_administrator(&piv), "another application was selected");
            way(&piv, &key).unwrap();
            assert!(is_administrator(&piv));
            let wrong = ManagementKey::new(kind, vec![9; kind.key_size()].into()).unwrap();
            assert_eq!(way(&piv, &wrong), Err(LOCKED));
            assert!(!is_administrator(&piv), "a wrong proof ends the right one");
            way(&piv, &key).unwrap();
        }
    }
}

#[test]
fn the_cipher_has_to_be_the_right_one_even_of_equal_length() {
    let bench = Bench::new();
    let piv = Piv::open(&bench);
    assert_eq!(step(&piv, ManagementKeyType::Tdes, &Authenticate::AskWitness), Err(WRONG));
    let old = Bench::of(Profile::YUBIKEY_5_4_3);
    let piv = Piv::open(&old);
    assert_eq!(step(&piv, ManagementKeyType::Aes192, &Authenticate::AskWitness), Err(WRONG));
    assert_eq!(metadata(&piv).kind, ManagementKeyType::Tdes);
    piv.administer();
}

#[test]
fn a_challenge_of_one_way_does_not_do_in_the_other() {
    let bench = Bench::new();
    let piv = Piv::open(&bench);
    let kind = ManagementKeyType::Aes192;
    // In the single way the block is sent in clear: it must not pass for a decrypted witness.
    let Ok(AuthAnswer::Challenge(clear)) = step(&piv, kind, &Authenticate::AskChallenge) else { panic!() };
    let forged = Authenticate::Witness { witness: clear.clone(), challenge: vec![0; 16].into() };
    assert_eq!(step(&piv, kind, &forged), Err(LOCKED));
    assert!(!is_administrator(&piv));
    // In the mutual way it is sent encrypted: it must not pass for an answer to a challenge.
    let Ok(AuthAnswer::Witness(witness)) = step(&piv, kind, &Authenticate::AskWitness) else { panic!() };
    assert_eq!(step(&piv, kind, &Authenticate::Response(witness)), Err(LOCKED));
    assert!(!is_administrator(&piv));
    // Nor is there an answer without a question.
    let nothing = Authenticate::Witness { witness: vec![0; 16].into(), challenge: vec![0; 16].into() };
    for guess in [Authenticate::Response(vec![0; 16].into()), nothing] {
        assert!(piv.send(&command::prove_management_key(kind.id(), &guess)).is_err());
        assert!(!is_administrator(&piv));
    }
}

#[test]
fn a_question_is_answered_once_and_at_once() {
    let bench = Bench::new();
    let piv = Piv::open(&bench);
    let key = ManagementKey::factory(Profile::YUBIKEY_5_7_4.version());
    let kind = key.kind();
    let Ok(AuthAnswer::Challenge(challenge)) = step(&piv, kind, &Authenticate::AskChallenge) else {
        panic!()
    };
    let right =
        command::prove_management_key(kind.id(), &Authenticate::Response(encrypt(&key, &challenge).into()));
    let wrong = command::prove_management_key(kind.id(), &Authenticate::Response(vec![1; 16].into()));
    assert_eq!(piv.send(&wrong), Err(LOCKED));
    assert_eq!(piv.send(&right), Err(LOCKED), "there is no second guess");
    let Ok(AuthAnswer::Challenge(challenge)) = step(&piv, kind, &Authenticate::AskChallenge) else {
        panic!()
    };
    let right =
        command::prove_management_key(kind.id(), &Authenticate::Response(encrypt(&key, &challenge).into()));
    piv.send(&command::metadata(reference::MANAGEMENT_KEY)).unwrap();
    assert_eq!(piv.send(&right), Ok(vec![]), "reading about the key does not disturb it");
    assert_eq!(piv.send(&right), Err(LOCKED), "the same answer does not do twice");
    let Ok(AuthAnswer::Challenge(challenge)) = step(&piv, kind, &Authenticate::AskChallenge) else {
        panic!()
    };
    let right =
        command::prove_management_key(kind.id(), &Authenticate::Response(encrypt(&key, &challenge).into()));
    piv.send(&command::version()).unwrap();
    assert_eq!(piv.send(&right), Err(LOCKED), "anything else does");
    // A question ends what was proved before.
    piv.administer();
    step(&piv, kind, &Authenticate::AskWitness).unwrap();
    assert!(!is_administrator(&piv));
}

#[test]
fn the_sdks_form_with_an_empty_answer_is_taken() {
    let bench = Bench::new();
    let piv = Piv::open(&bench);
    let key = ManagementKey::factory(Profile::YUBIKEY_5_7_4.version());
    let answer = piv.send(&Command::new(0, 0x87, 0x0A, 0x9B, [0x7C, 2, 0x80, 0])).unwrap();
    let witness = decrypt(&key, &answer[4..]);
    let body = [&[0x7C, 38, 0x80, 16][..], &witness, &[0x81, 16], &[3; 16], &[0x82, 0]].concat();
    let answer = piv.send(&Command::new(0, 0x87, 0x0A, 0x9B, body)).unwrap();
    assert_eq!(answer[4..], encrypt(&key, &[3; 16]));
    assert!(is_administrator(&piv));
}

#[test]
fn a_touch_can_guard_it_and_the_factorys_is_told() {
    let bench = Bench::with(VirtualKey::builder().touch(TouchPolicy::Never).build().unwrap());
    let piv = Piv::open(&bench);
    assert!(metadata(&piv).is_default);
    piv.administer();
    let factory = ManagementKey::factory(Profile::YUBIKEY_5_7_4.version());
    let set = |touch| command::set_management_key(&SetManagementKey { key: factory.clone(), touch });
    piv.send(&set(Touch::Always)).unwrap();
    assert!(!metadata(&piv).is_default && metadata(&piv).touch_policy == Touch::Always);
    assert_eq!(piv.prove(&factory), Err(LOCKED), "nobody touches");
    bench.key.with(|key| key.set_touch_policy(TouchPolicy::Automatic(Milliseconds(1))));
    piv.prove(&factory).unwrap();
    piv.send(&set(Touch::Never)).unwrap();
    assert!(metadata(&piv).is_default);
}

#[test]
fn changing_it_takes_the_old_one() {
    let bench = Bench::of(Profile::YUBIKEY_5_2_7);
    let piv = Piv::open(&bench);
    let set = |kind, length: usize| {
        let key = ManagementKey::new(kind, vec![3; length].into()).unwrap();
        command::set_management_key(&SetManagementKey { key, touch: Touch::Never })
    };
    assert_eq!(piv.send(&set(ManagementKeyType::Tdes, 24)), Err(LOCKED));
    piv.administer();
    assert_eq!(piv.send(&set(ManagementKeyType::Aes128, 16)), Err(WRONG), "AES came later");
    for body in [&[3_u8, 0x9B, 23][..], &[3, 0x9B, 24, 1], &[4, 0x9B, 0], &[3, 0x9C, 0]] {
        assert_eq!(piv.send(&Command::new(0, 0xFF, 0xFF, 0xFF, body)), Err(WRONG));
    }
    assert_eq!(key_bytes(&ManagementKey::factory(Profile::YUBIKEY_5_2_7.version())).len(), 24);
    piv.send(&set(ManagementKeyType::Tdes, 24)).unwrap();
}
