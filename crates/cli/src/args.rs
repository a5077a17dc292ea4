//! The command line: global options and the list of commands. The options of a command stand in
//! its own file.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use clap::{ArgAction, Args as ClapArgs, Parser, Subcommand, ValueEnum};

use crate::commands;

/// Enrol a YubiKey, validate what it types, run the server, emulate a key.
#[derive(Debug, Parser)]
#[command(
    name = "tapkey",
    version,
    about,
    long_about = "Enrol a YubiKey, validate what it types, run the server, emulate a key.\n\n\
        Everything works with a key made of software too: add --emulated.\n\
        New here? Run `tapkey demo`.",
    after_long_help = EXIT_CODES,
    arg_required_else_help = true,
    max_term_width = 100,
)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How the long help ends.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    failed, or you said no
  2    wrong command line or configuration
  3    no key, or several and none chosen
  4    refused by the key (access code, touch not given, wrong kind of slot)
  5    rejected by the server (bad or replayed one-time password, missing rights)
  6    cannot reach the server, the reader or the smart-card service
  130  interrupted by Ctrl-C

Secrets are never arguments. Where an option takes a SOURCE, write
  prompt      ask for it, without showing it
  -           one line of standard input
  file:PATH   the first line of a file
  env:NAME    an environment variable";

/// Options that work with every command.
#[derive(ClapArgs, Clone, Debug)]
pub(crate) struct Global {
    /// Write JSON for programs; docs/json.md describes every shape.
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,

    /// Leave remarks out; errors and results stay.
    #[arg(short, long, global = true, help_heading = "Output", conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say more; twice or three times for logs.
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = "Output")]
    pub(crate) verbose: u8,

    /// When to use colours.
    #[arg(
        long,
        global = true,
        value_enum,
        default_value_t,
        value_name = "WHEN",
        hide_possible_values = true,
        help = "When to use colours: auto, always or never [default: auto, which heeds NO_COLOR]",
        hide_default_value = true,
        help_heading = "Output"
    )]
    pub(crate) color: Color,

    /// Choose the key with this serial number.
    #[arg(
        long,
        global = true,
        value_name = "N",
        env = "TAPKEY_SERIAL",
        hide_env_values = true,
        help_heading = "Choosing a key"
    )]
    pub(crate) serial: Option<u32>,

    /// Choose the key in the smart-card reader called NAME, or whose name contains it.
    #[arg(long, global = true, value_name = "NAME", help_heading = "Choosing a key")]
    pub(crate) reader: Option<String>,

    /// Choose the key of this form factor (usb-c-nano) or model (5c-nano, 5-nfc, neo …).
    #[cfg(any(feature = "device", feature = "emulator"))]
    #[arg(
        long,
        global = true,
        value_name = "KIND",
        conflicts_with = "emulated",
        help_heading = "Choosing a key"
    )]
    pub(crate) form_factor: Option<tapkey_driver::discover::Kind>,

    /// Choose the key in this place: a USB port (1-4.2), a device node or a reader, as `list` shows them.
    #[arg(
        long,
        global = true,
        value_name = "PLACE",
        conflicts_with = "emulated",
        help_heading = "Choosing a key"
    )]
    pub(crate) place: Option<String>,

    /// Use a software key, kept in STATE-FILE; without a file, in your own state folder.
    #[arg(long, global = true, value_name = "STATE-FILE", num_args = 0..=1, require_equals = true,
        conflicts_with = "reader", help_heading = "Choosing a key")]
    #[expect(clippy::option_option, reason = "absent, present without a file, present with one")]
    pub(crate) emulated: Option<Option<PathBuf>>,

    /// The Tapkey server.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "TAPKEY_SERVER",
        hide_env_values = true,
        help_heading = "Server"
    )]
    pub(crate) server: Option<String>,

    /// The file with the API token; the environment variable TAPKEY_TOKEN may hold the token itself.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "TAPKEY_TOKEN_FILE",
        hide_env_values = true,
        help_heading = "Server"
    )]
    pub(crate) token_file: Option<PathBuf>,

    /// Trust the certificate authorities in this PEM file too.
    #[arg(long, global = true, value_name = "FILE", help_heading = "Server")]
    pub(crate) ca_file: Option<PathBuf>,

    /// Your settings; see docs/cli.md for what may stand there.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "TAPKEY_CONFIG",
        hide_env_values = true,
        help_heading = "Server"
    )]
    pub(crate) config_file: Option<PathBuf>,
}

/// The arguments, as if the program had been called by its own name: through a link called
/// `ykchalresp` it is `tapkey challenge` with that program's padding.
pub(crate) fn as_called(arguments: impl IntoIterator<Item = OsString>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    let name = arguments.first().map(Path::new).and_then(Path::file_stem);
    if name.is_some_and(|name| name == "ykchalresp") {
        let words = ["tapkey", "challenge", "--padding", "zeros"].map(OsString::from);
        arguments.splice(..1, words);
    }
    arguments
}

/// When to use colours.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the keys that are plugged in.
    #[cfg(any(feature = "device", feature = "emulator"))]
    List(commands::list::Args),

    /// Show what a key is and what it can do.
    #[cfg(any(feature = "device", feature = "emulator"))]
    Info(commands::info::Args),

    /// Say what keeps a key, a reader or a server from being used, and what to do about it.
    #[cfg(any(feature = "device", feature = "emulator"))]
    Doctor(commands::doctor::Args),

    /// Settings of a key: applications, lock code, timeouts, USB mode, reset.
    #[cfg(any(feature = "device", feature = "emulator"))]
    #[command(subcommand)]
    Config(commands::config::Command),

    /// Tell of keys that are plugged in and pulled out, until Ctrl-C.
    #[cfg(any(feature = "device", feature = "emulator"))]
    Watch(commands::watch::Args),

    /// The two slots behind the button: show, program, change, empty.
    #[command(subcommand)]
    Otp(commands::otp::Command),

    /// Private keys that stay on the key: generate, sign, certificates, PIN.
    #[cfg(any(feature = "device", feature = "emulator"))]
    #[command(subcommand)]
    Piv(Box<commands::piv::Command>),

    /// Accounts that make one-time codes, as authenticator apps do: list, use, add, delete.
    #[cfg(any(feature = "device", feature = "emulator"))]
    #[command(subcommand)]
    Oath(commands::oath::Command),

    /// Send a challenge to a slot and print the response.
    #[cfg(any(feature = "device", feature = "emulator"))]
    Challenge(commands::challenge::Args),

    /// Enrol a key against a Tapkey server.
    #[cfg(any(feature = "device", feature = "emulator"))]
    Enroll(commands::enroll::Args),

    /// Send raw commands to the smart card.
    #[cfg(any(feature = "device", feature = "emulator"))]
    Apdu(commands::apdu::Args),

    /// Compare keys with a job file and show what would be changed. Nothing is changed.
    #[cfg(any(feature = "device", feature = "emulator"))]
    Plan(commands::plan::Args),

    /// Make keys what a job file wants them to be.
    #[cfg(any(feature = "device", feature = "emulator"))]
    Apply(commands::apply::Args),

    /// The vault: where plan and apply keep secrets, and what was applied.
    #[command(subcommand)]
    Vault(commands::vault::Command),

    /// Run a command and record what passes between it and a key, without secrets.
    #[cfg(any(feature = "device", feature = "emulator"))]
    Record(commands::record::Args),

    /// Show what a recording says.
    Replay(commands::replay::Args),

    /// Ask validation servers about a one-time password.
    Verify(commands::verify::Args),

    /// Run the Tapkey server.
    #[cfg(feature = "server")]
    Serve(commands::serve::Args),

    /// Administer a Tapkey server, over HTTP with a token.
    #[command(subcommand)]
    Admin(commands::admin::Command),

    /// A key made of software.
    #[cfg(feature = "emulator")]
    #[command(subcommand)]
    Emulate(commands::emulate::Command),

    /// See everything work in a minute: server, software key, enrolment, touch, replay refused.
    #[cfg(all(feature = "server", feature = "emulator"))]
    Demo(commands::demo::Args),

    /// Print a completion script for a shell.
    Completions(commands::completions::Args),

    /// Write the manual pages.
    Man(commands::man::Args),
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory};

    use super::*;

    /// An option of a command that is called like a global one inside the program is read as that one,
    /// and the program panics.
    #[test]
    fn no_command_has_an_option_of_the_name_of_a_global_one() {
        fn walk(command: &Command, globals: &[String]) {
            for argument in command.get_arguments().filter(|argument| !argument.is_global_set()) {
                let id = argument.get_id().to_string();
                assert!(!globals.contains(&id), "{id} of {}", command.get_name());
            }
            command.get_subcommands().for_each(|command| walk(command, globals));
        }
        let command = Args::command();
        let global = |argument: &&clap::Arg| argument.is_global_set();
        let globals: Vec<String> =
            command.get_arguments().filter(global).map(|argument| argument.get_id().to_string()).collect();
        assert!(globals.len() > 5);
        walk(&command, &globals);
    }
}
