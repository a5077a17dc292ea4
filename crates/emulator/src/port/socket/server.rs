//! The side that holds the key.

use std::collections::HashMap;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tapkey_protocol::link::{CardLink, OtpLink};
use thiserror::Error;
use zeroize::Zeroize;

use super::message::{Refusal, Reply, Request};
use super::wire;
use crate::key::Power;
use crate::port::in_process::{CardPort, OtpPort, PluggedKey};

/// Serves one key on a Unix socket of mode 0600. The socket is removed when the server goes away.
#[derive(Debug)]
pub struct Server {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
    key: PluggedKey,
    connections: Arc<Connections>,
}

/// Ends a [`Server`] from another thread, such as a signal handler's.
#[derive(Clone, Debug)]
pub struct Stopper {
    path: PathBuf,
    connections: Arc<Connections>,
}

#[derive(Debug, Default)]
struct Connections {
    stopping: AtomicBool,
    open: Mutex<HashMap<u64, UnixStream>>,
}

/// Why a server does not run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ServerError {
    /// An emulator answers there already.
    #[error("an emulated key is being served at {}; stop that program first, or choose another socket", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket is in the way; it was left alone.
    #[error("{} exists and is not a socket; remove it, or choose another place", path.display())]
    NotASocket {
        /// What is in the way.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} the socket {}: {source}", path.display())]
    Io {
        /// The socket.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// Its reason.
        source: io::Error,
    },
}

impl Server {
    /// Opens the socket. One that a killed emulator left behind is replaced.
    ///
    /// # Errors
    /// [`ServerError`] when another emulator answers there, or something else is in the way.
    pub fn bind(path: impl AsRef<Path>, key: PluggedKey) -> Result<Self, ServerError> {
        let path = path.as_ref().to_owned();
        check_place(&path)?;
        // It gets its name only when its permissions are right, and replaces a stale one by that.
        let number = HIDDEN_NAMES.fetch_add(1, Ordering::Relaxed);
        let hidden = path.with_file_name(format!(".tk{}-{number}", std::process::id()));
        let _ = fs::remove_file(&hidden);
        let listener = UnixListener::bind(&hidden).map_err(failed(&path, "create"))?;
        let inode = fs::set_permissions(&hidden, Permissions::from_mode(0o600))
            .and_then(|()| fs::rename(&hidden, &path))
            .and_then(|()| fs::symlink_metadata(&path))
            .map_err(|source| {
                let _ = fs::remove_file(&hidden);
                failed(&path, "create")(source)
            })?
            .ino();
        Ok(Self { listener, path, inode, key, connections: Arc::default() })
    }

    /// The socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What ends [`Server::run`].
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper { path: self.path.clone(), connections: Arc::clone(&self.connections) }
    }

    /// Serves until [`Stopper::stop`]. Each connection has a thread of its own; all have ended
    /// when this returns.
    ///
    /// # Errors
    /// [`ServerError::Io`] when no connection can be accepted any more.
    pub fn run(self) -> Result<(), ServerError> {
        thread::scope(|scope| {
            let mut number = 0_u64;
            while !self.connections.stopping.load(Ordering::SeqCst) {
                let stream = match self.listener.accept() {
                    Ok((stream, _)) => stream,
                    Err(error) if is_passing(&error) => {
                        thread::sleep(Duration::from_millis(20));
                        continue;
                    }
                    Err(error) => {
                        self.connections.close_all();
                        return Err(failed(&self.path, "accept connections at")(error));
                    }
                };
                number += 1;
                if !self.connections.register(number, &stream) {
                    continue;
                }
                let (key, connections) = (&self.key, &self.connections);
                scope.spawn(move || {
                    // A broken connection concerns nobody but its client.
                    let _ = Connection::new(key).serve(stream);
                    connections.forget(number);
                });
            }
            self.connections.close_all();
            // Nobody is left to touch the key for a command that waits.
            self.key.with(|key| {
                if key.waits_for().is_some() {
                    key.card_reset();
                }
            });
            Ok(())
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Another server may have taken the name since.
        if fs::symlink_metadata(&self.path).is_ok_and(|found| found.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Stopper {
    /// Ends the server: it accepts no more connections and closes those it has.
    pub fn stop(&self) {
        self.connections.stopping.store(true, Ordering::SeqCst);
        self.connections.close_all();
        // Wakes the thread that waits for connections.
        let _ = UnixStream::connect(&self.path);
    }
}

impl Connections {
    /// False when the connection is not to be served: there are too many, or the server stops.
    fn register(&self, number: u64, stream: &UnixStream) -> bool {
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
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}

/// What one client has open.
struct Connection<'a> {
    key: &'a PluggedKey,
    otp: Option<OtpPort>,
    card: Option<CardPort>,
}

impl<'a> Connection<'a> {
    const fn new(key: &'a PluggedKey) -> Self {
        Self { key, otp: None, card: None }
    }

    fn serve(&mut self, mut stream: UnixStream) -> io::Result<()> {
        while let Some(mut body) = wire::receive(&mut stream)? {
            let reply = match Request::parse(&body) {
                Ok(request) => self.answer(&request).unwrap_or_else(|reply| reply),
                Err(_) => Reply::Refused(Refusal::BadRequest),
            };
            body.zeroize();
            let mut bytes = reply.encode();
            let sent = wire::send(&mut stream, &bytes);
            bytes.zeroize();
            sent?;
        }
        Ok(())
    }

    fn answer(&mut self, request: &Request) -> Result<Reply, Reply> {
        match request {
            Request::OpenOtp => {
                self.otp = Some(self.key.otp()?);
                Ok(Reply::Done)
            }
            Request::OpenCard => {
                let card = self.key.card()?;
                let transport = card.transport();
                self.card = Some(card);
                Ok(Reply::Card(transport))
            }
            Request::WriteReport(report) => {
                self.otp.as_mut().ok_or(NOT_OPEN)?.write_report(report)?;
                Ok(Reply::Done)
            }
            Request::ReadReport => Ok(Reply::Report(self.otp.as_mut().ok_or(NOT_OPEN)?.read_report()?)),
            Request::Transmit(command) => {
                Ok(Reply::Response(self.card.as_mut().ok_or(NOT_OPEN)?.transmit(command)?))
            }
            Request::CardReset => {
                self.card.as_mut().ok_or(NOT_OPEN)?.reset()?;
                Ok(Reply::Done)
            }
            Request::Atr => Ok(Reply::Atr(self.card.as_ref().ok_or(NOT_OPEN)?.atr()?)),
            Request::AddFault(text) => {
                let fault = text.parse().map_err(|_| Reply::Refused(Refusal::BadRequest))?;
                self.key.faults().add(fault);
                Ok(Reply::Done)
            }
            Request::ListFaults => serde_json::to_vec(&self.key.faults().list())
                .map(Reply::Faults)
                .map_err(|_| Reply::Refused(Refusal::BadRequest)),
            Request::ClearFaults => {
                self.key.faults().clear();
                Ok(Reply::Done)
            }
            Request::Suspend => {
                self.key.suspend();
                Ok(Reply::Done)
            }
            Request::Resume => {
                self.key.resume();
                Ok(Reply::Done)
            }
            Request::Jump(by) => {
                self.key.jump(*by);
                Ok(Reply::Done)
            }
            Request::Turn(counter) => {
                self.key.turn(*counter).map_err(|error| Reply::NotTurned(error.to_string()))?;
                Ok(Reply::Done)
            }
            Request::Press(slot) => self.key.press(*slot).map(Reply::Press).map_err(|_| NOT_STORED),
            Request::Hold(duration) => self.key.hold(*duration).map(Reply::Press).map_err(|_| NOT_STORED),
            Request::Touch => {
                self.key.touch().map_err(|error| Reply::Refused(error.into()))?;
                Ok(Reply::Done)
            }
            Request::Plug(power) => self.plug(*power),
            Request::Replug => {
                self.key.replug().map_err(|error| Reply::Refused(error.into()))?;
                Ok(Reply::Done)
            }
            Request::Show => serde_json::to_vec(&self.key.snapshot())
                .map(Reply::Snapshot)
                .map_err(|_| Reply::Refused(Refusal::BadRequest)),
        }
    }

    fn plug(&self, power: Power) -> Result<Reply, Reply> {
        self.key.plug(power).map_err(|error| Reply::Refused(error.into()))?;
        Ok(Reply::Done)
    }
}

/// A report or a command before the interface was opened.
const NOT_OPEN: Reply = Reply::Refused(Refusal::BadRequest);
const NOT_STORED: Reply = Reply::Refused(Refusal::Storage);
const MOST_CONNECTIONS: usize = 64;
static HIDDEN_NAMES: AtomicU32 = AtomicU32::new(0);

/// Whether the place is free, or taken only by a socket that nobody answers at.
fn check_place(path: &Path) -> Result<(), ServerError> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(path, "look at")(error)),
    };
    if !found.file_type().is_socket() {
        return Err(ServerError::NotASocket { path: path.to_owned() });
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(ServerError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(failed(path, "look at")(error)),
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted | io::ErrorKind::WouldBlock
    ) || matches!(error.raw_os_error(), Some(EMFILE | ENFILE))
}

/// Too many open files, in the system and in the process. The standard library has no names for
/// the two numbers, which are the same on every Unix.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

fn failed(path: &Path, action: &'static str) -> impl Fn(io::Error) -> ServerError {
    move |source| ServerError::Io { path: path.to_owned(), action, source }
}
