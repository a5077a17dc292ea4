//! A key in the same process: what tests and demonstrations use.
//!
//! ```
//! use tapkey_emulator::VirtualKey;
//! use tapkey_emulator::port::in_process::PluggedKey;
//! use tapkey_protocol::link::OtpLink;
//!
//! let key = PluggedKey::new(VirtualKey::builder().build()?)?;
//! let mut link = key.otp()?;
//! assert_eq!(link.read_report()?[1..4], [5, 7, 4]); // the firmware
//! key.unplug();
//! assert!(link.read_report().is_err());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod waiting;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tapkey_protocol::link::{CardLink, CardTransport, LinkError, OtpLink, Report};
use tapkey_protocol::slot::Slot;
use tapkey_protocol::transcript::recording::{Interface, LinkTape, Tape};

use crate::clock::Milliseconds;
use crate::faults::Faults;
use crate::key::{
    Counter, Power, PowerError, Press, Snapshot, TouchError, Transmitted, TurnError, VirtualKey,
};
use crate::state::StateError;
use waiting::{Guard, Waiters};

pub use waiting::{Keyboard, Wait};

/// A key that several parts of a program share: one has a link to it, another presses it.
///
/// Clones are handles of the same key. Every use first tells the key the time.
#[derive(Clone, Debug)]
pub struct PluggedKey {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    key: Mutex<VirtualKey>,
    /// Held for the length of a command over the smart card, which may wait for a touch: a reader
    /// has one command under way at a time.
    card: Mutex<()>,
    clock: Clock,
    /// Milliseconds that the key's clock was moved ahead of this clock.
    ahead: AtomicU64,
    faults: Faults,
    tape: Mutex<Option<Tape>>,
    waiters: Waiters,
}

#[derive(Debug)]
enum Clock {
    System(Instant),
    Manual(ManualClock),
}

impl Clock {
    /// Lets so much time pass.
    fn pass(&self, time: Milliseconds) {
        match self {
            _ if time == Milliseconds::ZERO => {}
            Self::System(_) => thread::sleep(Duration::from_millis(time.0)),
            Self::Manual(clock) => clock.advance(time),
        }
    }

    /// Lets a little time pass while a command waits for a touch.
    fn wait(&self) {
        match self {
            Self::System(_) => thread::sleep(Duration::from_millis(5)),
            Self::Manual(clock) => {
                clock.advance(Milliseconds(50));
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
}

/// A clock that stands still until it is moved. Clones are the same clock.
#[derive(Clone, Debug, Default)]
pub struct ManualClock {
    now: Arc<AtomicU64>,
}

impl ManualClock {
    /// A clock at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets time pass.
    pub fn advance(&self, by: Milliseconds) {
        self.now.fetch_add(by.0, Ordering::SeqCst);
    }

    /// What it shows.
    #[must_use]
    pub fn now(&self) -> Milliseconds {
        Milliseconds(self.now.load(Ordering::SeqCst))
    }
}

impl PluggedKey {
    /// Plugs the key in, unless it has power already, under the system's monotonic clock.
    ///
    /// # Errors
    /// [`PowerError`] when the key does not start.
    pub fn new(key: VirtualKey) -> Result<Self, PowerError> {
        Self::start(key, Clock::System(Instant::now()))
    }

    /// The same under a clock that the caller moves.
    ///
    /// # Errors
    /// As [`PluggedKey::new`].
    pub fn with_clock(key: VirtualKey, clock: ManualClock) -> Result<Self, PowerError> {
        Self::start(key, Clock::Manual(clock))
    }

    fn start(mut key: VirtualKey, clock: Clock) -> Result<Self, PowerError> {
        if key.powered() == Power::Off {
            key.power(Power::Usb)?;
        }
        let faults = key.faults().clone();
        let (key, card, ahead) = (Mutex::new(key), Mutex::new(()), AtomicU64::new(0));
        Ok(Self {
            shared: Arc::new(Shared {
                key,
                card,
                clock,
                ahead,
                faults,
                tape: Mutex::new(None),
                waiters: Waiters::default(),
            }),
        })
    }

    /// Opens the OTP interface.
    ///
    /// # Errors
    /// [`LinkError::Removed`] without power, [`LinkError::Unavailable`] when the interface is
    /// switched off or the key is used over NFC.
    pub fn otp(&self) -> Result<OtpPort, LinkError> {
        let key = self.lock();
        if key.powered() == Power::Off {
            return Err(LinkError::Removed);
        }
        if !key.has_otp_reports() {
            return Err(LinkError::Unavailable { what: "the OTP interface of the emulated key".to_owned() });
        }
        let tape = self.tape().map(|tape| tape.open(Interface::Otp));
        Ok(OtpPort { key: self.clone(), generation: key.generation(), tape })
    }

    /// Opens the smart-card interface.
    ///
    /// # Errors
    /// [`LinkError::Removed`] without power, [`LinkError::Unavailable`] when the interface is
    /// switched off.
    pub fn card(&self) -> Result<CardPort, LinkError> {
        let key = self.lock();
        if key.powered() == Power::Off {
            return Err(LinkError::Removed);
        }
        if !key.has_card() {
            return Err(LinkError::Unavailable { what: "the smart card of the emulated key".to_owned() });
        }
        let transport = if key.powered() == Power::Nfc { CardTransport::Nfc } else { CardTransport::Usb };
        let tape = self.tape().map(|tape| tape.open(transport.into()));
        Ok(CardPort { key: self.clone(), generation: key.generation(), transport, tape })
    }

    /// Presses the key; see [`VirtualKey::press`].
    ///
    /// # Errors
    /// [`StateError`] when a counter could not be stored.
    pub fn press(&self, slot: Slot) -> Result<Press, StateError> {
        let mut key = self.lock();
        key.press(slot).inspect(|press| self.pass_on(press)).inspect(|press| self.note_press(press))
    }

    /// Holds the key down for so long; see [`VirtualKey::hold`].
    ///
    /// # Errors
    /// As [`PluggedKey::press`].
    pub fn hold(&self, duration: Milliseconds) -> Result<Press, StateError> {
        let mut key = self.lock();
        key.hold(duration).inspect(|press| self.pass_on(press)).inspect(|press| self.note_press(press))
    }

    /// Touches the key while a challenge waits for it.
    ///
    /// # Errors
    /// [`TouchError`] when nothing waits, or nobody is there.
    pub fn touch(&self) -> Result<(), TouchError> {
        self.lock().touch()?;
        self.note(|| "touched".to_owned());
        Ok(())
    }

    /// Plugs it in, or holds it against a reader.
    ///
    /// # Errors
    /// [`PowerError`] when the key does not work that way.
    pub fn plug(&self, power: Power) -> Result<(), PowerError> {
        self.lock().power(power)?;
        self.note(|| {
            match power {
                Power::Off => "taken away",
                Power::Usb => "plugged in",
                Power::Nfc => "held against a reader",
            }
            .to_owned()
        });
        Ok(())
    }

    /// Takes it away. Links that are open fail from now on with [`LinkError::Removed`].
    pub fn unplug(&self) {
        // Taking power away cannot fail.
        let _ = self.plug(Power::Off);
    }

    /// Takes it away and plugs it in again, over USB. Links that were open stay dead.
    ///
    /// # Errors
    /// As [`PluggedKey::plug`].
    pub fn replug(&self) -> Result<(), PowerError> {
        let mut key = self.lock();
        key.power(Power::Off)?;
        key.power(Power::Usb)?;
        self.note(|| "unplugged and plugged in again".to_owned());
        Ok(())
    }

    /// The USB host puts the bus to sleep: links time out until [`resume`](Self::resume). The key
    /// forgets nothing.
    pub fn suspend(&self) {
        self.lock().suspend();
        self.note(|| "suspended".to_owned());
    }

    /// The USB host wakes the bus.
    pub fn resume(&self) {
        self.lock().resume();
        self.note(|| "resumed".to_owned());
    }

    /// Moves the key's clock ahead, as if it had lain there for so long.
    pub fn jump(&self, by: Milliseconds) {
        let add = |ahead: u64| Some(ahead.saturating_add(by.0));
        let _ = self.shared.ahead.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
        drop(self.lock());
        self.note(|| format!("clock moved ahead by {by}"));
    }

    /// Turns a counter forward; see [`VirtualKey::turn`].
    ///
    /// # Errors
    /// [`TurnError`]; the counter has not moved then.
    pub fn turn(&self, counter: Counter) -> Result<(), TurnError> {
        self.lock().turn(counter)
    }

    /// Records what passes over links that are opened from now on, and what a hand does to the key.
    /// Read it back with [`Recording`](tapkey_protocol::transcript::recording::Recording); play it
    /// again with [`port::replay`](crate::port::replay).
    pub fn record(&self, tape: Tape) {
        self.lock().record(tape.clone());
        *self.shared.tape.lock().unwrap_or_else(PoisonError::into_inner) = Some(tape);
    }

    /// Its faults. They can be added and cleared at any time, also while a command waits.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// What the key is and does at this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { usb_host: self.has_keyboard(), ..self.lock().snapshot() }
    }

    /// Does anything else with the key, after telling it the time. Others wait meanwhile.
    pub fn with<T>(&self, work: impl FnOnce(&mut VirtualKey) -> T) -> T {
        work(&mut self.lock())
    }

    fn lock(&self) -> Guard<'_> {
        let mut key = Guard::new(&self.shared);
        key.tick(self.now());
        key
    }

    fn tape(&self) -> Option<Tape> {
        self.shared.tape.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_press(&self, press: &Press) {
        self.note(|| match press {
            Press::Typed(typed) => {
                format!("pressed: slot {} types {} keys", typed.slot(), typed.strokes().len())
            }
            Press::AnsweredChallenge => "pressed: the touch that was awaited".to_owned(),
            Press::Nothing(silence) => format!("pressed, and nothing happens: {silence}"),
        });
    }

    fn note(&self, text: impl FnOnce() -> String) {
        if let Some(tape) = self.tape() {
            tape.note(text());
        }
    }

    fn now(&self) -> Milliseconds {
        let now = match &self.shared.clock {
            Clock::System(start) => {
                Milliseconds(u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX))
            }
            Clock::Manual(clock) => clock.now(),
        };
        now + Milliseconds(self.shared.ahead.load(Ordering::SeqCst))
    }

    fn write(&self, generation: u64, report: &Report) -> Result<(), LinkError> {
        Ok(self.still_there(generation)?.carry_write(report)?)
    }

    fn read(&self, generation: u64) -> Result<Report, LinkError> {
        Ok(self.still_there(generation)?.carry_read()?)
    }

    fn transmit(&self, generation: u64, command: &[u8]) -> Result<Vec<u8>, LinkError> {
        let _turn = self.shared.card.lock().unwrap_or_else(PoisonError::into_inner);
        let mut response = self.still_there(generation)?.carry_command(command)?;
        loop {
            if let Some(Transmitted { response, delay }) = response {
                self.shared.clock.pass(delay);
                return Ok(response);
            }
            self.shared.clock.wait();
            response = self.still_there(generation)?.carry_response()?;
        }
    }

    fn still_there(&self, generation: u64) -> Result<Guard<'_>, LinkError> {
        let key = self.lock();
        if key.generation() != generation || key.powered() == Power::Off {
            return Err(LinkError::Removed);
        }
        Ok(key)
    }
}

/// The OTP interface of a plugged-in key.
#[derive(Debug)]
pub struct OtpPort {
    key: PluggedKey,
    generation: u64,
    tape: Option<LinkTape>,
}

impl OtpLink for OtpPort {
    fn write_report(&mut self, report: &Report) -> Result<(), LinkError> {
        let result = self.key.write(self.generation, report);
        if let Some(tape) = &mut self.tape {
            tape.wrote(report, &result);
        }
        result
    }

    fn read_report(&mut self) -> Result<Report, LinkError> {
        let result = self.key.read(self.generation);
        if let Some(tape) = &mut self.tape {
            tape.read(&result);
        }
        result
    }
}

/// The smart-card interface of a plugged-in key.
#[derive(Debug)]
pub struct CardPort {
    key: PluggedKey,
    generation: u64,
    transport: CardTransport,
    tape: Option<LinkTape>,
}

impl CardPort {
    /// The card's answer to reset.
    ///
    /// # Errors
    /// [`LinkError::Removed`] when the key is gone.
    pub fn atr(&self) -> Result<Vec<u8>, LinkError> {
        let key = self.key.still_there(self.generation)?;
        Ok(key.atr().unwrap_or_default().to_vec())
    }

    /// Resets the card, as disconnecting with a reset does.
    ///
    /// # Errors
    /// As [`CardPort::atr`].
    pub fn reset(&mut self) -> Result<(), LinkError> {
        self.key.still_there(self.generation)?.card_reset();
        Ok(())
    }
}

impl CardLink for CardPort {
    /// Waits as long as the key does when the command needs a touch, which another thread may give
    /// it. A [`ManualClock`] is moved on meanwhile, or the wait would never end.
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, LinkError> {
        let result = self.key.transmit(self.generation, command);
        if let Some(tape) = &mut self.tape {
            tape.transmitted(command, &result);
        }
        result
    }

    fn transport(&self) -> CardTransport {
        self.transport
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

    fn plugged() -> PluggedKey {
        PluggedKey::new(VirtualKey::builder().build().unwrap()).unwrap()
    }

    #[test]
    fn a_link_opened_before_a_replug_stays_dead() {
        let key = plugged();
        let mut otp = key.otp().unwrap();
        let mut card = key.card().unwrap();
        otp.read_report().unwrap();
        assert_eq!(card.transport(), CardTransport::Usb);
        key.replug().unwrap();
        assert!(matches!(otp.read_report(), Err(LinkError::Removed)));
        assert!(matches!(otp.write_report(&[0; 8]), Err(LinkError::Removed)));
        assert!(matches!(card.transmit(&[0, 3, 0, 0]), Err(LinkError::Removed)));
        key.otp().unwrap().read_report().unwrap();
    }

    #[test]
    fn nothing_opens_without_power() {
        let key = plugged();
        key.unplug();
        assert!(matches!(key.otp().map(drop), Err(LinkError::Removed)));
        assert!(matches!(key.card().map(drop), Err(LinkError::Removed)));
        key.plug(Power::Nfc).unwrap();
        assert!(matches!(key.otp().map(drop), Err(LinkError::Unavailable { .. })));
        let card = key.card().unwrap();
        assert_eq!(card.transport(), CardTransport::Nfc);
        assert_eq!(CardTransport::from_atr(&card.atr().unwrap()), CardTransport::Nfc);
    }

    #[test]
    fn a_model_without_nfc_says_so() {
        let key = VirtualKey::builder().profile(Profile::YUBIKEY_4_3_5).build().unwrap();
        let key = PluggedKey::new(key).unwrap();
        assert_eq!(key.plug(Power::Nfc), Err(PowerError::NoNfc));
    }
}
