//! Months: the fixed periods of what is told of many customers, and of checks.

use chrono::{Datelike, Duration, NaiveDate};

/// The last day of the newest month that may be told of on a day: from the second day of the next month on, because on its first the closes are made.
pub fn told_month(on: NaiveDate) -> NaiveDate {
    let yesterday = on - Duration::days(1);
    yesterday - Duration::days(yesterday.day().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_told_from_the_second_day_of_the_next_on() {
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        for (on, end) in [("2026-11-30", "2026-10-31"), ("2026-12-01", "2026-10-31"), ("2026-12-02", "2026-11-30"), ("2026-12-31", "2026-11-30"), ("2027-01-02", "2026-12-31")] {
            assert_eq!(told_month(day(on)), day(end), "{on}");
        }
    }
}
