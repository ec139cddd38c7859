//! `/oauth/token`, the published keys, the authorization server's metadata (RFC 8414), and the explanation of problems.

use super::action::Permission;
use super::call::peer;
use super::gate::Gate;
use super::scope::SystemScope;
use super::tenancy::Standing;
use super::token::{self, Claims, LIFE};
use super::{secret, store};
use crate::http::body;
use crate::http::problem::Problem;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::{PartnerId, PrincipalId, TypeId, VendorId};
use crate::state::{base64url, random};
use actix_web::http::header::{self, CacheControl, CacheDirective};
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use base64::Engine;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

/// Mounts sign-in and what is public.
pub fn routes(config: &mut ServiceConfig) {
    config.service(issue_token).service(jwks).service(metadata).service(explain_problem);
}

/// The ids of the operations that need no token.
pub fn public_routes() -> &'static [&'static str] {
    &["issue_token", "jwks", "authorization_server_metadata", "explain_problem", "openapi_document"]
}

/// A token request (RFC 6749, section 4.4).
#[derive(ToSchema)]
#[allow(dead_code, reason = "documents the form, which is read by hand to refuse repeats")]
struct TokenForm {
    /// Always `client_credentials`.
    #[schema(example = "client_credentials")]
    grant_type: String,
    /// The scopes wanted, blank-separated; all granted ones when left out.
    #[schema(example = "customers:read customers:write reports:write health:read")]
    scope: Option<String>,
}

/// An access token.
#[derive(Serialize, ToSchema)]
struct TokenAnswer {
    /// Send it as `Authorization: Bearer ...`.
    access_token: String,
    /// Always `Bearer`.
    token_type: &'static str,
    /// Seconds until it expires.
    #[schema(example = 300)]
    expires_in: i64,
    /// The scopes it carries.
    scope: String,
}

/// An error in the words of RFC 6749, section 5.2.
#[derive(Debug, Serialize, ToSchema)]
struct TokenError {
    /// `invalid_client`, `invalid_request`, `invalid_scope`, `unauthorized_client` or `unsupported_grant_type`.
    #[schema(example = "invalid_client")]
    error: &'static str,
    /// What to do about it.
    error_description: &'static str,
}

fn refuse(status: u16, error: &'static str, error_description: &'static str) -> HttpResponse {
    let mut answer = HttpResponse::build(actix_web::http::StatusCode::from_u16(status).unwrap_or(actix_web::http::StatusCode::BAD_REQUEST));
    if status == 401 {
        answer.insert_header((header::WWW_AUTHENTICATE, "Basic realm=\"todoku\", charset=\"UTF-8\""));
    }
    answer.insert_header((header::CACHE_CONTROL, "no-store")).json(TokenError { error, error_description })
}

/// Exchange client credentials for an access token
///
/// Client credentials with `client_secret_basic`: user name = client id, password = client secret. The token lives 300 s.
#[utoipa::path(operation_id = "issue_token", tag = "Sign-in",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    security(("client_basic" = [])),
    responses(
        (status = 200, description = "A token", body = TokenAnswer),
        (status = 400, description = "invalid_request, invalid_scope, unauthorized_client, unsupported_grant_type", body = TokenError),
        (status = 401, description = "invalid_client", body = TokenError),
        (status = 408, description = "request-timeout", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "payload-too-large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "unsupported-media-type", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "quota-exceeded", body = Problem, content_type = "application/problem+json"),
        (status = 500, description = "internal-error", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "overloaded, database-unavailable", body = Problem, content_type = "application/problem+json")))]
#[post("/oauth/token")]
async fn issue_token(request: HttpRequest, payload: web::Payload, gate: web::Data<Gate>) -> Result<HttpResponse, Fault> {
    let address = peer(&request, gate.state.config.server.trust_forwarded_for);
    if let Some(address) = address {
        gate.limits.address(address)?;
    }
    body::check_media_type(&request, "application/x-www-form-urlencoded")?;
    let bytes = body::read(&request, &mut payload.into_inner(), 8 * 1024).await?;
    let (mut grant_type, mut scope) = (None, None);
    for (name, value) in url::form_urlencoded::parse(&bytes) {
        let slot = match name.as_ref() {
            "grant_type" => &mut grant_type,
            "scope" => &mut scope,
            // RFC 6749, 3.2: parameters nobody knows are ignored.
            _ => continue,
        };
        if slot.replace(value.into_owned()).is_some() {
            return Ok(refuse(400, "invalid_request", "A parameter is given twice."));
        }
    }
    let invalid_client = || refuse(401, "invalid_client", "The client id or secret is not valid.");
    let Some((client, secret)) = basic(&request) else { return Ok(invalid_client()) };
    // Per address, too: a stranger who knows a client's id must not use up its budget.
    gate.limits.token(client.uuid(), address)?;
    let Some(public_id) = secret::public_id(&secret) else { return Ok(invalid_client()) };
    match grant_type.as_deref() {
        Some("client_credentials") => {}
        Some(_) => return Ok(refuse(400, "unsupported_grant_type", "Only client_credentials is supported.")),
        None => return Ok(refuse(400, "invalid_request", "grant_type is required.")),
    }
    // A client nobody knows takes the same way as a wrong secret, so that time tells nothing of who exists.
    let known = gate.tenancy.principal(client.uuid());
    let in_force = is_in_force(&gate, known.map_or(Uuid::nil(), |(vendor, ..)| vendor), client, public_id, &secret).await?;
    let Some((vendor, partner, epoch)) = known.filter(|_| in_force) else { return Ok(invalid_client()) };
    let vendor = VendorId::of(vendor);
    let granted = match gate.tenancy.standing(vendor.uuid(), partner, client.uuid(), None) {
        Standing::Gone => return Ok(invalid_client()),
        Standing::Suspended => return Ok(refuse(400, "unauthorized_client", "The partner or vendor is suspended.")),
        Standing::Good(granted) => granted,
    };
    let wanted: Vec<&str> = match &scope {
        Some(list) => list.split(' ').filter(|s| !s.is_empty()).collect(),
        None => granted.iter().map(String::as_str).collect(),
    };
    if wanted.is_empty() || wanted.iter().any(|w| !granted.iter().any(|g| g == w)) {
        return Ok(refuse(400, "invalid_scope", "A scope is unknown or not granted to this client."));
    }
    let scope = wanted.join(" ");
    let now = gate.state.clock().now().timestamp();
    let claims = Claims {
        iss: gate.issuer().to_owned(),
        aud: gate.issuer().to_owned(),
        sub: client,
        client_id: client,
        iat: now,
        nbf: now,
        exp: now + LIFE,
        jti: base64url(&random::<16>()?),
        scope: scope.clone(),
        ven: vendor,
        par: partner.map(PartnerId::of),
        cep: epoch,
    };
    let access_token = token::sign(&gate.keyring(), &claims)?;
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(TokenAnswer { access_token, token_type: "Bearer", expires_in: LIFE, scope }))
}

/// The client id and secret of `Authorization: Basic`, form-decoded as RFC 6749, 2.3.1 says.
fn basic(request: &HttpRequest) -> Option<(PrincipalId, String)> {
    let mut given = request.headers().get_all(header::AUTHORIZATION);
    let text = given.next()?.to_str().ok()?;
    if given.next().is_some() {
        return None;
    }
    let (kind, encoded) = text.split_once(' ')?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok().filter(|_| kind.eq_ignore_ascii_case("basic"))?;
    let decoded = String::from_utf8(decoded).ok()?;
    let (client, secret) = decoded.split_once(':')?;
    // Neither part holds a character that form-encoding would change.
    Some((client.parse().ok()?, secret.to_owned()))
}

/// Whether the secret is the client's own and in force. An unknown secret costs the same hash as a wrong one.
async fn is_in_force(gate: &Gate, vendor: Uuid, client: PrincipalId, public_id: &str, secret: &str) -> Result<bool, Fault> {
    let (now, row) = gate.state.db.begin_read(SystemScope::auth()).await?.look(async |tx| Ok((tx.now(), store::credential(tx, public_id).await?))).await?;
    let fits = gate.state.keys.mac_fits(secret, row.as_ref().map_or(&[0; 32], |row| &row.mac));
    let Some(row) = row.filter(|_| fits) else { return Ok(false) };
    let in_force = row.revoked_at.is_none() && row.not_after.is_none_or(|end| now < end) && row.principal_id == client.uuid() && row.vendor_id == vendor;
    let today = now.date_naive();
    if in_force && row.last_used_on != Some(today) {
        gate.state.db.begin_write(SystemScope::auth()).await?.settle(async |tx| store::credential_used(tx, public_id, today).await).await?;
    }
    Ok(in_force)
}

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
#[utoipa::path(operation_id = "jwks", tag = "Sign-in", security(()), responses((status = 200, description = "Key set (RFC 7517)", body = Jwks)))]
#[get("/.well-known/jwks.json")]
async fn jwks(gate: web::Data<Gate>) -> HttpResponse {
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
    /// `client_secret_basic`.
    token_endpoint_auth_methods_supported: Vec<&'static str>,
    /// Where the API document is.
    service_documentation: String,
}

/// Where to get tokens, and how
#[utoipa::path(operation_id = "authorization_server_metadata", tag = "Sign-in", security(()), responses((status = 200, description = "Metadata", body = Metadata)))]
#[get("/.well-known/oauth-authorization-server")]
async fn metadata(gate: web::Data<Gate>) -> HttpResponse {
    let issuer = gate.issuer();
    HttpResponse::Ok().insert_header(CacheControl(vec![CacheDirective::Public, CacheDirective::MaxAge(300)])).json(Metadata {
        issuer: issuer.to_owned(),
        token_endpoint: format!("{issuer}/oauth/token"),
        jwks_uri: format!("{issuer}/.well-known/jwks.json"),
        scopes_supported: Permission::ALL.iter().map(|p| p.as_str()).collect(),
        response_types_supported: Vec::new(),
        grant_types_supported: vec!["client_credentials"],
        token_endpoint_auth_methods_supported: vec!["client_secret_basic"],
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
}

/// What a kind of problem means
#[utoipa::path(operation_id = "explain_problem", tag = "Problems", security(()), params(("code" = String, Path, description = "The last part of a problem's type", example = "not-found")),
    responses((status = 200, description = "The explanation", body = ProblemPage), (status = 404, description = "not-found", body = Problem, content_type = "application/problem+json")))]
#[get("/problems/{code}")]
async fn explain_problem(path: web::Path<String>) -> Result<HttpResponse, Fault> {
    let code = Code::ALL.iter().copied().find(|code| code.slug() == path.as_str()).ok_or(Fault::of(Code::NotFound))?;
    let page = ProblemPage { code: code.slug(), status: crate::http::problem::status(code).as_u16(), title: code.title(), title_ja: code.title_ja() };
    Ok(HttpResponse::Ok().insert_header(CacheControl(vec![CacheDirective::Public, CacheDirective::MaxAge(300)])).json(page))
}
