//! `/v1/customers/{customer_id}/health/history`: day by day, as it was known when each day ended, and where it is going.

use super::health::{BiasMode, ByHand, View, asked, dossier_of};
use crate::auth::{Call, Query, Tenant, op};
use crate::directory::calendar;
use crate::health::chronicle::AsKnown;
use crate::health::point::Times;
use crate::health::scorecard::{Band, Purpose};
use crate::health::store::Health;
use crate::health::trend::slope;
use crate::http::body::{Day, Faults, Instant};
use crate::http::interval::Interval;
use crate::http::query::Param;
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, ScorecardId};
use crate::kernel::number::{thousandths, three_digits};
use crate::kernel::text::Broken;
use actix_web::{HttpResponse, get};
use chrono::{Duration, NaiveDate};
use deserr::Deserr;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

/// The window of the trend, and of a history without `from`, in days.
const WINDOW: i64 = 90;
/// The longest history in one answer, in days.
const LONGEST: i64 = 400;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(history);
}

/// Which days.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct HistoryQuery {
    /// The first day; 90 days before the last when left out, and at most 400 before it.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = Date)]
    from: Option<Param<Day>>,
    /// The last day; today when left out.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = Date)]
    as_of: Option<Param<Day>>,
    /// What was known at this moment, at least 60 seconds ago; of each day what was known when it ended when left out.
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
impl Query for HistoryQuery {}

/// One day.
#[derive(Serialize, ToSchema)]
struct DayView {
    #[schema(value_type = String, format = Date)]
    on: NaiveDate,
    scorecard_id: ScorecardId,
    score: Option<f64>,
    /// Where it lies, with 80 %; absent while it is unknown, and of a score set by hand.
    interval: Option<Interval>,
    /// Of a score set by hand, what the evidence says; absent of any other.
    #[serde(skip_serializing_if = "Option::is_none")]
    set_by_hand: Option<ByHand>,
    band: Band,
    coverage: f64,
}

impl DayView {
    fn of(health: &Health) -> Self {
        Self {
            on: health.scored_for,
            scorecard_id: health.card,
            score: health.score.score.map(thousandths),
            interval: health.score.interval.map(Interval::of),
            set_by_hand: health.score.set_by_hand().map(ByHand::from),
            band: health.score.band,
            coverage: thousandths(health.score.coverage),
        }
    }
}

/// Where it is going.
#[derive(Serialize, ToSchema)]
struct TrendView {
    /// The days looked at: those of the history that lie in the last 90.
    window_days: i64,
    /// The median slope between all pairs of days (Theil-Sen), in points per 30 days; absent of fewer than three known days.
    points_per_30_days: Option<f64>,
    /// The known days it is made from, without those a person set the score of.
    days: usize,
}

/// A customer's health over time.
#[derive(Serialize, ToSchema)]
struct HistoryView {
    customer_id: CustomerId,
    purpose: Purpose,
    /// Oldest first; days before the customer was here are left out.
    data: Vec<DayView>,
    trend: TrendView,
}

/// Read a customer's health day by day
///
/// Each day as it was known when it ended, or all as known at one moment; with the trend over the last 90 days.
#[utoipa::path(operation_id = "get_customer_health_history", tag = "Health", params(("customer_id" = CustomerId, Path), HistoryQuery), responses((status = 200, description = "Day by day", body = HistoryView)))]
#[get("/v1/customers/{customer_id}/health/history")]
async fn history(call: Call<op::GetCustomerHealthHistory, CustomerId, HistoryQuery>) -> Result<HttpResponse, Fault> {
    let query = &call.query;
    let asked = asked(call.scope().audience(), &query.view, &query.purpose, &query.bias)?;
    let (dossier, from, to) = call
        .read(async |tx| {
            let vendor = calendar(tx).await?;
            let to = Times::of(("as_of", &query.as_of), ("known_at", &query.known_at)).resolve(&vendor, tx.now())?;
            let founded = vendor.zone.day_of(vendor.founded_at);
            let from = query.from.as_ref().map_or((to.on - Duration::days(WINDOW)).max(founded), |day| day.0.0);
            if !(0..=LONGEST).contains(&(to.on - from).num_days()) {
                return Err(Fault::field("from", Broken::OutOfRange));
            }
            Ok((dossier_of(tx, call.path, asked, from).await?, from, to))
        })
        .await?;
    let fixed = query.known_at.is_some();
    // Apart from the threads that serve: four hundred days of a customer much is said about take a while.
    let replay = move || -> Vec<DayView> {
        let known_then = |on: NaiveDate| if fixed { to.known_at } else { dossier.end_of(on).min(to.known_at) };
        let days = (0..=(to.on - from).num_days()).map(|n| from + Duration::days(n));
        days.filter_map(|on| dossier.health(AsKnown { on, known_at: known_then(on) })).map(|health| DayView::of(&health)).collect()
    };
    let data = tokio::task::spawn_blocking(replay).await.map_err(Fault::internal)?;
    let recent: Vec<(i64, f64)> =
        data.iter().filter(|day| day.set_by_hand.is_none()).filter_map(|day| Some(((day.on - to.on).num_days(), day.score?))).filter(|(age, _)| *age >= -WINDOW).collect();
    let trend = TrendView { window_days: WINDOW.min((to.on - from).num_days()), points_per_30_days: slope(&recent).map(three_digits), days: recent.len() };
    Ok(HttpResponse::Ok().json(HistoryView { customer_id: call.path, purpose: asked.purpose, data, trend }))
}
