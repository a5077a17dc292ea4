//! Challenges in the hands of programs that nobody here wrote: password databases and disks. What needs
//! a kernel stands in `lab/challenge.rs`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

// Linked for its shared library alone, so that the driver that pcscd loads is never an old one.
use tapkey_ifd as _;

mod disk;
mod kdbx;
mod keepassxc;

/// Bytes 0 to 19, the key of the slot.
const HMAC_KEY: &str = "000102030405060708090a0b0c0d0e0f10111213";
