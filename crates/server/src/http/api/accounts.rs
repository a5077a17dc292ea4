//! `/accounts`.

use std::sync::Arc;

use axum::{Extension, extract::State, response::Response};
use http::StatusCode;
use serde::Deserialize;
use tapkey_api::{
    Page, ProblemCode,
    accounts::{Account, CreateAccount, Verified, Verify, VerifyStatus},
};
use tapkey_domain::{name::AccountName, role::Operation};
use tapkey_protocol::{otp::typed, validation::Status};

use super::{
    super::problem::{Failure, Result},
    Routes,
    extract::{Filter, Json, Name, created, page, paged, timestamp},
};
use crate::{
    service::{Caller, Service},
    store::AccountRow,
};

pub(super) fn register(routes: &mut Routes) {
    let manage = Operation::ManageAccounts;
    routes.post("/accounts", manage, create);
    routes.get("/accounts", manage, list);
    routes.get("/accounts/{name}", manage, show);
    routes.delete("/accounts/{name}", manage, remove);
    routes.post("/accounts/{name}/disable", manage, disable);
    routes.post("/accounts/{name}/enable", manage, enable);
    routes.post("/accounts/{name}/verify", Operation::Verify, verify);
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
    Json(body): Json<CreateAccount>,
) -> Result<Response> {
    let name: AccountName = body.name.parse().map_err(|error| Failure::value("name", error))?;
    let row = service.store.create_account(caller.scope(service.clock.now()), name).await?;
    Ok(created("/accounts", account(row)))
}

async fn list(
    State(service): Context,
    Extension(caller): Who,
    Filter(query): Filter<Query>,
) -> Result<Json<Page<Account>>> {
    let rows = service.store.accounts(caller.tenant, page(query.limit, query.after)?).await?;
    Ok(paged(rows, account))
}

async fn show(State(service): Context, Extension(caller): Who, Name(name): Name) -> Result<Json<Account>> {
    let row = service.store.account(caller.tenant, name).await?;
    row.map(account).map(Json).ok_or_else(|| Failure::new(ProblemCode::AccountNotFound))
}

async fn remove(State(service): Context, Extension(caller): Who, Name(name): Name) -> Result<StatusCode> {
    service.store.delete_account(caller.scope(service.clock.now()), name).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn disable(state: Context, who: Who, name: Name) -> Result<Json<Account>> {
    set_enabled(state, who, name, false).await
}

async fn enable(state: Context, who: Who, name: Name) -> Result<Json<Account>> {
    set_enabled(state, who, name, true).await
}

async fn set_enabled(
    State(service): Context,
    Extension(caller): Who,
    Name(name): Name,
    enabled: bool,
) -> Result<Json<Account>> {
    let scope = caller.scope(service.clock.now());
    let row = service.store.enable_account(scope, name, enabled).await?;
    service.validator.forget_keys();
    Ok(Json(account(row)))
}

async fn verify(
    State(service): Context,
    Extension(caller): Who,
    Name(name): Name,
    Json(body): Json<Verify>,
) -> Result<Json<Verified>> {
    let refused = |status| Ok(Json(Verified { status, key_id: None, label: None }));
    let Ok((otp, _)) = typed::parse(&body.otp) else { return refused(VerifyStatus::BadOtp) };
    let now = service.clock.now();
    let verdict =
        service.validator.verify(&service.store, caller.tenant, &otp, None, Some(&name), now).await?;
    let status = match verdict.status {
        Status::Ok => VerifyStatus::Ok,
        Status::ReplayedOtp | Status::ReplayedRequest => VerifyStatus::ReplayedOtp,
        Status::DelayedOtp => VerifyStatus::DelayedOtp,
        Status::BadOtp => return refused(why_bad(&service, caller, name).await?),
        _ => return Err(Failure::new(ProblemCode::StoreUnavailable)),
    };
    let credential = verdict.credential();
    Ok(Json(Verified {
        status,
        key_id: credential.map(|credential| credential.id.to_string()),
        label: credential.and_then(|credential| credential.label.clone()),
    }))
}

/// Tells an account that cannot sign in at all from a password that is not good.
async fn why_bad(service: &Service, caller: Caller, name: String) -> Result<VerifyStatus> {
    let account = service.store.account(caller.tenant, name).await?;
    let enabled = account.is_some_and(|account| account.enabled);
    Ok(if enabled { VerifyStatus::BadOtp } else { VerifyStatus::NoSuchAccount })
}

fn account(row: AccountRow) -> Account {
    Account { name: row.name, enabled: row.enabled, keys: row.keys, created_at: timestamp(row.created_at) }
}
