//! The score: an evidence-weighted mean, re-normalised over what is known, with coverage, interval and an explanation
//! that adds up exactly (SCIENCE 2.2 and 2.3). Missing is never zero unless the scorecard says so; below the floor the answer is unknown.

mod sums;

use super::evidence::Evidence;
use super::input::{Input, Rule};
use super::limit::Because;
use super::scorecard::{Band, CardMeasure, Missing, Scorecard};
use crate::intake::{EvidenceClass, OpenCase};
use crate::kernel::id::{MeasureId, OverrideId};
use crate::kernel::number::{apportion, round};
use crate::kernel::text::Key;
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::HashMap;
use sums::Sums;

/// The 90 % quantile of the normal distribution: an 80 % interval.
const Z80: f64 = 1.2816;
/// From this evidence of one measure on, a source has a say of its own; after SCIENCE 2.6, which compares reporters over such measures.
const A_SAY: f64 = 0.3;
/// The middle of the scale, from which contributions count.
const MIDDLE: f64 = 50.0;

/// What one measure adds to a score; figures in thousandths. Kept without the names of its members: every score has many, and is written daily.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "Packed", into = "Packed")]
pub struct Part {
    /// The measure.
    pub measure: MeasureId,
    /// Its weight in the scorecard, its groups' shared out to it.
    pub weight: f64,
    /// How much is known of it (`E_m`), 0-1000.
    pub evidence: i32,
    /// Its points (`V_m`), 0-100000; `None` when nothing is known and nothing stands for it.
    pub points: Option<i32>,
    /// What it adds to or takes from 50 points; `None` when the score is unknown or it has no points.
    pub contribution: Option<i32>,
    /// How much of its evidence each class gives, 0-1000.
    pub sources: Shares,
    /// The newest day of its evidence.
    pub newest: Option<NaiveDate>,
    /// What stands for it, when too little is known of it.
    pub assumed: Option<Missing>,
    /// What was taken from the partner's points for its usual rosiness.
    pub bias: Option<i32>,
}

/// Shares by class, in thousandths; of most measures one speaks, of few more than two.
pub type Shares = SmallVec<[(EvidenceClass, i32); 2]>;

/// A part's members in their order.
type Packed = (MeasureId, f64, i32, Option<i32>, Option<i32>, Shares, Option<NaiveDate>, Option<Missing>, Option<i32>);

impl From<Part> for Packed {
    fn from(part: Part) -> Self {
        (part.measure, part.weight, part.evidence, part.points, part.contribution, part.sources, part.newest, part.assumed, part.bias)
    }
}

impl From<Packed> for Part {
    fn from((measure, weight, evidence, points, contribution, sources, newest, assumed, bias): Packed) -> Self {
        Self { measure, weight, evidence, points, contribution, sources, newest, assumed, bias }
    }
}

impl Part {
    /// Whether both tell the same of the evidence. Weight and what follows from it are the policy's; read back from JSON a weight may differ in its last bit.
    pub fn tells_as(&self, other: &Self) -> bool {
        let told = |part: &Self| (part.measure, part.evidence, part.points, part.newest, part.assumed, part.bias);
        told(self) == told(other) && self.sources == other.sources
    }
}

/// What moved a score after the measures had spoken, or bounded where it lies; scores in thousandths.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Adjustment {
    /// By what.
    pub by: AdjustedBy,
    /// The score before; `None` when it was unknown.
    pub from: Option<i32>,
    /// The score after.
    pub to: i32,
    /// Set by a person, the band the evidence would have: a day closes in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub band: Option<Band>,
    /// Set by a person, where the score before lies, with 80 %; `None` when it was unknown, and of what was kept before this was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<(i32, i32)>,
    /// What made a limit apply; `None` of a person, and of what was kept before it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<Because>,
}

/// What adjusts a score.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdjustedBy {
    /// A cap or floor of the scorecard.
    Limit(Key),
    /// A person.
    Override(OverrideId),
}

impl AdjustedBy {
    /// The limit's key, or the override's id.
    pub fn parts(&self) -> (Option<Key>, Option<OverrideId>) {
        match self {
            Self::Limit(key) => (Some(key.clone()), None),
            Self::Override(id) => (None, Some(*id)),
        }
    }
}

/// A score on a day; figures in thousandths.
#[derive(Debug, Clone, PartialEq)]
pub struct Score {
    /// 0-100000; `None` below the coverage floor.
    pub score: Option<i32>,
    /// The 80 % interval; `None` of a score set by hand.
    pub interval: Option<(i32, i32)>,
    /// What it amounts to.
    pub band: Band,
    /// How much of what the scorecard asks is known, 0-1000.
    pub coverage: i32,
    /// Every measure of the scorecard, in its order.
    pub parts: Vec<Part>,
    /// The limits that bound it, or where it lies, and the override in force, in the order they were applied.
    pub adjustments: Vec<Adjustment>,
}

impl Score {
    /// What a person did to it, where one did.
    pub fn set_by_hand(&self) -> Option<&Adjustment> {
        self.adjustments.iter().find(|a| matches!(a.by, AdjustedBy::Override(_)))
    }

    /// Of a customer no scorecard is for.
    pub fn unknown() -> Self {
        Self { score: None, interval: None, band: Band::Unknown, coverage: 0, parts: Vec::new(), adjustments: Vec::new() }
    }
}

/// What is known about a customer on a day.
#[derive(Debug, Clone, Default)]
pub struct Known<'a> {
    /// The evidence in force, in any order.
    pub evidence: &'a [Evidence],
    /// The cases said to be open.
    pub cases: &'a [OpenCase],
    /// What is taken from the points of its partner's word, per measure (`B[p,m]` of SCIENCE 2.4).
    pub bias: Option<&'a HashMap<MeasureId, f64>>,
    /// The band of the last daily close.
    pub closed_in: Option<Band>,
    /// The score a person has set, in thousandths.
    pub set: Option<(OverrideId, i32)>,
}

/// The figures of a score before anything adjusts them, in points and shares.
struct Mean {
    h: f64,
    mass: f64,
}

/// The sums of all measures, in their order.
type AllSums = SmallVec<[Sums; 16]>;

/// Score, interval and what limited them.
type Limited = (Option<i32>, Option<(i32, i32)>, Vec<Adjustment>);

/// A policy made ready to score by.
#[derive(Debug, Clone)]
pub struct Scorer {
    /// The policy.
    pub card: Scorecard,
    /// Its measures, in its order.
    pub measures: Vec<CardMeasure>,
    /// The places of the measures, in order of their ids.
    by_id: Vec<(MeasureId, usize)>,
    limited: Vec<Option<MeasureId>>,
    asked: f64,
}

impl Scorer {
    /// Makes a policy ready. `id` knows the measures limits look at.
    pub fn new(card: Scorecard, measures: Vec<CardMeasure>, id: impl Fn(&Key) -> Option<MeasureId>) -> Self {
        let mut by_id: Vec<(MeasureId, usize)> = measures.iter().enumerate().map(|(i, measure)| (measure.id, i)).collect();
        by_id.sort_unstable();
        let limited = card.limits.iter().map(|limit| limit.measure().and_then(&id)).collect();
        let asked = measures.iter().map(|measure| measure.weight).sum();
        Self { card, measures, by_id, limited, asked }
    }

    /// How many days back evidence may matter.
    pub fn horizon_days(&self) -> i64 {
        let of_measure = |m: &CardMeasure| if m.missing == Missing::LastValue { 3650 } else { m.valid_days.max(m.curve.window_days().unwrap_or(0)) };
        let of_limits = self.card.limits.iter().filter_map(|limit| match limit.when {
            super::limit::Condition::Latest { within_days, .. } => Some(within_days),
            _ => None,
        });
        self.measures.iter().map(of_measure).chain(of_limits).max().unwrap_or(0).into()
    }

    /// The score of one customer on a day.
    pub fn score(&self, known: &Known<'_>, on: NaiveDate) -> Score {
        let (evidence, mut sums) = (sorted(known.evidence), AllSums::new());
        self.gather(&mut sums, &evidence, known.bias, on);
        let coverage = self.coverage(&sums);
        let mut parts: Vec<Part> = self.measures.iter().zip(&sums).map(|(measure, s)| s.part(measure)).collect();
        let mean = self.mean(&sums).filter(|_| self.suffices(coverage));
        if let Some(mean) = &mean {
            let exact = |(measure, s): (&CardMeasure, &Sums)| Some(measure.weight * s.counts * (s.points? - MIDDLE) / mean.mass * 1000.0);
            let exact: SmallVec<[f64; 16]> = self.measures.iter().zip(&sums).filter_map(exact).collect();
            let heard = parts.iter_mut().filter(|part| part.points.is_some());
            for (part, contribution) in heard.zip(apportion((milli(mean.h) - milli(MIDDLE)).into(), &exact)) {
                part.contribution = Some(contribution as i32);
            }
        }
        let (mut score, mut interval, mut adjustments) = self.limited(&sums, coverage, mean.as_ref(), (&evidence, known.cases), on);
        let mut band = self.card.band(score, known.closed_in);
        if let Some((id, set)) = known.set {
            adjustments.push(Adjustment { by: AdjustedBy::Override(id), from: score, to: set, band: Some(band), interval, because: None });
            (score, interval, band) = (Some(set), None, self.card.band(Some(set), None));
        }
        Score { score, interval, band, coverage: milli(coverage), parts, adjustments }
    }

    /// Score, 80 % interval and coverage of one source by itself, in thousandths, by the limits its own words make apply and before any override: nothing stands for what is
    /// missing. It has a score above the floor of coverage, and once it has a say in one measure (decision 0006): few speak of all that is asked.
    pub fn figure(&self, evidence: &[Evidence], bias: Option<&HashMap<MeasureId, f64>>, on: NaiveDate) -> (Option<i32>, Option<(i32, i32)>, i32) {
        let (evidence, mut sums) = (sorted(evidence), AllSums::new());
        self.gather(&mut sums, &evidence, bias, on);
        sums.iter_mut().filter(|s| s.assumed.is_some()).for_each(|s| *s = Sums::default());
        let coverage = self.coverage(&sums);
        let has_a_say = || self.measures.iter().zip(&sums).any(|(measure, s)| measure.weight > 0.0 && s.evidence >= A_SAY);
        let mean = self.mean(&sums).filter(|_| self.suffices(coverage) || has_a_say());
        let (score, interval, _) = self.limited(&sums, coverage, mean.as_ref(), (&evidence, &[]), on);
        (score, interval, milli(coverage))
    }

    /// The points of each measure (`V_m`), in the order of the measures; `None` of those nothing is known of.
    pub fn values(&self, evidence: &[Evidence], bias: Option<&HashMap<MeasureId, f64>>, on: NaiveDate) -> Vec<Option<f64>> {
        let mut sums = AllSums::new();
        self.gather(&mut sums, &sorted(evidence), bias, on);
        sums.iter().map(|s| s.points.filter(|_| s.evidence > 0.0)).collect()
    }

    /// What counts for each measure, newest first, in the order of the measures: the mean of its points by its weights is the measure's
    /// (`V_m`). Where the last value stands for a measure, that alone; none of a measure too little is known of, for nothing counts there.
    pub fn inputs(&self, evidence: &[Evidence], bias: Option<&HashMap<MeasureId, f64>>, on: NaiveDate) -> Vec<Vec<Input>> {
        let evidence = sorted(evidence);
        let mut inputs = vec![Vec::new(); self.measures.len()];
        for (i, rule, of_one) in self.rules(&evidence, bias, on) {
            let sums = Sums::of(&rule, of_one);
            inputs[i] = match (sums.assumed, sums.points) {
                (Some(_), _) => rule.last(of_one).map(|last| rule.input(last, rule.faded(last))).into_iter().collect(),
                (None, Some(_)) => rule.inputs(of_one),
                (None, None) => Vec::new(),
            };
        }
        inputs
    }

    /// The evidence of each measure there is any of, with the place of the measure and the rule it is read by. `evidence` is in order.
    fn rules<'a>(&'a self, evidence: &'a [Evidence], bias: Option<&'a HashMap<MeasureId, f64>>, on: NaiveDate) -> impl Iterator<Item = (usize, Rule<'a>, &'a [Evidence])> {
        let mut ahead = self.by_id.as_slice();
        evidence.chunk_by(|a, b| a.measure == b.measure).filter_map(move |of_one| {
            let id = of_one.first()?.measure;
            // Both lie in the order of ids.
            while ahead.first().is_some_and(|(other, _)| *other < id) {
                ahead = &ahead[1..];
            }
            let (_, i) = ahead.first().copied().filter(|(other, _)| *other == id)?;
            let measure = &self.measures[i];
            // A bias is estimated on the catalogue's curve; on another it would be of another size.
            let bias = bias.filter(|_| !measure.own_curve).and_then(|bias| bias.get(&id)).copied().unwrap_or(0.0);
            Some((i, Rule { measure, sources: &self.card.source_weights, bias, on }, of_one))
        })
    }

    /// Fills `sums`, which are empty: where they lie, for moving them would cost a tenth of a score.
    fn gather(&self, sums: &mut AllSums, evidence: &[Evidence], bias: Option<&HashMap<MeasureId, f64>>, on: NaiveDate) {
        sums.resize(self.measures.len(), Sums::default());
        for (i, rule, of_one) in self.rules(evidence, bias, on) {
            sums[i].fill(&rule, of_one);
        }
        for (measure, s) in self.measures.iter().zip(sums) {
            if s.points.is_none() && matches!(measure.missing, Missing::Neutral | Missing::Floor) {
                s.assume(measure.missing, if measure.missing == Missing::Neutral { MIDDLE } else { 0.0 }, 1.0);
            }
        }
    }

    fn coverage(&self, sums: &[Sums]) -> f64 {
        let known: f64 = self.measures.iter().zip(sums).map(|(measure, s)| measure.weight * s.evidence).sum();
        if self.asked > 0.0 { (known / self.asked).min(1.0) } else { 0.0 }
    }

    fn mean(&self, sums: &[Sums]) -> Option<Mean> {
        let weighed = || self.measures.iter().map(|measure| measure.weight).zip(sums);
        let mass: f64 = weighed().map(|(weight, s)| weight * s.counts).sum();
        if mass <= 0.0 {
            return None;
        }
        let h = (weighed().map(|(weight, s)| weight * s.counts * s.points.unwrap_or(0.0)).sum::<f64>() / mass).clamp(0.0, 100.0);
        Some(Mean { h, mass })
    }

    /// Whether so much is known that there is a score.
    fn suffices(&self, coverage: f64) -> bool {
        coverage > 0.0 && coverage >= self.card.coverage_floor
    }

    /// The mean and where it lies, in thousandths, within the limits that apply. Each that bounds the score, or where it lies, is a line.
    fn limited(&self, sums: &[Sums], coverage: f64, mean: Option<&Mean>, (evidence, cases): (&[Evidence], &[OpenCase]), on: NaiveDate) -> Limited {
        let Some(mean) = mean else { return (None, None, Vec::new()) };
        let (mut score, mut interval, mut adjustments) = (milli(mean.h), self.interval(sums, coverage, mean), Vec::new());
        for (limit, id) in self.card.limits.iter().zip(&self.limited) {
            let bound = |value: i32| limit.bound(value.into()) as i32;
            let bounded = (bound(score), (bound(interval.0), bound(interval.1)));
            // What would bound nothing is not looked for: there may be many.
            if bounded != (score, interval)
                && let Some(because) = limit.applies(cases, evidence, *id, on)
            {
                adjustments.push(Adjustment { by: AdjustedBy::Limit(limit.key.clone()), from: Some(score), to: bounded.0, band: None, interval: None, because: Some(because) });
                (score, interval) = bounded;
            }
        }
        (Some(score), Some(interval), adjustments)
    }

    /// Where the score lies, with 80 %, in thousandths.
    fn interval(&self, sums: &[Sums], coverage: f64, mean: &Mean) -> (i32, i32) {
        let half = Z80 * self.variance(sums, coverage, mean.mass).sqrt();
        (milli((mean.h - half).max(0.0)), milli((mean.h + half).min(100.0)))
    }

    /// How far off the mean may be, squared.
    fn variance(&self, sums: &[Sums], coverage: f64, mass: f64) -> f64 {
        // (W_m E_m)^2 q_m / n_m with 1 / n_m = f2 / f^2, in an order that cannot underflow to 0 / 0; what only stands for a measure is one value.
        let noise = |(weight, s): (f64, &Sums)| match s.assumed {
            Some(_) => (weight / mass * s.counts).powi(2) * self.card.measure_variance,
            None if s.points.is_some() => (weight / mass * (s.counts / s.f)).powi(2) * self.card.measure_variance * s.f2,
            None => 0.0,
        };
        let noise: f64 = self.measures.iter().map(|measure| measure.weight).zip(sums).map(noise).sum();
        self.card.common_error.powi(2) + noise + ((1.0 - coverage) * self.card.unheard_spread).powi(2)
    }
}

/// In an order that does not depend on when things arrived, so that sums come out the same to the last bit.
fn sorted(evidence: &[Evidence]) -> Cow<'_, [Evidence]> {
    if evidence.is_sorted_by(|a, b| Evidence::order(a, b).is_le()) {
        return evidence.into();
    }
    let mut evidence = evidence.to_vec();
    evidence.sort_unstable_by(Evidence::order);
    evidence.into()
}

/// In thousandths; of points and shares, which are no larger than a hundred.
fn milli(value: f64) -> i32 {
    round(value * 1000.0) as i32
}

#[cfg(test)]
pub(super) mod tests;
