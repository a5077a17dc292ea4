//! The OATH application: HOTP and TOTP credentials behind an optional password.

mod access;
mod calculate;
mod credentials;

use tapkey_protocol::aid;
use tapkey_protocol::apdu::{Command, Response, StatusWord};
use tapkey_protocol::management::Capabilities;
use tapkey_protocol::oath::codec::{CodecError, Form, RESET_PARAMETERS, SALT_SIZE, ins};

use super::{Applet, management};
use crate::key::Device;

/// What lasts as long as the application is selected: whether the password was proved, and the
/// challenge that such a proof answers.
#[derive(Debug, Default)]
pub(crate) struct OathApplet {
    unlocked: bool,
    challenge: [u8; SALT_SIZE],
}

impl Applet for OathApplet {
    fn aid(&self) -> &'static [u8] {
        aid::registered::OATH
    }

    fn is_available(&self, device: &Device) -> bool {
        management::is_enabled(device, Capabilities::OATH)
    }

    fn takes_class(&self, class: u8) -> bool {
        matches!(class, 0x00 | 0x80)
    }

    fn continuation(&self) -> u8 {
        ins::SEND_REMAINING
    }

    /// Selecting it again keeps it unlocked, but draws a new challenge.
    fn select(&mut self, device: &mut Device) -> Response {
        self.challenge = device.draw();
        match access::select(device, self.challenge) {
            Ok(answer) => Response::ok(answer.encode()),
            Err(status) => status.into(),
        }
    }

    fn deselect(&mut self) {
        *self = Self::default();
    }

    fn call(&mut self, device: &mut Device, command: &Command) -> Result<Vec<u8>, StatusWord> {
        let form = check_parameters(device, command)?;
        let open = matches!(command.ins, ins::VALIDATE | ins::RESET);
        if !open && !self.unlocked && device.state().oath.code.is_some() {
            return Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED);
        }
        let body = &command.data;
        match command.ins {
            ins::PUT => credentials::put(device, body).map(nothing),
            ins::DELETE => credentials::delete(device, body).map(nothing),
            ins::RENAME => credentials::rename(device, body).map(nothing),
            ins::LIST => Ok(credentials::list(device)),
            ins::CALCULATE => calculate::one(device, body, form),
            ins::CALCULATE_ALL => calculate::all(device, body, form),
            ins::VALIDATE => {
                let answer = access::validate(device, body, &self.challenge)?;
                self.unlocked = true;
                Ok(answer)
            }
            ins::SET_CODE => {
                access::set_code(device, body)?;
                // Whoever sets a password knows it.
                self.unlocked = true;
                Ok(Vec::new())
            }
            _ => {
                access::reset(device)?;
                self.unlocked = false;
                Ok(Vec::new())
            }
        }
    }
}

fn nothing(_done: ()) -> Vec<u8> {
    Vec::new()
}

/// An unknown instruction is refused first, wrong parameters next; only then does the password
/// matter.
fn check_parameters(device: &Device, command: &Command) -> Result<Form, StatusWord> {
    let parameters = (command.p1, command.p2);
    let fits = match command.ins {
        ins::RENAME if !device.profile().has_oath_rename() => return Err(StatusWord::INS_NOT_SUPPORTED),
        ins::PUT | ins::DELETE | ins::SET_CODE | ins::RENAME | ins::LIST | ins::VALIDATE => {
            parameters == (0, 0)
        }
        ins::RESET => parameters == RESET_PARAMETERS,
        ins::CALCULATE | ins::CALCULATE_ALL => command.p1 == 0 && Form::of(command.p2).is_some(),
        _ => return Err(StatusWord::INS_NOT_SUPPORTED),
    };
    if !fits {
        return Err(StatusWord::WRONG_PARAMETERS);
    }
    Ok(Form::of(command.p2).unwrap_or(Form::Full))
}

/// What a body that cannot be read is answered with.
fn malformed(_: CodecError) -> StatusWord {
    StatusWord::WRONG_DATA
}

/// The application's way to say that there is no such credential, or no password.
const NO_SUCH_OBJECT: StatusWord = StatusWord::REFERENCE_DATA_INVALIDATED;
