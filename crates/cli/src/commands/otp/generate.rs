//! `tapkey otp generate`: make one-time passwords without a key, for tests.

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_protocol::otp::{AesKey, Otp, PrivateId, PublicId, Timestamp, Token};

use super::decode;
use crate::{
    commands::Context,
    encode::{from_hex_exact, random},
    exit::Failure,
    secrets::{Source, Wanted},
};

/// Options of `tapkey otp generate`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Example:
  tapkey otp generate --public-id vvccccbdefgh --private-id file:id.hex --aes-key file:key.hex

With several secrets from standard input, the private id comes first, then the AES key.")]
pub(crate) struct Args {
    /// The public id in modhex.
    #[arg(long, value_name = "MODHEX", default_value = "")]
    public_id: PublicId,

    /// Where the private id comes from (12 hexadecimal digits): file:PATH, env:NAME, - or prompt.
    #[arg(long, value_name = "SOURCE")]
    private_id: Option<Source>,

    /// Where the AES key comes from (32 hexadecimal digits).
    #[arg(long, value_name = "SOURCE")]
    aes_key: Option<Source>,

    /// The use counter, 0 to 32767.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(..=0x7fff))]
    use_counter: u16,

    /// The session counter, 0 to 255.
    #[arg(long, value_name = "N", default_value_t = 0)]
    session_counter: u8,

    /// The key's clock, 0 to 16777215; random when left out.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(..=0xff_ffff))]
    timestamp: Option<u32>,

    /// The random part, 0 to 65535; drawn when left out.
    #[arg(long, value_name = "N")]
    random: Option<u16>,

    /// How many passwords; the session counter grows with each.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: u32,
}

#[derive(Serialize)]
struct Generated {
    otps: Vec<String>,
}

/// Makes the passwords.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let id = Wanted { name: "the private id", option: "--private-id" }.read(args.private_id.as_ref())?;
    let private_id = PrivateId::new(*from_hex_exact::<6>(&id, "the private id")?);
    let key = decode::aes_key(args.aes_key.as_ref())?;
    let drawn = random::<3>()?;
    let start = args.timestamp.map_or_else(|| Timestamp::from_le_bytes(*drawn), Timestamp::new);
    let otps = (0..args.count)
        .map(|step| make(args, &private_id, &key, start, step))
        .collect::<Result<Vec<String>, Failure>>()?;
    context.printer.result("otp-generate/1", &Generated { otps }, |generated| generated.otps.join("\n"))
}

/// The password number `step`, with the counters moved on as a key would.
fn make(
    args: &Args,
    private_id: &PrivateId,
    key: &AesKey,
    start: Timestamp,
    step: u32,
) -> Result<String, Failure> {
    let uses = u32::from(args.use_counter) << 8 | u32::from(args.session_counter);
    let [_, high, low, session_counter] = (uses + step).to_be_bytes();
    let use_counter = u16::from_be_bytes([high, low]);
    if uses + step > 0x7f_ffff {
        return Err(Failure::usage("the use counter would pass its end, 32767")
            .hint("ask for fewer passwords, or start lower"));
    }
    let noise = match args.random {
        Some(random) => random,
        None => u16::from_le_bytes(*random::<2>()?),
    };
    let token = Token {
        private_id: private_id.clone(),
        use_counter_raw: use_counter,
        timestamp: Timestamp::new(start.value().wrapping_add(step)),
        session_counter,
        random: noise,
    };
    Ok(Otp::new(args.public_id, token.seal(key)).to_string())
}
