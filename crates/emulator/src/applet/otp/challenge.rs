//! Challenge-response: HMAC-SHA1, and the one-time password around a challenge.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use tapkey_protocol::apdu::StatusWord;
use tapkey_protocol::challenge;
use tapkey_protocol::otp::PrivateId;
use tapkey_protocol::secret::{Secret, SecretBytes};
use tapkey_protocol::slot::{ExtendedFlags, Slot, SlotKind};

use super::counters::next_token;
use super::{Outcome, Via, padded};
use crate::key::{Device, Power};
use crate::state::SlotState;

/// A challenge that a slot can answer, perhaps after a touch.
pub(crate) struct Challenge {
    slot: Slot,
    question: Question,
}

enum Question {
    Hmac(Secret<64>),
    Yubico(Secret<6>),
}

impl fmt::Debug for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.question {
            Question::Hmac(_) => "HMAC",
            Question::Yubico(_) => "Yubico",
        };
        f.debug_struct("Challenge").field("slot", &self.slot).field("kind", &kind).finish()
    }
}

/// HMAC-SHA1 over up to 64 bytes.
pub(super) fn hmac(device: &mut Device, slot: Slot, payload: &[u8], via: Via) -> Result<Outcome, StatusWord> {
    let question = Question::Hmac(Secret::new(padded(payload)));
    ask(device, Challenge { slot, question }, via)
}

/// A one-time password block with six challenge bytes in place of the private id.
pub(super) fn yubico(
    device: &mut Device,
    slot: Slot,
    payload: &[u8],
    via: Via,
) -> Result<Outcome, StatusWord> {
    let question = Question::Yubico(Secret::new(padded(payload)));
    ask(device, Challenge { slot, question }, via)
}

fn ask(device: &mut Device, challenge: Challenge, via: Via) -> Result<Outcome, StatusWord> {
    // The smart card on USB refuses challenges; over NFC it takes them.
    if via == Via::Card && device.power() == Power::Usb {
        return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
    }
    // For these kinds touch-triggered means that each answer needs one.
    if find(device, &challenge)?.kind().is_touch_triggered() {
        return Ok(Outcome::Touch(challenge));
    }
    answer(device, &challenge).map(Outcome::Data)
}

/// Answers a challenge whose touch, if it needs one, has come.
pub(crate) fn answer(device: &mut Device, challenge: &Challenge) -> Result<SecretBytes, StatusWord> {
    let slot = find(device, challenge)?;
    match &challenge.question {
        Question::Hmac(frame) => Ok(hmac_answer(slot, frame)),
        Question::Yubico(bytes) => {
            let key = slot.aes_key();
            let token = next_token(device, challenge.slot, PrivateId::new(*bytes.expose()))?;
            Ok(SecretBytes::new(token.seal(&key).to_vec()))
        }
    }
}

/// The slot, if it is programmed for this kind of challenge and not dormant.
fn find<'a>(device: &'a Device, challenge: &Challenge) -> Result<&'a SlotState, StatusWord> {
    let suits = |slot: &&SlotState| match challenge.question {
        Question::Hmac(_) => matches!(slot.kind(), SlotKind::ChallengeHmac { .. }),
        Question::Yubico(_) => matches!(slot.kind(), SlotKind::ChallengeYubico { .. }),
    };
    device
        .state()
        .slot(challenge.slot)
        .filter(|slot| !slot.has(ExtendedFlags::DORMANT))
        .filter(suits)
        .ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)
}

fn hmac_answer(slot: &SlotState, frame: &Secret<64>) -> SecretBytes {
    let message = match slot.kind() {
        SlotKind::ChallengeHmac { variable_length: true, .. } => challenge::strip(frame.expose()),
        _ => frame.expose(),
    };
    // HMAC takes keys of every length, so the error cannot occur.
    let answer = Hmac::<Sha1>::new_from_slice(slot.record.hmac_key().expose())
        .map(|mac| mac.chain_update(message).finalize().into_bytes().to_vec())
        .unwrap_or_default();
    SecretBytes::new(answer)
}
