//! Files in which keys and accounts travel between programs, and in which programs keep what was
//! written into keys.
//!
//! | module | subject |
//! |---|---|
//! | [`csv`] | lists of programmed slots |
//! | [`pskc`] | Portable Symmetric Key Container, RFC 6030: seed files in XML |
//!
//! Nothing here opens a file: text comes in and goes out, and what is random arrives as an argument.

pub mod csv;
pub mod pskc;
