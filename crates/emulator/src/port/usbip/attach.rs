//! Plugs the key into this machine: one end of a pair of sockets goes to the kernel's virtual host
//! controller, which takes it through a file in sysfs. It needs root and the module `vhci-hcd`.
//!
//! ```no_run
//! use tapkey_emulator::VirtualKey;
//! use tapkey_emulator::port::in_process::PluggedKey;
//! use tapkey_emulator::port::usbip::{Options, attach};
//!
//! let key = PluggedKey::new(VirtualKey::builder().build()?)?;
//! let attachment = attach::attach(key, Options::default(), |event| eprintln!("{event}"))?;
//! // Now `lsusb` shows a YubiKey, and programs find it.
//! attachment.detach();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use thiserror::Error;

use super::server::record;
use super::session::{self, Options, Plug, SessionEnd};
use crate::key::Power;
use crate::port::in_process::{PluggedKey, Wait};
use crate::usb::UsbDevice;

/// A key that is plugged into this machine until [`detach`](Self::detach), or until this is dropped.
#[derive(Debug)]
pub struct Attachment {
    key: PluggedKey,
    stop: Arc<AtomicBool>,
    port: u32,
    worker: Option<JoinHandle<()>>,
}

/// Something that happens to a key that is plugged in.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// It lost its power or restarted; it is plugged in again when it has power.
    Unplugged,
    /// It is plugged in again.
    Replugged {
        /// The port of the virtual host controller.
        port: u32,
    },
    /// Somebody pulled it out on the host's side. It is not plugged in again.
    PulledOut(SessionEnd),
    /// It could not be plugged in again.
    Failed(AttachError),
}

/// Why a key cannot be plugged in.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AttachError {
    /// The kernel has no virtual host controller.
    #[error("the kernel has no virtual USB host controller; load it with `modprobe vhci-hcd`")]
    NoController,
    /// This user may not plug anything in.
    #[error("only root may plug in a virtual USB device; run the command as root, for example with sudo")]
    NotRoot,
    /// Every port is in use.
    #[error("all ports of the virtual USB host controller are in use; detach another device first")]
    NoFreePort,
    /// The key has no power on USB, or no USB interface is switched on.
    #[error("the key has no USB interface now; it is used over NFC or has no power")]
    NoInterface,
    /// The key is plugged in already.
    #[error("the key is plugged in already")]
    InUse,
    /// The kernel's status could not be understood.
    #[error("the status of the virtual USB host controller in {} makes no sense", path.display())]
    BadStatus {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot use {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Its reason.
        source: io::Error,
    },
}

/// Plugs the key in. It follows the key: when that is unplugged or restarts, so is the device, and
/// `report` hears of it.
///
/// # Errors
/// [`AttachError`], which says what to do.
pub fn attach(
    key: PluggedKey,
    options: Options,
    report: impl Fn(&Event) + Send + 'static,
) -> Result<Attachment, AttachError> {
    let controller = Controller::of_this_machine();
    let plug = options.plug().ok_or(AttachError::InUse)?;
    let first = controller.plug_in(&key)?;
    let stop = Arc::new(AtomicBool::new(false));
    let port = first.port;
    let work = Work { controller, key: key.clone(), options, plug, stop: Arc::clone(&stop) };
    let worker = thread::spawn(move || work.run(first, &report));
    Ok(Attachment { key, stop, port, worker: Some(worker) })
}

impl Attachment {
    /// The port of the virtual host controller that it was plugged into first.
    #[must_use]
    pub const fn port(&self) -> u32 {
        self.port
    }

    /// Pulls the key out.
    pub fn detach(self) {
        drop(self);
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.key.wake();
        if let Some(worker) = self.worker.take() {
            // A worker that panicked has let go of its socket.
            let _ = worker.join();
        }
    }
}

/// What the thread behind an attachment has.
struct Work {
    controller: Controller,
    key: PluggedKey,
    options: Options,
    plug: Plug,
    stop: Arc<AtomicBool>,
}

/// A key that the kernel has just taken.
struct Plugged {
    stream: UnixStream,
    device: UsbDevice,
    port: u32,
}

impl Work {
    fn run(self, first: Plugged, report: &dyn Fn(&Event)) {
        let mut plugged = first;
        loop {
            let Plugged { stream, device, .. } = plugged;
            let end = session::serve(stream, &self.key, device, &self.plug, self.options.speed, &self.stop);
            match end {
                SessionEnd::Stopped => return,
                SessionEnd::Unplugged => report(&Event::Unplugged),
                end => return report(&Event::PulledOut(end)),
            }
            if !self.wait_for_power() {
                return;
            }
            plugged = match self.plug_in_again() {
                Ok(plugged) => plugged,
                Err(error) => return report(&Event::Failed(error)),
            };
            report(&Event::Replugged { port: plugged.port });
        }
    }

    /// False when the port is stopped meanwhile.
    fn wait_for_power(&self) -> bool {
        self.key.wait(|key| match key.powered() {
            _ if self.stop.load(Ordering::SeqCst) => Wait::Over(false),
            Power::Usb => Wait::Over(true),
            Power::Off | Power::Nfc => Wait::Until(None),
        })
    }

    /// The kernel takes a moment to see that the device was pulled out.
    fn plug_in_again(&self) -> Result<Plugged, AttachError> {
        thread::sleep(PAUSE);
        let mut tries = 0;
        loop {
            match self.controller.plug_in(&self.key) {
                Err(AttachError::NoFreePort | AttachError::NoInterface) if tries < MOST_TRIES => {
                    tries += 1;
                    thread::sleep(PAUSE);
                }
                result => return result,
            }
        }
    }
}

/// A virtual host controller.
#[derive(Debug)]
struct Controller {
    folder: PathBuf,
}

impl Controller {
    fn of_this_machine() -> Self {
        Self { folder: PathBuf::from("/sys/devices/platform/vhci_hcd.0") }
    }

    fn plug_in(&self, key: &PluggedKey) -> Result<Plugged, AttachError> {
        let device = key.with(|key| UsbDevice::new(key)).ok_or(AttachError::NoInterface)?;
        let record = record(device.descriptors());
        let (stream, kernel) =
            UnixStream::pair().map_err(|source| AttachError::Io { path: PathBuf::from("socket"), source })?;
        let attach = self.folder.join("attach");
        for port in self.free_ports()? {
            let line = format!("{port} {} {} {}", kernel.as_raw_fd(), record.id(), record.speed);
            match write(&attach, &line) {
                Ok(()) => return Ok(Plugged { stream, device, port }),
                // Somebody else was faster.
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy => {}
                Err(source) => return Err(failed(&attach, source)),
            }
        }
        Err(AttachError::NoFreePort)
    }

    /// Free ports for devices up to high speed.
    fn free_ports(&self) -> Result<Vec<u32>, AttachError> {
        let path = self.folder.join("status");
        let status = fs::read_to_string(&path).map_err(|source| failed(&path, source))?;
        free_ports(&status).ok_or(AttachError::BadStatus { path })
    }
}

/// One write, as sysfs wants it.
fn write(path: &Path, line: &str) -> io::Result<()> {
    OpenOptions::new().write(true).open(path)?.write_all(line.as_bytes())
}

fn failed(path: &Path, source: io::Error) -> AttachError {
    match source.kind() {
        io::ErrorKind::NotFound => AttachError::NoController,
        io::ErrorKind::PermissionDenied => AttachError::NotRoot,
        _ => AttachError::Io { path: path.to_owned(), source },
    }
}

/// Reads lines such as `hs  0000 004 000 00000000 000000 0-0`: hub, port, state. State 4 is free.
fn free_ports(status: &str) -> Option<Vec<u32>> {
    let mut lines = status.lines();
    lines.next().filter(|line| line.contains("prt") || line.contains("port"))?;
    let mut free = Vec::new();
    for line in lines {
        let mut fields = line.split_whitespace();
        let (Some(hub), Some(port), Some(state)) = (fields.next(), fields.next(), fields.next()) else {
            continue;
        };
        let port: u32 = port.parse().ok()?;
        if hub == "hs" && state.parse::<u32>().ok()? == FREE {
            free.push(port);
        }
    }
    Some(free)
}

const FREE: u32 = 4;
const PAUSE: Duration = Duration::from_millis(300);
const MOST_TRIES: u32 = 20;

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unplugged => f.write_str("the key was unplugged"),
            Self::Replugged { port } => write!(f, "the key was plugged in again, on port {port}"),
            Self::PulledOut(end) => write!(f, "the key is not plugged in any more: {end}"),
            Self::Failed(error) => write!(f, "the key could not be plugged in again: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::VirtualKey;

    const STATUS: &str = "hub port sta spd dev      sockfd local_busid
hs  0000 006 002 00010002 000003 1-1
hs  0001 004 000 00000000 000000 0-0
hs  0002 007 000 00000000 000000 0-0
ss  0008 004 000 00000000 000000 0-0
";

    #[test]
    fn free_ports_are_found() {
        assert_eq!(free_ports(STATUS), Some(vec![1]));
        assert_eq!(free_ports("hub port\nhs x 004"), None);
        assert_eq!(free_ports("nonsense"), None);
        assert_eq!(free_ports(""), None);
    }

    fn key() -> PluggedKey {
        PluggedKey::new(VirtualKey::builder().build().unwrap()).unwrap()
    }

    #[test]
    fn the_kernel_is_told_port_socket_and_device() {
        let folder = tempfile::tempdir().unwrap();
        let controller = Controller { folder: folder.path().to_owned() };
        let missing = controller.plug_in(&key()).map(drop).unwrap_err();
        assert!(missing.to_string().contains("modprobe vhci-hcd"), "{missing}");
        fs::write(folder.path().join("status"), STATUS).unwrap();
        fs::write(folder.path().join("attach"), "").unwrap();
        let plugged = controller.plug_in(&key()).unwrap();
        assert_eq!(plugged.port, 1);
        let line = fs::read_to_string(folder.path().join("attach")).unwrap();
        let fields: Vec<_> = line.split(' ').collect();
        assert_eq!((fields[0], fields[2], fields[3]), ("1", "65538", "2"));
        fs::write(folder.path().join("status"), "hub port sta\n").unwrap();
        assert!(matches!(controller.plug_in(&key()), Err(AttachError::NoFreePort)));
    }
}
