//! The PIV application: keys and certificates behind a PIN (NIST SP 800-73-4, with Yubico's
//! additions).

pub(crate) mod attestation;
mod cipher;
mod der;
mod management;
mod metadata;
mod objects;
mod operate;
mod pin;
mod reset;
mod slots;
mod software;

use tapkey_protocol::aid;
use tapkey_protocol::apdu::{Command, Response, StatusWord};
use tapkey_protocol::management::Capabilities;
use tapkey_protocol::piv::{CodecError, ObjectId, SELECT_ANSWER, Slot, ins, reference, since};

use self::management::Pending;
use self::pin::Verification;
use self::software::Noise;
use super::Applet;
use crate::key::Device;
use crate::state::PivState;

/// What lasts as long as the application is selected.
#[derive(Debug, Default)]
pub(crate) struct PivApplet {
    pin: Verification,
    /// The management key was proved.
    administrator: bool,
    /// The management key is being proved.
    pending: Option<Pending>,
}

impl Applet for PivApplet {
    fn aid(&self) -> &'static [u8] {
        aid::registered::PIV
    }

    fn is_available(&self, device: &Device) -> bool {
        super::management::is_enabled(device, Capabilities::PIV)
    }

    fn nothing_waits(&self) -> StatusWord {
        StatusWord::WRONG_DATA
    }

    /// Selecting it again changes nothing (NIST SP 800-73-4 part 2, 3.1.1).
    fn select(&mut self, device: &mut Device) -> Response {
        self.pending = None;
        match prepare(device) {
            Ok(()) => Response::ok(SELECT_ANSWER),
            Err(status) => status.into(),
        }
    }

    fn deselect(&mut self) {
        *self = Self::default();
    }

    fn call(&mut self, device: &mut Device, command: &Command) -> Result<Vec<u8>, StatusWord> {
        // Whatever it is, one byte of data is refused first.
        if command.data.len() == 1 {
            return Err(StatusWord::WRONG_DATA);
        }
        let reads_management_key = command.ins == ins::METADATA && command.p2 == reference::MANAGEMENT_KEY;
        if command.ins != ins::AUTHENTICATE && !reads_management_key {
            self.pending = None;
        }
        let version = device.profile().version();
        let nothing = |()| Vec::new();
        match command.ins {
            ins::VERSION => Ok(version.to_bytes().to_vec()),
            ins::SERIAL if version >= since::SERIAL => Ok(device.state().serial.to_be_bytes().to_vec()),
            ins::VERIFY => pin::verify(self, device, command).map(nothing),
            ins::CHANGE_REFERENCE => pin::change(self, device, command).map(nothing),
            ins::RESET_RETRY => pin::unblock(device, command).map(nothing),
            ins::SET_RETRIES => pin::set_retries(self, device, command).map(nothing),
            ins::RESET => reset::reset(self, device).map(nothing),
            ins::AUTHENTICATE if command.p2 == reference::MANAGEMENT_KEY => {
                management::authenticate(self, device, command)
            }
            ins::AUTHENTICATE => operate::authenticate(self, device, command),
            ins::SET_MANAGEMENT_KEY => management::set(self, device, command).map(nothing),
            ins::GENERATE => slots::generate(self, device, command),
            ins::IMPORT => slots::import(self, device, command).map(nothing),
            ins::MOVE_KEY if version >= since::KEY_MOVING => {
                slots::move_key(self, device, command).map(nothing)
            }
            ins::METADATA if version >= since::METADATA => metadata::read(device, command.p2),
            ins::ATTEST if version >= since::ATTESTATION => attest(device, command),
            ins::GET_DATA => objects::get(self, device, &command.data),
            ins::PUT_DATA => objects::put(self, device, &command.data).map(nothing),
            _ => Err(StatusWord::INS_NOT_SUPPORTED),
        }
    }
}

impl PivApplet {
    /// Checks that the management key was proved.
    fn need_administrator(&self) -> Result<(), StatusWord> {
        if self.administrator { Ok(()) } else { Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED) }
    }
}

fn attest(device: &mut Device, command: &Command) -> Result<Vec<u8>, StatusWord> {
    let slot = Slot::try_from(command.p1).map_err(|_| StatusWord::WRONG_DATA)?;
    attestation::attest(device, slot)
}

/// What the application remembers, which is there once it was selected.
fn piv(device: &Device) -> Result<&PivState, StatusWord> {
    device.state().piv.as_ref().ok_or(StatusWord::UNKNOWN)
}

/// Stores a change, durably or not at all.
fn change(device: &mut Device, change: impl FnOnce(&mut PivState)) -> Result<(), StatusWord> {
    device.change(|state| {
        if let Some(piv) = &mut state.piv {
            change(piv);
        }
    })?;
    Ok(())
}

/// Makes what the factory makes, when the application is selected for the first time.
fn prepare(device: &mut Device) -> Result<(), StatusWord> {
    if device.state().piv.is_some() {
        return Ok(());
    }
    let mut noise = noise(device)?;
    let (key, certificate) = attestation::make_authority(&mut noise).ok_or(StatusWord::UNKNOWN)?;
    let mut state = PivState::factory(device.profile().version());
    state.keys.insert(Slot::ATTESTATION, key);
    state.objects.insert(ObjectId::ATTESTATION_CERTIFICATE, certificate.into());
    device.change(|all| all.piv = Some(state))?;
    Ok(())
}

/// Randomness for a new key. Without any there is no key.
fn noise(device: &mut Device) -> Result<Noise, StatusWord> {
    device.draw_secret().map(Noise::new).ok_or(StatusWord::UNKNOWN)
}

/// What a body that cannot be read is answered with.
fn malformed(_: CodecError) -> StatusWord {
    StatusWord::WRONG_DATA
}

/// There is no key in the slot.
const NOT_HERE: StatusWord = StatusWord::REFERENCE_NOT_FOUND;

/// What a firmware does without is refused as if it were nothing at all.
fn unless<E>(check: Result<(), E>) -> Result<(), StatusWord> {
    check.map_err(|_| StatusWord::WRONG_DATA)
}
