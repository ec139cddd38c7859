//! `/v1/partners/{partner_id}/peers`: how a partner stands among its peers, for the vendor and for that partner.

use crate::auth::{Call, Query, op};
use crate::directory;
use crate::health::Times;
use crate::http::body::{Day, Faults, Instant};
use crate::http::interval::Interval;
use crate::http::query::Param;
use crate::insight::cell::Standing;
use crate::insight::dimension::Dimension;
use crate::insight::peers::{LEAST_CUSTOMERS, LEAST_PEERS};
use crate::insight::place::{Figure, Place, ROUNDED_TO};
use crate::insight::store::{self, Stood};
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::PartnerId;
use crate::kernel::number::thousandths;
use actix_web::{HttpResponse, get};
use chrono::NaiveDate;
use deserr::Deserr;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(get_peers);
}

crate::wire_words!(Figure);

/// Of when.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PeersQuery {
    /// By the newest month that had ended by this day.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = Date)]
    as_of: Option<Param<Day>>,
    /// Of what was known by this moment, at least 60 seconds ago.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = DateTime)]
    known_at: Option<Param<Instant>>,
}
impl Query for PeersQuery {}

/// A place among peers.
#[derive(Serialize, ToSchema)]
struct PlaceView {
    figure: Figure,
    /// The partner's own: points for the mean, 0-1 for a share; absent where it has none.
    value: Option<f64>,
    /// Where that lies with 95 %: of the mean from two known customers on.
    interval: Option<Interval>,
    /// The percentage of its peers it is better than, to the nearest 5: 100 is the best, for every figure. Absent where `rule` withholds it.
    percentile: Option<i64>,
    /// Between which percentages it lies when a peer counts as better or worse only where its 95 % interval and this partner's do not meet, rounded outwards to 5.
    /// Absent where `interval` or `percentile` is, and of months compared before this was kept.
    percentile_interval: Option<PercentileInterval>,
    /// Better or worse than most of its peers, beyond the doubt of both: no difference is shown where `percentile_interval` takes in 50. Absent likewise.
    standing: Option<Standing>,
}

/// Two percentages, to the nearest 5.
#[derive(Serialize, ToSchema)]
struct PercentileInterval {
    low: i64,
    high: i64,
}

/// The places in a group.
#[derive(Serialize, ToSchema)]
struct PeersGroup {
    /// What is grouped by; null for all customers.
    by: Option<Dimension>,
    /// Which group; null for all customers, for `others`, and where nobody said.
    group: Option<String>,
    /// Whether these are all groups too small by themselves, together.
    others: bool,
    places: Vec<PlaceView>,
}

/// How a partner stands among its peers.
#[derive(Serialize, ToSchema)]
struct PeersAnswer {
    partner_id: PartnerId,
    /// The last day of the month compared; absent while nothing can be told.
    #[schema(value_type = Option<String>, format = Date)]
    closed_on: Option<NaiveDate>,
    /// The groups the partner has customers in, as far as they may be told of.
    data: Vec<PeersGroup>,
    /// What is told and what is withheld.
    rule: String,
    /// The same in Japanese.
    rule_ja: String,
}

fn rule() -> (String, String) {
    (
        format!(
            "Compared once a month, as its last day closed, with other partners; a partner and those below it are one. A group is told of from {LEAST_PEERS} others with \
             {LEAST_CUSTOMERS} customers on; smaller ones are put together as `others`, with a larger one where they would be left over alone. Percentiles are rounded to \
             {ROUNDED_TO} %, and withheld where the others all have the same value; where `standing` says that no difference is shown, a place says no more than chance."
        ),
        format!(
            "月に一度、月末日の締め値を他のパートナーと比較します。上位パートナーとその傘下は一つとみなします。他のパートナーが {LEAST_PEERS} 社以上、その顧客が合計 \
             {LEAST_CUSTOMERS} 社以上のグループのみ表示し、それに満たないグループは `others` にまとめます（それだけでは足りない場合は大きいグループも一つ含めます）。\
             パーセンタイルは {ROUNDED_TO} % 単位に丸め、他社の値がすべて同じ場合は表示しません。`standing` が差を示さない場合、順位は偶然の範囲内です。"
        ),
    )
}

/// Read how a partner stands among its peers
///
/// Its percentile by mean health, share at risk, known share and report rate: over all its customers, by segment and by touch model. For the
/// vendor, and for the partner itself; made from what partners may see.
#[utoipa::path(operation_id = "get_partner_peers", tag = "Insights", params(("partner_id" = PartnerId, Path), PeersQuery), responses((status = 200, description = "Its places", body = PeersAnswer)))]
#[get("/v1/partners/{partner_id}/peers")]
async fn get_peers(call: Call<op::GetPartnerPeers, PartnerId, PeersQuery>) -> Result<HttpResponse, Fault> {
    call.is_told_of(call.path)?;
    let times = Times::of(("as_of", &call.query.as_of), ("known_at", &call.query.known_at));
    let found = call
        .read(async |tx| {
            let (vendor, partner) = futures_util::try_join!(directory::calendar(tx), directory::partner_of(tx, call.path))?;
            let partner = partner.ok_or(Fault::of(Code::NotFound))?;
            store::stood(tx, partner.id, times.resolve(&vendor, tx.now())?).await
        })
        .await?;
    let (rule, rule_ja) = rule();
    let closed_on = found.first().map(|stood| stood.closed_on);
    Ok(HttpResponse::Ok().json(PeersAnswer { partner_id: call.path, closed_on, data: found.into_iter().map(PeersGroup::from).collect(), rule, rule_ja }))
}

impl From<Stood> for PeersGroup {
    fn from(stood: Stood) -> Self {
        Self {
            by: stood.dimension,
            others: stood.group.is_none(),
            group: stood.group.filter(|group| !group.is_empty()),
            places: stood.places.into_iter().map(PlaceView::from).collect(),
        }
    }
}

impl From<Place> for PlaceView {
    fn from(place: Place) -> Self {
        Self {
            figure: place.figure,
            value: place.value.map(thousandths),
            interval: place.interval.map(Interval::of),
            percentile: place.percentile,
            percentile_interval: place.percentile_interval.map(|(low, high)| PercentileInterval { low, high }),
            standing: place.standing(),
        }
    }
}
