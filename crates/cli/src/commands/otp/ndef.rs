//! `tapkey otp ndef`: what the key says over NFC.

use clap::{Args as ClapArgs, ValueEnum};
use serde::Serialize;
use tapkey_protocol::slot::{Ndef, Slot, TextEncoding};

use super::change::{Change, Leave, present_code};
use crate::{commands::Context, exit::Failure, interrupt, keys};

/// Options of `tapkey otp ndef`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey otp ndef 1 --prefix https://login.example.org/otp#
  tapkey otp ndef 2 --type text --prefix 'code: '
  tapkey otp ndef 1        what the key came with")]
pub(crate) struct Args {
    /// The slot whose password is appended, 1 or 2.
    slot: Slot,

    /// What stands in front of the password; without it, what the key came with.
    #[arg(long, short, value_name = "TEXT")]
    prefix: Option<String>,

    /// A link that phones open, or a text.
    #[arg(long = "type", short = 't', value_enum, default_value_t, value_name = "TYPE")]
    kind: Kind,

    /// The language of a text.
    #[arg(long, value_name = "CODE", default_value = "en")]
    language: String,

    /// How a text is written: utf-8, or utf-16, with which few readers show what the key appends.
    #[arg(long, value_enum, default_value_t, value_name = "ENCODING", hide_possible_values = true)]
    encoding: Encoding,

    #[command(flatten)]
    leave: Leave,
}

/// What a tag can hold.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Kind {
    /// A link.
    #[default]
    Uri,
    /// A text.
    Text,
}

/// How a text is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, ValueEnum)]
pub(crate) enum Encoding {
    /// UTF-8.
    #[default]
    #[value(name = "utf-8")]
    Utf8,
    /// UTF-16, big-endian.
    #[value(name = "utf-16")]
    Utf16,
}

#[derive(Serialize)]
struct Set {
    slot: u8,
    serial: Option<u32>,
    prefix: Option<String>,
}

/// Sets the tag.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let ndef = match (&args.prefix, args.kind) {
        (None, Kind::Uri) => None,
        (Some(prefix), Kind::Uri) => Some(Ndef::uri(prefix)),
        (prefix, Kind::Text) => {
            let encoding = match args.encoding {
                Encoding::Utf8 => TextEncoding::Utf8,
                Encoding::Utf16 => TextEncoding::Utf16,
            };
            Some(Ndef::text_in(encoding, &args.language, prefix.as_deref().unwrap_or_default()))
        }
    };
    let ndef = ndef.transpose().map_err(|error| Failure::usage(error.to_string()))?;
    if args.encoding == Encoding::Utf16 && args.kind == Kind::Uri {
        return Err(Failure::usage("--encoding belongs to a text; a link is always in ASCII")
            .hint("add --type text, or leave --encoding out"));
    }
    let mut change = Change::begin(context)?;
    let current = present_code(&args.leave)?;
    let slot = args.slot;
    let says = ndef.as_ref().and_then(Ndef::to_text);
    let what = says.as_deref().map_or_else(|| "what it came with".to_owned(), |text| format!("{text:?}"));
    change.agree(&format!("over NFC it will say {what} and a password of slot {slot}"), None, &args.leave)?;
    let busy = interrupt::busy();
    change.session.set_ndef(slot, ndef.as_ref(), &current, &change.control).map_err(keys::refused)?;
    drop(busy);
    change.note(|memory| memory.set_ndef(slot, says.clone()));
    let set = Set { slot: slot.number(), serial: change.device.serial(), prefix: says };
    context.printer.result("otp-ndef/1", &set, |_| format!("over NFC the key speaks for slot {slot} now"))
}
