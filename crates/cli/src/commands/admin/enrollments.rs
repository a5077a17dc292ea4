//! `tapkey admin enrollments`.

use clap::Subcommand;
use tapkey_api::{ProblemCode, enrollments::EnrollmentState};
use tapkey_client::api::Client;

use super::{gone, optional, refused, time};
use crate::{
    commands::Context,
    exit::{Exit, Failure},
    output, prompt,
};

/// What can be done with enrolments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show where an enrolment stands.
    Show {
        /// Its id.
        id: String,
    },
    /// Activate pending credentials with passwords that their keys type, one on each line of standard input.
    ///
    /// The password itself says which credential is meant, so any number of keys can be plugged in and
    /// touched one after the other. An empty line or the end of the input ends it.
    Confirm,
    /// Show the access code that was drawn for an enrolment, also when it never became a key; this is audited.
    AccessCode {
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
        Command::Confirm => confirm(client, context).await,
        Command::AccessCode { id } => {
            let code = client.enrollment_access_code(&id).await.map_err(refused)?;
            context.printer.result("access-code/1", &code, |code| code.access_code.expose().to_owned())
        }
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

/// One password after the other; the first refusal that has nothing to do with the password ends it.
async fn confirm(client: &Client, context: &Context) -> Result<(), Failure> {
    let mut refused_ones = 0_u32;
    loop {
        if prompt::possible() {
            context.printer.say("Touch a key whose credential is pending; Enter alone ends.");
        }
        let Some(line) = prompt::read_line()?.filter(|line| !line.trim().is_empty()) else { break };
        match client.confirm_by_password(line.trim()).await {
            Ok(key) => context.printer.result("key/1", &key, |key| {
                format!("{} {} of {}", output::good("active"), key.public_id, key.account)
            })?,
            Err(error) if is_about_the_password(error.code()) => {
                refused_ones += 1;
                context.printer.warn(error.to_string());
            }
            Err(error) => return Err(refused(error)),
        }
    }
    match refused_ones {
        0 => Ok(()),
        count => Err(Failure::new(Exit::Rejected, format!("{count} passwords confirmed nothing"))),
    }
}

const fn is_about_the_password(code: Option<ProblemCode>) -> bool {
    matches!(
        code,
        Some(
            ProblemCode::BadOtp
                | ProblemCode::ReplayedOtp
                | ProblemCode::EnrollmentNotFound
                | ProblemCode::EnrollmentConfirmed
                | ProblemCode::EnrollmentAbandoned
                | ProblemCode::EnrollmentExpired
                | ProblemCode::AccountDisabled
        )
    )
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
