//! Numbers of records. Outside the server they are opaque texts of 16 hexadecimal digits.

use std::{fmt, str::FromStr};

use thiserror::Error;

macro_rules! ids {
    ($($(#[$doc:meta])+ $name:ident;)+) => {$(
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub struct $name(i64);

        impl $name {
            /// From the number in a store.
            #[must_use]
            pub const fn new(id: i64) -> Self {
                Self(id)
            }

            /// From random bytes; never negative, so that every store sorts it alike.
            #[must_use]
            pub const fn from_random(bytes: [u8; 8]) -> Self {
                Self(i64::from_be_bytes(bytes) & i64::MAX)
            }

            /// The number in a store.
            #[must_use]
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:016x}", self.0)
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse(text).map(Self)
            }
        }
    )+};
}

ids! {
    /// A tenant: nothing of one is ever visible to another.
    TenantId;
    /// An account.
    AccountId;
    /// A credential: the secret that a key and the server share.
    CredentialId;
    /// An enrolment.
    EnrolmentId;
    /// A bearer token.
    TokenId;
}

impl TenantId {
    /// The tenant that every store begins with.
    pub const DEFAULT: Self = Self::new(1);
}

/// Not an id.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("an id is 16 hexadecimal digits")]
pub struct IdError;

fn parse(text: &str) -> Result<i64, IdError> {
    if text.len() != 16 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(IdError);
    }
    i64::from_str_radix(text, 16).map_err(|_| IdError)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn refused_texts() {
        for text in ["", "1", "000000000000000G", "00000000000000aA", "ffffffffffffffff", "+00000000000000a"]
        {
            assert_eq!(text.parse::<TokenId>(), Err(IdError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(bytes: [u8; 8]) {
            let id = CredentialId::from_random(bytes);
            prop_assert!(id.get() >= 0);
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn any_text_is_read_or_refused(text: String) {
            if let Ok(id) = text.parse::<AccountId>() {
                prop_assert_eq!(id.to_string(), text);
            }
        }
    }
}
