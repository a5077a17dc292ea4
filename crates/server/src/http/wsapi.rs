//! `/wsapi/2.0/verify`: Yubico's validation protocol, version 2.0; and, where the configuration says
//! so, versions 1.0 and 1.1.
//!
//! Everything that the protocol can say is said with HTTP status 200 and a signed text; only what
//! never becomes a request of it (another method, too much of anything) is an HTTP error.

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use tapkey_domain::verify::Client;
use tapkey_protocol::validation::{
    self as protocol, Answer, ApiKey, Echo, Query, RequestError, RequestSignature, Status, TokenTimes,
    answer_time,
};

use crate::{
    Moment,
    service::{Service, Verdict},
    store::StoreError,
};

/// A version of the protocol. What 1.0 and 1.1 differ in is nothing that a verification shows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Version {
    One,
    Two,
}

impl Version {
    /// The version that is spoken on a path.
    pub(super) fn of(path: &str, service: &Service) -> Option<Self> {
        match path {
            "/wsapi/2.0/verify" => Some(Self::Two),
            "/wsapi/verify" | "/wsapi/1.0/verify" | "/wsapi/1.1/verify" => {
                service.validation.version_1.then_some(Self::One)
            }
            _ => None,
        }
    }
}

/// Answers a request to validate.
pub(super) async fn verify(service: &Service, version: Version, request: Request<Incoming>) -> Response {
    let form = match *request.method() {
        Method::GET => false,
        Method::POST => true,
        _ => return refused(StatusCode::METHOD_NOT_ALLOWED),
    };
    let query = request.uri().query().unwrap_or_default();
    if query.len() > service.limits.query_bytes {
        return refused(StatusCode::URI_TOO_LONG);
    }
    // The query counts if there is one, as in the reference server.
    if !form || !query.is_empty() {
        return answer(service, version, query.as_bytes()).await;
    }
    match read_body(service, request).await {
        Ok(body) => answer(service, version, &body).await,
        Err(status) => refused(status),
    }
}

async fn read_body(service: &Service, request: Request<Incoming>) -> Result<Bytes, StatusCode> {
    let body = Limited::new(request.into_body(), service.limits.query_bytes).collect();
    match tokio::time::timeout(service.limits.request_timeout(), body).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(StatusCode::PAYLOAD_TOO_LARGE)
        }
        Ok(Err(_)) => Err(StatusCode::BAD_REQUEST),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT),
    }
}

async fn answer(service: &Service, version: Version, raw: &[u8]) -> Response {
    let now = service.clock.now();
    let query = Query::parse(raw);
    let (answer, client) = decide(service, version, &query, now).await;
    let text = match &client {
        Some(client) => answer.to_text(&client.key),
        None => answer.to_text(&ApiKey::empty()),
    };
    plain(text)
}

/// The answer, and the client whose key signs it: whenever the id names one that is enabled, also
/// where something else is wrong, so that clients with keys see the true status.
async fn decide(
    service: &Service,
    version: Version,
    query: &Query<'_>,
    now: Moment,
) -> (Answer, Option<Arc<Client>>) {
    let refuse = |status| Answer::refusal(status, time(now));
    let client = match protocol::Request::client_of(query) {
        Ok(id) => match service.validator.client(&service.store, id, now).await {
            Ok(client) => client,
            Err(error) => return (refuse(backend_error(&error)), None),
        },
        Err(_) => None,
    };
    let request = match read(version, query) {
        Ok(request) => request,
        Err(error) => return (refuse(error.status()), client),
    };
    let Some(known) = &client else { return (refuse(Status::NoSuchClient), None) };
    if protocol::Request::check_signature(query, &known.key) == RequestSignature::Wrong {
        return (refuse(Status::BadSignature), client);
    }
    let Service { validator, store, limits, .. } = service;
    // Only a nonce that the client chose can tell its retry from somebody else's replay.
    let nonce = (version == Version::Two || query.get("nonce").is_some()).then_some(&request.nonce);
    let verdict = validator.verify(store, known.tenant, &request.otp, nonce, None, now);
    let answer = match tokio::time::timeout(limits.request_timeout(), verdict).await {
        Ok(verdict) => write(version, request, verdict, now),
        // Whether the password is spent is not known; it will not be accepted twice either way.
        Err(_) => refuse(Status::BackendError),
    };
    (answer, client)
}

fn read(version: Version, query: &Query<'_>) -> Result<protocol::Request, RequestError> {
    match version {
        Version::One => protocol::Request::from_query_of_version_1(query),
        Version::Two => protocol::Request::from_query(query),
    }
}

fn write(
    version: Version,
    request: protocol::Request,
    verdict: Result<Verdict, StoreError>,
    now: Moment,
) -> Answer {
    let verdict = match verdict {
        Ok(verdict) => verdict,
        Err(error) => return Answer::refusal(backend_error(&error), time(now)),
    };
    let answer = match version {
        Version::One => Answer::refusal(verdict.status, time(now)),
        Version::Two => {
            let echo = Echo { otp: request.otp_as_sent, nonce: request.nonce };
            Answer::new(verdict.status, time(now), echo).with_sync_percent(0)
        }
    };
    match verdict.token {
        Some(token) if request.timestamp => answer.with_times(TokenTimes::from(&token)),
        _ => answer,
    }
}

fn backend_error(error: &StoreError) -> Status {
    tracing::error!(%error, "a validation failed");
    Status::BackendError
}

fn time(now: Moment) -> String {
    answer_time(now.as_millis())
}

fn plain(text: String) -> Response {
    let mut response = text.into_response();
    head(response.headers_mut());
    response
}

fn refused(status: StatusCode) -> Response {
    let mut response = (status, "").into_response();
    head(response.headers_mut());
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, POST"));
    }
    response
}

fn head(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}
