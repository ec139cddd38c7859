//! A cell: additive figures over the customers of a partner. What is shown is derived from the sums in exact integers and
//! rounded once (DECISIONS 11).

use crate::kernel::id::PartnerId;
use crate::kernel::number::{ratio, round};
use crate::kernel::share::Z95;

crate::word_list! {
    /// How a mean stands against another.
    Standing {
        /// Higher.
        Better = "better",
        /// Lower.
        Worse = "worse",
        /// The intervals allow no order.
        NoDifferenceShown = "no_difference_shown",
    }
}

/// The sums. Scores and coverage in thousandths, value per year in minor units of the reporting currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(missing_docs, reason = "the columns of cell; bands first by customers, then by value")]
pub struct Cell {
    pub healthy: i64,
    pub watch: i64,
    pub at_risk: i64,
    pub unknown: i64,
    pub value_healthy: i64,
    pub value_watch: i64,
    pub value_at_risk: i64,
    pub value_unknown: i64,
    /// Customers with a value that could not be converted.
    pub unconverted: i64,
    pub score_sum: i64,
    pub score_squares: i64,
    pub coverage_sum: i64,
    /// Customers reported on within their cadence.
    pub in_cadence: i64,
    pub value_in_cadence: i64,
    /// Customers reported on at all.
    pub heard: i64,
    pub report_age_sum: i64,
    /// The sum of value x score.
    pub value_scores: i128,
    /// The known customers by whole points of their score.
    pub points: Points,
}

impl std::ops::AddAssign for Cell {
    fn add_assign(&mut self, o: Self) {
        self.healthy += o.healthy;
        self.watch += o.watch;
        self.at_risk += o.at_risk;
        self.unknown += o.unknown;
        self.value_healthy += o.value_healthy;
        self.value_watch += o.value_watch;
        self.value_at_risk += o.value_at_risk;
        self.value_unknown += o.value_unknown;
        self.unconverted += o.unconverted;
        self.score_sum += o.score_sum;
        self.score_squares += o.score_squares;
        self.coverage_sum += o.coverage_sum;
        self.in_cadence += o.in_cadence;
        self.value_in_cadence += o.value_in_cadence;
        self.heard += o.heard;
        self.report_age_sum += o.report_age_sum;
        self.value_scores += o.value_scores;
        self.points += o.points;
    }
}

impl std::ops::Add for Cell {
    type Output = Self;
    fn add(mut self, o: Self) -> Self {
        self += o;
        self
    }
}

impl std::iter::Sum for Cell {
    fn sum<I: Iterator<Item = Self>>(cells: I) -> Self {
        cells.fold(Self::default(), |sum, cell| sum + cell)
    }
}

impl Cell {
    /// How this mean, of a part, stands against that of the rest of the whole.
    pub fn against_rest_of(&self, whole: &Self) -> Option<Standing> {
        self.against(&whole.without(self))
    }

    /// What is left when a part is taken out, as far as [`Self::against`] looks at it.
    fn without(&self, part: &Self) -> Self {
        Self {
            healthy: self.healthy - part.healthy,
            watch: self.watch - part.watch,
            at_risk: self.at_risk - part.at_risk,
            unknown: self.unknown - part.unknown,
            score_sum: self.score_sum - part.score_sum,
            score_squares: self.score_squares - part.score_squares,
            ..Self::default()
        }
    }

    /// Customers whose health is known.
    pub fn known(&self) -> i64 {
        self.healthy + self.watch + self.at_risk
    }

    /// All customers.
    pub fn customers(&self) -> i64 {
        self.known() + self.unknown
    }

    /// Their value.
    pub fn value(&self) -> i64 {
        self.value_known() + self.value_unknown
    }

    /// The value of those whose health is known.
    pub fn value_known(&self) -> i64 {
        self.value_healthy + self.value_watch + self.value_at_risk
    }

    /// The plain mean of known health, in thousandths.
    pub fn mean(&self) -> Option<i64> {
        ratio(self.score_sum.into(), self.known().into())
    }

    /// Whether value and points were counted for every known customer; closes made before they were are without.
    fn is_complete(&self) -> bool {
        self.points.customers() == self.known()
    }

    /// The mean of known health weighted by value, in thousandths; `None` without value.
    pub fn value_weighted_mean(&self) -> Option<i64> {
        ratio(self.value_scores, self.value_known().into()).filter(|_| self.is_complete())
    }

    /// Between which the value-weighted mean of all lies, in thousandths, whatever the unknown turn out to be: all at 0, all at 100.
    pub fn value_weighted_bounds(&self) -> Option<(i64, i64)> {
        let at = |points: i64| ratio(self.value_scores + i128::from(self.value_unknown) * i128::from(points), self.value().into());
        Some((at(0)?, at(100_000)?)).filter(|_| self.is_complete())
    }

    /// The least whole points that at least this share of the known customers, in hundredths, do not exceed; `None` without any.
    pub fn quantile(&self, hundredths: i64) -> Option<i64> {
        self.points.quantile(hundredths).filter(|_| self.is_complete())
    }

    /// Between which that lies of all customers, whatever the unknown turn out to be: all at 0, all at 100.
    pub fn quantile_bounds(&self, hundredths: i64) -> Option<(i64, i64)> {
        let unknown = u32::try_from(self.unknown).ok()?;
        let with_all = |point: usize| {
            let mut points = self.points;
            points.0[point] += unknown;
            points.quantile(hundredths)
        };
        with_all(0).zip(with_all(100)).filter(|_| self.is_complete())
    }

    /// The 95 % interval of the mean, in thousandths: what the unknown may add (SCIENCE 2.6, finite population). Needs two
    /// known customers; as wide as nothing when all are known.
    pub fn mean_interval(&self) -> Option<(i64, i64)> {
        let (n, all) = (i128::from(self.known()), i128::from(self.customers()));
        if n < 2 {
            return None;
        }
        let sum = i128::from(self.score_sum);
        // n * (n - 1) times the sample variance, exactly.
        let spread = (n * i128::from(self.score_squares) - sum * sum).max(0) as f64;
        let variance = spread / (n * (n - 1)) as f64;
        let unseen = (all - n) as f64 / (all - 1) as f64;
        let half = Z95 * (variance / n as f64 * unseen).sqrt();
        let mean = sum as f64 / n as f64;
        Some((round((mean - half).max(0.0)), round((mean + half).min(100_000.0))))
    }

    /// Between which the mean of all lies, in thousandths, whatever the unknown turn out to be: all at 0, all at 100 (DOMAIN 6.3).
    pub fn mean_bounds(&self) -> Option<(i64, i64)> {
        let at = |points: i64| ratio(i128::from(self.score_sum) + i128::from(self.unknown) * i128::from(points), self.customers().into());
        Some((at(0)?, at(100_000)?))
    }

    /// Between which the share at risk of all lies, in thousandths, whatever the unknown turn out to be: none of them at risk, all of them.
    pub fn share_at_risk_bounds(&self) -> Option<(i64, i64)> {
        Self::share(self.at_risk, self.customers()).zip(Self::share(self.at_risk + self.unknown, self.customers()))
    }

    /// How this mean stands against that of others: only a difference whose 95 % interval leaves out nothing is one (SCIENCE 2.6).
    pub fn against(&self, others: &Self) -> Option<Standing> {
        let error = |cell: &Self| Some(((cell.mean()? - cell.mean_interval()?.0).max(cell.mean_interval()?.1 - cell.mean()?)) as f64 / Z95);
        let difference = (self.mean()? - others.mean()?) as f64;
        let half = Z95 * error(self)?.hypot(error(others)?);
        Some(match difference {
            better if better > half => Standing::Better,
            worse if worse < -half => Standing::Worse,
            _ => Standing::NoDifferenceShown,
        })
    }

    /// A share in thousandths.
    pub fn share(part: i64, whole: i64) -> Option<i64> {
        ratio(i128::from(part) * 1000, whole.into())
    }

    /// The mean coverage, in thousandths.
    pub fn mean_coverage(&self) -> Option<i64> {
        ratio(self.coverage_sum.into(), self.customers().into())
    }

    /// The mean age of the last report of those reported on, in thousandths of a day.
    pub fn mean_report_age(&self) -> Option<i64> {
        ratio(i128::from(self.report_age_sum) * 1000, self.heard.into())
    }
}

/// The cell of a group.
#[derive(Debug, Clone)]
pub struct Group {
    /// Whose customers; absent where those of all visible partners are together.
    pub partner: Option<PartnerId>,
    /// The groups of the facet's dimensions; empty where nobody said, and where the facet has fewer.
    pub keys: [String; 2],
    /// The figures.
    pub cell: Cell,
}

/// Customers by whole points of their score, 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Points([u32; 101]);

impl Default for Points {
    fn default() -> Self {
        Self([0; 101])
    }
}

impl std::ops::AddAssign for Points {
    fn add_assign(&mut self, o: Self) {
        self.0.iter_mut().zip(o.0).for_each(|(mine, theirs)| *mine += theirs);
    }
}

impl Points {
    /// Decimal digits a point takes in the number a histogram is kept as: sums of such numbers are sums of histograms, as long as no point
    /// holds a hundred million customers.
    const DIGITS: usize = 8;

    /// From the number it is kept as.
    pub fn of_number(number: &str) -> Option<Self> {
        let mut points = Self::default();
        if !number.bytes().all(|digit| digit.is_ascii_digit()) || number.len() > points.0.len() * Self::DIGITS {
            return None;
        }
        for (point, digits) in points.0.iter_mut().zip(number.as_bytes().rchunks(Self::DIGITS)) {
            *point = digits.iter().fold(0, |n, digit| n * 10 + u32::from(digit - b'0'));
        }
        Some(points)
    }

    fn customers(&self) -> i64 {
        self.0.iter().map(|n| i64::from(*n)).sum()
    }

    fn quantile(&self, hundredths: i64) -> Option<i64> {
        let all = self.customers();
        let mut passed = 0;
        let found = self.0.iter().position(|n| {
            passed += i64::from(*n);
            passed * 100 >= all * hundredths
        });
        found.filter(|_| all > 0).map(|point| point as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_histogram_survives_being_a_number(scores in proptest::collection::vec(0i64..=100_000, 1..60), hundredths in 1i64..=100) {
            let mut digits = vec![0u32; 101];
            scores.iter().for_each(|score| digits[(score / 1000) as usize] += 1);
            let number: String = digits.iter().rev().map(|n| format!("{n:08}")).collect();
            let points = Points::of_number(number.trim_start_matches('0')).unwrap();
            prop_assert_eq!(points, Points::of_number(&number).unwrap());
            let mut sorted: Vec<i64> = scores.iter().map(|score| score / 1000).collect();
            sorted.sort_unstable();
            let rank = (scores.len() as i64 * hundredths + 99) / 100;
            prop_assert_eq!(points.quantile(hundredths), Some(sorted[rank as usize - 1]));
        }
    }

    #[test]
    fn a_quantile_of_all_lies_between_the_worst_and_the_best_the_unknown_may_be() {
        let points = Points::of_number(&format!("3{}", "0".repeat(Points::DIGITS * 40))).unwrap();
        let cell = Cell { watch: 3, points, ..Cell::default() };
        let told = |unknown| [25, 50, 90].map(|share| Cell { unknown, ..cell }.quantile_bounds(share));
        assert_eq!(told(0), [Some((40, 40)); 3], "all are known");
        assert_eq!(told(1), [Some((0, 40)), Some((40, 40)), Some((40, 100))]);
        assert_eq!(told(9), [Some((0, 40)), Some((0, 100)), Some((40, 100))]);
        assert_eq!(Cell { unknown: 1, ..Cell::default() }.quantile_bounds(50), Some((0, 100)), "nothing is known");
        assert_eq!((Cell::default().quantile_bounds(50), Cell { healthy: 1, ..cell }.quantile_bounds(50)), (None, None), "of nobody, and of a close that did not count points");
    }

    #[test]
    fn a_mean_over_all_has_no_doubt_and_over_some_has_some() {
        let all = Cell { healthy: 2, score_sum: 160_000, score_squares: 70_000i64.pow(2) + 90_000i64.pow(2), ..Cell::default() };
        assert_eq!(all.mean(), Some(80_000));
        assert_eq!(all.mean_interval(), Some((80_000, 80_000)));
        let some = Cell { unknown: 2, ..all };
        // sd = 14142.13, / sqrt 2 = 10000, * sqrt(2/3) = 8164.97, * 1.959964 = 16003.04
        assert_eq!(some.mean_interval(), Some((63_997, 96_003)));
        assert_eq!(Cell::share(some.known(), some.customers()), Some(500));
        assert_eq!(Cell::default().mean(), None);
        assert_eq!((some.mean_bounds(), all.mean_bounds()), (Some((40_000, 90_000)), Some((80_000, 80_000))));
        let valued = Cell { value_healthy: 3, value_unknown: 1, value_scores: 240_000, points: Points::of_number(&format!("2{}", "0".repeat(8 * 80))).unwrap(), ..some };
        assert_eq!((valued.value_weighted_mean(), valued.value_weighted_bounds()), (Some(80_000), Some((60_000, 85_000))));
        let silent = Cell { at_risk: 1, healthy: 2, unknown: 5, ..Cell::default() };
        assert_eq!((silent.share_at_risk_bounds(), Cell::default().share_at_risk_bounds()), (Some((125, 750)), None));
    }

    #[test]
    fn an_order_is_told_only_where_there_is_one() {
        let of = |scores: &[i64], unknown| Cell {
            healthy: scores.len() as i64,
            unknown,
            score_sum: scores.iter().sum(),
            score_squares: scores.iter().map(|s| s * s).sum(),
            ..Cell::default()
        };
        let (high, low, wide) = (of(&[80_000, 82_000, 84_000], 3), of(&[40_000, 42_000, 44_000], 3), of(&[10_000, 90_000], 8));
        assert_eq!((high.against(&low), low.against(&high)), (Some(Standing::Better), Some(Standing::Worse)));
        assert_eq!(wide.against(&high), Some(Standing::NoDifferenceShown));
        assert_eq!(of(&[50_000], 0).against(&high), None, "of one nothing is told");
    }
}
