//! `tapkey otp scan-map`: which keys are pressed for the characters of passwords that change.

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_protocol::{
    keyboard::Layout,
    slot::{ScanMap, ScanMapError, Slot},
};

use super::{
    change::{Change, Leave, present_code},
    static_password::layout,
};
use crate::{commands::Context, exit::Failure, interrupt, keys};

/// Options of `tapkey otp scan-map`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey otp scan-map --layout dvorak
  tapkey otp scan-map --reset

One-time passwords consist of letters that stand on the same keys on most layouts. For the others, such as \
Dvorak, the key can press other keys. It does so in both slots; static passwords and challenge-response are \
not concerned.")]
pub(crate) struct Args {
    /// The map for machines with this layout.
    #[arg(long, short = 'k', value_name = "LAYOUT", value_parser = layout, conflicts_with_all = ["map", "reset"],
        required_unless_present_any = ["map", "reset"])]
    layout: Option<Layout>,

    /// A map of one's own: 45 scan codes in hexadecimal digits, for
    /// cbdefghijklnrtuvCBDEFGHIJKLNRTUV0123456789!, TAB and Enter.
    #[arg(long, value_name = "HEX", conflicts_with = "reset")]
    map: Option<String>,

    /// Back to the map that the key came with.
    #[arg(long)]
    reset: bool,

    #[command(flatten)]
    leave: Leave,
}

#[derive(Serialize)]
struct Mapped {
    serial: Option<u32>,
    map: Option<String>,
}

/// Sets the map.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let map = chosen(args)?;
    let mut change = Change::begin(context)?;
    let current = present_code(&args.leave)?;
    let what = if args.reset { "as it came" } else { "by another map" };
    change.agree(&format!("it will press keys {what}, for both slots"), None, &args.leave)?;
    let busy = interrupt::busy();
    change.session.set_scan_map(&map, &current, &change.control).map_err(keys::refused)?;
    drop(busy);
    if Slot::ALL.into_iter().all(|slot| !change.is_programmed(slot)) {
        context.printer.detail("both slots are empty, so the map shows nowhere yet");
    }
    let mapped = Mapped { serial: change.device.serial(), map: (!args.reset).then(|| map.to_string()) };
    context.printer.result("otp-scan-map/1", &mapped, |_| "the key has a new scan map".to_owned())
}

fn chosen(args: &Args) -> Result<ScanMap, Failure> {
    match (&args.layout, &args.map) {
        (Some(layout), _) => ScanMap::for_layout(*layout).map_err(|error| {
            Failure::usage(format!("--layout: {error}")).hint("write the map out with --map")
        }),
        (None, Some(text)) => {
            text.parse().map_err(|error: ScanMapError| Failure::usage(format!("--map: {error}")))
        }
        (None, None) => Ok(ScanMap::RESET),
    }
}
