//! Helpers for the journeys.

pub mod credential;
pub mod lab;
pub mod namespace;
pub mod parts;
pub mod pcscd;
pub mod server;
pub mod tapkey;
pub mod unsynced;
