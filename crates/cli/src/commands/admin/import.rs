//! `tapkey admin bundle-key` and `tapkey admin import`.

use std::{fs, path::PathBuf};

use clap::Args as ClapArgs;
use sha2::{Digest, Sha256};
use tapkey_api::imports::{ImportBundle, ImportItem, ImportReport, ImportResult};
use tapkey_client::api::Client;

use super::{optional, refused};
use crate::{
    commands::Context,
    exit::{Exit, Failure},
    output, prompt,
};

/// Options of `tapkey admin import`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "The keys of a bundle are pending: each validates once a fresh password of it was confirmed with \
`tapkey admin enrollments confirm`. With --trust-station those that typed a password at the station \
are active at once, on the station's word; this is audited. Importing a bundle again changes nothing.

Examples:
  tapkey admin import keys.bundle --dry-run
  tapkey admin import keys.bundle --sha256 5feceb66… --create-accounts
  tapkey admin import keys.bundle --trust-station"
)]
pub(crate) struct Args {
    /// The bundle.
    file: PathBuf,

    /// Only say what would happen.
    #[arg(long)]
    dry_run: bool,

    /// Refuse a file with another SHA-256 than the one that the station told.
    #[arg(long, value_name = "HEX")]
    sha256: Option<String>,

    /// Activate the keys that typed a password at the station.
    #[arg(long)]
    trust_station: bool,

    /// Create accounts that do not exist.
    #[arg(long)]
    create_accounts: bool,

    /// Take a bundle although its end may be missing.
    #[arg(long)]
    accept_unclosed: bool,

    /// Do not ask before trusting the station.
    #[arg(long, short)]
    yes: bool,
}

/// Prints the server's public key for bundles.
pub(super) async fn bundle_key(client: &Client, context: &Context) -> Result<(), Failure> {
    let key = client.bundle_key().await.map_err(refused)?;
    context.printer.result("bundle-key/1", &key, |key| key.recipient.clone())
}

/// Uploads a bundle.
pub(super) async fn run(args: Args, client: &Client, context: &Context) -> Result<(), Failure> {
    let bundle = fs::read_to_string(&args.file).map_err(|error| {
        Failure::usage(format!("cannot read the bundle {}: {error}", args.file.display()))
    })?;
    check(&args, &bundle)?;
    if args.trust_station && !args.dry_run && !args.yes {
        context.printer.say(
            "Whoever wrote this bundle is believed: its keys validate at once, and nobody else has seen them type.",
        );
        prompt::confirm("Trust the station?", "--yes")?;
    }
    let request = ImportBundle {
        bundle,
        dry_run: args.dry_run,
        trust_station: args.trust_station,
        create_accounts: args.create_accounts,
        accept_unclosed: args.accept_unclosed,
    };
    let report = client.import_bundle(&request).await.map_err(refused)?;
    context.printer.result("import/1", &report, describe)?;
    if report.counts.refused == 0 {
        return Ok(());
    }
    let text = format!("{} records are refused, so nothing was imported", report.counts.refused);
    Err(Failure::new(Exit::Rejected, text)
        .hint("put right what the list says, and import the same file again"))
}

/// The file must be the one that the station wrote.
fn check(args: &Args, bundle: &str) -> Result<(), Failure> {
    let Some(expected) = &args.sha256 else { return Ok(()) };
    let found = data_encoding::HEXLOWER.encode(&Sha256::digest(bundle.as_bytes()));
    if expected.trim().eq_ignore_ascii_case(&found) {
        return Ok(());
    }
    Err(Failure::usage(format!("the SHA-256 of {} is {found}", args.file.display()))
        .hint("this is not the file that the station wrote, or not as it wrote it; get it again"))
}

fn describe(report: &ImportReport) -> String {
    let rows: Vec<_> = report.items.iter().map(row).collect();
    let mut text = output::table(["SERIAL", "ACCOUNT", "LABEL", "PUBLIC ID", "RESULT", "WHY"], &rows);
    let counts = &report.counts;
    let outcome = match (report.applied, report.dry_run) {
        (true, _) => output::good("imported"),
        (false, true) => "a trial; nothing was changed".to_owned(),
        (false, false) => output::bad("nothing was changed"),
    };
    text.push('\n');
    text + &output::fields(&[
        ("bundle", report.bundle.clone()),
        ("sha256", report.sha256.clone()),
        ("active", counts.active.to_string()),
        ("pending", counts.pending.to_string()),
        ("imported before", counts.known.to_string()),
        ("skipped", counts.skipped.to_string()),
        ("refused", counts.refused.to_string()),
        ("outcome", outcome),
    ])
}

fn row(item: &ImportItem) -> [String; 6] {
    [
        item.serial.map_or_else(|| "-".to_owned(), |serial| serial.to_string()),
        item.account.clone(),
        optional(item.label.as_deref()),
        item.public_id.clone(),
        word(item.result).to_owned(),
        optional(item.detail.as_deref()),
    ]
}

const fn word(result: ImportResult) -> &'static str {
    match result {
        ImportResult::Active => "active",
        ImportResult::Pending => "pending",
        ImportResult::AlreadyImported => "imported before",
        ImportResult::Gone => "deleted since",
        ImportResult::Replaced => "replaced",
        ImportResult::Void => "never programmed",
        ImportResult::Refused => "refused",
        _ => "unknown to this version",
    }
}
