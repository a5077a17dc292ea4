//! Errors, as RFC 9457 problem details.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a request failed (RFC 9457, `application/problem+json`).
#[derive(Clone, Debug, Deserialize, Eq, Error, PartialEq, Serialize)]
#[error("{title} ({code})")]
pub struct Problem {
    /// A URI that names the kind of problem: `urn:tapkey:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in a few words; the same for every problem of one code.
    pub title: String,
    /// The HTTP status, repeated.
    pub status: u16,
    /// What programs branch on.
    pub code: ProblemCode,
    /// What was wrong this time and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The member of the request that is wrong, where it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl Problem {
    /// The media type of a problem.
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// A problem with the title and status of its code.
    #[must_use]
    pub fn new(code: ProblemCode) -> Self {
        Self {
            kind: format!("urn:tapkey:problem:{code}"),
            title: code.title().to_owned(),
            status: code.status(),
            code,
            detail: None,
            field: None,
        }
    }

    /// Says what was wrong this time.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Names the member of the request that is wrong.
    #[must_use]
    pub fn with_field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])+ $name:ident = $text:literal, $status:literal, $title:literal;)+) => {
        /// The kinds of problems. Their texts never change; new ones may come.
        #[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
        #[non_exhaustive]
        pub enum ProblemCode {
            $($(#[$doc])+ #[serde(rename = $text)] $name,)+
            /// A code that this version does not know, from a newer server.
            #[serde(rename = "unknown", other)]
            Unknown,
        }

        impl ProblemCode {
            /// Every code a server of this version answers with.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// As it stands in JSON.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                    Self::Unknown => "unknown",
                }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self {
                    $(Self::$name => $status,)+
                    Self::Unknown => 500,
                }
            }

            /// In a few words.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self {
                    $(Self::$name => $title,)+
                    Self::Unknown => "Unknown problem",
                }
            }
        }
    };
}

codes! {
    /// No bearer token, or one that is unknown, expired or revoked.
    Unauthorized = "unauthorized", 401, "A valid bearer token is needed";
    /// The token's role may not do this.
    Forbidden = "forbidden", 403, "The token's role does not allow this";
    /// No such path.
    NotFound = "not_found", 404, "There is nothing at this address";
    /// The path takes other methods.
    MethodNotAllowed = "method_not_allowed", 405, "This address does not take this method";
    /// The body is not JSON of the expected shape.
    InvalidJson = "invalid_json", 400, "The body is not the expected JSON";
    /// The body is not declared as JSON.
    UnsupportedMediaType = "unsupported_media_type", 415, "The body must be application/json";
    /// The JSON is well formed, but a value in it or in the query is not acceptable.
    InvalidValue = "invalid_value", 422, "A value is not acceptable";
    /// Body, query or headers exceed the server's limits.
    TooLarge = "too_large", 413, "The request is too large";
    /// The request took longer than the server allows.
    RequestTimeout = "request_timeout", 408, "The request took too long";
    /// Too many requests from one source.
    TooManyRequests = "too_many_requests", 429, "Too many requests";
    /// No account with this name.
    AccountNotFound = "account_not_found", 404, "No such account";
    /// An account with this name exists.
    AccountExists = "account_exists", 409, "The account exists already";
    /// The account is disabled.
    AccountDisabled = "account_disabled", 409, "The account is disabled";
    /// The account still owns keys.
    AccountNotEmpty = "account_not_empty", 409, "The account still owns keys";
    /// No key with this id.
    KeyNotFound = "key_not_found", 404, "No such key";
    /// No access code was stored with this key.
    NoAccessCode = "no_access_code", 404, "No access code is stored with this key";
    /// No client with this id.
    ClientNotFound = "client_not_found", 404, "No such client";
    /// No token with this id.
    TokenNotFound = "token_not_found", 404, "No such token";
    /// Revoking this token would leave no administrator.
    LastAdministrator = "last_administrator", 409, "This is the last administrator's token";
    /// No enrolment with this id, or another token's.
    EnrollmentNotFound = "enrollment_not_found", 404, "No such enrolment";
    /// The enrolment was given up.
    EnrollmentAbandoned = "enrollment_abandoned", 409, "The enrolment was abandoned";
    /// The enrolment was not confirmed in time.
    EnrollmentExpired = "enrollment_expired", 409, "The enrolment has expired";
    /// The enrolment was confirmed before, with another password.
    EnrollmentConfirmed = "enrollment_confirmed", 409, "The enrolment is confirmed already";
    /// The request id was used before for a different enrolment.
    RequestIdReused = "request_id_reused", 409, "The request id belongs to another enrolment";
    /// A key or a pending enrolment with this public id exists.
    PublicIdTaken = "public_id_taken", 409, "The public id is taken";
    /// The server's policy takes no software keys.
    SoftwareKeyRefused = "software_key_refused", 403, "Software keys are refused by this server's policy";
    /// The bundle is damaged, cut off, changed, or of another format or version.
    BundleUnreadable = "bundle_unreadable", 422, "The bundle cannot be read";
    /// The bundle is encrypted to another key than this server's.
    BundleForeign = "bundle_foreign", 422, "The bundle is not for this server";
    /// The password is malformed, or was not made with this credential.
    BadOtp = "bad_otp", 422, "The one-time password does not belong to this credential";
    /// The password, or a newer one, was seen before.
    ReplayedOtp = "replayed_otp", 409, "The one-time password was used before";
    /// The store did not do what was asked; whether a password is spent is not known.
    StoreUnavailable = "store_unavailable", 503, "The store is not available";
    /// The server shuts down.
    ShuttingDown = "shutting_down", 503, "The server is shutting down";
    /// A fault of the server's own.
    Internal = "internal", 500, "The server failed";
}

impl fmt::Display for ProblemCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_round_trip_and_new_ones_are_survived() {
        for code in ProblemCode::ALL {
            let json = serde_json::to_string(code).unwrap();
            assert_eq!(json, format!("\"{code}\""));
            assert_eq!(serde_json::from_str::<ProblemCode>(&json).unwrap(), *code);
            assert!((400..=599).contains(&code.status()), "{code}");
        }
        assert_eq!(serde_json::from_str::<ProblemCode>("\"from_the_future\"").unwrap(), ProblemCode::Unknown);
    }

    #[test]
    fn shape() {
        let problem =
            Problem::new(ProblemCode::InvalidValue).with_detail("slot is 1 or 2").with_field("slot");
        assert_eq!(
            serde_json::to_string(&problem).unwrap(),
            "{\"type\":\"urn:tapkey:problem:invalid_value\",\"title\":\"A value is not acceptable\",\
             \"status\":422,\"code\":\"invalid_value\",\"detail\":\"slot is 1 or 2\",\"field\":\"slot\"}"
        );
    }
}
