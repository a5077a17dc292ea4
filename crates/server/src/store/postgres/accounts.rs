//! Accounts.

use tapkey_domain::{
    audit::Action,
    id::{AccountId, TenantId},
    name::AccountName,
};

use super::{
    PostgresStore, StoreError, audit,
    pool::{change, query},
    sql::{Columns, Db, boolean, int8, text},
};
use crate::{
    random,
    store::{AccountRow, PageRequest, Rows, Scope, values},
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
pub(super) async fn find(db: &Db<'_>, tenant: TenantId, name: &str) -> Result<Option<Found>, StoreError> {
    let tenant = tenant.get();
    let sql = "SELECT id, active FROM accounts WHERE tenant = $1 AND name = $2";
    db.one(sql, &[int8(&tenant), text(&name)], |row| {
        Ok(Found { id: AccountId::new(row.get(0)?), active: row.get(1)? })
    })
    .await
}

/// The account of a name, which must be enabled.
pub(super) async fn find_active(db: &Db<'_>, tenant: TenantId, name: &str) -> Result<AccountId, StoreError> {
    match find(db, tenant, name).await? {
        Some(found) if found.active => Ok(found.id),
        Some(_) => Err(StoreError::AccountDisabled),
        None => Err(StoreError::AccountNotFound),
    }
}

/// Creates an account.
pub(super) async fn insert(db: &Db<'_>, scope: &Scope, name: &AccountName) -> Result<AccountId, StoreError> {
    if find(db, scope.tenant, name.as_str()).await?.is_some() {
        return Err(StoreError::AccountExists);
    }
    let id = AccountId::from_random(random::bytes()?);
    let (number, tenant, text_name, now) =
        (id.get(), scope.tenant.get(), name.as_str(), values::time(scope.now));
    let sql = "INSERT INTO accounts (id, tenant, name, active, generation, created_at)
               VALUES ($1, $2, $3, true, 1, $4)";
    db.execute(sql, &[int8(&number), int8(&tenant), text(&text_name), int8(&now)]).await?;
    audit::insert(db, scope, &scope.event(Action::AccountCreated).account(name)).await?;
    Ok(id)
}

impl PostgresStore {
    pub(crate) async fn create_account(
        &self,
        scope: Scope,
        name: AccountName,
    ) -> Result<AccountRow, StoreError> {
        change!(self, |db| {
            insert(&db, &scope, &name).await?;
            existing(&db, scope.tenant, name.as_str()).await
        })
    }

    pub(crate) async fn account(
        &self,
        tenant: TenantId,
        name: String,
    ) -> Result<Option<AccountRow>, StoreError> {
        query!(self, |db| { one(&db, tenant, &name).await })
    }

    pub(crate) async fn accounts(
        &self,
        tenant: TenantId,
        page: PageRequest,
    ) -> Result<Rows<AccountRow>, StoreError> {
        let sql = format!("{ROWS} WHERE a.tenant = $1 AND a.name > $2 ORDER BY a.name LIMIT $3");
        let (tenant, after, limit) =
            (tenant.get(), page.after.clone().unwrap_or_default(), values::limit(&page));
        let params = [int8(&tenant), text(&after), int8(&limit)];
        query!(self, |db| { db.page(&sql, &params, &page, row, |account| account.name.clone()).await })
    }

    pub(crate) async fn enable_account(
        &self,
        scope: Scope,
        name: String,
        enabled: bool,
    ) -> Result<AccountRow, StoreError> {
        change!(self, |db| {
            let found = find(&db, scope.tenant, &name).await?.ok_or(StoreError::AccountNotFound)?;
            let id = found.id.get();
            // The generation moves both ways: what was decided before must be decided anew.
            let sql = "UPDATE accounts SET active = $1, generation = generation + 1
                       WHERE id = $2 AND active <> $1";
            if db.execute(sql, &[boolean(&enabled), int8(&id)]).await? == 1 {
                let action = if enabled { Action::AccountEnabled } else { Action::AccountDisabled };
                audit::insert(&db, &scope, &scope.event(action).account(&name)).await?;
            }
            existing(&db, scope.tenant, &name).await
        })
    }

    pub(crate) async fn delete_account(&self, scope: Scope, name: String) -> Result<(), StoreError> {
        change!(self, |db| {
            let found = find(&db, scope.tenant, &name).await?.ok_or(StoreError::AccountNotFound)?;
            let id = found.id.get();
            if db.exists("SELECT 1 FROM credentials WHERE account = $1 LIMIT 1", &[int8(&id)]).await? {
                return Err(StoreError::AccountNotEmpty);
            }
            db.execute("DELETE FROM accounts WHERE id = $1", &[int8(&id)]).await?;
            audit::insert(&db, &scope, &scope.event(Action::AccountDeleted).account(&name)).await
        })
    }
}

async fn one(db: &Db<'_>, tenant: TenantId, name: &str) -> Result<Option<AccountRow>, StoreError> {
    let tenant = tenant.get();
    let sql = format!("{ROWS} WHERE a.tenant = $1 AND a.name = $2");
    db.one(&sql, &[int8(&tenant), text(&name)], row).await
}

async fn existing(db: &Db<'_>, tenant: TenantId, name: &str) -> Result<AccountRow, StoreError> {
    one(db, tenant, name).await?.ok_or(StoreError::AccountNotFound)
}

fn row(row: &Columns<'_>) -> Result<AccountRow, StoreError> {
    Ok(AccountRow {
        name: row.get(0)?,
        enabled: row.get(1)?,
        created_at: values::moment(row.get(2)?),
        keys: values::unsigned(row.get(3)?),
    })
}
