//! Shares of what is counted, and how sure they are (SCIENCE 2.6, 2.7).

use crate::insight::cell::Standing;

/// The two-sided 95 % quantile of the normal distribution.
pub const Z95: f64 = 1.959_964;

/// The 95 % Wilson interval of a share (SCIENCE 2.7); `None` of nothing. `part` must not be more than `whole`.
pub fn wilson(part: usize, whole: usize) -> Option<(f64, f64)> {
    if whole == 0 || part > whole {
        return None;
    }
    let (n, z2) = (whole as f64, Z95 * Z95);
    let p = part as f64 / n;
    let centre = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z95 / (1.0 + z2 / n) * (p * (1.0 - p) / n + z2 / (4.0 * n * n)).sqrt();
    let low = if part == 0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if part == whole { 1.0 } else { (centre + half).min(1.0) };
    Some((low, high))
}

/// How one share stands against another, each a part and its whole, the higher one being the better: only a difference whose 95 % interval leaves out
/// nothing is one (SCIENCE 2.6). The interval is Newcombe's of two Wilson intervals (1998, method 10). `None` where one is of nothing.
pub fn against((part, whole): (usize, usize), (other_part, other_whole): (usize, usize)) -> Option<Standing> {
    let (low, high) = wilson(part, whole)?;
    let (other_low, other_high) = wilson(other_part, other_whole)?;
    let (p, q) = (part as f64 / whole as f64, other_part as f64 / other_whole as f64);
    let (below, above) = ((p - low).hypot(other_high - q), (high - p).hypot(q - other_low));
    Some(match p - q {
        better if better > below => Standing::Better,
        worse if worse < -above => Standing::Worse,
        _ => Standing::NoDifferenceShown,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(found: f64, wanted: f64, by: f64) {
        assert!((found - wanted).abs() < by, "{found} is not {wanted}");
    }

    /// The check values of SCIENCE 2.7.
    #[test]
    fn wilson_of_the_check_pack() {
        // As printed, to its four digits; and as the formula gives it in decimal arithmetic.
        for (k, n, exact, printed) in [
            (8, 10, (0.490162469122, 0.943317849062), (0.4902, 0.9433)),
            (0, 5, (0.000000000000, 0.434482468659), (0.0, 0.4345)),
            (45, 50, (0.786397684514, 0.956524235343), (0.7864, 0.9565)),
        ] {
            let (low, high) = wilson(k, n).unwrap();
            near(low, exact.0, 1e-9);
            near(high, exact.1, 1e-9);
            near(low, printed.0, 5e-5);
            near(high, printed.1, 5e-5);
        }
        assert_eq!(wilson(0, 0), None);
    }

    /// Newcombe's own example: 56 of 70 and 48 of 80 are 0.2 apart, 0.0524 to 0.3339.
    #[test]
    fn a_difference_worked_by_hand() {
        let ((low, high), (other_low, other_high)) = (wilson(56, 70).unwrap(), wilson(48, 80).unwrap());
        near(0.2 - (0.8 - low).hypot(other_high - 0.6), 0.0524, 5e-5);
        near(0.2 + (high - 0.8).hypot(0.6 - other_low), 0.3339, 5e-5);
        assert_eq!((against((56, 70), (48, 80)), against((48, 80), (56, 70))), (Some(Standing::Better), Some(Standing::Worse)));
        assert_eq!(against((5, 7), (5, 8)), Some(Standing::NoDifferenceShown));
        assert_eq!((against((0, 0), (1, 2)), against((1, 2), (0, 0))), (None, None));
    }
}
