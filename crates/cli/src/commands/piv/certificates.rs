//! `tapkey piv certificates`: certificates beside the keys, and requests for them.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;
use tapkey_driver::piv::{PivRefusal, public_key_from_der};
use tapkey_protocol::piv::{Algorithm, Chuid, ObjectId, Pin, PublicKey, Slot, since};

use super::{
    files::{self, CERTIFICATE, REQUEST},
    info,
    keys::{Leave, finish},
    session::{Piv, Rights, failed, public_key_of},
    signing::{Hash, Scheme},
    x509::{self, Signer},
};
use crate::{commands::Context, encode::random, exit::Failure, interrupt, secrets::Source};

/// Everything `tapkey piv certificates` does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the certificate of a slot.
    Export(Export),
    /// Store a certificate from a file.
    Import(Import),
    /// Make a certificate that the key itself signs, and store it.
    Generate(Box<Generate>),
    /// Print a signed request for a certificate (PKCS #10).
    Request(Request),
    /// Delete the certificate of a slot.
    Delete(Delete),
}

/// Options of `tapkey piv certificates export`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Export {
    /// The slot.
    slot: Slot,

    #[command(flatten)]
    leave: Leave,
}

/// Options of `tapkey piv certificates import`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Import {
    /// The slot.
    slot: Slot,

    /// The file with the certificate, PEM or DER, or - for standard input.
    file: PathBuf,

    /// Make sure first that it belongs to the key in the slot.
    #[arg(long)]
    verify: bool,

    #[command(flatten)]
    store: Store,
}

/// How a certificate is stored.
#[derive(ClapArgs, Debug)]
struct Store {
    /// Pack it with gzip, for certificates that do not fit otherwise.
    #[arg(long, short)]
    compress: bool,

    /// Draw a new card identifier (CHUID) too, so that systems that remember certificates look again.
    #[arg(long)]
    update_chuid: bool,

    #[command(flatten)]
    rights: Rights,

    /// Replace the certificate that is there without asking.
    #[arg(long, short)]
    force: bool,
}

/// What stands in a certificate or a request, and how it is signed.
#[derive(ClapArgs, Debug)]
struct Content {
    /// Whose key it is: a name, or parts such as "CN=Ada Lovelace,O=Example,C=GB".
    #[arg(long, short, value_name = "NAME")]
    subject: String,

    /// The hash [default: sha256, with P-384 sha384].
    #[arg(long, value_enum)]
    hash: Option<Hash>,

    /// With RSA, sign with PSS instead of PKCS #1 v1.5.
    #[arg(long)]
    pss: bool,

    /// The public key, for firmware before 5.3, which does not tell it.
    #[arg(long, value_name = "FILE")]
    public_key: Option<PathBuf>,
}

/// Options of `tapkey piv certificates generate`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Example:
  tapkey piv certificates generate 9a --subject \"CN=Ada Lovelace\" --valid-days 730")]
pub(crate) struct Generate {
    /// The slot with the key.
    slot: Slot,

    #[command(flatten)]
    content: Content,

    /// How long it is valid, from now on.
    #[arg(long, short = 'd', value_name = "DAYS", default_value = "365", value_parser = clap::value_parser!(u32).range(1..))]
    valid_days: u32,

    #[command(flatten)]
    store: Store,
}

/// Options of `tapkey piv certificates request`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Example:
  tapkey piv certificates request 9a --subject \"CN=Ada Lovelace\" --output request.pem")]
pub(crate) struct Request {
    /// The slot with the key.
    slot: Slot,

    #[command(flatten)]
    content: Content,
    #[command(flatten)]
    leave: Leave,

    /// Where the PIN comes from, for keys that need it.
    #[arg(long, short = 'P', value_name = "SOURCE")]
    pin: Option<Source>,
}

/// Options of `tapkey piv certificates delete`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Delete {
    /// The slot.
    slot: Slot,

    /// Draw a new card identifier (CHUID) too, so that systems that remember certificates look again.
    #[arg(long)]
    update_chuid: bool,

    #[command(flatten)]
    rights: Rights,

    /// Do not ask.
    #[arg(long, short)]
    force: bool,
}

#[derive(Serialize)]
struct Document {
    slot: String,
    serial: Option<u32>,
    certificate: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<info::CertificateDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

#[derive(Serialize)]
struct RequestDocument {
    slot: String,
    serial: Option<u32>,
    request: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

#[derive(Serialize)]
struct Deleted {
    slot: String,
    serial: Option<u32>,
}

/// Runs it.
pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Export(args) => export(&args, context),
        Command::Import(args) => import(&args, context),
        Command::Generate(args) => generate(&args, context),
        Command::Request(args) => request(&args, context),
        Command::Delete(args) => delete(&args, context),
    }
}

fn export(args: &Export, context: &Context) -> Result<(), Failure> {
    let mut piv = Piv::begin(context)?;
    let slot = args.slot;
    let object = piv.with(|session, control| session.certificate(slot, control))?;
    let object = object.ok_or_else(|| missing(slot))?;
    let der = files::unpack(&object)?;
    if let Some(path) = &args.leave.output {
        files::write(context, Some(path), &args.leave.format.write(CERTIFICATE, &der), false)?;
    }
    let document = Document {
        slot: slot.to_string(),
        serial: piv.serial(),
        certificate: files::pem(CERTIFICATE, &der),
        content: info::certificate(&der, object.bytes != der),
        file: args.leave.output.as_ref().map(|path| path.display().to_string()),
    };
    finish("piv-certificate/1", &document, &args.leave, CERTIFICATE, &der, context)
}

fn import(args: &Import, context: &Context) -> Result<(), Failure> {
    let parts = files::parts(&files::read(&args.file)?)?;
    let mut certificates =
        parts.into_iter().filter(|part| part.label.is_empty() || part.label == CERTIFICATE);
    let der = certificates
        .next()
        .ok_or_else(|| Failure::usage("there is no certificate in the file"))?
        .der
        .to_vec();
    let public = public_key_of(&der).map_err(|failure| Failure::usage(failure.message()))?;
    if certificates.next().is_some() {
        context.printer.warn("the file has several certificates; only the first is stored");
    }
    let mut piv = Piv::begin(context)?;
    if args.verify {
        belongs(&mut piv, args.slot, &public, args.store.rights.pin.as_ref())?;
    }
    put(&mut piv, args.slot, der, &args.store, context)
}

fn generate(args: &Generate, context: &Context) -> Result<(), Failure> {
    x509::name(&args.content.subject)?;
    let mut piv = Piv::begin(context)?;
    let signer = signer(&mut piv, args.slot, &args.content, args.store.rights.pin.as_ref())?;
    let der = x509::self_signed(&mut piv, &signer, &args.content.subject, args.valid_days)?;
    put(&mut piv, args.slot, der, &args.store, context)
}

fn request(args: &Request, context: &Context) -> Result<(), Failure> {
    x509::name(&args.content.subject)?;
    let mut piv = Piv::begin(context)?;
    let signer = signer(&mut piv, args.slot, &args.content, args.pin.as_ref())?;
    let der = x509::request(&mut piv, &signer, &args.content.subject)?;
    if let Some(path) = &args.leave.output {
        files::write(context, Some(path), &args.leave.format.write(REQUEST, &der), false)?;
    }
    let document = RequestDocument {
        slot: args.slot.to_string(),
        serial: piv.serial(),
        request: files::pem(REQUEST, &der),
        file: args.leave.output.as_ref().map(|path| path.display().to_string()),
    };
    finish("piv-request/1", &document, &args.leave, REQUEST, &der, context)
}

fn delete(args: &Delete, context: &Context) -> Result<(), Failure> {
    let mut piv = Piv::begin(context)?;
    let slot = args.slot;
    piv.with(|session, control| session.certificate(slot, control))?.ok_or_else(|| missing(slot))?;
    let authority = piv.authority(&args.rights, context)?;
    piv.confirm(&format!("Delete the certificate of slot {slot}?"), args.force)?;
    let busy = interrupt::busy();
    piv.with(|session, control| session.delete_certificate(slot, authority.who(), control))?;
    if args.update_chuid {
        new_chuid(&mut piv, &authority)?;
    }
    drop(busy);
    let done = Deleted { slot: slot.to_string(), serial: piv.serial() };
    context.printer.result("piv-certificate-delete/1", &done, |done| {
        format!("there is no certificate in slot {} any more", done.slot)
    })
}

/// Stores a certificate, after a question when there is one already.
fn put(piv: &mut Piv, slot: Slot, der: Vec<u8>, store: &Store, context: &Context) -> Result<(), Failure> {
    let object = files::pack(der.clone(), store.compress)?;
    let present = piv.with(|session, control| session.certificate(slot, control))?;
    if present.is_some_and(|present| files::unpack(&present).map_or(true, |present| present != der)) {
        piv.confirm(&format!("Slot {slot} has another certificate. Replace it?"), store.force)?;
    }
    let authority = piv.authority(&store.rights, context)?;
    let busy = interrupt::busy();
    piv.with(|session, control| session.put_certificate(slot, &object, authority.who(), control))?;
    if store.update_chuid {
        new_chuid(piv, &authority)?;
    }
    drop(busy);
    let document = Document {
        slot: slot.to_string(),
        serial: piv.serial(),
        certificate: files::pem(CERTIFICATE, &der),
        content: info::certificate(&der, store.compress),
        file: None,
    };
    context.printer.result("piv-certificate/1", &document, |document| {
        format!("slot {} has the certificate", document.slot)
    })
}

fn new_chuid(piv: &mut Piv, authority: &super::session::Authority) -> Result<(), Failure> {
    let chuid = Chuid::new(*random::<16>()?).encode();
    piv.with(|session, control| session.put_object(ObjectId::CHUID, &chuid, authority.who(), control))
}

fn signer(piv: &mut Piv, slot: Slot, content: &Content, source: Option<&Source>) -> Result<Signer, Failure> {
    let public_key = match &content.public_key {
        Some(path) => read_public_key(path)?,
        None => piv.public_key(slot)?,
    };
    let algorithm = public_key
        .algorithm()
        .ok_or_else(|| Failure::usage("the public key is of a length that keys do not have"))?;
    let scheme = Scheme::new(algorithm, content.hash, content.pss)?;
    let pin = piv.pin_for(slot, source)?;
    Ok(Signer { slot, public_key, scheme, pin })
}

/// Reads a public key, or the one in a certificate.
pub(super) fn read_public_key(path: &std::path::Path) -> Result<PublicKey, Failure> {
    let parts = files::parts(&files::read(path)?)?;
    let part = parts.first().ok_or_else(|| Failure::usage("there is no public key in the file"))?;
    let key = match part.label.as_str() {
        CERTIFICATE => public_key_of(&part.der).ok(),
        _ => public_key_from_der(&part.der).ok(),
    };
    key.ok_or_else(|| Failure::usage(format!("{} is no public key that is understood here", path.display())))
}

/// Makes sure that a public key belongs to the private key in a slot.
fn belongs(piv: &mut Piv, slot: Slot, public: &PublicKey, source: Option<&Source>) -> Result<(), Failure> {
    let wrong = || Failure::failed(format!("the certificate does not belong to the key in slot {slot}"));
    if piv.session.version() >= since::METADATA {
        let metadata = piv.with(|session, control| session.metadata(slot, control))?;
        let metadata = metadata.ok_or_else(|| failed(PivRefusal::NoKey { slot }.into()))?;
        return if metadata.public_key == *public { Ok(()) } else { Err(wrong()) };
    }
    // Older firmware shows it by a signature.
    let algorithm =
        public.algorithm().filter(|algorithm| *algorithm != Algorithm::X25519).ok_or_else(wrong)?;
    let scheme = Scheme::new(algorithm, None, false)?;
    let pin: Option<Pin> = piv.pin_for(slot, source)?;
    Signer { slot, public_key: public.clone(), scheme, pin }.sign(piv, &*random::<32>()?).map(drop)
}

fn missing(slot: Slot) -> Failure {
    failed(PivRefusal::NoObject { id: slot.certificate() }.into())
}
