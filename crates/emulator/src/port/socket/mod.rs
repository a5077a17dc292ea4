//! A key in another process, over a Unix socket that only its owner may use.
//!
//! [`Server`] holds the key: `tapkey emulate run` is one. [`Client`] reaches it from elsewhere, to
//! use it ([`Client::otp`], [`Client::card`]) or to do with it what a hand does (press, touch,
//! replug).
//!
//! ```
//! use tapkey_emulator::port::in_process::PluggedKey;
//! use tapkey_emulator::port::socket::{Client, Server};
//! use tapkey_emulator::VirtualKey;
//! use tapkey_protocol::link::OtpLink;
//!
//! # let folder = tempfile::tempdir()?;
//! let path = folder.path().join("key.sock");
//! let server = Server::bind(&path, PluggedKey::new(VirtualKey::builder().build()?)?)?;
//! let stop = server.stopper();
//! let thread = std::thread::spawn(move || server.run());
//!
//! let client = Client::new(&path);
//! assert_eq!(client.otp()?.read_report()?[1..4], [5, 7, 4]);
//! assert_eq!(client.show()?.profile, "5.7.4");
//! stop.stop();
//! thread.join().unwrap()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod client;
mod message;
mod server;
mod wire;

use std::path::{Path, PathBuf};

pub use client::{Client, RemoteCard, RemoteOtp, SocketError};
pub use message::Refusal;
pub use server::{Server, ServerError, Stopper};

/// Where the socket of the key with this state file is: beside it, with `.sock` behind its name.
#[must_use]
pub fn default_path(state: &Path) -> PathBuf {
    let mut name = state.as_os_str().to_owned();
    name.push(".sock");
    PathBuf::from(name)
}
