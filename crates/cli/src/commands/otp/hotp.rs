//! `tapkey otp hotp`: program OATH-HOTP.

use clap::Args as ClapArgs;
use tapkey_protocol::{
    formats::csv::Credential,
    slot::{Digits, MovingFactor, Slot, TokenId},
};

use super::{
    chalresp::hmac_key,
    change::{Change, Job, Leave, Protection, new_code},
    options::{Behaviour, Typing},
    record::Keep,
};
use crate::{commands::Context, exit::Failure, secrets::Source};

/// Options of `tapkey otp hotp`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey otp hotp 2 --key file:key.hex --digits 8
  tapkey otp hotp 2 --generate --identifier serial --output keys.csv")]
pub(crate) struct Args {
    /// 1 or 2.
    slot: Slot,

    /// Where the key comes from: hexadecimal digits, at most 20 bytes.
    #[arg(long, short, value_name = "SOURCE", conflicts_with = "generate")]
    key: Option<Source>,

    /// Draw the key at random.
    #[arg(long, short)]
    generate: bool,

    /// The key is written in base32.
    #[arg(long, conflicts_with = "generate")]
    base32: bool,

    /// Digits of a code: 6 or 8.
    #[arg(long, short, value_name = "N", default_value = "6", value_parser = digits)]
    digits: Digits,

    /// The counter of the first code: a multiple of 16, at most 1048560.
    #[arg(long, short, value_name = "N", default_value = "0", value_parser = counter)]
    counter: MovingFactor,

    /// What is typed in front of the code: `serial` (ubhe and eight digits of the serial number), or pairs
    /// of modhex letters, pairs of digits, or one or two pairs of modhex letters and then digits.
    #[arg(long, short, value_name = "ID")]
    identifier: Option<String>,

    #[command(flatten)]
    typing: Typing,
    #[command(flatten)]
    behaviour: Behaviour,
    #[command(flatten)]
    keep: Keep,
    #[command(flatten)]
    protection: Protection,
    #[command(flatten)]
    leave: Leave,
}

/// Programs the slot.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut change = Change::begin(context)?;
    let token_id = match args.identifier.as_deref() {
        None => None,
        Some("serial") => Some(TokenId::from_serial(change.serial("--identifier serial")?)),
        Some(text) => {
            let id: TokenId =
                text.parse().map_err(|error| Failure::usage(format!("--identifier: {error}")))?;
            Some(id)
        }
    };
    let (code, code_drawn) = new_code(&args.protection)?;
    let written = change.program(&Job {
        slot: args.slot,
        credential: Credential::Hotp {
            key: hmac_key(args.key.as_ref(), args.generate, args.base32)?,
            digits: args.digits,
            moving_factor: args.counter,
            token_id,
        },
        changes: args.behaviour.and(args.typing.changes()),
        will: format!("slot {} will type OATH-HOTP codes of {} digits", args.slot, args.digits.count()),
        generated: code_drawn || args.generate || args.key == Some(Source::Generate),
        code: &code,
        current: None,
        leave: &args.leave,
        keep: &args.keep,
        by: "otp hotp",
    })?;
    written.report(context)
}

fn digits(text: &str) -> Result<Digits, String> {
    match text {
        "6" => Ok(Digits::Six),
        "8" => Ok(Digits::Eight),
        _ => Err("a code has 6 or 8 digits".to_owned()),
    }
}

fn counter(text: &str) -> Result<MovingFactor, String> {
    let counter: u32 = text.parse().map_err(|_| "not a number".to_owned())?;
    MovingFactor::new(counter).map_err(|error| error.to_string())
}
