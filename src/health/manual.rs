//! A manual override: a score set by a person, with author, reason and a mandatory end, shown beside the one that was worked out and
//! never instead of it. Above a value a second person must approve.

use super::scorecard::Purpose;
use crate::kernel::id::{CustomerId, OverrideId, PartnerId};
use crate::kernel::time::Moment;
use chrono::NaiveDate;
use uuid::Uuid;

/// The longest an override may last, in days.
pub const LONGEST_DAYS: i64 = 366;

crate::word_list! {
    /// Where an override stands.
    OverrideState {
        /// A second person must approve it.
        Pending = "pending",
        /// It counts.
        InForce = "in_force",
        /// Its last day has passed.
        Expired = "expired",
        /// It was taken back.
        Withdrawn = "withdrawn",
    }
}

/// An override as it stands.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the columns of health_override and health_override_text")]
pub struct Override {
    pub id: OverrideId,
    pub partner: PartnerId,
    pub customer: CustomerId,
    pub purpose: Purpose,
    /// In thousandths.
    pub score: i32,
    pub reason: String,
    pub evidence_link: Option<String>,
    pub author: Uuid,
    pub created_at: Moment,
    /// The last day it counts.
    pub expires_on: NaiveDate,
    /// When it began to count; `None` until approved.
    pub counts_from: Option<Moment>,
    pub approver: Option<Uuid>,
    pub withdrawn_at: Option<Moment>,
}

/// Whether a second person must approve. `value_minor` is `None` while it is not known, or not known in the reporting currency; `from_minor`
/// is what the scorecard asks, `strictest_minor` the least any scorecard of the purpose asks: what is not known is asked for.
pub fn needs_approval(value_minor: Option<i64>, from_minor: Option<i64>, strictest_minor: Option<i64>) -> bool {
    match value_minor {
        Some(value) => from_minor.is_some_and(|from| value >= from),
        None => strictest_minor.is_some(),
    }
}

impl Override {
    /// As it stood at a moment: without what was decided about it later.
    pub fn known_by(self, moment: Moment) -> Self {
        let by_then = |at: &Moment| *at <= moment;
        let counts_from = self.counts_from.filter(by_then);
        Self { counts_from, approver: self.approver.filter(|_| counts_from.is_some()), withdrawn_at: self.withdrawn_at.filter(by_then), ..self }
    }

    /// Where it stands on a day.
    pub fn state(&self, on: NaiveDate) -> OverrideState {
        if self.withdrawn_at.is_some() {
            OverrideState::Withdrawn
        } else if on > self.expires_on {
            OverrideState::Expired
        } else if self.counts_from.is_none() {
            OverrideState::Pending
        } else {
            OverrideState::InForce
        }
    }
}

#[cfg(test)]
mod tests {
    use super::needs_approval;

    #[test]
    fn what_is_not_known_asks_for_approval() {
        assert!(needs_approval(Some(100), Some(100), Some(50)));
        assert!(!needs_approval(Some(99), Some(100), Some(50)), "its own scorecard counts");
        assert!(!needs_approval(Some(99), None, Some(50)));
        assert!(needs_approval(None, None, Some(50)));
        assert!(!needs_approval(None, None, None));
    }
}
