//! Validation ahead in time (SCIENCE 2.5): learned from what had happened by a day, judged on what happened after it to
//! customers not learned from. All randomness comes from the generator given.

use super::backtest::auc;
use super::draft::{Case, Settings, draft, proposed, score};
use super::folds::Customers;
use super::verdict::{Later, MIN_CHURNED, sparse};
use chrono::NaiveDate;
use fastrand::Rng;

/// The day by which two thirds of the cases are past; `None` without cases.
fn two_thirds(cases: &[&Case]) -> Option<NaiveDate> {
    let mut days: Vec<NaiveDate> = cases.iter().map(|c| c.day).collect();
    days.sort_unstable();
    days.get((2 * days.len()).div_ceil(3).checked_sub(1)?).copied()
}

/// Judges a fit ahead in time; the cases of one customer stand next to each other. `None` where too little was known by then or
/// became known later to say anything.
pub fn later(cases: &[&Case], hand: &[f64], settings: &Settings, rng: &mut Rng) -> Option<Later> {
    let until = two_thirds(cases)?;
    let (mut before, mut after): (Vec<&Case>, Vec<&Case>) = (Vec::new(), Vec::new());
    for customer in cases.chunk_by(|a, b| a.group == b.group) {
        let (past, coming): (Vec<&Case>, Vec<&Case>) = customer.iter().copied().partition(|c| c.day <= until);
        // Who was learned from is not judged on. To leave out of the learning who is heard of again instead would leave out
        // those who stayed.
        if past.is_empty() { after.extend(coming) } else { before.extend(past) }
    }
    let whose = |part: &[&Case]| Customers::new(&part.iter().map(|c| c.group).collect::<Vec<_>>(), part.iter().map(|c| c.churned).collect());
    let customers = whose(&after);
    let (churned, all) = customers.count(|_| true);
    if sparse(whose(&before).count(|_| true)) || churned < MIN_CHURNED || all - churned < MIN_CHURNED {
        return None;
    }
    let model = draft(&before, hand, settings)?.model;
    let risk: Vec<f64> = after.iter().map(|c| model.risk(&c.values, c.silence)).collect();
    let hand_risk: Vec<f64> = after.iter().map(|c| -score(c, hand, &model.means)).collect();
    // The hand score counts as it is, also below chance: which of the two is worse is what is asked.
    let gain = customers.gain(&hand_risk, &risk, 0.0, |_| true, settings.resamples, rng)?;
    let weights = proposed(&model.coefficients, hand);
    let weights_risk: Vec<f64> = after.iter().map(|c| -score(c, &weights, &model.means)).collect();
    let weights_gain = customers.gain(&hand_risk, &weights_risk, 0.0, |_| true, settings.resamples, rng)?;
    Some(Later {
        until,
        customers: all,
        churned,
        auc_hand: auc(&hand_risk, customers.churned()).ok()?,
        auc: auc(&risk, customers.churned()).ok()?,
        gain_low: gain.low,
        gain_high: gain.high,
        weights_gain_high: Some(weights_gain.high),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Duration;

    #[test]
    fn the_day_by_which_two_thirds_are_past() {
        let cut = |days: &[i64]| {
            let case = |day: &i64| Case { group: 0, day: NaiveDate::default() + Duration::days(*day), values: vec![], silence: None, churned: false };
            let cases: Vec<Case> = days.iter().map(case).collect();
            two_thirds(&cases.iter().collect::<Vec<_>>()).map(|day| (day - NaiveDate::default()).num_days())
        };
        assert_eq!(cut(&[]), None);
        assert_eq!(cut(&[9]), Some(9));
        assert_eq!(cut(&[3, 1, 2]), Some(2));
        assert_eq!(cut(&[4, 3, 2, 1]), Some(3));
        assert_eq!(cut(&[1, 5, 5, 5, 5, 9]), Some(5));
    }
}
