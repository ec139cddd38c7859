//! Totals of partners whose customers another may not see: which of them are large enough to be told by themselves, and what is told (DOMAIN 6.10,
//! DECISIONS 24). The parts of a month are made once, of the links of that moment, and do not overlap: no sum or difference of them is of fewer than
//! [`LEAST_CUSTOMERS`]. When a link changes, a part is told no more unless all its members are still seen so; two parts are never made anew of one month.

use super::cell::Cell;
use crate::kernel::id::PartnerId;
use crate::kernel::number::ratio;
use std::collections::{BTreeMap, BTreeSet};

/// Of fewer customers than this nothing is told.
pub const LEAST_CUSTOMERS: i64 = 5;

/// What is told of the customers of a part; shares and the mean in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Total {
    /// How many.
    pub customers: i64,
    /// The share whose health is known.
    pub known_share: Option<i64>,
    /// The plain mean of known health; `None` of too few known.
    pub mean_health: Option<i64>,
    /// Of those known, the share at risk; `None` likewise, and where it is all or none, which would tell of each.
    pub share_at_risk: Option<i64>,
    /// The share reported on within the cadence.
    pub report_rate: Option<i64>,
}

impl Total {
    fn of(cell: &Cell) -> Self {
        let known = Some(cell.known()).filter(|known| *known >= LEAST_CUSTOMERS);
        Self {
            customers: cell.customers(),
            known_share: Cell::share(cell.known(), cell.customers()),
            mean_health: known.and_then(|_| cell.mean()),
            share_at_risk: known.filter(|known| (1..*known).contains(&cell.at_risk)).and_then(|known| Cell::share(cell.at_risk, known)),
            report_rate: Cell::share(cell.in_cadence, cell.customers()),
        }
    }

    /// Between which the mean of all lies whatever the unknown turn out to be, by the figures told: all at 0, all at 100. Its 95 % interval would tell how far
    /// few customers stand apart, and is not told.
    pub fn mean_bounds(&self) -> Option<(i64, i64)> {
        let (customers, known) = (i128::from(self.customers), ratio(i128::from(self.customers) * i128::from(self.known_share?), 1000)?);
        let sum = i128::from(self.mean_health?) * i128::from(known);
        Some((ratio(sum, customers)?, ratio(sum + (customers - i128::from(known)) * 100_000, customers)?))
    }
}

/// Partners told of together, or one by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Whose customers, in order.
    pub members: Vec<PartnerId>,
    /// What is told of them.
    pub total: Total,
}

/// Parts the partners: each with enough customers by itself, in order, then all the others together. While these are too few, the smallest of those told
/// by themselves goes with them (of equal ones the first by id); where everybody is too few nobody is told of.
pub fn parts(cells: impl IntoIterator<Item = (PartnerId, Cell)>) -> Vec<Part> {
    let (mut alone, mut others): (BTreeMap<PartnerId, Cell>, BTreeMap<PartnerId, Cell>) =
        cells.into_iter().filter(|(_, cell)| cell.customers() > 0).partition(|(_, cell)| cell.customers() >= LEAST_CUSTOMERS);
    let sum = |of: &BTreeMap<PartnerId, Cell>| of.values().copied().sum::<Cell>();
    while (1..LEAST_CUSTOMERS).contains(&sum(&others).customers()) {
        let smallest = alone.iter().min_by_key(|(id, cell)| (cell.customers(), **id)).map(|(id, _)| *id);
        match smallest.and_then(|id| alone.remove_entry(&id)) {
            Some((id, cell)) => drop(others.insert(id, cell)),
            None => others.clear(),
        }
    }
    let together = (!others.is_empty()).then(|| Part { total: Total::of(&sum(&others)), members: others.into_keys().collect() });
    alone.into_iter().map(|(id, cell)| Part { members: vec![id], total: Total::of(&cell) }).chain(together).collect()
}

/// The parts that may still be told to who sees the totals, and no more, of these partners today.
pub fn still_told(parts: Vec<Part>, hidden: &BTreeSet<PartnerId>) -> Vec<Part> {
    parts.into_iter().filter(|part| part.members.iter().all(|member| hidden.contains(member))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::id::TypeId;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn id(n: u128) -> PartnerId {
        PartnerId::of(Uuid::from_u128(n))
    }

    fn cells(of: &[i64]) -> Vec<(PartnerId, Cell)> {
        (1..).zip(of).map(|(n, healthy)| (id(n), Cell { healthy: *healthy, score_sum: healthy * 1000, ..Cell::default() })).collect()
    }

    /// How many customers of how many partners each part is of.
    fn sizes(of: &[i64]) -> Vec<(i64, usize)> {
        parts(cells(of)).iter().map(|part| (part.total.customers, part.members.len())).collect()
    }

    #[test]
    fn few_are_told_with_others_or_not_at_all() {
        assert_eq!(sizes(&[6, 2, 3, 0]), [(6, 1), (5, 2)]);
        assert_eq!(sizes(&[9, 6, 4]), [(9, 1), (10, 2)], "the smallest goes with them");
        assert_eq!(sizes(&[4]), []);
        assert_eq!(sizes(&[5, 0]), [(5, 1)]);
        assert_eq!(sizes(&[]), []);
    }

    #[test]
    fn health_is_told_of_enough_that_are_known_and_do_not_all_stand_alike() {
        let of = |healthy: i64, at_risk: i64, unknown: i64| {
            let known = healthy + at_risk;
            Total::of(&Cell { healthy, at_risk, unknown, score_sum: known * 60_000, in_cadence: 3, ..Cell::default() })
        };
        let told = |total: Total| (total.known_share, total.mean_health, total.share_at_risk);
        assert_eq!(told(of(4, 0, 2)), (Some(667), None, None), "four are known");
        assert_eq!(told(of(4, 1, 1)), (Some(833), Some(60_000), Some(200)));
        assert_eq!(told(of(5, 0, 0)), (Some(1000), Some(60_000), None), "none at risk tells of each");
        assert_eq!(told(of(0, 5, 0)).2, None);
        assert_eq!(of(4, 0, 2).report_rate, Some(500));
        // Five at 60 and one unknown: 50 if it is at 0, 66.667 if it is at 100.
        assert_eq!((of(4, 1, 1).mean_bounds(), of(4, 0, 2).mean_bounds()), (Some((50_000, 66_667)), None));
    }

    #[test]
    fn a_part_whose_members_are_not_all_seen_so_any_more_is_not_told() {
        let made = parts(cells(&[9, 2, 3]));
        let told = |seen: &[u128]| still_told(made.clone(), &seen.iter().map(|n| id(*n)).collect()).iter().map(|part| part.total.customers).collect::<Vec<_>>();
        assert_eq!((told(&[1, 2, 3, 4]), told(&[1, 2]), told(&[2, 3]), told(&[])), (vec![9, 5], vec![9], vec![5], vec![]));
    }

    proptest! {
        // The parts do not overlap, so every sum of them is of one of them at least.
        #[test]
        fn no_part_is_of_few(of in prop::collection::vec(0i64..9, 0..12)) {
            let parts = parts(cells(&of));
            prop_assert!(parts.iter().all(|part| part.total.customers >= LEAST_CUSTOMERS));
            let members: BTreeSet<PartnerId> = parts.iter().flat_map(|part| part.members.iter().copied()).collect();
            prop_assert_eq!(members.len(), parts.iter().map(|part| part.members.len()).sum::<usize>());
            let (sum, whole): (i64, i64) = (parts.iter().map(|part| part.total.customers).sum(), of.iter().sum());
            prop_assert!(sum == whole || parts.is_empty() && whole < LEAST_CUSTOMERS);
        }
    }
}
