//! Codes.

use tapkey_protocol::apdu::StatusWord;
use tapkey_protocol::oath::codec::{BulkAnswer, BulkEntry, Calculate, Challenge, CodeAnswer, Form, Put};
use tapkey_protocol::oath::{Code, Kind, truncate};
use tapkey_protocol::secret::SecretBytes;

use super::credentials::find;
use super::{NO_SUCH_OBJECT, malformed};
use crate::key::Device;
use crate::state::OathCredential;

/// One code, after a touch if the credential wants one. What must not come twice is stored before
/// the code exists.
pub(super) fn one(device: &mut Device, body: &[u8], form: Form) -> Result<Vec<u8>, StatusWord> {
    let Calculate { id, challenge } = Calculate::parse(body).map_err(malformed)?;
    let place = find(device, &id).ok_or(NO_SUCH_OBJECT)?;
    let credential = device.state().oath.credentials.get(place).ok_or(NO_SUCH_OBJECT)?.clone();
    check_increase(&credential, &challenge)?;
    if credential.put.properties.require_touch {
        device.need_touch()?;
    }
    let counter = credential.counter;
    match credential.put.kind {
        Kind::Hotp => {
            let next = counter.checked_add(1).ok_or(StatusWord::CONDITIONS_NOT_SATISFIED)?;
            update(device, place, |credential| credential.counter = next)?;
            Ok(answer(&credential.put, &counter.to_be_bytes(), form).encode())
        }
        Kind::Totp => {
            remember(device, &[(place, &credential)], &challenge)?;
            Ok(answer(&credential.put, challenge.as_bytes(), form).encode())
        }
    }
}

/// The codes of all credentials that have one without using something up or being touched.
pub(super) fn all(device: &mut Device, body: &[u8], form: Form) -> Result<Vec<u8>, StatusWord> {
    let challenge = Challenge::parse(body).map_err(malformed)?;
    let credentials = device.state().oath.credentials.clone();
    let computed: Vec<_> =
        credentials.iter().enumerate().filter(|(_, credential)| is_in_bulk(credential)).collect();
    for (_, credential) in &computed {
        check_increase(credential, &challenge)?;
    }
    remember(device, &computed, &challenge)?;
    let entries: Vec<_> = credentials
        .iter()
        .map(|credential| {
            let put = &credential.put;
            let answer = match put.kind {
                Kind::Hotp => BulkAnswer::Hotp(put.digits),
                Kind::Totp if put.properties.require_touch => BulkAnswer::Touch(put.digits),
                Kind::Totp => BulkAnswer::Code(answer(put, challenge.as_bytes(), form)),
            };
            BulkEntry { id: put.id.clone(), answer }
        })
        .collect();
    Ok(BulkEntry::encode_all(&entries))
}

fn is_in_bulk(credential: &OathCredential) -> bool {
    credential.put.kind == Kind::Totp && !credential.put.properties.require_touch
}

fn answer(put: &Put, message: &[u8], form: Form) -> CodeAnswer {
    let hmac = SecretBytes::new(put.algorithm.hmac(put.secret.expose(), message));
    let digits = put.digits;
    match form {
        Form::Full => CodeAnswer::Full { digits, hmac },
        // Keys reduce the value themselves.
        Form::Truncated => {
            CodeAnswer::Truncated { digits, value: Code::new(truncate(hmac.expose()), digits).value() }
        }
    }
}

/// Whether the credential insists on challenges that do not become smaller.
fn is_increasing(credential: &OathCredential) -> bool {
    credential.put.kind == Kind::Totp && credential.put.properties.only_increasing
}

/// The same challenge again is allowed; a smaller one is refused.
fn check_increase(credential: &OathCredential, challenge: &Challenge) -> Result<(), StatusWord> {
    if is_increasing(credential) && number(challenge) < number(&credential.last_challenge) {
        return Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED);
    }
    Ok(())
}

/// A challenge as a number, for comparing: longer ones are bigger, zeros in front do not count.
fn number(challenge: &Challenge) -> (usize, &[u8]) {
    let bytes = challenge.as_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let significant = bytes.get(zeros..).unwrap_or_default();
    (significant.len(), significant)
}

/// Stores the challenge with those credentials that compare the next one with it.
fn remember(
    device: &mut Device,
    computed: &[(usize, &OathCredential)],
    challenge: &Challenge,
) -> Result<(), StatusWord> {
    let places: Vec<_> = computed
        .iter()
        .filter(|(_, credential)| is_increasing(credential) && credential.last_challenge != *challenge)
        .map(|(place, _)| *place)
        .collect();
    if places.is_empty() {
        return Ok(());
    }
    device.change(|state| {
        for place in places {
            if let Some(credential) = state.oath.credentials.get_mut(place) {
                credential.last_challenge = challenge.clone();
            }
        }
    })?;
    Ok(())
}

fn update(
    device: &mut Device,
    place: usize,
    change: impl FnOnce(&mut OathCredential),
) -> Result<(), StatusWord> {
    device.change(|state| state.oath.credentials.get_mut(place).map(change).unwrap_or_default())?;
    Ok(())
}
