//! `tapkey piv access`: PIN, PUK, tries and management key.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};
use serde::Serialize;
use tapkey_driver::piv::NewManagementKey;
use tapkey_protocol::piv::{ManagementKey, ManagementKeyType, Pin, TouchPolicy};
use tapkey_protocol::secret::SecretBytes;
use zeroize::Zeroizing;

use super::session::{Piv, Rights, key_bytes, read_pin, read_puk};
use crate::{
    commands::Context,
    encode::{hex, random},
    exit::Failure,
    interrupt,
    secrets::{NewFile, Source, Wanted},
};

/// Everything `tapkey piv access` does.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Change the PIN.
    ChangePin(ChangePin),
    /// Change the PUK.
    ChangePuk(ChangePuk),
    /// Change the management key.
    ChangeManagementKey(Box<ChangeManagementKey>),
    /// Set how many wrong tries there are; PIN and PUK become the factory's.
    SetRetries(SetRetries),
    /// Set a new PIN with the PUK.
    UnblockPin(UnblockPin),
}

/// Options of `tapkey piv access change-pin`.
#[derive(ClapArgs, Debug)]
pub(crate) struct ChangePin {
    /// Where the present PIN comes from.
    #[arg(long, short = 'P', value_name = "SOURCE")]
    pin: Option<Source>,

    /// Where the new PIN comes from: 6 to 8 characters.
    #[arg(long, short, value_name = "SOURCE")]
    new_pin: Option<Source>,
}

/// Options of `tapkey piv access change-puk`.
#[derive(ClapArgs, Debug)]
pub(crate) struct ChangePuk {
    /// Where the present PUK comes from.
    #[arg(long, short, value_name = "SOURCE")]
    puk: Option<Source>,

    /// Where the new PUK comes from: 6 to 8 characters.
    #[arg(long, short, value_name = "SOURCE")]
    new_puk: Option<Source>,
}

/// Options of `tapkey piv access unblock-pin`.
#[derive(ClapArgs, Debug)]
pub(crate) struct UnblockPin {
    /// Where the PUK comes from.
    #[arg(long, short, value_name = "SOURCE")]
    puk: Option<Source>,

    /// Where the new PIN comes from: 6 to 8 characters.
    #[arg(long, short, value_name = "SOURCE")]
    new_pin: Option<Source>,
}

/// Options of `tapkey piv access set-retries`.
#[derive(ClapArgs, Debug)]
pub(crate) struct SetRetries {
    /// How many wrong PINs there are, 1 to 255.
    #[arg(value_parser = clap::value_parser!(u8).range(1..))]
    pin_tries: u8,

    /// How many wrong PUKs there are, 1 to 255.
    #[arg(value_parser = clap::value_parser!(u8).range(1..))]
    puk_tries: u8,

    #[command(flatten)]
    rights: Rights,

    /// Do not ask.
    #[arg(long, short)]
    force: bool,
}

/// Options of `tapkey piv access change-management-key`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey piv access change-management-key --protect            nobody has to know it: the PIN is enough
  tapkey piv access change-management-key --generate --output management-key.hex
  tapkey piv access change-management-key --new-management-key file:key.hex --algorithm aes256")]
pub(crate) struct ChangeManagementKey {
    #[command(flatten)]
    rights: Rights,

    /// Where the new management key comes from: hexadecimal digits.
    #[arg(long, short, value_name = "SOURCE", conflicts_with = "generate")]
    new_management_key: Option<Source>,

    /// Draw the new management key at random.
    #[arg(long, short)]
    generate: bool,

    /// Its cipher: tdes, aes128, aes192 or aes256 [default: the present one].
    #[arg(long, short, value_name = "CIPHER")]
    algorithm: Option<ManagementKeyType>,

    /// Keep it on the key, where the PIN is needed to read it; drawn at random unless given.
    #[arg(long)]
    protect: bool,

    /// Proving it takes a touch.
    #[arg(long, short)]
    touch: bool,

    /// Write the new key to a new file.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Show the new key.
    #[arg(long)]
    show_secret: bool,

    /// Do not ask.
    #[arg(long, short)]
    force: bool,
}

#[derive(Serialize)]
struct Changed {
    changed: &'static str,
    serial: Option<u32>,
}

#[derive(Serialize)]
struct RetriesSet {
    pin_tries: u8,
    puk_tries: u8,
    serial: Option<u32>,
}

#[derive(Serialize)]
struct KeyChanged {
    algorithm: &'static str,
    touch: bool,
    protected_by_pin: bool,
    serial: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    management_key: Option<String>,
}

/// Runs it.
pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::ChangePin(args) => change_pin(&args, context),
        Command::ChangePuk(args) => change_puk(&args, context),
        Command::ChangeManagementKey(args) => change_management_key(&args, context),
        Command::SetRetries(args) => set_retries(&args, context),
        Command::UnblockPin(args) => unblock_pin(&args, context),
    }
}

fn change_pin(args: &ChangePin, context: &Context) -> Result<(), Failure> {
    let old = read_pin(args.pin.as_ref(), "the present PIN", "--pin")?;
    let new = new_pin(args.new_pin.as_ref())?;
    let mut piv = Piv::begin(context)?;
    let _busy = interrupt::busy();
    piv.with(|session, control| session.change_pin(&old, &new, control))?;
    changed("pin", "the PIN is changed", &piv, context)
}

fn change_puk(args: &ChangePuk, context: &Context) -> Result<(), Failure> {
    let old = read_puk(args.puk.as_ref(), "the present PUK", "--puk")?;
    let asked = asked(args.new_puk.as_ref());
    let new = read_puk(args.new_puk.as_ref(), "the new PUK", "--new-puk")?;
    if asked && new != read_puk(None, "the new PUK again", "--new-puk")? {
        return Err(differ());
    }
    let mut piv = Piv::begin(context)?;
    let _busy = interrupt::busy();
    piv.with(|session, control| session.change_puk(&old, &new, control))?;
    changed("puk", "the PUK is changed", &piv, context)
}

fn unblock_pin(args: &UnblockPin, context: &Context) -> Result<(), Failure> {
    let puk = read_puk(args.puk.as_ref(), "the PUK", "--puk")?;
    let new = new_pin(args.new_pin.as_ref())?;
    let mut piv = Piv::begin(context)?;
    let _busy = interrupt::busy();
    piv.with(|session, control| session.unblock_pin(&puk, &new, control))?;
    changed("pin", "the new PIN is set, with all its tries", &piv, context)
}

fn set_retries(args: &SetRetries, context: &Context) -> Result<(), Failure> {
    let mut piv = Piv::begin(context)?;
    let authority = piv.authority(&args.rights, context)?;
    let pin = piv.pin(args.rights.pin.as_ref())?;
    piv.confirm("PIN and PUK will be those of the factory. Set the numbers of tries?", args.force)?;
    let busy = interrupt::busy();
    let (pin_tries, puk_tries) = (args.pin_tries, args.puk_tries);
    piv.with(|session, control| session.set_retries(pin_tries, puk_tries, authority.who(), &pin, control))?;
    drop(busy);
    let done = RetriesSet { pin_tries, puk_tries, serial: piv.serial() };
    context.printer.result("piv-retries/1", &done, |done| {
        format!("{} wrong PINs and {} wrong PUKs are allowed", done.pin_tries, done.puk_tries)
    })?;
    piv.warn_of_defaults(context)
}

fn change_management_key(args: &ChangeManagementKey, context: &Context) -> Result<(), Failure> {
    let given = args.new_management_key.as_ref().filter(|source| **source != Source::Generate);
    let draw = args.generate
        || args.new_management_key == Some(Source::Generate)
        || (args.protect && given.is_none());
    if draw && !args.protect && args.output.is_none() && !args.show_secret {
        return Err(Failure::usage("a management key that is drawn at random would be lost")
            .hint("add --output FILE, --show-secret, or --protect to keep it on the key"));
    }
    let given = given.map(new_key).transpose()?;
    let mut piv = Piv::begin(context)?;
    let authority = piv.authority(&args.rights, context)?;
    let present = piv.with(|session, control| session.management_key_type(control))?;
    let kind = args.algorithm.unwrap_or(present);
    let bytes = match given {
        Some(bytes) => bytes,
        None if draw => drawn(kind)?,
        None => new_key(&Source::Prompt)?,
    };
    let key = ManagementKey::new(kind, bytes).map_err(|error| Failure::usage(error.to_string()))?;
    let pin = if args.protect { Some(piv.pin(args.rights.pin.as_ref())?) } else { None };
    let file = args.output.as_deref().map(NewFile::create).transpose()?;
    let text = Zeroizing::new(hex(key.expose()));
    let busy = interrupt::busy();
    // On the disk before it counts.
    let record = file.map(|file| file.write(&text)).transpose()?;
    let touch = if args.touch { TouchPolicy::Always } else { TouchPolicy::Never };
    let new = NewManagementKey { key: &key, touch, protect: pin.as_ref() };
    piv.with(|session, control| session.set_management_key(&new, authority.who(), control))?;
    drop(busy);
    let done = KeyChanged {
        algorithm: kind.name(),
        touch: args.touch,
        protected_by_pin: args.protect,
        serial: piv.serial(),
        record: record.map(|path| path.display().to_string()),
        management_key: args.show_secret.then(|| text.to_string()),
    };
    context.printer.result("piv-management-key/1", &done, human)
}

fn human(done: &KeyChanged) -> String {
    let kept = if done.protected_by_pin { ", kept on the key under the PIN" } else { "" };
    let mut text = format!("the management key is changed ({}{kept})\n", done.algorithm);
    if let Some(record) = &done.record {
        text.push_str(&format!("it is in {record}\n"));
    }
    if let Some(key) = &done.management_key {
        text.push_str(&format!("{key}\n"));
    }
    text
}

fn changed(what: &'static str, text: &str, piv: &Piv, context: &Context) -> Result<(), Failure> {
    let done = Changed { changed: what, serial: piv.serial() };
    context.printer.result("piv-access/1", &done, |_| text.to_owned())
}

/// A new PIN; typed ones twice.
fn new_pin(source: Option<&Source>) -> Result<Pin, Failure> {
    let asked = asked(source);
    let new = read_pin(source, "the new PIN", "--new-pin")?;
    if asked && new != read_pin(None, "the new PIN again", "--new-pin")? {
        return Err(differ());
    }
    Ok(new)
}

fn asked(source: Option<&Source>) -> bool {
    matches!(source, None | Some(Source::Prompt)) && crate::prompt::possible()
}

fn differ() -> Failure {
    Failure::usage("the two answers differ; nothing was changed")
}

fn new_key(source: &Source) -> Result<SecretBytes, Failure> {
    let wanted = Wanted { name: "the new management key", option: "--new-management-key" };
    key_bytes(&wanted.read(Some(source))?)
}

fn drawn(kind: ManagementKeyType) -> Result<SecretBytes, Failure> {
    let bytes = random::<32>()?;
    Ok(SecretBytes::new(bytes.get(..kind.key_size()).unwrap_or_default().to_vec()))
}
