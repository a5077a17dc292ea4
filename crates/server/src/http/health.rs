//! Whether the server is there, and whether it can work.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    response::{IntoResponse, Response},
    routing::get,
};
use http::StatusCode;

use crate::service::Service;

pub(super) fn router(service: &Arc<Service>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(Arc::clone(service))
}

/// Ready means that a change can be committed.
async fn ready(State(service): State<Arc<Service>>) -> Response {
    let ping = tokio::time::timeout(service.limits.request_timeout(), service.store.ping());
    match ping.await {
        Ok(Ok(())) => "ready\n".into_response(),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "the store cannot write\n").into_response(),
    }
}
