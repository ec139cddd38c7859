//! Silence (SCIENCE 2.8): how long nothing was reported of a customer, measured by how often it usually is. No report is a state, not a hole.

use super::chronicle::{AsKnown, Stay};
use chrono::NaiveDate;

/// The shortest interval silence is measured by, in days.
const LEAST_INTERVAL: f64 = 7.0;
/// The fewest reported days that tell a usual interval: two gaps.
const LEAST_DAYS: usize = 3;
/// How many intervals beyond the usual one make silence whole.
const WHOLE_AFTER: f64 = 3.0;

/// The silence, 0-1, so many days after the last report: min(1, max(0, z - 1) / 3) with z = days / interval (SCIENCE 2.8). 0 up to one
/// interval, 1 from four on.
fn silence(days: i64, interval: f64) -> f64 {
    ((days as f64 / interval - 1.0) / WHOLE_AFTER).clamp(0.0, 1.0)
}

/// The usual interval of reports, in days: the median gap between reported days, at least 7 (SCIENCE 2.8); `None` of fewer than three.
/// `days` ascend, each once: of two reports to one day the gap would be none.
fn usual_interval(days: &[NaiveDate]) -> Option<f64> {
    if days.len() < LEAST_DAYS {
        return None;
    }
    let mut gaps: Vec<i64> = days.windows(2).map(|pair| (pair[1] - pair[0]).num_days()).collect();
    gaps.sort_unstable();
    let (lower, upper) = (gaps[(gaps.len() - 1) / 2], gaps[gaps.len() / 2]);
    Some(((lower + upper) as f64 / 2.0).max(LEAST_INTERVAL))
}

/// How silent it is about a customer at a point, 0-1, from the last days of its reports' periods with when each report was in force, in any
/// order. Only what was known then counts. `None` while fewer than three different days were reported: nobody knows what is usual.
pub fn silence_at(reports: &[(NaiveDate, Stay)], at: AsKnown) -> Option<f64> {
    let mut days: Vec<NaiveDate> = reports.iter().filter(|(day, stay)| *day <= at.on && stay.at(at.known_at)).map(|(day, _)| *day).collect();
    days.sort_unstable();
    days.dedup();
    let interval = usual_interval(&days)?;
    days.last().map(|last| silence((at.on - *last).num_days(), interval))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::time::Moment;
    use chrono::{DateTime, Duration};
    use proptest::prelude::*;

    fn day(n: i64) -> NaiveDate {
        NaiveDate::default() + Duration::days(n)
    }

    fn noon(n: i64) -> Moment {
        DateTime::UNIX_EPOCH + Duration::days(n) + Duration::hours(12)
    }

    /// Reports to these days, each known at noon of its day.
    fn reports(days: &[i64]) -> Vec<(NaiveDate, Stay)> {
        days.iter().map(|n| (day(*n), Stay { from: noon(*n), to: None })).collect()
    }

    /// At the end of a day.
    fn on(reports: &[(NaiveDate, Stay)], n: i64) -> Option<f64> {
        silence_at(reports, AsKnown { on: day(n), known_at: noon(n) + Duration::hours(11) })
    }

    /// Each 30 days: silent from 30 days after the last on, wholly from 120 on; 75 days are z = 2.5, and (2.5 - 1) / 3 = 0.5.
    #[test]
    fn silence_begins_after_the_usual_interval_and_is_whole_after_four() {
        let monthly = reports(&[0, 30, 60]);
        let told = [60, 61, 90, 135, 180, 900].map(|n| on(&monthly, n));
        assert_eq!(told, [Some(0.0), Some(0.0), Some(0.0), Some(0.5), Some(1.0), Some(1.0)]);
        // Who reports daily is measured by a week: 14 days are z = 2.
        let daily = reports(&[0, 1, 2]);
        assert_eq!([9, 16, 30].map(|n| on(&daily, n)), [Some(0.0), Some(1.0 / 3.0), Some(1.0)]);
        // Gaps of 20 and 40 have the median 30: 45 days are z = 1.5. One long pause does not make pauses usual.
        assert_eq!(on(&reports(&[0, 20, 60]), 105), Some(0.5 / 3.0));
        assert_eq!(on(&reports(&[0, 10, 20, 200]), 220), Some(1.0 / 3.0));
    }

    #[test]
    fn of_few_days_nothing_is_usual() {
        assert_eq!(on(&[], 100), None);
        assert_eq!(on(&reports(&[0, 30]), 100), None);
        assert_eq!(on(&reports(&[0, 30, 30, 30]), 100), None, "the same day again is no interval");
        assert_eq!(on(&reports(&[0, 30, 60]), 59), None, "the third was not yet there");
    }

    #[test]
    fn only_what_was_known_counts() {
        let mut late = reports(&[0, 30, 60]);
        late[2].1.from = noon(105);
        assert_eq!((on(&late, 104), on(&late, 105)), (None, Some(0.5 / 3.0)), "what came on day 105 tells of day 60");
        let mut moved = reports(&[0, 30, 60, 90]);
        moved[3].1.to = Some(noon(120));
        assert_eq!((on(&moved, 119), on(&moved, 120)), (Some(0.0), Some(1.0 / 3.0)), "what was replaced on day 120");
    }

    proptest! {
        #[test]
        fn a_share_that_only_a_report_makes_smaller(days in prop::collection::vec(0i64..400, 0..25), later in 400i64..1500, more in 0i64..500) {
            let told = reports(&days);
            let (now, then) = (on(&told, later), on(&told, later + more));
            prop_assert!(now.is_none_or(|s| (0.0..=1.0).contains(&s)));
            prop_assert!(now.is_none() == then.is_none() && now.is_none_or(|now| then.is_some_and(|then| then >= now)));
            // On the day of the last report nothing is silent.
            let last = days.iter().copied().max().unwrap_or_default();
            prop_assert!(on(&told, last).is_none_or(|s| s == 0.0));
        }

        #[test]
        fn order_and_repetition_are_nothing((days, shuffled) in prop::collection::vec(0i64..400, 0..25).prop_flat_map(|days| (Just(days.clone()), Just(days).prop_shuffle())), at in 0i64..900) {
            let twice = [shuffled.clone(), shuffled].concat();
            prop_assert_eq!(on(&reports(&days), at).map(f64::to_bits), on(&reports(&twice), at).map(f64::to_bits));
        }
    }
}
