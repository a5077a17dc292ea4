//! PIV on an emulated key: what is there, what is refused, what is left behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]

mod common;

use std::sync::{Arc, Mutex};

use common::{Bench, Emulated};
use tapkey_driver::piv::{
    Administrator, NewManagementKey, PinKind, PivInputError, PivRefusal, public_key_to_der,
};
use tapkey_driver::{Device, Error, InputError, PivSession, Refusal, TouchEvent};
use tapkey_emulator::{Milliseconds, Profile, TouchPolicy as Finger};
use tapkey_protocol::apdu::{Command, Encoding, Response, StatusWord};
use tapkey_protocol::link::{CardLink, CardTransport, LinkError};
use tapkey_protocol::piv::{
    Algorithm, CertificateObject, Chuid, Generate, Import, ManagementKey, ManagementKeyType, ObjectId,
    Origin, Pin, PinPolicy, PrivateKey, ProtectedKey, PublicKey, Puk, Slot, TouchPolicy, command,
};
use tapkey_protocol::secret::{Secret, SecretBytes};
use tapkey_protocol::{aid, piv};

fn pin(text: &str) -> Pin {
    Pin::new(text.as_bytes()).unwrap()
}

fn puk(text: &str) -> Puk {
    Puk::new(text.as_bytes()).unwrap()
}

fn key(kind: ManagementKeyType, byte: u8) -> ManagementKey {
    ManagementKey::new(kind, SecretBytes::new(vec![byte; kind.key_size()])).unwrap()
}

struct Rig {
    bench: Bench,
    piv: PivSession,
    factory: ManagementKey,
}

impl Rig {
    fn new(profile: Profile) -> Self {
        let bench = Bench::with_touch(profile, Finger::Automatic(Milliseconds(100)));
        let piv = PivSession::over_card(bench.key.card().unwrap(), &bench.control).unwrap();
        let factory = ManagementKey::factory(piv.version());
        Self { bench, piv, factory }
    }

    fn generate(&mut self, slot: Slot, ask: &Generate) -> Result<PublicKey, Error> {
        self.piv.generate(slot, ask, Administrator::Key(&self.factory), &self.bench.control)
    }

    fn p256(&mut self, slot: Slot) -> PublicKey {
        self.generate(slot, &Generate::new(Algorithm::P256)).unwrap()
    }

    /// What another program that has the card after us may do.
    fn next_program(&self, command: &Command) -> StatusWord {
        let mut link = self.bench.key.card().unwrap();
        let select = Command::select(aid::PIV).encode(Encoding::Short).unwrap();
        assert!(Response::parse(&link.transmit(&select).unwrap()).unwrap().status.is_success());
        let bytes = command.encode(Encoding::Short).unwrap();
        Response::parse(&link.transmit(&bytes).unwrap()).unwrap().status
    }

    #[track_caller]
    fn nothing_is_left_open(&self) {
        let state = self.next_program(&command::pin_state());
        assert!(!state.is_success(), "the PIN stands open: {state}");
        let put = piv::PutData { id: ObjectId::CCC, value: SecretBytes::new(vec![1]) };
        let status = self.next_program(&command::put_data(&put));
        assert_eq!(status, StatusWord::SECURITY_STATUS_NOT_SATISFIED, "the management key stands open");
    }
}

fn rig() -> Rig {
    Rig::new(Profile::YUBIKEY_5_7_4)
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, expected: &PivRefusal) {
    match result {
        Err(Error::Refused(Refusal::Piv(refusal))) => assert_eq!(&refusal, expected),
        other => panic!("{other:?} instead of {expected:?}"),
    }
}

#[test]
fn a_new_key_is_described() {
    let mut rig = rig();
    let info = rig.piv.info(&rig.bench.control).unwrap();
    assert_eq!(info.serial, Some(common::SERIAL));
    assert_eq!((info.pin_tries.left, info.pin_tries.total), (3, Some(3)));
    assert!(info.pin.unwrap().is_default && info.puk.unwrap().is_default);
    let management = info.management_key.unwrap();
    assert_eq!((management.kind, management.is_default), (ManagementKeyType::Aes192, true));
    assert_eq!((info.chuid.is_none(), info.ccc.is_none(), info.bio.is_none()), (true, true, true));
    let slots: Vec<Slot> = info.slots.iter().map(|slot| slot.slot).collect();
    assert_eq!(slots, [Slot::ATTESTATION]);
    assert!(info.slots[0].key.is_some() && info.slots[0].certificate.is_some());
    rig.nothing_is_left_open();
}

#[test]
fn pin_and_puk() {
    let mut rig = rig();
    let control = rig.bench.control.clone();
    let wrong = |what, tries_left| PivRefusal::Wrong { what, tries_left };
    rig.piv.verify_pin(&pin("123456"), &control).unwrap();
    rig.nothing_is_left_open();
    refused(rig.piv.change_pin(&pin("111111"), &pin("246810"), &control), &wrong(PinKind::Pin, 2));
    assert_eq!(rig.piv.pin_tries(&control).unwrap().left, 2);
    rig.piv.change_pin(&pin("123456"), &pin("246810"), &control).unwrap();
    rig.piv.change_puk(&puk("12345678"), &puk("abcdefgh"), &control).unwrap();
    let (known, puk_known) = rig.piv.pin_and_puk(&control).unwrap().unwrap();
    assert!(!known.is_default && !puk_known.is_default);
    for left in [2, 1] {
        refused(rig.piv.verify_pin(&pin("123456"), &control), &wrong(PinKind::Pin, left));
    }
    let blocked = PivRefusal::Blocked { what: PinKind::Pin };
    refused(rig.piv.verify_pin(&pin("123456"), &control), &blocked);
    refused(rig.piv.verify_pin(&pin("246810"), &control), &blocked);
    assert_eq!(rig.piv.pin_tries(&control).unwrap().left, 0);
    refused(rig.piv.unblock_pin(&puk("12345678"), &pin("135791"), &control), &wrong(PinKind::Puk, 2));
    rig.piv.unblock_pin(&puk("abcdefgh"), &pin("135791"), &control).unwrap();
    rig.piv.verify_pin(&pin("135791"), &control).unwrap();
    rig.nothing_is_left_open();
}

#[test]
fn numbers_of_tries() {
    let mut rig = rig();
    let control = rig.bench.control.clone();
    rig.piv.change_pin(&pin("123456"), &pin("246810"), &control).unwrap();
    let factory = rig.factory.clone();
    let who = Administrator::Key(&factory);
    let none = rig.piv.set_retries(0, 5, who, &pin("246810"), &control);
    assert!(matches!(none, Err(Error::Input(InputError::Piv(PivInputError::NoTries)))));
    rig.piv.set_retries(200, 7, who, &pin("246810"), &control).unwrap();
    let (known, puk_known) = rig.piv.pin_and_puk(&control).unwrap().unwrap();
    assert_eq!((known.left, known.total, known.is_default), (200, 200, true));
    assert_eq!((puk_known.left, puk_known.total), (7, 7));
    rig.piv.reset(&control).unwrap();
    assert_eq!(rig.piv.pin_tries(&control).unwrap().left, 3);
}

#[test]
fn every_algorithm_signs_or_agrees() {
    let mut rig = rig();
    let control = rig.bench.control.clone();
    let pin = pin("123456");
    for algorithm in
        [Algorithm::Rsa1024, Algorithm::P256, Algorithm::P384, Algorithm::Ed25519, Algorithm::X25519]
    {
        let public = rig.generate(Slot::KEY_MANAGEMENT, &Generate::new(algorithm)).unwrap();
        assert_eq!(public.algorithm(), Some(algorithm));
        assert!(public_key_to_der(&public).is_ok());
        let metadata = rig.piv.metadata(Slot::KEY_MANAGEMENT, &control).unwrap().unwrap();
        assert_eq!((metadata.origin, &metadata.public_key), (Origin::Generated, &public));
        let slot = Slot::KEY_MANAGEMENT;
        match algorithm {
            Algorithm::X25519 => {
                let secret = rig.piv.agree(slot, &PublicKey::X25519([9; 32]), Some(&pin), &control).unwrap();
                assert_eq!(secret.len(), 32);
            }
            _ => {
                let mut data = vec![0x5A; algorithm.size()];
                data[0] = 0;
                let signature = rig.piv.sign(slot, algorithm, &data, Some(&pin), &control).unwrap();
                assert!(signature.len() >= algorithm.size());
            }
        }
        rig.nothing_is_left_open();
    }
    let wrong = PivRefusal::WrongOperation { slot: Slot::KEY_MANAGEMENT };
    refused(rig.piv.sign(Slot::KEY_MANAGEMENT, Algorithm::P256, &[1; 32], Some(&pin), &control), &wrong);
    refused(rig.piv.decrypt(Slot::KEY_MANAGEMENT, Algorithm::Rsa1024, &[1; 5], Some(&pin), &control), &wrong);
}

#[test]
fn policies_are_kept_and_explained() {
    let mut rig = rig();
    let control = rig.bench.control.clone();
    rig.p256(Slot::SIGNATURE);
    let sign =
        |rig: &mut Rig, slot, pin: Option<&Pin>| rig.piv.sign(slot, Algorithm::P256, &[1; 32], pin, &control);
    refused(sign(&mut rig, Slot::SIGNATURE, None), &PivRefusal::PinNeeded { operation: "use this key" });
    for _ in 0..2 {
        sign(&mut rig, Slot::SIGNATURE, Some(&pin("123456"))).unwrap();
    }
    refused(
        sign(&mut rig, Slot::SIGNATURE, Some(&pin("999999"))),
        &PivRefusal::Wrong { what: PinKind::Pin, tries_left: 2 },
    );
    // A PIN is not spent where none is needed, nor where there is no key.
    let free = Generate { pin_policy: Some(PinPolicy::Never), ..Generate::new(Algorithm::P256) };
    rig.generate(Slot::AUTHENTICATION, &free).unwrap();
    sign(&mut rig, Slot::AUTHENTICATION, None).unwrap();
    sign(&mut rig, Slot::AUTHENTICATION, Some(&pin("999999"))).unwrap();
    assert_eq!(rig.piv.pin_tries(&control).unwrap().left, 2);
    refused(
        sign(&mut rig, Slot::KEY_MANAGEMENT, Some(&pin("123456"))),
        &PivRefusal::NoKey { slot: Slot::KEY_MANAGEMENT },
    );
}

/// Another program left the PIN open: without one of our own, a key that needs it stays closed.
#[test]
fn a_pin_that_another_program_left_open_is_not_used() {
    let mut rig = rig();
    rig.p256(Slot::AUTHENTICATION);
    assert!(rig.next_program(&command::verify(&pin("123456"))).is_success());
    let control = rig.bench.control.clone();
    let result = rig.piv.sign(Slot::AUTHENTICATION, Algorithm::P256, &[1; 32], None, &control);
    refused(result, &PivRefusal::PinNeeded { operation: "use this key" });
}

#[test]
fn touches_are_told_and_missed() {
    let mut rig = rig();
    let ask = Generate { touch_policy: Some(TouchPolicy::Always), ..Generate::new(Algorithm::P256) };
    rig.generate(Slot::CARD_AUTHENTICATION, &ask).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    let events = Arc::clone(&told);
    let control = rig.bench.control.clone().with_touch(move |event| events.lock().unwrap().push(event));
    let sign =
        |rig: &mut Rig| rig.piv.sign(Slot::CARD_AUTHENTICATION, Algorithm::P256, &[1; 32], None, &control);
    sign(&mut rig).unwrap();
    assert_eq!(*told.lock().unwrap(), [TouchEvent::Needed { seconds_left: None }, TouchEvent::Over]);
    rig.bench.key.with(|key| key.set_touch_policy(Finger::Manual));
    assert!(matches!(sign(&mut rig), Err(Error::Refused(Refusal::TouchTimedOut))));
}

#[test]
fn imported_keys_are_used_and_not_attested() {
    let mut rig = rig();
    let control = rig.bench.control.clone();
    let factory = rig.factory.clone();
    let who = Administrator::Key(&factory);
    let import =
        Import { key: PrivateKey::Ed25519(Secret::new([7; 32])), pin_policy: None, touch_policy: None };
    let slot = Slot::retired(3).unwrap();
    rig.piv.import(slot, &import, who, &control).unwrap();
    let metadata = rig.piv.metadata(slot, &control).unwrap().unwrap();
    assert_eq!((metadata.origin, metadata.pin_policy), (Origin::Imported, PinPolicy::Once));
    rig.piv.sign(slot, Algorithm::Ed25519, b"message", Some(&pin("123456")), &control).unwrap();
    refused(rig.piv.attest(slot, &control), &PivRefusal::NotGenerated { slot });
    refused(rig.piv.attest(Slot::SIGNATURE, &control), &PivRefusal::NoKey { slot: Slot::SIGNATURE });
    rig.p256(Slot::SIGNATURE);
    assert_eq!(rig.piv.attest(Slot::SIGNATURE, &control).unwrap()[0], 0x30);

    // Moving and deleting.
    let other = Slot::retired(4).unwrap();
    refused(rig.piv.move_key(other, slot, who, &control), &PivRefusal::NoKey { slot: other });
    refused(
        rig.piv.move_key(slot, Slot::SIGNATURE, who, &control),
        &PivRefusal::SlotTaken { slot: Slot::SIGNATURE },
    );
    rig.piv.move_key(slot, other, who, &control).unwrap();
    assert!(rig.piv.metadata(slot, &control).unwrap().is_none());
    rig.piv.delete_key(other, who, &control).unwrap();
    refused(rig.piv.delete_key(other, who, &control), &PivRefusal::NoKey { slot: other });
    rig.nothing_is_left_open();
}

#[test]
fn objects_and_certificates() {
    let mut rig = rig();
    let control = rig.bench.control.clone();
    let factory = rig.factory.clone();
    let who = Administrator::Key(&factory);
    let chuid = Chuid::new([7; 16]).encode();
    rig.piv.put_object(ObjectId::CHUID, &chuid, who, &control).unwrap();
    assert_eq!(rig.piv.object(ObjectId::CHUID, None, &control).unwrap().unwrap().as_slice(), chuid);
    assert_eq!(rig.piv.info(&control).unwrap().guid(), Some([7; 16]));
    rig.piv.put_object(ObjectId::PRINTED, &[1, 2, 3], who, &control).unwrap();
    let needed = PivRefusal::PinNeeded { operation: "read this object" };
    refused(rig.piv.object(ObjectId::PRINTED, None, &control), &needed);
    let secret = rig.piv.object(ObjectId::PRINTED, Some(&pin("123456")), &control).unwrap();
    assert_eq!(secret.unwrap().as_slice(), [1, 2, 3]);
    rig.nothing_is_left_open();

    let certificate = CertificateObject::new(vec![0x30, 3, 2, 1, 1]);
    rig.piv.put_certificate(Slot::AUTHENTICATION, &certificate, who, &control).unwrap();
    assert_eq!(rig.piv.certificate(Slot::AUTHENTICATION, &control).unwrap(), Some(certificate));
    rig.piv.delete_certificate(Slot::AUTHENTICATION, who, &control).unwrap();
    assert_eq!(rig.piv.certificate(Slot::AUTHENTICATION, &control).unwrap(), None);
    let id = Slot::AUTHENTICATION.certificate();
    refused(rig.piv.delete_certificate(Slot::AUTHENTICATION, who, &control), &PivRefusal::NoObject { id });
    let fixed = rig.piv.put_object(ObjectId::DISCOVERY, &[1], who, &control);
    assert!(matches!(fixed, Err(Error::Input(InputError::Piv(PivInputError::NotWritable { .. })))));
    let long = rig.piv.put_object(ObjectId::CCC, &[1; 3064], who, &control);
    assert!(matches!(long, Err(Error::Input(InputError::Piv(PivInputError::ObjectTooLong { .. })))));
    rig.piv.put_object(ObjectId::CCC, &[1; 3000], who, &control).unwrap();
}

#[test]
fn management_keys_of_every_cipher() {
    let mut rig = rig();
    let control = rig.bench.control.clone();
    let mut present = rig.factory.clone();
    for (kind, byte) in ManagementKeyType::ALL.into_iter().zip(1..) {
        let next = key(kind, byte);
        let new = NewManagementKey { key: &next, touch: TouchPolicy::Never, protect: None };
        rig.piv.set_management_key(&new, Administrator::Key(&present), &control).unwrap();
        refused(
            rig.piv.authenticate(Administrator::Key(&present), &control),
            &PivRefusal::ManagementKeyWrong,
        );
        rig.piv.authenticate(Administrator::Key(&next), &control).unwrap();
        assert_eq!(rig.piv.management_key_type(&control).unwrap(), kind);
        rig.nothing_is_left_open();
        present = next;
    }
    refused(
        rig.piv.authenticate(Administrator::Pin(&pin("123456")), &control),
        &PivRefusal::ManagementKeyNotStored,
    );
}

#[test]
fn a_management_key_under_the_pin() {
    let mut rig = rig();
    let control = rig.bench.control.clone();
    let pin = pin("123456");
    let by_pin = Administrator::Pin(&pin);
    let first = key(ManagementKeyType::Aes256, 1);
    let new = NewManagementKey { key: &first, touch: TouchPolicy::Never, protect: Some(&pin) };
    let factory = rig.factory.clone();
    rig.piv.set_management_key(&new, Administrator::Key(&factory), &control).unwrap();
    assert!(rig.piv.keeps_management_key(&control).unwrap());
    assert_eq!(rig.piv.stored_management_key(&pin, &control).unwrap(), first);
    rig.piv.generate(Slot::AUTHENTICATION, &Generate::new(Algorithm::P256), by_pin, &control).unwrap();
    rig.nothing_is_left_open();
    // And another one, with the PIN alone.
    let second = key(ManagementKeyType::Tdes, 2);
    let new = NewManagementKey { key: &second, touch: TouchPolicy::Never, protect: Some(&pin) };
    rig.piv.set_management_key(&new, by_pin, &control).unwrap();
    assert_eq!(rig.piv.stored_management_key(&pin, &control).unwrap(), second);
    // Cut off between the two writes, both are there, and the one that counts is found.
    let both = ProtectedKey {
        key: SecretBytes::new(first.expose()[..24].to_vec()),
        pending: Some(SecretBytes::new(second.expose().to_vec())),
    };
    rig.piv.put_object(ObjectId::PRINTED, &both.encode(), by_pin, &control).unwrap();
    rig.piv.authenticate(by_pin, &control).unwrap();
    // Taken away again.
    let new = NewManagementKey { key: &first, touch: TouchPolicy::Never, protect: None };
    rig.piv.set_management_key(&new, by_pin, &control).unwrap();
    assert!(!rig.piv.keeps_management_key(&control).unwrap());
    assert!(rig.piv.object(ObjectId::PRINTED, Some(&pin), &control).unwrap().is_none());
}

/// Wherever the key is pulled out while a protected management key is changed, the PIN is enough
/// afterwards.
#[test]
fn pulled_out_while_the_management_key_changes() {
    let pin = pin("123456");
    let mut cuts = 0;
    for after in 0.. {
        let mut rig = rig();
        let control = rig.bench.control.clone();
        let by_pin = Administrator::Pin(&pin);
        let first = key(ManagementKeyType::Aes192, 1);
        let factory = rig.factory.clone();
        let new = NewManagementKey { key: &first, touch: TouchPolicy::Never, protect: Some(&pin) };
        rig.piv.set_management_key(&new, Administrator::Key(&factory), &control).unwrap();
        let second = key(ManagementKeyType::Aes192, 2);
        let new = NewManagementKey { key: &second, touch: TouchPolicy::Never, protect: Some(&pin) };
        let cut = Cut { link: rig.bench.key.card().unwrap(), left: after };
        let result = PivSession::over_card(cut, &control)
            .and_then(|mut session| session.set_management_key(&new, by_pin, &control));
        rig.bench.key.replug().unwrap();
        let mut again = PivSession::over_card(rig.bench.key.card().unwrap(), &control).unwrap();
        again.authenticate(by_pin, &control).unwrap_or_else(|error| panic!("after {after}: {error:?}"));
        if result.is_ok() {
            break;
        }
        cuts += 1;
    }
    assert!(cuts > 10, "{cuts}");
}

/// A link that ends after some commands.
struct Cut<L> {
    link: L,
    left: usize,
}

impl<L: CardLink> CardLink for Cut<L> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, LinkError> {
        self.left = self.left.checked_sub(1).ok_or(LinkError::Removed)?;
        self.link.transmit(command)
    }

    fn transport(&self) -> CardTransport {
        self.link.transport()
    }
}

/// Something in the place of a key that does not know the management key: it says yes to everything.
#[test]
fn a_key_that_proves_nothing_is_noticed() {
    struct Liar;
    impl CardLink for Liar {
        fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, LinkError> {
            let command = Command::parse(command).unwrap();
            let data = match (command.ins, command.data.get(2)) {
                (piv::ins::VERSION, _) => vec![5, 7, 4],
                (piv::ins::METADATA, _) => vec![1, 1, 0x0A, 2, 2, 0, 1, 5, 1, 0],
                (piv::ins::AUTHENTICATE, Some(0x80)) if command.data.len() == 4 => {
                    [&[0x7C, 18, 0x80, 16][..], &[7; 16]].concat()
                }
                (piv::ins::AUTHENTICATE, _) => [&[0x7C, 18, 0x82, 16][..], &[8; 16]].concat(),
                _ => Vec::new(),
            };
            Ok(Response::ok(data).encode())
        }
        fn transport(&self) -> CardTransport {
            CardTransport::Usb
        }
    }
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let mut piv = PivSession::over_card(Liar, &bench.control).unwrap();
    let key = key(ManagementKeyType::Aes192, 1);
    refused(piv.authenticate(Administrator::Key(&key), &bench.control), &PivRefusal::ManagementKeyNotProven);
}

#[test]
fn a_cancelled_operation_logs_out_too() {
    let mut rig = rig();
    rig.p256(Slot::AUTHENTICATION);
    // After SELECT, metadata and VERIFY the control is cancelled; only the log-out still passes.
    let control = rig.bench.control.clone();
    let token = control.cancel_token().clone();
    let watched = Watched { link: rig.bench.key.card().unwrap(), on: piv::ins::VERIFY, token };
    let mut piv = PivSession::over_card(watched, &control).unwrap();
    let result = piv.sign(Slot::AUTHENTICATION, Algorithm::P256, &[1; 32], Some(&pin("123456")), &control);
    assert!(matches!(result, Err(Error::Cancelled)), "{result:?}");
    rig.nothing_is_left_open();
}

/// Fires a token when a command was answered.
struct Watched<L> {
    link: L,
    on: u8,
    token: tapkey_driver::CancelToken,
}

impl<L: CardLink> CardLink for Watched<L> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, LinkError> {
        let answer = self.link.transmit(command);
        if command.get(1) == Some(&self.on) {
            self.token.cancel();
        }
        answer
    }

    fn transport(&self) -> CardTransport {
        self.link.transport()
    }
}

#[test]
fn a_reset_empties_everything_but_the_attestation_key() {
    let mut rig = rig();
    let control = rig.bench.control.clone();
    rig.p256(Slot::SIGNATURE);
    rig.piv.change_pin(&pin("123456"), &pin("246810"), &control).unwrap();
    rig.piv.reset(&control).unwrap();
    let info = rig.piv.info(&control).unwrap();
    assert_eq!(info.slots.iter().map(|slot| slot.slot).collect::<Vec<_>>(), [Slot::ATTESTATION]);
    assert!(info.pin.unwrap().is_default && info.management_key.unwrap().is_default);
    rig.piv.verify_pin(&pin("123456"), &control).unwrap();
}

#[test]
fn older_firmware() {
    let mut rig = Rig::new(Profile::YUBIKEY_4_3_5);
    let control = rig.bench.control.clone();
    assert!(matches!(rig.piv.metadata(Slot::SIGNATURE, &control), Err(Error::Unsupported(_))));
    assert!(matches!(
        rig.generate(Slot::SIGNATURE, &Generate::new(Algorithm::Ed25519)),
        Err(Error::Unsupported(_))
    ));
    rig.p256(Slot::SIGNATURE);
    rig.piv.sign(Slot::SIGNATURE, Algorithm::P256, &[1; 32], Some(&pin("123456")), &control).unwrap();
    rig.nothing_is_left_open();
    assert_eq!(rig.piv.pin_tries(&control).unwrap().left, 3);
    let aes = key(ManagementKeyType::Aes128, 1);
    let new = NewManagementKey { key: &aes, touch: TouchPolicy::Never, protect: None };
    let factory = rig.factory.clone();
    let refused = rig.piv.set_management_key(&new, Administrator::Key(&factory), &control);
    assert!(matches!(refused, Err(Error::Unsupported(_))));
    let info = rig.piv.info(&control).unwrap();
    assert!(info.pin.is_none() && info.management_key.is_none());
}

#[test]
fn the_tries_are_told_although_another_program_is_verified() {
    for profile in [Profile::YUBIKEY_4_3_5, Profile::YUBIKEY_5_2_7] {
        let mut rig = Rig::new(profile);
        assert!(rig.next_program(&command::verify(&pin("123456"))).is_success());
        let control = rig.bench.control.clone();
        assert_eq!(rig.piv.pin_tries(&control).unwrap().left, 3);
    }
}

#[test]
fn opened_through_the_device() {
    let bench = Bench::new(Profile::YUBIKEY_5_7_4);
    let device = Device::from_connector(Box::new(Emulated(bench.key.clone())), &bench.control).unwrap();
    let mut piv = device.open_piv(&bench.control).unwrap();
    assert_eq!(piv.serial(&bench.control).unwrap(), Some(common::SERIAL));
    assert_eq!(piv.transport(), CardTransport::Usb);
}
