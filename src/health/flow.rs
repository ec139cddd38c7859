//! Deeds of health: scoring customers again, accepting reports, recording observations. A single report is a batch of one.

use super::evidence::Evidence;
use super::score::score;
use super::scorecard::{CardMeasure, CardState, Scorecard, Weighted, due_on};
use super::store::{self, Card, Standing};
use crate::auth::{StaffScope, Tenant};
use crate::db::Tx;
use crate::directory::{CustomerRef, calendar};
use crate::intake::{self, EvidenceClass, Head, Measure, NewObservation, NewReport, PARTNER_BAND, ReportDraft, Seen, check_value, content_hash, observation_outcome};
use crate::kernel::change::Upserted;
use crate::kernel::code::Code;
use crate::kernel::error::{Fault, FieldFault};
use crate::kernel::id::{CustomerId, MeasureId, ObservationId, PartnerId, ReportId, SubscriptionId, TypeId};
use crate::kernel::money::{Currency, MAX_AMOUNT, annual_value};
use crate::kernel::text::{Broken, ExternalId, Key};
use crate::kernel::time::{MAX_AHEAD, Moment};
use crate::ledger::{Event, Job, JobKind, enqueue, record_events};
use chrono::{Duration, NaiveDate};
use serde_json::json;
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

/// The two views of health (DECISIONS 2).
pub const SHARED: &str = "shared";
/// From all evidence; the vendor's.
pub const VENDOR: &str = "vendor";

/// The active policy with its measures.
pub(super) async fn policy<S: Tenant>(tx: &Tx<S>) -> Result<(Card, Vec<CardMeasure>, Vec<Measure>), Fault> {
    let (card, catalogue) = futures_util::try_join!(store::active_card(tx), intake::measures(tx))?;
    let by_key: HashMap<&Key, &Measure> = catalogue.iter().map(|m| (&m.key, m)).collect();
    let measures = card
        .policy
        .measures
        .iter()
        .filter_map(|item| {
            let m = by_key.get(&item.measure)?;
            Some(CardMeasure {
                id: m.id,
                key: m.key.clone(),
                weight: item.weight,
                nature: m.nature,
                curve: m.curve.clone(),
                half_life_days: m.half_life_days,
                valid_days: m.valid_days,
            })
        })
        .collect();
    Ok((card, measures, catalogue))
}

/// Scores customers of the acting partner again for its scoring day, in the given views; all of them when no list is given. The
/// day moves by the daily job alone: evidence of a day that has begun but not been turned counts as of the scoring day. Takes their
/// locks first, so that evidence committed by others before is seen and theirs afterwards finds our score.
pub async fn rescore<S: Tenant>(tx: &Tx<S>, customers: Option<Vec<Uuid>>, audiences: &[&'static str]) -> Result<(), Fault> {
    let today = calendar(tx).await?.zone.day_of(tx.now());
    let on = store::scoring_day(tx).await?.unwrap_or(today);
    rescore_for(tx, customers, audiences, on).await
}

/// The same for a given day.
pub(super) async fn rescore_for<S: Tenant>(tx: &Tx<S>, customers: Option<Vec<Uuid>>, audiences: &[&'static str], on: NaiveDate) -> Result<(), Fault> {
    let facts = store::lock_customers(tx, customers).await?;
    if facts.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = facts.keys().copied().collect();
    let (vendor, (card, measures, _)) = futures_util::try_join!(calendar(tx), policy(tx))?;
    let valid = measures.iter().map(|m| i64::from(m.valid_days)).max().unwrap_or(0);
    let since = vendor.zone.start_of(on - Duration::days(valid));
    let (evidence, priced, rates, last) = futures_util::try_join!(
        store::evidence(tx, vendor.zone, ids.clone(), since),
        store::running_subscriptions(tx, ids.clone(), on),
        store::rates(tx, on),
        store::last_reports(tx, ids.clone()),
    )?;
    let mut worth: HashMap<Uuid, (i64, bool, Option<NaiveDate>)> = HashMap::new();
    for row in priced {
        let entry = worth.entry(row.customer_id).or_default();
        match row.currency.parse::<Currency>().ok().and_then(|currency| {
            let rate = if currency == vendor.currency { Some(1_000_000_000) } else { rates.get(&row.currency).copied() };
            annual_value(row.amount_minor, row.period_months, currency, vendor.currency, rate?)
        }) {
            Some(value) if entry.0 + value <= MAX_AMOUNT => entry.0 += value,
            // Without a rate, or beyond what a figure may hold: told, and in no figure.
            _ => entry.1 = true,
        }
        let renews = row.renews_on.filter(|day| *day >= on);
        entry.2 = entry.2.into_iter().chain(renews).min();
    }
    let none = Vec::new();
    let mut standings = Vec::with_capacity(facts.len() * audiences.len());
    for (id, fact) in &facts {
        let all = evidence.get(id).unwrap_or(&none);
        let (value_minor, unconverted, renews_on) = worth.get(id).copied().unwrap_or_default();
        let reported_on = last.get(id).copied();
        let due_on = due_on(reported_on, fact.touch_model);
        for audience in audiences {
            let seen: Vec<Evidence> = all.iter().filter(|(_, shared)| *audience == VENDOR || *shared).map(|(item, _)| Evidence { day: item.day.min(on), ..*item }).collect();
            standings.push(Standing {
                customer: *id,
                audience,
                score: score(&card.policy, &measures, &seen, on),
                counted: fact.counted,
                value_minor,
                unconverted,
                reported_on,
                due_on,
                in_cadence: due_on.is_some_and(|due| on <= due),
                renews_on,
            });
        }
    }
    store::keep_standings(tx, card.id, on, &standings).await
}

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
    let customers = store::lock_named(tx, ids.clone(), names).await?;
    let by_id: HashMap<Uuid, String> = customers.iter().map(|c| (c.id, c.external_id.clone())).collect();
    let by_external_id: HashMap<String, Uuid> = customers.into_iter().map(|c| (c.external_id, c.id)).collect();
    ids.retain(|id| !by_id.contains_key(id));
    let read_only = if ids.is_empty() { Vec::new() } else { store::seen_elsewhere(tx, &ids).await? };
    let mut context =
        Context { now: tx.now(), zone: calendar(tx).await?.zone, measures: HashMap::new(), by_id, by_external_id, read_only, subscriptions: HashMap::new(), heads: HashMap::new() };
    let keys: Vec<String> = drafts.iter().flatten().filter_map(|draft| context.customer(&draft.customer).ok().map(|(_, name)| report_key(draft, &name))).collect();
    let (measures, heads, subscriptions) = futures_util::try_join!(intake::measures(tx), intake::heads(tx, keys), store::subscriptions_named(tx, subscriptions))?;
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
    });
    observations.append(&mut said);
    let outcome = if revision == 1 { Upserted::Created } else { Upserted::Updated };
    Ok(Accepted { report, external_id, revision, customer, outcome })
}

/// Whom an observation is about.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A customer by our id or by its partner's own.
    Customer(CustomerRef),
    /// The customer of the subscription with the vendor's own id.
    VendorRef(ExternalId),
}

/// An observation as it came in.
#[derive(Debug, Clone)]
pub struct ObservationDraft {
    /// About whom.
    pub subject: Subject,
    /// The measure's key.
    pub measure: Key,
    /// The value, in its unit.
    pub value: f64,
    /// When it was so; now when left out.
    pub observed_at: Option<Moment>,
}

/// What became of an observation: its id, unless it was known, and what it did.
pub type Recorded = (Option<ObservationId>, Upserted);

/// Records observations, one answer each, in order. A partner's are its declarations about its own customers and are scored here;
/// the vendor's are facts about anybody's, kept from the partner, and are scored by a job. `named_by` is the partner whose
/// external ids the vendor uses.
pub async fn record_observations<S: Tenant>(
    tx: &Tx<S>,
    caller: Uuid,
    class: EvidenceClass,
    named_by: Option<PartnerId>,
    drafts: Vec<Result<ObservationDraft, Fault>>,
) -> Result<Vec<Result<Recorded, Fault>>, Fault> {
    let own = class == EvidenceClass::PartnerDeclared;
    let (mut ids, mut names, mut refs) = (Vec::new(), Vec::new(), Vec::new());
    for draft in drafts.iter().flatten() {
        match &draft.subject {
            Subject::Customer(CustomerRef::Id(id)) => ids.push(id.uuid()),
            Subject::Customer(CustomerRef::External(name)) => names.push(name.to_string()),
            Subject::VendorRef(reference) => refs.push(reference.to_string()),
        }
    }
    let mut by_id: HashMap<Uuid, Uuid> = HashMap::new();
    let mut by_name: HashMap<String, (Uuid, Uuid)> = HashMap::new();
    let mut read_only = Vec::new();
    if own {
        let partner = tx.scope().acts()?;
        for found in store::lock_named(tx, ids.clone(), names).await? {
            by_id.insert(found.id, partner);
            by_name.insert(found.external_id, (partner, found.id));
        }
        ids.retain(|id| !by_id.contains_key(id));
        if !ids.is_empty() {
            read_only = store::seen_elsewhere(tx, &ids).await?;
        }
    } else {
        by_id = store::partners_of(tx, ids).await?;
        if let Some(partner) = named_by {
            by_name = store::customers_named(tx, partner.uuid(), names).await?;
        }
    }
    // A partner's references are looked for among its own; the vendor's among the partner's it names, else everywhere.
    let among = if own { Some(tx.scope().acts()?) } else { named_by.map(TypeId::uuid) };
    let by_ref = if refs.is_empty() { HashMap::new() } else { intake::subjects_by_vendor_ref(tx, among, refs).await? };
    let measures: HashMap<Key, MeasureId> = intake::measures(tx).await?.into_iter().map(|m| (m.key, m.id)).collect();
    let find = |draft: &ObservationDraft| -> Result<(Uuid, Uuid, Option<SubscriptionId>), Fault> {
        match &draft.subject {
            Subject::Customer(reference) => {
                let found = match reference {
                    CustomerRef::Id(id) if read_only.contains(&id.uuid()) => return Err(Fault::of(Code::ReadOnlyHere)),
                    CustomerRef::Id(id) => by_id.get(&id.uuid()).map(|partner| (*partner, id.uuid())),
                    CustomerRef::External(name) => by_name.get(name.as_str()).copied(),
                };
                found.map(|(partner, customer)| (partner, customer, None)).ok_or_else(|| Fault::reference(reference.pointer()))
            }
            Subject::VendorRef(reference) => by_ref
                .get(reference.as_str())
                .map(|(partner, customer, subscription)| (partner.uuid(), customer.uuid(), Some(*subscription)))
                .ok_or_else(|| Fault::reference("/subscription_vendor_ref")),
        }
    };
    // What each one says, or why it cannot be said.
    let said: Vec<Result<NewObservation, Fault>> = drafts
        .into_iter()
        .map(|draft| {
            let draft = draft?;
            let (partner, customer, subscription) = find(&draft)?;
            let observed_at = draft.observed_at.unwrap_or(tx.now());
            let mut faults: Vec<FieldFault> =
                check_value(draft.value, observed_at, tx.now()).into_iter().map(|(pointer, code)| FieldFault { pointer: pointer.to_owned(), code }).collect();
            if !faults.is_empty() {
                return Err(Fault::invalid(faults));
            }
            let Some(measure) = measures.get(&draft.measure) else {
                faults.push(FieldFault { pointer: "/measure".into(), code: Broken::ReferenceNotFound });
                return Err(Fault { fields: faults, ..Fault::of(Code::ReferenceNotFound) });
            };
            let (partner, customer) = (PartnerId::of(partner), CustomerId::of(customer));
            Ok(NewObservation { id: tx.new_id(), partner, customer, subscription, measure: *measure, report: None, value: draft.value, observed_at, evidence: class })
        })
        .collect();
    let seen: Vec<Seen> = said.iter().flatten().map(|o| (o.customer.uuid(), o.measure.uuid(), o.observed_at)).collect();
    let partners: BTreeSet<Uuid> = said.iter().flatten().map(|o| o.partner.uuid()).collect();
    let mut known = intake::known_observations(tx, class, partners.into_iter().collect(), &seen).await?;
    let mut fresh = Vec::new();
    let results: Vec<Result<Recorded, Fault>> = said
        .into_iter()
        .map(|item| {
            let item = item?;
            let moment = (item.customer.uuid(), item.measure.uuid(), item.observed_at);
            let outcome = observation_outcome(known.insert(moment, item.value), item.value);
            if outcome == Upserted::Unchanged {
                return Ok((None, outcome));
            }
            let id = item.id;
            fresh.push(item);
            Ok((Some(id), outcome))
        })
        .collect();
    if fresh.is_empty() {
        return Ok(results);
    }
    intake::insert_observations(tx, &fresh).await?;
    let mut touched: HashMap<Uuid, BTreeSet<Uuid>> = HashMap::new();
    for item in &fresh {
        touched.entry(item.partner.uuid()).or_default().insert(item.customer.uuid());
    }
    let events: Vec<Event> = fresh
        .iter()
        .map(|item| Event { kind: "observation.recorded", subject: item.id.uuid(), partner: Some(item.partner.uuid()), data: json!({ "customer_id": item.customer }) })
        .collect();
    record_events(tx, caller, &events).await?;
    if own {
        let customers = touched.values().flatten().copied().collect();
        rescore(tx, Some(customers), &[SHARED]).await?;
    }
    let jobs: Vec<Job> =
        touched.into_iter().map(|(partner, customers)| Job { kind: JobKind::RescoreFull, partner, subjects: customers.into_iter().collect(), day: None }).collect();
    enqueue(tx, &jobs).await?;
    Ok(results)
}

/// Adds a draft scorecard.
pub(super) async fn add_scorecard(tx: &Tx<StaffScope>, caller: Uuid, name: String, policy: Scorecard) -> Result<Card, Fault> {
    let card = Card { id: tx.new_id(), name, state: CardState::Draft, policy, version: 1, created_at: tx.now() };
    store::insert_card(tx, &card).await?;
    let event = Event { kind: "scorecard.created", subject: card.id.uuid(), partner: None, data: json!({}) };
    record_events(tx, caller, &[event]).await?;
    Ok(card)
}

/// Makes a scorecard the active one and has every customer scored again by it.
pub(super) async fn activate(tx: &Tx<StaffScope>, caller: Uuid, card: &Card) -> Result<(), Fault> {
    store::activate_card(tx, card.id).await?;
    let event = Event { kind: "scorecard.activated", subject: card.id.uuid(), partner: None, data: json!({}) };
    record_events(tx, caller, &[event]).await?;
    let partners = crate::directory::all_partner_ids(tx).await?;
    let jobs: Vec<Job> = partners.into_iter().map(|partner| Job { kind: JobKind::Rescore, partner, subjects: Vec::new(), day: None }).collect();
    enqueue(tx, &jobs).await
}

/// The scorecard a new vendor starts with: equal weights over the starter measures, already active.
pub async fn starter_scorecard(tx: &Tx<StaffScope>, caller: Uuid, measures: &[Measure]) -> Result<(), Fault> {
    let weighted = measures.iter().map(|m| Weighted { measure: m.key.clone(), weight: 1.0 }).collect();
    let card = add_scorecard(tx, caller, "starter".into(), Scorecard::with(weighted, None, None, None)).await?;
    activate(tx, caller, &card).await
}
