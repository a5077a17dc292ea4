//! Emptying the application.

use tapkey_protocol::apdu::StatusWord;
use tapkey_protocol::piv::{ObjectId, Slot};

use super::{PivApplet, piv};
use crate::key::Device;
use crate::state::PivState;

/// RESET, for one who has blocked PIN and PUK both. The attestation key and its certificate stay,
/// whoever put them there.
pub(super) fn reset(applet: &mut PivApplet, device: &mut Device) -> Result<(), StatusWord> {
    let state = piv(device)?;
    if !state.pin.is_blocked() || !state.puk.is_blocked() {
        return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
    }
    let mut fresh = PivState::factory(device.profile().version());
    let key = state.keys.get(&Slot::ATTESTATION).cloned();
    fresh.keys.extend(key.map(|key| (Slot::ATTESTATION, key)));
    let certificate = state.objects.get(&ObjectId::ATTESTATION_CERTIFICATE).cloned();
    fresh.objects.extend(certificate.map(|value| (ObjectId::ATTESTATION_CERTIFICATE, value)));
    device.change(|all| all.piv = Some(fresh))?;
    device.session().forget_piv_touches();
    *applet = PivApplet::default();
    Ok(())
}
