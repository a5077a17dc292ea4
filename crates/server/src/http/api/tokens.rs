//! `/tokens`.

use std::sync::Arc;

use axum::{Extension, extract::State, response::Response};
use http::StatusCode;
use serde::Deserialize;
use tapkey_api::{
    Page, ProblemCode,
    tokens::{CreateToken, Role as ApiRole, Token, TokenCreated},
};
use tapkey_domain::{
    id::TokenId,
    role::{Operation, Role},
};

use super::{
    super::problem::{Failure, Result},
    Routes,
    extract::{Filter, Json, Name, created, moment, optional, page, paged, timestamp},
};
use crate::{
    service::{Caller, Service, new_token},
    store::{NewToken, TokenRow},
};

pub(super) fn register(routes: &mut Routes) {
    let manage = Operation::ManageTokens;
    routes.post("/tokens", manage, create);
    routes.get("/tokens", manage, list);
    routes.delete("/tokens/{id}", manage, revoke);
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
    Json(body): Json<CreateToken>,
) -> Result<Response> {
    let now = service.clock.now();
    let expires_at = body.expires_at.map(moment);
    if expires_at.is_some_and(|expiry| expiry <= now) {
        return Err(Failure::value("expires_at", "the token would have expired already"));
    }
    let role = match body.role {
        ApiRole::Admin => Role::Admin,
        ApiRole::Enroller => Role::Enroller,
        ApiRole::Application => Role::Application,
        _ => return Err(Failure::value("role", "this server does not know the role")),
    };
    let label = optional(body.label.as_deref())?;
    let (id, token, hash) = new_token()?;
    let new = NewToken { id, role, label, hash, expires_at };
    let row = service.store.create_token(caller.scope(now), new).await?;
    Ok(created(
        "/tokens",
        TokenCreated {
            id: row.id.to_string(),
            token,
            role: api_role(row.role),
            label: row.label,
            expires_at: row.expires_at.map(timestamp),
        },
    ))
}

async fn list(
    State(service): Context,
    Extension(caller): Who,
    Filter(query): Filter<Query>,
) -> Result<Json<Page<Token>>> {
    let rows = service.store.tokens(caller.tenant, page(query.limit, query.after)?).await?;
    Ok(paged(rows, token))
}

async fn revoke(State(service): Context, Extension(caller): Who, name: Name) -> Result<StatusCode> {
    let id: TokenId = name.id(ProblemCode::TokenNotFound)?;
    service.store.revoke_token(caller.scope(service.clock.now()), id).await?;
    service.bearers.forget(id);
    Ok(StatusCode::NO_CONTENT)
}

fn token(row: TokenRow) -> Token {
    Token {
        id: row.id.to_string(),
        role: api_role(row.role),
        label: row.label,
        created_at: timestamp(row.created_at),
        expires_at: row.expires_at.map(timestamp),
    }
}

const fn api_role(role: Role) -> ApiRole {
    match role {
        Role::Admin => ApiRole::Admin,
        Role::Enroller => ApiRole::Enroller,
        // Roles are few and all named above; a new one has to be named here before it is used.
        _ => ApiRole::Application,
    }
}
