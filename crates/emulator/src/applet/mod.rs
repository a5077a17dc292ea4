//! The applications on the key's card, and the dispatcher in front of them.
//!
//! An application is one file or folder here. It gets the [`Device`] it runs on with every call
//! and keeps nothing but what belongs to being selected.

mod dispatcher;
pub(crate) mod management;
mod ndef;
mod oath;
pub(crate) mod otp;
pub(crate) mod piv;

use tapkey_protocol::apdu::{Command, Response, StatusWord, ins};

use crate::key::Device;

pub(crate) use dispatcher::Dispatcher;

/// An application.
pub(crate) trait Applet: Send {
    /// The full identifier under which it is registered; hosts select by any long enough prefix.
    fn aid(&self) -> &'static [u8];

    /// Whether it can be selected as things are: switched on for the interface, and not hidden by
    /// a quirk of the firmware.
    fn is_available(&self, device: &Device) -> bool;

    /// Whether it takes commands of this class, chaining bit aside.
    fn takes_class(&self, class: u8) -> bool {
        class == 0
    }

    /// The instruction that fetches the rest of its long answers.
    fn continuation(&self) -> u8 {
        ins::GET_RESPONSE
    }

    /// What is answered when the rest of an answer is asked for and there is none.
    fn nothing_waits(&self) -> StatusWord {
        // An instruction that exists only while something waits, unless it is everybody's.
        if self.continuation() == ins::GET_RESPONSE {
            StatusWord::CONDITIONS_NOT_SATISFIED
        } else {
            StatusWord::INS_NOT_SUPPORTED
        }
    }

    /// It is selected, perhaps again.
    fn select(&mut self, device: &mut Device) -> Response;

    /// Another application was selected, or the card was reset.
    fn deselect(&mut self);

    /// A complete command, chains put together. What needs a touch asks for it with
    /// [`Device::need_touch`] before it changes anything: when the touch has come, the command is
    /// called again.
    ///
    /// # Errors
    /// The status word of a refusal.
    fn call(&mut self, device: &mut Device, command: &Command) -> Result<Vec<u8>, StatusWord>;
}
