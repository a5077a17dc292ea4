//! The NFC Forum type 4 tag that a phone reads when the key is held against it: a fixed text and,
//! after it, a fresh password of one slot.

use tapkey_protocol::aid;
use tapkey_protocol::apdu::{Command, Response, StatusWord, ins};
use zeroize::Zeroize;

use super::{Applet, otp};
use crate::key::{Device, Power};

/// Selected files. The tag file is made when it is selected, so reading it in pieces gives one
/// password, and selecting it again gives the next.
#[derive(Default)]
pub(crate) struct NdefApplet {
    file: Option<Vec<u8>>,
}

impl Applet for NdefApplet {
    fn aid(&self) -> &'static [u8] {
        aid::NDEF
    }

    fn is_available(&self, device: &Device) -> bool {
        device.power() == Power::Nfc && device.profile().has_ndef() && otp::is_enabled(device)
    }

    fn select(&mut self, _device: &mut Device) -> Response {
        self.deselect();
        Response::status(StatusWord::SUCCESS)
    }

    fn deselect(&mut self) {
        self.file.zeroize();
        self.file = None;
    }

    fn call(&mut self, device: &mut Device, command: &Command) -> Result<Vec<u8>, StatusWord> {
        match command.ins {
            ins::SELECT if (command.p1, command.p2) == SELECT_FILE => self.select_file(device, &command.data),
            ins::SELECT => Err(StatusWord::NOT_FOUND),
            READ_BINARY => self.read(command),
            _ => Err(StatusWord::INS_NOT_SUPPORTED),
        }
    }
}

impl NdefApplet {
    fn select_file(&mut self, device: &mut Device, id: &[u8]) -> Result<Vec<u8>, StatusWord> {
        self.deselect();
        self.file = Some(match id {
            CAPABILITY_FILE => CAPABILITIES.to_vec(),
            TAG_FILE => tag_file(device)?,
            _ => return Err(StatusWord::NOT_FOUND),
        });
        Ok(Vec::new())
    }

    fn read(&self, command: &Command) -> Result<Vec<u8>, StatusWord> {
        let file = self.file.as_ref().ok_or(StatusWord::COMMAND_NOT_ALLOWED)?;
        let offset = usize::from(u16::from_be_bytes([command.p1, command.p2]));
        let rest = file.get(offset..).ok_or(StatusWord::WRONG_PARAMETERS)?;
        let wanted = usize::try_from(command.le.unwrap_or(256)).unwrap_or(256);
        Ok(rest.get(..wanted).unwrap_or(rest).to_vec())
    }
}

impl Drop for NdefApplet {
    fn drop(&mut self) {
        self.deselect();
    }
}

fn tag_file(device: &mut Device) -> Result<Vec<u8>, StatusWord> {
    let tag = device.state().tag.clone();
    let text = otp::text_for_tag(device, tag.slot)?;
    Ok(tag.ndef.file(&text))
}

const READ_BINARY: u8 = 0xB0;
/// By identifier, no answer wanted.
const SELECT_FILE: (u8, u8) = (0x00, 0x0C);
const CAPABILITY_FILE: &[u8] = &[0xE1, 0x03];
const TAG_FILE: &[u8] = &[0xE1, 0x04];

/// NFC Forum Type 4 Tag 2.0, section 5.1: length 15, mapping version 2.0, the longest read 127 and
/// write 0 bytes, then the tag file: E104, at most 256 bytes, readable by all, not writable.
const CAPABILITIES: [u8; 15] =
    [0x00, 0x0F, 0x20, 0x00, 0x7F, 0x00, 0x00, 0x04, 0x06, 0xE1, 0x04, 0x01, 0x00, 0x00, 0xFF];
