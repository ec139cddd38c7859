//! The sums over one measure's evidence, and what they amount to (SCIENCE 2.2).

use super::{Part, Shares, milli};
use crate::health::evidence::Evidence;
use crate::health::input::Rule;
use crate::health::scorecard::{CardMeasure, Missing};
use crate::health::trend::slope;
use crate::intake::EvidenceClass;
use crate::kernel::number::apportion;
use chrono::NaiveDate;
use smallvec::{SmallVec, smallvec};

/// The sums over one measure's evidence, and what they amount to.
#[derive(Default, Clone)]
pub(super) struct Sums {
    pub(super) f: f64,
    pub(super) fx: f64,
    pub(super) f2: f64,
    pub(super) by_class: [f64; EvidenceClass::ALL.len()],
    pub(super) newest: Option<NaiveDate>,
    /// `E_m`: what is known of it.
    pub(super) evidence: f64,
    /// `V_m`: its points.
    pub(super) points: Option<f64>,
    /// What of it counts in the score, 0-1: its evidence, or all of what stands for it.
    pub(super) counts: f64,
    pub(super) assumed: Option<Missing>,
    pub(super) bias: f64,
}

impl Sums {
    /// The sums over the evidence of one measure, which is in order.
    pub(super) fn of(rule: &Rule<'_>, evidence: &[Evidence]) -> Self {
        let mut sums = Self::default();
        sums.fill(rule, evidence);
        sums
    }

    /// The same in place, once: they are too large to be moved for nothing.
    pub(super) fn fill(&mut self, rule: &Rule<'_>, evidence: &[Evidence]) {
        let measure = rule.measure;
        let is_trend = measure.curve.window_days().is_some();
        let mut series = Vec::new();
        for item in evidence {
            let Some(f) = rule.mass(item) else { continue };
            self.f += f;
            self.f2 += f * f;
            self.newest = self.newest.max(Some(item.day));
            self.by_class[item.class as usize] += f;
            if is_trend {
                series.push((-rule.age(item), item.value));
            } else {
                self.fx += f * rule.points(item);
                self.bias = if item.class == EvidenceClass::PartnerDeclared { rule.bias } else { self.bias };
            }
        }
        let value = if is_trend { slope(&series).map(|slope| measure.curve.points(slope)) } else { (self.f > 0.0).then(|| (self.fx / self.f).clamp(0.0, 100.0)) };
        let known = self.f.min(1.0);
        if value.is_some() && known >= measure.minimum_evidence {
            (self.evidence, self.counts, self.points) = (known, known, value);
        } else if measure.missing == Missing::LastValue
            && !is_trend
            && let Some(last) = rule.last(evidence).filter(|last| rule.faded(last) > 0.0)
        {
            self.assume(Missing::LastValue, rule.points(last), rule.faded(last).min(1.0));
            self.newest = Some(last.day);
        }
    }

    pub(super) fn assume(&mut self, missing: Missing, points: f64, counts: f64) {
        (self.assumed, self.points, self.counts, self.evidence) = (Some(missing), Some(points), counts, 0.0);
    }

    pub(super) fn part(&self, measure: &CardMeasure) -> Part {
        Part {
            measure: measure.id,
            weight: measure.weight,
            evidence: milli(self.evidence),
            points: self.points.map(milli),
            contribution: None,
            sources: self.shares(),
            newest: self.newest,
            assumed: self.assumed,
            bias: (self.bias != 0.0).then(|| milli(self.bias)),
        }
    }

    /// How much of the evidence each class gives, in thousandths that add up to the whole.
    fn shares(&self) -> Shares {
        if self.evidence <= 0.0 {
            return Shares::new();
        }
        let given = || EvidenceClass::ALL.iter().copied().filter(|class| self.by_class[*class as usize] > 0.0);
        // Of most measures one source speaks: there is nothing to share out.
        if let (Some(one), None) = (given().next(), given().nth(1)) {
            return smallvec![(one, 1000)];
        }
        let exact: SmallVec<[f64; 4]> = given().map(|class| self.by_class[class as usize] / self.f * 1000.0).collect();
        given().zip(apportion(1000, &exact)).map(|(class, share)| (class, share as i32)).collect()
    }
}
