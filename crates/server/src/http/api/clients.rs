//! `/clients`.

use std::sync::Arc;

use axum::{Extension, extract::State, response::Response};
use http::StatusCode;
use serde::Deserialize;
use tapkey_api::{
    Page, ProblemCode, SecretText,
    clients::{Client, ClientCreated, CreateClient},
};
use tapkey_domain::role::Operation;
use tapkey_protocol::validation::{ApiKey, ClientId};
use zeroize::Zeroizing;

use super::{
    super::problem::Result,
    Routes,
    extract::{Filter, Json, Name, created, optional, page, paged, timestamp},
};
use crate::{
    random,
    service::{Caller, Service},
    store::{ClientRow, NewClient},
};

pub(super) fn register(routes: &mut Routes) {
    let manage = Operation::ManageClients;
    routes.post("/clients", manage, create);
    routes.get("/clients", manage, list);
    routes.delete("/clients/{id}", manage, remove);
    routes.post("/clients/{id}/disable", manage, disable);
    routes.post("/clients/{id}/enable", manage, enable);
}

type Context = State<Arc<Service>>;
type Who = Extension<Caller>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Query {
    limit: Option<u32>,
    after: Option<String>,
}

async fn create(
    State(service): Context,
    Extension(caller): Who,
    Json(body): Json<CreateClient>,
) -> Result<Response> {
    let label = optional(body.label.as_deref())?;
    // As long as the reference generator's: the block length of no hash, the output of SHA-1.
    let secret = Zeroizing::new(random::bytes::<20>()?);
    let key = ApiKey::new(secret.to_vec());
    let api_key = SecretText::new(key.to_base64());
    let row =
        service.store.create_client(caller.scope(service.clock.now()), NewClient { label, key }).await?;
    Ok(created(
        "/clients",
        ClientCreated { id: row.id.get(), api_key, label: row.label, created_at: timestamp(row.created_at) },
    ))
}

async fn list(
    State(service): Context,
    Extension(caller): Who,
    Filter(query): Filter<Query>,
) -> Result<Json<Page<Client>>> {
    let rows = service.store.clients(caller.tenant, page(query.limit, query.after)?).await?;
    Ok(paged(rows, client))
}

async fn remove(State(service): Context, Extension(caller): Who, name: Name) -> Result<StatusCode> {
    let id: ClientId = name.id(ProblemCode::ClientNotFound)?;
    service.store.delete_client(caller.scope(service.clock.now()), id).await?;
    service.validator.forget_client(id);
    Ok(StatusCode::NO_CONTENT)
}

async fn disable(state: Context, who: Who, name: Name) -> Result<Json<Client>> {
    set_enabled(state, who, name, false).await
}

async fn enable(state: Context, who: Who, name: Name) -> Result<Json<Client>> {
    set_enabled(state, who, name, true).await
}

async fn set_enabled(
    State(service): Context,
    Extension(caller): Who,
    name: Name,
    enabled: bool,
) -> Result<Json<Client>> {
    let id: ClientId = name.id(ProblemCode::ClientNotFound)?;
    let row = service.store.enable_client(caller.scope(service.clock.now()), id, enabled).await?;
    service.validator.forget_client(id);
    Ok(Json(client(row)))
}

fn client(row: ClientRow) -> Client {
    Client { id: row.id.get(), label: row.label, enabled: row.enabled, created_at: timestamp(row.created_at) }
}
