//! A Tapkey server over HTTP, as an enrolment sees it.

use tapkey_api::{
    enrollments::{CreateEnrollment, Enrollment, EnrollmentSecrets},
    keys::Key,
};
use tapkey_client::api::{Client, Error};

use crate::enrolment::{EnrolmentServer, ServerError};

impl EnrolmentServer for Client {
    fn address(&self) -> String {
        self.server().to_string()
    }

    async fn create(&self, request: &CreateEnrollment) -> Result<EnrollmentSecrets, ServerError> {
        self.create_enrollment(request).await.map_err(ServerError::from)
    }

    async fn state(&self, id: &str) -> Result<Enrollment, ServerError> {
        self.enrollment(id).await.map_err(ServerError::from)
    }

    async fn confirm(&self, id: &str, password: &str) -> Result<Key, ServerError> {
        self.confirm_enrollment(id, password).await.map_err(ServerError::from)
    }

    async fn abandon(&self, id: &str) -> Result<(), ServerError> {
        self.abandon_enrollment(id).await.map_err(ServerError::from)
    }

    async fn key(&self, id: &str) -> Result<Key, ServerError> {
        Self::key(self, id).await.map_err(ServerError::from)
    }
}

impl From<Error> for ServerError {
    fn from(error: Error) -> Self {
        Self { code: error.code(), source: Box::new(error) }
    }
}
