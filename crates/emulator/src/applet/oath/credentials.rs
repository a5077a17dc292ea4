//! Storing, renaming, deleting and listing credentials.

use tapkey_protocol::apdu::StatusWord;
use tapkey_protocol::oath::CredentialId;
use tapkey_protocol::oath::codec::{Challenge, Delete, ListEntry, Put, Rename};

use super::{NO_SUCH_OBJECT, malformed};
use crate::key::Device;
use crate::state::OathCredential;

/// Stores a credential at the end of the list, or in the place of the one with its name.
pub(super) fn put(device: &mut Device, body: &[u8]) -> Result<(), StatusWord> {
    let profile = *device.profile();
    let put = Put::parse(body, profile.oath_strictness()).map_err(malformed)?;
    let touch = put.properties.require_touch;
    if !profile.has_oath_algorithm(put.algorithm) || (touch && !profile.has_oath_touch()) {
        return Err(StatusWord::WRONG_DATA);
    }
    let place = find(device, &put.id);
    if place.is_none() && device.state().oath.credentials.len() >= profile.oath_capacity() {
        return Err(StatusWord::NO_SPACE);
    }
    let counter = u64::from(put.counter);
    let credential = OathCredential { put, counter, last_challenge: Challenge::none() };
    device.change(|state| {
        let credentials = &mut state.oath.credentials;
        match place.and_then(|place| credentials.get_mut(place)) {
            Some(old) => *old = credential,
            None => credentials.push(credential),
        }
    })?;
    Ok(())
}

pub(super) fn delete(device: &mut Device, body: &[u8]) -> Result<(), StatusWord> {
    let Delete(id) = Delete::parse(body).map_err(malformed)?;
    find(device, &id).ok_or(NO_SUCH_OBJECT)?;
    device.change(|state| state.oath.credentials.retain(|credential| credential.put.id != id))?;
    Ok(())
}

/// A name that is taken is refused, also by the credential itself.
pub(super) fn rename(device: &mut Device, body: &[u8]) -> Result<(), StatusWord> {
    let Rename { from, to } = Rename::parse(body).map_err(malformed)?;
    let place = find(device, &from).ok_or(NO_SUCH_OBJECT)?;
    if find(device, &to).is_some() {
        return Err(NO_SUCH_OBJECT);
    }
    device.change(|state| {
        if let Some(credential) = state.oath.credentials.get_mut(place) {
            credential.put.id = to;
        }
    })?;
    Ok(())
}

pub(super) fn list(device: &Device) -> Vec<u8> {
    let entries: Vec<_> = device
        .state()
        .oath
        .credentials
        .iter()
        .map(|credential| ListEntry {
            kind: credential.put.kind,
            algorithm: credential.put.algorithm,
            id: credential.put.id.clone(),
        })
        .collect();
    ListEntry::encode_all(&entries)
}

/// The place of a credential in the list.
pub(super) fn find(device: &Device, id: &CredentialId) -> Option<usize> {
    device.state().oath.credentials.iter().position(|credential| credential.put.id == *id)
}
