//! A scorecard: the policy by which evidence becomes health, as data. Once active it never changes. Several purposes stand side by
//! side; within one, scorecards are asked in the order of their rank and the first whose criteria fit a customer applies.

use super::limit::Limit;
use crate::directory::{CustomerState, TouchModel};
use crate::intake::{Curve, EvidenceClass, Nature};
use crate::kernel::id::MeasureId;
use crate::kernel::text::{Key, Label, Name};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

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
    /// What a scorecard's figure is to tell.
    Purpose {
        /// Whether the customer stays; lists and figures over many customers are of this one.
        Churn = "churn",
        /// Whether the customer will buy more.
        Growth = "growth",
        /// Whether the customer is coming into use.
        Onboarding = "onboarding",
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
    /// What stands for a measure of which too little is known. It moves the score and never the coverage.
    Missing {
        /// Nothing: the others count for more.
        Exclude = "exclude",
        /// 50 points.
        Neutral = "neutral",
        /// 0 points.
        Floor = "floor",
        /// The last value, however old; it fades by its age, as evidence does.
        LastValue = "last_value",
    }
}

/// The rank of the scorecard for customers no other one fits; it has no criteria and is never retired without a successor.
pub const LAST_RANK: i32 = 1000;

/// A measure with its weight, and how it is read where that differs from the catalogue.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weighted {
    /// Which measure.
    pub measure: Key,
    /// Any non-negative number; weights are relative to their sum within the group.
    pub weight: f64,
    /// The group it belongs to; the top when left out.
    #[serde(default)]
    pub group: Option<Key>,
    /// From values to points.
    #[serde(default)]
    pub curve: Option<Curve>,
    /// Days after which evidence weighs half.
    #[serde(default)]
    pub half_life_days: Option<i32>,
    /// Days after which evidence counts no more.
    #[serde(default)]
    pub valid_days: Option<i32>,
    /// What stands for it while too little is known.
    #[serde(default = "Weighted::exclude")]
    pub missing: Missing,
    /// Below this evidence (`E_m`, 0-1) it counts as missing.
    #[serde(default)]
    pub minimum_evidence: f64,
}

impl Weighted {
    /// A measure read as the catalogue says.
    pub fn plain(measure: Key, weight: f64) -> Self {
        Self { measure, weight, group: None, curve: None, half_life_days: None, valid_days: None, missing: Missing::Exclude, minimum_evidence: 0.0 }
    }

    fn exclude() -> Missing {
        Missing::Exclude
    }
}

/// Measures, and groups of them, that are weighed against each other first. A group's weight is shared out among its members, so
/// that nesting changes no formula: the evidence-weighted mean of groups of means is the mean by the shared-out weights.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its key within the scorecard.
    pub key: Key,
    /// English name.
    pub name_en: Name,
    /// Japanese name.
    pub name_ja: Name,
    /// Its weight among its neighbours.
    pub weight: f64,
    /// The group it belongs to; the top when left out.
    #[serde(default)]
    pub parent: Option<Key>,
}

/// The limits of the bands, in points: `at_risk` below `watch_from`, `healthy` from `healthy_from` on. Said by where each begins,
/// so that they can neither overlap nor leave a gap.
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

/// Which customers a scorecard is for; what is left out or empty fits everybody.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Criteria {
    /// Of these segments.
    pub segments: Vec<Label>,
    /// In these stages of their life.
    pub stages: Vec<CustomerState>,
    /// Looked after so.
    pub touch_models: Vec<TouchModel>,
    /// Of these business models.
    pub business_models: Vec<Label>,
    /// With a running subscription to one of these products.
    pub products: Vec<Label>,
}

/// What criteria look at.
#[derive(Debug, Clone)]
pub struct Profile<'a> {
    /// Its segment.
    pub segment: Option<&'a str>,
    /// Where it stands.
    pub stage: CustomerState,
    /// How it is looked after.
    pub touch_model: TouchModel,
    /// Its business model.
    pub business_model: Option<&'a str>,
    /// What it has bought and runs.
    pub products: &'a [String],
}

impl Criteria {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a customer fits.
    pub fn fit(&self, customer: &Profile<'_>) -> bool {
        let one_of = |list: &[Label], value: Option<&str>| list.is_empty() || value.is_some_and(|value| list.iter().any(|label| label.as_str() == value));
        one_of(&self.segments, customer.segment)
            && one_of(&self.business_models, customer.business_model)
            && (self.stages.is_empty() || self.stages.contains(&customer.stage))
            && (self.touch_models.is_empty() || self.touch_models.contains(&customer.touch_model))
            && (self.products.is_empty() || customer.products.iter().any(|product| one_of(&self.products, Some(product))))
    }
}

/// The policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scorecard {
    /// What counts, and how much.
    pub measures: Vec<Weighted>,
    /// What is weighed together.
    #[serde(default)]
    pub groups: Vec<Group>,
    /// The limits of the bands.
    pub bands: Bands,
    /// Below this coverage (0-1) the answer is `unknown`.
    pub coverage_floor: f64,
    /// Who is believed how much.
    pub source_weights: SourceWeights,
    /// Caps and floors, applied in order.
    #[serde(default)]
    pub limits: Vec<Limit>,
    /// For whom.
    #[serde(default)]
    pub criteria: Criteria,
    /// How far beyond a limit a better band begins for a customer that closed in a worse one, in points. Worse news counts at once.
    #[serde(default = "Scorecard::three")]
    pub hysteresis: f64,
    /// A customer's value per year, in minor units, from which on a second person must approve an override; never when left out.
    #[serde(default)]
    pub override_approval_from_minor: Option<i64>,
    /// The error that averaging does not remove, in points (`s0` of SCIENCE 2.3).
    pub common_error: f64,
    /// The variance of one measure within a customer (`q_m` of SCIENCE 2.3).
    pub measure_variance: f64,
    /// How far an unheard part may differ, in points (`tau` of SCIENCE 2.3).
    pub unheard_spread: f64,
}

/// A measure as a score needs it: the scorecard's entry over the catalogue's.
#[derive(Debug, Clone)]
pub struct CardMeasure {
    /// Its id.
    pub id: MeasureId,
    /// Its key.
    pub key: Key,
    /// Its weight, its groups' shared out to it.
    pub weight: f64,
    /// Figure or opinion.
    pub nature: Nature,
    /// From values to points.
    pub curve: Curve,
    /// Whether that is the scorecard's and not the catalogue's.
    pub own_curve: bool,
    /// Days after which evidence weighs half.
    pub half_life_days: Option<i32>,
    /// Days after which evidence counts no more.
    pub valid_days: i32,
    /// What stands for it while too little is known.
    pub missing: Missing,
    /// Below this evidence it counts as missing.
    pub minimum_evidence: f64,
}

impl Scorecard {
    /// A policy with the defaults of SCIENCE 2.3.
    pub fn with(measures: Vec<Weighted>) -> Self {
        Self {
            measures,
            groups: Vec::new(),
            bands: Bands { watch_from: 40.0, healthy_from: 65.0 },
            coverage_floor: 0.15,
            source_weights: SourceWeights::default(),
            limits: Limit::pain(),
            criteria: Criteria::default(),
            hysteresis: Self::three(),
            override_approval_from_minor: None,
            common_error: 6.0,
            measure_variance: 144.0,
            unheard_spread: 8.0,
        }
    }

    fn three() -> f64 {
        3.0
    }

    /// The weight of each measure with its groups' shared out to it, in the order of `measures`. Of a policy without faults.
    pub fn shared_out(&self) -> Vec<f64> {
        let mut inside: HashMap<Option<&Key>, f64> = HashMap::new();
        for (parent, weight) in self.measures.iter().map(|m| (m.group.as_ref(), m.weight)).chain(self.groups.iter().map(|g| (g.parent.as_ref(), g.weight))) {
            *inside.entry(parent).or_default() += weight;
        }
        let share = |measure: &Weighted| {
            let (mut weight, mut at, mut passed) = (measure.weight, measure.group.as_ref(), BTreeSet::new());
            while let Some(group) = at.and_then(|key| self.groups.iter().find(|group| group.key == *key)).filter(|group| passed.insert(&group.key)) {
                let all = inside.get(&at).copied().unwrap_or(0.0);
                weight = if all > 0.0 { weight / all * group.weight } else { 0.0 };
                at = group.parent.as_ref();
            }
            weight
        };
        self.measures.iter().map(share).collect()
    }

    /// Whether `group` is `other` or lies within it, however deep.
    pub fn within(&self, group: Option<&Key>, other: &Key) -> bool {
        let (mut at, mut passed) = (group, BTreeSet::new());
        while let Some(key) = at.filter(|key| passed.insert(*key)) {
            if key == other {
                return true;
            }
            at = self.groups.iter().find(|candidate| candidate.key == *key).and_then(|found| found.parent.as_ref());
        }
        false
    }

    /// The better band a score lies in by the limits alone, and from which score on it is given, where the last daily close holds it back.
    pub fn held_back(&self, score: Option<i32>, band: Band) -> Option<(Band, f64)> {
        let by_limits = self.band(score, None);
        let limit = match by_limits {
            _ if by_limits == band => return None,
            Band::Healthy => self.bands.healthy_from,
            Band::Watch => self.bands.watch_from,
            Band::AtRisk | Band::Unknown => return None,
        };
        Some((by_limits, (limit + self.hysteresis).min(100.0)))
    }

    /// The band of a score in thousandths, given the band of the last daily close (DECISIONS 5).
    pub fn band(&self, score: Option<i32>, closed_in: Option<Band>) -> Band {
        let Some(score) = score else { return Band::Unknown };
        let (watch, healthy) = match closed_in {
            Some(Band::AtRisk) => (self.hysteresis, self.hysteresis),
            Some(Band::Watch) => (0.0, self.hysteresis),
            _ => (0.0, 0.0),
        };
        let reaches = |limit: f64, more: f64| i64::from(score) >= crate::kernel::number::round((limit + more).min(100.0) * 1000.0);
        if reaches(self.bands.healthy_from, healthy) {
            Band::Healthy
        } else if reaches(self.bands.watch_from, watch) {
            Band::Watch
        } else {
            Band::AtRisk
        }
    }
}

/// When a customer must be heard again, by how closely it is looked after.
pub fn due_on(reported_on: Option<chrono::NaiveDate>, touch_model: TouchModel) -> Option<chrono::NaiveDate> {
    reported_on.and_then(|day| day.checked_add_signed(chrono::Duration::days(touch_model.cadence_days())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        text.parse().unwrap()
    }

    #[test]
    fn a_groups_weight_is_shared_out_among_its_members() {
        let group =
            |name: &str, weight, parent: Option<&str>| Group { key: key(name), name_en: "G".parse().unwrap(), name_ja: "群".parse().unwrap(), weight, parent: parent.map(key) };
        let inside = |name: &str, weight, of: Option<&str>| Weighted { group: of.map(key), ..Weighted::plain(key(name), weight) };
        let card = Scorecard {
            groups: vec![group("use", 3.0, None), group("depth", 1.0, Some("use"))],
            ..Scorecard::with(vec![inside("a", 1.0, None), inside("b", 1.0, Some("use")), inside("c", 1.0, Some("depth")), inside("d", 3.0, Some("depth"))])
        };
        // use: 3 between b (1 of 2) and depth (1 of 2); depth: 1.5 between c (1 of 4) and d (3 of 4).
        assert_eq!(card.shared_out(), [1.0, 1.5, 0.375, 1.125]);
    }

    #[test]
    fn a_better_band_begins_later_than_a_worse_one_ends() {
        let card = Scorecard::with(Vec::new());
        assert_eq!([39_999, 40_000, 64_999, 65_000].map(|s| card.band(Some(s), None)), [Band::AtRisk, Band::Watch, Band::Watch, Band::Healthy]);
        assert_eq!([42_999, 43_000, 67_999, 68_000].map(|s| card.band(Some(s), Some(Band::AtRisk))), [Band::AtRisk, Band::Watch, Band::Watch, Band::Healthy]);
        assert_eq!([39_999, 40_000, 67_999].map(|s| card.band(Some(s), Some(Band::Watch))), [Band::AtRisk, Band::Watch, Band::Watch]);
        assert_eq!([39_999, 64_999, 65_000].map(|s| card.band(Some(s), Some(Band::Healthy))), [Band::AtRisk, Band::Watch, Band::Healthy]);
        assert_eq!(card.band(None, Some(Band::Healthy)), Band::Unknown);
        let held = [(66_000, Band::Watch), (66_000, Band::AtRisk), (42_000, Band::AtRisk), (66_000, Band::Healthy)].map(|(s, band)| card.held_back(Some(s), band));
        assert_eq!(held, [Some((Band::Healthy, 68.0)), Some((Band::Healthy, 68.0)), Some((Band::Watch, 43.0)), None]);
    }

    #[test]
    fn criteria_fit_whoever_they_do_not_exclude() {
        let customer = Profile { segment: Some("SMB"), stage: CustomerState::Active, touch_model: TouchModel::Low, business_model: None, products: &["Kanri".to_owned()] };
        assert!(Criteria::default().fit(&customer));
        assert!(Criteria { segments: vec!["SMB".parse().unwrap()], products: vec!["Kanri".parse().unwrap()], ..Criteria::default() }.fit(&customer));
        assert!(!Criteria { stages: vec![CustomerState::Onboarding], ..Criteria::default() }.fit(&customer));
        assert!(!Criteria { business_models: vec!["subscription".parse().unwrap()], ..Criteria::default() }.fit(&customer));
    }
}
