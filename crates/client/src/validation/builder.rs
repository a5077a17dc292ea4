//! The settings of a validation client.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tapkey_protocol::validation::{ApiKey, ClientId, SyncLevel};

use super::{Client, hedge::Plan};
use crate::{ConfigError, ServerUrl, http};

/// The settings of a [`Client`]; see [`Client::builder`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    pub(super) client: ClientId,
    pub(super) key: ApiKey,
    pub(super) servers: Vec<ServerUrl>,
    pub(super) ca_file: Option<PathBuf>,
    pub(super) sync_level: Option<SyncLevel>,
    pub(super) server_timeout: Option<u32>,
    pub(super) timestamp: bool,
    pub(super) plan: Plan,
}

impl Builder {
    /// All of [`Builder::deadline`] unless set.
    pub const DEADLINE: Duration = Duration::from_secs(10);
    /// All of [`Builder::attempt_limit`] unless set.
    pub const ATTEMPT_LIMIT: Duration = Duration::from_secs(8);
    /// All of [`Builder::hedge_delay`] unless set.
    pub const HEDGE_DELAY: Duration = Duration::from_millis(500);

    pub(super) const fn new(client: ClientId, key: ApiKey) -> Self {
        Self {
            client,
            key,
            servers: Vec::new(),
            ca_file: None,
            sync_level: None,
            server_timeout: None,
            timestamp: false,
            plan: Plan {
                delay: Self::HEDGE_DELAY,
                attempt_limit: Self::ATTEMPT_LIMIT,
                attempts: 1,
                deadline: Self::DEADLINE,
            },
        }
    }

    /// Adds a server, by the address that requests are appended to
    /// (`https://otp.example.org/wsapi/2.0/verify`). Servers are asked in the order of these calls.
    ///
    /// All servers of one client must know of each other's validations: with two that do not, a
    /// password that was used at the first can be used again at the second.
    pub fn server(mut self, server: ServerUrl) -> Self {
        self.servers.push(server);
        self
    }

    /// Adds several servers.
    pub fn servers(mut self, servers: impl IntoIterator<Item = ServerUrl>) -> Self {
        self.servers.extend(servers);
        self
    }

    /// Trusts the certificate authorities in a PEM file, besides the operating system's.
    pub fn ca_file(mut self, path: impl AsRef<Path>) -> Self {
        self.ca_file = Some(path.as_ref().to_owned());
        self
    }

    /// Asks for this many of the server's peers to agree. Otherwise the server decides.
    pub const fn sync_level(mut self, level: SyncLevel) -> Self {
        self.sync_level = Some(level);
        self
    }

    /// Lets the server wait this many seconds for its peers. Otherwise the server decides.
    pub const fn server_timeout(mut self, seconds: u32) -> Self {
        self.server_timeout = Some(seconds);
        self
    }

    /// Asks for the key's clock and counters, see
    /// [`Verdict::times`](super::Verdict::times). A server that leaves them out of its signature is
    /// refused when this is set.
    pub const fn timestamp(mut self, ask: bool) -> Self {
        self.timestamp = ask;
        self
    }

    /// How long [`Client::verify`] takes at most, all servers, attempts and name look-ups together.
    /// 10 s unless set.
    pub const fn deadline(mut self, limit: Duration) -> Self {
        self.plan.deadline = limit;
        self
    }

    /// How long one attempt at one server may take. 8 s unless set.
    pub const fn attempt_limit(mut self, limit: Duration) -> Self {
        self.plan.attempt_limit = limit;
        self
    }

    /// How often one server is asked when it cannot be reached or answers with HTTP 5xx: once
    /// unless set. The nonce stays the same, so when only the *answer* was lost the server says
    /// [`ReplayedRequest`](super::Status::ReplayedRequest) to the second attempt.
    pub const fn attempts(mut self, count: u8) -> Self {
        self.plan.attempts = if count == 0 { 1 } else { count };
        self
    }

    /// How long to wait for a server before the next one is asked as well. Zero asks all at once;
    /// 500 ms unless set. A server that failed is followed by the next without waiting.
    pub const fn hedge_delay(mut self, delay: Duration) -> Self {
        self.plan.delay = delay;
        self
    }

    /// Makes the client. Opens no connection.
    ///
    /// # Errors
    /// [`ConfigError`]: no server, a server twice, an empty API key, a limit of zero, or
    /// certificates that cannot be loaded.
    pub fn build(self) -> Result<Client, ConfigError> {
        if self.servers.is_empty() {
            return Err(ConfigError::NoServer);
        }
        let twice =
            self.servers.iter().enumerate().find(|(index, server)| self.servers[..*index].contains(server));
        if let Some((_, server)) = twice {
            return Err(ConfigError::SameServerTwice(server.clone()));
        }
        if self.key.expose().is_empty() {
            return Err(ConfigError::EmptyApiKey);
        }
        if self.plan.deadline.is_zero() || self.plan.attempt_limit.is_zero() {
            return Err(ConfigError::NoTime);
        }
        let http = http::client(&self.servers, self.ca_file.as_deref())?;
        Ok(Client { http, settings: self })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder(key: &str) -> Builder {
        Client::builder(ClientId::try_from(1).unwrap(), key.parse().unwrap())
    }

    #[test]
    fn bad_settings_are_refused() {
        let server: ServerUrl = "http://127.0.0.1:1/wsapi/2.0/verify".parse().unwrap();
        let key = "mG5be6ZJU1qBGz24yPh/ESM3UdU=";
        let with = |key: &str| builder(key).server(server.clone());
        assert!(with(key).build().is_ok());
        assert!(matches!(builder(key).build(), Err(ConfigError::NoServer)));
        assert!(matches!(with("").build(), Err(ConfigError::EmptyApiKey)));
        assert!(matches!(with(key).server(server.clone()).build(), Err(ConfigError::SameServerTwice(_))));
        assert!(matches!(with(key).deadline(Duration::ZERO).build(), Err(ConfigError::NoTime)));
        assert!(matches!(with(key).attempt_limit(Duration::ZERO).build(), Err(ConfigError::NoTime)));
    }

    #[test]
    fn certificate_files_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("missing.pem");
        let other = folder.path().join("other.pem");
        std::fs::write(&other, "no certificate").unwrap();
        let server: ServerUrl = "https://otp.example.org/wsapi/2.0/verify".parse().unwrap();
        let with = |path: &Path| {
            builder("mG5be6ZJU1qBGz24yPh/ESM3UdU=").server(server.clone()).ca_file(path).build()
        };
        let error = with(&missing).unwrap_err();
        assert!(matches!(error, ConfigError::ReadAuthorities { .. }));
        assert!(error.to_string().contains("missing.pem"), "{error}");
        assert!(matches!(with(&other), Err(ConfigError::NoAuthority(_))));
    }
}
