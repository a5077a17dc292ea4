//! `tapkey config nfc`.

use clap::Args as ClapArgs;
use tapkey_protocol::link::CardTransport;
use tapkey_protocol::management::{Capabilities, Side, Switch, SwitchError};
use tapkey_protocol::version::{Unsupported, Version};

use super::{
    applications::{all_of, application, check, list, switched},
    change::{Change, Leave, agreed, current_lock_code, too_old, write},
};
use crate::{
    commands::Context,
    exit::{Exit, Failure},
    interrupt, keys,
};

/// Options of `tapkey config nfc`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Applications: otp, u2f, fido2, oath, piv, openpgp, hsmauth.

Examples:
  tapkey config nfc --list
  tapkey config nfc --disable-all
  tapkey config nfc --restrict")]
pub(crate) struct Args {
    /// Switch this application on; may be given several times.
    #[arg(long, short, value_name = "APP", value_parser = application)]
    enable: Vec<Capabilities>,

    /// Switch this application off; may be given several times.
    #[arg(long, short, value_name = "APP", value_parser = application)]
    disable: Vec<Capabilities>,

    /// Switch all applications on that the key has.
    #[arg(long, short = 'a', conflicts_with_all = ["enable", "disable_all"])]
    enable_all: bool,

    /// Switch all applications off.
    #[arg(long, short = 'D', conflicts_with_all = ["enable", "disable"])]
    disable_all: bool,

    /// List what is on and off, and change nothing.
    #[arg(long, short, conflicts_with_all = ["enable", "disable", "enable_all", "disable_all", "restrict"])]
    list: bool,

    /// No NFC at all until the key is plugged into USB the next time (firmware 5.7 and later).
    #[arg(long, short = 'R')]
    restrict: bool,

    #[command(flatten)]
    leave: Leave,
}

/// Changes the settings of NFC.
pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let (enable, disable) = (all_of(&args.enable), all_of(&args.disable));
    check(enable, disable)?;
    let switches = args.enable_all || args.disable_all || !enable.is_empty() || !disable.is_empty();
    if !args.list && !args.restrict && !switches {
        return Err(Failure::usage("nothing is asked for")
            .hint("say what to change, such as --enable APP or --disable-all; --list shows what is on"));
    }
    super::lock_code::check_source(args.leave.lock_code.as_ref())?;
    let busy = interrupt::busy();
    let opened = keys::open(context)?;
    drop(busy);
    if args.list {
        return list(Side::Nfc, &opened.device, context);
    }
    let info = opened.device.info();
    let version = info.version.unwrap_or_default();
    Unsupported::check_at_least("choosing applications", version, SINCE).map_err(|error| too_old(&error))?;
    let Some(supported) = Switch::supported(Side::Nfc, info) else {
        return Err(Failure::new(Exit::Key, SwitchError::NoSuchSide { side: Side::Nfc }.to_string()));
    };
    let mut change = Change::default();
    if switches {
        let enable = if args.enable_all { supported.without(disable) } else { enable };
        let disable = if args.disable_all { supported } else { disable };
        let after = switched(Switch { side: Side::Nfc, enable, disable }, info)?;
        let before = Switch::enabled(Side::Nfc, info).unwrap_or_default();
        if change.note_applications(Side::Nfc, before, after) {
            change.config.nfc_enabled = Some(after);
        }
    }
    if args.restrict {
        Unsupported::check_at_least("restricting NFC", version, RESTRICT_SINCE)
            .map_err(|error| too_old(&error))?;
        let word = |on: bool| if on { "until it is plugged in" } else { "no" };
        if change.note("NFC restricted", word(info.nfc_restricted == Some(true)), word(true)) {
            change.config.nfc_restricted = Some(true);
        }
    }
    finish(change, &args.leave, &opened, context)
}

fn finish(
    mut change: Change,
    leave: &Leave,
    opened: &keys::Opened,
    context: &Context,
) -> Result<(), Failure> {
    let cut_off = change.config.nfc_restricted == Some(true)
        || change.config.nfc_enabled.is_some_and(Capabilities::is_empty);
    if cut_off && opened.device.ways().card == Some(CardTransport::Nfc) {
        context.printer.warn("the key is reached over NFC now; afterwards only over USB");
    }
    if !leave.consent.dry_run && !change.rows.is_empty() {
        change.config.current_lock_code = current_lock_code(leave.lock_code.as_ref(), opened.device.info())?;
    }
    if agreed(&opened.device, &change.rows, leave.consent, false, context)? {
        write(opened, &change, context)?;
    }
    Ok(())
}

const SINCE: Version = Version::new(5, 0, 0);
const RESTRICT_SINCE: Version = Version::new(5, 7, 0);
