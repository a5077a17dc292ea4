//! `tapkey admin`: accounts, keys, clients, tokens, enrolments and the audit trail of a server,
//! always over HTTP with a token.

mod accounts;
mod audit;
mod clients;
mod enrollments;
mod import;
mod keys;
mod tokens;

use clap::Subcommand;
use serde::Serialize;
use tapkey_api::{ProblemCode, Timestamp};
use tapkey_client::api::{Client, Error};

use super::Context;
use crate::{
    config::Settings,
    exit::{Exit, Failure},
    server,
};

/// Everything `tapkey admin` does.
#[derive(Debug, Subcommand)]
#[command(after_help = "The token comes from --token-file, from TAPKEY_TOKEN or from your settings. \
The first administrator's token is in the file that `tapkey serve` named on its first start.")]
pub(crate) enum Command {
    /// What the server is and holds.
    Status,
    /// Accounts: who owns keys.
    #[command(subcommand)]
    Accounts(accounts::Command),
    /// Keys that were enrolled.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Clients of the validation protocol: programs that ask about passwords.
    #[command(subcommand)]
    Clients(clients::Command),
    /// Tokens that open this interface.
    #[command(subcommand)]
    Tokens(tokens::Command),
    /// Enrolments that are under way.
    #[command(subcommand)]
    Enrollments(enrollments::Command),
    /// Print the public key that provisioning stations encrypt their bundles to.
    BundleKey,
    /// Import the keys that a provisioning station programmed without a server.
    Import(import::Args),
    /// What happened: who did what, and when.
    Audit(audit::Args),
}

/// Runs it.
pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    let settings = context.settings()?;
    let client = connect(context, &settings)?;
    super::block_on(async {
        match command {
            Command::Status => audit::status(&client, context).await,
            Command::Accounts(command) => accounts::run(command, &client, context).await,
            Command::Keys(command) => keys::run(command, &client, context).await,
            Command::Clients(command) => clients::run(command, &client, context).await,
            Command::Tokens(command) => tokens::run(command, &client, context).await,
            Command::Enrollments(command) => enrollments::run(command, &client, context).await,
            Command::BundleKey => import::bundle_key(&client, context).await,
            Command::Import(args) => import::run(args, &client, context).await,
            Command::Audit(args) => audit::run(args, &client, context).await,
        }
    })
}

/// A client of the chosen server with the chosen token.
pub(crate) fn connect(context: &Context, settings: &Settings) -> Result<Client, Failure> {
    let target = server::target(&context.global, settings)?;
    let token = server::token(&context.global, settings)?;
    let token =
        token.parse().map_err(|error| Failure::usage(format!("the API token cannot be used: {error}")))?;
    let mut builder = Client::builder(target.url, token);
    if let Some(file) = &target.ca_file {
        builder = builder.ca_file(file);
    }
    builder.build().map_err(|error| Failure::usage(error.to_string()))
}

/// What a failed call means for the exit code, and what to do.
#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
pub(crate) fn refused(error: Error) -> Failure {
    if error.is_unreachable() {
        return Failure::new(Exit::Unreachable, error.to_string())
            .hint("is the server running, and is its address right?");
    }
    let exit = if error.problem().is_some() { Exit::Rejected } else { Exit::Failed };
    let failure = Failure::new(exit, error.to_string());
    match advice(error.code()) {
        Some(advice) => failure.hint(advice),
        None => failure,
    }
}

/// What to do about a refusal, where anything can be done.
pub(crate) const fn advice(code: Option<ProblemCode>) -> Option<&'static str> {
    match code {
        Some(ProblemCode::Unauthorized) => Some("the token is wrong, expired or revoked; use another"),
        Some(ProblemCode::Forbidden) => {
            Some("use a token with more rights; an administrator makes one with `tapkey admin tokens create`")
        }
        Some(ProblemCode::AccountNotFound) => Some("`tapkey admin accounts create NAME` creates one"),
        Some(ProblemCode::AccountNotEmpty) => {
            Some("delete or move its keys first: `tapkey admin keys list --account NAME`")
        }
        Some(ProblemCode::SoftwareKeyRefused) => Some(
            "a server takes software keys only if its settings say so; they prove nothing about who holds them",
        ),
        Some(ProblemCode::BundleForeign) => Some(
            "`tapkey admin bundle-key` prints the key that this server can open; keys of another server's \
                  bundle have to be imported there, or programmed anew",
        ),
        Some(ProblemCode::TooManyRequests) => Some("wait a little and try again"),
        _ => None,
    }
}

/// A list, as its JSON document.
#[derive(Serialize)]
struct Items<T> {
    items: Vec<T>,
}

/// Something that is gone.
#[derive(Serialize)]
struct Gone {
    deleted: String,
}

fn gone(context: &Context, what: &str, id: &str) -> Result<(), Failure> {
    context.printer.result("deleted/1", &Gone { deleted: id.to_owned() }, |_| format!("{what} {id} is gone"))
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%SZ").to_string()
}

fn optional(text: Option<&str>) -> String {
    text.unwrap_or("-").to_owned()
}

const fn state(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}
