//! `/oauth/token`: client credentials in, an access token out. Errors are in the words of RFC 6749.

use crate::auth::action::{Permission, Permissions};
use crate::auth::assertion::{self, Assertion};
use crate::auth::gate::Gate;
use crate::auth::jwk::PublicJwk;
use crate::auth::scope::SystemScope;
use crate::auth::tenancy::Standing;
use crate::auth::token::{self, Claims, LIFE};
use crate::auth::visitor::address;
use crate::auth::{secret, store};
use crate::db::Tx;
use crate::http::body;
use crate::http::problem::Problem;
use crate::http::unread::Unread;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::hash::sha256;
use crate::kernel::id::{PartnerId, PrincipalId, TypeId, VendorId};
use crate::state::{base64url, random};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, post, web};
use base64::Engine;
use chrono::DateTime;
use serde::Serialize;
use std::time::Duration;
use utoipa::ToSchema;
use uuid::Uuid;

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
    /// For `private_key_jwt`: always `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`.
    client_assertion_type: Option<String>,
    /// For `private_key_jwt`: a JWT signed by the client's key with `EdDSA` or `ES256`. `iss` and `sub` are the client id, `aud` is our issuer
    /// as one text, `exp` lies at most 60 s ahead, `jti` is new each time.
    client_assertion: Option<String>,
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
/// The client proves itself by `private_key_jwt` (a signed assertion in the form) or by `client_secret_basic` (user name = client id, password =
/// client secret), never both. The token lives 300 s.
#[utoipa::path(operation_id = "issue_token", tag = "Sign-in",
    request_body(content = TokenForm, content_type = "application/x-www-form-urlencoded"),
    security(("client_basic" = []), ()),
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
pub(super) async fn issue_token(request: HttpRequest, payload: web::Payload, gate: web::Data<Gate>) -> Result<HttpResponse, Fault> {
    let mut payload = payload.into_inner();
    let form = async {
        body::check_media_type(&request, "application/x-www-form-urlencoded")?;
        body::read(&request, &mut payload, 8 * 1024, None).await
    };
    let bytes = form.await;
    match bytes {
        Ok(_) => Unread::keep(&request, payload),
        Err(_) => Unread::refuse(&request, payload).await,
    }
    let bytes = bytes?;
    let Some(form) = Form::read(&bytes) else { return Ok(refuse(400, "invalid_request", "A parameter is given twice.")) };
    let invalid_client = || refuse(401, "invalid_client", "The client, or its proof of who it is, is not valid.");
    let proof = match (&form.assertion, request.headers().contains_key(header::AUTHORIZATION)) {
        (Some(_), true) => return Ok(refuse(400, "invalid_request", "A client proves itself in one way.")),
        (Some(_), false) if form.assertion_type.as_deref() != Some(assertion::TYPE) => return Ok(refuse(400, "invalid_request", "client_assertion_type is not supported.")),
        (Some(text), false) => Assertion::read(text, gate.issuer(), gate.state.clock().now()).map(Proof::Assertion),
        (None, _) => basic(&request),
    };
    let Some(proof) = proof else { return Ok(invalid_client()) };
    let client = proof.client();
    // Per address, too: a stranger who knows a client's id must not use up its budget.
    gate.limits.token(client.uuid(), address(request.headers(), request.peer_addr(), &gate))?;
    // Before an assertion is used up.
    gate.check_fresh()?;
    let keyring = gate.keyring();
    match form.grant_type.as_deref() {
        Some("client_credentials") => {}
        Some(_) => return Ok(refuse(400, "unsupported_grant_type", "Only client_credentials is supported.")),
        None => return Ok(refuse(400, "invalid_request", "grant_type is required.")),
    }
    // A client nobody knows takes the same way as a wrong proof, so that time tells nothing of who exists.
    let known = gate.tenancy.principal(client.uuid());
    let holds = proof.holds(&gate, known.map_or(Uuid::nil(), |(vendor, ..)| vendor)).await?;
    let Some((vendor, partner, epoch)) = known.filter(|_| holds) else { return Ok(invalid_client()) };
    let vendor = VendorId::of(vendor);
    let granted = match gate.tenancy.standing(vendor.uuid(), partner, client.uuid(), None) {
        Standing::Gone => return Ok(invalid_client()),
        Standing::Suspended => return Ok(refuse(400, "unauthorized_client", "The partner or vendor is suspended.")),
        Standing::Good(granted) => granted,
    };
    let wanted = match &form.scope {
        Some(list) => list.split(' ').filter(|name| !name.is_empty()).map(str::parse::<Permission>).collect::<Result<Permissions, _>>().ok(),
        None => Some(granted),
    };
    let Some(wanted) = wanted.filter(|wanted| *wanted != Permissions::default() && wanted.within(granted) == *wanted) else {
        return Ok(refuse(400, "invalid_scope", "A scope is unknown or not granted to this client."));
    };
    let scope = wanted.iter().map(Permission::as_str).collect::<Vec<_>>().join(" ");
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
    let access_token = token::sign(&keyring, &claims)?;
    Ok(HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(TokenAnswer { access_token, token_type: "Bearer", expires_in: LIFE, scope }))
}

/// The parameters that matter; RFC 6749, 3.2: those nobody knows are ignored.
#[derive(Default)]
struct Form {
    grant_type: Option<String>,
    scope: Option<String>,
    assertion: Option<String>,
    assertion_type: Option<String>,
}

impl Form {
    /// `None` when one is given twice.
    fn read(bytes: &[u8]) -> Option<Self> {
        let mut form = Self::default();
        for (name, value) in url::form_urlencoded::parse(bytes) {
            let slot = match name.as_ref() {
                "grant_type" => &mut form.grant_type,
                "scope" => &mut form.scope,
                "client_assertion" => &mut form.assertion,
                "client_assertion_type" => &mut form.assertion_type,
                _ => continue,
            };
            if slot.replace(value.into_owned()).is_some() {
                return None;
            }
        }
        Some(form)
    }
}

/// How a client proves who it is.
enum Proof {
    /// `client_secret_basic`, with a secret of the published form.
    Secret { client: PrincipalId, secret: String },
    /// `private_key_jwt`.
    Assertion(Assertion),
}

/// The proof of `Authorization: Basic`, form-decoded as RFC 6749, 2.3.1 says.
fn basic(request: &HttpRequest) -> Option<Proof> {
    let mut given = request.headers().get_all(header::AUTHORIZATION);
    let text = given.next()?.to_str().ok()?;
    if given.next().is_some() {
        return None;
    }
    let (kind, encoded) = text.split_once(' ')?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok().filter(|_| kind.eq_ignore_ascii_case("basic"))?;
    let decoded = String::from_utf8(decoded).ok()?;
    // Neither part holds a character that form-encoding would change.
    let (client, secret) = decoded.split_once(':')?;
    Some(Proof::Secret { client: client.parse().ok()?, secret: secret.to_owned() })
}

impl Proof {
    fn client(&self) -> PrincipalId {
        match self {
            Self::Secret { client, .. } => *client,
            Self::Assertion(assertion) => assertion.client(),
        }
    }

    /// Whether it is the client's own and in force.
    async fn holds(&self, gate: &Gate, vendor: Uuid) -> Result<bool, Fault> {
        match self {
            Self::Secret { client, secret } => match secret::public_id(secret) {
                Some(public_id) => verify_secret(gate, vendor, *client, public_id, secret).await,
                None => Ok(false),
            },
            Self::Assertion(assertion) => accept_assertion(gate, vendor, assertion).await,
        }
    }
}

/// Whether the secret is the client's. An unknown secret costs the same hash as a wrong one.
async fn verify_secret(gate: &Gate, vendor: Uuid, client: PrincipalId, public_id: &str, secret: &str) -> Result<bool, Fault> {
    let db = &gate.state.db;
    let (row, now) = gate.lookup.secret(db, public_id).await?;
    let fits = gate.state.keys.mac_fits(secret, row.as_ref().map_or(&[0; 32], |row| &row.mac));
    let Some(row) = row.filter(|_| fits) else { return Ok(false) };
    let holds = row.standing.is_in_force(now) && row.principal_id == client.uuid() && row.vendor_id == vendor;
    let today = now.date_naive();
    if holds && row.standing.last_used_on != Some(today) {
        db.begin_write(SystemScope::auth()).await?.settle(async |tx| store::credential_used(tx, row.standing.id, today).await).await?;
    }
    Ok(holds)
}

/// How long an assertion waits to be looked at.
const DOOR_PATIENCE: Duration = Duration::from_secs(1);

/// Whether one of the client's keys signed the assertion, and it comes for the first time.
async fn accept_assertion(gate: &Gate, vendor: Uuid, assertion: &Assertion) -> Result<bool, Fault> {
    let busy = |_| Fault::unavailable(Code::Overloaded, "too many assertions wait to be looked at");
    let _place = tokio::time::timeout(DOOR_PATIENCE, gate.assertions.acquire()).await.map_err(busy)?.map_err(Fault::internal)?;
    let client = assertion.client();
    let check = async |tx: &Tx<SystemScope>| {
        let mut keys = store::public_keys(tx, vendor, client.uuid()).await?;
        keys.retain(|row| row.standing.is_in_force(tx.now()));
        let jwks: Vec<PublicJwk> = keys.iter().filter_map(|row| PublicJwk::of_canonical(&row.public_key)).collect();
        let Some(signer) = assertion.signer(&jwks).map(PublicJwk::canonical) else { return Ok(false) };
        let Some(signer) = keys.iter().find(|row| row.public_key == signer) else { return Ok(false) };
        let refused_from = DateTime::from_timestamp_secs(assertion.refused_from()).ok_or_else(|| Fault::internal("an assertion in time has a time"))?;
        let first = store::use_assertion(tx, vendor, client.uuid(), sha256(assertion.jti().as_bytes()), refused_from).await?;
        let today = tx.now().date_naive();
        if !first {
            tracing::warn!(%client, "an assertion came a second time");
        }
        if first && signer.standing.last_used_on != Some(today) {
            store::credential_used(tx, signer.standing.id, today).await?;
        }
        Ok(first)
    };
    gate.state.db.begin_write(SystemScope::auth()).await?.settle(check).await
}
