//! Asking validation servers about one-time passwords (Yubico's validation protocol, version 2.0).
//!
//! [`Client::verify`] sends one request, with one nonce, to one or more servers and returns a
//! [`Verdict`]: an answer that was signed with the API key, belongs to this request and repeats its
//! password. Nothing else becomes a verdict. There is no unsigned mode: an API key is required.
//!
//! **Several servers** are hedged: the first is asked at once, each further one after a short delay
//! or as soon as another failed. The first answer *about the password* wins: `OK`, `BAD_OTP`,
//! `REPLAYED_OTP` or `DELAYED_OTP`. The other statuses say something about a server or about the
//! request, so they are kept and the remaining servers still get their chance:
//!
//! | status | why others are waited for |
//! |---|---|
//! | `REPLAYED_REQUEST` | servers that share their counters see one request several times; one of them says `OK` |
//! | `BACKEND_ERROR`, `NOT_ENOUGH_ANSWERS` | this server could not decide, another may |
//! | `BAD_SIGNATURE`, `MISSING_PARAMETER`, `NO_SUCH_CLIENT`, `OPERATION_NOT_ALLOWED` | this server is set up differently |
//!
//! If no server says anything about the password, the kept answer becomes the verdict, and is a
//! refusal. An answer that cannot be believed counts as a failure of its server, is logged as a
//! warning, and never ends the question for the others.
//!
//! **What is refused**: no signature; a wrong one, or one made with the empty key; another nonce or
//! password, or none where the status must repeat them; a name that stands twice; an unknown status
//! or none; bodies above 8 KiB; every HTTP status but 200, whatever the body says; redirects.
//! **What is accepted** beyond the letter of the protocol: lines that end in LF alone, and
//! additional lines, as long as the signature covers them. The content type is not looked at,
//! because it is not signed.
//!
//! **Spelling**: the password is sent in lower-case modhex, however it was typed (upper case, or a
//! US Dvorak layout), so that every server repeats it byte for byte.

#[cfg(feature = "blocking")]
pub mod blocking;
mod builder;
mod error;
mod hedge;

use std::fmt;

pub use builder::Builder;
pub(crate) use error::Causes;
pub use error::{Error, FailureCause, Failures, ServerFailure};
use hedge::{Outcome, Reply};
use tapkey_protocol::otp::{Otp, typed};
pub use tapkey_protocol::validation::{ApiKey, ClientId, Distrust, Status, SyncLevel, TokenTimes, Verdict};
use tapkey_protocol::validation::{Nonce, Request, Response, ResponseError};

use crate::{ServerUrl, http};

/// Asks validation servers. Cheap to clone; clones share their connections.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use tapkey_client::validation::{Client, Status};
///
/// let client = Client::builder("42".parse()?, std::env::var("TAPKEY_API_KEY")?.parse()?)
///     .server("https://otp1.example.org/wsapi/2.0/verify".parse()?)
///     .server("https://otp2.example.org/wsapi/2.0/verify".parse()?)
///     .build()?;
/// match client.verify("vvccccbdefghdvgtiblfkbgturecfllberrvkinnctnn").await {
///     Ok(verdict) if verdict.is_valid() => println!("welcome"),
///     Ok(verdict) if verdict.status() == Status::ReplayedOtp => println!("this one was used before"),
///     Ok(verdict) => println!("refused: {}", verdict.status()),
///     Err(error) if error.is_unreachable() => println!("cannot ask now: {error}"),
///     Err(error) => println!("check the settings: {error}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    settings: Builder,
}

impl Client {
    /// Settings for a client of this id, which signs and checks with this key. At least one
    /// [`server`](Builder::server) must be added.
    pub const fn builder(client: ClientId, key: ApiKey) -> Builder {
        Builder::new(client, key)
    }

    /// Asks about a password as it was typed; see [`typed::parse`] for the spellings taken.
    ///
    /// Takes as long as the [deadline](Builder::deadline) at most. Dropping the future drops the
    /// connections; a server may still have spent the password.
    ///
    /// # Errors
    /// [`Error`]: there is no verdict, and nothing is known about the password.
    pub async fn verify(&self, otp: &str) -> Result<Verdict, Error> {
        let (otp, _) = typed::parse(otp)?;
        self.verify_otp(&otp).await
    }

    /// Asks about a password that was already parsed.
    ///
    /// # Errors
    /// As [`Client::verify`].
    pub async fn verify_otp(&self, otp: &Otp) -> Result<Verdict, Error> {
        let request = self.request(otp)?;
        let query = request.to_query(Some(&self.settings.key));
        let servers = &self.settings.servers;
        let (request, query) = (&request, query.as_str());
        let outcome = hedge::ask(self.settings.plan, servers.len(), |index| async move {
            let Some(server) = servers.get(index) else {
                return Reply::Failed { cause: FailureCause::TooSlow, again: false };
            };
            match self.ask(server, request, query).await {
                Ok(verdict) if is_about_the_password(verdict.status()) => Reply::Definite(verdict),
                Ok(verdict) => Reply::Undecided(verdict),
                Err(cause) => {
                    tracing::warn!(%server, %cause, "a validation server gave no usable answer");
                    Reply::Failed { again: !cause.is_an_answer(), cause }
                }
            }
        })
        .await;
        self.conclude(outcome)
    }

    /// The servers, in the order in which they are asked.
    #[must_use]
    pub fn servers(&self) -> &[ServerUrl] {
        &self.settings.servers
    }

    fn request(&self, otp: &Otp) -> Result<Request, Error> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(Error::Random)?;
        let mut request = Request::new(self.settings.client, &otp.to_string(), Nonce::from_random(random))?;
        request.timestamp = self.settings.timestamp;
        request.sync_level = self.settings.sync_level;
        request.timeout = self.settings.server_timeout;
        Ok(request)
    }

    /// One attempt at one server. Errors never carry the address with its query: the password is in
    /// there.
    async fn ask(&self, server: &ServerUrl, request: &Request, query: &str) -> Result<Verdict, FailureCause> {
        let connection = |error: reqwest::Error| FailureCause::Connection(error.without_url());
        let response = self.http.get(server.with_query(query)).send().await.map_err(connection)?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(FailureCause::HttpStatus(status));
        }
        let body = http::body(response, Response::MAX_BYTES).await.map_err(|error| match error {
            http::BodyError::TooLong => FailureCause::Malformed(ResponseError::TooLong),
            http::BodyError::Broken(error) => FailureCause::Connection(error),
        })?;
        Ok(Response::parse(&body)?.authenticate(request, &self.settings.key)?)
    }

    fn conclude(&self, outcome: Outcome<Verdict, FailureCause>) -> Result<Verdict, Error> {
        if let Some(verdict) = outcome.definite {
            return Ok(verdict);
        }
        if let Some(verdict) = outcome.undecided.into_iter().min_by_key(|verdict| rank(verdict.status())) {
            return Ok(verdict);
        }
        let failures = outcome.failures.into_iter().filter_map(|(index, attempt, cause)| {
            let server = self.settings.servers.get(index)?.clone();
            Some(ServerFailure { server, attempt, cause: cause.unwrap_or(FailureCause::TooSlow) })
        });
        let failures = Failures(failures.collect());
        if outcome.out_of_time {
            Err(Error::Deadline { limit: self.settings.plan.deadline, failures })
        } else if failures.any_distrusted() {
            Err(Error::Distrusted(failures))
        } else {
            Err(Error::Unreachable(failures))
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Whether a status is about the password, and not about a server or the request.
const fn is_about_the_password(status: Status) -> bool {
    matches!(status, Status::Ok | Status::BadOtp | Status::ReplayedOtp | Status::DelayedOtp)
}

/// Which of several undecided answers tells the caller most: lowest first. A repetition means that
/// some server has decided, so it stands before those that could not.
const fn rank(status: Status) -> u8 {
    match status {
        Status::ReplayedRequest => 0,
        Status::NotEnoughAnswers => 1,
        Status::BackendError => 2,
        _ => 3,
    }
}
