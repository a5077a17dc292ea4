//! `tapkey config mode`.

use std::str::FromStr;

use clap::Args as ClapArgs;
use tapkey_driver::{Device, Error};
use tapkey_protocol::{
    management::{Interfaces, Mode, SetMode},
    version::{Requirement, Unsupported, Version},
};

use super::change::{Change, Consent, agreed, done, guard};
use crate::{
    commands::Context,
    exit::{Exit, Failure},
    interrupt, keys,
};

/// Options of `tapkey config mode`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "MODE is made of OTP, FIDO and CCID with + between them, or is a number:
  0 OTP   1 CCID   2 OTP+CCID   3 FIDO   4 OTP+FIDO   5 FIDO+CCID   6 OTP+FIDO+CCID
A leading + or - switches one more on or off: +CCID, -OTP.
Keys with firmware 5 and later have `tapkey config usb` instead.

Examples:
  tapkey config mode OTP+FIDO+CCID
  tapkey config mode -OTP --yes
  tapkey config mode CCID --touch-eject --autoeject-timeout 30")]
pub(crate) struct Args {
    /// The interfaces.
    #[arg(value_name = "MODE", allow_hyphen_values = true)]
    mode: Wanted,

    /// Let a touch eject and insert the smart card; only with CCID alone.
    #[arg(long)]
    touch_eject: bool,

    /// Eject the smart card by itself after so many seconds; only with --touch-eject.
    #[arg(long, value_name = "S", requires = "touch_eject", default_value_t = 0, hide_default_value = true)]
    autoeject_timeout: u16,

    /// Let a challenge wait so many seconds for a touch, instead of 15.
    #[arg(long, value_name = "S", default_value_t = 0, hide_default_value = true)]
    chalresp_timeout: u8,

    #[command(flatten)]
    consent: Consent,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Wanted {
    /// These and no others.
    Exactly(Interfaces),
    /// More on, then others off.
    Delta { on: Interfaces, off: Interfaces },
}

impl FromStr for Wanted {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(code) = text.parse::<u8>() {
            let mode = Mode::try_from(code).ok().filter(|mode| !mode.touch_eject);
            return mode.map(|mode| Self::Exactly(mode.interfaces())).ok_or_else(|| WRONG.to_owned());
        }
        if !text.starts_with(['+', '-']) {
            let sum = text.split('+').try_fold(Interfaces::NONE, |sum, word| Some(sum | interface(word)?));
            return sum.map(Self::Exactly).ok_or_else(|| WRONG.to_owned());
        }
        let (mut on, mut off) = (Interfaces::NONE, Interfaces::NONE);
        let mut rest = text;
        while let Some(sign) = rest.chars().next() {
            let word = rest.get(1..).unwrap_or_default();
            let end = word.find(['+', '-']).unwrap_or(word.len());
            let one = word.get(..end).and_then(interface).ok_or(WRONG)?;
            if sign == '+' {
                on = on | one
            } else {
                off = off | one
            }
            rest = word.get(end..).unwrap_or_default();
        }
        Ok(Self::Delta { on, off })
    }
}

fn interface(word: &str) -> Option<Interfaces> {
    match word.to_ascii_uppercase().as_str() {
        "OTP" | "O" => Some(Interfaces::OTP),
        "FIDO" | "U2F" | "F" => Some(Interfaces::FIDO),
        "CCID" | "C" => Some(Interfaces::CCID),
        _ => None,
    }
}

impl Wanted {
    fn applied_to(self, now: Option<Interfaces>) -> Result<Interfaces, Failure> {
        match self {
            Self::Exactly(interfaces) => Ok(interfaces),
            Self::Delta { on, off } => {
                let now = now.ok_or_else(|| {
                    Failure::usage(
                        "the key does not tell its present mode, so nothing can be added or taken away",
                    )
                    .hint("name all interfaces, such as OTP+FIDO+CCID")
                })?;
                let parts = [Interfaces::OTP, Interfaces::FIDO, Interfaces::CCID];
                let left = parts
                    .into_iter()
                    .filter(|one| (now.contains(*one) || on.contains(*one)) && !off.contains(*one));
                Ok(left.fold(Interfaces::NONE, |sum, one| sum | one))
            }
        }
    }
}

/// Chooses the interfaces.
pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if let (Wanted::Exactly(interfaces), true) = (args.mode, args.touch_eject) {
        check_eject(interfaces)?;
    }
    let busy = interrupt::busy();
    let opened = keys::open(context)?;
    let device = &opened.device;
    let version = device.version().unwrap_or_default();
    Unsupported::check("choosing a USB mode", version, Requirement::Between(SINCE, UNTIL))
        .map_err(|error| unsupported(&error))?;
    let now = present(device, context)?;
    drop(busy);
    let known = now.map(|now| now.mode.interfaces()).or_else(|| told_by_usb(device));
    let interfaces = args.mode.applied_to(known)?;
    let mode = Mode::new(interfaces, args.touch_eject).map_err(|_| {
        Failure::usage(
            "this would switch off the last interface, after which nothing could reach the key; leave one on",
        )
    })?;
    if args.touch_eject {
        check_eject(interfaces)?;
    }
    let set = SetMode {
        mode,
        challenge_timeout: args.chalresp_timeout,
        auto_eject_timeout: scaled(version, args.autoeject_timeout),
    };
    let mut change = Change::default();
    note(&mut change, set, now, known);
    if known != Some(interfaces) {
        guard(device, interfaces, args.consent, context)?;
    }
    if !agreed(device, &change.rows, args.consent, true, context)? {
        return Ok(());
    }
    let verified = write(device, set, context)?;
    done(device, &change.rows, verified, true, context)
}

/// Writes the mode, and reads it back where it can be read. Whether it could.
fn write(device: &Device, set: SetMode, context: &Context) -> Result<bool, Failure> {
    let _busy = interrupt::busy();
    let control = keys::control(context);
    let mut session = device.open_management(&control).map_err(keys::refused)?;
    session.set_mode(set, &control).map_err(keys::refused)?;
    drop(session);
    match present(device, context)? {
        Some(found) if found.mode != set.mode => {
            Err(Failure::failed("the key took the new mode but tells another")
                .hint("plug it in again and look at `tapkey info`"))
        }
        found => Ok(found.is_some()),
    }
}

fn note(change: &mut Change, set: SetMode, now: Option<SetMode>, known: Option<Interfaces>) {
    let unknown = || "not told".to_owned();
    let from = known.map_or_else(unknown, |known| known.to_string());
    change.note("USB interfaces", from, set.mode.interfaces());
    let Some(now) = now else {
        // Without a look at the key nothing says that the rest is so already.
        if set.mode.touch_eject || set.auto_eject_timeout != 0 || set.challenge_timeout != 0 {
            change.note("touch-eject", unknown(), on_off(set.mode.touch_eject));
            change.note("auto-eject timeout", unknown(), set.auto_eject_timeout);
            change.note("challenge timeout", unknown(), set.challenge_timeout);
        }
        return;
    };
    change.note("touch-eject", on_off(now.mode.touch_eject), on_off(set.mode.touch_eject));
    change.note("auto-eject timeout", now.auto_eject_timeout, set.auto_eject_timeout);
    let seconds = |timeout: u8| if timeout == 0 { DEFAULT_TIMEOUT } else { timeout };
    change.note("challenge timeout", seconds(now.challenge_timeout), seconds(set.challenge_timeout));
}

const fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// The mode that the key itself tells, which it does over its smart card alone.
fn present(device: &Device, context: &Context) -> Result<Option<SetMode>, Failure> {
    if device.ways().card.is_none() {
        return Ok(None);
    }
    let control = keys::control(context);
    let read = device.open_management_over_card(&control).and_then(|mut session| session.mode(&control));
    match read {
        Ok(mode) => Ok(mode),
        Err(error @ (Error::Cancelled | Error::DeadlinePassed)) => Err(keys::refused(error)),
        Err(_) => Ok(None),
    }
}

/// The interfaces that the product id promises; without one nothing is known.
fn told_by_usb(device: &Device) -> Option<Interfaces> {
    (device.info().usb_enabled.is_some() || !device.is_software()).then(|| device.interfaces())
}

fn check_eject(interfaces: Interfaces) -> Result<(), Failure> {
    if interfaces == Interfaces::CCID {
        return Ok(());
    }
    Err(Failure::usage("--touch-eject works with CCID as the only interface").hint("write the mode as CCID"))
}

/// The NEO counts in units of ten seconds.
fn scaled(version: Version, seconds: u16) -> u16 {
    if version.major == 3 { seconds.div_ceil(10) } else { seconds }
}

fn unsupported(error: &Unsupported) -> Failure {
    let failure = Failure::new(Exit::Key, error.to_string());
    if error.found >= UNTIL {
        return failure.hint("`tapkey config usb` switches the applications of such a key");
    }
    failure
}

const WRONG: &str =
    "no such mode; write OTP, FIDO and CCID with + between them, a number from 0 to 6, or +CCID and the like";
const SINCE: Version = Version::new(3, 0, 0);
const UNTIL: Version = Version::new(5, 0, 0);
/// Seconds, where the key is told none.
const DEFAULT_TIMEOUT: u8 = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_read() {
        let exactly = |text: &str| match text.parse() {
            Ok(Wanted::Exactly(interfaces)) => interfaces.to_string(),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(exactly("OTP+FIDO+CCID"), "OTP+FIDO+CCID");
        assert_eq!(exactly("6"), "OTP+FIDO+CCID");
        assert_eq!(exactly("0"), "OTP");
        assert_eq!(exactly("c+o"), "OTP+CCID");
        assert_eq!(exactly("u2f"), "FIDO");
        for wrong in ["", "7", "134", "OTP+", "OTP,CCID", "+", "+X", "-", "+OTP-", "NFC"] {
            assert!(wrong.parse::<Wanted>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn more_and_less() {
        let apply = |text: &str, now| text.parse::<Wanted>().unwrap().applied_to(now);
        let all = Some(Interfaces::ALL);
        assert_eq!(apply("-OTP", all).unwrap(), Interfaces::FIDO | Interfaces::CCID);
        assert_eq!(apply("-OTP-FIDO", all).unwrap(), Interfaces::CCID);
        assert_eq!(apply("+CCID-OTP", Some(Interfaces::OTP)).unwrap(), Interfaces::CCID);
        assert_eq!(apply("-O-F-C", all).unwrap(), Interfaces::NONE);
        assert!(apply("-OTP", None).is_err());
        assert_eq!(apply("CCID", None).unwrap(), Interfaces::CCID);
    }

    #[test]
    fn a_neo_counts_in_tens() {
        assert_eq!(scaled(Version::new(3, 4, 9), 25), 3);
        assert_eq!(scaled(Version::new(4, 3, 5), 25), 25);
    }
}
