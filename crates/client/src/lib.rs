//! Clients of validation servers and of the Tapkey server.
//!
//! | module | asks | start with |
//! |---|---|---|
//! | [`validation`] | any server of Yubico's validation protocol 2.0, several at once | [`validation::Client`] |
//! | [`api`] | a Tapkey server's `/api/v1`: enrolments, accounts, keys, clients, tokens, audit | [`api::Client`] |
//!
//! ```no_run
//! use tapkey_client::validation::Client;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let api_key = std::fs::read_to_string("/etc/example/api-key")?.parse()?;
//! let client = Client::builder("42".parse()?, api_key)
//!     .server("https://otp1.example.org/wsapi/2.0/verify".parse()?)
//!     .server("https://otp2.example.org/wsapi/2.0/verify".parse()?)
//!     .build()?;
//!
//! let mut typed = String::new();
//! std::io::stdin().read_line(&mut typed)?;
//! let verdict = client.verify(&typed).await?;
//! if verdict.is_valid() {
//!     println!("this key may come in");
//! } else {
//!     println!("refused: {}", verdict.status());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Connections
//!
//! - TLS by rustls with ring, version 1.2 at least, trusting the operating system's certificate
//!   authorities and those in a file. Plain `http` goes to this machine only: [`ServerUrl`] cannot
//!   hold anything else.
//! - Proxy variables of the environment (`HTTPS_PROXY` and the like) are **not** followed.
//! - Redirects are not followed. Bodies are limited. Every call has one deadline for everything.
//! - The crate neither needs nor installs a process-wide rustls provider.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `blocking` | [`validation::blocking`](crate::validation), for programs without an asynchronous runtime |
//!
//! # Secrets
//!
//! API keys and tokens are types that do not print. One-time passwords travel in the query of the
//! address, as the protocol wants it, so no error of this crate repeats that query.

mod address;
pub mod api;
mod config;
mod http;
pub mod probe;
pub mod validation;

pub use address::{AddressError, ServerUrl};
pub use config::ConfigError;
