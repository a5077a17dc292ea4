//! The server over real HTTP on a loopback port, with a store of its own in a temporary folder.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::as_conversions, missing_docs)]

mod bad_input;
mod common;
mod database;
mod enrolment;
mod import;
mod management;
mod nodes;
mod protocol;
mod race;
mod roles;
mod starting;
mod stopping;
mod tls;
