//! `tapkey admin tokens`.

use std::path::PathBuf;

use clap::Subcommand;
use serde::Serialize;
use tapkey_api::{
    Timestamp,
    tokens::{CreateToken, Role, Token, TokenCreated},
};
use tapkey_client::api::{Client, every_page};

use super::{Items, gone, optional, refused, time};
use crate::{commands::Context, exit::Failure, output, prompt, secrets};

/// What can be done with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List all tokens; the tokens themselves cannot be shown again.
    List,
    /// Create a token and show it, this once.
    Create {
        /// What it may do: application (verify), enroller (create and confirm enrolments) or admin.
        #[arg(long)]
        role: Role,
        /// What people call it.
        #[arg(long, value_name = "TEXT")]
        label: Option<String>,
        /// Until when it works, for example 2030-01-01T00:00:00Z.
        #[arg(long, value_name = "TIME")]
        expires: Option<Timestamp>,
        /// Write the token into this new file (mode 0600) instead of showing it.
        #[arg(long, short = 'O', value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Revoke a token, at once.
    Revoke {
        /// Its id.
        id: String,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
}

pub(super) async fn run(command: Command, client: &Client, context: &Context) -> Result<(), Failure> {
    match command {
        Command::List => list(client, context).await,
        Command::Create { role, label, expires, output } => {
            create(CreateToken { role, label, expires_at: expires }, output, client, context).await
        }
        Command::Revoke { id, yes } => {
            if !yes {
                prompt::confirm(
                    &format!("Revoke the token {id}? Programs that use it will be refused."),
                    "--yes",
                )?;
            }
            client.revoke_token(&id).await.map_err(refused)?;
            gone(context, "token", &id)
        }
    }
}

/// The document of a new token; the token itself is in it, or in the file.
#[derive(Serialize)]
struct Created<'a> {
    id: &'a str,
    role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token_file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
}

async fn create(
    request: CreateToken,
    file: Option<PathBuf>,
    client: &Client,
    context: &Context,
) -> Result<(), Failure> {
    let place = file.as_deref().map(secrets::NewFile::create).transpose()?;
    let made: TokenCreated = client.create_token(&request).await.map_err(refused)?;
    let written = place.map(|place| place.write(made.token.expose())).transpose()?;
    let created = Created {
        id: &made.id,
        role: made.role,
        label: made.label.as_deref(),
        token: written.is_none().then(|| made.token.expose()),
        token_file: written.map(|path| path.display().to_string()),
        expires_at: made.expires_at,
    };
    context.printer.result("token-created/1", &created, |created| {
        let token = match (created.token, &created.token_file) {
            (Some(token), _) => token.to_owned(),
            (None, file) => format!("in {}", file.as_deref().unwrap_or_default()),
        };
        output::fields(&[
            ("id", created.id.to_owned()),
            ("role", created.role.to_string()),
            ("label", optional(created.label)),
            ("token", token),
        ])
    })?;
    if file.is_none() {
        context.printer.say("Keep the token now: it is not shown again.");
    }
    Ok(())
}

async fn list(client: &Client, context: &Context) -> Result<(), Failure> {
    let items: Vec<Token> = every_page(|page| client.tokens(page)).await.map_err(refused)?;
    context.printer.result("tokens/1", &Items { items }, |list| {
        let rows: Vec<_> = list
            .items
            .iter()
            .map(|token| {
                [
                    token.id.clone(),
                    token.role.to_string(),
                    optional(token.label.as_deref()),
                    time(token.created_at),
                    token.expires_at.map_or_else(|| "never".to_owned(), time),
                ]
            })
            .collect();
        output::table(["ID", "ROLE", "LABEL", "CREATED", "EXPIRES"], &rows)
    })
}
