//! Lines that begin with a serial number.

use data_encoding::HEXLOWER_PERMISSIVE;
use zeroize::Zeroizing;

use super::fields::column;
use super::records::Columns;
use super::{Credential, Entry, Kind, Problem, Text};
use crate::keyboard::Layout;
use crate::otp::{AesKey, PrivateId, PublicId};
use crate::secret::Secret;
use crate::slot::{AccessCode, ConfigFlags, Digits, HmacKey, MovingFactor, SlotRecord, TicketFlags, TokenId};

const NEEDED: usize = 4;

/// The kind of lines that keep an access code which was changed without the rest.
pub(super) const CODE_ALONE: &str = "access-code";

/// Reads a line; nothing for one that keeps a new access code alone.
pub(super) fn entry(line: usize, columns: &Columns, kind: Option<Kind>) -> Result<Option<Entry>, Problem> {
    let text = |index: usize| columns.get(index).map_or("", |column| column.as_str());
    if columns.len() < NEEDED {
        return Err(Problem::Columns { found: columns.len(), needed: NEEDED });
    }
    let serial = serial(text(0).trim())?;
    if text(1).trim() == CODE_ALONE {
        return Ok(None);
    }
    let credential = match own(text(1).trim(), text(2).trim(), text(3))? {
        Some(credential) => credential,
        None => foreign(text(1).trim(), text(2).trim(), text(3).trim(), kind)?,
    };
    let time = text(5).trim();
    Ok(Some(Entry {
        line,
        serial,
        slot: None,
        credential,
        current_access_code: AccessCode::NONE,
        access_code: access_code(text(4).trim())?,
        time: (!time.is_empty()).then(|| time.to_owned()),
    }))
}

/// Tapkey's own lines for what others have no line for.
fn own(kind: &str, settings: &str, secret: &str) -> Result<Option<Credential>, Problem> {
    let settings = Settings(settings);
    Ok(Some(match kind {
        "chalresp" if settings.has("yubico") => {
            Credential::ChallengeYubico { key: aes_key(secret.trim())?, touch: settings.has("touch") }
        }
        "chalresp" => Credential::ChallengeHmac {
            key: hmac_key(&bytes(secret.trim())?)?,
            variable_length: !settings.has("fixed-64"),
            touch: settings.has("touch"),
        },
        "hotp" => Credential::Hotp {
            key: hmac_key(&bytes(secret.trim())?)?,
            digits: match settings.value("digits") {
                None | Some("6") => Digits::Six,
                Some("8") => Digits::Eight,
                Some(_) => return Err(column("the number of digits", "6 or 8")),
            },
            moving_factor: moving_factor(settings.value("counter").unwrap_or("0"))?,
            token_id: settings
                .value("id")
                .map(str::parse)
                .transpose()
                .map_err(|_| column("the token id", "one that can be typed"))?,
        },
        "static" if settings.has("scan-codes") => {
            let codes = bytes(secret.trim())?;
            let mut padded = [0; 38];
            padded
                .get_mut(..codes.len())
                .ok_or_else(|| column("the password", "of at most 38 scan codes"))?
                .copy_from_slice(&codes);
            Credential::ScanCodes { codes: Secret::new(padded) }
        }
        "static" => Credential::Password {
            text: Text::new(Zeroizing::new(secret.to_owned())),
            layout: match settings.value("layout") {
                None => Layout::Us,
                Some(code) => code.parse().map_err(|_| column("the layout", "known"))?,
            },
        },
        "static-ticket" => Credential::StaticTicket {
            public_id: public_id(settings.value("id").unwrap_or_default())?,
            private_id: private_id(settings.value("private").unwrap_or("000000000000"))?,
            key: aes_key(secret.trim())?,
            short: settings.has("short"),
            strong_1: settings.has("strong-1"),
            strong_2: settings.has("strong-2"),
            send_reference: settings.has("reference"),
            manual_update: settings.has("manual-update"),
        },
        _ => return Ok(None),
    }))
}

/// Words, and `name=value`, with blanks between them.
struct Settings<'a>(&'a str);

impl<'a> Settings<'a> {
    fn has(&self, word: &str) -> bool {
        self.0.split_whitespace().any(|known| known == word)
    }

    fn value(&self, name: &str) -> Option<&'a str> {
        self.0.split_whitespace().find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }
}

fn foreign(id: &str, second: &str, key: &str, kind: Option<Kind>) -> Result<Credential, Problem> {
    let secret = bytes(key)?;
    match secret.len() {
        16 if second.is_empty() => Ok(Credential::StaticTicket {
            public_id: public_id(id)?,
            private_id: PrivateId::new([0; 6]),
            key: aes_key(key)?,
            short: false,
            strong_1: false,
            strong_2: false,
            send_reference: false,
            manual_update: false,
        }),
        16 => Ok(Credential::YubicoOtp {
            public_id: public_id(id)?,
            private_id: private_id(second)?,
            key: aes_key(key)?,
            send_reference: false,
        }),
        20 => {
            let alone = id.is_empty() && matches!(second, "" | "0");
            let key = hmac_key(&secret)?;
            match (alone, kind) {
                (true, None) => Err(Problem::Ambiguous),
                (true, Some(Kind::ChallengeHmac)) => {
                    Ok(Credential::ChallengeHmac { key, variable_length: true, touch: false })
                }
                _ => Ok(Credential::Hotp {
                    key,
                    digits: Digits::Six,
                    moving_factor: moving_factor(if second.is_empty() { "0" } else { second })?,
                    token_id: optional_public_id(id)?.and_then(|id| token_id(&id, usual_modhex(&id))),
                }),
            }
        }
        _ => Err(column("the key", "of 16 or 20 bytes")),
    }
}

/// Such lines do not tell how a token id is typed. The usual one is two modhex bytes and four of
/// decimal digits.
fn usual_modhex(id: &PublicId) -> ConfigFlags {
    let decimal = |byte: &u8| byte >> 4 <= 9 && byte & 0x0F <= 9;
    match id.as_bytes() {
        [_, _, rest @ ..] if rest.len() == 4 && rest.iter().all(decimal) => {
            ConfigFlags::HOTP_MODHEX_FIRST_TWO
        }
        _ => ConfigFlags::HOTP_MODHEX_ALL,
    }
}

/// The token id of a fixed part and the flags that say how it is typed.
pub(super) fn token_id(id: &PublicId, flags: ConfigFlags) -> Option<TokenId> {
    let mut fixed = [0; 16];
    fixed[..id.len()].copy_from_slice(id.as_bytes());
    TokenId::of_record(&SlotRecord {
        fixed: Secret::new(fixed),
        fixed_length: u8::try_from(id.len()).unwrap_or(0),
        ticket: TicketFlags::OATH_HOTP,
        config: flags,
        ..SlotRecord::default()
    })
}

pub(super) fn serial(text: &str) -> Result<Option<u32>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| column("the serial number", "a number"))
}

/// Modhex, or hexadecimal digits where it is no modhex, as some tools write it.
pub(super) fn public_id(text: &str) -> Result<PublicId, Problem> {
    let text: String = text.chars().filter(|character| !character.is_whitespace()).collect();
    text.parse().map_err(|_| column("the public id", "in modhex, at most 32 letters"))
}

pub(super) fn optional_public_id(text: &str) -> Result<Option<PublicId>, Problem> {
    Ok(Some(public_id(text)?).filter(|id| !id.is_empty()))
}

pub(super) fn private_id(text: &str) -> Result<PrivateId, Problem> {
    let bytes = hexadecimal(text).and_then(|bytes| <[u8; 6]>::try_from(bytes.as_slice()).ok());
    bytes.map(PrivateId::new).ok_or_else(|| column("the private id", "12 hexadecimal digits"))
}

pub(super) fn access_code(text: &str) -> Result<AccessCode, Problem> {
    if text.is_empty() {
        return Ok(AccessCode::NONE);
    }
    let digits = Zeroizing::new(text.replace(' ', ""));
    digits.parse().map_err(|_| column("the access code", "12 hexadecimal digits"))
}

pub(super) fn hexadecimal(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits: Zeroizing<String> =
        Zeroizing::new(text.chars().filter(|character| !character.is_whitespace()).collect());
    HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok().map(Zeroizing::new)
}

fn bytes(text: &str) -> Result<Zeroizing<Vec<u8>>, Problem> {
    hexadecimal(text).ok_or_else(|| column("the key", "in hexadecimal digits"))
}

fn aes_key(text: &str) -> Result<AesKey, Problem> {
    let key: [u8; 16] = bytes(text)?.as_slice().try_into().map_err(|_| column("the key", "of 16 bytes"))?;
    Ok(AesKey::new(key))
}

pub(super) fn hmac_key(bytes: &[u8]) -> Result<HmacKey, Problem> {
    HmacKey::from_secret(bytes).map_err(|_| column("the key", "of 1 to 20 bytes"))
}

fn moving_factor(text: &str) -> Result<MovingFactor, Problem> {
    let counter = text.parse().map_err(|_| column("the starting counter", "a number"))?;
    MovingFactor::new(counter).map_err(|_| column("the starting counter", "a multiple of 16 up to 1048560"))
}
