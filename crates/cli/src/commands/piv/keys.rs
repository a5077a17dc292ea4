//! `tapkey piv keys`: private keys.

use std::{path::PathBuf, time::Duration};

use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;
use tapkey_driver::piv::{PivRefusal, public_key_to_der};
use tapkey_protocol::piv::{
    Algorithm, Generate as Ask, Import as Bring, PinPolicy, PublicKey, Slot, TouchPolicy, since,
};

use super::{
    files::{self, CERTIFICATE, Format, PUBLIC_KEY},
    info::{KeyDocument, key},
    private_key,
    session::{Piv, Rights, failed},
};
use crate::{commands::Context, exit::Failure, interrupt, output::fields};

/// Everything `tapkey piv keys` does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Generate a key; its public part is printed.
    Generate(Generate),
    /// Import a private key from a file.
    Import(Import),
    /// Show what is known of a key.
    Info(Info),
    /// Print a certificate that the key was generated here.
    Attest(Attest),
    /// Print the public key.
    Export(Export),
    /// Move a key to an empty slot.
    Move(Move),
    /// Delete a key.
    Delete(Delete),
}

/// When a key will want PIN and touch.
#[derive(ClapArgs, Debug)]
struct Policies {
    /// When the key wants the PIN: never, once, always, match-once or match-always [default: the slot's].
    #[arg(long, value_name = "POLICY")]
    pin_policy: Option<PinPolicy>,

    /// When the key wants a touch: never, always or cached (for 15 seconds) [default: never].
    #[arg(long, value_name = "POLICY")]
    touch_policy: Option<TouchPolicy>,
}

/// Where public things go.
#[derive(ClapArgs, Debug)]
pub(super) struct Leave {
    /// Write to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(super) output: Option<PathBuf>,

    /// How it is written.
    #[arg(long, short = 'F', value_enum, default_value_t, value_name = "FORM")]
    pub(super) format: Format,
}

/// Options of `tapkey piv keys generate`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey piv keys generate 9a --output public.pem
  tapkey piv keys generate 9c --algorithm rsa2048 --touch-policy always")]
pub(crate) struct Generate {
    /// Where the key will be.
    slot: Slot,

    /// rsa1024, rsa2048, rsa3072, rsa4096, eccp256, eccp384, ed25519 or x25519.
    #[arg(long, short, value_name = "NAME", default_value = "eccp256")]
    algorithm: Algorithm,

    #[command(flatten)]
    policies: Policies,
    #[command(flatten)]
    leave: Leave,
    #[command(flatten)]
    rights: Rights,

    /// Replace the key that is there without asking.
    #[arg(long, short)]
    force: bool,
}

/// Options of `tapkey piv keys import`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "Unencrypted PEM or DER files are read: PKCS #8, PKCS #1 and SEC 1. `openssl pkey` makes one of most others."
)]
pub(crate) struct Import {
    /// Where the key will be.
    slot: Slot,

    /// The file with the private key, or - for standard input.
    file: PathBuf,

    #[command(flatten)]
    policies: Policies,
    #[command(flatten)]
    rights: Rights,

    /// Replace the key that is there without asking.
    #[arg(long, short)]
    force: bool,
}

/// Options of `tapkey piv keys info`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Info {
    /// Where the key is.
    slot: Slot,
}

/// Options of `tapkey piv keys attest`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "`tapkey piv verify-attestation` checks it.")]
pub(crate) struct Attest {
    /// Where the key is.
    slot: Slot,

    #[command(flatten)]
    leave: Leave,
}

/// Options of `tapkey piv keys export`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Export {
    /// Where the key is.
    slot: Slot,

    #[command(flatten)]
    leave: Leave,
}

/// Options of `tapkey piv keys move`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Certificates stay where they are.")]
pub(crate) struct Move {
    /// Where the key is.
    from: Slot,

    /// Where it will be; nothing may be there.
    to: Slot,

    #[command(flatten)]
    rights: Rights,
}

/// Options of `tapkey piv keys delete`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Delete {
    /// Where the key is.
    slot: Slot,

    #[command(flatten)]
    rights: Rights,

    /// Do not ask.
    #[arg(long, short)]
    force: bool,
}

#[derive(Serialize)]
struct PublicKeyDocument {
    slot: String,
    algorithm: &'static str,
    serial: Option<u32>,
    public_key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

#[derive(Serialize)]
struct InfoDocument {
    slot: String,
    serial: Option<u32>,
    #[serde(flatten)]
    key: KeyDocument,
    public_key: String,
}

#[derive(Serialize)]
struct Attestation {
    slot: String,
    serial: Option<u32>,
    certificate: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

#[derive(Serialize)]
struct Moved {
    from: String,
    to: Option<String>,
    serial: Option<u32>,
}

#[derive(Serialize)]
struct Imported {
    slot: String,
    algorithm: &'static str,
    serial: Option<u32>,
}

/// Runs it.
pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Generate(args) => generate(&args, context),
        Command::Import(args) => import(&args, context),
        Command::Info(args) => info(&args, context),
        Command::Attest(args) => attest(&args, context),
        Command::Export(args) => export(&args, context),
        Command::Move(args) => move_key(&args, context),
        Command::Delete(args) => delete(&args, context),
    }
}

fn generate(args: &Generate, context: &Context) -> Result<(), Failure> {
    let mut piv = Piv::begin(context)?;
    let slot = args.slot;
    agree_to_loss(&mut piv, slot, args.force)?;
    let authority = piv.authority(&args.rights, context)?;
    let ask = Ask {
        algorithm: args.algorithm,
        pin_policy: args.policies.pin_policy,
        touch_policy: args.policies.touch_policy,
    };
    if args.algorithm.is_rsa() && args.algorithm.size() > 128 {
        context.printer.say("generating an RSA key; this takes some seconds, up to a minute for long ones");
        piv.patient(GENERATION);
    }
    let busy = interrupt::busy();
    let public = piv.with(|session, control| session.generate(slot, &ask, authority.who(), control))?;
    drop(busy);
    show(&piv, slot, &public, &args.leave, context)?;
    piv.warn_of_defaults(context)
}

fn import(args: &Import, context: &Context) -> Result<(), Failure> {
    let private = private_key::parse(&files::read(&args.file)?)?;
    let algorithm = private.algorithm();
    let mut piv = Piv::begin(context)?;
    let slot = args.slot;
    agree_to_loss(&mut piv, slot, args.force)?;
    let authority = piv.authority(&args.rights, context)?;
    let bring = Bring {
        key: private,
        pin_policy: args.policies.pin_policy,
        touch_policy: args.policies.touch_policy,
    };
    let busy = interrupt::busy();
    piv.with(|session, control| session.import(slot, &bring, authority.who(), control))?;
    drop(busy);
    let done = Imported {
        slot: slot.to_string(),
        algorithm: algorithm.map_or("", Algorithm::name),
        serial: piv.serial(),
    };
    context.printer.result("piv-import/1", &done, |done| {
        format!(
            "slot {} holds the {} key; delete the file when nothing else needs it",
            done.slot, done.algorithm
        )
    })?;
    piv.warn_of_defaults(context)
}

fn info(args: &Info, context: &Context) -> Result<(), Failure> {
    let mut piv = Piv::begin(context)?;
    let slot = args.slot;
    let metadata = piv.with(|session, control| session.metadata(slot, control))?;
    let metadata = metadata.ok_or_else(|| failed(PivRefusal::NoKey { slot }.into()))?;
    let document = InfoDocument {
        slot: slot.to_string(),
        serial: piv.serial(),
        key: key(&metadata),
        public_key: pem_of(&metadata.public_key)?,
    };
    context.printer.result("piv-key/1", &document, |document| {
        fields(&[
            ("slot", format!("{} ({})", document.slot, slot.purpose())),
            ("algorithm", document.key.algorithm.to_owned()),
            ("origin", document.key.origin.to_owned()),
            ("PIN policy", document.key.pin_policy.to_owned()),
            ("touch policy", document.key.touch_policy.to_owned()),
        ])
    })
}

fn attest(args: &Attest, context: &Context) -> Result<(), Failure> {
    let mut piv = Piv::begin(context)?;
    let certificate = piv.with(|session, control| session.attest(args.slot, control))?;
    if let Some(path) = &args.leave.output {
        files::write(context, Some(path), &args.leave.format.write(CERTIFICATE, &certificate), false)?;
    }
    let document = Attestation {
        slot: args.slot.to_string(),
        serial: piv.serial(),
        certificate: files::pem(CERTIFICATE, &certificate),
        file: args.leave.output.as_ref().map(|path| path.display().to_string()),
    };
    finish("piv-attestation/1", &document, &args.leave, CERTIFICATE, &certificate, context)
}

fn export(args: &Export, context: &Context) -> Result<(), Failure> {
    let mut piv = Piv::begin(context)?;
    let public = piv.public_key(args.slot)?;
    show(&piv, args.slot, &public, &args.leave, context)
}

fn move_key(args: &Move, context: &Context) -> Result<(), Failure> {
    let mut piv = Piv::begin(context)?;
    let authority = piv.authority(&args.rights, context)?;
    let busy = interrupt::busy();
    piv.with(|session, control| session.move_key(args.from, args.to, authority.who(), control))?;
    drop(busy);
    let done = Moved { from: args.from.to_string(), to: Some(args.to.to_string()), serial: piv.serial() };
    context.printer.result("piv-move/1", &done, |done| {
        format!("the key of slot {} is in slot {} now; certificates stayed", done.from, args.to)
    })
}

fn delete(args: &Delete, context: &Context) -> Result<(), Failure> {
    let mut piv = Piv::begin(context)?;
    let slot = args.slot;
    if slot == Slot::ATTESTATION {
        context.printer.warn("the attestation key cannot be restored, not even by a reset");
    }
    let authority = piv.authority(&args.rights, context)?;
    piv.confirm(&format!("The key in slot {slot} is lost for good. Delete it?"), args.force)?;
    let busy = interrupt::busy();
    piv.with(|session, control| session.delete_key(slot, authority.who(), control))?;
    drop(busy);
    let done = Moved { from: slot.to_string(), to: None, serial: piv.serial() };
    context
        .printer
        .result("piv-move/1", &done, |done| format!("there is no key in slot {} any more", done.from))
}

/// Asks before a key is replaced. Firmware that does not tell may hold one anywhere.
fn agree_to_loss(piv: &mut Piv, slot: Slot, force: bool) -> Result<(), Failure> {
    if piv.session.version() >= since::METADATA {
        let Some(metadata) = piv.with(|session, control| session.metadata(slot, control))? else {
            return Ok(());
        };
        let special = if slot == Slot::ATTESTATION { " Not even a reset brings it back." } else { "" };
        return piv.confirm(
            &format!(
                "Slot {slot} holds an {} key, which will be lost for good.{special} Replace it?",
                metadata.algorithm
            ),
            force,
        );
    }
    piv.confirm(&format!("A key in slot {slot}, if there is one, will be lost for good. Go on?"), force)
}

fn show(piv: &Piv, slot: Slot, public: &PublicKey, leave: &Leave, context: &Context) -> Result<(), Failure> {
    let der = der_of(public)?;
    if let Some(path) = &leave.output {
        files::write(context, Some(path), &leave.format.write(PUBLIC_KEY, &der), false)?;
    }
    let document = PublicKeyDocument {
        slot: slot.to_string(),
        algorithm: public.algorithm().map_or("", Algorithm::name),
        serial: piv.serial(),
        public_key: files::pem(PUBLIC_KEY, &der),
        file: leave.output.as_ref().map(|path| path.display().to_string()),
    };
    finish("piv-public-key/1", &document, leave, PUBLIC_KEY, &der, context)
}

/// Prints what was not written to a file.
pub(super) fn finish<T: Serialize>(
    schema: &'static str,
    document: &T,
    leave: &Leave,
    label: &str,
    der: &[u8],
    context: &Context,
) -> Result<(), Failure> {
    if context.printer.is_json() {
        return context.printer.result(schema, document, |_| String::new());
    }
    match &leave.output {
        Some(path) => {
            context.printer.say(format!("written to {}", path.display()));
            Ok(())
        }
        None => files::write(context, None, &leave.format.write(label, der), false),
    }
}

fn pem_of(public: &PublicKey) -> Result<String, Failure> {
    Ok(files::pem(PUBLIC_KEY, &der_of(public)?))
}

fn der_of(public: &PublicKey) -> Result<Vec<u8>, Failure> {
    public_key_to_der(public).map_err(|error| Failure::failed(error.to_string()))
}

/// How long the search for primes may take; a key cannot be told to give it up.
const GENERATION: Duration = Duration::from_secs(250);
