//! Setting a score by hand, approving it, taking it back; who looks after a gap between the sources.

use crate::auth::StaffScope;
use crate::db::Tx;
use crate::directory::{calendar, locate_customer};
use crate::health::manual::{LONGEST_DAYS, Override, OverrideState, needs_approval};
use crate::health::scorecard::Purpose;
use crate::health::store;
use crate::kernel::code::Code;
use crate::kernel::error::{Fault, FieldFault};
use crate::kernel::id::{CustomerId, OverrideId, PartnerId, TypeId};
use crate::kernel::text::{Broken, Comment, Label, Link};
use crate::ledger::{Event, Job, JobKind, enqueue, record_events};
use chrono::NaiveDate;
use serde_json::json;
use uuid::Uuid;

/// An override as it came in.
#[derive(Debug, Clone)]
pub struct OverrideDraft {
    /// For what.
    pub purpose: Purpose,
    /// 0-100.
    pub score: f64,
    /// Why.
    pub reason: Comment,
    /// Where the evidence lies.
    pub evidence_link: Option<Link>,
    /// The last day it counts.
    pub expires_on: NaiveDate,
}

/// Sets a customer's score by hand. It counts at once, unless the customer's value asks for a second person's approval.
pub async fn set_by_hand(tx: &Tx<StaffScope>, caller: Uuid, author: Uuid, customer: CustomerId, draft: OverrideDraft) -> Result<Override, Fault> {
    let partner = locate_customer(tx, customer).await?.ok_or(Fault::of(Code::NotFound))?;
    let vendor = calendar(tx).await?;
    let today = vendor.zone.day_of(tx.now());
    let mut faults = Vec::new();
    let mut demand = |holds: bool, pointer: &str, code| {
        if !holds {
            faults.push(FieldFault { pointer: pointer.to_owned(), code })
        }
    };
    demand((0.0..=100.0).contains(&draft.score), "/score", Broken::OutOfRange);
    demand((0..=LONGEST_DAYS).contains(&(draft.expires_on - today).num_days()), "/expires_on", Broken::OutOfRange);
    if !faults.is_empty() {
        return Err(Fault::invalid(faults));
    }
    // A score for a purpose nothing is scored for would wait for its scorecard unseen.
    let stake = store::at_stake(tx, partner, customer, draft.purpose).await?.ok_or_else(|| Fault::reference("/purpose"))?;
    let needs_approval = needs_approval(stake.value_minor, stake.from_minor, stake.strictest_minor);
    let set = Override {
        id: tx.new_id(),
        partner,
        customer,
        purpose: draft.purpose,
        score: crate::kernel::number::round(draft.score * 1000.0) as i32,
        reason: draft.reason.into_string(),
        evidence_link: draft.evidence_link.map(Link::into_string),
        author,
        created_at: tx.now(),
        expires_on: draft.expires_on,
        counts_from: (!needs_approval).then(|| tx.now()),
        approver: None,
        withdrawn_at: None,
    };
    store::insert_override(tx, &set).await?;
    tell(tx, caller, "health_override.created", &set).await?;
    Ok(set)
}

/// Lets an override that waits for it count; never by its author.
pub async fn approve(tx: &Tx<StaffScope>, caller: Uuid, approver: Uuid, customer: CustomerId, id: OverrideId) -> Result<Override, Fault> {
    let mut set = find(tx, customer, id).await?;
    let today = calendar(tx).await?.zone.day_of(tx.now());
    if set.state(today) != OverrideState::Pending || set.author == approver {
        return Err(Fault::of(Code::StateConflict));
    }
    store::approve_override(tx, id, approver).await?;
    (set.counts_from, set.approver) = (Some(tx.now()), Some(approver));
    tell(tx, caller, "health_override.approved", &set).await?;
    Ok(set)
}

/// Takes an override back before its end.
pub async fn withdraw(tx: &Tx<StaffScope>, caller: Uuid, by: Uuid, customer: CustomerId, id: OverrideId) -> Result<Override, Fault> {
    let mut set = find(tx, customer, id).await?;
    let today = calendar(tx).await?.zone.day_of(tx.now());
    if !matches!(set.state(today), OverrideState::Pending | OverrideState::InForce) {
        return Err(Fault::of(Code::StateConflict));
    }
    store::withdraw_override(tx, id, by).await?;
    set.withdrawn_at = Some(tx.now());
    tell(tx, caller, "health_override.withdrawn", &set).await?;
    Ok(set)
}

/// Names who looks after the gap between a customer's sources.
pub async fn own_divergence(tx: &Tx<StaffScope>, caller: Uuid, by: Uuid, customer: CustomerId, owner: Option<Label>) -> Result<(), Fault> {
    let partner = locate_customer(tx, customer).await?.ok_or(Fault::of(Code::NotFound))?;
    store::set_divergence_owner(tx, partner, customer, owner.map(Label::into_string), by).await?;
    let event = Event { kind: "divergence.owned", subject: customer.uuid(), partner: None, data: json!({}) };
    record_events(tx, caller, &[event]).await
}

async fn find(tx: &Tx<StaffScope>, customer: CustomerId, id: OverrideId) -> Result<Override, Fault> {
    store::lock_override(tx, customer, id).await?.ok_or(Fault::of(Code::NotFound))
}

/// The vendor's own news: no partner hears of it, so the event bears none.
async fn tell(tx: &Tx<StaffScope>, caller: Uuid, kind: &'static str, set: &Override) -> Result<(), Fault> {
    let event = Event { kind, subject: set.id.uuid(), partner: None, data: json!({ "customer_id": set.customer }) };
    record_events(tx, caller, &[event]).await?;
    rescore_later(tx, set.partner, set.customer).await
}

async fn rescore_later(tx: &Tx<StaffScope>, partner: PartnerId, customer: CustomerId) -> Result<(), Fault> {
    enqueue(tx, &[Job { kind: JobKind::RescoreFull, partner: partner.uuid(), subjects: vec![customer.uuid()], day: None }]).await
}
