//! `tapkey admin clients`.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;
use tapkey_api::{
    Timestamp,
    clients::{Client as Registered, ClientCreated, CreateClient},
};
use tapkey_client::api::{Client, every_page};

use super::{Items, gone, optional, refused, state, time};
use crate::{commands::Context, exit::Failure, output, prompt, secrets};

/// What can be done with clients of the validation protocol.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List all clients.
    List,
    /// Create a client and show its API key, this once.
    Create {
        /// What people call it.
        #[arg(long, value_name = "TEXT")]
        label: Option<String>,
        /// Write the API key into this new file (mode 0600) instead of showing it.
        #[arg(long, short = 'O', value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Answer a client again.
    Enable {
        /// Its number.
        id: u64,
    },
    /// Stop answering a client.
    Disable {
        /// Its number.
        id: u64,
    },
    /// Delete a client; its number is never given again.
    Delete {
        /// Its number.
        id: u64,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
}

pub(super) async fn run(command: Command, client: &Client, context: &Context) -> Result<(), Failure> {
    let changed = match command {
        Command::List => return list(client, context).await,
        Command::Create { label, output } => return create(label, output, client, context).await,
        Command::Delete { id, yes } => {
            if !yes {
                prompt::confirm(
                    &format!("Delete the client {id}? Programs that use it will be refused."),
                    "--yes",
                )?;
            }
            client.delete_client(id).await.map_err(refused)?;
            return gone(context, "client", &id.to_string());
        }
        Command::Enable { id } => client.enable_client(id).await,
        Command::Disable { id } => client.disable_client(id).await,
    };
    context.printer.result("client/1", &changed.map_err(refused)?, |client| {
        output::fields(&[
            ("client", client.id.to_string()),
            ("label", optional(client.label.as_deref())),
            ("state", state(client.enabled).to_owned()),
            ("created", time(client.created_at)),
        ])
    })
}

/// The document of a new client; the API key is in it, or in the file.
#[derive(Serialize)]
struct Created<'a> {
    id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_key_file: Option<String>,
    created_at: Timestamp,
}

async fn create(
    label: Option<String>,
    file: Option<PathBuf>,
    client: &Client,
    context: &Context,
) -> Result<(), Failure> {
    let place = file.as_deref().map(secrets::NewFile::create).transpose()?;
    let made: ClientCreated = client.create_client(&CreateClient { label }).await.map_err(refused)?;
    let written = place.map(|place| place.write(made.api_key.expose())).transpose()?;
    let created = Created {
        id: made.id,
        label: made.label.as_deref(),
        api_key: written.is_none().then(|| made.api_key.expose()),
        api_key_file: written.map(|path| path.display().to_string()),
        created_at: made.created_at,
    };
    context.printer.result("client-created/1", &created, |created| {
        let key = match (created.api_key, &created.api_key_file) {
            (Some(key), _) => key.to_owned(),
            (None, file) => format!("in {}", file.as_deref().unwrap_or_default()),
        };
        output::fields(&[
            ("client", created.id.to_string()),
            ("label", optional(created.label)),
            ("API key", key),
        ])
    })?;
    if file.is_none() {
        context.printer.say("Keep the API key now: it is not shown again.");
    }
    Ok(())
}

async fn list(client: &Client, context: &Context) -> Result<(), Failure> {
    let items: Vec<Registered> = every_page(|page| client.clients(page)).await.map_err(refused)?;
    context.printer.result("clients/1", &Items { items }, |list| {
        let rows: Vec<_> = list
            .items
            .iter()
            .map(|client| {
                [
                    client.id.to_string(),
                    optional(client.label.as_deref()),
                    state(client.enabled).to_owned(),
                    time(client.created_at),
                ]
            })
            .collect();
        output::table(["CLIENT", "LABEL", "STATE", "CREATED"], &rows)
    })
}
