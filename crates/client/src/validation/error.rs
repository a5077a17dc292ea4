//! Why there is no verdict.

use std::{fmt, time::Duration};

use tapkey_protocol::{
    otp::ParseError,
    validation::{Distrust, RequestError, ResponseError},
};
use thiserror::Error;

use crate::ServerUrl;

/// A question that ended without a verdict.
///
/// None of these says anything about the password: deny access, and tell "refused" from "could not
/// ask" by whether there is a [`Verdict`](super::Verdict).
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// What was typed is no one-time password; no server was asked.
    #[error("this is not a Yubico one-time password: {0}")]
    Password(#[from] ParseError),
    /// The password does not fit the protocol; no server was asked.
    #[error("the password cannot be asked about: {0}")]
    Request(#[from] RequestError),
    /// The operating system gave no randomness for a nonce; no server was asked.
    #[error("the operating system gives no random numbers: {0}")]
    Random(getrandom::Error),
    /// No server gave any answer.
    #[error("no validation server could be reached: {0}")]
    Unreachable(Failures),
    /// At least one server answered, but no answer could be believed.
    #[error("no answer could be believed: {0}")]
    Distrusted(Failures),
    /// The time was up before any server gave an answer that could be believed.
    #[error("no verdict within {} s{}", .limit.as_secs_f32(), after(.failures))]
    Deadline {
        /// The deadline that was set.
        limit: Duration,
        /// What had failed until then; may be empty.
        failures: Failures,
    },
    /// The blocking client was called from inside an asynchronous task.
    #[error(
        "the blocking client cannot be used inside an asynchronous runtime; use validation::Client there"
    )]
    InsideRuntime,
}

fn after(failures: &Failures) -> String {
    if failures.0.is_empty() { String::new() } else { format!(": {failures}") }
}

impl Error {
    /// Nobody could be asked, or nobody answered in time: trying again later may help. The password
    /// may or may not be spent.
    #[must_use]
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Deadline { failures, .. } => !failures.any_distrusted(),
            _ => false,
        }
    }

    /// Some server answered what cannot be believed: a wrong API key, a wrong address, or somebody
    /// on the way.
    #[must_use]
    pub fn is_distrusted(&self) -> bool {
        match self {
            Self::Distrusted(_) => true,
            Self::Deadline { failures, .. } => failures.any_distrusted(),
            _ => false,
        }
    }

    /// What was typed is no one-time password.
    #[must_use]
    pub const fn is_bad_password(&self) -> bool {
        matches!(self, Self::Password(_) | Self::Request(_))
    }

    /// What failed at each server, in the order in which it happened; empty where none was asked.
    #[must_use]
    pub fn failures(&self) -> &[ServerFailure] {
        match self {
            Self::Unreachable(failures) | Self::Distrusted(failures) | Self::Deadline { failures, .. } => {
                &failures.0
            }
            _ => &[],
        }
    }
}

/// What failed at which server.
#[derive(Debug)]
pub struct Failures(pub(super) Vec<ServerFailure>);

impl Failures {
    /// One by one, in the order in which they happened.
    #[must_use]
    pub fn as_slice(&self) -> &[ServerFailure] {
        &self.0
    }

    pub(super) fn any_distrusted(&self) -> bool {
        self.0.iter().any(|failure| failure.cause.is_an_answer())
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, failure) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{failure}")?;
        }
        Ok(())
    }
}

/// What failed at one server.
#[derive(Debug, Error)]
#[error("{server}: {cause}")]
#[non_exhaustive]
pub struct ServerFailure {
    /// The server.
    pub server: ServerUrl,
    /// Which attempt at this server it was, from 1.
    pub attempt: u8,
    /// What happened.
    #[source]
    pub cause: FailureCause,
}

/// Why one attempt at one server gave no verdict.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FailureCause {
    /// No connection, no TLS, or the connection broke.
    #[error("{}", Causes(.0))]
    Connection(reqwest::Error),
    /// Took longer than one attempt may.
    #[error("no answer in time")]
    TooSlow,
    /// Anything but HTTP 200. The body is not looked at, whatever it says. Redirects are not
    /// followed and end here too.
    #[error("HTTP status {0}; is this the address of a validation server?")]
    HttpStatus(u16),
    /// Not the answer of a validation server.
    #[error("{0}")]
    Malformed(#[from] ResponseError),
    /// An answer, but not provably the server's own to this request.
    #[error("{0}")]
    Distrusted(#[from] Distrust),
}

impl FailureCause {
    /// Whether something answered: the failure is about trust, not about reaching the server. An
    /// HTTP 5xx is what proxies say in place of a server that is down.
    #[must_use]
    pub const fn is_an_answer(&self) -> bool {
        match self {
            Self::Connection(_) | Self::TooSlow => false,
            Self::HttpStatus(status) => *status < 500,
            Self::Malformed(_) | Self::Distrusted(_) => true,
        }
    }
}

/// An error and what caused it, since the outermost text of HTTP errors says little.
pub(crate) struct Causes<'a>(pub(crate) &'a reqwest::Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = std::error::Error::source(self.0);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
