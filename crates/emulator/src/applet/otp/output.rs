//! What a slot gives out when the key is pressed.

use tapkey_protocol::keyboard::{self, Typing};
use tapkey_protocol::oath::{Code, Digits, hotp};
use tapkey_protocol::otp::{Otp, PublicId, Timestamp, Token};
use tapkey_protocol::secret::Secret;
use tapkey_protocol::slot::{ExtendedFlags, Slot, SlotKind, TokenId};

use super::counters::{CounterError, next_moving_factor, next_token};
use crate::key::{Device, Press, Silence, Typed};
use crate::state::{SlotState, StateError};

/// What a slot gives out, before it is turned into key strokes.
pub(super) enum Output {
    Otp(Otp),
    Hotp {
        token_id: Option<TokenId>,
        code: Code,
    },
    ScanCodes(Secret<38>),
    /// The same block each time, laid out like a password.
    Static(Otp),
    Nothing(Silence),
}

/// Presses the key for a slot.
///
/// # Errors
/// [`StateError`] when a counter could not be stored.
pub(crate) fn press(device: &mut Device, slot: Slot) -> Result<Press, StateError> {
    let output = match next(device, slot) {
        Ok(output) => output,
        Err(CounterError::State(error)) => return Err(error),
        Err(CounterError::Exhausted) => Output::Nothing(Silence::CounterExhausted),
        Err(CounterError::Empty) => Output::Nothing(Silence::Empty),
    };
    let key = device.state();
    let Some(state) = key.slot(slot) else {
        return Ok(Press::Nothing(Silence::Empty));
    };
    let typing = Typing::of(&state.record, &key.scan_map);
    let strokes = match output {
        Output::Nothing(silence) => return Ok(Press::Nothing(silence)),
        Output::Otp(otp) => keyboard::yubico_otp(&typing, otp.public_id().as_bytes(), otp.block()),
        Output::Hotp { token_id, code } => keyboard::hotp(&typing, token_id.as_ref(), &code.to_string()),
        Output::ScanCodes(codes) => keyboard::scan_codes(&typing, codes.expose()),
        Output::Static(otp) => keyboard::static_ticket(&typing, otp.public_id().as_bytes(), otp.block()),
    };
    Ok(Press::Typed(Typed::new(slot, strokes)))
}

/// The slot's next output. Counters have moved, durably, when it returns.
pub(super) fn next(device: &mut Device, slot: Slot) -> Result<Output, CounterError> {
    let Some(state) = device.state().slot(slot) else {
        return Ok(Output::Nothing(Silence::Empty));
    };
    if state.has(ExtendedFlags::DORMANT) {
        return Ok(Output::Nothing(Silence::Dormant));
    }
    match state.kind() {
        SlotKind::ChallengeHmac { .. } | SlotKind::ChallengeYubico { .. } => {
            Ok(Output::Nothing(Silence::ChallengeResponse))
        }
        SlotKind::YubicoOtp => {
            let (public_id, private_id, key) = (public_id(state), state.private_id(), state.aes_key());
            let token = next_token(device, slot, private_id)?;
            Ok(Output::Otp(Otp::new(public_id, token.seal(&key))))
        }
        SlotKind::Hotp { eight_digits } => {
            let (token_id, key) = (TokenId::of_record(&state.record), state.record.hmac_key());
            let counter = next_moving_factor(device, slot)?;
            let digits = if eight_digits { Digits::EIGHT } else { Digits::SIX };
            Ok(Output::Hotp { token_id, code: hotp(key.expose(), counter, digits) })
        }
        SlotKind::StaticTicket { .. } => Ok(Output::Static(static_block(state))),
        SlotKind::ScanCodes => Ok(Output::ScanCodes(state.record.scan_codes())),
    }
}

/// A block whose counters, clock and noise are all zero. What a genuine key encrypts here is not
/// documented; it is constant, and differs with private id and key, which is all that users rely on.
fn static_block(state: &SlotState) -> Otp {
    let token = Token {
        private_id: state.private_id(),
        use_counter_raw: 0,
        timestamp: Timestamp::default(),
        session_counter: 0,
        random: 0,
    };
    Otp::new(public_id(state), token.seal(&state.aes_key()))
}

fn public_id(state: &SlotState) -> PublicId {
    // A record's fixed part has at most 16 bytes, which is what a public id takes.
    PublicId::new(state.record.fixed_part()).unwrap_or_default()
}
