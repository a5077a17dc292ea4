//! The applications of a side: named on the command line, listed, switched.

use serde::Serialize;
use tapkey_driver::Device;
use tapkey_protocol::management::{Capabilities, DeviceInfo, Side, Switch, SwitchError};

use crate::{
    commands::{Context, info::SHOWN},
    exit::{Exit, Failure},
    output,
};

/// Reads the name of an application that can be switched.
pub(super) fn application(text: &str) -> Result<Capabilities, String> {
    let parsed: Capabilities =
        text.parse().map_err(|error: tapkey_protocol::management::UnknownCapability| error.to_string())?;
    if SHOWN.contains(&parsed) {
        Ok(parsed)
    } else {
        Err(tapkey_protocol::management::UnknownCapability.to_string())
    }
}

/// All of them together.
pub(super) fn all_of(list: &[Capabilities]) -> Capabilities {
    list.iter().fold(Capabilities::NONE, |sum, one| sum | *one)
}

/// Finds what nothing about a key could make right, before one is opened.
pub(super) fn check(enable: Capabilities, disable: Capabilities) -> Result<(), Failure> {
    if enable.intersects(disable) {
        let which = enable & disable;
        return Err(Failure::usage(format!("{which} cannot be switched on and off at once")));
    }
    Ok(())
}

/// What is on afterwards.
pub(super) fn switched(switch: Switch, info: &DeviceInfo) -> Result<Capabilities, Failure> {
    switch.apply(info).map_err(|error| match error {
        SwitchError::NoInterfaceLeft | SwitchError::OnAndOff { .. } => Failure::usage(error.to_string()),
        SwitchError::NoSuchSide { .. } | SwitchError::NotThere { .. } => {
            Failure::new(Exit::Key, error.to_string())
        }
        _ => Failure::failed(error.to_string()),
    })
}

#[derive(Serialize)]
struct Applications {
    serial: Option<u32>,
    side: String,
    enabled: Vec<&'static str>,
    disabled: Vec<&'static str>,
}

/// Prints which are on and off.
pub(super) fn list(side: Side, device: &Device, context: &Context) -> Result<(), Failure> {
    let (Some(supported), Some(enabled)) =
        (Switch::supported(side, device.info()), Switch::enabled(side, device.info()))
    else {
        return Err(Failure::new(Exit::Key, SwitchError::NoSuchSide { side }.to_string()));
    };
    let there = || SHOWN.into_iter().filter(|one| supported.contains(*one));
    let names =
        |on: bool| there().filter(|one| enabled.contains(*one) == on).filter_map(Capabilities::id).collect();
    let report = Applications {
        serial: device.serial(),
        side: side.to_string().to_lowercase(),
        enabled: names(true),
        disabled: names(false),
    };
    context.printer.result("config-applications/1", &report, |_| {
        let rows: Vec<[String; 2]> = there()
            .map(|one| {
                let state =
                    if enabled.contains(one) { output::good("enabled") } else { "disabled".to_owned() };
                [one.id().unwrap_or_default().to_owned(), state]
            })
            .collect();
        output::table(["APPLICATION", "STATE"], &rows)
    })
}
