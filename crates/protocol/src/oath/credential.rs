//! What a key calls its credentials.

use std::fmt;

use thiserror::Error;

/// What moves a credential from one code to the next.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kind {
    /// A counter: RFC 4226.
    Hotp,
    /// Time: RFC 6238.
    Totp,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Hotp => "HOTP",
            Self::Totp => "TOTP",
        })
    }
}

/// The period of nearly every TOTP credential, in seconds. Names do not mention it.
pub const DEFAULT_PERIOD: u32 = 30;

/// The name of a credential as the key stores it: 1 to 64 bytes, which are UTF-8 unless a strange
/// host wrote them. It identifies the credential.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CredentialId(Vec<u8>);

impl CredentialId {
    /// The most bytes of a name.
    pub const MAX: usize = 64;

    /// Takes the bytes as they travel.
    ///
    /// # Errors
    /// [`NameError::Empty`] or [`NameError::TooLong`].
    pub fn new(bytes: impl Into<Vec<u8>>) -> Result<Self, NameError> {
        let bytes = bytes.into();
        match bytes.len() {
            0 => Err(NameError::Empty),
            1..=Self::MAX => Ok(Self(bytes)),
            length => Err(NameError::TooLong { length }),
        }
    }

    /// The bytes as they travel.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for CredentialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CredentialId({:?})", String::from_utf8_lossy(&self.0))
    }
}

/// The parts of a name by the convention of Yubico's programs: `[period/][issuer:]account`.
///
/// ```
/// use tapkey_protocol::oath::{CredentialId, CredentialName, Kind};
///
/// let id = CredentialId::new("60/Example:alice@example.org")?;
/// let name = CredentialName::of(&id, Kind::Totp);
/// assert_eq!((name.period, name.issuer.as_deref()), (60, Some("Example")));
/// assert_eq!(name.to_id(Kind::Totp)?, id);
/// # Ok::<(), tapkey_protocol::oath::NameError>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CredentialName {
    /// Who asks for the code.
    pub issuer: Option<String>,
    /// Whose code it is.
    pub account: String,
    /// Seconds; [`DEFAULT_PERIOD`] for HOTP, where it means nothing.
    pub period: u32,
}

impl CredentialName {
    /// A name with the usual period.
    #[must_use]
    pub fn new(issuer: Option<&str>, account: &str) -> Self {
        Self { issuer: issuer.map(str::to_owned), account: account.to_owned(), period: DEFAULT_PERIOD }
    }

    /// Reads a name. Every name can be read: what does not follow the convention is an account.
    /// Bytes that are not UTF-8 are replaced, so keep the [`CredentialId`] to identify it.
    #[must_use]
    pub fn of(id: &CredentialId, kind: Kind) -> Self {
        let text = String::from_utf8_lossy(id.as_bytes());
        let (period, rest) = match kind {
            Kind::Totp => split_period(&text),
            Kind::Hotp => (DEFAULT_PERIOD, &*text),
        };
        let (issuer, account) = match rest.split_once(':') {
            Some((issuer, account)) if !issuer.is_empty() && !account.is_empty() => (Some(issuer), account),
            _ => (None, rest),
        };
        Self { issuer: issuer.map(str::to_owned), account: account.to_owned(), period }
    }

    /// Writes the name. The period is mentioned for TOTP only, and only when it is not the usual.
    ///
    /// # Errors
    /// [`NameError`]; [`NameError::Ambiguous`] when other programs would read other parts out of
    /// it, for example an issuer with a colon.
    pub fn to_id(&self, kind: Kind) -> Result<CredentialId, NameError> {
        let mut text = String::new();
        if kind == Kind::Totp && self.period != DEFAULT_PERIOD {
            text.push_str(&format!("{}/", self.period));
        }
        if let Some(issuer) = &self.issuer {
            text.push_str(issuer);
            text.push(':');
        }
        if self.account.is_empty() {
            return Err(NameError::Empty);
        }
        text.push_str(&self.account);
        let id = CredentialId::new(text)?;
        let mut read = Self::of(&id, kind);
        if kind == Kind::Hotp {
            read.period = self.period;
        }
        if read == *self { Ok(id) } else { Err(NameError::Ambiguous) }
    }

    /// Programs leave it out of their lists: its issuer is `_hidden`.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.issuer.as_deref() == Some("_hidden")
    }

    /// Its codes are Steam's five characters; see [`steam_code`](super::steam_code).
    #[must_use]
    pub fn is_steam(&self) -> bool {
        self.issuer.as_deref().is_some_and(|issuer| issuer.eq_ignore_ascii_case("steam"))
    }
}

impl fmt::Display for CredentialName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.issuer {
            Some(issuer) => write!(f, "{issuer}:{}", self.account),
            None => f.write_str(&self.account),
        }
    }
}

fn split_period(text: &str) -> (u32, &str) {
    let Some((digits, rest)) = text.split_once('/') else { return (DEFAULT_PERIOD, text) };
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse() {
        Ok(period) if all_digits && period > 0 && !rest.is_empty() => (period, rest),
        _ => (DEFAULT_PERIOD, text),
    }
}

/// Why a name cannot be given to a credential.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum NameError {
    /// There is no account.
    #[error("the name of the account is empty")]
    Empty,
    /// A key has no room for it.
    #[error(
        "the name takes {length} bytes with issuer and period, a key has room for {}; shorten it",
        CredentialId::MAX
    )]
    TooLong {
        /// The bytes it takes.
        length: usize,
    },
    /// Its parts would be read back as others.
    #[error(
        "programs would read this name differently; leave the colon out of the issuer, \
        and do not begin with digits and a slash"
    )]
    Ambiguous,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str, kind: Kind) -> (u32, Option<String>, String) {
        let name = CredentialName::of(&CredentialId::new(text).unwrap(), kind);
        (name.period, name.issuer, name.account)
    }

    #[test]
    fn parts() {
        let some = |text: &str| Some(text.to_owned());
        let totp = |text| read(text, Kind::Totp);
        assert_eq!(totp("alice"), (30, None, "alice".into()));
        assert_eq!(totp("Example:alice"), (30, some("Example"), "alice".into()));
        assert_eq!(totp("60/Example:al:ice"), (60, some("Example"), "al:ice".into()));
        assert_eq!(totp("60/alice"), (60, None, "alice".into()));
        for odd in [":alice", "Example:", "0/alice", "+6/alice", "/alice", "99999999999/alice", "60/"] {
            assert_eq!(totp(odd), (30, None, odd.into()));
        }
        assert_eq!(read("60/Example:alice", Kind::Hotp), (30, some("60/Example"), "alice".into()));
    }

    #[test]
    fn names_that_would_be_read_differently_are_refused() {
        let refused = |issuer, account| CredentialName::new(issuer, account).to_id(Kind::Totp).unwrap_err();
        assert_eq!(refused(None, ""), NameError::Empty);
        assert_eq!(refused(Some("x"), ""), NameError::Empty);
        assert_eq!(refused(Some("a:b"), "c"), NameError::Ambiguous);
        assert_eq!(refused(Some(""), "c"), NameError::Ambiguous);
        assert_eq!(refused(None, "a:b"), NameError::Ambiguous);
        assert_eq!(refused(None, "60/x"), NameError::Ambiguous);
        assert_eq!(refused(Some("é"), &"é".repeat(31)), NameError::TooLong { length: 65 });
        assert!(CredentialName::new(None, "60/x").to_id(Kind::Hotp).is_ok());
        assert!(CredentialName::new(Some("é"), &"é".repeat(30)).to_id(Kind::Totp).is_ok());
    }

    #[test]
    fn special_issuers() {
        assert!(CredentialName::new(Some("_hidden"), "x").is_hidden());
        assert!(CredentialName::new(Some("Steam"), "x").is_steam());
        assert!(!CredentialName::new(None, "Steam").is_steam());
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(issuer: Option<String>, account: String, period in 1_u32.., totp: bool) {
            let kind = if totp { Kind::Totp } else { Kind::Hotp };
            let name = CredentialName { issuer, account, period: if totp { period } else { DEFAULT_PERIOD } };
            if let Ok(id) = name.to_id(kind) {
                prop_assert_eq!(CredentialName::of(&id, kind), name);
            }
        }

        #[test]
        fn every_name_is_read(bytes in proptest::collection::vec(any::<u8>(), 1..=64), totp: bool) {
            let id = CredentialId::new(bytes).unwrap();
            let name = CredentialName::of(&id, if totp { Kind::Totp } else { Kind::Hotp });
            prop_assert!(!name.account.is_empty() && name.period > 0);
        }
    }
}
