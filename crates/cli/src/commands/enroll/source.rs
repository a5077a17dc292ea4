//! Where a station's keys come from: a watch over what is plugged in, a folder of software keys, or one
//! key that was opened already.

use std::path::PathBuf;

use tapkey_driver::{
    Control, Device, Error as KeyFailure,
    discover::{
        Selector,
        watch::{Event, Watch},
    },
};
use tapkey_protocol::{advisories, management::DeviceInfo, otp::PublicId, slot::Slot};
use tapkey_workflow::{
    DeviceKey, TouchError, TouchPort,
    station::{Arrival, Arrived, KeySource},
};

use super::line;
use crate::{
    commands::Context,
    exit::{Failure, chain},
    interrupt, keys, output,
};

/// A station's keys.
pub(super) struct Keys {
    from: From,
    control: Control,
    typed: bool,
}

enum From {
    /// Whatever is plugged in and meant; with a state file, only that key.
    Watch(Box<Watch>, Selector, Option<PathBuf>),
    /// Software keys of a folder, one after the other.
    #[cfg(feature = "emulator")]
    Rack(Box<Watch>, keys::software::rack::Rack),
    /// One key.
    One(Option<Box<keys::Opened>>),
}

impl Keys {
    /// Every key that is plugged in.
    pub(super) fn watch(context: &Context, typed: bool) -> Result<Self, Failure> {
        let waiting = Control::new().with_cancel(interrupt::token());
        let control = keys::control(context);
        #[cfg(feature = "emulator")]
        if let Some(folder) = keys::state_file(context)?.filter(|path| path.is_dir()) {
            let rack = keys::software::rack::Rack::of(&folder)?;
            let watch = Watch::over(Box::new(rack.source()), &waiting);
            return Ok(Self { from: From::Rack(Box::new(watch), rack), control, typed });
        }
        let watch = Box::new(keys::watch(context, &waiting)?);
        let from = From::Watch(watch, keys::selector(context), keys::state_file(context)?);
        Ok(Self { from, control, typed })
    }

    /// One key and no more.
    pub(super) fn one(context: &Context, typed: bool) -> Result<Self, Failure> {
        let _busy = interrupt::busy();
        let opened = keys::open(context)?;
        Ok(Self { from: From::One(Some(Box::new(opened))), control: keys::control(context), typed })
    }

    fn arrival(&self, device: Device, software: Option<Software>) -> Arrival<DeviceKey, Touch> {
        let name = device.to_string();
        let faults = faults(device.info());
        let control = self.control.clone().without_deadline().with_timeout(keys::PATIENCE);
        let touch = match software {
            Some(software) if !self.typed => Touch::Software(software),
            _ => Touch::Terminal,
        };
        Arrival { name, faults, key: DeviceKey::new(device, control), touch }
    }

    fn next_plugged(&mut self) -> Arrived<DeviceKey, Touch> {
        loop {
            if interrupt::pressed() {
                return Ok(None);
            }
            let (watch, selector) = match &mut self.from {
                From::Watch(watch, selector, _) => (watch, Some(&*selector)),
                #[cfg(feature = "emulator")]
                From::Rack(watch, _) => (watch, None),
                From::One(_) => return Ok(None),
            };
            match watch.next_event() {
                Ok(Event::Plugged { device, .. }) if selector.is_none_or(|one| one.matches(&device)) => {
                    let software = self.software();
                    return Ok(Some(self.arrival(device, software)));
                }
                Ok(Event::Problem(problem)) => output::notice(&format!("not looked at: {problem}")),
                Ok(_) => {}
                Err(KeyFailure::Cancelled | KeyFailure::DeadlinePassed) => return Ok(None),
                Err(error) => return Err(chain(&error).into()),
            }
        }
    }

    /// The other side of the key that was just plugged in, when that presses itself.
    fn software(&self) -> Option<Software> {
        match &self.from {
            #[cfg(feature = "emulator")]
            From::Rack(_, rack) => rack.present(),
            #[cfg(feature = "emulator")]
            From::Watch(_, _, Some(path)) => {
                keys::software::Software::reach(path, &keys::software::Wish::default()).ok()
            }
            _ => None,
        }
    }
}

/// What has been published about the firmware and matters to a key for one-time passwords.
fn faults(info: &DeviceInfo) -> Vec<String> {
    let matters = advisories::of(info).filter(|advisory| advisory.at_enrolment);
    matters.map(|one| format!("{}: {}; {}", one.id, one.title, one.remedy)).collect()
}

impl KeySource for Keys {
    type Key = DeviceKey;
    type Touch = Touch;

    fn next(&mut self) -> Arrived<DeviceKey, Touch> {
        match &mut self.from {
            From::One(opened) => {
                let Some(opened) = opened.take() else { return Ok(None) };
                #[cfg(feature = "emulator")]
                let software = opened.software;
                #[cfg(not(feature = "emulator"))]
                let software = None;
                Ok(Some(self.arrival(opened.device, software)))
            }
            #[cfg(feature = "emulator")]
            From::Rack(_, rack) => {
                // What was there before is pulled out, and the next one plugged in.
                if !rack.next().map_err(|failure| failure.message().to_owned())? {
                    return Ok(None);
                }
                self.next_plugged()
            }
            From::Watch(..) => self.next_plugged(),
        }
    }
}

#[cfg(feature = "emulator")]
type Software = keys::software::Software;
#[cfg(not(feature = "emulator"))]
type Software = std::convert::Infallible;

/// How what a key types reaches the station.
pub(super) enum Touch {
    /// Into the terminal, like any keyboard.
    Terminal,
    /// A software key presses itself.
    Software(Software),
}

impl TouchPort for Touch {
    fn typed_password(&mut self, slot: Slot, _: PublicId) -> Result<String, TouchError> {
        match self {
            Self::Terminal => {
                line::forget();
                line::next()
            }
            #[cfg(feature = "emulator")]
            Self::Software(key) => super::press(key, slot),
            #[cfg(not(feature = "emulator"))]
            Self::Software(never) => match *never {},
        }
    }
}
