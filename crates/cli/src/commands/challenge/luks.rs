//! `tapkey challenge luks-passphrase`: the passphrase of an encrypted disk, made of a response and, if
//! wanted, of a passphrase that the person knows. docs/challenge.md has the recipes.

use std::io::{self, IsTerminal};

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_driver::Prefer;
use tapkey_protocol::{challenge::passphrase::Disk, secret::SecretBytes};
use zeroize::Zeroizing;

use super::SlotChoice;
use crate::{
    commands::Context,
    exit::Failure,
    interrupt, keys,
    secrets::{SOURCES, Source, Wanted},
};

/// Options of `tapkey challenge luks-passphrase`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey challenge luks-passphrase -2 --volume $UUID --passphrase prompt |
      cryptsetup open --key-file - /dev/sdX2 secret
  tapkey challenge luks-passphrase -2 --volume $UUID | cryptsetup luksAddKey /dev/sdX2 -

UUID is what `cryptsetup luksUUID` prints. The same slot key, volume and passphrase give the same 43 \
characters for ever; nothing is stored. No line end is written, which cryptsetup would take for a part \
of the key. Keep another key slot of the volume for the day when the key is lost.")]
pub(super) struct Args {
    #[command(flatten)]
    slot: SlotChoice,

    /// What tells this volume from others; another name gives another passphrase.
    #[arg(long, value_name = "NAME")]
    volume: String,

    /// A passphrase that must be known as well, from SOURCE.
    #[arg(long, value_name = "SOURCE", long_help = format!("A passphrase that must be known as well, from {SOURCES}"))]
    passphrase: Option<Source>,

    /// Print it on a terminal too, where others may see it.
    #[arg(long)]
    show_secret: bool,
}

#[derive(Serialize)]
struct Document<'a> {
    volume: &'a str,
    derivation: u8,
    passphrase: &'a str,
}

/// Asks, and prints the passphrase.
pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let on_terminal = io::stdout().is_terminal();
    if on_terminal && !args.show_secret {
        return Err(Failure::usage("the passphrase would be shown on this terminal")
            .hint("pipe it into cryptsetup, or add --show-secret"));
    }
    let known = match &args.passphrase {
        None => None,
        source => {
            let text = Wanted { name: "the passphrase", option: "--passphrase" }.read(source.as_ref())?;
            if text.is_empty() {
                return Err(Failure::usage("the passphrase is empty")
                    .hint("leave --passphrase out where the key alone shall be enough"));
            }
            Some(SecretBytes::new(text.as_bytes().to_vec()))
        }
    };
    let disk = Disk::new(&args.volume, known.as_ref()).map_err(|error| Failure::usage(error.to_string()))?;
    let _busy = interrupt::busy();
    let device = keys::open(context)?.device;
    let control = keys::control(context);
    let mut session = device.open_otp(Prefer::ChallengeResponse, &control).map_err(keys::refused)?;
    let response =
        session.challenge_hmac(args.slot.slot(), &disk.challenge(), &control).map_err(keys::refused)?;
    let passphrase = disk.passphrase(&response);
    let text = Zeroizing::new(String::from_utf8_lossy(passphrase.expose()).into_owned());
    if context.printer.is_json() {
        let document = Document { volume: &args.volume, derivation: 1, passphrase: &text };
        return context.printer.result("luks-passphrase/1", &document, |_| String::new());
    }
    context.printer.raw(text.as_bytes())?;
    if on_terminal { context.printer.raw(b"\n") } else { Ok(()) }
}
