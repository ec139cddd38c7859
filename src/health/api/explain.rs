//! Why a score is what it is, and why it moved.

use super::health::{BiasMode, HealthQuery, HealthView, View, asked, dossier_at, dossier_of};
use super::input::{InputView, shown};
use crate::auth::{Call, Query, Tenant, op};
use crate::db::Tx;
use crate::directory::calendar;
use crate::health::change::Cause;
use crate::health::evidence::Origin;
use crate::health::flow::{Asked, Rulebook, kept};
use crate::health::input::{Input, Inputs};
use crate::health::point::Times;
use crate::health::score::{AdjustedBy, Part};
use crate::health::scorecard::{Missing, Purpose};
use crate::health::store::Health;
use crate::http::body::{Day, Faults, Instant};
use crate::http::query::Param;
use crate::intake::{CurveBody, EvidenceClass};
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, OverrideId};
use crate::kernel::number::thousandths;
use crate::kernel::text::{Key, Label};
use actix_web::{HttpResponse, get};
use chrono::NaiveDate;
use deserr::Deserr;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

crate::wire_words!(Cause);

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(explain).service(explain_change);
}

/// Where evidence came from.
#[derive(Serialize, ToSchema)]
struct Source {
    evidence: EvidenceClass,
    /// Its share of what is known of the measure, 0-1.
    share: f64,
}

/// One measure of the explanation.
#[derive(Serialize, ToSchema)]
struct ExplainedMeasure {
    measure: Key,
    name_en: String,
    name_ja: String,
    /// The group it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<Key>,
    /// Its weight in the scorecard, its groups' shared out to it.
    weight: f64,
    /// How much is known of it, 0-1.
    evidence: f64,
    /// Its points, 0-100.
    points: Option<f64>,
    /// Points added to 50, or taken from it.
    contribution: Option<f64>,
    /// How much must be known of it, 0-1, or it counts as missing.
    minimum_evidence: f64,
    /// What the scorecard does when it is missing.
    missing: Missing,
    /// What stands for it, because too little is known of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    assumed: Option<Missing>,
    /// What was taken from the partner's points for its usual rosiness.
    #[serde(skip_serializing_if = "Option::is_none")]
    bias: Option<f64>,
    /// Who says so.
    sources: Vec<Source>,
    /// The newest day of its evidence.
    #[schema(value_type = Option<String>, format = Date)]
    newest_on: Option<NaiveDate>,
    /// The age of the newest evidence on the day scored for.
    age_days: Option<i64>,
    /// The unit of its values.
    unit: Label,
    /// From values to points, as the scorecard reads the measure.
    curve: CurveBody,
    /// Days after which evidence weighs half; absent = does not fade.
    half_life_days: Option<i32>,
    /// Days after which evidence counts no more; of a trend, days looked back at most.
    valid_days: i32,
    /// What was said and counts, newest first, 1,000 at most. Empty where too little is known of it; where the last value stands for it, that one.
    inputs: Vec<InputView>,
    /// How many more count and are not shown.
    inputs_more: usize,
}

/// A group of measures with what is in it.
#[derive(Serialize, ToSchema)]
struct ExplainedGroup {
    group: Key,
    name_en: String,
    name_ja: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<Key>,
    /// The weight of all that is in it.
    weight: f64,
    /// How much is known of what is in it, 0-1.
    evidence: f64,
    /// The sum of what its measures add or take.
    contribution: Option<f64>,
}

/// Why a score is what it is.
#[derive(Serialize, ToSchema)]
struct Explanation {
    #[serde(flatten)]
    health: HealthView,
    /// The scorecard's name.
    scorecard_name: Option<String>,
    /// What contributions count from: 50.
    base: f64,
    /// 50, all contributions and what the adjustments move: the score.
    sum: Option<f64>,
    /// The groups of the scorecard, each with its parent.
    groups: Vec<ExplainedGroup>,
    /// Every measure of the scorecard, also those nothing is known of.
    measures: Vec<ExplainedMeasure>,
}

fn measure(part: &Part, inputs: &[(Input, Origin)], health: &Health, rules: &Rulebook) -> Option<ExplainedMeasure> {
    let entry = rules.measure(part.measure)?;
    let ruled = rules.cards.iter().find(|ruled| ruled.card.id == health.card)?;
    let read = ruled.scorer.measures.iter().find(|measure| measure.id == part.measure)?;
    let (inputs, inputs_more) = shown(inputs);
    Some(ExplainedMeasure {
        measure: entry.key.clone(),
        name_en: entry.name_en.to_string(),
        name_ja: entry.name_ja.to_string(),
        group: ruled.card.policy.measures.iter().find(|item| item.measure == entry.key).and_then(|item| item.group.clone()),
        weight: part.weight,
        evidence: thousandths(part.evidence),
        points: part.points.map(thousandths),
        contribution: part.contribution.map(thousandths),
        assumed: part.assumed,
        minimum_evidence: read.minimum_evidence,
        missing: read.missing,
        bias: part.bias.map(thousandths),
        sources: part.sources.iter().map(|(evidence, share)| Source { evidence: *evidence, share: thousandths(*share) }).collect(),
        newest_on: part.newest,
        age_days: part.newest.map(|day| (health.scored_for - day).num_days()),
        unit: entry.unit.clone(),
        curve: CurveBody::from(&read.curve),
        half_life_days: read.half_life_days,
        valid_days: read.valid_days,
        inputs,
        inputs_more,
    })
}

fn groups(health: &Health, rules: &Rulebook) -> Vec<ExplainedGroup> {
    let Some(ruled) = rules.cards.iter().find(|ruled| ruled.card.id == health.card) else { return Vec::new() };
    let policy = &ruled.card.policy;
    let inside = |part: &Part, key: &Key| {
        let group = rules.measure(part.measure).and_then(|m| policy.measures.iter().find(|item| item.measure == m.key)).and_then(|item| item.group.as_ref());
        policy.within(group, key)
    };
    let view = |group: &crate::health::scorecard::Group| {
        let parts: Vec<&Part> = health.score.parts.iter().filter(|part| inside(part, &group.key)).collect();
        let weight: f64 = parts.iter().map(|part| part.weight).sum();
        let known: f64 = parts.iter().map(|part| part.weight * part.evidence as f64).sum();
        ExplainedGroup {
            group: group.key.clone(),
            name_en: group.name_en.to_string(),
            name_ja: group.name_ja.to_string(),
            parent: group.parent.clone(),
            weight,
            evidence: if weight > 0.0 { thousandths(crate::kernel::number::round(known / weight)) } else { 0.0 },
            contribution: health.score.score.map(|_| thousandths(parts.iter().filter_map(|part| part.contribution).sum::<i32>())),
        }
    };
    policy.groups.iter().map(view).collect()
}

/// A customer's health as kept, or replayed for a point, with what counted. Health and inputs are always
/// of one day and one evidence: what is kept is replayed, as of today, while its inputs cannot be told.
async fn explained_at<S: Tenant>(tx: &Tx<S>, id: CustomerId, asked: Asked, times: Times<'_>) -> Result<(Option<Health>, Inputs, Rulebook), Fault> {
    if times.are_now() && asked.is_kept() {
        let (kept, vendor) = futures_util::try_join!(kept(tx, id, asked), calendar(tx))?;
        if let Some(inputs) = kept.inputs(tx, vendor.zone).await? {
            return Ok((kept.health, inputs, kept.rules));
        }
    }
    let (dossier, at) = dossier_at(tx, id, asked, times).await?;
    Ok((dossier.health(at), dossier.inputs(at), dossier.rulebook(at)))
}

/// Read why a customer's score is what it is
///
/// Every contribution to the score, by groups, down to what was said, with its age, points and weight and the rule it is read by; and every cap, floor and
/// override. They add up to the score exactly.
#[utoipa::path(operation_id = "explain_customer_health", tag = "Health", params(("customer_id" = CustomerId, Path), HealthQuery), responses((status = 200, description = "The explanation", body = Explanation)))]
#[get("/v1/customers/{customer_id}/health/explanation")]
async fn explain(call: Call<op::ExplainCustomerHealth, CustomerId, HealthQuery>) -> Result<HttpResponse, Fault> {
    let asked = call.query.asked(call.scope().audience())?;
    let (health, inputs, rules) = call.read(async |tx| explained_at(tx, call.path, asked, call.query.times()).await).await?;
    let score = health.as_ref().map(|h| &h.score);
    let contributed = |s: &crate::health::Score| 50_000 + s.parts.iter().filter_map(|p| p.contribution).sum::<i32>();
    let adjusted = |s: &crate::health::Score| s.adjustments.iter().map(|a| a.to - a.from.unwrap_or(50_000)).sum::<i32>();
    let card = health.as_ref().and_then(|h| rules.cards.iter().find(|ruled| ruled.card.id == h.card));
    Ok(HttpResponse::Ok().json(Explanation {
        scorecard_name: card.map(|ruled| ruled.card.name.clone()),
        base: 50.0,
        sum: score.filter(|s| s.score.is_some()).map(|s| thousandths(contributed(s) + adjusted(s))),
        groups: health.as_ref().map(|h| groups(h, &rules)).unwrap_or_default(),
        measures: health.iter().flat_map(|h| h.score.parts.iter().zip(&inputs).filter_map(|(part, inputs)| measure(part, inputs, h, &rules))).collect(),
        health: HealthView::of(call.path, asked.audience, asked.purpose, health.as_ref(), &rules),
    }))
}

/// Between which points.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ChangeQuery {
    /// The earlier day.
    #[param(value_type = String, format = Date)]
    since: Param<Day>,
    /// What was known at the earlier point; what was at the end of its day when left out.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = DateTime)]
    since_known_at: Option<Param<Instant>>,
    /// The later day; today when left out.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = Date)]
    as_of: Option<Param<Day>>,
    /// What was known at the later point; the latest when left out.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = DateTime)]
    known_at: Option<Param<Instant>>,
    /// For the vendor: `full` (the default) or `shared`.
    #[deserr(default)]
    #[param(value_type = Option<View>)]
    view: Option<Param<View>>,
    /// `churn` when left out.
    #[deserr(default)]
    #[param(value_type = Option<Purpose>)]
    purpose: Option<Param<Purpose>>,
    /// For the vendor: `calibrated` (the default) or `raw`.
    #[deserr(default)]
    #[param(inline, value_type = Option<BiasMode>)]
    bias: Option<Param<BiasMode>>,
}
impl Query for ChangeQuery {}

/// What one measure moved the score by, and why.
#[derive(Serialize, ToSchema)]
struct MovedMeasure {
    measure: Key,
    cause: Cause,
    /// In points.
    points: f64,
}

/// What all measures moved the score by for one cause.
#[derive(Serialize, ToSchema)]
struct MovedCause {
    cause: Cause,
    /// In points.
    points: f64,
}

/// Why a score moved.
#[derive(Serialize, ToSchema)]
struct ChangeView {
    /// The earlier point.
    before: HealthView,
    /// The later point.
    after: HealthView,
    /// The difference in points. An unknown score counts as 50, from which contributions count: what made it known, or no longer known, is told by
    /// its lines; where no scorecard applied at one of the points, that is policy. Absent where both are unknown.
    total: Option<f64>,
    /// By measure and cause. All of them and what is adjusted make the total, exactly.
    lines: Vec<MovedMeasure>,
    /// The same by cause.
    causes: Vec<MovedCause>,
    /// What caps, floors and overrides do now, less what they did then.
    adjusted: Vec<MovedLimit>,
}

/// What a cap, a floor or an override does now, less what it did then.
#[derive(Serialize, ToSchema)]
struct MovedLimit {
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<Key>,
    #[serde(skip_serializing_if = "Option::is_none")]
    override_id: Option<OverrideId>,
    /// In points.
    points: f64,
}

impl MovedLimit {
    fn of(by: &AdjustedBy, moved: i64) -> Self {
        let (limit, override_id) = by.parts();
        Self { limit, override_id, points: thousandths(moved) }
    }
}

/// Read why a customer's score moved
///
/// The exact split of the difference between two points into new values, fading, what became known or is no longer, bias and policy.
#[utoipa::path(operation_id = "explain_customer_health_change", tag = "Health", params(("customer_id" = CustomerId, Path), ChangeQuery), responses((status = 200, description = "The split", body = ChangeView)))]
#[get("/v1/customers/{customer_id}/health/change")]
async fn explain_change(call: Call<op::ExplainCustomerHealthChange, CustomerId, ChangeQuery>) -> Result<HttpResponse, Fault> {
    let query = &call.query;
    let asked = asked(call.scope().audience(), &query.view, &query.purpose, &query.bias)?;
    let (dossier, from, to) = call
        .read(async |tx| {
            let vendor = calendar(tx).await?;
            let earlier = Times { on: Some(("since", query.since.0.0)), known_at: query.since_known_at.as_ref().map(|at| ("since_known_at", at.0.0)) };
            let to = Times::of(("as_of", &query.as_of), ("known_at", &query.known_at)).resolve(&vendor, tx.now())?;
            let mut from = earlier.resolve(&vendor, tx.now())?;
            let dossier = dossier_of(tx, call.path, asked, from.on.min(to.on)).await?;
            if query.since_known_at.is_none() {
                from.known_at = dossier.end_of(from.on).min(tx.now());
            }
            Ok((dossier, from, to))
        })
        .await?;
    let split = dossier.change(from, to);
    let rules = dossier.rulebook(to);
    let view = |at| HealthView::of(call.path, asked.audience, asked.purpose, dossier.health(at).as_ref(), &dossier.rulebook(at));
    let lines = split.iter().flat_map(|s| &s.lines);
    let by_cause = |cause: Cause| lines.clone().filter(|line| line.1 == cause).map(|line| line.2).sum::<i64>();
    Ok(HttpResponse::Ok().json(ChangeView {
        before: view(from),
        after: view(to),
        total: split.as_ref().map(|s| thousandths(s.total)),
        causes: Cause::ALL.iter().map(|cause| MovedCause { cause: *cause, points: thousandths(by_cause(*cause)) }).filter(|moved| moved.points != 0.0).collect(),
        lines: lines.clone().filter_map(|line| Some(MovedMeasure { measure: rules.measure(line.0)?.key.clone(), cause: line.1, points: thousandths(line.2) })).collect(),
        adjusted: split.iter().flat_map(|s| &s.adjusted).map(|(by, moved)| MovedLimit::of(by, *moved)).collect(),
    }))
}
