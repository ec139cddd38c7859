//! What of a book of customers stayed between two days (SCIENCE 2.8): gross and net retention, and customers lost. Pure.
//!
//! A customer that moved to another partner is lost to the one book and not to the vendor's; one that came back within 90 days was not lost. Both are for
//! whoever makes the books.

use crate::kernel::share::wilson;

/// The recurring value of a customer per year at the first and the last day, in minor units of one currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// At the first day.
    pub before: i64,
    /// At the last.
    pub after: i64,
}

/// What stayed of those that had a value at the first day; who came later is in nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retention {
    /// Customers with a value at the first day.
    pub customers: usize,
    /// Those of them without one at the last.
    pub lost: usize,
    /// Where their share lies with 95 % (Wilson).
    pub lost_interval: (f64, f64),
    /// The share of the value that stayed, expansion left out; never above 1.
    pub gross: f64,
    /// Its standard error; `None` of one customer.
    pub gross_error: Option<f64>,
    /// The same with expansion.
    pub net: f64,
}

impl Retention {
    /// Of a book; `None` where nobody had a value at the first day. Values below 0 count as none.
    pub fn of(book: &[Held]) -> Option<Self> {
        let book: Vec<Held> = book.iter().map(|held| Held { after: held.after.max(0), ..*held }).filter(|held| held.before > 0).collect();
        let sum = |of: fn(&Held) -> i64| book.iter().map(|held| i128::from(of(held))).sum::<i128>() as f64;
        let stayed: fn(&Held) -> i64 = |held| held.after.min(held.before);
        let (n, before) = (book.len(), sum(|held| held.before));
        if n == 0 {
            return None;
        }
        let gross = sum(stayed) / before;
        let squares: f64 = book.iter().map(|held| (stayed(held) as f64 - gross * held.before as f64).powi(2)).sum();
        let gross_error = (n > 1).then(|| (n as f64 / (n - 1) as f64 * squares).sqrt() / before);
        let lost = book.iter().filter(|held| held.after == 0).count();
        Some(Self { customers: n, lost, lost_interval: wilson(lost, n)?, gross, gross_error, net: sum(|held| held.after) / before })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn book(values: &[(i64, i64)]) -> Vec<Held> {
        values.iter().map(|(before, after)| Held { before: *before, after: *after }).collect()
    }

    /// The check pack of SCIENCE 2.8: 210/280, 230/280, 1 of 4; the error as the formula gives it in decimal arithmetic. Who came later changes nothing.
    #[test]
    fn retention_of_the_check_pack() {
        let r = Retention::of(&book(&[(100, 120), (80, 80), (60, 30), (40, 0), (0, 500)])).unwrap();
        assert_eq!((r.customers, r.lost, r.gross), (4, 1, 0.75));
        // Wilson of 1 in 4, as in decimal arithmetic.
        assert!((r.lost_interval.0 - 0.045_587).abs() < 1e-6 && (r.lost_interval.1 - 0.699_358).abs() < 1e-6);
        assert!((r.net - 230.0 / 280.0).abs() < 1e-12 && (r.net - 0.8214).abs() < 5e-5);
        assert!((r.gross_error.unwrap() - 0.191_218_790_526).abs() < 1e-9);
        assert_eq!((Retention::of(&[]), Retention::of(&book(&[(0, 9)]))), (None, None));
        assert_eq!(Retention::of(&book(&[(5, 5)])).unwrap().gross_error, None, "of one nothing is told");
    }

    proptest! {
        #[test]
        fn gross_is_a_share_and_net_no_less(values in prop::collection::vec((any::<i64>(), any::<i64>()), 1..40)) {
            if let Some(r) = Retention::of(&book(&values)) {
                prop_assert!((0.0..=1.0).contains(&r.gross) && r.net >= r.gross && r.lost <= r.customers);
                prop_assert!(r.gross_error.is_none_or(|error| error.is_finite() && error >= 0.0));
            }
        }
    }
}
