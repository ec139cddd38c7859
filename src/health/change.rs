//! Why a score moved: the exact split of the difference between two moments. The later moment is reached in steps, one cause at a time;
//! what each step moves is told, and the steps add up because each begins where the one before ended.

use super::score::{AdjustedBy, Known, Part, Score, Scorer};
use crate::kernel::id::MeasureId;
use chrono::NaiveDate;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What an unknown score counts as, in thousandths: contributions count from 50 points.
const UNKNOWN_COUNTS: i32 = 50_000;

crate::word_list! {
    /// Why a measure's contribution moved.
    Cause {
        /// Time passed and evidence weighs less.
        Fading = "fading",
        /// Another value was reported.
        Value = "value",
        /// It is as it was; others count for more or less beside it.
        Weight = "weight",
        /// It was not known before.
        NewlyKnown = "newly_known",
        /// It has aged out, or was taken back.
        NoLongerKnown = "no_longer_known",
        /// The reporter's usual rosiness is estimated otherwise.
        Bias = "bias",
        /// The scorecard weighs or reads it otherwise.
        Policy = "policy",
    }
}

/// A customer at a moment: by which policy it is scored, and from what.
pub struct Moment<'a> {
    /// The policy.
    pub scorer: &'a Scorer,
    /// What is known.
    pub known: Known<'a>,
    /// The day.
    pub on: NaiveDate,
}

/// The difference between two scores, in thousandths; all lines add up to it. An unknown score counts as the 50 points contributions count from.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What each measure's contribution moved by, and why; none of nothing.
    pub lines: Vec<(MeasureId, Cause, i64)>,
    /// What limits and overrides take or add now, less what they did then.
    pub adjusted: Vec<(AdjustedBy, i64)>,
    /// The sum.
    pub total: i64,
}

/// Splits the change from one moment to another. Where what is known makes no score at one of the two, it all became known, or is no longer; `None`
/// where neither moment has a score.
pub fn split(from: &Moment<'_>, to: &Moment<'_>) -> Option<Change> {
    let at = |scorer: &Scorer, evidence: &Moment<'_>, bias: &Moment<'_>, on: NaiveDate| {
        // What adjusts a score is set against what adjusted it, not stepped through.
        let known = Known { evidence: evidence.known.evidence, bias: bias.known.bias, ..Known::default() };
        scorer.score(&known, on)
    };
    let (first, last) = (from.scorer.score(&from.known, from.on), to.scorer.score(&to.known, to.on));
    if first.score.is_none() && last.score.is_none() {
        return None;
    }
    let mut held = at(from.scorer, from, from, from.on);
    let reached = (Cause::Policy, at(to.scorer, to, to, to.on));
    let is_whole = held.score.is_none() || reached.1.score.is_none();
    let steps: Vec<(Cause, Score)> = if !is_whole {
        let between = [(Cause::Fading, at(from.scorer, from, from, to.on)), (Cause::Value, at(from.scorer, to, from, to.on)), (Cause::Bias, at(from.scorer, to, to, to.on))];
        // A step in between may fall below the floor of coverage; then the measures have no contributions of their own there, and the
        // steps around it are told as one.
        between.into_iter().filter(|(_, step)| step.score.is_some()).chain([reached]).collect()
    } else {
        vec![(Cause::Value, reached.1)]
    };
    let mut lines: BTreeMap<(MeasureId, Cause), i64> = BTreeMap::new();
    for (cause, step) in steps {
        let (then, now) = (by_measure(&held), by_measure(&step));
        for measure in then.keys().chain(now.keys()).copied().collect::<BTreeSet<MeasureId>>() {
            let (then, now) = (then.get(&measure).copied(), now.get(&measure).copied());
            let moved = contribution(now) - contribution(then);
            let cause = match (cause, then.filter(is_heard), now.filter(is_heard)) {
                _ if is_whole => of_whole(then, now, from.scorer.card != to.scorer.card),
                (Cause::Fading | Cause::Value, Some(_), None) => Cause::NoLongerKnown,
                (Cause::Fading | Cause::Value, None, Some(_)) => Cause::NewlyKnown,
                (Cause::Value, Some(then), Some(now)) if (then.evidence, then.points) == (now.evidence, now.points) => Cause::Weight,
                (cause, _, _) => cause,
            };
            if moved != 0 {
                *lines.entry((measure, cause)).or_default() += moved;
            }
        }
        held = step;
    }
    let mut adjusted: Vec<(AdjustedBy, i64)> = Vec::new();
    let mut places: HashMap<&AdjustedBy, usize> = HashMap::new();
    for (score, sign) in [(&last, 1), (&first, -1)] {
        for adjustment in &score.adjustments {
            let by = i64::from(adjustment.to) - i64::from(adjustment.from.unwrap_or(UNKNOWN_COUNTS));
            let place = *places.entry(&adjustment.by).or_insert(adjusted.len());
            match adjusted.get_mut(place) {
                Some((_, sum)) => *sum += sign * by,
                None => adjusted.push((adjustment.by.clone(), sign * by)),
            }
        }
    }
    lines.retain(|_, moved| *moved != 0);
    adjusted.retain(|(_, moved)| *moved != 0);
    let lines = lines.into_iter().map(|((measure, cause), moved)| (measure, cause, moved)).collect();
    let counted = |score: &Score| i64::from(score.score.unwrap_or(UNKNOWN_COUNTS));
    Some(Change { lines, adjusted, total: counted(&last) - counted(&first) })
}

/// Why a measure has a contribution where there was no score, or none where there is none now: only what was never spoken of before became known,
/// whatever lifted the score over the floor of coverage.
fn of_whole(then: Option<&Part>, now: Option<&Part>, other_policy: bool) -> Cause {
    let evidence = |part: Option<&Part>| part.map_or(0, |part| part.evidence);
    match (evidence(then), evidence(now)) {
        // One of the two scorecards does not ask for it.
        _ if then.is_none() || now.is_none() => Cause::Policy,
        (0, 1..) => Cause::NewlyKnown,
        (1.., 0) => Cause::NoLongerKnown,
        _ if other_policy => Cause::Policy,
        _ if then.map(|part| part.bias) != now.map(|part| part.bias) => Cause::Bias,
        _ if then.map(|part| part.points) != now.map(|part| part.points) => Cause::Value,
        (was, is) if is < was && contribution(now) == 0 => Cause::Fading,
        _ => Cause::Weight,
    }
}

fn by_measure(score: &Score) -> BTreeMap<MeasureId, &Part> {
    score.parts.iter().map(|part| (part.measure, part)).collect()
}

fn contribution(part: Option<&Part>) -> i64 {
    part.and_then(|part| part.contribution).unwrap_or(0).into()
}

fn is_heard(part: &&Part) -> bool {
    part.contribution.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::score::tests::{anything, day, key, said, scorer};
    use crate::intake::{EvidenceClass, OpenCase};
    use proptest::prelude::*;

    fn known(evidence: &[crate::health::Evidence]) -> Known<'_> {
        Known { evidence, ..Known::default() }
    }

    /// Day 0: m0 at 80, m1 at 40, so 60, k = 15 and -5. Fading alone halves both: nothing moves. Day 30: m0 is reported again, at 38.
    #[test]
    fn a_change_worked_by_hand() {
        let card = scorer(&[1.0, 1.0], |_, _| {});
        let then = [said(0, 80.0, 0, EvidenceClass::VendorObserved), said(1, 40.0, 0, EvidenceClass::VendorObserved)];
        let now = [then[0], then[1], said(0, 38.0, 30, EvidenceClass::VendorObserved)];
        let (from, to) = (Moment { scorer: &card, known: known(&then), on: day(0) }, Moment { scorer: &card, known: known(&now), on: day(30) });
        let change = split(&from, &to).unwrap();
        // m0 then: (0.5 * 80 + 1 * 38) / 1.5 = 52, E = 1: h = (52 + 0.5 * 40) / 1.5 = 48; k = 2 / 1.5 and -5 / 1.5.
        assert_eq!(change.total, -12_000);
        assert_eq!(change.lines.iter().map(|(_, cause, moved)| (*cause, *moved)).collect::<Vec<_>>(), [(Cause::Value, -13_667), (Cause::Weight, 1_667)]);
    }

    /// Of nothing m0 became known at 80: 30 points over the 50 that contributions count from; and back.
    #[test]
    fn what_becomes_known_is_told_from_the_middle() {
        let card = scorer(&[1.0], |_, _| {});
        let now = [said(0, 80.0, 0, EvidenceClass::VendorObserved)];
        let (nothing, something) = (Moment { scorer: &card, known: known(&[]), on: day(0) }, Moment { scorer: &card, known: known(&now), on: day(0) });
        let told = |from, to| split(from, to).map(|change| (change.lines.iter().map(|line| (line.1, line.2)).collect::<Vec<_>>(), change.total));
        assert_eq!(told(&nothing, &something), Some((vec![(Cause::NewlyKnown, 30_000)], 30_000)));
        assert_eq!(told(&something, &nothing), Some((vec![(Cause::NoLongerKnown, -30_000)], -30_000)));
        assert_eq!(told(&nothing, &nothing), None);
    }

    /// m1 was said long ago and is too little by itself; m0 lifts the score over the floor. Half a year on both have faded under it. And a policy that asks
    /// for more coverage makes the same evidence no score.
    #[test]
    fn what_was_said_before_did_not_become_known() {
        let card = scorer(&[1.0, 1.0], |_, _| {});
        let strict = scorer(&[1.0, 1.0], |card, _| card.coverage_floor = 0.99);
        let then = [said(1, 40.0, 0, EvidenceClass::VendorObserved)];
        let now = [then[0], said(0, 80.0, 60, EvidenceClass::VendorObserved)];
        let at = |scorer, evidence, on: i64| Moment { scorer, known: known(evidence), on: day(on) };
        let causes = |from: &Moment<'_>, to: &Moment<'_>| split(from, to).unwrap().lines.iter().map(|line| (line.1, line.2 > 0)).collect::<Vec<_>>();
        assert_eq!(causes(&at(&card, &then, 60), &at(&card, &now, 60)), [(Cause::NewlyKnown, true), (Cause::Weight, false)]);
        assert_eq!(causes(&at(&card, &now, 60), &at(&card, &now, 160)), [(Cause::Fading, false), (Cause::Fading, true)]);
        assert_eq!(causes(&at(&card, &now, 60), &at(&strict, &now, 60)), [(Cause::Policy, false), (Cause::Policy, true)]);
        // A scorecard that did not ask for what was said long ago, and one that does.
        let narrow = scorer(&[1.0], |_, _| {});
        assert_eq!(causes(&at(&narrow, &then, 0), &at(&card, &then, 0)), [(Cause::Policy, false)]);
    }

    #[test]
    fn a_policy_and_a_bias_are_told_apart_from_the_customer() {
        let evidence = [said(0, 80.0, 0, EvidenceClass::PartnerDeclared), said(1, 40.0, 0, EvidenceClass::PartnerDeclared)];
        let bias = std::collections::HashMap::from([(crate::kernel::id::TypeId::of(uuid::Uuid::from_u128(0)), 10.0)]);
        let (old, new) = (scorer(&[1.0, 1.0], |_, _| {}), scorer(&[1.0, 3.0], |card, _| card.limits.clear()));
        let from = Moment { scorer: &old, known: known(&evidence), on: day(0) };
        let to = Moment { scorer: &new, known: Known { bias: Some(&bias), ..known(&evidence) }, on: day(0) };
        let change = split(&from, &to).unwrap();
        let by = |cause| change.lines.iter().filter(|line| line.1 == cause).map(|line| line.2).sum::<i64>();
        assert_eq!((by(Cause::Bias), by(Cause::Policy), change.total), (-5_000, -7_500, -12_500));
        assert_eq!(key(0).as_str(), "m0");
    }

    proptest! {
        #[test]
        fn a_split_adds_up(
            (old, before, bias, on) in anything(),
            (new, after, other, later) in anything(),
            (cases, others) in (prop::option::of((1i32..5, 0i64..400)), prop::option::of((1i32..5, 0i64..400))),
            (set, put) in (prop::option::of((0u128..2, 0i32..=100_000)), prop::option::of((0u128..2, 0i32..=100_000))),
        ) {
            let case = |severity, due: i64| OpenCase { external_id: "T".parse().unwrap(), severity, opened_on: day(0), due_on: Some(day(due)), cause: "cancel_intent".parse().ok() };
            let (cases, others) = (cases.map(|(severity, due)| vec![case(severity, due)]), others.map(|(severity, due)| vec![case(severity, due)]));
            let id = |n: u128| crate::kernel::id::TypeId::of(uuid::Uuid::from_u128(n));
            let (set, put) = (set.map(|(n, score)| (id(n), score)), put.map(|(n, score)| (id(n), score)));
            let from = Moment { scorer: &old, known: Known { bias: Some(&bias), cases: cases.as_deref().unwrap_or_default(), set, ..known(&before) }, on: day(on) };
            let to = Moment { scorer: &new, known: Known { bias: Some(&other), cases: others.as_deref().unwrap_or_default(), set: put, ..known(&after) }, on: day(later) };
            let scores = [&from, &to].map(|at| at.scorer.score(&at.known, at.on).score);
            let Some(change) = split(&from, &to) else {
                prop_assert_eq!(scores, [None, None]);
                return Ok(());
            };
            let told = change.lines.iter().map(|line| line.2).sum::<i64>() + change.adjusted.iter().map(|line| line.1).sum::<i64>();
            prop_assert_eq!(told, change.total);
            let [then, now] = scores.map(|score| i64::from(score.unwrap_or(50_000)));
            prop_assert_eq!(change.total, now - then);
        }
    }
}
