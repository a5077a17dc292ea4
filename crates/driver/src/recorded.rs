//! A way to a key, with everything that passes over it written down.

use std::fmt;
use std::sync::Arc;

use tapkey_protocol::link::{CardLink, LinkError, OtpLink};
use tapkey_protocol::transcript::recording::Tape;

use crate::connector::{Connector, UsbPlace, Ways};

/// Another connector whose links are recorded from when they are opened.
///
/// ```no_run
/// # fn connector() -> Box<dyn tapkey_driver::Connector> { unimplemented!() }
/// use tapkey_driver::{Control, Device, Recorded};
/// use tapkey_protocol::transcript::{Secrets, recording::Tape};
///
/// let tape = Tape::new("example 1.0", Secrets::Hide, || 0, |line| println!("{line}"));
/// let recorded = Recorded::new(connector(), tape);
/// // What the key is asked to find out what it is, is recorded as well.
/// let device = Device::from_connector(Box::new(recorded), &Control::new())?;
/// # Ok::<(), tapkey_driver::Error>(())
/// ```
#[derive(Clone)]
pub struct Recorded {
    connector: Arc<dyn Connector>,
    tape: Tape,
}

impl Recorded {
    /// Records the links of this connector.
    #[must_use]
    pub fn new(connector: impl Into<Arc<dyn Connector>>, tape: Tape) -> Self {
        Self { connector: connector.into(), tape }
    }
}

impl Connector for Recorded {
    fn name(&self) -> String {
        self.connector.name()
    }

    fn open_otp_link(&self) -> Result<Option<Box<dyn OtpLink>>, LinkError> {
        let link = self.connector.open_otp_link()?;
        Ok(match link {
            Some(link) => Some(Box::new(self.tape.otp(link))),
            None => None,
        })
    }

    fn open_card_link(&self) -> Result<Option<Box<dyn CardLink>>, LinkError> {
        let link = self.connector.open_card_link()?;
        Ok(match link {
            Some(link) => Some(Box::new(self.tape.card(link))),
            None => None,
        })
    }

    fn is_software(&self) -> bool {
        self.connector.is_software()
    }

    fn ways(&self) -> Ways {
        self.connector.ways()
    }

    fn usb(&self) -> UsbPlace {
        self.connector.usb()
    }
}

impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorded").field("connector", &self.connector.name()).finish_non_exhaustive()
    }
}
