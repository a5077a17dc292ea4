//! What the service needs of a database, whichever it is.
//!
//! [`Store`] says it in the service's words (advance a counter, create a pending enrolment), never
//! as rows and queries; each backend keeps its SQL to itself. Every method that changes something
//! is one transaction, its audit event included, and returns only once that is on disk.

#[cfg(test)]
mod contract;
mod error;
mod imports;
pub(crate) mod postgres;
mod records;
mod sealed;
pub(crate) mod sqlite;
mod values;

pub(crate) use error::StoreError;
pub(crate) use imports::*;
pub(crate) use records::*;
use tapkey_domain::{
    audit::Event,
    enrol::Caller,
    id::{CredentialId, EnrolmentId, TenantId, TokenId},
    name::AccountName,
    verify::{Advance, Client, Credential, Outcome},
};
use tapkey_protocol::{otp::PublicId, secret::Secret, validation::ClientId};

/// The store of one server.
#[derive(Debug)]
pub(crate) enum Store {
    /// Embedded.
    Sqlite(sqlite::SqliteStore),
    /// Shared by several nodes.
    Postgres(postgres::PostgresStore),
}

macro_rules! dispatch {
    ($($(#[$doc:meta])+ fn $name:ident($($argument:ident: $kind:ty),*) -> $answer:ty;)+) => {
        impl Store {
            $($(#[$doc])+
            pub(crate) async fn $name(&self, $($argument: $kind),*) -> Result<$answer, StoreError> {
                match self {
                    Self::Sqlite(store) => store.$name($($argument),*).await,
                    Self::Postgres(store) => store.$name($($argument),*).await,
                }
            })+
        }
    };
}

dispatch! {
    /// Moves a counter forward or says why not. At most one of several equal advances is accepted,
    /// whoever sends them, and `Accepted` is on disk.
    fn advance(advance: Advance) -> Outcome;
    /// The credential of a public id, decrypted; pending ones are not there.
    fn credential(tenant: TenantId, public_id: PublicId) -> Option<Credential>;
    /// A client of the validation protocol with its secret.
    fn client(id: ClientId) -> Option<Client>;
    /// What a bearer token is checked against; revoked ones are not there.
    fn token(id: TokenId) -> Option<TokenRecord>;

    /// Creates an account.
    fn create_account(scope: Scope, name: AccountName) -> AccountRow;
    /// One account.
    fn account(tenant: TenantId, name: String) -> Option<AccountRow>;
    /// Accounts by name.
    fn accounts(tenant: TenantId, page: PageRequest) -> Rows<AccountRow>;
    /// Enables or disables an account.
    fn enable_account(scope: Scope, name: String, enabled: bool) -> AccountRow;
    /// Deletes an account that owns nothing.
    fn delete_account(scope: Scope, name: String) -> ();

    /// One key.
    fn key(tenant: TenantId, id: CredentialId) -> Option<KeyRow>;
    /// Keys by age.
    fn keys(tenant: TenantId, filter: KeyFilter, page: PageRequest) -> Rows<KeyRow>;
    /// Gives a key another account or label.
    fn change_key(scope: Scope, id: CredentialId, change: KeyChange) -> KeyRow;
    /// Enables or disables a key.
    fn enable_key(scope: Scope, id: CredentialId, enabled: bool) -> KeyRow;
    /// Deletes a key. How far its counters went stays.
    fn delete_key(scope: Scope, id: CredentialId) -> PublicId;
    /// The access code of a key's slot; reading it is an audit event.
    fn access_code(scope: Scope, id: CredentialId) -> Secret<6>;

    /// Creates a pending enrolment, or hands out the secrets of the one that the same request made.
    fn create_enrolment(scope: Scope, caller: Caller, new: NewEnrolment) -> EnrolmentSecrets;
    /// One enrolment.
    fn enrolment(tenant: TenantId, id: EnrolmentId) -> Option<EnrolmentRow>;
    /// Makes the credential active and spends the password, in one transaction.
    fn confirm_enrolment(scope: Scope, attempt: Attempt) -> KeyRow;
    /// The same for the pending enrolment whose public id the password begins with.
    fn confirm_by_password(scope: Scope, password: Password) -> KeyRow;
    /// Gives an enrolment up and forgets its secrets.
    fn abandon_enrolment(scope: Scope, caller: Caller, id: EnrolmentId) -> ();
    /// The access code that an enrolment drew, also after its end; reading it is an audit event.
    fn enrolment_access_code(scope: Scope, id: EnrolmentId) -> Secret<6>;
    /// Forgets the secrets of enrolments whose time is over; says how many.
    fn expire_enrolments(scope: Scope) -> u64;

    /// The public key for bundles; drawn where there is none yet.
    fn bundle_recipient(scope: Scope) -> String;
    /// The identity that opens bundles, where there is one.
    fn bundle_identity(tenant: TenantId) -> Option<BundleIdentity>;
    /// Takes the records of a bundle in: all of them, or none.
    fn import(scope: Scope, new: NewImport) -> Imported;

    /// Creates a client.
    fn create_client(scope: Scope, new: NewClient) -> ClientRow;
    /// Clients by number.
    fn clients(tenant: TenantId, page: PageRequest) -> Rows<ClientRow>;
    /// Enables or disables a client.
    fn enable_client(scope: Scope, id: ClientId, enabled: bool) -> ClientRow;
    /// Deletes a client.
    fn delete_client(scope: Scope, id: ClientId) -> ();

    /// Creates a token.
    fn create_token(scope: Scope, new: NewToken) -> TokenRow;
    /// Tokens by age.
    fn tokens(tenant: TenantId, page: PageRequest) -> Rows<TokenRow>;
    /// Revokes a token.
    fn revoke_token(scope: Scope, id: TokenId) -> ();

    /// Events, newest first.
    fn events(tenant: TenantId, filter: EventFilter, page: PageRequest) -> Rows<EventRow>;
    /// Writes an event down that comes with no other change.
    fn record_event(scope: Scope, event: Event) -> ();
    /// How much there is.
    fn counts(tenant: TenantId) -> Counts;
    /// Whether the store can write, which readiness means.
    fn ping() -> ();
}

impl Store {
    /// What kind of store it is.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "sqlite",
            Self::Postgres(_) => "postgresql",
        }
    }

    /// The version of its tables.
    pub(crate) const fn schema(&self) -> u32 {
        match self {
            Self::Sqlite(store) => store.schema(),
            Self::Postgres(store) => store.schema(),
        }
    }
}
