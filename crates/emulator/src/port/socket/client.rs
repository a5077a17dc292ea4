//! The side that uses a key of another process.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tapkey_protocol::link::{CardLink, CardTransport, LinkError, OtpLink, Report};
use tapkey_protocol::slot::Slot;
use thiserror::Error;
use zeroize::Zeroize;

use super::message::{Refusal, Reply, Request};
use super::wire;
use crate::clock::Milliseconds;
use crate::faults::{FaultReport, PlannedFault};
use crate::key::{Counter, Power, Press, Snapshot};

/// Reaches an emulated key in another process. Every call makes a connection of its own, and so
/// does every link.
#[derive(Clone, Debug)]
pub struct Client {
    path: PathBuf,
    timeout: Option<Duration>,
}

/// Why the other process did not do what it was asked.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SocketError {
    /// No emulator answers there.
    #[error("no emulated key is running at {}; start one with `tapkey emulate run`", path.display())]
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The emulator refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The key was removed, or the interface is switched off.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The connection broke.
    #[error("the connection to the emulated key broke: {0}")]
    Io(#[from] io::Error),
    /// A counter was not turned.
    #[error("{why}")]
    NotTurned {
        /// The emulator's reason.
        why: String,
    },
    /// The answer makes no sense.
    #[error("the emulator's answer makes no sense; are both programs of the same version?")]
    BadReply,
}

impl Client {
    /// A client of the emulator at this socket; nothing is opened yet.
    #[must_use]
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned(), timeout: None }
    }

    /// The same client, but no answer is waited for longer than this. A link that has waited too
    /// long is of no more use: the answer may still come, in the place of the next one.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// The socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the OTP interface.
    ///
    /// # Errors
    /// [`SocketError`] when there is no emulator, or its key cannot be used that way.
    pub fn otp(&self) -> Result<RemoteOtp, SocketError> {
        let mut connection = self.connect()?;
        match connection.ask(&Request::OpenOtp)? {
            Reply::Done => Ok(RemoteOtp { connection }),
            _ => Err(SocketError::BadReply),
        }
    }

    /// Opens the smart-card interface.
    ///
    /// # Errors
    /// As [`Client::otp`].
    pub fn card(&self) -> Result<RemoteCard, SocketError> {
        let mut connection = self.connect()?;
        match connection.ask(&Request::OpenCard)? {
            Reply::Card(transport) => Ok(RemoteCard { connection, transport }),
            _ => Err(SocketError::BadReply),
        }
    }

    /// Presses the key; see [`VirtualKey::press`](crate::VirtualKey::press).
    ///
    /// # Errors
    /// [`SocketError`], with [`Refusal::Storage`] when a counter could not be stored.
    pub fn press(&self, slot: Slot) -> Result<Press, SocketError> {
        self.press_with(&Request::Press(slot))
    }

    /// Holds the key down for so long; see [`VirtualKey::hold`](crate::VirtualKey::hold).
    ///
    /// # Errors
    /// As [`Client::press`].
    pub fn hold(&self, duration: Milliseconds) -> Result<Press, SocketError> {
        self.press_with(&Request::Hold(duration))
    }

    /// Touches the key while a challenge waits for it.
    ///
    /// # Errors
    /// [`SocketError`], with [`Refusal::Touch`] when nothing waits.
    pub fn touch(&self) -> Result<(), SocketError> {
        self.do_it(&Request::Touch)
    }

    /// Plugs the key in, or holds it against a reader.
    ///
    /// # Errors
    /// [`SocketError`], with [`Refusal::Power`] when the key does not work that way.
    pub fn plug(&self, power: Power) -> Result<(), SocketError> {
        self.do_it(&Request::Plug(power))
    }

    /// Takes the key away.
    ///
    /// # Errors
    /// [`SocketError`] when there is no emulator.
    pub fn unplug(&self) -> Result<(), SocketError> {
        self.do_it(&Request::Plug(Power::Off))
    }

    /// Takes the key away and plugs it in again.
    ///
    /// # Errors
    /// As [`Client::plug`].
    pub fn replug(&self) -> Result<(), SocketError> {
        self.do_it(&Request::Replug)
    }

    /// What the key is and does at this moment.
    ///
    /// # Errors
    /// [`SocketError`] when there is no emulator.
    pub fn show(&self) -> Result<Snapshot, SocketError> {
        match self.connect()?.ask(&Request::Show)? {
            Reply::Snapshot(json) => serde_json::from_slice(&json).map_err(|_| SocketError::BadReply),
            _ => Err(SocketError::BadReply),
        }
    }

    /// Adds a fault; see [`faults`](crate::faults).
    ///
    /// # Errors
    /// [`SocketError`] when there is no emulator, or it does not know the fault.
    pub fn add_fault(&self, fault: &PlannedFault) -> Result<(), SocketError> {
        self.do_it(&Request::AddFault(fault.to_string()))
    }

    /// The plan of faults, and how far it is.
    ///
    /// # Errors
    /// [`SocketError`] when there is no emulator.
    pub fn faults(&self) -> Result<Vec<FaultReport>, SocketError> {
        match self.connect()?.ask(&Request::ListFaults)? {
            Reply::Faults(json) => serde_json::from_slice(&json).map_err(|_| SocketError::BadReply),
            _ => Err(SocketError::BadReply),
        }
    }

    /// Forgets the plan of faults.
    ///
    /// # Errors
    /// [`SocketError`] when there is no emulator.
    pub fn clear_faults(&self) -> Result<(), SocketError> {
        self.do_it(&Request::ClearFaults)
    }

    /// The USB host puts the bus to sleep; see [`VirtualKey::suspend`](crate::VirtualKey::suspend).
    ///
    /// # Errors
    /// [`SocketError`] when there is no emulator.
    pub fn suspend(&self) -> Result<(), SocketError> {
        self.do_it(&Request::Suspend)
    }

    /// The USB host wakes the bus.
    ///
    /// # Errors
    /// [`SocketError`] when there is no emulator.
    pub fn resume(&self) -> Result<(), SocketError> {
        self.do_it(&Request::Resume)
    }

    /// Moves the key's clock ahead.
    ///
    /// # Errors
    /// [`SocketError`] when there is no emulator.
    pub fn jump(&self, by: Milliseconds) -> Result<(), SocketError> {
        self.do_it(&Request::Jump(by))
    }

    /// Turns a counter forward; see [`VirtualKey::turn`](crate::VirtualKey::turn).
    ///
    /// # Errors
    /// [`SocketError::NotTurned`] with the reason.
    pub fn turn(&self, counter: Counter) -> Result<(), SocketError> {
        self.do_it(&Request::Turn(counter))
    }

    fn connect(&self) -> Result<Connection, SocketError> {
        let stream = UnixStream::connect(&self.path)
            .map_err(|source| SocketError::NotRunning { path: self.path.clone(), source })?;
        stream.set_read_timeout(self.timeout)?;
        stream.set_write_timeout(self.timeout)?;
        Ok(Connection { stream })
    }

    fn do_it(&self, request: &Request) -> Result<(), SocketError> {
        match self.connect()?.ask(request)? {
            Reply::Done => Ok(()),
            _ => Err(SocketError::BadReply),
        }
    }

    fn press_with(&self, request: &Request) -> Result<Press, SocketError> {
        match self.connect()?.ask(request)? {
            Reply::Press(press) => Ok(press),
            _ => Err(SocketError::BadReply),
        }
    }
}

/// The OTP interface of a key in another process. When that process ends, the key counts as removed.
#[derive(Debug)]
pub struct RemoteOtp {
    connection: Connection,
}

impl OtpLink for RemoteOtp {
    fn write_report(&mut self, report: &Report) -> Result<(), LinkError> {
        match self.connection.ask_link(&Request::WriteReport(*report))? {
            Reply::Done => Ok(()),
            _ => Err(WRONG_ANSWER),
        }
    }

    fn read_report(&mut self) -> Result<Report, LinkError> {
        match self.connection.ask_link(&Request::ReadReport)? {
            Reply::Report(report) => Ok(report),
            _ => Err(WRONG_ANSWER),
        }
    }
}

/// The smart-card interface of a key in another process.
#[derive(Debug)]
pub struct RemoteCard {
    connection: Connection,
    transport: CardTransport,
}

impl RemoteCard {
    /// The card's answer to reset. Asking changes nothing on the card, so it also tells whether the
    /// card is still there.
    ///
    /// # Errors
    /// [`LinkError::Removed`] when the key is gone, also when it has come back since.
    pub fn atr(&mut self) -> Result<Vec<u8>, LinkError> {
        match self.connection.ask_link(&Request::Atr)? {
            Reply::Atr(atr) => Ok(atr),
            _ => Err(WRONG_ANSWER),
        }
    }

    /// Resets the card, as disconnecting with a reset does.
    ///
    /// # Errors
    /// [`LinkError::Removed`] when the key is gone.
    pub fn reset(&mut self) -> Result<(), LinkError> {
        match self.connection.ask_link(&Request::CardReset)? {
            Reply::Done => Ok(()),
            _ => Err(WRONG_ANSWER),
        }
    }
}

impl CardLink for RemoteCard {
    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>, LinkError> {
        match self.connection.ask_link(&Request::Transmit(command.to_vec()))? {
            Reply::Response(response) => Ok(response),
            _ => Err(WRONG_ANSWER),
        }
    }

    fn transport(&self) -> CardTransport {
        self.transport
    }
}

#[derive(Debug)]
struct Connection {
    stream: UnixStream,
}

impl Connection {
    fn ask(&mut self, request: &Request) -> Result<Reply, SocketError> {
        let mut body = request.encode();
        let sent = wire::send(&mut self.stream, &body);
        body.zeroize();
        sent?;
        let mut body = wire::receive(&mut self.stream)?
            .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "the emulator closed it"))?;
        let reply = Reply::parse(&body);
        body.zeroize();
        match reply.map_err(|_| SocketError::BadReply)? {
            Reply::Failed(error) => Err(LinkError::from(error).into()),
            Reply::NotTurned(why) => Err(SocketError::NotTurned { why }),
            Reply::Removed => Err(LinkError::Removed.into()),
            Reply::Unavailable(what) => Err(LinkError::Unavailable { what }.into()),
            Reply::Refused(refusal) => Err(refusal.into()),
            reply => Ok(reply),
        }
    }

    /// For links a process that went away is a key that was pulled out.
    fn ask_link(&mut self, request: &Request) -> Result<Reply, LinkError> {
        self.ask(request).map_err(|error| match error {
            SocketError::Link(error) => error,
            SocketError::Io(error) if is_gone(&error) => LinkError::Removed,
            SocketError::Io(error) if is_late(&error) => LinkError::TimedOut,
            SocketError::Io(error) => LinkError::Io(error),
            _ => LinkError::Malformed("the emulator did not understand the request"),
        })
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
    )
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

const WRONG_ANSWER: LinkError = LinkError::Malformed("the emulator answered something else");
