//! Enrolment of one key.

mod error;
mod journal;
mod plan;
mod port;
mod run;
mod server;

pub use error::EnrolError;
pub(crate) use journal::number;
pub use journal::{Journal, JournalError};
pub use plan::{Event, Plan, PublicIdChoice};
pub use port::{Credential, KeyError, KeyFacts, KeyPort, TouchError, TouchPort};
pub use run::{Enrolled, Programmed, enrol, enrol_pending};
pub(crate) use run::{Port, TRIES, confirm_on, enrol_on, enrol_pending_on};
pub use server::{EnrolmentServer, ServerError};
