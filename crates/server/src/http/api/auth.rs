//! Who asks, and may they?

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use http::{HeaderMap, header};
use tapkey_api::ProblemCode;
use tapkey_domain::role::Operation;

use super::super::problem::Failure;
use crate::service::{Caller, Service};

/// Lets a request through if its token's role may do the operation; the handler finds the
/// [`Caller`] in the request's extensions.
pub(super) async fn guard(
    operation: Operation,
    State(service): State<Arc<Service>>,
    mut request: Request,
    next: Next,
) -> Response {
    match authorise(&service, request.headers(), operation).await {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(failure) => failure.into_response(),
    }
}

async fn authorise(service: &Service, headers: &HeaderMap, operation: Operation) -> Result<Caller, Failure> {
    let token = bearer(headers);
    let caller = match token {
        Some(token) => service.bearers.caller(&service.store, token, service.clock.now()).await?,
        None => None,
    };
    let Some(caller) = caller else {
        service.authentication_failed().await;
        return Err(Failure::new(ProblemCode::Unauthorized).detail(
            "send the header Authorization: Bearer and a token that is neither expired nor revoked",
        ));
    };
    if caller.role.may(operation) {
        Ok(caller)
    } else {
        Err(Failure::new(ProblemCode::Forbidden)
            .detail(format!("the token's role is {}", caller.role.as_str())))
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
