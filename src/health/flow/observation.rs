//! Recording observations: a partner's declarations, the vendor's facts, the customers' own words.

use super::rescore;
use crate::auth::Tenant;
use crate::db::Tx;
use crate::directory::{CustomerRef, subjects};
use crate::health::audience::SHARED;
use crate::intake::{self, EvidenceClass, NewObservation, Seen, check_value, observation_outcome};
use crate::kernel::change::Upserted;
use crate::kernel::code::Code;
use crate::kernel::error::{Fault, FieldFault};
use crate::kernel::id::{CustomerId, MeasureId, ObservationId, PartnerId, SubscriptionId, TypeId};
use crate::kernel::text::{Broken, ExternalId, Key};
use crate::kernel::time::Moment;
use crate::ledger::{Event, Job, JobKind, enqueue, record_events};
use serde_json::json;
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

/// Whom an observation is about.
#[derive(Debug, Clone)]
pub enum Subject {
    /// A customer by our id or by its partner's own.
    Customer(CustomerRef),
    /// The customer of the subscription with the vendor's own id.
    VendorRef(ExternalId),
}

/// An observation as it came in.
#[derive(Debug, Clone)]
pub struct ObservationDraft {
    /// About whom.
    pub subject: Subject,
    /// The measure's key.
    pub measure: Key,
    /// The value, in its unit.
    pub value: f64,
    /// When it was so; now when left out.
    pub observed_at: Option<Moment>,
}

/// What became of an observation: its id, unless it was known, and what it did.
pub type Recorded = (Option<ObservationId>, Upserted);

/// Records observations, one answer each, in order. A partner's are its declarations about its own customers and are scored here;
/// the vendor's, and those of its survey tool, are about anybody's, kept from the partner, and are scored by a job. `named_by` is the partner whose
/// external ids the vendor uses.
pub async fn record_observations<S: Tenant>(
    tx: &Tx<S>,
    caller: Uuid,
    class: EvidenceClass,
    named_by: Option<PartnerId>,
    drafts: Vec<Result<ObservationDraft, Fault>>,
) -> Result<Vec<Result<Recorded, Fault>>, Fault> {
    let own = class == EvidenceClass::PartnerDeclared;
    let references = drafts.iter().flatten().filter_map(|draft| match &draft.subject {
        Subject::Customer(reference) => Some(reference),
        Subject::VendorRef(_) => None,
    });
    let customers = subjects(tx, own, named_by, references).await?;
    let refs: Vec<String> = drafts
        .iter()
        .flatten()
        .filter_map(|draft| match &draft.subject {
            Subject::VendorRef(reference) => Some(reference.to_string()),
            Subject::Customer(_) => None,
        })
        .collect();
    // A partner's references are looked for among its own; the vendor's among the partner's it names, else everywhere.
    let among = if own { Some(tx.scope().acts()?) } else { named_by.map(TypeId::uuid) };
    let by_ref = if refs.is_empty() { HashMap::new() } else { intake::subjects_by_vendor_ref(tx, among, refs).await? };
    let measures: HashMap<Key, MeasureId> = intake::measures(tx).await?.into_iter().map(|m| (m.key, m.id)).collect();
    let find = |draft: &ObservationDraft| -> Result<(PartnerId, CustomerId, Option<SubscriptionId>), Fault> {
        match &draft.subject {
            Subject::Customer(reference) => customers.find(reference).map(|(partner, customer)| (partner, customer, None)),
            Subject::VendorRef(reference) => by_ref
                .get(reference.as_str())
                .map(|(partner, customer, subscription)| (*partner, *customer, Some(*subscription)))
                .ok_or_else(|| Fault::reference("/subscription_vendor_ref")),
        }
    };
    // What each one says, or why it cannot be said.
    let said: Vec<Result<NewObservation, Fault>> = drafts
        .into_iter()
        .map(|draft| {
            let draft = draft?;
            let (partner, customer, subscription) = find(&draft)?;
            let observed_at = draft.observed_at.unwrap_or(tx.now());
            let mut faults: Vec<FieldFault> =
                check_value(draft.value, observed_at, tx.now()).into_iter().map(|(pointer, code)| FieldFault { pointer: pointer.to_owned(), code }).collect();
            if !faults.is_empty() {
                return Err(Fault::invalid(faults));
            }
            let Some(measure) = measures.get(&draft.measure) else {
                faults.push(FieldFault { pointer: "/measure".into(), code: Broken::ReferenceNotFound });
                return Err(Fault { fields: faults, ..Fault::of(Code::ReferenceNotFound) });
            };
            Ok(NewObservation { id: tx.new_id(), partner, customer, subscription, measure: *measure, report: None, value: draft.value, observed_at, evidence: class })
        })
        .collect();
    let seen: Vec<Seen> = said.iter().flatten().map(|o| (o.customer.uuid(), o.measure.uuid(), o.observed_at)).collect();
    let partners: BTreeSet<Uuid> = said.iter().flatten().map(|o| o.partner.uuid()).collect();
    let mut known = intake::known_observations(tx, class, partners.into_iter().collect(), &seen).await?;
    let mut fresh = Vec::new();
    let results: Vec<Result<Recorded, Fault>> = said
        .into_iter()
        .map(|item| {
            let item = item?;
            let moment = (item.customer.uuid(), item.measure.uuid(), item.observed_at);
            let outcome = observation_outcome(known.insert(moment, item.value), item.value);
            if outcome == Upserted::Unchanged {
                return Ok((None, outcome));
            }
            let id = item.id;
            fresh.push(item);
            Ok((Some(id), outcome))
        })
        .collect();
    if fresh.is_empty() {
        return Ok(results);
    }
    intake::insert_observations(tx, &fresh).await?;
    let mut touched: HashMap<Uuid, BTreeSet<Uuid>> = HashMap::new();
    for item in &fresh {
        touched.entry(item.partner.uuid()).or_default().insert(item.customer.uuid());
    }
    let events: Vec<Event> = fresh
        .iter()
        .map(|item| Event { kind: "observation.recorded", subject: item.id.uuid(), partner: own.then(|| item.partner.uuid()), data: json!({ "customer_id": item.customer }) })
        .collect();
    record_events(tx, caller, &events).await?;
    if own {
        let customers = touched.values().flatten().copied().collect();
        rescore(tx, Some(customers), &[SHARED]).await?;
    }
    let jobs: Vec<Job> =
        touched.into_iter().map(|(partner, customers)| Job { kind: JobKind::RescoreFull, partner, subjects: customers.into_iter().collect(), day: None }).collect();
    enqueue(tx, &jobs).await?;
    Ok(results)
}
