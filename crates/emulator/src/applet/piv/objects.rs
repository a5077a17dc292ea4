//! Certificates and other data that are stored for hosts.

use tapkey_protocol::apdu::StatusWord;
use tapkey_protocol::piv::{DISCOVERY, GetData, MAX_OBJECT, ObjectId, PutData, write_object};
use tapkey_protocol::secret::SecretBytes;

use super::{PivApplet, change, malformed, piv};
use crate::key::Device;

/// GET DATA.
pub(super) fn get(applet: &PivApplet, device: &Device, body: &[u8]) -> Result<Vec<u8>, StatusWord> {
    let GetData(id) = GetData::parse(body).map_err(malformed)?;
    if id == ObjectId::DISCOVERY {
        return Ok(DISCOVERY.to_vec());
    }
    // Whether there is such an object is nobody's business either.
    if id.needs_pin() && !applet.pin.is_verified() {
        return Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED);
    }
    let value = piv(device)?.objects.get(&id).ok_or(StatusWord::NOT_FOUND)?;
    Ok(write_object(id, value.expose()))
}

/// PUT DATA. An empty value deletes the object.
pub(super) fn put(applet: &PivApplet, device: &mut Device, body: &[u8]) -> Result<(), StatusWord> {
    applet.need_administrator()?;
    let PutData { id, value } = PutData::parse(body).map_err(malformed)?;
    if !id.is_writable() {
        return Err(StatusWord::WRONG_DATA);
    }
    if value.len() > MAX_OBJECT {
        return Err(StatusWord::WRONG_LENGTH);
    }
    let state = piv(device)?;
    let before = state.objects.get(&id).map_or(0, SecretBytes::len);
    if state.occupied() - before + value.len() > CAPACITY {
        return Err(StatusWord::NO_SPACE);
    }
    change(device, |state| {
        if value.is_empty() {
            state.objects.remove(&id);
        } else {
            state.objects.insert(id, value);
        }
    })
}

/// Bytes that all objects together may have, about what keys of generation 5 have room for.
const CAPACITY: usize = 51_200;
