//! The interfaces of keys that are really there: HID through hidapi, smart cards through PC/SC.
//!
//! Each is behind a cargo feature of its own; without both, the crate still talks to software keys
//! and to any other [`Connector`](crate::Connector).

#[cfg(feature = "hid")]
pub mod hidapi;
#[cfg(feature = "pcsc")]
pub mod pcsc;
#[cfg(any(feature = "hid", feature = "pcsc"))]
mod sysfs;
