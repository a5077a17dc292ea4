//! The secret that opens `/api/v1`.

use std::{fmt, str::FromStr};

use tapkey_api::SecretText;
use thiserror::Error;

/// A bearer token, as the server showed it once.
///
/// ```
/// use tapkey_client::api::BearerToken;
/// let token: BearerToken = "tk_0123456789\n".parse()?; // as read from a file
/// assert_eq!(format!("{token:?}"), "BearerToken(…)");
/// assert!("two words".parse::<BearerToken>().is_err());
/// # Ok::<(), tapkey_client::api::BearerTokenError>(())
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct BearerToken(SecretText);

impl BearerToken {
    /// The token itself; name every use of this in review.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl FromStr for BearerToken {
    type Err = BearerTokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        SecretText::new(text.trim().to_owned()).try_into()
    }
}

impl TryFrom<SecretText> for BearerToken {
    type Error = BearerTokenError;

    /// Takes the characters of RFC 6750 section 2.1: letters, digits and `-._~+/=`.
    fn try_from(text: SecretText) -> Result<Self, Self::Error> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
        if !text.expose().is_empty() && text.expose().bytes().all(fits) {
            Ok(Self(text))
        } else {
            Err(BearerTokenError)
        }
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(…)")
    }
}

/// Not a bearer token.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error(
    "a token is one word of letters, digits and -._~+/= as the server printed it (check for quotes or missing characters)"
)]
pub struct BearerTokenError;
