//! An outcome: what became of a customer, or of one of its subscriptions, on a day. The same twice is one. Never deleted, and never changed
//! but for being taken back by who recorded it by mistake.

use crate::directory::CustomerRef;
use crate::kernel::id::{CustomerId, OutcomeId, PartnerId, SubscriptionId};
use crate::kernel::text::{ExternalId, Label};
use crate::kernel::time::Moment;
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
    /// Who recorded it.
    Recorder {
        /// Its partner; shared with the vendor.
        Partner = "partner",
        /// The vendor; nobody else sees it.
        Vendor = "vendor",
    }
}

impl OutcomeKind {
    /// Whether the customer is lost.
    pub fn is_lost(self) -> bool {
        self == Self::Churned
    }
}

impl Recorder {
    /// By for whose eyes it is: what a partner records is shared, what the vendor records is the vendor's (DECISIONS 2).
    pub fn of(audience: &str) -> Self {
        if audience == "shared" { Self::Partner } else { Self::Vendor }
    }
}

/// An outcome as it is kept.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the columns of outcome")]
pub struct Told {
    pub id: OutcomeId,
    pub partner: PartnerId,
    pub customer: CustomerId,
    pub subscription: Option<SubscriptionId>,
    pub kind: OutcomeKind,
    pub occurred_on: NaiveDate,
    pub reason: Option<Label>,
    pub by: Recorder,
    pub recorded_at: Moment,
    /// When it was taken back; `None` while it stands.
    pub withdrawn_at: Option<Moment>,
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
