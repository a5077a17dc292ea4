//! Audit events.

use tapkey_domain::{audit::Event, id::TenantId};

use super::{
    PostgresStore, StoreError,
    pool::{change, query},
    sql::{Columns, Db, int8, text},
};
use crate::store::{EventFilter, EventRow, PageRequest, Rows, Scope, values};

/// Writes an event down, in the transaction of the change it tells of.
pub(super) async fn insert(db: &Db<'_>, scope: &Scope, event: &Event) -> Result<(), StoreError> {
    let sql = "INSERT INTO audit (tenant, at, actor, action, account, key, subject, detail)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let (tenant, at) = (scope.tenant.get(), values::time(scope.now));
    let (actor, action, key) =
        (event.actor.to_string(), event.action.as_str(), event.key.map(|key| key.to_string()));
    let params = [
        int8(&tenant),
        int8(&at),
        text(&actor),
        text(&action),
        text(&event.account),
        text(&key),
        text(&event.subject),
        text(&event.detail),
    ];
    db.execute(sql, &params).await.map(drop)
}

impl PostgresStore {
    pub(crate) async fn record_event(&self, scope: Scope, event: Event) -> Result<(), StoreError> {
        change!(self, |db| { insert(&db, &scope, &event).await })
    }

    pub(crate) async fn events(
        &self,
        tenant: TenantId,
        filter: EventFilter,
        page: PageRequest,
    ) -> Result<Rows<EventRow>, StoreError> {
        let sql = "SELECT id, at, actor, action, account, key, subject, detail FROM audit
                   WHERE tenant = $1 AND ($2::text IS NULL OR action = $2) AND ($3::text IS NULL OR account = $3)
                     AND ($4::text IS NULL OR key = $4) AND ($5::text IS NULL OR actor = $5)
                     AND ($6::int8 IS NULL OR at >= $6) AND ($7::int8 IS NULL OR at < $7)
                     AND id < $8 ORDER BY id DESC LIMIT $9";
        let (tenant, since, until) =
            (tenant.get(), filter.since.map(values::time), filter.until.map(values::time));
        let (before, limit) = (values::after_number(&page, i64::MAX)?, values::limit(&page));
        let params = [
            int8(&tenant),
            text(&filter.action),
            text(&filter.account),
            text(&filter.key),
            text(&filter.actor),
            int8(&since),
            int8(&until),
            int8(&before),
            int8(&limit),
        ];
        query!(self, |db| { db.page(sql, &params, &page, row, |event| event.id.to_string()).await })
    }
}

fn row(row: &Columns<'_>) -> Result<EventRow, StoreError> {
    Ok(EventRow {
        id: values::unsigned(row.get(0)?),
        at: values::moment(row.get(1)?),
        actor: row.get(2)?,
        action: row.get(3)?,
        account: row.get(4)?,
        key: row.get(5)?,
        subject: row.get(6)?,
        detail: row.get(7)?,
    })
}
