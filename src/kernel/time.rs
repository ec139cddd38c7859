//! Whole days in a vendor's time zone: evidence ages in them, scores are made for them (DECISIONS 5).

use chrono::{DateTime, Duration, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

/// A moment, in UTC, kept to the microsecond as PostgreSQL keeps it.
pub type Moment = DateTime<Utc>;

/// How far ahead of the clock a statement about the world may lie before it is refused.
pub const MAX_AHEAD: Duration = Duration::minutes(5);

/// The moment cut to microseconds, so that what is written is what is read.
pub fn to_micros(moment: Moment) -> Moment {
    // Through the count, so that a leap second is the moment PostgreSQL takes it for.
    DateTime::from_timestamp_micros(moment.timestamp_micros()).unwrap_or(moment)
}

/// The time zone of a vendor: the calendar its days are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone(Tz);

impl Zone {
    /// The IANA name.
    pub fn name(self) -> &'static str {
        self.0.name()
    }

    /// The day on which a moment falls.
    pub fn day_of(self, moment: Moment) -> NaiveDate {
        moment.with_timezone(&self.0).date_naive()
    }

    /// The first moment of a day; where a clock change skips midnight, the first moment there is.
    pub fn start_of(self, day: NaiveDate) -> Moment {
        let mut local = day.and_time(NaiveTime::MIN);
        for _ in 0..8 {
            if let Some(moment) = self.0.from_local_datetime(&local).earliest() {
                return moment.with_timezone(&Utc);
            }
            local += Duration::minutes(30);
        }
        Utc.from_utc_datetime(&day.and_time(NaiveTime::MIN))
    }
}

impl std::str::FromStr for Zone {
    type Err = super::text::Broken;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self).map_err(|_| super::text::Broken::NotInSet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Zone {
        name.parse().unwrap()
    }

    #[test]
    fn a_day_in_tokyo_begins_nine_hours_before_greenwich() {
        let tokyo = zone("Asia/Tokyo");
        let day = NaiveDate::from_ymd_opt(2026, 4, 1).unwrap();
        assert_eq!(tokyo.start_of(day).to_rfc3339(), "2026-03-31T15:00:00+00:00");
        assert_eq!(tokyo.day_of(tokyo.start_of(day)), day);
        assert_eq!(tokyo.day_of(tokyo.start_of(day) - Duration::microseconds(1)), day.pred_opt().unwrap());
    }

    #[test]
    fn a_skipped_midnight_begins_at_the_first_moment_there_is() {
        // Santiago sprang forward at midnight on 2024-09-08.
        let day = NaiveDate::from_ymd_opt(2024, 9, 8).unwrap();
        let santiago = zone("America/Santiago");
        assert_eq!(santiago.day_of(santiago.start_of(day)), day);
    }
}
