//! Clients of the validation protocol (`/wsapi/2.0/verify`).
//!
//! | request | answer |
//! |---|---|
//! | `POST /clients` with [`CreateClient`] | 201 [`ClientCreated`]; the key is shown this once |
//! | `GET /clients?limit=&after=` | 200 [`Page`](crate::Page) of [`Client`] |
//! | `POST /clients/{id}/disable`, `…/enable` | 200 [`Client`] |
//! | `DELETE /clients/{id}` | 204; the number is never given again |

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::SecretText;

/// Creates a client.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CreateClient {
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// A new client.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct ClientCreated {
    /// The number it calls itself by, `id` in a request.
    pub id: u64,
    /// The key that signs requests and answers, base64.
    pub api_key: SecretText,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
}

/// A client.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Client {
    /// The number it calls itself by.
    pub id: u64,
    /// What people call it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether its requests are answered.
    pub enabled: bool,
    /// When it was created.
    pub created_at: Timestamp,
}
