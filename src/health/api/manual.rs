//! What the vendor's people say about a customer's health: scores set by hand, and who looks after a gap between the sources. The
//! vendor's alone; no partner learns of it.

use super::point::PointQuery;
use crate::auth::{Call, Json, NoBody, WriteQuery, op};
use crate::directory::{calendar, locate_customer};
use crate::health::flow::{OverrideDraft, approve, own_divergence, set_by_hand, withdraw};
use crate::health::manual::{Override, OverrideState};
use crate::health::scorecard::Purpose;
use crate::health::store;
use crate::http::body::{Day, Faults};
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, OverrideId, PrincipalId, TypeId};
use crate::kernel::number::thousandths;
use crate::kernel::text::{Comment, Label, Link};
use crate::kernel::time::Moment;
use crate::ledger::{self, Answer};
use actix_web::{HttpResponse, get, post, put};
use chrono::NaiveDate;
use deserr::Deserr;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

crate::wire_words!(OverrideState);

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(list).service(create).service(approve_one).service(withdraw_one).service(own);
}

/// A score set by hand.
#[derive(Serialize, ToSchema)]
struct OverrideView {
    id: OverrideId,
    customer_id: CustomerId,
    purpose: Purpose,
    state: OverrideState,
    /// 0-100.
    score: f64,
    /// Why.
    reason: String,
    /// Where the evidence lies.
    evidence_link: Option<String>,
    /// Who set it.
    author: PrincipalId,
    #[schema(value_type = String, format = DateTime)]
    created_at: Moment,
    /// The last day it counts.
    #[schema(value_type = String, format = Date)]
    expires_on: NaiveDate,
    /// Since when it counts; absent until it is approved.
    #[schema(value_type = Option<String>, format = DateTime)]
    counts_from: Option<Moment>,
    /// Who approved it, where that was asked for.
    approver: Option<PrincipalId>,
    #[schema(value_type = Option<String>, format = DateTime)]
    withdrawn_at: Option<Moment>,
}

impl OverrideView {
    fn of(o: Override, today: NaiveDate) -> Self {
        Self {
            state: o.state(today),
            id: o.id,
            customer_id: o.customer,
            purpose: o.purpose,
            score: thousandths(o.score),
            reason: o.reason,
            evidence_link: o.evidence_link,
            author: PrincipalId::of(o.author),
            created_at: o.created_at,
            expires_on: o.expires_on,
            counts_from: o.counts_from,
            approver: o.approver.map(PrincipalId::of),
            withdrawn_at: o.withdrawn_at,
        }
    }
}

/// The overrides.
#[derive(Serialize, ToSchema)]
struct OverrideList {
    /// Newest first, at most 1,000.
    data: Vec<OverrideView>,
}

/// List the scores set by hand for a customer
///
/// Newest first, also those that count no more; now, or as they stood.
#[utoipa::path(operation_id = "list_overrides", tag = "Health", params(("customer_id" = CustomerId, Path), PointQuery), responses((status = 200, description = "The overrides", body = OverrideList)))]
#[get("/v1/customers/{customer_id}/overrides")]
async fn list(call: Call<op::ListOverrides, CustomerId, PointQuery>) -> Result<HttpResponse, Fault> {
    let (found, on) = call
        .read(async |tx| {
            let partner = locate_customer(tx, call.path).await?.ok_or(Fault::of(Code::NotFound))?;
            let (at, moment) = call.query.point(tx).await?;
            let found = store::overrides(tx, partner, call.path, moment).await?;
            Ok((found.into_iter().map(|o| o.known_by(moment)).collect::<Vec<_>>(), at.on))
        })
        .await?;
    Ok(HttpResponse::Ok().json(OverrideList { data: found.into_iter().map(|o| OverrideView::of(o, on)).collect() }))
}

/// A score to be set by hand.
#[derive(Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
struct NewOverride {
    /// `churn` when left out.
    #[deserr(default)]
    purpose: Option<Purpose>,
    /// 0-100.
    #[schema(minimum = 0, maximum = 100)]
    score: f64,
    /// Why; the vendor's alone to read.
    reason: Comment,
    /// Where the evidence lies.
    #[deserr(default)]
    evidence_link: Option<Link>,
    /// The last day it counts, at most 366 days ahead.
    #[schema(value_type = String, format = Date, example = "2027-01-31")]
    expires_on: Day,
}

/// Set a customer's score by hand
///
/// It stands beside the score that was worked out, in the vendor's view alone, until its last day. It counts at once, unless the customer's
/// value is one from which on the scorecard asks for a second person's approval.
#[utoipa::path(operation_id = "create_override", tag = "Health", params(("customer_id" = CustomerId, Path), WriteQuery), request_body = NewOverride,
    responses((status = 201, description = "Set, or waiting for approval", body = OverrideView,
        links(("all" = (operation_id = "list_overrides", parameters(("customer_id" = "$request.path.customer_id")))),
              ("withdraw" = (operation_id = "withdraw_override", parameters(("customer_id" = "$request.path.customer_id"), ("override_id" = "$response.body#/id"))))))))]
#[post("/v1/customers/{customer_id}/overrides")]
async fn create(call: Call<op::CreateOverride, CustomerId, WriteQuery, Json<NewOverride>>) -> Result<HttpResponse, Fault> {
    let new = &call.body.0;
    ledger::write(&call, async |tx| {
        let draft = OverrideDraft {
            purpose: new.purpose.unwrap_or(Purpose::Churn),
            score: new.score,
            reason: new.reason.clone(),
            evidence_link: new.evidence_link.clone(),
            expires_on: new.expires_on.0,
        };
        let set = set_by_hand(tx, call.caller.caller_id(), call.caller.principal().uuid(), call.path, draft).await?;
        let id = set.id.uuid();
        let today = calendar(tx).await?.zone.day_of(tx.now());
        Ok(Answer::json(201, &OverrideView::of(set, today))?.about([id]))
    })
    .await
}

/// Approve a score set by hand
///
/// Only one that waits for it, and never by its author.
#[utoipa::path(operation_id = "approve_override", tag = "Health", params(("customer_id" = CustomerId, Path), ("override_id" = OverrideId, Path), WriteQuery),
    responses((status = 200, description = "It counts", body = OverrideView)))]
#[post("/v1/customers/{customer_id}/overrides/{override_id}/approve")]
async fn approve_one(call: Call<op::ApproveOverride, (CustomerId, OverrideId), WriteQuery, NoBody>) -> Result<HttpResponse, Fault> {
    let (customer, id) = call.path;
    ledger::write(&call, async |tx| {
        let set = approve(tx, call.caller.caller_id(), call.caller.principal().uuid(), customer, id).await?;
        let today = calendar(tx).await?.zone.day_of(tx.now());
        Ok(Answer::json(200, &OverrideView::of(set, today))?.about([id.uuid()]))
    })
    .await
}

/// Take back a score set by hand
///
/// Before its last day; it stays in the list.
#[utoipa::path(operation_id = "withdraw_override", tag = "Health", params(("customer_id" = CustomerId, Path), ("override_id" = OverrideId, Path), WriteQuery),
    responses((status = 200, description = "It counts no more", body = OverrideView)))]
#[post("/v1/customers/{customer_id}/overrides/{override_id}/withdraw")]
async fn withdraw_one(call: Call<op::WithdrawOverride, (CustomerId, OverrideId), WriteQuery, NoBody>) -> Result<HttpResponse, Fault> {
    let (customer, id) = call.path;
    ledger::write(&call, async |tx| {
        let set = withdraw(tx, call.caller.caller_id(), call.caller.principal().uuid(), customer, id).await?;
        let today = calendar(tx).await?.zone.day_of(tx.now());
        Ok(Answer::json(200, &OverrideView::of(set, today))?.about([id.uuid()]))
    })
    .await
}

/// Who is to look after it.
#[derive(Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
struct OwnerBody {
    /// A name or a team; nobody when left out.
    #[deserr(default)]
    #[schema(example = "西日本チーム")]
    owner: Option<Label>,
}

/// Name who looks after the gap between a customer's sources
///
/// Shown in the list of divergences.
#[utoipa::path(operation_id = "set_divergence_owner", tag = "Health", params(("customer_id" = CustomerId, Path), WriteQuery), request_body = OwnerBody,
    responses((status = 204, description = "Named")))]
#[put("/v1/customers/{customer_id}/divergence-owner")]
async fn own(call: Call<op::SetDivergenceOwner, CustomerId, WriteQuery, Json<OwnerBody>>) -> Result<HttpResponse, Fault> {
    ledger::write(&call, async |tx| {
        own_divergence(tx, call.caller.caller_id(), call.caller.principal().uuid(), call.path, call.body.0.owner.clone()).await?;
        Ok(Answer::empty(204).about([call.path.uuid()]))
    })
    .await
}
