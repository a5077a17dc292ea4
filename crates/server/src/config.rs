//! The configuration file.
//!
//! ```
//! use tapkey_server::Config;
//! let config = Config::from_toml(
//!     r#"
//!     listen = "127.0.0.1:8443"
//!     data_dir = "/var/lib/tapkey"
//!
//!     [tls]
//!     certificate = "/etc/tapkey/cert.pem"
//!     key = "/etc/tapkey/key.pem"
//!
//!     [policy]
//!     accept_emulated = false
//!     "#,
//!     "tapkey.toml".as_ref(),
//! )?;
//! assert_eq!(config.listen.port(), 8443);
//! let error = Config::from_toml("lisen = 1", "tapkey.toml".as_ref()).unwrap_err();
//! assert!(error.to_string().starts_with("tapkey.toml:1: unknown field `lisen`"));
//! # Ok::<(), tapkey_server::ConfigError>(())
//! ```

use std::{
    fmt, fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use thiserror::Error;

/// Everything a server can be told.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Config {
    /// Where to listen; `127.0.0.1:8080` unless told otherwise.
    pub listen: SocketAddr,
    /// The folder that holds the store and the master key. Relative to the configuration file.
    pub data_dir: PathBuf,
    /// The address under which people and programs reach the server, such as
    /// `https://keys.example.org`.
    pub base_url: Option<String>,
    /// Certificate and key; plain HTTP without them, which is for loopback and for proxies.
    pub tls: Option<TlsFiles>,
    /// How much is too much.
    pub limits: Limits,
    /// What the server takes.
    pub policy: Policy,
    /// How the validation protocol is spoken.
    pub validation: Validation,
    /// How the store works.
    pub store: StoreConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
            data_dir: PathBuf::from("tapkey-data"),
            base_url: None,
            tls: None,
            limits: Limits::default(),
            policy: Policy::default(),
            validation: Validation::default(),
            store: StoreConfig::default(),
        }
    }
}

/// Where the certificate is. Both files are PEM; both paths are relative to the configuration file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// The certificate, followed by its intermediates.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// How much is too much.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Limits {
    /// The longest body, in bytes.
    pub body_bytes: usize,
    /// The longest bundle of a provisioning station, in bytes; a key takes about 3000.
    pub bundle_bytes: usize,
    /// The longest query string, in bytes.
    pub query_bytes: usize,
    /// The longest request line and headers together, in bytes; at least 8192.
    pub header_bytes: usize,
    /// Connections served at once; more of them wait.
    pub connections: u32,
    /// How long a client may take to send its headers, or to stay silent between requests, in
    /// seconds.
    pub header_timeout_seconds: u32,
    /// How long a request may take, in seconds.
    pub request_timeout_seconds: u32,
    /// How long requests under way may take when the server shuts down, in seconds.
    pub shutdown_timeout_seconds: u32,
    /// How many keys are kept decrypted in memory.
    pub cached_keys: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 64 * 1024,
            bundle_bytes: 16 * 1024 * 1024,
            query_bytes: 8 * 1024,
            header_bytes: 32 * 1024,
            connections: 4096,
            header_timeout_seconds: 30,
            request_timeout_seconds: 20,
            shutdown_timeout_seconds: 30,
            cached_keys: 100_000,
        }
    }
}

impl Limits {
    pub(crate) fn request_timeout(&self) -> Duration {
        Duration::from_secs(self.request_timeout_seconds.into())
    }

    pub(crate) fn header_timeout(&self) -> Duration {
        Duration::from_secs(self.header_timeout_seconds.into())
    }

    pub(crate) fn shutdown_timeout(&self) -> Duration {
        Duration::from_secs(self.shutdown_timeout_seconds.into())
    }
}

/// What the server takes.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Policy {
    /// Take keys that are made of software, which can be copied. Off.
    pub accept_emulated: bool,
    /// How long an enrolment waits for its confirmation, in seconds; an hour.
    pub enrollment_expiry_seconds: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self { accept_emulated: false, enrollment_expiry_seconds: 3600 }
    }
}

/// How the validation protocol is spoken.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Validation {
    /// Answer on the paths of versions 1.0 and 1.1 as well. Off: their answers carry neither the
    /// password nor a nonce, so whoever sits between can play an old one back.
    pub version_1: bool,
    /// What becomes of a password that seems to have been kept back.
    pub delayed: Delayed,
}

/// What becomes of an acceptable password whose key's clock disagrees with the server's on how much
/// time went by since the one before.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Delayed {
    /// It is accepted, and the log says so.
    #[default]
    Log,
    /// It is refused with `DELAYED_OTP`, and spent.
    Refuse,
}

/// How the store works.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StoreConfig {
    /// The PostgreSQL database that several nodes share, as libpq writes it; embedded SQLite in the
    /// data folder without it.
    pub url: Option<SecretUrl>,
    /// Certificate authorities that may vouch for the database, PEM. Relative to the configuration
    /// file.
    pub ca_file: Option<PathBuf>,
    /// Connections to PostgreSQL for everything but validating, which has one of its own.
    pub connections: usize,
    /// DANGEROUS when `off`: accepted passwords are forgotten in a power cut and accepted again.
    /// Only for showing that the durability tests can fail; refused unless the environment holds
    /// `TAPKEY_UNSAFE_SYNCHRONOUS_OFF=1`.
    #[doc(hidden)]
    pub synchronous: Synchronous,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { url: None, ca_file: None, connections: 8, synchronous: Synchronous::Full }
    }
}

/// An address that may hold a password; `Debug` does not show it.
#[derive(Clone, Deserialize, Eq, PartialEq)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// Keeps an address.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretUrl(…)")
    }
}

/// Whether a commit waits for the disk.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Synchronous {
    /// It does.
    #[default]
    Full,
    /// It does not.
    Off,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, or says something that is not understood.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        Self::from_toml(&text, path)
    }

    /// Reads the text of a file; `path` is what errors call it, and what relative paths start from.
    ///
    /// # Errors
    /// It says something that is not understood.
    pub fn from_toml(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let mut config: Self = toml::from_str(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            line: line_of(text, error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })?;
        config.check(path)?;
        let folder = path.parent().unwrap_or_else(|| Path::new(""));
        config.data_dir = folder.join(&config.data_dir);
        if let Some(tls) = &mut config.tls {
            tls.certificate = folder.join(&tls.certificate);
            tls.key = folder.join(&tls.key);
        }
        if let Some(file) = &mut config.store.ca_file {
            *file = folder.join(&*file);
        }
        Ok(config)
    }

    fn check(&self, path: &Path) -> Result<(), ConfigError> {
        let wrong = |field, rule| Err(ConfigError::Value { path: path.to_owned(), field, rule });
        let limits = &self.limits;
        if limits.header_bytes < 8192 {
            return wrong("limits.header_bytes", "must be at least 8192");
        }
        if limits.body_bytes < 1024 || limits.query_bytes < 1024 {
            return wrong("limits.body_bytes and limits.query_bytes", "must be at least 1024");
        }
        if limits.connections == 0
            || limits.request_timeout_seconds == 0
            || limits.header_timeout_seconds == 0
        {
            return wrong("limits", "must not be 0");
        }
        if self.policy.enrollment_expiry_seconds == 0 {
            return wrong("policy.enrollment_expiry_seconds", "must not be 0");
        }
        if self.store.connections == 0 {
            return wrong("store.connections", "must not be 0");
        }
        match &self.base_url {
            Some(url) if !url.starts_with("https://") && !url.starts_with("http://") => {
                wrong("base_url", "must begin with https:// or http://")
            }
            _ => Ok(()),
        }
    }
}

fn line_of(text: &str, position: usize) -> usize {
    text.bytes().take(position).filter(|byte| *byte == b'\n').count() + 1
}

/// Why a configuration file is not usable.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// It cannot be read.
    #[error("the configuration {} cannot be read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not TOML, or holds unknown names or values of the wrong kind.
    #[error("{}:{line}: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, from the TOML reader.
        message: String,
    },
    /// A value is out of bounds.
    #[error("{}: {field} {rule}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// Which value.
        field: &'static str,
        /// What it must be.
        rule: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Config, String> {
        Config::from_toml(text, Path::new("/etc/tapkey/tapkey.toml")).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_file_means_the_defaults() {
        let config = read("").unwrap();
        assert_eq!(config.listen, Config::default().listen);
        assert!(!config.policy.accept_emulated);
        assert_eq!(config.store.synchronous, Synchronous::Full);
    }

    #[test]
    fn paths_start_at_the_file() {
        let config = read("data_dir = 'data'\n[tls]\ncertificate = 'c.pem'\nkey = '/k.pem'").unwrap();
        assert_eq!(config.data_dir, Path::new("/etc/tapkey/data"));
        let tls = config.tls.unwrap();
        assert_eq!(tls.certificate, Path::new("/etc/tapkey/c.pem"));
        assert_eq!(tls.key, Path::new("/k.pem"));
    }

    #[test]
    fn errors_name_file_and_line() {
        for (text, line) in [
            ("listen = 1", 1),
            ("\n\n[limits]\nbodies = 1", 4),
            ("[policy]\naccept_emulated = 'yes'", 2),
            ("a = ", 1),
            ("[tls]\ncertificate = 'c'", 1),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(&format!("/etc/tapkey/tapkey.toml:{line}: ")), "{error}");
        }
    }

    #[test]
    fn values_out_of_bounds() {
        for text in [
            "base_url = 'keys.example.org'",
            "[limits]\nheader_bytes = 100",
            "[limits]\nconnections = 0",
            "[policy]\nenrollment_expiry_seconds = 0",
        ] {
            assert!(read(text).unwrap_err().contains("must"), "{text}");
        }
    }
}
