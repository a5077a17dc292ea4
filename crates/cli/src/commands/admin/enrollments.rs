//! `tapkey admin enrollments`.

use clap::Subcommand;
use tapkey_api::enrollments::EnrollmentState;
use tapkey_client::api::Client;

use super::{gone, optional, refused, time};
use crate::{commands::Context, exit::Failure, output};

/// What can be done with enrolments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show where an enrolment stands.
    Show {
        /// Its id.
        id: String,
    },
    /// Give a pending enrolment up; its credential will never validate.
    Abandon {
        /// Its id.
        id: String,
    },
}

pub(super) async fn run(command: Command, client: &Client, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Abandon { id } => {
            client.abandon_enrollment(&id).await.map_err(refused)?;
            gone(context, "enrolment", &id)
        }
        Command::Show { id } => {
            let enrollment = client.enrollment(&id).await.map_err(refused)?;
            context.printer.result("enrollment/1", &enrollment, |enrollment| {
                output::fields(&[
                    ("enrolment", enrollment.id.clone()),
                    ("state", word(enrollment.state).to_owned()),
                    ("account", enrollment.account.clone()),
                    ("public id", enrollment.public_id.clone()),
                    ("slot", enrollment.slot.to_string()),
                    ("key", optional(enrollment.key_id.as_deref())),
                    ("created", time(enrollment.created_at)),
                    ("expires", time(enrollment.expires_at)),
                ])
            })
        }
    }
}

const fn word(state: EnrollmentState) -> &'static str {
    match state {
        EnrollmentState::Pending => "pending",
        EnrollmentState::Active => "active",
        EnrollmentState::Abandoned => "abandoned",
        EnrollmentState::Expired => "expired",
        _ => "unknown to this version",
    }
}
