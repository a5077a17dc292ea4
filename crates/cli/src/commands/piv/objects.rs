//! `tapkey piv objects`: what is stored beside the keys.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use serde::Serialize;
use tapkey_driver::{Error, Refusal, piv::PivRefusal};
use tapkey_protocol::piv::{Ccc, Chuid, MAX_OBJECT, ObjectId};

use super::{
    files,
    session::{Piv, Rights, Use, failed},
};
use crate::{
    commands::Context,
    encode::{hex, random},
    exit::Failure,
    interrupt,
    output::table,
};

/// Everything `tapkey piv objects` does.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "An OBJECT is a name such as chuid, ccc, authentication or retired1, or a number in hexadecimal \
such as 5fc102. `tapkey piv objects list --all` shows all names."
)]
pub(crate) enum Command {
    /// List the objects that are there.
    List(List),
    /// Print an object.
    Export(Export),
    /// Store an object from a file.
    Import(Import),
    /// Make a new chuid or ccc and store it.
    Generate(Generate),
    /// Delete an object.
    Delete(Delete),
}

/// Options of `tapkey piv objects list`.
#[derive(ClapArgs, Debug)]
pub(crate) struct List {
    /// List those that are not there as well.
    #[arg(long)]
    all: bool,
}

/// Options of `tapkey piv objects export`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Export {
    /// Its name or number.
    object: ObjectId,

    /// Write to this file instead of standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    usage: Use,
}

/// Options of `tapkey piv objects import`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Import {
    /// Its name or number.
    object: ObjectId,

    /// The file with its value, or - for standard input.
    file: PathBuf,

    #[command(flatten)]
    rights: Rights,

    /// Replace what is there without asking.
    #[arg(long, short)]
    force: bool,
}

/// Options of `tapkey piv objects generate`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Generate {
    /// What to make.
    #[arg(value_enum)]
    object: Made,

    #[command(flatten)]
    rights: Rights,
}

/// Objects that can be made here.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Made {
    /// Card holder unique identifier.
    Chuid,
    /// Card capability container.
    Ccc,
}

/// Options of `tapkey piv objects delete`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Delete {
    /// Its name or number.
    object: ObjectId,

    #[command(flatten)]
    rights: Rights,

    /// Do not ask.
    #[arg(long, short)]
    force: bool,
}

#[derive(Serialize)]
struct Objects {
    serial: Option<u32>,
    objects: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    id: String,
    name: Option<String>,
    /// Unknown when the PIN is needed to see it.
    length: Option<usize>,
    present: Option<bool>,
}

#[derive(Serialize)]
struct Object {
    id: String,
    serial: Option<u32>,
    length: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
}

#[derive(Serialize)]
struct Deleted {
    id: String,
    serial: Option<u32>,
}

/// Runs it.
pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::List(args) => list(&args, context),
        Command::Export(args) => export(&args, context),
        Command::Import(args) => import(&args, context),
        Command::Generate(args) => generate(&args, context),
        Command::Delete(args) => delete(&args, context),
    }
}

fn list(args: &List, context: &Context) -> Result<(), Failure> {
    let mut piv = Piv::begin(context)?;
    let mut objects = Vec::new();
    for id in ObjectId::named() {
        let entry = |present, length| Entry { id: id.to_string(), name: id.name(), length, present };
        match piv.session.object(id, None, &piv.control) {
            Ok(Some(value)) => objects.push(entry(Some(true), Some(value.len()))),
            Ok(None) => objects.push(entry(Some(false), None)),
            Err(Error::Refused(Refusal::Piv(PivRefusal::PinNeeded { .. }))) => {
                objects.push(entry(None, None))
            }
            Err(error) => return Err(failed(error)),
        }
    }
    objects.retain(|entry| args.all || entry.present != Some(false));
    let document = Objects { serial: piv.serial(), objects };
    context.printer.result("piv-objects/1", &document, |document| {
        let rows: Vec<[String; 3]> = document
            .objects
            .iter()
            .map(|entry| {
                let state = match (entry.present, entry.length) {
                    (_, Some(length)) => format!("{length} bytes"),
                    (None, _) => "only with the PIN".to_owned(),
                    _ => "-".to_owned(),
                };
                [entry.id.clone(), entry.name.clone().unwrap_or_default(), state]
            })
            .collect();
        table(["OBJECT", "NAME", "CONTENT"], &rows)
    })
}

fn export(args: &Export, context: &Context) -> Result<(), Failure> {
    let mut piv = Piv::begin(context)?;
    let id = args.object;
    let pin = if id.needs_pin() { Some(piv.pin(args.usage.pin.as_ref())?) } else { None };
    let value = piv.with(|session, control| session.object(id, pin.as_ref(), control))?;
    let value = value.ok_or_else(|| failed(PivRefusal::NoObject { id }.into()))?;
    // What takes the PIN to be read is for its owner alone.
    files_and_value(&piv, id, &value, args.output.as_ref(), id.needs_pin(), context)
}

fn files_and_value(
    piv: &Piv,
    id: ObjectId,
    value: &[u8],
    output: Option<&PathBuf>,
    secret: bool,
    context: &Context,
) -> Result<(), Failure> {
    if let Some(path) = output {
        files::write(context, Some(path), value, secret)?;
    }
    if !context.printer.is_json() {
        return match output {
            Some(path) => {
                context.printer.say(format!("written to {}", path.display()));
                Ok(())
            }
            None => context.printer.raw(value),
        };
    }
    let document = Object {
        id: id.to_string(),
        serial: piv.serial(),
        length: value.len(),
        value: output.is_none().then(|| hex(value)),
        file: output.map(|path| path.display().to_string()),
    };
    context.printer.result("piv-object/1", &document, |_| String::new())
}

fn import(args: &Import, context: &Context) -> Result<(), Failure> {
    let id = args.object;
    let value = files::read(&args.file)?;
    if !id.is_writable() {
        return Err(Failure::usage(format!("the object {id} cannot be written")));
    }
    if value.is_empty() || value.len() > MAX_OBJECT {
        return Err(Failure::usage(format!("an object has 1 to {MAX_OBJECT} bytes, not {}", value.len())));
    }
    let mut piv = Piv::begin(context)?;
    let known =
        if id.needs_pin() { None } else { piv.with(|session, control| session.object(id, None, control))? };
    if id.needs_pin() || known.is_some_and(|known| known != value) {
        piv.confirm(&format!("What object {id} holds will be replaced. Go on?"), args.force)?;
    }
    store(&mut piv, id, &value, &args.rights, context)
}

fn generate(args: &Generate, context: &Context) -> Result<(), Failure> {
    let (id, value) = match args.object {
        Made::Chuid => (ObjectId::CHUID, Chuid::new(*random::<16>()?).encode()),
        Made::Ccc => (ObjectId::CCC, Ccc { card_id: *random::<14>()? }.encode()),
    };
    let mut piv = Piv::begin(context)?;
    store(&mut piv, id, &value, &args.rights, context)
}

fn store(
    piv: &mut Piv,
    id: ObjectId,
    value: &[u8],
    rights: &Rights,
    context: &Context,
) -> Result<(), Failure> {
    let authority = piv.authority(rights, context)?;
    let busy = interrupt::busy();
    piv.with(|session, control| session.put_object(id, value, authority.who(), control))?;
    drop(busy);
    let document =
        Object { id: id.to_string(), serial: piv.serial(), length: value.len(), value: None, file: None };
    context.printer.result("piv-object/1", &document, |document| {
        format!("object {} holds {} bytes", document.id, document.length)
    })
}

fn delete(args: &Delete, context: &Context) -> Result<(), Failure> {
    let mut piv = Piv::begin(context)?;
    let id = args.object;
    let authority = piv.authority(&args.rights, context)?;
    piv.confirm(&format!("What object {id} holds is lost for good. Delete it?"), args.force)?;
    let busy = interrupt::busy();
    piv.with(|session, control| session.delete_object(id, authority.who(), control))?;
    drop(busy);
    let done = Deleted { id: id.to_string(), serial: piv.serial() };
    context
        .printer
        .result("piv-object-delete/1", &done, |done| format!("there is no object {} any more", done.id))
}
