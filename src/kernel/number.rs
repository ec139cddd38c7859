//! Rounding, once and half-even, and splitting a whole so that its parts add up (DECISIONS 11).

use smallvec::SmallVec;

/// Rounds to the nearest integer, ties to even. The caller guarantees a finite value in range of `i64`.
pub fn round(value: f64) -> i64 {
    // From 2^52 on the numbers there are lie 1 apart: adding that rounds by itself, where the method is a call on most machines, and a score rounds thirty times.
    const SHIFT: f64 = 1.5 * (1u64 << 52) as f64;
    let rounded = if value.abs() < (1u64 << 51) as f64 { value + SHIFT - SHIFT } else { value.round_ties_even() };
    rounded as i64
}

/// A figure kept in thousandths, as a number with at most three digits after the point.
pub fn thousandths(value: impl Into<i64>) -> f64 {
    value.into() as f64 / 1000.0
}

/// A figure as it is shown: with at most three digits after the point.
pub fn three_digits(value: f64) -> f64 {
    thousandths(round(value * 1000.0))
}

/// A figure of any size as it is shown: with seven digits that say something.
pub fn seven_digits(value: f64) -> f64 {
    format!("{value:.6e}").parse().unwrap_or(value)
}

/// `numerator / denominator`, rounded half-even in exact integer arithmetic; `None` when the denominator is not positive.
pub fn ratio(numerator: i128, denominator: i128) -> Option<i64> {
    if denominator <= 0 {
        return None;
    }
    let floor = numerator.div_euclid(denominator);
    let twice = numerator.rem_euclid(denominator) * 2;
    let up = match twice.cmp(&denominator) {
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Equal => floor.rem_euclid(2) == 1,
    };
    i64::try_from(floor + i128::from(up)).ok()
}

/// Integers as near to `parts` as can be whose sum is exactly `total`: largest remainder, ties to the earlier part.
/// `total` is the rounded sum of the parts, so that each part moves by less than one.
pub fn apportion(total: i64, parts: &[f64]) -> SmallVec<[i64; 16]> {
    let mut whole: SmallVec<[i64; 16]> = parts.iter().map(|part| part.floor() as i64).collect();
    let missing = total - whole.iter().sum::<i64>();
    if missing == 0 {
        return whole;
    }
    let mut by_remainder: SmallVec<[(f64, usize); 16]> = parts.iter().zip(&whole).map(|(part, whole)| part - *whole as f64).zip(0..).collect();
    by_remainder.sort_unstable_by(|(a, i), (b, j)| b.total_cmp(a).then(i.cmp(j)));
    // Floating sums may differ from the total by their last bit; then the smallest remainder gives way.
    if missing < 0 {
        by_remainder.reverse();
    }
    for (_, i) in by_remainder.iter().cycle().take(missing.unsigned_abs() as usize) {
        whole[*i] += missing.signum();
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ties_go_to_even() {
        assert_eq!([0.5, 1.5, 2.5, -0.5, -1.5].map(round), [0, 2, 2, 0, -2]);
        assert_eq!([0.0625, 0.1875, -0.0625, 1.0].map(three_digits), [0.062, 0.188, -0.062, 1.0]);
        assert_eq!([2.0 / 3.0, 2e100 / 3.0, 2e-100 / 3.0, 30.0, 0.0].map(seven_digits), [0.666_666_7, 6.666_667e99, 6.666_667e-101, 30.0, 0.0]);
        let edge = (1u64 << 51) as f64;
        assert_eq!([edge - 0.5, edge - 0.25, edge, 0.5 - edge, 0.25 - edge, -edge, -0.0].map(round), [1 << 51, 1 << 51, 1 << 51, -1 << 51, -1 << 51, -1 << 51, 0]);
        assert_eq!(ratio(1, 2), Some(0));
        assert_eq!(ratio(3, 2), Some(2));
        assert_eq!(ratio(-1, 2), Some(0));
        assert_eq!(ratio(-3, 2), Some(-2));
        assert_eq!(ratio(7, 3), Some(2));
        assert_eq!(ratio(1, 0), None);
    }

    proptest! {
        #[test]
        fn rounding_is_to_even(whole in -1_000_000_000_000i64..1_000_000_000_000, value in prop_oneof![-1e18f64..1e18, -1e6f64..1e6]) {
            prop_assert_eq!(round(value), value.round_ties_even() as i64);
            prop_assert_eq!(round(whole as f64 + 0.5), whole + whole.rem_euclid(2));
        }

        #[test]
        fn parts_add_up_and_move_less_than_one(parts in prop::collection::vec(-50_000.0f64..50_000.0, 1..40)) {
            let total = round(parts.iter().sum());
            let whole = apportion(total, &parts);
            prop_assert_eq!(whole.iter().sum::<i64>(), total);
            for (w, p) in whole.iter().zip(&parts) {
                prop_assert!((*w as f64 - p).abs() <= 1.0 + 1e-6, "{} {}", w, p);
            }
        }
    }
}
