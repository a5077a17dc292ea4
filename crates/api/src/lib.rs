//! The JSON types of `/api/v1`, the interface of the Tapkey server.
//!
//! One module per resource; names in JSON are snake case, times are RFC 3339 in UTC, ids are opaque
//! texts. Requests refuse fields they do not know; answers may gain fields, so a reader must ignore
//! what it does not know. Every error is an RFC 9457 problem ([`Problem`]) with a stable
//! [`ProblemCode`] that programs branch on.
//!
//! | resource | module | path below `/api/v1` | roles |
//! |---|---|---|---|
//! | enrolments | [`enrollments`] | `/enrollments` | enroller, admin |
//! | accounts | [`accounts`] | `/accounts` | admin; `verify` also application |
//! | keys | [`keys`] | `/keys` | admin |
//! | clients of the validation protocol | [`clients`] | `/clients` | admin |
//! | bearer tokens | [`tokens`] | `/tokens` | admin |
//! | audit events | [`audit`] | `/audit` | admin |
//! | bundles of stations | [`imports`], [`bundle`] | `/imports`; `/bundle-key` | admin; the key also enroller |
//! | the server itself | [`status`] | `/status` | every token |
//!
//! Secrets in answers ([`SecretText`]) redact themselves in `Debug` and are wiped when dropped.
//!
//! ```
//! use tapkey_api::{ProblemCode, Problem};
//! let problem: Problem = serde_json::from_str(
//!     r#"{"type":"about:blank","title":"Not found","status":404,"code":"account_not_found"}"#,
//! )?;
//! assert_eq!(problem.code, ProblemCode::AccountNotFound);
//! # Ok::<(), serde_json::Error>(())
//! ```

pub mod accounts;
pub mod audit;
pub mod bundle;
pub mod clients;
pub mod enrollments;
pub mod imports;
pub mod keys;
mod page;
mod problem;
mod secret;
pub mod status;
pub mod tokens;

pub use jiff::Timestamp;
pub use page::Page;
pub use problem::{Problem, ProblemCode};
pub use secret::SecretText;

/// Where the interface begins.
pub const PREFIX: &str = "/api/v1";
