//! Credentials of slots in PSKC files (RFC 6030).

use clap::Args as ClapArgs;
use tapkey_protocol::{
    formats::{
        csv::{Credential, Entry},
        pskc::{Container, DeviceInfo, Document, Key, KeyKind, Prf, Protection, PskcError, Seal, Unlock},
    },
    oath::{Algorithm, Digits as CodeDigits},
    otp::AesKey,
    secret::SecretBytes,
    slot::{AccessCode, Digits, HmacKey, MovingFactor},
};
use zeroize::Zeroizing;

use crate::{
    encode::from_hex,
    exit::Failure,
    secrets::{Source, Wanted},
};

/// What a PSKC file is encrypted with.
#[derive(ClapArgs, Debug, Default)]
#[command(next_help_heading = "The list")]
pub(super) struct Lock {
    /// Where the key comes from that a PSKC file is encrypted with, in hexadecimal digits.
    #[arg(long, value_name = "SOURCE", conflicts_with = "pskc_passphrase")]
    pskc_key: Option<Source>,

    /// Where the passphrase comes from that a PSKC file is encrypted with.
    #[arg(long, value_name = "SOURCE")]
    pskc_passphrase: Option<Source>,
}

const KEY: Wanted = Wanted { name: "the key of the file", option: "--pskc-key" };
const PASSPHRASE: Wanted = Wanted { name: "the passphrase of the file", option: "--pskc-passphrase" };

/// Whether a file is one of these.
pub(super) fn is_pskc(text: &str) -> bool {
    text.trim_start().starts_with('<')
}

/// The credentials of a file that fit a slot. Others are an error, with their line.
pub(super) fn read(text: &str, lock: &Lock) -> Result<Vec<Entry>, Failure> {
    let document = Document::parse(text.as_bytes()).map_err(wrong)?;
    let container = match document.protection() {
        Protection::Key { .. } => {
            let key = from_hex(&KEY.read(lock.pskc_key.as_ref())?, KEY.name)?;
            document.open(Unlock::Key(&key))
        }
        Protection::Passphrase { .. } => {
            document.open(Unlock::Passphrase(&PASSPHRASE.read(lock.pskc_passphrase.as_ref())?))
        }
        _ => document.open(Unlock::Nothing),
    };
    container.map_err(wrong)?.keys.iter().map(entry).collect()
}

#[expect(clippy::needless_pass_by_value, reason = "the shape of map_err")]
fn wrong(error: PskcError) -> Failure {
    Failure::usage(error.to_string())
}

fn entry(key: &Key) -> Result<Entry, Failure> {
    let line = key.line;
    let failed = |why: &str| Failure::usage(format!("line {line}: {why}"));
    let serial = match key.device.serial.as_deref() {
        None | Some("") => None,
        Some(text) => Some(text.parse().map_err(|_| failed("the serial number is not a number"))?),
    };
    Ok(Entry {
        line,
        serial,
        slot: key.module.as_deref().and_then(|module| module.parse().ok()),
        credential: credential(key).map_err(failed)?,
        current_access_code: AccessCode::NONE,
        access_code: AccessCode::NONE,
        time: None,
    })
}

fn credential(key: &Key) -> Result<Credential, &'static str> {
    let hmac = || {
        HmacKey::from_secret(key.secret.expose())
            .map_err(|_| "the key does not fit a slot; 20 bytes at most do")
    };
    match &key.kind {
        KeyKind::YubicoOtp { public_id, private_id } => Ok(Credential::YubicoOtp {
            public_id: *public_id,
            private_id: private_id.clone().ok_or("the private id is missing")?,
            key: AesKey::new(key.secret.expose().try_into().map_err(|_| "the AES key has not 16 bytes")?),
            send_reference: false,
        }),
        KeyKind::Hotp { algorithm: Algorithm::Sha1, digits, counter } => Ok(Credential::Hotp {
            key: hmac()?,
            digits: match *digits {
                CodeDigits::SIX => Digits::Six,
                CodeDigits::EIGHT => Digits::Eight,
                _ => return Err("a slot types codes of 6 or 8 digits"),
            },
            moving_factor: u32::try_from(*counter)
                .ok()
                .and_then(|counter| MovingFactor::new(counter).ok())
                .ok_or("a slot starts from multiples of 16 up to 1048560 only")?,
            token_id: None,
        }),
        KeyKind::HmacSha1 => {
            Ok(Credential::ChallengeHmac { key: hmac()?, variable_length: true, touch: false })
        }
        KeyKind::Hotp { .. } => Err("a slot computes OATH-HOTP with SHA-1 only"),
        _ => Err("this kind of key does not fit a slot"),
    }
}

/// The entries as the text of a file. Access codes have no place in it.
pub(super) fn write(
    entries: &[Entry],
    key: Option<&Source>,
    passphrase: Option<&Source>,
) -> Result<Zeroizing<String>, Failure> {
    let keys = entries.iter().map(exported).collect::<Result<Vec<_>, _>>()?;
    let container = Container { keys, ..Container::default() };
    let mut trouble = None;
    let mut random = |bytes: &mut [u8]| {
        if let Err(error) = getrandom::fill(bytes) {
            trouble = Some(error);
        }
    };
    let (shared, secret);
    let seal = if let Some(source) = key {
        let wanted = Wanted { option: "--to-key", ..KEY };
        shared = from_hex(&wanted.read(Some(source))?, KEY.name)?;
        Seal::Key { name: "Pre-shared-key", key: &shared, random: &mut random }
    } else if let Some(source) = passphrase {
        secret = Wanted { option: "--to-passphrase", ..PASSPHRASE }.read(Some(source))?;
        if secret.chars().count() < 8 {
            return Err(Failure::usage("the passphrase has fewer than 8 letters"));
        }
        Seal::Passphrase { passphrase: &secret, prf: Prf::Sha256, rounds: ROUNDS, random: &mut random }
    } else {
        Seal::Plain
    };
    let text = container.write(seal).map_err(wrong)?;
    match trouble {
        None => Ok(text),
        Some(error) => Err(Failure::failed(format!("the system gave no random bytes: {error}"))),
    }
}

fn exported(entry: &Entry) -> Result<Key, Failure> {
    let (kind, secret) = match &entry.credential {
        Credential::YubicoOtp { public_id, private_id, key, .. } => (
            KeyKind::YubicoOtp { public_id: *public_id, private_id: Some(private_id.clone()) },
            key.expose().to_vec(),
        ),
        Credential::Hotp { key, digits, moving_factor, .. } => {
            let digits = if *digits == Digits::Eight { CodeDigits::EIGHT } else { CodeDigits::SIX };
            let counter = u64::from(moving_factor.value());
            (KeyKind::Hotp { algorithm: Algorithm::Sha1, digits, counter }, key.expose().to_vec())
        }
        Credential::ChallengeHmac { key, .. } => (KeyKind::HmacSha1, key.expose().to_vec()),
        other => {
            return Err(Failure::usage(format!(
                "line {}: PSKC has no {}",
                entry.line,
                super::list::name(other)
            )));
        }
    };
    let serial = entry.serial.map(|serial| serial.to_string());
    let module = entry.slot.map(|slot| slot.to_string());
    Ok(Key {
        id: serial.as_ref().map(|serial| format!("{serial}:{}", module.as_deref().unwrap_or("0"))),
        device: DeviceInfo { manufacturer: Some("Yubico".to_owned()), serial, model: None },
        module,
        ..Key::new(kind, SecretBytes::new(secret))
    })
}

/// PBKDF2 with SHA-256: what is recommended at present, about half a second.
const ROUNDS: u32 = 600_000;
