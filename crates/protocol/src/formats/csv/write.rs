//! Writing lines.

use data_encoding::{BASE64, HEXLOWER};
use zeroize::Zeroizing;

use super::fields::slot_text;
use super::rows::CODE_ALONE;
use super::template::{Part, Template};
use super::{Credential, Entry, traditional};
use crate::keyboard::Layout;
use crate::otp::PublicId;
use crate::slot::{AccessCode, ConfigFlags, Digits, Options, Slot, SlotConfig, SlotRecord};

type Line = Zeroizing<String>;

/// The line of `ykman -O`, or one of ours for what it does not write.
pub(super) fn ykman(entry: &Entry) -> Line {
    let (id, second, secret) = columns(&entry.credential);
    let code = code_text(&entry.access_code);
    let serial = serial_text(entry.serial);
    let time = entry.time.as_deref().unwrap_or_default();
    let secret = quoted(&secret);
    Zeroizing::new(format!("{serial},{id},{},{},{},{time},", *second, *secret, *code))
}

/// The line of an access code alone.
pub(super) fn access_code(serial: Option<u32>, slot: Slot, code: &AccessCode, time: &str) -> Line {
    let (serial, code) = (serial_text(serial), code_text(code));
    Zeroizing::new(format!("{serial},{CODE_ALONE},slot={slot},,{},{time},", *code))
}

/// The first three of ours: id or kind, private id or settings, secret.
fn columns(credential: &Credential) -> (String, Line, Line) {
    let plain = |text: String| Zeroizing::new(text);
    match credential {
        Credential::YubicoOtp { public_id, private_id, key, .. } => {
            (public_id.to_string(), hex(private_id.expose()), hex(key.expose()))
        }
        Credential::Hotp { key, digits, moving_factor, token_id } => {
            let mut words = Vec::new();
            if *digits == Digits::Eight {
                words.push("digits=8".to_owned());
            }
            if moving_factor.value() != 0 {
                words.push(format!("counter={}", moving_factor.value()));
            }
            words.extend(token_id.as_ref().map(|id| format!("id={id}")));
            ("hotp".to_owned(), plain(words.join(" ")), hex(key.expose()))
        }
        Credential::ChallengeHmac { key, variable_length, touch } => {
            let settings = words([("fixed-64", !variable_length), ("touch", *touch)]);
            ("chalresp".to_owned(), plain(settings), hex(key.expose()))
        }
        Credential::ChallengeYubico { key, touch } => {
            let settings = words([("yubico", true), ("touch", *touch)]);
            ("chalresp".to_owned(), plain(settings), hex(key.expose()))
        }
        Credential::StaticTicket {
            public_id,
            private_id,
            key,
            short,
            strong_1,
            strong_2,
            send_reference,
            manual_update,
        } => {
            let flags = words([
                ("short", *short),
                ("strong-1", *strong_1),
                ("strong-2", *strong_2),
                ("reference", *send_reference),
                ("manual-update", *manual_update),
            ]);
            let settings =
                Zeroizing::new(format!("id={public_id} private={} {flags}", *hex(private_id.expose())));
            ("static-ticket".to_owned(), plain(settings.trim_end().to_owned()), hex(key.expose()))
        }
        Credential::ScanCodes { codes } => {
            let used = codes.expose().iter().rposition(|code| *code != 0).map_or(0, |last| last + 1);
            ("static".to_owned(), plain("scan-codes".to_owned()), hex(&codes.expose()[..used]))
        }
        Credential::Password { text, layout } => {
            let settings = if *layout == Layout::Us { String::new() } else { format!("layout={layout}") };
            ("static".to_owned(), plain(settings), Zeroizing::new(text.expose().to_owned()))
        }
    }
}

fn words<const N: usize>(flags: [(&str, bool); N]) -> String {
    let words: Vec<&str> = flags.into_iter().filter_map(|(word, on)| on.then_some(word)).collect();
    words.join(" ")
}

/// The "Yubico" line of the Personalization Tool, for the three kinds that it has one for.
pub(super) fn yubico(entry: &Entry) -> Option<Line> {
    let (id, second, key) = match &entry.credential {
        Credential::YubicoOtp { public_id, private_id, key, .. } => {
            (public_id.to_string(), hex(private_id.expose()), hex(key.expose()))
        }
        Credential::Hotp { key, moving_factor, .. } => {
            let id = fixed(&entry.credential).to_string();
            (id, Zeroizing::new(moving_factor.value().to_string()), hex(key.expose()))
        }
        Credential::ChallengeHmac { key, .. } => {
            (String::new(), Zeroizing::new("0".to_owned()), hex(key.expose()))
        }
        Credential::StaticTicket { key, .. } => {
            (String::new(), Zeroizing::new(String::new()), hex(key.expose()))
        }
        _ => return None,
    };
    let code = hex(entry.access_code.expose());
    let time = entry.time.as_deref().unwrap_or_default();
    let serial = serial_text(entry.serial);
    Some(Zeroizing::new(format!("{serial},{id},{},{},{},{time},", *second, *key, *code)))
}

/// The line of the traditional log.
pub(super) fn traditional(entry: &Entry) -> Option<Line> {
    flexible(entry, &traditional::template().parse().ok()?)
}

/// The line of a template.
pub(super) fn flexible(entry: &Entry, template: &Template) -> Option<Line> {
    let mut line = Zeroizing::new(String::new());
    for part in template.parts() {
        match part {
            Part::Literal(text) => line.push_str(text),
            Part::Name(name) => line.push_str(&value(entry, name)?),
        }
    }
    Some(line)
}

fn value(entry: &Entry, name: &str) -> Option<Line> {
    let record = record(&entry.credential)?;
    let kind = record.kind();
    let bit = |on: bool| Zeroizing::new(if on { "1" } else { "0" }.to_owned());
    let has = |flags: ConfigFlags| bit(record.config.contains(flags));
    let hotp = matches!(entry.credential, Credential::Hotp { .. });
    let ticket = matches!(entry.credential, Credential::StaticTicket { .. });
    let modhex = record.config.intersection(ConfigFlags::HOTP_MODHEX_ALL);
    Some(match name {
        "eventType" => Zeroizing::new(event(&entry.credential)?.to_owned()),
        "timestampLocal" | "timestampFixed" => Zeroizing::new(entry.time.clone().unwrap_or_default()),
        "configSlot" => Zeroizing::new(slot_text(entry.slot)),
        "serial" => Zeroizing::new(serial_text(entry.serial)),
        "pubIdTxt" => Zeroizing::new(fixed(&entry.credential).to_string()),
        "oathIdTxt" => Zeroizing::new(match &entry.credential {
            Credential::Hotp { token_id: Some(id), .. } => id.to_string(),
            _ => fixed(&entry.credential).to_string(),
        }),
        "pvtIdTxt" if hotp || matches!(entry.credential, Credential::ChallengeHmac { .. }) => Line::default(),
        "pvtIdTxt" => hex(record.uid.expose()),
        "secretKeyTxt" => hex(&secret(&entry.credential, &record)),
        "secretKeyB64" => Zeroizing::new(BASE64.encode(&secret(&entry.credential, &record))),
        "currentAccessCodeTxt" => code_text(&entry.current_access_code),
        "newAccessCodeTxt" => code_text(&entry.access_code),
        "currentAccessCodeTxtPadded" => hex(entry.current_access_code.expose()),
        "newAccessCodeTxtPadded" => hex(entry.access_code.expose()),
        "hotpDigits" => Zeroizing::new(match &entry.credential {
            Credential::Hotp { digits, .. } => digits.count().to_string(),
            _ => "0".to_owned(),
        }),
        "oathMovingFactorSeed" => Zeroizing::new(match &entry.credential {
            Credential::Hotp { moving_factor, .. } => moving_factor.value().to_string(),
            _ => "0".to_owned(),
        }),
        "oathFixedModhex" => bit(hotp && modhex == ConfigFlags::HOTP_MODHEX_ALL),
        "oathFixedModhex1" => bit(hotp && modhex == ConfigFlags::HOTP_MODHEX_FIRST),
        "oathFixedModhex2" => bit(hotp && modhex == ConfigFlags::HOTP_MODHEX_FIRST_TWO),
        "strongPw1" => bit(ticket && record.config.contains(ConfigFlags::STRONG_PASSWORD_1)),
        "strongPw2" => bit(ticket && record.config.contains(ConfigFlags::STRONG_PASSWORD_2)),
        "sendRef" => has(ConfigFlags::SEND_REFERENCE),
        "chalBtnTrig" => {
            bit(kind.is_challenge_response() && record.config.contains(ConfigFlags::CHALLENGE_TOUCH))
        }
        "hmacLT64" => {
            bit(matches!(entry.credential, Credential::ChallengeHmac { variable_length: true, .. }))
        }
        "tokenLength" => Zeroizing::new(match &entry.credential {
            Credential::YubicoOtp { public_id, .. } => (public_id.len() * 2 + 32).to_string(),
            Credential::Hotp { digits, .. } => {
                (fixed(&entry.credential).len() * 2 + usize::from(digits.count())).to_string()
            }
            _ => "0".to_owned(),
        }),
        _ => return None,
    })
}

fn record(credential: &Credential) -> Option<SlotRecord> {
    let config: Box<dyn SlotConfig> = credential.config(Options::default(), AccessCode::NONE).ok()?;
    Some(config.record())
}

const fn event(credential: &Credential) -> Option<&'static str> {
    Some(match credential {
        Credential::YubicoOtp { .. } => "Yubico OTP",
        Credential::Hotp { .. } => "OATH-HOTP",
        Credential::ChallengeHmac { .. } => "Challenge-Response: HMAC-SHA1",
        Credential::ChallengeYubico { .. } => "Challenge-Response: Yubico OTP",
        Credential::StaticTicket { short: false, .. } => "Static Password",
        Credential::StaticTicket { short: true, .. } => "Static Password: Short",
        Credential::ScanCodes { .. } | Credential::Password { .. } => "Static Password: Scan Code",
    })
}

/// A key of 20 bytes where the kind has one, otherwise the record's key field.
fn secret(credential: &Credential, record: &SlotRecord) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(match credential {
        Credential::Hotp { key, .. } | Credential::ChallengeHmac { key, .. } => key.expose().to_vec(),
        _ => record.key.expose().to_vec(),
    })
}

/// The record's fixed part.
fn fixed(credential: &Credential) -> PublicId {
    record(credential).and_then(|record| PublicId::new(record.fixed_part()).ok()).unwrap_or(PublicId::EMPTY)
}

/// A value that may hold commas or quotation marks (RFC 4180).
fn quoted(text: &str) -> Line {
    let needed = text.contains([',', '"', '\n', '\r']) || text.trim() != text;
    Zeroizing::new(if needed { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() })
}

fn hex(bytes: &[u8]) -> Line {
    Zeroizing::new(HEXLOWER.encode(bytes))
}

fn code_text(code: &AccessCode) -> Line {
    if code.is_none() { Line::default() } else { hex(code.expose()) }
}

fn serial_text(serial: Option<u32>) -> String {
    serial.map(|serial| serial.to_string()).unwrap_or_default()
}
