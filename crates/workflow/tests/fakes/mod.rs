//! A key, a finger and a server that can be cut off at any point.
#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    collections::BTreeMap,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use tapkey_api::{
    ProblemCode, SecretText,
    enrollments::{CreateEnrollment, Enrollment, EnrollmentSecrets, EnrollmentState},
    keys::Key,
};
use tapkey_protocol::{
    otp::{AesKey, Otp, PrivateId, PublicId, Timestamp, Token},
    slot::{AccessCode, Slot},
    version::Version,
};
use tapkey_workflow::{
    Credential, EnrolError, Enrolled, EnrolmentServer, Event, Journal, KeyError, KeyFacts, KeyPort, Plan,
    ServerError, TouchError, TouchPort, enrol,
};

pub const SERIAL: u32 = 12_345_678;

/// Where the way is cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cut {
    /// The server never hears of it.
    BeforeCreate,
    /// The server drew a credential, and its answer was lost.
    AfterCreate,
    /// The key was pulled out before the slot was written.
    BeforeProgram,
    /// The slot was written, and the key's answer was lost.
    AfterProgram,
    /// Nobody touched.
    Touch,
    /// The server never saw the password.
    BeforeConfirm,
    /// The server activated the credential, and its answer was lost.
    AfterConfirm,
}

impl Cut {
    pub const ALL: [Self; 7] = [
        Self::BeforeCreate,
        Self::AfterCreate,
        Self::BeforeProgram,
        Self::AfterProgram,
        Self::Touch,
        Self::BeforeConfirm,
        Self::AfterConfirm,
    ];
}

#[derive(Clone, Default)]
struct Cutter(Arc<Mutex<Option<Cut>>>);

impl Cutter {
    fn cuts(&self, here: Cut) -> bool {
        let mut armed = self.0.lock().unwrap();
        let hit = *armed == Some(here);
        if hit {
            *armed = None;
        }
        hit
    }
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "cut")
}

/// What the two slots hold.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Slots([Option<Held>; 2]);

#[derive(Clone, Debug, Eq, PartialEq)]
struct Held {
    public_id: PublicId,
    private_id: [u8; 6],
    key: [u8; 16],
    uses: u16,
}

impl Slots {
    pub fn with_foreign(slot: Slot) -> Self {
        let mut slots = Self::default();
        let public_id = PublicId::from_serial(1);
        slots.0[slot.index()] = Some(Held { public_id, private_id: [0xee; 6], key: [0xee; 16], uses: 0 });
        slots
    }
}

pub struct FakeKeyState {
    pub serial: Option<u32>,
    pub slots: Slots,
    pub protected_by: Option<[u8; 6]>,
}

pub struct FakeKey {
    state: Arc<Mutex<FakeKeyState>>,
    cutter: Cutter,
}

impl KeyPort for FakeKey {
    fn facts(&mut self) -> Result<KeyFacts, KeyError> {
        let state = self.state.lock().unwrap();
        Ok(KeyFacts {
            serial: state.serial,
            version: Version::new(5, 7, 4),
            programmed: [state.slots.0[0].is_some(), state.slots.0[1].is_some()],
            software: false,
        })
    }

    fn program(
        &mut self,
        slot: Slot,
        credential: &Credential,
        current: Option<&AccessCode>,
    ) -> Result<(), KeyError> {
        if self.cutter.cuts(Cut::BeforeProgram) {
            return Err(KeyError::uncertain(lost()));
        }
        let mut state = self.state.lock().unwrap();
        if let Some(code) = state.protected_by
            && current.map(|given| *given.expose()) != Some(code)
        {
            return Err(KeyError::unchanged(io::Error::other("wrong access code")));
        }
        state.protected_by = credential.access_code.as_ref().map(|code| *code.expose());
        state.slots.0[slot.index()] = Some(Held {
            public_id: credential.public_id,
            private_id: *credential.private_id.expose(),
            key: *credential.aes_key.expose(),
            uses: 0,
        });
        if self.cutter.cuts(Cut::AfterProgram) {
            return Err(KeyError::uncertain(lost()));
        }
        Ok(())
    }
}

#[derive(Default)]
pub struct FingerState {
    /// Typed before the key is touched at last.
    pub first_types: Vec<String>,
}

pub struct Finger {
    key: Arc<Mutex<FakeKeyState>>,
    state: Arc<Mutex<FingerState>>,
    cutter: Cutter,
}

impl TouchPort for Finger {
    fn typed_password(&mut self, slot: Slot, _: PublicId) -> Result<String, TouchError> {
        if self.cutter.cuts(Cut::Touch) {
            return Err(TouchError::Cancelled);
        }
        if let Some(text) = self.state.lock().unwrap().first_types.pop() {
            return Ok(text);
        }
        let mut key = self.key.lock().unwrap();
        let held = key.slots.0[slot.index()].as_mut().unwrap();
        held.uses += 1;
        let token = Token {
            private_id: PrivateId::new(held.private_id),
            use_counter_raw: held.uses,
            timestamp: Timestamp::new(0),
            session_counter: 0,
            random: 0,
        };
        Ok(Otp::new(held.public_id, token.seal(&AesKey::new(held.key))).to_string())
    }
}

struct Record {
    request: CreateEnrollment,
    secrets: EnrollmentSecrets,
    state: EnrollmentState,
    confirmed_with: Option<String>,
}

#[derive(Clone)]
pub struct FakeServer {
    records: Arc<Mutex<BTreeMap<String, Record>>>,
    pub created: Arc<AtomicUsize>,
    cutter: Cutter,
}

fn refuse(code: ProblemCode) -> ServerError {
    ServerError { code: Some(code), source: Box::new(io::Error::other(code.title())) }
}

fn unreachable() -> ServerError {
    ServerError { code: None, source: Box::new(lost()) }
}

impl FakeServer {
    pub fn expire_all(&self) {
        for record in self.records.lock().unwrap().values_mut() {
            record.state = EnrollmentState::Expired;
        }
    }

    pub fn nothing_pending(&self) -> bool {
        self.records.lock().unwrap().values().all(|record| record.state != EnrollmentState::Pending)
    }

    fn key_of(&self, record: &Record) -> Key {
        Key {
            id: format!("k-{}", record.secrets.id),
            public_id: record.secrets.public_id.clone(),
            account: record.request.account.clone(),
            label: None,
            enabled: true,
            slot: record.request.slot,
            serial: record.request.serial,
            firmware: None,
            emulated: false,
            has_access_code: false,
            use_counter: 1,
            session_counter: 0,
            created_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            last_used_at: None,
        }
    }
}

impl EnrolmentServer for FakeServer {
    fn address(&self) -> String {
        "https://server.example".into()
    }

    async fn create(&self, request: &CreateEnrollment) -> Result<EnrollmentSecrets, ServerError> {
        if self.cutter.cuts(Cut::BeforeCreate) {
            return Err(unreachable());
        }
        let mut records = self.records.lock().unwrap();
        if let Some(record) = records.values().find(|record| record.request.request_id == request.request_id)
        {
            return match record.state {
                EnrollmentState::Pending if record.request == *request => Ok(record.secrets.clone()),
                EnrollmentState::Pending => Err(refuse(ProblemCode::RequestIdReused)),
                EnrollmentState::Expired => Err(refuse(ProblemCode::EnrollmentExpired)),
                _ => Err(refuse(ProblemCode::EnrollmentConfirmed)),
            };
        }
        let number = self.created.fetch_add(1, Ordering::SeqCst) + 1;
        let drawn = PublicId::from_serial(u32::try_from(number).unwrap()).to_string();
        let secrets = EnrollmentSecrets {
            id: format!("e{number}"),
            public_id: request.public_id.clone().unwrap_or(drawn),
            private_id: SecretText::new(format!("{number:012x}")),
            aes_key: SecretText::new(format!("{number:032x}")),
            access_code: request.access_code.then(|| SecretText::new(format!("{number:012x}"))),
            expires_at: "2030-01-01T00:00:00Z".parse().unwrap(),
        };
        let (request, state) = (request.clone(), EnrollmentState::Pending);
        let record = Record { request, secrets: secrets.clone(), state, confirmed_with: None };
        records.insert(secrets.id.clone(), record);
        if self.cutter.cuts(Cut::AfterCreate) { Err(unreachable()) } else { Ok(secrets) }
    }

    async fn state(&self, id: &str) -> Result<Enrollment, ServerError> {
        let records = self.records.lock().unwrap();
        let record = records.get(id).ok_or_else(|| refuse(ProblemCode::EnrollmentNotFound))?;
        Ok(Enrollment {
            id: id.to_owned(),
            request_id: record.request.request_id.clone(),
            state: record.state,
            account: record.request.account.clone(),
            public_id: record.secrets.public_id.clone(),
            slot: record.request.slot,
            serial: record.request.serial,
            key_id: (record.state == EnrollmentState::Active).then(|| format!("k-{id}")),
            created_at: "2026-01-01T00:00:00Z".parse().unwrap(),
            expires_at: record.secrets.expires_at,
        })
    }

    async fn confirm(&self, id: &str, password: &str) -> Result<Key, ServerError> {
        if self.cutter.cuts(Cut::BeforeConfirm) {
            return Err(unreachable());
        }
        let mut records = self.records.lock().unwrap();
        let record = records.get_mut(id).ok_or_else(|| refuse(ProblemCode::EnrollmentNotFound))?;
        if record.state == EnrollmentState::Active {
            let same = record.confirmed_with.as_deref() == Some(password);
            return if same {
                Ok(self.key_of(record))
            } else {
                Err(refuse(ProblemCode::EnrollmentConfirmed))
            };
        }
        let bytes = |text: &SecretText| data_encoding::HEXLOWER.decode(text.expose().as_bytes()).unwrap();
        let key = AesKey::new(bytes(&record.secrets.aes_key).try_into().unwrap());
        let opened = password.parse::<Otp>().unwrap().open(&key);
        if opened.is_ok_and(|token| token.private_id.expose()[..] == bytes(&record.secrets.private_id)[..]) {
            record.state = EnrollmentState::Active;
            record.confirmed_with = Some(password.to_owned());
            if self.cutter.cuts(Cut::AfterConfirm) { Err(unreachable()) } else { Ok(self.key_of(record)) }
        } else {
            Err(refuse(ProblemCode::BadOtp))
        }
    }

    async fn abandon(&self, id: &str) -> Result<(), ServerError> {
        let mut records = self.records.lock().unwrap();
        let record = records.get_mut(id).ok_or_else(|| refuse(ProblemCode::EnrollmentNotFound))?;
        record.state = EnrollmentState::Abandoned;
        Ok(())
    }

    async fn key(&self, id: &str) -> Result<Key, ServerError> {
        let records = self.records.lock().unwrap();
        let record =
            records.get(id.trim_start_matches("k-")).ok_or_else(|| refuse(ProblemCode::KeyNotFound))?;
        Ok(self.key_of(record))
    }
}

/// All of it together.
pub struct World {
    pub key: Arc<Mutex<FakeKeyState>>,
    pub finger: Arc<Mutex<FingerState>>,
    pub server: FakeServer,
    folder: tempfile::TempDir,
    cutter: Cutter,
}

impl World {
    pub fn new() -> Self {
        let cutter = Cutter::default();
        Self {
            key: Arc::new(Mutex::new(FakeKeyState {
                serial: Some(SERIAL),
                slots: Slots::default(),
                protected_by: None,
            })),
            finger: Arc::default(),
            server: FakeServer { records: Arc::default(), created: Arc::default(), cutter: cutter.clone() },
            folder: tempfile::tempdir().unwrap(),
            cutter,
        }
    }

    pub fn cut_once(&self, cut: Cut) {
        *self.cutter.0.lock().unwrap() = Some(cut);
    }

    pub fn clear_cut(&self) {
        *self.cutter.0.lock().unwrap() = None;
    }

    pub async fn enrol(&self, plan: &Plan) -> Result<Enrolled, EnrolError> {
        self.enrol_with(plan, &mut |_| ()).await
    }

    pub async fn enrol_with(
        &self,
        plan: &Plan,
        events: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Enrolled, EnrolError> {
        let key = FakeKey { state: Arc::clone(&self.key), cutter: self.cutter.clone() };
        let finger = Finger {
            key: Arc::clone(&self.key),
            state: Arc::clone(&self.finger),
            cutter: self.cutter.clone(),
        };
        let journal = Journal::new(self.folder.path().to_owned());
        enrol(plan, key, finger, &self.server, &journal, events).await
    }

    pub fn journal_is_empty(&self) -> bool {
        std::fs::read_dir(self.folder.path()).unwrap().next().is_none()
    }

    /// One credential is active, it is the one in the slot, and it belongs to `account`.
    pub fn assert_enrolled_once(&self, account: &str) {
        let records = self.server.records.lock().unwrap();
        let active: Vec<_> =
            records.values().filter(|record| record.state == EnrollmentState::Active).collect();
        assert_eq!(active.len(), 1);
        assert_eq!(active[0].request.account, account);
        let key = self.key.lock().unwrap();
        let slot = usize::from(active[0].request.slot) - 1;
        assert_eq!(key.slots.0[slot].as_ref().unwrap().public_id.to_string(), active[0].secrets.public_id);
    }

    /// What is active was confirmed with a password.
    pub fn assert_nothing_unproven_is_active(&self) {
        for record in self.server.records.lock().unwrap().values() {
            assert!(record.state != EnrollmentState::Active || record.confirmed_with.is_some());
        }
    }

    pub fn assert_slot_is_old_or_pending(&self) {
        let key = self.key.lock().unwrap();
        let Some(held) = &key.slots.0[1] else { return };
        let records = self.server.records.lock().unwrap();
        let known =
            records.values().find(|record| record.secrets.public_id == held.public_id.to_string()).unwrap();
        assert!(matches!(known.state, EnrollmentState::Pending | EnrollmentState::Active));
    }
}
