//! What a calibration answers: the gate's verdict, and what was learned, with how good it is (SCIENCE 2.5). Pure.

use super::backtest::{Auc, Bin};
use super::model::Model;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// Churned customers, and as many renewed ones, below which nothing is learned: (i).
pub const MIN_CHURNED: usize = 30;
/// Customers with an outcome below which nothing is learned: (i).
const MIN_OUTCOMES: usize = 100;

/// (i): too few to learn from.
pub fn sparse((churned, outcomes): (usize, usize)) -> bool {
    churned < MIN_CHURNED || outcomes < MIN_OUTCOMES || outcomes - churned < MIN_CHURNED
}

/// Why the hand weights stay.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Refusal {
    /// (i) Fewer than 30 churned or 30 renewed customers, or fewer than 100 in all.
    TooFew {
        /// Customers that left.
        churned: usize,
        /// Customers with an outcome.
        outcomes: usize,
    },
    /// (i) So few of those of whom anything was known when the scorecard is asked.
    NothingKnown {
        /// Customers that left.
        churned: usize,
        /// Customers with an outcome.
        outcomes: usize,
    },
    /// (ii) No gain shown over the hand weights.
    NoGain {
        /// The 5 % quantile of the AUC gain.
        quantile: f64,
    },
    /// Shown to be worse than the hand weights on customers whose outcomes came later.
    WorseLater {
        /// The 5 % quantile of the AUC gain there.
        low: f64,
        /// The 95 % quantile, below 0.
        high: f64,
    },
    /// The optimiser did not reach the minimum.
    NotConverged,
}

/// What the gate says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Verdict {
    /// Ranking and probabilities may be used.
    Accepted,
    /// (iii) The order may be used, the probabilities may not.
    RankingOnly {
        /// Their expected calibration error.
        error: f64,
        /// What was allowed.
        limit: f64,
    },
    /// The hand weights stay.
    Refused(Refusal),
}

/// What was learned of one measure.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Learned {
    /// The hand weight.
    pub hand: f64,
    /// The weight proposed for a scorecard: the calibrated one, or the hand weight where those are kept. All of them add up to
    /// the sum of the hand weights.
    pub weight: f64,
    /// `w_m` of the logit, per 100 points.
    pub coefficient: f64,
    /// The data ask for a negative weight; 0 is the least allowed.
    pub blocked: bool,
    /// A free eight-bin fit of this measure alone foretells better than a straight one: held-out AUC gain above 0.02, and
    /// its 5 % quantile above 0. A weight cannot use such a measure; its curve can.
    pub not_monotone: bool,
    /// Reported for too few customers by the limits of (i): its weight is mostly the hand weight.
    pub too_few: bool,
}

/// What was learned of silence. It is no measure and has no part in the weights: the risk alone uses it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LearnedSilence {
    /// `w_s` of the logit, >= 0: by how much the risk rises from no silence to whole silence.
    pub coefficient: f64,
    /// Cases of which it was known; the others got its mean.
    pub known: usize,
    /// The data ask for a negative coefficient; 0 is the least allowed.
    pub blocked: bool,
    /// Known of too few customers by the limits of (i): its coefficient is mostly the pull towards 0.
    pub too_few: bool,
}

/// How good it is; all cross-validated, grouped by customer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Of the hand score, missing values filled.
    pub auc_hand: Auc,
    /// Of the calibrated risk.
    pub auc: Auc,
    /// Top-decile lift of the hand score.
    pub lift_hand: f64,
    /// Top-decile lift of the calibrated risk.
    pub lift: f64,
    /// The 5 % quantile of the AUC gain over the hand score, or over chance where that is worse, by resampled customers.
    pub gain_quantile: f64,
    /// The same of the calibrated weights alone, without silence and without which measures were reported: of the score they
    /// would give. `None` of fits kept before it was asked.
    #[serde(default)]
    pub weights_gain_quantile: Option<f64>,
    /// The expected calibration error after isotonic recalibration.
    pub error: f64,
    /// What is allowed: 0.05, or the 95 % quantile when the probabilities are right, if larger.
    pub error_limit: f64,
}

/// How good it is ahead in time: learned from what had happened by a day, judged on customers whose outcomes came after it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Later {
    /// The last day learned from: two thirds of the cases were past by it.
    pub until: NaiveDate,
    /// Customers judged on. Nothing was learned from them.
    pub customers: usize,
    /// Those of them that left.
    pub churned: usize,
    /// Of the hand score.
    pub auc_hand: Auc,
    /// Of the calibrated risk.
    pub auc: Auc,
    /// The 5 % quantile of the AUC gain over the hand score, by resampled customers.
    pub gain_low: f64,
    /// Its 95 % quantile.
    pub gain_high: f64,
    /// The same quantile of the calibrated weights alone. `None` of fits kept before it was asked.
    #[serde(default)]
    pub weights_gain_high: Option<f64>,
}

/// A fit with all that is known about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// To foretell with.
    pub model: Model,
    /// Per measure, in the order of the hand weights.
    pub measures: Vec<Learned>,
    /// The hand weights are proposed: all is refused, or the calibrated weights alone show no gain over them, or later a loss. Not so of
    /// fits kept before that was asked: they propose what was calibrated.
    #[serde(default)]
    pub weights_kept: bool,
    /// `None` where silence was never known, and of fits kept before it was an input.
    #[serde(default)]
    pub silence: Option<LearnedSilence>,
    /// The slope of the hand score, >= 0: how steeply risk falls from 0 to 100 points.
    pub slope: f64,
    /// How good it is.
    pub figures: Figures,
    /// How the cross-validated probabilities held, by tenths. Empty in fits kept before it was asked.
    #[serde(default)]
    pub table: Vec<Bin>,
    /// How good it is ahead in time. `None` where the cases are too few for that or all of one day, and of fits kept before it
    /// was asked.
    #[serde(default)]
    pub later: Option<Later>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Cases read.
    pub cases: usize,
    /// Their customers.
    pub customers: usize,
    /// Customers that left.
    pub churned: usize,
    /// Cases of which no measure was known. `None` of calibrations kept before it was counted.
    #[serde(default)]
    pub unknown: Option<usize>,
    /// What may be used.
    pub verdict: Verdict,
    /// Also of a refused fit, for the eye; `None` with too few outcomes or without convergence.
    pub fit: Option<Fit>,
}

impl Calibration {
    /// Whether nothing of it may be used.
    pub fn is_refused(&self) -> bool {
        matches!(self.verdict, Verdict::Refused(_))
    }

    /// Whether the hand weights are proposed: by a refusal always, also one kept before that was said of its fit.
    pub fn keeps_hand_weights(&self) -> bool {
        self.is_refused() || self.fit.as_ref().is_some_and(|fit| fit.weights_kept)
    }

    /// The fit whose own weights show no gain, where that is why the hand weights are proposed and not a refusal.
    pub fn fit_without_gain(&self) -> Option<&Fit> {
        self.fit.as_ref().filter(|fit| fit.weights_kept && !self.is_refused())
    }

    /// The weights proposed, in the order of the measures; none without a fit.
    pub fn proposal(&self) -> Vec<f64> {
        let kept = self.keeps_hand_weights();
        self.fit.iter().flat_map(|fit| &fit.measures).map(|learned| if kept { learned.hand } else { learned.weight }).collect()
    }
}
