//! `tapkey config reset`.

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_driver::{Device, Refusal, can_be_reset};

use crate::{
    commands::Context,
    exit::{Exit, Failure},
    interrupt, keys, output, prompt,
};

/// Options of `tapkey config reset`.
#[derive(ClapArgs, Debug)]
#[command(
    after_help = "Only the multi-protocol YubiKey Bio has a reset of the whole key, because there several \
applications share a PIN. The applications of all other keys are reset one by one."
)]
pub(crate) struct Args {
    /// Show what would happen, and do nothing.
    #[arg(long)]
    dry_run: bool,

    /// Do not ask.
    #[arg(long, short)]
    force: bool,
}

#[derive(Serialize)]
struct Report {
    serial: Option<u32>,
    dry_run: bool,
    reset: bool,
}

/// Empties the whole key.
pub(super) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let busy = interrupt::busy();
    let opened = keys::open(context)?;
    drop(busy);
    let device = &opened.device;
    check(device)?;
    let report = |reset| Report { serial: device.serial(), dry_run: args.dry_run, reset };
    if args.dry_run {
        return context.printer.result("config-reset/1", &report(false), |_| {
            format!("{device} would lose all credentials, PINs and fingerprints")
        });
    }
    if !args.force {
        prompt::confirm(
            &format!("{device} will lose all credentials, PINs and fingerprints, for good. Go ahead?"),
            "--force",
        )?;
    }
    let _busy = interrupt::busy();
    let control = keys::control(context);
    let mut session = device.open_management_over_card(&control).map_err(keys::refused)?;
    session.reset_device(&control).map_err(keys::refused)?;
    context.printer.result("config-reset/1", &report(true), |_| output::good("the key is empty"))
}

fn check(device: &Device) -> Result<(), Failure> {
    if can_be_reset(device.info()) {
        return Ok(());
    }
    Err(Failure::new(Exit::Key, Refusal::NoDeviceReset.to_string()).hint(
        "OATH: `tapkey oath reset`; PIV: `tapkey piv reset`; slots: `tapkey otp delete 1` and `2`; OpenPGP: `gpg --edit-card`, \
         admin, factory-reset; FIDO: your browser's settings or `fido2-token -R`",
    ))
}
