//! The re-check of a calibration (SCIENCE 2.5): whether what was learned still tells who is lost. Pure.

use super::backtest::{Auc, auc};
use crate::kernel::id::CalibrationId;
use chrono::NaiveDate;

/// Of fewer lost, or fewer kept, customers nothing is said: their AUC is mostly chance.
pub const LEAST: usize = 10;

/// What the outcomes of a quarter said of a calibration.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Check {
    /// Of which.
    pub calibration: CalibrationId,
    /// The last day of the quarter: the end of a month.
    pub closed_on: NaiveDate,
    /// Outcomes.
    pub outcomes: usize,
    /// Losses among them.
    pub lost: usize,
    /// How well the learned risk went before loss, 0-1; `None` of too few.
    pub auc: Option<f64>,
    /// Its whole 95 % interval lies below that the calibration was judged by.
    pub is_below: bool,
}

impl Check {
    /// Sets the risk before each outcome against what happened, and against how good it was when it was learned.
    pub fn of(calibration: CalibrationId, closed_on: NaiveDate, risk: &[f64], happened: &[bool], learned: &Auc) -> Self {
        let lost = happened.iter().filter(|lost| **lost).count();
        let enough = lost >= LEAST && happened.len() - lost >= LEAST;
        let found = if enough { auc(risk, happened).ok() } else { None };
        // A quarter is few: what it shows by chance alone is no alarm.
        let is_below = found.and_then(|found| found.interval).zip(learned.interval).is_some_and(|((_, high), (low, _))| high < low);
        Self { calibration, closed_on, outcomes: happened.len(), lost, auc: found.map(|found| found.auc), is_below }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::id::TypeId;
    use uuid::Uuid;

    #[test]
    fn what_tells_nothing_any_more_is_below_and_few_say_nothing() {
        let learned = Auc { auc: 0.8, standard_error: Some(0.02), interval: Some((0.76, 0.84)) };
        let of = |n: usize, risk: fn(usize) -> f64| {
            let (risks, lost): (Vec<f64>, Vec<bool>) = (0..n).map(|i| (risk(i), i % 2 == 0)).unzip();
            let check = Check::of(CalibrationId::of(Uuid::nil()), NaiveDate::default(), &risks, &lost, &learned);
            (check.outcomes, check.lost, check.auc, check.is_below)
        };
        assert_eq!(of(40, |i| if i % 2 == 0 { 1.0 } else { 0.0 }), (40, 20, Some(1.0), false));
        assert_eq!(of(40, |_| 0.0), (40, 20, Some(0.5), true));
        // Every fourth pair is the wrong way round: 0.75, which so few may show by chance.
        let (_, _, told, is_below) = of(40, |i| {
            if i % 8 < 2 {
                0.5
            } else if i % 2 == 0 {
                1.0
            } else {
                0.0
            }
        });
        assert!(told.is_some_and(|told| told > 0.7) && !is_below, "{told:?}");
        assert_eq!(of(2 * LEAST - 1, |_| 0.0), (19, 10, None, false), "nine are kept");
    }
}
