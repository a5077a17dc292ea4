//! `tapkey piv sign`: sign a file.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_protocol::piv::Slot;

use super::{
    certificates::read_public_key,
    files,
    session::{Piv, Use},
    signing::{Hash, Scheme},
    x509::Signer,
};
use crate::{commands::Context, encode::hex, exit::Failure};

/// Options of `tapkey piv sign`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "The signature is written as it is: PKCS #1 v1.5 or PSS for RSA, DER for ECDSA, 64 bytes for Ed25519.

Example:
  tapkey piv sign 9c contract.pdf --output contract.sig
  openssl dgst -sha256 -verify public.pem -signature contract.sig contract.pdf"
)]
pub(crate) struct Args {
    /// The slot with the key.
    slot: Slot,

    /// What to sign, or - for standard input.
    file: PathBuf,

    /// Write the signature to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// The hash [default: sha256, with P-384 sha384].
    #[arg(long, value_enum)]
    hash: Option<Hash>,

    /// With RSA, sign with PSS instead of PKCS #1 v1.5.
    #[arg(long)]
    pss: bool,

    /// The public key, for firmware before 5.3, which does not tell it.
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,

    #[command(flatten)]
    usage: Use,
}

#[derive(Serialize)]
struct Signature {
    slot: String,
    algorithm: &'static str,
    serial: Option<u32>,
    signature: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

/// Signs.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let message = files::read(&args.file)?;
    let mut piv = Piv::begin(context)?;
    let slot = args.slot;
    let public_key = match &args.public_key {
        Some(path) => read_public_key(path)?,
        None => piv.public_key(slot)?,
    };
    let algorithm = public_key
        .algorithm()
        .ok_or_else(|| Failure::usage("the public key is of a length that keys do not have"))?;
    let scheme = Scheme::new(algorithm, args.hash, args.pss)?;
    let pin = piv.pin_for(slot, args.usage.pin.as_ref())?;
    let signature = Signer { slot, public_key, scheme, pin }.sign(&mut piv, &message)?;
    if let Some(path) = &args.output {
        files::write(context, Some(path), &signature, false)?;
    }
    if !context.printer.is_json() {
        return match &args.output {
            Some(path) => {
                context.printer.say(format!("written to {}", path.display()));
                Ok(())
            }
            None => context.printer.raw(&signature),
        };
    }
    let document = Signature {
        slot: slot.to_string(),
        algorithm: algorithm.name(),
        serial: piv.serial(),
        signature: hex(&signature),
        file: args.output.as_ref().map(|path| path.display().to_string()),
    };
    context.printer.result("piv-signature/1", &document, |_| String::new())
}
