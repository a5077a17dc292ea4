//! One host that has the key plugged in: commands come on one thread, answers go on another, and
//! transfers that ask for data wait for as long as it takes.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use thiserror::Error;

use super::wire::{Command, ECONNRESET, ENODEV, EPIPE, Reply, WireError};
use crate::key::VirtualKey;
use crate::port::in_process::{PluggedKey, Wait};
use crate::usb::{Completion, Direction, Leds, Speed, Status, Urb, UsbDevice};

/// How a key is plugged in. Clones share what they show, and one key is plugged in once at a time.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How fast it types.
    pub speed: Speed,
    shown: Arc<Shown>,
}

#[derive(Debug, Default)]
struct Shown {
    plugged: AtomicBool,
    leds: AtomicU8,
}

/// Why a host does not have the key any more.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SessionEnd {
    /// The key lost its power or restarted.
    #[error("the key was unplugged")]
    Unplugged,
    /// The host let it go.
    #[error("the host let the key go")]
    HostLeft,
    /// The port was stopped.
    #[error("the port was stopped")]
    Stopped,
    /// The host left more transfers waiting than any host does.
    #[error("the host has too many transfers waiting")]
    TooMuch,
    /// The host sent what is no command.
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl Options {
    /// With this speed.
    #[must_use]
    pub fn new(speed: Speed) -> Self {
        Self { speed, shown: Arc::default() }
    }

    /// Whether a host has the key.
    #[must_use]
    pub fn is_plugged_in(&self) -> bool {
        self.shown.plugged.load(Ordering::SeqCst)
    }

    /// The lights of the keyboard, as the host has set them.
    #[must_use]
    pub fn leds(&self) -> Leds {
        Leds(self.shown.leds.load(Ordering::SeqCst))
    }

    /// Takes the only place; `None` when a host has the key already.
    pub(super) fn plug(&self) -> Option<Plug> {
        let free = !self.shown.plugged.swap(true, Ordering::SeqCst);
        free.then(|| Plug(Arc::clone(&self.shown)))
    }
}

/// The place that one host has.
#[derive(Debug)]
pub(super) struct Plug(Arc<Shown>);

impl Drop for Plug {
    fn drop(&mut self) {
        self.0.leds.store(0, Ordering::SeqCst);
        self.0.plugged.store(false, Ordering::SeqCst);
    }
}

/// A connection that two threads use.
pub(super) trait Stream: Read + Write + Send + Sized {
    fn second(&self) -> io::Result<Self>;
    fn close(&self);
}

impl Stream for TcpStream {
    fn second(&self) -> io::Result<Self> {
        self.try_clone()
    }

    fn close(&self) {
        // A connection that is gone already needs no closing.
        let _ = self.shutdown(Shutdown::Both);
    }
}

impl Stream for UnixStream {
    fn second(&self) -> io::Result<Self> {
        self.try_clone()
    }

    fn close(&self) {
        let _ = self.shutdown(Shutdown::Both);
    }
}

/// What both threads share. It is only ever locked by whoever has the key.
struct Shared {
    device: UsbDevice,
    replies: VecDeque<Reply>,
    end: Option<SessionEnd>,
}

/// Serves a host until it leaves, the key is gone, or `stop` is set and the key woken.
pub(super) fn serve<S: Stream>(
    mut stream: S,
    key: &PluggedKey,
    mut device: UsbDevice,
    plug: &Plug,
    speed: Speed,
    stop: &AtomicBool,
) -> SessionEnd {
    device.set_speed(speed);
    let keyboard = key.keyboard();
    let shared = Mutex::new(Shared { device, replies: VecDeque::new(), end: None });
    let reader = match stream.second() {
        Ok(reader) => reader,
        Err(error) => return WireError::from(error).into(),
    };
    thread::scope(|scope| {
        scope.spawn(|| read(reader, key, &shared));
        let end = loop {
            let next = key.wait(|key| {
                let mut shared = lock(&shared);
                while let Some(typed) = keyboard.take() {
                    shared.device.type_strokes(typed.strokes());
                }
                plug.0.leds.store(shared.device.leds().0, Ordering::SeqCst);
                shared.next(key, stop)
            });
            match next {
                Ok(replies) => {
                    if let Err(error) = stream.write_all(&replies) {
                        break WireError::from(error).into();
                    }
                }
                Err(end) => break end,
            }
        };
        // Ends the reader as well.
        stream.close();
        end
    })
}

/// Takes commands until there are no more.
fn read<S: Stream>(mut stream: S, key: &PluggedKey, shared: &Mutex<Shared>) {
    loop {
        let command = Command::read(&mut stream);
        let over = key.with(|key| {
            let mut shared = lock(shared);
            let end = match command {
                Ok(Some(command)) => shared.take(key, command).err(),
                Ok(None) => Some(SessionEnd::HostLeft),
                Err(error) => Some(error.into()),
            };
            let over = end.is_some();
            shared.end = shared.end.take().or(end);
            over
        });
        if over {
            return;
        }
    }
}

impl Shared {
    /// What is to be written now, or the end, or nothing yet.
    fn next(&mut self, key: &mut VirtualKey, stop: &AtomicBool) -> Wait<Result<Vec<u8>, SessionEnd>> {
        let completed = self.device.poll(key);
        self.replies.extend(completed.into_iter().map(reply));
        if !self.replies.is_empty() {
            return Wait::Over(Ok(self.replies.drain(..).flat_map(|reply| reply.encode()).collect()));
        }
        if let Some(end) = self.end.take() {
            return Wait::Over(Err(end));
        }
        if stop.load(Ordering::SeqCst) {
            return Wait::Over(Err(SessionEnd::Stopped));
        }
        if self.device.is_gone(key) {
            return Wait::Over(Err(SessionEnd::Unplugged));
        }
        Wait::Until(self.device.next_event(key))
    }

    fn take(&mut self, key: &mut VirtualKey, command: Command) -> Result<(), SessionEnd> {
        match command {
            Command::Submit { sequence, endpoint, direction, setup, length, data, .. } => {
                let length = match direction {
                    Direction::In => usize::try_from(length).unwrap_or(0),
                    Direction::Out => data.len(),
                };
                let urb = Urb { id: sequence, endpoint, direction, setup, length, data };
                self.replies.extend(self.device.submit(key, &urb).map(reply));
            }
            Command::Unlink { sequence, victim, .. } => {
                // What is completed was put in line before, so the host hears of it first.
                let completed = self.device.poll(key);
                self.replies.extend(completed.into_iter().map(reply));
                let status = if self.device.unlink(victim) { ECONNRESET } else { 0 };
                self.replies.push_back(Reply::Unlink { sequence, status });
            }
        }
        if self.device.pending() > MOST_WAITING || self.replies.len() > MOST_REPLIES {
            return Err(SessionEnd::TooMuch);
        }
        Ok(())
    }
}

fn reply(completion: Completion) -> Reply {
    Reply::Submit {
        sequence: completion.id,
        status: match completion.status {
            Status::Done => 0,
            Status::Stall => EPIPE,
            Status::Gone => ENODEV,
        },
        actual: u32::try_from(completion.actual).unwrap_or(0),
        data: completion.data,
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

const MOST_WAITING: usize = 256;
const MOST_REPLIES: usize = 4096;
