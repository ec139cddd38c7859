//! Todoku (届く, "it arrives"): a gateway through which partners report on the end customers they serve, and the vendor
//! sees health across all channels.
//!
//! The order of the modules below is the import order: a module uses only what stands above it. Knowledge runs up, news
//! runs down as events of the ledger. What is absent on purpose: repository traits, a service layer, a DI container,
//! generic CRUD, `utils`. The invariants:
//! - the only way to the database is a `Tx` over a `Scope`; the only way to a `Scope` is a passed policy check (`auth`);
//! - state, audit, event and job share one transaction;
//! - "now" is a parameter; noun files have no I/O, no clock, no randomness.

pub mod app;
pub mod auth;
pub mod boot;
pub mod command;
pub mod config;
pub mod db;
pub mod directory;
pub mod health;
pub mod http;
pub mod insight;
pub mod intake;
pub mod kernel;
pub mod ledger;
pub mod state;
pub mod telemetry;
pub mod worker;
