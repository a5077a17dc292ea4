//! What a validation server can answer.

use std::{fmt, str::FromStr};

use thiserror::Error;

/// The `status` of an answer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Status {
    /// The password is valid and was never seen before.
    Ok,
    /// Malformed, unknown, disabled, or not made with the credential's key.
    BadOtp,
    /// Seen before, or older than one that was.
    ReplayedOtp,
    /// The same request (password and nonce) was answered before.
    ReplayedRequest,
    /// The request's signature is wrong.
    BadSignature,
    /// A parameter is missing or malformed.
    MissingParameter,
    /// No client with this id, or it is switched off.
    NoSuchClient,
    /// The client may not do this.
    OperationNotAllowed,
    /// The server could not decide, for reasons of its own. The password may or may not be spent.
    BackendError,
    /// Too few of the server's peers agreed in time.
    NotEnoughAnswers,
    /// The password was typed too long ago.
    DelayedOtp,
}

impl Status {
    /// Every status, in the order of their definition.
    pub const ALL: [Self; 11] = [
        Self::Ok,
        Self::BadOtp,
        Self::ReplayedOtp,
        Self::ReplayedRequest,
        Self::BadSignature,
        Self::MissingParameter,
        Self::NoSuchClient,
        Self::OperationNotAllowed,
        Self::BackendError,
        Self::NotEnoughAnswers,
        Self::DelayedOtp,
    ];

    /// As it stands in an answer.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::BadOtp => "BAD_OTP",
            Self::ReplayedOtp => "REPLAYED_OTP",
            Self::ReplayedRequest => "REPLAYED_REQUEST",
            Self::BadSignature => "BAD_SIGNATURE",
            Self::MissingParameter => "MISSING_PARAMETER",
            Self::NoSuchClient => "NO_SUCH_CLIENT",
            Self::OperationNotAllowed => "OPERATION_NOT_ALLOWED",
            Self::BackendError => "BACKEND_ERROR",
            Self::NotEnoughAnswers => "NOT_ENOUGH_ANSWERS",
            Self::DelayedOtp => "DELAYED_OTP",
        }
    }

    /// Whether an answer with this status repeats the password and the nonce of its request, so
    /// that a client can tell it from the answer to another request.
    ///
    /// The rest do not: what could not be validated is never written back.
    #[must_use]
    pub const fn echoes(self) -> bool {
        matches!(
            self,
            Self::Ok | Self::ReplayedOtp | Self::ReplayedRequest | Self::NotEnoughAnswers | Self::DelayedOtp
        )
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or(UnknownStatus)
    }
}

/// A status that the protocol does not define.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("the server answered with a status that the protocol does not define")]
pub struct UnknownStatus;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_round_trips_and_case_counts() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(status.as_str().to_lowercase().parse::<Status>(), Err(UnknownStatus));
        }
    }
}
