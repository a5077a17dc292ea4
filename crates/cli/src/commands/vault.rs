//! `tapkey vault`: where plan and apply keep secrets, and what was applied.

use std::path::{Path, PathBuf};

use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;
use tapkey_workflow::plan::{FileError, Kind, Opener, SecretText, Vault, VaultFile};

use super::Context;
use crate::{
    exit::{Exit, Failure},
    output, prompt,
    secrets::{NewFile, Source, Wanted},
};

/// What to do with a vault.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a new vault.
    Init(InitArgs),
    /// List what is in a vault: names and what was applied, no secrets.
    List(ListArgs),
    /// Show one secret.
    Show(ShowArgs),
    /// Put a secret in.
    Put(PutArgs),
}

/// What opens a vault.
#[derive(ClapArgs, Clone, Debug)]
pub(crate) struct Opening {
    /// The file with the age private key (AGE-SECRET-KEY-1…) that opens the vault.
    #[arg(
        long,
        value_name = "FILE",
        env = "TAPKEY_VAULT_IDENTITY",
        hide_env_values = true,
        conflicts_with_all = ["vault_passphrase", "plain_vault"],
        help_heading = "Vault"
    )]
    vault_identity: Option<PathBuf>,

    /// Where the passphrase of the vault comes from.
    #[arg(long, value_name = "SOURCE", conflicts_with = "plain_vault", help_heading = "Vault")]
    vault_passphrase: Option<Source>,

    /// The vault is a file in the clear, for its owner alone.
    #[arg(long, help_heading = "Vault")]
    plain_vault: bool,
}

/// Options of `tapkey vault init`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey vault init office.vault
  tapkey vault init office.vault --new-identity ~/office-key.txt
  tapkey vault init office.vault --vault-identity me.txt --recipient age1…

Without an option it asks for a passphrase. A private key is better for a fleet: opening takes no \
second for every key, and the vault can be opened by several people.")]
pub(crate) struct InitArgs {
    /// The new file.
    file: PathBuf,

    /// Draw a private key of age for the vault and write it into this file (mode 0600).
    #[arg(long, value_name = "FILE", conflicts_with_all = ["vault_identity", "vault_passphrase", "plain_vault"])]
    new_identity: Option<PathBuf>,

    /// Somebody else who can open it, by age public key (age1…); may be given several times.
    #[arg(long, value_name = "AGE1", value_parser = recipient, conflicts_with_all = ["vault_passphrase", "plain_vault"])]
    recipient: Vec<String>,

    #[command(flatten)]
    opening: Opening,
}

/// Options of `tapkey vault list`.
#[derive(ClapArgs, Debug)]
pub(crate) struct ListArgs {
    /// The vault.
    file: PathBuf,

    #[command(flatten)]
    opening: Opening,
}

/// Options of `tapkey vault show`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Example:
  tapkey --serial 12345678 vault show office.vault slot-1.access-code --show-secret")]
pub(crate) struct ShowArgs {
    /// The vault.
    file: PathBuf,

    /// The name of the secret, as `tapkey vault list` shows it. With --serial, that of this key.
    name: String,

    /// Yes, show it.
    #[arg(long, required = true)]
    show_secret: bool,

    #[command(flatten)]
    opening: Opening,
}

/// Options of `tapkey vault put`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey vault put office.vault github --secret prompt
  tapkey --serial 12345678 vault put office.vault slot-1.access-code --secret env:CODE

Keys and codes are hexadecimal digits, OATH secrets base32 or a whole otpauth URI.")]
pub(crate) struct PutArgs {
    /// The vault.
    file: PathBuf,

    /// The name. With --serial the secret belongs to this key, otherwise to all.
    name: String,

    /// Where the secret comes from.
    #[arg(long, value_name = "SOURCE")]
    secret: Option<Source>,

    /// Replace what has the name already.
    #[arg(long, short)]
    force: bool,

    #[command(flatten)]
    opening: Opening,
}

fn recipient(text: &str) -> Result<String, String> {
    if Opener::is_recipient(text) {
        Ok(text.to_owned())
    } else {
        Err("this is no public key of age (age1…)".to_owned())
    }
}

/// Runs a vault command.
pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Init(args) => init(&args, context),
        Command::List(args) => list(&args, context),
        Command::Show(args) => show(&args, context),
        Command::Put(args) => put(&args, context),
    }
}

impl Opening {
    /// What opens a vault file, asking for a passphrase where the file needs one.
    fn opener(&self, kind: Kind) -> Result<Opener, Failure> {
        if self.plain_vault {
            return Ok(Opener::Plain);
        }
        if let Some(path) = &self.vault_identity {
            let text = std::fs::read_to_string(path).map(zeroize::Zeroizing::new).map_err(|error| {
                Failure::usage(format!("cannot read the private key {}: {error}", path.display()))
            })?;
            return Opener::identities(&text).map_err(explain);
        }
        match kind {
            Kind::Plain if self.vault_passphrase.is_none() => {
                Err(Failure::usage("the vault is a file in the clear")
                    .hint("add --plain-vault if that is meant; `tapkey vault init` makes an encrypted one"))
            }
            Kind::Recipients if self.vault_passphrase.is_none() => {
                Err(Failure::usage("the vault is encrypted for private keys of age")
                    .hint("add --vault-identity FILE"))
            }
            _ => {
                let text = PASSPHRASE.read(self.vault_passphrase.as_ref())?;
                Ok(Opener::Passphrase(SecretText::new(text.to_string())))
            }
        }
    }

    /// Opens a vault file.
    pub(crate) fn open(&self, path: &Path) -> Result<VaultFile, Failure> {
        let kind = VaultFile::kind(path).map_err(|error| {
            let missing = matches!(&error, FileError::Read { source, .. } if source.kind() == std::io::ErrorKind::NotFound);
            let failure = explain(error);
            if missing {
                failure.hint(format!("`tapkey vault init {}` makes one", path.display()))
            } else {
                failure
            }
        })?;
        VaultFile::open(path, self.opener(kind)?).map_err(explain)
    }
}

fn init(args: &InitArgs, context: &Context) -> Result<(), Failure> {
    let mut vault = Vault::new().map_err(|error| Failure::failed(error.to_string()))?;
    for recipient in &args.recipient {
        vault.add_recipient(recipient.clone());
    }
    let mut made = None;
    let opener = if let Some(path) = &args.new_identity {
        let (opener, text, recipient) = Opener::draw();
        let file = NewFile::create(path)?;
        file.write(text.expose().trim_end())?;
        made = Some((path.clone(), recipient));
        opener
    } else if args.opening.vault_identity.is_none()
        && args.opening.vault_passphrase.is_none()
        && !args.opening.plain_vault
    {
        if !args.recipient.is_empty() {
            return Err(Failure::usage("who makes a vault must be able to open it too")
                .hint("add --new-identity FILE or --vault-identity FILE"));
        }
        Opener::Passphrase(new_passphrase()?)
    } else {
        args.opening.opener(Kind::Passphrase)?
    };
    let protection = if args.opening.plain_vault {
        "none"
    } else if args.new_identity.is_some() || args.opening.vault_identity.is_some() {
        "age keys"
    } else {
        "passphrase"
    };
    if args.opening.plain_vault {
        context.printer.warn("this vault is in the clear: whoever reads the file has every secret in it");
    }
    VaultFile::create(&args.file, opener, vault).map_err(explain)?;
    let report = Made {
        file: args.file.display().to_string(),
        protection,
        identity: made.as_ref().map(|(path, _)| path.display().to_string()),
        recipient: made.map(|(_, recipient)| recipient),
    };
    context.printer.result("vault-init/1", &report, |report| {
        let mut rows =
            vec![("vault", output::good(&report.file)), ("protected by", report.protection.to_owned())];
        if let (Some(identity), Some(recipient)) = (&report.identity, &report.recipient) {
            rows.push(("private key", format!("{identity} (keep a copy elsewhere)")));
            rows.push(("public key", recipient.clone()));
        }
        output::fields(&rows)
    })
}

#[derive(Serialize)]
struct Made {
    file: String,
    protection: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    identity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<String>,
}

fn new_passphrase() -> Result<SecretText, Failure> {
    if !prompt::possible() {
        return Err(Failure::usage("a vault needs a passphrase, and nobody can be asked for one").hint(
            "add --vault-passphrase SOURCE, --new-identity FILE, or --plain-vault for a file in the clear",
        ));
    }
    let first = prompt::hidden("New passphrase of the vault")?;
    if first.is_empty() {
        return Err(Failure::usage("the passphrase is empty"));
    }
    if *first != *prompt::hidden("Once more")? {
        return Err(Failure::usage("the two passphrases differ; nothing was made"));
    }
    Ok(SecretText::new(first.to_string()))
}

#[derive(Serialize)]
struct Listing {
    file: String,
    secrets: Vec<Name>,
    applied: Vec<AppliedLine>,
}

#[derive(Serialize)]
struct Name {
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<u32>,
    name: String,
}

#[derive(Serialize)]
struct AppliedLine {
    serial: u32,
    subject: String,
    kind: String,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    programming_sequence: Option<u8>,
}

fn list(args: &ListArgs, context: &Context) -> Result<(), Failure> {
    let file = args.opening.open(&args.file)?;
    let wanted = |serial: Option<u32>| context.global.serial.is_none() || serial == context.global.serial;
    let listing = Listing {
        file: args.file.display().to_string(),
        secrets: file
            .vault
            .names()
            .filter(|(serial, _)| wanted(*serial))
            .map(|(serial, name)| Name { serial, name: name.to_owned() })
            .collect(),
        applied: file
            .vault
            .applied()
            .filter(|(serial, ..)| wanted(Some(*serial)))
            .map(|(serial, subject, remembered)| AppliedLine {
                serial,
                subject,
                kind: remembered.kind.clone(),
                at: remembered.at.clone(),
                programming_sequence: remembered.sequence,
            })
            .collect(),
    };
    context.printer.result("vault/1", &listing, |listing| {
        let of =
            |serial: Option<u32>| serial.map_or_else(|| "all keys".to_owned(), |serial| serial.to_string());
        let secrets: Vec<[String; 2]> =
            listing.secrets.iter().map(|one| [of(one.serial), one.name.clone()]).collect();
        let applied: Vec<[String; 4]> = listing
            .applied
            .iter()
            .map(|one| [one.serial.to_string(), one.subject.clone(), one.kind.clone(), one.at.clone()])
            .collect();
        let mut text = output::table(["KEY", "SECRET"], &secrets);
        if !applied.is_empty() {
            text.push('\n');
            text.push_str(&output::table(["KEY", "APPLIED TO", "WHAT", "WHEN"], &applied));
        }
        text
    })
}

#[derive(Serialize)]
struct Shown<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<u32>,
    name: &'a str,
    secret: &'a str,
}

fn show(args: &ShowArgs, context: &Context) -> Result<(), Failure> {
    let file = args.opening.open(&args.file)?;
    let serial = context.global.serial;
    let found = match serial {
        Some(serial) => file.vault.find(serial, &args.name),
        None => file.vault.of_all(&args.name),
    };
    let Some(secret) = found else {
        let failure = Failure::failed(format!("the vault has nothing named {}", args.name));
        return Err(match serial {
            None => {
                failure.hint("for a secret of one key, add --serial N; `tapkey vault list` shows the names")
            }
            Some(_) => failure.hint("`tapkey vault list` shows the names"),
        });
    };
    let shown = Shown { serial, name: &args.name, secret: secret.expose() };
    context.printer.result("vault-secret/1", &shown, |shown| shown.secret.to_owned())
}

#[derive(Serialize)]
struct Put<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    serial: Option<u32>,
    name: &'a str,
    replaced: bool,
}

fn put(args: &PutArgs, context: &Context) -> Result<(), Failure> {
    let mut file = args.opening.open(&args.file)?;
    let serial = context.global.serial;
    let replaced = match serial {
        Some(serial) => file.vault.of_key(serial, &args.name).is_some(),
        None => file.vault.of_all(&args.name).is_some(),
    };
    if replaced && !args.force {
        return Err(Failure::usage(format!("the vault has something named {} already", args.name))
            .hint("add --force to replace it; a key that has the old one will not take the new one for it"));
    }
    let secret = Wanted { name: "the secret", option: "--secret" }.read(args.secret.as_ref())?;
    if secret.is_empty() {
        return Err(Failure::usage("the secret is empty"));
    }
    file.vault
        .put(serial, &args.name, SecretText::new(secret.to_string()))
        .map_err(|error| Failure::usage(error.to_string()))?;
    file.save().map_err(explain)?;
    let report = Put { serial, name: &args.name, replaced };
    context.printer.result("vault-put/1", &report, |report| format!("{} is in the vault", report.name))
}

/// What a vault that cannot be used means for the exit code.
pub(crate) fn explain(error: FileError) -> Failure {
    let exit = match &error {
        FileError::InUse { .. } => Exit::Unreachable,
        FileError::Write { .. } | FileError::Damaged | FileError::Encode => Exit::Failed,
        _ => Exit::Usage,
    };
    Failure::new(exit, crate::exit::chain(&error))
}

const PASSPHRASE: Wanted = Wanted { name: "the passphrase of the vault", option: "--vault-passphrase" };
