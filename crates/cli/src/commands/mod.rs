//! One file per command group. Each turns its options into calls of the layers below and their
//! outcome into output; rules and protocols live elsewhere.

pub(crate) mod admin;
#[cfg(any(feature = "device", feature = "emulator"))]
pub(crate) mod apdu;
#[cfg(any(feature = "device", feature = "emulator"))]
pub(crate) mod apply;
#[cfg(any(feature = "device", feature = "emulator"))]
pub(crate) mod challenge;
pub(crate) mod completions;
#[cfg(any(feature = "device", feature = "emulator"))]
pub(crate) mod config;
#[cfg(all(feature = "server", feature = "emulator"))]
pub(crate) mod demo;
#[cfg(any(feature = "device", feature = "emulator"))]
pub(crate) mod doctor;
#[cfg(feature = "emulator")]
pub(crate) mod emulate;
#[cfg(any(feature = "device", feature = "emulator"))]
pub(crate) mod enroll;
#[cfg(any(feature = "device", feature = "emulator"))]
pub(crate) mod info;
#[cfg(any(feature = "device", feature = "emulator"))]
pub(crate) mod list;
pub(crate) mod man;
#[cfg(any(feature = "device", feature = "emulator"))]
pub(crate) mod oath;
pub(crate) mod otp;
#[cfg(any(feature = "device", feature = "emulator"))]
pub(crate) mod piv;
#[cfg(any(feature = "device", feature = "emulator"))]
pub(crate) mod plan;
#[cfg(any(feature = "device", feature = "emulator"))]
pub(crate) mod record;
pub(crate) mod replay;
#[cfg(feature = "server")]
pub(crate) mod serve;
pub(crate) mod vault;
pub(crate) mod verify;
#[cfg(any(feature = "device", feature = "emulator"))]
pub(crate) mod watch;

use tapkey_protocol::transcript::recording::Tape;

use crate::{
    args::{Command, Global},
    config::Settings,
    exit::Failure,
    output::Printer,
};

/// What every command gets.
#[derive(Debug)]
pub(crate) struct Context {
    /// The options that work everywhere.
    pub(crate) global: Global,
    /// Where output goes.
    pub(crate) printer: Printer,
    /// Takes down what passes between this program and a key.
    pub(crate) tape: Option<Tape>,
}

impl Context {
    /// The person's settings file.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        Settings::load(self.global.config_file.as_deref())
    }
}

/// Runs a command.
pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::List(args) => list::run(&args, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Info(args) => info::run(&args, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Doctor(args) => doctor::run(&args, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Config(command) => config::run(&command, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Watch(args) => watch::run(&args, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Oath(command) => oath::run(command, context),
        Command::Otp(command) => otp::run(command, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Piv(command) => piv::run(*command, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Challenge(args) => challenge::run(&args, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Enroll(args) => enroll::run(&args, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Plan(args) => plan::run(&args, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Apply(args) => apply::run(&args, context),
        Command::Vault(command) => vault::run(command, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Record(args) => record::run(&args, context),
        Command::Replay(args) => replay::run(&args, context),
        Command::Verify(args) => verify::run(&args, context),
        #[cfg(feature = "server")]
        Command::Serve(args) => serve::run(&args, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Apdu(args) => apdu::run(&args, context),
        Command::Admin(command) => admin::run(command, context),
        #[cfg(feature = "emulator")]
        Command::Emulate(command) => emulate::run(command, context),
        #[cfg(all(feature = "server", feature = "emulator"))]
        Command::Demo(args) => demo::run(&args, context),
        Command::Completions(args) => completions::run(&args, context),
        Command::Man(args) => man::run(&args, context),
    }
}

/// Runs a network command to its end. Ctrl-C ends the process; nothing is left to be undone.
pub(crate) fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start the network runtime: {error}")))?
        .block_on(future)
}
