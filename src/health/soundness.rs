//! What may be wrong with a scorecard, each fault with its place.

use super::limit::Condition;
use super::scorecard::{Bands, Missing, Scorecard};
use crate::intake::Curve;
use crate::kernel::text::{Broken, Key};
use std::collections::BTreeSet;

/// The most measures of a scorecard, the most groups, and the most entries of a criterion: each customer pays for each of them. Limits may be as many as a
/// body holds (DOMAIN C): where one could bound nothing, it costs a comparison.
pub const MAX_MEASURES: usize = 100;
/// The smallest weight but nothing, and the largest: any proportion anybody means, and sums of them still are numbers.
const WEIGHTS: std::ops::RangeInclusive<f64> = 1e-100..=1e100;
/// What groups share out to all measures together is at least this: of less nothing is left to divide. Only where the weight of a group's members lies with
/// some that hold nothing is it so little.
const LEAST_SHARED_OUT: f64 = 1e-200;
/// The widest hysteresis, in points.
const MAX_HYSTERESIS: f64 = 20.0;

/// Collects faults.
#[derive(Default)]
struct Faults(Vec<(String, Broken)>);

impl Faults {
    fn demand(&mut self, holds: bool, pointer: impl Into<String>, code: Broken) {
        if !holds {
            self.0.push((pointer.into(), code));
        }
    }
}

fn is_weight(weight: f64) -> bool {
    weight == 0.0 || WEIGHTS.contains(&weight)
}

impl Scorecard {
    /// Everything wrong with the policy, with its place. `listed` is the curve of a measure in the catalogue, if it is there.
    pub fn faults<'a>(&self, listed: impl Fn(&Key) -> Option<&'a Curve>) -> Vec<(String, Broken)> {
        let known = |key: &Key| listed(key).is_some();
        // Named once; what is in so long a list is not looked at.
        for (name, length) in [("/measures", self.measures.len()), ("/groups", self.groups.len())] {
            if length > MAX_MEASURES {
                return vec![(name.to_owned(), Broken::TooLong)];
            }
        }
        let c = &self.criteria;
        let mut faults = Faults::default();
        for (name, length) in [
            ("segments", c.segments.len()),
            ("stages", c.stages.len()),
            ("touch_models", c.touch_models.len()),
            ("business_models", c.business_models.len()),
            ("products", c.products.len()),
        ] {
            faults.demand(length <= MAX_MEASURES, format!("/criteria/{name}"), Broken::TooLong);
        }
        self.check_measures(&mut faults, &listed);
        self.check_groups(&mut faults);
        self.check_limits(&mut faults, &known);
        let Bands { watch_from, healthy_from } = self.bands;
        faults.demand((0.0..=100.0).contains(&watch_from), "/bands/watch_from", Broken::OutOfRange);
        faults.demand((0.0..=100.0).contains(&healthy_from), "/bands/healthy_from", Broken::OutOfRange);
        faults.demand(!(0.0..=100.0).contains(&healthy_from) || watch_from.is_nan() || watch_from <= healthy_from, "/bands/healthy_from", Broken::Contradiction);
        faults.demand((0.0..=1.0).contains(&self.coverage_floor), "/coverage_floor", Broken::OutOfRange);
        faults.demand((0.0..=MAX_HYSTERESIS).contains(&self.hysteresis), "/hysteresis", Broken::OutOfRange);
        faults.demand(self.override_approval_from_minor.is_none_or(|minor| minor >= 0), "/override_approval_from_minor", Broken::OutOfRange);
        let s = &self.source_weights;
        for (name, weight) in
            [("partner_figure", s.partner_figure), ("partner_opinion", s.partner_opinion), ("vendor", s.vendor), ("customer", s.customer), ("third_party", s.third_party)]
        {
            faults.demand((0.0..=1.0).contains(&weight), format!("/source_weights/{name}"), Broken::OutOfRange);
        }
        faults.0
    }

    fn check_measures<'a>(&self, faults: &mut Faults, listed: &impl Fn(&Key) -> Option<&'a Curve>) {
        faults.demand(!self.measures.is_empty(), "/measures", Broken::Empty);
        let mut before = BTreeSet::new();
        for (i, item) in self.measures.iter().enumerate() {
            let at = |member: &str| format!("/measures/{i}/{member}");
            let days = |days: Option<i32>| days.is_none_or(|days| (1..=3650).contains(&days));
            faults.demand(listed(&item.measure).is_some(), at("measure"), Broken::ReferenceNotFound);
            faults.demand(before.insert(&item.measure), at("measure"), Broken::Duplicate);
            faults.demand(is_weight(item.weight), at("weight"), Broken::OutOfRange);
            faults.demand(item.group.as_ref().is_none_or(|key| self.groups.iter().any(|group| group.key == *key)), at("group"), Broken::ReferenceNotFound);
            let curved = item.curve.iter().flat_map(Curve::faults);
            faults.0.extend(curved.map(|(place, code)| (at("curve") + &place, code)));
            faults.demand(days(item.half_life_days), at("half_life_days"), Broken::OutOfRange);
            faults.demand(days(item.valid_days), at("valid_days"), Broken::OutOfRange);
            faults.demand((0.0..=1.0).contains(&item.minimum_evidence), at("minimum_evidence"), Broken::OutOfRange);
            // One value has no slope.
            let is_trend = item.curve.as_ref().or_else(|| listed(&item.measure)).is_some_and(|curve| curve.window_days().is_some());
            faults.demand(item.missing != Missing::LastValue || !is_trend, at("missing"), Broken::Contradiction);
        }
        let in_circles = self.groups.iter().any(|group| self.circles(&group.key));
        let nothing = !in_circles && self.shared_out().iter().sum::<f64>() < LEAST_SHARED_OUT;
        faults.demand(self.measures.is_empty() || !nothing, "/measures", Broken::OutOfRange);
    }

    fn check_groups(&self, faults: &mut Faults) {
        let mut before = BTreeSet::new();
        for (i, group) in self.groups.iter().enumerate() {
            let at = |member: &str| format!("/groups/{i}/{member}");
            faults.demand(before.insert(&group.key), at("key"), Broken::Duplicate);
            faults.demand(is_weight(group.weight), at("weight"), Broken::OutOfRange);
            faults.demand(group.parent.as_ref().is_none_or(|key| self.groups.iter().any(|other| other.key == *key)), at("parent"), Broken::ReferenceNotFound);
            faults.demand(!self.circles(&group.key), at("parent"), Broken::Circular);
            let inside = self.measures.iter().any(|item| item.group.as_ref() == Some(&group.key)) || self.groups.iter().any(|other| other.parent.as_ref() == Some(&group.key));
            faults.demand(inside, format!("/groups/{i}"), Broken::Empty);
        }
    }

    /// Whether going up from a group comes back to one that was passed.
    fn circles(&self, start: &Key) -> bool {
        let mut passed = BTreeSet::new();
        let mut at = Some(start);
        while let Some(key) = at {
            if !passed.insert(key) {
                return true;
            }
            at = self.groups.iter().find(|group| group.key == *key).and_then(|group| group.parent.as_ref());
        }
        false
    }

    fn check_limits(&self, faults: &mut Faults, known: &impl Fn(&Key) -> bool) {
        let mut before = BTreeSet::new();
        for (i, limit) in self.limits.iter().enumerate() {
            let at = |member: &str| format!("/limits/{i}/{member}");
            faults.demand(before.insert(&limit.key), at("key"), Broken::Duplicate);
            faults.demand(limit.at_most.is_some() != limit.at_least.is_some(), at("at_most"), Broken::OneOf);
            for (member, points) in [("at_most", limit.at_most), ("at_least", limit.at_least)] {
                faults.demand(points.is_none_or(|points| (0.0..=100.0).contains(&points)), at(member), Broken::OutOfRange);
            }
            match &limit.when {
                Condition::OverdueCase { severity } => faults.demand((1..=4).contains(severity), at("when/severity"), Broken::OutOfRange),
                Condition::OpenCase { .. } => {}
                Condition::Latest { measure, at_most, at_least, within_days } => {
                    faults.demand(known(measure), at("when/measure"), Broken::ReferenceNotFound);
                    faults.demand(at_most.is_some() || at_least.is_some(), at("when/at_most"), Broken::OneOf);
                    faults.demand(at_most.is_none_or(f64::is_finite), at("when/at_most"), Broken::OutOfRange);
                    faults.demand(at_least.is_none_or(f64::is_finite), at("when/at_least"), Broken::OutOfRange);
                    faults.demand((1..=3650).contains(within_days), at("when/within_days"), Broken::OutOfRange);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::scorecard::{Group, Weighted};

    fn key(text: &str) -> Key {
        text.parse().unwrap()
    }

    fn found(card: &Scorecard) -> Vec<(String, Broken)> {
        let line = Curve::identity();
        card.faults(|key| (key.as_str() != "nowhere").then_some(&line))
    }

    #[test]
    fn faults_are_told_with_their_places() {
        let group =
            |name: &str, parent: Option<&str>| Group { key: key(name), name_en: "G".parse().unwrap(), name_ja: "群".parse().unwrap(), weight: 1.0, parent: parent.map(key) };
        let inside = |name: &str, of: &str| Weighted { group: Some(key(of)), ..Weighted::plain(key(name), 1.0) };
        let sound = Scorecard { groups: vec![group("a", None)], ..Scorecard::with(vec![inside("m", "a")]) };
        assert_eq!(found(&sound), []);
        let circle = Scorecard { groups: vec![group("a", Some("b")), group("b", Some("a"))], ..sound.clone() };
        assert_eq!(found(&circle), [("/groups/0/parent".to_owned(), Broken::Circular), ("/groups/1/parent".to_owned(), Broken::Circular)]);
        let lost = Scorecard { groups: vec![group("a", Some("z"))], measures: vec![inside("m", "y"), inside("nowhere", "a")], ..sound.clone() };
        assert_eq!(found(&lost).into_iter().map(|(at, _)| at).collect::<Vec<_>>(), ["/measures/0/group", "/measures/1/measure", "/groups/0/parent"]);
        let empty = Scorecard { groups: vec![group("a", None), group("b", None)], ..sound.clone() };
        assert_eq!(found(&empty), [("/groups/1".to_owned(), Broken::Empty)]);
        let crossed = Scorecard { bands: Bands { watch_from: 70.0, healthy_from: 60.0 }, ..sound.clone() };
        assert_eq!(found(&crossed), [("/bands/healthy_from".to_owned(), Broken::Contradiction)]);
        for bad in [f64::NAN, f64::INFINITY, -1.0, 1e-101, 1e101] {
            let weighed = Scorecard { measures: vec![Weighted { weight: bad, ..inside("m", "a") }], ..sound.clone() };
            assert_eq!(found(&weighed).first().map(|fault| fault.0.as_str()), Some("/measures/0/weight"), "{bad}");
        }
        let weighed = |weight, group: Group| Group { weight, ..group };
        let of = |name: &str, weight, of: &str| Weighted { weight, ..inside(name, of) };
        let hollow = Scorecard {
            groups: vec![group("a", None), weighed(1e10, group("z", Some("a"))), weighed(1e-100, group("b", Some("a"))), weighed(1e100, group("y", Some("b")))],
            ..Scorecard::with(vec![of("k", 0.0, "z"), of("l", 0.0, "y"), of("m", 1e-100, "b")])
        };
        assert_eq!(found(&hollow), [("/measures".to_owned(), Broken::OutOfRange)]);
        let trend = Curve::Trend { falling: -10.0, rising: 10.0, window_days: 90 };
        let last = |curve| Scorecard { measures: vec![Weighted { missing: Missing::LastValue, curve, ..inside("m", "a") }], ..sound.clone() };
        assert_eq!((found(&last(Some(trend))), found(&last(None))), (vec![("/measures/0/missing".to_owned(), Broken::Contradiction)], vec![]));
        let many = Scorecard::with((0..10_000).map(|i| Weighted::plain(key(&format!("m{i}")), 1.0)).collect());
        assert_eq!(found(&many), [("/measures".to_owned(), Broken::TooLong)]);
    }
}
