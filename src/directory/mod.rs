//! Who exists: the vendor, its partners in their tree, their clients, the customers each partner serves, and what those
//! customers subscribe to.

mod api;
mod credential;
mod customer;
mod flow;
mod partner;
mod store;
mod subscription;

pub use api::routes;
pub use customer::{Customer, CustomerRef, CustomerState, TouchModel};
pub use flow::{
    CustomerDraft, NewVendor, PartnerDraft, Subjects, SubscriptionDraft, add_client, add_credential, add_partner, customer_for, found_vendor, revoke_client, subjects,
    upsert_customer, upsert_subscription,
};
pub use partner::{Partner, PartnerKind, PartnerState, Sees};
pub use store::customer::locate as locate_customer;
pub use store::partner::{all_ids as all_partner_ids, all_visible as all_visible_partners, by_id as partner_of, parents_at};
pub use store::subject::{lock_named, seen_elsewhere, subscriptions_named};
pub use store::vendor::{Vendor, all as all_vendors, calendar};
pub use subscription::Subscription;
