//! What goes wrong between a client and `/api/v1`.

use std::{fmt, time::Duration};

use tapkey_api::{Problem, ProblemCode};
use thiserror::Error;

use crate::validation::Causes;

/// A call that gave no result.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// No connection, no TLS, or the connection broke. Whether the server acted is not known.
    #[error("cannot reach the server: {}", Causes(.0))]
    Connection(reqwest::Error),
    /// The time was up. Whether the server acted is not known.
    #[error("the server did not answer within {} s", .0.as_secs_f32())]
    Deadline(Duration),
    /// The server refused, and says why.
    #[error("{}", Refusal(.0))]
    Problem(Box<Problem>),
    /// An HTTP status without an explanation: a proxy, or another server altogether.
    #[error(
        "the server answered HTTP status {0} without an explanation; is this the address of a Tapkey server?"
    )]
    Status(u16),
    /// The answer is longer than any of this interface.
    #[error("the answer is longer than {} bytes", super::Client::MAX_BYTES)]
    TooLong,
    /// The answer is not what this interface answers. Only the place is told, since the answer may
    /// hold secrets.
    #[error(
        "the answer is not the expected JSON (line {line}, column {column}); is this the address of a Tapkey server?"
    )]
    Malformed {
        /// Line of the answer, from 1.
        line: usize,
        /// Column in that line, from 1.
        column: usize,
    },
    /// A list whose next page is the same page again.
    #[error("the server's list has no end: its next page is the same page again")]
    EndlessList,
    /// A name or an id that cannot stand in an address.
    #[error("an empty name, \".\" and \"..\" cannot stand in an address")]
    Unaddressable,
    /// The request cannot be written as JSON.
    #[error("the request cannot be written as JSON: {0}")]
    Request(serde_json::Error),
}

impl Error {
    /// The server could not be reached, did not answer in time, or cannot work now: trying again
    /// later may help.
    #[must_use]
    pub const fn is_unreachable(&self) -> bool {
        match self {
            Self::Connection(_) | Self::Deadline(_) => true,
            Self::Status(status) => matches!(*status, 502..=504),
            Self::Problem(problem) => problem.status == 503,
            _ => false,
        }
    }

    /// The server refused, and says why.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) => Some(problem),
            _ => None,
        }
    }

    /// What to branch on when the server refused.
    #[must_use]
    pub fn code(&self) -> Option<ProblemCode> {
        self.problem().map(|problem| problem.code)
    }

    /// The HTTP status, where there was one that is no success.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            Self::Status(status) => Some(*status),
            _ => None,
        }
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Self::Malformed { line: error.line(), column: error.column() }
    }
}

/// A problem with everything it says, in one line.
struct Refusal<'a>(&'a Problem);

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Problem { title, code, detail, field, .. } = self.0;
        f.write_str(title)?;
        if let Some(detail) = detail {
            write!(f, ": {detail}")?;
        }
        match field {
            Some(field) => write!(f, " ({code}, {field})"),
            None => write!(f, " ({code})"),
        }
    }
}
