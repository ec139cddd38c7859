//! `/v1/customers/{customer_id}/health`. A partner gets the shared view; the vendor gets its own and may ask for the shared one.

use crate::auth::{Call, Query, Tenant, op};
use crate::db::Tx;
use crate::directory::{calendar, locate_customer};
use crate::health::audience::{SHARED, VENDOR};
use crate::health::chronicle::AsKnown;
use crate::health::flow::{Asked, Dossier, Rulebook, dossier, kept};
use crate::health::limit::Because;
use crate::health::point::Times;
use crate::health::score::{Adjustment, Part, Score};
use crate::health::scorecard::{Band, Purpose};
use crate::health::source::{Said, Sources};
use crate::health::store::Health;
use crate::http::body::{Day, Faults, Instant};
use crate::http::interval::Interval;
use crate::http::query::Param;
use crate::intake::EvidenceClass;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, OverrideId, ScorecardId};
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
crate::word_list! {
    /// Whether the reporters' usual rosiness is taken off.
    BiasMode {
        /// As it was said.
        Raw = "raw",
        /// Less what the reporter usually adds.
        Calibrated = "calibrated",
    }
}
crate::wire_words!(View, BiasMode, EvidenceClass);

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(get_health);
}

/// What one measure adds to the score.
#[derive(Serialize, ToSchema)]
struct Contribution {
    measure: Key,
    /// Points added to 50, or taken from it. 50, all contributions and what the adjustments move make the score, exactly.
    contribution: f64,
}

/// What moved the score after the measures had spoken, or bounded its interval.
#[derive(Serialize, ToSchema)]
pub(super) struct AdjustmentView {
    /// The cap or floor of the scorecard that applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<Key>,
    /// The override in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    override_id: Option<OverrideId>,
    /// The score before; absent when it was unknown.
    from: Option<f64>,
    /// The score after; as before where the limit bounds the interval alone.
    to: f64,
    /// What made the limit apply; absent of an override.
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<BecauseView>,
}

/// What made a limit apply: a case or a value.
#[derive(Serialize, ToSchema)]
struct BecauseView {
    #[serde(skip_serializing_if = "Option::is_none")]
    case: Option<CaseNamed>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<ValueSaid>,
}

/// An open case; of several the most severe, then the one due first.
#[derive(Serialize, ToSchema)]
struct CaseNamed {
    /// The reporter's own id of it.
    external_id: String,
    /// 1 (worst) to 4.
    severity: i32,
    #[schema(value_type = String, format = Date)]
    opened_on: NaiveDate,
    #[schema(value_type = Option<String>, format = Date)]
    due_on: Option<NaiveDate>,
}

/// The latest value of the measure a limit looks at.
#[derive(Serialize, ToSchema)]
struct ValueSaid {
    /// In the measure's unit.
    value: f64,
    /// The day it was so.
    #[schema(value_type = String, format = Date)]
    on: NaiveDate,
    evidence: EvidenceClass,
}

impl From<&Because> for BecauseView {
    fn from(because: &Because) -> Self {
        match because {
            Because::Case { external_id, severity, opened_on, due_on } => {
                let case = CaseNamed { external_id: external_id.to_string(), severity: *severity, opened_on: *opened_on, due_on: *due_on };
                Self { case: Some(case), value: None }
            }
            Because::Value { value, on, class } => Self { case: None, value: Some(ValueSaid { value: *value, on: *on, evidence: *class }) },
        }
    }
}

impl AdjustmentView {
    /// The line of an adjustment.
    fn of(adjustment: &Adjustment) -> Self {
        let (limit, override_id) = adjustment.by.parts();
        Self { limit, override_id, from: adjustment.from.map(thousandths), to: thousandths(adjustment.to), because: adjustment.because.as_ref().map(BecauseView::from) }
    }
}

/// A score a person set, beside what the evidence says.
#[derive(Serialize, ToSchema)]
pub struct ByHand {
    /// 0-100; absent while too little is known.
    computed: Option<f64>,
    /// Where that lies, with 80 %. Absent likewise, and of what an older release kept.
    interval: Option<Interval>,
}

impl ByHand {
    /// Of a score that was this and lay there before it was set, in thousandths.
    pub fn of(computed: Option<i32>, interval: Option<(i32, i32)>) -> Self {
        Self { computed: computed.map(thousandths), interval: interval.map(Interval::of) }
    }
}

impl From<&Adjustment> for ByHand {
    fn from(set: &Adjustment) -> Self {
        Self::of(set.from, set.interval)
    }
}

/// The better band a score lies in by the limits alone, and is not given yet: who closed a day in a worse one needs some points more.
#[derive(Serialize, ToSchema)]
struct HeldBack {
    /// The band by the limits.
    band: Band,
    /// The score from which on it is given, 0-100.
    given_from: f64,
}

/// What one source says by itself, by the same policy.
#[derive(Serialize, ToSchema)]
pub struct SourceView {
    evidence: EvidenceClass,
    /// 0-100; absent while it knows too little.
    score: Option<f64>,
    /// Where it lies, with 80 %; absent likewise.
    interval: Option<Interval>,
    /// How much of what the scorecard asks it knows, 0-1.
    coverage: f64,
}

impl From<&Said> for SourceView {
    fn from(said: &Said) -> Self {
        Self { evidence: said.class, score: said.score.map(thousandths), interval: said.interval.map(Interval::of), coverage: thousandths(said.coverage) }
    }
}

/// How a customer is doing.
#[derive(Serialize, ToSchema)]
pub(super) struct HealthView {
    customer_id: CustomerId,
    /// From which evidence.
    view: View,
    /// What the figure is to tell.
    purpose: Purpose,
    /// The day it was scored for, in the vendor's calendar.
    #[schema(value_type = Option<String>, format = Date)]
    scored_for: Option<NaiveDate>,
    scorecard_id: Option<ScorecardId>,
    /// 0-100; absent while too little is known.
    score: Option<f64>,
    band: Band,
    /// Absent where the band is that of the limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    held_back: Option<HeldBack>,
    /// How much of what the scorecard asks is known, 0-1.
    coverage: f64,
    /// Where the score lies, with 80 %. Absent while too little is known, and of a score set by hand.
    interval: Option<Interval>,
    /// Of a score set by hand, what the evidence says; absent of any other.
    #[serde(skip_serializing_if = "Option::is_none")]
    set_by_hand: Option<ByHand>,
    contributions: Vec<Contribution>,
    /// Caps, floors and the override in force, in the order they were applied; the first `from` is what the measures say.
    adjustments: Vec<AdjustmentView>,
    /// What each source says by itself; the vendor's alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    sources: Option<Vec<SourceView>>,
    /// How far the sources lie apart, in points; from 25 on they disagree. The vendor's alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    divergence: Option<f64>,
    /// Whether the interval of that distance, with 95 %, takes in 0: then no difference is shown. The vendor's alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    no_difference_shown: Option<bool>,
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
    /// The view of a conclusion; of a customer nothing is concluded about yet, that nothing is known. `rules` names what it was made from.
    pub(super) fn of(customer_id: CustomerId, audience: &'static str, purpose: Purpose, health: Option<&Health>, rules: &Rulebook) -> Self {
        let key = |part: &Part| rules.measure(part.measure).map(|m| m.key.clone());
        let score = health.map(|h| &h.score);
        let parts = score.map(|s| s.parts.as_slice()).unwrap_or_default();
        let unheard = parts.iter().filter(|p| p.evidence == 0).filter_map(key).collect();
        let asked = || rules.last(purpose).into_iter().flat_map(|ruled| &ruled.scorer.measures).map(|m| m.key.clone()).collect();
        let card = health.and_then(|h| rules.cards.iter().find(|ruled| ruled.card.id == h.card));
        let read_by_card = |p: &Part| card.and_then(|ruled| ruled.scorer.measures.iter().find(|m| m.id == p.measure)).map(|m| m.half_life_days);
        let half_life = |p: &Part| read_by_card(p).unwrap_or_else(|| rules.measure(p.measure).and_then(|m| m.half_life_days));
        let faded = |p: &Part| Some((health?.scored_for - p.newest?).num_days() > i64::from(half_life(p)?));
        let sources = health.and_then(|h| h.sources.as_ref());
        let computed = score.filter(|s| s.set_by_hand().is_none());
        let held_back = card.zip(computed).and_then(|(ruled, s)| ruled.card.policy.held_back(s.score, s.band));
        Self {
            customer_id,
            view: if audience == VENDOR { View::Full } else { View::Shared },
            purpose,
            scored_for: health.map(|h| h.scored_for),
            scorecard_id: health.map(|h| h.card),
            score: score.and_then(|s| s.score).map(thousandths),
            band: score.map_or(Band::Unknown, |s| s.band),
            held_back: held_back.map(|(band, given_from)| HeldBack { band, given_from }),
            coverage: score.map_or(0.0, |s| thousandths(s.coverage)),
            interval: score.and_then(|s| s.interval).map(Interval::of),
            set_by_hand: score.and_then(Score::set_by_hand).map(ByHand::from),
            contributions: parts.iter().filter_map(|p| Some(Contribution { measure: key(p)?, contribution: thousandths(p.contribution?) })).collect(),
            adjustments: score.map(|s| s.adjustments.iter().map(AdjustmentView::of).collect()).unwrap_or_default(),
            sources: sources.map(|all| all.0.iter().map(SourceView::from).collect()),
            divergence: sources.and_then(Sources::divergence).map(thousandths),
            no_difference_shown: sources.filter(|all| all.divergence().is_some()).map(|all| !all.difference_shows()),
            missing: if health.is_some() { unheard } else { asked() },
            stale: parts.iter().filter(|p| faded(p) == Some(true)).filter_map(key).collect(),
            reported_on: health.and_then(|h| h.reported_on),
            next_report_due_on: health.and_then(|h| h.due_on),
        }
    }
}

/// Which view, of which purpose, of which time.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HealthQuery {
    /// For the vendor: `full` (the default) or `shared`, what the partner sees. A partner always gets `shared`.
    #[deserr(default)]
    #[param(value_type = Option<View>)]
    view: Option<Param<View>>,
    /// `churn` when left out.
    #[deserr(default)]
    #[param(value_type = Option<Purpose>)]
    purpose: Option<Param<Purpose>>,
    /// For the vendor: `calibrated` (the default) takes the reporters' usual rosiness off, `raw` leaves it. A partner's view is raw.
    #[deserr(default)]
    #[param(inline, value_type = Option<BiasMode>)]
    bias: Option<Param<BiasMode>>,
    /// The day of the vendor's calendar it is asked for: what was true then; today when left out.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = Date)]
    as_of: Option<Param<Day>>,
    /// What was known at this moment, at least 60 seconds ago; the latest when left out. With both times the same question has the
    /// same answer for ever.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = DateTime)]
    known_at: Option<Param<Instant>>,
}
impl Query for HealthQuery {}

impl HealthQuery {
    /// What is asked for, within what the caller may see.
    pub(super) fn asked(&self, own: &'static str) -> Result<Asked, Fault> {
        asked(own, &self.view, &self.purpose, &self.bias)
    }

    /// The times asked for.
    pub(super) fn times(&self) -> Times<'_> {
        Times::of(("as_of", &self.as_of), ("known_at", &self.known_at))
    }
}

/// What is asked for, within what the caller may see.
pub(super) fn asked(own: &'static str, view: &Option<Param<View>>, purpose: &Option<Param<Purpose>>, bias: &Option<Param<BiasMode>>) -> Result<Asked, Fault> {
    let audience = audience(view.as_ref().map(|v| v.0), own)?;
    let calibrated = bias.as_ref().is_none_or(|bias| bias.0 == BiasMode::Calibrated);
    Ok(Asked { audience, purpose: purpose.as_ref().map_or(Purpose::Churn, |p| p.0), calibrated: calibrated && audience == VENDOR })
}

/// The view asked for, within what the caller may see.
fn audience(asked: Option<View>, own: &'static str) -> Result<&'static str, Fault> {
    match (asked, own) {
        (None, own) => Ok(own),
        (Some(View::Shared), _) => Ok(SHARED),
        (Some(View::Full), VENDOR) => Ok(VENDOR),
        // A partner may not ask for what it must not see; whether there is more to see is not said.
        (Some(View::Full), _) => Err(Fault::of(Code::InvalidParameter)),
    }
}

/// A visible customer's dossier, enough of it for days from `from` on.
pub(super) async fn dossier_of<S: Tenant>(tx: &Tx<S>, id: CustomerId, asked: Asked, from: NaiveDate) -> Result<Dossier, Fault> {
    let partner = locate_customer(tx, id).await?.ok_or(Fault::of(Code::NotFound))?;
    dossier(tx, partner, id, asked, from).await
}

/// A customer's health as kept, or replayed for a point.
pub(super) async fn health_at<S: Tenant>(tx: &Tx<S>, id: CustomerId, asked: Asked, times: Times<'_>) -> Result<(Option<Health>, Rulebook), Fault> {
    if times.are_now() && asked.is_kept() {
        let kept = kept(tx, id, asked).await?;
        return Ok((kept.health, kept.rules));
    }
    let (dossier, at) = dossier_at(tx, id, asked, times).await?;
    Ok((dossier.health(at), dossier.rulebook(at)))
}

/// A visible customer's dossier, and the point meant by the times asked for.
pub(super) async fn dossier_at<S: Tenant>(tx: &Tx<S>, id: CustomerId, asked: Asked, times: Times<'_>) -> Result<(Dossier, AsKnown), Fault> {
    let at = times.resolve(&calendar(tx).await?, tx.now())?;
    Ok((dossier_of(tx, id, asked, at.on).await?, at))
}

/// Read how a customer is doing
///
/// Score, band, coverage and interval, what is missing or stale, and when the next report is due; now, or as it was and was known.
#[utoipa::path(operation_id = "get_customer_health", tag = "Health", params(("customer_id" = CustomerId, Path), HealthQuery), responses((status = 200, description = "Its health", body = HealthView)))]
#[get("/v1/customers/{customer_id}/health")]
async fn get_health(call: Call<op::GetCustomerHealth, CustomerId, HealthQuery>) -> Result<HttpResponse, Fault> {
    let asked = call.query.asked(call.scope().audience())?;
    let (health, rules) = call.read(async |tx| health_at(tx, call.path, asked, call.query.times()).await).await?;
    Ok(HttpResponse::Ok().json(HealthView::of(call.path, asked.audience, asked.purpose, health.as_ref(), &rules)))
}
