//! An outcome: what became of a customer, or of one of its subscriptions, on a day. Append-only; the same twice is one.

use crate::directory::CustomerRef;
use crate::kernel::text::{ExternalId, Label};
use chrono::NaiveDate;

crate::word_list! {
    /// What became of it.
    OutcomeKind {
        /// It goes on as before.
        Renewed = "renewed",
        /// It is lost.
        Churned = "churned",
        /// It goes on for less.
        Contracted = "contracted",
        /// It goes on for more.
        Expanded = "expanded",
    }
}

impl OutcomeKind {
    /// Whether the customer is lost.
    pub fn is_lost(self) -> bool {
        self == Self::Churned
    }
}

/// An outcome as it came in.
#[derive(Debug, Clone)]
pub struct OutcomeDraft {
    /// Of whom.
    pub customer: CustomerRef,
    /// Of which subscription, by its partner's own id.
    pub subscription: Option<ExternalId>,
    /// What became of it.
    pub kind: OutcomeKind,
    /// When.
    pub occurred_on: NaiveDate,
    /// Why, in a word.
    pub reason: Option<Label>,
}
