//! Accepting reports. A single report is a batch of one.

use super::rescore;
use crate::auth::Tenant;
use crate::db::Tx;
use crate::directory::{CustomerRef, calendar, lock_named, seen_elsewhere, subscriptions_named};
use crate::health::audience::SHARED;
use crate::intake::{self, EvidenceClass, Head, NewObservation, NewReport, PARTNER_BAND, ReportDraft, check_value, content_hash};
use crate::kernel::change::Upserted;
use crate::kernel::code::Code;
use crate::kernel::error::{Fault, FieldFault};
use crate::kernel::id::{CustomerId, MeasureId, PartnerId, ReportId, SubscriptionId, TypeId};
use crate::kernel::text::{Broken, Key};
use crate::kernel::time::{MAX_AHEAD, Moment};
use crate::ledger::{Event, Job, JobKind, enqueue, record_events};
use serde_json::json;
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

/// What became of a report.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The revision now in force.
    pub report: ReportId,
    /// Its external id.
    pub external_id: String,
    /// Its number.
    pub revision: i32,
    /// About whom.
    pub customer: CustomerId,
    /// What it did.
    pub outcome: Upserted,
}

/// What a report needs from the database, read at once for all.
struct Context {
    now: Moment,
    zone: crate::kernel::time::Zone,
    measures: HashMap<Key, MeasureId>,
    by_id: HashMap<Uuid, String>,
    by_external_id: HashMap<String, Uuid>,
    read_only: Vec<Uuid>,
    subscriptions: HashMap<(String, Uuid), Uuid>,
    heads: HashMap<String, Head>,
}

impl Context {
    fn customer(&self, reference: &CustomerRef) -> Result<(CustomerId, String), Fault> {
        let found = match reference {
            CustomerRef::Id(id) => self.by_id.get(&id.uuid()).map(|external_id| (*id, external_id.clone())),
            CustomerRef::External(name) => self.by_external_id.get(name.as_str()).map(|id| (CustomerId::of(*id), name.to_string())),
        };
        found.ok_or_else(|| match reference {
            CustomerRef::Id(id) if self.read_only.contains(&id.uuid()) => Fault::of(Code::ReadOnlyHere),
            _ => Fault::reference(reference.pointer()),
        })
    }
}

/// Accepts reports of the acting partner, one answer each, in order; a rejected one leaves the others alone. Customers touched are
/// scored again in the shared view here, and in the vendor's by a job: a partner's transaction cannot read what only the
/// vendor knows, nor take longer because of it.
pub async fn submit_reports<S: Tenant>(tx: &Tx<S>, caller: Uuid, principal: Uuid, drafts: Vec<Result<ReportDraft, Fault>>) -> Result<Vec<Result<Accepted, Fault>>, Fault> {
    let context = context(tx, &drafts).await?;
    let mut heads = context.heads.clone();
    let (mut reports, mut observations, mut events) = (Vec::new(), Vec::new(), Vec::new());
    let mut results = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let result = draft.and_then(|draft| consider(tx, &context, &mut heads, &draft, &mut reports, &mut observations));
        if let Ok(accepted) = &result
            && accepted.outcome != Upserted::Unchanged
        {
            let kind = if accepted.outcome == Upserted::Created { "status_report.accepted" } else { "status_report.revised" };
            let data = json!({ "customer_id": accepted.customer, "revision": accepted.revision });
            events.push(Event { kind, subject: accepted.report.uuid(), partner: Some(tx.scope().acts()?), data });
        }
        results.push(result);
    }
    if reports.is_empty() {
        return Ok(results);
    }
    intake::insert_reports(tx, principal, &reports).await?;
    intake::insert_observations(tx, &observations).await?;
    record_events(tx, caller, &events).await?;
    // Scoring takes as much again.
    drop((observations, events));
    let touched: BTreeSet<Uuid> = reports.iter().map(|r| r.customer.uuid()).collect();
    let touched: Vec<Uuid> = touched.into_iter().collect();
    rescore(tx, Some(touched.clone()), &[SHARED]).await?;
    enqueue(tx, &[Job { kind: JobKind::RescoreFull, partner: tx.scope().acts()?, subjects: touched, day: None }]).await?;
    Ok(results)
}

async fn context<S: Tenant>(tx: &Tx<S>, drafts: &[Result<ReportDraft, Fault>]) -> Result<Context, Fault> {
    let (mut ids, mut names, mut subscriptions) = (Vec::new(), Vec::new(), Vec::new());
    for draft in drafts.iter().flatten() {
        match &draft.customer {
            CustomerRef::Id(id) => ids.push(id.uuid()),
            CustomerRef::External(name) => names.push(name.to_string()),
        }
        subscriptions.extend(draft.subscription.as_ref().map(ToString::to_string));
    }
    let customers = lock_named(tx, ids.clone(), names).await?;
    let by_id: HashMap<Uuid, String> = customers.iter().map(|c| (c.id, c.external_id.clone())).collect();
    let by_external_id: HashMap<String, Uuid> = customers.into_iter().map(|c| (c.external_id, c.id)).collect();
    ids.retain(|id| !by_id.contains_key(id));
    let read_only = if ids.is_empty() { Vec::new() } else { seen_elsewhere(tx, &ids).await? };
    let mut context =
        Context { now: tx.now(), zone: calendar(tx).await?.zone, measures: HashMap::new(), by_id, by_external_id, read_only, subscriptions: HashMap::new(), heads: HashMap::new() };
    let keys: Vec<String> = drafts.iter().flatten().filter_map(|draft| context.customer(&draft.customer).ok().map(|(_, name)| report_key(draft, &name))).collect();
    let (measures, heads, subscriptions) = futures_util::try_join!(intake::measures(tx), intake::heads(tx, keys), subscriptions_named(tx, tx.scope().acts()?, subscriptions))?;
    context.measures = measures.into_iter().map(|m| (m.key, m.id)).collect();
    context.heads = heads;
    context.subscriptions = subscriptions;
    Ok(context)
}

fn report_key(draft: &ReportDraft, customer: &str) -> String {
    draft.external_id.as_ref().map_or_else(|| format!("{customer}:{}", draft.period_end), ToString::to_string)
}

/// Decides about one report, given what is in force, and adds what it brings to what will be written.
fn consider<S: Tenant>(
    tx: &Tx<S>,
    context: &Context,
    heads: &mut HashMap<String, Head>,
    draft: &ReportDraft,
    reports: &mut Vec<NewReport>,
    observations: &mut Vec<NewObservation>,
) -> Result<Accepted, Fault> {
    let (customer, name) = context.customer(&draft.customer)?;
    let mut faults: Vec<FieldFault> = Vec::new();
    let mut wrong = |pointer: String, code: Broken| faults.push(FieldFault { pointer, code });
    let period_moment = context.zone.start_of(draft.period_end);
    if period_moment > context.now + MAX_AHEAD {
        wrong("/period_end".into(), Broken::InTheFuture);
    }
    if draft.period_start.is_some_and(|start| start > draft.period_end) {
        wrong("/period_start".into(), Broken::Contradiction);
    }
    let subscription = match &draft.subscription {
        None => None,
        Some(external_id) => match context.subscriptions.get(&(external_id.to_string(), customer.uuid())) {
            Some(id) => Some(SubscriptionId::of(*id)),
            None => {
                wrong("/subscription_external_id".into(), Broken::ReferenceNotFound);
                None
            }
        },
    };
    let partner = PartnerId::of(tx.scope().acts()?);
    let report: ReportId = tx.new_id();
    let mut said = Vec::new();
    let mut observe = |measure: MeasureId, value: f64, observed_at: Moment| {
        said.push(NewObservation { id: tx.new_id(), partner, customer, subscription, measure, report: Some(report), value, observed_at, evidence: EvidenceClass::PartnerDeclared });
    };
    let mut given: BTreeSet<(&str, Moment)> = draft.declared_band.iter().map(|_| (PARTNER_BAND, period_moment)).collect();
    for (i, reading) in draft.readings.iter().enumerate() {
        let observed_at = reading.observed_at.unwrap_or(period_moment);
        for (part, code) in check_value(reading.value, observed_at, context.now) {
            // A period in the future is told once, at its own place.
            if part != "/observed_at" || reading.observed_at.is_some() {
                wrong(format!("/observations/{i}{part}"), code);
            }
        }
        if !given.insert((reading.measure.as_str(), observed_at)) {
            wrong(format!("/observations/{i}/measure"), Broken::Duplicate);
        }
        match context.measures.get(&reading.measure) {
            Some(measure) => observe(*measure, reading.value, observed_at),
            None => wrong(format!("/observations/{i}/measure"), Broken::ReferenceNotFound),
        }
    }
    for (i, case) in draft.open_cases.iter().flatten().enumerate() {
        if case.opened_on > draft.period_end {
            wrong(format!("/open_cases/{i}/opened_on"), Broken::Contradiction);
        }
    }
    if let (Some(band), Some(measure)) = (draft.declared_band, PARTNER_BAND.parse().ok().and_then(|key: Key| context.measures.get(&key))) {
        observe(*measure, band.points(), period_moment);
    }
    if !faults.is_empty() {
        let only_references = faults.iter().all(|fault| fault.code == Broken::ReferenceNotFound);
        let code = if only_references { Code::ReferenceNotFound } else { Code::ValidationFailed };
        return Err(Fault { fields: faults, ..Fault::of(code) });
    }
    let external_id = report_key(draft, &name);
    let hash = content_hash(draft, customer, subscription);
    let head = heads.get(&external_id);
    if let Some(head) = head {
        if head.customer != customer {
            return Err(Fault::field("/external_id", Broken::Contradiction));
        }
        if head.content_hash == hash {
            return Ok(Accepted { report: head.id, external_id, revision: head.revision, customer, outcome: Upserted::Unchanged });
        }
    }
    if draft.replaces.is_some() && draft.replaces != head.map(|head| head.id) {
        return Err(Fault::of(Code::StateConflict));
    }
    let (revision, replaces) = head.map_or((1, None), |head| (head.revision + 1, Some(head.id)));
    heads.insert(external_id.clone(), Head { id: report, customer, revision, content_hash: hash.clone() });
    reports.push(NewReport {
        id: report,
        customer,
        subscription,
        external_id: external_id.clone(),
        revision,
        replaces,
        period_start: draft.period_start,
        period_end: draft.period_end,
        declared_band: draft.declared_band,
        content_hash: hash,
        comment: draft.comment.as_ref().map(ToString::to_string),
        open_cases: draft.open_cases.clone(),
    });
    observations.append(&mut said);
    let outcome = if revision == 1 { Upserted::Created } else { Upserted::Updated };
    Ok(Accepted { report, external_id, revision, customer, outcome })
}
