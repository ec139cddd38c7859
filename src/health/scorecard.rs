//! A scorecard: the policy by which evidence becomes health, as data. One is active; once active it never changes.

use crate::directory::TouchModel;
use crate::intake::{EvidenceClass, Nature};
use crate::kernel::id::MeasureId;
use crate::kernel::text::{Broken, Key};
use serde::{Deserialize, Serialize};

crate::word_list! {
    /// Where a scorecard stands.
    CardState {
        /// May be activated.
        Draft = "draft",
        /// Scores are made by it.
        Active = "active",
        /// Scores were made by it.
        Retired = "retired",
    }
    /// What a score amounts to.
    Band {
        /// Going well.
        Healthy = "healthy",
        /// To be watched.
        Watch = "watch",
        /// May be lost.
        AtRisk = "at_risk",
        /// Too little is known.
        Unknown = "unknown",
    }
}

/// The most measures of a scorecard.
pub const MAX_MEASURES: usize = 100;
/// The smallest weight but nothing.
const MIN_WEIGHT: f64 = 1e-6;
/// The largest weight.
const MAX_WEIGHT: f64 = 1e6;

/// A measure with its weight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weighted {
    /// Which measure.
    pub measure: Key,
    /// Any non-negative number; weights are relative to their sum.
    pub weight: f64,
}

/// The limits of the bands, in points: `at_risk` below `watch_from`, `healthy` from `healthy_from` on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bands {
    /// Where `watch` begins.
    pub watch_from: f64,
    /// Where `healthy` begins.
    pub healthy_from: f64,
}

/// How much a statement weighs by who made it and whether it is a figure or an opinion (SCIENCE 2.2, DECISIONS 3).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceWeights {
    /// A partner's figure.
    pub partner_figure: f64,
    /// A partner's opinion.
    pub partner_opinion: f64,
    /// The vendor's own systems.
    pub vendor: f64,
    /// The customer's own words.
    pub customer: f64,
    /// Somebody else.
    pub third_party: f64,
}

impl Default for SourceWeights {
    fn default() -> Self {
        Self { partner_figure: 0.8, partner_opinion: 0.6, vendor: 1.0, customer: 1.0, third_party: 0.6 }
    }
}

impl SourceWeights {
    /// The weight of a statement.
    pub fn of(&self, class: EvidenceClass, nature: Nature) -> f64 {
        match (class, nature) {
            (EvidenceClass::PartnerDeclared, Nature::Figure) => self.partner_figure,
            (EvidenceClass::PartnerDeclared, Nature::Opinion) => self.partner_opinion,
            (EvidenceClass::VendorObserved, _) => self.vendor,
            (EvidenceClass::CustomerVoiced, _) => self.customer,
            (EvidenceClass::ThirdParty, _) => self.third_party,
        }
    }
}

/// The policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scorecard {
    /// What counts, and how much.
    pub measures: Vec<Weighted>,
    /// The limits of the bands.
    pub bands: Bands,
    /// Below this coverage (0-1) the answer is `unknown`.
    pub coverage_floor: f64,
    /// Who is believed how much.
    pub source_weights: SourceWeights,
    /// The error that averaging does not remove, in points (`s0` of SCIENCE 2.3).
    pub common_error: f64,
    /// The variance of one measure within a customer (`q_m` of SCIENCE 2.3).
    pub measure_variance: f64,
    /// How far an unheard part may differ, in points (`tau` of SCIENCE 2.3).
    pub unheard_spread: f64,
}

/// A measure as a score needs it: the scorecard's weight and the catalogue's entry.
#[derive(Debug, Clone)]
pub struct CardMeasure {
    /// Its id.
    pub id: MeasureId,
    /// Its key.
    pub key: Key,
    /// Its weight.
    pub weight: f64,
    /// Figure or opinion.
    pub nature: Nature,
    /// From values to points.
    pub curve: crate::intake::Curve,
    /// Days after which evidence weighs half.
    pub half_life_days: Option<i32>,
    /// Days after which evidence counts no more.
    pub valid_days: i32,
}

impl Scorecard {
    /// A policy with the defaults of SCIENCE 2.3.
    pub fn with(measures: Vec<Weighted>, bands: Option<Bands>, coverage_floor: Option<f64>, source_weights: Option<SourceWeights>) -> Self {
        Self {
            measures,
            bands: bands.unwrap_or(Bands { watch_from: 40.0, healthy_from: 65.0 }),
            coverage_floor: coverage_floor.unwrap_or(0.15),
            source_weights: source_weights.unwrap_or_default(),
            common_error: 6.0,
            measure_variance: 144.0,
            unheard_spread: 8.0,
        }
    }

    /// Everything wrong with the policy, with its place.
    pub fn faults(&self, known: impl Fn(&Key) -> bool) -> Vec<(String, Broken)> {
        let mut faults = Vec::new();
        if self.measures.is_empty() {
            faults.push(("/measures".to_owned(), Broken::Empty));
        }
        if self.measures.len() > MAX_MEASURES {
            // Named once; what is in so long a list is not looked at.
            return vec![("/measures".to_owned(), Broken::TooLong)];
        }
        for (i, item) in self.measures.iter().enumerate() {
            if !known(&item.measure) {
                faults.push((format!("/measures/{i}/measure"), Broken::ReferenceNotFound));
            }
            if self.measures[..i].iter().any(|before| before.measure == item.measure) {
                faults.push((format!("/measures/{i}/measure"), Broken::Duplicate));
            }
            if item.weight != 0.0 && !(MIN_WEIGHT..=MAX_WEIGHT).contains(&item.weight) {
                faults.push((format!("/measures/{i}/weight"), Broken::OutOfRange));
            }
        }
        if !self.measures.is_empty() && self.measures.iter().all(|item| item.weight == 0.0) {
            faults.push(("/measures".to_owned(), Broken::OutOfRange));
        }
        let Bands { watch_from, healthy_from } = self.bands;
        if !(0.0..=100.0).contains(&watch_from) {
            faults.push(("/bands/watch_from".to_owned(), Broken::OutOfRange));
        }
        if !(0.0..=100.0).contains(&healthy_from) {
            faults.push(("/bands/healthy_from".to_owned(), Broken::OutOfRange));
        } else if watch_from > healthy_from {
            faults.push(("/bands/healthy_from".to_owned(), Broken::Contradiction));
        }
        if !(0.0..=1.0).contains(&self.coverage_floor) {
            faults.push(("/coverage_floor".to_owned(), Broken::OutOfRange));
        }
        let s = &self.source_weights;
        for (name, weight) in
            [("partner_figure", s.partner_figure), ("partner_opinion", s.partner_opinion), ("vendor", s.vendor), ("customer", s.customer), ("third_party", s.third_party)]
        {
            if !(0.0..=1.0).contains(&weight) {
                faults.push((format!("/source_weights/{name}"), Broken::OutOfRange));
            }
        }
        faults
    }

    /// The band of a score in thousandths.
    pub fn band(&self, score: Option<i32>) -> Band {
        let Some(score) = score else { return Band::Unknown };
        let from = |points: f64| crate::kernel::number::round(points * 1000.0);
        if i64::from(score) < from(self.bands.watch_from) {
            Band::AtRisk
        } else if i64::from(score) < from(self.bands.healthy_from) {
            Band::Watch
        } else {
            Band::Healthy
        }
    }
}

/// When a customer must be heard again, by how closely it is looked after.
pub fn due_on(reported_on: Option<chrono::NaiveDate>, touch_model: TouchModel) -> Option<chrono::NaiveDate> {
    reported_on.and_then(|day| day.checked_add_signed(chrono::Duration::days(touch_model.cadence_days())))
}
