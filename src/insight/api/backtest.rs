//! Looking back on a scorecard: what it would have foretold of the outcomes there were. The vendor's alone.

use super::learning::{AucView, LostView, lead, think};
use crate::auth::{Call, Query, StaffScope, op};
use crate::db::Tx;
use crate::directory;
use crate::health::Times;
use crate::http::body::{Day, Faults, Instant};
use crate::http::interval::Interval;
use crate::http::query::Param;
use crate::insight::backtest::Bin;
use crate::insight::channel::Tree;
use crate::insight::flow::{Backtest, Foretold, Loss, history, moment_of};
use crate::kernel::error::Fault;
use crate::kernel::id::{CustomerId, PartnerId, ScorecardId};
use crate::kernel::number::{round, thousandths, three_digits};
use actix_web::{HttpResponse, get};
use chrono::NaiveDate;
use deserr::Deserr;
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(backtest);
}

/// From how far before.
#[derive(Deserr, IntoParams)]
#[deserr(error = Faults, deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct BacktestQuery {
    /// How many days before each outcome the scorecard is asked, 1-365; 90 when left out.
    #[deserr(default)]
    #[param(value_type = Option<i64>, minimum = 1, maximum = 365)]
    lead_days: Option<Param<i64>>,
    /// Of outcomes up to this day of the vendor's calendar; up to today when left out.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = Date)]
    as_of: Option<Param<Day>>,
    /// Of outcomes known at this moment, at least 60 seconds ago; the latest when left out.
    #[deserr(default)]
    #[param(value_type = Option<String>, format = DateTime)]
    known_at: Option<Param<Instant>>,
}
impl Query for BacktestQuery {}

/// Outcomes by tenths of the scale.
#[derive(Serialize, ToSchema)]
struct TenthView {
    /// Health from this on.
    from: f64,
    /// Up to this.
    to: f64,
    #[serde(flatten)]
    lost: LostView,
}

impl From<Bin> for TenthView {
    fn from(bin: Bin) -> Self {
        Self { from: round((1.0 - bin.to) * 100.0) as f64, to: round((1.0 - bin.from) * 100.0) as f64, lost: LostView::from(&bin) }
    }
}

/// How well a scorecard foretold what happened.
#[derive(Serialize, ToSchema)]
struct ForetoldView {
    outcomes: usize,
    lost: usize,
    /// Those of whom too little was known at the time; in no figure but the alarms.
    unknown: usize,
    /// Absent where all ended alike.
    discrimination: Option<AucView>,
    /// How many times more losses the lowest tenth held than all.
    top_decile_lift: Option<f64>,
    /// Outcomes with an alarm in the year before, which is looked for every seventh day and on each of the last six.
    flagged: Option<usize>,
    /// Those of them that were no loss.
    false_alarms: Option<usize>,
    /// Their share, 0-1, with its 95 % interval; absent where nobody was flagged.
    false_alarm_share: Option<f64>,
    false_alarm_low: Option<f64>,
    false_alarm_high: Option<f64>,
    /// Losses without an alarm before.
    missed: Option<usize>,
    /// Days from the first alarm to the loss, the median.
    lead_time_days: Option<f64>,
    /// Loss by tenths of health.
    table: Vec<TenthView>,
}

impl From<Foretold> for ForetoldView {
    fn from(f: Foretold) -> Self {
        Self {
            outcomes: f.outcomes,
            lost: f.lost,
            unknown: f.unknown,
            discrimination: f.auc.map(AucView::from),
            top_decile_lift: f.lift.map(three_digits),
            flagged: f.alarms.map(|a| a.flagged),
            false_alarms: f.alarms.map(|a| a.false_alarms),
            false_alarm_share: f.alarms.and_then(|a| a.false_share).map(three_digits),
            false_alarm_low: f.alarms.and_then(|a| a.false_interval).map(|i| three_digits(i.0)),
            false_alarm_high: f.alarms.and_then(|a| a.false_interval).map(|i| three_digits(i.1)),
            missed: f.alarms.map(|a| a.missed),
            lead_time_days: f.alarms.and_then(|a| a.lead_days),
            table: f.table.into_iter().map(TenthView::from).collect(),
        }
    }
}

/// The same for one partner.
#[derive(Serialize, ToSchema)]
struct ForetoldOfChannel {
    partner_id: PartnerId,
    /// Of its own customers.
    own: ForetoldView,
    /// Of its own and those of everybody below it, as the tree stood at the times asked for.
    rolled_up: ForetoldView,
}

/// The most losses that are named.
const MOST_LOSSES: usize = 1000;

/// A loss, and what the scorecard would have said before it.
#[derive(Serialize, ToSchema)]
struct LossView {
    customer_id: CustomerId,
    partner_id: PartnerId,
    #[schema(value_type = String, format = Date)]
    occurred_on: NaiveDate,
    /// Health on the day the scorecard is asked, `lead_days` before; null while too little was known.
    score: Option<f64>,
    /// Where it lay, with 80 %; null likewise.
    interval: Option<Interval>,
    /// How much of what the scorecard asks was known, 0-1.
    coverage: f64,
    /// The first day of alarm in the year before; null of a loss that was missed.
    #[schema(value_type = Option<String>, format = Date)]
    first_flagged_on: Option<NaiveDate>,
    /// How many days before the loss that was.
    lead_time_days: Option<i64>,
}

impl From<&Loss> for LossView {
    fn from(loss: &Loss) -> Self {
        Self {
            customer_id: loss.customer,
            partner_id: loss.partner,
            occurred_on: loss.occurred_on,
            score: loss.score.map(thousandths),
            interval: loss.interval.map(Interval::of),
            coverage: thousandths(loss.coverage),
            first_flagged_on: loss.first_flagged,
            lead_time_days: loss.first_flagged.map(|first| (loss.occurred_on - first).num_days()),
        }
    }
}

/// A look back.
#[derive(Serialize, ToSchema)]
struct BacktestView {
    scorecard_id: ScorecardId,
    lead_days: i64,
    /// Outcomes of customers the scorecard was not for, by its criteria, on the day it is asked; they are in nothing below.
    not_applicable: usize,
    total: ForetoldView,
    /// The losses of the total, the newest first, 1,000 at most: which would have been flagged, and how early.
    losses: Vec<LossView>,
    /// By partner, of those with outcomes of their own or below them.
    channels: Vec<ForetoldOfChannel>,
}

/// Look back on a scorecard
///
/// How it would have scored every customer it is for so many days before its outcome, by what was known then, and what that foretold: over all,
/// by partner, and rolled up over everybody below it. Also for drafts.
#[utoipa::path(operation_id = "backtest_scorecard", tag = "Scorecards", params(("scorecard_id" = ScorecardId, Path), BacktestQuery), responses((status = 200, description = "The look back", body = BacktestView)))]
#[get("/v1/scorecards/{scorecard_id}/backtest")]
async fn backtest(call: Call<op::BacktestScorecard, ScorecardId, BacktestQuery>) -> Result<HttpResponse, Fault> {
    let lead_days = lead(call.query.lead_days.as_ref().map(|days| days.0), "lead_days").map_err(|fault| Fault::parameters(fault.fields))?;
    let times = Times::of(("as_of", &call.query.as_of), ("known_at", &call.query.known_at));
    let look = async |tx: &Tx<StaffScope>| {
        let vendor = directory::calendar(tx).await?;
        let at = times.resolve(&vendor, tx.now())?;
        let tree = Tree::of(directory::parents_at(tx, moment_of(&vendor, at)).await?);
        Ok((history(tx, call.path, lead_days, None, at).await?, tree))
    };
    let ((history, tree), desk) = call.study(look).await?;
    let Backtest { total, losses, channels, not_applicable } = think(move || history.backtest(&tree)).await?;
    drop(desk);
    let channels = channels.into_iter().map(|one| ForetoldOfChannel { partner_id: one.partner, own: one.own.into(), rolled_up: one.rolled_up.into() }).collect();
    Ok(HttpResponse::Ok().json(BacktestView {
        scorecard_id: call.path,
        lead_days,
        not_applicable,
        total: total.into(),
        losses: losses.iter().take(MOST_LOSSES).map(LossView::from).collect(),
        channels,
    }))
}
