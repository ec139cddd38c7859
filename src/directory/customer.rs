//! A customer: one end customer as served by exactly one partner; the unit of reporting and of health. Its natural key is
//! the partner's own id of it.

use crate::kernel::id::{CustomerId, PartnerId};
use crate::kernel::text::{CorporateNumber, ExternalId, Label, Name};
use crate::kernel::time::Moment;

crate::word_list! {
    /// Where a customer stands in its life.
    CustomerState {
        /// Not yet a customer; in no figure.
        Prospect = "prospect",
        /// Being brought in.
        Onboarding = "onboarding",
        /// In use.
        Active = "active",
        /// Gone; in no figure.
        Ended = "ended",
    }
    /// How closely a customer is looked after; decides how often it must be heard.
    TouchModel {
        /// By people, often.
        High = "high",
        /// By people, now and then.
        Low = "low",
        /// By technology.
        Tech = "tech",
    }
}

impl CustomerState {
    /// Whether customers in this state stand in figures.
    pub fn counts(self) -> bool {
        matches!(self, Self::Onboarding | Self::Active)
    }
}

impl TouchModel {
    /// The listening cadence in days (DECISIONS 9): a customer not heard for longer is silent.
    pub fn cadence_days(self) -> i64 {
        match self {
            Self::High => 30,
            Self::Low => 90,
            Self::Tech => 180,
        }
    }
}

/// A customer as it stands.
#[derive(Debug, Clone)]
pub struct Customer {
    /// Its id.
    pub id: CustomerId,
    /// The partner that serves it.
    pub partner_id: PartnerId,
    /// The partner's own id of it.
    pub external_id: ExternalId,
    /// Its name.
    pub name: Name,
    /// Where it stands.
    pub state: CustomerState,
    /// How closely it is looked after.
    pub touch_model: TouchModel,
    /// Its Japanese corporate number, if it has one and the partner knows it.
    pub corporate_number: Option<CorporateNumber>,
    /// The partner's or the vendor's segment.
    pub segment: Option<Label>,
    /// Its region.
    pub region: Option<Label>,
    /// How it buys: by purchase, by subscription; in the vendor's words.
    pub business_model: Option<Label>,
    /// Raised by each change.
    pub version: i64,
    /// When it was created.
    pub created_at: Moment,
    /// When it last changed.
    pub updated_at: Moment,
}

/// How a body names a customer: by our id or by the partner's own.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum CustomerRef {
    /// Our id.
    Id(CustomerId),
    /// The partner's own.
    External(ExternalId),
}

impl CustomerRef {
    /// Reads the two members, of which exactly one must be given.
    pub fn of(id: Option<CustomerId>, external_id: Option<ExternalId>) -> Option<Self> {
        match (id, external_id) {
            (Some(id), None) => Some(Self::Id(id)),
            (None, Some(external_id)) => Some(Self::External(external_id)),
            _ => None,
        }
    }

    /// The member that named it.
    pub fn pointer(&self) -> &'static str {
        match self {
            Self::Id(_) => "/customer_id",
            Self::External(_) => "/customer_external_id",
        }
    }
}
