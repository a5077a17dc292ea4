//! `tapkey otp yubiotp`: program a Yubico OTP credential.

use clap::Args as ClapArgs;
use tapkey_protocol::{
    formats::csv::Credential,
    otp::{AesKey, PrivateId, PublicId},
    slot::Slot,
};

use super::{
    change::{Change, Job, Leave, Protection, new_code, secret},
    options::{Behaviour, Typing},
    record::Keep,
};
use crate::{commands::Context, encode::random, exit::Failure, secrets::Source};

/// Options of `tapkey otp yubiotp`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey otp yubiotp 2 --output keys.csv
  tapkey otp yubiotp 1 --public-id vvccccbdefgh --private-id file:id.hex --aes-key file:key.hex
  tapkey --emulated otp yubiotp 2 --show-secret --yes

Without options everything is drawn at random and the public id is made of the serial number. \
To validate against a Tapkey server, use `tapkey enroll` instead: no secret passes through your hands.")]
pub(crate) struct Args {
    /// 1 or 2.
    slot: Slot,

    /// The public id: modhex, `serial` (made of the key's serial number) or `random`.
    #[arg(long, short = 'P', value_name = "ID", default_value = "serial")]
    public_id: Choice,

    /// Where the private id comes from (12 hexadecimal digits), or `generate`.
    #[arg(long, short = 'p', value_name = "SOURCE", default_value = "generate")]
    private_id: Source,

    /// Where the AES key comes from (32 hexadecimal digits), or `generate`.
    #[arg(long, short = 'k', value_name = "SOURCE", default_value = "generate")]
    aes_key: Source,

    /// Type the 16 letters cbdefghijklnrtuv first, by which servers see the keyboard layout.
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

/// Where a public id comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice {
    /// Made of the key's serial number.
    Serial,
    /// Drawn.
    Random,
    /// This one.
    Given(PublicId),
}

impl std::str::FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "serial" => Ok(Self::Serial),
            "random" => Ok(Self::Random),
            _ => text.parse().map(Self::Given).map_err(|error: tapkey_protocol::otp::PublicIdError| {
                format!("{error}; or write serial or random")
            }),
        }
    }
}

/// Programs the slot.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let mut change = Change::begin(context)?;
    let public_id = public_id(args.public_id, &change)?;
    let private_id = PrivateId::new(*secret("the private id", "--private-id", &args.private_id)?);
    let key = AesKey::new(*secret("the AES key", "--aes-key", &args.aes_key)?);
    let (code, code_drawn) = new_code(&args.protection)?;
    let written = change.program(&Job {
        slot: args.slot,
        credential: Credential::YubicoOtp { public_id, private_id, key, send_reference: args.send_reference },
        changes: args.behaviour.and(args.typing.changes()),
        will: format!(
            "slot {} will type Yubico one-time passwords with the public id {}",
            args.slot,
            name(public_id)
        ),
        generated: code_drawn || [&args.private_id, &args.aes_key].contains(&&Source::Generate),
        code: &code,
        current: None,
        leave: &args.leave,
        keep: &args.keep,
        by: "otp yubiotp",
    })?;
    written.report(context)
}

pub(super) fn public_id(choice: Choice, change: &Change<'_>) -> Result<PublicId, Failure> {
    match choice {
        Choice::Given(id) => Ok(id),
        Choice::Serial => Ok(PublicId::from_serial(change.serial("--public-id serial")?)),
        Choice::Random => {
            let bytes = random::<6>()?;
            PublicId::new(bytes.as_slice()).map_err(|error| Failure::failed(error.to_string()))
        }
    }
}

pub(super) fn name(id: PublicId) -> String {
    if id.is_empty() { "(none)".to_owned() } else { id.to_string() }
}
