//! A status report: a partner's dated, append-only statement about one customer for a period. A correction is a new
//! revision; the newest is in force.

use super::case::OpenCase;
use crate::directory::CustomerRef;
use crate::kernel::hash::sha256_of;
use crate::kernel::id::{CustomerId, ReportId, SubscriptionId};
use crate::kernel::text::{Comment, ExternalId, Key};
use crate::kernel::time::Moment;
use chrono::NaiveDate;

crate::word_list! {
    /// The band a partner declares; it becomes the measure `partner_band` (DECISIONS 3).
    DeclaredBand {
        /// Going well.
        Healthy = "healthy",
        /// To be watched.
        Watch = "watch",
        /// May be lost.
        AtRisk = "at_risk",
    }
}

impl DeclaredBand {
    /// The points it stands for.
    pub fn points(self) -> f64 {
        match self {
            Self::Healthy => 82.0,
            Self::Watch => 52.0,
            Self::AtRisk => 20.0,
        }
    }
}

/// One value a report carries.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The measure's key.
    pub measure: Key,
    /// The value, in its unit.
    pub value: f64,
    /// When it was so; the report's moment when left out.
    pub observed_at: Option<Moment>,
}

/// A report as it came in.
#[derive(Debug, Clone)]
pub struct ReportDraft {
    /// About whom.
    pub customer: CustomerRef,
    /// The partner's own id of the report; `<customer external id>:<period end>` when left out.
    pub external_id: Option<ExternalId>,
    /// About which subscription, by the partner's own id.
    pub subscription: Option<ExternalId>,
    /// The first day it speaks of.
    pub period_start: Option<NaiveDate>,
    /// The last day it speaks of.
    pub period_end: NaiveDate,
    /// The partner's judgement.
    pub declared_band: Option<DeclaredBand>,
    /// The partner's words.
    pub comment: Option<Comment>,
    /// The values.
    pub readings: Vec<Reading>,
    /// All cases that are open; `None` says nothing of cases.
    pub open_cases: Option<Vec<OpenCase>>,
    /// The revision it means to replace; refused when that is not the one in force.
    pub replaces: Option<ReportId>,
}

/// The revision of a report that is in force.
#[derive(Debug, Clone)]
pub struct Head {
    /// Its id.
    pub id: ReportId,
    /// About whom.
    pub customer: CustomerId,
    /// Its number, from 1.
    pub revision: i32,
    /// What it says, as a hash.
    pub content_hash: Vec<u8>,
}

/// What a report says, as a hash: the order of its values does not matter, nor who sent it or when.
pub fn content_hash(draft: &ReportDraft, customer: CustomerId, subscription: Option<SubscriptionId>) -> Vec<u8> {
    let mut readings: Vec<String> = draft
        .readings
        .iter()
        .map(|r| format!("{}={:016x}@{}", r.measure, r.value.to_bits(), r.observed_at.map_or(String::new(), |at| at.timestamp_micros().to_string())))
        .collect();
    readings.sort();
    let mut cases: Vec<String> = draft.open_cases.iter().flatten().map(|c| format!("{}|{}|{}|{:?}|{:?}", c.external_id, c.severity, c.opened_on, c.due_on, c.cause)).collect();
    cases.sort();
    // What says nothing of cases has the hash it had before there were any.
    let cases = draft.open_cases.as_ref().map(|_| format!("cases\n{}", cases.join("\n")));
    let mut said = vec![readings.join("\n")];
    said.extend(cases);
    sha256_of(&[
        customer.to_string().as_bytes(),
        subscription.map_or(String::new(), |id| id.to_string()).as_bytes(),
        draft.period_start.map_or(String::new(), |day| day.to_string()).as_bytes(),
        draft.period_end.to_string().as_bytes(),
        draft.declared_band.map_or("", DeclaredBand::as_str).as_bytes(),
        draft.comment.as_ref().map_or("", Comment::as_str).as_bytes(),
        said.join("\n").as_bytes(),
    ])
}
