//! Caps and floors: what a score may not exceed, or fall below, while something holds. Dissatisfaction comes first (SCIENCE 2.3); each
//! that bounds the score or its interval is a line of its own in the explanation, never hidden inside a measure.

use super::evidence::Evidence;
use crate::intake::{EFFORT, EvidenceClass, OpenCase};
use crate::kernel::id::MeasureId;
use crate::kernel::text::{ExternalId, Key, Label};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};

/// When a limit applies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// A case of this severity or worse (1 is the worst) is open past its deadline.
    OverdueCase {
        /// 1-4.
        severity: i32,
    },
    /// A case of this cause is open.
    OpenCase {
        /// As reported.
        cause: Label,
    },
    /// The latest value of a measure lies within bounds: the customer's own or, where there is none or for a cap, anybody's.
    Latest {
        /// Which measure; it needs no weight.
        measure: Key,
        /// The value is no more than this.
        #[serde(default)]
        at_most: Option<f64>,
        /// The value is no less than this.
        #[serde(default)]
        at_least: Option<f64>,
        /// Days an old value is looked back to.
        within_days: i32,
    },
}

/// A cap (`at_most`) or a floor (`at_least`), in points; exactly one of the two.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Its name within the scorecard.
    pub key: Key,
    /// When it applies.
    pub when: Condition,
    /// The score is no more than this.
    #[serde(default)]
    pub at_most: Option<f64>,
    /// The score is no less than this.
    #[serde(default)]
    pub at_least: Option<f64>,
}

/// What made a limit apply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Because {
    /// An open case; of several the most severe, then the one due first.
    Case {
        /// The reporter's own id of it.
        external_id: ExternalId,
        /// 1-4.
        severity: i32,
        /// When it was opened.
        opened_on: NaiveDate,
        /// When it was to be closed.
        due_on: Option<NaiveDate>,
    },
    /// The latest value of the measure.
    Value {
        /// In the measure's unit.
        value: f64,
        /// The day it was so.
        on: NaiveDate,
        /// Who said it.
        class: EvidenceClass,
    },
}

impl Because {
    fn of_case(case: &OpenCase) -> Self {
        Self::Case { external_id: case.external_id.clone(), severity: case.severity, opened_on: case.opened_on, due_on: case.due_on }
    }
}

/// The cause of a case that stands for an explicit intent to cancel.
pub const CANCEL_INTENT: &str = "cancel_intent";

impl Limit {
    /// The pain cap of SCIENCE 2.3: 60 for an overdue case of severity 1, 55 for a latest effort score of 3 or less within 90 days, 30 for an open intent
    /// to cancel.
    pub fn pain() -> Vec<Self> {
        let cap = |key: &str, when, points| Some(Self { key: key.parse().ok()?, when, at_most: Some(points), at_least: None });
        let effort = |measure| Condition::Latest { measure, at_most: Some(3.0), at_least: None, within_days: 90 };
        let pains = [
            cap("overdue_case", Condition::OverdueCase { severity: 1 }, 60.0),
            EFFORT.parse().ok().and_then(|measure| cap("high_effort", effort(measure), 55.0)),
            CANCEL_INTENT.parse().ok().and_then(|cause| cap("cancel_intent", Condition::OpenCase { cause }, 30.0)),
        ];
        pains.into_iter().flatten().collect()
    }

    /// What a score becomes, both in thousandths.
    pub fn bound(&self, score: i64) -> i64 {
        let milli = |points: f64| crate::kernel::number::round(points * 1000.0);
        let capped = self.at_most.map_or(score, |points| score.min(milli(points)));
        self.at_least.map_or(capped, |points| capped.max(milli(points)))
    }

    /// The measure it looks at.
    pub fn measure(&self) -> Option<&Key> {
        match &self.when {
            Condition::Latest { measure, .. } => Some(measure),
            _ => None,
        }
    }

    /// What makes it apply on a day, if anything does. `id` is that of its measure; `evidence` comes in order of measure and day.
    pub fn applies(&self, cases: &[OpenCase], evidence: &[Evidence], id: Option<MeasureId>, on: NaiveDate) -> Option<Because> {
        let worst = |those: &dyn Fn(&OpenCase) -> bool| {
            let due = |case: &OpenCase| case.due_on.unwrap_or(NaiveDate::MAX);
            let found = cases.iter().filter(|case| those(case)).min_by(|a, b| (a.severity, due(a), a.external_id.as_str()).cmp(&(b.severity, due(b), b.external_id.as_str())));
            found.map(Because::of_case)
        };
        match &self.when {
            Condition::OverdueCase { severity } => worst(&|case| case.severity <= *severity && case.due_on.is_some_and(|due| due < on)),
            Condition::OpenCase { cause } => worst(&|case| case.cause.as_ref() == Some(cause)),
            Condition::Latest { at_most, at_least, within_days, .. } => {
                let id = id?;
                let of_one = &evidence[evidence.partition_point(|item| item.measure < id)..evidence.partition_point(|item| item.measure <= id)];
                let within = |item: &&Evidence| (0..=i64::from(*within_days)).contains(&(on - item.day).num_days());
                let bites = |item: &&Evidence| at_most.is_none_or(|most| item.value <= most) && at_least.is_none_or(|least| item.value >= least);
                // Of the last day on which any of those spoke, what makes it apply; `None` where none ever spoke. Of one day's words dissatisfaction comes first.
                let last = |those: &dyn Fn(&&Evidence) -> bool| {
                    let day = of_one.iter().filter(within).filter(those).map(|item| item.day).max()?;
                    let of_day = || of_one.iter().filter(those).filter(|item| item.day == day);
                    Some(of_day().filter(bites).max_by(|a, b| Evidence::order(a, b)).filter(|_| self.at_most.is_some() || of_day().all(|item| bites(&item))))
                };
                // What others say later does not outdo the customer's own word; but an older word of its own lifts no cap off what is said now.
                let found = match last(&|item| item.class == EvidenceClass::CustomerVoiced) {
                    Some(own) if own.is_some() || self.at_most.is_none() => own,
                    _ => last(&|_| true).flatten(),
                };
                found.map(|item| Because::Value { value: item.value, on: item.day, class: item.class })
            }
        }
    }
}
