//! A first look at a server, for finding out why nothing else works: no token, no protocol.

use std::{path::Path, time::Duration};

use reqwest::header::DATE;
use thiserror::Error;

use crate::{ConfigError, ServerUrl, http};

/// What a server says to anybody.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    /// The HTTP status of its `/healthz`.
    pub status: u16,
    /// Its `Date` header, which tells its clock to the second.
    pub date: Option<String>,
}

/// Why it says nothing.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// The client cannot be made.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The server was not reached, or is not the one whose certificate is trusted.
    #[error("{}", reason(.0))]
    Connection(reqwest::Error),
    /// It did not answer in time.
    #[error("no answer within {} s", .0.as_secs())]
    Deadline(Duration),
}

/// Asks a server for its health.
///
/// # Errors
/// [`ProbeError`] when no answer comes; an answer with a status that means trouble is an answer.
pub async fn probe(server: &ServerUrl, ca_file: Option<&Path>, limit: Duration) -> Result<Seen, ProbeError> {
    let client = http::client(std::slice::from_ref(server), ca_file)?;
    let request = client.get(server.join(["healthz"], &[])).send();
    let response = tokio::time::timeout(limit, request)
        .await
        .map_err(|_| ProbeError::Deadline(limit))?
        .map_err(|error| ProbeError::Connection(error.without_url()))?;
    let date = response.headers().get(DATE).and_then(|date| date.to_str().ok()).map(str::to_owned);
    Ok(Seen { status: response.status().as_u16(), date })
}

/// The deepest cause, which is the one that helps: name resolution, refusal, certificate.
fn reason(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
