//! Inputs: which evidence counts for a measure on a day, how much it weighs and what points it makes (SCIENCE 2.2). The score sums it
//! and the explanation lists it by this one rule, so that what is listed makes what was summed.

use super::evidence::{Evidence, Origin};
use super::scorecard::{CardMeasure, SourceWeights};
use crate::intake::EvidenceClass;
use crate::kernel::number::apportion;
use chrono::NaiveDate;
use std::cmp::Reverse;
use std::collections::HashMap;

/// How the evidence of one measure is read on a day.
#[derive(Debug, Clone, Copy)]
pub struct Rule<'a> {
    /// The measure, as the scorecard reads it.
    pub measure: &'a CardMeasure,
    /// Who is believed how much.
    pub sources: &'a SourceWeights,
    /// What is taken from the points of its partner's word, in points (`B[p,m]` of SCIENCE 2.4).
    pub bias: f64,
    /// The day scored for.
    pub on: NaiveDate,
}

/// One piece of evidence that counts for a measure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Input {
    /// What was said, by whom, and the day it counts for.
    pub said: Evidence,
    /// How old it was on the day scored for, in days, 0 or more.
    pub age_days: i64,
    /// What it weighs: the weight of its source times its freshness, above 0 (`f` of SCIENCE 2.2).
    pub mass: f64,
    /// The points it makes, 0-100, less the bias of a partner's word; `None` of a trend, whose points are made by all values together.
    pub points: Option<f64>,
}

impl Rule<'_> {
    /// How old a piece of evidence is on the day scored for, in days; below 0 when it was not yet so.
    pub fn age(&self, item: &Evidence) -> i64 {
        (self.on - item.day).num_days()
    }

    /// The weight of who says it, 0 or more.
    pub fn source(&self, item: &Evidence) -> f64 {
        self.sources.of(item.class, self.measure.nature)
    }

    /// What a piece of evidence weighs, above 0; `None` of what does not count: not yet so, too old, or said by whom nobody believes.
    pub fn mass(&self, item: &Evidence) -> Option<f64> {
        let (measure, age) = (self.measure, self.age(item));
        let oldest = measure.curve.window_days().unwrap_or(measure.valid_days).min(measure.valid_days);
        if !(0..=i64::from(oldest)).contains(&age) {
            return None;
        }
        Some(self.source(item) * self.fresh(age)).filter(|f| *f > 0.0)
    }

    /// What a piece of evidence weighs, 0 or more, however old: the weight of its source times its freshness.
    pub fn faded(&self, item: &Evidence) -> f64 {
        self.source(item) * self.fresh(self.age(item))
    }

    /// How much evidence of this age still says, 1 on its day.
    fn fresh(&self, age: i64) -> f64 {
        self.measure.half_life_days.map_or(1.0, |half_life| (-(age as f64) / f64::from(half_life)).exp2())
    }

    /// The points of a single value, 0-100, less the bias of a partner's word. Not for a trend.
    pub fn points(&self, item: &Evidence) -> f64 {
        let points = self.measure.curve.points(item.value);
        if item.class == EvidenceClass::PartnerDeclared { (points - self.bias).clamp(0.0, 100.0) } else { points }
    }

    /// The last value of a source that is believed, however old. `evidence` is in the order of days.
    pub fn last<'e>(&self, evidence: &'e [Evidence]) -> Option<&'e Evidence> {
        evidence.iter().rev().find(|item| item.day <= self.on && self.source(item) > 0.0)
    }

    /// A piece of evidence of this weight as an input.
    pub fn input(&self, item: &Evidence, mass: f64) -> Input {
        let points = self.measure.curve.window_days().is_none().then(|| self.points(item));
        Input { said: *item, age_days: self.age(item), mass, points }
    }

    /// Everything that counts, newest first; of one day in the order given.
    pub fn inputs(&self, evidence: &[Evidence]) -> Vec<Input> {
        let mut inputs: Vec<Input> = evidence.iter().filter_map(|item| Some(self.input(item, self.mass(item)?))).collect();
        inputs.sort_by_key(|input| Reverse(input.said.day));
        inputs
    }
}

/// What shares of inputs are counted in: fine enough for thousands of them.
pub const MILLION: i64 = 1_000_000;

/// How much of a measure's evidence inputs of these masses are, in millionths; of any inputs they add up to [`MILLION`].
pub fn shares(masses: &[f64]) -> Vec<i64> {
    let all: f64 = masses.iter().sum();
    let exact: Vec<f64> = masses.iter().map(|mass| mass / all * MILLION as f64).collect();
    apportion(if masses.is_empty() { 0 } else { MILLION }, &exact).into_vec()
}

/// All that counted for a score, of each measure in the order of the score's parts, with where it comes from.
pub type Inputs = Vec<Vec<(Input, Origin)>>;

/// Adds to inputs where they come from. Every input is one of the evidence told; what says the same of the same day is told apart by its origin
/// alone, so each such input has one of these, the latest first.
pub fn with_origins(inputs: Vec<Vec<Input>>, told: Vec<(Evidence, Origin)>) -> Inputs {
    let key = |said: &Evidence| (said.measure, said.class, said.day, said.value.to_bits());
    let mut origins: HashMap<_, Vec<Origin>> = HashMap::new();
    for (said, origin) in told {
        origins.entry(key(&said)).or_default().push(origin);
    }
    origins.values_mut().for_each(|all| all.sort_unstable());
    let mut from = |input: Input| Some((input, origins.get_mut(&key(&input.said))?.pop()?));
    inputs.into_iter().map(|of_one| of_one.into_iter().filter_map(&mut from).collect()).collect()
}
