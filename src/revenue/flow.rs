//! Recording outcomes, and taking them back: a partner's word about its own customers, or the vendor's about anybody's.

use super::outcome::{OutcomeDraft, Recorder, Told};
use super::store::{self, NewOutcome};
use crate::auth::Tenant;
use crate::db::Tx;
use crate::directory::{calendar, subjects, subscriptions_named};
use crate::kernel::change::Upserted;
use crate::kernel::code::Code;
use crate::kernel::error::Fault;
use crate::kernel::id::{OutcomeId, PartnerId, SubscriptionId, TypeId};
use crate::kernel::text::Broken;
use crate::ledger::{Event, record_events};
use serde_json::json;
use std::collections::BTreeSet;
use uuid::Uuid;

/// What became of an outcome: its id and what it did.
pub type Recorded = (OutcomeId, Upserted);

/// Records outcomes, one answer each, in order; one that is known changes nothing. `own` says that a partner speaks; `named_by` is the
/// partner whose external ids the vendor uses.
pub async fn record_outcomes<S: Tenant>(
    tx: &Tx<S>,
    (caller, principal): (Uuid, Uuid),
    own: bool,
    named_by: Option<PartnerId>,
    drafts: Vec<Result<OutcomeDraft, Fault>>,
) -> Result<Vec<Result<Recorded, Fault>>, Fault> {
    let customers = subjects(tx, own, named_by, drafts.iter().flatten().map(|draft| &draft.customer)).await?;
    let today = calendar(tx).await?.zone.day_of(tx.now());
    // Subscriptions go by their partner's ids, so only with customers that do.
    let among = if own { Some(tx.scope().acts()?) } else { named_by.map(TypeId::uuid) };
    let named: Vec<String> = drafts.iter().flatten().filter_map(|draft| draft.subscription.as_ref().map(ToString::to_string)).collect();
    let subscriptions = match among {
        Some(partner) if !named.is_empty() => subscriptions_named(tx, partner, named).await?,
        _ => Default::default(),
    };
    let consider = |draft: OutcomeDraft| -> Result<NewOutcome, Fault> {
        let (partner, customer) = customers.find(&draft.customer)?;
        if draft.occurred_on > today {
            return Err(Fault::field("/occurred_on", Broken::InTheFuture));
        }
        let known = |name: &crate::kernel::text::ExternalId| subscriptions.get(&(name.to_string(), customer.uuid())).copied().map(SubscriptionId::of);
        let subscription = draft.subscription.as_ref().map(|name| known(name).ok_or_else(|| Fault::reference("/subscription_external_id"))).transpose()?;
        let reason = draft.reason.map(crate::kernel::text::Label::into_string);
        Ok(NewOutcome { id: tx.new_id(), partner, customer, subscription, kind: draft.kind, occurred_on: draft.occurred_on, reason })
    };
    let considered: Vec<Result<NewOutcome, Fault>> = drafts.into_iter().map(|draft| draft.and_then(consider)).collect();
    let (mut seen, mut fresh) = (BTreeSet::new(), Vec::new());
    for outcome in considered.iter().flatten() {
        // The first of two equal rows of one batch.
        if seen.insert(outcome.once()) {
            fresh.push(outcome.clone());
        }
    }
    if fresh.is_empty() {
        return Ok(considered.into_iter().map(|outcome| outcome.map(|o| (o.id, Upserted::Unchanged))).collect());
    }
    // In one order, so that two batches of the vendor's cannot wait for each other.
    fresh.sort_by_key(NewOutcome::once);
    let kept = store::keep(tx, tx.scope().audience(), principal, &fresh).await?;
    let id_of = |o: &NewOutcome| kept.get(&o.once()).copied().unwrap_or(o.id);
    let events: Vec<Event> = fresh
        .iter()
        .filter(|o| id_of(o) == o.id)
        .map(|o| Event { kind: "outcome.recorded", subject: o.id.uuid(), partner: own.then(|| o.partner.uuid()), data: json!({ "customer_id": o.customer }) })
        .collect();
    record_events(tx, caller, &events).await?;
    let outcome = |o: NewOutcome| {
        let id = id_of(&o);
        (id, if id == o.id { Upserted::Created } else { Upserted::Unchanged })
    };
    Ok(considered.into_iter().map(|considered| considered.map(outcome)).collect())
}

/// Takes an outcome back: what a partner recorded, that partner; what the vendor recorded, the vendor.
pub async fn withdraw<S: Tenant>(tx: &Tx<S>, (caller, principal): (Uuid, Uuid), id: OutcomeId) -> Result<Told, Fault> {
    let told = store::by_id(tx, id).await?.ok_or(Fault::of(Code::NotFound))?;
    // A distributor sees what its partners told, and the vendor what all told: neither speaks for them.
    let by = Recorder::of(tx.scope().audience());
    if told.by != by || by == Recorder::Partner && told.partner.uuid() != tx.scope().acts()? {
        return Err(Fault::of(Code::ReadOnlyHere));
    }
    if !store::withdraw(tx, &told, principal).await? {
        return Err(Fault::of(Code::StateConflict));
    }
    let event =
        Event { kind: "outcome.withdrawn", subject: id.uuid(), partner: (by == Recorder::Partner).then(|| told.partner.uuid()), data: json!({ "customer_id": told.customer }) };
    record_events(tx, caller, &[event]).await?;
    Ok(Told { withdrawn_at: Some(tx.now()), ..told })
}
