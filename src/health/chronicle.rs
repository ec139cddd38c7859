//! A customer's chronicle: all that was said about it, with when it was so and when we knew. From it any day can be scored again as it was
//! known at any moment (DECISIONS 4 and 5).

use super::evidence::{Evidence, Origin};
use crate::intake::{EvidenceClass, OpenCase};
use crate::kernel::id::{MeasureId, ReportId};
use crate::kernel::time::{Moment, Zone};
use chrono::{Duration, NaiveDate};

/// A point in both times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsKnown {
    /// The day scored for: what was true then.
    pub on: NaiveDate,
    /// What was known then: nothing received later counts.
    pub known_at: Moment,
}

impl AsKnown {
    /// The last moment whose knowledge counts: the end of the day, or `known_at` where that is earlier. What has versions is taken as it stood then.
    pub fn moment(self, zone: Zone) -> Moment {
        self.known_at.min(end_of(zone, self.on))
    }
}

/// The end of a day: the last moment whose knowledge belongs to it.
pub fn end_of(zone: Zone, day: NaiveDate) -> Moment {
    zone.start_of(day + Duration::days(1)) - Duration::microseconds(1)
}

/// When we knew of a thing, and since when we know better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stay {
    /// Received.
    pub from: Moment,
    /// Replaced or taken back; `None` while it stands.
    pub to: Option<Moment>,
}

impl Stay {
    /// Whether it stood at a moment.
    pub fn at(self, moment: Moment) -> bool {
        self.from <= moment && self.to.is_none_or(|to| moment < to)
    }
}

/// One value that was said.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sighting {
    /// Of which measure.
    pub measure: MeasureId,
    /// By whom.
    pub class: EvidenceClass,
    /// Whether its partner may see it.
    pub shared: bool,
    /// The value, in the measure's unit.
    pub value: f64,
    /// When it was so.
    pub observed_at: Moment,
    /// The same as a day of the vendor's calendar.
    pub day: NaiveDate,
    /// The order of arrival.
    pub arrival: i64,
    /// The report it was said in.
    pub report: Option<ReportId>,
    /// When it counted.
    pub stay: Stay,
}

impl Sighting {
    /// By what it is about and when, the later word last: sorted once, any day is read in one pass.
    pub fn order(a: &Self, b: &Self) -> std::cmp::Ordering {
        let key = |s: &Self| (s.measure, s.class, s.shared, s.day, s.observed_at, s.arrival);
        key(a).cmp(&key(b))
    }
}

/// What a report said about open cases.
#[derive(Debug, Clone, PartialEq)]
pub struct CaseStatement {
    /// The day it speaks of.
    pub day: NaiveDate,
    /// All that was open.
    pub cases: Vec<OpenCase>,
    /// The order of arrival among statements of one day: the later one tells.
    pub arrival: i64,
    /// When it counted.
    pub stay: Stay,
}

/// The evidence in force at a point: of one day of one measure the last word of each class, so that saying a thing often makes it
/// no weightier. `sightings` are in their [`Sighting::order`]; `own` tells whether to take what only the vendor may see.
pub fn in_force(sightings: &[Sighting], at: AsKnown, own: bool) -> Vec<Evidence> {
    told(sightings, at, own).map(|(evidence, _)| evidence).collect()
}

/// The same, each with where it comes from.
pub fn told(sightings: &[Sighting], at: AsKnown, own: bool) -> impl Iterator<Item = (Evidence, Origin)> {
    let same = move |a: &Sighting, b: &Sighting| (a.measure, a.class, a.shared, a.day) == (b.measure, b.class, b.shared, b.day);
    let counts = move |s: &&Sighting| (own || s.shared) && s.day <= at.on && s.stay.at(at.known_at);
    let last = move |of_a_day: &[Sighting]| of_a_day.iter().rev().find(counts).copied();
    let read = |s: Sighting| (Evidence { measure: s.measure, class: s.class, value: s.value, day: s.day }, Origin { report: s.report, received_at: s.stay.from });
    sightings.chunk_by(same).filter_map(last).map(read)
}

/// The cases open at a point: as the last statement says.
pub fn open_cases(statements: &[CaseStatement], at: AsKnown) -> &[OpenCase] {
    let counting = statements.iter().filter(|s| s.day <= at.on && s.stay.at(at.known_at));
    counting.max_by_key(|s| (s.day, s.arrival)).map(|s| s.cases.as_slice()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::id::TypeId;
    use chrono::DateTime;
    use proptest::prelude::*;
    use uuid::Uuid;

    fn at(hours: i64) -> Moment {
        DateTime::UNIX_EPOCH + Duration::hours(hours)
    }

    fn said(value: f64, hours: i64, received: i64, to: Option<i64>, shared: bool) -> Sighting {
        let class = if shared { EvidenceClass::PartnerDeclared } else { EvidenceClass::VendorObserved };
        let stay = Stay { from: at(received), to: to.map(at) };
        Sighting { measure: MeasureId::of(Uuid::nil()), class, shared, value, observed_at: at(hours), day: at(hours).date_naive(), arrival: received, report: None, stay }
    }

    #[test]
    fn what_was_known_and_what_was_true() {
        // Said on day 0, corrected on day 2; said again later of the same day; the vendor saw something on day 1.
        let all = [said(10.0, 1, 2, Some(50), true), said(20.0, 1, 50, None, true), said(30.0, 5, 60, None, true), said(99.0, 25, 26, None, false)];
        let mut all = all;
        all.sort_by(Sighting::order);
        let values = |day: i64, known: i64, own: bool| {
            let point = AsKnown { on: at(24 * day).date_naive(), known_at: at(known) };
            in_force(&all, point, own).into_iter().map(|e| e.value).collect::<Vec<_>>()
        };
        assert_eq!(values(0, 1, true), [] as [f64; 0]);
        assert_eq!(values(0, 49, true), [10.0]);
        assert_eq!(values(0, 50, true), [20.0], "at the moment of the correction it stands");
        assert_eq!(values(9, 60, false), [30.0], "the last word of a day");
        assert_eq!(values(1, 60, true), [30.0, 99.0]);
        assert_eq!(values(0, 60, true), [30.0], "what is seen on day 1 was not yet so on day 0");
    }

    /// When it was so and when it was received, in hours; how long it stood; whether it is shared; the value.
    type Word = (i64, i64, Option<i64>, bool, f64);

    /// What counts of words, each with its place in the order of arrival.
    fn counting(words: &[(usize, Word)], at: AsKnown) -> Vec<Evidence> {
        let one = |(arrival, (hours, received, stays, shared, value)): &(usize, Word)| Sighting {
            arrival: *arrival as i64,
            ..said(*value, *hours, *received, stays.map(|stays| received + stays), *shared)
        };
        let mut all: Vec<Sighting> = words.iter().map(one).collect();
        all.sort_by(Sighting::order);
        in_force(&all, at, true)
    }

    proptest! {
        /// In whatever order words are read, of one day and class the last one counts; and all of it said again changes nothing.
        #[test]
        fn order_of_reading_and_repeats_are_nothing(
            (words, shuffled) in prop::collection::vec((0i64..96, 0i64..120, prop::option::of(0i64..60), any::<bool>(), 0.0f64..100.0), 0..30)
                .prop_map(|words| words.into_iter().enumerate().collect::<Vec<_>>())
                .prop_flat_map(|words| (Just(words.clone()), Just(words).prop_shuffle())),
            (on, known) in (0i64..5, 0i64..140),
        ) {
            let point = AsKnown { on: at(24 * on).date_naive(), known_at: at(known) };
            let told = counting(&words, point);
            prop_assert_eq!(&told, &counting(&shuffled, point));
            let again = words.iter().map(|(arrival, word)| (words.len() + arrival, *word));
            prop_assert_eq!(&told, &counting(&words.iter().copied().chain(again).collect::<Vec<_>>(), point));
            let mut days: Vec<_> = told.iter().map(|e| (e.class, e.day)).collect();
            days.sort();
            prop_assert!(days.windows(2).all(|pair| pair[0] != pair[1]), "one word of each day and class");
        }

        /// Of words about different moments, within a day or not, it is nothing which came first, once all have come.
        #[test]
        fn order_of_arrival_is_nothing(
            (hours, values, came) in (1usize..20).prop_flat_map(|n| {
                let hours = prop::sample::subsequence((0i64..96).collect::<Vec<_>>(), n);
                (hours, prop::collection::vec((0.0f64..100.0, any::<bool>()), n), Just((0..n).collect::<Vec<_>>()).prop_shuffle())
            }),
            on in 0i64..5,
        ) {
            let point = AsKnown { on: at(24 * on).date_naive(), known_at: at(200) };
            let arriving = |place: &dyn Fn(usize) -> usize| {
                let words = hours.iter().zip(&values).enumerate().map(|(i, (hour, (value, shared)))| (place(i), (*hour, 100 + place(i) as i64, None, *shared, *value)));
                counting(&words.collect::<Vec<_>>(), point)
            };
            prop_assert_eq!(arriving(&|i| i), arriving(&|i| came[i]));
        }
    }

    #[test]
    fn the_last_statement_tells_the_open_cases() {
        let case = |name: &str| OpenCase { external_id: name.parse().unwrap(), severity: 1, opened_on: at(0).date_naive(), due_on: None, cause: None };
        let told = |day: i64, cases: Vec<OpenCase>, from: i64| CaseStatement { day: at(24 * day).date_naive(), cases, arrival: from, stay: Stay { from: at(from), to: None } };
        let all = [told(1, vec![case("A")], 30), told(3, vec![], 80), told(2, vec![case("B")], 90)];
        let open = |day: i64, known: i64| open_cases(&all, AsKnown { on: at(24 * day).date_naive(), known_at: at(known) }).len();
        assert_eq!((open(0, 99), open(1, 99), open(2, 89), open(2, 99), open(3, 99)), (0, 1, 1, 1, 0));
    }
}
