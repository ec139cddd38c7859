//! `/v1/insights`: the channel view and the at-risk list. Each caller sees its own visible tree; a partner sees shared figures.

use super::cell::Cell;
use super::channel::{Channel, roll_up};
use super::store::{self, Listed, Position};
use crate::auth::{Call, Query, Tenant, op};
use crate::directory::{self, PartnerKind};
use crate::http::body::Faults;
use crate::http::query::{Limit, Param};
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, PartnerId, TypeId};
use crate::kernel::money::Currency;
use crate::kernel::number::thousandths;
use crate::kernel::paging::Page;
use actix_web::{HttpResponse, get};
use chrono::{Duration, NaiveDate};
use deserr::Deserr;
use serde::Serialize;
use std::collections::HashSet;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

/// Mounts insight.
pub fn routes(config: &mut ServiceConfig) {
    config.service(channels).service(at_risk);
}

/// With how many days ago figures are compared.
const COMPARED_DAYS: i64 = 30;
/// How many unknown customers stand beside the at-risk ones.
const UNKNOWN_BESIDE: i64 = 20;

/// Of the unknown, those are shown whose renewal is this near, in days (SCIENCE 2.6).
const UNKNOWN_RENEWS_WITHIN: i64 = 180;

/// Customers and their value per year, in minor units of the reporting currency.
#[derive(Serialize, ToSchema)]
struct Amount {
    customers: i64,
    value_minor: i64,
}

/// Customers and value by band.
#[derive(Serialize, ToSchema)]
struct ByBand {
    healthy: Amount,
    watch: Amount,
    at_risk: Amount,
    unknown: Amount,
}

/// A share, 0-1, of the customers and of their value; absent where there is none.
#[derive(Serialize, ToSchema)]
struct Share {
    count: Option<f64>,
    value: Option<f64>,
}

/// A 95 % interval, in points.
#[derive(Serialize, ToSchema)]
struct MeanInterval {
    low: f64,
    high: f64,
}

/// How fresh what is known is.
#[derive(Serialize, ToSchema)]
struct Freshness {
    /// Customers reported on within the cadence of their touch model.
    report_rate: Share,
    /// The mean age of the last report, in days, of those reported on.
    mean_report_age_days: Option<f64>,
    /// Customers reported on at all.
    heard: i64,
}

/// Figures over customers.
#[derive(Serialize, ToSchema)]
struct Figures {
    customers: i64,
    /// Their value per year, in minor units of the reporting currency.
    value_minor: i64,
    /// Customers with a value in a currency without a rate; that value is in no figure.
    value_unconverted: i64,
    bands: ByBand,
    /// How many are known at all.
    known_share: Share,
    /// The plain mean of known health, 0-100.
    mean_health: Option<f64>,
    /// Where the mean of all may lie; from two known customers on.
    mean_health_interval: Option<MeanInterval>,
    /// How much of what the scorecard asks is known, on average, 0-1.
    mean_coverage: Option<f64>,
    freshness: Freshness,
}

impl From<&Cell> for Figures {
    fn from(c: &Cell) -> Self {
        let share = |part, whole| Cell::share(part, whole).map(thousandths);
        let amount = |customers, value_minor| Amount { customers, value_minor };
        Self {
            customers: c.customers(),
            value_minor: c.value(),
            value_unconverted: c.unconverted,
            bands: ByBand {
                healthy: amount(c.healthy, c.value_healthy),
                watch: amount(c.watch, c.value_watch),
                at_risk: amount(c.at_risk, c.value_at_risk),
                unknown: amount(c.unknown, c.value_unknown),
            },
            known_share: Share { count: share(c.known(), c.customers()), value: share(c.value_known(), c.value()) },
            mean_health: c.mean().map(thousandths),
            mean_health_interval: c.mean_interval().map(|(low, high)| MeanInterval { low: thousandths(low), high: thousandths(high) }),
            mean_coverage: c.mean_coverage().map(thousandths),
            freshness: Freshness {
                report_rate: Share { count: share(c.in_cadence, c.customers()), value: share(c.value_in_cadence, c.value()) },
                mean_report_age_days: c.mean_report_age().map(thousandths),
                heard: c.heard,
            },
        }
    }
}

/// The change of rolled-up figures against the close of 30 days ago.
#[derive(Serialize, ToSchema)]
struct Change {
    customers: i64,
    at_risk: i64,
    unknown: i64,
    /// Points; absent where there was no mean then or is none now.
    mean_health: Option<f64>,
}

/// A partner with its figures.
#[derive(Serialize, ToSchema)]
struct ChannelView {
    partner_id: PartnerId,
    external_id: String,
    name: String,
    kind: PartnerKind,
    /// The partner above it, where you see that one.
    parent_id: Option<PartnerId>,
    /// The day its own figures are scored for, in the vendor's calendar.
    #[schema(value_type = String, format = Date)]
    scored_for: NaiveDate,
    /// The oldest such day among those rolled up.
    #[schema(value_type = String, format = Date)]
    rolled_up_for: NaiveDate,
    /// Its own customers.
    own: Figures,
    /// Its own and those of everybody below it that you see.
    rolled_up: Figures,
    /// Against the close of 30 days ago; absent where there was none.
    change: Option<Change>,
}

/// The channel view.
#[derive(Serialize, ToSchema)]
struct ChannelsAnswer {
    /// The currency of all values.
    currency: Currency,
    /// The vendor's day of the answer.
    #[schema(value_type = String, format = Date)]
    on: NaiveDate,
    /// The day changes are against.
    #[schema(value_type = String, format = Date)]
    compared_with: NaiveDate,
    /// Over everything you see.
    total: Figures,
    /// The partners you see.
    data: Vec<ChannelView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Which page.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ChannelsQuery {
    /// How many, 1-1,000; 50 when left out.
    #[deserr(default)]
    #[param(value_type = Option<i64>, minimum = 1, maximum = 1000)]
    limit: Option<Param<Limit>>,
    /// Where to go on: `next_cursor` of the page before.
    #[deserr(default)]
    cursor: Option<String>,
}
impl Query for ChannelsQuery {}

/// Read health by channel
///
/// For each partner you see: customers and value by band, how much is known, mean health with its interval, freshness; its own and
/// rolled up over the partners below it. Exact as of now, at the cost of the number of partners.
#[utoipa::path(operation_id = "list_channels", tag = "Insights", params(ChannelsQuery), responses((status = 200, description = "The channels", body = ChannelsAnswer)))]
#[get("/v1/insights/channels")]
async fn channels(call: Call<op::ListChannels, (), ChannelsQuery>) -> Result<HttpResponse, Fault> {
    let asked = call.page(call.query.limit.as_ref(), call.query.cursor.as_deref());
    let keys = &call.gate.state.keys;
    let window = asked.window::<Uuid>(keys)?;
    let audience = call.scope().audience();
    let (vendor, on, compared_with, rows) = call
        .read(async |tx| {
            let vendor = directory::calendar(tx).await?;
            let on = vendor.zone.day_of(tx.now());
            let compared_with = on - Duration::days(COMPARED_DAYS);
            let (partners, cells, closes, days) =
                futures_util::try_join!(directory::all_visible_partners(tx), store::cells(tx, audience), store::closes(tx, audience, compared_with), store::scoring_days(tx))?;
            let rows: Vec<(Channel, bool)> = roll_up(partners, &cells, &closes, &days, on)
                .into_iter()
                .map(|c| {
                    let closed = closes.contains_key(&c.partner.id);
                    (c, closed)
                })
                .collect();
            Ok((vendor, on, compared_with, rows))
        })
        .await?;
    let mut total = Cell::default();
    rows.iter().for_each(|(channel, _)| total += channel.own);
    let seen: HashSet<PartnerId> = rows.iter().map(|(channel, _)| channel.partner.id).collect();
    let following: Vec<(Channel, bool)> = rows.into_iter().filter(|(c, _)| window.after.is_none_or(|after| c.partner.id.uuid() > after)).take(window.limit as usize + 1).collect();
    let page = Page::cut(following, &window, |(channel, _)| channel.partner.id.uuid());
    let next_cursor = asked.next(keys, &page)?;
    let next = next_cursor.clone();
    let data = page.rows.into_iter().map(|(channel, closed)| view(channel, closed, &seen)).collect();
    let answer = ChannelsAnswer { currency: vendor.currency, on, compared_with, total: Figures::from(&total), data, next_cursor };
    Ok(asked.answer(&answer, next.as_deref()))
}

fn view(c: Channel, closed: bool, seen: &HashSet<PartnerId>) -> ChannelView {
    let change = (closed || c.before != Cell::default()).then(|| Change {
        customers: c.rolled_up.customers() - c.before.customers(),
        at_risk: c.rolled_up.at_risk - c.before.at_risk,
        unknown: c.rolled_up.unknown - c.before.unknown,
        mean_health: c.rolled_up.mean().zip(c.before.mean()).map(|(now, then)| thousandths(now - then)),
    });
    ChannelView {
        partner_id: c.partner.id,
        external_id: c.partner.external_id.into_string(),
        name: c.partner.name.into_string(),
        kind: c.partner.kind,
        parent_id: c.partner.parent_id.filter(|parent| seen.contains(parent)),
        own: Figures::from(&c.own),
        rolled_up: Figures::from(&c.rolled_up),
        change,
        scored_for: c.scored_for,
        rolled_up_for: c.rolled_up_for,
    }
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

/// Which list, which page.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AtRiskQuery {
    /// `at_risk` when left out; `unknown` pages through the others.
    #[deserr(default)]
    #[param(inline, value_type = Option<Listing>)]
    band: Option<Param<Listing>>,
    /// How many, 1-1,000; 50 when left out.
    #[deserr(default)]
    #[param(value_type = Option<i64>, minimum = 1, maximum = 1000)]
    limit: Option<Param<Limit>>,
    /// Where to go on: `next_cursor` of the page before.
    #[deserr(default)]
    cursor: Option<String>,
}
impl Query for AtRiskQuery {}

/// A customer to look at.
#[derive(Serialize, ToSchema)]
struct ListedView {
    customer_id: CustomerId,
    partner_id: PartnerId,
    external_id: String,
    name: String,
    /// 0-100; absent while too little is known.
    score: Option<f64>,
    interval: Option<MeanInterval>,
    coverage: f64,
    /// Per year, in minor units of the reporting currency.
    value_minor: i64,
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
            score: row.score.map(|s| thousandths(s.into())),
            interval: row.low.zip(row.high).map(|(low, high)| MeanInterval { low: thousandths(low.into()), high: thousandths(high.into()) }),
            coverage: thousandths(row.coverage.into()),
            value_minor: row.value_minor,
            renews_on: row.renews_on,
            reported_on: row.reported_on,
            scored_for: row.scored_for,
        }
    }
}

/// Customers too little is known of, beside those at risk: silence is no good news.
#[derive(Serialize, ToSchema)]
struct UnknownBeside {
    /// Those with a renewal within 180 days, highest value first.
    data: Vec<ListedView>,
    /// Whether there are more; page through them with `?band=unknown`.
    more: bool,
}

/// Where to look first.
#[derive(Serialize, ToSchema)]
struct AtRiskAnswer {
    /// The currency of all values.
    currency: Currency,
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
/// Highest value first. The first page also brings those too little is known of whose renewal is near.
#[utoipa::path(operation_id = "list_at_risk", tag = "Insights", params(AtRiskQuery), responses((status = 200, description = "A page", body = AtRiskAnswer)))]
#[get("/v1/insights/at-risk")]
async fn at_risk(call: Call<op::ListAtRisk, (), AtRiskQuery>) -> Result<HttpResponse, Fault> {
    let asked = call.page(call.query.limit.as_ref(), call.query.cursor.as_deref());
    let keys = &call.gate.state.keys;
    let window = asked.window::<Position>(keys)?;
    let listing = call.query.band.as_ref().map_or(Listing::AtRisk, |band| band.0);
    let beside = listing == Listing::AtRisk && window.after.is_none();
    let audience = call.scope().audience();
    let (vendor, rows, unknown) = call
        .read(async |tx| {
            let vendor = directory::calendar(tx).await?;
            let soon = vendor.zone.day_of(tx.now()) + Duration::days(UNKNOWN_RENEWS_WITHIN);
            let wanted = store::by_value(tx, audience, listing.as_str(), None, window.after.as_ref(), window.limit + 1);
            let silent = async { if beside { store::by_value(tx, audience, Listing::Unknown.as_str(), Some(soon), None, UNKNOWN_BESIDE + 1).await } else { Ok(Vec::new()) } };
            let (rows, unknown) = futures_util::try_join!(wanted, silent)?;
            Ok((vendor, rows, unknown))
        })
        .await?;
    let page = Page::cut(rows, &window, Listed::position);
    let next_cursor = asked.next(keys, &page)?;
    let next = next_cursor.clone();
    let more = unknown.len() as i64 > UNKNOWN_BESIDE;
    let unknown = beside.then(|| UnknownBeside { data: unknown.into_iter().take(UNKNOWN_BESIDE as usize).map(ListedView::from).collect(), more });
    let answer = AtRiskAnswer { currency: vendor.currency, data: page.rows.into_iter().map(ListedView::from).collect(), next_cursor, unknown };
    Ok(asked.answer(&answer, next.as_deref()))
}
