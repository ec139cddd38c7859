//! Deeds of the directory that have more than one door: the API, the operator's commands, the demo.

mod client;
mod subject;

pub use client::{add_client, add_credential, revoke_client, revoke_credential};
pub use subject::{Subjects, subjects};

use crate::auth::{Minted, Permission, StaffScope, Tenant};
use crate::db::Tx;
use crate::directory::customer::{Customer, CustomerRef, CustomerState, TouchModel};
use crate::directory::partner::{Partner, PartnerKind, PartnerState, Sees, look_alike};
use crate::directory::store::{customer, partner, subscription, vendor};
use crate::directory::subscription::Subscription;
use crate::kernel::change::{Patch, Upserted};
use crate::kernel::code::Code;
use crate::kernel::error::{Fault, FieldFault};
use crate::kernel::id::{CustomerId, PartnerId, PrincipalId, TypeId};
use crate::kernel::money::Currency;
use crate::kernel::text::{Broken, CorporateNumber, ExternalId, Label, Name};
use crate::kernel::time::{Moment, Zone};
use crate::ledger::{Event, Job, JobKind, enqueue, record_events};
use crate::state::Keys;
use chrono::NaiveDate;
use serde_json::json;
use uuid::Uuid;

/// A vendor to be.
pub struct NewVendor {
    /// Its name.
    pub name: Name,
    /// Its calendar.
    pub zone: Zone,
    /// Its reporting currency.
    pub currency: Currency,
    /// Whether it is a live one, not a sandbox.
    pub live: bool,
}

/// Adds a vendor with its direct partner and its first client, who may do everything.
pub async fn found_vendor(tx: &Tx<StaffScope>, keys: &Keys, new: &NewVendor) -> Result<(PartnerId, PrincipalId, Minted), Fault> {
    vendor::insert(tx, &new.name, new.zone, new.currency, new.live).await?;
    let direct = PartnerDraft {
        external_id: "direct".parse().map_err(|e| Fault::internal(format!("{e:?}")))?,
        name: new.name.clone(),
        kind: PartnerKind::Direct,
        parent_id: None,
        parent_sees: Sees::Nothing,
        tier: None,
    };
    let founder = tx.scope().vendor();
    let created = Event { kind: "vendor.created", subject: founder, partner: None, data: json!({}) };
    record_events(tx, founder, &[created]).await?;
    let direct = add_partner(tx, founder, direct).await?;
    let name = "administrator".parse().map_err(|e| Fault::internal(format!("{e:?}")))?;
    let (client, minted) = add_client(tx, keys, founder, None, name, Permission::FOR_STAFF.to_vec()).await?;
    Ok((direct.id, client.id, minted))
}

/// A partner to be.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the fields of Partner")]
pub struct PartnerDraft {
    pub external_id: ExternalId,
    pub name: Name,
    pub kind: PartnerKind,
    pub parent_id: Option<PartnerId>,
    pub parent_sees: Sees,
    pub tier: Option<Label>,
}

/// Adds a partner: 409 when its external id is taken, 422 when its parent does not exist.
pub async fn add_partner(tx: &Tx<StaffScope>, caller: Uuid, draft: PartnerDraft) -> Result<Partner, Fault> {
    if let Some(parent) = draft.parent_id {
        partner::by_id(tx, parent).await?.ok_or_else(|| Fault::reference("/parent_id"))?;
    }
    let partner = Partner {
        id: tx.new_id(),
        external_id: draft.external_id,
        name: draft.name,
        kind: draft.kind,
        parent_id: draft.parent_id,
        parent_sees: draft.parent_sees,
        state: PartnerState::Active,
        tier: draft.tier,
        version: 1,
        created_at: tx.now(),
        updated_at: tx.now(),
    };
    check_name(tx, &partner).await?;
    if !partner::insert(tx, &partner).await? {
        return Err(Fault::of(Code::AlreadyExists));
    }
    tell_partner(tx, caller, "partner.created", &partner).await?;
    Ok(partner)
}

/// Refuses a name that cannot be told from another partner's.
pub(super) async fn check_name(tx: &Tx<StaffScope>, partner: &Partner) -> Result<(), Fault> {
    let others = partner::other_names(tx, partner.id).await?;
    if others.iter().any(|other| look_alike(partner.name.as_str(), other)) {
        let fields = vec![FieldFault { pointer: "/name".into(), code: Broken::Confusable }];
        return Err(Fault { fields, ..Fault::of(Code::ConfusableName) });
    }
    Ok(())
}

/// News of a partner.
pub(super) async fn tell_partner(tx: &Tx<StaffScope>, caller: Uuid, kind: &'static str, partner: &Partner) -> Result<(), Fault> {
    let event = Event { kind, subject: partner.id.uuid(), partner: Some(partner.id.uuid()), data: json!({ "version": partner.version }) };
    record_events(tx, caller, &[event]).await
}

/// A customer as described by an upsert; what is left out stays as it is.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the fields of Customer")]
pub struct CustomerDraft {
    pub external_id: ExternalId,
    pub name: Option<Name>,
    pub state: Option<CustomerState>,
    pub touch_model: Option<TouchModel>,
    pub corporate_number: Patch<CorporateNumber>,
    pub segment: Patch<Label>,
    pub region: Patch<Label>,
    pub business_model: Patch<Label>,
}

/// Creates or changes one of the acting partner's customers by its external id. Two callers at once leave one customer.
pub async fn upsert_customer<S: Tenant>(tx: &Tx<S>, caller: Uuid, draft: CustomerDraft) -> Result<(Customer, Upserted), Fault> {
    if let Some(found) = customer::lock(tx, None, Some(&draft.external_id)).await? {
        return change_customer(tx, caller, found, draft).await;
    }
    let name = draft.name.clone().ok_or_else(|| Fault::field("/name", Broken::Required))?;
    let fresh = Customer {
        id: tx.new_id(),
        partner_id: PartnerId::of(tx.scope().acts()?),
        external_id: draft.external_id.clone(),
        name,
        state: draft.state.unwrap_or(CustomerState::Active),
        touch_model: draft.touch_model.unwrap_or(TouchModel::Low),
        corporate_number: draft.corporate_number.clone().over(None),
        segment: draft.segment.clone().over(None),
        region: draft.region.clone().over(None),
        business_model: draft.business_model.clone().over(None),
        version: 1,
        created_at: tx.now(),
        updated_at: tx.now(),
    };
    if !customer::insert(tx, &fresh).await? {
        // Somebody was faster; the unique key has made us wait until they committed.
        let found = customer::lock(tx, None, Some(&draft.external_id)).await?.ok_or_else(|| Fault::of(Code::StateConflict))?;
        return change_customer(tx, caller, found, draft).await;
    }
    tell(tx, caller, "customer.created", fresh.partner_id, fresh.id.uuid(), fresh.id, fresh.version).await?;
    Ok((fresh, Upserted::Created))
}

/// Changes a locked customer as described.
pub async fn change_customer<S: Tenant>(tx: &Tx<S>, caller: Uuid, before: Customer, draft: CustomerDraft) -> Result<(Customer, Upserted), Fault> {
    let mut after = before.clone();
    after.name = draft.name.unwrap_or(after.name);
    after.state = draft.state.unwrap_or(after.state);
    after.touch_model = draft.touch_model.unwrap_or(after.touch_model);
    after.corporate_number = draft.corporate_number.over(after.corporate_number);
    after.segment = draft.segment.over(after.segment);
    after.region = draft.region.over(after.region);
    after.business_model = draft.business_model.over(after.business_model);
    let same = after.name == before.name
        && after.state == before.state
        && after.touch_model == before.touch_model
        && after.corporate_number == before.corporate_number
        && after.segment == before.segment
        && after.region == before.region
        && after.business_model == before.business_model;
    if same {
        return Ok((before, Upserted::Unchanged));
    }
    after.version += 1;
    after.updated_at = after_lock(tx.now(), before.updated_at);
    customer::update(tx, &after).await?;
    tell(tx, caller, "customer.updated", after.partner_id, after.id.uuid(), after.id, after.version).await?;
    Ok((after, Upserted::Updated))
}

/// The moment of a change to a locked row: later than the change before, even when the transaction that made that one began
/// after ours. Versions need moments in the order in which they came to be.
pub(super) fn after_lock(now: Moment, before: Moment) -> Moment {
    now.max(before + chrono::Duration::microseconds(1))
}

/// News of a change, and the job that brings figures up to it.
async fn tell<S: Tenant>(tx: &Tx<S>, caller: Uuid, kind: &'static str, partner: PartnerId, subject: Uuid, customer: CustomerId, version: i64) -> Result<(), Fault> {
    let event = Event { kind, subject, partner: Some(partner.uuid()), data: json!({ "version": version }) };
    record_events(tx, caller, &[event]).await?;
    enqueue(tx, &[Job { kind: JobKind::Rescore, partner: partner.uuid(), subjects: vec![customer.uuid()], day: None }]).await
}

/// Locks the acting partner's customer that a body names. One that may be seen but belongs to another partner is read-only;
/// any other does not exist.
pub async fn customer_for<S: Tenant>(tx: &Tx<S>, reference: &CustomerRef) -> Result<Customer, Fault> {
    let (id, external_id) = match reference {
        CustomerRef::Id(id) => (Some(*id), None),
        CustomerRef::External(external_id) => (None, Some(external_id)),
    };
    if let Some(found) = customer::lock(tx, id, external_id).await? {
        return Ok(found);
    }
    match id {
        Some(id) if customer::locate(tx, id).await?.is_some() => Err(Fault::of(Code::ReadOnlyHere)),
        _ => Err(Fault::reference(reference.pointer())),
    }
}

/// A subscription as described by an upsert; what is left out stays as it is.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the fields of Subscription")]
pub struct SubscriptionDraft {
    pub external_id: ExternalId,
    pub customer: Option<CustomerRef>,
    pub product: Option<Label>,
    pub seats: Patch<i64>,
    pub amount_minor: Option<i64>,
    pub currency: Option<Currency>,
    pub period_months: Option<i32>,
    pub starts_on: Option<NaiveDate>,
    pub renews_on: Patch<NaiveDate>,
    pub ends_on: Patch<NaiveDate>,
    pub vendor_ref: Patch<ExternalId>,
}

/// Creates or changes one of the acting partner's subscriptions by its external id.
pub async fn upsert_subscription<S: Tenant>(tx: &Tx<S>, caller: Uuid, draft: SubscriptionDraft) -> Result<(Subscription, Upserted), Fault> {
    let customer = match &draft.customer {
        Some(reference) => Some(customer_for(tx, reference).await?),
        None => None,
    };
    let mut found = subscription::lock(tx, &draft.external_id).await?;
    if found.is_none() {
        let fresh = new_subscription(tx, &draft, customer.as_ref())?;
        if subscription::insert(tx, &fresh).await? {
            tell(tx, caller, "subscription.created", fresh.partner_id, fresh.id.uuid(), fresh.customer_id, fresh.version).await?;
            return Ok((fresh, Upserted::Created));
        }
        found = subscription::lock(tx, &draft.external_id).await?;
    }
    let before = found.ok_or_else(|| Fault::of(Code::StateConflict))?;
    if customer.is_some_and(|customer| customer.id != before.customer_id) {
        // Moving a subscription would rewrite the history of two customers.
        return Err(Fault::field(draft.customer.as_ref().map_or("/customer_id", CustomerRef::pointer), Broken::Immutable));
    }
    let mut after = before.clone();
    after.product = draft.product.unwrap_or(after.product);
    after.seats = draft.seats.over(after.seats);
    after.amount_minor = draft.amount_minor.unwrap_or(after.amount_minor);
    after.currency = draft.currency.unwrap_or(after.currency);
    after.period_months = draft.period_months.unwrap_or(after.period_months);
    after.starts_on = draft.starts_on.unwrap_or(after.starts_on);
    after.renews_on = draft.renews_on.over(after.renews_on);
    after.ends_on = draft.ends_on.over(after.ends_on);
    after.vendor_ref = draft.vendor_ref.over(after.vendor_ref);
    check_days(&after)?;
    let same = after.product == before.product
        && after.seats == before.seats
        && after.amount_minor == before.amount_minor
        && after.currency == before.currency
        && after.period_months == before.period_months
        && (after.starts_on, after.renews_on, after.ends_on) == (before.starts_on, before.renews_on, before.ends_on)
        && after.vendor_ref == before.vendor_ref;
    if same {
        return Ok((before, Upserted::Unchanged));
    }
    after.version += 1;
    after.updated_at = after_lock(tx.now(), before.updated_at);
    subscription::update(tx, &after).await?;
    tell(tx, caller, "subscription.updated", after.partner_id, after.id.uuid(), after.customer_id, after.version).await?;
    Ok((after, Upserted::Updated))
}

fn new_subscription<S: Tenant>(tx: &Tx<S>, draft: &SubscriptionDraft, customer: Option<&Customer>) -> Result<Subscription, Fault> {
    let mut missing = Vec::new();
    let mut need = |given: bool, pointer: &str| {
        if !given {
            missing.push(FieldFault { pointer: pointer.to_owned(), code: Broken::Required });
        }
    };
    need(customer.is_some(), "/customer_external_id");
    need(draft.product.is_some(), "/product");
    need(draft.amount_minor.is_some(), "/amount_minor");
    need(draft.currency.is_some(), "/currency");
    need(draft.starts_on.is_some(), "/starts_on");
    let (Some(customer), Some(product), Some(amount_minor), Some(currency), Some(starts_on)) =
        (customer, draft.product.clone(), draft.amount_minor, draft.currency, draft.starts_on)
    else {
        return Err(Fault::invalid(missing));
    };
    let fresh = Subscription {
        id: tx.new_id(),
        partner_id: customer.partner_id,
        customer_id: customer.id,
        external_id: draft.external_id.clone(),
        product,
        seats: draft.seats.clone().over(None),
        amount_minor,
        currency,
        period_months: draft.period_months.unwrap_or(12),
        starts_on,
        renews_on: draft.renews_on.clone().over(None),
        ends_on: draft.ends_on.clone().over(None),
        vendor_ref: draft.vendor_ref.clone().over(None),
        version: 1,
        created_at: tx.now(),
        updated_at: tx.now(),
    };
    check_days(&fresh)?;
    Ok(fresh)
}

fn check_days(s: &Subscription) -> Result<(), Fault> {
    if s.ends_on.is_some_and(|end| end < s.starts_on) {
        return Err(Fault::field("/ends_on", Broken::Contradiction));
    }
    if s.renews_on.is_some_and(|day| day < s.starts_on) {
        return Err(Fault::field("/renews_on", Broken::Contradiction));
    }
    Ok(())
}
