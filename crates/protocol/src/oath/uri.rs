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

fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// RFC 3986 section 2.1. In a query many programs write `+` for a space.
fn unescape(text: &str, plus_is_space: bool) -> Result<String, KeyUriError> {
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
        an export of several accounts (otpauth-migration://) cannot be read, show them one by one"
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(uri: &str) -> KeyUri {
        uri.parse().unwrap()
    }

    fn refused(uri: &str) -> KeyUriError {
        uri.parse::<KeyUri>().unwrap_err()
    }

    /// The example of the Key URI Format.
    #[test]
    fn the_formats_own_example() {
        let uri = read(
            "otpauth://totp/ACME%20Co:john.doe@email.com?secret=HXDMVJECJJWSRB3HWIZR4IFUGFTMXBOZ\
            &issuer=ACME%20Co&algorithm=SHA1&digits=6&period=30",
        );
        assert_eq!((uri.issuer.as_deref(), &*uri.account), (Some("ACME Co"), "john.doe@email.com"));
        assert_eq!(
            (uri.algorithm, uri.digits, uri.factor),
            (Algorithm::Sha1, Digits::SIX, Factor::Time { period: 30 })
        );
        assert_eq!(uri.secret.len(), 20);
        assert_eq!(
            &*uri.to_uri(),
            "otpauth://totp/ACME%20Co:john.doe@email.com?secret=HXDMVJECJJWSRB3HWIZR4IFUGFTMXBOZ\
            &issuer=ACME%20Co&algorithm=SHA1&digits=6&period=30"
        );
    }

    #[test]
    fn what_is_not_said_has_defaults() {
        let uri = read("otpauth://hotp/alice?secret=JBSWY3DPEHPK3PXP");
        assert_eq!((uri.issuer.as_deref(), uri.factor), (None, Factor::Counter { start: 0 }));
        let uri =
            read("OTPAUTH://TOTP/ALICE?SECRET=JBSWY3DPEHPK3PXP&ALGORITHM=hmac-sha-512&DIGITS=8&image=x");
        assert_eq!((uri.algorithm, uri.digits), (Algorithm::Sha512, Digits::EIGHT));
    }

    #[test]
    fn issuers() {
        let issuer = |uri: &str| read(uri).issuer;
        assert_eq!(issuer("otpauth://totp/A:b?secret=AA&issuer=C").as_deref(), Some("C"));
        assert_eq!(issuer("otpauth://totp/A%3A%20b?secret=AA").as_deref(), Some("A"));
        assert_eq!(issuer("otpauth://totp/b?secret=AA&issuer=C+D").as_deref(), Some("C D"));
        assert_eq!(issuer("otpauth://totp/A:b?secret=AA&issuer=").as_deref(), Some("A"));
        assert_eq!(issuer("otpauth://totp/:b?secret=AA"), None);
        assert_eq!(read("otpauth://totp/A:b:c?secret=AA").account, "b:c");
        let colons = KeyUri { issuer: Some("A:B".into()), ..read("otpauth://totp/:b:?secret=AA") };
        assert_eq!(colons.account, "b:");
        assert_eq!(read(&colons.to_uri()), colons);
        assert_eq!(read("otpauth://totp/Steam:x?secret=AA&digits=5").digits, Digits::SIX);
    }

    #[test]
    fn what_is_refused() {
        use KeyUriError::*;
        for (uri, error) in [
            ("https://example.org", NotAKeyUri),
            ("otpauth-migration://offline?data=x", NotAKeyUri),
            ("otpauth://totp", NotAKeyUri),
            ("otpauth://yubi/x?secret=AA", UnknownType),
            ("otpauth://totp/?secret=AA", NoAccount),
            ("otpauth://totp/A:?secret=AA", NoAccount),
            ("otpauth://totp/x", NoSecret),
            ("otpauth://totp/x?secret=A1", Secret(SecretError::NotBase32)),
            ("otpauth://totp/x?secret=AA&digits=9", Digits(DigitsError(9))),
            ("otpauth://totp/x?secret=AA&digits=5", Digits(DigitsError(5))),
            ("otpauth://totp/x?secret=AA&digits=+6", BadValue { parameter: "digits" }),
            ("otpauth://totp/x?secret=AA&period=0", BadValue { parameter: "period" }),
            ("otpauth://hotp/x?secret=AA&counter=-1", BadValue { parameter: "counter" }),
            ("otpauth://totp/x?secret=AA&algorithm=MD5", BadValue { parameter: "algorithm" }),
            ("otpauth://totp/x?secret=AA&secret=AB", Twice { parameter: "secret" }),
            ("otpauth://totp/%4?secret=AA", BadEscape),
            ("otpauth://totp/%FF?secret=AA", BadEscape),
        ] {
            assert_eq!(refused(uri), error, "{uri}");
        }
    }

    #[test]
    fn no_message_repeats_the_secret() {
        let error = refused("otpauth://totp/x?secret=SECRET1");
        assert!(!format!("{error} {error:?}").contains("SECRET1"));
        let debug = format!("{:?}", read("otpauth://totp/x?secret=JBSWY3DPEHPK3PXP"));
        assert!(!debug.contains("JBSW") && !debug.contains("72"), "{debug}");
    }

    fn factor() -> impl Strategy<Value = Factor> {
        prop_oneof![
            (1_u32..).prop_map(|period| Factor::Time { period }),
            any::<u64>().prop_map(|start| Factor::Counter { start })
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            issuer in proptest::option::of("[^\\s]{1,20}"),
            account in "[^\\s].{0,20}[^\\s]",
            secret in proptest::collection::vec(any::<u8>(), 1..80),
            algorithm in 0..3_usize,
            digits in 6_u8..=8,
            factor in factor(),
        ) {
            let algorithm = [Algorithm::Sha1, Algorithm::Sha256, Algorithm::Sha512][algorithm];
            let digits = Digits::try_from(digits).unwrap();
            let uri = KeyUri { issuer, account, secret: secret.into(), algorithm, digits, factor };
            prop_assert_eq!(uri.to_uri().parse::<KeyUri>(), Ok(uri));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String, label: String, query: String) {
            let _ = text.parse::<KeyUri>();
            if let Ok(uri) = format!("otpauth://totp/{label}?secret=AA&{query}").parse::<KeyUri>() {
                // What a key cannot be called by its name is not this module's business.
                let _ = uri.name().to_id(uri.kind());
            }
        }
    }
}
