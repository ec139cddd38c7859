//! A calibrated model: what measures and silence make of the risk of losing a customer (SCIENCE 2.5). Pure.

use super::logistic::interpolate;
use serde::{Deserialize, Serialize};

/// The fitted model. Risk is `b0 - sum w V/100 - w_s (1 - silence) - sum g reported`, a logit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// `b0`.
    pub intercept: f64,
    /// `w_m`, not negative.
    pub coefficients: Vec<f64>,
    /// `w_s`, not negative; 0 when silence was never known.
    pub silence: f64,
    /// `g_m`; 0 without flags or where all cases are alike.
    pub flags: Vec<f64>,
    /// The portfolio mean of each measure, 0-100, which stands in for a missing value.
    pub means: Vec<f64>,
    /// The portfolio mean of silence.
    pub mean_silence: f64,
    /// Risk to probability, by isotonic regression: straight lines between these points. Empty when not accepted.
    pub knots: Vec<(f64, f64)>,
}

impl Model {
    /// The logit of churn. What is missing, or no number, counts as not reported.
    pub fn risk(&self, values: &[Option<f64>], silence: Option<f64>) -> f64 {
        let known = |m: usize| values.get(m).copied().flatten().filter(|v| v.is_finite());
        let measures = self.coefficients.iter().zip(&self.means).zip(&self.flags).enumerate();
        let good: f64 = measures.map(|(m, ((w, mean), g))| w * known(m).unwrap_or(*mean) / 100.0 + if known(m).is_some() { *g } else { 0.0 }).sum();
        let silence = silence.filter(|s| s.is_finite()).unwrap_or(self.mean_silence);
        self.intercept - good - self.silence * (1.0 - silence)
    }

    /// The probability of churn within the outcome window the model was trained on; `None` when only its ranking holds.
    pub fn probability(&self, values: &[Option<f64>], silence: Option<f64>) -> Option<f64> {
        interpolate(&self.knots, self.risk(values, silence))
    }
}
