//! Event- and time-based one-time codes: HOTP (RFC 4226) and TOTP (RFC 6238), and the key's
//! application that computes them.
//!
//! | module or type | subject |
//! |---|---|
//! | [`hotp`], [`totp`], [`steam_code`] | the codes themselves |
//! | [`KeyUri`] | `otpauth://` URIs, as QR codes carry them |
//! | [`Migration`] | `otpauth-migration://` URIs, with which an authenticator app moves its accounts |
//! | [`CredentialId`], [`CredentialName`] | what a key calls its credentials |
//! | [`prepare_secret`], [`parse_base32`] | secrets as a key takes them |
//! | [`AccessKey`], [`device_id`] | the password in front of the application |
//! | `codec` (feature `device`) | commands and answers of the application, for host and key |

mod access;
mod code;
#[cfg(feature = "device")]
pub mod codec;
mod credential;
mod migration;
mod secret;
mod uri;

pub use access::{AccessKey, device_id};
pub use code::{Algorithm, Code, Digits, DigitsError, hotp, steam_code, totp, truncate};
pub use credential::{CredentialId, CredentialName, DEFAULT_PERIOD, Kind, NameError};
pub use migration::{Migration, MigrationError};
pub use secret::{MAX_SECRET, MIN_SECRET, SecretError, parse_base32, prepare_secret, write_base32};
pub use uri::{Factor, KeyUri, KeyUriError};
