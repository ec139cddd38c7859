//! `/v1/status-reports` as they are submitted, one or many: the reply to a report is the customer's new health.

use super::health::HealthView;
use crate::auth::{ActingQuery, Batch, Call, Json, Query, Tenant, op};
use crate::db::Tx;
use crate::directory::CustomerRef;
use crate::health::audience::SHARED;
use crate::health::flow::{Accepted, rulebook, submit_reports};
use crate::health::scorecard::{Band, Purpose};
use crate::health::store;
use crate::http::body::{Day, Faults, Instant};
use crate::http::interval::Interval;
use crate::http::query::Param;
use crate::http::row::{Counts, Outcome, Rejection, batch_rejected, decode_rows, foreign, yes};
use crate::intake::{DeclaredBand, MAX_CASES, OpenCase, Reading, ReportDraft};
use crate::kernel::change::Upserted;
use crate::kernel::error::{Fault, FieldFault};
use crate::kernel::id::{CustomerId, PartnerId, ReportId, TypeId};
use crate::kernel::number::thousandths;
use crate::kernel::text::{Broken, Comment, ExternalId, Key, Label};
use crate::ledger::{self, Answer};
use actix_web::{HttpResponse, post};
use chrono::NaiveDate;
use deserr::Deserr;
use serde::Serialize;
use std::collections::BTreeSet;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(submit).service(submit_batch);
}

/// One value of a report.
#[derive(Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
struct ReadingBody {
    /// The measure's key.
    measure: Key,
    /// In the measure's unit.
    #[schema(example = 72.5)]
    value: f64,
    /// When it was so (RFC 3339); the start of the period's last day when left out.
    #[deserr(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    observed_at: Option<Instant>,
}

/// A statement about one customer for a period.
#[derive(Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
struct ReportBody {
    /// Your own id of the report; `<customer's external id>:<period_end>` when left out. The same id again is a revision.
    #[deserr(default)]
    external_id: Option<ExternalId>,
    /// About whom: this or `customer_external_id`.
    #[deserr(default)]
    customer_id: Option<CustomerId>,
    /// About whom, by your own id.
    #[deserr(default)]
    customer_external_id: Option<ExternalId>,
    /// About which of its subscriptions, by your own id.
    #[deserr(default)]
    subscription_external_id: Option<ExternalId>,
    /// The first day it speaks of.
    #[deserr(default)]
    #[schema(value_type = Option<String>, format = Date, example = "2026-10-01")]
    period_start: Option<Day>,
    /// The last day it speaks of.
    #[schema(value_type = String, format = Date, example = "2026-10-31")]
    period_end: Day,
    /// Your own judgement.
    #[deserr(default)]
    declared_band: Option<DeclaredBand>,
    /// Your words.
    #[deserr(default)]
    comment: Option<Comment>,
    /// The values, at most 100.
    #[deserr(default)]
    #[schema(max_items = 100, required = false)]
    observations: Vec<ReadingBody>,
    /// All support cases that are open, at most 100; an empty list says that none is, nothing says nothing of cases.
    #[deserr(default)]
    #[schema(max_items = 100)]
    open_cases: Option<Vec<CaseBody>>,
    /// The revision you mean to replace; refused when it is not the one in force.
    #[deserr(default)]
    replaces: Option<ReportId>,
}

/// A support case that is open.
#[derive(Deserr, ToSchema)]
#[deserr(error = Faults, deny_unknown_fields)]
struct CaseBody {
    /// Your own id of it.
    external_id: ExternalId,
    /// 1 (worst) to 4.
    #[schema(minimum = 1, maximum = 4)]
    severity: i32,
    #[schema(value_type = String, format = Date, example = "2026-10-20")]
    opened_on: Day,
    /// The last day that is not late.
    #[deserr(default)]
    #[schema(value_type = Option<String>, format = Date, example = "2026-10-27")]
    due_on: Option<Day>,
    /// What it is about, in the vendor's words; `cancel_intent` is an explicit intent to cancel.
    #[deserr(default)]
    cause: Option<Label>,
}

/// The cases of a body; every fault with its place.
fn cases(bodies: Vec<CaseBody>) -> Result<Vec<OpenCase>, Fault> {
    if bodies.len() > MAX_CASES {
        return Err(Fault::field("/open_cases", Broken::TooLong));
    }
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    for (i, body) in bodies.iter().enumerate() {
        let mut demand = |holds: bool, member: &str, code| {
            if !holds {
                faults.push(FieldFault { pointer: format!("/open_cases/{i}/{member}"), code })
            }
        };
        demand(names.insert(body.external_id.as_str()), "external_id", Broken::Duplicate);
        demand((1..=4).contains(&body.severity), "severity", Broken::OutOfRange);
        demand(body.due_on.is_none_or(|due| due.0 >= body.opened_on.0), "due_on", Broken::Contradiction);
    }
    if !faults.is_empty() {
        return Err(Fault::invalid(faults));
    }
    let case =
        |body: CaseBody| OpenCase { external_id: body.external_id, severity: body.severity, opened_on: body.opened_on.0, due_on: body.due_on.map(|due| due.0), cause: body.cause };
    Ok(bodies.into_iter().map(case).collect())
}

/// The most values of a report.
const MAX_READINGS: usize = 100;

fn draft(body: ReportBody) -> Result<ReportDraft, Fault> {
    let both = body.customer_id.is_some() && body.customer_external_id.is_some();
    let customer =
        CustomerRef::of(body.customer_id, body.customer_external_id).ok_or_else(|| Fault::field("/customer_external_id", if both { Broken::OneOf } else { Broken::Required }))?;
    if body.observations.len() > MAX_READINGS {
        return Err(Fault::field("/observations", Broken::TooLong));
    }
    Ok(ReportDraft {
        customer,
        external_id: body.external_id,
        subscription: body.subscription_external_id,
        period_start: body.period_start.map(|day| day.0),
        period_end: body.period_end.0,
        declared_band: body.declared_band,
        comment: body.comment,
        readings: body.observations.into_iter().map(|r| Reading { measure: r.measure, value: r.value, observed_at: r.observed_at.map(|at| at.0) }).collect(),
        open_cases: body.open_cases.map(cases).transpose()?,
        replaces: body.replaces,
    })
}

/// How to write many.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct BatchQuery {
    /// For the vendor's staff: the direct partner to act for; its first one when left out.
    #[deserr(default)]
    #[param(value_type = Option<PartnerId>)]
    partner: Option<Param<PartnerId>>,
    /// All rows or none.
    #[deserr(default)]
    #[param(value_type = Option<bool>)]
    atomic: Option<Param<bool>>,
    /// Do everything and undo it at the end.
    #[deserr(default)]
    #[param(value_type = Option<bool>)]
    dry_run: Option<Param<bool>>,
}
impl Query for BatchQuery {
    fn acting(&self) -> Option<PartnerId> {
        self.partner.as_ref().map(|partner| partner.0)
    }
    fn dry_run(&self) -> bool {
        yes(&self.dry_run)
    }
}

/// What became of a report, and how the customer is doing now.
#[derive(Serialize, ToSchema)]
struct SubmittedReport {
    /// The revision in force.
    id: ReportId,
    external_id: String,
    /// From 1.
    revision: i32,
    /// `created`, `updated` (a revision) or `unchanged`.
    outcome: Outcome,
    health: HealthView,
}

/// Submit a status report
///
/// Answers with the customer's new health: score, coverage, interval, contributions, what is missing or stale, and when
/// the next report is due. The same report again changes nothing; another content under the same id is its next revision.
#[utoipa::path(operation_id = "submit_status_report", tag = "Status reports", params(ActingQuery), request_body = ReportBody,
    responses((status = 201, description = "Accepted, a first revision or a new one", body = SubmittedReport,
            links(("health" = (operation_id = "get_customer_health", parameters(("customer_id" = "$response.body#/health/customer_id")))),
                  ("explanation" = (operation_id = "explain_customer_health", parameters(("customer_id" = "$response.body#/health/customer_id")))))),
        (status = 200, description = "Unchanged", body = SubmittedReport)))]
#[post("/v1/status-reports")]
async fn submit(mut call: Call<op::SubmitStatusReport, (), ActingQuery, Json<Option<ReportBody>>>) -> Result<HttpResponse, Fault> {
    let body = call.body.0.take().ok_or_else(|| Fault::field("", Broken::WrongType))?;
    let draft = draft(body)?;
    ledger::write(&call, async |tx| {
        let mut results = submit_reports(tx, call.caller.caller_id(), call.caller.principal().uuid(), vec![Ok(draft)]).await?;
        let accepted = results.pop().ok_or_else(|| Fault::internal("no result"))??;
        let health = store::healths(tx, vec![tx.scope().acts()?], vec![accepted.customer.uuid()], SHARED, Purpose::Churn).await?;
        let rules = rulebook(tx).await?;
        let view = SubmittedReport {
            id: accepted.report,
            external_id: accepted.external_id,
            revision: accepted.revision,
            outcome: accepted.outcome.into(),
            health: HealthView::of(accepted.customer, SHARED, Purpose::Churn, health.get(&accepted.customer.uuid()), &rules),
        };
        let changed = accepted.outcome != Upserted::Unchanged;
        let answer = Answer::json(if changed { 201 } else { 200 }, &view)?;
        Ok(if changed { answer.about([accepted.report.uuid()]) } else { answer })
    })
    .await
}

/// The body of a batch.
#[derive(ToSchema)]
#[allow(dead_code, reason = "documents the body, whose rows are read one by one")]
struct ReportBatchBody {
    /// 1-10,000 reports.
    #[schema(min_items = 1, max_items = 10000)]
    reports: Vec<ReportBody>,
}

/// The member of a batch of reports.
struct Reports;
impl crate::auth::BatchOf for Reports {
    const MEMBER: &'static str = "reports";
}

/// What became of one row.
#[derive(Serialize, ToSchema)]
struct ReportResult {
    /// The row's place, from 0.
    index: usize,
    outcome: Outcome,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<ReportId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<CustomerId>,
    /// The day it was scored for, in the vendor's calendar.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Date)]
    scored_for: Option<NaiveDate>,
    /// The customer's new score.
    #[serde(skip_serializing_if = "Option::is_none")]
    score: Option<f64>,
    /// Where it lies, with 80 %.
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<Interval>,
    /// How much of what the scorecard asks is known, 0-1.
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<f64>,
    /// The customer's new band.
    #[serde(skip_serializing_if = "Option::is_none")]
    band: Option<Band>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejection: Option<Rejection>,
}

/// What became of a batch.
#[derive(Serialize, ToSchema)]
struct ReportBatchAnswer {
    counts: Counts,
    /// One result per row, in order.
    results: Vec<ReportResult>,
}

/// Submit up to 10,000 status reports
///
/// One result per row, in order. A refused row leaves the others alone, unless `atomic=true`.
#[utoipa::path(operation_id = "submit_status_report_batch", tag = "Status reports", params(BatchQuery), request_body = ReportBatchBody,
    responses((status = 200, description = "One result per row", body = ReportBatchAnswer)))]
#[post("/v1/status-reports/batch")]
async fn submit_batch(mut call: Call<op::SubmitStatusReportBatch, (), BatchQuery, Batch<Reports>>) -> Result<HttpResponse, Fault> {
    let drafts = decode_rows(&mut call.body.rows, draft);
    let atomic = yes(&call.query.atomic);
    ledger::write(&call, async |tx| {
        let results = submit_reports(tx, call.caller.caller_id(), call.caller.principal().uuid(), drafts).await?;
        let refused = results.iter().enumerate().filter_map(|(i, r)| r.as_ref().err().map(|fault| (i, fault)));
        if atomic && let Some(fault) = batch_rejected("reports", refused) {
            return Err(fault);
        }
        batch_answer(tx, &results).await
    })
    .await
}

async fn batch_answer<S: Tenant>(tx: &Tx<S>, results: &[Result<Accepted, Fault>]) -> Result<Answer, Fault> {
    let customers: Vec<Uuid> = results.iter().flatten().map(|a| a.customer.uuid()).collect();
    let briefs = store::briefs(tx, customers).await?;
    let rows: Vec<ReportResult> = results
        .iter()
        .enumerate()
        .map(|(index, result)| match result {
            Ok(a) => {
                let health = briefs.get(&a.customer.uuid());
                ReportResult {
                    index,
                    outcome: a.outcome.into(),
                    id: Some(a.report),
                    external_id: Some(a.external_id.clone()),
                    revision: Some(a.revision),
                    customer_id: Some(a.customer),
                    scored_for: health.map(|brief| brief.scored_for),
                    score: health.and_then(|brief| brief.score).map(thousandths),
                    interval: health.and_then(|brief| brief.interval).map(Interval::of),
                    coverage: Some(health.map_or(0.0, |brief| thousandths(brief.coverage))),
                    band: Some(health.map_or(Band::Unknown, |brief| brief.band)),
                    rejection: None,
                }
            }
            Err(fault) => ReportResult {
                index,
                outcome: Outcome::Rejected,
                id: None,
                external_id: None,
                revision: None,
                customer_id: None,
                scored_for: None,
                score: None,
                interval: None,
                coverage: None,
                band: None,
                rejection: Some(Rejection::of(fault, "reports", index)),
            },
        })
        .collect();
    let changed = results.iter().flatten().filter(|a| a.outcome != Upserted::Unchanged).map(|a| a.report.uuid());
    let counts = Counts::of(rows.iter().map(|row| row.outcome));
    Ok(Answer::json(200, &ReportBatchAnswer { counts, results: rows })?.about(changed).refusing(foreign(results)))
}
