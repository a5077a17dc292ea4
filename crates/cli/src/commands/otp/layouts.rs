//! `tapkey otp layouts`: the keyboard layouts, and what each can type.

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_protocol::keyboard::Layout;

use super::static_password::layout;
use crate::{commands::Context, exit::Failure, output};

/// Options of `tapkey otp layouts`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Args {
    /// Show what this one types.
    #[arg(value_parser = layout)]
    layout: Option<Layout>,
}

#[derive(Serialize)]
struct Layouts {
    layouts: Vec<One>,
}

#[derive(Serialize)]
struct One {
    name: &'static str,
    title: &'static str,
    /// With one key.
    characters: String,
    /// With a dead key and another one.
    composed: String,
}

/// Shows them.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let chosen = args.layout;
    let layouts =
        Layout::all().filter(|layout| chosen.is_none_or(|chosen| chosen == *layout)).map(one).collect();
    context.printer.result("otp-layouts/1", &Layouts { layouts }, |shown| match shown.layouts.as_slice() {
        [one] => output::fields(&[
            ("layout", format!("{} ({})", one.name, one.title)),
            ("one key", one.characters.clone()),
            ("two keys", one.composed.clone()),
        ]),
        all => {
            let rows: Vec<[String; 2]> =
                all.iter().map(|one| [one.name.to_owned(), one.title.to_owned()]).collect();
            output::table(["LAYOUT", "KEYBOARD"], &rows)
        }
    })
}

fn one(layout: Layout) -> One {
    let mut characters: Vec<char> = layout.characters().collect();
    characters.sort_unstable();
    characters.dedup();
    let composed = (' '..='ÿ')
        .filter(|character| layout.key(*character).is_none() && layout.keys(*character).is_some())
        .collect();
    One { name: layout.code(), title: layout.title(), characters: characters.into_iter().collect(), composed }
}
