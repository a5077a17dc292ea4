//! The counters that make every one-time password a new one.

use tapkey_protocol::apdu::StatusWord;
use tapkey_protocol::otp::{PrivateId, Token};
use tapkey_protocol::slot::Slot;

use crate::key::Device;
use crate::state::StateError;

/// Why a slot gives no one-time password.
#[derive(Debug)]
pub(crate) enum CounterError {
    /// The slot is empty.
    Empty,
    /// The counter is at its end; only programming the slot anew helps.
    Exhausted,
    /// The new counter could not be stored.
    State(StateError),
}

impl From<StateError> for CounterError {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl From<CounterError> for StatusWord {
    fn from(error: CounterError) -> Self {
        match error {
            CounterError::Empty | CounterError::Exhausted => Self::CONDITIONS_NOT_SATISFIED,
            CounterError::State(error) => error.into(),
        }
    }
}

/// The next token of a slot, around the given private id (or challenge in its place).
///
/// The use counter grows at the first use after power-up and when the session counter has run
/// through its 256 values; it is stored before the token exists. At its ceiling the slot falls
/// silent, because any further token would repeat one.
pub(super) fn next_token(
    device: &mut Device,
    slot: Slot,
    private_id: PrivateId,
) -> Result<Token, CounterError> {
    let session_counter = match device.session().last_use(slot).and_then(|last| last.checked_add(1)) {
        Some(next) => next,
        None => {
            advance_use_counter(device, slot)?;
            0
        }
    };
    device.session().note_use(slot, session_counter);
    let use_counter = device.state().slot(slot).ok_or(CounterError::Empty)?.use_counter;
    Ok(Token {
        private_id,
        use_counter_raw: use_counter.get(),
        timestamp: device.timestamp(),
        session_counter,
        random: device.noise(),
    })
}

fn advance_use_counter(device: &mut Device, slot: Slot) -> Result<(), CounterError> {
    let current = device.state().slot(slot).ok_or(CounterError::Empty)?.use_counter;
    if current.at_ceiling() {
        return Err(CounterError::Exhausted);
    }
    device.change(|key| {
        if let Some(state) = key.slot_mut(slot) {
            state.use_counter = current.next();
        }
    })?;
    Ok(())
}

/// The moving factor for the code that is typed now; the next one is stored before it is given out.
pub(super) fn next_moving_factor(device: &mut Device, slot: Slot) -> Result<u64, CounterError> {
    let current = device.state().slot(slot).ok_or(CounterError::Empty)?.moving_factor;
    let next = current.checked_add(1).ok_or(CounterError::Exhausted)?;
    device.change(|key| {
        if let Some(state) = key.slot_mut(slot) {
            state.moving_factor = next;
        }
    })?;
    Ok(current)
}
