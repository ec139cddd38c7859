//! Three-source health: the same policy over what the partner declared, what the vendor observed and what the customer voiced, each by
//! itself. Averages over sources are the score; how far they lie apart is a finding of its own (DOMAIN 6.1).

use super::evidence::Evidence;
use super::score::Scorer;
use crate::intake::EvidenceClass;
use crate::kernel::id::MeasureId;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// From this gap on, in thousandths of a point, sources disagree (SCIENCE 2.6).
pub const DIVERGENT: i32 = 25_000;

/// The sources that are set against each other.
pub const COMPARED: [EvidenceClass; 3] = [EvidenceClass::PartnerDeclared, EvidenceClass::VendorObserved, EvidenceClass::CustomerVoiced];

/// What one source says by itself; figures in thousandths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Whose evidence.
    pub class: EvidenceClass,
    /// 0-100000; `None` below the coverage floor.
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
    /// Scores each source by itself; a partner's word as it was given, without taking off its usual rosiness: that would hide the gap.
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

    /// Whether the intervals of the best and the worst leave room between them (SCIENCE 2.6); without them nothing is shown.
    pub fn is_shown(&self) -> bool {
        let known = || self.0.iter().filter_map(|said| said.score.map(|score| (score, said.interval)));
        let (best, worst) = (known().max_by_key(|(score, _)| *score), known().min_by_key(|(score, _)| *score));
        best.and_then(|(_, interval)| interval).zip(worst.and_then(|(_, interval)| interval)).is_some_and(|((low, _), (_, high))| high < low)
    }

    /// Since when they lie far apart, given since when they did before.
    pub fn diverges_since(&self, before: Option<NaiveDate>, on: NaiveDate) -> Option<NaiveDate> {
        self.divergence().filter(|gap| *gap >= DIVERGENT).map(|_| before.unwrap_or(on))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::score::tests::{day, said, scorer};

    #[test]
    fn a_green_word_over_red_facts_is_a_gap_with_an_age() {
        let card = scorer(&[1.0, 1.0], |_, _| {});
        let evidence = [said(0, 90.0, 0, EvidenceClass::PartnerDeclared), said(1, 30.0, 0, EvidenceClass::VendorObserved)];
        let sources = Sources::of(&card, &evidence, day(0));
        assert_eq!(sources.0.iter().map(|s| s.score).collect::<Vec<_>>(), [Some(90_000), Some(30_000), None]);
        assert_eq!(sources.divergence(), Some(60_000));
        assert_eq!(sources.diverges_since(None, day(0)), Some(day(0)));
        assert_eq!(sources.diverges_since(Some(day(-9)), day(0)), Some(day(-9)));
        // One value of either: too little for a difference to show at 60 points, were they not read by intervals of some 20 points to either side.
        assert!(sources.is_shown());
        let mut close = sources.clone();
        close.0[1].interval = Some((10_000, close.0[0].interval.unwrap().0));
        assert!(!close.is_shown());
        let one = Sources::of(&card, &evidence[..1], day(0));
        assert_eq!((one.divergence(), one.diverges_since(Some(day(-9)), day(0))), (None, None));
    }
}
