//! Finishing the API document: what every operation shares is added here from the catalogue of problems, so that handlers
//! name only what is theirs. Ids carry `x-ref`, the mark the isolation matrix is generated from.

use crate::http::problem::{self, Problem};
use crate::kernel::code::Code;
use crate::kernel::error::{Fault, FieldFault};
use crate::kernel::id::{
    AgreementId, AuditId, CalibrationId, CredentialId, CustomerId, EventId, JobId, MeasureId, ObservationId, OutcomeId, OverrideId, PartnerId, PrincipalId, ReportId, RequestId,
    ScorecardId, SnapshotId, SubscriptionId, TypeId, VendorId,
};
use crate::kernel::money::Currency;
use crate::kernel::text::{Broken, Comment, CorporateNumber, ExternalId, Key, Label, Link, Name};
use std::borrow::Cow;
use std::collections::BTreeMap;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::{Content, ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};

macro_rules! id_schemas {
    ($($name:ident),* $(,)?) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                let example = $name::of(uuid::Uuid::from_u128(0x0199_5f00_0000_7000_8000_0000_0000_0001)).to_string();
                RefOr::T(ObjectBuilder::new()
                    .schema_type(SchemaType::Type(Type::String))
                    .pattern(Some(format!("^{}_[0-7][0-9a-hjkmnp-tv-z]{{25}}$", $name::PREFIX)))
                    .description(Some(format!("Id of a {}.", $name::KIND.replace('_', " "))))
                    .examples([serde_json::json!(example)])
                    .extensions(Some(utoipa::openapi::extensions::ExtensionsBuilder::new().add("x-ref", $name::KIND).build()))
                    .build()
                    .into())
            }
        }
        impl ToSchema for $name {
            fn name() -> Cow<'static, str> { Cow::Borrowed(stringify!($name)) }
        }
    )*};
}
id_schemas!(
    VendorId,
    PartnerId,
    CustomerId,
    SubscriptionId,
    PrincipalId,
    CredentialId,
    OverrideId,
    OutcomeId,
    CalibrationId,
    SnapshotId,
    MeasureId,
    ObservationId,
    ReportId,
    ScorecardId,
    EventId,
    AuditId,
    RequestId,
    AgreementId,
    JobId,
);

macro_rules! text_schemas {
    ($($name:ident: $max:literal, $says:literal, $example:literal;)*) => {$(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                RefOr::T(ObjectBuilder::new()
                    .schema_type(SchemaType::Type(Type::String))
                    .min_length(Some(1))
                    .max_length(Some($max))
                    .description(Some($says))
                    .examples([serde_json::json!($example)])
                    .build()
                    .into())
            }
        }
        impl ToSchema for $name {
            fn name() -> Cow<'static, str> { Cow::Borrowed(stringify!($name)) }
        }
    )*};
}
text_schemas! {
    ExternalId: 128, "Your own id of the thing: no blanks at the ends, no control characters; stored in NFC.", "K-0042";
    Name: 200, "A name on one line.", "株式会社青葉製作所";
    Label: 64, "A short word of your choice.", "製造業";
    Key: 64, "A key of a catalogue: a-z, 0-9 and _, beginning with a letter.", "adoption";
    Comment: 8000, "Free words.", "導入は順調です。来月から第二工場でも使い始めます。";
    Link: 2000, "The address of a page: http or https, without a user.", "https://crm.example.jp/notes/812";
    CorporateNumber: 32, "Japanese corporate number (法人番号): 13 digits with a valid check digit; full-width digits, blanks and hyphens are dropped.", "1180301018771";
    Currency: 3, "ISO 4217 code.", "JPY";
}

/// What an operation's entry in the authority table adds to its documentation.
pub struct Mark {
    /// The OAuth scope, or none for public operations.
    pub scope: Option<&'static str>,
    /// Who may call it: `public`, `any`, `vendor`.
    pub who: &'static str,
    /// Whether it changes something.
    pub writes: bool,
    /// Whether it demands If-Match.
    pub if_match: bool,
}

/// Requests and answers of the operations, by operation id: recorded from a running server by the suite, which keeps them true.
const EXAMPLES: &str = include_str!("../../openapi/examples.json");

/// Puts an operation's recorded request and answer where the document describes them.
fn illustrate(operation: &mut Operation, example: &serde_json::Value) {
    let Some(status) = example["status"].as_u64() else { return };
    let show = |contents: &mut dyn Iterator<Item = &mut RefOr<Content>>, example: &serde_json::Value| {
        for content in contents {
            if let (RefOr::T(content), false) = (content, example.is_null()) {
                content.example = Some(example.clone());
            }
        }
    };
    if let Some(RefOr::T(body)) = &mut operation.request_body {
        show(&mut body.content.values_mut(), &example["request"]);
    }
    if let Some(RefOr::T(response)) = operation.responses.responses.get_mut(&status.to_string()) {
        // Recorded is the JSON; what else it may be answered with is another text.
        show(&mut response.content.iter_mut().filter(|(media, _)| media.as_str() != "text/csv").map(|(_, content)| content), &example["response"]);
    }
}

/// Says of everything a body may hold that it takes no members beside its own: unknown ones are refused.
pub fn close_bodies(document: &mut serde_json::Value) {
    let mut names = Vec::new();
    for operation in document["paths"].as_object().into_iter().flat_map(|paths| paths.values()).filter_map(|item| item.as_object()).flat_map(|item| item.values()) {
        // Forms alone take unknown members (RFC 6749, 3.2).
        named(&operation["requestBody"]["content"]["application/json"], &mut names);
        named(&operation["requestBody"]["content"]["application/merge-patch+json"], &mut names);
    }
    let mut at = 0;
    while let Some(name) = names.get(at).cloned() {
        at += 1;
        let schema = &mut document["components"]["schemas"][&name];
        named(schema, &mut names);
        close(schema);
    }
}

/// Makes lists refer to what they hold: utoipa writes a type parameter out in full, and leaves its schema unused.
pub fn name_items(document: &mut serde_json::Value) {
    for (name, schema) in document["components"]["schemas"].as_object_mut().into_iter().flatten() {
        if let Some(item) = name.strip_prefix("PageView_") {
            schema["properties"]["data"]["items"] = serde_json::json!({ "$ref": format!("#/components/schemas/{item}") });
        }
    }
}

/// The schemas a part of the document refers to, each once.
fn named(value: &serde_json::Value, names: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(members) => {
            if let Some(name) = members.get("$ref").and_then(|path| path.as_str()?.strip_prefix("#/components/schemas/")).filter(|name| !names.iter().any(|known| known == name)) {
                names.push(name.to_owned());
            }
            members.values().for_each(|inner| named(inner, names));
        }
        serde_json::Value::Array(items) => items.iter().for_each(|inner| named(inner, names)),
        _ => {}
    }
}

fn close(schema: &mut serde_json::Value) {
    match schema {
        serde_json::Value::Object(members) => {
            if members.contains_key("properties") {
                members.insert("additionalProperties".into(), false.into());
            }
            members.iter_mut().filter(|(name, _)| *name != "example" && *name != "examples").for_each(|(_, inner)| close(inner));
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// What a problem looks like.
fn problem_example(code: Code, budget: &'static str, base: &str) -> serde_json::Value {
    let fields = match code {
        Code::InvalidParameter => vec![FieldFault { pointer: "limit".into(), code: Broken::OutOfRange }],
        Code::ValidationFailed => vec![FieldFault { pointer: "/external_id".into(), code: Broken::Required }],
        Code::MalformedRequest => vec![FieldFault { pointer: "/seats".into(), code: Broken::Malformed }],
        Code::PayloadTooLarge => vec![FieldFault { pointer: String::new(), code: Broken::TooLong }],
        _ => Vec::new(),
    };
    let policy = (code == Code::QuotaExceeded).then_some(budget);
    let problem = Problem::of(&Fault { fields, policy, ..Fault::of(code) }, base, "req_01kakw0e00e008000000000001".parse().ok());
    serde_json::to_value(problem).unwrap_or_default()
}

/// Completes every operation with its mark, the problems it can answer with, and its examples. `mark` knows an operation by its
/// id; `base` is where problems are explained.
pub fn finish(document: &mut OpenApi, base: &str, mark: impl Fn(&str) -> Option<Mark>) {
    let examples: serde_json::Value = serde_json::from_str(EXAMPLES).unwrap_or_default();
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete].into_iter().flatten() {
            let Some(id) = operation.operation_id.clone() else { continue };
            illustrate(operation, &examples[&id]);
            for parameter in operation.parameters.iter_mut().flatten() {
                if let RefOr::T(parameter) = parameter
                    && parameter.description.is_none()
                    && let Some(of) = parameter.name.strip_suffix("_id")
                {
                    parameter.description = Some(format!("The {of}'s id."));
                }
            }
            let Some(mark) = mark(&id) else { continue };
            let extensions = operation.extensions.get_or_insert_default();
            extensions.insert("x-scope".into(), mark.scope.map_or(serde_json::Value::Null, Into::into));
            extensions.insert("x-who".into(), mark.who.into());
            let Some(scope) = mark.scope else {
                refusals(operation, vec![Code::QuotaExceeded], "address", base);
                continue;
            };
            operation.security = Some(vec![utoipa::openapi::SecurityRequirement::new("oauth2", [scope])]);
            let has_body = operation.request_body.is_some();
            let has_path_id = operation.parameters.iter().flatten().any(|p| matches!(p, RefOr::T(p) if matches!(p.parameter_in, ParameterIn::Path)));
            let acts_for = operation.parameters.iter().flatten().any(|p| matches!(p, RefOr::T(p) if p.name == "partner" || p.name == "customer"));
            let mut codes = vec![
                Code::Unauthenticated,
                Code::InsufficientScope,
                Code::TenantSuspended,
                Code::InvalidParameter,
                Code::NotAcceptable,
                Code::QuotaExceeded,
                Code::InternalError,
                Code::Overloaded,
                Code::DatabaseUnavailable,
            ];
            if has_path_id || acts_for {
                codes.push(Code::NotFound);
            }
            if mark.writes {
                codes.extend([
                    Code::IdempotencyKeyInvalid,
                    Code::ReadOnlyHere,
                    Code::AlreadyExists,
                    Code::StateConflict,
                    Code::IdempotencyInProgress,
                    Code::IdempotencyKeyReused,
                    Code::StorageExhausted,
                    Code::OutcomeUnknown,
                ]);
            }
            if has_body {
                codes.extend([Code::MalformedRequest, Code::RequestTimeout, Code::PayloadTooLarge, Code::UnsupportedMediaType, Code::ValidationFailed, Code::ReferenceNotFound]);
            }
            let tells_time = operation.parameters.iter().flatten().any(|p| matches!(p, RefOr::T(p) if p.name == "as_of" || p.name == "known_at"));
            if tells_time && !has_body {
                codes.push(Code::ValidationFailed);
            }
            if mark.if_match {
                codes.extend([Code::PreconditionFailed, Code::PreconditionRequired]);
            }
            refusals(operation, codes, "read", base);
        }
    }
}

/// Adds the problems an operation can answer with, where it does not describe that status itself; `budget` is the one its example shows used up.
fn refusals(operation: &mut Operation, codes: Vec<Code>, budget: &'static str, base: &str) {
    let mut answers: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        answers.entry(problem::status(code).as_u16()).or_default().push(code);
    }
    for (status, codes) in answers {
        let slugs: Vec<&str> = codes.iter().map(|code| code.slug()).collect();
        let first = codes.iter().find(|code| **code == Code::ValidationFailed).or(codes.first());
        let example = first.map(|code| problem_example(*code, budget, base));
        let content = ContentBuilder::new().schema(Some(RefOr::Ref(Ref::from_schema_name("Problem")))).example(example).build();
        let response = ResponseBuilder::new().description(slugs.join(", ")).content("application/problem+json", content).build();
        operation.responses.responses.entry(status.to_string()).or_insert(RefOr::T(response));
    }
}
