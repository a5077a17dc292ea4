//! The key as a device that a Linux kernel plugs in: over USB/IP, or straight into its virtual
//! host controller.
//!
//! [`Server`] listens on a loopback port, so that `usbip attach -r 127.0.0.1 -b 1-1` plugs the key
//! in. [`attach`] does the same on this machine without a network and without that program. Both
//! need the kernel module `vhci-hcd` where the key is plugged in, and root there.

pub mod attach;
mod server;
mod session;
pub mod wire;

pub use server::{BUS_ID, Server, ServerError, Stopper};
pub use session::{Options, SessionEnd};
pub use wire::PORT;
