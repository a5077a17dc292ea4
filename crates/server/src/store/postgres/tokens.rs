//! Bearer tokens.

use tapkey_domain::{
    audit::Action,
    id::{TenantId, TokenId},
    role::Role,
};

use super::{
    PostgresStore, StoreError, audit,
    pool::{change, query},
    sql::{Columns, Db, bytes, int8, text},
};
use crate::store::{
    NewToken, PageRequest, Rows, Scope, TokenRecord, TokenRow,
    values::{self, role},
};

const ROWS: &str =
    "SELECT id, role, label, created_at, expires_at FROM tokens WHERE tenant = $1 AND revoked_at IS NULL";

impl PostgresStore {
    pub(crate) async fn token(&self, id: TokenId) -> Result<Option<TokenRecord>, StoreError> {
        let number = id.get();
        let sql = "SELECT tenant, role, hash, expires_at FROM tokens WHERE id = $1 AND revoked_at IS NULL";
        query!(self, |db| {
            db.one(sql, &[int8(&number)], |row| {
                Ok(TokenRecord {
                    id,
                    tenant: TenantId::new(row.get(0)?),
                    role: role(row.get(1)?)?,
                    hash: values::hash(row.get(2)?, "hash")?,
                    expires_at: row.get::<Option<i64>>(3)?.map(values::moment),
                })
            })
            .await
        })
    }

    pub(crate) async fn create_token(&self, scope: Scope, new: NewToken) -> Result<TokenRow, StoreError> {
        change!(self, |db| {
            insert(&db, &scope, &new).await?;
            existing(&db, scope.tenant, new.id).await
        })
    }

    pub(crate) async fn tokens(
        &self,
        tenant: TenantId,
        page: PageRequest,
    ) -> Result<Rows<TokenRow>, StoreError> {
        let sql = format!("{ROWS} AND (created_at, id) > ($2, $3) ORDER BY created_at, id LIMIT $4");
        let (tenant, (age, id), limit) = (tenant.get(), values::after_age(&page)?, values::limit(&page));
        let params = [int8(&tenant), int8(&age), int8(&id), int8(&limit)];
        query!(self, |db| {
            let cursor = |token: &TokenRow| values::age_cursor(token.created_at, token.id.get());
            db.page(&sql, &params, &page, row, cursor).await
        })
    }

    pub(crate) async fn revoke_token(&self, scope: Scope, id: TokenId) -> Result<(), StoreError> {
        let (number, now) = (id.get(), values::time(scope.now));
        change!(self, |db| {
            let token = existing(&db, scope.tenant, id).await?;
            let stays = token.role == Role::Admin && token.expires_at.is_none();
            if stays && is_last_admin(&db, &scope, id).await? {
                return Err(StoreError::LastAdministrator);
            }
            let sql = "UPDATE tokens SET revoked_at = $1 WHERE id = $2";
            db.execute(sql, &[int8(&now), int8(&number)]).await?;
            audit::insert(&db, &scope, &scope.event(Action::TokenRevoked).subject(id)).await
        })
    }
}

/// Stores a new token.
pub(super) async fn insert(db: &Db<'_>, scope: &Scope, new: &NewToken) -> Result<(), StoreError> {
    let sql = "INSERT INTO tokens (id, tenant, role, label, hash, created_at, expires_at)
               VALUES ($1, $2, $3, $4, $5, $6, $7)";
    let (id, tenant, now) = (new.id.get(), scope.tenant.get(), values::time(scope.now));
    let (role, label) = (new.role.as_str(), new.label.as_ref().map(|label| label.as_str()));
    let (hash, expires_at) = (new.hash.as_slice(), new.expires_at.map(values::time));
    let params =
        [int8(&id), int8(&tenant), text(&role), text(&label), bytes(&hash), int8(&now), int8(&expires_at)];
    db.execute(sql, &params).await?;
    let event = scope.event(Action::TokenCreated).subject(new.id).detail(new.role.as_str());
    audit::insert(db, scope, &event).await
}

async fn is_last_admin(db: &Db<'_>, scope: &Scope, id: TokenId) -> Result<bool, StoreError> {
    let others = "SELECT 1 FROM tokens WHERE tenant = $1 AND role = 'admin' AND revoked_at IS NULL
                  AND expires_at IS NULL AND id <> $2 LIMIT 1";
    let (tenant, id) = (scope.tenant.get(), id.get());
    Ok(!db.exists(others, &[int8(&tenant), int8(&id)]).await?)
}

async fn existing(db: &Db<'_>, tenant: TenantId, id: TokenId) -> Result<TokenRow, StoreError> {
    let (tenant, id) = (tenant.get(), id.get());
    let found = db.one(&format!("{ROWS} AND id = $2"), &[int8(&tenant), int8(&id)], row).await?;
    found.ok_or(StoreError::TokenNotFound)
}

fn row(row: &Columns<'_>) -> Result<TokenRow, StoreError> {
    Ok(TokenRow {
        id: TokenId::new(row.get(0)?),
        role: role(row.get(1)?)?,
        label: row.get(2)?,
        created_at: values::moment(row.get(3)?),
        expires_at: row.get::<Option<i64>>(4)?.map(values::moment),
    })
}
