//! SELECT, the password, and the way back to the beginning.

use subtle::ConstantTimeEq;
use tapkey_protocol::apdu::StatusWord;
use tapkey_protocol::oath::codec::{Lock, SALT_SIZE, Selected, SetCode, Validate};

use super::{NO_SUCH_OBJECT, malformed};
use crate::key::Device;
use crate::state::{OathCode, OathState};

/// The answer to SELECT. The challenge is shown whenever there is a password, also to a host that
/// has proved it already.
pub(super) fn select(device: &mut Device, challenge: [u8; SALT_SIZE]) -> Result<Selected, StatusWord> {
    let salt = salt(device)?;
    let oath = &device.state().oath;
    let lock = oath.code.as_ref().map(|code| Lock { challenge, algorithm: code.algorithm });
    Ok(Selected { version: device.profile().version(), salt, lock })
}

/// The salt, which is drawn when it is needed first.
fn salt(device: &mut Device) -> Result<[u8; SALT_SIZE], StatusWord> {
    if let Some(salt) = device.state().oath.salt {
        return Ok(salt);
    }
    let salt = device.draw();
    device.change(|state| state.oath.salt = Some(salt))?;
    Ok(salt)
}

/// Checks the host's proof and gives the key's.
pub(super) fn validate(device: &Device, body: &[u8], challenge: &[u8]) -> Result<Vec<u8>, StatusWord> {
    let code = device.state().oath.code.as_ref().ok_or(NO_SUCH_OBJECT)?;
    let request = Validate::parse(body).map_err(malformed)?;
    let expected = code.algorithm.hmac(code.key.expose(), challenge);
    if !bool::from(expected.ct_eq(&request.proof)) {
        return Err(StatusWord::WRONG_DATA);
    }
    Ok(Validate::encode_answer(&code.algorithm.hmac(code.key.expose(), &request.challenge)))
}

/// Sets or removes the password. A host that sets one has to show that it can use it.
pub(super) fn set_code(device: &mut Device, body: &[u8]) -> Result<(), StatusWord> {
    let code = match SetCode::parse(body).map_err(malformed)? {
        SetCode::Remove => None,
        SetCode::Set { algorithm, key, challenge, proof } => {
            let expected = algorithm.hmac(key.expose(), &challenge);
            if !device.profile().has_oath_algorithm(algorithm) || !bool::from(expected.ct_eq(&proof)) {
                return Err(StatusWord::WRONG_DATA);
            }
            Some(OathCode { algorithm, key })
        }
    };
    device.change(|state| state.oath.code = code)?;
    Ok(())
}

/// Forgets credentials and password, and draws a new salt.
pub(super) fn reset(device: &mut Device) -> Result<(), StatusWord> {
    let salt = Some(device.draw());
    device.change(|state| state.oath = OathState { salt, ..OathState::default() })?;
    Ok(())
}
