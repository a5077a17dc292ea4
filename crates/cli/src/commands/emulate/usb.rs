//! `tapkey emulate run --attach` and `--usbip`: the key as a USB device.

use std::{
    net::SocketAddr,
    thread::{self, JoinHandle},
};

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_emulator::{
    port::{
        in_process::PluggedKey,
        uhid,
        usbip::{self, BUS_ID, Options, Server, ServerError, Stopper, attach},
    },
    usb::Speed,
};

use crate::{
    commands::Context,
    exit::{Exit, Failure, chain},
    output,
};

/// Options of `tapkey emulate run` about USB.
#[derive(ClapArgs, Debug)]
pub(super) struct Usb {
    /// Plug the key into this machine's USB, as the kernel sees it; needs root and the module
    /// vhci-hcd.
    #[arg(long)]
    attach: bool,

    /// Let `usbip attach` plug the key in: serve USB/IP on this loopback address.
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, require_equals = true, default_missing_value = DEFAULT_ADDRESS)]
    usbip: Option<SocketAddr>,

    /// Plug in the keyboard interface alone, without a USB device behind it; needs root and the
    /// module uhid.
    #[arg(long, conflicts_with_all = ["attach", "usbip"])]
    uhid: bool,

    /// Type as fast as the host takes it, not at the pace of a key.
    #[arg(long)]
    fast: bool,
}

/// The USB ports that are open. Dropping it pulls the key out.
pub(super) struct Ports {
    attachment: Option<attach::Attachment>,
    server: Option<Serving>,
    _keyboard: Option<uhid::Keyboard>,
    report: Report,
}

struct Serving {
    stopper: Stopper,
    thread: JoinHandle<Result<(), ServerError>>,
}

/// What is open, for the output.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    port: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usbip: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bus_id: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    uhid: bool,
}

impl Usb {
    /// Opens what was asked for; `None` when nothing was.
    pub(super) fn open(&self, key: &PluggedKey, context: &Context) -> Result<Option<Ports>, Failure> {
        if !self.attach && self.usbip.is_none() && !self.uhid {
            if self.fast {
                return Err(Failure::usage("--fast needs --attach, --usbip or --uhid"));
            }
            return Ok(None);
        }
        let speed = if self.fast { Speed::Fast } else { Speed::Real };
        let options = Options::new(speed);
        let mut ports = Ports {
            attachment: None,
            server: None,
            _keyboard: None,
            report: Report { port: None, usbip: None, bus_id: None, uhid: self.uhid },
        };
        if self.uhid {
            let keyboard = uhid::Keyboard::plug_in(key.clone(), speed);
            let failed = |error| Failure::new(Exit::Unreachable, chain(&error));
            ports._keyboard = Some(keyboard.map_err(failed)?);
        }
        if let Some(address) = self.usbip {
            let server =
                Server::bind(address, key.clone(), options.clone()).map_err(|error| match error {
                    ServerError::NotLoopback { .. } => Failure::usage(chain(&error)),
                    error => Failure::new(Exit::Unreachable, chain(&error)),
                })?;
            ports.report.usbip = Some(server.address().to_string());
            ports.report.bus_id = Some(BUS_ID);
            let stopper = server.stopper();
            ports.server = Some(Serving { stopper, thread: thread::spawn(move || server.run()) });
        }
        if self.attach {
            let quiet = context.global.quiet;
            let attachment = attach::attach(key.clone(), options, move |event| {
                if !quiet {
                    output::notice(&event.to_string());
                }
            })
            .map_err(|error| Failure::new(Exit::Unreachable, chain(&error)))?;
            ports.report.port = Some(attachment.port());
            ports.attachment = Some(attachment);
        }
        Ok(Some(ports))
    }
}

impl Ports {
    /// What is open.
    pub(super) fn report(&self) -> Report {
        self.report.clone()
    }
}

impl Drop for Ports {
    fn drop(&mut self) {
        if let Some(Serving { stopper, thread }) = self.server.take() {
            stopper.stop();
            // Whatever ended it, it has ended.
            let _ = thread.join();
        }
        self.attachment = None;
    }
}

impl Report {
    /// The same for people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        if let Some(port) = self.port {
            text.push_str(&format!("plugged into this machine's USB, on virtual port {port}\n"));
        }
        if let (Some(address), Some(bus_id)) = (&self.usbip, self.bus_id) {
            let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
            let host = host.trim_matches(['[', ']']);
            let number =
                if port == usbip::PORT.to_string() { String::new() } else { format!("--tcp-port {port} ") };
            text.push_str(&format!(
                "programs find it on USB after\n  usbip {number}attach -r {host} -b {bus_id}\n"
            ));
        }
        if self.uhid {
            text.push_str("its keyboard is plugged into this machine, without a USB device\n");
        }
        text
    }
}

const DEFAULT_ADDRESS: &str = "127.0.0.1:3240";
