//! Keys at work: signing, decrypting, agreeing on secrets.

use tapkey_protocol::apdu::{Command, StatusWord};
use tapkey_protocol::piv::{Algorithm, AuthAnswer, Authenticate, Slot, TouchPolicy};

use super::software::PrivateKey;
use super::{NOT_HERE, PivApplet, malformed, piv};
use crate::clock::Milliseconds;
use crate::key::Device;
use crate::state::PivKey;

/// GENERAL AUTHENTICATE with the key in a slot.
pub(super) fn authenticate(
    applet: &mut PivApplet,
    device: &mut Device,
    command: &Command,
) -> Result<Vec<u8>, StatusWord> {
    let operation = Authenticate::parse(&command.data).map_err(malformed)?;
    let algorithm = Algorithm::try_from(command.p1).map_err(malformed)?;
    let slot = Slot::try_from(command.p2).map_err(|_| NOT_HERE)?;
    // It signs attestations and nothing else.
    if slot == Slot::ATTESTATION {
        return Err(StatusWord::WRONG_DATA);
    }
    let key = piv(device)?.keys.get(&slot).ok_or(NOT_HERE)?.clone();
    if key.algorithm != algorithm {
        return Err(StatusWord::WRONG_DATA);
    }
    if !applet.pin.allows(key.pin_policy) {
        return Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED);
    }
    need_touch(device, slot, &key)?;
    // Used from here on, whatever becomes of it.
    applet.pin.spend(key.pin_policy);
    let answer = compute(&key, &operation)?;
    Ok(AuthAnswer::Response(answer.into()).encode().to_vec())
}

fn compute(key: &PivKey, operation: &Authenticate) -> Result<Vec<u8>, StatusWord> {
    let key = PrivateKey::restore(key.algorithm, &key.secret).map_err(|_| StatusWord::UNKNOWN)?;
    let result = match operation {
        Authenticate::Sign(data) => key.transform(data),
        // What asks for a challenge of the management key signs an empty message here.
        Authenticate::AskChallenge => key.transform(&[]),
        Authenticate::Agree(point) => key.agree(point),
        _ => return Err(StatusWord::WRONG_DATA),
    };
    result.map_err(|_| StatusWord::WRONG_DATA)
}

fn need_touch(device: &mut Device, slot: Slot, key: &PivKey) -> Result<(), StatusWord> {
    let now = device.now();
    let last = device.session_ref().piv_touch(slot);
    let counts_still = last.is_some_and(|at| now - at < CACHED_FOR);
    match key.touch_policy {
        TouchPolicy::Never => return Ok(()),
        TouchPolicy::Cached if counts_still => return Ok(()),
        TouchPolicy::Cached | TouchPolicy::Always => device.need_touch()?,
    }
    device.session().note_piv_touch(slot, now);
    Ok(())
}

/// How long a touch counts under [`TouchPolicy::Cached`].
const CACHED_FOR: Milliseconds = Milliseconds(15_000);
