//! `/api/v1`: one file per resource.
//!
//! Every route is registered together with the operation it needs, so none can be reached without a
//! token and a role that may do it; [`routes`] lists them for the tests and the documentation.

mod accounts;
mod audit;
mod auth;
mod clients;
mod enrollments;
mod extract;
mod imports;
mod keys;
mod status;
mod tokens;

use std::sync::Arc;

use axum::{
    Router,
    handler::Handler,
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter, on},
};
use http::{HeaderValue, Method, header};
use tapkey_api::{PREFIX, ProblemCode};
use tapkey_domain::role::Operation;

use super::problem::Failure;
use crate::service::Service;

/// A route of the JSON interface.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RouteInfo {
    /// Its method.
    pub method: Method,
    /// Its path, with parameters in braces.
    pub path: String,
    /// What the caller's role must allow.
    pub operation: Operation,
}

/// Every route of the JSON interface.
#[must_use]
pub fn routes() -> Vec<RouteInfo> {
    table(None).infos
}

/// The whole interface.
pub(super) fn router(service: &Arc<Service>) -> Router {
    table(Some(service)).router.fallback(not_found).method_not_allowed_fallback(method_not_allowed)
}

fn table(service: Option<&Arc<Service>>) -> Routes {
    let mut routes = Routes { service: service.cloned(), router: Router::new(), infos: Vec::new() };
    accounts::register(&mut routes);
    audit::register(&mut routes);
    clients::register(&mut routes);
    enrollments::register(&mut routes);
    imports::register(&mut routes);
    keys::register(&mut routes);
    status::register(&mut routes);
    tokens::register(&mut routes);
    routes
}

/// Collects routes. Without a service it only lists them.
struct Routes {
    service: Option<Arc<Service>>,
    router: Router,
    infos: Vec<RouteInfo>,
}

impl Routes {
    fn get<T: 'static>(&mut self, path: &str, operation: Operation, handler: impl Handler<T, Arc<Service>>) {
        self.add(Method::GET, MethodFilter::GET, path, operation, handler);
    }

    fn post<T: 'static>(&mut self, path: &str, operation: Operation, handler: impl Handler<T, Arc<Service>>) {
        self.add(Method::POST, MethodFilter::POST, path, operation, handler);
    }

    fn patch<T: 'static>(
        &mut self,
        path: &str,
        operation: Operation,
        handler: impl Handler<T, Arc<Service>>,
    ) {
        self.add(Method::PATCH, MethodFilter::PATCH, path, operation, handler);
    }

    fn delete<T: 'static>(
        &mut self,
        path: &str,
        operation: Operation,
        handler: impl Handler<T, Arc<Service>>,
    ) {
        self.add(Method::DELETE, MethodFilter::DELETE, path, operation, handler);
    }

    fn add<T: 'static>(
        &mut self,
        method: Method,
        filter: MethodFilter,
        path: &str,
        operation: Operation,
        handler: impl Handler<T, Arc<Service>>,
    ) {
        let path = format!("{PREFIX}{path}");
        if let Some(service) = &self.service {
            // The guard runs before anything of the request but its head is looked at.
            let guard = middleware::from_fn_with_state(Arc::clone(service), {
                move |state, request, next| auth::guard(operation, state, request, next)
            });
            let route: MethodRouter<Arc<Service>> = on(filter, handler);
            let route = route.route_layer(guard).with_state(Arc::clone(service));
            let limited = route.route_layer(middleware::from_fn_with_state(Arc::clone(service), limit_time));
            self.router = std::mem::take(&mut self.router).route(&path, limited);
        }
        self.infos.push(RouteInfo { method, path, operation });
    }
}

/// Ends a request that takes too long. What it changes may have been changed or not.
async fn limit_time(
    axum::extract::State(service): axum::extract::State<Arc<Service>>,
    request: axum::extract::Request,
    next: Next,
) -> Response {
    match tokio::time::timeout(service.limits.request_timeout(), next.run(request)).await {
        Ok(response) => response,
        Err(_) => Failure::new(ProblemCode::RequestTimeout).into_response(),
    }
}

async fn not_found() -> Failure {
    Failure::new(ProblemCode::NotFound)
}

async fn method_not_allowed() -> Failure {
    Failure::new(ProblemCode::MethodNotAllowed)
}

/// The header that tells where a new resource is.
fn location(path: &str) -> [(header::HeaderName, HeaderValue); 1] {
    let value = HeaderValue::from_str(&format!("{PREFIX}{path}"));
    [(header::LOCATION, value.unwrap_or_else(|_| HeaderValue::from_static(PREFIX)))]
}
