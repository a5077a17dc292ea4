//! Finding the keys that are there.

mod merge;
mod select;
pub mod watch;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tapkey_protocol::management::{Capabilities, DeviceInfo, Interfaces};

use crate::connector::{Connector, UsbPlace};
use crate::control::Control;
use crate::device::{Device, open_card, open_hid};
use crate::error::{Error, NotOverThisLink};
use crate::session::management::ManagementSession;
use merge::{Half, merge};

pub use select::{Kind, SelectError, Selector, UnknownKind, select};

/// Where to look.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Options {
    /// The HID interfaces of plugged-in keys, where this build has the `hid` feature.
    pub hid: bool,
    /// Smart-card readers, where this build has the `pcsc` feature.
    pub pcsc: bool,
    /// Only readers whose name contains this text, also such as are not named like a key.
    pub reader: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { hid: true, pcsc: true, reader: None }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Listing {
    /// The keys, in an order that does not depend on how or when they were found: by serial number;
    /// those without one follow, by the USB port or the reader they are in; software keys come last.
    pub devices: Vec<Device>,
    /// What could not be looked at. It does not hide the keys that could.
    pub diagnostics: Vec<Diagnostic>,
}

/// Something that could not be looked at.
#[derive(Debug)]
pub struct Diagnostic {
    /// A device node, a reader, or a service.
    pub place: String,
    /// Why not.
    pub error: Error,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.error)
    }
}

/// Lists the keys that are plugged in or lie on a reader. The two interfaces of one key make one
/// [`Device`].
///
/// What fails goes to [`Listing::diagnostics`]; a node that this user may not open, or a missing
/// PC/SC service, does not hide other keys.
///
/// # Errors
/// [`Error::Cancelled`] or [`Error::DeadlinePassed`].
pub fn list(options: &Options, control: &Control) -> Result<Listing, Error> {
    let mut diagnostics = Vec::new();
    let mut connectors: Vec<Arc<dyn Connector>> = Vec::new();
    add_hid(options, &mut connectors, &mut diagnostics);
    add_pcsc(options, &mut connectors, &mut diagnostics);
    let mut listing = gather(connectors, control)?;
    diagnostics.append(&mut listing.diagnostics);
    Ok(Listing { devices: listing.devices, diagnostics })
}

/// Asks the keys behind the given connectors what they are, and puts together what belongs together:
/// by place on USB, by serial number, or because there is only one way to do it.
///
/// # Errors
/// [`Error::Cancelled`] or [`Error::DeadlinePassed`].
pub fn gather(connectors: Vec<Arc<dyn Connector>>, control: &Control) -> Result<Listing, Error> {
    gather_with(Vec::new(), connectors, control)
}

/// Puts keys into the order of [`Listing::devices`], for lists that were put together from several.
pub fn sort(devices: &mut [Device]) {
    merge::sort(devices);
}

/// The same with interfaces whose keys have told what they are and are not asked again.
fn gather_with(
    told: Vec<(Arc<dyn Connector>, DeviceInfo)>,
    connectors: Vec<Arc<dyn Connector>>,
    control: &Control,
) -> Result<Listing, Error> {
    let mut diagnostics = Vec::new();
    // Asking a reader where it is plugged in connects to its card, so it is only done to match it.
    let by_place = told
        .iter()
        .map(|(connector, _)| connector)
        .chain(&connectors)
        .any(|connector| connector.ways().hid && connector.usb().address.is_some());
    let place = |connector: &dyn Connector| {
        if by_place || connector.ways().hid { connector.usb() } else { UsbPlace::default() }
    };
    let mut halves: Vec<Half> = told
        .into_iter()
        .map(|(connector, info)| Half {
            ways: connector.ways(),
            place: place(&*connector),
            connector,
            info: Some(info),
        })
        .collect();
    for connector in connectors {
        control.check()?;
        let place = place(&*connector);
        let mut half = Half { ways: connector.ways(), connector, place, info: None };
        // The other interface of a key that has already told what it is need not be asked, which
        // would make older firmware switch interfaces for three seconds.
        if !halves.iter().any(|other| half.is_told_by(other)) {
            match probe(&*half.connector, &within(control, PROBE_LIMIT + control.busy_patience())) {
                Ok(info) => half.info = Some(info),
                Err(error) => {
                    control.check()?;
                    diagnostics.push(Diagnostic { place: half.connector.name(), error });
                }
            }
        }
        halves.push(half);
    }
    Ok(Listing { devices: merge(halves), diagnostics })
}

/// Asks a key what it is, in the cheapest way: one page of device information over HID, which also
/// keys with a hidden serial number answer, or else the management application.
pub(crate) fn probe(connector: &dyn Connector, control: &Control) -> Result<DeviceInfo, Error> {
    let ways = connector.ways();
    let mut failure = None;
    if ways.hid {
        match open_hid(connector, control)
            .and_then(|link| ManagementSession::over_hid(link, control)?.device_info(control))
        {
            Ok(info) => return Ok(with_product(info, connector)),
            Err(error) => failure = Some(error),
        }
    }
    if ways.card.is_some() {
        return open_card(connector, control)
            .and_then(|link| ManagementSession::over_card(link, control)?.device_info(control))
            .map_err(|error| failure.unwrap_or(error));
    }
    // A key that is gone has no interface either, and says so when it is asked for one.
    let gone = || connector.open_card_link().err().map(Error::from);
    Err(failure.or_else(gone).unwrap_or_else(|| {
        NotOverThisLink::NoInterface { interface: "HID or smart-card", hint: "look at another one" }.into()
    }))
}

/// Before firmware 5 a key does not tell reliably what is switched on; its product id does.
fn with_product(mut info: DeviceInfo, connector: &dyn Connector) -> DeviceInfo {
    let interfaces = connector.usb().product.and_then(|product| product.interfaces());
    if let (None, Some(interfaces)) = (info.usb_enabled, interfaces) {
        let mut enabled = Capabilities::NONE;
        for (interface, applications) in [
            (Interfaces::OTP, Capabilities::OTP),
            (Interfaces::FIDO, Capabilities::ON_FIDO),
            (Interfaces::CCID, Capabilities::ON_CCID),
        ] {
            if interfaces.contains(interface) {
                enabled = enabled | applications;
            }
        }
        info.usb_enabled = Some(enabled & info.usb_supported);
    }
    info
}

fn within(control: &Control, limit: Duration) -> Control {
    let limit = control.remaining().map_or(limit, |remaining| remaining.min(limit));
    control.clone().with_timeout(limit)
}

#[cfg(feature = "hid")]
fn add_hid(options: &Options, connectors: &mut Vec<Arc<dyn Connector>>, diagnostics: &mut Vec<Diagnostic>) {
    if !options.hid {
        return;
    }
    match crate::backend::hidapi::connectors() {
        Ok(found) => connectors.extend(found.into_iter().map(|one| -> Arc<dyn Connector> { Arc::new(one) })),
        Err(error) => {
            diagnostics.push(Diagnostic { place: "HID devices".to_owned(), error: error.into() });
        }
    }
}

#[cfg(not(feature = "hid"))]
fn add_hid(_: &Options, _: &mut Vec<Arc<dyn Connector>>, _: &mut Vec<Diagnostic>) {}

#[cfg(feature = "pcsc")]
fn add_pcsc(options: &Options, connectors: &mut Vec<Arc<dyn Connector>>, diagnostics: &mut Vec<Diagnostic>) {
    use tapkey_protocol::link::LinkError;

    if !options.pcsc {
        return;
    }
    match crate::backend::pcsc::connectors(options.reader.as_deref()) {
        Ok(readers) => {
            connectors.extend(readers.keys.into_iter().map(|one| -> Arc<dyn Connector> { Arc::new(one) }));
            diagnostics.extend(
                readers.empty.into_iter().map(|place| Diagnostic { place, error: LinkError::Removed.into() }),
            );
        }
        Err(error) => {
            diagnostics.push(Diagnostic { place: "smart-card readers".to_owned(), error: error.into() });
        }
    }
}

#[cfg(not(feature = "pcsc"))]
fn add_pcsc(_: &Options, _: &mut Vec<Arc<dyn Connector>>, _: &mut Vec<Diagnostic>) {}

/// Longer than firmware takes to switch between interfaces.
const PROBE_LIMIT: Duration = Duration::from_secs(6);
