//! The server itself: `GET /status` answers 200 with [`Status`], to every valid token.

use serde::{Deserialize, Serialize};

/// What the server is and holds.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Status {
    /// Its version.
    pub version: String,
    /// What keeps its data: `sqlite`.
    pub store: String,
    /// The version of the store's tables.
    pub schema: u32,
    /// Whether this server takes software keys.
    pub accepts_emulated: bool,
    /// How much it holds; only for administrators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts: Option<Counts>,
}

/// How much a server holds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct Counts {
    /// Accounts.
    pub accounts: u64,
    /// Keys, disabled ones included.
    pub keys: u64,
    /// Clients of the validation protocol.
    pub clients: u64,
    /// Bearer tokens that were not revoked.
    pub tokens: u64,
    /// Enrolments that wait for a password.
    pub pending_enrollments: u64,
}
