//! A place among peers: how a partner stands in a group that may be told of, by each figure, and whether a difference shows. Counts of peers and no sums: whoever
//! chooses its own figures would find a sum by where the answer turns.

use super::cell::{Cell, Standing};
use super::peers::{Id, LEAST_CUSTOMERS, LEAST_PEERS, Published};
use crate::kernel::number::round;
use crate::kernel::share::wilson;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::collections::BTreeSet;

/// Percentiles are told in steps of so many percent, so that one peer more or less seldom shows. Of ten peers or fewer it hides
/// nothing: half a peer is then a step or more.
pub const ROUNDED_TO: i64 = 5;

crate::word_list! {
    /// What partners are compared by. A high percentile is good for every one of them.
    Figure {
        /// The mean of known health; higher is better.
        MeanHealth = "mean_health",
        /// Customers at risk among those whose health is known; lower is better.
        ShareAtRisk = "share_at_risk",
        /// Customers whose health is known among all; higher is better.
        KnownShare = "known_share",
        /// Customers reported on within their cadence among all; higher is better.
        ReportRate = "report_rate",
    }
}

impl Figure {
    /// The counted part, and of how many; `None` for the mean, which is no share.
    fn counts(self, cell: &Cell) -> Option<(i64, i64)> {
        match self {
            Self::MeanHealth => None,
            Self::ShareAtRisk => Some((cell.at_risk, cell.known())),
            Self::KnownShare => Some((cell.known(), cell.customers())),
            Self::ReportRate => Some((cell.in_cadence, cell.customers())),
        }
    }

    /// In thousandths: of a point for the mean, of the whole for a share. `None` when there is no customer to tell it of.
    fn of(self, cell: &Cell) -> Option<i64> {
        match self.counts(cell) {
            None => cell.mean(),
            Some((part, whole)) => Cell::share(part, whole),
        }
    }

    /// Its 95 % interval, in thousandths: of the mean from two known customers on, of a share by Wilson.
    fn interval(self, cell: &Cell) -> Option<(i64, i64)> {
        match self.counts(cell) {
            None => cell.mean_interval(),
            Some((part, whole)) => wilson(part as usize, whole as usize).map(|(low, high)| (round(low * 1000.0), round(high * 1000.0))),
        }
    }

    /// The customers it is told of: those of unknown health say nothing of health.
    fn customers(self, cell: &Cell) -> i64 {
        match self {
            Self::MeanHealth | Self::ShareAtRisk => cell.known(),
            Self::KnownShare | Self::ReportRate => cell.customers(),
        }
    }

    /// `Greater` when the first value is the better one.
    fn rank(self, a: i64, b: i64) -> Ordering {
        match self {
            Self::ShareAtRisk => b.cmp(&a),
            Self::MeanHealth | Self::KnownShare | Self::ReportRate => a.cmp(&b),
        }
    }
}

/// How a partner stands by one figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// By which.
    pub figure: Figure,
    /// The partner's own, in thousandths; `None` when it has none.
    pub value: Option<i64>,
    /// Where that lies with 95 %, in thousandths.
    #[serde(default)]
    pub interval: Option<(i64, i64)>,
    /// Between which percentages it lies when a peer counts as better or worse only where its interval does not reach ours, rounded outwards to the
    /// nearest 5. `None` where the percentile or the interval is.
    #[serde(default)]
    pub percentile_interval: Option<(i64, i64)>,
    /// The percentage of its peers it is better than, an equal one counting half, to the nearest 5. `None` when the partner has
    /// no such figure, its peers with one are too few, or all of them have the same, which would tell it.
    pub percentile: Option<i64>,
}

impl Place {
    /// Against the middle of the peers: better or worse than most of them beyond the doubt of both sides, or no difference is shown (SCIENCE 2.6, peer by
    /// peer). From counts alone, and never from the peers' sum: whoever chooses its own figures would find that sum by where the answer turns.
    pub fn standing(&self) -> Option<Standing> {
        self.percentile_interval.map(|(low, high)| match (low, high) {
            (low, _) if low > 50 => Standing::Better,
            (_, high) if high < 50 => Standing::Worse,
            _ => Standing::NoDifferenceShown,
        })
    }
}

/// How a partner with these customers in a published group stands among the families that are not its own, by every figure in the order of
/// the list.
pub fn standing(group: &Published, family: Id, own: &Cell) -> Vec<Place> {
    let place = |figure: Figure| {
        let peers = || group.of.iter().filter(|(id, _)| **id != family).map(|(_, cell)| cell);
        let value = figure.of(own);
        let (interval, percentile) = (figure.interval(own), value.and_then(|value| percentile(figure, value, peers())));
        let percentile_interval = percentile.and(interval).map(|own| sure_places(figure, own, peers()));
        Place { figure, value, interval, percentile, percentile_interval }
    };
    Figure::ALL.iter().copied().map(place).collect()
}

/// Between which percentages a figure stands for sure: at least above the peers whose whole interval is worse, at most below those whose whole one is better.
/// A peer without an interval may stand anywhere.
fn sure_places<'a>(figure: Figure, own: (i64, i64), peers: impl Iterator<Item = &'a Cell>) -> (i64, i64) {
    let surely = |one: (i64, i64), other: (i64, i64)| [one.0, one.1].iter().all(|a| [other.0, other.1].iter().all(|b| figure.rank(*a, *b) == Ordering::Greater));
    let (mut n, mut above, mut below) = (0, 0, 0);
    for interval in peers.filter(|cell| figure.of(cell).is_some()).map(|cell| figure.interval(cell)) {
        n += 1;
        above += i64::from(interval.is_some_and(|theirs| surely(own, theirs)));
        below += i64::from(interval.is_some_and(|theirs| surely(theirs, own)));
    }
    let outwards = |count: i64| 100 * count / (ROUNDED_TO * n) * ROUNDED_TO;
    (outwards(above), 100 - outwards(below))
}

/// Values that are equal in thousandths are equal, because that is all anybody is shown.
fn percentile<'a>(figure: Figure, own: i64, peers: impl Iterator<Item = &'a Cell>) -> Option<i64> {
    let (mut n, mut told_of, mut halves) = (0, 0, 0);
    let mut values = BTreeSet::new();
    for (value, customers) in peers.filter_map(|cell| Some((figure.of(cell)?, figure.customers(cell)))) {
        n += 1;
        told_of += customers;
        values.insert(value);
        halves += match figure.rank(own, value) {
            Ordering::Greater => 2,
            Ordering::Equal => 1,
            Ordering::Less => 0,
        };
    }
    // 100 * halves / (2 * n) in steps, half a step up.
    let steps = |n: i64| (100 * halves + ROUNDED_TO * n) / (2 * ROUNDED_TO * n);
    (n >= LEAST_PEERS as i64 && told_of >= LEAST_CUSTOMERS && values.len() > 1).then(|| steps(n) * ROUNDED_TO)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::insight::peers::Cells;

    /// A family of one partner.
    fn stand(group: &Published, id: Id) -> Vec<Place> {
        standing(group, id, &group.of.get(&id).copied().unwrap_or_default())
    }

    /// All of known health, each at `points`.
    fn healthy(customers: i64, points: i64) -> Cell {
        Cell { healthy: customers, score_sum: customers * points * 1000, ..Cell::default() }
    }

    /// Partner 0: 4 customers, 3 known, 1 of them at risk, mean 70, 2 in cadence: 70 000, 333, 750, 500.
    /// Eight peers with 3 known customers each (24) of 3. Means 60 70 70 80 80 80 90 90: (1 + 2/2) / 8 = 25 %. None at risk in
    /// seven, all in one: 1 / 8 = 12.5 %, half up 15. All known in all: a place would tell that. In cadence 0 of 3 in three, 3 of 3 in five: 3 / 8 =
    /// 37.5 %, half up 40.
    /// One more peer of unknown health, with 1 customer not in cadence, counts by the last two only: 1 / 9 = 11.1, so 10;
    /// 4 / 9 = 44.4, so 45.
    #[test]
    fn percentiles_worked_by_hand() {
        let own = Cell { healthy: 1, watch: 1, at_risk: 1, unknown: 1, score_sum: 210_000, in_cadence: 2, ..Cell::default() };
        let mut of = Cells::from([(0, own)]);
        for (id, points) in (1..).zip([60, 70, 70, 80, 80, 80, 90, 90]) {
            of.insert(id, Cell { in_cadence: if id > 3 { 3 } else { 0 }, ..healthy(3, points) });
        }
        of.insert(1, Cell { healthy: 0, at_risk: 3, ..of[&1] });
        let mut group = Published { group: None, of };
        let found = |group: &Published, partner| stand(group, partner).iter().map(|p| (p.figure.as_str(), p.value, p.percentile)).collect::<Vec<_>>();
        let (health, risk) = (("mean_health", Some(70_000), Some(25)), ("share_at_risk", Some(333), Some(15)));
        assert_eq!(found(&group, 0), [health, risk, ("known_share", Some(750), None), ("report_rate", Some(500), Some(40))]);
        group.of.insert(9, Cell { unknown: 1, ..Cell::default() });
        assert_eq!(found(&group, 0), [health, risk, ("known_share", Some(750), Some(10)), ("report_rate", Some(500), Some(45))]);
        assert_eq!(found(&group, 9)[..2], [("mean_health", None, None), ("share_at_risk", None, None)]);
        assert!(stand(&group, 77).iter().all(|place| place.value.is_none() && place.percentile.is_none()));
    }

    /// Health needs 5 peers and 20 customers of known health; the unknown are not counted, nor are one's own.
    #[test]
    fn few_of_known_health_are_not_told_of() {
        let of = |known: &[i64]| Published {
            group: None,
            of: (1..).zip(known).map(|(id, n)| (id, Cell { unknown: 9, ..healthy(*n, if id == 1 { 40 } else { 50 }) })).chain([(0, healthy(99, 50))]).collect(),
        };
        let health = |known: &[i64]| stand(&of(known), 0)[0].percentile;
        assert_eq!((health(&[4, 4, 4, 4, 4]), health(&[4, 4, 4, 4, 3])), (Some(60), None));
        assert_eq!((health(&[16, 1, 1, 1, 1]), health(&[90, 1, 1, 1, 0])), (Some(60), None));
        assert!(stand(&of(&[90, 1, 1, 1, 0]), 0)[2].percentile.is_some());
    }

    /// Five families of four: four with nobody at risk (Wilson 0 to 49 %), one with one (5 to 70 %). Two of four at risk are 15 to 85 %: the place is the last,
    /// and every interval reaches another, so no difference shows. Forty of forty are 91 % to all: worse than each for sure. None of forty, 0 to 9 %, is as
    /// good as the four and better than the fifth by its place, and by 4.6 % no better for sure.
    #[test]
    fn a_place_is_told_with_whether_a_difference_shows() {
        let risky = |customers: i64, at_risk: i64| Cell {
            healthy: customers - at_risk,
            at_risk,
            score_sum: customers * 50_000,
            score_squares: customers * 50_000i64.pow(2),
            ..Cell::default()
        };
        let of = |own: Cell| Published { group: None, of: (1..6).map(|id| (id, risky(4, i64::from(id == 1)))).chain([(0, own)]).collect() };
        let told = |place: Place| (place.percentile, place.percentile_interval, place.standing());
        let risk = |own: Cell| told(stand(&of(own), 0)[1]);
        assert_eq!(risk(risky(4, 2)), (Some(0), Some((0, 100)), Some(Standing::NoDifferenceShown)));
        assert_eq!(risk(risky(40, 40)), (Some(0), Some((0, 0)), Some(Standing::Worse)));
        assert_eq!(risk(risky(40, 0)), (Some(60), Some((0, 100)), Some(Standing::NoDifferenceShown)));
        let known = stand(&of(risky(4, 1)), 0)[2];
        assert_eq!((told(known), known.interval), ((None, None, None), Some((510, 1000))), "withheld together");
    }

    /// All known, a mean has no doubt: 5 of 8 peers are lower, which is 62.5 %, rounded to 65 and outwards to 60.
    #[test]
    fn a_mean_without_doubt_is_better_than_most_or_not() {
        let sure = |points: i64| Cell { score_squares: 5 * (points * 1000).pow(2), ..healthy(5, points) };
        let group = |own: i64| Published { group: None, of: (1..).zip([40, 45, 50, 55, 60, 70, 80, 90]).map(|(id, points)| (id, sure(points))).chain([(0, sure(own))]).collect() };
        let mean = |own: i64| stand(&group(own), 0)[0];
        assert_eq!((mean(65).percentile, mean(65).percentile_interval, mean(65).standing()), (Some(65), Some((60, 65)), Some(Standing::Better)));
        assert_eq!((mean(57).percentile_interval, mean(57).standing()), (Some((50, 50)), Some(Standing::NoDifferenceShown)));
        assert_eq!((mean(10).percentile_interval, mean(10).standing()), (Some((0, 0)), Some(Standing::Worse)));
    }
}
