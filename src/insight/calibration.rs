//! Calibrated weights: logistic regression with weights that may not turn negative, pulled towards the hand weights, and
//! the gate that decides whether they may replace them (SCIENCE 2.5).
//!
//! Pure and deterministic: the cases are put in order first, so that the same cases in any order give the same bits; all
//! randomness comes from the seed. The caller keeps the as-of discipline: values known before the outcome window only.

use super::backtest::{Auc, Fault, auc, calibration_error, top_decile_lift};
use super::folds::{Folds, SMALL_RIDGE};
use super::logistic::{Column, interpolate, isotonic, minimise, quantile};
use super::model::Model;
use fastrand::Rng;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use thiserror::Error;

/// Churned customers, and as many renewed ones, below which nothing is learned: (i).
const MIN_CHURNED: usize = 30;
/// Customers with an outcome below which nothing is learned: (i).
const MIN_OUTCOMES: usize = 100;
/// The error of probabilities that is always allowed, 0-1; in (iii).
const ALLOWED_ERROR: f64 = 0.05;
/// A free fit that gains more AUC than this shows that a measure is not monotone.
const SHAPE_GAIN: f64 = 0.02;

/// One customer at one moment with a known outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The customer: cases of one customer stay in one fold and are drawn together.
    pub group: u64,
    /// `V_m` per measure, 0-100, high is good, in the order of the hand weights; `None` when not reported.
    pub values: Vec<Option<f64>>,
    /// How silent the reporters were, 0-1 (SCIENCE 2.8).
    pub silence: Option<f64>,
    /// Whether the customer left within the outcome window.
    pub churned: bool,
}

/// How to calibrate.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The pull towards the hand weights, 0.001 to 1e9; 2 in SCIENCE 2.5. Without any, there may be no minimum.
    pub lambda: f64,
    /// Whether it counts that a measure was reported at all.
    pub flags: bool,
    /// Of folds, resamples and simulations.
    pub seed: u64,
    /// Folds of the cross-validation, 2-30.
    pub folds: usize,
    /// Resamples of customers, and simulations of outcomes; at least 20.
    pub resamples: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { lambda: 2.0, flags: true, seed: 0, folds: 5, resamples: 500 }
    }
}

/// Why the input cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Invalid {
    /// No weight, a negative or infinite one, or all of them zero.
    #[error("hand weights must be finite, not negative, and not all zero")]
    HandWeights,
    /// Settings outside their range.
    #[error("a setting is outside its range")]
    Settings,
    /// A case with more or fewer values than weights; its place in the input.
    #[error("case {0} does not have one value per weight")]
    Shape(usize),
    /// A value outside 0-100, or silence outside 0-1, or no number; the case's place in the input.
    #[error("case {0} has a value outside its range")]
    Range(usize),
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
    /// (ii) No gain shown over the hand weights.
    NoGain {
        /// The 5 % quantile of the AUC gain.
        quantile: f64,
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
    /// The calibrated weight for a scorecard: all of them add up to the sum of the hand weights.
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
    /// The expected calibration error after isotonic recalibration.
    pub error: f64,
    /// What is allowed: 0.05, or the 95 % quantile when the probabilities are right, if larger.
    pub error_limit: f64,
}

/// A fit with all that is known about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// To foretell with.
    pub model: Model,
    /// Per measure, in the order of the hand weights.
    pub measures: Vec<Learned>,
    /// `None` where silence was never known, and of fits kept before it was an input.
    #[serde(default)]
    pub silence: Option<LearnedSilence>,
    /// The slope of the hand score, >= 0: how steeply risk falls from 0 to 100 points.
    pub slope: f64,
    /// How good it is.
    pub figures: Figures,
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
    /// What may be used.
    pub verdict: Verdict,
    /// Also of a refused fit, for the eye; `None` with too few outcomes or without convergence.
    pub fit: Option<Fit>,
}

/// What the training cases say about what is not known.
struct Means {
    values: Vec<f64>,
    silence: f64,
}

fn mean(of: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = of.fold((0.0, 0usize), |(sum, n), v| (sum + v, n + 1));
    (n > 0).then(|| sum / n as f64)
}

fn means(cases: &[&Case], measures: usize) -> Means {
    // A measure nobody reported is the same for all: its filling says nothing.
    let values = (0..measures).map(|m| mean(cases.iter().filter_map(|c| c.values[m])).unwrap_or(50.0)).collect();
    Means { values, silence: mean(cases.iter().filter_map(|c| c.silence)).unwrap_or(0.0) }
}

/// The hand score over 100, missing values filled.
fn hand_score(case: &Case, hand: &[f64], means: &Means) -> f64 {
    let sum: f64 = hand.iter().zip(&case.values).zip(&means.values).map(|((w, v), mean)| w * v.unwrap_or(*mean)).sum();
    sum / hand.iter().sum::<f64>() / 100.0
}

/// A model fitted to cases, before it is judged.
struct Draft {
    model: Model,
    slope: f64,
    blocked: Vec<bool>,
}

fn draft(cases: &[&Case], hand: &[f64], settings: &Settings) -> Option<Draft> {
    let churned: Vec<bool> = cases.iter().map(|c| c.churned).collect();
    let means = means(cases, hand.len());
    let column = |x: &dyn Fn(&Case) -> f64, prior: f64, free: bool| Column { x: cases.iter().map(|c| x(c)).collect(), prior, ridge: settings.lambda, free };
    let score = Column { ridge: SMALL_RIDGE, ..column(&|c| hand_score(c, hand, &means), 0.0, false) };
    let slope = *minimise(&[score], &churned)?.coefficients.first()?;
    let sum: f64 = hand.iter().sum();
    let mut columns: Vec<Column> = Vec::new();
    for (m, w) in hand.iter().enumerate() {
        columns.push(column(&|c| c.values[m].unwrap_or(means.values[m]) / 100.0, slope * w / sum, false));
    }
    columns.push(column(&|c| 1.0 - c.silence.unwrap_or(means.silence), 0.0, false));
    for m in 0..if settings.flags { hand.len() } else { 0 } {
        columns.push(column(&|c| f64::from(u8::from(c.values[m].is_some())), 0.0, true));
    }
    let minimum = minimise(&columns, &churned)?;
    let (coefficients, rest) = minimum.coefficients.split_at(hand.len());
    let mut flags = rest[1..].to_vec();
    flags.resize(hand.len(), 0.0);
    let (intercept, coefficients, knots) = (minimum.intercept, coefficients.to_vec(), Vec::new());
    let model = Model { intercept, coefficients, silence: rest[0], flags, means: means.values, mean_silence: means.silence, knots };
    Some(Draft { model, slope, blocked: minimum.blocked })
}

/// (i): too few to learn from.
fn sparse((churned, outcomes): (usize, usize)) -> bool {
    churned < MIN_CHURNED || outcomes < MIN_OUTCOMES || outcomes - churned < MIN_CHURNED
}

fn check(cases: &[Case], hand: &[f64], settings: &Settings) -> Result<(), Invalid> {
    if hand.iter().any(|w| !w.is_finite() || *w < 0.0) || !(f64::MIN_POSITIVE..f64::MAX).contains(&hand.iter().sum()) {
        return Err(Invalid::HandWeights);
    }
    if !(1e-3..=1e9).contains(&settings.lambda) || !(2..=MIN_CHURNED).contains(&settings.folds) || settings.resamples < 20 {
        return Err(Invalid::Settings);
    }
    let within = |c: &Case| c.values.iter().flatten().all(|v| (0.0..=100.0).contains(v)) && c.silence.is_none_or(|s| (0.0..=1.0).contains(&s));
    if let Some(at) = cases.iter().position(|c| c.values.len() != hand.len()) {
        return Err(Invalid::Shape(at));
    }
    cases.iter().position(|c| !within(c)).map_or(Ok(()), |at| Err(Invalid::Range(at)))
}

/// The error that right probabilities show in 95 of 100 simulated worlds, or what is always allowed, if larger.
fn error_limit(predicted: &[f64], simulations: usize, rng: &mut Rng) -> Result<f64, Fault> {
    let simulate = |_| calibration_error(predicted, &predicted.iter().map(|p| rng.f64() < *p).collect::<Vec<_>>());
    let errors = (0..simulations).map(simulate).collect::<Result<Vec<f64>, Fault>>()?;
    Ok(quantile(&errors, 0.95).unwrap_or(0.0).max(ALLOWED_ERROR))
}

/// Calibrates the hand weights by outcomes and says whether the result may be used. `hand` in the order of the values.
pub fn calibrate(cases: &[Case], hand: &[f64], settings: &Settings) -> Result<Calibration, Invalid> {
    check(cases, hand, settings)?;
    let mut sorted: Vec<&Case> = cases.iter().collect();
    let order = |a: &Case, b: &Case| (a.group, a.churned, a.silence, &a.values).partial_cmp(&(b.group, b.churned, b.silence, &b.values));
    sorted.sort_by(|a, b| order(a, b).unwrap_or(Ordering::Equal));
    let groups: Vec<u64> = sorted.iter().map(|c| c.group).collect();
    let mut rng = Rng::with_seed(settings.seed);
    let folds = Folds::new(&groups, sorted.iter().map(|c| c.churned).collect(), settings.folds, &mut rng);
    let (churned, customers) = folds.customers(|_| true);
    let answer = |verdict, fit| Calibration { cases: cases.len(), customers, churned, verdict, fit };
    if sparse((churned, customers)) {
        return Ok(answer(Verdict::Refused(Refusal::TooFew { churned, outcomes: customers }), None));
    }
    Ok(match judge(&sorted, &folds, hand, settings, &mut rng) {
        Some((verdict, fit)) => answer(verdict, Some(fit)),
        None => answer(Verdict::Refused(Refusal::NotConverged), None),
    })
}

fn judge(cases: &[&Case], folds: &Folds, hand: &[f64], settings: &Settings, rng: &mut Rng) -> Option<(Verdict, Fit)> {
    let whole = draft(cases, hand, settings)?;
    let pick = |which: &[usize]| which.iter().map(|i| cases[*i]).collect::<Vec<&Case>>();
    let churned = folds.churned();
    let risk = folds.held_out(|seen| Some(draft(&pick(seen), hand, settings)?.model), |model, i| model.risk(&cases[i].values, cases[i].silence))?;
    let hand_risk = folds.held_out(|seen| Some(means(&pick(seen), hand.len())), |means, i| -hand_score(cases[i], hand, means))?;
    let gain_quantile = folds.gain(&hand_risk, &risk, |_| true, settings.resamples, rng)?.quantile;
    // Each fold's probabilities come from the other folds: judged where it was made, isotonic regression has no error.
    let learn = |seen: &[usize]| Some(isotonic(&seen.iter().map(|i| risk[*i]).collect::<Vec<_>>(), &folds.outcomes(seen)));
    let probability = folds.held_out(learn, |knots, i| interpolate(knots, risk[i]).unwrap_or(0.5))?;
    let figures = Figures {
        auc_hand: auc(&hand_risk, churned).ok()?,
        auc: auc(&risk, churned).ok()?,
        lift_hand: top_decile_lift(&hand_risk, churned).ok()?,
        lift: top_decile_lift(&risk, churned).ok()?,
        gain_quantile,
        error: calibration_error(&probability, churned).ok()?,
        error_limit: error_limit(&probability, settings.resamples, rng).ok()?,
    };
    let verdict = if gain_quantile <= 0.0 {
        Verdict::Refused(Refusal::NoGain { quantile: gain_quantile })
    } else if figures.error > figures.error_limit {
        Verdict::RankingOnly { error: figures.error, limit: figures.error_limit }
    } else {
        Verdict::Accepted
    };
    let (sum, of_hand): (f64, f64) = (whole.model.coefficients.iter().sum(), hand.iter().sum());
    let learned = |(m, (hand, coefficient)): (usize, (&f64, &f64))| {
        let values: Vec<Option<f64>> = cases.iter().map(|c| c.values[m]).collect();
        let too_few = sparse(folds.customers(|i| values[i].is_some()));
        let shape = if too_few { None } else { folds.shape_gain(&values, settings.resamples, rng) };
        let not_monotone = shape.is_some_and(|shape| shape.gain > SHAPE_GAIN && shape.quantile > 0.0);
        let weight = if sum > 0.0 { coefficient / sum * of_hand } else { *hand };
        Learned { hand: *hand, weight, coefficient: *coefficient, blocked: whole.blocked[m], not_monotone, too_few }
    };
    let measures = hand.iter().zip(&whole.model.coefficients).enumerate().map(learned).collect();
    let known = cases.iter().filter(|c| c.silence.is_some()).count();
    let silence = (known > 0).then(|| {
        let too_few = sparse(folds.customers(|i| cases[i].silence.is_some()));
        // Its column stands behind those of the measures.
        LearnedSilence { coefficient: whole.model.silence, known, blocked: whole.blocked[hand.len()], too_few }
    });
    let knots = if verdict == Verdict::Accepted { isotonic(&risk, churned) } else { Vec::new() };
    Some((verdict, Fit { model: Model { knots, ..whole.model }, measures, silence, slope: whole.slope, figures }))
}
