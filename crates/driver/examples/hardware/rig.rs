//! The key under test, and the person beside it.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use tapkey_driver::discover::{Options, Selector, list, select};
use tapkey_driver::{CancelToken, Connector, Control, Device, TouchEvent, Ways};
use tapkey_emulator::port::in_process::PluggedKey;
use tapkey_emulator::{Milliseconds, TouchPolicy, VirtualKey};
use tapkey_protocol::link::{CardLink, CardTransport, LinkError, OtpLink};
use tapkey_protocol::slot::Slot;

/// What the scenarios need.
pub(crate) trait Rig {
    /// The key, found anew.
    fn device(&mut self) -> Result<Device, Box<dyn Error>>;
    /// A control for one operation; a touch is asked for when the key wants one, if `touch`.
    fn control(&mut self, touch: bool) -> Control;
    /// What the slot types when a person touches it.
    fn typed(&mut self, slot: Slot) -> Result<String, Box<dyn Error>>;
}

/// A key that is plugged in, and whoever sits at the terminal.
pub(crate) struct RealRig {
    serial: u32,
}

impl RealRig {
    pub(crate) fn new(serial: u32) -> Result<Self, Box<dyn Error>> {
        let mut rig = Self { serial };
        rig.device()?;
        Ok(rig)
    }
}

impl Rig for RealRig {
    fn device(&mut self) -> Result<Device, Box<dyn Error>> {
        let listing = list(&Options::default(), &Control::new().with_timeout(Duration::from_secs(30)))?;
        select(listing.devices, &Selector::serial(self.serial)).map_err(|error| {
            let notes: Vec<String> = listing.diagnostics.iter().map(|note| format!("\n  {note}")).collect();
            format!("{error}{}", notes.concat()).into()
        })
    }

    fn control(&mut self, touch: bool) -> Control {
        Control::new().with_timeout(Duration::from_secs(40)).with_touch(move |event| {
            if let TouchEvent::Needed { .. } = event {
                println!();
                println!("{}", if touch { "  >>> touch the key" } else { "  >>> do NOT touch the key" });
            }
        })
    }

    fn typed(&mut self, slot: Slot) -> Result<String, Box<dyn Error>> {
        let how = if slot == Slot::One { "briefly" } else { "for three seconds" };
        print!("\n  >>> touch the key {how}: ");
        std::io::stdout().flush()?;
        let mut line = String::new();
        std::io::stdin().read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

/// A key inside this program. Nobody sits beside it.
pub(crate) struct EmulatedRig {
    key: PluggedKey,
}

impl EmulatedRig {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        Ok(Self { key: PluggedKey::new(VirtualKey::builder().build()?)? })
    }
}

impl Rig for EmulatedRig {
    fn device(&mut self) -> Result<Device, Box<dyn Error>> {
        Ok(Device::from_connector(Box::new(Emulated(self.key.clone())), &Control::new())?)
    }

    fn control(&mut self, touch: bool) -> Control {
        let policy = if touch { TouchPolicy::Automatic(Milliseconds(200)) } else { TouchPolicy::Never };
        self.key.with(|key| key.set_touch_policy(policy));
        Control::new().with_timeout(Duration::from_secs(40))
    }

    fn typed(&mut self, slot: Slot) -> Result<String, Box<dyn Error>> {
        let text = self.key.press(slot)?.text().ok_or("the slot types nothing")?;
        Ok(text.trim_end().to_owned())
    }
}

struct Emulated(PluggedKey);

impl Connector for Emulated {
    fn name(&self) -> String {
        "emulated key".to_owned()
    }

    fn open_otp_link(&self) -> Result<Option<Box<dyn OtpLink>>, LinkError> {
        Ok(Some(Box::new(self.0.otp()?)))
    }

    fn open_card_link(&self) -> Result<Option<Box<dyn CardLink>>, LinkError> {
        Ok(Some(Box::new(self.0.card()?)))
    }

    fn is_software(&self) -> bool {
        true
    }

    fn ways(&self) -> Ways {
        Ways { hid: true, card: Some(CardTransport::Usb) }
    }
}

/// Fires a token from another thread after a while.
pub(crate) fn cancel_after(duration: Duration) -> CancelToken {
    let token = CancelToken::new();
    let fire = token.clone();
    std::thread::spawn(move || {
        std::thread::sleep(duration);
        fire.cancel();
    });
    token
}
