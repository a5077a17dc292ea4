//! `tapkey emulate tap`, `suspend`, `resume`, `clock`, `set`: what a key goes through besides being
//! pressed.

use std::{str::FromStr, thread, time::Duration};

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_emulator::{Counter, Milliseconds, Power};
use tapkey_protocol::slot::Slot;

use super::State;
use crate::{commands::Context, exit::Failure};

/// Options of `tapkey emulate tap`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Tap {
    #[command(flatten)]
    state: State,

    /// How long, such as 1s, 500ms or 2m.
    #[arg(long = "for", value_name = "TIME", default_value = "1s")]
    time: Time,

    /// Leave it there.
    #[arg(long, conflicts_with = "time")]
    stay: bool,
}

/// Options of `tapkey emulate clock`.
#[derive(ClapArgs, Debug)]
pub(crate) struct Clock {
    /// How far to move it ahead, such as 90s, 36h or 25d.
    #[arg(value_name = "TIME")]
    by: Time,

    #[command(flatten)]
    state: State,
}

/// Options of `tapkey emulate set`.
#[derive(ClapArgs, Debug)]
#[group(id = "counters", required = true, multiple = true,
    args = ["use_counter", "session_counter", "moving_factor", "sequence"])]
pub(crate) struct Set {
    #[command(flatten)]
    state: State,

    /// The slot whose counters are meant.
    #[arg(long, value_name = "SLOT", default_value = "1")]
    slot: Slot,

    /// Power-ups with a use, of a Yubico OTP slot; it ends at 32767.
    #[arg(long, value_name = "N")]
    use_counter: Option<u16>,

    /// The session counter used last, of a running key's Yubico OTP slot; after 255 the use counter moves.
    #[arg(long, value_name = "N")]
    session_counter: Option<u8>,

    /// The counter of the next code, of an HOTP slot.
    #[arg(long, value_name = "N")]
    moving_factor: Option<u64>,

    /// The programming sequence of a running key; after 255 it begins at 0.
    #[arg(long, value_name = "N")]
    sequence: Option<u8>,
}

/// A time with its unit.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Time(Milliseconds);

impl FromStr for Time {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let at = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(at);
        let factor = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err("a time is a number with its unit: 500ms, 90s, 5m, 36h or 25d".to_owned()),
        };
        let number: u64 =
            number.parse().map_err(|_| "a time begins with a number, such as 90s".to_owned())?;
        number
            .checked_mul(factor)
            .map(|time| Self(Milliseconds(time)))
            .ok_or_else(|| "that is longer than anybody waits".to_owned())
    }
}

#[derive(Serialize)]
struct Done {
    done: bool,
}

/// Holds the key against a reader for a while; then it is where it was before.
pub(super) fn tap(args: &Tap, context: &Context) -> Result<(), Failure> {
    let key = args.state.open_running(context)?;
    let before = match key.snapshot()?.power.as_str() {
        "usb" => Power::Usb,
        _ => Power::Off,
    };
    key.running(|client| client.unplug())?;
    let held = key.running(|client| client.plug(Power::Nfc));
    if held.is_err() {
        // It does not work over NFC: back to where it was.
        key.running(|client| client.plug(before))?;
        return held;
    }
    if !args.stay {
        thread::sleep(Duration::from_millis(args.time.0.0));
        key.running(|client| client.unplug())?;
        key.running(|client| client.plug(before))?;
    }
    let text = if args.stay { "held against the reader" } else { "held against the reader and taken away" };
    done("emulate-tap/1", text, context)
}

/// Puts the USB bus to sleep.
pub(super) fn suspend(state: &State, context: &Context) -> Result<(), Failure> {
    state.open_running(context)?.running(|client| client.suspend())?;
    done("emulate-suspend/1", "suspended", context)
}

/// Wakes the USB bus.
pub(super) fn resume(state: &State, context: &Context) -> Result<(), Failure> {
    state.open_running(context)?.running(|client| client.resume())?;
    done("emulate-resume/1", "resumed", context)
}

/// Moves the key's clock.
pub(super) fn clock(args: &Clock, context: &Context) -> Result<(), Failure> {
    args.state.open_running(context)?.running(|client| client.jump(args.by.0))?;
    done("emulate-clock/1", "moved ahead", context)
}

/// Turns counters forward.
pub(super) fn set(args: &Set, context: &Context) -> Result<(), Failure> {
    let key = args.state.open(context)?;
    let counters = [
        args.use_counter.map(|to| Counter::Use(args.slot, to)),
        args.session_counter.map(|to| Counter::Session(args.slot, to)),
        args.moving_factor.map(|to| Counter::MovingFactor(args.slot, to)),
        args.sequence.map(Counter::Sequence),
    ];
    for counter in counters.into_iter().flatten() {
        key.turn(counter)?;
    }
    done("emulate-set/1", "set", context)
}

fn done(schema: &'static str, text: &str, context: &Context) -> Result<(), Failure> {
    context.printer.result(schema, &Done { done: true }, |_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let time = |text: &str| text.parse::<Time>().map(|time| time.0.0);
        assert_eq!(
            ["0ms", "90s", "5m", "36h", "25d"].map(time),
            [0, 90_000, 300_000, 129_600_000, 2_160_000_000].map(Ok)
        );
        for wrong in ["", "5", "s", "-1s", "+1s", "1.5s", "5 s", "99999999999999999999d", "9999999999999999d"]
        {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }
}
