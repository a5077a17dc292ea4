//! The server, as an enrolment sees it.

use std::future::Future;

use tapkey_api::{
    ProblemCode,
    enrollments::{CreateEnrollment, Enrollment, EnrollmentSecrets},
    keys::Key,
};
use thiserror::Error;

/// The part of `/api/v1` that an enrolment needs.
pub trait EnrolmentServer: Sync {
    /// Which server this is, for the journal: the same text for the same server.
    fn address(&self) -> String;

    /// Creates a pending credential, or returns the one of the same request id again.
    fn create(
        &self,
        request: &CreateEnrollment,
    ) -> impl Future<Output = Result<EnrollmentSecrets, ServerError>> + Send;

    /// Where an enrolment stands.
    fn state(&self, id: &str) -> impl Future<Output = Result<Enrollment, ServerError>> + Send;

    /// Proves that the key holds the credential.
    fn confirm(&self, id: &str, password: &str) -> impl Future<Output = Result<Key, ServerError>> + Send;

    /// Gives an enrolment up.
    fn abandon(&self, id: &str) -> impl Future<Output = Result<(), ServerError>> + Send;

    /// The key that an enrolment became.
    fn key(&self, id: &str) -> impl Future<Output = Result<Key, ServerError>> + Send;
}

/// Why the server did not do as asked.
#[derive(Debug, Error)]
#[error("{source}")]
pub struct ServerError {
    /// What the server said, where it said something; without it, whether the request was carried
    /// out is not known.
    pub code: Option<ProblemCode>,
    /// What the client said.
    pub source: Box<dyn std::error::Error + Send + Sync>,
}
