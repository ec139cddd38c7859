//! An observation: one dated value of one measure for one customer. Its class follows the credential it came by, never
//! the body (DECISIONS 3).

use crate::kernel::change::Upserted;
use crate::kernel::id::{CustomerId, MeasureId, ObservationId, PartnerId, ReportId, SubscriptionId};
use crate::kernel::text::Broken;
use crate::kernel::time::{MAX_AHEAD, Moment};

crate::word_list! {
    /// Who knows it.
    EvidenceClass {
        /// The partner says so.
        PartnerDeclared = "partner_declared",
        /// The vendor's own systems saw it.
        VendorObserved = "vendor_observed",
        /// The customer said so.
        CustomerVoiced = "customer_voiced",
        /// Somebody else.
        ThirdParty = "third_party",
    }
}

impl EvidenceClass {
    /// Who may see it: what a partner declared is shared with that partner, the rest is the vendor's (DECISIONS 2).
    pub fn audience(self) -> &'static str {
        match self {
            Self::PartnerDeclared => "shared",
            Self::VendorObserved | Self::CustomerVoiced | Self::ThirdParty => "vendor",
        }
    }
}

/// An observation to be kept.
#[derive(Debug, Clone)]
pub struct NewObservation {
    /// Its id.
    pub id: ObservationId,
    /// Whose customer.
    pub partner: PartnerId,
    /// Which customer.
    pub customer: CustomerId,
    /// Which of its subscriptions, if it is about one.
    pub subscription: Option<SubscriptionId>,
    /// What was measured.
    pub measure: MeasureId,
    /// The report that carried it.
    pub report: Option<ReportId>,
    /// The value, in the measure's unit.
    pub value: f64,
    /// When it was so.
    pub observed_at: Moment,
    /// Who knows it.
    pub evidence: EvidenceClass,
}

/// The largest magnitude of a value.
const MAX_VALUE: f64 = 1e15;

/// A value and its moment, or what is wrong with them.
pub fn check_value(value: f64, observed_at: Moment, now: Moment) -> Vec<(&'static str, Broken)> {
    let mut wrong = Vec::new();
    if !value.is_finite() || value.abs() > MAX_VALUE {
        wrong.push(("/value", Broken::OutOfRange));
    }
    if observed_at > now + MAX_AHEAD {
        wrong.push(("/observed_at", Broken::InTheFuture));
    }
    wrong
}

/// What became of an observation: the same one again changes nothing, another value of the same moment replaces it.
pub fn observation_outcome(known: Option<f64>, value: f64) -> Upserted {
    match known {
        None => Upserted::Created,
        Some(known) if known.to_bits() == value.to_bits() => Upserted::Unchanged,
        Some(_) => Upserted::Updated,
    }
}
