//! Making a key, or waking one that was stored.

use std::fmt;
use std::ops::RangeInclusive;

use tapkey_protocol::transcript::Secrets;

use super::{Device, Log, Recorder, VirtualKey};
use crate::faults::{Faults, FaultyStore};
use crate::profile::Profile;
use crate::random::{OsRandom, RandomSource};
use crate::state::{self, KeyState, MemoryStore, StateError, StateStore};
use crate::touch::TouchPolicy;

/// Serial numbers of emulated keys. Real keys count up from small numbers and are far from these,
/// so a server can refuse emulated keys by their serial, and does so by default.
pub const EMULATED_SERIALS: RangeInclusive<u32> = 0xF000_0000..=0xFFFF_FFFE;

/// What a key is to be like. Everything has a default: the newest profile, a random serial number,
/// a state that is forgotten, the system's random numbers, touches by hand.
pub struct Builder {
    profile: Option<Profile>,
    serial: Option<u32>,
    store: Box<dyn StateStore>,
    random: Box<dyn RandomSource>,
    touch: TouchPolicy,
    log: Option<Log>,
    faults: Faults,
    pin_complexity: bool,
}

impl Builder {
    /// The firmware personality. A stored key keeps its own, and asking for another is an error.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = Some(profile);
        self
    }

    /// The serial number, in [`EMULATED_SERIALS`]. A stored key keeps its own, and asking for
    /// another is an error.
    #[must_use]
    pub fn serial(mut self, serial: u32) -> Self {
        self.serial = Some(serial);
        self
    }

    /// Where the key keeps what it remembers without power; a [`FileStore`](crate::FileStore) for
    /// keys that are to last.
    #[must_use]
    pub fn state(mut self, store: impl StateStore + 'static) -> Self {
        self.store = Box::new(store);
        self
    }

    /// Where its noise comes from; [`SeededRandom`](crate::SeededRandom) for repeatable tests.
    #[must_use]
    pub fn random(mut self, random: impl RandomSource + 'static) -> Self {
        self.random = Box::new(random);
        self
    }

    /// Who touches the key when it waits for it.
    #[must_use]
    pub fn touch(mut self, touch: TouchPolicy) -> Self {
        self.touch = touch;
        self
    }

    /// Writes down everything that goes in and out. With [`Secrets::Show`] that includes keys and
    /// passwords; whoever asks for it must warn about it.
    #[must_use]
    pub fn transcript(mut self, secrets: Secrets, recorder: impl Recorder + 'static) -> Self {
        self.log = Some(Log::new(secrets, Box::new(recorder)));
        self
    }

    /// What is to go wrong; see [`faults`](crate::faults). Keep a clone to change the plan later.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// A new key refuses PINs and PUKs that everybody tries first, as models with "PIN complexity"
    /// do; firmware 5.7 and later. A stored key stays what it is.
    #[must_use]
    pub fn pin_complexity(mut self) -> Self {
        self.pin_complexity = true;
        self
    }

    /// Wakes the stored key, or makes a new one with empty slots and stores it. It has no power
    /// yet; see [`VirtualKey::power`].
    ///
    /// # Errors
    /// [`StateError`] when the state cannot be read or written, belongs to another key than the
    /// one asked for, or when the serial number may belong to a real key.
    pub fn build(mut self) -> Result<VirtualKey, StateError> {
        if let Some(serial) = self.serial.filter(|serial| !EMULATED_SERIALS.contains(serial)) {
            return Err(StateError::ForeignSerial { serial });
        }
        self.faults.restore_power();
        let location = self.store.location();
        let stored = match self.store.load()? {
            Some(document) => Some(state::parse(document.expose(), &location)?),
            None => None,
        };
        let fresh = stored.is_none();
        let key = match stored {
            Some(key) => self.check(key, location)?,
            None => self.new_key(),
        };
        let store = Box::new(FaultyStore::new(self.store, self.faults.clone()));
        let mut device = Device::new(key, store, self.random);
        if fresh {
            device.save()?;
        }
        Ok(VirtualKey::from_parts(device, self.touch, self.log, self.faults))
    }

    fn check(&self, key: KeyState, location: String) -> Result<KeyState, StateError> {
        if let Some(asked) = self.serial.filter(|asked| *asked != key.serial) {
            let (stored, asked) = (key.serial.to_string(), asked.to_string());
            return Err(StateError::OtherKey { location, what: "serial number", stored, asked });
        }
        if let Some(asked) = self.profile.filter(|asked| *asked != key.profile) {
            let (stored, asked) = (key.profile.to_string(), asked.to_string());
            return Err(StateError::OtherKey { location, what: "profile", stored, asked });
        }
        Ok(key)
    }

    fn new_key(&mut self) -> KeyState {
        let profile = self.profile.unwrap_or_default();
        let mut key = KeyState::new(profile, self.new_serial());
        key.settings.pin_complexity = self.pin_complexity && profile.has_pin_complexity();
        key
    }

    fn new_serial(&mut self) -> u32 {
        if let Some(serial) = self.serial {
            return serial;
        }
        let mut bytes = [0; 4];
        self.random.fill(&mut bytes);
        let span = EMULATED_SERIALS.end() - EMULATED_SERIALS.start() + 1;
        EMULATED_SERIALS.start() + u32::from_le_bytes(bytes) % span
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self {
            profile: None,
            serial: None,
            store: Box::new(MemoryStore::new()),
            random: Box::new(OsRandom),
            touch: TouchPolicy::default(),
            log: None,
            faults: Faults::new(),
            pin_complexity: false,
        }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("profile", &self.profile)
            .field("serial", &self.serial)
            .field("state", &self.store.location())
            .field("touch", &self.touch)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::SeededRandom;

    #[test]
    fn serial_numbers_stay_in_their_range() {
        for seed in 0..200 {
            let key = VirtualKey::builder().random(SeededRandom::new(seed)).build().unwrap();
            assert!(EMULATED_SERIALS.contains(&key.serial()));
        }
        let error = VirtualKey::builder().serial(12_345_678).build().unwrap_err();
        assert!(error.to_string().contains("may belong to a real key"), "{error}");
    }

    #[test]
    fn a_stored_key_stays_what_it_is() {
        let store = MemoryStore::new();
        let profile = Profile::YUBIKEY_5_4_3;
        VirtualKey::builder().profile(profile).serial(0xF000_0001).state(store.clone()).build().unwrap();
        let key = VirtualKey::builder().state(store.clone()).build().unwrap();
        assert_eq!((key.serial(), *key.profile()), (0xF000_0001, profile));
        let other = VirtualKey::builder().serial(0xF000_0002).state(store.clone()).build().unwrap_err();
        assert!(matches!(other, StateError::OtherKey { what: "serial number", .. }));
        let other = VirtualKey::builder().profile(Profile::YUBIKEY_5_7_4).state(store).build().unwrap_err();
        assert!(other.to_string().contains("5.4.3"), "{other}");
    }
}
