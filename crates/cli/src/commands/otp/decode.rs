//! `tapkey otp decode`: look inside a typed one-time password, off line.

use std::io::{self, BufRead, Write};

use clap::Args as ClapArgs;
use serde::Serialize;
use tapkey_protocol::{
    crc,
    otp::{AesKey, Otp, PublicId, Token, typed},
};

use crate::{
    commands::Context,
    encode::{from_hex_exact, hex},
    exit::{Exit, Failure},
    output,
    secrets::{Source, Wanted},
};

/// Options of `tapkey otp decode`.
#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  tapkey otp decode --aes-key file:key.hex vvccccbdefghdvgtiblfkbgturecfllberrvkinnctnn
  tapkey otp decode --aes-key env:KEY - < many-passwords.txt

With - every line of standard input is decoded. The output then has one line per password: \
public id, private id, use counter, session counter, timestamp, random, CRC; separated by tabs. \
A line that cannot be decoded is reported, and the exit code is 1.")]
pub(crate) struct Args {
    /// The password; - for lines of standard input; asked for when left out.
    otp: Option<String>,

    /// Where the AES key comes from (32 hexadecimal digits): file:PATH, env:NAME, - or prompt.
    /// With -, the first line of standard input is the key.
    #[arg(long, value_name = "SOURCE")]
    aes_key: Option<Source>,
}

/// Decodes one password, or every line of standard input.
pub(crate) fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let key = aes_key(args.aes_key.as_ref())?;
    match args.otp.as_deref() {
        Some("-") => many(&key, context),
        Some(otp) => one(otp, &key, context),
        None => one(&crate::prompt::line("One-time password: ")?, &key, context),
    }
}

/// Reads an AES key from its source.
pub(crate) fn aes_key(source: Option<&Source>) -> Result<AesKey, Failure> {
    let text = Wanted { name: "the AES key", option: "--aes-key" }.read(source)?;
    Ok(AesKey::new(*from_hex_exact::<16>(&text, "the AES key")?))
}

/// Everything inside a password.
#[derive(Serialize)]
struct Decoded {
    public_id: PublicIdText,
    private_id: String,
    use_counter: u16,
    session_counter: u8,
    timestamp: u32,
    random: u16,
    crc: u16,
    /// Old keys set the top bit of the use counter when caps lock triggered the password.
    caps_lock: bool,
}

type PublicIdText = String;

fn decode(text: &str, key: &AesKey) -> Result<Decoded, Failure> {
    let (otp, _) = typed::parse(text)
        .map_err(|error| Failure::new(Exit::Failed, format!("not a one-time password: {error}")))?;
    let token = otp.open(key).map_err(|error| {
        Failure::failed(error.to_string())
            .hint("the AES key belongs to another key or slot, or a letter was changed")
    })?;
    Ok(Decoded::of(&otp, &token))
}

impl Decoded {
    fn of(otp: &Otp, token: &Token) -> Self {
        Self {
            public_id: id_text(otp.public_id()),
            private_id: hex(token.private_id.expose()),
            use_counter: token.counter().use_counter(),
            session_counter: token.session_counter,
            timestamp: token.timestamp.value(),
            random: token.random,
            crc: checksum(token),
            caps_lock: token.use_counter_raw & 0x8000 != 0,
        }
    }

    fn line(&self) -> String {
        format!(
            "{}\t{}\t{}\t{}\t{}\t{}\t{:04x}\n",
            if self.public_id.is_empty() { "-" } else { &self.public_id },
            self.private_id,
            self.use_counter,
            self.session_counter,
            self.timestamp,
            self.random,
            self.crc
        )
    }

    fn block(&self) -> String {
        let public_id = if self.public_id.is_empty() { "none".to_owned() } else { self.public_id.clone() };
        output::fields(&[
            ("public id", public_id),
            ("private id", self.private_id.clone()),
            ("use counter", self.use_counter.to_string()),
            ("session counter", self.session_counter.to_string()),
            (
                "timestamp",
                format!("{}  ({:.1} s of the key's clock)", self.timestamp, f64::from(self.timestamp) / 8.0),
            ),
            ("random", self.random.to_string()),
            ("crc", format!("{:04x}  (right)", self.crc)),
        ])
    }
}

fn id_text(id: PublicId) -> String {
    id.to_string()
}

/// The checksum as it stands in the block: complemented.
fn checksum(token: &Token) -> u16 {
    let mut block = [0; 14];
    block[..6].copy_from_slice(token.private_id.expose());
    block[6..8].copy_from_slice(&token.use_counter_raw.to_le_bytes());
    block[8..11].copy_from_slice(&token.timestamp.value().to_le_bytes()[..3]);
    block[11] = token.session_counter;
    block[12..].copy_from_slice(&token.random.to_le_bytes());
    u16::from_le_bytes(crc::trailer(&block))
}

fn one(text: &str, key: &AesKey, context: &Context) -> Result<(), Failure> {
    context.printer.result("otp-decode/1", &decode(text, key)?, Decoded::block)
}

fn many(key: &AesKey, context: &Context) -> Result<(), Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut wrong = 0_u64;
    let mut number = 0_u64;
    for line in io::stdin().lock().lines() {
        let line = line.map_err(|error| Failure::failed(format!("cannot read standard input: {error}")))?;
        number += 1;
        if line.trim().is_empty() {
            continue;
        }
        match decode(&line, key) {
            Ok(decoded) if context.printer.is_json() => {
                out.write_all(output::json_line("otp-decode/1", &decoded)?.as_bytes())?;
            }
            Ok(decoded) => out.write_all(decoded.line().as_bytes())?,
            Err(failure) => {
                wrong += 1;
                context.printer.warn(format!("line {number}: {failure}"));
            }
        }
    }
    out.flush()?;
    if wrong == 0 {
        return Ok(());
    }
    Err(Failure::failed(format!("{wrong} of {number} lines could not be decoded")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The token library's published vector.
    #[test]
    fn published_vector() {
        let key = AesKey::new(*from_hex_exact("ecde18dbe76fbd0c33330f1c354871db", "key").unwrap());
        let decoded = decode("dteffujehknhfjbrjnlnldnhcujvddbikngjrtgh", &key).unwrap();
        assert_eq!(decoded.line(), "dteffuje\t8792ebfe26cc\t19\t17\t49712\t40904\tc823\n");
    }
}
