//! `tapkey otp static-ticket`: program a ticket that never changes.

use clap::Args as ClapArgs;
use tapkey_protocol::{
    formats::csv::Credential,
    otp::{AesKey, PrivateId},
    slot::Slot,
};

use super::{
    change::{Change, Job, Leave, Protection, new_code, secret},
    options::{Behaviour, Typing},
    record::Keep,
    yubiotp::{Choice, public_id},
};
use crate::{commands::Context, exit::Failure, secrets::Source};

/// Options of `tapkey otp static-ticket`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Example:
  tapkey otp static-ticket 2 --strong-1 --strong-2 --output keys.csv

The key encrypts what never changes, so it types the same 32 modhex letters each time, behind its public \
id. `otp static` types a password of your own, which is what most people want.")]
pub(crate) struct Args {
    /// 1 or 2.
    slot: Slot,

    /// What is typed in front: modhex, `serial`, `random`, or nothing when left out.
    #[arg(long, short = 'P', value_name = "ID", default_value = "")]
    public_id: Choice,

    /// Where the private id comes from (12 hexadecimal digits), or `generate`.
    #[arg(long, short = 'p', value_name = "SOURCE", default_value = "generate")]
    private_id: Source,

    /// Where the AES key comes from (32 hexadecimal digits), or `generate`.
    #[arg(long, short = 'k', value_name = "SOURCE", default_value = "generate")]
    aes_key: Source,

    /// Type 16 characters at most.
    #[arg(long)]
    short: bool,

    /// The first two letters in upper case.
    #[arg(long)]
    strong_1: bool,

    /// The letters c to i become the digits 0 to 7.
    #[arg(long)]
    strong_2: bool,

    /// A very long touch draws a new one (firmware 2).
    #[arg(long)]
    manual_update: bool,

    /// Type the 16 letters cbdefghijklnrtuv first, or `!` with --strong-1 or --strong-2.
    #[arg(long)]
    send_reference: bool,

    #[command(flatten)]
    typing: Typing,
    #[command(flatten)]
    behaviour: Behaviour,
    #[command(flatten)]
    keep: Keep,
    #[command(flatten)]
    protection: Protection,
    #[command(flatten)]
    leave: Leave,
}

/// Programs the slot.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut change = Change::begin(context)?;
    if args.manual_update && change.version().major >= 3 {
        context.printer.warn(format!(
            "--manual-update is documented for firmware 2; firmware {} takes it and probably does nothing about it",
            change.version()
        ));
    }
    let (code, code_drawn) = new_code(&args.protection)?;
    let credential = Credential::StaticTicket {
        public_id: public_id(args.public_id, &change)?,
        private_id: PrivateId::new(*secret("the private id", "--private-id", &args.private_id)?),
        key: AesKey::new(*secret("the AES key", "--aes-key", &args.aes_key)?),
        short: args.short,
        strong_1: args.strong_1,
        strong_2: args.strong_2,
        send_reference: args.send_reference,
        manual_update: args.manual_update,
    };
    let written = change.program(&Job {
        slot: args.slot,
        credential,
        changes: args.behaviour.and(args.typing.changes()),
        will: format!("slot {} will type the same modhex letters each time", args.slot),
        generated: code_drawn || [&args.private_id, &args.aes_key].contains(&&Source::Generate),
        code: &code,
        current: None,
        leave: &args.leave,
        keep: &args.keep,
        by: "otp static-ticket",
    })?;
    written.report(context)
}
