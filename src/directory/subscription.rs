//! A subscription: what a customer bought, for how much, and when it renews.

use crate::kernel::id::{CustomerId, PartnerId, SubscriptionId};
use crate::kernel::money::Currency;
use crate::kernel::text::{ExternalId, Label};
use crate::kernel::time::Moment;
use chrono::NaiveDate;

/// A subscription as it stands.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// The partner it was bought from.
    pub partner_id: PartnerId,
    /// Whose it is.
    pub customer_id: CustomerId,
    /// The partner's own id of it.
    pub external_id: ExternalId,
    /// What was bought.
    pub product: Label,
    /// For how many.
    pub seats: Option<i64>,
    /// The amount of one period, in minor units of the currency.
    pub amount_minor: i64,
    /// The currency.
    pub currency: Currency,
    /// The length of a period, in months.
    pub period_months: i32,
    /// The first day.
    pub starts_on: NaiveDate,
    /// The next renewal.
    pub renews_on: Option<NaiveDate>,
    /// The last day, once it is known; after it the subscription counts no more.
    pub ends_on: Option<NaiveDate>,
    /// The vendor's own id of it, by which telemetry finds the customer.
    pub vendor_ref: Option<ExternalId>,
    /// Raised by each change.
    pub version: i64,
    /// When it was created.
    pub created_at: Moment,
    /// When it last changed.
    pub updated_at: Moment,
}
