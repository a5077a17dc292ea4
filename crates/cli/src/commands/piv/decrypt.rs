//! `tapkey piv decrypt`: what was encrypted to a key, and secrets that it agrees on.

use std::path::PathBuf;

use clap::{Args as ClapArgs, ValueEnum};
use serde::Serialize;
use tapkey_protocol::piv::Slot;
use zeroize::Zeroizing;

use super::{
    certificates::read_public_key,
    files,
    padding::{OaepHash, open_oaep, open_pkcs1},
    session::{Piv, Use},
};
use crate::{commands::Context, encode::hex, exit::Failure};

/// Options of `tapkey piv decrypt`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "With an RSA key, FILE is decrypted. With P-256, P-384 and X25519 keys, --peer names the other side's \
public key, and the secret that both share is the result: hash it before you use it.

Examples:
  tapkey piv decrypt 9d secret.enc --padding oaep-sha256 --output secret
  tapkey piv decrypt 9d --peer theirs.pem --output shared"
)]
pub(crate) struct Args {
    /// The slot with the key.
    slot: Slot,

    /// What to decrypt, or - for standard input.
    #[arg(required_unless_present = "peer", conflicts_with = "peer")]
    file: Option<PathBuf>,

    /// How it was padded.
    #[arg(long, value_enum, default_value_t, conflicts_with = "peer")]
    padding: Padding,

    /// The other side's public key, in PEM or DER.
    #[arg(long, value_name = "FILE")]
    peer: Option<PathBuf>,

    /// Write the result to a new file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    usage: Use,
}

/// Padding of RSA encryption.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Padding {
    /// PKCS #1 v1.5.
    #[default]
    Pkcs1,
    /// OAEP with SHA-1.
    OaepSha1,
    /// OAEP with SHA-256.
    OaepSha256,
    /// OAEP with SHA-384.
    OaepSha384,
    /// OAEP with SHA-512.
    OaepSha512,
}

#[derive(Serialize)]
struct Decrypted {
    slot: String,
    serial: Option<u32>,
    length: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

/// Decrypts.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let encrypted = args.file.as_deref().map(files::read).transpose()?;
    let peer = args.peer.as_deref().map(read_public_key).transpose()?;
    let mut piv = Piv::begin(context)?;
    let slot = args.slot;
    let own = piv.public_key(slot)?;
    let algorithm =
        own.algorithm().ok_or_else(|| Failure::usage("the key is of a length that keys do not have"))?;
    let value = match (peer, encrypted) {
        (Some(peer), _) => {
            if peer.algorithm() != Some(algorithm) {
                return Err(Failure::usage(format!(
                    "the other side's key must be {algorithm} like the key in slot {slot}"
                )));
            }
            let pin = piv.pin_for(slot, args.usage.pin.as_ref())?;
            piv.with(|session, control| session.agree(slot, &peer, pin.as_ref(), control))?
        }
        (None, Some(encrypted)) => {
            if !algorithm.is_rsa() {
                return Err(Failure::usage(format!(
                    "the key in slot {slot} is {algorithm}, which does not decrypt"
                ))
                .hint("such keys agree on secrets: add --peer FILE"));
            }
            if encrypted.len() != algorithm.size() {
                return Err(Failure::usage(format!(
                    "what was encrypted to this key has {} bytes, the file has {}",
                    algorithm.size(),
                    encrypted.len()
                )));
            }
            let pin = piv.pin_for(slot, args.usage.pin.as_ref())?;
            let block = piv.with(|session, control| {
                session.decrypt(slot, algorithm, &encrypted, pin.as_ref(), control)
            })?;
            args.padding.open(&block).ok_or_else(|| {
                Failure::failed("this was not encrypted to this key, or padded in another way")
                    .hint("--padding chooses another way; openssl's -oaep is oaep-sha1")
            })?
        }
        (None, None) => return Err(Failure::usage("there is nothing to decrypt")),
    };
    show(&piv, args, &value, context)
}

fn show(piv: &Piv, args: &Args, value: &[u8], context: &Context) -> Result<(), Failure> {
    if let Some(path) = &args.output {
        files::write(context, Some(path), value, true)?;
    }
    if !context.printer.is_json() {
        return match &args.output {
            Some(path) => {
                context.printer.say(format!("written to {}", path.display()));
                Ok(())
            }
            None => context.printer.raw(value),
        };
    }
    let document = Decrypted {
        slot: args.slot.to_string(),
        serial: piv.serial(),
        length: value.len(),
        value: args.output.is_none().then(|| hex(value)),
        file: args.output.as_ref().map(|path| path.display().to_string()),
    };
    context.printer.result("piv-decrypt/1", &document, |_| String::new())
}

impl Padding {
    fn open(self, block: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        match self {
            Self::Pkcs1 => open_pkcs1(block),
            Self::OaepSha1 => open_oaep(OaepHash::Sha1, block),
            Self::OaepSha256 => open_oaep(OaepHash::Sha256, block),
            Self::OaepSha384 => open_oaep(OaepHash::Sha384, block),
            Self::OaepSha512 => open_oaep(OaepHash::Sha512, block),
        }
    }
}
