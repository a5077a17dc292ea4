//! Choosing a key: plugged in, on a reader, or made of software.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tapkey_driver::{
    Control, Device, Error,
    discover::{self, Listing, SelectError, Selector, watch::Watch},
};
use tapkey_protocol::link::LinkError;

use crate::{
    args::Global,
    commands::Context,
    exit::{Exit, Failure, chain},
    interrupt,
    progress::TouchPrompt,
};

#[cfg(feature = "emulator")]
pub(crate) mod software;

/// How long an operation on a key may take without a touch being awaited.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How long another program may hold the key that a command needs.
const BUSY_PATIENCE: Duration = Duration::from_secs(10);
/// The same for a list of all keys.
const LIST_PATIENCE: Duration = Duration::from_secs(2);
/// How long a key takes at most to be found after a restart, all of its interfaces together.
const RESTART: Duration = Duration::from_secs(8);

/// The chosen key.
#[derive(Debug)]
pub(crate) struct Opened {
    /// The key.
    pub(crate) device: Device,
    /// The same key from its other side, when it is made of software.
    #[cfg(feature = "emulator")]
    pub(crate) software: Option<software::Software>,
}

/// What every operation on a key gets: the time limit, Ctrl-C, and a notice when a touch is needed.
pub(crate) fn control(context: &Context) -> Control {
    let speaks = !context.global.quiet;
    let prompt = TouchPrompt::new(context);
    Control::new()
        .with_timeout(PATIENCE)
        .with_cancel(interrupt::token())
        .with_busy_patience(BUSY_PATIENCE)
        .with_busy(move |holder| {
            if speaks {
                crate::output::notice(&format!("Waiting for the key, which {holder} is using"));
            }
        })
        .with_touch(move |event| prompt.tell(event))
}

/// Which key the global options mean.
pub(crate) fn selector(context: &Context) -> Selector {
    let Global { serial, reader, form_factor, place, .. } = &context.global;
    Selector { serial: *serial, reader: reader.clone(), kind: form_factor.clone(), place: place.clone() }
}

/// Opens the key that the global options choose.
pub(crate) fn open(context: &Context) -> Result<Opened, Failure> {
    if let Some(path) = state_file(context)? {
        return open_software(path, context);
    }
    let mut listing = plugged_in(context, &control(context))?;
    let selector = selector(context);
    #[cfg(feature = "emulator")]
    let running = add_running(&mut listing, &selector, context)?;
    let problems: Vec<String> = listing.diagnostics.iter().map(ToString::to_string).collect();
    let unreadable =
        listing.diagnostics.iter().find(|one| is_unreadable(&one.error)).map(|one| refused_ref(&one.error));
    let device = discover::select(listing.devices, &selector).map_err(|error| {
        let failure = Failure::new(Exit::NoKey, error.to_string());
        match (&error, unreadable) {
            // A key is there, but this user may not open it.
            (SelectError::NoKey, Some(failure)) => failure,
            (SelectError::NoKey, None) if problems.is_empty() => {
                failure.hint("add --emulated to use a key made of software")
            }
            (SelectError::NoKey, None) => failure.hint(format!(
                "add --emulated to use a key made of software; not looked at: {}",
                problems.join("; ")
            )),
            (SelectError::Ambiguous { .. }, _) => failure.hint(
                "add --serial N, --form-factor KIND, --place PLACE or --reader NAME; `tapkey list` shows all",
            ),
            _ => failure.hint("`tapkey list` shows the keys that are there"),
        }
    })?;
    let device = match &context.tape {
        Some(tape) => device.recorded(tape),
        None => device,
    };
    Ok(Opened {
        #[cfg(feature = "emulator")]
        software: running.into_iter().find(|one| device.places().contains(&one.name())),
        device,
    })
}

/// A software key of `tapkey emulate run` is used only where it is named: by its serial number or place.
/// A command for a real key must never end up on one by itself.
#[cfg(feature = "emulator")]
fn add_running(
    listing: &mut Listing,
    selector: &Selector,
    context: &Context,
) -> Result<Vec<software::Software>, Failure> {
    let named = selector.serial.is_some() || selector.place.is_some();
    if !named || listing.devices.iter().any(|device| selector.matches(device)) {
        return Ok(Vec::new());
    }
    let running = software::running::all();
    for one in &running {
        listing.devices.extend(Device::from_connector(Box::new(one.connector()), &control(context)).ok());
    }
    Ok(running)
}

impl Opened {
    /// Asks the same key once more what it is, after it was told to restart.
    pub(crate) fn look_again(&self, context: &Context) -> Result<Device, Failure> {
        let control = control(context).with_timeout(RESTART);
        #[cfg(feature = "emulator")]
        if let Some(software) = &self.software {
            return Device::from_connector(Box::new(software.connector()), &control).map_err(refused);
        }
        let serial = self.device.serial();
        let listing = plugged_in(context, &control)?;
        let is_same = |device: &Device| match serial {
            Some(_) => device.serial() == serial,
            None => device.name() == self.device.name() && device.port() == self.device.port(),
        };
        listing.devices.into_iter().find(is_same).ok_or_else(|| {
            Failure::new(Exit::NoKey, "the key did not come back after it was told to restart")
                .hint("plug it in again and look at `tapkey info`")
        })
    }
}

/// All keys that the global options allow.
pub(crate) fn list(context: &Context) -> Result<Listing, Failure> {
    if let Some(path) = state_file(context)? {
        let opened = open_software(path, context)?;
        return Ok(Listing { devices: vec![opened.device], diagnostics: Vec::new() });
    }
    // A list is wanted now; who holds a key is in it as a remark.
    let control = control(context).with_busy_patience(LIST_PATIENCE);
    #[cfg_attr(not(feature = "emulator"), expect(unused_mut, reason = "software keys are added"))]
    let mut listing = plugged_in(context, &control)?;
    #[cfg(feature = "emulator")]
    if context.global.reader.is_none() {
        // One that is plugged into this computer, or behind its smart-card service, is there already.
        let known: Vec<Option<u32>> = listing.devices.iter().map(Device::serial).collect();
        let running = software::running::all();
        let devices = running
            .iter()
            .filter_map(|one| Device::from_connector(Box::new(one.connector()), &control).ok())
            .filter(|device| !known.contains(&device.serial()));
        listing.devices.extend(devices);
        discover::sort(&mut listing.devices);
    }
    let selector = Selector { reader: None, ..selector(context) };
    listing.devices.retain(|device| selector.matches(device));
    Ok(listing)
}

/// The keys that are plugged in or lie on a reader.
fn plugged_in(context: &Context, control: &Control) -> Result<Listing, Failure> {
    let options = discover::Options { reader: context.global.reader.clone(), ..discover::Options::default() };
    discover::list(&options, control).map_err(refused)
}

/// Watches what the global options allow. A software key counts as plugged in while `tapkey emulate
/// run` has it.
pub(crate) fn watch(context: &Context, control: &Control) -> Result<Watch, Failure> {
    if let Some(path) = state_file(context)? {
        return watch_software(&path, control);
    }
    let options = discover::Options { reader: context.global.reader.clone(), ..discover::Options::default() };
    Ok(Watch::new(&options, control))
}

/// The software key's state file, when one is asked for.
pub(crate) fn state_file(context: &Context) -> Result<Option<PathBuf>, Failure> {
    match &context.global.emulated {
        None => Ok(None),
        Some(Some(path)) => Ok(Some(path.clone())),
        Some(None) => crate::config::state_folder().map(|folder| Some(folder.join("key.json"))),
    }
}

#[cfg(feature = "emulator")]
fn open_software(path: PathBuf, context: &Context) -> Result<Opened, Failure> {
    let software = software::Software::open(&path, &software::Wish::of(context), context)?;
    let mut connector: Box<dyn tapkey_driver::Connector> = Box::new(software.connector());
    if let Some(tape) = &context.tape {
        connector = Box::new(tapkey_driver::Recorded::new(connector, tape.clone()));
    }
    let device = Device::from_connector(connector, &control(context)).map_err(refused)?;
    Ok(Opened { device, software: Some(software) })
}

#[cfg(not(feature = "emulator"))]
fn open_software(_: PathBuf, _: &Context) -> Result<Opened, Failure> {
    Err(no_software())
}

#[cfg(not(feature = "emulator"))]
fn no_software() -> Failure {
    Failure::usage("this tapkey was built without software keys").hint("build it with the feature emulator")
}

#[cfg(feature = "emulator")]
#[expect(clippy::unnecessary_wraps, reason = "a build without software keys refuses")]
fn watch_software(path: &Path, control: &Control) -> Result<Watch, Failure> {
    Ok(Watch::over(Box::new(software::presence::Presence::of(path)), control))
}

#[cfg(not(feature = "emulator"))]
fn watch_software(_: &Path, _: &Control) -> Result<Watch, Failure> {
    Err(no_software())
}

/// What a failed operation on a key means for the exit code, and what to do.
#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
pub(crate) fn refused(error: Error) -> Failure {
    refused_ref(&error)
}

/// The same by reference, for errors that are wrapped in others.
pub(crate) fn refused_ref(error: &Error) -> Failure {
    let exit = match error {
        Error::Link(LinkError::Removed) => Exit::NoKey,
        Error::Link(_) | Error::NotOverThisLink(_) | Error::NotReady | Error::DeadlinePassed => {
            Exit::Unreachable
        }
        Error::Refused(_) | Error::Unsupported(_) => Exit::Key,
        Error::Input(_) => Exit::Usage,
        Error::Cancelled => Exit::Interrupted,
        _ => Exit::Failed,
    };
    if exit == Exit::Interrupted {
        return Failure::new(exit, "interrupted; the key was told to forget the command");
    }
    let failure = Failure::new(exit, chain(error));
    match error {
        Error::Link(LinkError::PermissionDenied { .. }) => failure.hint(
            "on Linux, copy udev/70-tapkey.rules of the source to /etc/udev/rules.d, run `udevadm control --reload`, and plug the key in again",
        ),
        Error::Link(LinkError::Unavailable { .. }) => {
            failure.hint("on Debian: apt install pcscd, then systemctl start pcscd.socket; commands for slots work without it")
        }
        Error::Link(LinkError::Busy { holder }) => failure.hint(letting_go(holder.as_deref())),
        _ => failure,
    }
}

/// How to get a key that another program holds. Nobody is stopped from here.
pub(crate) fn letting_go(holder: Option<&str>) -> &'static str {
    match holder {
        Some(holder) if holder.contains("scdaemon") => {
            "`gpgconf --kill scdaemon` makes gpg let go of the card until it needs it again; with the line `pcsc-shared` \
             (and `disable-ccid`) in ~/.gnupg/scdaemon.conf it shares it for good"
        }
        _ => "programs that hold keys are, for example, gpg's scdaemon, browsers and password managers",
    }
}

/// A key is there and does not open.
fn is_unreadable(error: &Error) -> bool {
    matches!(error, Error::Link(LinkError::PermissionDenied { .. } | LinkError::Busy { .. }))
}
