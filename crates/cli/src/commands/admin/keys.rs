//! `tapkey admin keys`.

use clap::Subcommand;
use tapkey_api::keys::{Key, UpdateKey};
use tapkey_client::api::{Client, KeyFilter, every_page};

use super::{Items, gone, optional, refused, state, time};
use crate::{commands::Context, exit::Failure, output, prompt};

/// What can be done with enrolled keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List keys.
    List {
        /// Only those of this account.
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
        /// Only the one with this public id, in modhex.
        #[arg(long, value_name = "MODHEX")]
        public_id: Option<String>,
    },
    /// Show a key.
    Show {
        /// Its id on the server.
        id: String,
    },
    /// Change a key's label or owner.
    Update {
        /// Its id on the server.
        id: String,
        /// The new label.
        #[arg(long, value_name = "TEXT", required_unless_present = "account")]
        label: Option<String>,
        /// The account that owns it from now on.
        #[arg(long, value_name = "NAME")]
        account: Option<String>,
    },
    /// Let a key validate again.
    Enable {
        /// Its id on the server.
        id: String,
    },
    /// Stop a key from validating.
    Disable {
        /// Its id on the server.
        id: String,
    },
    /// Delete a key for good; its counters are remembered.
    Delete {
        /// Its id on the server.
        id: String,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
    /// Show the access code that protects a key's slot; this is audited.
    AccessCode {
        /// Its id on the server.
        id: String,
    },
}

pub(super) async fn run(command: Command, client: &Client, context: &Context) -> Result<(), Failure> {
    let key = match command {
        Command::List { account, public_id } => {
            return list(KeyFilter { account, public_id }, client, context).await;
        }
        Command::Delete { id, yes } => {
            if !yes {
                prompt::confirm(&format!("Delete the key {id}? It will never validate again."), "--yes")?;
            }
            client.delete_key(&id).await.map_err(refused)?;
            return gone(context, "key", &id);
        }
        Command::AccessCode { id } => {
            let code = client.access_code(&id).await.map_err(refused)?;
            return context
                .printer
                .result("access-code/1", &code, |code| code.access_code.expose().to_owned());
        }
        Command::Show { id } => client.key(&id).await,
        Command::Update { id, label, account } => client.update_key(&id, &UpdateKey { account, label }).await,
        Command::Enable { id } => client.enable_key(&id).await,
        Command::Disable { id } => client.disable_key(&id).await,
    };
    context.printer.result("key/1", &key.map_err(refused)?, describe)
}

async fn list(filter: KeyFilter, client: &Client, context: &Context) -> Result<(), Failure> {
    let items: Vec<Key> = every_page(|page| client.keys(filter.clone(), page)).await.map_err(refused)?;
    context.printer.result("keys/1", &Items { items }, |list| {
        let rows: Vec<_> = list.items.iter().map(row).collect();
        output::table(["ID", "PUBLIC ID", "ACCOUNT", "LABEL", "STATE", "SERIAL", "LAST USED"], &rows)
    })
}

fn row(key: &Key) -> [String; 7] {
    [
        key.id.clone(),
        key.public_id.clone(),
        key.account.clone(),
        optional(key.label.as_deref()),
        state(key.enabled).to_owned(),
        key.serial.map_or_else(|| "-".to_owned(), |serial| serial.to_string()),
        key.last_used_at.map_or_else(|| "never".to_owned(), time),
    ]
}

/// A key in full.
pub(super) fn describe(key: &Key) -> String {
    let serial = key.serial.map_or_else(|| "not told".to_owned(), |serial| serial.to_string());
    output::fields(&[
        ("key", key.id.clone()),
        ("public id", key.public_id.clone()),
        ("account", key.account.clone()),
        ("label", optional(key.label.as_deref())),
        ("state", state(key.enabled).to_owned()),
        ("slot", key.slot.to_string()),
        ("serial number", serial),
        ("firmware", optional(key.firmware.as_deref())),
        ("made of software", output::yes_no(key.emulated).to_owned()),
        ("access code", if key.has_access_code { "kept on the server" } else { "none" }.to_owned()),
        ("counters", format!("{} uses, {} in the last session", key.use_counter, key.session_counter)),
        ("created", time(key.created_at)),
        ("last used", key.last_used_at.map_or_else(|| "never".to_owned(), time)),
    ])
}
