//! Accounts and codes as callers see them.

use std::fmt;
use std::ops::Range;

use tapkey_protocol::oath::codec::{BulkAnswer, BulkEntry, ListEntry, Put};
use tapkey_protocol::oath::{Algorithm, CredentialId, CredentialName, Digits, Kind};
use zeroize::Zeroizing;

/// One account on the key, with what was told about it: a list tells the hash, codes tell the digits
/// and the touch.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct OathAccount {
    /// Its name as the key stores it, which identifies it.
    pub id: CredentialId,
    /// HOTP or TOTP.
    pub kind: Kind,
    /// The hash, where the key told.
    pub algorithm: Option<Algorithm>,
    /// The length of its codes, where the key told.
    pub digits: Option<Digits>,
    /// Whether its codes need a touch, where the key told: it never does for HOTP.
    pub touch: Option<bool>,
}

impl OathAccount {
    /// An account of which only the name is known.
    #[must_use]
    pub const fn new(id: CredentialId, kind: Kind) -> Self {
        Self { id, kind, algorithm: None, digits: None, touch: None }
    }

    /// The parts of its name.
    #[must_use]
    pub fn name(&self) -> CredentialName {
        CredentialName::of(&self.id, self.kind)
    }

    /// Whether the code comes with all others, or has to be asked for on its own.
    pub(super) fn is_in_bulk(&self) -> bool {
        let name = self.name();
        self.kind == Kind::Totp
            && name.period == tapkey_protocol::oath::DEFAULT_PERIOD
            && !name.is_steam()
            && self.touch == Some(false)
    }
}

impl From<ListEntry> for OathAccount {
    fn from(entry: ListEntry) -> Self {
        Self { algorithm: Some(entry.algorithm), ..Self::new(entry.id, entry.kind) }
    }
}

impl From<&BulkEntry> for OathAccount {
    fn from(entry: &BulkEntry) -> Self {
        use tapkey_protocol::oath::codec::CodeAnswer;
        let (kind, digits, touch) = match entry.answer {
            BulkAnswer::Hotp(digits) => (Kind::Hotp, digits, None),
            BulkAnswer::Touch(digits) => (Kind::Totp, digits, Some(true)),
            BulkAnswer::Code(CodeAnswer::Full { digits, .. } | CodeAnswer::Truncated { digits, .. }) => {
                (Kind::Totp, digits, Some(false))
            }
        };
        Self { digits: Some(digits), touch, ..Self::new(entry.id.clone(), kind) }
    }
}

impl From<&Put> for OathAccount {
    fn from(put: &Put) -> Self {
        Self {
            id: put.id.clone(),
            kind: put.kind,
            algorithm: Some(put.algorithm),
            digits: Some(put.digits),
            touch: Some(put.properties.require_touch),
        }
    }
}

/// A code and when it is good. It is a secret until it was used, so `Debug` hides it.
#[derive(Clone, Eq, PartialEq)]
pub struct OathCode {
    text: Zeroizing<String>,
    valid: Option<Range<u64>>,
}

impl OathCode {
    pub(super) const fn new(text: Zeroizing<String>, valid: Option<Range<u64>>) -> Self {
        Self { text, valid }
    }

    /// The digits, or Steam's letters.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// From when to before when it is good, in seconds since 1970; `None` for HOTP, whose codes are
    /// good until a later one was used.
    #[must_use]
    pub const fn valid(&self) -> Option<&Range<u64>> {
        self.valid.as_ref()
    }
}

impl fmt::Debug for OathCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OathCode").field("valid", &self.valid).finish_non_exhaustive()
    }
}
