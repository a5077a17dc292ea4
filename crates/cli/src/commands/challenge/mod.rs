//! `tapkey challenge`: send a challenge to a slot; the job and the letters of ykchalresp. What is made
//! of responses stands in the files beside this one.

mod luks;
mod pam_file;
mod sign_in;

use std::{
    fs,
    io::{self, Read},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use clap::{Args as ClapArgs, Subcommand, ValueEnum};
use serde::Serialize;
use tapkey_driver::{CancelToken, Control, Error, Prefer, TouchEvent};
use tapkey_protocol::{
    challenge::Padding,
    modhex,
    oath::{Code, Digits, truncate},
    slot::Slot,
};
use zeroize::Zeroizing;

use crate::{
    commands::Context,
    encode::{from_hex, hex},
    exit::{Exit, Failure},
    interrupt, keys,
};

/// Options of `tapkey challenge`.
#[derive(ClapArgs, Debug)]
#[command(
    disable_help_subcommand = true,
    after_help = "Examples:
  tapkey challenge -2 -x 1122334455667788
  tapkey challenge -2 -T                    a TOTP code of the present time
  printf %s \"$nonce\" | tapkey challenge -2 -i -
  tapkey challenge -2 --sign-in https://login.example.org --account alice --nonce $NONCE

The response goes to standard output and nothing else does: 40 hexadecimal digits for HMAC-SHA1, \
32 modhex letters for Yubico, or a code with -6, -8 or -T. A challenge that is called like one of the \
commands goes behind --. docs/challenge.md has recipes for disks, logins and password databases."
)]
#[expect(clippy::struct_excessive_bools, reason = "one for each letter of the command line")]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Option<Command>,

    /// The challenge, as text.
    #[arg(conflicts_with_all = ["time", "input"])]
    challenge: Option<String>,

    #[command(flatten)]
    slot: SlotChoice,

    /// An HMAC-SHA1 challenge of up to 64 bytes (the default).
    #[arg(short = 'H', long, conflicts_with = "yubico")]
    hmac: bool,

    /// A Yubico challenge of six bytes; fewer are filled with zeros.
    #[arg(short = 'Y', long)]
    yubico: bool,

    /// Do not wait for a touch: fail when one is needed.
    #[arg(short = 'N', long)]
    no_wait: bool,

    /// The challenge is written in hexadecimal digits.
    #[arg(short = 'x', long)]
    hex: bool,

    /// Use the time as the challenge, in steps of 30 seconds (TOTP).
    #[arg(short = 't', long, conflicts_with = "yubico")]
    time: bool,

    /// Print the TOTP code of the present time: -t with -6, or with -8.
    #[arg(short = 'T', long, conflicts_with_all = ["yubico", "challenge", "input"])]
    totp: bool,

    /// Print a code of 6 digits.
    #[arg(short = '6', long, conflicts_with_all = ["digits_8", "yubico"])]
    digits_6: bool,

    /// Print a code of 8 digits.
    #[arg(short = '8', long, conflicts_with = "yubico")]
    digits_8: bool,

    /// Read the challenge from a file, or from standard input with -; every byte counts.
    #[arg(short = 'i', long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// With -t or -T: the time to use, in seconds since 1970, instead of now.
    #[arg(long, value_name = "SECONDS")]
    at: Option<u64>,

    /// How a shorter challenge fills the 64 bytes that travel.
    #[arg(long, value_enum, default_value_t, value_name = "HOW", conflicts_with = "yubico")]
    padding: PaddingChoice,

    #[command(flatten)]
    sign_in: sign_in::Options,
}

impl Args {
    /// Whether anything is given that only asking a challenge takes.
    const fn asks(&self) -> bool {
        self.challenge.is_some()
            || self.slot.slot_1
            || self.slot.slot_2
            || self.hmac
            || self.yubico
            || self.no_wait
            || self.hex
            || self.time
            || self.totp
            || self.digits_6
            || self.digits_8
            || self.input.is_some()
            || self.at.is_some()
            || self.sign_in.is_given()
    }
}

/// What is done with challenges beyond asking one.
#[derive(Debug, Subcommand)]
enum Command {
    /// Files with which pam_yubico lets somebody in without a server.
    #[command(subcommand)]
    PamFile(pam_file::Command),

    /// The passphrase of an encrypted disk, made of a response.
    LuksPassphrase(luks::Args),
}

/// Slot 1 or 2 in the letters of ykchalresp.
#[derive(ClapArgs, Clone, Copy, Debug)]
struct SlotChoice {
    /// Ask slot 1 (the default).
    #[arg(short = '1', long, conflicts_with = "slot_2")]
    slot_1: bool,

    /// Ask slot 2.
    #[arg(short = '2', long)]
    slot_2: bool,
}

impl SlotChoice {
    const fn slot(self) -> Slot {
        if self.slot_2 { Slot::Two } else { Slot::One }
    }
}

/// Whose padding.
#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum PaddingChoice {
    /// So that a slot hashes exactly the challenge, as ykman does.
    #[default]
    Exact,
    /// With zeros, as ykchalresp does; zeros at the end of the challenge are lost.
    Zeros,
    /// With the number of bytes added, as KeePassXC does.
    Keepassxc,
}

impl From<PaddingChoice> for Padding {
    fn from(choice: PaddingChoice) -> Self {
        match choice {
            PaddingChoice::Exact => Self::Exact,
            PaddingChoice::Zeros => Self::Zeros,
            PaddingChoice::Keepassxc => Self::Count,
        }
    }
}

#[derive(Serialize)]
struct Response {
    slot: u8,
    mode: &'static str,
    response: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    challenge: Option<String>,
}

/// Asks, and prints the response.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if args.command.is_some() && args.asks() {
        return Err(Failure::usage("a challenge and a command at once").hint(
            "options of the command go behind it; a challenge that is called like one goes behind --",
        ));
    }
    match &args.command {
        Some(Command::PamFile(command)) => pam_file::run(command, context),
        Some(Command::LuksPassphrase(args)) => luks::run(args, context),
        None => ask(args, context),
    }
}

fn ask(args: &Args, context: &Context) -> Result<(), Failure> {
    let signing_in = args.sign_in.challenge()?;
    let challenge = match &signing_in {
        Some(challenge) => Zeroizing::new(challenge.to_vec()),
        None => challenge(args)?,
    };
    let slot = args.slot.slot();
    let _busy = interrupt::busy();
    let device = keys::open(context)?.device;
    let (control, untouched) = control(args, context);
    let ask = || -> Result<Response, Error> {
        let mut session = device.open_otp(Prefer::ChallengeResponse, &control)?;
        context.printer.detail(format!("firmware {}, over {}", session.version(), session.transport()));
        if args.yubico {
            let mut block = [0; 6];
            block[..challenge.len()].copy_from_slice(&challenge);
            let response = modhex::encode(&session.challenge_yubico(slot, block, &control)?);
            let slot = slot.number();
            return Ok(Response { slot, mode: "yubico", response, code: None, challenge: None });
        }
        let response = session.challenge_padded(slot, &challenge, args.padding.into(), &control)?;
        let code = digits(args).map(|digits| Code::new(truncate(response.expose()), digits).to_string());
        let (slot, challenge) = (slot.number(), signing_in.map(|challenge| hex(&challenge)));
        Ok(Response { slot, mode: "hmac", response: hex(response.expose()), code, challenge })
    };
    let response = ask().map_err(|error| {
        if untouched.load(Ordering::SeqCst) && !interrupt::pressed() {
            return Failure::new(
                Exit::Key,
                format!("slot {slot} wants a touch, and -N says not to wait for it"),
            );
        }
        keys::refused(error)
    })?;
    context.printer.result("challenge/1", &response, |response| {
        response.code.clone().unwrap_or_else(|| response.response.clone())
    })
}

/// With `-N` the first sign of a touch wait ends the operation, and the flag says so.
fn control(args: &Args, context: &Context) -> (Control, Arc<AtomicBool>) {
    let untouched = Arc::new(AtomicBool::new(false));
    if !args.no_wait {
        return (keys::control(context), untouched);
    }
    let token = CancelToken::new();
    let (fire, flag) = (token.clone(), Arc::clone(&untouched));
    let control = Control::new().with_timeout(keys::PATIENCE).with_cancel(token).with_touch(move |event| {
        if matches!(event, TouchEvent::Needed { .. }) {
            flag.store(true, Ordering::SeqCst);
            fire.cancel();
        }
    });
    (control, untouched)
}

fn digits(args: &Args) -> Option<Digits> {
    if args.digits_8 {
        Some(Digits::EIGHT)
    } else if args.digits_6 || args.totp {
        Some(Digits::SIX)
    } else {
        None
    }
}

fn challenge(args: &Args) -> Result<Zeroizing<Vec<u8>>, Failure> {
    if args.at.is_some() && !(args.time || args.totp) {
        return Err(Failure::usage("--at is for -t and -T"));
    }
    let raw = if args.time || args.totp {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        return Ok(Zeroizing::new((args.at.unwrap_or(now) / 30).to_be_bytes().to_vec()));
    } else if let Some(path) = &args.input {
        read(path)?
    } else if let Some(text) = &args.challenge {
        Zeroizing::new(text.as_bytes().to_vec())
    } else {
        return Err(Failure::usage("no challenge is given").hint("add it, or -i FILE, or -t for the time"));
    };
    let challenge = if args.hex {
        let text = str::from_utf8(&raw).map_err(|_| Failure::usage("the challenge is not text"))?;
        from_hex(text, "the challenge")?
    } else {
        raw
    };
    let limit = if args.yubico { 6 } else { 64 };
    if challenge.len() > limit {
        return Err(Failure::usage(format!(
            "the challenge has {} bytes, at most {limit} fit",
            challenge.len()
        )));
    }
    Ok(challenge)
}

fn read(path: &PathBuf) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_INPUT));
    let limit = u64::try_from(LONGEST_INPUT).unwrap_or(u64::MAX);
    let outcome = if path.as_os_str() == "-" {
        io::stdin().lock().take(limit).read_to_end(&mut bytes)
    } else {
        fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes))
    };
    outcome.map_err(|error| {
        Failure::usage(format!("cannot read the challenge from {}: {error}", path.display()))
    })?;
    Ok(bytes)
}

/// More than the longest challenge in hexadecimal digits with white space between.
const LONGEST_INPUT: usize = 1024;
