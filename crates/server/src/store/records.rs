//! What goes into a store and comes out of it.

use tapkey_domain::{
    Moment,
    audit::{Action, Actor, Event},
    enrol::{Caller, State},
    id::{CredentialId, EnrolmentId, TenantId, TokenId},
    name::{AccountName, Firmware, Label, RequestId},
    role::Role,
};
use tapkey_protocol::{
    otp::{Counter, PublicId},
    secret::Secret,
    validation::{ApiKey, ClientId},
};

/// For whom a change is made, by whom, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scope {
    pub(crate) tenant: TenantId,
    pub(crate) actor: Actor,
    pub(crate) now: Moment,
}

impl Scope {
    /// An event of this scope's actor.
    pub(crate) const fn event(&self, action: Action) -> Event {
        Event::new(self.actor, action)
    }
}

/// Which part of a list.
#[derive(Clone, Debug)]
pub(crate) struct PageRequest {
    pub(crate) limit: u32,
    pub(crate) after: Option<String>,
}

/// A part of a list, and where the next one begins.
#[derive(Clone, Debug)]
pub(crate) struct Rows<T> {
    pub(crate) rows: Vec<T>,
    pub(crate) next: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct AccountRow {
    pub(crate) name: String,
    pub(crate) enabled: bool,
    pub(crate) keys: u64,
    pub(crate) created_at: Moment,
}

#[derive(Clone, Debug)]
pub(crate) struct KeyRow {
    pub(crate) id: CredentialId,
    pub(crate) public_id: PublicId,
    pub(crate) account: String,
    pub(crate) label: Option<String>,
    pub(crate) enabled: bool,
    pub(crate) slot: u8,
    pub(crate) serial: Option<u32>,
    pub(crate) firmware: Option<String>,
    pub(crate) emulated: bool,
    pub(crate) has_access_code: bool,
    pub(crate) counter: Counter,
    pub(crate) created_at: Moment,
    pub(crate) last_used_at: Option<Moment>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct KeyFilter {
    pub(crate) account: Option<String>,
    pub(crate) public_id: Option<PublicId>,
}

#[derive(Clone, Debug)]
pub(crate) struct KeyChange {
    pub(crate) account: Option<AccountName>,
    /// `Some(None)` removes it.
    pub(crate) label: Option<Option<Label>>,
}

#[derive(Clone, Debug)]
pub(crate) struct ClientRow {
    pub(crate) id: ClientId,
    pub(crate) label: Option<String>,
    pub(crate) enabled: bool,
    pub(crate) created_at: Moment,
}

#[derive(Clone, Debug)]
pub(crate) struct NewClient {
    pub(crate) label: Option<Label>,
    pub(crate) key: ApiKey,
}

#[derive(Clone, Debug)]
pub(crate) struct TokenRow {
    pub(crate) id: TokenId,
    pub(crate) role: Role,
    pub(crate) label: Option<String>,
    pub(crate) created_at: Moment,
    pub(crate) expires_at: Option<Moment>,
}

#[derive(Clone, Debug)]
pub(crate) struct NewToken {
    pub(crate) id: TokenId,
    pub(crate) role: Role,
    pub(crate) label: Option<Label>,
    pub(crate) hash: [u8; 32],
    pub(crate) expires_at: Option<Moment>,
}

/// What a bearer token is checked against.
#[derive(Clone, Debug)]
pub(crate) struct TokenRecord {
    pub(crate) id: TokenId,
    pub(crate) tenant: TenantId,
    pub(crate) role: Role,
    pub(crate) hash: [u8; 32],
    pub(crate) expires_at: Option<Moment>,
}

#[derive(Clone, Debug)]
pub(crate) struct NewEnrolment {
    pub(crate) request_id: RequestId,
    /// SHA-256 over the whole request, to notice another one under the same id.
    pub(crate) request_hash: [u8; 32],
    pub(crate) account: AccountName,
    pub(crate) create_account: bool,
    pub(crate) slot: u8,
    pub(crate) serial: Option<u32>,
    pub(crate) firmware: Option<Firmware>,
    pub(crate) public_id: Option<PublicId>,
    pub(crate) label: Option<Label>,
    pub(crate) emulated: bool,
    pub(crate) access_code: bool,
    pub(crate) expires_at: Moment,
}

/// What the creator of an enrolment writes into the key.
#[derive(Clone, Debug)]
pub(crate) struct EnrolmentSecrets {
    pub(crate) id: EnrolmentId,
    pub(crate) public_id: PublicId,
    pub(crate) secret: tapkey_domain::verify::Secret,
    pub(crate) access_code: Option<Secret<6>>,
    pub(crate) expires_at: Moment,
}

#[derive(Clone, Debug)]
pub(crate) struct EnrolmentRow {
    pub(crate) id: EnrolmentId,
    pub(crate) creator: TokenId,
    pub(crate) request_id: String,
    pub(crate) request_hash: [u8; 32],
    pub(crate) state: State,
    pub(crate) credential: CredentialId,
    pub(crate) account: String,
    pub(crate) public_id: PublicId,
    pub(crate) slot: u8,
    pub(crate) serial: Option<u32>,
    pub(crate) created_at: Moment,
    pub(crate) expires_at: Moment,
}

impl EnrolmentRow {
    /// What the rules look at.
    pub(crate) const fn rules(&self) -> tapkey_domain::enrol::Enrolment {
        tapkey_domain::enrol::Enrolment {
            state: self.state,
            creator: self.creator,
            public_id: self.public_id,
            expires_at: self.expires_at,
        }
    }
}

/// A try to confirm an enrolment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) enrolment: EnrolmentId,
    pub(crate) caller: Caller,
    pub(crate) otp: tapkey_protocol::otp::Otp,
    /// SHA-256 of the password in its plain spelling.
    pub(crate) otp_hash: [u8; 32],
}

/// A password that says by its public id what it confirms.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Password {
    pub(crate) caller: Caller,
    pub(crate) otp: tapkey_protocol::otp::Otp,
    /// SHA-256 of the password in its plain spelling.
    pub(crate) otp_hash: [u8; 32],
}

#[derive(Clone, Debug)]
pub(crate) struct EventRow {
    pub(crate) id: u64,
    pub(crate) at: Moment,
    pub(crate) actor: String,
    pub(crate) action: String,
    pub(crate) account: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) detail: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct EventFilter {
    pub(crate) action: Option<String>,
    pub(crate) account: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) actor: Option<String>,
    pub(crate) since: Option<Moment>,
    pub(crate) until: Option<Moment>,
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) accounts: u64,
    pub(crate) keys: u64,
    pub(crate) clients: u64,
    pub(crate) tokens: u64,
    pub(crate) pending_enrolments: u64,
}
