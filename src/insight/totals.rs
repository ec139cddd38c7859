//! Totals of partners whose customers the caller may not see: which of them are large enough to be told by themselves
//! (DOMAIN 6.10, DECISIONS 24). What is told is of parts that do not overlap and never of fewer than [`LEAST_CUSTOMERS`], so that no sum or
//! difference of the answers of a period is about fewer; and of whole months, so that two answers seldom differ by one customer.

use super::cell::Cell;
use crate::kernel::id::PartnerId;
use std::collections::BTreeMap;

/// Of fewer customers than this nothing is told.
pub const LEAST_CUSTOMERS: i64 = 5;

/// Whose figures are told, and what is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Partners large enough, each by itself.
    pub alone: BTreeMap<PartnerId, Cell>,
    /// All the others together; `None` where nobody is left, or too few even with everybody.
    pub others: Option<Cell>,
}

/// Parts the partners: who has too few customers goes to the others and, while these are too few, the smallest of those told alone as well (of
/// equal ones the first by id), or the remainder could be had by subtraction.
pub fn told(cells: impl IntoIterator<Item = (PartnerId, Cell)>) -> Told {
    let (mut alone, small): (BTreeMap<_, _>, BTreeMap<_, _>) =
        cells.into_iter().filter(|(_, cell)| cell.customers() > 0).partition(|(_, cell): &(PartnerId, Cell)| cell.customers() >= LEAST_CUSTOMERS);
    let mut others: Cell = small.into_values().sum();
    while (1..LEAST_CUSTOMERS).contains(&others.customers()) {
        let smallest = alone.iter().min_by_key(|(id, cell)| (cell.customers(), **id)).map(|(id, _)| *id);
        match smallest.and_then(|id| alone.remove(&id)) {
            Some(cell) => others += cell,
            None => others = Cell::default(),
        }
    }
    Told { alone, others: (others.customers() > 0).then_some(others) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::id::TypeId;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn cells(of: &[i64]) -> Vec<(PartnerId, Cell)> {
        (1..).zip(of).map(|(id, n)| (PartnerId::of(Uuid::from_u128(id)), Cell { healthy: *n, score_sum: n * 1000, ..Cell::default() })).collect()
    }

    fn sizes(of: &[i64]) -> (Vec<i64>, Option<i64>) {
        let told = told(cells(of));
        (told.alone.values().map(Cell::customers).collect(), told.others.map(|cell| cell.customers()))
    }

    #[test]
    fn few_are_told_with_others_or_not_at_all() {
        assert_eq!(sizes(&[6, 2, 3, 0]), (vec![6], Some(5)));
        assert_eq!(sizes(&[9, 6, 4]), (vec![9], Some(10)), "the smallest goes with them");
        assert_eq!(sizes(&[4]), (vec![], None));
        assert_eq!(sizes(&[5, 0]), (vec![5], None));
        assert_eq!(sizes(&[]), (vec![], None));
    }

    proptest! {
        // The parts do not overlap, so every sum of them is of one of them at least.
        #[test]
        fn no_part_is_of_few(of in prop::collection::vec(0i64..9, 0..12)) {
            let told = told(cells(&of));
            let parts: Vec<Cell> = told.alone.values().copied().chain(told.others).collect();
            prop_assert!(parts.iter().all(|cell| cell.customers() >= LEAST_CUSTOMERS));
            let (sum, whole): (i64, i64) = (parts.iter().map(Cell::customers).sum(), of.iter().sum());
            prop_assert!(sum == whole || parts.is_empty() && whole < LEAST_CUSTOMERS);
        }
    }
}
