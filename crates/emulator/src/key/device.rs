//! What all applications of one key share: its memory, its clock, its noise, its power.

use std::collections::BTreeMap;
use std::fmt;

use tapkey_protocol::apdu::StatusWord;
use tapkey_protocol::hid::TouchLevel;
use tapkey_protocol::management::{Capabilities, Interfaces};
use tapkey_protocol::otp::Timestamp;
use tapkey_protocol::piv;
use tapkey_protocol::secret::Secret;
use tapkey_protocol::slot::{ExtendedFlags, Slot};
use zeroize::Zeroize;

use super::Power;
use crate::clock::Milliseconds;
use crate::profile::Profile;
use crate::random::RandomSource;
use crate::state::{self, KeyState, StateError, StateStore};

pub(crate) struct Device {
    state: KeyState,
    store: Box<dyn StateStore>,
    random: Box<dyn RandomSource>,
    now: Milliseconds,
    power: Power,
    session: Session,
    reboot_requested: bool,
    touch: CardTouch,
}

/// The touch that a command over the smart card asks for.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum CardTouch {
    /// None was asked for.
    #[default]
    No,
    /// The command waits for it.
    Wanted,
    /// It has come, for one command.
    Given,
}

/// What is forgotten without power.
#[derive(Debug, Default)]
pub(crate) struct Session {
    /// Counts accepted writes; 0 when no slot is programmed.
    pub(crate) sequence: u8,
    /// The session counter used last, per slot; `None` before the first use.
    last_use: [Option<u8>; 2],
    /// The slots as they were at power-up, which is what some firmware shows over a smart card.
    pub(crate) level_at_power_up: TouchLevel,
    /// A slot was written over a smart card.
    pub(crate) written_over_card: bool,
    /// When keys of the PIV application were last used with a touch.
    piv_touches: BTreeMap<piv::Slot, Milliseconds>,
    usb_enabled: Capabilities,
    clock_start: u32,
    powered_at: Milliseconds,
}

impl Session {
    pub(crate) fn last_use(&self, slot: Slot) -> Option<u8> {
        self.last_use.get(slot.index()).copied().flatten()
    }

    pub(crate) fn note_use(&mut self, slot: Slot, session_counter: u8) {
        if let Some(last) = self.last_use.get_mut(slot.index()) {
            *last = Some(session_counter);
        }
    }

    /// The slot was written: its next use is its first.
    pub(crate) fn forget_use(&mut self, slot: Slot) {
        if let Some(last) = self.last_use.get_mut(slot.index()) {
            *last = None;
        }
    }

    pub(crate) fn swap_uses(&mut self) {
        self.last_use.swap(0, 1);
    }

    /// When the key in the slot was last used with a touch.
    pub(crate) fn piv_touch(&self, slot: piv::Slot) -> Option<Milliseconds> {
        self.piv_touches.get(&slot).copied()
    }

    pub(crate) fn note_piv_touch(&mut self, slot: piv::Slot, now: Milliseconds) {
        self.piv_touches.insert(slot, now);
    }

    /// Another key is in the slot, or none.
    pub(crate) fn forget_piv_touch(&mut self, slot: piv::Slot) {
        self.piv_touches.remove(&slot);
    }

    pub(crate) fn forget_piv_touches(&mut self) {
        self.piv_touches.clear();
    }
}

impl Device {
    /// A key without power.
    pub(crate) fn new(state: KeyState, store: Box<dyn StateStore>, random: Box<dyn RandomSource>) -> Self {
        Self {
            state,
            store,
            random,
            now: Milliseconds::ZERO,
            power: Power::Off,
            session: Session::default(),
            reboot_requested: false,
            touch: CardTouch::No,
        }
    }

    pub(crate) const fn profile(&self) -> &Profile {
        &self.state.profile
    }

    pub(crate) const fn state(&self) -> &KeyState {
        &self.state
    }

    pub(crate) const fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    pub(crate) const fn session_ref(&self) -> &Session {
        &self.session
    }

    pub(crate) const fn power(&self) -> Power {
        self.power
    }

    pub(crate) const fn now(&self) -> Milliseconds {
        self.now
    }

    pub(crate) fn location(&self) -> String {
        self.store.location()
    }

    /// The clock never runs backwards, whatever it is told.
    pub(crate) fn set_now(&mut self, now: Milliseconds) {
        self.now = self.now.max(now);
    }

    /// What was switched on on USB when power came: a change needs a new power-up.
    pub(crate) const fn usb_enabled_at_power_up(&self) -> Capabilities {
        self.session.usb_enabled
    }

    /// The interfaces that a host sees on USB.
    pub(crate) fn usb_interfaces(&self) -> Interfaces {
        match self.power {
            Power::Usb => Interfaces::of(self.session.usb_enabled),
            Power::Off | Power::Nfc => Interfaces::NONE,
        }
    }

    /// Power comes or goes.
    pub(crate) fn set_power(&mut self, power: Power) {
        self.power = power;
        self.reboot_requested = false;
        self.touch = CardTouch::No;
        self.session = Session::default();
        if power == Power::Off {
            return;
        }
        let mut start = [0; 4];
        self.random.fill(&mut start);
        self.session = Session {
            sequence: u8::from(self.state.slots.iter().any(Option::is_some)),
            last_use: [None, None],
            level_at_power_up: self.touch_level(),
            written_over_card: false,
            piv_touches: BTreeMap::new(),
            usb_enabled: self.state.settings.usb_enabled,
            clock_start: u32::from_le_bytes(start),
            powered_at: self.now,
        };
    }

    /// Changes what the key remembers: durably, or not at all.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut KeyState)) -> Result<(), StateError> {
        let mut state = self.state.clone();
        change(&mut state);
        self.store.save(state::write(&state)?.expose())?;
        self.state = state;
        Ok(())
    }

    /// Reads what was stored last, after power was cut in the middle of something.
    pub(crate) fn reload(&mut self) -> Result<(), StateError> {
        if let Some(document) = self.store.load()? {
            self.state = state::parse(document.expose(), &self.store.location())?;
        }
        Ok(())
    }

    /// Stores what the key remembers as it is, for a key that was just made.
    pub(crate) fn save(&mut self) -> Result<(), StateError> {
        self.change(|_| {})
    }

    /// A write of anything but a slot was accepted.
    pub(crate) fn programmed_something(&mut self) {
        self.session.sequence = self.session.sequence.wrapping_add(1);
    }

    /// A write of a slot was accepted: what is counted is zero when none is left.
    pub(crate) fn programmed_slots(&mut self) {
        if self.state.slots.iter().all(Option::is_none) {
            self.session.sequence = 0;
        } else {
            self.programmed_something();
        }
    }

    /// Which slots hold something, as the status tells it.
    pub(crate) fn touch_level(&self) -> TouchLevel {
        let mut level = TouchLevel::default();
        let mut inverted = false;
        for slot in Slot::ALL {
            let Some(state) = self.state.slot(slot) else { continue };
            level = level.with_slot(slot, true, state.kind().is_touch_triggered());
            inverted |= state.has(ExtendedFlags::LED_INVERTED);
        }
        level.with_led_inverted(inverted)
    }

    /// The key's clock: 24 bits at 8 Hz, from a random start at power-up.
    pub(crate) fn timestamp(&self) -> Timestamp {
        let ticks = (self.now - self.session.powered_at).0 / 125;
        let ticks = u32::try_from(ticks & 0xFF_FFFF).unwrap_or(0);
        Timestamp::new(self.session.clock_start.wrapping_add(ticks))
    }

    /// Two random bytes.
    pub(crate) fn noise(&mut self) -> u16 {
        let mut bytes = [0; 2];
        self.random.fill(&mut bytes);
        u16::from_le_bytes(bytes)
    }

    /// Random bytes for a challenge or a salt.
    pub(crate) fn draw<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes);
        bytes
    }

    /// Random bytes from which a private key is made, or `None` when there are none to be had.
    pub(crate) fn draw_secret(&mut self) -> Option<Secret<32>> {
        let mut bytes = [0; 32];
        let filled = self.random.try_fill(&mut bytes);
        let secret = Secret::new(bytes);
        bytes.zeroize();
        filled.then_some(secret)
    }

    /// Asks for a touch on behalf of a command over the smart card. Over NFC, holding the key
    /// against the reader is the touch.
    ///
    /// # Errors
    /// The refusal that the host gets when no touch comes. When one comes, the command is called
    /// again.
    pub(crate) fn need_touch(&mut self) -> Result<(), StatusWord> {
        if self.power == Power::Nfc || self.touch == CardTouch::Given {
            return Ok(());
        }
        self.touch = CardTouch::Wanted;
        Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED)
    }

    /// Whether the command called last asked for a touch.
    pub(crate) fn wants_touch(&self) -> bool {
        self.touch == CardTouch::Wanted
    }

    pub(crate) const fn give_touch(&mut self) {
        self.touch = CardTouch::Given;
    }

    pub(crate) const fn forget_touch(&mut self) {
        self.touch = CardTouch::No;
    }

    /// A restart is due once the host has read the answer.
    pub(crate) const fn request_reboot(&mut self) {
        self.reboot_requested = true;
    }

    pub(crate) const fn reboot_requested(&self) -> bool {
        self.reboot_requested
    }
}

/// The key could not store a change: it refuses the command that needed it.
impl From<StateError> for StatusWord {
    fn from(_: StateError) -> Self {
        Self::MEMORY_FAILURE
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("profile", &self.state.profile.name())
            .field("serial", &self.state.serial)
            .field("power", &self.power)
            .field("now", &self.now)
            .finish_non_exhaustive()
    }
}
