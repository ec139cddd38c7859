//! Curves: from a measure's unit to 0-100 points, high is good, by published knots and never by the range of current data,
//! so that one customer's points do not move when another's change (SCIENCE 2.1).

use crate::kernel::text::Broken;
use serde::{Deserialize, Serialize};

/// A point of a curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Knot {
    /// In the measure's unit.
    pub at: f64,
    /// 0-100.
    pub points: f64,
}

/// How values become points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Curve {
    /// Straight lines between knots in ascending order; level before the first and after the last.
    Piecewise {
        /// At least two.
        knots: Vec<Knot>,
    },
    /// Level from each knot (included) to the next; before the first, the first one's points.
    Step {
        /// At least one.
        knots: Vec<Knot>,
    },
    /// 0 points at `zero` and beyond, 100 at `full` and beyond, a straight line between; `full` may lie below `zero`.
    LinearClamped {
        /// Where points begin.
        zero: f64,
        /// Where they end.
        full: f64,
    },
    /// As `linear_clamped`, between `least` and `most` points: for a measure that must not decide alone.
    LinearBounded {
        /// Where points begin.
        zero: f64,
        /// Where they end.
        full: f64,
        /// The fewest points.
        least: f64,
        /// The most points.
        most: f64,
    },
    /// 100 points above 0, none at 0 and below.
    Boolean,
    /// Points by how the measure moves: the robust slope of its values over a window, per 30 days.
    Trend {
        /// The slope of 0 points and worse.
        falling: f64,
        /// The slope of 100 points and better.
        rising: f64,
        /// Days looked back, 14-365.
        window_days: i32,
    },
}

/// The most knots of a curve.
const MAX_KNOTS: usize = 50;

impl Curve {
    /// 0 to 100, as given.
    pub fn identity() -> Self {
        Self::LinearClamped { zero: 0.0, full: 100.0 }
    }

    /// Whether the curve is one: finite, ascending, within 0-100.
    pub fn is_sound(&self) -> bool {
        self.faults().is_empty()
    }

    /// Everything wrong with the curve, with its place in it.
    pub fn faults(&self) -> Vec<(String, Broken)> {
        let mut faults = Vec::new();
        let mut demand = |holds: bool, at: &str, code| {
            if !holds {
                faults.push((at.to_owned(), code));
            }
        };
        let points = 0.0..=100.0;
        match self {
            Self::Piecewise { knots } | Self::Step { knots } => {
                let least = if matches!(self, Self::Step { .. }) { 1 } else { 2 };
                demand(knots.len() >= least, "/knots", Broken::OutOfRange);
                demand(knots.len() <= MAX_KNOTS, "/knots", Broken::TooLong);
                let before = [None].into_iter().chain(knots.iter().map(|knot| Some(knot.at)));
                for (i, (knot, before)) in knots.iter().zip(before).enumerate().take(MAX_KNOTS) {
                    demand(knot.at.is_finite(), &format!("/knots/{i}/at"), Broken::OutOfRange);
                    demand(before.is_none_or(|before| before < knot.at) || !knot.at.is_finite(), &format!("/knots/{i}/at"), Broken::Contradiction);
                    demand(points.contains(&knot.points), &format!("/knots/{i}/points"), Broken::OutOfRange);
                }
            }
            Self::LinearClamped { zero, full } => demand(is_line(*zero, *full), "/full", Broken::OutOfRange),
            Self::LinearBounded { zero, full, least, most } => {
                demand(is_line(*zero, *full), "/full", Broken::OutOfRange);
                demand(points.contains(least), "/least", Broken::OutOfRange);
                demand(points.contains(most), "/most", Broken::OutOfRange);
                demand(least < most, "/most", Broken::Contradiction);
            }
            Self::Boolean => {}
            Self::Trend { falling, rising, window_days } => {
                demand(is_line(*falling, *rising), "/rising", Broken::OutOfRange);
                demand((14..=365).contains(window_days), "/window_days", Broken::OutOfRange);
            }
        }
        faults
    }

    /// The days a trend looks back; `None` for a curve of single values.
    pub fn window_days(&self) -> Option<i32> {
        match self {
            Self::Trend { window_days, .. } => Some(*window_days),
            _ => None,
        }
    }

    /// The points of a finite value (of a trend: of its slope per 30 days); always within 0-100.
    pub fn points(&self, value: f64) -> f64 {
        let points = match self {
            Self::Boolean => {
                if value > 0.0 {
                    100.0
                } else {
                    0.0
                }
            }
            Self::LinearClamped { zero, full } => line(*zero, *full, value) * 100.0,
            Self::LinearBounded { zero, full, least, most } => least + line(*zero, *full, value).clamp(0.0, 1.0) * (most - least),
            Self::Trend { falling, rising, .. } => line(*falling, *rising, value) * 100.0,
            Self::Step { knots } => {
                let reached = knots.iter().rev().find(|knot| knot.at <= value).or(knots.first());
                reached.map_or(0.0, |knot| knot.points)
            }
            Self::Piecewise { knots } => {
                let above = knots.partition_point(|knot| knot.at <= value);
                match (above.checked_sub(1).and_then(|i| knots.get(i)), knots.get(above)) {
                    (Some(a), Some(b)) => a.points + (value - a.at) / (b.at - a.at) * (b.points - a.points),
                    (Some(only), None) | (None, Some(only)) => only.points,
                    (None, None) => 0.0,
                }
            }
        };
        points.clamp(0.0, 100.0)
    }
}

fn is_line(zero: f64, full: f64) -> bool {
    zero.is_finite() && full.is_finite() && zero != full && (full - zero).is_finite()
}

fn line(zero: f64, full: f64, value: f64) -> f64 {
    (value - zero) / (full - zero)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn seats_used_by_the_book() {
        let seats = Curve::Piecewise { knots: [(0.0, 0.0), (50.0, 50.0), (90.0, 100.0)].map(|(at, points)| Knot { at, points }).to_vec() };
        assert!(seats.is_sound());
        for (value, points) in [(-1.0, 0.0), (25.0, 25.0), (50.0, 50.0), (70.0, 75.0), (90.0, 100.0), (200.0, 100.0)] {
            assert_eq!(seats.points(value), points);
        }
        let ces = Curve::LinearClamped { zero: 1.0, full: 7.0 };
        assert_eq!([1.0, 4.0, 7.0].map(|v| ces.points(v)), [0.0, 50.0, 100.0]);
        let tickets = Curve::LinearClamped { zero: 10.0, full: 0.0 };
        assert_eq!(tickets.points(0.0), 100.0);
        let bounded = Curve::LinearBounded { zero: 0.0, full: 10.0, least: 20.0, most: 80.0 };
        assert!(bounded.is_sound());
        assert_eq!([-5.0, 0.0, 5.0, 10.0, 99.0].map(|v| bounded.points(v)), [20.0, 20.0, 50.0, 80.0, 80.0]);
        let trend = Curve::Trend { falling: -10.0, rising: 10.0, window_days: 90 };
        assert_eq!([-20.0, -10.0, 0.0, 5.0].map(|v| trend.points(v)), [0.0, 0.0, 50.0, 75.0]);
        let step = Curve::Step { knots: [(0.0, 20.0), (10.0, 60.0)].map(|(at, points)| Knot { at, points }).to_vec() };
        assert_eq!([-5.0, 9.9, 10.0].map(|v| step.points(v)), [20.0, 20.0, 60.0]);
    }

    #[test]
    fn unsound_curves() {
        let knots = |list: &[(f64, f64)]| list.iter().map(|(at, points)| Knot { at: *at, points: *points }).collect::<Vec<_>>();
        let line = |zero: f64| Curve::LinearClamped { zero, full: 5.0 };
        let bounded = |least, most| Curve::LinearBounded { zero: 0.0, full: 5.0, least, most };
        for (curve, places) in [
            (Curve::Piecewise { knots: knots(&[(0.0, 0.0)]) }, vec![("/knots", Broken::OutOfRange)]),
            (Curve::Step { knots: vec![] }, vec![("/knots", Broken::OutOfRange)]),
            (Curve::Step { knots: (0..60).map(|i| Knot { at: f64::from(i), points: 1.0 }).collect() }, vec![("/knots", Broken::TooLong)]),
            (Curve::Piecewise { knots: knots(&[(1.0, 0.0), (1.0, 100.0)]) }, vec![("/knots/1/at", Broken::Contradiction)]),
            (
                Curve::Piecewise { knots: knots(&[(f64::NAN, 0.0), (1.0, 101.0), (2.0, -1.0)]) },
                vec![("/knots/0/at", Broken::OutOfRange), ("/knots/1/at", Broken::Contradiction), ("/knots/1/points", Broken::OutOfRange), ("/knots/2/points", Broken::OutOfRange)],
            ),
            (line(5.0), vec![("/full", Broken::OutOfRange)]),
            (line(f64::NAN), vec![("/full", Broken::OutOfRange)]),
            (bounded(60.0, 60.0), vec![("/most", Broken::Contradiction)]),
            (bounded(-1.0, 101.0), vec![("/least", Broken::OutOfRange), ("/most", Broken::OutOfRange)]),
            (Curve::Trend { falling: -1.0, rising: 1.0, window_days: 7 }, vec![("/window_days", Broken::OutOfRange)]),
        ] {
            assert_eq!(curve.faults(), places.into_iter().map(|(at, code)| (at.to_owned(), code)).collect::<Vec<_>>(), "{curve:?}");
        }
    }

    proptest! {
        #[test]
        fn points_stay_on_the_scale(at in prop::collection::vec((-1e300f64..1e300, 0.0f64..=100.0), 2..10), value in any::<f64>().prop_filter("finite", |v| v.is_finite())) {
            let mut knots: Vec<Knot> = at.into_iter().map(|(at, points)| Knot { at, points }).collect();
            knots.sort_by(|a, b| a.at.total_cmp(&b.at));
            knots.dedup_by(|a, b| a.at == b.at);
            let bounded = Curve::LinearBounded { zero: 3.0, full: -7.0, least: 10.0, most: 90.0 };
            for curve in [Curve::Piecewise { knots: knots.clone() }, Curve::Step { knots }, Curve::identity(), bounded, Curve::Boolean] {
                let points = curve.points(value);
                prop_assert!((0.0..=100.0).contains(&points), "{:?} {} {}", curve, value, points);
            }
        }
    }
}
