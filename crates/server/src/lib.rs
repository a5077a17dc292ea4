//! The Tapkey service: Yubico's validation protocol 2.0, enrolment and administration, on an
//! embedded database or on PostgreSQL.
//!
//! Start with [`Server`]; [`serve`] does everything in one call.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use tapkey_server::{Config, Server, bind, serve};
//! let config = Config::read("tapkey.toml".as_ref())?;
//! if let Some(first) = Server::initialise_if_empty(&config).await? {
//!     // Tell the administrator where the first token is: first.token_file
//! }
//! let listener = bind(&config).await?;
//! serve(listener, config, async { /* wait for a signal */ }).await?;
//! # Ok(())
//! # }
//! ```
//!
//! What makes a password acceptable is in `tapkey-domain`; what travels is in `tapkey-protocol`
//! and `tapkey-api`. This crate adds the store, the vault and HTTP:
//!
//! ```text
//!  http (wsapi, api, health)  →  service (validator, bearers, caches)  →  store (sqlite, postgres)  →  disk
//!                                                                                    vault
//! ```
//!
//! An answer `OK` is sent only after the commit that spends the password is on disk.

mod clock;
mod config;
mod http;
mod random;
mod server;
mod service;
mod store;
mod vault;

pub use clock::Clock;
#[doc(hidden)]
pub use config::Synchronous;
pub use config::{
    Config, ConfigError, Delayed, Limits, Policy, SecretUrl, StoreConfig, TlsFiles, Validation,
};
pub use http::{RouteInfo, TlsError, routes};
pub use random::RandomError;
pub use server::{FirstStart, Running, Server, StartError, bind, serve};
pub use store::{postgres::PostgresError, sqlite::OpenError};
pub use tapkey_domain::{
    Moment,
    role::{Operation, Role},
};
pub use vault::{MasterKeyError, VaultError};
