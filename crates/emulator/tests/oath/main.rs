//! The OATH application over the smart card.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

#[path = "../common/mod.rs"]
mod common;

mod access;
mod codes;
mod memory;
mod touch;

use common::{AID_MANAGEMENT, AID_OTP, Bench};
use tapkey_emulator::port::in_process::PluggedKey;
use tapkey_emulator::{
    FileStore, MemoryStore, Milliseconds, Power, Profile, SeededRandom, StateError, StateStore, TouchError,
    TouchPolicy, VirtualKey,
};
use tapkey_protocol::aid;
use tapkey_protocol::apdu::chaining::{Next, Transaction};
use tapkey_protocol::apdu::{Command, Encoding, StatusWord};
use tapkey_protocol::link::CardLink;
use tapkey_protocol::oath::codec::{
    BulkAnswer, BulkEntry, Calculate, Challenge, CodeAnswer, Delete, Form, ListEntry, Lock, Properties, Put,
    Rename, Selected, SetCode, Validate, ins,
};
use tapkey_protocol::oath::{
    AccessKey, Algorithm, CredentialId, Digits, Kind, device_id, hotp, prepare_secret, totp, truncate,
};
use tapkey_protocol::secret::SecretBytes;

const RFC_KEY: &[u8] = b"12345678901234567890";
const LOCKED: StatusWord = StatusWord::SECURITY_STATUS_NOT_SATISFIED;
const NO_SUCH: StatusWord = StatusWord::REFERENCE_DATA_INVALIDATED;

/// A host of the application.
struct Oath<'a> {
    bench: &'a Bench,
    selected: Selected,
}

impl<'a> Oath<'a> {
    fn open(bench: &'a Bench) -> Self {
        let selected = Selected::parse(&bench.select(aid::OATH).unwrap()).unwrap();
        Self { bench, selected }
    }

    fn send(&self, ins: u8, body: &[u8]) -> Result<Vec<u8>, StatusWord> {
        self.send_with(ins, 0, 0, body)
    }

    fn send_with(&self, ins: u8, p1: u8, p2: u8, body: &[u8]) -> Result<Vec<u8>, StatusWord> {
        let mut card = self.bench.key.card().unwrap();
        let command = Command::new(0, ins, p1, p2, body);
        let mut transaction =
            Transaction::new(&command, Encoding::Short).unwrap().continue_with(ins::SEND_REMAINING);
        let mut next = transaction.start();
        loop {
            match next {
                Next::Send(bytes) => next = transaction.receive(&card.transmit(&bytes).unwrap()).unwrap(),
                Next::Done(response) => return response.into_data(),
            }
        }
    }

    fn put(&self, put: &Put) -> Result<(), StatusWord> {
        self.send(ins::PUT, &put.encode()).map(drop)
    }

    fn names(&self) -> Vec<String> {
        let body = self.send(ins::LIST, &[]).unwrap();
        ListEntry::parse_all(&body).unwrap().iter().map(|entry| entry.id.to_string()).collect()
    }

    fn calculate(&self, calculate: &Calculate, form: Form) -> Result<CodeAnswer, StatusWord> {
        let body = self.send_with(ins::CALCULATE, 0, form.p2(), &calculate.encode())?;
        Ok(CodeAnswer::parse(&body).unwrap())
    }

    fn code(&self, calculate: &Calculate) -> Result<String, StatusWord> {
        Ok(self.calculate(calculate, Form::Truncated)?.code().unwrap().to_string())
    }

    fn hotp(&self, name: &str) -> String {
        self.code(&Calculate::hotp(id(name))).unwrap()
    }

    fn all(&self, seconds: u64) -> Result<Vec<BulkEntry>, StatusWord> {
        let body = Challenge::time(seconds, 30).encode();
        let body = self.send_with(ins::CALCULATE_ALL, 0, Form::Truncated.p2(), &body)?;
        Ok(BulkEntry::parse_all(&body).unwrap())
    }

    fn key(&self, password: &str) -> AccessKey {
        AccessKey::derive(password, &self.selected.salt)
    }

    fn lock(&self) -> Lock {
        self.selected.lock.expect("a password is set")
    }

    fn validate(&self, key: &AccessKey) -> Result<Vec<u8>, StatusWord> {
        let body = self.send(ins::VALIDATE, &Validate::new(key, &self.lock(), [3; 8]).encode())?;
        Ok(Validate::parse_answer(&body).unwrap())
    }

    fn reset(&self) {
        self.send_with(ins::RESET, 0xDE, 0xAD, &[]).unwrap();
    }
}

fn id(name: &str) -> CredentialId {
    CredentialId::new(name).unwrap()
}

fn credential(name: &str, kind: Kind) -> Put {
    Put {
        id: id(name),
        kind,
        algorithm: Algorithm::Sha1,
        digits: Digits::SIX,
        secret: SecretBytes::new(RFC_KEY.to_vec()),
        properties: Properties::default(),
        counter: 0,
    }
}

fn touchy(name: &str) -> Put {
    let properties = Properties { require_touch: true, ..Properties::default() };
    Put { properties, ..credential(name, Kind::Totp) }
}

/// A key with a password, and the host that set it.
fn locked(bench: &Bench) -> AccessKey {
    let oath = Oath::open(bench);
    oath.put(&credential("a", Kind::Totp)).unwrap();
    let key = oath.key("secret");
    oath.send(ins::SET_CODE, &SetCode::set(&key, [1; 8]).encode()).unwrap();
    key
}
