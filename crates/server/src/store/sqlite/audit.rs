//! Audit events.

use rusqlite::{Connection, Row};
use tapkey_domain::{audit::Event, id::TenantId};

use super::{SqliteStore, StoreError, columns};
use crate::store::{EventFilter, EventRow, PageRequest, Rows, Scope};

/// Writes an event down, in the transaction of the change it tells of.
pub(super) fn insert(db: &Connection, scope: &Scope, event: &Event) -> Result<(), rusqlite::Error> {
    db.prepare_cached(
        "INSERT INTO audit (tenant, at, actor, action, account, key, subject, detail)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
    )?
    .execute((
        scope.tenant.get(),
        columns::time(scope.now),
        event.actor.to_string(),
        event.action.as_str(),
        &event.account,
        event.key.map(|key| key.to_string()),
        &event.subject,
        &event.detail,
    ))?;
    Ok(())
}

impl SqliteStore {
    pub(crate) async fn record_event(&self, scope: Scope, event: Event) -> Result<(), StoreError> {
        self.write(move |db, _| Ok(insert(db, &scope, &event)?)).await
    }

    pub(crate) async fn events(
        &self,
        tenant: TenantId,
        filter: EventFilter,
        page: PageRequest,
    ) -> Result<Rows<EventRow>, StoreError> {
        self.read(move |db, _| {
            let sql = "SELECT id, at, actor, action, account, key, subject, detail FROM audit
                 WHERE tenant = ?1 AND (?2 IS NULL OR action = ?2) AND (?3 IS NULL OR account = ?3)
                   AND (?4 IS NULL OR key = ?4) AND (?5 IS NULL OR actor = ?5)
                   AND (?6 IS NULL OR at >= ?6) AND (?7 IS NULL OR at < ?7)
                   AND id < ?8 ORDER BY id DESC LIMIT ?9";
            let params = (
                tenant.get(),
                &filter.action,
                &filter.account,
                &filter.key,
                &filter.actor,
                filter.since.map(columns::time),
                filter.until.map(columns::time),
                columns::after_number(&page, i64::MAX)?,
                columns::limit(&page),
            );
            columns::page(db, sql, params, &page, row, |event| event.id.to_string())
        })
        .await
    }
}

fn row(row: &Row<'_>) -> Result<EventRow, StoreError> {
    Ok(EventRow {
        id: columns::unsigned(row.get(0)?),
        at: columns::moment(row.get(1)?),
        actor: row.get(2)?,
        action: row.get(3)?,
        account: row.get(4)?,
        key: row.get(5)?,
        subject: row.get(6)?,
        detail: row.get(7)?,
    })
}
