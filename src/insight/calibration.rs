//! Calibrated weights, and the gate that decides whether they may replace the hand weights (SCIENCE 2.5).
//!
//! Pure and deterministic: the cases are put in order first, so that the same cases in any order give the same bits; all
//! randomness comes from the seed. The caller keeps the as-of discipline: values known before the outcome window only.

pub use super::draft::{Case, Settings};
pub use super::verdict::{Calibration, Figures, Fit, Later, Learned, LearnedSilence, Refusal, Verdict};

use super::backtest::{Fault, auc, calibration_error, calibration_table, top_decile_lift};
use super::draft::{draft, proposed, score};
use super::folds::{CHANCE, Customers, Folds};
use super::later::later;
use super::logistic::{interpolate, isotonic, quantile};
use super::model::Model;
use super::verdict::{MIN_CHURNED, sparse};
use fastrand::Rng;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use thiserror::Error;

/// The error of probabilities that is always allowed, 0-1; in (iii).
const ALLOWED_ERROR: f64 = 0.05;
/// A free fit that gains more AUC than this shows that a measure is not monotone.
const SHAPE_GAIN: f64 = 0.02;

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
    let order = |a: &Case, b: &Case| (a.group, a.churned, a.silence, &a.values, a.day).partial_cmp(&(b.group, b.churned, b.silence, &b.values, b.day));
    sorted.sort_by(|a, b| order(a, b).unwrap_or(Ordering::Equal));
    let groups: Vec<u64> = sorted.iter().map(|c| c.group).collect();
    let whose = Customers::new(&groups, sorted.iter().map(|c| c.churned).collect());
    let (churned, customers) = whose.count(|_| true);
    let is_known = |i: usize| sorted[i].values.iter().any(Option::is_some);
    let unknown = (0..sorted.len()).filter(|i| !is_known(*i)).count();
    // Of one that is lost it must be known before the loss.
    let lost: BTreeSet<u64> = sorted.iter().filter(|c| c.churned).map(|c| c.group).collect();
    let teaches = |i: usize| is_known(i) && (sorted[i].churned || !lost.contains(&sorted[i].group));
    let answer = |verdict, fit| Calibration { cases: cases.len(), customers, churned, unknown: Some(unknown), verdict, fit };
    if sparse((churned, customers)) {
        return Ok(answer(Verdict::Refused(Refusal::TooFew { churned, outcomes: customers }), None));
    }
    let (churned, outcomes) = whose.count(teaches);
    if sparse((churned, outcomes)) {
        return Ok(answer(Verdict::Refused(Refusal::NothingKnown { churned, outcomes }), None));
    }
    let mut rng = Rng::with_seed(settings.seed);
    let folds = Folds::new(whose, settings.folds, &mut rng);
    Ok(match judge(&sorted, &folds, hand, settings, &mut rng) {
        Some((verdict, fit)) => answer(verdict, Some(fit)),
        None => answer(Verdict::Refused(Refusal::NotConverged), None),
    })
}

fn judge(cases: &[&Case], folds: &Folds, hand: &[f64], settings: &Settings, rng: &mut Rng) -> Option<(Verdict, Fit)> {
    let whole = draft(cases, hand, settings)?;
    let pick = |which: &[usize]| which.iter().map(|i| cases[*i]).collect::<Vec<&Case>>();
    let (customers, churned) = (folds.customers(), folds.customers().churned());
    let learn = |seen: &[usize]| {
        let model = draft(&pick(seen), hand, settings)?.model;
        let weights = proposed(&model.coefficients, hand);
        Some((model, weights))
    };
    let foretell = |(model, weights): &(Model, Vec<f64>), i: usize| {
        let case = cases[i];
        [model.risk(&case.values, case.silence), -score(case, hand, &model.means), -score(case, weights, &model.means)]
    };
    let foretold = folds.held_out(learn, foretell)?;
    let [risk, hand_risk, weights_risk] = [0usize, 1, 2].map(|of| foretold.iter().map(|risks| risks[of]).collect::<Vec<f64>>());
    // What is drawn later stands below: whoever draws more leaves the figures above it as they were.
    let gain_quantile = customers.gain(&hand_risk, &risk, CHANCE, |_| true, settings.resamples, rng)?.low;
    // Each fold's probabilities come from the other folds: judged where it was made, isotonic regression has no error.
    let learn = |seen: &[usize]| Some(isotonic(&seen.iter().map(|i| risk[*i]).collect::<Vec<_>>(), &folds.outcomes(seen)));
    let probability = folds.held_out(learn, |knots, i| interpolate(knots, risk[i]).unwrap_or(0.5))?;
    let error_limit = error_limit(&probability, settings.resamples, rng).ok()?;
    let shape = |m: usize| {
        let values: Vec<Option<f64>> = cases.iter().map(|c| c.values[m]).collect();
        let too_few = sparse(customers.count(|i| values[i].is_some()));
        let shape = if too_few { None } else { folds.shape_gain(&values, settings.resamples, rng) };
        (too_few, shape.is_some_and(|shape| shape.gain > SHAPE_GAIN && shape.low > 0.0))
    };
    let shapes: Vec<(bool, bool)> = (0..hand.len()).map(shape).collect();
    let weights_gain = customers.gain(&hand_risk, &weights_risk, CHANCE, |_| true, settings.resamples, rng)?.low;
    let later = later(cases, hand, settings, rng);
    let figures = Figures {
        auc_hand: auc(&hand_risk, churned).ok()?,
        auc: auc(&risk, churned).ok()?,
        lift_hand: top_decile_lift(&hand_risk, churned).ok()?,
        lift: top_decile_lift(&risk, churned).ok()?,
        gain_quantile,
        weights_gain_quantile: Some(weights_gain),
        error: calibration_error(&probability, churned).ok()?,
        error_limit,
    };
    let verdict = if gain_quantile <= 0.0 {
        Verdict::Refused(Refusal::NoGain { quantile: gain_quantile })
    } else if let Some(Later { gain_low: low, gain_high: high, .. }) = later.filter(|later| later.gain_high < 0.0) {
        // The later part is small: that it shows no gain says little, that it shows a loss says enough.
        Verdict::Refused(Refusal::WorseLater { low, high })
    } else if figures.error > figures.error_limit {
        Verdict::RankingOnly { error: figures.error, limit: figures.error_limit }
    } else {
        Verdict::Accepted
    };
    let lose_later = later.and_then(|later| later.weights_gain_high).is_some_and(|high| high < 0.0);
    let weights_kept = weights_gain <= 0.0 || lose_later || matches!(verdict, Verdict::Refused(_));
    let weights = if weights_kept { hand.to_vec() } else { proposed(&whole.model.coefficients, hand) };
    let learned = |(m, (too_few, not_monotone)): (usize, (bool, bool))| Learned {
        hand: hand[m],
        weight: weights[m],
        coefficient: whole.model.coefficients[m],
        blocked: whole.blocked[m],
        not_monotone,
        too_few,
    };
    let measures = shapes.into_iter().enumerate().map(learned).collect();
    let known = cases.iter().filter(|c| c.silence.is_some()).count();
    let silence = (known > 0).then(|| {
        let too_few = sparse(customers.count(|i| cases[i].silence.is_some()));
        // Its column stands behind those of the measures.
        LearnedSilence { coefficient: whole.model.silence, known, blocked: whole.blocked[hand.len()], too_few }
    });
    let knots = if verdict == Verdict::Accepted { isotonic(&risk, churned) } else { Vec::new() };
    let table = calibration_table(&probability, churned).ok()?;
    Some((verdict, Fit { model: Model { knots, ..whole.model }, measures, weights_kept, silence, slope: whole.slope, figures, table, later }))
}
