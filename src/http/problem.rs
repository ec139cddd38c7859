//! From a fault to an RFC 9457 problem; the only place that knows status codes. `detail` is a constant per code: nothing
//! of the input, of the database or of another tenant is echoed.

use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::RequestId;
use crate::kernel::text::Broken;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

/// What went wrong, in the form of RFC 9457.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// URI of the kind of problem; it answers with an explanation.
    #[schema(example = "https://todoku.example/problems/validation-failed")]
    pub r#type: String,
    /// English title.
    pub title: &'static str,
    /// Japanese title (日本語の見出し).
    pub title_ja: &'static str,
    /// What to do about it, in English.
    pub detail: &'static str,
    /// The same in Japanese (日本語).
    pub detail_ja: &'static str,
    /// HTTP status.
    #[schema(example = 422)]
    pub status: u16,
    /// Stable code; `/problems/{code}` explains it.
    #[schema(example = "validation-failed")]
    pub code: &'static str,
    /// Give this to support.
    pub request_id: Option<RequestId>,
    /// Everything wrong with the input, where that is the problem.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<ProblemField>,
    /// The budget that is used up: `read` or `write`, as `RateLimit-Policy` names them, `token`, `address` or `batches`.
    #[serde(rename = "violated-policies", skip_serializing_if = "Vec::is_empty")]
    pub violated_policies: Vec<&'static str>,
}

impl Problem {
    /// The wire form of a fault.
    pub fn of(fault: &Fault, base: &str, request_id: Option<RequestId>) -> Self {
        let code = fault.code;
        Self {
            r#type: kind(code, base),
            title: code.title(),
            title_ja: code.title_ja(),
            detail: code.detail(),
            detail_ja: code.detail_ja(),
            status: status(code).as_u16(),
            code: code.slug(),
            request_id,
            errors: fault.fields.iter().map(|field| ProblemField::new(field.pointer.clone(), field.code)).collect(),
            violated_policies: fault.policy.into_iter().collect(),
        }
    }
}

/// The URI of a kind of problem: the one registered for it (draft-ietf-httpapi-ratelimit-headers), else a page of our own.
fn kind(code: Code, base: &str) -> String {
    match code {
        Code::QuotaExceeded => "https://iana.org/assignments/http-problem-types#quota-exceeded".into(),
        Code::Overloaded => "https://iana.org/assignments/http-problem-types#temporary-reduced-capacity".into(),
        _ => format!("{base}/problems/{}", code.slug()),
    }
}

/// One thing wrong with the input.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemField {
    /// JSON pointer into the body, or the name of a query parameter.
    #[schema(example = "/observations/0/value")]
    pub pointer: String,
    /// Stable code.
    #[schema(example = "required")]
    pub code: &'static str,
    /// What to do about it, in English.
    pub detail: &'static str,
    /// The same in Japanese (日本語).
    pub detail_ja: &'static str,
}

impl ProblemField {
    /// The wire form of one fault of the input.
    pub fn new(pointer: String, code: Broken) -> Self {
        Self { pointer, code: code.slug(), detail: code.detail(), detail_ja: code.detail_ja() }
    }
}

/// The status a code answers with.
pub fn status(code: Code) -> StatusCode {
    use Code::*;
    match code {
        MalformedRequest | InvalidParameter | InvalidCursor | IdempotencyKeyInvalid => StatusCode::BAD_REQUEST,
        Unauthenticated => StatusCode::UNAUTHORIZED,
        InsufficientScope | TenantSuspended | OriginNotAllowed | ReadOnlyHere => StatusCode::FORBIDDEN,
        NotFound => StatusCode::NOT_FOUND,
        MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        RequestTimeout => StatusCode::REQUEST_TIMEOUT,
        AlreadyExists | StateConflict | IdempotencyInProgress => StatusCode::CONFLICT,
        PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ValidationFailed | ReferenceNotFound | ConfusableName | IdempotencyKeyReused | BatchRejected => StatusCode::UNPROCESSABLE_ENTITY,
        PreconditionRequired => StatusCode::PRECONDITION_REQUIRED,
        QuotaExceeded => StatusCode::TOO_MANY_REQUESTS,
        InternalError => StatusCode::INTERNAL_SERVER_ERROR,
        Overloaded | DatabaseUnavailable | StorageExhausted | OutcomeUnknown | ShuttingDown => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The answer to a fault. `request_id` and `base` are known to the trace, which calls this for every fault.
pub fn render(fault: &Fault, base: &str, request_id: Option<RequestId>) -> HttpResponse {
    let status = status(fault.code);
    let mut answer = HttpResponseBuilder::new(status);
    answer.insert_header((header::CONTENT_TYPE, "application/problem+json"));
    let retry = fault.retry_after.or((status == StatusCode::SERVICE_UNAVAILABLE).then_some(1));
    if let Some(seconds) = retry {
        answer.insert_header((header::RETRY_AFTER, seconds));
    }
    match fault.code {
        Code::Unauthenticated => {
            // A cause says that a token came and did not pass; without one, none came.
            let challenge = if fault.cause.is_some() { "Bearer error=\"invalid_token\"" } else { "Bearer" };
            answer.insert_header((header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge)));
        }
        Code::UnsupportedMediaType => {
            answer.insert_header((header::ACCEPT_ENCODING, "identity"));
        }
        Code::PayloadTooLarge | Code::RequestTimeout => {
            answer.force_close();
        }
        _ => {}
    }
    answer.json(Problem::of(fault, base, request_id))
}

impl ResponseError for Fault {
    fn status_code(&self) -> StatusCode {
        status(self.code)
    }

    /// Only the status; the trace replaces it by the whole problem, with the request's id.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}
