//! Accounts.

use rusqlite::{Connection, Row};
use tapkey_domain::{
    audit::Action,
    id::{AccountId, TenantId},
    name::AccountName,
};

use super::{SqliteStore, StoreError, audit, columns};
use crate::{
    random,
    store::{AccountRow, PageRequest, Rows, Scope},
};

const ROWS: &str = "
    SELECT a.name, a.active, a.created_at,
           (SELECT count(*) FROM credentials c WHERE c.account = a.id AND c.state <> 0)
    FROM accounts a";

/// An account as other changes need it.
pub(super) struct Found {
    pub(super) id: AccountId,
    pub(super) active: bool,
}

/// Looks an account up by its name.
pub(super) fn find(db: &Connection, tenant: TenantId, name: &str) -> Result<Option<Found>, StoreError> {
    columns::one(
        db,
        "SELECT id, active FROM accounts WHERE tenant = ? AND name = ?",
        (tenant.get(), name),
        |row| Ok(Found { id: AccountId::new(row.get(0)?), active: row.get::<_, i64>(1)? == 1 }),
    )
}

/// The account of a name, which must be enabled.
pub(super) fn find_active(db: &Connection, tenant: TenantId, name: &str) -> Result<AccountId, StoreError> {
    match find(db, tenant, name)? {
        Some(found) if found.active => Ok(found.id),
        Some(_) => Err(StoreError::AccountDisabled),
        None => Err(StoreError::AccountNotFound),
    }
}

/// Creates an account.
pub(super) fn insert(db: &Connection, scope: &Scope, name: &AccountName) -> Result<AccountId, StoreError> {
    if find(db, scope.tenant, name.as_str())?.is_some() {
        return Err(StoreError::AccountExists);
    }
    let id = AccountId::from_random(random::bytes()?);
    db.prepare_cached(
        "INSERT INTO accounts (id, tenant, name, active, generation, created_at) VALUES (?, ?, ?, 1, 1, ?)",
    )?
    .execute((id.get(), scope.tenant.get(), name.as_str(), columns::time(scope.now)))?;
    audit::insert(db, scope, &scope.event(Action::AccountCreated).account(name))?;
    Ok(id)
}

impl SqliteStore {
    pub(crate) async fn create_account(
        &self,
        scope: Scope,
        name: AccountName,
    ) -> Result<AccountRow, StoreError> {
        self.write(move |db, _| {
            insert(db, &scope, &name)?;
            existing(db, scope.tenant, name.as_str())
        })
        .await
    }

    pub(crate) async fn account(
        &self,
        tenant: TenantId,
        name: String,
    ) -> Result<Option<AccountRow>, StoreError> {
        self.read(move |db, _| one(db, tenant, &name)).await
    }

    pub(crate) async fn accounts(
        &self,
        tenant: TenantId,
        page: PageRequest,
    ) -> Result<Rows<AccountRow>, StoreError> {
        self.read(move |db, _| {
            let sql = format!("{ROWS} WHERE a.tenant = ? AND a.name > ? ORDER BY a.name LIMIT ?");
            let after = page.after.clone().unwrap_or_default();
            let params = (tenant.get(), after, columns::limit(&page));
            columns::page(db, &sql, params, &page, row, |account| account.name.clone())
        })
        .await
    }

    pub(crate) async fn enable_account(
        &self,
        scope: Scope,
        name: String,
        enabled: bool,
    ) -> Result<AccountRow, StoreError> {
        self.write(move |db, _| {
            let found = find(db, scope.tenant, &name)?.ok_or(StoreError::AccountNotFound)?;
            // The generation moves both ways: what was decided before must be decided anew.
            let changed = db
                .prepare_cached(
                    "UPDATE accounts SET active = ?, generation = generation + 1 WHERE id = ? AND active <> ?1",
                )?
                .execute((i64::from(enabled), found.id.get()))?;
            if changed == 1 {
                let action = if enabled { Action::AccountEnabled } else { Action::AccountDisabled };
                audit::insert(db, &scope, &scope.event(action).account(&name))?;
            }
            existing(db, scope.tenant, &name)
        })
        .await
    }

    pub(crate) async fn delete_account(&self, scope: Scope, name: String) -> Result<(), StoreError> {
        self.write(move |db, _| {
            let found = find(db, scope.tenant, &name)?.ok_or(StoreError::AccountNotFound)?;
            let owns = "SELECT 1 FROM credentials WHERE account = ? LIMIT 1";
            if columns::one(db, owns, [found.id.get()], |_| Ok(()))?.is_some() {
                return Err(StoreError::AccountNotEmpty);
            }
            db.prepare_cached("DELETE FROM accounts WHERE id = ?")?.execute([found.id.get()])?;
            Ok(audit::insert(db, &scope, &scope.event(Action::AccountDeleted).account(&name))?)
        })
        .await
    }
}

fn one(db: &Connection, tenant: TenantId, name: &str) -> Result<Option<AccountRow>, StoreError> {
    columns::one(db, &format!("{ROWS} WHERE a.tenant = ? AND a.name = ?"), (tenant.get(), name), row)
}

fn existing(db: &Connection, tenant: TenantId, name: &str) -> Result<AccountRow, StoreError> {
    one(db, tenant, name)?.ok_or(StoreError::AccountNotFound)
}

fn row(row: &Row<'_>) -> Result<AccountRow, StoreError> {
    Ok(AccountRow {
        name: row.get(0)?,
        enabled: row.get::<_, i64>(1)? == 1,
        created_at: columns::moment(row.get(2)?),
        keys: columns::unsigned(row.get(3)?),
    })
}
