//! The emulated key as connections of Yubico's host library.

use tapkey_emulator::{
    Profile, VirtualKey,
    port::in_process::{CardPort, OtpPort, PluggedKey},
};
use tapkey_protocol::link::{CardLink, CardTransport, OtpLink};
use yubikit::{
    core::{Connection, Transport},
    otp::{OtpConnection, OtpError},
    smartcard::{SmartCardConnection, SmartCardError},
};

/// A key that was plugged in, with nothing in its slots.
pub fn plugged(profile: Profile) -> PluggedKey {
    PluggedKey::new(VirtualKey::builder().profile(profile).serial(super::SERIAL).build().unwrap()).unwrap()
}

pub fn hid(key: &PluggedKey) -> Hid {
    Hid(key.otp().unwrap())
}

pub fn card(key: &PluggedKey) -> Card {
    Card(key.card().unwrap())
}

pub struct Hid(OtpPort);

impl Connection for Hid {
    type Error = OtpError;
    fn close(&mut self) {}
}

impl OtpConnection for Hid {
    fn otp_receive(&mut self) -> Result<Vec<u8>, OtpError> {
        self.0
            .read_report()
            .map(|report| report.to_vec())
            .map_err(|error| OtpError::Transport(Box::new(error)))
    }

    fn otp_send(&mut self, data: &[u8]) -> Result<(), OtpError> {
        let report = data.try_into().expect("the library writes reports of 8 bytes");
        self.0.write_report(&report).map_err(|error| OtpError::Transport(Box::new(error)))
    }
}

pub struct Card(CardPort);

impl Connection for Card {
    type Error = SmartCardError;
    fn close(&mut self) {}
}

impl SmartCardConnection for Card {
    fn send_and_receive(&mut self, apdu: &[u8]) -> Result<(Vec<u8>, u16), SmartCardError> {
        let mut answer = self.0.transmit(apdu).map_err(|error| SmartCardError::Transport(Box::new(error)))?;
        let status = answer.split_off(answer.len() - 2);
        Ok((answer, u16::from_be_bytes([status[0], status[1]])))
    }

    fn transport(&self) -> Transport {
        match self.0.transport() {
            CardTransport::Usb => Transport::Usb,
            CardTransport::Nfc => Transport::Nfc,
        }
    }
}
