//! The roll-up: figures by any dimension, and by any two of them crossed.

use super::figures::Figures;
use crate::auth::{Call, Query, op};
use crate::directory;
use crate::health::Times;
use crate::http::body::{Day, Faults, Instant};
use crate::http::query::{Limit, Param};
use crate::insight::cell::Standing;
use crate::insight::dimension::{Dimension, Facet};
use crate::insight::flow::see;
use crate::insight::rollup::{Key, roll_up};
use crate::kernel::error::{Fault, FieldFault};
use crate::kernel::money::Currency;
use crate::kernel::paging::Page;
use crate::kernel::text::Broken;
use actix_web::{HttpResponse, get};
use chrono::NaiveDate;
use deserr::Deserr;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

crate::wire_words!(Dimension);

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(read_roll_up);
}

/// By what, of when, which page.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct RollUpQuery {
    /// What is grouped by.
    #[param(inline, value_type = Dimension)]
    by: Param<Dimension>,
    /// What that is crossed with: any other dimension. `partner` with `channel` tells what each partner adds to each channel it is in.
    #[deserr(default)]
    #[param(inline, value_type = Option<Dimension>)]
    cross: Option<Param<Dimension>>,
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
impl Query for RollUpQuery {}

/// A group with its figures.
#[derive(Serialize, ToSchema)]
struct GroupView {
    /// Which group of each dimension asked for: its word, a partner's id, or null where nobody said.
    group: BTreeMap<String, Option<String>>,
    #[serde(flatten)]
    figures: Figures,
    /// How its mean stands against that of all other customers you see; absent with fewer than two known on a side.
    against_others: Option<Standing>,
}

/// Figures by group.
#[derive(Serialize, ToSchema)]
struct RollUpAnswer {
    /// The currency of all values.
    currency: Currency,
    /// The oldest day among the partners' figures, in the vendor's calendar; null while no day was turned.
    #[schema(value_type = Option<String>, format = Date)]
    scored_for: Option<NaiveDate>,
    /// Over all customers whose groups you see, each once.
    total: Figures,
    /// The groups anybody is in, in the order of their words, those nobody spoke of first.
    data: Vec<GroupView>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Read health by group
///
/// Customers and value by band, means, quantiles, coverage and intervals by partner, channel, region, segment, touch model, product or stage, or by
/// two of them crossed. Each customer stands in one group of a dimension, by product in that of its largest subscription; only channels lie within
/// each other. Exact as of now, at the cost of the number of groups; with `as_of` or `known_at` as days closed. Of partners whose
/// totals alone you see there are no groups; the channels tell what may be told of them.
#[utoipa::path(operation_id = "get_roll_up", tag = "Insights", params(RollUpQuery), responses((status = 200, description = "The groups", body = RollUpAnswer)))]
#[get("/v1/insights/rollup")]
async fn read_roll_up(call: Call<op::GetRollUp, (), RollUpQuery>) -> Result<HttpResponse, Fault> {
    let asked = call.page(call.query.limit.as_ref(), call.query.cursor.as_deref());
    let keys = &call.gate.state.keys;
    let window = asked.window::<Key>(keys)?;
    let of: Vec<Dimension> = std::iter::once(call.query.by.0).chain(call.query.cross.as_ref().map(|cross| cross.0)).collect();
    let facet = Facet::of(of[0], of.get(1).copied()).ok_or_else(|| Fault::invalid(vec![FieldFault { pointer: "cross".to_owned(), code: Broken::Duplicate }]))?;
    let times = Times::of(("as_of", &call.query.as_of), ("known_at", &call.query.known_at));
    let (vendor, seen) = call
        .read(async |tx| {
            let vendor = directory::calendar(tx).await?;
            let seen = see(tx, &vendor, &times, facet, of.iter().any(|dimension| dimension.is_of_partners())).await?;
            Ok((vendor, seen))
        })
        .await?;
    let (scored_for, tree) = (seen.days.values().min().copied(), seen.tree());
    let rolled = roll_up(&of, seen.groups, &tree, &window);
    let page = Page::cut(rolled.groups.into_iter().collect(), &window, |(key, _)| key.clone());
    let next_cursor = asked.next(keys, &page)?;
    let next = next_cursor.clone();
    let data = page
        .rows
        .into_iter()
        .map(|(key, cell)| GroupView {
            group: of.iter().zip(key).map(|(dimension, word)| (dimension.to_string(), Some(word).filter(|word| !word.is_empty()))).collect(),
            figures: Figures::from(&cell),
            against_others: cell.against_rest_of(&rolled.total),
        })
        .collect();
    Ok(asked.answer(&RollUpAnswer { currency: vendor.currency, scored_for, total: Figures::from(&rolled.total), data, next_cursor }, next.as_deref()))
}
