//! Cases, and the model fitted to them: logistic regression with weights that may not turn negative, pulled towards the hand
//! weights (SCIENCE 2.5). What it is worth is judged elsewhere. Pure and deterministic.

use super::folds::SMALL_RIDGE;
use super::logistic::{Column, minimise};
use super::model::Model;
use chrono::NaiveDate;

/// One customer at one moment with a known outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Case {
    /// The customer: cases of one customer stay in one fold and are drawn together.
    pub group: u64,
    /// The day it ended, or was renewed: by days it is judged whether what is learned holds later. Where all are the same, it is not.
    pub day: NaiveDate,
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

/// The score by some weights over 100, missing values filled with the means.
pub fn score(case: &Case, weights: &[f64], means: &[f64]) -> f64 {
    let sum: f64 = weights.iter().zip(&case.values).zip(means).map(|((w, v), mean)| w * v.unwrap_or(*mean)).sum();
    sum / weights.iter().sum::<f64>() / 100.0
}

/// What a scorecard would weigh by: the coefficients, so that they add up to the sum of the hand weights.
pub fn proposed(coefficients: &[f64], hand: &[f64]) -> Vec<f64> {
    let (sum, of_hand): (f64, f64) = (coefficients.iter().sum(), hand.iter().sum());
    // No measure tells anything: nothing speaks against the hand weights.
    coefficients.iter().zip(hand).map(|(coefficient, hand)| if sum > 0.0 { coefficient / sum * of_hand } else { *hand }).collect()
}

/// A model fitted to cases, before it is judged.
pub struct Draft {
    /// To foretell with; without knots.
    pub model: Model,
    /// The slope of the hand score, >= 0.
    pub slope: f64,
    /// Where the data ask for less than 0: the measures in their order, then silence.
    pub blocked: Vec<bool>,
}

/// Fits a model; `None` without convergence.
pub fn draft(cases: &[&Case], hand: &[f64], settings: &Settings) -> Option<Draft> {
    let churned: Vec<bool> = cases.iter().map(|c| c.churned).collect();
    let means = means(cases, hand.len());
    let column = |x: &dyn Fn(&Case) -> f64, prior: f64, free: bool| Column { x: cases.iter().map(|c| x(c)).collect(), prior, ridge: settings.lambda, free };
    let by_hand = Column { ridge: SMALL_RIDGE, ..column(&|c| score(c, hand, &means.values), 0.0, false) };
    let slope = *minimise(&[by_hand], &churned)?.coefficients.first()?;
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
