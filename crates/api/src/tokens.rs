//! Bearer tokens of this interface.
//!
//! | request | answer |
//! |---|---|
//! | `POST /tokens` with [`CreateToken`] | 201 [`TokenCreated`]; the token is shown this once |
//! | `GET /tokens?limit=&after=` | 200 [`Page`](crate::Page) of [`Token`] |
//! | `DELETE /tokens/{id}` | 204: revoked |

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::SecretText;

/// What a token may do.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// Everything.
    Admin,
    /// Create, confirm and abandon enrolments.
    Enroller,
    /// Verify passwords for accounts.
    Application,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Admin, Self::Enroller, Self::Application];

    /// As it stands in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Enroller => "enroller",
            Self::Application => "application",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

/// Not a role.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a role is admin, enroller or application")]
pub struct UnknownRole;

/// Creates a token.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// What it may do.
    pub role: Role,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// When it stops working; never, where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// A new token.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct TokenCreated {
    /// Its id, to revoke it by.
    pub id: String,
    /// The token itself, for the header `Authorization: Bearer …`.
    pub token: SecretText,
    /// What it may do.
    pub role: Role,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// When it stops working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}

/// A token without its text, which the server does not know.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Token {
    /// Its id.
    pub id: String,
    /// What it may do.
    pub role: Role,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it stops working.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
}
