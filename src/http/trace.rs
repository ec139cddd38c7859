//! What surrounds every request: an id, a span unless it is sent away at the door, a count, the headers of every answer, and the
//! one place that turns a fault into a problem. HEAD is served as GET; the HTTP layer leaves the body out.

use super::limit::Budget;
use super::problem;
use super::unread::Unread;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::{RequestId, TypeId};
use crate::telemetry;
use actix_http::Request;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Response, ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage};
use futures_util::FutureExt;
use std::hash::{BuildHasher, RandomState};
use std::panic::AssertUnwindSafe;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;
use tracing::Instrument;

/// The content policy of the API: its answers are no pages.
const NO_CONTENT: &str = "default-src 'none'; frame-ancestors 'none'";
/// The content policy of `/docs`, whose viewer styles itself inline.
const DOCS_POLICY: &str = "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
    base-uri 'none'; frame-ancestors 'none'; form-action 'none'";

/// In a flood the log of refusals would cost more than the refusals: one a second is logged, with how many there were since.
static FLOOD: Flood = Flood { second: AtomicI64::new(0), refused: AtomicU64::new(0) };

struct Flood {
    second: AtomicI64,
    refused: AtomicU64,
}

impl Flood {
    /// Counts a refusal; the count, this one among it, when its second is a new one.
    fn sample(&self, at: RequestId) -> Option<u64> {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let second = (at.uuid().as_u128() >> 80) as i64 / 1000;
        (self.second.swap(second, Ordering::Relaxed) != second).then(|| self.refused.swap(0, Ordering::Relaxed))
    }
}

/// The request's id, in its extensions.
#[derive(Debug, Clone, Copy)]
pub struct Trace(pub RequestId);

/// The public base of problem URIs, as app data.
#[derive(Debug, Clone)]
pub struct Base(pub String);

/// The middleware.
pub async fn trace(mut request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse<BoxBody>, Error> {
    let id = next_id();
    let begun = Instant::now();
    let method = known(request.method());
    if method == "HEAD" {
        request.head_mut().method = Method::GET;
    }
    request.extensions_mut().insert(Trace(id));
    if is_bodiless(method) {
        let payload = request.take_payload();
        Unread::keep(request.request(), payload);
    }
    let span = tracing::info_span!("request", %id, correlation = correlation(&request));
    let base = request.app_data::<Data<Base>>().cloned();
    // A panic is our fault and one request's misfortune: it is answered, and everybody else is served on.
    let served = AssertUnwindSafe(next.call(request)).catch_unwind().instrument(span.clone()).await;
    let _in_span = span.enter();
    let failed = match served {
        Ok(Ok(response)) => return Ok(finish(response.map_into_boxed_body(), id, method, begun)),
        Ok(Err(error)) => Fault::internal(error),
        Err(_) => Fault::internal("a handler panicked"),
    };
    tracing::error!(fault = %failed, "internal error");
    telemetry::problem(failed.code.slug());
    telemetry::request(method, "none", 500, begun.elapsed().as_secs_f64());
    let base = base.map(|base| base.0.clone()).unwrap_or_default();
    let mut response = problem::render(&failed, &base, Some(id));
    write_common(response.headers_mut(), id, NO_CONTENT, "no-store");
    Err(InternalError::from_response("answered", response).into())
}

/// The answer to a request that is sent away before anything is made of it, and all the trace keeps of it: its id, its count and, once a second, a line.
pub async fn turned_away(mut request: Request, fault: Fault, base: &Base) -> Response<BoxBody> {
    let (id, begun, method) = (next_id(), Instant::now(), known(request.method()));
    let payload = request.take_payload();
    let rest = if is_bodiless(method) { Unread::whole(payload) } else { Unread::rest(payload).await };
    let mut answer = Response::from(problem::render(&fault, &base.0, Some(id)));
    write_common(answer.headers_mut(), id, NO_CONTENT, "no-store");
    telemetry::problem(fault.code.slug());
    tracing::debug!(%id, %fault, "refused");
    count(id, method, "none", answer.status(), begun, true);
    answer.map_body(|_, body| Unread::behind(body, rest))
}

/// Behind the millisecond a counter would tell how many requests others made in between: it is told through a keyed hash alone. No secret, so it needs no more than that.
fn next_id() -> RequestId {
    static KEY: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let hashed = u128::from(KEY.hash_one((count, 0))) << 64 | u128::from(KEY.hash_one((count, 1)));
    let mut behind = [0; 10];
    behind.copy_from_slice(&hashed.to_be_bytes()[..10]);
    RequestId::of(uuid::Builder::from_unix_timestamp_millis(chrono::Utc::now().timestamp_millis().unsigned_abs(), &behind).into_uuid())
}

/// Whether nobody reads what comes with such a request. What does is answered at once, and its connection closed behind it: the HTTP layer reads the next request of a
/// connection while one waits, and would take that one's method for this one's.
fn is_bodiless(method: &str) -> bool {
    ["GET", "HEAD", "OPTIONS"].contains(&method)
}

/// The method for logs and metrics: anything may be sent as one, and every new one would be kept for good.
fn known(method: &Method) -> &'static str {
    ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"].into_iter().find(|name| method.as_str() == *name).unwrap_or("other")
}

/// The caller's own id for this call, for the log: visible ASCII, at most 128 characters.
fn correlation(request: &ServiceRequest) -> String {
    let given = request.headers().get("x-correlation-id").and_then(|value| value.to_str().ok()).unwrap_or_default();
    given.chars().filter(char::is_ascii_graphic).take(128).collect()
}

fn finish(mut response: ServiceResponse<BoxBody>, id: RequestId, method: &'static str, begun: Instant) -> ServiceResponse<BoxBody> {
    let base = response.request().app_data::<Data<Base>>().map(|base| base.0.clone()).unwrap_or_default();
    let mut is_too_much = false;
    if let Some(fault) = fault_of(&response) {
        is_too_much = matches!(fault.code, Code::Overloaded | Code::QuotaExceeded);
        telemetry::problem(fault.code.slug());
        if fault.code == Code::InternalError {
            tracing::error!(%fault, "internal error");
        } else {
            tracing::debug!(%fault, "refused");
        }
        // Headers a refusal was given on its way (Allow, say) are kept.
        let mut problem = problem::render(&fault, &base, Some(id));
        for (name, value) in response.headers() {
            problem.headers_mut().insert(name.clone(), value.clone());
        }
        response = response.into_response(problem);
    }
    response = Unread::follow(response);
    let budget = response.request().extensions().get::<Budget>().copied();
    let status = response.status();
    let is_docs = status.is_success() && response.request().path().starts_with("/docs/");
    let headers = response.headers_mut();
    if let Some(budget) = budget {
        budget.write(headers);
    }
    let (policy, cache) = if is_docs { (DOCS_POLICY, "public, max-age=300") } else { (NO_CONTENT, "no-store") };
    write_common(headers, id, policy, cache);
    let route = response.request().match_pattern().unwrap_or_else(|| "none".to_owned());
    count(id, method, &route, status, begun, is_too_much);
    response
}

/// Counts an answer, and logs it; what was too much once a second.
fn count(id: RequestId, method: &'static str, route: &str, status: StatusCode, begun: Instant, is_too_much: bool) {
    let (status, elapsed) = (status.as_u16(), begun.elapsed().as_secs_f64());
    telemetry::request(method, route, status, elapsed);
    let ms = (elapsed * 1e4).round() / 10.0;
    if !is_too_much {
        tracing::info!(method, route, status, ms, "answered");
    } else if let Some(since) = FLOOD.sample(id) {
        tracing::info!(%id, method, route, status, ms, since, "refused as too much");
    }
}

/// The headers of every answer.
fn write_common(headers: &mut HeaderMap, id: RequestId, policy: &'static str, cache: &'static str) {
    if let Ok(value) = HeaderValue::from_str(&id.to_string()) {
        headers.insert(HeaderName::from_static("x-request-id"), value);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    }
}

/// The fault behind an answer; an error of the HTTP layer becomes the fault of its status.
fn fault_of(response: &ServiceResponse<BoxBody>) -> Option<Fault> {
    let error = response.response().error()?;
    if let Some(fault) = error.as_error::<Fault>() {
        return Some(fault.clone());
    }
    let code = match response.status() {
        StatusCode::NOT_FOUND => Code::NotFound,
        StatusCode::PAYLOAD_TOO_LARGE => Code::PayloadTooLarge,
        status if status.is_client_error() => Code::MalformedRequest,
        _ => return Some(Fault::internal(error)),
    };
    Some(Fault::of(code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, init_service};
    use actix_web::{App, HttpResponse, web};

    async fn panics() -> HttpResponse {
        panic!("a handler panics, as it should here: with a word nobody may read")
    }

    #[test]
    fn a_flood_is_told_once_a_second() {
        let flood = Flood { second: AtomicI64::new(0), refused: AtomicU64::new(0) };
        let at = |millis: u64| RequestId::of(uuid::Builder::from_unix_timestamp_millis(millis, &[7; 10]).into_uuid());
        let told: Vec<Option<u64>> = [5_000, 5_001, 5_999, 6_000, 6_500, 8_000].map(|millis| flood.sample(at(millis))).to_vec();
        assert_eq!(told, [Some(1), None, None, Some(3), None, Some(2)]);
    }

    #[actix_web::test]
    async fn a_panic_is_answered_with_nothing_but_an_id() {
        let app = init_service(App::new().wrap(from_fn(trace)).app_data(Data::new(Base("http://b".into()))).service(web::resource("/x").get(panics))).await;
        let answer = match actix_web::dev::Service::call(&app, TestRequest::get().uri("/x").to_request()).await {
            Ok(answer) => answer.into_parts().1.map_into_boxed_body(),
            Err(error) => error.error_response(),
        };
        assert_eq!(answer.status(), 500);
        for (name, value) in [("cache-control", "no-store"), ("x-content-type-options", "nosniff"), ("content-security-policy", NO_CONTENT)] {
            assert_eq!(answer.headers().get(name).unwrap(), value);
        }
        assert!(answer.headers().contains_key("x-request-id"));
        let body: serde_json::Value = serde_json::from_slice(&actix_web::body::to_bytes(answer.into_body()).await.unwrap()).unwrap();
        assert_eq!((&body["code"], body["request_id"].is_string()), (&serde_json::json!("internal-error"), true));
        assert!(!body.to_string().contains("nobody may read"));
    }
}
