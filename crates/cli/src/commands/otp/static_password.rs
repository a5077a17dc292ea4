//! `tapkey otp static`: program a static password.

use clap::Args as ClapArgs;
use tapkey_protocol::{
    modhex,
    slot::{ScanCodes, Slot},
};
use zeroize::Zeroizing;

use super::{
    change::{Change, Job, Keep, Leave, Protection, Typing, new_code},
    record::{SecretText, Secrets},
};
use crate::{
    commands::Context,
    encode::random,
    exit::Failure,
    secrets::{Source, Wanted},
};

/// Options of `tapkey otp static`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey otp static 2 --password prompt
  tapkey otp static 2 --generate --length 38 --modhex --output keys.csv

A key types key positions, so the password comes out right on a US keyboard layout, and with \
--modhex on most others too.")]
pub(crate) struct Args {
    /// 1 or 2.
    slot: Slot,

    /// Where the password comes from, at most 38 characters.
    #[arg(long, value_name = "SOURCE", conflicts_with = "generate")]
    password: Option<Source>,

    /// Draw the password at random.
    #[arg(long, short)]
    generate: bool,

    /// How many characters to draw.
    #[arg(long, short, value_name = "N", default_value_t = 38, requires = "generate",
        value_parser = clap::value_parser!(u8).range(1..=38))]
    length: u8,

    /// Use only the letters cbdefghijklnrtuv, which most keyboard layouts share.
    #[arg(long)]
    modhex: bool,

    #[command(flatten)]
    typing: Typing,
    #[command(flatten)]
    keep: Keep,
    #[command(flatten)]
    protection: Protection,
    #[command(flatten)]
    leave: Leave,
}

/// Programs the slot.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let change = Change::begin(context)?;
    let password = password(args)?;
    let (code, code_drawn) = new_code(&args.protection)?;
    let config = ScanCodes::from_us_text(&password, args.typing.options(change.version()), code.clone())
        .map_err(|error| Failure::usage(error.to_string()).hint("use characters of a US keyboard"))?;
    change.program(&Job {
        slot: args.slot,
        config: &config,
        will: format!(
            "slot {} will type a static password of {} characters",
            args.slot,
            password.chars().count()
        ),
        secrets: Secrets::Other { kind: "static", name: "password", secret: SecretText(password) },
        generated: code_drawn || args.generate,
        code: &code,
        leave: &args.leave,
        keep: &args.keep,
    })
}

fn password(args: &Args) -> Result<Zeroizing<String>, Failure> {
    if args.generate || args.password == Some(Source::Generate) {
        let alphabet: &[u8] = if args.modhex { modhex::ALPHABET } else { PRINTABLE };
        return draw(alphabet, usize::from(args.length));
    }
    let password = Wanted { name: "the password", option: "--password" }.read(args.password.as_ref())?;
    if args.modhex && !modhex::is_modhex(password.as_bytes()) {
        return Err(Failure::usage("the password has other letters than cbdefghijklnrtuv")
            .hint("leave --modhex out, or use these letters only"));
    }
    Ok(password)
}

/// Letters drawn evenly: bytes beyond the largest multiple of the alphabet are thrown away.
fn draw(alphabet: &[u8], length: usize) -> Result<Zeroizing<String>, Failure> {
    let fair = u8::try_from(256 - 256 % alphabet.len() - 1).unwrap_or(u8::MAX);
    let mut text = Zeroizing::new(String::with_capacity(length));
    while text.len() < length {
        let [byte] = *random::<1>()?;
        if byte <= fair
            && let Some(letter) = alphabet.get(usize::from(byte) % alphabet.len())
        {
            text.push(char::from(*letter));
        }
    }
    Ok(text)
}

/// Everything on a US keyboard but the space.
const PRINTABLE: &[u8] =
    b"!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_letters_are_of_the_alphabet() {
        let password = draw(modhex::ALPHABET, 38).unwrap();
        assert_eq!(password.len(), 38);
        assert!(modhex::is_modhex(password.as_bytes()));
        assert_eq!(PRINTABLE.len(), 94);
    }
}
