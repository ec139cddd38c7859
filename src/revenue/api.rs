//! `/v1/outcomes`.

use super::flow::{Recorded, record_outcomes};
use super::outcome::{OutcomeDraft, OutcomeKind};
use crate::auth::{Batch, Call, Json, NamedBatchQuery, NamedQuery, op};
use crate::directory::CustomerRef;
use crate::http::body::{Day, Faults};
use crate::http::row::{Counts, Outcome, Rejection, batch_rejected, decode_rows, foreign, yes};
use crate::kernel::change::Upserted;
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, OutcomeId, TypeId};
use crate::kernel::text::{Broken, ExternalId, Label};
use crate::ledger::{self, Answer};
use actix_web::{HttpResponse, post};
use deserr::Deserr;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

crate::wire_words!(OutcomeKind);

/// Mounts revenue.
pub fn routes(config: &mut ServiceConfig) {
    config.service(record).service(record_batch);
}

/// What became of a customer.
#[derive(Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
struct OutcomeBody {
    /// Of whom: this or `customer_external_id`.
    #[deserr(default)]
    customer_id: Option<CustomerId>,
    /// By the partner's own id; the vendor names the partner with `?partner=`.
    #[deserr(default)]
    customer_external_id: Option<ExternalId>,
    /// Of which of its subscriptions, by the partner's own id.
    #[deserr(default)]
    subscription_external_id: Option<ExternalId>,
    kind: OutcomeKind,
    /// When it came so; today or before.
    #[schema(value_type = String, format = Date, example = "2026-09-30")]
    occurred_on: Day,
    /// Why, in a word.
    #[deserr(default)]
    #[schema(example = "内製化")]
    reason: Option<Label>,
}

fn draft(body: OutcomeBody) -> Result<OutcomeDraft, Fault> {
    let both = body.customer_id.is_some() && body.customer_external_id.is_some();
    let customer =
        CustomerRef::of(body.customer_id, body.customer_external_id).ok_or_else(|| Fault::field("/customer_external_id", if both { Broken::OneOf } else { Broken::Required }))?;
    Ok(OutcomeDraft { customer, subscription: body.subscription_external_id, kind: body.kind, occurred_on: body.occurred_on.0, reason: body.reason })
}

/// What became of an outcome.
#[derive(Serialize, ToSchema)]
struct OutcomeView {
    id: OutcomeId,
    /// `created`, or `unchanged` when it was known.
    outcome: Outcome,
}

/// Record what became of a customer
///
/// Renewed, churned, contracted or expanded. What a partner records is shared with it; what the vendor records is the vendor's. The same
/// kind of the same customer and day again changes nothing.
#[utoipa::path(operation_id = "record_outcome", tag = "Outcomes", params(NamedQuery), request_body = OutcomeBody,
    responses((status = 201, description = "Recorded", body = OutcomeView), (status = 200, description = "Known already", body = OutcomeView)))]
#[post("/v1/outcomes")]
async fn record(mut call: Call<op::RecordOutcome, (), NamedQuery, Json<Option<OutcomeBody>>>) -> Result<HttpResponse, Fault> {
    let draft = draft(call.body.0.take().ok_or_else(|| Fault::field("", Broken::WrongType))?)?;
    let named_by = call.gate.named_by(&call.caller, call.query.partner.as_ref().map(|p| p.0))?;
    ledger::write(&call, async |tx| {
        let who = (call.caller.caller_id(), call.caller.principal().uuid());
        let mut results = record_outcomes(tx, who, call.caller.partner().is_some(), named_by, vec![Ok(draft)]).await?;
        let (id, outcome) = results.pop().ok_or_else(|| Fault::internal("no result"))??;
        let fresh = outcome == Upserted::Created;
        let answer = Answer::json(if fresh { 201 } else { 200 }, &OutcomeView { id, outcome: outcome.into() })?;
        Ok(if fresh { answer.about([id.uuid()]) } else { answer })
    })
    .await
}

/// The body of a batch.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documents the body, whose rows are read one by one")]
struct OutcomeBatchBody {
    /// 1-10,000 outcomes.
    #[schema(min_items = 1, max_items = 10000)]
    outcomes: Vec<OutcomeBody>,
}

/// The member of a batch of outcomes.
struct Outcomes;
impl crate::auth::BatchOf for Outcomes {
    const MEMBER: &'static str = "outcomes";
}

/// What became of one row.
#[derive(Serialize, ToSchema)]
struct OutcomeResult {
    /// The row's place, from 0.
    index: usize,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<OutcomeId>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejection: Option<Rejection>,
}

fn result(index: usize, recorded: &Result<Recorded, Fault>) -> OutcomeResult {
    match recorded {
        Ok((id, outcome)) => OutcomeResult { index, outcome: (*outcome).into(), id: Some(*id), rejection: None },
        Err(fault) => OutcomeResult { index, outcome: Outcome::Rejected, id: None, rejection: Some(Rejection::of(fault, "outcomes", index)) },
    }
}

/// What became of a batch.
#[derive(Serialize, ToSchema)]
struct OutcomeBatchAnswer {
    counts: Counts,
    /// One result per row, in order.
    results: Vec<OutcomeResult>,
}

/// Record up to 10,000 outcomes
///
/// One result per row, in order. A refused row leaves the others alone, unless `atomic=true`.
#[utoipa::path(operation_id = "record_outcome_batch", tag = "Outcomes", params(NamedBatchQuery), request_body = OutcomeBatchBody,
    responses((status = 200, description = "One result per row", body = OutcomeBatchAnswer)))]
#[post("/v1/outcomes/batch")]
async fn record_batch(mut call: Call<op::RecordOutcomeBatch, (), NamedBatchQuery, Batch<Outcomes>>) -> Result<HttpResponse, Fault> {
    let drafts = decode_rows(&mut call.body.rows, draft);
    let named_by = call.gate.named_by(&call.caller, call.query.partner.as_ref().map(|p| p.0))?;
    ledger::write(&call, async |tx| {
        let who = (call.caller.caller_id(), call.caller.principal().uuid());
        let recorded = record_outcomes(tx, who, call.caller.partner().is_some(), named_by, drafts).await?;
        let refused = recorded.iter().enumerate().filter_map(|(i, r)| r.as_ref().err().map(|fault| (i, fault)));
        if yes(&call.query.atomic)
            && let Some(fault) = batch_rejected("outcomes", refused)
        {
            return Err(fault);
        }
        let results: Vec<OutcomeResult> = recorded.iter().enumerate().map(|(i, r)| result(i, r)).collect();
        let counts = Counts::of(results.iter().map(|row| row.outcome));
        let ids: Vec<uuid::Uuid> = recorded.iter().flatten().filter(|(_, outcome)| *outcome == Upserted::Created).map(|(id, _)| id.uuid()).collect();
        Ok(Answer::json(200, &OutcomeBatchAnswer { counts, results })?.about(ids).refusing(foreign(&recorded)))
    })
    .await
}
