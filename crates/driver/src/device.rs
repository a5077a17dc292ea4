//! One key, whatever interfaces it is reached by.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tapkey_protocol::link::{CardLink, CardTransport, LinkError, OtpLink};
use tapkey_protocol::management::{DeviceInfo, FormFactor, Interfaces};
use tapkey_protocol::transcript::recording::Tape;
use tapkey_protocol::version::Version;

use crate::connector::{Connector, UsbPlace, UsbPort, Ways};
use crate::control::Control;
use crate::discover::probe;
use crate::error::{Error, NotOverThisLink};
use crate::naming::{model_id, product_name};
use crate::recorded::Recorded;
use crate::session::management::ManagementSession;
use crate::session::oath::OathSession;
use crate::session::otp::{OtpSession, card_takes_settings};
use crate::session::piv::PivSession;

/// A key that was found and told what it is. Nothing is held open: sessions are opened when needed.
#[derive(Clone)]
pub struct Device {
    info: DeviceInfo,
    hid: Option<Arc<dyn Connector>>,
    card: Option<(Arc<dyn Connector>, CardTransport)>,
    place: UsbPlace,
}

/// What a session is wanted for, which decides the link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Prefer {
    /// Reading: HID, or else the smart card.
    Any,
    /// Changing slots: HID, or else the smart card where the firmware takes settings over it.
    Programming,
    /// Challenges: HID, or else NFC. Keys do not answer them over the smart card on USB.
    ChallengeResponse,
    /// HID or nothing.
    Hid,
    /// The smart card or nothing.
    Card,
}

impl Device {
    /// Asks the key behind a connector what it is, for software keys and ways of one's own.
    ///
    /// # Errors
    /// [`Error`] when the key is not reached or does not answer.
    pub fn from_connector(connector: Box<dyn Connector>, control: &Control) -> Result<Self, Error> {
        let connector: Arc<dyn Connector> = Arc::from(connector);
        let info = probe(&*connector, control)?;
        let Ways { hid, card } = connector.ways();
        Ok(Self::new(
            info,
            hid.then(|| Arc::clone(&connector)),
            card.map(|transport| (Arc::clone(&connector), transport)),
            connector.usb(),
        ))
    }

    /// The same key, with everything that passes over its links from now on written down.
    #[must_use]
    pub fn recorded(mut self, tape: &Tape) -> Self {
        let record = |connector: Arc<dyn Connector>| -> Arc<dyn Connector> {
            Arc::new(Recorded::new(connector, tape.clone()))
        };
        self.hid = self.hid.map(record);
        self.card = self.card.map(|(connector, transport)| (record(connector), transport));
        self
    }

    pub(crate) fn new(
        info: DeviceInfo,
        hid: Option<Arc<dyn Connector>>,
        card: Option<(Arc<dyn Connector>, CardTransport)>,
        place: UsbPlace,
    ) -> Self {
        Self { info, hid, card, place }
    }

    /// The name under which the key is sold, for example `YubiKey 5C NFC`.
    #[must_use]
    pub fn name(&self) -> String {
        product_name(&self.info)
    }

    /// The name without the brand, as it is written on a command line: `5c-nfc`.
    #[must_use]
    pub fn model(&self) -> String {
        model_id(&self.name())
    }

    /// The serial number, unless the key has or tells none.
    #[must_use]
    pub const fn serial(&self) -> Option<u32> {
        self.info.serial
    }

    /// The firmware, unless the key did not tell.
    #[must_use]
    pub const fn version(&self) -> Option<Version> {
        self.info.version
    }

    /// The shape.
    #[must_use]
    pub const fn form_factor(&self) -> FormFactor {
        self.info.form_factor.shape()
    }

    /// Everything the key told when it was found.
    #[must_use]
    pub const fn info(&self) -> &DeviceInfo {
        &self.info
    }

    /// The USB interfaces that are switched on: by the product id where it is known, otherwise by
    /// the applications that are switched on.
    #[must_use]
    pub fn interfaces(&self) -> Interfaces {
        self.place
            .product
            .and_then(|product| product.interfaces())
            .unwrap_or_else(|| Interfaces::of(self.info.usb_enabled.unwrap_or(self.info.usb_supported)))
    }

    /// By which interfaces this program reaches the key.
    #[must_use]
    pub fn ways(&self) -> Ways {
        Ways { hid: self.hid.is_some(), card: self.card.as_ref().map(|(_, transport)| *transport) }
    }

    /// Device nodes, readers or files by which the key is reached, for people.
    #[must_use]
    pub fn places(&self) -> Vec<String> {
        let mut places: Vec<String> = self.connectors().map(|connector| connector.name()).collect();
        places.dedup();
        places
    }

    /// The USB port that the key is plugged into, where the system tells it.
    #[must_use]
    pub const fn port(&self) -> Option<UsbPort> {
        self.place.port
    }

    /// The name of the reader, when the key has a smart card.
    #[must_use]
    pub fn reader(&self) -> Option<String> {
        self.card.as_ref().map(|(connector, _)| connector.name())
    }

    /// Whether the key is made of software.
    #[must_use]
    pub fn is_software(&self) -> bool {
        self.connectors().any(|connector| connector.is_software())
    }

    /// Begins a session with the OTP application over the link that fits.
    ///
    /// # Errors
    /// The reason why the best link does not open, or [`Error::NotOverThisLink`] when there is none
    /// that fits.
    pub fn open_otp(&self, prefer: Prefer, control: &Control) -> Result<OtpSession, Error> {
        let hid = if prefer == Prefer::Card { None } else { self.hid.as_ref() };
        let first = match hid.map(|connector| otp_over_hid(&**connector, control)) {
            Some(Ok(session)) => return Ok(session),
            Some(Err(error)) if matches!(error, Error::Cancelled | Error::DeadlinePassed) => {
                return Err(error);
            }
            Some(Err(error)) => Some(error),
            None => None,
        };
        match self.otp_over_card(prefer, control) {
            Ok(session) => Ok(session),
            // Why HID did not open is what has to be put right.
            Err(error) => Err(first.unwrap_or(error)),
        }
    }

    /// Begins a session with the management application, over HID or else the smart card.
    ///
    /// # Errors
    /// The reason why no link opens.
    pub fn open_management(&self, control: &Control) -> Result<ManagementSession, Error> {
        let mut first = None;
        if let Some(connector) = &self.hid {
            match open_hid(&**connector, control).and_then(|link| ManagementSession::over_hid(link, control))
            {
                Ok(session) => return Ok(session),
                Err(error) => first = Some(error),
            }
        }
        let card = match &self.card {
            Some((connector, _)) => {
                open_card(&**connector, control).and_then(|link| ManagementSession::over_card(link, control))
            }
            None => Err(no_interface("smart-card")),
        };
        card.map_err(|error| first.unwrap_or(error))
    }

    /// Begins a session with the OATH application, over the smart card.
    ///
    /// # Errors
    /// The reason why the smart card does not open, or that the application is not there.
    pub fn open_oath(&self, control: &Control) -> Result<OathSession, Error> {
        OathSession::over_card(self.open_card(control)?, control)
    }

    /// Begins a session with the management application over the smart card only, for what HID cannot do.
    ///
    /// # Errors
    /// The reason why it does not open.
    pub fn open_management_over_card(&self, control: &Control) -> Result<ManagementSession, Error> {
        ManagementSession::over_card(self.open_card(control)?, control)
    }

    /// Begins a session with the PIV application over the smart card.
    ///
    /// # Errors
    /// The reason why it does not open.
    pub fn open_piv(&self, control: &Control) -> Result<PivSession, Error> {
        PivSession::over_card(self.open_card(control)?, control)
    }

    /// Opens the smart card without selecting anything, for applications that have no session here.
    ///
    /// # Errors
    /// The reason why it does not open.
    pub fn open_card(&self, control: &Control) -> Result<Box<dyn CardLink>, Error> {
        match &self.card {
            Some((connector, _)) => open_card(&**connector, control),
            None => Err(no_interface("smart-card")),
        }
    }

    fn otp_over_card(&self, prefer: Prefer, control: &Control) -> Result<OtpSession, Error> {
        let Some((connector, transport)) = &self.card else {
            return Err(no_interface("HID"));
        };
        let version = self.version().unwrap_or_default();
        match prefer {
            Prefer::Hid => return Err(no_interface("HID")),
            Prefer::ChallengeResponse if *transport == CardTransport::Usb => {
                return Err(NotOverThisLink::ChallengeOverUsbCard.into());
            }
            Prefer::Programming if !card_takes_settings(version, *transport) => {
                return Err(NotOverThisLink::OtpWriteOverUsbCard { version }.into());
            }
            _ => {}
        }
        OtpSession::over_card(open_card(&**connector, control)?, control)
    }

    pub(crate) fn connectors(&self) -> impl Iterator<Item = &Arc<dyn Connector>> {
        self.hid.iter().chain(self.card.iter().map(|(connector, _)| connector))
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("name", &self.name())
            .field("serial", &self.serial())
            .field("version", &self.version())
            .field("places", &self.places())
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Device {
    /// `YubiKey 5C NFC, firmware 5.7.4, serial 12345678`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())?;
        if let Some(version) = self.version() {
            write!(f, ", firmware {version}")?;
        }
        match self.serial() {
            Some(serial) => write!(f, ", serial {serial}"),
            None => f.write_str(", no readable serial number"),
        }
    }
}

fn otp_over_hid(connector: &dyn Connector, control: &Control) -> Result<OtpSession, Error> {
    OtpSession::over_hid(open_hid(connector, control)?, control)
}

pub(crate) fn open_hid(connector: &dyn Connector, control: &Control) -> Result<Box<dyn OtpLink>, Error> {
    patiently(|| connector.open_otp_link(), control)?.ok_or_else(|| no_interface("HID"))
}

pub(crate) fn open_card(connector: &dyn Connector, control: &Control) -> Result<Box<dyn CardLink>, Error> {
    patiently(|| connector.open_card_link(), control)?.ok_or_else(|| no_interface("smart-card"))
}

fn no_interface(interface: &'static str) -> Error {
    NotOverThisLink::NoInterface { interface, hint: "switch it on, or use a link that is there" }.into()
}

/// Opens a link, waiting a while for another program that has it at the moment, at first closely and
/// then less and less often.
fn patiently<T>(open: impl Fn() -> Result<T, LinkError>, control: &Control) -> Result<T, Error> {
    let start = control.clock().now();
    let patience = control.busy_patience();
    let mut pause = FIRST_PAUSE;
    let mut told = false;
    loop {
        control.check()?;
        let holder = match open() {
            Err(LinkError::Busy { holder }) => holder,
            result => return Ok(result?),
        };
        let waited = control.clock().now().duration_since(start);
        if waited >= patience {
            return Err(LinkError::Busy { holder }.into());
        }
        if waited >= SILENCE && !told {
            control.tell_busy(holder.as_deref());
            told = true;
        }
        // The last look is at the very end.
        control.sleep(pause.min(patience.saturating_sub(waited)))?;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_millis(400);
/// Nobody is told of a wait that is shorter.
pub(crate) const SILENCE: Duration = Duration::from_secs(1);
