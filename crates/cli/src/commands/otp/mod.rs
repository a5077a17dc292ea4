//! `tapkey otp`: the two slots behind the button.

mod convert;
mod decode;
mod generate;
mod list;
mod pskc;
mod record;

#[cfg(any(feature = "device", feature = "emulator"))]
mod chalresp;
#[cfg(any(feature = "device", feature = "emulator"))]
mod change;
#[cfg(any(feature = "device", feature = "emulator"))]
mod delete;
#[cfg(any(feature = "device", feature = "emulator"))]
mod hotp;
#[cfg(any(feature = "device", feature = "emulator"))]
mod info;
#[cfg(any(feature = "device", feature = "emulator"))]
mod known;
#[cfg(any(feature = "device", feature = "emulator"))]
mod layouts;
#[cfg(any(feature = "device", feature = "emulator"))]
mod ndef;
#[cfg(any(feature = "device", feature = "emulator"))]
mod options;
#[cfg(any(feature = "device", feature = "emulator"))]
mod program;
#[cfg(any(feature = "device", feature = "emulator"))]
mod scan_map;
#[cfg(any(feature = "device", feature = "emulator"))]
mod settings;
#[cfg(any(feature = "device", feature = "emulator"))]
mod static_password;
#[cfg(any(feature = "device", feature = "emulator"))]
mod static_ticket;
#[cfg(any(feature = "device", feature = "emulator"))]
mod swap;
#[cfg(any(feature = "device", feature = "emulator"))]
mod yubiotp;

use clap::Subcommand;

use super::Context;
use crate::exit::Failure;

/// Everything `tapkey otp` does.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "A slot is 1 (short touch) or 2 (long touch). Before a slot is changed, the key is read, what will \
happen is shown, and you are asked; --yes answers for an empty slot, --force for one that holds something."
)]
pub(crate) enum Command {
    /// Show everything that can be known about the slots.
    #[cfg(any(feature = "device", feature = "emulator"))]
    Info(info::Args),
    /// Program a Yubico OTP credential.
    #[cfg(any(feature = "device", feature = "emulator"))]
    Yubiotp(yubiotp::Args),
    /// Program challenge-response.
    #[cfg(any(feature = "device", feature = "emulator"))]
    Chalresp(chalresp::Args),
    /// Program a static password.
    #[cfg(any(feature = "device", feature = "emulator"))]
    Static(static_password::Args),
    /// Program a ticket that never changes.
    #[cfg(any(feature = "device", feature = "emulator"))]
    StaticTicket(static_ticket::Args),
    /// Program OATH-HOTP.
    #[cfg(any(feature = "device", feature = "emulator"))]
    Hotp(hotp::Args),
    /// Program a key from a list of credentials.
    #[cfg(any(feature = "device", feature = "emulator"))]
    Program(program::Args),
    /// Change single settings of a slot without its secret.
    #[cfg(any(feature = "device", feature = "emulator"))]
    Settings(settings::Args),
    /// Exchange slot 1 and slot 2.
    #[cfg(any(feature = "device", feature = "emulator"))]
    Swap(swap::Args),
    /// Empty a slot.
    #[cfg(any(feature = "device", feature = "emulator"))]
    Delete(delete::Args),
    /// Choose what the key says over NFC.
    #[cfg(any(feature = "device", feature = "emulator"))]
    Ndef(ndef::Args),
    /// Choose which keys are pressed for the letters of passwords.
    #[cfg(any(feature = "device", feature = "emulator"))]
    ScanMap(scan_map::Args),
    /// List the keyboard layouts, and what each can type.
    #[cfg(any(feature = "device", feature = "emulator"))]
    Layouts(layouts::Args),
    /// Check a list of credentials, or write it in another format.
    Convert(convert::Args),
    /// Look inside a typed one-time password, off line.
    Decode(decode::Args),
    /// Make one-time passwords without a key, for tests.
    Generate(generate::Args),
}

/// Runs it.
pub(crate) fn run(command: Command, context: &Context) -> Result<(), Failure> {
    match command {
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Info(args) => info::run(&args, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Yubiotp(args) => yubiotp::run(&args, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Chalresp(args) => chalresp::run(&args, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Static(args) => static_password::run(&args, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::StaticTicket(args) => static_ticket::run(&args, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Program(args) => program::run(&args, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::ScanMap(args) => scan_map::run(&args, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Layouts(args) => layouts::run(&args, context),
        Command::Convert(args) => convert::run(&args, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Hotp(args) => hotp::run(&args, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Settings(args) => settings::run(&args, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Swap(args) => swap::run(&args, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Delete(args) => delete::run(&args, context),
        #[cfg(any(feature = "device", feature = "emulator"))]
        Command::Ndef(args) => ndef::run(&args, context),
        Command::Decode(args) => decode::run(&args, context),
        Command::Generate(args) => generate::run(&args, context),
    }
}
