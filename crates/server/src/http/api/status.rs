//! `/status`.

use std::sync::Arc;

use axum::{Extension, extract::State};
use tapkey_api::status::{Counts, Status};
use tapkey_domain::role::{Operation, Role};

use super::{super::problem::Result, Routes, extract::Json};
use crate::service::{Caller, Service};

pub(super) fn register(routes: &mut Routes) {
    routes.get("/status", Operation::ReadStatus, show);
}

async fn show(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<Status>> {
    let counts = match caller.role {
        Role::Admin => Some(service.store.counts(caller.tenant).await?),
        _ => None,
    };
    Ok(Json(Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        store: service.store.kind().to_owned(),
        schema: service.store.schema(),
        accepts_emulated: service.policy.accept_emulated,
        counts: counts.map(|counts| Counts {
            accounts: counts.accounts,
            keys: counts.keys,
            clients: counts.clients,
            tokens: counts.tokens,
            pending_enrollments: counts.pending_enrolments,
        }),
    }))
}
