//! Enrolment of one key.

mod error;
mod journal;
mod plan;
mod port;
mod run;
mod server;

pub use error::EnrolError;
pub use journal::{Journal, JournalError};
pub use plan::{Event, Plan, PublicIdChoice};
pub use port::{Credential, KeyError, KeyFacts, KeyPort, TouchError, TouchPort};
pub use run::{Enrolled, enrol};
pub use server::{EnrolmentServer, ServerError};
