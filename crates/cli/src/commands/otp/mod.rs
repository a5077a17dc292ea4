//! `tapkey otp`: the two slots behind the button.

mod decode;
mod generate;

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
mod ndef;
#[cfg(any(feature = "device", feature = "emulator"))]
mod record;
#[cfg(any(feature = "device", feature = "emulator"))]
mod settings;
#[cfg(any(feature = "device", feature = "emulator"))]
mod static_password;
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
    /// Show what the slots hold.
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
    /// Program OATH-HOTP.
    #[cfg(any(feature = "device", feature = "emulator"))]
    Hotp(hotp::Args),
    /// Change a slot's settings without touching its secret.
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
