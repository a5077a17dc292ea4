//! `tapkey man`: manual pages, made from the definition of the command line.

use std::{fs, path::PathBuf};

use clap::{Args as ClapArgs, CommandFactory};
use serde::Serialize;

use super::Context;
use crate::{args, exit::Failure};

/// Options of `tapkey man`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "Examples:\n  tapkey man | man -l -        read the main page\n  tapkey man ~/.local/share/man/man1    write all pages"
)]
pub(crate) struct Args {
    /// Write one page per command into this folder, instead of the main page to standard output.
    dir: Option<PathBuf>,
}

/// Writes the pages.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut command = args::Args::command();
    command.build();
    let Some(folder) = &args.dir else {
        return context.printer.raw(&page(command)?);
    };
    let in_folder =
        |error: std::io::Error| Failure::failed(format!("cannot write into {}: {error}", folder.display()));
    fs::create_dir_all(folder).map_err(in_folder)?;
    let mut pages = Vec::new();
    collect(&command, &mut pages);
    let mut files = Vec::new();
    for command in pages {
        let path = folder.join(format!("{}.1", command.get_display_name().unwrap_or("tapkey")));
        fs::write(&path, page(command)?).map_err(in_folder)?;
        files.push(path.display().to_string());
    }
    context.printer.result("man/1", &Written { files }, |written| {
        format!("{} manual pages written to {}", written.files.len(), folder.display())
    })
}

#[derive(Serialize)]
struct Written {
    files: Vec<String>,
}

fn collect(command: &clap::Command, pages: &mut Vec<clap::Command>) {
    pages.push(command.clone());
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        collect(below, pages);
    }
}

fn page(command: clap::Command) -> Result<Vec<u8>, Failure> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command).render(&mut text)?;
    Ok(text)
}
