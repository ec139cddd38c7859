//! Three-source health: the same policy over what the partner declared, what the vendor observed and what the customer voiced, each by
//! itself. Averages over sources are the score; how far they lie apart is a finding of its own (DOMAIN 6.1).

use super::evidence::Evidence;
use super::score::Scorer;
use crate::intake::EvidenceClass;
use crate::kernel::id::MeasureId;
use crate::kernel::share::Z95;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// From this gap on, in thousandths of a point, sources disagree (SCIENCE 2.6).
pub const DIVERGENT: i32 = 25_000;

const Z80: f64 = 1.281_552;

/// The sources that are set against each other.
pub const COMPARED: [EvidenceClass; 3] = [EvidenceClass::PartnerDeclared, EvidenceClass::VendorObserved, EvidenceClass::CustomerVoiced];

/// What one source says by itself; figures in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Whose evidence.
    pub class: EvidenceClass,
    /// 0-100000; `None` below the floor of coverage while it has an evidence of 0.3 of no measure.
    pub score: Option<i32>,
    /// Where it lies, with 80 %. `None` also of what was kept before it was asked.
    #[serde(default)]
    pub interval: Option<(i32, i32)>,
    /// How much of what the scorecard asks it knows, 0-1000.
    pub coverage: i32,
}

/// What each source says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sources(pub Vec<Said>);

impl Sources {
    /// Scores each source by itself; a partner's word as it was given, without taking off its usual rosiness: that would hide the gap. Nor do
    /// open cases lower it, or whoever told of one would take its customers off the list.
    pub fn of(scorer: &Scorer, evidence: &[Evidence], on: NaiveDate) -> Self {
        let none: Option<&HashMap<MeasureId, f64>> = None;
        let said = |class: EvidenceClass| {
            let own: Vec<Evidence> = evidence.iter().filter(|item| item.class == class).copied().collect();
            let (score, interval, coverage) = scorer.figure(&own, none, on);
            Said { class, score, interval, coverage }
        };
        Self(COMPARED.map(said).to_vec())
    }

    /// The distance between the best and the worst of them, in thousandths; `None` of fewer than two that know enough.
    pub fn divergence(&self) -> Option<i32> {
        let known = || self.0.iter().filter_map(|said| said.score);
        (known().count() >= 2).then(|| Some(known().max()? - known().min()?)).flatten()
    }

    /// Whether the 95 % interval of the difference between the best and the worst leaves out 0 (SCIENCE 2.6), by their 80 % intervals; without them no
    /// difference shows.
    pub fn difference_shows(&self) -> bool {
        let known = || self.0.iter().filter_map(|said| Some((said.score?, said.interval?)));
        let best_and_worst = known().max_by_key(|(score, _)| *score).zip(known().min_by_key(|(score, _)| *score));
        // A cap, or an end of the scale, cuts an interval on one side.
        let half = |(score, (low, high)): (i32, (i32, i32))| f64::from((score - low).max(high - score));
        best_and_worst.is_some_and(|(best, worst)| f64::from(best.0 - worst.0) > Z95 / Z80 * half(best).hypot(half(worst)))
    }

    /// Since when they lie far apart, given since when they did before.
    pub fn diverges_since(&self, before: Option<NaiveDate>, on: NaiveDate) -> Option<NaiveDate> {
        self.divergence().filter(|gap| *gap >= DIVERGENT).map(|_| before.unwrap_or(on))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::limit::{Condition, Limit};
    use crate::health::score::tests::{day, key, said, scorer};

    #[test]
    fn a_green_word_over_red_facts_is_a_gap_with_an_age() {
        let card = scorer(&[1.0, 1.0], |_, _| {});
        let evidence = [said(0, 90.0, 0, EvidenceClass::PartnerDeclared), said(1, 30.0, 0, EvidenceClass::VendorObserved)];
        let sources = Sources::of(&card, &evidence, day(0));
        assert_eq!(sources.0.iter().map(|s| s.score).collect::<Vec<_>>(), [Some(90_000), Some(30_000), None]);
        assert_eq!(sources.divergence(), Some(60_000));
        assert_eq!(sources.diverges_since(None, day(0)), Some(day(0)));
        assert_eq!(sources.diverges_since(Some(day(-9)), day(0)), Some(day(-9)));
        // Worked by hand: of 60 points, with a half width of 15 and of 25, 1.5294 x 29.2 = 44.6; with 15 and 40, 1.5294 x 42.7 = 65.3.
        let shows = |half: i32| {
            let mut doubted = sources.clone();
            doubted.0[0].interval = Some((75_000, 100_000));
            doubted.0[1].interval = Some((0, 30_000 + half));
            doubted.difference_shows()
        };
        assert_eq!((shows(25_000), shows(40_000)), (true, false));
        let one = Sources::of(&card, &evidence[..1], day(0));
        assert_eq!((one.divergence(), one.diverges_since(Some(day(-9)), day(0))), (None, None));
    }

    /// Of ten measures the vendor sees one, a tenth of what is asked: below the floor of the whole score, and yet what nobody should overlook.
    #[test]
    fn one_red_fact_among_ten_green_words_is_a_gap_until_it_has_faded() {
        let plain = scorer(&[1.0; 10], |_, _| {});
        let mut evidence: Vec<Evidence> = (0..9).map(|measure| said(measure, 90.0, 50, EvidenceClass::PartnerDeclared)).collect();
        evidence.push(said(9, 10.0, 0, EvidenceClass::VendorObserved));
        let vendor = |on: i64| Sources::of(&plain, &evidence, day(on)).0[1];
        assert_eq!((vendor(0).score, vendor(0).coverage), (Some(10_000), 100));
        assert_eq!(Sources::of(&plain, &evidence, day(50)).divergence(), Some(80_000));
        // Its half-life is 30 days: 2^(-52/30) = 0.3007, and 0.2939 a day later.
        assert_eq!((vendor(52).score, vendor(53).score), (Some(10_000), None));
        // By the same caps: who says to be content and to have a hard time of it is not content.
        let capped = scorer(&[1.0; 10], |card, _| {
            card.limits = vec![Limit {
                key: "effort".parse().unwrap(),
                when: Condition::Latest { measure: key(20), at_most: Some(3.0), at_least: None, within_days: 90 },
                at_most: Some(55.0),
                at_least: None,
            }];
        });
        evidence.extend([said(0, 90.0, 50, EvidenceClass::CustomerVoiced), said(20, 2.0, 50, EvidenceClass::CustomerVoiced)]);
        assert_eq!(Sources::of(&capped, &evidence, day(50)).0.iter().map(|said| said.score).collect::<Vec<_>>(), [Some(90_000), Some(10_000), Some(55_000)]);
    }
}
