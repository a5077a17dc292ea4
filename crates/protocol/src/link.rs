//! The seam between sessions and whatever carries their bytes: a plugged-in key or an emulated one.
//!
//! Both traits are object-safe and blocking. Deadlines and cancellation belong to the caller.

use std::time::Duration;

use thiserror::Error;

/// One feature report of the OTP interface: seven data bytes and a flag byte.
pub type Report = [u8; REPORT_SIZE];

/// Bytes in a feature report, without the report id that some systems put in front.
pub const REPORT_SIZE: usize = 8;

/// The OTP interface of a key: a keyboard whose feature reports carry commands.
pub trait OtpLink: Send {
    /// Writes one feature report (report id 0).
    ///
    /// # Errors
    /// [`LinkError`] when the report could not be handed over.
    fn write_report(&mut self, report: &Report) -> Result<(), LinkError>;

    /// Reads one feature report (report id 0).
    ///
    /// # Errors
    /// [`LinkError`] when no report could be fetched.
    fn read_report(&mut self) -> Result<Report, LinkError>;
}

/// The smart-card interface of a key.
pub trait CardLink: Send {
    /// Sends one encoded command APDU and returns the encoded response, status word included.
    ///
    /// Chaining and `61xx` are the caller's business; see [`crate::apdu::chaining`].
    ///
    /// # Errors
    /// [`LinkError`] when no response arrived. A refusal by the card is not an error here.
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, LinkError>;

    /// How the card is reached, which decides what it allows and which APDU lengths it takes.
    fn transport(&self) -> CardTransport;

    /// Keeps other programs off the card until [`release`](Self::release), so that an application
    /// that is selected stays selected. Links that nobody else uses have nothing to do here.
    ///
    /// # Errors
    /// [`LinkError::Busy`] when another program did not let go within `patience`.
    fn hold(&mut self, patience: Duration) -> Result<(), LinkError> {
        let _ = patience;
        Ok(())
    }

    /// Lets other programs use the card again.
    fn release(&mut self) {}
}

impl<L: OtpLink + ?Sized> OtpLink for Box<L> {
    fn write_report(&mut self, report: &Report) -> Result<(), LinkError> {
        (**self).write_report(report)
    }

    fn read_report(&mut self) -> Result<Report, LinkError> {
        (**self).read_report()
    }
}

impl<L: CardLink + ?Sized> CardLink for Box<L> {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, LinkError> {
        (**self).transmit(command)
    }

    fn transport(&self) -> CardTransport {
        (**self).transport()
    }

    fn hold(&mut self, patience: Duration) -> Result<(), LinkError> {
        (**self).hold(patience)
    }

    fn release(&mut self) {
        (**self).release();
    }
}

impl<L: OtpLink + ?Sized> OtpLink for &mut L {
    fn write_report(&mut self, report: &Report) -> Result<(), LinkError> {
        (**self).write_report(report)
    }

    fn read_report(&mut self) -> Result<Report, LinkError> {
        (**self).read_report()
    }
}

impl<L: CardLink + ?Sized> CardLink for &mut L {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, LinkError> {
        (**self).transmit(command)
    }

    fn transport(&self) -> CardTransport {
        (**self).transport()
    }

    fn hold(&mut self, patience: Duration) -> Result<(), LinkError> {
        (**self).hold(patience)
    }

    fn release(&mut self) {
        (**self).release();
    }
}

/// The way to a smart card.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CardTransport {
    /// The CCID interface on USB.
    Usb,
    /// A contactless reader.
    Nfc,
}

impl CardTransport {
    /// Guesses the transport from an answer to reset: a key on USB has `F` in the high nibble of
    /// the second byte, because it offers T=1 with all interface bytes.
    #[must_use]
    pub fn from_atr(atr: &[u8]) -> Self {
        match atr.get(1) {
            Some(byte) if byte & 0xF0 == 0xF0 => Self::Usb,
            _ => Self::Nfc,
        }
    }
}

/// Why bytes did not travel. It never says that the key refused something.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The key was unplugged or taken off the reader.
    #[error("the key was removed; plug it in again and repeat the command")]
    Removed,
    /// Another program holds the interface.
    #[error("the key is in use by {}; close that program and try again", holder.as_deref().unwrap_or("another program"))]
    Busy {
        /// The program, where the system tells.
        holder: Option<String>,
    },
    /// The operating system does not let this user open the interface.
    #[error("no permission to open {what}; install the udev rules or run as a user who may")]
    PermissionDenied {
        /// The device node or service.
        what: String,
    },
    /// The interface did not answer in time.
    #[error("the key did not answer in time; unplug it and plug it in again")]
    TimedOut,
    /// Something the link is built on is missing, for example the smart-card service.
    #[error("{what} is not available; install or start it")]
    Unavailable {
        /// What is missing.
        what: String,
    },
    /// The operating system reported another failure.
    #[error("talking to the key failed: {0}")]
    Io(#[from] std::io::Error),
    /// Bytes arrived, but not such as this interface may deliver.
    #[error("the link delivered a malformed message: {0}")]
    Malformed(&'static str),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atr_tells_usb_from_nfc() {
        assert_eq!(CardTransport::from_atr(&[0x3B, 0xFD, 0x13]), CardTransport::Usb);
        assert_eq!(CardTransport::from_atr(&[0x3B, 0x8D, 0x80]), CardTransport::Nfc);
        assert_eq!(CardTransport::from_atr(&[]), CardTransport::Nfc);
    }

    #[test]
    fn both_seams_are_object_safe() {
        fn _otp(_: &mut dyn OtpLink) {}
        fn _card(_: Box<dyn CardLink>) {}
    }

    #[test]
    fn busy_without_a_name_still_reads_as_a_sentence() {
        let text = LinkError::Busy { holder: None }.to_string();
        assert!(text.contains("another program"));
    }
}
