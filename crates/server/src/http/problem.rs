//! Errors of the JSON interface.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use tapkey_api::{Problem, ProblemCode};
use tapkey_domain::{enrol::EnrolError, name::NameError, policy::PolicyError};

use crate::{random::RandomError, store::StoreError};

/// A problem on its way out.
#[derive(Debug)]
pub(super) struct Failure(Problem);

/// What a handler of the JSON interface returns.
pub(super) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(super) fn new(code: ProblemCode) -> Self {
        Self(Problem::new(code))
    }

    pub(super) fn detail(self, detail: impl Into<String>) -> Self {
        Self(self.0.with_detail(detail))
    }

    pub(super) fn field(self, field: &str) -> Self {
        Self(self.0.with_field(field))
    }

    /// A value that is not acceptable, and why.
    pub(super) fn value(field: &str, error: impl std::fmt::Display) -> Self {
        Self::new(ProblemCode::InvalidValue).detail(error.to_string()).field(field)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self.0).unwrap_or_default();
        let mut response = (status, body).into_response();
        let media_type = HeaderValue::from_static(Problem::MEDIA_TYPE);
        response.headers_mut().insert(header::CONTENT_TYPE, media_type);
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// The answer to a request that is too large.
pub(super) fn too_large(detail: &str) -> Response {
    Failure::new(ProblemCode::TooLarge).detail(detail).into_response()
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        if error.is_fault() {
            // What exactly failed is for the administrator's log, not for the caller.
            tracing::error!(%error, "the store failed");
            let code = match error {
                StoreError::Vault(_) | StoreError::Corrupt(_) => ProblemCode::Internal,
                _ => ProblemCode::StoreUnavailable,
            };
            return Self::new(code).detail("the server's log says more");
        }
        let code = match &error {
            StoreError::AccountNotFound => ProblemCode::AccountNotFound,
            StoreError::AccountExists => ProblemCode::AccountExists,
            StoreError::AccountDisabled => ProblemCode::AccountDisabled,
            StoreError::AccountNotEmpty => ProblemCode::AccountNotEmpty,
            StoreError::KeyNotFound => ProblemCode::KeyNotFound,
            StoreError::NoAccessCode => ProblemCode::NoAccessCode,
            StoreError::ClientNotFound => ProblemCode::ClientNotFound,
            StoreError::TokenNotFound => ProblemCode::TokenNotFound,
            StoreError::LastAdministrator => ProblemCode::LastAdministrator,
            StoreError::PublicIdTaken | StoreError::PublicIdPending(_) => ProblemCode::PublicIdTaken,
            StoreError::RequestIdReused => ProblemCode::RequestIdReused,
            StoreError::BadCursor => return Self::value("after", error),
            StoreError::Enrol(error) => enrol_code(*error),
            _ => ProblemCode::Internal,
        };
        Self::new(code).detail(error.to_string())
    }
}

const fn enrol_code(error: EnrolError) -> ProblemCode {
    match error {
        EnrolError::NotFound => ProblemCode::EnrollmentNotFound,
        EnrolError::Abandoned => ProblemCode::EnrollmentAbandoned,
        EnrolError::Expired => ProblemCode::EnrollmentExpired,
        EnrolError::Confirmed => ProblemCode::EnrollmentConfirmed,
        EnrolError::OtherPublicId | EnrolError::BadOtp => ProblemCode::BadOtp,
        EnrolError::ReplayedOtp => ProblemCode::ReplayedOtp,
        _ => ProblemCode::Internal,
    }
}

impl From<RandomError> for Failure {
    fn from(error: RandomError) -> Self {
        StoreError::from(error).into()
    }
}

impl From<PolicyError> for Failure {
    fn from(error: PolicyError) -> Self {
        Self::new(ProblemCode::SoftwareKeyRefused).detail(error.to_string())
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        let field = match error {
            NameError::AccountName => "account",
            NameError::Label => "label",
            NameError::RequestId => "request_id",
            NameError::Firmware => "firmware",
            NameError::PublicId => "public_id",
            NameError::Slot => "slot",
            _ => return Self::new(ProblemCode::InvalidValue).detail(error.to_string()),
        };
        Self::value(field, error)
    }
}
