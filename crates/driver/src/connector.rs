//! Ways to a key: plugged in, on a reader, or made of software.

use std::fmt;

use tapkey_protocol::link::{CardLink, CardTransport, LinkError, OtpLink};
use tapkey_protocol::management::ProductId;

/// Opens links to one key, or to one interface of it.
///
/// The HID and PC/SC backends implement it, and so does whatever puts a software key under the
/// driver. Opening must not change anything on the key.
pub trait Connector: Send + Sync {
    /// How the way is called, for people: a device node, a reader, a state file.
    fn name(&self) -> String;

    /// Opens the OTP interface, or `None` when this way has none.
    ///
    /// # Errors
    /// [`LinkError`] when it is there but does not open.
    fn open_otp_link(&self) -> Result<Option<Box<dyn OtpLink>>, LinkError>;

    /// Opens the smart card, or `None` when this way has none.
    ///
    /// # Errors
    /// [`LinkError`] when it is there but does not open.
    fn open_card_link(&self) -> Result<Option<Box<dyn CardLink>>, LinkError>;

    /// Whether the key is made of software.
    fn is_software(&self) -> bool {
        false
    }

    /// The interfaces there are, told without opening anything.
    fn ways(&self) -> Ways;

    /// Where the key is plugged in and what it says on USB, as far as the system tells.
    fn usb(&self) -> UsbPlace {
        UsbPlace::default()
    }
}

/// Which interfaces a [`Connector`] opens.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Ways {
    /// The OTP interface over HID.
    pub hid: bool,
    /// The smart card, and how it is reached.
    pub card: Option<CardTransport>,
}

/// What is known of a key's place on USB.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct UsbPlace {
    /// The product id.
    pub product: Option<ProductId>,
    /// Bus and device number, equal for all interfaces of one key.
    pub address: Option<(u32, u32)>,
}

impl fmt::Display for Ways {
    /// `HID+CCID`, `HID`, `CCID`, `NFC` …
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let card = self.card.map(|transport| match transport {
            CardTransport::Usb => "CCID",
            CardTransport::Nfc => "NFC",
        });
        match (self.hid, card) {
            (true, Some(card)) => write!(f, "HID+{card}"),
            (true, None) => f.write_str("HID"),
            (false, Some(card)) => f.write_str(card),
            (false, None) => f.write_str("none"),
        }
    }
}
