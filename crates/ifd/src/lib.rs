//! A reader driver for pcscd, the smart-card service, with an emulated key in the reader.
//!
//! pcscd loads the shared library that this crate becomes, `libtapkey_ifd.so`, from a configuration
//! such as
//!
//! ```text
//! FRIENDLYNAME "Yubico YubiKey OTP+FIDO+CCID"
//! DEVICENAME unix:/home/me/.local/state/tapkey/key.json.sock
//! LIBPATH /usr/local/lib/tapkey/libtapkey_ifd.so
//! CHANNELID 0
//! ```
//!
//! where `DEVICENAME` is the socket of `tapkey emulate run`, which may appear later, go away and
//! come back: the reader is empty meanwhile. Several readers can use the library at once. A reset of
//! the card, or switching it off and on, is never a power-up of the key: no counter moves.
//!
//! # Unsafe code
//!
//! Nowhere else in this project is any. Here it cannot be avoided, because pcscd is a C program: it
//! calls functions by name and hands over pointers. What is unsafe is therefore confined to the module
//! [`entry`], whose functions turn pointers into slices, call safe code, and copy the answer back. Each
//! checks for null pointers and for the room it is given, and none lets a panic out into C.

pub mod abi;
pub mod entry;
mod reader;
