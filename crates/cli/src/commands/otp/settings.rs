//! `tapkey otp settings`: change a slot's settings without touching its secret.

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_protocol::slot::{Slot, Update};

use super::change::{Change, Leave, Protection, Typing, new_code, present_code};
use crate::{commands::Context, encode::hex, exit::Failure, interrupt, keys, output, secrets::Source};

/// Options of `tapkey otp settings`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "A slot's present settings cannot be read, so everything that is not named here becomes its default. \
That goes for the access code too: name it again with --keep-access-code, give a new one, or say \
--delete-access-code."
)]
pub(crate) struct Args {
    /// 1 or 2.
    slot: Slot,

    /// Keep the access code that --access-code gives.
    #[arg(long, requires = "access_code", conflicts_with_all = ["new_access_code", "delete_access_code"])]
    keep_access_code: bool,

    /// The slot has no access code afterwards.
    #[arg(long, conflicts_with = "new_access_code")]
    delete_access_code: bool,

    /// Show a generated access code.
    #[arg(long)]
    show_secret: bool,

    /// Show the serial number in the USB descriptor.
    #[arg(long)]
    serial_usb_visible: bool,

    #[command(flatten)]
    typing: Typing,
    #[command(flatten)]
    protection: Protection,
    #[command(flatten)]
    leave: Leave,
}

#[derive(Serialize)]
struct Updated {
    slot: u8,
    serial: Option<u32>,
    access_code: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    new_access_code: Option<String>,
}

/// Updates the slot.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut change = Change::begin(context)?;
    let slot = args.slot;
    let current = present_code(&args.leave)?;
    let must_choose = !current.is_none() && args.protection.is_absent();
    if must_choose && !args.keep_access_code && !args.delete_access_code {
        return Err(Failure::usage(
            "the slot's access code would be gone, because nothing says what becomes of it",
        )
        .hint("add --keep-access-code, --delete-access-code or --new-access-code"));
    }
    let (new, drawn) = new_code(&args.protection)?;
    let access_code = if args.keep_access_code { current.clone() } else { new };
    if drawn && !args.show_secret {
        return Err(Failure::usage("the access code would be drawn at random and known to the key alone")
            .hint("add --show-secret to see it"));
    }
    let mut options = args.typing.options(change.version());
    options.serial_in_usb = args.serial_usb_visible;
    let update = Update { options, access_code: access_code.clone() };
    let code = if access_code.is_none() { "no access code" } else { "an access code" };
    change.agree(
        &format!("slot {slot} will get new settings and have {code}; its secret stays"),
        None,
        &args.leave,
    )?;
    let busy = interrupt::busy();
    change.session.update(slot, &update, &current, &change.control).map_err(keys::refused)?;
    drop(busy);
    let updated = Updated {
        slot: slot.number(),
        serial: change.device.serial(),
        access_code: !access_code.is_none(),
        new_access_code: (args.show_secret && drawn).then(|| hex(access_code.expose())),
    };
    context.printer.result("otp-settings/1", &updated, |updated| {
        let mut text = format!("slot {slot} has new settings\n");
        if let Some(code) = &updated.new_access_code {
            text.push_str(&output::fields(&[("access code", code)]));
        }
        text
    })
}

impl Protection {
    fn is_absent(&self) -> bool {
        self.new_access_code.is_none() || self.new_access_code == Some(Source::Unknown)
    }
}
