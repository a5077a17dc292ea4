//! The PIV application over the smart card.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod access;
mod attestation;
mod firmware;
mod keys;
mod management;
mod model;
mod objects;
mod power;
mod secrets;
mod transport;

use common::Bench;
use tapkey_emulator::{
    MemoryStore, Milliseconds, Profile, SeededRandom, StateStore, TouchPolicy, VirtualKey,
};
use tapkey_protocol::aid;
use tapkey_protocol::apdu::{Command, StatusWord};
use tapkey_protocol::piv::{
    Algorithm, AuthAnswer, Authenticate, ChangeReference, Generate, KeyMetadata, ManagementKey, Pin,
    PinMetadata, PinPolicy, PublicKey, Puk, Slot, command, reference,
};
use tapkey_protocol::secret::SecretBytes;

const LOCKED: StatusWord = StatusWord::SECURITY_STATUS_NOT_SATISFIED;
const BLOCKED: StatusWord = StatusWord::AUTHENTICATION_BLOCKED;
const WRONG: StatusWord = StatusWord::WRONG_DATA;
const NOT_FOUND: StatusWord = StatusWord::NOT_FOUND;
const EMPTY: StatusWord = StatusWord::REFERENCE_NOT_FOUND;

/// A host of the application.
struct Piv<'a> {
    bench: &'a Bench,
}

impl<'a> Piv<'a> {
    fn open(bench: &'a Bench) -> Self {
        bench.select(aid::PIV).unwrap();
        Self { bench }
    }

    /// With everything opened that can be.
    fn opened(bench: &'a Bench) -> Self {
        let piv = Self::open(bench);
        piv.administer();
        piv.verify(b"123456").unwrap();
        piv
    }

    fn send(&self, command: &Command) -> Result<Vec<u8>, StatusWord> {
        self.bench.transmit(command)
    }

    fn verify(&self, pin: &[u8]) -> Result<(), StatusWord> {
        self.send(&command::verify(&Pin::new(pin).unwrap())).map(drop)
    }

    fn tries(&self) -> (u8, u8) {
        let tries = |about| PinMetadata::parse(&self.send(&command::metadata(about)).unwrap()).unwrap().left;
        (tries(reference::PIN), tries(reference::PUK))
    }

    fn change_pin(&self, old: &[u8], new: &[u8]) -> Result<(), StatusWord> {
        let change = ChangeReference::pin(&Pin::new(old).unwrap(), &Pin::new(new).unwrap());
        self.send(&command::change_reference(reference::PIN, &change)).map(drop)
    }

    fn unblock(&self, puk: &[u8], new: &[u8]) -> Result<(), StatusWord> {
        let change = ChangeReference::unblock(&Puk::new(puk).unwrap(), &Pin::new(new).unwrap());
        self.send(&command::unblock(&change)).map(drop)
    }

    /// Blocks the PIN and the PUK.
    fn block(&self) {
        while self.verify(b"000000") != Err(BLOCKED) {}
        while self.unblock(b"000000", b"000000") != Err(BLOCKED) {}
    }

    /// Proves the factory's management key.
    fn administer(&self) {
        let firmware = self.bench.key.with(|key| key.profile().version());
        self.prove(&ManagementKey::factory(firmware)).unwrap();
    }

    fn prove(&self, key: &ManagementKey) -> Result<(), StatusWord> {
        let step = |step: &Authenticate| self.send(&command::prove_management_key(key.kind().id(), step));
        let AuthAnswer::Witness(witness) = AuthAnswer::parse(&step(&Authenticate::AskWitness)?).unwrap()
        else {
            panic!("a witness was asked for")
        };
        let witness = management::decrypt(key, &witness);
        let challenge = vec![0x5A; witness.len()];
        let proof = Authenticate::Witness { witness: witness.into(), challenge: challenge.clone().into() };
        let answer = AuthAnswer::parse(&step(&proof)?).unwrap();
        assert_eq!(
            answer,
            AuthAnswer::Response(management::encrypt(key, &challenge).into()),
            "the key proved it too"
        );
        Ok(())
    }

    fn generate(&self, slot: Slot, generate: &Generate) -> Result<PublicKey, StatusWord> {
        let answer = self.send(&command::generate(slot, generate))?;
        Ok(PublicKey::parse_generated(&answer, generate.algorithm).unwrap())
    }

    fn make(&self, slot: Slot, algorithm: Algorithm) -> PublicKey {
        self.generate(slot, &Generate::new(algorithm)).unwrap()
    }

    fn use_key(&self, slot: Slot, algorithm: Algorithm, ask: &Authenticate) -> Result<Vec<u8>, StatusWord> {
        let answer = self.send(&command::use_key(algorithm, slot, ask))?;
        match AuthAnswer::parse(&answer).unwrap() {
            AuthAnswer::Response(value) => Ok(value.to_vec()),
            other => panic!("{other:?}"),
        }
    }

    /// A signature by a key on P-256.
    fn sign(&self, slot: Slot) -> Result<Vec<u8>, StatusWord> {
        self.use_key(slot, Algorithm::P256, &Authenticate::Sign(vec![7; 32].into()))
    }

    fn metadata(&self, slot: Slot) -> Result<KeyMetadata, StatusWord> {
        Ok(KeyMetadata::parse(&self.send(&command::metadata(slot.id()))?).unwrap())
    }
}

fn with_policies(algorithm: Algorithm, pin: PinPolicy, touch: tapkey_protocol::piv::TouchPolicy) -> Generate {
    Generate { pin_policy: Some(pin), touch_policy: Some(touch), ..Generate::new(algorithm) }
}

fn tries_left(tries: u8) -> StatusWord {
    StatusWord::tries_left(tries)
}

fn key_bytes(key: &ManagementKey) -> SecretBytes {
    SecretBytes::new(key.expose().to_vec())
}
