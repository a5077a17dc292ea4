//! Ways to a key: plugged in, on a reader, or made of software.

use std::fmt;
use std::str::FromStr;

use tapkey_protocol::link::{CardLink, CardTransport, LinkError, OtpLink};
use tapkey_protocol::management::ProductId;
use thiserror::Error;

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
    /// Bus and device number, equal for all interfaces of one key, and new whenever it is plugged in.
    pub address: Option<(u32, u32)>,
    /// The port, which stays the same for whatever is plugged in there.
    pub port: Option<UsbPort>,
}

/// A USB port, as Linux writes it: the bus, and the way through hubs. `1-4.2` is the second port of the
/// hub in the fourth port of bus 1.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct UsbPort {
    bus: u16,
    /// Ports count from 1; zeros follow the last one. USB allows five hubs in a row.
    way: [u8; MAX_TIERS],
}

/// The text names no USB port.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a USB port is written like 1-4.2: the bus, and the ports on the way")]
pub struct ParsePortError;

impl FromStr for UsbPort {
    type Err = ParsePortError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (bus, ports) = text.split_once('-').ok_or(ParsePortError)?;
        let number = |text: &str| -> Result<u16, ParsePortError> {
            if text.is_empty() || text.len() > 3 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(ParsePortError);
            }
            text.parse().map_err(|_| ParsePortError)
        };
        let mut way = [0; MAX_TIERS];
        for (index, port) in ports.split('.').enumerate() {
            let port = u8::try_from(number(port)?).ok().filter(|port| *port != 0).ok_or(ParsePortError)?;
            *way.get_mut(index).ok_or(ParsePortError)? = port;
        }
        Ok(Self { bus: number(bus)?, way })
    }
}

impl fmt::Display for UsbPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.bus)?;
        let mut separator = '-';
        for port in self.way.iter().take_while(|port| **port != 0) {
            write!(f, "{separator}{port}")?;
            separator = '.';
        }
        Ok(())
    }
}

/// More than USB allows.
const MAX_TIERS: usize = 7;

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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ports_are_read_as_linux_writes_them() {
        for text in ["1-1", "1-4.2", "12-1.2.3.4.5.6.7"] {
            assert_eq!(text.parse::<UsbPort>().unwrap().to_string(), text);
        }
        for text in
            ["", "1", "1-", "-1", "1-0", "1-1.", "1-1:1.0", "1-+1", "usb1", "1-1.2.3.4.5.6.7.8", "1-300"]
        {
            assert_eq!(text.parse::<UsbPort>(), Err(ParsePortError), "{text}");
        }
        let port = |text: &str| text.parse::<UsbPort>().unwrap();
        assert!(port("1-2") < port("1-10") && port("1-10") < port("2-1") && port("1-2") < port("1-2.1"));
    }

    proptest! {
        #[test]
        fn reading_a_port_never_panics(text: String) {
            let _ = text.parse::<UsbPort>();
        }
    }
}
