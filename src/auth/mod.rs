//! Who calls, and what they may do: secrets, tokens, signing keys, the tree of partners as authority needs it, the one
//! table of operations, and the extractor that turns a request into a call with a scope.

mod action;
mod api;
mod assertion;
mod call;
mod gate;
mod jwk;
mod keys;
mod lookup;
mod params;
mod principal;
mod scope;
mod secret;
mod store;
mod tenancy;
mod token;
mod visitor;

pub use action::{Action, Permission, Rule, TABLE, Who, op, rule};
pub use api::{public_routes, routes};
pub use call::{Batch, BatchOf, Body, Call, Called, Ids, Json, NoBody, Patch, Query};
pub use gate::Gate;
pub use jwk::PublicJwk;
pub use keys::{Keyring, PUBLISHED, make_first_key, rotate};
pub use params::{ActingQuery, NamedBatchQuery, NamedQuery, WriteQuery};
pub use principal::Caller;
pub use scope::{AnalystScope, Grant, ScheduleScope, StaffScope, SystemScope, Tenant, TenantScope, Whole, WitnessScope, WorkerScope};
pub use secret::{Minted, mint};
pub use tenancy::Tenancy;
pub use tenancy::reach;
pub use visitor::visit;
