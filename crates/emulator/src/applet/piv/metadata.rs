//! What a key tells about its PIN, PUK, management key and slots.

use tapkey_protocol::apdu::StatusWord;
use tapkey_protocol::piv::{
    KeyMetadata, ManagementKey, ManagementKeyMetadata, PinMetadata, Slot, TouchPolicy, reference,
};

use super::software::PrivateKey;
use super::{NOT_HERE, piv};
use crate::key::Device;
use crate::state::{DEFAULT_PIN, DEFAULT_PUK, PivKey, Tries};

/// GET METADATA.
pub(super) fn read(device: &Device, about: u8) -> Result<Vec<u8>, StatusWord> {
    let state = piv(device)?;
    match about {
        reference::PIN => Ok(tries(&state.pin, DEFAULT_PIN).encode()),
        reference::PUK => Ok(tries(&state.puk, DEFAULT_PUK).encode()),
        reference::MANAGEMENT_KEY => {
            let management = &state.management;
            let factory = ManagementKey::factory(device.profile().version());
            let is_default = management.key == factory && management.touch == TouchPolicy::Never;
            let kind = management.key.kind();
            Ok(ManagementKeyMetadata { kind, touch_policy: management.touch, is_default }.encode())
        }
        slot => {
            let slot = Slot::try_from(slot).map_err(|_| NOT_HERE)?;
            key(state.keys.get(&slot).ok_or(NOT_HERE)?)
        }
    }
}

fn tries(tries: &Tries, default: [u8; 8]) -> PinMetadata {
    PinMetadata { is_default: tries.is(&default), total: tries.total, left: tries.left }
}

fn key(key: &PivKey) -> Result<Vec<u8>, StatusWord> {
    let private = PrivateKey::restore(key.algorithm, &key.secret).map_err(|_| StatusWord::UNKNOWN)?;
    let metadata = KeyMetadata {
        algorithm: key.algorithm,
        pin_policy: key.pin_policy,
        touch_policy: key.touch_policy,
        origin: key.origin,
        public_key: private.public(),
    };
    Ok(metadata.encode())
}
