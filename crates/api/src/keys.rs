//! Keys: credentials that were confirmed.
//!
//! | request | answer |
//! |---|---|
//! | `GET /keys?account=&public_id=&limit=&after=` | 200 [`Page`](crate::Page) of [`Key`] |
//! | `GET /keys/{id}` | 200 [`Key`] |
//! | `PATCH /keys/{id}` with [`UpdateKey`] | 200 [`Key`] |
//! | `POST /keys/{id}/disable`, `…/enable` | 200 [`Key`] |
//! | `DELETE /keys/{id}` | 204; the counters outlive the key |
//! | `GET /keys/{id}/access-code` | 200 [`AccessCode`]; audited |

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::SecretText;

/// A key.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Key {
    /// Its id on this server.
    pub id: String,
    /// The public id it types, modhex.
    pub public_id: String,
    /// The account that owns it.
    pub account: String,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether it validates (its account must be enabled too).
    pub enabled: bool,
    /// The slot that holds the credential.
    pub slot: u8,
    /// Its serial number, as the enroller told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// Its firmware version, as the enroller told it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// Whether it is made of software.
    pub emulated: bool,
    /// Whether the slot's access code is stored here.
    pub has_access_code: bool,
    /// The use counter of the newest password accepted.
    pub use_counter: u16,
    /// The session counter of the newest password accepted.
    pub session_counter: u8,
    /// When the enrolment was confirmed.
    pub created_at: Timestamp,
    /// When the newest password was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used_at: Option<Timestamp>,
}

/// Changes a key; what is left out stays.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateKey {
    /// The account that will own it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What people call it; an empty text removes the label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// The access code of a key's slot.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct AccessCode {
    /// 12 hexadecimal digits.
    pub access_code: SecretText,
}
