//! A key in a virtual reader of vsmartcard, whose driver for pcscd (`vpcd`) waits for cards on TCP.
//!
//! For those who have vsmartcard already; [`pcscd`](super::pcscd) needs nothing but pcscd. The driver
//! listens on port 35963 for its first reader and on 35964 for its second. It speaks without any
//! protection and listens on every address, so it belongs into a network namespace or behind a
//! firewall.
//!
//! Messages in both directions are two bytes of length, big-endian, and as many bytes. One byte to the
//! card is a control code, more are a command.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tapkey_protocol::link::CardLink;
use thiserror::Error;
use zeroize::Zeroize;

use super::in_process::{CardPort, PluggedKey};

/// The port of vpcd's first reader.
pub const PORT: u16 = 35963;

/// Keeps a key in a reader of vpcd.
#[derive(Debug)]
pub struct Vpcd {
    address: SocketAddr,
    stream: TcpStream,
    shared: Arc<Shared>,
    slot: Slot,
}

/// Ends [`Vpcd::run`] from another thread.
#[derive(Clone, Debug)]
pub struct Stopper {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    stopping: AtomicBool,
    open: Mutex<Option<TcpStream>>,
}

/// Nobody listens there.
#[derive(Debug, Error)]
#[error(
    "no vpcd listens at {address}: {source}; install vsmartcard's driver and start pcscd, which opens the port"
)]
pub struct VpcdError {
    /// Where.
    address: SocketAddr,
    /// What the operating system says.
    source: io::Error,
}

impl Vpcd {
    /// Connects to vpcd, which waits for a card.
    ///
    /// # Errors
    /// [`VpcdError`] when nobody listens there.
    pub fn connect(address: SocketAddr, key: PluggedKey) -> Result<Self, VpcdError> {
        let shared = Arc::new(Shared::default());
        let stream = dial(address, &shared).map_err(|source| VpcdError { address, source })?;
        Ok(Self { address, stream, shared, slot: Slot { key, card: None, lost: None } })
    }

    /// What ends [`run`](Self::run).
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper { shared: Arc::clone(&self.shared) }
    }

    /// Answers until [`Stopper::stop`]. When pcscd ends, it waits for the next one.
    pub fn run(mut self) {
        loop {
            // A connection that breaks is a pcscd that ended.
            let _ = self.slot.serve(&mut self.stream);
            self.slot.card = None;
            self.stream = loop {
                if self.shared.stopping.load(Ordering::SeqCst) {
                    return;
                }
                match dial(self.address, &self.shared) {
                    Ok(stream) => break stream,
                    Err(_) => thread::sleep(RETRY),
                }
            };
        }
    }
}

impl Stopper {
    /// Takes the key out of the reader.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        if let Some(stream) = &*self.shared.open.lock().unwrap_or_else(PoisonError::into_inner) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn dial(address: SocketAddr, shared: &Shared) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_nodelay(true)?;
    let mut open = shared.open.lock().unwrap_or_else(PoisonError::into_inner);
    *open = Some(stream.try_clone()?);
    if shared.stopping.load(Ordering::SeqCst) {
        let _ = stream.shutdown(Shutdown::Both);
    }
    Ok(stream)
}

/// The reader's slot, seen from the card.
#[derive(Debug)]
struct Slot {
    key: PluggedKey,
    card: Option<CardPort>,
    /// When the card went away. For a while there must be no new one, or pcscd would not notice.
    lost: Option<Instant>,
}

impl Slot {
    fn serve(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        loop {
            let mut message = receive(stream)?;
            let reply = match message.as_slice() {
                [] => None,
                [CONTROL_ATR] => Some(self.atr()),
                [CONTROL_OFF | CONTROL_ON | CONTROL_RESET] => {
                    self.reset();
                    None
                }
                [_] => None,
                command => Some(self.transmit(command)),
            };
            message.zeroize();
            if let Some(mut reply) = reply {
                let sent = send(stream, &reply);
                reply.zeroize();
                sent?;
            }
        }
    }

    /// The answer to reset, or nothing when there is no card. pcscd asks for it again and again to see
    /// whether there is one, also between the commands of a program, so it changes nothing.
    fn atr(&mut self) -> Vec<u8> {
        if self.lost.is_some_and(|since| since.elapsed() < ABSENCE) {
            return Vec::new();
        }
        self.lost = None;
        if self.card.is_none() {
            self.card = self.key.card().ok();
        }
        let atr = self.card.as_ref().and_then(|card| card.atr().ok());
        if atr.is_none() {
            self.lose();
        }
        atr.unwrap_or_default()
    }

    fn reset(&mut self) {
        if self.card.as_mut().is_some_and(|card| card.reset().is_err()) {
            self.lose();
        }
    }

    /// The response, or nothing when there is no card.
    fn transmit(&mut self, command: &[u8]) -> Vec<u8> {
        match self.card.as_mut().map(|card| card.transmit(command)) {
            Some(Ok(response)) => response,
            Some(Err(_)) => {
                self.lose();
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    fn lose(&mut self) {
        if self.card.take().is_some() {
            self.lost = Some(Instant::now());
        }
    }
}

fn receive(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    read(stream, &mut length)?;
    let mut body = vec![0; u16::from_be_bytes(length).into()];
    read(stream, &mut body)?;
    Ok(body)
}

/// vpcd sends length and body apart and waits for the acknowledgement of the first in between, which
/// the kernel delays by 40 milliseconds. It stops doing so only for as long as it is told again.
fn read(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    rustix::net::sockopt::set_tcp_quickack(&*stream, true)?;
    stream.read_exact(buffer)
}

fn send(stream: &mut TcpStream, body: &[u8]) -> io::Result<()> {
    let length = u16::try_from(body.len())
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the answer is too long"))?;
    let mut message = Vec::with_capacity(body.len() + 2);
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(body);
    let sent = stream.write_all(&message);
    message.zeroize();
    sent
}

const CONTROL_OFF: u8 = 0;
const CONTROL_ON: u8 = 1;
const CONTROL_RESET: u8 = 2;
const CONTROL_ATR: u8 = 4;
/// pcscd looks every 0.4 seconds.
const ABSENCE: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::VirtualKey;

    const SELECT: &[u8] = &[0, 0xA4, 4, 0, 7, 0xA0, 0, 0, 5, 0x27, 0x20, 1];
    const STATUS: &[u8] = &[0, 3, 0, 0];

    /// vpcd's side: listens, sends length and body apart.
    struct Driver(TcpStream);

    impl Driver {
        fn control(&mut self, code: u8) {
            self.0.write_all(&[0, 1]).unwrap();
            self.0.write_all(&[code]).unwrap();
        }

        fn atr(&mut self) -> Vec<u8> {
            self.control(CONTROL_ATR);
            receive(&mut self.0).unwrap()
        }

        fn transmit(&mut self, command: &[u8]) -> Vec<u8> {
            self.0.write_all(&u16::try_from(command.len()).unwrap().to_be_bytes()).unwrap();
            self.0.write_all(command).unwrap();
            receive(&mut self.0).unwrap()
        }
    }

    #[test]
    fn a_card_in_a_reader_of_vpcd() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let key = PluggedKey::new(VirtualKey::builder().build().unwrap()).unwrap();
        let vpcd = Vpcd::connect(listener.local_addr().unwrap(), key.clone()).unwrap();
        let stopper = vpcd.stopper();
        let running = thread::spawn(move || vpcd.run());
        let mut driver = Driver(listener.accept().unwrap().0);
        driver.control(CONTROL_ON);
        let atr = driver.atr();
        assert_eq!(atr.get(15..22), Some(&b"YubiKey"[..]));
        assert_eq!(driver.transmit(SELECT), [5, 7, 4, 0, 0, 0, 0x90, 0]);
        assert_eq!(driver.atr(), atr);
        assert_eq!(driver.transmit(STATUS), [5, 7, 4, 0, 0, 0, 0x90, 0], "asking changed nothing");
        let generation = key.with(|key| key.generation());
        driver.control(CONTROL_RESET);
        assert_eq!(driver.transmit(STATUS), [0x6D, 0]);
        driver.control(CONTROL_OFF);
        driver.control(99);
        assert_eq!(key.with(|key| key.generation()), generation, "the key never lost its power");

        key.replug().unwrap();
        assert_eq!((driver.transmit(SELECT), driver.atr()), (vec![], vec![]), "no card for a while");
        thread::sleep(ABSENCE);
        assert_eq!(driver.atr(), atr);
        key.unplug();
        assert_eq!((driver.atr(), driver.transmit(SELECT)), (vec![], vec![]));

        // pcscd is started anew.
        drop(driver);
        let mut driver = Driver(listener.accept().unwrap().0);
        assert!(driver.atr().is_empty());
        stopper.stop();
        running.join().unwrap();
    }

    #[test]
    fn without_vpcd_the_error_says_what_to_start() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let key = PluggedKey::new(VirtualKey::builder().build().unwrap()).unwrap();
        let error = Vpcd::connect(address, key).unwrap_err();
        assert!(error.to_string().contains("vsmartcard"), "{error}");
    }
}
