//! Bearer tokens.

use rusqlite::{Connection, Row};
use tapkey_domain::{
    audit::Action,
    id::{TenantId, TokenId},
    role::Role,
};

use super::{SqliteStore, StoreError, audit, columns};
use crate::store::{NewToken, PageRequest, Rows, Scope, TokenRecord, TokenRow, values::role};

const ROWS: &str =
    "SELECT id, role, label, created_at, expires_at FROM tokens WHERE tenant = ? AND revoked_at IS NULL";

impl SqliteStore {
    pub(crate) async fn token(&self, id: TokenId) -> Result<Option<TokenRecord>, StoreError> {
        self.read(move |db, _| {
            let sql = "SELECT tenant, role, hash, expires_at FROM tokens WHERE id = ? AND revoked_at IS NULL";
            columns::one(db, sql, [id.get()], |row| {
                Ok(TokenRecord {
                    id,
                    tenant: TenantId::new(row.get(0)?),
                    role: role(&row.get::<_, String>(1)?)?,
                    hash: columns::hash(&row.get::<_, Vec<u8>>(2)?, "hash")?,
                    expires_at: row.get::<_, Option<i64>>(3)?.map(columns::moment),
                })
            })
        })
        .await
    }

    pub(crate) async fn create_token(&self, scope: Scope, new: NewToken) -> Result<TokenRow, StoreError> {
        self.write(move |db, _| {
            insert(db, &scope, &new)?;
            existing(db, scope.tenant, new.id)
        })
        .await
    }

    pub(crate) async fn tokens(
        &self,
        tenant: TenantId,
        page: PageRequest,
    ) -> Result<Rows<TokenRow>, StoreError> {
        self.read(move |db, _| {
            let (age, id) = columns::after_age(&page)?;
            let sql = format!("{ROWS} AND (created_at, id) > (?, ?) ORDER BY created_at, id LIMIT ?");
            let params = (tenant.get(), age, id, columns::limit(&page));
            columns::page(db, &sql, params, &page, row, |token| {
                columns::age_cursor(token.created_at, token.id.get())
            })
        })
        .await
    }

    pub(crate) async fn revoke_token(&self, scope: Scope, id: TokenId) -> Result<(), StoreError> {
        self.write(move |db, _| {
            let token = existing(db, scope.tenant, id)?;
            if token.role == Role::Admin && token.expires_at.is_none() && is_last_admin(db, &scope, id)? {
                return Err(StoreError::LastAdministrator);
            }
            db.prepare_cached("UPDATE tokens SET revoked_at = ? WHERE id = ?")?
                .execute((columns::time(scope.now), id.get()))?;
            Ok(audit::insert(db, &scope, &scope.event(Action::TokenRevoked).subject(id))?)
        })
        .await
    }
}

/// Stores a new token.
pub(super) fn insert(db: &Connection, scope: &Scope, new: &NewToken) -> Result<(), rusqlite::Error> {
    db.prepare_cached(
        "INSERT INTO tokens (id, tenant, role, label, hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute((
        new.id.get(),
        scope.tenant.get(),
        new.role.as_str(),
        new.label.as_ref().map(|label| label.as_str()),
        new.hash,
        columns::time(scope.now),
        new.expires_at.map(columns::time),
    ))?;
    let event = scope.event(Action::TokenCreated).subject(new.id).detail(new.role.as_str());
    audit::insert(db, scope, &event)
}

fn is_last_admin(db: &Connection, scope: &Scope, id: TokenId) -> Result<bool, StoreError> {
    let others = "SELECT 1 FROM tokens WHERE tenant = ? AND role = 'admin' AND revoked_at IS NULL
                  AND expires_at IS NULL AND id <> ? LIMIT 1";
    Ok(columns::one(db, others, (scope.tenant.get(), id.get()), |_| Ok(()))?.is_none())
}

fn existing(db: &Connection, tenant: TenantId, id: TokenId) -> Result<TokenRow, StoreError> {
    columns::one(db, &format!("{ROWS} AND id = ?"), (tenant.get(), id.get()), row)?
        .ok_or(StoreError::TokenNotFound)
}

fn row(row: &Row<'_>) -> Result<TokenRow, StoreError> {
    Ok(TokenRow {
        id: TokenId::new(row.get(0)?),
        role: role(&row.get::<_, String>(1)?)?,
        label: row.get(2)?,
        created_at: columns::moment(row.get(3)?),
        expires_at: row.get::<_, Option<i64>>(4)?.map(columns::moment),
    })
}
