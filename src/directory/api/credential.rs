//! `/v1/partners/{partner_id}/clients/{client_id}/credentials`: how a client proves who it is, and changes over without a refused request.

use crate::auth::{Call, Json, PublicJwk, WriteQuery, op};
use crate::directory::credential::{Credential, CredentialKind, MAX_OVERLAP_DAYS};
use crate::directory::flow::{add_credential, revoke_credential};
use crate::directory::store::{client, credential as store};
use crate::http::body::Faults;
use crate::kernel::code::Code;
use crate::kernel::error::{Fault, FieldFault};
use crate::kernel::id::{CredentialId, PartnerId, PrincipalId, TypeId};
use crate::kernel::text::Broken;
use crate::kernel::time::Moment;
use crate::ledger::{self, Answer};
use actix_web::{HttpResponse, delete, get, post};
use chrono::{Duration, NaiveDate};
use deserr::Deserr;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list).service(add).service(revoke);
}

crate::wire_words!(CredentialKind);

/// A credential of a client.
#[derive(Serialize, ToSchema, Clone)]
struct CredentialView {
    id: CredentialId,
    kind: CredentialKind,
    /// The RFC 7638 thumbprint of a public key.
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Moment,
    /// When it ceases to be in force, because a newer one came.
    #[schema(value_type = Option<String>, format = DateTime)]
    not_after: Option<Moment>,
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Moment>,
    #[schema(value_type = Option<String>, format = Date)]
    last_used_on: Option<NaiveDate>,
    /// The secret, in the one answer that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
}

impl CredentialView {
    fn of(credential: Credential) -> Self {
        Self {
            id: credential.id,
            kind: credential.kind,
            kid: credential.public_key.map(|key| key.thumbprint()),
            created_at: credential.created_at,
            not_after: credential.not_after,
            revoked_at: credential.revoked_at,
            last_used_on: credential.last_used_on,
            client_secret: None,
        }
    }
}

/// The credentials of a client.
#[derive(Serialize, ToSchema)]
struct CredentialList {
    /// Oldest first: those in force and, of the others, the last ones; 100 at most.
    data: Vec<CredentialView>,
}

/// List the credentials of a client
///
/// Never with a secret.
#[utoipa::path(operation_id = "list_credentials", tag = "Clients", params(("partner_id" = PartnerId, Path), ("client_id" = PrincipalId, Path)),
    responses((status = 200, description = "The credentials", body = CredentialList)))]
#[get("/v1/partners/{partner_id}/clients/{client_id}/credentials")]
async fn list(call: Call<op::ListCredentials, (PartnerId, PrincipalId)>) -> Result<HttpResponse, Fault> {
    let (partner, client) = call.path;
    let found = call
        .read(async |tx| {
            client::state(tx, Some(partner), client).await?.ok_or(Fault::of(Code::NotFound))?;
            store::of_client(tx, client).await
        })
        .await?;
    Ok(HttpResponse::Ok().json(CredentialList { data: found.into_iter().map(CredentialView::of).collect() }))
}

/// A public JSON Web Key: Ed25519 (`kty` `OKP`) or P-256 (`kty` `EC`). The private half stays with the client.
#[derive(Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
struct NewJwk {
    /// `OKP` or `EC`.
    #[schema(example = "OKP")]
    kty: String,
    /// `Ed25519` or `P-256`.
    #[schema(example = "Ed25519")]
    crv: String,
    /// 32 bytes in base64url.
    #[schema(example = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")]
    x: String,
    /// 32 bytes in base64url, for P-256.
    #[deserr(default)]
    y: Option<String>,
    /// Not needed; `EdDSA` or `ES256` follows from the curve.
    #[deserr(default)]
    alg: Option<String>,
    /// Not needed; `sig`.
    #[deserr(default)]
    r#use: Option<String>,
    /// Not needed; a key is named by its thumbprint.
    #[deserr(default)]
    kid: Option<String>,
}

impl NewJwk {
    /// The key, or the first member that does not fit to those before it.
    fn read(&self) -> Result<PublicJwk, FieldFault> {
        let wrong = |member: &str, code| FieldFault { pointer: format!("/jwk/{member}"), code };
        let key = match (self.kty.as_str(), self.crv.as_str(), &self.y) {
            ("OKP", "Ed25519", None) => PublicJwk::Ed25519 { x: self.x.clone() },
            ("OKP", "Ed25519", Some(_)) => return Err(wrong("y", Broken::Contradiction)),
            ("EC", "P-256", Some(y)) => PublicJwk::P256 { x: self.x.clone(), y: y.clone() },
            ("EC", "P-256", None) => return Err(wrong("y", Broken::Required)),
            ("OKP" | "EC", ..) => return Err(wrong("crv", Broken::NotInSet)),
            _ => return Err(wrong("kty", Broken::NotInSet)),
        };
        let others = [("alg", &self.alg, Some(key.alg())), ("use", &self.r#use, Some("sig")), ("kid", &self.kid, None)];
        if let Some((member, ..)) = others.iter().find(|(_, given, only)| given.as_deref().is_some_and(|given| only.is_some_and(|only| only != given))) {
            return Err(wrong(member, Broken::Contradiction));
        }
        key.check().map_err(|code| wrong("x", code))?;
        Ok(key)
    }
}

/// A credential to be: a new secret, or the public key in `jwk`.
#[derive(Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
struct NewCredential {
    /// The public key of a client that signs its assertions; a new secret is made when left out.
    #[deserr(default)]
    jwk: Option<NewJwk>,
    /// Days the newest one of the same kind stays in force beside this one; 7 when left out. Older ones end at once.
    #[deserr(default)]
    #[schema(minimum = 0, maximum = 7, example = 7)]
    overlap_days: Option<i64>,
}

/// Add a credential to a client
///
/// A new secret (in this answer alone; a retry with the same Idempotency-Key shows it again for 15 minutes), or a public key for `private_key_jwt`. The
/// one before stays in force for `overlap_days`, so that a client changes over without a refused request.
#[utoipa::path(operation_id = "add_credential", tag = "Clients", params(("partner_id" = PartnerId, Path), ("client_id" = PrincipalId, Path), WriteQuery), request_body = NewCredential,
    responses((status = 201, description = "Added; a secret is shown", body = CredentialView,
        links(("revoke" = (operation_id = "revoke_credential",
            parameters(("partner_id" = "$request.path.partner_id"), ("client_id" = "$request.path.client_id"), ("credential_id" = "$response.body#/id"))))))))]
#[post("/v1/partners/{partner_id}/clients/{client_id}/credentials")]
async fn add(call: Call<op::AddCredential, (PartnerId, PrincipalId), WriteQuery, Json<NewCredential>>) -> Result<HttpResponse, Fault> {
    let new = &call.body.0;
    let days = new.overlap_days.unwrap_or(MAX_OVERLAP_DAYS);
    let key = new.jwk.as_ref().map(NewJwk::read).transpose();
    let days_fit = if (0..=MAX_OVERLAP_DAYS).contains(&days) { Ok(()) } else { Err(FieldFault { pointer: "/overlap_days".into(), code: Broken::OutOfRange }) };
    let key = match (key, days_fit) {
        (Ok(key), Ok(())) => key,
        (key, days) => return Err(Fault::invalid(key.err().into_iter().chain(days.err()).collect())),
    };
    let (partner, client) = call.path;
    ledger::write(&call, async |tx| {
        let (added, minted) = add_credential(tx, &call.gate.state.keys, call.caller.caller_id(), (Some(partner), client), key, Duration::days(days)).await?;
        let id = added.id.uuid();
        let plain = CredentialView::of(added);
        let shown = CredentialView { client_secret: minted.map(|minted| minted.secret), ..plain.clone() };
        let answer = Answer::json(201, &shown)?.about([client.uuid(), id]);
        if shown.client_secret.is_some() { answer.secret(&plain) } else { Ok(answer) }
    })
    .await
}

/// Revoke a credential
///
/// It opens the door no more, and every token the client holds is refused within two seconds; with another credential it gets a new one.
#[utoipa::path(operation_id = "revoke_credential", tag = "Clients",
    params(("partner_id" = PartnerId, Path), ("client_id" = PrincipalId, Path), ("credential_id" = CredentialId, Path), WriteQuery),
    responses((status = 204, description = "Revoked")))]
#[delete("/v1/partners/{partner_id}/clients/{client_id}/credentials/{credential_id}")]
async fn revoke(call: Call<op::RevokeCredential, (PartnerId, PrincipalId, CredentialId), WriteQuery>) -> Result<HttpResponse, Fault> {
    let (partner, client, credential) = call.path;
    let response = ledger::write(&call, async |tx| {
        let changed = revoke_credential(tx, call.caller.caller_id(), partner, client, credential).await?;
        Ok(if changed { Answer::empty(204).about([client.uuid(), credential.uuid()]) } else { Answer::empty(204) })
    })
    .await?;
    call.gate.look_again().await;
    Ok(response)
}
