//! Reporter bias: how rosy a partner usually is, against what the vendor observed (SCIENCE 2.4). For one measure at a time.
//!
//! The line `mean = b0 + b1 * A` passes through the mean of all pairs, so a bias is relative to the average reporter of the
//! panel (weighted by pairs). What all reporters share is in `b0`: it cannot be told from a scale that runs higher.

use crate::kernel::share::Z95;
use std::cmp::Ordering;

/// Fewer anchored pairs than this, over all reporters: no bias is taken off anybody.
pub const MIN_PAIRS: usize = 30;
/// The most points a bias may take off or add.
pub const MAX_BIAS: f64 = 20.0;
/// Variances (points squared) below this are rounding errors, not differences.
const NO_VARIANCE: f64 = 1e-9;
/// How far a mean of points may lie outside 0-100 by rounding.
const SLACK: f64 = 1e-6;

/// From so many customers on a partner is told its own estimate: of fewer it would tell what the vendor observed of each.
pub const LEAST_PAIRS: i32 = 5;
/// And from so many reporters on: of two, each would know the other's.
pub const LEAST_REPORTERS: i32 = 5;

/// Which of a partner's estimates it is told, of those that stood when months began, oldest first, as pairs and reporters. A figure is told where behind it are as
/// many customers as behind each told before, or at least five more or fewer: two figures of nearly the same customers would tell what the vendor observed of
/// the one that joined (DECISIONS 24). Until then the last one stands.
pub fn told_of_months(months: impl IntoIterator<Item = (i32, i32)>) -> Option<usize> {
    let (mut shown, mut told) = (None, Vec::new());
    for (nth, (pairs, reporters)) in months.into_iter().enumerate() {
        if pairs < LEAST_PAIRS || reporters < LEAST_REPORTERS {
            shown = None;
        } else if told.iter().all(|before: &i32| *before == pairs || (before - pairs).abs() >= LEAST_PAIRS) {
            told.push(pairs);
            shown = Some(nth);
        }
    }
    shown
}

/// What a partner says of a customer, beside what the vendor saw of it. One pair per reporter and customer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair {
    /// The partner.
    pub reporter: u128,
    /// The partner's mean for this customer and measure, 0-100 points, nothing taken off.
    pub points: f64,
    /// The anchor `A_i`: the 365-day mean of the points of what the vendor observed of the customer and its surveys heard, 0-100.
    pub anchor: f64,
}

impl Pair {
    fn is_sound(&self) -> bool {
        let range = -SLACK..=100.0 + SLACK;
        range.contains(&self.points) && range.contains(&self.anchor)
    }

    /// An order that does not depend on when things arrived, so that sums come out the same to the last bit.
    fn order(a: &Self, b: &Self) -> Ordering {
        a.reporter.cmp(&b.reporter).then(a.anchor.total_cmp(&b.anchor)).then(a.points.total_cmp(&b.points))
    }
}

/// How rosy one reporter is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The partner.
    pub reporter: u128,
    /// What is taken off its points (`B[p,m]`): `shrink * raw`, within +-20. Positive: rosier than the average reporter.
    pub bias: f64,
    /// The mean residual (`e_p`), in points.
    pub raw: f64,
    /// The pairs behind it (`n_p`).
    pub n: usize,
    /// How far the raw figure is believed, 0-1: `n / (n + s2 / tau2)`; 0 when nothing is taken off anybody.
    pub shrink: f64,
    /// The 95 % interval of the bias, given `s2` and `tau2`: `shrink * raw -/+ 1.96 * sqrt(shrink * s2 / n)`, within +-20 like the bias. It
    /// knows nothing of the error of `s2`, `tau2` and the line. `None` when nothing is taken off anybody.
    pub interval: Option<(f64, f64)>,
}

/// The biases of all reporters for one measure, with the figures they come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// Where the line of all pairs meets an anchor of 0, in points.
    pub b0: f64,
    /// Points per point of anchor; 0 when all anchors are equal.
    pub b1: f64,
    /// Variance of residuals within a reporter, pooled (`N - k` degrees of freedom), points squared.
    pub s2: f64,
    /// Variance of true biases between reporters by moments, points squared; 0 when no difference shows.
    pub tau2: f64,
    /// Reporters.
    pub k: usize,
    /// Pairs over all reporters (`N`).
    pub n: usize,
    /// One per reporter, in the order of their ids.
    pub estimates: Vec<Estimate>,
}

impl Model {
    /// What is taken off a reporter's points; 0 for one without a pair.
    pub fn bias_of(&self, reporter: u128) -> f64 {
        self.estimates.binary_search_by_key(&reporter, |estimate| estimate.reporter).map_or(0.0, |i| self.estimates[i].bias)
    }
}

/// A least-squares line in centred form: `points - mean_points = slope * (anchor - mean_anchor)`.
struct Line {
    mean_points: f64,
    mean_anchor: f64,
    slope: f64,
}

impl Line {
    fn fit(pairs: &[Pair]) -> Self {
        let n = pairs.len() as f64;
        let mean_points = pairs.iter().map(|pair| pair.points).sum::<f64>() / n;
        let mean_anchor = pairs.iter().map(|pair| pair.anchor).sum::<f64>() / n;
        let xx: f64 = pairs.iter().map(|pair| (pair.anchor - mean_anchor).powi(2)).sum();
        let xy: f64 = pairs.iter().map(|pair| (pair.anchor - mean_anchor) * (pair.points - mean_points)).sum();
        let slope = if xx / n > NO_VARIANCE { xy / xx } else { 0.0 };
        Self { mean_points, mean_anchor, slope }
    }

    fn residual(&self, pair: &Pair) -> f64 {
        (pair.points - self.mean_points) - self.slope * (pair.anchor - self.mean_anchor)
    }
}

/// The residuals of one reporter.
struct Group {
    reporter: u128,
    n: f64,
    mean: f64,
    /// Sum of squares about the mean.
    within: f64,
}

impl Group {
    fn of(run: &[Pair], line: &Line) -> Option<Self> {
        let reporter = run.first()?.reporter;
        let n = run.len() as f64;
        let mean = run.iter().map(|pair| line.residual(pair)).sum::<f64>() / n;
        let within = run.iter().map(|pair| (line.residual(pair) - mean).powi(2)).sum();
        Some(Self { reporter, n, mean, within })
    }
}

/// `s2` and `tau2`.
fn variances(groups: &[Group]) -> (f64, f64) {
    let n: f64 = groups.iter().map(|group| group.n).sum();
    let k = groups.len() as f64;
    let mu = groups.iter().map(|group| group.n * group.mean).sum::<f64>() / n;
    let between: f64 = groups.iter().map(|group| group.n * (group.mean - mu).powi(2)).sum();
    if n <= k {
        // One pair each: reporter and customer cannot be told apart, so all of it counts as noise.
        return (if k > 1.0 { between / (k - 1.0) } else { 0.0 }, 0.0);
    }
    let s2 = groups.iter().map(|group| group.within).sum::<f64>() / (n - k);
    if groups.len() < 2 {
        return (s2, 0.0);
    }
    let tau2 = (between - (k - 1.0) * s2) / (n - groups.iter().map(|group| group.n * group.n).sum::<f64>() / n);
    (s2, if tau2 > NO_VARIANCE { tau2 } else { 0.0 })
}

/// The biases of the reporters of one measure. `pairs` may come in any order. `None` when there are none, or when a figure is
/// not a number within 0-100: then the caller is at fault and no part of the panel is to be believed.
pub fn estimate(pairs: &[Pair]) -> Option<Model> {
    if pairs.is_empty() || !pairs.iter().all(Pair::is_sound) {
        return None;
    }
    let mut pairs = pairs.to_vec();
    pairs.sort_by(Pair::order);
    let line = Line::fit(&pairs);
    let groups: Vec<Group> = pairs.chunk_by(|a, b| a.reporter == b.reporter).filter_map(|run| Group::of(run, &line)).collect();
    let (s2, tau2) = variances(&groups);
    let is_shown = tau2 > 0.0 && pairs.len() >= MIN_PAIRS;
    let within = |bias: f64| bias.clamp(-MAX_BIAS, MAX_BIAS);
    let estimates = groups.iter().map(|group| {
        let shrink = if is_shown { group.n / (group.n + s2 / tau2) } else { 0.0 };
        let middle = shrink * group.mean;
        let half = Z95 * (shrink * s2 / group.n).sqrt();
        Estimate {
            reporter: group.reporter,
            bias: within(middle),
            raw: group.mean,
            n: group.n as usize,
            shrink,
            interval: is_shown.then_some((within(middle - half), within(middle + half))),
        }
    });
    let estimates = estimates.collect();
    Some(Model { b0: line.mean_points - line.slope * line.mean_anchor, b1: line.slope, s2, tau2, k: groups.len(), n: pairs.len(), estimates })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pair(reporter: u128, points: f64, anchor: f64) -> Pair {
        Pair { reporter, points, anchor }
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    /// Three reporters with 16, 8 and 8 customers, half of each with anchor 40, half with 60; the line is 20 + A/2, a reporter
    /// lies 4 above, 2 below, 6 below it, and its customers lie 2 above and 2 below that in turn.
    fn by_hand() -> Vec<Pair> {
        let mut pairs = Vec::new();
        for (reporter, n, bias) in [(1u128, 16, 4.0), (2, 8, -2.0), (3, 8, -6.0)] {
            for i in 0..n {
                let anchor = if i < n / 2 { 40.0 } else { 60.0 };
                pairs.push(pair(reporter, 20.0 + anchor / 2.0 + bias + if i % 2 == 0 { 2.0 } else { -2.0 }, anchor));
            }
        }
        pairs
    }

    /// By hand: 16*4 - 8*2 - 8*6 = 0, and every reporter has the same anchors, so the line is found as laid: b0 20, b1 1/2, and
    /// e_p = 4, -2, -6; mu = 0. Within: 32 residuals of 2 about their mean: s2 = 128 / (32 - 3) = 128/29.
    /// Between: 16*16 + 8*4 + 8*36 = 576. N - sum n^2 / N = 32 - (256 + 64 + 64) / 32 = 20.
    /// tau2 = (576 - 2 * 128/29) / 20 = (16704 - 256) / 580 = 16448/580 = 4112/145.
    /// s2/tau2 = 128/29 * 145/4112 = 640/4112 = 40/257. Shrink: 16 / (16 + 40/257) = 4112/4152 = 514/519 and
    /// 8 / (8 + 40/257) = 2056/2096 = 257/262. B = 2056/519, -257/131, -771/131.
    /// Half width of the first: 1.959964 * sqrt(514/519 * 128/29 / 16).
    #[test]
    fn a_partner_is_told_by_the_month_and_never_of_one_that_joined() {
        let told = |months: &[(i32, i32)]| told_of_months(months.iter().copied());
        assert_eq!(told(&[(4, 9)]), None, "of four customers nothing");
        assert_eq!(told(&[(4, 9), (5, 9)]), Some(1));
        assert_eq!(told(&[(5, 9), (6, 9), (9, 9)]), Some(0), "untold until there are five more");
        assert_eq!(told(&[(5, 9), (6, 9), (10, 9), (10, 9)]), Some(3));
        // 11 lies five from 16, but one from 10.
        assert_eq!(told(&[(10, 9), (16, 9), (11, 9)]), Some(1));
        assert_eq!(told(&[(11, 5), (11, 4)]), None, "of four reporters nothing");
        assert_eq!(told(&[(11, 5), (11, 4), (12, 5)]), None, "what was told before the gap is remembered");
        assert_eq!(told(&[(11, 5), (11, 4), (11, 5)]), Some(2));
    }

    #[test]
    fn biases_worked_by_hand() {
        let model = estimate(&by_hand()).unwrap();
        assert!(near(model.b0, 20.0) && near(model.b1, 0.5));
        assert!(near(model.s2, 128.0 / 29.0) && near(model.tau2, 4112.0 / 145.0));
        assert_eq!((model.k, model.n), (3, 32));
        let expected = [(1, 4.0, 16, 514.0 / 519.0, 2056.0 / 519.0), (2, -2.0, 8, 257.0 / 262.0, -257.0 / 131.0), (3, -6.0, 8, 257.0 / 262.0, -771.0 / 131.0)];
        for (found, (reporter, raw, n, shrink, bias)) in model.estimates.iter().zip(expected) {
            assert_eq!((found.reporter, found.n), (reporter, n));
            assert!(near(found.raw, raw) && near(found.shrink, shrink) && near(found.bias, bias), "{found:?}");
        }
        let (low, high) = model.estimates[0].interval.unwrap();
        let half = 1.959_964 * (514.0f64 / 519.0 * 128.0 / 29.0 / 16.0).sqrt();
        assert!(near(low, 2056.0 / 519.0 - half) && near(high, 2056.0 / 519.0 + half));
        assert_eq!(model.bias_of(4), 0.0);
        assert_eq!(model.bias_of(3), model.estimates[2].bias);
    }

    /// Uneven counts and anchors; the figures come from exact fractions in another language.
    #[test]
    fn agrees_with_exact_fractions() {
        let pairs: Vec<Pair> = (0u32..40).map(|i| pair(u128::from(i * i % 7), f64::from(30 + (i * 17) % 53 + 4 * (i * i % 7)), f64::from(20 + (i * 29) % 61))).collect();
        let model = estimate(&pairs).unwrap();
        let found: Vec<f64> = [model.b0, model.b1, model.s2, model.tau2].into_iter().chain(model.estimates.iter().flat_map(|e| [e.raw, e.shrink, e.bias])).collect();
        #[rustfmt::skip]
        let expected = [
            58.251_857_756_4, 0.127_389_591_7, 256.604_474_471_2, 39.694_233_271_1,
            -10.912_207_477_9, 0.481_366_008_9, -5.252_765_762_1,
            -3.188_215_746_3, 0.629_848_119_9, -2.008_091_693_7,
            -0.807_642_546_0, 0.649_894_767_4, -0.524_882_664_6,
            10.021_393_511_8, 0.629_848_119_9, 6.311_955_862_4,
        ];
        assert_eq!(found.len(), expected.len());
        for (f, e) in found.iter().zip(expected) {
            assert!(near(*f, e), "{found:?}");
        }
    }

    #[test]
    fn takes_nothing_off_when_too_little_is_known() {
        let few: Vec<Pair> = by_hand().into_iter().take(29).collect();
        let model = estimate(&few).unwrap();
        assert!(model.tau2 > 0.0 && model.estimates.iter().all(|e| e.bias == 0.0 && e.shrink == 0.0 && e.interval.is_none()));
        assert!(estimate(&few.iter().copied().chain([pair(3, 42.0, 60.0)]).collect::<Vec<_>>()).unwrap().estimates[0].bias > 0.0);
    }

    #[test]
    fn degenerate_panels_take_nothing_off() {
        let one_reporter: Vec<Pair> = (0..40).map(|i| pair(7, f64::from(50 + i % 5), f64::from(30 + i))).collect();
        let one_each: Vec<Pair> = (0..40).map(|i| pair(i, 50.0 + (i % 9) as f64, 30.0 + i as f64)).collect();
        let all_same: Vec<Pair> = (0..40).map(|i| pair(i % 4, 70.1, 33.3)).collect();
        for pairs in [one_reporter, one_each, all_same, vec![pair(1, 50.0, 50.0)]] {
            let model = estimate(&pairs).unwrap();
            assert_eq!(model.tau2, 0.0);
            assert!([model.b0, model.b1, model.s2].iter().all(|figure| figure.is_finite()));
            assert!(model.estimates.iter().all(|e| e.bias == 0.0 && e.raw.is_finite()));
        }
        // Equal anchors say nothing of the slope, but the reporters still differ; without noise a difference is believed in full.
        let equal_anchors: Vec<Pair> = (0..40).map(|i| pair(i % 2, if i % 2 == 0 { 80.0 } else { 60.0 }, 33.3)).collect();
        let model = estimate(&equal_anchors).unwrap();
        assert_eq!((model.b1, model.estimates[0].shrink), (0.0, 1.0));
        assert!(near(model.bias_of(0), 10.0) && near(model.bias_of(1), -10.0));
        let far_apart: Vec<Pair> = (0..40).map(|i| pair(i % 2, if i % 2 == 0 { 100.0 } else { 0.0 }, 33.3)).collect();
        assert_eq!(estimate(&far_apart).unwrap().bias_of(0), MAX_BIAS);
    }

    #[test]
    fn refuses_what_is_not_points() {
        assert_eq!(estimate(&[]), None);
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 101.0] {
            assert_eq!(estimate(&[pair(1, bad, 50.0), pair(1, 50.0, 50.0)]), None);
            assert_eq!(estimate(&[pair(1, 50.0, bad)]), None);
        }
    }

    fn panels(top: f64) -> impl Strategy<Value = Vec<Pair>> {
        prop::collection::vec((0u128..12, 0.0..=top, 0.0f64..=100.0).prop_map(|(reporter, points, anchor)| pair(reporter, points, anchor)), 1..120)
    }

    proptest! {
        #[test]
        fn bounded_finite_and_shrunk(pairs in panels(100.0)) {
            let model = estimate(&pairs).unwrap();
            prop_assert!([model.b0, model.b1, model.s2, model.tau2].iter().all(|figure| figure.is_finite()));
            prop_assert!(model.s2 >= 0.0 && model.tau2 >= 0.0);
            prop_assert_eq!(model.estimates.iter().map(|e| e.n).sum::<usize>(), pairs.len());
            prop_assert_eq!(model.estimates.len(), model.k);
            for e in &model.estimates {
                prop_assert!(e.raw.is_finite() && e.bias.abs() <= MAX_BIAS && (0.0..=1.0).contains(&e.shrink));
                prop_assert!(e.bias.abs() <= e.raw.abs() && e.bias * e.raw >= 0.0);
                prop_assert!(e.interval.is_none_or(|(low, high)| low.is_finite() && high.is_finite() && -MAX_BIAS <= low && low <= e.bias && e.bias <= high && high <= MAX_BIAS));
                prop_assert_eq!(e.interval.is_some(), model.tau2 > 0.0 && model.n >= MIN_PAIRS);
            }
        }

        #[test]
        fn independent_of_order((pairs, shuffled) in panels(100.0).prop_flat_map(|pairs| (Just(pairs.clone()), Just(pairs).prop_shuffle()))) {
            prop_assert_eq!(estimate(&pairs), estimate(&shuffled));
        }

        /// A rosier reporter has a higher raw estimate, by the share of the rise that the line does not follow.
        #[test]
        fn rises_with_the_reporters_points(pairs in panels(80.0), rise in 0.1f64..20.0) {
            let reporter = pairs[0].reporter;
            let raised: Vec<Pair> = pairs.iter().map(|p| if p.reporter == reporter { pair(reporter, p.points + rise, p.anchor) } else { *p }).collect();
            let raw = |pairs: &[Pair]| estimate(pairs).unwrap().estimates.into_iter().find(|e| e.reporter == reporter).unwrap().raw;
            let mean = |of: &[f64]| of.iter().sum::<f64>() / of.len() as f64;
            let all: Vec<f64> = pairs.iter().map(|p| p.anchor).collect();
            let own: Vec<f64> = pairs.iter().filter(|p| p.reporter == reporter).map(|p| p.anchor).collect();
            let n = own.len() as f64;
            let xx: f64 = all.iter().map(|a| (a - mean(&all)).powi(2)).sum();
            let followed = n / all.len() as f64 + if xx > 1.0 { n * (mean(&own) - mean(&all)).powi(2) / xx } else { 0.0 };
            let risen = raw(&raised) - raw(&pairs);
            prop_assert!(risen >= -1e-9);
            if xx > 1.0 {
                prop_assert!((risen - rise * (1.0 - followed)).abs() < 1e-6, "{} {}", risen, followed);
            }
        }
    }
}
