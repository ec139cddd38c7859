//! `/v1/observations`: single values outside reports. A partner's are its declarations; the vendor's are facts about
//! anybody's customers, and its survey tool's what they said themselves, neither of which the partner sees.

use crate::auth::{Batch, Call, Caller, Json, NamedBatchQuery, NamedQuery, op};
use crate::directory::CustomerRef;
use crate::health::flow::{ObservationDraft, Recorded, Subject, record_observations};
use crate::http::body::{Faults, Instant};
use crate::http::row::{Counts, Outcome, Rejection, batch_rejected, decode_rows, foreign, yes};
use crate::intake::EvidenceClass;
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, ObservationId, TypeId};
use crate::kernel::text::{Broken, ExternalId, Key};
use crate::ledger::{self, Answer};
use actix_web::{HttpResponse, post};
use deserr::Deserr;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(submit).service(submit_batch);
}

/// One dated value of one measure for one customer.
#[derive(Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
struct ObservationBody {
    /// About whom: exactly one of this and the two below.
    #[deserr(default)]
    customer_id: Option<CustomerId>,
    /// By the partner's own id; the vendor names the partner with `?partner=`.
    #[deserr(default)]
    customer_external_id: Option<ExternalId>,
    /// By the vendor's own id of the subscription.
    #[deserr(default)]
    subscription_vendor_ref: Option<ExternalId>,
    /// The measure's key.
    measure: Key,
    /// In the measure's unit.
    #[schema(example = 64)]
    value: f64,
    /// When it was so (RFC 3339); now when left out.
    #[deserr(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    observed_at: Option<Instant>,
}

fn draft(body: ObservationBody) -> Result<ObservationDraft, Fault> {
    let given = [body.customer_id.is_some(), body.customer_external_id.is_some(), body.subscription_vendor_ref.is_some()];
    let subject = match (given.into_iter().filter(|g| *g).count(), body.subscription_vendor_ref) {
        (0, _) => return Err(Fault::field("/customer_external_id", Broken::Required)),
        (1, Some(reference)) => Some(Subject::VendorRef(reference)),
        (1, None) => CustomerRef::of(body.customer_id, body.customer_external_id).map(Subject::Customer),
        _ => None,
    };
    let subject = subject.ok_or_else(|| Fault::field("/customer_external_id", Broken::OneOf))?;
    Ok(ObservationDraft { subject, measure: body.measure, value: body.value, observed_at: body.observed_at.map(|at| at.0) })
}

/// What became of an observation.
#[derive(Serialize, ToSchema)]
struct RecordedView {
    /// Absent when it was known already.
    id: Option<ObservationId>,
    outcome: Outcome,
}

/// Whose word it is follows the credential (DECISIONS 3): a partner's is its own, a survey tool's is its customers', any other system's of the vendor is the vendor's.
fn class(caller: &Caller) -> EvidenceClass {
    match caller.partner() {
        Some(_) => EvidenceClass::PartnerDeclared,
        None if caller.is_survey() => EvidenceClass::CustomerVoiced,
        None => EvidenceClass::VendorObserved,
    }
}

/// Submit an observation
///
/// About one customer, named in exactly one of three ways. The same value of the same moment again changes nothing. Whose word it is follows the credential: a partner's own,
/// the vendor's, or with the scope `surveys:write` the customer's.
#[utoipa::path(operation_id = "submit_observation", tag = "Observations", params(NamedQuery), request_body = ObservationBody,
    responses((status = 201, description = "Recorded, or another value of a known moment", body = RecordedView,
            links(("health" = (operation_id = "get_customer_health", parameters(("customer_id" = "$request.body#/customer_id")))))), (status = 200, description = "Unchanged", body = RecordedView)))]
#[post("/v1/observations")]
async fn submit(mut call: Call<op::SubmitObservation, (), NamedQuery, Json<Option<ObservationBody>>>) -> Result<HttpResponse, Fault> {
    let body = call.body.0.take().ok_or_else(|| Fault::field("", Broken::WrongType))?;
    let draft = draft(body)?;
    let named_by = call.gate.named_by(&call.caller, call.query.partner.as_ref().map(|p| p.0))?;
    ledger::write(&call, async |tx| {
        let mut results = record_observations(tx, call.caller.caller_id(), class(&call.caller), named_by, vec![Ok(draft)]).await?;
        let (id, outcome) = results.pop().ok_or_else(|| Fault::internal("no result"))??;
        let answer = Answer::json(if id.is_some() { 201 } else { 200 }, &RecordedView { id, outcome: outcome.into() })?;
        Ok(answer.about(id.map(TypeId::uuid)))
    })
    .await
}

/// The body of a batch.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documents the body, whose rows are read one by one")]
struct ObservationBatchBody {
    /// 1-10,000 observations.
    #[schema(min_items = 1, max_items = 10000)]
    observations: Vec<ObservationBody>,
}

/// The member of a batch of observations.
struct Observations;
impl crate::auth::BatchOf for Observations {
    const MEMBER: &'static str = "observations";
}

/// What became of one row.
#[derive(Serialize, ToSchema)]
struct ObservationResult {
    /// The row's place, from 0.
    index: usize,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<ObservationId>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejection: Option<Rejection>,
}

/// What became of a batch.
#[derive(Serialize, ToSchema)]
struct ObservationBatchAnswer {
    counts: Counts,
    /// One result per row, in order.
    results: Vec<ObservationResult>,
}

fn result(index: usize, recorded: &Result<Recorded, Fault>) -> ObservationResult {
    match recorded {
        Ok((id, outcome)) => ObservationResult { index, outcome: (*outcome).into(), id: *id, rejection: None },
        Err(fault) => ObservationResult { index, outcome: Outcome::Rejected, id: None, rejection: Some(Rejection::of(fault, "observations", index)) },
    }
}

/// Submit up to 10,000 observations
///
/// One result per row, in order. A refused row leaves the others alone, unless `atomic=true`.
#[utoipa::path(operation_id = "submit_observation_batch", tag = "Observations", params(NamedBatchQuery), request_body = ObservationBatchBody,
    responses((status = 200, description = "One result per row", body = ObservationBatchAnswer)))]
#[post("/v1/observations/batch")]
async fn submit_batch(mut call: Call<op::SubmitObservationBatch, (), NamedBatchQuery, Batch<Observations>>) -> Result<HttpResponse, Fault> {
    let drafts = decode_rows(&mut call.body.rows, draft);
    let atomic = yes(&call.query.atomic);
    let named_by = call.gate.named_by(&call.caller, call.query.partner.as_ref().map(|p| p.0))?;
    ledger::write(&call, async |tx| {
        let recorded = record_observations(tx, call.caller.caller_id(), class(&call.caller), named_by, drafts).await?;
        let refused = recorded.iter().enumerate().filter_map(|(i, r)| r.as_ref().err().map(|fault| (i, fault)));
        if atomic && let Some(fault) = batch_rejected("observations", refused) {
            return Err(fault);
        }
        let results: Vec<ObservationResult> = recorded.iter().enumerate().map(|(i, r)| result(i, r)).collect();
        let counts = Counts::of(results.iter().map(|row| row.outcome));
        let ids = recorded.iter().flatten().filter_map(|(id, _)| id.map(TypeId::uuid)).collect::<Vec<_>>();
        Ok(Answer::json(200, &ObservationBatchAnswer { counts, results })?.about(ids).refusing(foreign(&recorded)))
    })
    .await
}
