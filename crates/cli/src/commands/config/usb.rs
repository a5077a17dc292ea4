//! `tapkey config usb`.

use clap::Args as ClapArgs;
use tapkey_protocol::management::{Capabilities, DeviceConfig, DeviceFlags, Interfaces, Side, Switch};
use tapkey_protocol::version::{Unsupported, Version};

use super::{
    applications::{all_of, application, check, list, switched},
    change::{Change, Leave, agreed, current_lock_code, guard, interfaces_of_applications, too_old, write},
};
use crate::{commands::Context, exit::Failure, interrupt, keys};

/// Options of `tapkey config usb`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "Applications: otp, u2f, fido2, oath, piv, openpgp, hsmauth. The key restarts afterwards.

Examples:
  tapkey config usb --list
  tapkey config usb --disable otp --disable u2f
  tapkey config usb --enable-all --yes
  tapkey config usb --chalresp-timeout 30"
)]
pub(crate) struct Args {
    /// Switch this application on; may be given several times.
    #[arg(long, short, value_name = "APP", value_parser = application)]
    enable: Vec<Capabilities>,

    /// Switch this application off; may be given several times.
    #[arg(long, short, value_name = "APP", value_parser = application)]
    disable: Vec<Capabilities>,

    /// Switch all applications on that the key has.
    #[arg(long, short = 'a', conflicts_with = "enable")]
    enable_all: bool,

    /// List what is on and off, and change nothing.
    #[arg(long, short, conflicts_with_all = ["enable", "disable", "enable_all", "touch_eject",
        "no_touch_eject", "autoeject_timeout", "chalresp_timeout"])]
    list: bool,

    /// Let a touch eject and insert the smart card, where it is the only interface.
    #[arg(long, overrides_with = "no_touch_eject")]
    touch_eject: bool,

    /// Let a touch do no such thing.
    #[arg(long)]
    no_touch_eject: bool,

    /// Eject the smart card by itself after so many seconds; 0 for never. Implies --touch-eject.
    #[arg(long, value_name = "S", conflicts_with = "no_touch_eject")]
    autoeject_timeout: Option<u16>,

    /// Let a challenge wait so many seconds for a touch.
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u8).range(1..))]
    chalresp_timeout: Option<u8>,

    #[command(flatten)]
    leave: Leave,
}

/// Changes the settings on USB.
pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let (enable, disable) = (all_of(&args.enable), all_of(&args.disable));
    check(enable, disable)?;
    let asked = args.list || args.enable_all || !enable.is_empty() || !disable.is_empty();
    if !asked && !args.sets_something() {
        return Err(Failure::usage("nothing is asked for")
            .hint("say what to change, such as --enable APP or --disable APP; --list shows what is on"));
    }
    // A source that cannot be read is found out before the key is touched.
    super::lock_code::check_source(args.leave.lock_code.as_ref())?;
    let busy = interrupt::busy();
    let opened = keys::open(context)?;
    drop(busy);
    if args.list {
        return list(Side::Usb, &opened.device, context);
    }
    let info = opened.device.info();
    let version = info.version.unwrap_or_default();
    Unsupported::check_at_least("choosing applications", version, SINCE).map_err(|error| too_old(&error))?;
    let mut change = Change::default();
    let enable = if args.enable_all { info.usb_supported.without(disable) } else { enable };
    let switch = Switch { side: Side::Usb, enable, disable };
    let after = switched(switch, info)?;
    let before = Switch::enabled(Side::Usb, info).unwrap_or_default();
    if change.note_applications(Side::Usb, before, after) {
        guard(&opened.device, interfaces_of_applications(after), args.leave.consent, context)?;
        change.config.usb_enabled = Some(after);
    }
    args.timeouts(info, interfaces_of_applications(after), &mut change, context);
    finish(change, &args.leave, &opened, context)
}

fn finish(
    mut change: Change,
    leave: &Leave,
    opened: &keys::Opened,
    context: &Context,
) -> Result<(), Failure> {
    change.config.reboot = true;
    // The code is asked for before the question whether to go ahead, but not for a look.
    if !leave.consent.dry_run && !change.rows.is_empty() {
        change.config.current_lock_code = current_lock_code(leave.lock_code.as_ref(), opened.device.info())?;
    }
    if agreed(&opened.device, &change.rows, leave.consent, false, context)? {
        write(opened, &change, context)?;
    }
    Ok(())
}

impl Args {
    const fn sets_something(&self) -> bool {
        self.touch_eject
            || self.no_touch_eject
            || self.autoeject_timeout.is_some()
            || self.chalresp_timeout.is_some()
    }

    fn timeouts(
        &self,
        info: &tapkey_protocol::management::DeviceInfo,
        after: Interfaces,
        change: &mut Change,
        context: &Context,
    ) {
        let DeviceConfig { flags, auto_eject_timeout, challenge_timeout, .. } = &mut change.config;
        let now = info.flags.unwrap_or_default();
        let eject = self.touch_eject || self.autoeject_timeout.is_some_and(|seconds| seconds > 0);
        let mut rows = Vec::new();
        if eject || self.no_touch_eject {
            let wanted = if eject {
                DeviceFlags(now.0 | DeviceFlags::TOUCH_EJECT.0)
            } else {
                DeviceFlags(now.0 & !DeviceFlags::TOUCH_EJECT.0)
            };
            let word = |flags: DeviceFlags| {
                if flags.contains(DeviceFlags::TOUCH_EJECT) { "on".to_owned() } else { "off".to_owned() }
            };
            rows.push(("touch-eject", word(now), word(wanted)));
            *flags = Some(wanted);
            if eject && after != Interfaces::CCID {
                context
                    .printer
                    .warn("touch-eject takes effect only while the smart card is the only interface");
            }
        }
        if let Some(seconds) = self.autoeject_timeout {
            let before = info.auto_eject_timeout.unwrap_or_default();
            rows.push(("auto-eject timeout", format!("{before} s"), format!("{seconds} s")));
            *auto_eject_timeout = Some(seconds);
        }
        if let Some(seconds) = self.chalresp_timeout {
            let before =
                info.challenge_timeout.map_or_else(|| "not told".to_owned(), |now| format!("{now} s"));
            rows.push(("challenge timeout", before, format!("{seconds} s")));
            *challenge_timeout = Some(seconds);
        }
        for (setting, from, to) in rows {
            change.note(setting, from, to);
        }
    }
}

const SINCE: Version = Version::new(5, 0, 0);
