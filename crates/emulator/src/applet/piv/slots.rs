//! Keys come, move and go.

use tapkey_protocol::apdu::{Command, StatusWord};
use tapkey_protocol::piv::{
    Algorithm, Generate, Import, Origin, PinPolicy, Slot, TouchPolicy, command as wire,
};

use super::software::PrivateKey;
use super::{NOT_HERE, PivApplet, change, malformed, noise, piv, unless};
use crate::key::Device;
use crate::state::PivKey;

/// GENERATE ASYMMETRIC KEY PAIR. Answers with the public key.
pub(super) fn generate(
    applet: &PivApplet,
    device: &mut Device,
    command: &Command,
) -> Result<Vec<u8>, StatusWord> {
    applet.need_administrator()?;
    let slot = Slot::try_from(command.p2).map_err(|_| StatusWord::WRONG_PARAMETERS)?;
    let request = Generate::parse(&command.data).map_err(malformed)?;
    unless(request.algorithm.check_generation(device.profile().version()))?;
    let policies = policies(device, slot, request.algorithm, request.pin_policy, request.touch_policy)?;
    let key =
        PrivateKey::generate(request.algorithm, &mut noise(device)?).map_err(|_| StatusWord::UNKNOWN)?;
    put(device, slot, request.algorithm, &key, Origin::Generated, policies)?;
    Ok(key.public().encode_generated())
}

/// IMPORT ASYMMETRIC KEY.
pub(super) fn import(applet: &PivApplet, device: &mut Device, command: &Command) -> Result<(), StatusWord> {
    applet.need_administrator()?;
    let slot = Slot::try_from(command.p2).map_err(|_| StatusWord::WRONG_DATA)?;
    let algorithm = Algorithm::try_from(command.p1).map_err(malformed)?;
    unless(algorithm.check(device.profile().version()))?;
    let request = Import::parse(command.p1, &command.data).map_err(malformed)?;
    let policies = policies(device, slot, algorithm, request.pin_policy, request.touch_policy)?;
    let key = PrivateKey::import(algorithm, &request.key).map_err(|_| StatusWord::WRONG_DATA)?;
    put(device, slot, algorithm, &key, Origin::Imported, policies)
}

/// MOVE KEY, or delete it. The attestation key can be deleted and not moved.
pub(super) fn move_key(applet: &PivApplet, device: &mut Device, command: &Command) -> Result<(), StatusWord> {
    applet.need_administrator()?;
    let delete = command.p1 == wire::DELETED;
    let destination = if delete { None } else { Some(destination(device, command)?) };
    let source = Slot::try_from(command.p2).map_err(|_| NOT_HERE)?;
    let key = piv(device)?.keys.get(&source).ok_or(NOT_HERE)?.clone();
    if !delete && source == Slot::ATTESTATION {
        return Err(StatusWord::WRONG_DATA);
    }
    change(device, |state| {
        state.keys.remove(&source);
        if let Some(destination) = destination {
            state.keys.insert(destination, key);
        }
    })
}

/// A slot that is free and takes any key.
fn destination(device: &Device, command: &Command) -> Result<Slot, StatusWord> {
    let slot = Slot::try_from(command.p1).map_err(|_| StatusWord::WRONG_DATA)?;
    let free = slot != Slot::ATTESTATION && !piv(device)?.keys.contains_key(&slot);
    if free { Ok(slot) } else { Err(StatusWord::WRONG_DATA) }
}

/// The policies that the key will have.
fn policies(
    device: &Device,
    slot: Slot,
    algorithm: Algorithm,
    pin: Option<PinPolicy>,
    touch: Option<TouchPolicy>,
) -> Result<(PinPolicy, TouchPolicy), StatusWord> {
    // What signs attestations signs certificates.
    if slot == Slot::ATTESTATION && matches!(algorithm, Algorithm::Ed25519 | Algorithm::X25519) {
        return Err(StatusWord::WRONG_DATA);
    }
    let version = device.profile().version();
    if let Some(pin) = pin {
        unless(pin.check(version))?;
        // No profile reads fingerprints.
        if matches!(pin, PinPolicy::MatchOnce | PinPolicy::MatchAlways) {
            return Err(StatusWord::WRONG_DATA);
        }
    }
    if let Some(touch) = touch {
        unless(touch.check(version))?;
    }
    Ok((pin.unwrap_or(slot.default_pin_policy()), touch.unwrap_or(TouchPolicy::Never)))
}

fn put(
    device: &mut Device,
    slot: Slot,
    algorithm: Algorithm,
    key: &PrivateKey,
    origin: Origin,
    (pin_policy, touch_policy): (PinPolicy, TouchPolicy),
) -> Result<(), StatusWord> {
    let secret = key.stored();
    let key = PivKey { algorithm, origin, pin_policy, touch_policy, secret };
    change(device, |state| {
        state.keys.insert(slot, key);
    })?;
    device.session().forget_piv_touch(slot);
    Ok(())
}
