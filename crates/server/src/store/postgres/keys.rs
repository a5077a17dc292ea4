//! Keys: credentials that are not pending.

use tapkey_domain::{
    audit::Action,
    id::{CredentialId, TenantId},
    name::AccountName,
};
use tapkey_protocol::{
    otp::{Counter, PublicId},
    secret::Secret,
};

use super::{
    PostgresStore, StoreError, accounts, audit,
    pool::{change, query},
    secrets,
    sql::{Columns, Db, bytes, int2, int8, text},
};
use crate::{
    store::{KeyChange, KeyFilter, KeyRow, PageRequest, Rows, Scope, sealed, values},
    vault::Vault,
};

const ROWS: &str = "
    SELECT c.id, c.public_id, a.name, c.label, c.state, c.slot, c.serial, c.firmware, c.emulated,
           s.access_code IS NOT NULL, c.counter, c.created_at, c.last_used_at
    FROM credentials c
    JOIN accounts a ON a.id = c.account
    LEFT JOIN credential_secrets s ON s.credential = c.id
    WHERE c.tenant = $1 AND c.state <> 0";

/// One key.
pub(super) async fn one(
    db: &Db<'_>,
    tenant: TenantId,
    id: CredentialId,
) -> Result<Option<KeyRow>, StoreError> {
    let (tenant, id) = (tenant.get(), id.get());
    db.one(&format!("{ROWS} AND c.id = $2"), &[int8(&tenant), int8(&id)], row).await
}

/// One key, which must be there.
pub(super) async fn existing(db: &Db<'_>, tenant: TenantId, id: CredentialId) -> Result<KeyRow, StoreError> {
    one(db, tenant, id).await?.ok_or(StoreError::KeyNotFound)
}

/// How far the counters of this very secret went before it was deleted, where it was here before.
pub(super) async fn high_water_mark(
    db: &Db<'_>,
    tenant: TenantId,
    public_id: PublicId,
    fingerprint: &[u8; 32],
) -> Result<Option<Counter>, StoreError> {
    let sql = "SELECT counter FROM tombstones WHERE tenant = $1 AND public_id = $2 AND fingerprint = $3";
    let (tenant, id, fingerprint) = (tenant.get(), public_id.as_bytes(), fingerprint.as_slice());
    let params = [int8(&tenant), bytes(&id), bytes(&fingerprint)];
    Ok(db.one(sql, &params, |row| values::counter(row.get(0)?)).await?.flatten())
}

impl PostgresStore {
    pub(crate) async fn key(&self, tenant: TenantId, id: CredentialId) -> Result<Option<KeyRow>, StoreError> {
        query!(self, |db| { one(&db, tenant, id).await })
    }

    pub(crate) async fn keys(
        &self,
        tenant: TenantId,
        filter: KeyFilter,
        page: PageRequest,
    ) -> Result<Rows<KeyRow>, StoreError> {
        let sql = format!(
            "{ROWS} AND ($2::text IS NULL OR a.name = $2) AND ($3::bytea IS NULL OR c.public_id = $3)
             AND (c.created_at, c.id) > ($4, $5) ORDER BY c.created_at, c.id LIMIT $6"
        );
        let public_id = filter.public_id.as_ref().map(PublicId::as_bytes);
        let (tenant, (age, id), limit) = (tenant.get(), values::after_age(&page)?, values::limit(&page));
        let params =
            [int8(&tenant), text(&filter.account), bytes(&public_id), int8(&age), int8(&id), int8(&limit)];
        query!(self, |db| {
            let cursor = |key: &KeyRow| values::age_cursor(key.created_at, key.id.get());
            db.page(&sql, &params, &page, row, cursor).await
        })
    }

    pub(crate) async fn change_key(
        &self,
        scope: Scope,
        id: CredentialId,
        change: KeyChange,
    ) -> Result<KeyRow, StoreError> {
        change!(self, |db| {
            let key = existing(&db, scope.tenant, id).await?;
            match &change.account {
                Some(account) if account.as_str() != key.account => {
                    reassign(&db, &scope, &key, account).await?;
                }
                _ => {}
            }
            if let Some(label) = &change.label {
                let label = label.as_ref().map(|label| label.as_str());
                relabel(&db, &scope, &key, label).await?;
            }
            existing(&db, scope.tenant, id).await
        })
    }

    pub(crate) async fn enable_key(
        &self,
        scope: Scope,
        id: CredentialId,
        enabled: bool,
    ) -> Result<KeyRow, StoreError> {
        let (number, state) = (id.get(), if enabled { 1_i16 } else { 2 });
        change!(self, |db| {
            let key = existing(&db, scope.tenant, id).await?;
            if key.enabled == enabled {
                return Ok(key);
            }
            let sql = "UPDATE credentials SET state = $1, generation = generation + 1 WHERE id = $2";
            db.execute(sql, &[int2(&state), int8(&number)]).await?;
            let action = if enabled { Action::KeyEnabled } else { Action::KeyDisabled };
            audit::insert(&db, &scope, &scope.event(action).account(&key.account).key(id)).await?;
            existing(&db, scope.tenant, id).await
        })
    }

    pub(crate) async fn delete_key(&self, scope: Scope, id: CredentialId) -> Result<PublicId, StoreError> {
        let number = id.get();
        change!(self, |db| {
            let key = existing(&db, scope.tenant, id).await?;
            leave_tombstone(&db, &self.vault, &scope, id, key.public_id).await?;
            db.execute("DELETE FROM credentials WHERE id = $1", &[int8(&number)]).await?;
            let event = scope.event(Action::KeyDeleted).account(&key.account).key(id);
            audit::insert(&db, &scope, &event.detail(key.public_id)).await?;
            Ok(key.public_id)
        })
    }

    pub(crate) async fn access_code(&self, scope: Scope, id: CredentialId) -> Result<Secret<6>, StoreError> {
        change!(self, |db| {
            let key = existing(&db, scope.tenant, id).await?;
            let found = secrets::read(&db, &self.vault, scope.tenant, id).await?;
            let code = found.and_then(|(_, code)| code).ok_or(StoreError::NoAccessCode)?;
            // Whoever gets the code is on record first: both are in one transaction.
            let event = scope.event(Action::AccessCodeRead).account(&key.account).key(id);
            audit::insert(&db, &scope, &event).await?;
            Ok(code)
        })
    }
}

async fn reassign(db: &Db<'_>, scope: &Scope, key: &KeyRow, account: &AccountName) -> Result<(), StoreError> {
    let owner = accounts::find_active(db, scope.tenant, account.as_str()).await?.get();
    let id = key.id.get();
    let sql = "UPDATE credentials SET account = $1, generation = generation + 1 WHERE id = $2";
    db.execute(sql, &[int8(&owner), int8(&id)]).await?;
    let event = scope.event(Action::KeyReassigned).account(account).key(key.id);
    let event = event.detail(format_args!("from {}", key.account));
    audit::insert(db, scope, &event).await
}

async fn relabel(db: &Db<'_>, scope: &Scope, key: &KeyRow, label: Option<&str>) -> Result<(), StoreError> {
    if key.label.as_deref() == label {
        return Ok(());
    }
    let id = key.id.get();
    let sql = "UPDATE credentials SET label = $1, generation = generation + 1 WHERE id = $2";
    db.execute(sql, &[text(&label), int8(&id)]).await?;
    let event = scope.event(Action::KeyRelabelled).account(&key.account).key(key.id);
    audit::insert(db, scope, &event.detail(label.unwrap_or("no label"))).await
}

/// How far the counters of a credential went, pending ones included.
pub(super) async fn counter(db: &Db<'_>, id: CredentialId) -> Result<Option<Counter>, StoreError> {
    let id = id.get();
    let sql = "SELECT counter FROM credentials WHERE id = $1";
    Ok(db.one(sql, &[int8(&id)], |row| values::counter(row.get(0)?)).await?.flatten())
}

/// Should the same secret ever come back (an import, a restored slot), its spent passwords stay
/// spent.
pub(super) async fn leave_tombstone(
    db: &Db<'_>,
    vault: &Vault,
    scope: &Scope,
    id: CredentialId,
    public_id: PublicId,
) -> Result<(), StoreError> {
    let Some(counter) = counter(db, id).await? else { return Ok(()) };
    let Some((secret, _)) = secrets::read(db, vault, scope.tenant, id).await? else { return Ok(()) };
    let sql = "INSERT INTO tombstones (tenant, public_id, fingerprint, counter, deleted_at)
               VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (tenant, public_id, fingerprint)
               DO UPDATE SET counter = greatest(tombstones.counter, excluded.counter),
                             deleted_at = excluded.deleted_at";
    let (tenant, public_id) = (scope.tenant.get(), public_id.as_bytes());
    let fingerprint = sealed::fingerprint(vault, &secret)?;
    let fingerprint = fingerprint.as_slice();
    let (counter, now) = (i64::from(counter.value()), values::time(scope.now));
    let params = [int8(&tenant), bytes(&public_id), bytes(&fingerprint), int8(&counter), int8(&now)];
    db.execute(sql, &params).await.map(drop)
}

fn row(row: &Columns<'_>) -> Result<KeyRow, StoreError> {
    let serial: Option<i64> = row.get(6)?;
    let last_used_at: Option<i64> = row.get(12)?;
    Ok(KeyRow {
        id: CredentialId::new(row.get(0)?),
        public_id: values::public_id(row.get(1)?)?,
        account: row.get(2)?,
        label: row.get(3)?,
        enabled: row.get::<i16>(4)? == 1,
        slot: values::number(row.get::<i16>(5)?.into(), "slot")?,
        serial: serial.map(|serial| values::number(serial, "serial")).transpose()?,
        firmware: row.get(7)?,
        emulated: row.get(8)?,
        has_access_code: row.get(9)?,
        counter: values::counter(row.get(10)?)?.unwrap_or(Counter::ZERO),
        created_at: values::moment(row.get(11)?),
        last_used_at: last_used_at.map(values::moment),
    })
}
