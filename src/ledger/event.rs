//! News: what happened, for areas to the right and for subscribers. An event holds ids and figures, never words.

use serde_json::Value;
use uuid::Uuid;

/// Something that happened.
#[derive(Debug, Clone)]
pub struct Event {
    /// What, as `<noun>.<past participle>`; the catalogue is `tests/golden/events.txt`.
    pub kind: &'static str,
    /// The thing it happened to.
    pub subject: Uuid,
    /// The partner whose thing it is, if any.
    pub partner: Option<Uuid>,
    /// Ids and figures.
    pub data: Value,
}

impl Event {
    /// Every kind of event there is.
    pub const KINDS: &'static [&'static str] = &[
        "vendor.created",
        "partner.created",
        "partner.updated",
        "client.created",
        "client.credential_added",
        "client.credential_revoked",
        "client.revoked",
        "currency_rate.set",
        "customer.created",
        "customer.updated",
        "subscription.created",
        "subscription.updated",
        "measure.created",
        "observation.recorded",
        "scorecard.created",
        "scorecard.activated",
        "scorecard.retired",
        "health_override.created",
        "health_override.approved",
        "health_override.withdrawn",
        "divergence.owned",
        "outcome.recorded",
        "outcome.withdrawn",
        "calibration.made",
        "calibration.weakened",
        "snapshot.published",
        "status_report.accepted",
        "status_report.revised",
    ];
}
