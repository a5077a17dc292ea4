//! HTTP.

mod api;
mod health;
mod listen;
mod problem;
mod tls;
mod wsapi;

use std::{convert::Infallible, sync::Arc};

pub use api::{RouteInfo, routes};
use axum::{Router, body::Body, response::Response};
use http::{HeaderValue, Request, header};
use hyper::body::Incoming;
pub(crate) use listen::listen;
pub use tls::TlsError;
pub(crate) use tls::acceptor;
use tower::ServiceExt;

use crate::service::Service;

/// Everything that answers a request.
#[derive(Clone)]
pub(crate) struct Site {
    service: Arc<Service>,
    router: Router,
}

impl Site {
    pub(crate) fn new(service: Arc<Service>) -> Self {
        let router = api::router(&service).merge(health::router(&service));
        Self { service, router }
    }

    /// Answers one request. The validation path is taken first: it is what servers do all day.
    async fn answer(self, request: Request<Incoming>) -> Result<Response, Infallible> {
        if let Some(version) = wsapi::Version::of(request.uri().path(), &self.service) {
            return Ok(wsapi::verify(&self.service, version, request).await);
        }
        let query = request.uri().query().map_or(0, str::len);
        if query > self.service.limits.query_bytes {
            return Ok(secured(problem::too_large("the query is longer than the server allows")));
        }
        let answer = self.router.oneshot(request.map(Body::new)).await;
        answer.map(secured)
    }
}

/// What every answer says to browsers: keep nothing, guess nothing, run nothing, frame nothing.
fn secured(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
