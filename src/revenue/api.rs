//! `/v1/outcomes`.

use super::flow::{Recorded, record_outcomes, withdraw};
use super::outcome::{OutcomeDraft, OutcomeKind, Recorder, Told};
use super::store;
use crate::auth::{Batch, Call, Json, NamedBatchQuery, NamedQuery, NoBody, Query, WriteQuery, op};
use crate::directory::CustomerRef;
use crate::http::body::{Day, Faults};
use crate::http::page::PageView;
use crate::http::query::{Limit, Param};
use crate::http::row::{Counts, Outcome, Rejection, batch_rejected, decode_rows, foreign, yes};
use crate::kernel::change::Upserted;
use crate::kernel::code::Code;
use crate::kernel::error::{Fault, FieldFault};
use crate::kernel::id::{CustomerId, OutcomeId, PartnerId, SubscriptionId, TypeId};
use crate::kernel::text::{Broken, ExternalId, Label};
use crate::kernel::time::Moment;
use crate::ledger::{self, Answer};
use actix_web::guard::GuardContext;
use actix_web::{HttpResponse, get, post};
use chrono::NaiveDate;
use deserr::Deserr;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

crate::wire_words!(OutcomeKind, Recorder);

/// Mounts revenue.
pub fn routes(config: &mut ServiceConfig) {
    config.service(record).service(record_batch).service(list).service(get_one).service(withdraw_one);
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

/// What became of an outcome that was told.
#[derive(Serialize, ToSchema)]
struct RecordedOutcome {
    id: OutcomeId,
    /// `created`, or `unchanged` when it was known.
    outcome: Outcome,
}

/// Record what became of a customer
///
/// Renewed, churned, contracted or expanded. What a partner records is shared with it; what the vendor records is the vendor's. The same
/// kind of the same customer, subscription and day again changes nothing, unless it was taken back.
#[utoipa::path(operation_id = "record_outcome", tag = "Outcomes", params(NamedQuery), request_body = OutcomeBody,
    responses((status = 201, description = "Recorded", body = RecordedOutcome, headers(("Location" = String)),
            links(("read" = (operation_id = "get_outcome", parameters(("outcome_id" = "$response.body#/id")))),
                  ("withdraw" = (operation_id = "withdraw_outcome", parameters(("outcome_id" = "$response.body#/id")))))),
        (status = 200, description = "Known already", body = RecordedOutcome)))]
#[post("/v1/outcomes")]
async fn record(mut call: Call<op::RecordOutcome, (), NamedQuery, Json<Option<OutcomeBody>>>) -> Result<HttpResponse, Fault> {
    let draft = draft(call.body.0.take().ok_or_else(|| Fault::field("", Broken::WrongType))?)?;
    let named_by = call.gate.named_by(&call.caller, call.query.partner.as_ref().map(|p| p.0))?;
    ledger::write(&call, async |tx| {
        let who = (call.caller.caller_id(), call.caller.principal().uuid());
        let mut results = record_outcomes(tx, who, call.caller.partner().is_some(), named_by, vec![Ok(draft)]).await?;
        let (id, outcome) = results.pop().ok_or_else(|| Fault::internal("no result"))??;
        let fresh = outcome == Upserted::Created;
        let answer = Answer::json(if fresh { 201 } else { 200 }, &RecordedOutcome { id, outcome: outcome.into() })?;
        Ok(if fresh { answer.header("Location", format!("{}/v1/outcomes/{id}", call.gate.issuer())).about([id.uuid()]) } else { answer })
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

/// What became of a customer, as it was told.
#[derive(Serialize, ToSchema)]
struct OutcomeView {
    id: OutcomeId,
    partner_id: PartnerId,
    customer_id: CustomerId,
    /// Of which of its subscriptions, where that was told.
    subscription_id: Option<SubscriptionId>,
    kind: OutcomeKind,
    #[schema(value_type = String, format = Date)]
    occurred_on: NaiveDate,
    /// Why, in a word.
    reason: Option<Label>,
    /// A partner sees only what partners recorded.
    recorded_by: Recorder,
    #[schema(value_type = String, format = DateTime)]
    recorded_at: Moment,
    /// When it was taken back; null while it stands.
    #[schema(value_type = Option<String>, format = DateTime)]
    withdrawn_at: Option<Moment>,
}

impl From<Told> for OutcomeView {
    fn from(told: Told) -> Self {
        Self {
            id: told.id,
            partner_id: told.partner,
            customer_id: told.customer,
            subscription_id: told.subscription,
            kind: told.kind,
            occurred_on: told.occurred_on,
            reason: told.reason,
            recorded_by: told.by,
            recorded_at: told.recorded_at,
            withdrawn_at: told.withdrawn_at,
        }
    }
}

/// Filters and page.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only this customer's.
    #[deserr(default)]
    #[param(value_type = Option<CustomerId>)]
    customer: Option<Param<CustomerId>>,
    /// Only of this kind.
    #[deserr(default)]
    #[param(value_type = Option<OutcomeKind>)]
    kind: Option<Param<OutcomeKind>>,
    /// Only of this day and later ones.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = Date)]
    from: Option<Param<Day>>,
    /// Only of this day and earlier ones; not before `from`.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = Date)]
    to: Option<Param<Day>>,
    /// How many, 1-1,000; 50 when left out.
    #[deserr(default)]
    #[param(value_type = Option<i64>, minimum = 1, maximum = 1000)]
    limit: Option<Param<Limit>>,
    /// Where to go on: `next_cursor` of the page before.
    #[deserr(default)]
    cursor: Option<String>,
}
impl Query for ListQuery {}

/// List the outcomes you may see
///
/// Newest day first, then in order of id; those taken back stay in the list. What the vendor told, the vendor alone sees.
#[utoipa::path(operation_id = "list_outcomes", tag = "Outcomes", params(ListQuery), responses((status = 200, description = "A page", body = PageView<OutcomeView>)))]
#[get("/v1/outcomes")]
async fn list(call: Call<op::ListOutcomes, (), ListQuery>) -> Result<HttpResponse, Fault> {
    let query = &call.query;
    let day = |day: &Option<Param<Day>>| day.as_ref().map(|day| day.0.0);
    let filter = store::Filter { customer: query.customer.as_ref().map(|c| c.0), kind: query.kind.as_ref().map(|k| k.0), from: day(&query.from), to: day(&query.to) };
    if filter.from.zip(filter.to).is_some_and(|(from, to)| from > to) {
        return Err(Fault::parameters(vec![FieldFault { pointer: "to".to_owned(), code: Broken::Contradiction }]));
    }
    let asked = call.page(query.limit.as_ref(), query.cursor.as_deref());
    let keys = &call.gate.state.keys;
    let window = asked.window(keys)?;
    let page = call.read(async |tx| store::list(tx, &filter, &window).await).await?;
    asked.list(keys, page.map(OutcomeView::from))
}

/// No id is spelled `batch`: that path is another's, whatever the method.
fn names_one(context: &GuardContext<'_>) -> bool {
    !context.head().uri.path().ends_with("/batch")
}

/// Read an outcome
///
/// Also one that was taken back.
#[utoipa::path(operation_id = "get_outcome", tag = "Outcomes", params(("outcome_id" = OutcomeId, Path)), responses((status = 200, description = "The outcome", body = OutcomeView)))]
#[get("/v1/outcomes/{outcome_id}", guard = "names_one")]
async fn get_one(call: Call<op::GetOutcome, OutcomeId>) -> Result<HttpResponse, Fault> {
    let found = call.read(async |tx| store::by_id(tx, call.path).await).await?.ok_or(Fault::of(Code::NotFound))?;
    Ok(HttpResponse::Ok().json(OutcomeView::from(found)))
}

/// Take back an outcome
///
/// One that was told by mistake: it stays readable and teaches no more, and the same may be told again. Only who told it may: what a partner
/// told, that partner; what the vendor told, the vendor. 409 when it was taken back before.
#[utoipa::path(operation_id = "withdraw_outcome", tag = "Outcomes", params(("outcome_id" = OutcomeId, Path), WriteQuery),
    responses((status = 200, description = "It counts no more", body = OutcomeView)))]
#[post("/v1/outcomes/{outcome_id}/withdraw")]
async fn withdraw_one(call: Call<op::WithdrawOutcome, OutcomeId, WriteQuery, NoBody>) -> Result<HttpResponse, Fault> {
    ledger::write(&call, async |tx| {
        let who = (call.caller.caller_id(), call.caller.principal().uuid());
        let told = withdraw(tx, who, call.path).await?;
        Ok(Answer::json(200, &OutcomeView::from(told))?.about([call.path.uuid()]))
    })
    .await
}
