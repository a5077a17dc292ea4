//! What a slot is to hold.

use tapkey_protocol::otp::PublicId;
use tapkey_protocol::slot::{Digits, MovingFactor, Options, Pacing, TokenId};
use tapkey_protocol::version::Version;
use toml::Spanned;

use super::raw::RawSlot;
use super::reader::{Reader, on, place};
use super::{CodeWish, JobError};
use crate::plan::source::SecretSource;

/// What a slot is to hold.
#[derive(Clone, Debug)]
pub enum SlotWish {
    /// What it holds now.
    Keep,
    /// Nothing.
    Empty {
        /// Where its present access code comes from, where the vault does not know it.
        current: Option<SecretSource>,
    },
    /// A configuration.
    Program(Box<SlotGoal>),
}

/// A configuration for a slot.
#[derive(Clone, Debug)]
pub struct SlotGoal {
    /// What it does.
    pub content: Content,
    /// Its access code from then on.
    pub code: CodeWish,
    /// Where its present access code comes from, where the vault does not know it.
    pub current: Option<SecretSource>,
    settings: Settings,
}

/// What a slot does.
#[derive(Clone, Debug)]
pub enum Content {
    /// It types Yubico OTPs.
    YubicoOtp {
        /// What is typed in front.
        public_id: PublicIdFrom,
        /// Six bytes.
        private_id: SecretSource,
        /// Sixteen bytes.
        aes_key: SecretSource,
        /// Type the 16 modhex letters first.
        send_reference: bool,
    },
    /// It answers HMAC-SHA1 challenges.
    Hmac {
        /// At most 20 bytes.
        secret: SecretSource,
        /// Challenges of up to 63 bytes, otherwise always 64.
        variable_length: bool,
        /// Only after a touch.
        touch: bool,
    },
    /// It answers challenges of six bytes with an encrypted ticket.
    YubicoChallenge {
        /// Sixteen bytes.
        aes_key: SecretSource,
        /// Only after a touch.
        touch: bool,
    },
    /// It types OATH-HOTP codes.
    Hotp {
        /// At most 20 bytes.
        secret: SecretSource,
        /// Six or eight.
        digits: Digits,
        /// The counter of the first code.
        counter: MovingFactor,
        /// What is typed in front; `Some(None)` is made of the serial number.
        token_id: Option<Option<TokenId>>,
    },
    /// It types a password on a US keyboard layout.
    Static {
        /// At most 38 characters.
        password: SecretSource,
    },
}

/// Where a public id comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum PublicIdFrom {
    /// Made of the serial number.
    Serial,
    /// Drawn the first time and kept in the vault.
    Random,
    /// This one.
    Given(PublicId),
}

/// The settings, with what was said and not merely left to the usual.
#[derive(Clone, Copy, Debug)]
struct Settings {
    options: Options,
    said_fast_trigger: bool,
    said_allow_update: bool,
    said_serial: bool,
}

impl SlotGoal {
    /// The settings for a key with this firmware: what was not said is left out where the firmware
    /// lacks it.
    #[must_use]
    pub fn options(&self, version: Version) -> Options {
        let (wanted, fitted) = (self.settings.options, self.settings.options.fitted_to(version));
        Options {
            fast_trigger: if self.settings.said_fast_trigger { wanted } else { fitted }.fast_trigger,
            allow_update: if self.settings.said_allow_update { wanted } else { fitted }.allow_update,
            serial_by_api: if self.settings.said_serial { wanted } else { fitted }.serial_by_api,
            ..wanted
        }
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Kind {
    Keep,
    Empty,
    YubicoOtp,
    Hmac,
    YubicoChallenge,
    Hotp,
    Static,
}

pub(super) fn read(reader: &Reader<'_>, raw: Option<Spanned<RawSlot>>) -> Result<SlotWish, JobError> {
    let Some(raw) = raw else { return Ok(SlotWish::Keep) };
    let slot = raw.into_inner();
    let kind = reader.word(&slot.kind, "kind", KINDS)?;
    check_fields(reader, &slot, kind)?;
    let current = reader.present(slot.current_access_code.as_ref(), "current-access-code")?;
    match kind {
        Kind::Keep => return Ok(SlotWish::Keep),
        Kind::Empty => return Ok(SlotWish::Empty { current }),
        _ => {}
    }
    let content = content(reader, &slot, kind)?;
    let code = reader.code(slot.access_code.as_ref(), "access-code")?;
    let settings = settings(reader, &slot, kind)?;
    Ok(SlotWish::Program(Box::new(SlotGoal { content, code, current, settings })))
}

fn content(reader: &Reader<'_>, slot: &RawSlot, kind: Kind) -> Result<Content, JobError> {
    let drawn = |field: &Option<Spanned<String>>, name| reader.source_or_drawn(field.as_ref(), name);
    let touch = on(slot.touch.as_ref(), false);
    Ok(match kind {
        Kind::Hmac => Content::Hmac {
            secret: drawn(&slot.secret, "secret")?,
            variable_length: match &slot.challenge {
                Some(field) => reader.word(field, "challenge", &[("variable", true), ("fixed-64", false)])?,
                None => true,
            },
            touch,
        },
        Kind::YubicoChallenge => {
            Content::YubicoChallenge { aes_key: drawn(&slot.aes_key, "aes-key")?, touch }
        }
        Kind::Hotp => Content::Hotp {
            secret: drawn(&slot.secret, "secret")?,
            digits: match &slot.digits {
                Some(field) if !matches!(field.get_ref(), 6 | 8) => {
                    return Err(reader.wrong(field, "digits is 6 or 8"));
                }
                Some(field) if *field.get_ref() == 8 => Digits::Eight,
                _ => Digits::Six,
            },
            counter: match &slot.counter {
                Some(field) => MovingFactor::new(*field.get_ref())
                    .map_err(|error| reader.wrong(field, error.to_string()))?,
                None => MovingFactor::default(),
            },
            token_id: match &slot.token_id {
                Some(field) if field.get_ref() == "serial" => Some(None),
                Some(field) => Some(Some(reader.parse(field)?)),
                None => None,
            },
        },
        Kind::Static => Content::Static { password: drawn(&slot.password, "password")? },
        // `keep` and `empty` have returned before.
        Kind::YubicoOtp | Kind::Keep | Kind::Empty => Content::YubicoOtp {
            public_id: public_id(reader, slot.public_id.as_ref())?,
            private_id: drawn(&slot.private_id, "private-id")?,
            aes_key: drawn(&slot.aes_key, "aes-key")?,
            send_reference: on(slot.send_reference.as_ref(), false),
        },
    })
}

fn public_id(reader: &Reader<'_>, field: Option<&Spanned<String>>) -> Result<PublicIdFrom, JobError> {
    let Some(field) = field else { return Ok(PublicIdFrom::Serial) };
    match field.get_ref().as_str() {
        "serial" => Ok(PublicIdFrom::Serial),
        "random" => Ok(PublicIdFrom::Random),
        _ => {
            let id: PublicId = reader.parse(field)?;
            Ok(PublicIdFrom::Given(id))
        }
    }
}

fn settings(reader: &Reader<'_>, slot: &RawSlot, kind: Kind) -> Result<Settings, JobError> {
    let typing = !matches!(kind, Kind::Hmac | Kind::YubicoChallenge);
    let usual = if typing { Options::for_typing() } else { Options::for_challenges() };
    let pacing = match &slot.pacing {
        None => Pacing::None,
        Some(field) => match field.get_ref() {
            0 => Pacing::None,
            10 => Pacing::Ten,
            20 => Pacing::Twenty,
            30 => Pacing::Thirty,
            _ => return Err(reader.wrong(field, "pacing is 0, 10, 20 or 30 milliseconds")),
        },
    };
    let options = Options {
        tab_first: on(slot.tab_first.as_ref(), false),
        tab_after_fixed: on(slot.tab_after_id.as_ref(), false),
        tab_after_body: on(slot.tab_at_end.as_ref(), false),
        delay_after_fixed: on(slot.delay_after_id.as_ref(), false),
        delay_after_body: on(slot.delay_at_end.as_ref(), false),
        append_enter: on(slot.enter.as_ref(), usual.append_enter),
        pacing,
        numeric_keypad: on(slot.numeric_keypad.as_ref(), false),
        fast_trigger: on(slot.fast_trigger.as_ref(), usual.fast_trigger),
        allow_update: on(slot.allow_update.as_ref(), usual.allow_update),
        dormant: on(slot.dormant.as_ref(), false),
        led_inverted: on(slot.led_inverted.as_ref(), false),
        protect_slot_2: false,
        serial_at_boot: on(slot.serial_at_boot.as_ref(), false),
        serial_in_usb: on(slot.serial_in_usb.as_ref(), false),
        serial_by_api: on(slot.serial_by_api.as_ref(), usual.serial_by_api),
    };
    Ok(Settings {
        options,
        said_fast_trigger: slot.fast_trigger.is_some(),
        said_allow_update: slot.allow_update.is_some(),
        said_serial: slot.serial_by_api.is_some(),
    })
}

/// Fields that the kind does not have are refused: they would do nothing.
fn check_fields(reader: &Reader<'_>, slot: &RawSlot, kind: Kind) -> Result<(), JobError> {
    let contents: [(Option<usize>, &str, &[Kind]); 11] = [
        (place(&slot.public_id), "public-id", &[Kind::YubicoOtp]),
        (place(&slot.private_id), "private-id", &[Kind::YubicoOtp]),
        (place(&slot.aes_key), "aes-key", &[Kind::YubicoOtp, Kind::YubicoChallenge]),
        (place(&slot.send_reference), "send-reference", &[Kind::YubicoOtp]),
        (place(&slot.secret), "secret", &[Kind::Hmac, Kind::Hotp]),
        (place(&slot.challenge), "challenge", &[Kind::Hmac]),
        (place(&slot.touch), "touch", &[Kind::Hmac, Kind::YubicoChallenge]),
        (place(&slot.digits), "digits", &[Kind::Hotp]),
        (place(&slot.counter), "counter", &[Kind::Hotp]),
        (place(&slot.token_id), "token-id", &[Kind::Hotp]),
        (place(&slot.password), "password", &[Kind::Static]),
    ];
    let name = KINDS.iter().find(|(_, one)| *one == kind).map_or("", |(name, _)| name);
    let because = format!("kind = \"{name}\"");
    let foreign: Vec<(Option<usize>, &str)> = contents
        .iter()
        .filter(|(_, _, kinds)| !kinds.contains(&kind))
        .map(|(place, name, _)| (*place, *name))
        .collect();
    reader.refuse(&foreign, &because)?;
    let typing = [
        (place(&slot.enter), "enter"),
        (place(&slot.pacing), "pacing"),
        (place(&slot.numeric_keypad), "numeric-keypad"),
        (place(&slot.fast_trigger), "fast-trigger"),
        (place(&slot.tab_first), "tab-first"),
        (place(&slot.tab_after_id), "tab-after-id"),
        (place(&slot.tab_at_end), "tab-at-end"),
        (place(&slot.delay_after_id), "delay-after-id"),
        (place(&slot.delay_at_end), "delay-at-end"),
    ];
    if !matches!(kind, Kind::YubicoOtp | Kind::Hotp | Kind::Static) {
        reader.refuse(&typing, &because)?;
    }
    let common = [
        (place(&slot.access_code), "access-code"),
        (place(&slot.allow_update), "allow-update"),
        (place(&slot.dormant), "dormant"),
        (place(&slot.led_inverted), "led-inverted"),
        (place(&slot.serial_by_api), "serial-by-api"),
        (place(&slot.serial_in_usb), "serial-in-usb"),
        (place(&slot.serial_at_boot), "serial-at-boot"),
    ];
    if matches!(kind, Kind::Keep | Kind::Empty) {
        reader.refuse(&common, &because)?;
    }
    if kind == Kind::Keep {
        reader.refuse(&[(place(&slot.current_access_code), "current-access-code")], &because)?;
    }
    Ok(())
}

const KINDS: &[(&str, Kind)] = &[
    ("keep", Kind::Keep),
    ("empty", Kind::Empty),
    ("yubico-otp", Kind::YubicoOtp),
    ("hmac-sha1", Kind::Hmac),
    ("yubico-challenge", Kind::YubicoChallenge),
    ("hotp", Kind::Hotp),
    ("static", Kind::Static),
];
