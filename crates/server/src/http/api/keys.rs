//! `/keys`.

use std::sync::Arc;

use axum::{Extension, extract::State};
use data_encoding::HEXLOWER;
use http::StatusCode;
use serde::Deserialize;
use tapkey_api::{
    Page, ProblemCode, SecretText,
    keys::{AccessCode, Key, UpdateKey},
};
use tapkey_domain::{id::CredentialId, name, role::Operation};

use super::{
    super::problem::{Failure, Result},
    Routes,
    extract::{Filter, Json, Name, optional, page, paged, timestamp},
};
use crate::{
    service::{Caller, Service},
    store::{KeyChange, KeyFilter, KeyRow},
};

pub(super) fn register(routes: &mut Routes) {
    let manage = Operation::ManageKeys;
    routes.get("/keys", manage, list);
    routes.get("/keys/{id}", manage, show);
    routes.patch("/keys/{id}", manage, change);
    routes.delete("/keys/{id}", manage, remove);
    routes.post("/keys/{id}/disable", manage, disable);
    routes.post("/keys/{id}/enable", manage, enable);
    routes.get("/keys/{id}/access-code", Operation::ReadAccessCode, access_code);
}

type Context = State<Arc<Service>>;
type Who = Extension<Caller>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    account: Option<String>,
    public_id: Option<String>,
    limit: Option<u32>,
    after: Option<String>,
}

async fn list(
    State(service): Context,
    Extension(caller): Who,
    Filter(query): Filter<Query>,
) -> Result<Json<Page<Key>>> {
    let page = page(query.limit, query.after)?;
    let public_id = query.public_id.as_deref().map(name::server_public_id).transpose()?;
    let filter = KeyFilter { account: query.account, public_id };
    Ok(paged(service.store.keys(caller.tenant, filter, page).await?, key))
}

async fn show(State(service): Context, Extension(caller): Who, name: Name) -> Result<Json<Key>> {
    let row = service.store.key(caller.tenant, id(&name)?).await?;
    row.map(key).map(Json).ok_or_else(|| Failure::new(ProblemCode::KeyNotFound))
}

async fn change(
    State(service): Context,
    Extension(caller): Who,
    name: Name,
    Json(body): Json<UpdateKey>,
) -> Result<Json<Key>> {
    let change = KeyChange {
        account: body.account.as_deref().map(str::parse).transpose()?,
        label: body.label.as_deref().map(|label| optional(Some(label))).transpose()?,
    };
    let row = service.store.change_key(caller.scope(service.clock.now()), id(&name)?, change).await?;
    service.validator.forget_key(caller.tenant, row.public_id);
    Ok(Json(key(row)))
}

async fn remove(State(service): Context, Extension(caller): Who, name: Name) -> Result<StatusCode> {
    let public_id = service.store.delete_key(caller.scope(service.clock.now()), id(&name)?).await?;
    service.validator.forget_key(caller.tenant, public_id);
    Ok(StatusCode::NO_CONTENT)
}

async fn disable(state: Context, who: Who, name: Name) -> Result<Json<Key>> {
    set_enabled(state, who, name, false).await
}

async fn enable(state: Context, who: Who, name: Name) -> Result<Json<Key>> {
    set_enabled(state, who, name, true).await
}

async fn set_enabled(
    State(service): Context,
    Extension(caller): Who,
    name: Name,
    enabled: bool,
) -> Result<Json<Key>> {
    let row = service.store.enable_key(caller.scope(service.clock.now()), id(&name)?, enabled).await?;
    service.validator.forget_key(caller.tenant, row.public_id);
    Ok(Json(key(row)))
}

async fn access_code(
    State(service): Context,
    Extension(caller): Who,
    name: Name,
) -> Result<Json<AccessCode>> {
    let code = service.store.access_code(caller.scope(service.clock.now()), id(&name)?).await?;
    Ok(Json(AccessCode { access_code: SecretText::new(HEXLOWER.encode(code.expose())) }))
}

fn id(name: &Name) -> Result<CredentialId> {
    name.id(ProblemCode::KeyNotFound)
}

/// A key as the interface shows it.
pub(super) fn key(row: KeyRow) -> Key {
    Key {
        id: row.id.to_string(),
        public_id: row.public_id.to_string(),
        account: row.account,
        label: row.label,
        enabled: row.enabled,
        slot: row.slot,
        serial: row.serial,
        firmware: row.firmware,
        emulated: row.emulated,
        has_access_code: row.has_access_code,
        use_counter: row.counter.use_counter(),
        session_counter: row.counter.session_counter(),
        created_at: timestamp(row.created_at),
        last_used_at: row.last_used_at.map(timestamp),
    }
}
