//! The management key, which opens changes of keys and objects.
//!
//! Two ways to prove it (NIST SP 800-73-4 part 2, 3.2.4 and appendix A.1). In the mutual one the key
//! sends an encrypted block and wants it back in clear; in the single one it sends a block in clear
//! and wants it back encrypted. What was sent in one way must never do in the other: the block in
//! clear would be its own answer.

use subtle::ConstantTimeEq;
use tapkey_protocol::apdu::{Command, StatusWord};
use tapkey_protocol::piv::{AuthAnswer, Authenticate, ManagementKey, SetManagementKey, TouchPolicy};
use tapkey_protocol::secret::SecretBytes;

use super::cipher;
use super::{PivApplet, change, malformed, piv, unless};
use crate::key::Device;
use crate::state::Management;

/// What the host has to send next, by the way that was begun.
#[derive(Debug)]
pub(super) enum Pending {
    /// The block that was sent encrypted.
    Mutual(SecretBytes),
    /// The block that was sent in clear, encrypted.
    Single(SecretBytes),
}

/// GENERAL AUTHENTICATE with the management key.
pub(super) fn authenticate(
    applet: &mut PivApplet,
    device: &mut Device,
    command: &Command,
) -> Result<Vec<u8>, StatusWord> {
    let pending = applet.pending.take();
    applet.administrator = false;
    let step = match Authenticate::parse(&command.data).map_err(malformed)? {
        // With a place for the answer beside it, an empty challenge asks the same here.
        Authenticate::Sign(data) if data.is_empty() => Authenticate::AskChallenge,
        step => step,
    };
    let key = piv(device)?.management.key.clone();
    if command.p1 != key.kind().id() {
        return Err(StatusWord::WRONG_DATA);
    }
    let answer = match step {
        Authenticate::AskWitness => {
            need_touch(device)?;
            let block = draw(device, &key);
            let witness = encrypt(&key, block.expose())?;
            applet.pending = Some(Pending::Mutual(block));
            AuthAnswer::Witness(witness.into())
        }
        Authenticate::Witness { witness, challenge } => {
            let Some(Pending::Mutual(expected)) = pending else { return Err(NOT_PROVED) };
            let answer = encrypt(&key, &challenge)?;
            compare(&expected, &witness)?;
            applet.administrator = true;
            AuthAnswer::Response(answer.into())
        }
        Authenticate::AskChallenge => {
            need_touch(device)?;
            let block = draw(device, &key);
            applet.pending = Some(Pending::Single(SecretBytes::new(encrypt(&key, block.expose())?)));
            AuthAnswer::Challenge(block.expose().to_vec().into())
        }
        Authenticate::Response(response) => {
            let Some(Pending::Single(expected)) = pending else { return Err(NOT_PROVED) };
            compare(&expected, &response)?;
            applet.administrator = true;
            return Ok(Vec::new());
        }
        Authenticate::Sign(_) | Authenticate::Agree(_) => return Err(StatusWord::WRONG_DATA),
    };
    Ok(answer.encode().to_vec())
}

/// SET MANAGEMENT KEY.
pub(super) fn set(applet: &PivApplet, device: &mut Device, command: &Command) -> Result<(), StatusWord> {
    applet.need_administrator()?;
    if command.p1 != 0xFF {
        return Err(StatusWord::WRONG_DATA);
    }
    let request = SetManagementKey::parse(command.p2, &command.data).map_err(malformed)?;
    let version = device.profile().version();
    unless(request.key.kind().check(version))?;
    unless(request.touch.check(version))?;
    change(device, |state| state.management = Management { key: request.key, touch: request.touch })
}

fn need_touch(device: &mut Device) -> Result<(), StatusWord> {
    match piv(device)?.management.touch {
        TouchPolicy::Never => Ok(()),
        TouchPolicy::Always | TouchPolicy::Cached => device.need_touch(),
    }
}

fn draw(device: &mut Device, key: &ManagementKey) -> SecretBytes {
    let block = device.draw::<16>();
    SecretBytes::new(block.iter().take(cipher::block_size(key.kind())).copied().collect())
}

fn encrypt(key: &ManagementKey, block: &[u8]) -> Result<Vec<u8>, StatusWord> {
    cipher::encrypt(key, block).ok_or(StatusWord::WRONG_DATA)
}

fn compare(expected: &SecretBytes, given: &[u8]) -> Result<(), StatusWord> {
    if bool::from(expected.expose().ct_eq(given)) { Ok(()) } else { Err(NOT_PROVED) }
}

/// The proof is wrong, or none was begun in this way.
const NOT_PROVED: StatusWord = StatusWord::SECURITY_STATUS_NOT_SATISFIED;
