//! Lists the key and hands it out over TCP.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use thiserror::Error;

use super::session::{self, Options, Stream};
use super::wire::{DeviceRecord, ImportRefusal, Opening, WireError};
use crate::port::in_process::PluggedKey;
use crate::usb::{Descriptors, UsbDevice};

/// The bus id under which the key is listed.
pub const BUS_ID: &str = "1-1";

/// Serves one key to USB/IP hosts on this machine, such as `usbip attach -r 127.0.0.1 -b 1-1`.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    key: PluggedKey,
    options: Options,
    connections: Arc<Connections>,
}

/// Ends a [`Server`] from another thread.
#[derive(Clone, Debug)]
pub struct Stopper {
    address: SocketAddr,
    key: PluggedKey,
    connections: Arc<Connections>,
}

#[derive(Debug, Default)]
struct Connections {
    stopping: AtomicBool,
    open: Mutex<HashMap<u64, TcpStream>>,
}

/// Why a server does not run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The address is not on this machine's loopback.
    #[error(
        "{address} is not a loopback address, and USB/IP lets in whoever connects; use 127.0.0.1, and a tunnel for other machines"
    )]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
    /// The operating system refused.
    #[error("cannot serve USB/IP on {address}: {source}")]
    Io {
        /// The address.
        address: SocketAddr,
        /// Its reason.
        source: io::Error,
    },
}

impl Server {
    /// Listens; port 0 takes any that is free.
    ///
    /// # Errors
    /// [`ServerError`] when the address is not on the loopback or cannot be had.
    pub fn bind(address: SocketAddr, key: PluggedKey, options: Options) -> Result<Self, ServerError> {
        if !address.ip().is_loopback() {
            return Err(ServerError::NotLoopback { address });
        }
        let failed = |source| ServerError::Io { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address, key, options, connections: Arc::default() })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What ends [`Server::run`].
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        let connections = Arc::clone(&self.connections);
        Stopper { address: self.address, key: self.key.clone(), connections }
    }

    /// Serves until [`Stopper::stop`]. All connections have ended when this returns.
    ///
    /// # Errors
    /// [`ServerError::Io`] when no connection can be accepted any more.
    pub fn run(self) -> Result<(), ServerError> {
        thread::scope(|scope| {
            let mut number = 0_u64;
            let mut failures = 0;
            while !self.connections.stopping.load(Ordering::SeqCst) {
                let stream = match self.listener.accept() {
                    Ok((stream, _)) => stream,
                    Err(_) if failures < MOST_FAILURES => {
                        failures += 1;
                        thread::sleep(Duration::from_millis(20));
                        continue;
                    }
                    Err(source) => {
                        Stopper::stop(&self.stopper());
                        return Err(ServerError::Io { address: self.address, source });
                    }
                };
                failures = 0;
                number += 1;
                if self.connections.register(number, &stream) {
                    let server = &self;
                    scope.spawn(move || {
                        // A broken connection concerns nobody but its host.
                        let _ = server.serve(stream);
                        server.connections.forget(number);
                    });
                }
            }
            self.connections.close_all();
            Ok(())
        })
    }

    fn serve(&self, mut stream: TcpStream) -> Result<(), WireError> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(OPENING_TIMEOUT))?;
        while let Some(opening) = Opening::read(&mut stream)? {
            let Opening::Import { bus_id } = opening else {
                io::Write::write_all(&mut stream, &Opening::list(self.record().as_slice()))?;
                continue;
            };
            let refusal = match (self.record(), self.options.plug()) {
                (Some(record), Some(plug)) if bus_id == BUS_ID => {
                    let Some(device) = self.key.with(|key| UsbDevice::new(key)) else { break };
                    io::Write::write_all(&mut stream, &Opening::imported(Ok(&record)))?;
                    stream.set_read_timeout(None)?;
                    let stop = &self.connections.stopping;
                    session::serve(stream, &self.key, device, &plug, self.options.speed, stop);
                    return Ok(());
                }
                (Some(_), None) if bus_id == BUS_ID => ImportRefusal::Busy,
                _ => ImportRefusal::NotThere,
            };
            io::Write::write_all(&mut stream, &Opening::imported(Err(refusal)))?;
        }
        stream.close();
        Ok(())
    }

    /// The key as lists show it, while it has power.
    fn record(&self) -> Option<DeviceRecord> {
        self.key.with(|key| Descriptors::of(key)).map(|descriptors| record(&descriptors))
    }
}

/// A key at full speed, as device 2 of bus 1.
pub(super) fn record(descriptors: &Descriptors) -> DeviceRecord {
    const FULL_SPEED: u32 = 2;
    let identity = descriptors.identity();
    DeviceRecord {
        path: "/sys/devices/tapkey/usb1/1-1".to_owned(),
        bus_id: BUS_ID.to_owned(),
        bus: 1,
        device: 2,
        speed: FULL_SPEED,
        ids: [identity.vendor_id, identity.product_id, identity.device_version],
        interfaces: descriptors.classes(),
    }
}

impl Stopper {
    /// Ends the server: hosts lose the key as if it had been pulled out.
    pub fn stop(&self) {
        self.connections.stopping.store(true, Ordering::SeqCst);
        self.key.wake();
        self.connections.close_all();
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

impl Connections {
    /// False when the connection is not to be served: there are too many, or the server stops.
    fn register(&self, number: u64, stream: &TcpStream) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(copy) = stream.try_clone() else { return false };
        if open.len() >= MOST_CONNECTIONS || self.stopping.load(Ordering::SeqCst) {
            return false;
        }
        open.insert(number, copy);
        true
    }

    fn forget(&self, number: u64) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
    }

    fn close_all(&self) {
        for stream in self.open.lock().unwrap_or_else(PoisonError::into_inner).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

const MOST_CONNECTIONS: usize = 32;
const MOST_FAILURES: u32 = 100;
/// How long a host may take to say what it wants.
const OPENING_TIMEOUT: Duration = Duration::from_secs(30);
