//! `tapkey admin audit` and `tapkey admin status`.

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_api::{Timestamp, audit::Event, status::Counts};
use tapkey_client::api::{AuditFilter, Client, PageRequest};

use super::{optional, refused, time};
use crate::{commands::Context, exit::Failure, output};

/// Options of `tapkey admin audit`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Args {
    /// Only events of this kind, for example key.disabled.
    #[arg(long, value_name = "NAME")]
    action: Option<String>,

    /// Only what was done to or for this account.
    #[arg(long, value_name = "NAME")]
    account: Option<String>,

    /// Only what was done to the key with this id.
    #[arg(long, value_name = "ID")]
    key: Option<String>,

    /// Only what this actor did.
    #[arg(long, value_name = "NAME")]
    actor: Option<String>,

    /// Not before this time, for example 2030-01-01T00:00:00Z.
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,

    /// Before this time.
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,

    /// At most so many, newest first.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: u32,

    /// Events older than these: the `next` of the answer before.
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
}

#[derive(Serialize)]
struct Trail {
    items: Vec<Event>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

pub(super) async fn run(args: Args, client: &Client, context: &Context) -> Result<(), Failure> {
    let filter = AuditFilter {
        action: args.action,
        account: args.account,
        key: args.key,
        actor: args.actor,
        since: args.since,
        until: args.until,
    };
    let request = PageRequest { limit: Some(args.limit), after: args.after };
    let page = client.audit(filter, request).await.map_err(refused)?;
    let next = page.next.clone();
    context.printer.result("audit/1", &Trail { items: page.items, next: page.next }, |trail| {
        let rows: Vec<_> = trail.items.iter().map(row).collect();
        output::table(["WHEN", "ACTION", "ACTOR", "ACCOUNT", "SUBJECT"], &rows)
    })?;
    if let Some(next) = next.filter(|_| !context.printer.is_json()) {
        context.printer.say(format!("There is more: add --after {next}"));
    }
    Ok(())
}

fn row(event: &Event) -> [String; 5] {
    let subject = event.subject.as_deref().or(event.key.as_deref()).or(event.detail.as_deref());
    [
        time(event.at),
        event.action.clone(),
        event.actor.clone(),
        optional(event.account.as_deref()),
        optional(subject),
    ]
}

/// The server's status; `schema` names the shape of our documents, so the store's has another name.
#[derive(Serialize)]
struct ServerStatus {
    version: String,
    store: String,
    store_schema: u32,
    accepts_emulated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<Counts>,
}

pub(super) async fn status(client: &Client, context: &Context) -> Result<(), Failure> {
    let status = client.status().await.map_err(refused)?;
    let status = ServerStatus {
        version: status.version,
        store: status.store,
        store_schema: status.schema,
        accepts_emulated: status.accepts_emulated,
        counts: status.counts,
    };
    context.printer.result("server-status/1", &status, |status| {
        let mut rows = vec![
            ("version", status.version.clone()),
            ("store", format!("{}, schema {}", status.store, status.store_schema)),
            ("takes software keys", output::yes_no(status.accepts_emulated).to_owned()),
        ];
        if let Some(counts) = status.counts {
            rows.extend([
                ("accounts", counts.accounts.to_string()),
                ("keys", counts.keys.to_string()),
                ("clients", counts.clients.to_string()),
                ("tokens", counts.tokens.to_string()),
                ("pending enrolments", counts.pending_enrollments.to_string()),
            ]);
        }
        output::fields(&rows)
    })
}
