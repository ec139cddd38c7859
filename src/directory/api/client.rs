//! `/v1/partners/{partner_id}/clients`: credentials of a partner's systems. A secret is shown once.

use crate::auth::{Call, Json, Permission, WriteQuery, op};
use crate::directory::flow::{add_client, revoke_client};
use crate::directory::store::client::{self as store, Client};
use crate::directory::store::partner;
use crate::http::body::Faults;
use crate::kernel::code::Code;
use crate::kernel::error::{Fault, FieldFault};
use crate::kernel::id::{PartnerId, PrincipalId, TypeId};
use crate::kernel::text::{Broken, Name};
use crate::kernel::time::Moment;
use crate::ledger::{self, Answer};
use actix_web::{HttpResponse, delete, get, post};
use chrono::NaiveDate;
use deserr::Deserr;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list).service(create).service(revoke);
}

/// A client of a partner.
#[derive(Serialize, ToSchema, Clone)]
struct ClientView {
    /// Also the OAuth client id.
    id: PrincipalId,
    partner_id: Option<PartnerId>,
    name: Name,
    /// What it was given.
    scopes: Vec<&'static str>,
    /// `active` or `revoked`.
    state: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Moment,
    #[schema(value_type = Option<String>, format = Date)]
    last_used_on: Option<NaiveDate>,
    /// The secret, in the one answer that shows it.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_secret: Option<String>,
}

impl ClientView {
    fn of(client: Client) -> Self {
        Self {
            id: client.id,
            partner_id: client.partner_id,
            name: client.name,
            scopes: client.scopes.into_iter().map(Permission::as_str).collect(),
            state: client.state,
            created_at: client.created_at,
            last_used_on: client.last_used_on,
            client_secret: None,
        }
    }
}

/// The clients of a partner.
#[derive(Serialize, ToSchema)]
struct ClientList {
    /// Oldest first.
    data: Vec<ClientView>,
}

/// List the clients of a partner
///
/// Oldest first, at most 1,000. Never with a secret.
#[utoipa::path(operation_id = "list_clients", tag = "Clients", params(("partner_id" = PartnerId, Path)), responses((status = 200, description = "The clients", body = ClientList)))]
#[get("/v1/partners/{partner_id}/clients")]
async fn list(call: Call<op::ListClients, PartnerId>) -> Result<HttpResponse, Fault> {
    let found = call
        .read(async |tx| {
            partner::by_id(tx, call.path).await?.ok_or(Fault::of(Code::NotFound))?;
            store::of_partner(tx, call.path).await
        })
        .await?;
    Ok(HttpResponse::Ok().json(ClientList { data: found.into_iter().map(ClientView::of).collect() }))
}

/// A client to be.
#[derive(Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
struct NewClient {
    #[schema(example = "portal")]
    name: Name,
    /// What it may do; everything a partner may when left out.
    #[deserr(default)]
    #[schema(example = json!(["customers:read", "customers:write", "reports:write", "health:read"]))]
    scopes: Option<Vec<String>>,
}

fn scopes(wanted: Option<&Vec<String>>) -> Result<Vec<Permission>, Fault> {
    let Some(wanted) = wanted else { return Ok(Permission::FOR_PARTNERS.to_vec()) };
    if wanted.is_empty() {
        return Err(Fault::field("/scopes", Broken::Empty));
    }
    let mut given = Vec::new();
    let mut faults = Vec::new();
    for (i, text) in wanted.iter().enumerate() {
        let mut wrong = |code| faults.push(FieldFault { pointer: format!("/scopes/{i}"), code });
        match Permission::FOR_PARTNERS.iter().find(|permission| permission.as_str() == text) {
            None => wrong(Broken::NotInSet),
            Some(permission) if given.contains(permission) => wrong(Broken::Duplicate),
            Some(permission) => given.push(*permission),
        }
    }
    if faults.is_empty() { Ok(given) } else { Err(Fault::invalid(faults)) }
}

/// Create a client
///
/// The secret is in this answer alone. A retry with the same Idempotency-Key shows it again for 15 minutes.
#[utoipa::path(operation_id = "create_client", tag = "Clients", params(("partner_id" = PartnerId, Path), WriteQuery), request_body = NewClient,
    responses((status = 201, description = "Created, with its secret", body = ClientView,
        links(("revoke" = (operation_id = "revoke_client", parameters(("partner_id" = "$request.path.partner_id"), ("client_id" = "$response.body#/id")))),
               ("credentials" = (operation_id = "list_credentials", parameters(("partner_id" = "$request.path.partner_id"), ("client_id" = "$response.body#/id"))))))))]
#[post("/v1/partners/{partner_id}/clients")]
async fn create(call: Call<op::CreateClient, PartnerId, WriteQuery, Json<NewClient>>) -> Result<HttpResponse, Fault> {
    let new = &call.body.0;
    let scopes = scopes(new.scopes.as_ref())?;
    let response = ledger::write(&call, async |tx| {
        partner::by_id(tx, call.path).await?.ok_or(Fault::of(Code::NotFound))?;
        let (client, minted) = add_client(tx, &call.gate.state.keys, call.caller.caller_id(), Some(call.path), new.name.clone(), scopes).await?;
        let id = client.id.uuid();
        let plain = ClientView::of(client);
        let shown = ClientView { client_secret: Some(minted.secret), ..plain.clone() };
        Answer::json(201, &shown)?.about([id]).secret(&plain)
    })
    .await?;
    call.gate.look_again().await;
    Ok(response)
}

/// Revoke a client
///
/// Its secrets and every token it holds are refused within two seconds, in every process.
#[utoipa::path(operation_id = "revoke_client", tag = "Clients", params(("partner_id" = PartnerId, Path), ("client_id" = PrincipalId, Path), WriteQuery),
    responses((status = 204, description = "Revoked")))]
#[delete("/v1/partners/{partner_id}/clients/{client_id}")]
async fn revoke(call: Call<op::RevokeClient, (PartnerId, PrincipalId), WriteQuery>) -> Result<HttpResponse, Fault> {
    let (partner, client) = call.path;
    let response = ledger::write(&call, async |tx| {
        let changed = revoke_client(tx, call.caller.caller_id(), Some(partner), client).await?;
        Ok(if changed { Answer::empty(204).about([client.uuid()]) } else { Answer::empty(204) })
    })
    .await?;
    call.gate.look_again().await;
    Ok(response)
}
