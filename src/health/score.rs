//! The score: an evidence-weighted mean, re-normalised over what is known, with coverage, interval and an explanation
//! that adds up exactly (SCIENCE 2.2 and 2.3). Missing is never zero; below the floor the answer is unknown.

use super::evidence::Evidence;
use super::scorecard::{Band, CardMeasure, Scorecard};
use crate::intake::EvidenceClass;
use crate::kernel::number::{apportion, round};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// The 90 % quantile of the normal distribution: an 80 % interval.
const Z80: f64 = 1.2816;
/// The middle of the scale, from which contributions count.
const MIDDLE: f64 = 50.0;

/// What one measure adds to a score; figures in thousandths.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// The measure's id, as text.
    pub measure: String,
    /// Its weight in the scorecard.
    pub weight: f64,
    /// How much is known of it (`E_m`), 0-1000.
    pub evidence: i64,
    /// Its points (`V_m`), 0-100000; `None` when nothing is known.
    pub points: Option<i64>,
    /// What it adds to or takes from 50 points; `None` when the score is unknown or nothing is known.
    pub contribution: Option<i64>,
    /// How much of its evidence each class gives, 0-1000.
    pub sources: Vec<(EvidenceClass, i64)>,
    /// The newest day of its evidence.
    pub newest: Option<NaiveDate>,
}

/// A score on a day; figures in thousandths.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// 0-100000; `None` below the coverage floor.
    pub score: Option<i32>,
    /// The 80 % interval.
    pub interval: Option<(i32, i32)>,
    /// What it amounts to.
    pub band: Band,
    /// How much of what the scorecard asks is known, 0-1000.
    pub coverage: i32,
    /// Every measure of the scorecard, in its order.
    pub parts: Vec<Part>,
}

#[derive(Default)]
struct Sums {
    f: f64,
    fx: f64,
    f2: f64,
    by_class: Vec<(EvidenceClass, f64)>,
    newest: Option<NaiveDate>,
}

fn gather(measure: &CardMeasure, card: &Scorecard, evidence: &[Evidence], on: NaiveDate) -> Sums {
    let mut sums = Sums::default();
    for item in evidence.iter().filter(|item| item.measure == measure.id) {
        let age = (on - item.day).num_days();
        if age < 0 || age > i64::from(measure.valid_days) {
            continue;
        }
        let fading = measure.half_life_days.map_or(1.0, |half_life| (-(age as f64) / f64::from(half_life)).exp2());
        let f = card.source_weights.of(item.class, measure.nature) * fading;
        if f <= 0.0 {
            continue;
        }
        sums.f += f;
        sums.fx += f * measure.curve.points(item.value);
        sums.f2 += f * f;
        sums.newest = sums.newest.max(Some(item.day));
        match sums.by_class.iter_mut().find(|(class, _)| *class == item.class) {
            Some((_, sum)) => *sum += f,
            None => sums.by_class.push((item.class, f)),
        }
    }
    sums
}

/// How much of the evidence each class gives, in thousandths that add up to the whole.
fn shares(s: &Sums) -> Vec<(EvidenceClass, i64)> {
    let exact: Vec<f64> = s.by_class.iter().map(|(_, f)| f / s.f * 1000.0).collect();
    let total = if exact.is_empty() { 0 } else { 1000 };
    s.by_class.iter().map(|(class, _)| *class).zip(apportion(total, &exact)).collect()
}

fn milli(value: f64) -> i64 {
    round(value * 1000.0)
}

/// The score of one customer on a day. `evidence` may come in any order.
pub fn score(card: &Scorecard, measures: &[CardMeasure], evidence: &[Evidence], on: NaiveDate) -> Score {
    let mut evidence = evidence.to_vec();
    evidence.sort_by(Evidence::order);
    let sums: Vec<Sums> = measures.iter().map(|measure| gather(measure, card, &evidence, on)).collect();
    let asked: f64 = measures.iter().map(|measure| measure.weight).sum();
    // W_m E_m of each measure.
    let masses: Vec<f64> = measures.iter().zip(&sums).map(|(measure, s)| measure.weight * s.f.min(1.0)).collect();
    let values: Vec<Option<f64>> = sums.iter().map(|s| (s.f > 0.0).then(|| (s.fx / s.f).clamp(0.0, 100.0))).collect();
    let known: f64 = masses.iter().sum();
    let coverage = if asked > 0.0 { (known / asked).min(1.0) } else { 0.0 };
    let is_known = known > 0.0 && coverage >= card.coverage_floor;
    let mut parts: Vec<Part> = measures
        .iter()
        .zip(&sums)
        .zip(&values)
        .map(|((measure, s), value)| Part {
            measure: measure.id.to_string(),
            weight: measure.weight,
            evidence: milli(s.f.min(1.0)),
            points: value.map(milli),
            contribution: None,
            sources: shares(s),
            newest: s.newest,
        })
        .collect();
    if !is_known {
        return Score { score: None, interval: None, band: Band::Unknown, coverage: milli(coverage) as i32, parts };
    }
    let mean = masses.iter().zip(&values).map(|(mass, value)| mass * value.unwrap_or(0.0)).sum::<f64>() / known;
    let h = mean.clamp(0.0, 100.0);
    // (W_m E_m)^2 q_m / n_m with 1 / n_m = f2 / f^2, in an order that cannot underflow to 0 / 0.
    let noise: f64 = measures.iter().zip(&sums).filter(|(_, s)| s.f > 0.0).map(|(m, s)| (m.weight * (s.f.min(1.0) / s.f)).powi(2) * card.measure_variance * s.f2).sum();
    let variance = card.common_error.powi(2) + noise / (known * known) + ((1.0 - coverage) * card.unheard_spread).powi(2);
    let half = Z80 * variance.sqrt();
    let whole = milli(h);
    let heard: Vec<usize> = (0..parts.len()).filter(|i| values[*i].is_some()).collect();
    let exact: Vec<f64> = heard.iter().map(|i| masses[*i] * (values[*i].unwrap_or(MIDDLE) - MIDDLE) / known * 1000.0).collect();
    for (i, contribution) in heard.iter().zip(apportion(whole - milli(MIDDLE), &exact)) {
        parts[*i].contribution = Some(contribution);
    }
    let score = whole as i32;
    let interval = (milli((h - half).max(0.0)) as i32, milli((h + half).min(100.0)) as i32);
    Score { score: Some(score), interval: Some(interval), band: card.band(Some(score)), coverage: milli(coverage) as i32, parts }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::scorecard::Weighted;
    use crate::intake::{Curve, Nature};
    use crate::kernel::id::{MeasureId, TypeId};
    use proptest::prelude::*;
    use uuid::Uuid;

    fn day(n: i64) -> NaiveDate {
        NaiveDate::from_ymd_opt(2026, 1, 1).unwrap() + chrono::Duration::days(n)
    }

    fn measures(weights: &[f64]) -> (Scorecard, Vec<CardMeasure>) {
        let key = |i: usize| format!("m{i}").parse().unwrap();
        let card = Scorecard::with(weights.iter().enumerate().map(|(i, w)| Weighted { measure: key(i), weight: *w }).collect(), None, None, None);
        let list = weights.iter().enumerate().map(|(i, w)| CardMeasure {
            id: MeasureId::of(Uuid::from_u128(i as u128)),
            key: key(i),
            weight: *w,
            nature: Nature::Figure,
            curve: Curve::identity(),
            half_life_days: Some(30),
            valid_days: 365,
        });
        (card, list.collect())
    }

    fn said(measure: u128, value: f64, on: i64, class: EvidenceClass) -> Evidence {
        Evidence { measure: MeasureId::of(Uuid::from_u128(measure)), class, value, day: day(on) }
    }

    /// Worked by hand: two measures of weight 30 and 10; the first seen by the vendor today at 80, the second by the partner
    /// thirty days ago at 20. E = 1 and 0.8/2 = 0.4; D = 34; C = 34/40; h = (30*80 + 4*20)/34.
    #[test]
    fn a_score_worked_by_hand() {
        let (card, list) = measures(&[30.0, 10.0]);
        let s = score(&card, &list, &[said(0, 80.0, 30, EvidenceClass::VendorObserved), said(1, 20.0, 0, EvidenceClass::PartnerDeclared)], day(30));
        assert_eq!(s.coverage, 850);
        let h: f64 = (30.0 * 80.0 + 4.0 * 20.0) / 34.0;
        assert_eq!(s.score, Some(72_941));
        assert!((h * 1000.0 - 72_941.0).abs() < 0.5);
        assert_eq!(s.band, Band::Healthy);
        // k = 30*30/34 = 26.470588.., 4*(-30)/34 = -3.529411..
        assert_eq!(s.parts.iter().map(|p| p.contribution.unwrap()).collect::<Vec<_>>(), [26_470, -3_529]);
        let half = 1.2816 * (36.0 + 144.0 * (30.0f64.powi(2) + 4.0f64.powi(2)) / 34.0f64.powi(2) + (0.15f64 * 8.0).powi(2)).sqrt();
        assert_eq!(s.interval, Some(((h - half) * 1000.0, (h + half) * 1000.0)).map(|(l, u)| (l.round() as i32, u.round() as i32)));
    }

    #[test]
    fn too_little_is_unknown_and_missing_is_not_zero() {
        let (card, list) = measures(&[30.0, 10.0]);
        let nothing = score(&card, &list, &[], day(0));
        assert_eq!((nothing.score, nothing.band, nothing.coverage), (None, Band::Unknown, 0));
        let old = score(&card, &list, &[said(1, 90.0, 0, EvidenceClass::PartnerDeclared)], day(60));
        assert_eq!((old.score, old.coverage), (None, 50));
        let one = score(&card, &list, &[said(0, 90.0, 0, EvidenceClass::VendorObserved)], day(0));
        assert_eq!(one.score, Some(90_000));
    }

    proptest! {
        #[test]
        fn bounded_exact_and_independent_of_order(
            weights in prop::collection::vec(0.0f64..1000.0, 1..8),
            raw in prop::collection::vec((0u128..8, -1e6f64..1e6, 0i64..400, 0usize..4), 0..60),
            on in 0i64..400,
        ) {
            let (card, list) = measures(&weights);
            let evidence: Vec<Evidence> = raw.iter().map(|(m, v, d, c)| said(*m, *v, *d, EvidenceClass::ALL[*c])).collect();
            let s = score(&card, &list, &evidence, day(on));
            let mut reversed = evidence.clone();
            reversed.reverse();
            prop_assert_eq!(&s, &score(&card, &list, &reversed, day(on)));
            prop_assert!((0..=1000).contains(&s.coverage));
            if let Some(points) = s.score {
                prop_assert!((0..=100_000).contains(&points));
                let sum: i64 = s.parts.iter().filter_map(|p| p.contribution).sum();
                prop_assert_eq!(sum + 50_000, i64::from(points));
                let (low, high) = s.interval.unwrap();
                prop_assert!(0 <= low && low <= points && points <= high && high <= 100_000);
            }
        }

        #[test]
        fn never_falls_when_a_measure_rises(values in prop::collection::vec(0.0f64..100.0, 3), which in 0usize..3, rise in 0.0f64..50.0) {
            let (card, list) = measures(&[3.0, 2.0, 1.0]);
            let at = |v: &[f64]| score(&card, &list, &v.iter().enumerate().map(|(i, x)| said(i as u128, *x, 0, EvidenceClass::PartnerDeclared)).collect::<Vec<_>>(), day(3));
            let before = at(&values);
            let mut raised = values.clone();
            raised[which] = (raised[which] + rise).min(100.0);
            prop_assert!(at(&raised).score >= before.score);
        }
    }
}
