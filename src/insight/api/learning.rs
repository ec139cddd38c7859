//! What outcomes teach: calibrating a scorecard. The vendor's alone.

use crate::auth::{Call, Json, StaffScope, WriteQuery, op};
use crate::db::Tx;
use crate::directory;
use crate::health::{self, AsKnown, PointQuery};
use crate::http::body::Faults;
use crate::insight::backtest::{Auc, Bin};
use crate::insight::check::Check;
use crate::insight::flow::{history, keep};
use crate::insight::lesson::VerdictWord;
use crate::insight::store::{self, Kept};
use crate::insight::verdict::{Fit, Later, Learned, LearnedSilence, Refusal, Verdict};
use crate::kernel::code::Code;
use crate::kernel::error::{Fault, FieldFault};
use crate::kernel::id::{CalibrationId, ScorecardId, TypeId};
use crate::kernel::number::{seven_digits, three_digits};
use crate::kernel::text::{Broken, Key};
use crate::kernel::time::Moment;
use crate::ledger::{self, Answer};
use actix_web::{HttpResponse, get, post};
use chrono::NaiveDate;
use deserr::Deserr;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

/// How many days before an outcome a scorecard is asked, unless said otherwise.
const LEAD_DAYS: i64 = 90;

crate::wire_words!(VerdictWord);

pub(super) fn routes(config: &mut ServiceConfig) {
    config.service(calibrate).service(list_calibrations);
}

/// Computes apart from the threads that serve.
pub(super) async fn think<T: Send + 'static>(deed: impl FnOnce() -> T + Send + 'static) -> Result<T, Fault> {
    tokio::task::spawn_blocking(deed).await.map_err(Fault::internal)
}

/// The area under the ROC curve, with its 95 % interval.
#[derive(Serialize, ToSchema)]
pub(super) struct AucView {
    /// 0-1; 0.5 is chance.
    auc: f64,
    low: Option<f64>,
    high: Option<f64>,
}

impl From<Auc> for AucView {
    fn from(a: Auc) -> Self {
        Self { auc: three_digits(a.auc), low: a.interval.map(|i| three_digits(i.0)), high: a.interval.map(|i| three_digits(i.1)) }
    }
}

/// Why the hand weights stay, or less than everything may be used.
#[derive(Serialize, ToSchema)]
struct Reason {
    /// `too_few`, `nothing_known`, `no_gain`, `worse_later`, `not_converged` or `probabilities_off`; of the weights `weights_no_gain` or `weights_worse_later`.
    code: &'static str,
    detail: String,
    detail_ja: String,
}

impl Reason {
    fn of(verdict: &Verdict) -> Option<Self> {
        let (code, detail, detail_ja) = match verdict {
            Verdict::Accepted => return None,
            Verdict::RankingOnly { error, limit } => (
                "probabilities_off",
                format!("The order may be used; probabilities are off by {:.3} on average, more than {:.3}.", error, limit),
                format!("順位づけには使えますが、確率の誤差が平均 {:.3} で上限 {:.3} を超えています。", error, limit),
            ),
            Verdict::Refused(Refusal::TooFew { churned, outcomes }) => (
                "too_few",
                format!("{outcomes} customers with an outcome, {churned} of them lost; 100 are needed, with 30 lost and 30 kept."),
                format!("結果の判明した顧客は {outcomes} 社、うち解約は {churned} 社です。合計 100 社以上、解約・継続それぞれ 30 社以上が必要です。"),
            ),
            Verdict::Refused(Refusal::NothingKnown { churned, outcomes }) => (
                "nothing_known",
                format!(
                    "Of {outcomes} customers with an outcome, {churned} of them lost, anything was known on the day the scorecard is asked; 100 are needed, with 30 lost and 30 kept."
                ),
                format!("評価日の時点で情報があったのは、結果の判明した顧客のうち {outcomes} 社(解約 {churned} 社)です。合計 100 社以上、解約・継続それぞれ 30 社以上が必要です。"),
            ),
            Verdict::Refused(Refusal::NoGain { quantile }) => (
                "no_gain",
                format!("No gain over the hand weights is shown: the 5 % quantile of the AUC gain is {quantile:.3}."),
                format!("手動の重みに対する改善が認められません(AUC 改善幅の 5% 分位点 {quantile:.3})。"),
            ),
            Verdict::Refused(Refusal::WorseLater { low, high }) => (
                "worse_later",
                format!("Learned from the earlier outcomes, it foretells the later ones worse than the hand weights: the AUC gain lies between {low:.3} and {high:.3}."),
                format!("過去の結果から学習した重みは、その後の結果の予測で手動の重みを下回ります(AUC 改善幅の 5%〜95% 分位点 {low:.3}〜{high:.3})。"),
            ),
            Verdict::Refused(Refusal::NotConverged) => ("not_converged", "The fit found no minimum.".to_owned(), "推定が収束しませんでした。".to_owned()),
        };
        Some(Self { code, detail, detail_ja })
    }

    /// Why the hand weights are proposed by a verdict that is no refusal.
    fn of_weights(fit: &Fit) -> Option<Self> {
        let quantile = fit.figures.weights_gain_quantile?;
        if quantile <= 0.0 {
            return Some(Self {
                code: "weights_no_gain",
                detail: format!("The hand weights are proposed: other weights of the measures, without anything else, show no gain (5 % quantile of the AUC gain {quantile:.3})."),
                detail_ja: format!("指標の重みの変更だけでは改善が認められないため、手動の重みをそのまま提案します(AUC 改善幅の 5% 分位点 {quantile:.3})。"),
            });
        }
        let high = fit.later?.weights_gain_high?;
        Some(Self {
            code: "weights_worse_later",
            detail: format!(
                "The hand weights are proposed: other weights learned from the earlier outcomes foretell the later ones worse (95 % quantile of the AUC gain {high:.3})."
            ),
            detail_ja: format!(
                "過去の結果から学習した重みは、それだけではその後の結果の予測で手動の重みを下回るため、手動の重みをそのまま提案します(AUC 改善幅の 95% 分位点 {high:.3})。"
            ),
        })
    }
}

/// What was learned of one measure.
#[derive(Serialize, ToSchema)]
struct LearnedMeasure {
    measure: Key,
    /// As it is, its groups' shared out to it.
    hand_weight: f64,
    /// As proposed, for a scorecard without groups; all of them add up to the sum of the hand weights. The hand weight where `weights_kept`.
    weight: f64,
    /// The data ask for a negative weight; 0 is the least allowed.
    blocked: bool,
    /// More is not always better here: its curve should say so, a weight cannot.
    not_monotone: bool,
    /// Too few customers have it: its weight is mostly the hand weight.
    too_few: bool,
}

/// What was learned of silence: how long nothing was reported of a customer, 0-1, measured by its usual interval. It is no measure and has no
/// part in the weights: the probability of a loss alone uses it.
#[derive(Serialize, ToSchema)]
struct SilenceView {
    /// By how much the logit of a loss rises from no silence to whole silence; 0 or more.
    coefficient: f64,
    /// Outcomes before which it was known: three different days had been reported. The others got its mean.
    known: usize,
    /// The data ask for a negative coefficient; 0 is the least allowed.
    blocked: bool,
    /// Known of too few customers: its coefficient is held near 0.
    too_few: bool,
}

impl From<&LearnedSilence> for SilenceView {
    fn from(silence: &LearnedSilence) -> Self {
        Self { coefficient: three_digits(silence.coefficient), known: silence.known, blocked: silence.blocked, too_few: silence.too_few }
    }
}

/// Outcomes of a tenth of a scale, and how many were losses.
#[derive(Serialize, ToSchema)]
pub(super) struct LostView {
    outcomes: usize,
    lost: usize,
    /// The share lost, 0-1, with its 95 % interval; absent where there is none.
    share_lost: Option<f64>,
    low: Option<f64>,
    high: Option<f64>,
}

impl From<&Bin> for LostView {
    fn from(bin: &Bin) -> Self {
        let (low, high) = bin.interval.map(|(low, high)| (three_digits(low), three_digits(high))).unzip();
        Self { outcomes: bin.n, lost: bin.happened, share_lost: bin.observed.map(three_digits), low, high }
    }
}

/// Outcomes by tenths of the probability that was foretold, each by what the other customers taught.
#[derive(Serialize, ToSchema)]
struct ProbabilityView {
    /// The probability of a loss from this on, 0-1.
    from: f64,
    /// Up to this.
    to: f64,
    /// The mean probability foretold, 0-1; absent where there is no outcome.
    foretold: Option<f64>,
    #[serde(flatten)]
    lost: LostView,
}

impl From<&Bin> for ProbabilityView {
    fn from(bin: &Bin) -> Self {
        Self { from: three_digits(bin.from), to: three_digits(bin.to), foretold: bin.predicted.map(three_digits), lost: bin.into() }
    }
}

/// How good it is, cross-validated by customer.
#[derive(Serialize, ToSchema)]
struct FiguresView {
    hand: AucView,
    calibrated: AucView,
    /// How many times more losses the riskiest tenth holds than all.
    hand_lift: f64,
    calibrated_lift: f64,
    /// The 5 % quantile of the AUC gain, by resampled customers; above 0 to be accepted.
    gain_quantile: f64,
    /// The same of the weights alone, without silence and without which measures were reported; above 0, or the hand weights are proposed. Null
    /// in calibrations made before this was asked.
    weights_gain_quantile: Option<f64>,
    calibration_error: f64,
    calibration_error_limit: f64,
    /// How the probabilities held; empty in calibrations made before this was kept.
    table: Vec<ProbabilityView>,
}

/// How good it is ahead in time: learned from the outcomes up to a day, asked about customers whose outcomes came after it.
#[derive(Serialize, ToSchema)]
struct LaterView {
    /// The last day learned from; two thirds of the outcomes had happened by then.
    #[schema(value_type = String, format = Date)]
    until: NaiveDate,
    /// Customers asked about. Nothing was learned from them.
    customers: usize,
    lost: usize,
    hand: AucView,
    calibrated: AucView,
    /// The 5 % quantile of the AUC gain over the hand weights, by resampled customers.
    gain_low: f64,
    /// The 95 % quantile; below 0 it is refused. That no gain is shown is no ground to refuse: these customers are few.
    gain_high: f64,
    /// The same of the weights alone; below 0 the hand weights are proposed. Null in calibrations made before this was asked.
    weights_gain_high: Option<f64>,
}

impl From<Later> for LaterView {
    fn from(later: Later) -> Self {
        Self {
            until: later.until,
            customers: later.customers,
            lost: later.churned,
            hand: later.auc_hand.into(),
            calibrated: later.auc.into(),
            gain_low: three_digits(later.gain_low),
            gain_high: three_digits(later.gain_high),
            weights_gain_high: later.weights_gain_high.map(three_digits),
        }
    }
}

/// Whether what was learned still tells who is lost, by the outcomes of the quarter before a month's end that came after it was learned.
#[derive(Serialize, ToSchema)]
struct CheckView {
    #[schema(value_type = String, format = Date)]
    closed_on: NaiveDate,
    /// Outcomes of the quarter.
    outcomes: usize,
    /// Losses among them.
    lost: usize,
    /// How well the learned risk went before loss, 0-1; null of fewer than 10 lost or 10 kept.
    auc: Option<f64>,
    /// Its whole interval lies below that of `figures.calibrated`: calibrate again.
    is_below: bool,
}

impl From<&Check> for CheckView {
    fn from(check: &Check) -> Self {
        Self { closed_on: check.closed_on, outcomes: check.outcomes, lost: check.lost, auc: check.auc.map(three_digits), is_below: check.is_below }
    }
}

/// What calibrating a scorecard by outcomes came to.
#[derive(Serialize, ToSchema)]
struct CalibrationView {
    id: CalibrationId,
    scorecard_id: ScorecardId,
    verdict: VerdictWord,
    /// Why not, or not wholly.
    reason: Option<Reason>,
    /// The scorecard was asked so many days before each outcome.
    lead_days: i32,
    /// Outcomes learned from.
    outcomes: usize,
    customers: usize,
    /// Customers lost among them.
    lost: usize,
    /// Outcomes before which no measure of the scorecard was known, on the day it is asked; null in calibrations made before this was counted.
    unknown: Option<usize>,
    figures: Option<FiguresView>,
    /// Null where it could not be validated later: too few outcomes up to that day, fewer than 30 customers lost or 30 kept after it, or nothing
    /// could be fitted to what was known by then.
    later: Option<LaterView>,
    /// The proposal; make a scorecard with these weights to use it.
    measures: Vec<LearnedMeasure>,
    /// The hand weights are proposed: it is refused, or what is gained is not gained by the weights, or they lose later.
    weights_kept: bool,
    /// Why the hand weights are proposed although the verdict is no refusal; otherwise null, as `reason` says it.
    weights_reason: Option<Reason>,
    /// Beside the measures, and no part of the proposal; null where it was never known.
    silence: Option<SilenceView>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Moment,
    /// The monthly re-checks while it was the one in use, newest first.
    checks: Vec<CheckView>,
}

impl CalibrationView {
    /// A calibration with those of the re-checks that are its own.
    fn of(kept: &Kept, checks: &[Check]) -> Self {
        let c = &kept.learned.calibration;
        let figures = c.fit.as_ref().map(|fit| {
            let f = fit.figures;
            FiguresView {
                hand: f.auc_hand.into(),
                calibrated: f.auc.into(),
                hand_lift: three_digits(f.lift_hand),
                calibrated_lift: three_digits(f.lift),
                gain_quantile: three_digits(f.gain_quantile),
                weights_gain_quantile: f.weights_gain_quantile.map(three_digits),
                calibration_error: three_digits(f.error),
                calibration_error_limit: three_digits(f.error_limit),
                table: fit.table.iter().map(ProbabilityView::from).collect(),
            }
        });
        let learned = c.fit.iter().flat_map(|fit| &fit.measures).zip(c.proposal());
        let measure = |(key, (l, proposed)): (&Key, (&Learned, f64))| LearnedMeasure {
            measure: key.clone(),
            hand_weight: l.hand,
            weight: if proposed == l.hand { l.hand } else { seven_digits(proposed) },
            blocked: l.blocked,
            not_monotone: l.not_monotone,
            too_few: l.too_few,
        };
        Self {
            id: kept.id,
            scorecard_id: kept.scorecard,
            verdict: VerdictWord::of(&c.verdict),
            reason: Reason::of(&c.verdict),
            lead_days: kept.lead_days,
            outcomes: c.cases,
            customers: c.customers,
            lost: c.churned,
            unknown: c.unknown,
            figures,
            later: c.fit.as_ref().and_then(|fit| fit.later).map(LaterView::from),
            measures: kept.learned.measures.iter().zip(learned).map(measure).collect(),
            weights_kept: c.keeps_hand_weights(),
            weights_reason: c.fit_without_gain().and_then(Reason::of_weights),
            silence: c.fit.as_ref().and_then(|fit| fit.silence.as_ref()).map(SilenceView::from),
            created_at: kept.created_at,
            checks: checks.iter().filter(|check| check.calibration == kept.id).map(CheckView::from).collect(),
        }
    }
}

/// How to calibrate.
#[derive(Deserr, ToSchema, Default)]
#[deserr(error = Faults, deny_unknown_fields)]
struct CalibrateBody {
    /// How many days before each outcome the scorecard is asked, 1-365; 90 when left out.
    #[deserr(default)]
    #[schema(minimum = 1, maximum = 365)]
    lead_days: Option<i64>,
}

/// How many days before an outcome, as asked.
pub(super) fn lead(days: Option<i64>, pointer: &str) -> Result<i64, Fault> {
    let days = days.unwrap_or(LEAD_DAYS);
    if (1..=365).contains(&days) { Ok(days) } else { Err(Fault::invalid(vec![FieldFault { pointer: pointer.to_owned(), code: Broken::OutOfRange }])) }
}

/// Calibrate a scorecard's weights by outcomes
///
/// Proposes weights, none negative, pulled towards the hand weights, and says whether they may be used: from 100 outcomes with 30 losses on,
/// with a gain shown, not shown to be worse on later outcomes, and with probabilities that hold. Refuses noise and says why. Nothing is activated.
/// Which measures were reported, and how silent it was, are weighed as well: they have a part in the gain and in the probability, none in the
/// weights. Where the weights alone show no gain, or lose on later outcomes, the hand weights are proposed, and `weights_reason` says so.
#[utoipa::path(operation_id = "calibrate_scorecard", tag = "Scorecards", params(("scorecard_id" = ScorecardId, Path), WriteQuery), request_body = CalibrateBody,
    responses((status = 201, description = "What it came to", body = CalibrationView,
        links(("all" = (operation_id = "list_calibrations", parameters(("scorecard_id" = "$response.body#/scorecard_id"))))))))]
#[post("/v1/scorecards/{scorecard_id}/calibrate")]
async fn calibrate(call: Call<op::CalibrateScorecard, ScorecardId, WriteQuery, Json<CalibrateBody>>) -> Result<HttpResponse, Fault> {
    let lead_days = lead(call.body.0.lead_days, "/lead_days")?;
    let look = async |tx: &Tx<StaffScope>| {
        let now = AsKnown { on: directory::calendar(tx).await?.zone.day_of(tx.now()), known_at: tx.now() };
        history(tx, call.path, lead_days, None, now).await
    };
    let (history, desk) = call.study(look).await?;
    if history.is_empty() {
        return Err(Fault::field("", Broken::Empty));
    }
    let learned = think(move || history.calibrate()).await?.map_err(Fault::internal)?;
    drop(desk);
    ledger::write(&call, async |tx| {
        let kept = keep(tx, call.caller.caller_id(), call.path, lead_days as i32, learned).await?;
        Ok(Answer::json(201, &CalibrationView::of(&kept, &[]))?.about([kept.id.uuid()]))
    })
    .await
}

/// The calibrations of a scorecard.
#[derive(Serialize, ToSchema)]
struct CalibrationList {
    /// Newest first, at most 100.
    data: Vec<CalibrationView>,
}

/// List what calibrating a scorecard came to
///
/// Newest first; empty when it was never calibrated. The one in use is checked once a month by the outcomes of the last quarter; where it fails, the event
/// `calibration.weakened` tells of it.
#[utoipa::path(operation_id = "list_calibrations", tag = "Scorecards", params(("scorecard_id" = ScorecardId, Path), PointQuery), responses((status = 200, description = "The calibrations", body = CalibrationList)))]
#[get("/v1/scorecards/{scorecard_id}/calibrations")]
async fn list_calibrations(call: Call<op::ListCalibrations, ScorecardId, PointQuery>) -> Result<HttpResponse, Fault> {
    let (kept, checks) = call
        .read(async |tx| {
            let (_, by) = call.query.point(tx).await?;
            let (card, kept, checks) = futures_util::try_join!(health::card(tx, call.path), store::calibrations(tx, call.path, by), store::checks(tx, call.path, by))?;
            card.map(|_| (kept, checks)).ok_or(Fault::of(Code::NotFound))
        })
        .await?;
    Ok(HttpResponse::Ok().json(CalibrationList { data: kept.iter().map(|kept| CalibrationView::of(kept, &checks)).collect() }))
}
