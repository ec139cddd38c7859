//! The channel view. Each caller sees its own visible tree; a partner sees shared figures.

use crate::auth::{Call, Query, Tenant, op};
use crate::directory::{self, PartnerKind};
use crate::http::body::{Day, Faults};
use crate::http::query::{Limit, Param};
use crate::insight::cell::{Cell, Standing};
use crate::insight::channel::{Channel, roll_up};
use crate::insight::store;
use crate::kernel::error::{Fault, FieldFault};
use crate::kernel::id::{PartnerId, TypeId};
use crate::kernel::money::Currency;
use crate::kernel::number::thousandths;
use crate::kernel::paging::Page;
use crate::kernel::text::Broken;
use actix_web::{HttpResponse, get};
use chrono::{Duration, NaiveDate};
use deserr::Deserr;
use serde::Serialize;
use std::collections::HashSet;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(channels).service(portfolio);
}

/// With how many days ago figures are compared.
const COMPARED_DAYS: i64 = 30;

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

crate::wire_words!(Standing);

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
    /// Between which the mean of all lies whatever the unknown turn out to be: all at 0, all at 100.
    mean_health_bounds: Option<MeanInterval>,
    /// Of those known, the share at risk, 0-1.
    share_at_risk: Option<f64>,
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
            mean_health_bounds: c.mean_bounds().map(|(low, high)| MeanInterval { low: thousandths(low), high: thousandths(high) }),
            share_at_risk: share(c.at_risk, c.known()),
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
    /// How the mean of its own customers stands against that of all others you see; absent with fewer than two known on a side.
    against_others: Option<Standing>,
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
    let data = page.rows.into_iter().map(|(channel, closed)| view(channel, closed, &seen, &total)).collect();
    let answer = ChannelsAnswer { currency: vendor.currency, on, compared_with, total: Figures::from(&total), data, next_cursor };
    Ok(asked.answer(&answer, next.as_deref()))
}

fn view(c: Channel, closed: bool, seen: &HashSet<PartnerId>, total: &Cell) -> ChannelView {
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
        against_others: c.own.against(&total.without(&c.own)),
        change,
        scored_for: c.scored_for,
        rolled_up_for: c.rolled_up_for,
    }
}

/// How far back a portfolio goes unless said otherwise, and at most, in days.
const PORTFOLIO_DAYS: (i64, i64) = (30, 92);

/// Which days.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PortfolioQuery {
    /// The first day; 30 days before the last when left out, and at most 92 before it.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = Date)]
    from: Option<Param<Day>>,
    /// The last day; yesterday, the last that is closed, when left out.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = Date)]
    as_of: Option<Param<Day>>,
}
impl Query for PortfolioQuery {}

/// A day as it closed.
#[derive(Serialize, ToSchema)]
struct PortfolioDay {
    #[schema(value_type = String, format = Date)]
    on: NaiveDate,
    #[serde(flatten)]
    figures: Figures,
}

/// Everything you see, day by day.
#[derive(Serialize, ToSchema)]
struct PortfolioAnswer {
    /// The currency of all values.
    currency: Currency,
    /// As it stands now.
    total: Figures,
    /// As each day closed, oldest first; a close is written once and never changes.
    data: Vec<PortfolioDay>,
}

/// Read the whole portfolio day by day
///
/// The figures over every customer you see, now and as each day closed.
#[utoipa::path(operation_id = "get_portfolio", tag = "Insights", params(PortfolioQuery), responses((status = 200, description = "The portfolio", body = PortfolioAnswer)))]
#[get("/v1/insights/portfolio")]
async fn portfolio(call: Call<op::GetPortfolio, (), PortfolioQuery>) -> Result<HttpResponse, Fault> {
    let audience = call.scope().audience();
    let (vendor, cells, days) = call
        .read(async |tx| {
            let vendor = directory::calendar(tx).await?;
            let today = vendor.zone.day_of(tx.now());
            let to = call.query.as_of.as_ref().map_or(today - Duration::days(1), |day| day.0.0);
            let from = call.query.from.as_ref().map_or(to - Duration::days(PORTFOLIO_DAYS.0), |day| day.0.0);
            let mut faults = Vec::new();
            let mut demand = |holds: bool, pointer: &str, code| {
                if !holds {
                    faults.push(FieldFault { pointer: pointer.to_owned(), code })
                }
            };
            demand(to <= today, "as_of", Broken::InTheFuture);
            demand((0..=PORTFOLIO_DAYS.1).contains(&(to - from).num_days()), "from", Broken::OutOfRange);
            if !faults.is_empty() {
                return Err(Fault::invalid(faults));
            }
            let (cells, days) = futures_util::try_join!(store::cells(tx, audience), store::closes_by_day(tx, audience, from, to))?;
            Ok((vendor, cells, days))
        })
        .await?;
    let mut total = Cell::default();
    cells.into_values().for_each(|cell| total += cell);
    let data = days.iter().map(|(on, cell)| PortfolioDay { on: *on, figures: Figures::from(cell) }).collect();
    Ok(HttpResponse::Ok().json(PortfolioAnswer { currency: vendor.currency, total: Figures::from(&total), data }))
}
