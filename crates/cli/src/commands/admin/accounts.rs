//! `tapkey admin accounts`.

use clap::Subcommand;
use tapkey_api::accounts::Account;
use tapkey_client::api::{Client, every_page};

use super::{Items, gone, refused, state, time};
use crate::{commands::Context, exit::Failure, output, prompt};

/// What can be done with accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List all accounts.
    List,
    /// Create an account.
    Create {
        /// Its name.
        name: String,
    },
    /// Show an account.
    Show {
        /// Its name.
        name: String,
    },
    /// Let the account's keys validate again.
    Enable {
        /// Its name.
        name: String,
    },
    /// Stop all keys of the account from validating.
    Disable {
        /// Its name.
        name: String,
    },
    /// Delete an account that owns no keys.
    Delete {
        /// Its name.
        name: String,
        /// Do not ask.
        #[arg(long, short)]
        yes: bool,
    },
}

pub(super) async fn run(command: Command, client: &Client, context: &Context) -> Result<(), Failure> {
    let account = match command {
        Command::List => return list(client, context).await,
        Command::Delete { name, yes } => {
            if !yes {
                prompt::confirm(&format!("Delete the account {name}?"), "--yes")?;
            }
            client.delete_account(&name).await.map_err(refused)?;
            return gone(context, "account", &name);
        }
        Command::Create { name } => client.create_account(&name).await,
        Command::Show { name } => client.account(&name).await,
        Command::Enable { name } => client.enable_account(&name).await,
        Command::Disable { name } => client.disable_account(&name).await,
    };
    context.printer.result("account/1", &account.map_err(refused)?, |account| {
        output::fields(&[
            ("account", account.name.clone()),
            ("state", state(account.enabled).to_owned()),
            ("keys", account.keys.to_string()),
            ("created", time(account.created_at)),
        ])
    })
}

async fn list(client: &Client, context: &Context) -> Result<(), Failure> {
    let items: Vec<Account> = every_page(|page| client.accounts(page)).await.map_err(refused)?;
    context.printer.result("accounts/1", &Items { items }, |list| {
        let rows: Vec<_> = list
            .items
            .iter()
            .map(|account| {
                [
                    account.name.clone(),
                    state(account.enabled).to_owned(),
                    account.keys.to_string(),
                    time(account.created_at),
                ]
            })
            .collect();
        output::table(["ACCOUNT", "STATE", "KEYS", "CREATED"], &rows)
    })
}
