//! `tapkey otp chalresp`: program challenge-response.

use clap::Args as ClapArgs;
use data_encoding::BASE32_NOPAD;
use tapkey_protocol::{
    formats::csv::Credential,
    otp::AesKey,
    slot::{HmacKey, Slot},
};
use zeroize::Zeroizing;

use super::{
    change::{Change, Job, Leave, Protection, new_code},
    options::Behaviour,
    record::Keep,
};
use crate::{
    commands::Context,
    encode::{from_hex, from_hex_exact, random},
    exit::Failure,
    secrets::{Source, Wanted},
};

/// Options of `tapkey otp chalresp`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey otp chalresp 2 --generate --output keys.csv --touch
  tapkey otp chalresp 2 --key file:key.hex
  tapkey otp chalresp 2 --base32 --key prompt       the secret of an authenticator app

`tapkey challenge` asks the slot afterwards.")]
pub(crate) struct Args {
    /// 1 or 2.
    slot: Slot,

    /// Where the key comes from: hexadecimal digits, at most 20 bytes (with --yubico exactly 16).
    #[arg(long, short, value_name = "SOURCE", conflicts_with = "generate")]
    key: Option<Source>,

    /// Draw the key at random.
    #[arg(long, short)]
    generate: bool,

    /// The key is written in base32, as authenticator apps show it.
    #[arg(long, conflicts_with_all = ["generate", "yubico"])]
    base32: bool,

    /// Answer only after a touch.
    #[arg(long, short)]
    touch: bool,

    /// Yubico challenge-response (AES) instead of HMAC-SHA1.
    #[arg(long)]
    yubico: bool,

    /// Always hash all 64 bytes of a challenge; most software expects this off.
    #[arg(long, conflicts_with = "yubico")]
    fixed_64: bool,

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
    let (code, code_drawn) = new_code(&args.protection)?;
    let (what, credential) = if args.yubico {
        let key = AesKey::new(*yubico_key(args)?);
        ("Yubico", Credential::ChallengeYubico { key, touch: args.touch })
    } else {
        let key = hmac_key(args.key.as_ref(), args.generate, args.base32)?;
        let variable_length = !args.fixed_64;
        ("HMAC-SHA1", Credential::ChallengeHmac { key, variable_length, touch: args.touch })
    };
    let how = if args.touch { "after a touch" } else { "without a touch" };
    let written = change.program(&Job {
        slot: args.slot,
        credential,
        changes: args.behaviour.changes(),
        will: format!("slot {} will answer {what} challenges {how}", args.slot),
        generated: code_drawn || args.generate || args.key == Some(Source::Generate),
        code: &code,
        current: None,
        leave: &args.leave,
        keep: &args.keep,
        by: "otp chalresp",
    })?;
    written.report(context)
}

fn yubico_key(args: &Args) -> Result<Zeroizing<[u8; 16]>, Failure> {
    if args.generate || args.key == Some(Source::Generate) {
        return random();
    }
    from_hex_exact(&Wanted { name: "the key", option: "--key" }.read(args.key.as_ref())?, "the key")
}

/// The 20-byte key of an HMAC or HOTP slot.
pub(super) fn hmac_key(source: Option<&Source>, generate: bool, base32: bool) -> Result<HmacKey, Failure> {
    if generate || source == Some(&Source::Generate) {
        return Ok(HmacKey::new(*random::<20>()?));
    }
    let text = Wanted { name: "the key", option: "--key" }.read(source)?;
    let bytes = if base32 { from_base32(&text)? } else { from_hex(&text, "the key")? };
    HmacKey::from_secret(&bytes).map_err(|error| Failure::usage(format!("the key cannot be used: {error}")))
}

/// Base32 in either case, with or without spaces and padding; the error does not repeat it.
fn from_base32(text: &str) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let letters: Zeroizing<String> = Zeroizing::new(
        text.chars()
            .filter(|c| !c.is_whitespace() && !matches!(c, '=' | '-'))
            .map(|c| c.to_ascii_uppercase())
            .collect(),
    );
    BASE32_NOPAD.decode(letters.as_bytes()).map(Zeroizing::new).map_err(|error| {
        Failure::usage(format!(
            "the key is not base32: something is wrong at position {}",
            error.position + 1
        ))
        .hint("base32 has the letters A-Z and the digits 2-7; leave --base32 out for hexadecimal digits")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base32_as_apps_show_it() {
        assert_eq!(from_base32("jbsw y3dp").unwrap().as_slice(), b"Hello");
        assert!(!from_base32("01").unwrap_err().message().contains("01"));
    }
}
