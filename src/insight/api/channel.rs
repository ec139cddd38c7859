//! The channel view. Each caller sees its own visible tree; a partner sees shared figures.

use super::figures::Figures;
use super::totals::TotalsView;
use crate::auth::{Call, Query, Tenant, op};
use crate::directory::{self, PartnerKind};
use crate::health::Times;
use crate::http::body::{Day, Faults, Instant};
use crate::http::query::{Limit, Param};
use crate::insight::cell::{Cell, Standing};
use crate::insight::channel::Channel;
use crate::insight::dimension::Facet;
use crate::insight::flow::{month_totals, see};
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

/// The change of rolled-up figures against the close of 30 days ago.
#[derive(Serialize, ToSchema)]
struct Change {
    customers: i64,
    at_risk: i64,
    unknown: i64,
    /// Points; absent where there was no mean then or is none now.
    mean_health: Option<f64>,
    /// Whether that is more than the doubt of both means, with 95 %; absent where either has no interval.
    standing: Option<Standing>,
}

/// A partner with its figures.
#[derive(Serialize, ToSchema)]
struct ChannelView {
    partner_id: PartnerId,
    external_id: String,
    /// As it is called now; null of closed days.
    name: Option<String>,
    kind: PartnerKind,
    /// The partner above it, where you see that one.
    parent_id: Option<PartnerId>,
    /// The day its own figures are of, in the vendor's calendar; null while no day of it was turned.
    #[schema(value_type = Option<String>, format = Date)]
    scored_for: Option<NaiveDate>,
    /// The oldest such day among those rolled up.
    #[schema(value_type = Option<String>, format = Date)]
    rolled_up_for: Option<NaiveDate>,
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
    /// Over all customers you see.
    total: Figures,
    /// The partners whose customers you see.
    data: Vec<ChannelView>,
    /// Of partners below you that show you their totals alone; on the first page, and absent where there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    totals: Option<TotalsView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Which page, and of when.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ChannelsQuery {
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
impl Query for ChannelsQuery {}

/// Read health by channel
///
/// For each partner whose customers you see: customers and value by band, how much is known, mean health with its interval, freshness; its own and
/// rolled up over the partners below it. Exact as of now, at the cost of the number of partners. With `as_of` or `known_at` as days closed,
/// without names and, for the vendor, each partner below the one it had then; a partner reads the past by the tree of today. Partners that show you their totals alone are told of by month, and never by few customers.
#[utoipa::path(operation_id = "list_channels", tag = "Insights", params(ChannelsQuery), responses((status = 200, description = "The channels", body = ChannelsAnswer)))]
#[get("/v1/insights/channels")]
async fn channels(call: Call<op::ListChannels, (), ChannelsQuery>) -> Result<HttpResponse, Fault> {
    let asked = call.page(call.query.limit.as_ref(), call.query.cursor.as_deref());
    let keys = &call.gate.state.keys;
    let window = asked.window::<Uuid>(keys)?;
    let times = Times::of(("as_of", &call.query.as_of), ("known_at", &call.query.known_at));
    let is_first = asked.cursor.is_none();
    let (vendor, on, compared_with, rows, totals) = call
        .read(async |tx| {
            let vendor = directory::calendar(tx).await?;
            let seen = see(tx, &vendor, &times, Facet::ALL, true).await?;
            let (on, known_at) = (seen.point.on, seen.point.known_at);
            let compared_with = on - Duration::days(COMPARED_DAYS);
            let closes = store::closes(tx, tx.scope().audience(), tx.scope().visible(), compared_with, known_at).await?;
            let totals = if is_first { month_totals(tx, seen.point).await? } else { None };
            Ok((vendor, on, compared_with, seen.channels(&closes), totals))
        })
        .await?;
    let total: Cell = rows.iter().map(|channel| channel.own).sum();
    let seen: HashSet<PartnerId> = rows.iter().map(|channel| channel.partner.id).collect();
    let following = rows.into_iter().filter(|channel| window.after.is_none_or(|after| channel.partner.id.uuid() > after)).take(window.limit as usize + 1).collect();
    let page = Page::cut(following, &window, |channel: &Channel| channel.partner.id.uuid());
    let next_cursor = asked.next(keys, &page)?;
    let next = next_cursor.clone();
    let are_now = times.are_now();
    let data = page.rows.into_iter().map(|channel| view(channel, &seen, &total, are_now)).collect();
    let answer = ChannelsAnswer { currency: vendor.currency, on, compared_with, total: Figures::from(&total), data, totals: totals.map(TotalsView::from), next_cursor };
    Ok(asked.answer(&answer, next.as_deref()))
}

fn view(c: Channel, seen: &HashSet<PartnerId>, total: &Cell, are_now: bool) -> ChannelView {
    let change = c.before.map(|before| Change {
        customers: c.rolled_up.customers() - before.customers(),
        at_risk: c.rolled_up.at_risk - before.at_risk,
        unknown: c.rolled_up.unknown - before.unknown,
        mean_health: c.rolled_up.mean().zip(before.mean()).map(|(now, then)| thousandths(now - then)),
        standing: c.rolled_up.against(&before),
    });
    ChannelView {
        partner_id: c.partner.id,
        external_id: c.partner.external_id.into_string(),
        name: are_now.then(|| c.partner.name.into_string()),
        kind: c.partner.kind,
        parent_id: c.partner.parent_id.filter(|parent| seen.contains(parent)),
        own: Figures::from(&c.own),
        rolled_up: Figures::from(&c.rolled_up),
        against_others: c.own.against_rest_of(total),
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
    /// The last day; when left out yesterday, or that of `known_at`.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = Date)]
    as_of: Option<Param<Day>>,
    /// Of what had closed by this moment, at least 60 seconds ago.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = DateTime)]
    known_at: Option<Param<Instant>>,
}
impl Query for PortfolioQuery {}

/// A day as it closed.
#[derive(Serialize, ToSchema)]
struct PortfolioDay {
    #[schema(value_type = String, format = Date)]
    on: NaiveDate,
    /// Of how many partners with customers it closed: what a day lacks is not what customers did.
    partners: i64,
    #[serde(flatten)]
    figures: Figures,
}

/// Everything you see, day by day.
#[derive(Serialize, ToSchema)]
struct PortfolioAnswer {
    /// The currency of all values.
    currency: Currency,
    /// The oldest day the figures of a partner in the total are of, in the vendor's calendar; null while no day was turned.
    #[schema(value_type = Option<String>, format = Date)]
    scored_for: Option<NaiveDate>,
    /// As it stands now; with `as_of` or `known_at` as the newest of those days closed.
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
    let times = Times::of(("as_of", &call.query.as_of), ("known_at", &call.query.known_at));
    let (vendor, scored_for, groups, days) = call
        .read(async |tx| {
            let vendor = directory::calendar(tx).await?;
            let seen = see(tx, &vendor, &times, Facet::ALL, false).await?;
            let to = if times.are_now() { seen.point.on - Duration::days(1) } else { seen.point.on };
            let from = call.query.from.as_ref().map_or(to - Duration::days(PORTFOLIO_DAYS.0), |day| day.0.0);
            if !(0..=PORTFOLIO_DAYS.1).contains(&(to - from).num_days()) {
                return Err(Fault::invalid(vec![FieldFault { pointer: "from".to_owned(), code: Broken::OutOfRange }]));
            }
            let days = store::closes_by_day(tx, tx.scope().audience(), (from, to), seen.point.known_at).await?;
            Ok((vendor, seen.oldest_day(), seen.groups, days))
        })
        .await?;
    let total: Cell = groups.into_iter().map(|group| group.cell).sum();
    let data = days.iter().map(|(on, partners, cell)| PortfolioDay { on: *on, partners: *partners, figures: Figures::from(cell) }).collect();
    Ok(HttpResponse::Ok().json(PortfolioAnswer { currency: vendor.currency, scored_for, total: Figures::from(&total), data }))
}
