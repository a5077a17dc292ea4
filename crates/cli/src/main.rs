//! `tapkey`: enrol a YubiKey, validate what it types, run the server, emulate a key.
//!
//! One file per command group stands under `commands`; this file only parses, runs, and turns the
//! outcome into an exit code (see [`exit::Exit`] for their meaning).

#![cfg_attr(
    not(all(feature = "device", feature = "emulator", feature = "server")),
    allow(dead_code, reason = "a slim build leaves commands out, and with them the users of some helpers")
)]

mod args;
mod commands;
mod config;
mod encode;
mod exit;
mod interrupt;
#[cfg(any(feature = "device", feature = "emulator"))]
mod keys;
#[cfg(any(feature = "device", feature = "emulator"))]
mod memory;
mod output;
mod progress;
mod prompt;
mod secrets;
mod server;
#[cfg(any(feature = "device", feature = "emulator"))]
mod tape;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let args = args::Args::parse_from(args::as_called(std::env::args_os()));
    let printer = output::Printer::new(&args.global);
    let context = commands::Context { global: args.global, printer, tape: None };
    let outcome = commands::run(args.command, &context);
    interrupt::settle();
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            context.printer.failure(&failure);
            failure.exit().into()
        }
    }
}
