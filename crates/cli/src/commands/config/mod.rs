//! `tapkey config`: what of a key is switched on, its lock code, its timeouts, its USB mode.
//!
//! Every change goes the same way: the key is read, what would change is worked out and shown, what would lock its
//! owner out is refused, and what was written is read back. Asked for what is so already, nothing is written.

mod applications;
mod change;
mod lock_code;
mod mode;
mod nfc;
mod reset;
mod usb;

use clap::Subcommand;

use super::Context;
use crate::exit::Failure;

/// Everything `tapkey config` does.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  tapkey config usb --list
  tapkey config usb --disable otp --dry-run
  tapkey config nfc --disable-all
  tapkey config set-lock-code --generate --output lock-code.txt
  tapkey config usb --enable piv --lock-code file:lock-code.txt")]
pub(crate) enum Command {
    /// Switch applications on and off on USB, and set timeouts (firmware 5.0 and later).
    Usb(usb::Args),
    /// Switch applications on and off over NFC, or all of it until the key is plugged in again.
    Nfc(nfc::Args),
    /// Set, change or remove the code that guards these settings (firmware 5.0 and later).
    SetLockCode(lock_code::Args),
    /// Choose the USB interfaces of a key with firmware 3 or 4.
    Mode(mode::Args),
    /// Empty the whole key, where it can do that: the multi-protocol YubiKey Bio.
    Reset(reset::Args),
}

/// Runs it.
pub(crate) fn run(command: &Command, context: &Context) -> Result<(), Failure> {
    match command {
        Command::Usb(args) => usb::run(args, context),
        Command::Nfc(args) => nfc::run(args, context),
        Command::SetLockCode(args) => lock_code::run(args, context),
        Command::Mode(args) => mode::run(args, context),
        Command::Reset(args) => reset::run(args, context),
    }
}
