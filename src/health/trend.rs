//! The direction of a series: the Theil-Sen slope, the median of the slopes between all pairs of days, by which a single odd value
//! among five days or more does not turn a series that runs one way.

/// The fewest points of which a slope is told.
const LEAST: usize = 3;
/// The days a slope is told for.
const PER_DAYS: f64 = 30.0;

/// The slope per 30 days of values by day number; `None` of fewer than three different days. The order does not matter; of several
/// values of one day their mean counts.
pub fn slope(points: &[(i64, f64)]) -> Option<f64> {
    let mut sorted = points.to_vec();
    sorted.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let days: Vec<(i64, f64)> = sorted.chunk_by(|a, b| a.0 == b.0).map(|same| (same[0].0, same.iter().map(|p| p.1 / same.len() as f64).sum())).collect();
    if days.len() < LEAST {
        return None;
    }
    let mut slopes: Vec<f64> = Vec::with_capacity(days.len() * (days.len() - 1) / 2);
    for (i, (day, value)) in days.iter().enumerate() {
        // Halves first: the difference of two large values must not overflow.
        slopes.extend(days[i + 1..].iter().map(|(later, other)| (other / 2.0 - value / 2.0) / (later - day) as f64 * 2.0 * PER_DAYS));
    }
    slopes.sort_by(f64::total_cmp);
    let (lower, upper) = (slopes[(slopes.len() - 1) / 2], slopes[slopes.len() / 2]);
    Some(lower / 2.0 + upper / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn one_odd_value_does_not_turn_it() {
        assert_eq!(slope(&[(0, 10.0), (30, 20.0)]), None);
        assert_eq!(slope(&[(0, 10.0), (0, 20.0), (30, 20.0)]), None);
        assert_eq!(slope(&[(0, 10.0), (30, 20.0), (60, 30.0)]), Some(10.0));
        // A straight fall of 5 a month with one value gone wild.
        assert_eq!(slope(&[(0, 80.0), (30, 75.0), (60, 0.0), (90, 65.0), (120, 60.0)]), Some(-5.0));
    }

    proptest! {
        #[test]
        fn finite_and_independent_of_order(points in prop::collection::vec((0i64..400, -1e15f64..1e15), 0..40)) {
            let forward = slope(&points);
            let mut turned = points.clone();
            turned.reverse();
            prop_assert_eq!(forward.map(f64::to_bits), slope(&turned).map(f64::to_bits));
            prop_assert!(forward.is_none_or(f64::is_finite));
        }
    }
}
