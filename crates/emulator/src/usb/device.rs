//! The device: its endpoints, and the transfers that wait on them.

use std::collections::BTreeSet;

use tapkey_protocol::keyboard::Stroke;

use super::ccid::Ccid;
use super::ctaphid::CtapHid;
use super::descriptors::{
    Descriptors, EP_CCID_IN, EP_CCID_NOTIFY, EP_CCID_OUT, EP_FIDO_IN, EP_FIDO_OUT, EP_KEYBOARD, Function,
};
use super::keyboard::{Keyboard, Leds, Speed};
use super::transfer::{Completion, Direction, Status, Urb};
use crate::clock::Milliseconds;
use crate::faults::{Fault, Occasion};
use crate::key::VirtualKey;

/// A key on a USB port, from being plugged in to being taken away.
///
/// It does not own the key: every call gets it, and the key knows what time it is. When the key
/// loses its power or restarts, the device is [gone](Self::is_gone) for good; make a new one.
#[derive(Debug)]
pub struct UsbDevice {
    generation: u64,
    descriptors: Descriptors,
    configured: bool,
    halted: BTreeSet<u8>,
    idle_rates: [u8; 2],
    pub(super) protocol: u8,
    pub(super) keyboard: Keyboard,
    pub(super) fido: CtapHid,
    ccid: Ccid,
    waiting: Vec<Urb>,
    lost_at: Option<Milliseconds>,
}

impl UsbDevice {
    /// Plugs the key in; `None` when it has no power on USB or no USB interface.
    #[must_use]
    pub fn new(key: &VirtualKey) -> Option<Self> {
        let descriptors = Descriptors::of(key)?;
        let ccid = Ccid::new(descriptors.max_ccid_message());
        Some(Self {
            generation: key.generation(),
            descriptors,
            configured: false,
            halted: BTreeSet::new(),
            idle_rates: [0; 2],
            protocol: 1,
            keyboard: Keyboard::default(),
            fido: CtapHid::default(),
            ccid,
            waiting: Vec::new(),
            lost_at: None,
        })
    }

    /// What it tells about itself.
    #[must_use]
    pub const fn descriptors(&self) -> &Descriptors {
        &self.descriptors
    }

    /// How fast it types from now on.
    pub const fn set_speed(&mut self, speed: Speed) {
        self.keyboard.set_speed(speed);
    }

    /// Types, after what is still to be typed.
    pub fn type_strokes(&mut self, strokes: &[Stroke]) {
        if self.descriptors.functions().contains(&Function::Otp) {
            self.keyboard.type_strokes(strokes);
        }
    }

    /// Whether the host has taken everything that was typed.
    #[must_use]
    pub fn has_typed_everything(&self) -> bool {
        self.keyboard.is_quiet()
    }

    /// The lights of the keyboard, as the host has set them.
    #[must_use]
    pub const fn leds(&self) -> Leds {
        self.keyboard.leds()
    }

    /// How often a host asked the key to show itself by blinking (CTAPHID_WINK).
    #[must_use]
    pub const fn winks(&self) -> u64 {
        self.fido.winks()
    }

    /// Takes a transfer. Control transfers and those that bring data are completed at once, unless
    /// the key is suspended; those that ask for data wait, and [`poll`](Self::poll) completes them.
    pub fn submit(&mut self, key: &mut VirtualKey, urb: &Urb) -> Option<Completion> {
        let address = urb.address();
        if self.note_loss(key) {
            if matches!(address, EP_CCID_IN | EP_FIDO_IN) && !self.is_quiet() {
                // The host comes for the answer to the command that asked for the restart.
                self.waiting.push(urb.clone());
                return None;
            }
            return Some(urb.failed(Status::Gone));
        }
        let faults = key.faults().occur(&[Occasion::UsbTransfer(address)]);
        if faults.iter().any(|fault| matches!(fault, Fault::UsbStall { .. })) {
            return Some(urb.failed(Status::Stall));
        }
        if urb.endpoint == 0 {
            let completion = self.control(key, urb);
            if completion.is_none() {
                self.waiting.push(urb.clone());
            }
            return completion;
        }
        if !self.is_open(address) || self.is_halted(address) {
            return Some(urb.failed(Status::Stall));
        }
        match (urb.direction, address) {
            (Direction::In, _) => {
                self.waiting.push(urb.clone());
                return None;
            }
            (Direction::Out, EP_FIDO_OUT) => {
                for packet in urb.data.chunks(FIDO_PACKET) {
                    self.fido.receive(key, packet);
                }
            }
            (Direction::Out, EP_CCID_OUT) => self.ccid.receive(key, &urb.data),
            (Direction::Out, _) => return Some(urb.failed(Status::Stall)),
        }
        Some(urb.taken())
    }

    /// What is completed by now.
    #[must_use]
    pub fn poll(&mut self, key: &mut VirtualKey) -> Vec<Completion> {
        if key.is_suspended() {
            return Vec::new();
        }
        let now = key.now();
        if !self.note_loss(key) {
            self.fido.tick(key);
            self.ccid.tick(key);
        }
        let waiting = std::mem::take(&mut self.waiting);
        let mut completed = Vec::new();
        for urb in waiting {
            match self.produce(&urb, now) {
                Some(data) => completed.push(urb.answered(data)),
                None => self.waiting.push(urb),
            }
        }
        if self.lost_at.is_none() && self.fido.take_written() {
            key.restart_if_asked();
        }
        completed
    }

    /// When [`poll`](Self::poll) will have more to do, if nothing else happens before.
    pub fn next_event(&mut self, key: &VirtualKey) -> Option<Milliseconds> {
        let now = key.now();
        if key.is_suspended() {
            return None;
        }
        if let Some(lost) = self.lost_at {
            return Some(lost + LAST_WORDS);
        }
        let listened = self.waiting.iter().any(|urb| urb.address() == EP_KEYBOARD);
        let typing = if listened { self.keyboard.next_event(now) } else { None };
        [typing, self.fido.next_event(now), self.ccid.next_event(now)].into_iter().flatten().min()
    }

    /// Forgets a transfer that waits. False when there is none of that number, because it was
    /// completed before.
    pub fn unlink(&mut self, id: u32) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|urb| urb.id != id);
        self.waiting.len() != before
    }

    /// How many transfers wait.
    #[must_use]
    pub const fn pending(&self) -> usize {
        self.waiting.len()
    }

    /// Whether the key lost its power or restarted since it was plugged in. A restart that a
    /// command asked for lets the host have the answer first.
    pub fn is_gone(&mut self, key: &VirtualKey) -> bool {
        self.note_loss(key);
        let answered = self.is_quiet();
        self.lost_at.is_some_and(|lost| answered || lost + LAST_WORDS <= key.now())
    }

    /// No answer waits for the host.
    fn is_quiet(&self) -> bool {
        self.fido.is_quiet() && self.ccid.is_quiet()
    }

    fn note_loss(&mut self, key: &VirtualKey) -> bool {
        if self.lost_at.is_none() && key.generation() != self.generation {
            self.lost_at = Some(key.now());
        }
        self.lost_at.is_some()
    }

    /// What the device has for a transfer that asks for data.
    fn produce(&mut self, urb: &Urb, now: Milliseconds) -> Option<Vec<u8>> {
        match urb.address() {
            EP_KEYBOARD if self.lost_at.is_none() => self.keyboard.take(now).map(Vec::from),
            EP_FIDO_IN => self.fido.take().map(Vec::from),
            EP_CCID_IN => self.ccid.take(urb.length),
            EP_CCID_NOTIFY => self.ccid.take_notice(),
            _ => None,
        }
    }

    /// Whether there is such an endpoint, and a configuration that has it.
    fn is_open(&self, address: u8) -> bool {
        let function = Function::of_endpoint(address);
        self.configured && function.is_some_and(|one| self.descriptors.functions().contains(&one))
    }

    pub(super) fn configuration(&self) -> u8 {
        u8::from(self.configured)
    }

    pub(super) fn configure(&mut self, number: u16) -> bool {
        self.configured = number == 1;
        self.halted.clear();
        number <= 1
    }

    pub(super) fn is_halted(&self, address: u8) -> bool {
        self.halted.contains(&address)
    }

    pub(super) fn halt(&mut self, address: u8, halted: bool) -> bool {
        if !self.is_open(address) {
            return false;
        }
        if halted {
            self.halted.insert(address);
        } else {
            self.halted.remove(&address);
        }
        true
    }

    pub(super) fn idle_rate(&self, function: Function) -> u8 {
        self.idle_rates[usize::from(function == Function::Fido)]
    }

    pub(super) fn set_idle_rate(&mut self, function: Function, rate: u8) {
        self.idle_rates[usize::from(function == Function::Fido)] = rate;
    }
}

const FIDO_PACKET: usize = 64;
/// How long a key that restarts lets the host have its last answer.
const LAST_WORDS: Milliseconds = Milliseconds(1000);
