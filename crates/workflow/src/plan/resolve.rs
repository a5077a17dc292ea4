//! A job's entry for one key, with every secret in it.
//!
//! Secrets that are to be drawn are drawn into the vault that is passed in. A plan passes a copy, so
//! that nothing stays of it; an application saves the vault before the key sees anything.

use std::path::Path;

use tapkey_protocol::management::LockCode;
use tapkey_protocol::oath::{
    Algorithm, CredentialId, Digits, Factor, KeyUri, Kind, parse_base32, prepare_secret,
};
use tapkey_protocol::otp::{AesKey, PrivateId, PublicId};
use tapkey_protocol::secret::{Secret, SecretBytes};
use tapkey_protocol::slot::{
    AccessCode, ChallengeHmac, ChallengeYubico, HmacKey, Hotp, Options, ScanCodes, Slot, SlotConfig, TokenId,
    YubicoOtp,
};
use tapkey_protocol::version::Version;
use thiserror::Error;

use super::job::{
    Account, AccountSecret, Applications, CodeWish, Content, Entry, Oath, Others, PublicIdFrom, SlotGoal,
    SlotWish, Target,
};
use super::source::{SecretSource, SourceError};
use super::vault::{SecretText, Vault, VaultError, random_hex};

/// What is wanted of one key, with every secret in it.
#[derive(Debug)]
pub(super) struct Desired {
    pub(super) slots: [SlotDesire; 2],
    pub(super) applications: Option<ApplicationsDesire>,
    pub(super) oath: Option<OathDesire>,
}

/// What is wanted of one slot.
#[derive(Debug)]
pub(super) enum SlotDesire {
    Keep,
    Empty { current: Option<AccessCode> },
    Program(Box<SlotProgram>),
}

/// A configuration with its secrets.
#[derive(Debug)]
pub(super) struct SlotProgram {
    pub(super) value: Value,
    pub(super) options: Options,
    pub(super) code: CodeDesire<AccessCode>,
    pub(super) current: Option<AccessCode>,
}

/// A code that is kept, removed or set.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum CodeDesire<T> {
    Keep,
    None,
    Set(T),
}

/// What a slot does, with its secrets.
#[derive(Debug)]
pub(super) enum Value {
    YubicoOtp { public_id: PublicId, private_id: PrivateId, key: AesKey, send_reference: bool },
    Hmac { key: HmacKey, variable_length: bool, touch: bool },
    YubicoChallenge { key: AesKey, touch: bool },
    Hotp { key: HmacKey, like: Box<Hotp> },
    Static(Box<ScanCodes>),
}

/// What is wanted of the settings.
#[derive(Debug)]
pub(super) struct ApplicationsDesire {
    pub(super) wish: Applications,
    pub(super) lock_code: CodeDesire<LockCode>,
    pub(super) current: Option<LockCode>,
}

/// What is wanted of the OATH application.
#[derive(Debug)]
pub(super) struct OathDesire {
    pub(super) password: CodeDesire<SecretText>,
    pub(super) current: Option<SecretText>,
    pub(super) remove_others: bool,
    pub(super) present: Vec<AccountDesire>,
    pub(super) absent: Vec<CredentialId>,
}

/// An account that is to be there.
#[derive(Clone, Debug)]
pub(super) struct AccountDesire {
    pub(super) id: CredentialId,
    pub(super) kind: Kind,
    pub(super) algorithm: Algorithm,
    pub(super) digits: Digits,
    pub(super) counter: u32,
    pub(super) touch: bool,
    /// As a key takes it.
    pub(super) secret: SecretBytes,
}

impl SlotProgram {
    /// The configuration, with this access code from then on.
    pub(super) fn config(&self, code: AccessCode) -> Box<dyn SlotConfig> {
        let options = self.options;
        match &self.value {
            Value::YubicoOtp { public_id, private_id, key, send_reference } => Box::new(YubicoOtp {
                public_id: *public_id,
                private_id: private_id.clone(),
                key: key.clone(),
                send_reference: *send_reference,
                options,
                access_code: code,
            }),
            Value::Hmac { key, variable_length, touch } => Box::new(ChallengeHmac {
                key: key.clone(),
                variable_length: *variable_length,
                require_touch: *touch,
                options,
                access_code: code,
            }),
            Value::YubicoChallenge { key, touch } => Box::new(ChallengeYubico {
                key: key.clone(),
                require_touch: *touch,
                options,
                access_code: code,
            }),
            Value::Hotp { key, like } => {
                Box::new(Hotp { key: key.clone(), options, access_code: code, ..(**like).clone() })
            }
            Value::Static(codes) => {
                let mut codes = codes.clone();
                codes.options = options;
                codes.access_code = code;
                codes
            }
        }
    }

    /// It answers challenges; only after a touch.
    pub(super) const fn challenge_touch(&self) -> Option<bool> {
        match &self.value {
            Value::Hmac { touch, .. } | Value::YubicoChallenge { touch, .. } => Some(*touch),
            _ => None,
        }
    }
}

impl Value {
    /// A name for people.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::YubicoOtp { .. } => "Yubico OTP",
            Self::Hmac { .. } => "HMAC-SHA1 challenge-response",
            Self::YubicoChallenge { .. } => "Yubico challenge-response",
            Self::Hotp { .. } => "OATH-HOTP",
            Self::Static(_) => "static password",
        }
    }

    /// What it is, without anything secret.
    pub(super) fn describe(&self) -> String {
        let name = self.name();
        match self {
            Self::YubicoOtp { public_id, .. } if !public_id.is_empty() => format!("{name} {public_id}"),
            Self::Hmac { variable_length, touch, .. } => {
                let length = if *variable_length { "" } else { ", 64 bytes" };
                let touch = if *touch { ", touch" } else { "" };
                format!("{name}{length}{touch}")
            }
            Self::YubicoChallenge { touch: true, .. } => format!("{name}, touch"),
            Self::Hotp { like, .. } => format!("{name}, {} digits", like.digits.count()),
            _ => name.to_owned(),
        }
    }
}

/// Why a job's entry cannot be made complete.
#[derive(Debug, Error)]
#[error("{entry}: {what}: {why}")]
pub struct ResolveError {
    /// The entry's name.
    pub entry: String,
    /// What was read: `slot 1: the AES key`.
    pub what: String,
    /// Why not.
    pub why: Why,
}

/// Why a secret cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Why {
    /// It is outside the vault and did not come.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// It is not in the vault.
    #[error("there is nothing named {name} in the vault; `tapkey vault put` puts it in")]
    Missing {
        /// The name.
        name: String,
    },
    /// It has a wrong length or alphabet, or cannot be used otherwise. It is not repeated.
    #[error("{0}")]
    Unfit(String),
    /// The system gave no random bytes.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Where secrets are looked for, and drawn into.
pub(super) struct Resolver<'a> {
    pub(super) entry: &'a Entry,
    pub(super) serial: u32,
    pub(super) version: Version,
    pub(super) folder: &'a Path,
    pub(super) vault: &'a mut Vault,
    /// What the vault lacks is made up, to check everything else.
    pub(super) lenient: bool,
}

/// Checks all secrets that can be checked before a key is there.
///
/// # Errors
/// [`ResolveError`] for the first that is missing or unfit.
pub(super) fn check(entries: &[Entry], folder: &Path, vault: &Vault) -> Result<(), ResolveError> {
    for entry in entries {
        let (serial, lenient) = match entry.target {
            Target::Serial(serial) => (serial, false),
            _ => (0, true),
        };
        let vault = &mut vault.clone();
        let version = Version::new(u8::MAX, 0, 0);
        Resolver { entry, serial, version, folder, vault, lenient }.resolve()?;
    }
    Ok(())
}

impl Resolver<'_> {
    pub(super) fn resolve(&mut self) -> Result<Desired, ResolveError> {
        let entry = self.entry;
        Ok(Desired {
            slots: [self.slot(Slot::One)?, self.slot(Slot::Two)?],
            applications: entry.applications.as_ref().map(|wish| self.applications(wish)).transpose()?,
            oath: entry.oath.as_ref().map(|wish| self.oath(wish)).transpose()?,
        })
    }

    fn slot(&mut self, slot: Slot) -> Result<SlotDesire, ResolveError> {
        let entry = self.entry;
        Ok(match entry.slot(slot) {
            SlotWish::Keep => SlotDesire::Keep,
            SlotWish::Empty { current } => {
                SlotDesire::Empty { current: self.present_code(slot, current.as_ref())? }
            }
            SlotWish::Program(goal) => SlotDesire::Program(Box::new(self.program(slot, goal)?)),
        })
    }

    fn program(&mut self, slot: Slot, goal: &SlotGoal) -> Result<SlotProgram, ResolveError> {
        let value = match &goal.content {
            Content::YubicoOtp { public_id, private_id, aes_key, send_reference } => Value::YubicoOtp {
                public_id: self.public_id(slot, *public_id)?,
                private_id: PrivateId::new(self.bytes::<6>(
                    slot,
                    "private-id",
                    "the private id",
                    private_id,
                )?),
                key: AesKey::new(self.bytes::<16>(slot, "aes-key", "the AES key", aes_key)?),
                send_reference: *send_reference,
            },
            Content::Hmac { secret, variable_length, touch } => Value::Hmac {
                key: self.hmac_key(slot, secret)?,
                variable_length: *variable_length,
                touch: *touch,
            },
            Content::YubicoChallenge { aes_key, touch } => Value::YubicoChallenge {
                key: AesKey::new(self.bytes::<16>(slot, "aes-key", "the AES key", aes_key)?),
                touch: *touch,
            },
            Content::Hotp { secret, digits, counter, token_id } => {
                let key = self.hmac_key(slot, secret)?;
                let token_id = match token_id {
                    Some(None) => Some(TokenId::from_serial(self.serial)),
                    Some(Some(id)) => Some(id.clone()),
                    None => None,
                };
                let like = Box::new(Hotp {
                    key: key.clone(),
                    digits: *digits,
                    moving_factor: *counter,
                    token_id,
                    options: Options::default(),
                    access_code: AccessCode::NONE,
                });
                Value::Hotp { key, like }
            }
            Content::Static { password } => Value::Static(Box::new(self.password(slot, password)?)),
        };
        Ok(SlotProgram {
            value,
            options: goal.options(self.version),
            code: self.new_code(slot, &goal.code)?,
            current: self.present_code(slot, goal.current.as_ref())?,
        })
    }

    fn public_id(&mut self, slot: Slot, from: PublicIdFrom) -> Result<PublicId, ResolveError> {
        match from {
            PublicIdFrom::Given(id) => Ok(id),
            PublicIdFrom::Serial => Ok(PublicId::from_serial(self.serial)),
            PublicIdFrom::Random => {
                let what = format!("slot {slot}: the public id");
                let name = format!("slot-{slot}.public-id");
                let text = self.secret(&SecretSource::Generate, &name, &what, random_hex::<6>)?;
                let bytes = hex(text.expose());
                bytes
                    .and_then(|bytes| PublicId::new(bytes.expose()).ok())
                    .ok_or_else(|| self.unfit(&what, "it is written in hexadecimal digits"))
            }
        }
    }

    fn hmac_key(&mut self, slot: Slot, source: &SecretSource) -> Result<HmacKey, ResolveError> {
        let what = format!("slot {slot}: the secret");
        let text = self.secret(source, &format!("slot-{slot}.secret"), &what, random_hex::<20>)?;
        let bytes = hex(text.expose())
            .ok_or_else(|| self.unfit(&what, "it is written in hexadecimal digits, two for each byte"))?;
        HmacKey::from_secret(bytes.expose()).map_err(|error| self.unfit(&what, &error.to_string()))
    }

    fn password(&mut self, slot: Slot, source: &SecretSource) -> Result<ScanCodes, ResolveError> {
        let what = format!("slot {slot}: the static password");
        let password = self.secret(source, &format!("slot-{slot}.password"), &what, modhex_password)?;
        ScanCodes::from_us_text(password.expose(), Options::default(), AccessCode::NONE)
            .map_err(|error| self.unfit(&what, &error.to_string()))
    }

    fn bytes<const N: usize>(
        &mut self,
        slot: Slot,
        name: &str,
        title: &str,
        source: &SecretSource,
    ) -> Result<[u8; N], ResolveError> {
        let what = format!("slot {slot}: {title}");
        let text = self.secret(source, &format!("slot-{slot}.{name}"), &what, random_hex::<N>)?;
        exact(text.expose()).ok_or_else(|| self.unfit(&what, &digits_wanted(N)))
    }

    fn new_code(&mut self, slot: Slot, wish: &CodeWish) -> Result<CodeDesire<AccessCode>, ResolveError> {
        let CodeWish::From(source) = wish else { return Ok(without_value(wish)) };
        let what = format!("slot {slot}: the access code");
        let text = self.secret(source, &format!("slot-{slot}.access-code"), &what, access_code)?;
        let code: AccessCode = text.expose().parse().map_err(|_| self.unfit(&what, &digits_wanted(6)))?;
        if code.is_none() {
            return Err(self.unfit(&what, "it is zero, which means none"));
        }
        Ok(CodeDesire::Set(code))
    }

    fn present_code(
        &mut self,
        slot: Slot,
        source: Option<&SecretSource>,
    ) -> Result<Option<AccessCode>, ResolveError> {
        let Some(source) = source else { return Ok(None) };
        let what = format!("slot {slot}: the present access code");
        let text = self.secret(source, &format!("slot-{slot}.current-access-code"), &what, access_code)?;
        text.expose().parse().map(Some).map_err(|_| self.unfit(&what, &digits_wanted(6)))
    }

    fn applications(&mut self, wish: &Applications) -> Result<ApplicationsDesire, ResolveError> {
        let lock_code = match &wish.lock_code {
            CodeWish::From(source) => {
                CodeDesire::Set(self.lock_code(source, "lock-code", "the lock code")?)
            }
            other => without_value(other),
        };
        let current = match &wish.current_lock_code {
            Some(source) => Some(self.lock_code(source, "current-lock-code", "the present lock code")?),
            None => None,
        };
        Ok(ApplicationsDesire { wish: wish.clone(), lock_code, current })
    }

    fn lock_code(&mut self, source: &SecretSource, name: &str, what: &str) -> Result<LockCode, ResolveError> {
        let text = self.secret(source, name, what, random_hex::<16>)?;
        let code: [u8; 16] = exact(text.expose()).ok_or_else(|| self.unfit(what, &digits_wanted(16)))?;
        if code == [0; 16] {
            return Err(self.unfit(what, "it is zero, which means none"));
        }
        Ok(Secret::new(code))
    }

    fn oath(&mut self, wish: &Oath) -> Result<OathDesire, ResolveError> {
        let password = match &wish.password {
            CodeWish::From(source) => CodeDesire::Set(self.oath_password(source, "oath.password")?),
            other => without_value(other),
        };
        let current = match &wish.current_password {
            Some(source) => Some(self.oath_password(source, "oath.current-password")?),
            None => None,
        };
        let mut desire = OathDesire {
            password,
            current,
            remove_others: wish.others == Others::Remove,
            present: Vec::new(),
            absent: Vec::new(),
        };
        for account in &wish.accounts {
            match account {
                Account::Absent { id, .. } => desire.absent.push(id.clone()),
                Account::Present { secret, touch, line } => {
                    let account = self.account(secret, *touch, *line)?;
                    if desire.present.iter().any(|one| one.id == account.id) {
                        let what = format!("the account {}", account.id);
                        return Err(self.unfit(&what, "two accounts of the job have this name"));
                    }
                    desire.present.push(account);
                }
            }
        }
        Ok(desire)
    }

    fn oath_password(&mut self, source: &SecretSource, name: &str) -> Result<SecretText, ResolveError> {
        let what = "the OATH password";
        let password = self.secret(source, name, what, modhex_password)?;
        if password.expose().is_empty() { Err(self.unfit(what, "it is empty")) } else { Ok(password) }
    }

    fn account(
        &mut self,
        secret: &AccountSecret,
        touch: bool,
        line: usize,
    ) -> Result<AccountDesire, ResolveError> {
        match secret {
            AccountSecret::Uri(source) => {
                let what = format!("the account on line {line}");
                let text = self.secret(source, "", &what, example_uri)?;
                let uri: KeyUri =
                    text.expose().parse().map_err(|error: tapkey_protocol::oath::KeyUriError| {
                        self.unfit(&what, &error.to_string())
                    })?;
                let kind = uri.kind();
                let id = uri.name().to_id(kind).map_err(|error| self.unfit(&what, &error.to_string()))?;
                let counter = match uri.factor {
                    Factor::Counter { start } => u32::try_from(start)
                        .map_err(|_| self.unfit(&what, "its counter is too large for a key"))?,
                    Factor::Time { .. } => 0,
                };
                let secret = self.prepared(uri.algorithm, uri.secret.expose(), &what)?;
                let (algorithm, digits) = (uri.algorithm, uri.digits);
                Ok(AccountDesire { id, kind, algorithm, digits, counter, touch, secret })
            }
            AccountSecret::Parts { id, kind, algorithm, digits, counter, source } => {
                let what = format!("the account {id}");
                let text = self.secret(source, &format!("oath.{id}"), &what, base32_secret)?;
                let bytes =
                    parse_base32(text.expose()).map_err(|error| self.unfit(&what, &error.to_string()))?;
                let secret = self.prepared(*algorithm, bytes.expose(), &what)?;
                Ok(AccountDesire {
                    id: id.clone(),
                    kind: *kind,
                    algorithm: *algorithm,
                    digits: *digits,
                    counter: *counter,
                    touch,
                    secret,
                })
            }
        }
    }

    fn prepared(&self, algorithm: Algorithm, secret: &[u8], what: &str) -> Result<SecretBytes, ResolveError> {
        prepare_secret(algorithm, secret).map_err(|error| self.unfit(what, &error.to_string()))
    }

    /// Finds a secret, or draws it under this name.
    fn secret(
        &mut self,
        source: &SecretSource,
        name: &str,
        what: &str,
        draw: fn() -> Result<String, VaultError>,
    ) -> Result<SecretText, ResolveError> {
        let fetched = source.fetch(self.folder).map_err(|error| self.because(what, error))?;
        if let Some(secret) = fetched {
            return Ok(secret);
        }
        let name = if let SecretSource::Named(name) = source { name } else { name };
        if let Some(known) = self.vault.find(self.serial, name) {
            return Ok(known.clone());
        }
        if *source != SecretSource::Generate && !self.lenient {
            return Err(self.because(what, Why::Missing { name: name.to_owned() }));
        }
        let drawn = SecretText::new(draw().map_err(|error| self.because(what, error))?);
        self.vault.put(Some(self.serial), name, drawn.clone()).map_err(|error| self.because(what, error))?;
        Ok(drawn)
    }

    fn because(&self, what: &str, why: impl Into<Why>) -> ResolveError {
        ResolveError { entry: self.entry.name.clone(), what: what.to_owned(), why: why.into() }
    }

    fn unfit(&self, what: &str, why: &str) -> ResolveError {
        self.because(what, Why::Unfit(why.to_owned()))
    }
}

fn without_value<T>(wish: &CodeWish) -> CodeDesire<T> {
    if *wish == CodeWish::None { CodeDesire::None } else { CodeDesire::Keep }
}

fn digits_wanted(bytes: usize) -> String {
    format!("it is written as {} hexadecimal digits", bytes * 2)
}

fn hex(text: &str) -> Option<SecretBytes> {
    data_encoding::HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok().map(SecretBytes::new)
}

fn exact<const N: usize>(text: &str) -> Option<[u8; N]> {
    hex(text)?.expose().try_into().ok()
}

/// Keys with complexity rules refuse codes of six equal bytes, and zeros mean none.
fn access_code() -> Result<String, VaultError> {
    loop {
        let text = random_hex::<6>()?;
        if text.parse::<AccessCode>().is_ok_and(|code| !code.is_trivial()) {
            return Ok(text);
        }
    }
}

/// 128 bits in letters that come out the same on most keyboard layouts.
fn modhex_password() -> Result<String, VaultError> {
    Ok(random_hex::<16>()?.bytes().map(modhex_letter).collect())
}

fn modhex_letter(digit: u8) -> char {
    let value = char::from(digit).to_digit(16).and_then(|value| usize::try_from(value).ok()).unwrap_or(0);
    char::from(b"cbdefghijklnrtuv".get(value).copied().unwrap_or(b'c'))
}

fn base32_secret() -> Result<String, VaultError> {
    let bytes = hex(&random_hex::<20>()?).unwrap_or_default();
    Ok(tapkey_protocol::oath::write_base32(bytes.expose()).to_string())
}

/// Stands in for a URI that only the vault of a later moment has.
fn example_uri() -> Result<String, VaultError> {
    Ok(format!("otpauth://totp/{}?secret={}", random_hex::<8>()?, base32_secret()?))
}
