//! The OTP application: two slots, reached by feature reports and by the smart card.
//!
//! Both ways end in [`execute`]; each subject has a file of its own.

mod card;
mod challenge;
mod counters;
mod info;
mod ndef;
mod output;
mod program;

use tapkey_protocol::apdu::StatusWord;
use tapkey_protocol::hid::Status;
use tapkey_protocol::management::Capabilities;
use tapkey_protocol::secret::SecretBytes;
use tapkey_protocol::slot::SlotCommand;

pub(crate) use card::OtpApplet;
pub(crate) use challenge::{Challenge, answer};
pub(crate) use ndef::text_for_tag;
pub(crate) use output::press;

use crate::applet::management;
use crate::key::{Device, Power};

/// A command with what came along.
pub(crate) struct Request<'a> {
    pub(crate) command: u8,
    /// Over reports always 64 bytes, over the card as many as were sent.
    pub(crate) payload: &'a [u8],
    pub(crate) via: Via,
}

/// The way a command came.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Via {
    Reports,
    Card,
}

/// What came of a command.
pub(crate) enum Outcome {
    /// A write was accepted: the programming sequence says so.
    Done,
    /// The answer.
    Data(SecretBytes),
    /// The answer needs a touch.
    Touch(Challenge),
}

/// Carries a command out.
///
/// # Errors
/// A refusal. Over reports its reason is not told: the status simply does not change.
pub(crate) fn execute(device: &mut Device, request: &Request<'_>) -> Result<Outcome, StatusWord> {
    let Request { payload, via, .. } = *request;
    let command = SlotCommand::try_from(request.command).map_err(|_| StatusWord::WRONG_PARAMETERS)?;
    command.supported_by(device.profile().version()).map_err(|_| StatusWord::WRONG_PARAMETERS)?;
    match command {
        SlotCommand::Configure(slot) => program::configure(device, slot, payload),
        SlotCommand::Update(slot) => program::update(device, slot, payload),
        SlotCommand::Swap => program::swap(device, payload, via),
        SlotCommand::ScanMap => program::scan_map(device, payload),
        SlotCommand::Ndef(slot) => ndef::configure(device, slot, payload),
        SlotCommand::Serial => info::serial(device),
        SlotCommand::FipsMode => Ok(info::fips(device)),
        SlotCommand::ReadDeviceInfo => info::read_page(device, payload),
        SlotCommand::SetMode => management::set_mode(device, payload).map(|()| Outcome::Done),
        SlotCommand::WriteDeviceInfo => management::write(device, payload).map(|()| Outcome::Done),
        SlotCommand::ChallengeYubico(slot) => challenge::yubico(device, slot, payload, via),
        SlotCommand::ChallengeHmac(slot) => challenge::hmac(device, slot, payload, via),
        // Generation 1 only.
        SlotCommand::Navigation => Err(StatusWord::WRONG_PARAMETERS),
    }
}

/// The status as it is shown the given way, with the quirks of the firmware.
pub(crate) fn status(device: &Device, via: Via) -> Status {
    let profile = device.profile();
    let session = device.session_ref();
    let over_usb_card = via == Via::Card && device.power() == Power::Usb;
    let touch_level = if over_usb_card && profile.card_state_is_stale() {
        session.level_at_power_up
    } else {
        device.touch_level()
    };
    let silent = via == Via::Card && session.written_over_card && profile.card_sequence_is_silent();
    let sequence = if silent { 0 } else { session.sequence };
    Status { version: profile.version(), sequence, touch_level }
}

/// Whether the application is switched on where the key is powered.
pub(crate) fn is_enabled(device: &Device) -> bool {
    management::is_enabled(device, Capabilities::OTP)
}

/// `N` bytes from the beginning; what was not sent counts as zeros, as in a frame that is not full.
fn padded<const N: usize>(payload: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    for (to, from) in bytes.iter_mut().zip(payload) {
        *to = *from;
    }
    bytes
}
