//! `tapkey completions`: a completion script, made from the definition of the command line.

use clap::{Args as ClapArgs, CommandFactory};
use clap_complete::Shell;

use super::Context;
use crate::{args, exit::Failure};

/// Options of `tapkey completions`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "Example:\n  tapkey completions bash > ~/.local/share/bash-completion/completions/tapkey"
)]
pub(crate) struct Args {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::Args::command(), "tapkey", &mut script);
    context.printer.raw(&script)
}
