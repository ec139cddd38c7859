//! The published keys, the authorization server's metadata (RFC 8414), and the explanation of problems.

use crate::auth::action::Permission;
use crate::auth::gate::Gate;
use crate::http::problem::Problem;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use actix_web::http::header::{CacheControl, CacheDirective};
use actix_web::{HttpResponse, get, web};
use serde::Serialize;
use utoipa::ToSchema;

/// A public key (RFC 8037).
#[derive(Serialize, ToSchema)]
struct Jwk {
    /// Always `OKP`.
    kty: &'static str,
    /// Always `Ed25519`.
    crv: &'static str,
    /// Always `EdDSA`.
    alg: &'static str,
    /// Always `sig`.
    r#use: &'static str,
    /// RFC 7638 thumbprint.
    kid: String,
    /// The public key, base64url.
    x: String,
}

/// The published keys.
#[derive(Serialize, ToSchema)]
struct Jwks {
    /// Next, active and passive keys.
    keys: Vec<Jwk>,
}

/// The public keys that verify access tokens
///
/// The next, the active and the passive keys. Good for five minutes.
#[utoipa::path(operation_id = "jwks", tag = "Sign-in", security(()), responses((status = 200, description = "Key set (RFC 7517)", body = Jwks)))]
#[get("/.well-known/jwks.json")]
pub(super) async fn jwks(gate: web::Data<Gate>) -> HttpResponse {
    let keys = gate.keyring().published().iter().map(|key| Jwk { kty: "OKP", crv: "Ed25519", alg: "EdDSA", r#use: "sig", kid: key.kid.clone(), x: key.x.clone() }).collect();
    HttpResponse::Ok().insert_header(CacheControl(vec![CacheDirective::Public, CacheDirective::MaxAge(300)])).json(Jwks { keys })
}

/// Authorization server metadata (RFC 8414).
#[derive(Serialize, ToSchema)]
struct Metadata {
    /// Our name.
    issuer: String,
    /// Where to get tokens.
    token_endpoint: String,
    /// Where the keys are.
    jwks_uri: String,
    /// Every scope there is.
    scopes_supported: Vec<&'static str>,
    /// None: there is no authorization endpoint.
    response_types_supported: Vec<&'static str>,
    /// `client_credentials`.
    grant_types_supported: Vec<&'static str>,
    /// `private_key_jwt` and `client_secret_basic`.
    token_endpoint_auth_methods_supported: Vec<&'static str>,
    /// What assertions may be signed with.
    token_endpoint_auth_signing_alg_values_supported: Vec<&'static str>,
    /// Where the API document is.
    service_documentation: String,
}

/// Where to get tokens, and how
///
/// The token endpoint, how clients prove themselves there, and the scopes there are (RFC 8414).
#[utoipa::path(operation_id = "authorization_server_metadata", tag = "Sign-in", security(()), responses((status = 200, description = "Metadata", body = Metadata)))]
#[get("/.well-known/oauth-authorization-server")]
pub(super) async fn metadata(gate: web::Data<Gate>) -> HttpResponse {
    let issuer = gate.issuer();
    HttpResponse::Ok().insert_header(CacheControl(vec![CacheDirective::Public, CacheDirective::MaxAge(300)])).json(Metadata {
        issuer: issuer.to_owned(),
        token_endpoint: format!("{issuer}/oauth/token"),
        jwks_uri: format!("{issuer}/.well-known/jwks.json"),
        scopes_supported: Permission::ALL.iter().map(|p| p.as_str()).collect(),
        response_types_supported: Vec::new(),
        grant_types_supported: vec!["client_credentials"],
        token_endpoint_auth_methods_supported: vec!["private_key_jwt", "client_secret_basic"],
        token_endpoint_auth_signing_alg_values_supported: vec!["EdDSA", "ES256"],
        service_documentation: format!("{issuer}/docs"),
    })
}

/// What a kind of problem means.
#[derive(Serialize, ToSchema)]
struct ProblemPage {
    /// Its code.
    #[schema(example = "not-found")]
    code: &'static str,
    /// The status it comes with.
    status: u16,
    /// English title.
    title: &'static str,
    /// Japanese title (日本語の見出し).
    title_ja: &'static str,
    /// What to do about it, in English.
    detail: &'static str,
    /// The same in Japanese (日本語).
    detail_ja: &'static str,
}

/// What a kind of problem means
///
/// What the `type` of a problem leads to: its status, and its title in English and Japanese.
#[utoipa::path(operation_id = "explain_problem", tag = "Problems", security(()), params(("code" = String, Path, description = "The last part of a problem's type", example = "not-found")),
    responses((status = 200, description = "The explanation", body = ProblemPage), (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json")))]
#[get("/problems/{code}")]
pub(super) async fn explain_problem(path: web::Path<String>) -> Result<HttpResponse, Fault> {
    let code = Code::ALL.iter().copied().find(|code| code.slug() == path.as_str()).ok_or(Fault::of(Code::NotFound))?;
    let page = ProblemPage {
        code: code.slug(),
        status: crate::http::problem::status(code).as_u16(),
        title: code.title(),
        title_ja: code.title_ja(),
        detail: code.detail(),
        detail_ja: code.detail_ja(),
    };
    Ok(HttpResponse::Ok().insert_header(CacheControl(vec![CacheDirective::Public, CacheDirective::MaxAge(300)])).json(page))
}
