//! `tapkey challenge`: send a challenge to a slot; the job and the letters of ykchalresp.

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

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_driver::{CancelToken, Control, Error, Prefer, TouchEvent};
use tapkey_protocol::{
    modhex,
    oath::{Code, Digits, truncate},
    slot::Slot,
};
use zeroize::Zeroizing;

use super::Context;
use crate::{
    encode::{from_hex, hex},
    exit::{Exit, Failure},
    interrupt, keys,
};

/// Options of `tapkey challenge`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey challenge -2 -x 1122334455667788
  tapkey challenge -2 -t -6                 a TOTP code of the present time
  printf %s \"$nonce\" | tapkey challenge -2 -i -

The response goes to standard output and nothing else does: 40 hexadecimal digits for HMAC-SHA1, \
32 modhex letters for Yubico, or a code with -6 or -8.")]
#[expect(clippy::struct_excessive_bools, reason = "one for each letter of the command line")]
pub(crate) struct Args {
    /// The challenge, as text.
    #[arg(conflicts_with_all = ["time", "input"])]
    challenge: Option<String>,

    /// Ask slot 1 (the default).
    #[arg(short = '1', long, conflicts_with = "slot_2")]
    slot_1: bool,

    /// Ask slot 2.
    #[arg(short = '2', long)]
    slot_2: bool,

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

    /// Print a code of 6 digits.
    #[arg(short = '6', long, conflicts_with_all = ["digits_8", "yubico"])]
    digits_6: bool,

    /// Print a code of 8 digits.
    #[arg(short = '8', long, conflicts_with = "yubico")]
    digits_8: bool,

    /// Read the challenge from a file, or from standard input with -; every byte counts.
    #[arg(short = 'i', long, value_name = "FILE")]
    input: Option<PathBuf>,

    /// With -t: the time to use, in seconds since 1970, instead of now.
    #[arg(long, value_name = "SECONDS", requires = "time")]
    at: Option<u64>,
}

#[derive(Serialize)]
struct Response {
    slot: u8,
    mode: &'static str,
    response: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

/// Asks, and prints the response.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let challenge = challenge(args)?;
    let slot = if args.slot_2 { Slot::Two } else { Slot::One };
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
            return Ok(Response { slot: slot.number(), mode: "yubico", response, code: None });
        }
        let response = session.challenge_hmac(slot, &challenge, &control)?;
        let code = digits(args).map(|digits| Code::new(truncate(response.expose()), digits).to_string());
        Ok(Response { slot: slot.number(), mode: "hmac", response: hex(response.expose()), code })
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
    } else if args.digits_6 {
        Some(Digits::SIX)
    } else {
        None
    }
}

fn challenge(args: &Args) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let raw = if args.time {
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
