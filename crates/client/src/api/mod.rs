//! The client of a Tapkey server's `/api/v1`.
//!
//! One method per request; the types are those of [`tapkey_api`]. A refusal is an
//! [`Error::Problem`] with a [`ProblemCode`](tapkey_api::ProblemCode) to branch on.
//!
//! ```no_run
//! use tapkey_client::api::{Client, Error};
//! use tapkey_api::{ProblemCode, accounts::VerifyStatus};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let token = std::fs::read_to_string("/etc/example/tapkey-token")?.parse()?;
//! let client = Client::builder("https://otp.example.org".parse()?, token).build()?;
//!
//! match client.verify("alice", "vvccccbdefghdvgtiblfkbgturecfllberrvkinnctnn").await {
//!     Ok(verdict) if verdict.status == VerifyStatus::Ok => println!("welcome"),
//!     Ok(verdict) => println!("refused: {:?}", verdict.status),
//!     Err(error) if error.is_unreachable() => println!("cannot ask now: {error}"),
//!     Err(error) if error.code() == Some(ProblemCode::Unauthorized) => println!("renew the token"),
//!     Err(error) => println!("{error}"),
//! }
//! # Ok(())
//! # }
//! ```

mod calls;
mod error;
mod list;
mod token;

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

pub use error::Error;
pub use list::{AuditFilter, KeyFilter, PageRequest, every_page};
use reqwest::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue},
};
use serde::{Serialize, de::DeserializeOwned};
use tapkey_api::Problem;
pub use token::{BearerToken, BearerTokenError};
use zeroize::Zeroizing;

use crate::{ConfigError, ServerUrl, http};

/// Speaks `/api/v1` with one token. Cheap to clone; clones share their connections.
///
/// Nothing is sent twice: after [`Error::Connection`] or [`Error::Deadline`] the caller decides
/// whether to repeat (enrolments are idempotent for that purpose).
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    server: ServerUrl,
    authorization: HeaderValue,
    deadline: Duration,
}

/// The settings of a [`Client`].
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    server: ServerUrl,
    token: BearerToken,
    ca_file: Option<PathBuf>,
    deadline: Duration,
}

impl Builder {
    /// How long a call takes at most, unless set.
    pub const DEADLINE: Duration = Duration::from_secs(15);

    /// Trusts the certificate authorities in a PEM file, besides the operating system's.
    pub fn ca_file(mut self, path: impl AsRef<Path>) -> Self {
        self.ca_file = Some(path.as_ref().to_owned());
        self
    }

    /// How long one call takes at most, everything together. 15 s unless set.
    pub const fn deadline(mut self, limit: Duration) -> Self {
        self.deadline = limit;
        self
    }

    /// Makes the client. Opens no connection.
    ///
    /// # Errors
    /// [`ConfigError`]: a deadline of zero, or certificates that cannot be loaded.
    pub fn build(self) -> Result<Client, ConfigError> {
        if self.deadline.is_zero() {
            return Err(ConfigError::NoTime);
        }
        let http = http::client(std::slice::from_ref(&self.server), self.ca_file.as_deref())?;
        let header = Zeroizing::new(format!("Bearer {}", self.token.expose()));
        let mut authorization = HeaderValue::from_str(&header).map_err(|_| ConfigError::Token)?;
        // Keeps the token out of logs and out of HTTP/2 compression tables.
        authorization.set_sensitive(true);
        Ok(Client { http, server: self.server, authorization, deadline: self.deadline })
    }
}

impl Client {
    /// The longest answer that is read, in bytes: a full page of the longest list has much less.
    pub const MAX_BYTES: usize = 4 << 20;

    /// Settings for a client of the server at this address, without `/api/v1`, that shows this
    /// token.
    pub const fn builder(server: ServerUrl, token: BearerToken) -> Builder {
        Builder { server, token, ca_file: None, deadline: Builder::DEADLINE }
    }

    /// The server's address.
    #[must_use]
    pub const fn server(&self) -> &ServerUrl {
        &self.server
    }

    async fn get<T: DeserializeOwned>(&self, path: &[&str], query: list::Query) -> Result<T, Error> {
        parse(&self.send(Method::GET, path, query, None).await?)
    }

    async fn post<T: DeserializeOwned>(&self, path: &[&str], body: &impl Serialize) -> Result<T, Error> {
        parse(&self.send(Method::POST, path, list::Query::default(), Some(write(body)?)).await?)
    }

    /// A request that says everything by its address.
    async fn act<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, Error> {
        parse(&self.send(Method::POST, path, list::Query::default(), None).await?)
    }

    async fn patch<T: DeserializeOwned>(&self, path: &[&str], body: &impl Serialize) -> Result<T, Error> {
        parse(&self.send(Method::PATCH, path, list::Query::default(), Some(write(body)?)).await?)
    }

    async fn delete(&self, path: &[&str]) -> Result<(), Error> {
        self.send(Method::DELETE, path, list::Query::default(), None).await.map(drop)
    }

    async fn send(
        &self,
        method: Method,
        path: &[&str],
        query: list::Query,
        body: Option<Vec<u8>>,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        if path.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
            return Err(Error::Unaddressable);
        }
        let prefix = tapkey_api::PREFIX.split('/').filter(|segment| !segment.is_empty());
        let url = self.server.join(prefix.chain(path.iter().copied()), &query.0);
        let mut request = self.http.request(method, url).header(AUTHORIZATION, self.authorization.clone());
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        let exchange = async {
            let response = request.send().await.map_err(connection)?;
            let status = response.status();
            let body = http::body(response, Self::MAX_BYTES).await.map_err(|error| match error {
                http::BodyError::TooLong => Error::TooLong,
                http::BodyError::Broken(error) => Error::Connection(error),
            });
            if status.is_success() { body.map(Zeroizing::new) } else { Err(refusal(status.as_u16(), body)) }
        };
        tokio::time::timeout(self.deadline, exchange).await.map_err(|_| Error::Deadline(self.deadline))?
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.server)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Queries hold names of accounts: no business of whoever reads an error.
fn connection(error: reqwest::Error) -> Error {
    Error::Connection(error.without_url())
}

/// The server's explanation, or the bare status where there is none.
fn refusal(status: u16, body: Result<Vec<u8>, Error>) -> Error {
    match body.ok().and_then(|body| serde_json::from_slice::<Problem>(&body).ok()) {
        Some(problem) => Error::Problem(Box::new(Problem { status, ..problem })),
        None => Error::Status(status),
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    Ok(serde_json::from_slice(body)?)
}

fn write(body: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(body).map_err(Error::Request)
}
