//! What a customer was and had bought over time: what the criteria of scorecards look at.

use super::chronicle::Stay;
use super::scorecard::{Criteria, Profile};
use crate::directory::{CustomerState, TouchModel};
use crate::kernel::time::Moment;
use chrono::NaiveDate;

/// What a customer was at some time.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the columns of customer_version")]
pub struct Version {
    pub stage: CustomerState,
    pub touch_model: TouchModel,
    pub segment: Option<String>,
    pub business_model: Option<String>,
    pub stay: Stay,
}

/// What it had bought at some time.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the columns of subscription_version")]
pub struct Bought {
    pub product: String,
    pub starts_on: NaiveDate,
    pub ends_on: Option<NaiveDate>,
    pub stay: Stay,
}

/// Both, all there ever was, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Circumstances {
    /// What it was.
    pub versions: Vec<Version>,
    /// What it bought.
    pub purchases: Vec<Bought>,
}

/// The circumstances of one day as they were known at a moment.
#[derive(Debug, Clone)]
pub struct Then<'a> {
    /// What it was.
    pub version: &'a Version,
    products: Vec<String>,
}

impl Circumstances {
    /// What they were; `None` before the customer was known.
    pub fn on(&self, day: NaiveDate, known_at: Moment) -> Option<Then<'_>> {
        let version = self.versions.iter().find(|version| version.stay.at(known_at))?;
        let runs = |b: &&Bought| b.stay.at(known_at) && b.starts_on <= day && b.ends_on.is_none_or(|end| end >= day);
        Some(Then { version, products: self.purchases.iter().filter(runs).map(|bought| bought.product.clone()).collect() })
    }
}

/// Whether criteria are met by what a customer was then, if it was known; none are met by everybody.
pub fn fits(criteria: &Criteria, then: Option<&Then<'_>>) -> bool {
    criteria.is_empty() || then.is_some_and(|then| criteria.fit(&then.profile()))
}

impl Then<'_> {
    /// As criteria see them.
    pub fn profile(&self) -> Profile<'_> {
        let Version { stage, touch_model, segment, business_model, .. } = self.version;
        Profile { segment: segment.as_deref(), stage: *stage, touch_model: *touch_model, business_model: business_model.as_deref(), products: &self.products }
    }
}
