//! Keys: credentials that are not pending.

use rusqlite::{Connection, Row};
use tapkey_domain::{
    audit::Action,
    id::{CredentialId, TenantId},
    name::{AccountName, Label},
};
use tapkey_protocol::{
    otp::{Counter, PublicId},
    secret::Secret,
};

use super::{SqliteStore, StoreError, accounts, audit, columns, secrets};
use crate::{
    store::{KeyChange, KeyFilter, KeyRow, PageRequest, Rows, Scope},
    vault::Vault,
};

const ROWS: &str = "
    SELECT c.id, c.public_id, a.name, c.label, c.state, c.slot, c.serial, c.firmware, c.emulated,
           s.access_code IS NOT NULL, c.counter, c.created_at, c.last_used_at
    FROM credentials c
    JOIN accounts a ON a.id = c.account
    LEFT JOIN credential_secrets s ON s.credential = c.id
    WHERE c.tenant = ?1 AND c.state <> 0";

/// One key.
pub(super) fn one(db: &Connection, tenant: TenantId, id: CredentialId) -> Result<Option<KeyRow>, StoreError> {
    columns::one(db, &format!("{ROWS} AND c.id = ?2"), (tenant.get(), id.get()), row)
}

/// One key, which must be there.
pub(super) fn existing(db: &Connection, tenant: TenantId, id: CredentialId) -> Result<KeyRow, StoreError> {
    one(db, tenant, id)?.ok_or(StoreError::KeyNotFound)
}

/// How far the counters of this very secret went before it was deleted, where it was here before.
pub(super) fn high_water_mark(
    db: &Connection,
    tenant: TenantId,
    public_id: PublicId,
    fingerprint: &[u8; 32],
) -> Result<Option<Counter>, StoreError> {
    let sql = "SELECT counter FROM tombstones WHERE tenant = ? AND public_id = ? AND fingerprint = ?";
    let params = (tenant.get(), public_id.as_bytes(), fingerprint);
    Ok(columns::one(db, sql, params, |row| columns::counter(row.get(0)?))?.flatten())
}

impl SqliteStore {
    pub(crate) async fn key(&self, tenant: TenantId, id: CredentialId) -> Result<Option<KeyRow>, StoreError> {
        self.read(move |db, _| one(db, tenant, id)).await
    }

    pub(crate) async fn keys(
        &self,
        tenant: TenantId,
        filter: KeyFilter,
        page: PageRequest,
    ) -> Result<Rows<KeyRow>, StoreError> {
        self.read(move |db, _| {
            let (age, id) = columns::after_age(&page)?;
            let sql = format!(
                "{ROWS} AND (?2 IS NULL OR a.name = ?2) AND (?3 IS NULL OR c.public_id = ?3)
                 AND (c.created_at, c.id) > (?4, ?5) ORDER BY c.created_at, c.id LIMIT ?6"
            );
            let public_id = filter.public_id.as_ref().map(PublicId::as_bytes);
            let params = (tenant.get(), &filter.account, public_id, age, id, columns::limit(&page));
            columns::page(db, &sql, params, &page, row, |key| {
                columns::age_cursor(key.created_at, key.id.get())
            })
        })
        .await
    }

    pub(crate) async fn change_key(
        &self,
        scope: Scope,
        id: CredentialId,
        change: KeyChange,
    ) -> Result<KeyRow, StoreError> {
        self.write(move |db, _| {
            let key = existing(db, scope.tenant, id)?;
            if let Some(account) = change.account.filter(|account| account.as_str() != key.account) {
                reassign(db, &scope, &key, &account)?;
            }
            if let Some(label) = change.label {
                relabel(db, &scope, &key, label.as_ref().map(Label::as_str))?;
            }
            existing(db, scope.tenant, id)
        })
        .await
    }

    pub(crate) async fn enable_key(
        &self,
        scope: Scope,
        id: CredentialId,
        enabled: bool,
    ) -> Result<KeyRow, StoreError> {
        self.write(move |db, _| {
            let key = existing(db, scope.tenant, id)?;
            if key.enabled == enabled {
                return Ok(key);
            }
            let state = if enabled { 1 } else { 2 };
            db.prepare_cached("UPDATE credentials SET state = ?, generation = generation + 1 WHERE id = ?")?
                .execute((state, id.get()))?;
            let action = if enabled { Action::KeyEnabled } else { Action::KeyDisabled };
            audit::insert(db, &scope, &scope.event(action).account(&key.account).key(id))?;
            existing(db, scope.tenant, id)
        })
        .await
    }

    pub(crate) async fn delete_key(&self, scope: Scope, id: CredentialId) -> Result<PublicId, StoreError> {
        self.write(move |db, vault| {
            let key = existing(db, scope.tenant, id)?;
            leave_tombstone(db, vault, &scope, id, key.public_id)?;
            db.prepare_cached("DELETE FROM credentials WHERE id = ?")?.execute([id.get()])?;
            let event = scope.event(Action::KeyDeleted).account(&key.account).key(id);
            audit::insert(db, &scope, &event.detail(key.public_id))?;
            Ok(key.public_id)
        })
        .await
    }

    pub(crate) async fn access_code(&self, scope: Scope, id: CredentialId) -> Result<Secret<6>, StoreError> {
        self.write(move |db, vault| {
            let key = existing(db, scope.tenant, id)?;
            let (_, code) = secrets::read(db, vault, scope.tenant, id)?.ok_or(StoreError::NoAccessCode)?;
            let code = code.ok_or(StoreError::NoAccessCode)?;
            // Whoever gets the code is on record first: both are in one transaction.
            audit::insert(db, &scope, &scope.event(Action::AccessCodeRead).account(&key.account).key(id))?;
            Ok(code)
        })
        .await
    }
}

fn reassign(db: &Connection, scope: &Scope, key: &KeyRow, account: &AccountName) -> Result<(), StoreError> {
    let owner = accounts::find_active(db, scope.tenant, account.as_str())?;
    db.prepare_cached("UPDATE credentials SET account = ?, generation = generation + 1 WHERE id = ?")?
        .execute((owner.get(), key.id.get()))?;
    let event = scope.event(Action::KeyReassigned).account(account).key(key.id);
    Ok(audit::insert(db, scope, &event.detail(format_args!("from {}", key.account)))?)
}

fn relabel(db: &Connection, scope: &Scope, key: &KeyRow, label: Option<&str>) -> Result<(), StoreError> {
    if key.label.as_deref() == label {
        return Ok(());
    }
    db.prepare_cached("UPDATE credentials SET label = ?, generation = generation + 1 WHERE id = ?")?
        .execute((label, key.id.get()))?;
    let event = scope.event(Action::KeyRelabelled).account(&key.account).key(key.id);
    Ok(audit::insert(db, scope, &event.detail(label.unwrap_or("no label")))?)
}

/// How far the counters of a credential went, pending ones included.
pub(super) fn counter(db: &Connection, id: CredentialId) -> Result<Option<Counter>, StoreError> {
    let sql = "SELECT counter FROM credentials WHERE id = ?";
    Ok(columns::one(db, sql, [id.get()], |row| columns::counter(row.get(0)?))?.flatten())
}

/// Should the same secret ever come back (an import, a restored slot), its spent passwords stay
/// spent.
pub(super) fn leave_tombstone(
    db: &Connection,
    vault: &Vault,
    scope: &Scope,
    id: CredentialId,
    public_id: PublicId,
) -> Result<(), StoreError> {
    let Some(counter) = counter(db, id)? else { return Ok(()) };
    let Some((secret, _)) = secrets::read(db, vault, scope.tenant, id)? else { return Ok(()) };
    db.prepare_cached(
        "INSERT INTO tombstones (tenant, public_id, fingerprint, counter, deleted_at) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (tenant, public_id, fingerprint)
         DO UPDATE SET counter = max(counter, excluded.counter), deleted_at = excluded.deleted_at",
    )?
    .execute((
        scope.tenant.get(),
        public_id.as_bytes(),
        secrets::fingerprint(vault, &secret)?,
        counter.value(),
        columns::time(scope.now),
    ))?;
    Ok(())
}

fn row(row: &Row<'_>) -> Result<KeyRow, StoreError> {
    let serial: Option<i64> = row.get(6)?;
    let last_used_at: Option<i64> = row.get(12)?;
    Ok(KeyRow {
        id: CredentialId::new(row.get(0)?),
        public_id: columns::public_id(&row.get::<_, Vec<u8>>(1)?)?,
        account: row.get(2)?,
        label: row.get(3)?,
        enabled: row.get::<_, i64>(4)? == 1,
        slot: columns::number(row.get(5)?, "slot")?,
        serial: serial.map(|serial| columns::number(serial, "serial")).transpose()?,
        firmware: row.get(7)?,
        emulated: row.get::<_, i64>(8)? == 1,
        has_access_code: row.get::<_, i64>(9)? == 1,
        counter: columns::counter(row.get(10)?)?.unwrap_or(Counter::ZERO),
        created_at: columns::moment(row.get(11)?),
        last_used_at: last_used_at.map(columns::moment),
    })
}
