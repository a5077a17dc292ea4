//! What travels on the wires of a YubiKey and of a validation server, written once for both ends.
//!
//! This crate turns bytes into types and back. It opens no socket and no device, reads no clock,
//! draws no randomness and never blocks: time, entropy and input arrive as arguments, so every
//! state machine can be tested without waiting.
//!
//! It has two halves that do not know each other:
//!
//! | feature | subject | start with |
//! |---|---|---|
//! | `device` | between a host and a key: HID frames, APDUs, slot records, device information | [`hid::Exchange`], [`slot`] |
//! | `formats` | files of accounts and keys that other programs read and write | `formats::pskc` |
//! | `validation` | between a client and a validation server | [`validation::Request`], [`validation::Response`] |
//!
//! Both stand on the one-time password itself ([`otp`]), on [`modhex`], [`crc`] and [`secret`],
//! which are always there.
//!
//! ```
//! use tapkey_protocol::otp::{AesKey, Otp, PrivateId};
//!
//! // A published test vector: the key's AES key and what it typed.
//! let key = AesKey::new([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
//! let otp: Otp = "ccccccccccccdvgtiblfkbgturecfllberrvkinnctnn".parse()?;
//! let token = otp.open(&key)?;
//! assert_eq!(token.private_id, PrivateId::new([1, 2, 3, 4, 5, 6]));
//! assert_eq!(token.counter().use_counter(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! What it is not: it never decides whether a one-time password is *acceptable*; comparing it with
//! what was seen before is the work of a server's store.

pub mod crc;
pub mod modhex;
pub mod otp;
pub mod secret;

pub mod challenge;
pub mod oath;

#[cfg(feature = "device")]
pub mod advisories;
#[cfg(feature = "device")]
pub mod aid;
#[cfg(feature = "device")]
pub mod apdu;
#[cfg(feature = "formats")]
pub mod formats;
#[cfg(feature = "device")]
pub mod hid;
#[cfg(feature = "device")]
pub mod keyboard;
#[cfg(feature = "device")]
pub mod link;
#[cfg(feature = "device")]
pub mod management;
#[cfg(feature = "device")]
pub mod piv;
#[cfg(feature = "device")]
pub mod slot;
#[cfg(feature = "device")]
pub mod tlv;
#[cfg(feature = "device")]
pub mod transcript;
#[cfg(feature = "device")]
pub mod version;

#[cfg(feature = "validation")]
pub mod validation;
