//! `tapkey piv`: private keys that stay on the key, with PIN, certificates and objects.

mod access;
mod certificates;
mod decrypt;
pub(crate) mod files;
mod info;
mod keys;
mod objects;
mod padding;
mod private_key;
mod reset;
mod session;
mod sign;
mod signing;
mod verify;
mod x509;

use clap::Subcommand;

use super::Context;
use crate::exit::Failure;

/// Everything `tapkey piv` does.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "A SLOT is 9a (authentication), 9c (signature), 9d (key-management), 9e (card-auth), 82 to 95 \
(retired1 to retired20) or f9 (attestation). Changes need the management key: the factory's is used while it is in \
force, the PIN is enough on keys that keep the management key under it, otherwise it is asked for.\n\ndocs/piv.md has \
recipes for SSH, signatures and certificates."
)]
pub(crate) enum Command {
    /// Show what the application holds.
    Info(info::Args),
    /// Delete all keys and objects; PIN, PUK and management key become the factory's.
    Reset(reset::Args),
    /// PIN, PUK and management key.
    #[command(subcommand)]
    Access(access::Command),
    /// Private keys.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Certificates and requests for them.
    #[command(subcommand)]
    Certificates(certificates::Command),
    /// Stored objects.
    #[command(subcommand)]
    Objects(objects::Command),
    /// Sign a file.
    Sign(sign::Args),
    /// Decrypt a file, or agree on a secret.
    Decrypt(decrypt::Args),
    /// Check that a key was generated on a genuine key.
    VerifyAttestation(verify::Args),
}

/// Runs it.
pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Info(args) => info::run(&args, context),
        Command::Reset(args) => reset::run(&args, context),
        Command::Access(command) => access::run(command, context),
        Command::Keys(command) => keys::run(command, context),
        Command::Certificates(command) => certificates::run(command, context),
        Command::Objects(command) => objects::run(command, context),
        Command::Sign(args) => sign::run(&args, context),
        Command::Decrypt(args) => decrypt::run(&args, context),
        Command::VerifyAttestation(args) => verify::run(&args, context),
    }
}
