//! `otpauth://` URIs ("Key URI Format"), which QR codes carry.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use zeroize::Zeroizing;

use super::{
    Algorithm, CredentialName, DEFAULT_PERIOD, Digits, DigitsError, Kind, SecretError, parse_base32,
    write_base32,
};
use crate::secret::SecretBytes;

/// What moves a credential, with its number.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Factor {
    /// TOTP with this period in seconds, which is not 0.
    Time {
        /// Seconds.
        period: u32,
    },
    /// HOTP, and the counter of its first code.
    Counter {
        /// The counter.
        start: u64,
    },
}

/// A credential as an `otpauth://` URI describes it. `Debug` hides the secret.
///
/// ```
/// use tapkey_protocol::oath::KeyUri;
///
/// let uri: KeyUri = "otpauth://totp/Example:alice@example.org?secret=JBSWY3DPEHPK3PXP&issuer=Example".parse()?;
/// assert_eq!(uri.name().to_string(), "Example:alice@example.org");
/// assert_eq!(uri.secret.len(), 10);
/// # Ok::<(), tapkey_protocol::oath::KeyUriError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyUri {
    /// Who asks for the code. The parameter wins over the label's prefix.
    pub issuer: Option<String>,
    /// Whose code it is.
    pub account: String,
    /// The secret as it is, not prepared for a key.
    pub secret: SecretBytes,
    /// The hash; SHA-1 when the URI does not say.
    pub algorithm: Algorithm,
    /// The length of the codes; 6 when the URI does not say.
    pub digits: Digits,
    /// TOTP or HOTP.
    pub factor: Factor,
}

impl KeyUri {
    /// TOTP or HOTP.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self.factor {
            Factor::Time { .. } => Kind::Totp,
            Factor::Counter { .. } => Kind::Hotp,
        }
    }

    /// The name for a key's credential.
    #[must_use]
    pub fn name(&self) -> CredentialName {
        let period = match self.factor {
            Factor::Time { period } => period,
            Factor::Counter { .. } => DEFAULT_PERIOD,
        };
        CredentialName { issuer: self.issuer.clone(), account: self.account.clone(), period }
    }

    /// Writes the URI, which is as secret as the secret in it. Parameters that have their default
    /// are written too, because some programs do not know the defaults.
    #[must_use]
    pub fn to_uri(&self) -> Zeroizing<String> {
        let mut uri = Zeroizing::new(String::with_capacity(1024));
        uri.push_str("otpauth://");
        uri.push_str(if self.kind() == Kind::Totp { "totp/" } else { "hotp/" });
        // The first colon of the label ends its prefix, so one that belongs to a name needs an empty
        // prefix in front of it.
        match &self.issuer {
            Some(issuer) if !issuer.contains(':') => {
                escape(&mut uri, issuer);
                uri.push(':');
            }
            None if !self.account.contains(':') => {}
            _ => uri.push(':'),
        }
        escape(&mut uri, &self.account);
        uri.push_str("?secret=");
        uri.push_str(&write_base32(self.secret.expose()));
        if let Some(issuer) = &self.issuer {
            uri.push_str("&issuer=");
            escape(&mut uri, issuer);
        }
        uri.push_str("&algorithm=");
        uri.push_str(self.algorithm.name());
        uri.push_str(&format!("&digits={}", self.digits.get()));
        uri.push_str(&match self.factor {
            Factor::Time { period } => format!("&period={period}"),
            Factor::Counter { start } => format!("&counter={start}"),
        });
        uri
    }
}

impl FromStr for KeyUri {
    type Err = KeyUriError;

    fn from_str(uri: &str) -> Result<Self, Self::Err> {
        let rest = strip_prefix(uri.trim(), "otpauth://").ok_or(KeyUriError::NotAKeyUri)?;
        let (kind, rest) = rest.split_once('/').ok_or(KeyUriError::NotAKeyUri)?;
        let kind = match kind {
            kind if kind.eq_ignore_ascii_case("totp") => Kind::Totp,
            kind if kind.eq_ignore_ascii_case("hotp") => Kind::Hotp,
            _ => return Err(KeyUriError::UnknownType),
        };
        // A fragment means nothing here.
        let rest = rest.split_once('#').map_or(rest, |(rest, _)| rest);
        let (label, query) = rest.split_once('?').unwrap_or((rest, ""));
        let parameters = Parameters::read(query)?;
        let label = unescape(label, false)?;
        let (prefix, account) = match label.split_once(':') {
            Some((prefix, account)) => (Some(prefix.trim()), account.trim()),
            None => (None, label.trim()),
        };
        if account.is_empty() {
            return Err(KeyUriError::NoAccount);
        }
        let issuer = parameters.issuer.as_deref().map(str::trim).filter(|issuer| !issuer.is_empty());
        let issuer = issuer.or(prefix.filter(|prefix| !prefix.is_empty())).map(str::to_owned);
        Ok(Self {
            account: account.to_owned(),
            secret: parse_base32(&parameters.secret.ok_or(KeyUriError::NoSecret)?)?,
            algorithm: parameters.algorithm,
            digits: digits(parameters.digits, issuer.as_deref())?,
            issuer,
            factor: match kind {
                Kind::Totp => Factor::Time { period: parameters.period.unwrap_or(DEFAULT_PERIOD) },
                Kind::Hotp => Factor::Counter { start: parameters.counter.unwrap_or(0) },
            },
        })
    }
}

/// Steam writes five digits for its five characters.
fn digits(written: Option<u8>, issuer: Option<&str>) -> Result<Digits, DigitsError> {
    match (written, issuer) {
        (None, _) => Ok(Digits::SIX),
        (Some(5), Some(issuer)) if issuer.eq_ignore_ascii_case("steam") => Ok(Digits::SIX),
        (Some(digits), _) => Digits::try_from(digits),
    }
}

#[derive(Default)]
struct Parameters {
    secret: Option<Zeroizing<String>>,
    issuer: Option<String>,
    algorithm: Algorithm,
    digits: Option<u8>,
    period: Option<u32>,
    counter: Option<u64>,
}

impl Parameters {
    /// Others, such as an image, are overlooked; one given twice is refused, because programs
    /// would not agree which one counts.
    fn read(query: &str) -> Result<Self, KeyUriError> {
        let mut found = Self::default();
        let mut seen = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(name) = KNOWN.into_iter().find(|known| name.eq_ignore_ascii_case(known)) else {
                continue;
            };
            if seen.contains(&name) {
                return Err(KeyUriError::Twice { parameter: name });
            }
            seen.push(name);
            found.set(name, Zeroizing::new(unescape(value, true)?))?;
        }
        Ok(found)
    }

    fn set(&mut self, name: &'static str, value: Zeroizing<String>) -> Result<(), KeyUriError> {
        let bad = KeyUriError::BadValue { parameter: name };
        match name {
            "secret" => self.secret = Some(value),
            "issuer" => self.issuer = Some(value.to_string()),
            "algorithm" => self.algorithm = algorithm(&value).ok_or(bad)?,
            "digits" => self.digits = Some(number(&value).ok_or(bad)?),
            "period" => self.period = Some(number(&value).filter(|period| *period > 0).ok_or(bad)?),
            _ => self.counter = Some(number(&value).ok_or(bad)?),
        }
        Ok(())
    }
}

const KNOWN: [&str; 6] = ["secret", "issuer", "algorithm", "digits", "period", "counter"];

fn algorithm(name: &str) -> Option<Algorithm> {
    // "SHA-256" and "HMACSHA256" are seen as well.
    let name = name.to_ascii_uppercase().replace('-', "");
    let name = name.strip_prefix("HMAC").unwrap_or(&name);
    [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512].into_iter().find(|known| known.name() == name)
}

fn number<N: FromStr>(text: &str) -> Option<N> {
    // `parse` would take a sign.
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

pub(super) fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// RFC 3986 section 2.1. In a query many programs write `+` for a space.
pub(super) fn unescape(text: &str, plus_is_space: bool) -> Result<String, KeyUriError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'%' => {
                let (digits, tail) = tail.split_at_checked(2).ok_or(KeyUriError::BadEscape)?;
                let byte = data_encoding::HEXLOWER_PERMISSIVE.decode(digits);
                bytes.extend(byte.map_err(|_| KeyUriError::BadEscape)?);
                rest = tail;
            }
            b'+' if plus_is_space => bytes.push(b' '),
            other => bytes.push(other),
        }
    }
    String::from_utf8(bytes).map_err(|_| KeyUriError::BadEscape)
}

fn escape(into: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'@' => {
                into.push(char::from(byte));
            }
            _ => into.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// Why a text is no key URI. No message repeats the secret.
#[derive(Clone, Copy, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum KeyUriError {
    /// It does not begin with `otpauth://`.
    #[error(
        "not a key URI, which begins with otpauth://totp/ or otpauth://hotp/; \
        an export of several accounts (otpauth-migration://) is not one account"
    )]
    NotAKeyUri,
    /// Neither TOTP nor HOTP.
    #[error("the key URI is neither for totp nor for hotp")]
    UnknownType,
    /// There is no account in the label.
    #[error("the key URI names no account")]
    NoAccount,
    /// There is no secret.
    #[error("the key URI has no secret")]
    NoSecret,
    /// The secret cannot be read.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A number of digits that no code has.
    #[error(transparent)]
    Digits(#[from] DigitsError),
    /// A parameter has a value that makes no sense.
    #[error("the key URI has a wrong value for {parameter}")]
    BadValue {
        /// Its name.
        parameter: &'static str,
    },
    /// A parameter is there twice.
    #[error("the key URI has {parameter} twice")]
    Twice {
        /// Its name.
        parameter: &'static str,
    },
    /// A percent sign without two hexadecimal digits, or escaped bytes that are no text.
    #[error("the key URI is damaged: a percent sign is not followed by what belongs there")]
    BadEscape,
}

impl fmt::Debug for KeyUriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyUriError({self})")
    }
}

#[cfg(test)]
mod tests;
