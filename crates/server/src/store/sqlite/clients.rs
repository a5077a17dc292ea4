//! Clients of the validation protocol.

use rusqlite::{Connection, Row};
use tapkey_domain::{audit::Action, id::TenantId, verify::Client};
use tapkey_protocol::validation::{ApiKey, ClientId};

use super::{SqliteStore, StoreError, audit, columns};
use crate::{
    store::{
        ClientRow, NewClient, PageRequest, Rows, Scope,
        values::{client_id, client_number as number},
    },
    vault::Record,
};

const ROWS: &str = "SELECT id, label, active, created_at FROM clients WHERE tenant = ?";
const SECRET: &str = "secret";

impl SqliteStore {
    pub(crate) async fn client(&self, id: ClientId) -> Result<Option<Client>, StoreError> {
        self.read(move |db, vault| {
            let sql = "SELECT tenant, active, data_key, secret FROM clients WHERE id = ?";
            columns::one(db, sql, [number(id)], |row| {
                let tenant = TenantId::new(row.get(0)?);
                let (sealed_key, sealed): (Vec<u8>, Vec<u8>) = (row.get(2)?, row.get(3)?);
                let key = vault.open_key(record(tenant, number(id)), &sealed_key)?.open(SECRET, &sealed)?;
                let enabled = row.get::<_, i64>(1)? == 1;
                Ok(Client { id, tenant, enabled, key: ApiKey::new(key.to_vec()) })
            })
        })
        .await
    }

    pub(crate) async fn create_client(&self, scope: Scope, new: NewClient) -> Result<ClientRow, StoreError> {
        self.write(move |db, vault| {
            // The secret is bound to the number, so the row comes first and its secret second.
            db.prepare_cached(
                "INSERT INTO clients (tenant, active, label, data_key, secret, created_at)
                 VALUES (?, 1, ?, x'', x'', ?)",
            )?
            .execute((
                scope.tenant.get(),
                new.label.as_ref().map(|l| l.as_str()),
                columns::time(scope.now),
            ))?;
            let row_id = db.last_insert_rowid();
            let id = client_id(row_id)?;
            let (key, sealed_key) = vault.new_key(record(scope.tenant, row_id))?;
            let sealed = key.seal(SECRET, new.key.expose())?;
            db.prepare_cached("UPDATE clients SET data_key = ?, secret = ? WHERE id = ?")?
                .execute((sealed_key, sealed, row_id))?;
            audit::insert(db, &scope, &scope.event(Action::ClientCreated).subject(id))?;
            existing(db, scope.tenant, id)
        })
        .await
    }

    pub(crate) async fn clients(
        &self,
        tenant: TenantId,
        page: PageRequest,
    ) -> Result<Rows<ClientRow>, StoreError> {
        self.read(move |db, _| {
            let sql = format!("{ROWS} AND id > ? ORDER BY id LIMIT ?");
            let params = (tenant.get(), columns::after_number(&page, 0)?, columns::limit(&page));
            columns::page(db, &sql, params, &page, row, |client| client.id.to_string())
        })
        .await
    }

    pub(crate) async fn enable_client(
        &self,
        scope: Scope,
        id: ClientId,
        enabled: bool,
    ) -> Result<ClientRow, StoreError> {
        self.write(move |db, _| {
            let client = existing(db, scope.tenant, id)?;
            if client.enabled == enabled {
                return Ok(client);
            }
            db.prepare_cached("UPDATE clients SET active = ? WHERE id = ?")?
                .execute((i64::from(enabled), number(id)))?;
            let action = if enabled { Action::ClientEnabled } else { Action::ClientDisabled };
            audit::insert(db, &scope, &scope.event(action).subject(id))?;
            existing(db, scope.tenant, id)
        })
        .await
    }

    pub(crate) async fn delete_client(&self, scope: Scope, id: ClientId) -> Result<(), StoreError> {
        self.write(move |db, _| {
            existing(db, scope.tenant, id)?;
            db.prepare_cached("DELETE FROM clients WHERE id = ?")?.execute([number(id)])?;
            Ok(audit::insert(db, &scope, &scope.event(Action::ClientDeleted).subject(id))?)
        })
        .await
    }
}

const fn record(tenant: TenantId, id: i64) -> Record {
    Record { tenant, table: "clients", id }
}

fn existing(db: &Connection, tenant: TenantId, id: ClientId) -> Result<ClientRow, StoreError> {
    columns::one(db, &format!("{ROWS} AND id = ?"), (tenant.get(), number(id)), row)?
        .ok_or(StoreError::ClientNotFound)
}

fn row(row: &Row<'_>) -> Result<ClientRow, StoreError> {
    Ok(ClientRow {
        id: client_id(row.get(0)?)?,
        label: row.get(1)?,
        enabled: row.get::<_, i64>(2)? == 1,
        created_at: columns::moment(row.get(3)?),
    })
}
