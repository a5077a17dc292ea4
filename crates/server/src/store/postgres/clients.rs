//! Clients of the validation protocol.

use tapkey_domain::{audit::Action, id::TenantId, verify::Client};
use tapkey_protocol::validation::{ApiKey, ClientId};

use super::{
    PostgresStore, StoreError, audit,
    pool::{change, query},
    sql::{Columns, Db, boolean, bytes, int8, text},
};
use crate::{
    store::{
        ClientRow, NewClient, PageRequest, Rows, Scope,
        values::{self, client_id, client_number as number},
    },
    vault::Record,
};

const ROWS: &str = "SELECT id, label, active, created_at FROM clients WHERE tenant = $1";
const SECRET: &str = "secret";

impl PostgresStore {
    pub(crate) async fn client(&self, id: ClientId) -> Result<Option<Client>, StoreError> {
        let row_id = number(id);
        let sql = "SELECT tenant, active, data_key, secret FROM clients WHERE id = $1";
        query!(self, |db| {
            db.one(sql, &[int8(&row_id)], |row| {
                let tenant = TenantId::new(row.get(0)?);
                let (sealed_key, sealed): (&[u8], &[u8]) = (row.get(2)?, row.get(3)?);
                let key = self.vault.open_key(record(tenant, row_id), sealed_key)?.open(SECRET, sealed)?;
                Ok(Client { id, tenant, enabled: row.get(1)?, key: ApiKey::new(key.to_vec()) })
            })
            .await
        })
    }

    pub(crate) async fn create_client(&self, scope: Scope, new: NewClient) -> Result<ClientRow, StoreError> {
        let (tenant, now) = (scope.tenant.get(), values::time(scope.now));
        let label = new.label.as_ref().map(|label| label.as_str());
        change!(self, |db| {
            // The secret is bound to the number, so the row comes first and its secret second.
            let sql = "INSERT INTO clients (tenant, active, label, data_key, secret, created_at)
                       VALUES ($1, true, $2, '', '', $3) RETURNING id";
            let params = [int8(&tenant), text(&label), int8(&now)];
            let row_id: i64 =
                db.one(sql, &params, |row| row.get(0)).await?.ok_or(StoreError::Corrupt("id"))?;
            let id = client_id(row_id)?;
            let (key, sealed_key) = self.vault.new_key(record(scope.tenant, row_id))?;
            let sealed = key.seal(SECRET, new.key.expose())?;
            let sql = "UPDATE clients SET data_key = $1, secret = $2 WHERE id = $3";
            db.execute(sql, &[bytes(&sealed_key), bytes(&sealed), int8(&row_id)]).await?;
            audit::insert(&db, &scope, &scope.event(Action::ClientCreated).subject(id)).await?;
            existing(&db, scope.tenant, id).await
        })
    }

    pub(crate) async fn clients(
        &self,
        tenant: TenantId,
        page: PageRequest,
    ) -> Result<Rows<ClientRow>, StoreError> {
        let sql = format!("{ROWS} AND id > $2 ORDER BY id LIMIT $3");
        let (tenant, after, limit) = (tenant.get(), values::after_number(&page, 0)?, values::limit(&page));
        let params = [int8(&tenant), int8(&after), int8(&limit)];
        query!(self, |db| { db.page(&sql, &params, &page, row, |client| client.id.to_string()).await })
    }

    pub(crate) async fn enable_client(
        &self,
        scope: Scope,
        id: ClientId,
        enabled: bool,
    ) -> Result<ClientRow, StoreError> {
        let row_id = number(id);
        change!(self, |db| {
            let client = existing(&db, scope.tenant, id).await?;
            if client.enabled == enabled {
                return Ok(client);
            }
            let sql = "UPDATE clients SET active = $1 WHERE id = $2";
            db.execute(sql, &[boolean(&enabled), int8(&row_id)]).await?;
            let action = if enabled { Action::ClientEnabled } else { Action::ClientDisabled };
            audit::insert(&db, &scope, &scope.event(action).subject(id)).await?;
            existing(&db, scope.tenant, id).await
        })
    }

    pub(crate) async fn delete_client(&self, scope: Scope, id: ClientId) -> Result<(), StoreError> {
        let row_id = number(id);
        change!(self, |db| {
            existing(&db, scope.tenant, id).await?;
            db.execute("DELETE FROM clients WHERE id = $1", &[int8(&row_id)]).await?;
            audit::insert(&db, &scope, &scope.event(Action::ClientDeleted).subject(id)).await
        })
    }
}

const fn record(tenant: TenantId, id: i64) -> Record {
    Record { tenant, table: "clients", id }
}

async fn existing(db: &Db<'_>, tenant: TenantId, id: ClientId) -> Result<ClientRow, StoreError> {
    let (tenant, id) = (tenant.get(), number(id));
    let found = db.one(&format!("{ROWS} AND id = $2"), &[int8(&tenant), int8(&id)], row).await?;
    found.ok_or(StoreError::ClientNotFound)
}

fn row(row: &Columns<'_>) -> Result<ClientRow, StoreError> {
    Ok(ClientRow {
        id: client_id(row.get(0)?)?,
        label: row.get(1)?,
        enabled: row.get(2)?,
        created_at: values::moment(row.get(3)?),
    })
}
