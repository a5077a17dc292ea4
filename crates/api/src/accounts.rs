//! Accounts: who owns keys.
//!
//! | request | answer |
//! |---|---|
//! | `POST /accounts` with [`CreateAccount`] | 201 [`Account`] |
//! | `GET /accounts?limit=&after=` | 200 [`Page`](crate::Page) of [`Account`] |
//! | `GET /accounts/{name}` | 200 [`Account`] |
//! | `POST /accounts/{name}/disable`, `…/enable` | 200 [`Account`] |
//! | `DELETE /accounts/{name}` | 204; 409 while it owns keys |
//! | `POST /accounts/{name}/verify` with [`Verify`] | 200 [`Verified`] |

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Creates an account.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CreateAccount {
    /// 1 to 128 characters, without control characters, slashes and surrounding spaces; upper and
    /// lower case are told apart.
    pub name: String,
}

/// An account.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// Whether its keys validate.
    pub enabled: bool,
    /// How many keys it owns, disabled ones included.
    pub keys: u64,
    /// When it was created.
    pub created_at: Timestamp,
}

/// Asks whether a password comes from one of the account's keys.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// What the key typed.
    pub otp: String,
}

/// A password is one until a server has seen it.
impl fmt::Debug for Verify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Verify { otp: … }")
    }
}

/// The verdict over a password.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Verified {
    /// Only [`VerifyStatus::Ok`] lets anybody in.
    pub status: VerifyStatus,
    /// The id of the key that typed it, where the password is one of that key's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// What people call that key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// The verdict in a word.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VerifyStatus {
    /// Valid, never seen before, and from a key of this account. It is spent now.
    Ok,
    /// Malformed, not from an active key of this account, or not made with that key's credential.
    /// It is not spent.
    BadOtp,
    /// Seen before, or older than one that was.
    ReplayedOtp,
    /// Fresh, but the key's clock says that it was kept back, and the server refuses such. It is
    /// spent now.
    DelayedOtp,
    /// The account does not exist or is disabled; the two are not told apart. The password is not spent.
    NoSuchAccount,
    /// A verdict that this version does not know: not a success.
    #[serde(other)]
    Unknown,
}
