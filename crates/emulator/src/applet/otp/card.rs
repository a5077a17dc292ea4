//! The application over the smart card.

use tapkey_protocol::aid;
use tapkey_protocol::apdu::{Command, Response, StatusWord};
use tapkey_protocol::hid::PAYLOAD_SIZE;
use tapkey_protocol::management::{DeviceFlags, Interfaces, Mode};
use tapkey_protocol::slot::SlotCommand;

use super::{Outcome, Request, Via, execute, is_enabled, status};
use crate::applet::Applet;
use crate::key::{Device, Power};
use crate::profile::OtpOverUsbCard;

/// Commands are those of the reports: instruction 01 with the command in P1, no frame and no CRC.
#[derive(Debug)]
pub(crate) struct OtpApplet;

impl Applet for OtpApplet {
    fn aid(&self) -> &'static [u8] {
        aid::registered::OTP
    }

    fn is_available(&self, device: &Device) -> bool {
        let refused =
            device.power() == Power::Usb && device.profile().otp_over_usb_card() == OtpOverUsbCard::Refused;
        is_enabled(device) && !refused
    }

    fn select(&mut self, device: &mut Device) -> Response {
        let mut answer = status(device, Via::Card).to_bytes().to_vec();
        if device.profile().select_tells_mode() {
            answer.extend(mode_and_timeouts(device));
        }
        Response::ok(answer)
    }

    fn deselect(&mut self) {}

    fn call(&mut self, device: &mut Device, command: &Command) -> Result<Vec<u8>, StatusWord> {
        match command.ins {
            SlotCommand::INS if command.p2 == 0 => run(device, command.p1, &command.data),
            SlotCommand::INS => Err(StatusWord::WRONG_PARAMETERS),
            SlotCommand::INS_STATUS => Ok(status(device, Via::Card).to_bytes().to_vec()),
            _ => Err(StatusWord::INS_NOT_SUPPORTED),
        }
    }
}

fn run(device: &mut Device, command: u8, payload: &[u8]) -> Result<Vec<u8>, StatusWord> {
    let status_only =
        device.power() == Power::Usb && device.profile().otp_over_usb_card() == OtpOverUsbCard::StatusOnly;
    if status_only && !READ_ONLY.map(SlotCommand::code).contains(&command) {
        return Err(StatusWord::CONDITIONS_NOT_SATISFIED);
    }
    // Only device information may be longer than a frame.
    if payload.len() > PAYLOAD_SIZE && command != SlotCommand::WriteDeviceInfo.code() {
        return Err(StatusWord::WRONG_LENGTH);
    }
    match execute(device, &Request { command, payload, via: Via::Card })? {
        Outcome::Data(data) => Ok(data.expose().to_vec()),
        Outcome::Done => {
            device.session().written_over_card = true;
            Ok(status(device, Via::Card).to_bytes().to_vec())
        }
        // The card cannot wait for a finger.
        Outcome::Touch(_) => Err(StatusWord::CONDITIONS_NOT_SATISFIED),
    }
}

const READ_ONLY: [SlotCommand; 2] = [SlotCommand::Serial, SlotCommand::ReadDeviceInfo];

fn mode_and_timeouts(device: &Device) -> [u8; 4] {
    let settings = &device.state().settings;
    let touch_eject = settings.flags & DeviceFlags::TOUCH_EJECT.0 != 0;
    let code = Mode::new(Interfaces::of(settings.usb_enabled), touch_eject).map_or(0, Mode::code);
    let [low, high] = settings.auto_eject_timeout.to_le_bytes();
    [code, settings.challenge_timeout, low, high]
}
