//! The PIV application: private keys that never leave the key, certificates beside them.
//!
//! Every operation holds the card once, from SELECT to the end, and closes what it opened: the PIN
//! that it checked and the management key that it proved are forgotten by the key before another
//! program may use the card. So there is no "session PIN"; what needs it takes it.
//!
//! # Example
//!
//! On a software key; see the [crate](crate) for how one comes under the driver.
//!
//! ```
//! # use tapkey_driver::{Connector, Control, Device, Ways};
//! # use tapkey_emulator::{VirtualKey, port::in_process::PluggedKey};
//! # use tapkey_protocol::link::{CardLink, CardTransport, LinkError, OtpLink};
//! # struct Software(PluggedKey);
//! # impl Connector for Software {
//! #     fn name(&self) -> String { "software key".to_owned() }
//! #     fn open_otp_link(&self) -> Result<Option<Box<dyn OtpLink>>, LinkError> { Ok(Some(Box::new(self.0.otp()?))) }
//! #     fn open_card_link(&self) -> Result<Option<Box<dyn CardLink>>, LinkError> { Ok(Some(Box::new(self.0.card()?))) }
//! #     fn ways(&self) -> Ways { Ways { hid: true, card: Some(CardTransport::Usb) } }
//! # }
//! # let key = PluggedKey::new(VirtualKey::builder().build()?)?;
//! # let control = Control::new();
//! # let device = Device::from_connector(Box::new(Software(key)), &control)?;
//! use tapkey_driver::piv::{Administrator, PivRefusal, PinKind};
//! use tapkey_driver::{Error, Refusal};
//! use tapkey_protocol::piv::{Algorithm, Generate, ManagementKey, Pin, Slot};
//!
//! let mut piv = device.open_piv(&control)?;
//! let pin = Pin::new(b"123456")?;
//! let factory = ManagementKey::factory(piv.version());
//!
//! // A key that nobody else ever has, and a signature of a digest by it.
//! let ask = Generate::new(Algorithm::P256);
//! let public = piv.generate(Slot::SIGNATURE, &ask, Administrator::Key(&factory), &control)?;
//! let signature = piv.sign(Slot::SIGNATURE, Algorithm::P256, &[7; 32], Some(&pin), &control)?;
//! assert_eq!(public.algorithm(), Some(Algorithm::P256));
//! assert_eq!(signature[0], 0x30); // ECDSA signatures are in DER
//!
//! // A wrong PIN costs a try, and the error says how many are left.
//! let error = piv.verify_pin(&Pin::new(b"654321")?, &control).unwrap_err();
//! let wrong = PivRefusal::Wrong { what: PinKind::Pin, tries_left: 2 };
//! assert!(matches!(error, Error::Refused(Refusal::Piv(refusal)) if refusal == wrong));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod access;
mod crypto;
mod error;
mod held;
mod info;
mod keys;
mod objects;
mod public_key;
mod reset;
mod r#use;

use std::fmt;

use tapkey_protocol::apdu::StatusWord;
use tapkey_protocol::link::{CardLink, CardTransport};
use tapkey_protocol::piv::{command, since};
use tapkey_protocol::version::Version;

pub use access::{NewManagementKey, Tries};
pub use error::{PinKind, PivInputError, PivRefusal};
pub use held::Administrator;
pub use info::{PivInfo, SlotInfo};
pub use public_key::{PublicKeyError, public_key_from_der, public_key_to_der};

use crate::control::Control;
use crate::error::{Error, Malformed};
use crate::transport::card::Card;
use held::Held;

/// A session with the PIV application.
pub struct PivSession {
    card: Card,
    version: Version,
}

impl PivSession {
    /// Begins over the smart card.
    ///
    /// # Errors
    /// [`Error`] when the application is not there.
    pub fn over_card(link: impl CardLink + 'static, control: &Control) -> Result<Self, Error> {
        let mut card = Card::new(link);
        let bytes = {
            let mut held = Held::begin(&mut card, Version::default(), control)?;
            held.ask(&command::version(), "tell its version")?
        };
        let found = bytes.len();
        let bytes: [u8; 3] =
            bytes.try_into().map_err(|_| Malformed::Length { what: "a version", expected: 3, found })?;
        Ok(Self { card, version: bytes.into() })
    }

    /// The version of the application, which is the firmware's from generation 4 on.
    #[must_use]
    pub const fn version(&self) -> Version {
        self.version
    }

    /// How the key is reached.
    #[must_use]
    pub fn transport(&self) -> CardTransport {
        self.card.transport()
    }

    /// The serial number, where this application tells it (firmware 5.0 and later).
    ///
    /// # Errors
    /// [`Error`] when the key does not answer.
    pub fn serial(&mut self, control: &Control) -> Result<Option<u32>, Error> {
        self.hold(control)?.serial()
    }

    fn hold<'a>(&'a mut self, control: &'a Control) -> Result<Held<'a>, Error> {
        Held::begin(&mut self.card, self.version, control)
    }
}

impl Held<'_> {
    fn serial(&mut self) -> Result<Option<u32>, Error> {
        if self.version < since::SERIAL {
            return Ok(None);
        }
        let response = self.call(&command::serial())?;
        match response.into_data() {
            Ok(bytes) => super::parse_serial(&bytes).map(Some),
            Err(StatusWord::INS_NOT_SUPPORTED) => Ok(None),
            Err(status) => Err(held::refused("tell its serial number", status)),
        }
    }
}

impl fmt::Debug for PivSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PivSession").field("version", &self.version).finish_non_exhaustive()
    }
}
