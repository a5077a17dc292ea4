//! `tapkey oath accounts add`: an account with a secret of one's own, or one that is drawn.

use std::path::PathBuf;

use anstyle::{AnsiColor, Color, Style};
use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_protocol::{
    formats::pskc::{Container, DeviceInfo, Key, Prf, Seal},
    oath::{Algorithm, DEFAULT_PERIOD, Digits, Factor, KeyUri, Kind, parse_base32, write_base32},
    secret::SecretBytes,
};
use zeroize::Zeroizing;

use super::{
    account::parse_name,
    session::{Password, Session},
    store::{self, Wanted, parse_kind},
};
use crate::{
    commands::Context,
    encode::{from_hex, from_hex_exact},
    exit::Failure,
    prompt,
    secrets::{NewFile, Source, Wanted as Secret},
};

/// Options of `tapkey oath accounts add`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey oath accounts add GitHub:alice                    asks for the secret
  tapkey oath accounts add -i Example alice -s file:seed.txt --touch
  tapkey oath accounts add Example:alice --generate --show-secret
  tapkey oath accounts add Example:alice --generate --output seed.xml --pskc-passphrase prompt

A secret that is drawn has to be kept for the other side: with --show-secret it is shown, with a QR code for a second \
device; with --output it goes to a file that servers and other keys read (PSKC, RFC 6030).")]
#[expect(clippy::struct_excessive_bools, reason = "one for each letter of the command line")]
pub(crate) struct Args {
    /// The account: ISSUER:ACCOUNT, or ACCOUNT alone.
    name: String,

    /// Where the secret comes from: base32, as services print it.
    #[arg(long, short, value_name = "SOURCE", conflicts_with = "generate")]
    secret: Option<Source>,

    /// The secret is written in hexadecimal digits.
    #[arg(long, conflicts_with = "generate")]
    hex: bool,

    /// Draw the secret at random.
    #[arg(long, short)]
    generate: bool,

    /// Who asks for the codes.
    #[arg(long, short, value_name = "NAME")]
    issuer: Option<String>,

    /// totp (by time) or hotp (by counter).
    #[arg(long, short, value_name = "TYPE", default_value = "totp", value_parser = parse_kind)]
    oath_type: Kind,

    /// Digits of a code: 6, 7 or 8.
    #[arg(long, short, value_name = "N", default_value = "6", value_parser = digits)]
    digits: Digits,

    /// The hash: SHA1, SHA256 or SHA512.
    #[arg(long, short, value_name = "HASH", default_value = "SHA1", value_parser = algorithm)]
    algorithm: Algorithm,

    /// With hotp: the counter of the first code.
    #[arg(long, short, value_name = "N", default_value_t = 0)]
    counter: u32,

    /// With totp: for how many seconds a code is good.
    #[arg(long, short = 'P', value_name = "S", default_value_t = DEFAULT_PERIOD,
        value_parser = clap::value_parser!(u32).range(1..))]
    period: u32,

    /// Make codes only after a touch.
    #[arg(long, short)]
    touch: bool,

    /// Replace an account of the same name without asking.
    #[arg(long, short)]
    force: bool,

    /// Keep the account in a new PSKC file, for your eyes only.
    #[arg(long, short = 'O', value_name = "FILE", help_heading = "Keeping the secret")]
    output: Option<PathBuf>,

    /// With --output: encrypt with a key of 16 bytes, in hexadecimal digits.
    #[arg(
        long,
        value_name = "SOURCE",
        requires = "output",
        conflicts_with = "pskc_passphrase",
        help_heading = "Keeping the secret"
    )]
    pskc_key: Option<Source>,

    /// With --output: encrypt with a passphrase of 8 letters or more.
    #[arg(long, value_name = "SOURCE", requires = "output", help_heading = "Keeping the secret")]
    pskc_passphrase: Option<Source>,

    /// Show the secret, and in a terminal a QR code of it.
    #[arg(long, help_heading = "Keeping the secret")]
    show_secret: bool,

    #[command(flatten)]
    password: Password,
}

#[derive(Serialize)]
struct Added {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    touch: bool,
    replaced: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri: Option<String>,
}

/// Stores it.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if args.generate && args.output.is_none() && !args.show_secret {
        return Err(Failure::usage("nobody would know the secret that is drawn")
            .hint("add --output FILE or --show-secret"));
    }
    let uri = account(args)?;
    let wanted = Wanted::new(&uri, args.touch).map_err(Failure::usage)?;
    let lock = Lock::read(args)?;
    let mut session = Session::unlocked(context, &args.password)?;
    let serial = session.serial();
    let mut kept = None;
    let prepare = || {
        if let Some(path) = &args.output {
            let text = container(&uri, serial, &lock)?;
            kept = Some(NewFile::create(path)?.write(text.trim_end())?);
        }
        Ok(())
    };
    let outcome = store::store(&mut session, &wanted, args.force, prepare);
    let replaced = outcome.inspect_err(|_| {
        // The key took nothing, so nothing is to be kept.
        if let Some(path) = &kept {
            let _ = std::fs::remove_file(path);
        }
    })?;
    if kept.is_some() && matches!(lock, Lock::None) {
        context.printer.warn("the file holds the secret as it is; --pskc-passphrase encrypts it");
    }
    let shown = args.show_secret.then(|| uri.to_uri());
    let added = Added {
        name: wanted.name.to_string(),
        kind: super::account::kind(wanted.put.kind),
        touch: args.touch,
        replaced,
        output: kept.map(|path| path.display().to_string()),
        secret: args.show_secret.then(|| write_base32(uri.secret.expose()).to_string()),
        uri: shown.as_ref().map(|uri| uri.to_string()),
    };
    context.printer.result("oath-add/1", &added, human)
}

fn human(added: &Added) -> String {
    let mut text = format!("{} {}\n", if added.replaced { "replaced" } else { "added" }, added.name);
    if let (Some(secret), Some(uri)) = (&added.secret, &added.uri) {
        if let Some(picture) = picture(uri) {
            text.push_str(&picture);
        }
        text.push_str(&format!("secret  {secret}\nuri     {uri}\n"));
    }
    text
}

/// A QR code for somebody in front of a terminal.
fn picture(uri: &str) -> Option<String> {
    use std::io::IsTerminal;

    use qrcode::{QrCode, render::unicode::Dense1x2};
    if !std::io::stdout().is_terminal() {
        return None;
    }
    let code = QrCode::new(uri).ok()?;
    let text = code.render::<Dense1x2>().dark_color(Dense1x2::Dark).light_color(Dense1x2::Light).build();
    // Readers want dark on light, whatever colours the terminal has.
    Some(text.lines().map(|line| format!("{PAPER}{line}{PAPER:#}\n")).collect::<String>() + "\n")
}

fn account(args: &Args) -> Result<KeyUri, Failure> {
    let name = parse_name(&args.name, args.issuer.as_deref(), args.period);
    if args.oath_type == Kind::Totp && args.counter != 0 {
        return Err(Failure::usage("--counter is for --oath-type hotp"));
    }
    if args.oath_type == Kind::Hotp && args.period != DEFAULT_PERIOD {
        return Err(Failure::usage("--period is for --oath-type totp"));
    }
    let factor = match args.oath_type {
        Kind::Totp => Factor::Time { period: args.period },
        Kind::Hotp => Factor::Counter { start: args.counter.into() },
    };
    Ok(KeyUri {
        issuer: name.issuer,
        account: name.account,
        secret: secret(args)?,
        algorithm: args.algorithm,
        digits: args.digits,
        factor,
    })
}

fn secret(args: &Args) -> Result<SecretBytes, Failure> {
    if args.generate || args.secret == Some(Source::Generate) {
        // As long as the hash (RFC 4226 section 4, RFC 6238 section 5.1).
        let mut bytes = vec![0; args.algorithm.digest(&[]).len()];
        getrandom::fill(&mut bytes)
            .map_err(|error| Failure::failed(format!("the system gave no random bytes: {error}")))?;
        return Ok(SecretBytes::new(bytes));
    }
    let text = Secret { name: "the secret", option: "--secret" }.read(args.secret.as_ref())?;
    if args.hex {
        return Ok(SecretBytes::new(from_hex(&text, "the secret")?.to_vec()));
    }
    parse_base32(&text).map_err(|error| {
        Failure::usage(error.to_string()).hint("add --hex when it is written in hexadecimal digits")
    })
}

/// What a file is encrypted with.
enum Lock {
    None,
    Key(Zeroizing<[u8; 16]>),
    Passphrase(Zeroizing<String>),
}

impl Lock {
    fn read(args: &Args) -> Result<Self, Failure> {
        if let Some(source) = &args.pskc_key {
            let text = Secret { name: "the key of the file", option: "--pskc-key" }.read(Some(source))?;
            return Ok(Self::Key(from_hex_exact(&text, "the key of the file")?));
        }
        let Some(source) = &args.pskc_passphrase else { return Ok(Self::None) };
        let passphrase =
            Secret { name: "the passphrase of the file", option: "--pskc-passphrase" }.read(Some(source))?;
        if passphrase.chars().count() < 8 {
            return Err(Failure::usage("the passphrase has fewer than 8 letters"));
        }
        if *source == Source::Prompt && *prompt::hidden("The same again")? != *passphrase {
            return Err(Failure::usage("the two passphrases differ; nothing was changed"));
        }
        Ok(Self::Passphrase(passphrase))
    }
}

/// The account as the text of a file.
fn container(uri: &KeyUri, serial: Option<u32>, lock: &Lock) -> Result<Zeroizing<String>, Failure> {
    let serial = serial.map(|serial| serial.to_string());
    let device = DeviceInfo { manufacturer: Some("Yubico".to_owned()), serial: serial.clone(), model: None };
    let id = Some(serial.unwrap_or_else(|| uri.account.clone()));
    let key = Key { device, id, ..Key::from_key_uri(uri) };
    let container = Container { keys: vec![key], ..Container::default() };
    let mut trouble = None;
    let mut random = |bytes: &mut [u8]| {
        if let Err(error) = getrandom::fill(bytes) {
            trouble = Some(error);
        }
    };
    let seal = match lock {
        Lock::None => Seal::Plain,
        Lock::Key(key) => Seal::Key { name: "Pre-shared-key", key: &**key, random: &mut random },
        Lock::Passphrase(passphrase) => {
            Seal::Passphrase { passphrase, prf: Prf::Sha256, rounds: ROUNDS, random: &mut random }
        }
    };
    let text = container.write(seal).map_err(|error| Failure::usage(error.to_string()))?;
    match trouble {
        None => Ok(text),
        Some(error) => Err(Failure::failed(format!("the system gave no random bytes: {error}"))),
    }
}

const PAPER: Style = Style::new()
    .fg_color(Some(Color::Ansi(AnsiColor::Black)))
    .bg_color(Some(Color::Ansi(AnsiColor::BrightWhite)));

/// PBKDF2 with SHA-256: what is recommended at present, about half a second.
const ROUNDS: u32 = 600_000;

fn digits(text: &str) -> Result<Digits, String> {
    let digits: u8 = text.parse().map_err(|_| "not a number".to_owned())?;
    Digits::try_from(digits).map_err(|error| error.to_string())
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    let name = text.to_ascii_uppercase().replace('-', "");
    [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512]
        .into_iter()
        .find(|known| known.name() == name)
        .ok_or_else(|| "the hash is SHA1, SHA256 or SHA512".to_owned())
}
