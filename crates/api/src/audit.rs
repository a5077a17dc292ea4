//! Audit events: who changed what, and when.
//!
//! | request | answer |
//! |---|---|
//! | `GET /audit?action=&account=&key=&actor=&since=&until=&limit=&after=` | 200 [`Page`](crate::Page) of [`Event`], newest first |

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One event. It never holds a secret.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Event {
    /// Grows with every event.
    pub id: u64,
    /// When it happened.
    pub at: Timestamp,
    /// Who did it: `token:` and an id, `local` for the server's own command line, or `anonymous`.
    pub actor: String,
    /// What was done, such as `key.disabled`.
    pub action: String,
    /// The name of the account it was done to or for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The id of the key it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The id of anything else it was done to: a client, a token, an enrolment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// More, for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}
