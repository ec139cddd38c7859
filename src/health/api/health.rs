//! `/v1/customers/{customer_id}/health` and its explanation. A partner gets the shared view; the vendor gets its own and may
//! ask for the shared one.

use crate::auth::{Call, Query, Tenant, op};
use crate::health::flow::{SHARED, VENDOR, policy};
use crate::health::score::Part;
use crate::health::scorecard::{Band, CardMeasure};
use crate::health::store::{self, Health};
use crate::http::body::Faults;
use crate::http::query::Param;
use crate::intake::EvidenceClass;
use crate::intake::Measure;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, ScorecardId};
use crate::kernel::number::thousandths;
use crate::kernel::text::Key;
use actix_web::{HttpResponse, get};
use chrono::NaiveDate;
use deserr::Deserr;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

crate::word_list! {
    /// From which evidence.
    View {
        /// What the partner may see.
        Shared = "shared",
        /// Everything; the vendor's alone.
        Full = "full",
    }
}
crate::wire_words!(View, EvidenceClass);

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(get_health).service(explain);
}

/// An 80 % interval, in points.
#[derive(Serialize, ToSchema)]
pub(super) struct Interval {
    low: f64,
    high: f64,
}

/// What one measure adds to the score.
#[derive(Serialize, ToSchema)]
struct Contribution {
    measure: Key,
    /// Points added to 50, or taken from it. 50 and all contributions make the score, exactly.
    contribution: f64,
}

/// How a customer is doing.
#[derive(Serialize, ToSchema)]
pub(super) struct HealthView {
    customer_id: CustomerId,
    /// From which evidence.
    view: View,
    /// The day it was scored for, in the vendor's calendar.
    #[schema(value_type = Option<String>, format = Date)]
    scored_for: Option<NaiveDate>,
    scorecard_id: Option<ScorecardId>,
    /// 0-100; absent while too little is known.
    score: Option<f64>,
    band: Band,
    /// How much of what the scorecard asks is known, 0-1.
    coverage: f64,
    interval: Option<Interval>,
    contributions: Vec<Contribution>,
    /// Measures nothing is known of.
    missing: Vec<Key>,
    /// Measures whose newest evidence has faded below half.
    stale: Vec<Key>,
    /// The last day it was reported on.
    #[schema(value_type = Option<String>, format = Date)]
    reported_on: Option<NaiveDate>,
    /// When the next report is due; absent before the first.
    #[schema(value_type = Option<String>, format = Date)]
    next_report_due_on: Option<NaiveDate>,
}

impl HealthView {
    /// The view of a conclusion; of a customer nothing is concluded about yet, that nothing is known.
    /// `catalogue` names the parts, because the score may be of an older card than the active one, whose `measures` are asked.
    pub(super) fn of(customer_id: CustomerId, audience: &'static str, health: Option<&Health>, measures: &[CardMeasure], catalogue: &[Measure]) -> Self {
        let key = |id: &str| catalogue.iter().find(|m| m.id.to_string() == id).map(|m| m.key.clone());
        let parts = health.map(|h| h.parts.as_slice()).unwrap_or_default();
        let unheard = parts.iter().filter(|p| p.points.is_none()).filter_map(|p| key(&p.measure)).collect();
        let missing = if health.is_some() { unheard } else { measures.iter().map(|m| m.key.clone()).collect() };
        let half_life = |id: &str| catalogue.iter().find(|m| m.id.to_string() == id).and_then(|m| m.half_life_days);
        let faded = |p: &Part| Some((health?.scored_for - p.newest?).num_days() > i64::from(half_life(&p.measure)?));
        let stale = parts.iter().filter(|p| faded(p) == Some(true)).filter_map(|p| key(&p.measure)).collect();
        Self {
            customer_id,
            view: if audience == VENDOR { View::Full } else { View::Shared },
            scored_for: health.map(|h| h.scored_for),
            scorecard_id: health.map(|h| h.scorecard),
            score: health.and_then(|h| h.score).map(|s| thousandths(s.into())),
            band: health.map_or(Band::Unknown, |h| h.band),
            coverage: health.map_or(0.0, |h| thousandths(h.coverage.into())),
            interval: health.and_then(|h| h.interval).map(|(low, high)| Interval { low: thousandths(low.into()), high: thousandths(high.into()) }),
            contributions: parts.iter().filter_map(|p| Some(Contribution { measure: key(&p.measure)?, contribution: thousandths(p.contribution?) })).collect(),
            missing,
            stale,
            reported_on: health.and_then(|h| h.reported_on),
            next_report_due_on: health.and_then(|h| h.due_on),
        }
    }
}

/// Which view.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ViewQuery {
    /// For the vendor: `full` (the default) or `shared`, what the partner sees. A partner always gets `shared`.
    #[deserr(default)]
    #[param(value_type = Option<View>)]
    view: Option<Param<View>>,
}
impl Query for ViewQuery {}

fn audience(asked: Option<View>, own: &'static str) -> Result<&'static str, Fault> {
    match (asked, own) {
        (None, own) => Ok(own),
        (Some(View::Shared), _) => Ok(SHARED),
        (Some(View::Full), VENDOR) => Ok(VENDOR),
        // A partner may not ask for what it must not see; whether there is more to see is not said.
        (Some(View::Full), _) => Err(Fault::of(Code::InvalidParameter)),
    }
}

/// Read how a customer is doing
///
/// Score, band, coverage and interval, what is missing or stale, and when the next report is due.
#[utoipa::path(operation_id = "get_customer_health", tag = "Health", params(("customer_id" = CustomerId, Path), ViewQuery), responses((status = 200, description = "Its health", body = HealthView)))]
#[get("/v1/customers/{customer_id}/health")]
async fn get_health(call: Call<op::GetCustomerHealth, CustomerId, ViewQuery>) -> Result<HttpResponse, Fault> {
    let audience = audience(call.query.view.as_ref().map(|v| v.0), call.scope().audience())?;
    let (found, (_, measures, catalogue)) = call.read(async |tx| futures_util::try_join!(store::health_of(tx, call.path, audience), policy(tx))).await?;
    let health = found.ok_or(Fault::of(Code::NotFound))?;
    Ok(HttpResponse::Ok().json(HealthView::of(call.path, audience, health.as_ref(), &measures, &catalogue)))
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
    /// Its weight in the scorecard.
    weight: f64,
    /// How much is known of it, 0-1.
    evidence: f64,
    /// Its points, 0-100.
    points: Option<f64>,
    /// Points added to 50, or taken from it.
    contribution: Option<f64>,
    /// Who says so.
    sources: Vec<Source>,
    /// The newest day of its evidence.
    #[schema(value_type = Option<String>, format = Date)]
    newest_on: Option<NaiveDate>,
    /// The age of the newest evidence on the day scored for.
    age_days: Option<i64>,
}

/// Why a score is what it is.
#[derive(Serialize, ToSchema)]
struct Explanation {
    #[serde(flatten)]
    health: HealthView,
    /// What contributions count from: 50.
    base: f64,
    /// 50 and all contributions: the score.
    sum: Option<f64>,
    /// Every measure of the scorecard, also those nothing is known of.
    measures: Vec<ExplainedMeasure>,
}

/// Read why a customer's score is what it is
///
/// Every contribution to the score, with its sources and their age; they add up to the score exactly.
#[utoipa::path(operation_id = "explain_customer_health", tag = "Health", params(("customer_id" = CustomerId, Path), ViewQuery), responses((status = 200, description = "The explanation", body = Explanation)))]
#[get("/v1/customers/{customer_id}/health/explanation")]
async fn explain(call: Call<op::ExplainCustomerHealth, CustomerId, ViewQuery>) -> Result<HttpResponse, Fault> {
    let audience = audience(call.query.view.as_ref().map(|v| v.0), call.scope().audience())?;
    let (found, (_, card_measures, catalogue)) = call.read(async |tx| futures_util::try_join!(store::health_of(tx, call.path, audience), policy(tx))).await?;
    let health = found.ok_or(Fault::of(Code::NotFound))?;
    let parts = health.as_ref().map(|h| h.parts.as_slice()).unwrap_or_default();
    let measures = parts
        .iter()
        .filter_map(|part| {
            let entry = catalogue.iter().find(|m| m.id.to_string() == part.measure)?;
            Some(ExplainedMeasure {
                measure: entry.key.clone(),
                name_en: entry.name_en.to_string(),
                name_ja: entry.name_ja.to_string(),
                weight: part.weight,
                evidence: thousandths(part.evidence),
                points: part.points.map(thousandths),
                contribution: part.contribution.map(thousandths),
                sources: part.sources.iter().map(|(evidence, share)| Source { evidence: *evidence, share: thousandths(*share) }).collect(),
                newest_on: part.newest,
                age_days: part.newest.zip(health.as_ref()).map(|(day, h)| (h.scored_for - day).num_days()),
            })
        })
        .collect();
    let sum = health.as_ref().filter(|h| h.score.is_some()).map(|h| thousandths(50_000 + h.parts.iter().filter_map(|p| p.contribution).sum::<i64>()));
    let health = HealthView::of(call.path, audience, health.as_ref(), &card_measures, &catalogue);
    Ok(HttpResponse::Ok().json(Explanation { health, base: 50.0, sum, measures }))
}
