//! Lists that say where to look first: customers at risk with the unknown beside them, and customers whose sources disagree.

use crate::auth::{Call, Query, Tenant, op};
use crate::directory;
use crate::health::{ByHand, SourceView, Times};
use crate::http::body::{Day, Faults, Instant};
use crate::http::interval::Interval;
use crate::http::query::{Limit, Param};
use crate::insight::flow::days_listed;
use crate::insight::store::{self, ByValue, Divergent, Gap, Listed, Position, UNKNOWN_BESIDE};
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, PartnerId, TypeId};
use crate::kernel::money::Currency;
use crate::kernel::number::thousandths;
use crate::kernel::paging::Page;
use actix_web::{HttpResponse, get};
use chrono::NaiveDate;
use deserr::Deserr;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(at_risk).service(divergences);
}

crate::word_list! {
    /// Which list.
    Listing {
        /// Customers that may be lost.
        AtRisk = "at_risk",
        /// Customers too little is known of.
        Unknown = "unknown",
    }
}
crate::wire_words!(Listing);

/// Which list, of when, which page.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AtRiskQuery {
    /// `at_risk` when left out; `unknown` pages through the others.
    #[deserr(default)]
    #[param(inline, value_type = Option<Listing>)]
    band: Option<Param<Listing>>,
    /// As the newest day up to this one closed; as it stands now when both times are left out.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = Date)]
    as_of: Option<Param<Day>>,
    /// Of what had closed by this moment, at least 60 seconds ago.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = DateTime)]
    known_at: Option<Param<Instant>>,
    /// How many, 1-1,000; 50 when left out.
    #[deserr(default)]
    #[param(value_type = Option<i64>, minimum = 1, maximum = 1000)]
    limit: Option<Param<Limit>>,
    /// Where to go on: `next_cursor` of the page before.
    #[deserr(default)]
    cursor: Option<String>,
}
impl Query for AtRiskQuery {}

/// What a score was and where it lay before a person set it, if one did: such a score alone is known and has no interval.
fn set_by_hand(score: Option<i32>, low: Option<i32>, computed: Option<i32>, interval: Option<(i32, i32)>) -> Option<ByHand> {
    (score.is_some() && low.is_none()).then(|| ByHand::of(computed, interval))
}

/// A customer to look at.
#[derive(Serialize, ToSchema)]
struct ListedView {
    customer_id: CustomerId,
    partner_id: PartnerId,
    external_id: String,
    /// As it is called now; null in lists of closed days.
    name: Option<String>,
    /// 0-100; absent while too little is known.
    score: Option<f64>,
    /// Where the score lies, with 80 %; absent while it is unknown, and of a score set by hand.
    interval: Option<Interval>,
    /// Of a score set by hand, what the evidence says; absent of any other.
    set_by_hand: Option<ByHand>,
    coverage: f64,
    /// Per year, in minor units of the reporting currency.
    value_minor: i64,
    /// Whether it has a value in a currency without a rate, which is not in `value_minor`; null of days closed before that was kept.
    value_unconverted: Option<bool>,
    #[schema(value_type = Option<String>, format = Date)]
    renews_on: Option<NaiveDate>,
    #[schema(value_type = Option<String>, format = Date)]
    reported_on: Option<NaiveDate>,
    #[schema(value_type = String, format = Date)]
    scored_for: NaiveDate,
}

impl From<Listed> for ListedView {
    fn from(row: Listed) -> Self {
        Self {
            customer_id: CustomerId::of(row.customer_id),
            partner_id: PartnerId::of(row.partner_id),
            external_id: row.external_id,
            name: row.name,
            score: row.score.map(thousandths),
            interval: row.low.zip(row.high).map(Interval::of),
            set_by_hand: set_by_hand(row.score, row.low, row.computed, row.computed_low.zip(row.computed_high)),
            coverage: thousandths(row.coverage),
            value_minor: row.value_minor,
            value_unconverted: row.unconverted,
            renews_on: row.renews_on,
            reported_on: row.reported_on,
            scored_for: row.scored_for,
        }
    }
}

/// Customers too little is known of, beside those at risk: silence is no good news.
#[derive(Serialize, ToSchema)]
struct UnknownBeside {
    /// Those with a renewal within 180 days from `on`, or in the past from the day that closed; highest value first.
    data: Vec<ListedView>,
    /// Whether there are more; page through them with `?band=unknown`.
    more: bool,
}

/// Where to look first.
#[derive(Serialize, ToSchema)]
struct AtRiskAnswer {
    /// The currency of all values.
    currency: Currency,
    /// The day asked for, in the vendor's calendar; each row's `scored_for` says of which day it is.
    #[schema(value_type = String, format = Date)]
    on: NaiveDate,
    /// Highest value first, then nearest renewal, then id.
    data: Vec<ListedView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    /// On the first page of those at risk.
    #[serde(skip_serializing_if = "Option::is_none")]
    unknown: Option<UnknownBeside>,
}

/// List customers at risk, with the unknown beside them
///
/// Highest value first. The first page also brings those too little is known of whose renewal is near. With `as_of` or `known_at`, the lists as days closed: at
/// most the first 1,000 of each partner, and the unknown beside as they stood, without names; days that closed before lists were kept have none.
#[utoipa::path(operation_id = "list_at_risk", tag = "Insights", params(AtRiskQuery), responses((status = 200, description = "A page", body = AtRiskAnswer)))]
#[get("/v1/insights/at-risk")]
async fn at_risk(call: Call<op::ListAtRisk, (), AtRiskQuery>) -> Result<HttpResponse, Fault> {
    let asked = call.page(call.query.limit.as_ref(), call.query.cursor.as_deref());
    let keys = &call.gate.state.keys;
    let window = asked.window::<Position>(keys)?;
    let listing = call.query.band.as_ref().map_or(Listing::AtRisk, |band| band.0);
    let beside = listing == Listing::AtRisk && window.after.is_none();
    let audience = call.scope().audience();
    let times = Times::of(("as_of", &call.query.as_of), ("known_at", &call.query.known_at));
    let (vendor, on, rows, unknown) = call
        .read(async |tx| {
            let vendor = directory::calendar(tx).await?;
            let (point, days) = days_listed(tx, &vendor, &times).await?;
            let days = days.as_ref();
            let wanted = store::by_value(tx, audience, ByValue::Band(listing.as_str()), days, window.after.as_ref(), window.limit + 1);
            let near = ByValue::Beside(point.on);
            let silent = async { if beside { store::by_value(tx, audience, near, days, None, UNKNOWN_BESIDE + 1).await } else { Ok(Vec::new()) } };
            let (rows, unknown) = futures_util::try_join!(wanted, silent)?;
            Ok((vendor, point.on, rows, unknown))
        })
        .await?;
    let page = Page::cut(rows, &window, Listed::position);
    let next_cursor = asked.next(keys, &page)?;
    let next = next_cursor.clone();
    let more = unknown.len() as i64 > UNKNOWN_BESIDE;
    let unknown = beside.then(|| UnknownBeside { data: unknown.into_iter().take(UNKNOWN_BESIDE as usize).map(ListedView::from).collect(), more });
    let answer = AtRiskAnswer { currency: vendor.currency, on, data: page.rows.into_iter().map(ListedView::from).collect(), next_cursor, unknown };
    Ok(asked.answer(&answer, next.as_deref()))
}

/// Which page, and of when.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct DivergencesQuery {
    /// As the newest day up to this one closed; as it stands now when both times are left out.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = Date)]
    as_of: Option<Param<Day>>,
    /// Of what had closed by this moment, at least 60 seconds ago.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = DateTime)]
    known_at: Option<Param<Instant>>,
    /// How many, 1-1,000; 50 when left out.
    #[deserr(default)]
    #[param(value_type = Option<i64>, minimum = 1, maximum = 1000)]
    limit: Option<Param<Limit>>,
    /// Where to go on: `next_cursor` of the page before.
    #[deserr(default)]
    cursor: Option<String>,
}
impl Query for DivergencesQuery {}

/// A customer whose sources disagree.
#[derive(Serialize, ToSchema)]
struct DivergentView {
    customer_id: CustomerId,
    partner_id: PartnerId,
    external_id: String,
    /// As it is called now; null in lists of closed days.
    name: Option<String>,
    /// The score over all sources.
    score: Option<f64>,
    /// Where it lies, with 80 %; absent while it is unknown, and of a score set by hand.
    interval: Option<Interval>,
    /// Of a score set by hand, what the evidence says; absent of any other.
    set_by_hand: Option<ByHand>,
    /// How much of what the scorecard asks is known, 0-1.
    coverage: f64,
    /// What each source says by itself.
    sources: Vec<SourceView>,
    /// The distance between the best and the worst source, in points.
    divergence: f64,
    /// Whether the interval of that distance, with 95 %, takes in 0: then no difference is shown, however far their scores lie apart.
    no_difference_shown: bool,
    /// Since when they have lain 25 points or more apart.
    #[schema(value_type = String, format = Date)]
    since: NaiveDate,
    /// Days since then, on the day scored for.
    age_days: i64,
    /// Who looks after it; null until somebody does, and in lists of closed days.
    owner: Option<String>,
    /// Per year, in minor units of the reporting currency.
    value_minor: i64,
    /// Whether it has a value in a currency without a rate, which is not in `value_minor`; null of days closed before that was kept.
    value_unconverted: Option<bool>,
    #[schema(value_type = String, format = Date)]
    scored_for: NaiveDate,
}

impl DivergentView {
    fn of(row: Divergent) -> Result<Self, Fault> {
        let sources = row.sources()?;
        Ok(Self {
            sources: sources.0.iter().map(SourceView::from).collect(),
            no_difference_shown: !sources.difference_shows(),
            set_by_hand: set_by_hand(row.score, row.low, row.computed, row.computed_low.zip(row.computed_high)),
            value_unconverted: row.unconverted,
            customer_id: CustomerId::of(row.customer_id),
            partner_id: PartnerId::of(row.partner_id),
            external_id: row.external_id,
            name: row.name,
            score: row.score.map(thousandths),
            interval: row.low.zip(row.high).map(Interval::of),
            coverage: thousandths(row.coverage),
            divergence: thousandths(row.divergence),
            since: row.diverges_since,
            age_days: (row.scored_for - row.diverges_since).num_days(),
            owner: row.owner,
            value_minor: row.value_minor,
            scored_for: row.scored_for,
        })
    }
}

/// Where what is said and what is seen disagree.
#[derive(Serialize, ToSchema)]
struct DivergencesAnswer {
    /// The currency of all values.
    currency: Currency,
    /// The day asked for, in the vendor's calendar; each row's `scored_for` says of which day it is.
    #[schema(value_type = String, format = Date)]
    on: NaiveDate,
    /// Largest divergence x value first, then id.
    data: Vec<DivergentView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// List customers whose sources disagree
///
/// What the partner declared, what your systems observed and what the customer voiced, each scored by itself, lie 25 points or more apart.
/// Largest divergence x value first. With `as_of` or `known_at`, the list as days closed: at most the first 1,000 of each partner; days that closed before lists
/// were kept have none. Names, and who looks after one, are not kept.
#[utoipa::path(operation_id = "list_divergences", tag = "Insights", params(DivergencesQuery), responses((status = 200, description = "A page", body = DivergencesAnswer)))]
#[get("/v1/insights/divergences")]
async fn divergences(call: Call<op::ListDivergences, (), DivergencesQuery>) -> Result<HttpResponse, Fault> {
    let asked = call.page(call.query.limit.as_ref(), call.query.cursor.as_deref());
    let keys = &call.gate.state.keys;
    let window = asked.window::<Gap>(keys)?;
    let times = Times::of(("as_of", &call.query.as_of), ("known_at", &call.query.known_at));
    let (vendor, on, rows) = call
        .read(async |tx| {
            let vendor = directory::calendar(tx).await?;
            let (point, days) = days_listed(tx, &vendor, &times).await?;
            let rows = store::divergences(tx, days.as_ref(), window.after.as_ref(), window.limit + 1).await?;
            Ok((vendor, point.on, rows))
        })
        .await?;
    let page = Page::cut(rows, &window, Divergent::gap);
    let next_cursor = asked.next(keys, &page)?;
    let next = next_cursor.clone();
    let answer = DivergencesAnswer { currency: vendor.currency, on, data: page.rows.into_iter().map(DivergentView::of).collect::<Result<_, _>>()?, next_cursor };
    Ok(asked.answer(&answer, next.as_deref()))
}
