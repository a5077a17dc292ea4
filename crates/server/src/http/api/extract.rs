//! Reading requests, with problems for errors.

use std::sync::Arc;

use axum::{
    RequestPartsExt,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    response::{IntoResponse, Response},
};
use http::{HeaderMap, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use tapkey_api::{Page, ProblemCode};
use tapkey_domain::Moment;

use super::super::problem::{Failure, Result};
use crate::{
    service::Service,
    store::{PageRequest, Rows},
};

/// A body of JSON, in both directions.
#[derive(Debug)]
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Service>> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, service: &Arc<Service>) -> Result<Self> {
        read(request, service.limits.body_bytes).await.map(Self)
    }
}

/// A body of JSON that holds a bundle.
#[derive(Debug)]
pub(super) struct LongJson<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Service>> for LongJson<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, service: &Arc<Service>) -> Result<Self> {
        read(request, service.limits.bundle_bytes).await.map(Self)
    }
}

async fn read<T: DeserializeOwned>(request: Request, limit: usize) -> Result<T> {
    if !is_json(request.headers()) {
        return Err(Failure::new(ProblemCode::UnsupportedMediaType));
    }
    let body = Limited::new(request.into_body(), limit).collect().await;
    let body = body.map_err(|error| {
        if error.is::<LengthLimitError>() {
            Failure::new(ProblemCode::TooLarge).detail("the body is longer than the server allows")
        } else {
            Failure::new(ProblemCode::InvalidJson).detail("the body did not arrive completely")
        }
    })?;
    let value = serde_json::from_slice(&body.to_bytes());
    value.map_err(|error| Failure::new(ProblemCode::InvalidJson).detail(error.to_string()))
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

/// The parameter of the path, as text. What is not readable names nothing that exists.
#[derive(Debug)]
pub(super) struct Name(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        match parts.extract::<Path<String>>().await {
            Ok(Path(name)) => Ok(Self(name)),
            Err(_) => Err(Failure::new(ProblemCode::NotFound)),
        }
    }
}

impl Name {
    /// The parameter as an id; what is none names nothing that exists.
    pub(super) fn id<T: std::str::FromStr>(&self, missing: ProblemCode) -> Result<T> {
        self.0.parse().map_err(|_| Failure::new(missing))
    }
}

/// The query string.
#[derive(Debug)]
pub(super) struct Filter<T>(pub(super) T);

impl<T: DeserializeOwned + 'static, S: Send + Sync> FromRequestParts<S> for Filter<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        match Query::<T>::try_from_uri(&parts.uri) {
            Ok(Query(filter)) => Ok(Self(filter)),
            Err(rejection) => Err(Failure::new(ProblemCode::InvalidValue).detail(rejection.body_text())),
        }
    }
}

/// Which page a query asks for.
pub(super) fn page(limit: Option<u32>, after: Option<String>) -> Result<PageRequest> {
    let limit = limit.unwrap_or(Page::<()>::DEFAULT_LIMIT);
    if !(1..=Page::<()>::MAX_LIMIT).contains(&limit) {
        return Err(Failure::value("limit", "a page has 1 to 500 items"));
    }
    Ok(PageRequest { limit, after: after.filter(|after| !after.is_empty()) })
}

/// A page on its way out.
pub(super) fn paged<R, T>(rows: Rows<R>, item: impl Fn(R) -> T) -> Json<Page<T>> {
    Json(Page { items: rows.rows.into_iter().map(item).collect(), next: rows.next })
}

/// A moment as the interface writes it, in whole milliseconds.
pub(super) fn timestamp(moment: Moment) -> Timestamp {
    let millis = i64::try_from(moment.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}

/// A moment from the interface; before 1970 is 1970.
pub(super) fn moment(timestamp: Timestamp) -> Moment {
    Moment::from_millis(u64::try_from(timestamp.as_millisecond()).unwrap_or_default())
}

/// An optional name from the interface: empty means none.
pub(super) fn optional<T: std::str::FromStr>(text: Option<&str>) -> Result<Option<T>>
where
    Failure: From<T::Err>,
{
    match text {
        None | Some("") => Ok(None),
        Some(text) => Ok(Some(text.parse()?)),
    }
}

/// 201 with a body.
pub(super) fn created<T: Serialize>(path: &str, body: T) -> Response {
    (StatusCode::CREATED, super::location(path), Json(body)).into_response()
}
