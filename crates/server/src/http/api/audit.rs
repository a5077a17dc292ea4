//! `/audit`.

use std::sync::Arc;

use axum::{Extension, extract::State};
use jiff::Timestamp;
use serde::Deserialize;
use tapkey_api::{Page, audit::Event};
use tapkey_domain::role::Operation;

use super::{
    super::problem::Result,
    Routes,
    extract::{Filter, Json, moment, page, paged, timestamp},
};
use crate::{
    service::{Caller, Service},
    store::{EventFilter, EventRow},
};

pub(super) fn register(routes: &mut Routes) {
    routes.get("/audit", Operation::ReadAudit, list);
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    action: Option<String>,
    account: Option<String>,
    key: Option<String>,
    actor: Option<String>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    limit: Option<u32>,
    after: Option<String>,
}

async fn list(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    Filter(query): Filter<Query>,
) -> Result<Json<Page<Event>>> {
    let page = page(query.limit, query.after)?;
    let filter = EventFilter {
        action: query.action,
        account: query.account,
        key: query.key,
        actor: query.actor,
        since: query.since.map(moment),
        until: query.until.map(moment),
    };
    Ok(paged(service.store.events(caller.tenant, filter, page).await?, event))
}

fn event(row: EventRow) -> Event {
    Event {
        id: row.id,
        at: timestamp(row.at),
        actor: row.actor,
        action: row.action,
        account: row.account,
        key: row.key,
        subject: row.subject,
        detail: row.detail,
    }
}
