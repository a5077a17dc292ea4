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
    commands::Context,
    exit::{Exit, Failure, chain},
    interrupt,
    progress::TouchPrompt,
};

#[cfg(feature = "emulator")]
pub(crate) mod software;

/// How long an operation on a key may take without a touch being awaited.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

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
    let prompt = TouchPrompt::new(context);
    Control::new()
        .with_timeout(PATIENCE)
        .with_cancel(interrupt::token())
        .with_touch(move |event| prompt.tell(event))
}

/// Opens the key that the global options choose.
pub(crate) fn open(context: &Context) -> Result<Opened, Failure> {
    if let Some(path) = state_file(context)? {
        return open_software(path, context);
    }
    let listing = list(context)?;
    let problems: Vec<String> = listing.diagnostics.iter().map(ToString::to_string).collect();
    let unreadable =
        listing.diagnostics.iter().find(|one| is_unreadable(&one.error)).map(|one| refused_ref(&one.error));
    let selector = Selector { serial: context.global.serial, reader: context.global.reader.clone() };
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
            (SelectError::Ambiguous { .. }, _) => {
                failure.hint("add --serial N or --reader NAME; `tapkey list` shows all")
            }
            _ => failure.hint("`tapkey list` shows the keys that are there"),
        }
    })?;
    let device = match &context.tape {
        Some(tape) => device.recorded(tape),
        None => device,
    };
    Ok(Opened {
        device,
        #[cfg(feature = "emulator")]
        software: None,
    })
}

/// All keys that the global options allow.
pub(crate) fn list(context: &Context) -> Result<Listing, Failure> {
    if let Some(path) = state_file(context)? {
        let opened = open_software(path, context)?;
        return Ok(Listing { devices: vec![opened.device], diagnostics: Vec::new() });
    }
    let options = discover::Options { reader: context.global.reader.clone(), ..discover::Options::default() };
    discover::list(&options, &control(context)).map_err(refused)
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
        Error::Link(LinkError::Busy { .. }) => {
            failure.hint("programs that hold keys are, for example, gpg's scdaemon, browsers and password managers")
        }
        _ => failure,
    }
}

/// A key is there and does not open.
fn is_unreadable(error: &Error) -> bool {
    matches!(error, Error::Link(LinkError::PermissionDenied { .. } | LinkError::Busy { .. }))
}
