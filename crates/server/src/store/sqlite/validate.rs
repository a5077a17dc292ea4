//! Moving a counter: the statement that everything else stands on.

use rusqlite::{Connection, OptionalExtension};
use tapkey_domain::{
    id::{CredentialId, TenantId},
    verify::{Advance, Credential, Generations, Outcome, Stored},
};
use tapkey_protocol::{otp::PublicId, validation::Nonce};

use super::{SqliteStore, StoreError, columns, secrets};
use crate::vault::Vault;

/// One statement decides: it changes a row exactly if the credential and its account are enabled
/// and unchanged since they were read, and the counter is new.
const ADVANCE: &str = "
    UPDATE credentials
    SET counter = ?1, last_timestamp = ?2, last_used_at = ?3, last_nonce = ?4
    WHERE id = ?5 AND generation = ?6 AND state = 1 AND counter < ?1
      AND EXISTS (SELECT 1 FROM accounts
                  WHERE accounts.id = credentials.account AND accounts.active = 1 AND accounts.generation = ?7)";

/// Carries an advance out, or says why not.
pub(super) fn advance(db: &Connection, advance: &Advance) -> Result<Outcome, rusqlite::Error> {
    let changed = db.prepare_cached(ADVANCE)?.execute((
        advance.counter.value(),
        advance.timestamp.value(),
        columns::time(advance.at),
        advance.nonce.as_ref().map(Nonce::as_str),
        advance.credential.get(),
        advance.generations.credential,
        advance.generations.account,
    ))?;
    if changed == 1 {
        return Ok(Outcome::Accepted);
    }
    Ok(stored(db, advance.credential)?.map_or(Outcome::Disabled, |stored| stored.explain(advance)))
}

/// What an advance was compared with.
pub(super) fn stored(db: &Connection, id: CredentialId) -> Result<Option<Stored>, rusqlite::Error> {
    db.prepare_cached(
        "SELECT c.state, a.active, c.generation, a.generation, c.counter, c.last_nonce
         FROM credentials c JOIN accounts a ON a.id = c.account WHERE c.id = ?",
    )?
    .query_row([id.get()], |row| {
        let nonce: Option<String> = row.get(5)?;
        Ok(Stored {
            active: row.get::<_, i64>(0)? == 1,
            account_active: row.get::<_, i64>(1)? == 1,
            generations: Generations { credential: row.get(2)?, account: row.get(3)? },
            // Only compared for equality here; what does not fit is equal to nothing.
            counter: columns::counter(row.get(4)?).unwrap_or_default(),
            nonce: nonce.and_then(|nonce| nonce.parse().ok()),
        })
    })
    .optional()
}

impl SqliteStore {
    pub(crate) async fn credential(
        &self,
        tenant: TenantId,
        public_id: PublicId,
    ) -> Result<Option<Credential>, StoreError> {
        self.read(move |db, vault| credential(db, vault, tenant, public_id)).await
    }
}

const CREDENTIAL: &str = "
    SELECT c.id, c.state, a.active, c.generation, a.generation, c.account, a.name, c.label,
           c.counter, c.last_timestamp, c.last_used_at, s.data_key, s.secret
    FROM credentials c
    JOIN accounts a ON a.id = c.account
    JOIN credential_secrets s ON s.credential = c.id
    WHERE c.tenant = ? AND c.public_id = ? AND c.state <> 0";

fn credential(
    db: &Connection,
    vault: &Vault,
    tenant: TenantId,
    public_id: PublicId,
) -> Result<Option<Credential>, StoreError> {
    columns::one(db, CREDENTIAL, (tenant.get(), public_id.as_bytes()), |row| {
        let id = CredentialId::new(row.get(0)?);
        let key =
            vault.open_key(secrets::record(tenant, id), row.get_ref(11)?.as_blob().map_err(corrupt)?)?;
        let secret = secrets::open(&key, row.get_ref(12)?.as_blob().map_err(corrupt)?)?;
        let last = match (columns::counter(row.get(8)?)?, row.get(9)?, row.get(10)?) {
            (Some(counter), Some(timestamp), Some(at)) => Some(tapkey_domain::delay::Seen {
                counter,
                timestamp: columns::timestamp(timestamp)?,
                at: columns::moment(at),
            }),
            _ => None,
        };
        Ok(Credential {
            id,
            tenant,
            public_id,
            secret,
            enabled: row.get::<_, i64>(1)? == 1 && row.get::<_, i64>(2)? == 1,
            generations: Generations { credential: row.get(3)?, account: row.get(4)? },
            account: tapkey_domain::id::AccountId::new(row.get(5)?),
            account_name: row.get(6)?,
            label: row.get(7)?,
            last,
        })
    })
}

fn corrupt(_: rusqlite::types::FromSqlError) -> StoreError {
    StoreError::Corrupt("secret")
}
