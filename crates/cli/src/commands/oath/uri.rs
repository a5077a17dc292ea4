//! `tapkey oath accounts uri`: accounts from an `otpauth://` URI, or from a picture of a QR code.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_protocol::oath::{KeyUri, Migration};
use zeroize::Zeroizing;

use super::{
    picture,
    session::{Password, Session},
    store::{self, Wanted},
};
use crate::{
    commands::Context,
    exit::Failure,
    prompt,
    secrets::{Source, Wanted as Secret},
};

/// Options of `tapkey oath accounts uri`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "A URI holds the secret, so it is not an argument. QR codes of services hold such a URI; a picture of the \
screen will do.

Examples:
  tapkey oath accounts uri                         asks for the URI
  tapkey oath accounts uri --image screenshot.png
  pbpaste | tapkey oath accounts uri -"
)]
pub(crate) struct Args {
    /// Where the URI comes from: prompt, - (standard input), file:PATH or env:NAME.
    #[arg(value_name = "SOURCE", conflicts_with = "image")]
    source: Option<Source>,

    /// Read the QR codes in this PNG picture.
    #[arg(long, value_name = "FILE")]
    image: Option<PathBuf>,

    /// Of several accounts, take this one, counted from 1.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pick: Option<u32>,

    /// Of several accounts, take all.
    #[arg(long, conflicts_with = "pick")]
    all: bool,

    /// Make codes only after a touch.
    #[arg(long, short)]
    touch: bool,

    /// Replace accounts of the same name without asking.
    #[arg(long, short)]
    force: bool,

    #[command(flatten)]
    password: Password,
}

#[derive(Serialize)]
struct Added {
    accounts: Vec<One>,
}

#[derive(Serialize)]
struct One {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    replaced: bool,
}

/// Stores what the URI or the picture says.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let texts = match &args.image {
        Some(path) => picture::read(path)?,
        None => {
            let wanted = Secret { name: "the URI", option: "SOURCE" };
            vec![wanted.read(args.source.as_ref())?]
        }
    };
    let uris = choose(read(&texts, args.image.is_some(), context)?, args, context)?;
    let mut wanted = Vec::new();
    for uri in &uris {
        let named = |problem| Failure::usage(format!("{}: {problem}", uri.name()));
        wanted.push(Wanted::new(uri, args.touch).map_err(named)?);
    }
    let mut session = Session::unlocked(context, &args.password)?;
    let mut added = Added { accounts: Vec::new() };
    for wanted in &wanted {
        let replaced = store::store(&mut session, wanted, args.force, || Ok(()))?;
        let kind = super::account::kind(wanted.put.kind);
        added.accounts.push(One { name: wanted.name.to_string(), kind, replaced });
    }
    context.printer.result("oath-uri/1", &added, |added| {
        let line = |one: &One| format!("{} {}\n", if one.replaced { "replaced" } else { "added" }, one.name);
        added.accounts.iter().map(line).collect()
    })
}

/// The accounts of all texts. In a picture there may be codes that have nothing to do with this.
fn read(texts: &[Zeroizing<String>], in_picture: bool, context: &Context) -> Result<Vec<KeyUri>, Failure> {
    let mut uris = Vec::new();
    let mut strange = 0;
    for text in texts {
        if Migration::is_one(text) {
            let found = Migration::parse(text).map_err(|error| Failure::usage(error.to_string()))?;
            if found.of > 1 {
                context.printer.warn(format!(
                    "this is code {} of {}; the others hold more accounts",
                    found.number, found.of
                ));
            }
            uris.extend(found.accounts);
        } else if in_picture && !text.trim_start().to_ascii_lowercase().starts_with("otpauth:") {
            strange += 1;
        } else {
            uris.push(
                text.parse()
                    .map_err(|error: tapkey_protocol::oath::KeyUriError| Failure::usage(error.to_string()))?,
            );
        }
    }
    if uris.is_empty() {
        let found = if strange == 1 { "a QR code that is" } else { "QR codes that are" };
        return Err(Failure::usage(format!("the picture holds {found} not for an account"))
            .hint("a QR code for an account holds a URI that begins with otpauth://"));
    }
    Ok(uris)
}

/// One of several, or all.
fn choose(mut uris: Vec<KeyUri>, args: &Args, context: &Context) -> Result<Vec<KeyUri>, Failure> {
    let names: Vec<String> = uris.iter().map(|uri| uri.name().to_string()).collect();
    let number = match args.pick {
        Some(number) => usize::try_from(number).unwrap_or(usize::MAX),
        None if args.all || uris.len() == 1 => return Ok(uris),
        None if !prompt::possible() => {
            return Err(Failure::usage(format!("there are {} accounts: {}", names.len(), names.join(", ")))
                .hint("add --pick N, counted from 1, or --all"));
        }
        None => {
            for (index, name) in names.iter().enumerate() {
                context.printer.warn(format!("{}  {name}", index + 1));
            }
            let answer = prompt::line(&format!("Which one (1 to {}, or all)? ", names.len()))?;
            if answer.trim().eq_ignore_ascii_case("all") {
                return Ok(uris);
            }
            answer.trim().parse().unwrap_or(0)
        }
    };
    if number == 0 || number > uris.len() {
        return Err(Failure::usage(format!("there is no account {number}; there are {}", names.len())));
    }
    Ok(vec![uris.swap_remove(number - 1)])
}
