//! Keys that are plugged in one after the other, and can be pulled out at the worst moment.
#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    collections::{BTreeMap, VecDeque},
    error::Error,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
};

use tapkey_driver::Error as KeyFailure;
use tapkey_protocol::{
    link::LinkError,
    otp::{AesKey, Otp, PrivateId, PublicId, Timestamp, Token},
    slot::{AccessCode, Slot},
    version::Version,
};
use tapkey_workflow::{
    Credential, KeyError, KeyFacts, KeyPort, PublicIdChoice, TouchError, TouchPort,
    station::{AccountList, Accounts, Arrival, Job, KeySource, RealDisk, StationJournal},
};

/// What a slot holds.
#[derive(Clone, Debug)]
pub struct Held {
    pub public_id: PublicId,
    pub private_id: [u8; 6],
    pub key: [u8; 16],
    pub uses: u16,
    pub access_code: Option<[u8; 6]>,
}

#[derive(Debug, Default)]
pub struct Key {
    pub hidden: bool,
    pub slots: [Option<Held>; 2],
    /// Pulled out while it is programmed: before the write, or after it.
    pub pulled: Option<bool>,
    pub cancelled: bool,
    pub faults: Vec<String>,
}

#[derive(Debug, Default)]
struct State {
    keys: BTreeMap<u32, Key>,
    queue: VecDeque<u32>,
}

/// What every step of a key asks first; tests of interruptions answer.
pub trait Steps: Send + Sync {
    /// Whether the process still lives before and after a step.
    fn alive(&self, after: bool) -> bool;
}

struct Immortal;

impl Steps for Immortal {
    fn alive(&self, _: bool) -> bool {
        true
    }
}

#[derive(Clone)]
pub struct Rack {
    state: Arc<Mutex<State>>,
    steps: Arc<dyn Steps>,
}

impl Rack {
    /// Keys with the serial numbers from 1 on, all waiting to be plugged in.
    pub fn of(count: u32) -> Self {
        let rack = Self { state: Arc::default(), steps: Arc::new(Immortal) };
        (1..=count).for_each(|serial| rack.add(serial));
        rack
    }

    pub fn with_steps(&self, steps: Arc<dyn Steps>) -> Self {
        Self { state: Arc::clone(&self.state), steps }
    }

    pub fn add(&self, serial: u32) {
        let mut state = self.lock();
        state.keys.insert(serial, Key::default());
        state.queue.push_back(serial);
    }

    pub fn plug_in_all(&self) {
        let mut state = self.lock();
        state.queue = state.keys.keys().copied().collect();
    }

    pub fn take_away(&self, serial: u32) {
        self.lock().queue.retain(|one| *one != serial);
    }

    pub fn pull_out(&self, serial: u32, after: bool) {
        self.key(serial, |key| key.pulled = Some(after));
    }

    pub fn cancel_at_touch(&self, serial: u32) {
        self.key(serial, |key| key.cancelled = true);
    }

    pub fn hide_serial(&self, serial: u32) {
        self.key(serial, |key| key.hidden = true);
    }

    pub fn find_fault(&self, serial: u32, text: &str) {
        self.key(serial, |key| key.faults.push(text.to_owned()));
    }

    pub fn program_foreign(&self, serial: u32, slot: Slot, access_code: Option<[u8; 6]>) {
        let public_id = PublicId::new(&[1, 2, 3]).unwrap();
        let held = Held { public_id, private_id: [0xee; 6], key: [0xee; 16], uses: 0, access_code };
        self.key(serial, |key| key.slots[slot.index()] = Some(held));
    }

    pub fn public_id(&self, serial: u32) -> Option<String> {
        self.held(serial).map(|held| held.public_id.to_string())
    }

    pub fn is_protected(&self, serial: u32) -> bool {
        self.held(serial).is_some_and(|held| held.access_code.is_some())
    }

    /// What slot 2 holds.
    pub fn held(&self, serial: u32) -> Option<Held> {
        self.key(serial, |key| key.slots[1].clone())
    }

    pub fn source(&self) -> Source {
        Source { rack: self.clone(), present: None }
    }

    fn key<R>(&self, serial: u32, work: impl FnOnce(&mut Key) -> R) -> R {
        work(self.lock().keys.get_mut(&serial).unwrap())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

/// Plugs one key in after the other. One that was not dealt with is there again the next time.
pub struct Source {
    rack: Rack,
    present: Option<u32>,
}

impl KeySource for Source {
    type Key = Plugged;
    type Touch = Plugged;

    fn next(&mut self) -> Result<Option<Arrival<Plugged, Plugged>>, Box<dyn Error + Send + Sync>> {
        let serial = self.rack.lock().queue.front().copied();
        self.present = serial;
        let plugged = |serial| Plugged { rack: self.rack.clone(), serial };
        let name = |serial| format!("Key {serial}");
        let faults = |serial| self.rack.key(serial, |key| key.faults.clone());
        Ok(serial.map(|serial| Arrival {
            name: name(serial),
            faults: faults(serial),
            key: plugged(serial),
            touch: plugged(serial),
        }))
    }

    fn dismiss(&mut self) {
        if let Some(serial) = self.present.take() {
            self.rack.take_away(serial);
        }
    }
}

pub struct Plugged {
    rack: Rack,
    serial: u32,
}

fn dead() -> io::Error {
    io::Error::other("killed")
}

impl KeyPort for Plugged {
    fn facts(&mut self) -> Result<KeyFacts, KeyError> {
        if !self.rack.steps.alive(false) {
            return Err(KeyError::unchanged(dead()));
        }
        let facts = self.rack.key(self.serial, |key| KeyFacts {
            serial: (!key.hidden).then_some(self.serial),
            version: Version::new(5, 7, 4),
            programmed: [key.slots[0].is_some(), key.slots[1].is_some()],
            software: false,
        });
        Ok(facts)
    }

    fn program(
        &mut self,
        slot: Slot,
        credential: &Credential,
        current: Option<&AccessCode>,
    ) -> Result<(), KeyError> {
        if !self.rack.steps.alive(false) {
            return Err(KeyError::uncertain(dead()));
        }
        let removed = || KeyError::uncertain(KeyFailure::Link(LinkError::Removed));
        let pulled = self.rack.key(self.serial, |key| key.pulled.take());
        if pulled == Some(false) {
            return Err(removed());
        }
        self.rack.key(self.serial, |key| {
            let place = &mut key.slots[slot.index()];
            let code = place.as_ref().and_then(|held| held.access_code);
            if code.is_some() && current.map(|code| *code.expose()) != code {
                return Err(KeyError::unchanged(io::Error::other("wrong access code")));
            }
            *place = Some(Held {
                public_id: credential.public_id,
                private_id: *credential.private_id.expose(),
                key: *credential.aes_key.expose(),
                uses: 0,
                access_code: credential.access_code.as_ref().map(|code| *code.expose()),
            });
            Ok(())
        })?;
        if pulled == Some(true) {
            return Err(removed());
        }
        if self.rack.steps.alive(true) { Ok(()) } else { Err(KeyError::uncertain(dead())) }
    }
}

impl TouchPort for Plugged {
    fn typed_password(&mut self, slot: Slot, _: PublicId) -> Result<String, TouchError> {
        let failed = || TouchError::Failed(Box::new(dead()));
        if !self.rack.steps.alive(false) {
            return Err(failed());
        }
        let typed = self.rack.key(self.serial, |key| {
            if std::mem::take(&mut key.cancelled) {
                return Err(TouchError::Cancelled);
            }
            let held = key.slots[slot.index()].as_mut().unwrap();
            held.uses += 1;
            let token = Token {
                private_id: PrivateId::new(held.private_id),
                use_counter_raw: held.uses,
                timestamp: Timestamp::new(0),
                session_counter: 0,
                random: 0,
            };
            Ok(Otp::new(held.public_id, token.seal(&AesKey::new(held.key))).to_string())
        })?;
        if self.rack.steps.alive(true) { Ok(typed) } else { Err(failed()) }
    }
}

pub fn job(accounts: Accounts) -> Job {
    Job {
        accounts,
        create_account: false,
        slot: Slot::Two,
        label: None,
        public_id: PublicIdChoice::Server,
        access_code: false,
        current_access_code: None,
        overwrite: false,
        touch: true,
        count: None,
        model: None,
        refuse_faults: false,
    }
}

pub fn list(text: &str) -> Accounts {
    Accounts::List(AccountList::parse(text).unwrap())
}

pub fn journal(folder: &Path) -> StationJournal {
    StationJournal::open(&folder.join("journal"), "test", Box::new(RealDisk)).unwrap()
}
