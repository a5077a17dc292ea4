//! Enrolments: how a key and a server come to share a credential.
//!
//! | request | answer |
//! |---|---|
//! | `POST /enrollments` with [`CreateEnrollment`] | 201 [`EnrollmentSecrets`] |
//! | `GET /enrollments/{id}` | 200 [`Enrollment`] |
//! | `POST /enrollments/{id}/confirm` with [`ConfirmEnrollment`] | 200 [`Key`](crate::keys::Key) |
//! | `POST /enrollments/confirm` with [`ConfirmEnrollment`] | 200 [`Key`](crate::keys::Key): the pending one whose public id the password begins with |
//! | `GET /enrollments/{id}/access-code` | 200 [`AccessCode`](crate::keys::AccessCode), also after it was abandoned or has expired; administrators, audited |
//! | `DELETE /enrollments/{id}` | 204 |
//!
//! Creating is idempotent by (token, request id): the same request while the enrolment is pending
//! is answered with the same secrets, and to nobody else. Confirming is idempotent by (enrolment,
//! password). An enrolment belongs to the token that created it; administrators may see and
//! abandon all of them.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::SecretText;

/// Asks for a new credential.
///
/// ```
/// use tapkey_api::enrollments::CreateEnrollment;
/// let request: CreateEnrollment = serde_json::from_str(
///     r#"{"request_id":"9d6bd5f0-3a1e-4d6c-8f0e-0b3b2f1f8a11","account":"alice","slot":2}"#,
/// )?;
/// assert!(!request.emulated);
/// assert!(serde_json::from_str::<CreateEnrollment>(r#"{"request_id":"1","acount":"alice","slot":2}"#).is_err());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct CreateEnrollment {
    /// Chosen by the caller, 8 to 64 letters, digits and hyphens (a UUID does): repeating it repeats
    /// the answer instead of creating another credential.
    pub request_id: String,
    /// Name of the account that will own the key.
    pub account: String,
    /// Create the account where it does not exist; administrators only.
    #[serde(default, skip_serializing_if = "is_false")]
    pub create_account: bool,
    /// The key's slot, 1 or 2.
    pub slot: u8,
    /// The key's serial number, where it shows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// The key's firmware version, such as `5.7.4`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firmware: Option<String>,
    /// The public id in modhex, at most 16 letters. The server draws a free one of 12 letters where
    /// it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_id: Option<String>,
    /// What people call the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Whether the key is made of software; the server's policy decides whether it takes such.
    #[serde(default, skip_serializing_if = "is_false")]
    pub emulated: bool,
    /// Whether to draw an access code for the slot, stored encrypted beside the credential.
    #[serde(default, skip_serializing_if = "is_false")]
    pub access_code: bool,
}

/// What to write into the key's slot. Shown only to the token that created the enrolment, only
/// while it is pending.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct EnrollmentSecrets {
    /// The enrolment's id, for the requests that follow.
    pub id: String,
    /// The public id, modhex.
    pub public_id: String,
    /// The private id, 12 hexadecimal digits.
    pub private_id: SecretText,
    /// The AES-128 key, 32 hexadecimal digits.
    pub aes_key: SecretText,
    /// The slot's access code, 12 hexadecimal digits, where one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_code: Option<SecretText>,
    /// Until when the enrolment can be confirmed.
    pub expires_at: Timestamp,
}

/// An enrolment without its secrets.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Enrollment {
    /// The enrolment's id.
    pub id: String,
    /// As its creator named it.
    pub request_id: String,
    /// Where it stands.
    pub state: EnrollmentState,
    /// The account that will own, or owns, the key.
    pub account: String,
    /// The public id, modhex.
    pub public_id: String,
    /// The key's slot.
    pub slot: u8,
    /// The key's serial number, where it was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// The id of the key it became, once active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// When it was created.
    pub created_at: Timestamp,
    /// Until when it can be confirmed.
    pub expires_at: Timestamp,
}

/// Where an enrolment stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EnrollmentState {
    /// Waiting for a password from the key.
    Pending,
    /// Confirmed: the key validates.
    Active,
    /// Given up.
    Abandoned,
    /// Not confirmed in time.
    Expired,
    /// A state that this version does not know.
    #[serde(other)]
    Unknown,
}

/// Proves that the key holds the credential.
#[derive(Clone, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmEnrollment {
    /// A password that the key typed.
    pub otp: String,
}

/// A password is one until a server has seen it.
impl fmt::Debug for ConfirmEnrollment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ConfirmEnrollment { otp: … }")
    }
}

// serde calls this with a reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let secrets = EnrollmentSecrets {
            id: "1".into(),
            public_id: "cccc".into(),
            private_id: SecretText::new("aaaaaaaaaaaa".into()),
            aes_key: SecretText::new("bbbb".into()),
            access_code: Some(SecretText::new("eeee".into())),
            expires_at: Timestamp::UNIX_EPOCH,
        };
        let confirm = ConfirmEnrollment { otp: "dddd".into() };
        let text = format!("{secrets:?} {confirm:?}");
        for secret in ["aaaa", "bbbb", "dddd", "eeee"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
