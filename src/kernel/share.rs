//! Shares of what is counted, with how sure they are (SCIENCE 2.7). Pure.

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

/// The net promoter score, -100 to 100: promoters less detractors in a hundred answers; and its 95 % interval, an adjusted Wald (Rocks 2016, SCIENCE 2.7).
/// `None` without answers.
pub fn net_promoter(promoters: usize, passives: usize, detractors: usize) -> Option<(f64, (f64, f64))> {
    let answers = promoters + passives + detractors;
    if answers == 0 {
        return None;
    }
    let (up, down, n) = (promoters as f64 + 0.75, detractors as f64 + 0.75, answers as f64 + 3.0);
    let v = (up - down) / n;
    let half = Z95 * (((up + down) / n - v * v) / n).sqrt();
    let score = 100.0 * (promoters as f64 - detractors as f64) / answers as f64;
    Some((score, (100.0 * (v - half).max(-1.0), 100.0 * (v + half).min(1.0))))
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

    #[test]
    fn net_promoter_of_the_check_pack() {
        for ((p, s, d), score, exact, printed) in
            [((50, 30, 20), 30.0, (14.051_130_059_851, 44.201_297_124_615), (14.05, 44.20)), ((3, 1, 1), 40.0, (-29.782_659_218_155, 79.782_659_218_155), (-29.8, 79.8))]
        {
            let (found, (low, high)) = net_promoter(p, s, d).unwrap();
            near(found, score, 1e-12);
            near(low, exact.0, 1e-9);
            near(high, exact.1, 1e-9);
            near(low, printed.0, 5e-2);
            near(high, printed.1, 5e-2);
        }
        assert_eq!(net_promoter(0, 0, 0), None);
        assert!(net_promoter(1, 0, 0).unwrap().1.1 <= 100.0);
    }
}
