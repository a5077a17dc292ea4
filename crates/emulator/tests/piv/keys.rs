//! Keys: what they compute is checked with the public half, by their libraries.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, RsaPublicKey};
use tapkey_protocol::piv::{Import, Origin, PrivateKey, TouchPolicy as Touch};

use super::*;

fn free() -> (PinPolicy, Touch) {
    (PinPolicy::Never, Touch::Never)
}

fn make(piv: &Piv, slot: Slot, algorithm: Algorithm) -> PublicKey {
    let (pin, touch) = free();
    let public = piv.generate(slot, &with_policies(algorithm, pin, touch)).unwrap();
    assert_eq!(piv.metadata(slot).unwrap().public_key, public);
    assert_eq!(piv.metadata(slot).unwrap().origin, Origin::Generated);
    public
}

fn sign(data: &[u8]) -> Authenticate {
    Authenticate::Sign(data.to_vec().into())
}

/// A block as PKCS #1 v1.5 makes it; what is in it does not matter to the key.
fn block(size: usize) -> Vec<u8> {
    let mut block = vec![0xFF; size];
    block[..2].copy_from_slice(&[0, 1]);
    block[size - 33] = 0;
    block[size - 32..].copy_from_slice(&[0xAB; 32]);
    block
}

fn check_rsa(public: &PublicKey, block: &[u8], signature: &[u8]) {
    let PublicKey::Rsa { modulus, exponent } = public else { panic!("{public:?}") };
    assert_eq!(exponent, &[1, 0, 1]);
    let bits = u32::try_from(modulus.len() * 8).unwrap();
    let key = RsaPublicKey::new(BoxedUint::from_be_slice(modulus, bits).unwrap(), 65_537_u64.into()).unwrap();
    assert_eq!(key.n().bits(), bits);
    let back = rsa::hazmat::rsa_encrypt(&key, &BoxedUint::from_be_slice(signature, bits).unwrap()).unwrap();
    assert_eq!(*back.to_be_bytes(), *block);
}

fn rsa_signs(algorithm: Algorithm) {
    let bench = Bench::new();
    let piv = Piv::opened(&bench);
    let public = make(&piv, Slot::AUTHENTICATION, algorithm);
    let block = block(algorithm.size());
    let signature = piv.use_key(Slot::AUTHENTICATION, algorithm, &sign(&block)).unwrap();
    assert_eq!(signature.len(), algorithm.size());
    check_rsa(&public, &block, &signature);
    let short = sign(&block[1..]);
    assert_eq!(piv.use_key(Slot::AUTHENTICATION, algorithm, &short), Err(WRONG));
    let above = sign(&vec![0xFF; algorithm.size()]);
    assert_eq!(piv.use_key(Slot::AUTHENTICATION, algorithm, &above), Err(WRONG), "above the modulus");
    let agree = Authenticate::Agree(block.clone());
    assert_eq!(piv.use_key(Slot::AUTHENTICATION, algorithm, &agree), Err(WRONG));
}

#[test]
fn rsa_1024_signs() {
    rsa_signs(Algorithm::Rsa1024);
}

#[test]
fn rsa_2048_signs() {
    rsa_signs(Algorithm::Rsa2048);
}

#[test]
fn rsa_3072_signs() {
    rsa_signs(Algorithm::Rsa3072);
}

#[test]
fn rsa_4096_signs() {
    rsa_signs(Algorithm::Rsa4096);
}

#[test]
fn answers_to_generate_have_the_shortest_lengths() {
    let bench = Bench::new();
    let piv = Piv::opened(&bench);
    let generated =
        |algorithm| piv.send(&command::generate(Slot::AUTHENTICATION, &Generate::new(algorithm))).unwrap();
    assert_eq!(generated(Algorithm::Rsa1024)[..6], [0x7F, 0x49, 0x81, 0x88, 0x81, 0x81]);
    assert_eq!(generated(Algorithm::P256)[..6], [0x7F, 0x49, 0x43, 0x86, 0x41, 4]);
    assert_eq!(generated(Algorithm::P384)[..6], [0x7F, 0x49, 0x63, 0x86, 0x61, 4]);
    assert_eq!(generated(Algorithm::Ed25519)[..5], [0x7F, 0x49, 0x22, 0x86, 0x20]);
}

#[test]
fn ecdsa_over_digests_up_to_the_field() {
    let bench = Bench::new();
    let piv = Piv::opened(&bench);
    let slot = Slot::CARD_AUTHENTICATION;
    let PublicKey::P256(point) = make(&piv, slot, Algorithm::P256) else { panic!() };
    let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point).unwrap();
    for length in [20, 28, 32] {
        let signature = piv.use_key(slot, Algorithm::P256, &sign(&vec![0xC3; length])).unwrap();
        let signature = p256::ecdsa::Signature::from_der(&signature).unwrap();
        let number = [vec![0; 32 - length], vec![0xC3; length]].concat();
        key.verify_prehash(&number, &signature).unwrap();
    }
    assert_eq!(piv.use_key(slot, Algorithm::P256, &sign(&[1; 33])), Err(WRONG));
    let PublicKey::P384(point) = make(&piv, slot, Algorithm::P384) else { panic!() };
    let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(&point).unwrap();
    for length in [20, 32, 48] {
        let signature = piv.use_key(slot, Algorithm::P384, &sign(&vec![0xC3; length])).unwrap();
        let signature = p384::ecdsa::Signature::from_der(&signature).unwrap();
        let number = [vec![0; 48 - length], vec![0xC3; length]].concat();
        key.verify_prehash(&number, &signature).unwrap();
    }
    assert_eq!(piv.use_key(slot, Algorithm::P256, &sign(&[1; 32])), Err(WRONG), "it is a key on P-384");
}

#[test]
fn ed25519_signs_messages_of_every_length() {
    let bench = Bench::new();
    let piv = Piv::opened(&bench);
    let PublicKey::Ed25519(point) = make(&piv, Slot::CARD_AUTHENTICATION, Algorithm::Ed25519) else {
        panic!()
    };
    let key = ed25519_dalek::VerifyingKey::from_bytes(&point).unwrap();
    for length in [0, 1, 64, 1000, 3000] {
        let message = vec![0x11; length];
        let signature = piv.use_key(Slot::CARD_AUTHENTICATION, Algorithm::Ed25519, &sign(&message)).unwrap();
        key.verify_strict(&message, &signature.as_slice().try_into().unwrap()).unwrap();
    }
}

#[test]
fn both_sides_agree_on_the_secret() {
    let bench = Bench::new();
    let piv = Piv::opened(&bench);
    let [ours, theirs] = [Slot::KEY_MANAGEMENT, Slot::CARD_AUTHENTICATION];
    for algorithm in [Algorithm::P256, Algorithm::P384, Algorithm::X25519] {
        let point = |key: PublicKey| key.encode()[2..].to_vec();
        let [our_point, their_point] = [ours, theirs].map(|slot| point(make(&piv, slot, algorithm)));
        let secret = |slot, point: &[u8]| piv.use_key(slot, algorithm, &Authenticate::Agree(point.to_vec()));
        let shared = secret(ours, &their_point).unwrap();
        assert_eq!(shared, secret(theirs, &our_point).unwrap());
        assert_eq!(shared.len(), algorithm.size());
        let mut off_curve = their_point.clone();
        off_curve.truncate(algorithm.size());
        for bad in [&off_curve[..algorithm.size() - 1], &[], &vec![0; their_point.len()][..]] {
            assert_eq!(secret(ours, bad), Err(WRONG), "{algorithm}");
        }
    }
}

#[test]
fn a_published_secret_is_computed() {
    // RFC 7748 section 5.2, the first vector.
    let bytes = |text: &str| -> [u8; 32] { common::hex(text).try_into().unwrap() };
    let scalar = bytes("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
    let point = bytes("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
    let bench = Bench::new();
    let piv = Piv::opened(&bench);
    import(&piv, Slot::KEY_MANAGEMENT, Algorithm::X25519, PrivateKey::X25519(scalar.into())).unwrap();
    let agree = Authenticate::Agree(point.to_vec());
    let secret = piv.use_key(Slot::KEY_MANAGEMENT, Algorithm::X25519, &agree).unwrap();
    assert_eq!(secret, bytes("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552"));
}

/// An RSA key of 1024 bits that was made on another machine.
fn rsa_parts() -> [Vec<u8>; 5] {
    use rsa::traits::PrivateKeyParts;
    let mut noise = Noise(SeededRandom::new(9));
    let key = rsa::RsaPrivateKey::new(&mut noise, 1024).unwrap();
    let bytes = |number: &BoxedUint| number.to_be_bytes().to_vec();
    [
        bytes(&key.primes()[0]),
        bytes(&key.primes()[1]),
        bytes(key.dp().unwrap()),
        bytes(key.dq().unwrap()),
        bytes(&key.crt_coefficient().unwrap()),
    ]
}

struct Noise(SeededRandom);

impl rsa::rand_core::TryRng for Noise {
    type Error = std::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        tapkey_emulator::RandomSource::fill(&mut self.0, bytes);
        Ok(())
    }
}

impl rsa::rand_core::TryCryptoRng for Noise {}

fn import(piv: &Piv, slot: Slot, algorithm: Algorithm, key: PrivateKey) -> Result<(), StatusWord> {
    let import = Import { key, pin_policy: Some(PinPolicy::Never), touch_policy: None };
    piv.send(&command::import(algorithm, slot, &import)).map(drop)
}

#[test]
fn imported_keys_compute() {
    let bench = Bench::new();
    let piv = Piv::opened(&bench);
    let [p, q, dp, dq, qinv] = rsa_parts();
    let slot = Slot::AUTHENTICATION;
    import(&piv, slot, Algorithm::Rsa1024, PrivateKey::rsa(&p, &q, &dp, &dq, &qinv).unwrap()).unwrap();
    let metadata = piv.metadata(slot).unwrap();
    assert_eq!(metadata.origin, Origin::Imported);
    let block = block(128);
    check_rsa(&metadata.public_key, &block, &piv.use_key(slot, Algorithm::Rsa1024, &sign(&block)).unwrap());

    import(&piv, slot, Algorithm::P256, PrivateKey::P256([5; 32].into())).unwrap();
    let PublicKey::P256(point) = piv.metadata(slot).unwrap().public_key else { panic!() };
    let expected = p256::SecretKey::from_slice(&[5; 32]).unwrap().public_key();
    assert_eq!(*expected.to_sec1_bytes(), point);
    import(&piv, slot, Algorithm::P384, PrivateKey::P384([5; 48].into())).unwrap();
    // RFC 8032 section 7.1, test 1.
    let seed: [u8; 32] =
        common::hex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").try_into().unwrap();
    import(&piv, slot, Algorithm::Ed25519, PrivateKey::Ed25519(seed.into())).unwrap();
    let PublicKey::Ed25519(point) = piv.metadata(slot).unwrap().public_key else { panic!() };
    assert_eq!(
        point.to_vec(),
        common::hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    );
    let signature = piv.use_key(slot, Algorithm::Ed25519, &sign(&[])).unwrap();
    assert_eq!(
        data_encoding::HEXLOWER.encode(&signature),
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"
    );
}

#[test]
fn numbers_that_are_no_key_are_refused_and_change_nothing() {
    let bench = Bench::new();
    let piv = Piv::opened(&bench);
    let slot = Slot::AUTHENTICATION;
    let before = make(&piv, slot, Algorithm::P256);
    let parts = rsa_parts();
    for place in 0..5 {
        // Another number in one of the five places.
        for change in [1, 2, 0x80] {
            let mut broken = parts.clone();
            *broken[place].last_mut().unwrap() ^= change;
            let [p, q, dp, dq, qinv] = broken.each_ref().map(Vec::as_slice);
            let key = PrivateKey::rsa(p, q, dp, dq, qinv).unwrap();
            assert_eq!(import(&piv, slot, Algorithm::Rsa1024, key), Err(WRONG), "{place}");
        }
    }
    let [p, _, dp, dq, qinv] = parts.each_ref().map(Vec::as_slice);
    let same = PrivateKey::rsa(p, p, dp, dq, qinv).unwrap();
    assert_eq!(import(&piv, slot, Algorithm::Rsa1024, same), Err(WRONG));
    let zero = SecretBytes::new(vec![0; 64]);
    let zeros =
        PrivateKey::Rsa { p: zero.clone(), q: zero.clone(), dp: zero.clone(), dq: zero.clone(), qinv: zero };
    assert_eq!(import(&piv, slot, Algorithm::Rsa1024, zeros), Err(WRONG));
    for scalar in [[0; 32], [0xFF; 32]] {
        assert_eq!(import(&piv, slot, Algorithm::P256, PrivateKey::P256(scalar.into())), Err(WRONG));
    }
    for body in [&[][..], &[6, 31], &[7, 32], &[6, 0]] {
        assert_eq!(piv.send(&Command::new(0, 0xFE, 0x11, slot.id(), body)), Err(WRONG));
    }
    assert_eq!(piv.metadata(slot).unwrap().public_key, before);
    assert!(piv.sign(slot).is_ok());
}

#[test]
fn keys_are_moved_with_all_that_belongs_to_them() {
    let bench = Bench::new();
    let piv = Piv::opened(&bench);
    let [from, to] = [Slot::AUTHENTICATION, Slot::retired(1).unwrap()];
    piv.generate(from, &with_policies(Algorithm::P256, PinPolicy::Always, Touch::Cached)).unwrap();
    let before = piv.metadata(from).unwrap();
    objects::put(&piv, "5fc105", &[0x70, 0]).unwrap();
    piv.send(&command::move_key(from, to)).unwrap();
    assert_eq!(piv.metadata(to).unwrap(), before);
    assert_eq!(piv.metadata(from), Err(EMPTY));
    assert_eq!(objects::get(&piv, "5fc105").unwrap(), [0x70, 0], "certificates stay");
    assert_eq!(piv.send(&command::move_key(from, to)), Err(WRONG), "occupied");
    assert_eq!(piv.send(&command::move_key(to, to)), Err(WRONG), "occupied by itself");
    assert_eq!(piv.send(&command::move_key(from, Slot::SIGNATURE)), Err(EMPTY));
    assert_eq!(piv.send(&command::move_key(to, Slot::ATTESTATION)), Err(WRONG));
    assert_eq!(piv.send(&command::move_key(Slot::ATTESTATION, from)), Err(WRONG));
    assert_eq!(piv.send(&Command::new(0, 0xF6, 0x77, to.id(), [])), Err(WRONG));
    assert_eq!(piv.send(&Command::new(0, 0xF6, from.id(), 0x77, [])), Err(EMPTY));
    piv.send(&command::delete_key(to)).unwrap();
    assert_eq!(piv.metadata(to), Err(EMPTY));
    assert_eq!(piv.send(&command::delete_key(to)), Err(EMPTY));
}

#[test]
fn changes_of_keys_take_the_management_key() {
    let bench = Bench::new();
    let piv = Piv::opened(&bench);
    make(&piv, Slot::AUTHENTICATION, Algorithm::P256);
    bench.select(common::AID_MANAGEMENT).unwrap();
    let piv = Piv::open(&bench);
    piv.verify(b"123456").unwrap();
    assert_eq!(piv.generate(Slot::SIGNATURE, &Generate::new(Algorithm::P256)), Err(LOCKED));
    assert_eq!(import(&piv, Slot::SIGNATURE, Algorithm::P256, PrivateKey::P256([5; 32].into())), Err(LOCKED));
    assert_eq!(piv.send(&command::move_key(Slot::AUTHENTICATION, Slot::SIGNATURE)), Err(LOCKED));
    assert_eq!(piv.send(&command::delete_key(Slot::AUTHENTICATION)), Err(LOCKED));
    for ins in [0x47, 0xFE, 0xDB, 0xF6] {
        assert_eq!(
            piv.send(&Command::new(0, ins, 0x11, 0x9A, [0xEE; 9])),
            Err(LOCKED),
            "before the body is read"
        );
    }
    assert!(piv.sign(Slot::AUTHENTICATION).is_ok());
}

#[test]
fn operations_that_a_key_does_not_have() {
    let bench = Bench::new();
    let piv = Piv::opened(&bench);
    assert_eq!(piv.sign(Slot::AUTHENTICATION), Err(EMPTY));
    assert_eq!(piv.sign(Slot::ATTESTATION), Err(WRONG), "it signs attestations and nothing else");
    make(&piv, Slot::AUTHENTICATION, Algorithm::X25519);
    assert_eq!(piv.use_key(Slot::AUTHENTICATION, Algorithm::X25519, &sign(&[1; 32])), Err(WRONG));
    make(&piv, Slot::AUTHENTICATION, Algorithm::Ed25519);
    let agree = Authenticate::Agree(vec![9; 32]);
    assert_eq!(piv.use_key(Slot::AUTHENTICATION, Algorithm::Ed25519, &agree), Err(WRONG));
    for algorithm in [Algorithm::Ed25519, Algorithm::X25519] {
        assert_eq!(piv.generate(Slot::ATTESTATION, &Generate::new(algorithm)), Err(WRONG));
    }
    for body in [&[][..], &[0x7C, 0], &[0x7C, 2, 0x82, 0], &[0x7C, 3, 0x81, 5, 1], &[0x7D, 2, 0x81, 0]] {
        assert_eq!(piv.send(&Command::new(0, 0x87, 0xE0, 0x9A, body)), Err(WRONG), "{body:?}");
    }
}
